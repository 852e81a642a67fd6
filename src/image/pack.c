/* SPDX-License-Identifier: Apache-2.0 */
/* Files into a tar (the pax format of POSIX). Whoever has the files may change them while they are
 * read: each is opened once, without following it, and then only its descriptor is asked. */
#include "image/layer.h"
#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>

enum { CHUNK = 1 << 17, EXTENTS = 4096, NAMES = 4096, VALUE = 65536, HOLE = 1 << 30 };

struct extent {
	off_t at, len;
};

struct pack {
	const struct files_pack *p;
	struct archive *tar;         /* owned */
	const void *hole;            /* owned: HOLE bytes of nothing, which need no memory */
	uint8_t *buf;                /* owned: CHUNK */
	struct extent *extents;      /* owned: of the file at hand */
	size_t nextents;
	char path[PLACE_PATH];       /* of the entry */
	unsigned depth;
};

static int pack_failed(struct pack *k, struct lodge_err *e)
{
	int code = archive_errno(k->tar);
	return err_set(e, code > 0 ? code : EIO, "writing the tar: %s",
		       archive_error_string(k->tar));
}

/* ---- one file ---- */

/* Where it has data. A file of holes alone has its first byte, for the tar's sake. */
static void extents_find(struct pack *k, int fd, off_t size)
{
	off_t at = 0;
	k->nextents = 0;
	while (at < size && k->nextents < EXTENTS - 1) {
		off_t data = lseek(fd, at, SEEK_DATA), end;
		if (data < 0 && errno == ENXIO)
			break;
		end = data < 0 ? size : lseek(fd, data, SEEK_HOLE);
		data = data < 0 ? at : data;
		end = end <= data || end > size ? size : end;
		if (data < size)
			k->extents[k->nextents++] = (struct extent){data, end - data};
		at = end;
	}
	if (at < size && k->nextents == EXTENTS - 1)
		k->extents[k->nextents++] = (struct extent){at, size - at};
	if (!k->nextents && size)
		k->extents[k->nextents++] = (struct extent){0, 1};
}

static int hole_write(struct pack *k, off_t len, struct lodge_err *e)
{
	while (len > 0) {
		la_ssize_t n = archive_write_data(k->tar, k->hole, len < HOLE ? (size_t)len : HOLE);
		if (n <= 0)
			return pack_failed(k, e);
		len -= n;
	}
	return 0;
}

/* What it has lost since it was looked at is zeros. */
static int extent_write(struct pack *k, int fd, struct extent x, struct lodge_err *e)
{
	while (x.len > 0) {
		ssize_t n = pread(fd, k->buf, x.len < CHUNK ? (size_t)x.len : CHUNK, x.at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "reading %s", k->path);
		if (n == 0)
			return hole_write(k, x.len, e);
		for (ssize_t done = 0; done < n;) {
			la_ssize_t w =
			    archive_write_data(k->tar, k->buf + done, (size_t)(n - done));
			if (w <= 0)
				return pack_failed(k, e);
			done += w;
		}
		x.at += n;
		x.len -= n;
	}
	return 0;
}

static int data_write(struct pack *k, int fd, off_t size, struct lodge_err *e)
{
	off_t at = 0;
	int r = 0;
	for (size_t i = 0; r == 0 && i < k->nextents; i++) {
		r = hole_write(k, k->extents[i].at - at, e);
		if (r == 0)
			r = extent_write(k, fd, k->extents[i], e);
		at = k->extents[i].at + k->extents[i].len;
	}
	return r == 0 ? hole_write(k, size - at, e) : r;
}

static int header_write(struct pack *k, struct archive_entry *n, struct lodge_err *e)
{
	int r = archive_write_header(k->tar, n);
	return r == ARCHIVE_OK || r == ARCHIVE_WARN ? 0 : pack_failed(k, e);
}

static int file_write(struct pack *k, struct archive_entry *n, int node, struct lodge_err *e)
{
	char path[64];
	struct stat st;
	snprintf(path, sizeof path, "/proc/self/fd/%d", node);
	autoclose int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, "reading %s", k->path);
	archive_entry_set_size(n, st.st_size);
	extents_find(k, fd, st.st_size);
	bool whole = k->nextents == 1 && k->extents[0].len == st.st_size;
	for (size_t i = 0; !whole && i < k->nextents; i++)
		archive_entry_sparse_add_entry(n, k->extents[i].at, k->extents[i].len);
	int r = header_write(k, n, e);
	if (r == 0)
		r = data_write(k, fd, st.st_size, e);
	return r == 0 && archive_write_finish_entry(k->tar) != ARCHIVE_OK ? pack_failed(k, e) : r;
}

/* ---- entries ---- */

static void xattrs_add(struct pack *k, struct archive_entry *n, int node)
{
	char path[64], list[NAMES];
	snprintf(path, sizeof path, "/proc/self/fd/%d", node);
	ssize_t len = listxattr(path, list, sizeof list);
	for (const char *p = list; len > 0 && p < list + len; p += strlen(p) + 1) {
		bool ours = !strncmp(p, "user.", 5) && strncmp(p, "user.overlay.", 13);
		if (!ours && !(k->p->all && !strcmp(p, "security.capability")))
			continue;
		ssize_t size = getxattr(path, p, k->buf, VALUE);
		if (size >= 0)
			archive_entry_xattr_add_entry(n, p, k->buf, (size_t)size);
	}
}

static int node_write(struct pack *k, int node, struct lodge_err *e);

