/* SPDX-License-Identifier: Apache-2.0 */
/* The registry: there is none yet but its roots, so that keys are not found, as programs expect of
 * one that nobody has written to. */
#include "win/internal.h"

API(uint32_t, adv_RegOpenKeyExW, uint64_t root, const wide *name, uint32_t options, uint32_t access,
    uint64_t *ret)
{
	(void)root;
	(void)options;
	(void)access;
	if (name && *name)
		return ERROR_FILE_NOT_FOUND;
	*ret = root;
	return 0;
}
API(uint32_t, adv_RegOpenKeyExA, uint64_t root, const char *name, uint32_t options, uint32_t access,
    uint64_t *ret)
{
	static const wide some[] = u"x";
	return adv_RegOpenKeyExW(root, name && *name ? some : NULL, options, access, ret);
}
API(uint32_t, adv_RegQueryValueExW, uint64_t key, const wide *name, void *reserved, uint32_t *type,
    void *data, uint32_t *n)
{
	(void)key;
	(void)name;
	(void)reserved;
	(void)type;
	(void)data;
	(void)n;
	return ERROR_FILE_NOT_FOUND;
}
API(uint32_t, adv_RegGetValueW, uint64_t key, const wide *sub, const wide *name, uint32_t flags,
    uint32_t *type, void *data, uint32_t *n)
{
	(void)sub;
	(void)flags;
	return adv_RegQueryValueExW(key, name, NULL, type, data, n);
}
API(uint32_t, adv_RegCloseKey, uint64_t key)
{
	(void)key;
	return 0;
}
API(uint32_t, adv_RegEnumKeyExW, uint64_t key, uint32_t i, wide *name, uint32_t *n, void *reserved,
    void *class, void *class_n, void *time)
{
	(void)key;
	(void)i;
	(void)name;
	(void)n;
	(void)reserved;
	(void)class;
	(void)class_n;
	(void)time;
	return ERROR_NO_MORE_ITEMS;
}
