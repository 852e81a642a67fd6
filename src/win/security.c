/* SPDX-License-Identifier: Apache-2.0 */
/* Security descriptors of files, which are the host's owners and modes: the owner, what the owner
 * may, what everyone may; what one that is set gives to others, or to folders' files, is not kept.
 * The host's user is the guest's, root its administrators, others are users of Unix. Spec:
 * [MS-DTYP] 2.4 (SID, ACE, ACL, descriptor), 2.5.1 (as text). */
#include "win/internal.h"
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WHAT_OWNER = 1, WHAT_GROUP = 2, WHAT_DACL = 4, WHAT_MOST = 7, KIND_OF_FILES = 1 };
enum { DESCRIPTOR_HEAD = 20, ACL_HEAD = 8, ACE_HEAD = 8, SID_LONGEST = 68, ACL_MOST = 4096 };
enum { CONTROL_DACL = 4, CONTROL_PROTECTED = 0x1000, CONTROL_RELATIVE = 0x8000 };
enum { ACE_ALLOW, ACE_DENY, ACE_INHERIT_ONLY = 8 };
enum { MAY_READ = 0x120089, MAY_WRITE = 0x120116, MAY_RUN = 0x1200a0, MAY_ALL = 0x1f01ff };
enum { MAY_REMOVE_IN = 0x40 };

/* A list while it is made. */
struct acl {
	uint8_t at[ACL_MOST];
	uint32_t n, count;
};

static uint32_t sid_length(const uint8_t *sid) { return 8 + 4u * sid[1]; }

static void sid_make(uint8_t *sid, uint8_t authority, const uint32_t *parts, uint8_t n)
{
	memcpy(sid, (uint8_t[8]){1, n, 0, 0, 0, 0, 0, authority}, 8);
	for (unsigned i = 0; i < n; i++)
		le32_put(sid + 8 + 4 * (size_t)i, parts[i]);
}

static bool sid_is(const uint8_t *a, const uint8_t *b)
{
	return a[1] == b[1] && !memcmp(a, b, sid_length(b));
}

static bool ace_put(struct acl *l, uint8_t type, uint8_t flags, uint32_t may, const uint8_t *sid)
{
	uint32_t n = ACE_HEAD + sid_length(sid);
	if (l->n + n > sizeof l->at)
		return false;
	uint8_t *ace = l->at + l->n;
	ace[0] = type;
	ace[1] = flags;
	le16_put(ace + 2, (uint16_t)n);
	le32_put(ace + 4, may);
	memcpy(ace + ACE_HEAD, sid, sid_length(sid));
	l->n += n;
	l->count++;
	return true;
}

static void acl_begin(struct acl *l)
{
	l->n = ACL_HEAD;
	l->count = 0;
}

/* A descriptor of the guest's heap; @owner, @group, @l: NULL: it has none. */
static uint8_t *descriptor_new(const uint8_t *owner, const uint8_t *group, struct acl *l,
			       uint16_t control, uint32_t *ret_n)
{
	uint32_t at = DESCRIPTOR_HEAD, n = at + (owner ? sid_length(owner) : 0) +
					   (group ? sid_length(group) : 0) + (l ? l->n : 0);
	uint8_t *d = heap_alloc(n, true);
	if (!d)
		return NULL;
	d[0] = 1;
	le16_put(d + 2, (uint16_t)(control | CONTROL_RELATIVE | (l ? CONTROL_DACL : 0)));
	if (owner) {
		le32_put(d + 4, at);
		memcpy(d + at, owner, sid_length(owner));
		at += sid_length(owner);
	}
	if (group) {
		le32_put(d + 8, at);
		memcpy(d + at, group, sid_length(group));
		at += sid_length(group);
	}
	if (l) {
		l->at[0] = 2;
		l->at[1] = 0;
		le16_put(l->at + 2, (uint16_t)l->n);
		le32_put(l->at + 4, l->count);
		le32_put(d + 16, at);
		memcpy(d + at, l->at, l->n);
	}
	*ret_n = n;
	return d;
}

/* ---- of files ---- */

static uint32_t may_of(unsigned bits, const struct stat *st)
{
	uint32_t may = bits & 4 ? MAY_READ : 0;
	if (bits & 2)
		may |= MAY_WRITE;
	if (bits & 2 && S_ISDIR(st->st_mode) && !(st->st_mode & S_ISVTX))
		may |= MAY_REMOVE_IN;
	return may | (bits & 1 ? MAY_RUN : 0);
}

