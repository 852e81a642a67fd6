/* SPDX-License-Identifier: Apache-2.0 */
/* Files, folders and pipes as ntdll opens and makes them: names in the space of objects, whole or
 * from a folder that is open. */
#include "win/async.h"
#include "win/pipe.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

struct io_status {
	uint64_t status, n;
};
struct text {
	uint16_t len, room; /* bytes */
	uint32_t pad;
	const wide *at;
};
struct attributes { /* OBJECT_ATTRIBUTES */
	uint32_t len, pad;
	handle root;
	const struct text *name;
	uint32_t flags, pad2;
	void *security, *quality;
};
enum { NAME_INHERIT = 2 };
enum { SUPERSEDE, OPEN, CREATE, OPEN_IF, OVERWRITE, OVERWRITE_IF };
enum { WAS_SUPERSEDED, WAS_OPENED, WAS_CREATED, WAS_OVERWRITTEN };
enum {
	WANTS_FOLDER = 1,
	SYNCHRONOUS = 0x30,
	WANTS_NO_FOLDER = 0x40,
	DELETE_AT_CLOSE = 0x1000,
	OPEN_REPARSE = 0x200000
};
static const char PIPES[] = "\\Device\\NamedPipe";

/* What is opened: of these @path and @text are the guest's, malloc'ed; owned. */
struct place {
	char *path; /* a file's, as functions of kernel32 take it; NULL: a pipe's */
	char *pipe; /* a pipe's name; "": all of them; NULL: a new one without a name */
	bool is_pipe, is_afd;
};

static void place_fini(struct place *p)
{
	free(p->path);
	free(p->pipe);
}

/* From the folder (or pipe) that is open as @root. */
static uint32_t place_below(struct place *p, handle root, const char *name)
{
	uint32_t status = STATUS_SUCCESS;
	struct file *f = object_get(root, KIND_FILE);
	if (!f)
		return STATUS_INVALID_HANDLE;
	p->is_pipe = f->pipes || f->end;
	if (f->pipes) {
		p->pipe = *name ? strdup(name) : NULL;
	} else if (f->end) { /* the other end of the same */
		p->pipe = *name ? NULL : pipe_name_of(f);
		status = p->pipe ? STATUS_SUCCESS : STATUS_OBJECT_NAME_INVALID;
	} else if (f->folder && f->path) {
		autofree char *g = path_guest(f->path);
		size_t n = g ? strlen(g) : 0;
		if (!g || asprintf(&p->path, "%s%s%s", g,
				   *name && n && g[n - 1] != '\\' ? "\\" : "", name) < 0)
			p->path = NULL;
		status = p->path ? STATUS_SUCCESS : STATUS_OBJECT_PATH_NOT_FOUND;
	} else {
		status = STATUS_NOT_A_DIRECTORY;
	}
	object_unref(&f->o);
	return status;
}

static uint32_t place_find(struct place *p, const struct attributes *a)
{
	*p = (struct place){0};
	if (a->len < sizeof *a)
		return STATUS_INVALID_PARAMETER;
	autofree char *name = a->name ? text_from(a->name->at, a->name->len / 2) : strdup("");
	if (!name)
		return STATUS_NO_MEMORY;
	if (a->root && *name != '\\')
		return place_below(p, a->root, name);
	if ((p->is_afd = afd_path(name)))
		return STATUS_SUCCESS;
	unsigned volume = 0;
	int rest = 0;
	if (sscanf(name, PATH_VOLUME "%n", &volume, &rest) == 1 && path_volume_drive(volume)) {
		if (asprintf(&p->path, "\\\\?\\%c:%s", path_volume_drive(volume),
			     name[rest] ? name + rest : "\\") < 0)
			p->path = NULL;
		return p->path ? STATUS_SUCCESS : STATUS_NO_MEMORY;
	}
	size_t n = strlen(PIPES);
	const char *pipe = !strncasecmp(name, PIPES, n) && (!name[n] || name[n] == '\\')
			       ? name + n + (name[n] == '\\')
			       : pipe_path(name);
	if (*name != '\\')
		return STATUS_OBJECT_PATH_SYNTAX_BAD;
	p->is_pipe = pipe != NULL;
	if (!strncmp(name, "\\??\\", 4)) /* as kernel32 writes it */
		name[1] = '\\';
	*(pipe ? &p->pipe : &p->path) = strdup(pipe ? pipe : name);
	return STATUS_SUCCESS;
}

