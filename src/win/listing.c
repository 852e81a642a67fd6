/* SPDX-License-Identifier: Apache-2.0 */
/* The entries of a folder that is open, as many at a time as there is room for: by the classes of
 * NtQueryDirectoryFile, which GetFileInformationByHandleEx has, too. */
#include "win/listing.h"
#include <dirent.h>
#include <fcntl.h>

struct folder_list {
	DIR *d;
	char *pattern; /* owned; NULL: all */
	bool any;      /* one has been given, or there is none */
};

void folder_list_free(struct folder_list *l)
{
	if (!l)
		return;
	if (l->d)
		closedir(l->d);
	free(l->pattern);
	free(l);
}

/* The pattern of the first call counts, until there is another. */
static bool list_open(struct file *f, bool again, const char *pattern)
{
	struct folder_list *l = f->list;
	if (!l) {
		l = calloc(1, sizeof *l);
		if (!l || !f->path || !(l->d = opendir(f->path))) {
			folder_list_free(l);
			return false;
		}
		f->list = l;
		again = true;
	}
	if (!again)
		return true;
	rewinddir(l->d);
	if (pattern || !l->any) {
		free(l->pattern);
		l->pattern = pattern ? strdup(pattern) : NULL;
	}
	return true;
}

/* ---- one entry ---- */

static const struct {
	uint32_t class, name_at, id_at; /* 0: it has none */
} layouts[] = {{LIST_DIRECTORY, 64, 0}, {LIST_FULL, 68, 0},      {LIST_BOTH, 94, 0},
	       {LIST_NAMES, 12, 0},     {LIST_ID_BOTH, 104, 96}, {LIST_ID_FULL, 80, 72}};

static int layout_find(uint32_t class)
{
	for (size_t i = 0; i < countof(layouts); i++)
		if (layouts[i].class == class)
			return (int)i;
	return -1;
}

/* Returns its size; 0: it does not fit. */
static size_t entry_put(uint8_t *o, size_t room, const struct stat *st, const char *name,
			int layout)
{
	size_t name_at = layouts[layout].name_at, id_at = layouts[layout].id_at;
	size_t units = utf16_put(name, strlen(name), NULL, 0, NULL), len = name_at + 2 * units;
	if (len > room)
		return 0;
	memset(o, 0, len);
	utf16_put(name, strlen(name), (wide *)(void *)(o + name_at), units, NULL);
	if (layouts[layout].class == LIST_NAMES) {
		le32_put(o + 8, (uint32_t)(2 * units));
		return len;
	}
	le64_put(o + 8, filetime_ts(&st->st_mtim));
	le64_put(o + 16, filetime_ts(&st->st_atim));
	le64_put(o + 24, filetime_ts(&st->st_mtim));
	le64_put(o + 32, filetime_ts(&st->st_ctim));
	le64_put(o + 40, S_ISDIR(st->st_mode) ? 0 : (uint64_t)st->st_size);
	le64_put(o + 48, (uint64_t)st->st_blocks * 512);
	le32_put(o + 56, file_attributes(st));
	le32_put(o + 60, (uint32_t)(2 * units));
	if (S_ISLNK(st->st_mode) && name_at > 64)
		le32_put(o + 64, 0xa000000c); /* IO_REPARSE_TAG_SYMLINK, where EaSize is */
	if (id_at)
		le64_put(o + id_at, st->st_ino);
	return len;
}

/* ---- as many as there is room for ---- */

/* Bytes given; 0: none are left; -ENOSPC: not even one fits. */
static int64_t entries_put(struct folder_list *l, uint8_t *out, uint32_t n, int layout, bool one)
{
	size_t at = 0, last = SIZE_MAX, end = 0;
	while (!one || last == SIZE_MAX) {
		long here = telldir(l->d);
		const struct dirent *e = readdir(l->d);
		struct stat st;
		if (!e)
			break;
		if ((l->pattern && !name_matches(l->pattern, e->d_name)) ||
		    fstatat(dirfd(l->d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue; /* not asked for, or gone since */
		size_t len = at < n ? entry_put(out + at, n - at, &st, e->d_name, layout) : 0;
		if (!len) {
			seekdir(l->d, here);
			return last == SIZE_MAX ? -ENOSPC : (int64_t)end;
		}
		if (last != SIZE_MAX)
			le32_put(out + last, (uint32_t)(at - last));
		last = at;
		end = at + len;
		at = align_up(end, 8);
	}
	return (int64_t)end;
}

uint32_t entries_give(struct file *f, uint8_t *out, uint32_t n, bool again, uint32_t class)
{
	if (!f->folder || !list_open(f, again, NULL))
		return fail(ERROR_INVALID_PARAMETER);
	int64_t r = entries_put(f->list, out, n, layout_find(class), false);
	return r > 0 ? 1 : fail(r < 0 ? ERROR_INSUFFICIENT_BUFFER : ERROR_NO_MORE_FILES);
}

struct io_status {
	uint64_t status, n;
};
struct unicode {
	uint16_t len, cap, pad[2];
	const wide *at;
};

API(uint32_t, nt_NtQueryDirectoryFile, handle h, handle event, uint64_t fn, uint64_t arg,
    struct io_status *io, void *out, uint32_t n, uint32_t class, uint8_t one,
    const struct unicode *pattern, uint8_t again)
{
	int layout = layout_find(class);
	(void)event;
	(void)fn;
	(void)arg;
	if (layout < 0)
		return STATUS_INVALID_INFO_CLASS;
	if (n < layouts[layout].name_at)
		return STATUS_INFO_LENGTH_MISMATCH;
	struct file *f = object_get(h, KIND_FILE);
	if (!f)
		return STATUS_INVALID_HANDLE;
	size_t units = pattern ? pattern->len / 2 : 0;
	autofree char *p = units ? text_from(pattern->at, units) : NULL;
	uint32_t status = STATUS_SUCCESS;
	int64_t r = -EINVAL;
	if (!f->folder || !list_open(f, again, p))
		status = STATUS_INVALID_PARAMETER;
	else
		r = entries_put(f->list, out, n, layout, one);
	if (r == 0) /* nothing at all is another error than nothing more */
		status = f->list->any ? STATUS_NO_MORE_FILES : STATUS_NO_SUCH_FILE;
	else if (r == -ENOSPC)
		status = STATUS_BUFFER_OVERFLOW;
	if (f->list)
		f->list->any = true;
	*io = (struct io_status){status, r > 0 ? (uint64_t)r : 0};
	object_unref(&f->o);
	return status;
}