static void sid_of_owner(uint8_t *sid, uint32_t kind, uint32_t id)
{
	if (kind == 1 && id == geteuid())
		memcpy(sid, win_user_sid, sizeof win_user_sid);
	else if (kind == 1 && !id)
		sid_make(sid, 5, (const uint32_t[]){32, 544}, 2); /* administrators */
	else
		sid_make(sid, 22, (const uint32_t[]){kind, id}, 2);
}

/* What @st says, as a descriptor of the parts @what. */
static uint8_t *descriptor_of(const struct stat *st, uint32_t what, uint32_t *ret_n)
{
	struct acl l;
	uint8_t owner[SID_LONGEST], group[SID_LONGEST];
	unsigned mode = st->st_mode, own = mode >> 6 & 7, of_group = mode >> 3 & 7;
	sid_of_owner(owner, 1, st->st_uid);
	sid_of_owner(group, 2, st->st_gid);
	acl_begin(&l);
	bool ok = ace_put(&l, ACE_ALLOW, 0, own & 2 ? MAY_ALL : may_of(own, st), owner);
	if (of_group & ~mode & 7)
		ok &= ace_put(&l, ACE_ALLOW, 0, may_of(of_group, st), group);
	if (mode & 7)
		ok &= ace_put(&l, ACE_ALLOW, 0, may_of(mode & 7, st), win_everyone_sid);
	return ok ? descriptor_new(what & WHAT_OWNER ? owner : NULL,
				   what & WHAT_GROUP ? group : NULL, what & WHAT_DACL ? &l : NULL,
				   0, ret_n)
		  : NULL;
}

static uint8_t *descriptor_part(uint8_t *d, unsigned at)
{
	uint32_t off = le32_at(d + at);
	return off ? d + off : NULL;
}

struct parts {
	uint8_t **owner, **group, **dacl, **sacl, **whole;
};

static uint32_t parts_give(const struct stat *st, uint32_t what, const struct parts *to)
{
	uint32_t n;
	if (what & ~(uint32_t)WHAT_MOST || !to->whole)
		return what & ~(uint32_t)WHAT_MOST ? ERROR_NOT_SUPPORTED : ERROR_INVALID_PARAMETER;
	uint8_t *d = descriptor_of(st, what, &n);
	if (!d)
		return ERROR_NOT_ENOUGH_MEMORY;
	*to->whole = d;
	if (to->owner)
		*to->owner = descriptor_part(d, 4);
	if (to->group)
		*to->group = descriptor_part(d, 8);
	if (to->dacl)
		*to->dacl = descriptor_part(d, 16);
	if (to->sacl)
		*to->sacl = NULL;
	return 0;
}

API(uint32_t, adv_GetSecurityInfo, handle h, uint32_t kind, uint32_t what, uint8_t **owner,
    uint8_t **group, uint8_t **dacl, uint8_t **sacl, uint8_t **whole)
{
	struct stat st;
	if (kind != KIND_OF_FILES)
		return ERROR_NOT_SUPPORTED;
	struct file *f = object_get(h, KIND_FILE);
	if (!f)
		return ERROR_INVALID_HANDLE;
	int r = fd_stat(f->fd, &st);
	object_unref(&f->o);
	return r < 0 ? ERROR_NOT_SUPPORTED
		     : parts_give(&st, what, &(struct parts){owner, group, dacl, sacl, whole});
}

static bool file_stat(const wide *path, struct stat *st)
{
	autofree char *p = text_from(path, SIZE_MAX);
	autofree char *host = p ? path_look(p, st) : NULL;
	return host && (!S_ISLNK(st->st_mode) || stat(host, st) == 0 || fail_errno());
}

API(uint32_t, adv_GetNamedSecurityInfoW, const wide *path, uint32_t kind, uint32_t what,
    uint8_t **owner, uint8_t **group, uint8_t **dacl, uint8_t **sacl, uint8_t **whole)
{
	struct stat st;
	if (kind != KIND_OF_FILES)
		return ERROR_NOT_SUPPORTED;
	return file_stat(path, &st)
		   ? parts_give(&st, what, &(struct parts){owner, group, dacl, sacl, whole})
		   : last_error();
}

API(uint32_t, adv_GetFileSecurityW, const wide *path, uint32_t what, void *out, uint32_t cap,
    uint32_t *ret_n)
{
	struct stat st;
	if (what & ~(uint32_t)WHAT_MOST)
		return fail(ERROR_NOT_SUPPORTED);
	if (!file_stat(path, &st))
		return 0;
	uint8_t *d = descriptor_of(&st, what, ret_n);
	if (!d)
		return fail(ERROR_NOT_ENOUGH_MEMORY);
	bool fits = out && *ret_n <= cap;
	if (fits)
		memcpy(out, d, *ret_n);
	heap_free(d);
	return fits ? 1 : fail(ERROR_INSUFFICIENT_BUFFER);
}