static uint32_t error_status(uint32_t error)
{
	return error == ERROR_FILE_EXISTS || error == ERROR_ALREADY_EXISTS
		   ? STATUS_OBJECT_NAME_COLLISION
	       : error == ERROR_INVALID_NAME ? STATUS_OBJECT_NAME_INVALID
					     : status_of_error(error);
}

/* The folder of all pipes: nothing can be done with it but to name pipes from it. */
static uint32_t pipes_open(handle *ret, bool inherit)
{
	int fd = memfd_create("pipes", MFD_CLOEXEC);
	handle h = fd < 0 ? 0 : file_handle(fd, GENERIC_READ, NULL, inherit);
	struct file *f = h ? object_get(h, KIND_FILE) : NULL;
	if (!f)
		return STATUS_NO_MEMORY;
	f->pipes = true;
	object_unref(&f->o);
	*ret = h;
	return STATUS_SUCCESS;
}

/* ---- files and folders ---- */

static uint32_t folder_make(const char *path, uint32_t how, bool *ret_made)
{
	autofree char *host = path_linux(path);
	if (!host)
		return STATUS_OBJECT_PATH_NOT_FOUND;
	*ret_made = mkdir(host, 0777) == 0;
	if (*ret_made || (errno == EEXIST && how == OPEN_IF))
		return STATUS_SUCCESS;
	return errno == EEXIST   ? STATUS_OBJECT_NAME_COLLISION
	       : errno == ENOENT ? STATUS_OBJECT_PATH_NOT_FOUND
				 : status_of(errno);
}

/* What was opened is what was asked for. */
static uint32_t kind_check(handle h, uint32_t options)
{
	struct file *f = object_get(h, KIND_FILE);
	uint32_t status = !f                                       ? STATUS_INVALID_HANDLE
			  : f->folder && options & WANTS_NO_FOLDER ? STATUS_FILE_IS_A_DIRECTORY
			  : !f->folder && options & WANTS_FOLDER   ? STATUS_NOT_A_DIRECTORY
								   : STATUS_SUCCESS;
	object_unref(f ? &f->o : NULL);
	return status;
}

struct wish {
	uint32_t access, share, how, options;
	bool inherit;
};

static uint32_t file_open(const char *path, const struct wish *w, handle *ret, uint64_t *ret_was)
{
	static const uint8_t hows[] = {CREATE_ALWAYS, OPEN_EXISTING,     CREATE_NEW,
				       OPEN_ALWAYS,   TRUNCATE_EXISTING, CREATE_ALWAYS};
	uint32_t how = w->how;
	bool made = false;
	if (w->options & WANTS_FOLDER && how != OPEN) {
		if (how != CREATE && how != OPEN_IF)
			return STATUS_INVALID_PARAMETER;
		uint32_t bad = folder_make(path, how, &made);
		if (bad)
			return bad;
		how = OPEN;
	}
	uint32_t flags = FILE_FLAG_BACKUP_SEMANTICS |
			 (w->options & SYNCHRONOUS ? 0 : FILE_FLAG_OVERLAPPED) |
			 (w->options & DELETE_AT_CLOSE ? FILE_FLAG_DELETE_ON_CLOSE : 0) |
			 (w->options & OPEN_REPARSE ? FILE_FLAG_OPEN_REPARSE_POINT : 0);
	last_error_set(ERROR_SUCCESS);
	handle h = io_open(path, w->access, w->share, hows[how], flags, w->inherit);
	uint32_t error = last_error();
	if (h == HANDLE_BAD)
		return error_status(error);
	uint32_t bad = kind_check(h, w->options);
	if (bad) {
		object_close(h);
		return bad;
	}
	bool was = how == OPEN || how == OVERWRITE || error == ERROR_ALREADY_EXISTS;
	*ret_was = made || !was       ? WAS_CREATED
		   : how == SUPERSEDE ? WAS_SUPERSEDED
		   : how >= OVERWRITE ? WAS_OVERWRITTEN
				      : WAS_OPENED;
	*ret = h;
	return STATUS_SUCCESS;
}

