/* SPDX-License-Identifier: Apache-2.0 */
/* Access tokens: the guest is one user, who has no privileges and administers nothing;
 * security ids. */
#include "win/internal.h"
#include <stdio.h>

enum { TOKEN_USER = 1, TOKEN_GROUPS = 2, TOKEN_ELEVATION_TYPE = 18, TOKEN_ELEVATION = 20 };
enum { TOKEN_INTEGRITY = 25, ERROR_NOT_ALL_ASSIGNED = 1300, ERROR_NO_SUCH_PRIVILEGE = 1313 };
enum { SID_HEAD = 8, SID_PARTS_MAX = 15, GROUP_MANDATORY = 7 };

/* S-1-5-21-1-2-3-1001 */
const uint8_t win_user_sid[WIN_USER_SID] = {1, 5, 0, 0, 0, 0, 0, 5, 21, 0, 0,    0, 1, 0,
				   0, 0, 2, 0, 0, 0, 3, 0, 0,  0, 0xe9, 3, 0, 0};
const uint8_t win_everyone_sid[WIN_EVERYONE_SID] = {1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0};
static const uint8_t medium_sid[] = {1, 1, 0, 0, 0, 0, 0, 16, 0, 0x20, 0, 0};

API(uint32_t, adv_OpenProcessToken, handle process_handle, uint32_t access, handle *ret)
{
	struct object *p = object_get(process_handle, KIND_PROCESS);
	(void)access;
	if (!p)
		return 0;
	object_unref(p);
	struct object *o = object_new(KIND_TOKEN, sizeof *o);
	return o && (*ret = object_handle(o, false)) ? 1 : fail(ERROR_NOT_ENOUGH_MEMORY);
}

API(uint32_t, adv_OpenThreadToken, handle thread, uint32_t access, uint32_t self, handle *ret)
{
	(void)thread;
	(void)access;
	(void)self;
	(void)ret;
	return fail(1008); /* ERROR_NO_TOKEN: it impersonates nobody */
}

/* SID_AND_ATTRIBUTES, with the SID behind it; a count before them for groups. */
static uint32_t sid_put(uint8_t *out, const uint8_t *sid, uint32_t len, uint32_t attributes,
			bool counted)
{
	uint8_t *entry = out + (counted ? 8 : 0), *at = entry + 16;
	if (counted)
		le64_put(out, 1);
	le64_put(entry, (uint64_t)(uintptr_t)at);
	le64_put(entry + 8, attributes);
	memcpy(at, sid, len);
	return (uint32_t)(at + len - out);
}

API(uint32_t, adv_GetTokenInformation, handle h, uint32_t class, uint8_t *out, uint32_t cap,
    uint32_t *ret_n)
{
	struct object *o = object_get(h, KIND_TOKEN);
	bool number = class == TOKEN_ELEVATION || class == TOKEN_ELEVATION_TYPE;
	uint32_t n = class == TOKEN_USER        ? 16 + sizeof win_user_sid
		     : class == TOKEN_GROUPS    ? 24 + sizeof win_everyone_sid
		     : class == TOKEN_INTEGRITY ? 16 + sizeof medium_sid
		     : number                   ? 4
						: 0;
	if (!o)
		return 0;
	object_unref(o);
	*ret_n = n;
	if (!n)
		return fail(ERROR_NOT_SUPPORTED);
	if (cap < n || !out)
		return fail(ERROR_INSUFFICIENT_BUFFER);
	switch (class) {
	case TOKEN_USER: sid_put(out, win_user_sid, sizeof win_user_sid, 0, false); break;
	case TOKEN_GROUPS:
		sid_put(out, win_everyone_sid, sizeof win_everyone_sid, GROUP_MANDATORY, true);
		break;
	case TOKEN_INTEGRITY: sid_put(out, medium_sid, sizeof medium_sid, 0x60, false); break;
	default: le32_put(out, class == TOKEN_ELEVATION_TYPE ? 1 : 0); /* the default; not */
	}
	return 1;
}

/* Succeeds, as it does on Windows; that none was given is the last error. */
API(uint32_t, adv_AdjustTokenPrivileges, handle h, uint32_t none, const uint32_t *privileges,
    uint32_t n, void *before, uint32_t *ret_n)
{
	struct object *o = object_get(h, KIND_TOKEN);
	(void)n;
	(void)before;
	if (!o)
		return 0;
	object_unref(o);
	if (ret_n)
		*ret_n = 4;
	last_error_set(none || !privileges || !privileges[0] ? ERROR_SUCCESS
							     : ERROR_NOT_ALL_ASSIGNED);
	return 1;
}

