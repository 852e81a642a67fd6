/* SPDX-License-Identifier: Apache-2.0 */
/* Paths as text, without a look at any drive: the functions of pathcch.h. */
#include "win/internal.h"
#include <ctype.h>

enum { LONG = 1, FORCE_ON = 2, FORCE_OFF = 4, EXTENDED = 0x10, PLAIN_MOST = 260, MOST = 0x8000 };
enum {
	DONE = 0,
	NOTHING_DONE = 1,
	INVALID = (int32_t)0x80070057,
	NO_MEMORY = (int32_t)0x8007000e,
	NAME_TOO_LONG = (int32_t)0x800700ce,
	TOO_LITTLE_ROOM = (int32_t)0x8007007a
};

static bool is_drive(const wide *s)
{
	wide c = wide_upper(s[0]);
	return c >= 'A' && c <= 'Z' && s[1] == ':';
}

/* @s begins with @prefix, whatever the case. */
static bool begins(const wide *s, const char *prefix)
{
	for (; *prefix; s++, prefix++)
		if (wide_upper(*s) != (wide)*prefix)
			return false;
	return true;
}

static const wide *part_end(const wide *s)
{
	while (*s && *s != '\\')
		s++;
	return s;
}

/* How many units the root of @s has, with the backslash that ends it: C:\, \, \\, \\?\C:\,
 * \\?\UNC\, \\?\Volume{...}\. 0: it has none. */
static size_t root_len(const wide *s)
{
	const wide *e;
	if (begins(s, "\\\\?\\UNC\\"))
		return 8;
	if (begins(s, "\\\\?\\VOLUME{"))
		return e = part_end(s + 4), (size_t)(e - s) + (*e == '\\');
	if (begins(s, "\\\\?\\") && is_drive(s + 4))
		return 6 + (s[6] == '\\');
	if (begins(s, "\\\\"))
		return 2;
	return is_drive(s) ? 2 + (s[2] == '\\') : *s == '\\';
}

/* The same with server and share, which belong to it for who says \a. */
static size_t volume_len(const wide *s)
{
	size_t n = root_len(s);
	if (!begins(s, "\\\\") || (n != 2 && n != 8))
		return n;
	const wide *e = part_end(s + n);
	e = *e ? part_end(e + 1) : e;
	return (size_t)(e - s);
}

/* Without \\?\ where a drive or a server can be said without it. */
static void prefix_strip(wide *s)
{
	size_t from = 0, to = 0;
	if (begins(s, "\\\\?\\UNC\\"))
		from = 8, to = 2;
	else if (begins(s, "\\\\?\\") && is_drive(s + 4))
		from = 4;
	if (from)
		memmove(s + to, s + from, 2 * (wide_len(s + from) + 1));
}

/* What . and .. at the end of @out, of *n units, take away: the backslash before them, where it is
 * not the root's, and with .. the part before that, and its backslash. False: nothing. */
static bool part_drop(const wide *out, size_t *n, size_t root, bool dots)
{
	if (*n <= root)
		return false;
	--*n;
	for (; dots && *n && out[*n - 1] != '\\'; --*n)
		;
	*n -= dots && *n;
	return true;
}

/* @in without . and ..; @out has room for 6 units more. Returns its length. */
static size_t canonical_put(const wide *in, wide *out)
{
	size_t n = root_len(in), root;
	memcpy(out, in, 2 * n);
	out[n] = 0;
	in += n;
	prefix_strip(out);
	root = n = wide_len(out);
	while (*in) {
		const wide *e = part_end(in);
		size_t len = (size_t)(e - in);
		bool dots = len == 2 && in[0] == '.' && in[1] == '.';
		if (!len || !(dots || (len == 1 && *in == '.'))) {
			len += !len; /* a backslash */
			memcpy(out + n, in, 2 * len);
			n += len;
			in += len;
			continue;
		}
		in = part_drop(out, &n, root, dots) || !*e ? e : e + 1;
		if (n == 2 && is_drive(out)) { /* no more than that may go */
			out[n++] = '\\';
			in += *in == '\\';
		}
	}
	while (n > root && out[n - 1] == '.' && (n < 2 || out[n - 2] != '*'))
		n--;
	if (!n)
		out[n++] = '\\';
	out[n] = 0;
	return n;
}

/* The prefix \\?\ before @out, a path of @n units with a drive. */
static void prefix_add(wide *out, size_t n)
{
	static const wide prefix[] = {'\\', '\\', '?', '\\'};
	if (!is_drive(out))
		return;
	memmove(out + countof(prefix), out, 2 * (n + 1));
	memcpy(out, prefix, sizeof prefix);
}

API(int32_t, k32_PathAllocCanonicalize, const wide *in, uint32_t flags, wide **ret)
{
	uint32_t forced = flags & (FORCE_ON | FORCE_OFF);
	if (ret)
		*ret = NULL;
	if (!in || !ret || forced == (FORCE_ON | FORCE_OFF) || (forced && !(flags & LONG)) ||
	    (flags & LONG && flags & EXTENDED))
		return INVALID;
	size_t len = wide_len(in);
	if (len >= MOST || (len >= PLAIN_MOST && !(flags & (LONG | EXTENDED))))
		return NAME_TOO_LONG;
	wide *out = heap_alloc(2 * (len + 8), true);
	if (!out)
		return NO_MEMORY;
	size_t n = canonical_put(in, out);
	if (flags & EXTENDED || (flags & LONG && n >= PLAIN_MOST))
		prefix_add(out, n);
	*ret = out;
	return DONE;
}

