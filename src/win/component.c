/* SPDX-License-Identifier: Apache-2.0 */
/* Components (COM): no class is registered, which is what programs hear that ask for one; and
 * identifiers (GUIDs). */
#include "win/internal.h"
#include <stdio.h>

enum { CLASS_NOT_REGISTERED = (int32_t)0x80040154 };

API(int32_t, ole_CoCreateInstance, const uint8_t *class_id, void *outer, uint32_t where,
    const uint8_t *interface_id, void **ret)
{
	(void)class_id;
	(void)outer;
	(void)where;
	(void)interface_id;
	if (!ret)
		return (int32_t)0x80004003; /* E_POINTER */
	*ret = NULL;
	return CLASS_NOT_REGISTERED;
}

/* Who may call: nobody can. */
API(int32_t, ole_CoInitializeSecurity, void *descriptor, int32_t n, void *services, void *reserved,
    uint32_t authentication, uint32_t impersonation, void *list, uint32_t capabilities,
    void *reserved2)
{
	(void)descriptor;
	(void)n;
	(void)services;
	(void)reserved;
	(void)authentication;
	(void)impersonation;
	(void)list;
	(void)capabilities;
	(void)reserved2;
	return 0;
}

/* A random one: version 4, variant 1 (RFC 9562 5.4). */
API(int32_t, ole_CoCreateGuid, uint8_t *ret)
{
	host_random(ret, 16);
	ret[7] = (uint8_t)((ret[7] & 0x0f) | 0x40);
	ret[8] = (uint8_t)((ret[8] & 0x3f) | 0x80);
	return 0;
}

API(uint32_t, ole_UuidCreateSequential, uint8_t *ret)
{
	enum { LOCAL_ONLY = 1824 }; /* there is no card whose address could be in it */
	ole_CoCreateGuid(ret);
	return LOCAL_ONLY;
}

/* What a component has told of the last error: there are none. */
API(int32_t, ole_GetErrorInfo, uint32_t reserved, void **ret)
{
	(void)reserved;
	*ret = NULL;
	return 1; /* S_FALSE */
}
API(int32_t, ole_SetErrorInfo, uint32_t reserved, void *info)
{
	(void)reserved;
	(void)info;
	return 0;
}

/* As 8-4-4-4-12 digits; the first three parts lie in memory as numbers of this machine. */
static void guid_text(const uint8_t *id, char out[37])
{
	snprintf(out, 37, "%08x-%04x-%04x-%02x%02x-%02x%02x%02x%02x%02x%02x", le32_at(id),
		 le16_at(id + 4), le16_at(id + 6), id[8], id[9], id[10], id[11], id[12], id[13],
		 id[14], id[15]);
}

API(uint32_t, ole_UuidToStringA, const uint8_t *id, char **ret)
{
	static const uint8_t none[16];
	if (!(*ret = heap_alloc(37, true)))
		return ERROR_NOT_ENOUGH_MEMORY;
	guid_text(id ? id : none, *ret);
	return 0;
}

API(uint32_t, ole_UuidToStringW, const uint8_t *id, wide **ret)
{
	static const uint8_t none[16];
	char text[37];
	if (!(*ret = heap_alloc(2 * sizeof text, true)))
		return ERROR_NOT_ENOUGH_MEMORY;
	guid_text(id ? id : none, text);
	utf16_put(text, sizeof text, *ret, sizeof text, NULL);
	return 0;
}

/* Of text in either width; NULL is none. */
API(uint32_t, ole_RpcStringFreeA, char **text)
{
	heap_free(*text);
	*text = NULL;
	return 0;
}
API(uint32_t, ole_RpcStringFreeW, wide **text)
{
	heap_free(*text);
	*text = NULL;
	return 0;
}

/* In braces, in capitals. Units with the 0; 0: too little room. */
API(int32_t, ole_StringFromGUID2, const uint8_t *id, wide *buf, int32_t cap)
{
	enum { UNITS = 39 };
	char text[UNITS] = "{";
	if (cap < UNITS)
		return 0;
	guid_text(id, text + 1);
	for (char *p = text; *p; p++)
		if (*p >= 'a' && *p <= 'f')
			*p = (char)(*p - 'a' + 'A');
	text[UNITS - 2] = '}';
	utf16_put(text, UNITS, buf, UNITS, NULL);
	return UNITS;
}