API(uint32_t, adv_GetAce, const uint8_t *acl, uint32_t index, const uint8_t **ret)
{
	uint32_t at = ACL_HEAD, n = le16_at(acl + 2), count = le16_at(acl + 4);
	for (uint32_t i = 0; i < index && index < count && at + 4 <= n; i++) {
		uint32_t len = le16_at(acl + at + 2);
		at = len ? at + len : n;
	}
	if (index >= count || at + 4 > n)
		return fail(ERROR_INVALID_PARAMETER);
	*ret = acl + at;
	return 1;
}

/* ---- to files ---- */

/* What @acl allows one for whom @is_for says yes: the first that tells of a right decides. */
static uint32_t acl_gives(const uint8_t *acl, bool (*is_for)(const uint8_t *sid))
{
	uint32_t allowed = 0, denied = 0;
	const uint8_t *ace;
	for (uint32_t i = 0; adv_GetAce(acl, i, &ace); i++) {
		uint32_t may = le32_at(ace + 4);
		if (ace[1] & ACE_INHERIT_ONLY || ace[0] > ACE_DENY || !is_for(ace + ACE_HEAD))
			continue;
		may |= may & 1u << 28 ? MAY_ALL : 0;
		may |= (may & 1u << 31 ? MAY_READ : 0) | (may & 1u << 30 ? MAY_WRITE : 0) |
		       (may & 1u << 29 ? MAY_RUN : 0);
		if (ace[0] == ACE_ALLOW)
			allowed |= may & ~denied;
		else
			denied |= may & ~allowed;
	}
	return allowed;
}

static bool is_for_everyone(const uint8_t *sid)
{
	static const uint8_t users[] = {1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 33, 2, 0, 0};
	static const uint8_t known[] = {1, 1, 0, 0, 0, 0, 0, 5, 11, 0, 0, 0};
	return sid_is(sid, win_everyone_sid) || sid_is(sid, users) || sid_is(sid, known);
}

static bool is_for_owner(const uint8_t *sid)
{
	static const uint8_t rights[] = {1, 1, 0, 0, 0, 0, 0, 3, 4, 0, 0, 0};
	return sid_is(sid, win_user_sid) || sid_is(sid, rights) || is_for_everyone(sid);
}

/* A file that nobody may run does not become one that some may. */
static unsigned mode_of(uint32_t may, const struct stat *st)
{
	bool runs = S_ISDIR(st->st_mode) || st->st_mode & 0111;
	return (may & 1 ? 4u : 0) | (may & 2 ? 2u : 0) | (runs && may & 0x20 ? 1u : 0);
}

/* Within a descriptor, of either form: its part @which (0 owner, 1 group, 2 SACL, 3 DACL). */
static const uint8_t *descriptor_find(const uint8_t *d, unsigned which)
{
	if (!(le16_at(d + 2) & CONTROL_RELATIVE))
		return (const uint8_t *)(uintptr_t)le64_at(d + 8 + 8 * (size_t)which);
	uint32_t off = le32_at(d + 4 + 4 * (size_t)which);
	return off ? d + off : NULL;
}

API(uint32_t, adv_SetFileSecurityW, const wide *path, uint32_t what, const uint8_t *d)
{
	struct stat st;
	autofree char *p = text_from(path, SIZE_MAX);
	autofree char *host = p ? path_look(p, &st) : NULL;
	if (!host)
		return 0;
	if (S_ISLNK(st.st_mode) && stat(host, &st) < 0)
		return fail_errno();
	const uint8_t *owner = descriptor_find(d, 0), *acl = descriptor_find(d, 3);
	if (what & WHAT_OWNER && (!owner || !sid_is(owner, win_user_sid)))
		return fail(ERROR_INVALID_OWNER);
	if (!(what & WHAT_DACL))
		return 1;
	uint32_t own = acl ? acl_gives(acl, is_for_owner) : MAY_ALL;
	uint32_t others = acl ? acl_gives(acl, is_for_everyone) : MAY_ALL;
	unsigned rest = mode_of(others, &st);
	mode_t mode = (st.st_mode & 07000) | mode_of(own, &st) << 6 | rest << 3 | rest;
	return chmod(host, mode) < 0 ? fail_errno() : 1;
}

/* ---- as text ---- */