API(uint32_t, adv_LookupPrivilegeValueA, const char *system, const char *name, uint32_t *ret)
{
	static const char *const names[] = {"SeCreateTokenPrivilege",
					    "SeAssignPrimaryTokenPrivilege",
					    "SeLockMemoryPrivilege",
					    "SeIncreaseQuotaPrivilege",
					    "SeMachineAccountPrivilege",
					    "SeTcbPrivilege",
					    "SeSecurityPrivilege",
					    "SeTakeOwnershipPrivilege",
					    "SeLoadDriverPrivilege",
					    "SeSystemProfilePrivilege",
					    "SeSystemtimePrivilege",
					    "SeProfileSingleProcessPrivilege",
					    "SeIncreaseBasePriorityPrivilege",
					    "SeCreatePagefilePrivilege",
					    "SeCreatePermanentPrivilege",
					    "SeBackupPrivilege",
					    "SeRestorePrivilege",
					    "SeShutdownPrivilege",
					    "SeDebugPrivilege",
					    "SeAuditPrivilege",
					    "SeSystemEnvironmentPrivilege",
					    "SeChangeNotifyPrivilege",
					    "SeRemoteShutdownPrivilege",
					    "SeUndockPrivilege",
					    "SeSyncAgentPrivilege",
					    "SeEnableDelegationPrivilege",
					    "SeManageVolumePrivilege",
					    "SeImpersonatePrivilege",
					    "SeCreateGlobalPrivilege",
					    "SeTrustedCredManAccessPrivilege",
					    "SeRelabelPrivilege",
					    "SeIncreaseWorkingSetPrivilege",
					    "SeTimeZonePrivilege",
					    "SeCreateSymbolicLinkPrivilege"};
	(void)system;
	for (uint32_t i = 0; i < countof(names); i++)
		if (!strcasecmp(names[i], name)) {
			ret[0] = i + 2;
			ret[1] = 0;
			return 1;
		}
	return fail(ERROR_NO_SUCH_PRIVILEGE);
}

API(uint32_t, adv_LookupPrivilegeValueW, const wide *system, const wide *name, uint32_t *ret)
{
	autofree char *n = name ? text_from(name, SIZE_MAX) : NULL;
	(void)system;
	return adv_LookupPrivilegeValueA(NULL, n ? n : "", ret);
}

/* ---- SIDs ---- */

API(uint32_t, adv_IsValidSid, const uint8_t *sid)
{
	return sid && sid[0] == 1 && sid[1] <= SID_PARTS_MAX;
}

API(uint32_t, adv_GetLengthSid, const uint8_t *sid) { return SID_HEAD + 4u * sid[1]; }

API(uint32_t, adv_CopySid, uint32_t cap, uint8_t *to, const uint8_t *sid)
{
	uint32_t n = adv_GetLengthSid(sid);
	if (cap < n)
		return fail(ERROR_INSUFFICIENT_BUFFER);
	memcpy(to, sid, n);
	return 1;
}

API(uint32_t, adv_EqualSid, const uint8_t *a, const uint8_t *b)
{
	return a[1] == b[1] && !memcmp(a, b, adv_GetLengthSid(a));
}

/* @authority: 6 bytes; @n parts, the eight that follow. */
API(uint32_t, adv_AllocateAndInitializeSid, const uint8_t *authority, uint8_t n, uint32_t a,
    uint32_t b, uint32_t c, uint32_t d, uint32_t e, uint32_t f, uint32_t g, uint32_t h,
    uint8_t **ret)
{
	const uint32_t parts[] = {a, b, c, d, e, f, g, h};
	if (n > countof(parts))
		return fail(ERROR_INVALID_PARAMETER);
	uint8_t *sid = heap_alloc(SID_HEAD + 4u * n, true);
	if (!sid)
		return fail(ERROR_NOT_ENOUGH_MEMORY);
	sid[0] = 1;
	sid[1] = n;
	memcpy(sid + 2, authority, 6);
	for (unsigned i = 0; i < n; i++)
		le32_put(sid + SID_HEAD + 4 * (size_t)i, parts[i]);
	*ret = sid;
	return 1;
}

API(void *, adv_FreeSid, void *sid)
{
	heap_free(sid);
	return NULL;
}

/* S-1-5-21-...: of the guest's heap, for LocalFree. */
static int sid_text(const uint8_t *sid, char *out, size_t cap)
{
	uint64_t authority = 0;
	for (unsigned i = 0; i < 6; i++)
		authority = authority << 8 | sid[2 + i];
	int n = snprintf(out, cap, "S-%u-%llu", sid[0], (unsigned long long)authority);
	for (unsigned i = 0; i < sid[1]; i++)
		n += snprintf(out + n, cap - (size_t)n, "-%u",
			      le32_at(sid + SID_HEAD + 4 * (size_t)i));
	return n;
}

enum { SID_TEXT = 30 + 11 * SID_PARTS_MAX };

API(uint32_t, adv_ConvertSidToStringSidA, const uint8_t *sid, char **ret)
{
	if (!ret || !adv_IsValidSid(sid))
		return fail(ret ? ERROR_INVALID_SID : ERROR_INVALID_PARAMETER);
	if (!(*ret = heap_alloc(SID_TEXT, true)))
		return fail(ERROR_NOT_ENOUGH_MEMORY);
	sid_text(sid, *ret, SID_TEXT);
	return 1;
}

API(uint32_t, adv_ConvertSidToStringSidW, const uint8_t *sid, wide **ret)
{
	char text[SID_TEXT];
	if (!ret || !adv_IsValidSid(sid))
		return fail(ret ? ERROR_INVALID_SID : ERROR_INVALID_PARAMETER);
	size_t n = (size_t)sid_text(sid, text, sizeof text) + 1;
	if (!(*ret = heap_alloc(2 * n, true)))
		return fail(ERROR_NOT_ENOUGH_MEMORY);
	utf16_put(text, n, *ret, n, NULL);
	return 1;
}