/* @a and @b with a backslash between them. */
static wide *join(const wide *a, const wide *b)
{
	size_t n = wide_len(a), m = wide_len(b);
	wide *out = malloc(2 * (n + m + 2));
	if (!out)
		return NULL;
	memcpy(out, a, 2 * n);
	if (*b == '\\') { /* of the root of @a */
		n = volume_len(a);
		b++, m--;
	}
	if (n && m && out[n - 1] != '\\')
		out[n++] = '\\';
	memcpy(out + n, b, 2 * (m + 1));
	return out;
}

API(int32_t, k32_PathAllocCombine, const wide *a, const wide *b, uint32_t flags, wide **ret)
{
	if (ret)
		*ret = NULL;
	if ((!a && !b) || !ret)
		return INVALID;
	if (!a || !b || is_drive(b) || begins(b, "\\\\"))
		return k32_PathAllocCanonicalize(b ? b : a, flags, ret);
	autofree wide *whole = join(a, b);
	return whole ? k32_PathAllocCanonicalize(whole, flags, ret) : NO_MEMORY;
}

/* What was made (@r, @made) becomes the caller's, if there is room. */
static int32_t made_give(int32_t r, wide *made, wide *out, uint64_t cap)
{
	size_t n = r == DONE ? wide_len(made) : 0;
	if (cap)
		out[0] = 0;
	if (r == DONE && n >= cap)
		r = n >= PLAIN_MOST && cap <= PLAIN_MOST ? NAME_TOO_LONG : TOO_LITTLE_ROOM;
	else if (r == DONE)
		memcpy(out, made, 2 * (n + 1));
	heap_free(made);
	return r;
}

API(int32_t, k32_PathCchCanonicalizeEx, wide *out, uint64_t cap, const wide *in, uint32_t flags)
{
	wide *made = NULL;
	if (!out || !cap)
		return INVALID;
	int32_t r = k32_PathAllocCanonicalize(in, flags, &made);
	return made_give(r, made, out, cap);
}

API(int32_t, k32_PathCchCombineEx, wide *out, uint64_t cap, const wide *a, const wide *b,
    uint32_t flags)
{
	wide *made = NULL;
	if (!out || !cap || cap > MOST)
		return INVALID;
	int32_t r = k32_PathAllocCombine(a, b, flags, &made);
	return made_give(r, made, out, cap);
}

API(int32_t, k32_PathCchCombine, wide *out, uint64_t cap, const wide *a, const wide *b)
{
	return k32_PathCchCombineEx(out, cap, a, b, 0);
}

/* Cut off the last name, and the backslashes before it that are not the root's. */
API(int32_t, k32_PathCchRemoveFileSpec, wide *path, uint64_t cap)
{
	if (!path || !cap || cap > MOST)
		return INVALID;
	size_t root = volume_len(path), n = wide_len(path), was = n;
	if (n >= cap)
		return INVALID;
	while (n > root && path[n - 1] != '\\')
		n--;
	while (n > root && path[n - 1] == '\\')
		n--;
	path[n] = 0;
	return n == was ? NOTHING_DONE : DONE;
}

/* ---- URLs (shlwapi.h) ---- */

/* Letters, digits, + - . and a colon, at least two before it: C: is a drive. */
static size_t scheme_len(const wide *s)
{
	size_t n = 0;
	while ((s[n] < 128 && isalnum(s[n])) || s[n] == '+' || s[n] == '-' || s[n] == '.')
		n++;
	return s[n] == ':' && n > 1 ? n : 0;
}

enum { IS_URL = 0, IS_OPAQUE, IS_NO_HISTORY, IS_FILE, IS_APPLIABLE, IS_DIRECTORY, HAS_QUERY };

API(uint32_t, ole_UrlIsW, const wide *url, int32_t what)
{
	static const char *const opaque[] = {
	    "MAILTO:", "SHELL:", "JAVASCRIPT:", "VBSCRIPT:", "ABOUT:"};
	size_t n = wide_len(url);
	bool is = false;
	switch (what) {
	case IS_URL: return scheme_len(url) != 0;
	case IS_FILE: return begins(url, "FILE:");
	case IS_DIRECTORY: return n && (url[n - 1] == '/' || url[n - 1] == '\\');
	case IS_OPAQUE:
		for (size_t i = 0; i < countof(opaque); i++)
			is = is || begins(url, opaque[i]);
		return is;
	default: return 0;
	}
}

static int digit(wide c)
{
	c = wide_upper(c);
	return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* file:///C:/a%20b is C:\a b; file://server/share is \\server\share. */
API(int32_t, ole_PathCreateFromUrlW, const wide *url, wide *out, uint32_t *n, uint32_t flags)
{
	(void)flags;
	if (!url || !out || !n || !*n || !begins(url, "FILE:"))
		return INVALID;
	const wide *s = url + 5;
	size_t slashes = 0, len = 0;
	while (s[slashes] == '/' || s[slashes] == '\\')
		slashes++;
	if (slashes > 0 && is_drive(s + slashes))
		s += slashes;
	else if (slashes > 2)
		s += 2;
	autofree wide *path = malloc(2 * (wide_len(s) + 1));
	if (!path)
		return NO_MEMORY;
	for (; *s; s++)
		if (*s == '%' && digit(s[1]) >= 0 && digit(s[2]) >= 0) {
			path[len++] = (wide)(digit(s[1]) * 16 + digit(s[2]));
			s += 2;
		} else {
			path[len++] = *s == '/' ? '\\' : *s;
		}
	path[len] = 0;
	bool fits = len < *n;
	if (fits)
		memcpy(out, path, 2 * (len + 1));
	*n = (uint32_t)len + !fits;
	return fits ? DONE : (int32_t)0x80004003; /* E_POINTER */
}