static uint32_t place_open(const struct place *p, const struct wish *w, handle *ret,
			   uint64_t *ret_was)
{
	*ret_was = WAS_OPENED;
	if (p->is_afd)
		return afd_open(ret, w->inherit);
	if (!p->is_pipe)
		return p->path ? file_open(p->path, w, ret, ret_was) : STATUS_NO_MEMORY;
	if (!p->pipe)
		return STATUS_OBJECT_NAME_INVALID;
	if (!*p->pipe)
		return pipes_open(ret, w->inherit);
	handle h = pipe_open(p->pipe, w->access,
			     w->options & SYNCHRONOUS ? 0 : FILE_FLAG_OVERLAPPED, w->inherit);
	if (h == HANDLE_BAD)
		return last_error() == ERROR_PIPE_BUSY ? STATUS_PIPE_NOT_AVAILABLE
						       : error_status(last_error());
	*ret = h;
	return STATUS_SUCCESS;
}

API(uint32_t, nt_NtCreateFile, handle *ret, uint32_t access, const struct attributes *a,
    struct io_status *io, const int64_t *size, uint32_t attributes, uint32_t share, uint32_t how,
    uint32_t options, const void *ea, uint32_t ea_len)
{
	struct place p;
	uint64_t was = 0;
	(void)size;
	(void)attributes;
	(void)ea;
	(void)ea_len;
	uint32_t before = last_error();
	const struct wish w = {access, share, how, options, a->flags & NAME_INHERIT};
	uint32_t status = how > OVERWRITE_IF ? STATUS_INVALID_PARAMETER : STATUS_SUCCESS;
	if (status)
		return status;
	status = place_find(&p, a);
	if (!status)
		status = place_open(&p, &w, ret, &was);
	place_fini(&p);
	if (!status)
		*io = (struct io_status){STATUS_SUCCESS, was};
	last_error_set(before);
	return status;
}

API(uint32_t, nt_NtOpenFile, handle *ret, uint32_t access, const struct attributes *a,
    struct io_status *io, uint32_t share, uint32_t options)
{
	return nt_NtCreateFile(ret, access, a, io, NULL, 0, share, OPEN, options, NULL, 0);
}

/* ---- pipes ---- */

API(uint32_t, nt_NtCreateNamedPipeFile, handle *ret, uint32_t access, const struct attributes *a,
    struct io_status *io, uint32_t share, uint32_t how, uint32_t options, uint32_t type,
    uint32_t read_mode, uint32_t completion, uint32_t most, uint32_t in, uint32_t out,
    const int64_t *timeout)
{
	struct place p;
	(void)timeout;
	(void)share; /* as @access says: who may not write does not read either */
	uint32_t before = last_error(), status = place_find(&p, a);
	bool reads = access & (GENERIC_READ | GENERIC_ALL | FILE_READ_DATA);
	bool writes = access & (GENERIC_WRITE | GENERIC_ALL | FILE_WRITE_DATA);
	const struct pipe_wish w = {
	    .mode = (reads ? 1u : 0) | (writes ? 2u : 0) | (how == CREATE ? PIPE_FIRST : 0) |
		    (options & SYNCHRONOUS ? 0 : FILE_FLAG_OVERLAPPED),
	    .kind = (type & 1 ? PIPE_TYPE_MESSAGE : 0) | (read_mode & 1 ? PIPE_READ_MESSAGE : 0) |
		    (completion & 1 ? PIPE_NOWAIT : 0),
	    .most = most > 255 ? 255 : most,
	    .out = out,
	    .in = in,
	    .inherit = a->flags & NAME_INHERIT};
	if (!status && (!p.is_pipe || (p.pipe && !*p.pipe)))
		status = STATUS_OBJECT_NAME_INVALID;
	handle h = status ? HANDLE_BAD : pipe_make(p.pipe, &w);
	place_fini(&p);
	if (!status && h == HANDLE_BAD)
		status = error_status(last_error());
	if (!status) {
		*ret = h;
		*io = (struct io_status){STATUS_SUCCESS, WAS_CREATED};
	}
	last_error_set(before);
	return status;
}

