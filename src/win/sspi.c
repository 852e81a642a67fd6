/* SPDX-License-Identifier: Apache-2.0 */
/* Security packages (SSPI): there are none, neither for TLS (Schannel) nor for names and passwords
 * (NTLM, Kerberos). Programs that have their own may look for them and go on. */
#include "win/internal.h"

enum { PACKAGE_NOT_FOUND = (int32_t)0x80090305, UNSUPPORTED_FUNCTION = (int32_t)0x80090302 };

API(int32_t, sspi_EnumerateSecurityPackagesW, uint32_t *ret_n, void **ret)
{
	*ret_n = 0;
	*ret = NULL;
	return 0;
}
API(int32_t, sspi_QuerySecurityPackageInfoW, const wide *name, void **ret)
{
	(void)name;
	*ret = NULL;
	return PACKAGE_NOT_FOUND;
}
API(int32_t, sspi_AcquireCredentialsHandleW, const wide *principal, const wide *package)
{
	(void)principal;
	(void)package;
	return PACKAGE_NOT_FOUND;
}
API(int32_t, sspi_FreeContextBuffer, void *p)
{
	(void)p;
	return 0;
}
/* All that takes credentials or a context: there are none that it could be called with. */
API(int32_t, sspi_unsupported, void) { return UNSUPPORTED_FUNCTION; }

/* SecurityFunctionTable(W or A, which differ in nothing here), version 4. */
enum { TABLE_FUNCTIONS = 34, ENUMERATE = 0, ACQUIRE = 2, FREE_BUFFER = 15, QUERY_PACKAGE = 16 };
struct security_table {
	uint64_t version;
	const void *functions[TABLE_FUNCTIONS];
};

API(struct security_table *, sspi_InitSecurityInterfaceW, void)
{
	static WIN_STATE struct security_table t;
	for (unsigned i = 0; i < TABLE_FUNCTIONS; i++)
		t.functions[i] = (const void *)sspi_unsupported;
	t.functions[ENUMERATE] = (const void *)sspi_EnumerateSecurityPackagesW;
	t.functions[ACQUIRE] = (const void *)sspi_AcquireCredentialsHandleW;
	t.functions[FREE_BUFFER] = (const void *)sspi_FreeContextBuffer;
	t.functions[QUERY_PACKAGE] = (const void *)sspi_QuerySecurityPackageInfoW;
	t.version = 4;
	return &t;
}