static const struct {
	char name[3];
	uint8_t authority, n;
	uint32_t parts[2];
} sid_names[] = {
    {"AU", 5, 1, {11}}, {"BA", 5, 2, {32, 544}}, {"BU", 5, 2, {32, 545}}, {"CG", 3, 1, {1}},
    {"CO", 3, 1, {0}},  {"LS", 5, 1, {19}},      {"NS", 5, 1, {20}},      {"OW", 3, 1, {4}},
    {"SY", 5, 1, {18}}, {"WD", 1, 1, {0}},
};
static const struct {
	char name[3];
	uint32_t bits;
} rights[] = {{"FA", MAY_ALL},  {"FR", MAY_READ}, {"FW", MAY_WRITE}, {"FX", MAY_RUN},
	      {"GA", 1u << 28}, {"GR", 1u << 31}, {"GW", 1u << 30},  {"GX", 1u << 29},
	      {"RC", 0x20000},  {"SD", 0x10000},  {"WD", 0x40000},   {"WO", 0x80000}},
  inherits[] = {{"CI", 2}, {"ID", 16}, {"IO", 8}, {"NP", 4}, {"OI", 1}};

static bool sid_read(const char **p, uint8_t *sid)
{
	uint32_t parts[15];
	uint8_t n = 0;
	for (size_t i = 0; i < countof(sid_names); i++)
		if (!strncmp(*p, sid_names[i].name, 2)) {
			sid_make(sid, sid_names[i].authority, sid_names[i].parts, sid_names[i].n);
			*p += 2;
			return true;
		}
	if (strncmp(*p, "S-1-", 4))
		return false;
	char *end;
	unsigned long authority = strtoul(*p + 4, &end, 10);
	while (*end == '-' && n < countof(parts))
		parts[n++] = (uint32_t)strtoul(end + 1, &end, 10);
	sid_make(sid, (uint8_t)authority, parts, n);
	*p = end;
	return authority < 256 && n;
}

/* Names of two letters up to a semicolon, or a number. */
static bool bits_read(const char **p, bool of_rights, uint32_t *ret)
{
	*ret = 0;
	if (of_rights && **p == '0') {
		char *end;
		*ret = (uint32_t)strtoul(*p, &end, 0);
		*p = end;
	}
	while (**p != ';') {
		size_t i = 0, n = of_rights ? countof(rights) : countof(inherits);
		while (i < n && strncmp(*p, of_rights ? rights[i].name : inherits[i].name, 2))
			i++;
		if (i == n)
			return false;
		*ret |= of_rights ? rights[i].bits : inherits[i].bits;
		*p += 2;
	}
	++*p;
	return true;
}

/* D:P(A;OICI;FA;;;S-1-...)(...) behind the colon. */
static bool acl_read(const char **p, struct acl *l, uint16_t *control)
{
	acl_begin(l);
	for (; **p && **p != '('; ++*p)
		if (**p == 'P')
			*control |= CONTROL_PROTECTED;
		else if (!strchr("AIR", **p))
			return false;
	while (**p == '(') {
		uint8_t sid[SID_LONGEST];
		uint32_t flags, may;
		uint8_t type = (*p)[1] == 'D' ? ACE_DENY : ACE_ALLOW;
		if (!strchr("AD", (*p)[1]) || (*p)[2] != ';')
			return false;
		*p += 3;
		if (!bits_read(p, false, &flags) || !bits_read(p, true, &may) || **p != ';' ||
		    (*p)[1] != ';')
			return false;
		*p += 2;
		if (!sid_read(p, sid) || *(*p)++ != ')' ||
		    !ace_put(l, type, (uint8_t)flags, may, sid))
			return false;
	}
	return true;
}

API(uint32_t, adv_ConvertStringSecurityDescriptorToSecurityDescriptorW, const wide *text,
    uint32_t revision, uint8_t **ret, uint32_t *ret_n)
{
	autofree char *narrow = text_from(text, SIZE_MAX);
	uint8_t owner[SID_LONGEST], group[SID_LONGEST];
	struct acl l = {.n = 0};
	uint16_t control = 0;
	uint32_t n;
	bool ok = narrow && revision == 1 && ret;
	owner[1] = group[1] = 0;
	for (const char *p = narrow; ok && *p;) {
		char part = *p;
		ok = p[1] == ':';
		p += 2;
		if (ok && (part == 'O' || part == 'G'))
			ok = sid_read(&p, part == 'O' ? owner : group);
		else
			ok = ok && part == 'D' && acl_read(&p, &l, &control);
	}
	if (!ok)
		return fail(ERROR_INVALID_PARAMETER);
	*ret = descriptor_new(owner[1] ? owner : NULL, group[1] ? group : NULL, l.n ? &l : NULL,
			      control, &n);
	if (*ret && ret_n)
		*ret_n = n;
	return *ret ? 1 : fail(ERROR_NOT_ENOUGH_MEMORY);
}
