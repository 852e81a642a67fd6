/* SPDX-License-Identifier: Apache-2.0 */
/* DeviceIoControl, of files: what a symbolic link of the host is as a reparse point, and junctions,
 * which become links. */
#include "win/listing.h"
#include <limits.h>

enum { GET_REPARSE = 0x900a8, SET_REPARSE = 0x900a4, TAG_JUNCTION = 0xa0000003u };
enum { LINK_NAMES = 20, JUNCTION_NAMES = 16, LINK_RELATIVE = 1 };
static const uint32_t TAG_LINK = 0xa000000c;

/* Where the link @host leads, as the guest has it; *ret_relative. NULL: nowhere. */
static char *link_target(const char *host, bool *ret_relative)
{
	char to[PATH_MAX];
	ssize_t n = readlink(host, to, sizeof to - 1);
	if (n < 0)
		return NULL;
	to[n] = 0;
	*ret_relative = to[0] != '/';
	char *g = *ret_relative ? strdup(to) : path_guest(to);
	for (char *p = g; p && *p; p++)
		if (*p == '/')
			*p = '\\';
	return g;
}

/* REPARSE_DATA_BUFFER of a symbolic link: bytes; 0: last error set. */
static uint32_t link_give(const struct file *f, uint8_t *out, uint32_t cap)
{
	bool relative = false;
	autofree char *to = f->path ? link_target(f->path, &relative) : NULL;
	autofree wide *w = to ? text_wide(to, SIZE_MAX) : NULL;
	if (!w)
		return fail(ERROR_NOT_A_REPARSE_POINT);
	static const wide nt[] = {'\\', '?', '?', '\\'};
	uint32_t print = (uint32_t)(2 * wide_len(w)), before = relative ? 0 : sizeof nt;
	uint32_t need = LINK_NAMES + before + 2 * print;
	if (cap < need)
		return fail(ERROR_INSUFFICIENT_BUFFER);
	le32_put(out, TAG_LINK);
	le16_put(out + 4, (uint16_t)(need - 8));
	le16_put(out + 6, 0);
	le16_put(out + 8, 0); /* the name to follow, then the one to show */
	le16_put(out + 10, (uint16_t)(before + print));
	le16_put(out + 12, (uint16_t)(before + print));
	le16_put(out + 14, (uint16_t)print);
	le32_put(out + 16, relative ? LINK_RELATIVE : 0);
	memcpy(out + LINK_NAMES, nt, before);
	memcpy(out + LINK_NAMES + before, w, print);
	memcpy(out + LINK_NAMES + before + print, w, print);
	return need;
}

/* An empty folder becomes a link to where the junction @in leads. */
static uint32_t junction_make(struct file *f, const uint8_t *in, uint32_t n)
{
	if (n < JUNCTION_NAMES || le32_at(in) != TAG_JUNCTION || !f->folder || !f->path)
		return fail(ERROR_INVALID_PARAMETER);
	uint32_t off = le16_at(in + 8), len = le16_at(in + 10);
	if (JUNCTION_NAMES + off + len > n)
		return fail(ERROR_INVALID_DATA);
	autofree wide *w = malloc(len + 2);
	if (!w)
		return fail(ERROR_NOT_ENOUGH_MEMORY);
	memcpy(w, in + JUNCTION_NAMES + off, len);
	autofree char *name = text_from(w, len / 2);
	const char *to = name && !strncmp(name, "\\??\\", 4) ? name + 4 : name;
	autofree char *host = to ? path_linux(to) : NULL;
	if (!host)
		return fail(ERROR_INVALID_DATA);
	if (rmdir(f->path) < 0 || symlink(host, f->path) < 0)
		return fail_errno();
	return 1;
}

API(uint32_t, k32_DeviceIoControl, handle h, uint32_t what, const void *in, uint32_t n_in,
    void *out, uint32_t n_out, uint32_t *ret_n, struct overlapped *o)
{
	struct stat st;
	struct file *f = object_get(h, KIND_FILE);
	uint32_t got = 0, ok = 0;
	if (ret_n)
		*ret_n = 0;
	if (!f)
		return 0;
	if (what == GET_REPARSE && fstat(f->fd, &st) == 0 && S_ISLNK(st.st_mode))
		ok = got = link_give(f, out, n_out);
	else if (what == GET_REPARSE)
		(void)fail(ERROR_NOT_A_REPARSE_POINT);
	else if (what == SET_REPARSE)
		ok = junction_make(f, in, n_in);
	else
		(void)fail(ERROR_INVALID_FUNCTION);
	if (ret_n)
		*ret_n = got;
	if (o && ok)
		overlapped_end(f, o, STATUS_SUCCESS, got, true);
	object_unref(&f->o);
	return ok != 0;
}
