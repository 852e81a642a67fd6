/* SPDX-License-Identifier: Apache-2.0 */
/* What ntdll tells of files and volumes, by class, and changes; reparse points, which are links. */
#include "win/listing.h"
#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>

struct io_status {
	uint64_t status, n;
};
enum { MODE_SYNCHRONOUS = 0x20, ALL_NAME = 96, ALL_SIZE = 104, PIPE_QUOTA = 65536 };
enum {
	DEVICE_TYPE_DISK = 7,
	DEVICE_TYPE_PIPE = 0x11,
	DEVICE_TYPE_NULL = 0x15,
	DEVICE_TYPE_CONSOLE = 0x50
};

/* ---- parts, as FILE_ALL_INFORMATION has them one after the other ---- */

static void basic_put(uint8_t *o, const struct stat *st)
{
	le64_put(o, filetime_ts(&st->st_mtim));
	le64_put(o + 8, filetime_ts(&st->st_atim));
	le64_put(o + 16, filetime_ts(&st->st_mtim));
	le64_put(o + 24, filetime_ts(&st->st_ctim));
	le32_put(o + 32, file_attributes(st));
}

static void standard_put(uint8_t *o, const struct stat *st)
{
	le64_put(o, (uint64_t)st->st_blocks * 512);
	le64_put(o + 8, (uint64_t)st->st_size);
	le32_put(o + 16, (uint32_t)st->st_nlink);
	o[21] = S_ISDIR(st->st_mode);
}

/* Generic rights of a handle are these. */
static uint32_t access_of(const struct file *f)
{
	uint32_t a = f->access & 0x1fffff;
	if (f->access & (GENERIC_READ | GENERIC_ALL))
		a |= 0x120089;
	if (f->access & (GENERIC_WRITE | GENERIC_ALL))
		a |= 0x120116;
	return a | (f->access & GENERIC_ALL ? 0x1f01ff : 0);
}

static uint32_t mode_of(const struct file *f) { return f->overlapped ? 0 : MODE_SYNCHRONOUS; }

/* Bytes given, of as many as the name has, with its length before it. */
static uint32_t name_put(const struct file *f, uint8_t *o, uint32_t room, bool *ret_cut)
{
	autofree char *g = f->path ? path_guest(f->path) : NULL;
	const char *name = g ? g + 2 : "";
	autofree wide *w = text_wide(name, SIZE_MAX);
	uint32_t len = w ? (uint32_t)(2 * wide_len(w)) : 0, fits = room < 4 + len ? room - 4 : len;
	le32_put(o, len);
	if (w)
		memcpy(o + 4, w, fits);
	*ret_cut = fits < len;
	return 4 + fits;
}

static uint64_t position_of(const struct file *f, const struct stat *st)
{
	off_t at = S_ISREG(st->st_mode) ? lseek(f->fd, 0, SEEK_CUR) : 0;
	return at < 0 ? 0 : (uint64_t)at;
}

static void all_put(uint8_t *o, const struct file *f, const struct stat *st)
{
	basic_put(o, st);
	standard_put(o + 40, st);
	le64_put(o + 64, st->st_ino);
	le32_put(o + 76, access_of(f));
	le64_put(o + 80, position_of(f, st));
	le32_put(o + 88, mode_of(f));
}

static void stat_put(uint8_t *o, const struct file *f, const struct stat *st)
{
	le64_put(o, st->st_ino);
	le64_put(o + 8, filetime_ts(&st->st_mtim));
	le64_put(o + 16, filetime_ts(&st->st_atim));
	le64_put(o + 24, filetime_ts(&st->st_mtim));
	le64_put(o + 32, filetime_ts(&st->st_ctim));
	le64_put(o + 40, (uint64_t)st->st_blocks * 512);
	le64_put(o + 48, (uint64_t)st->st_size);
	le32_put(o + 56, file_attributes(st));
	le32_put(o + 60, S_ISLNK(st->st_mode) ? 0xa000000c : 0);
	le32_put(o + 64, (uint32_t)st->st_nlink);
	le32_put(o + 68, access_of(f));
}