/* ---- without opening ---- */

struct basic {
	uint64_t created, accessed, written, changed;
	uint32_t attributes, pad;
};
struct network {
	uint64_t created, accessed, written, changed, allocated, size;
	uint32_t attributes, pad;
};
struct attribute_data { /* as GetFileAttributesEx has them */
	uint32_t attributes, created[2], accessed[2], written[2], size_high, size_low;
};
extern WINAPI uint32_t k32_GetFileAttributesExW(const wide *path, uint32_t level, void *ret);

static uint64_t time_of(const uint32_t t[2]) { return (uint64_t)t[1] << 32 | t[0]; }

static uint32_t attributes_find(const struct attributes *a, struct attribute_data *ret)
{
	struct place p;
	uint32_t before = last_error(), status = place_find(&p, a);
	autofree wide *w = !status && p.path ? text_wide(p.path, SIZE_MAX) : NULL;
	if (!status && !w)
		status = STATUS_OBJECT_NAME_INVALID;
	if (!status && !k32_GetFileAttributesExW(w, 0, ret))
		status = error_status(last_error());
	place_fini(&p);
	last_error_set(before);
	return status;
}

API(uint32_t, nt_NtQueryAttributesFile, const struct attributes *a, struct basic *ret)
{
	struct attribute_data d;
	uint32_t status = attributes_find(a, &d);
	if (!status)
		*ret = (struct basic){time_of(d.created), time_of(d.accessed), time_of(d.written),
				      time_of(d.written), d.attributes,        0};
	return status;
}

API(uint32_t, nt_NtQueryFullAttributesFile, const struct attributes *a, struct network *ret)
{
	struct attribute_data d;
	uint32_t status = attributes_find(a, &d);
	uint64_t size = status ? 0 : (uint64_t)d.size_high << 32 | d.size_low;
	if (!status)
		*ret = (struct network){time_of(d.created),   time_of(d.accessed),
					time_of(d.written),   time_of(d.written),
					align_up(size, PAGE), size,
					d.attributes,         0};
	return status;
}

/* The same file, once more. */
API(handle, k32_ReOpenFile, handle h, uint32_t access, uint32_t share, uint32_t flags)
{
	struct file *f = object_get(h, KIND_FILE);
	autofree char *g = f && f->path ? path_guest(f->path) : NULL;
	object_unref(f ? &f->o : NULL);
	if (!g) {
		if (f)
			last_error_set(ERROR_INVALID_HANDLE);
		return HANDLE_BAD;
	}
	return io_open(g, access, share, OPEN_EXISTING, flags, false);
}

/* ---- calling off ---- */

extern WINAPI uint32_t k32_CancelIoEx(handle h, struct overlapped *o);
extern WINAPI uint32_t k32_CancelIo(handle h);

API(uint32_t, nt_NtCancelIoFileEx, handle h, struct io_status *of, struct io_status *ret)
{
	uint32_t before = last_error();
	uint32_t ok = k32_CancelIoEx(h, (struct overlapped *)(void *)of);
	uint32_t status = ok                                ? STATUS_SUCCESS
			  : last_error() == ERROR_NOT_FOUND ? STATUS_NOT_FOUND
							    : STATUS_INVALID_HANDLE;
	*ret = (struct io_status){status, 0};
	last_error_set(before);
	return status;
}

API(uint32_t, nt_NtCancelIoFile, handle h, struct io_status *ret)
{
	uint32_t before = last_error();
	uint32_t status = k32_CancelIo(h) ? STATUS_SUCCESS : STATUS_INVALID_HANDLE;
	*ret = (struct io_status){status, 0};
	last_error_set(before);
	return status;
}