/* What is in the folder, which k->path names; "": nothing does. */
static int folder_write(struct pack *k, int node, struct lodge_err *e)
{
	size_t len = strlen(k->path);
	int r = 0, copy = openat(node, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	if (!d) {
		r = err_sys(e, "reading %s", k->path);
		auto_close(&copy);
		return r;
	}
	if (++k->depth > PLACE_DEPTH)
		r = err_set(e, ENAMETOOLONG, "%.100s...: too many folders in folders", k->path);
	for (struct dirent *de; r == 0 && (de = readdir(d));) {
		if (!strcmp(de->d_name, ".") || !strcmp(de->d_name, ".."))
			continue;
		autoclose int fd = openat(copy, de->d_name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 && errno == ENOENT)
			continue; /* removed since */
		int n = snprintf(k->path + len, sizeof k->path - len, "%s%s", len ? "/" : "",
				 de->d_name);
		if (fd < 0)
			r = err_sys(e, "reading %s", k->path);
		else if (n >= (int)(sizeof k->path - len))
			r = err_set(e, ENAMETOOLONG, "%.100s...: a name that is too long", k->path);
		else
			r = node_write(k, fd, e);
		k->path[len] = 0;
	}
	closedir(d);
	k->depth--;
	return r;
}

static int entry_write(struct pack *k, struct archive_entry *n, int node, const struct stat *st,
		       struct lodge_err *e)
{
	char link[PLACE_PATH];
	archive_entry_set_pathname(n, *k->path ? k->path : ".");
	archive_entry_set_filetype(n, st->st_mode & S_IFMT);
	archive_entry_set_perm(n, st->st_mode & 07777);
	archive_entry_set_uid(n, st->st_uid);
	archive_entry_set_gid(n, st->st_gid);
	archive_entry_set_mtime(n, st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
	archive_entry_set_size(n, 0);
	if (S_ISLNK(st->st_mode)) {
		ssize_t len = readlinkat(node, "", link, sizeof link - 1);
		if (len < 0)
			return err_sys(e, "reading %s", k->path);
		link[len] = 0;
		archive_entry_set_symlink(n, link);
		return header_write(k, n, e);
	}
	xattrs_add(k, n, node);
	if (S_ISREG(st->st_mode))
		return file_write(k, n, node, e);
	if (!S_ISDIR(st->st_mode))
		archive_entry_set_rdev(n, st->st_rdev);
	return header_write(k, n, e);
}

static int node_write(struct pack *k, int node, struct lodge_err *e)
{
	struct stat st;
	if (fstat(node, &st) < 0)
		return err_sys(e, "reading %s", k->path);
	if (S_ISSOCK(st.st_mode))
		return 0;
	struct archive_entry *n = archive_entry_new();
	int r = n ? entry_write(k, n, node, &st, e) : err_set(e, ENOMEM, "out of memory");
	archive_entry_free(n);
	return r == 0 && S_ISDIR(st.st_mode) ? folder_write(k, node, e) : r;
}

/* ---- the whole ---- */

/* The last name of the path; "": it is what is in a folder that is asked for. */
static void name_of(const char *path, char ret[NAME_MAX + 1])
{
	size_t end = strlen(path), from;
	while (end && path[end - 1] == '/')
		end--;
	for (from = end; from && path[from - 1] != '/'; from--)
		continue;
	size_t len = end - from;
	bool none = (len == 1 && path[from] == '.') ||
		    (len == 2 && !strncmp(path + from, "..", 2)) || len > NAME_MAX;
	snprintf(ret, NAME_MAX + 1, "%.*s", none ? 0 : (int)len, path + from);
}

static int pack_write(struct pack *k, struct lodge_err *e)
{
	const struct files_pack *p = k->p;
	char name[NAME_MAX + 1];
	name_of(p->path, name);
	autoclose int node = place_open(p->root, p->path,
					O_PATH | (p->follow || !name[0] ? 0 : O_NOFOLLOW));
	if (node < 0)
		return err_set(e, -node, "%s: %s", p->path, strerror(-node));
	snprintf(k->path, sizeof k->path, "%s", name);
	int r = node_write(k, node, e);
	return r == 0 && archive_write_close(k->tar) != ARCHIVE_OK ? pack_failed(k, e) : r;
}

int files_pack(const struct files_pack *p, struct lodge_err *e)
{
	int r = host_library_load(&image_archive, e);
	if (r < 0)
		return r;
	struct pack k = {.p = p, .buf = malloc(CHUNK), .tar = archive_write_new(),
			 .extents = calloc(EXTENTS, sizeof *k.extents)};
	void *hole = mmap(NULL, HOLE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			  0);
	locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	locale_t before = uselocale(utf8 ? utf8 : (locale_t)0);
	k.hole = hole;
	if (!k.buf || !k.extents || !k.tar || hole == MAP_FAILED)
		r = err_set(e, ENOMEM, "out of memory");
	else if (archive_write_set_format_pax(k.tar) != ARCHIVE_OK ||
		 archive_write_open_fd(k.tar, p->to) != ARCHIVE_OK)
		r = pack_failed(&k, e);
	if (r == 0)
		r = pack_write(&k, e);
	if (k.tar)
		archive_write_free(k.tar);
	if (hole != MAP_FAILED)
		munmap(hole, HOLE);
	free(k.buf);
	free(k.extents);
	uselocale(before);
	if (utf8)
		freelocale(utf8);
	return r;
}