static void network_put(uint8_t *o, const struct stat *st)
{
	basic_put(o, st);
	le64_put(o + 32, (uint64_t)st->st_blocks * 512);
	le64_put(o + 40, (uint64_t)st->st_size);
	le32_put(o + 48, file_attributes(st));
}

/* What is written and not read yet counts against the quota. */
static void pipe_put(uint8_t *o, const struct file *f)
{
	int in = 0, out = 0;
	(void)!ioctl(f->fd, FIONREAD, &in);
	(void)!ioctl(f->fd, SIOCOUTQ, &out);
	out = out < 0 || out > PIPE_QUOTA ? PIPE_QUOTA : out;
	const uint32_t all[] = {0,
				2,
				255,
				1,
				PIPE_QUOTA,
				(uint32_t)in,
				PIPE_QUOTA,
				(uint32_t)(PIPE_QUOTA - out),
				3 /* connected */,
				0};
	memcpy(o, all, sizeof all);
}

enum {
	NT_BASIC = 4,
	NT_STANDARD = 5,
	NT_INTERNAL = 6,
	NT_EA = 7,
	NT_ACCESS = 8,
	NT_NAME = 9,
	NT_RENAME = 10,
	NT_DISPOSITION = 13,
	NT_POSITION = 14,
	NT_MODE = 16,
	NT_ALIGNMENT = 17,
	NT_ALL = 18,
	NT_ALLOCATION = 19,
	NT_END_OF_FILE = 20,
	NT_PIPE_LOCAL = 24,
	NT_NETWORK_OPEN = 34,
	NT_ATTRIBUTE_TAG = 35,
	NT_ID = 59,
	NT_DISPOSITION_EX = 64,
	NT_RENAME_EX = 65,
	NT_STAT = 68
};

static const struct {
	uint32_t class, size;
} sizes[] = {{NT_BASIC, 40},    {NT_STANDARD, 24},  {NT_INTERNAL, 8},      {NT_EA, 4},
	     {NT_ACCESS, 4},    {NT_NAME, 8},       {NT_POSITION, 8},      {NT_MODE, 4},
	     {NT_ALIGNMENT, 4}, {NT_ALL, ALL_SIZE}, {NT_NETWORK_OPEN, 56}, {NT_ATTRIBUTE_TAG, 8},
	     {NT_ID, 24},       {NT_STAT, 72},      {NT_PIPE_LOCAL, 40}};

static uint32_t size_of(uint32_t class)
{
	for (size_t i = 0; i < countof(sizes); i++)
		if (sizes[i].class == class)
			return sizes[i].size;
	return 0;
}

/* @out is cleared, and big enough. */
static uint32_t information_put(const struct file *f, const struct stat *st, uint32_t class,
				uint8_t *out, uint32_t n, uint64_t *ret_n)
{
	bool cut = false;
	*ret_n = size_of(class);
	switch (class) {
	case NT_BASIC: basic_put(out, st); break;
	case NT_STANDARD: standard_put(out, st); break;
	case NT_INTERNAL: le64_put(out, st->st_ino); break;
	case NT_ACCESS: le32_put(out, access_of(f)); break;
	case NT_POSITION: le64_put(out, position_of(f, st)); break;
	case NT_MODE: le32_put(out, mode_of(f)); break;
	case NT_NAME: *ret_n = name_put(f, out, n, &cut); break;
	case NT_ALL:
		all_put(out, f, st);
		*ret_n = ALL_NAME + name_put(f, out + ALL_NAME, n - ALL_NAME, &cut);
		break;
	case NT_NETWORK_OPEN: network_put(out, st); break;
	case NT_ATTRIBUTE_TAG:
		le32_put(out, file_attributes(st));
		le32_put(out + 4, S_ISLNK(st->st_mode) ? 0xa000000c : 0);
		break;
	case NT_ID:
		le64_put(out, st->st_dev);
		le64_put(out + 8, st->st_ino);
		break;
	case NT_STAT: stat_put(out, f, st); break;
	case NT_PIPE_LOCAL:
		if (!f->pipe)
			return STATUS_INVALID_PARAMETER;
		pipe_put(out, f);
		break;
	default: break; /* no extended attributes, no alignment: 0 */
	}
	return cut ? STATUS_BUFFER_OVERFLOW : STATUS_SUCCESS;
}

