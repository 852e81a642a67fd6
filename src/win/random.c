/* SPDX-License-Identifier: Apache-2.0 */
/* Random bytes, by all the names that they have. */
#include "win/internal.h"

API(uint8_t, adv_SystemFunction036, void *buf, uint32_t n)
{
	host_random(buf, n);
	return 1;
}
API(uint32_t, adv_ProcessPrng, void *buf, uint64_t n)
{
	host_random(buf, n);
	return 1;
}
API(uint32_t, adv_BCryptGenRandom, uint64_t algorithm, void *buf, uint32_t n, uint32_t flags)
{
	(void)algorithm;
	(void)flags;
	host_random(buf, n);
	return STATUS_SUCCESS;
}
API(uint32_t, adv_BCryptGetFipsAlgorithmMode, uint8_t *ret)
{
	*ret = 0;
	return STATUS_SUCCESS;
}
API(uint32_t, adv_CryptAcquireContextW, uint64_t *ret, const wide *name, const wide *provider,
    uint32_t type, uint32_t flags)
{
	(void)name;
	(void)provider;
	(void)type;
	(void)flags;
	*ret = 1;
	return 1;
}
API(uint32_t, adv_CryptAcquireContextA, uint64_t *ret, const char *name, const char *provider,
    uint32_t type, uint32_t flags)
{
	(void)name;
	(void)provider;
	return adv_CryptAcquireContextW(ret, NULL, NULL, type, flags);
}
API(uint32_t, adv_CryptGenRandom, uint64_t context, uint32_t n, void *buf)
{
	(void)context;
	host_random(buf, n);
	return 1;
}
API(uint32_t, adv_CryptReleaseContext, uint64_t context, uint32_t flags)
{
	(void)context;
	(void)flags;
	return 1;
}