API(uint32_t, nt_NtQueryInformationFile, handle h, struct io_status *io, void *out, uint32_t n,
    uint32_t class)
{
	struct stat st;
	uint64_t got = 0;
	uint32_t size = size_of(class);
	struct file *f = object_get(h, KIND_FILE);
	if (!f)
		return STATUS_INVALID_HANDLE;
	uint32_t status = !size                   ? STATUS_INVALID_INFO_CLASS
			  : n < size              ? STATUS_INFO_LENGTH_MISMATCH
			  : fstat(f->fd, &st) < 0 ? status_of(errno)
						  : STATUS_SUCCESS;
	if (!status) {
		memset(out, 0, size);
		status = information_put(f, &st, class, out, n, &got);
		*io = (struct io_status){status, got};
	}
	object_unref(&f->o);
	return status;
}

/* ---- by name: of a link, the link ---- */

enum { BY_NAME_STAT = 0, BY_NAME_STAT_BASIC = 3, STAT_SIZE = 72, STAT_BASIC_SIZE = 104 };

static void stat_basic_put(uint8_t *o, const struct stat *st)
{
	le64_put(o, st->st_ino);
	basic_put(o + 8, st);
	le64_put(o + 40, (uint64_t)st->st_blocks * 512);
	le64_put(o + 48, (uint64_t)st->st_size);
	le32_put(o + 56, file_attributes(st));
	le32_put(o + 60, S_ISLNK(st->st_mode) ? 0xa000000c : 0);
	le32_put(o + 64, (uint32_t)st->st_nlink);
	le32_put(o + 68, DEVICE_TYPE_DISK);
	le64_put(o + 80, (uint32_t)st->st_dev); /* as the volume's information */
	le64_put(o + 88, st->st_ino);
}

API(uint32_t, k32_GetFileInformationByName, const wide *path, uint32_t class, void *out, uint32_t n)
{
	struct stat st;
	uint8_t o[STAT_BASIC_SIZE] = {0};
	const struct file nobody = {.access = 0};
	uint32_t size = class == BY_NAME_STAT_BASIC ? STAT_BASIC_SIZE
			: class == BY_NAME_STAT     ? STAT_SIZE
						    : 0;
	autofree char *name = text_from(path, SIZE_MAX);
	if (!size || !name)
		return fail(size ? ERROR_NOT_ENOUGH_MEMORY : ERROR_INVALID_PARAMETER);
	if (n < size)
		return fail(ERROR_BAD_LENGTH);
	if (path_device(name) || !path_valid(name))
		return fail(path_device(name) ? ERROR_INVALID_FUNCTION : ERROR_INVALID_NAME);
	autofree char *host = path_look(name, &st);
	if (!host)
		return 0;
	if (class == BY_NAME_STAT)
		stat_put(o, &nobody, &st);
	else
		stat_basic_put(o, &st);
	memcpy(out, o, size);
	return 1;
}

/* ---- changing: as SetFileInformationByHandle, whose classes have other numbers ---- */

extern WINAPI uint32_t k32_SetFileInformationByHandle(handle h, uint32_t class, const void *in,
						      uint32_t n);
extern WINAPI uint32_t k32_SetFilePointerEx(handle h, int64_t at, int64_t *ret, uint32_t from);

API(uint32_t, nt_NtSetInformationFile, handle h, struct io_status *io, const void *in, uint32_t n,
    uint32_t class)
{
	static const struct {
		uint32_t nt, win32, least;
	} classes[] = {{NT_BASIC, 0, 36},         {NT_RENAME, 3, 24},     {NT_DISPOSITION, 4, 1},
		       {NT_ALLOCATION, 5, 8},     {NT_END_OF_FILE, 6, 8}, {NT_RENAME_EX, 22, 24},
		       {NT_DISPOSITION_EX, 21, 4}};
	uint32_t before = last_error(), status = STATUS_INVALID_INFO_CLASS;
	if (class == NT_POSITION && n >= 8)
		status = k32_SetFilePointerEx(h, (int64_t)le64_at(in), NULL, 0)
			     ? STATUS_SUCCESS
			     : status_of_error(last_error());
	for (size_t i = 0; i < countof(classes); i++) {
		if (classes[i].nt != class)
			continue;
		status = n < classes[i].least ? STATUS_INFO_LENGTH_MISMATCH
			 : k32_SetFileInformationByHandle(h, classes[i].win32, in, n)
			     ? STATUS_SUCCESS
			     : status_of_error(last_error());
	}
	last_error_set(before);
	*io = (struct io_status){status, 0};
	return status;
}

/* ---- volumes ---- */

enum { FS_VOLUME = 1, FS_SIZE = 3, FS_DEVICE = 4, FS_ATTRIBUTES = 5, FS_FULL_SIZE = 7 };
enum { SECTOR = 512 };

static uint32_t device_type(const struct file *f)
{
	return f->console                  ? DEVICE_TYPE_CONSOLE
	       : f->pipe                   ? DEVICE_TYPE_PIPE
	       : f->type == FILE_TYPE_CHAR ? DEVICE_TYPE_NULL
					   : DEVICE_TYPE_DISK;
}

static uint32_t size_put(uint8_t *o, const struct file *f, bool full)
{
	struct statvfs v;
	if (fstatvfs(f->fd, &v) < 0)
		return status_of(errno);
	le64_put(o, v.f_blocks);
	le64_put(o + 8, v.f_bavail);
	if (full)
		le64_put(o + 16, v.f_bfree);
	o += full ? 24 : 16;
	le32_put(o, (uint32_t)(v.f_frsize / SECTOR));
	le32_put(o + 4, SECTOR);
	return STATUS_SUCCESS;
}

API(uint32_t, nt_NtQueryVolumeInformationFile, handle h, struct io_status *io, void *out,
    uint32_t n, uint32_t class)
{
	static const wide name[] = {'N', 'T', 'F', 'S'};
	uint8_t *o = out;
	const uint32_t need = class == FS_VOLUME || class == FS_SIZE ? 24
			      : class == FS_DEVICE                   ? 8
			      : class == FS_ATTRIBUTES               ? 20
			      : class == FS_FULL_SIZE                ? 32
								     : 0;
	struct file *f = object_get(h, KIND_FILE);
	if (!f)
		return STATUS_INVALID_HANDLE;
	uint32_t status = !need      ? STATUS_INVALID_INFO_CLASS
			  : n < need ? STATUS_INFO_LENGTH_MISMATCH
				     : STATUS_SUCCESS;
	if (!status)
		memset(o, 0, need);
	if (!status && class == FS_VOLUME)
		le32_put(o + 8, (uint32_t)f->device); /* as GetFileInformationByHandle */
	else if (!status && class == FS_DEVICE)
		le32_put(o, device_type(f));
	else if (!status && (class == FS_SIZE || class == FS_FULL_SIZE))
		status = size_put(o, f, class == FS_FULL_SIZE);
	else if (!status) {
		le32_put(o, 0x2 | 0x4 | 0x80);
		le32_put(o + 4, 255);
		le32_put(o + 8, sizeof name);
		memcpy(o + 12, name, sizeof name);
	}
	*io = (struct io_status){status, status ? 0 : need};
	object_unref(&f->o);
	return status;
}
