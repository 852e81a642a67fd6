/* SPDX-License-Identifier: Apache-2.0 */
/* Files: opened, read, written, moved, removed. */
#include "win/async.h"
#include "win/pipe.h"
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static void parts_free(struct part *p);

int file_remove(const struct file *f)
{
	const char *path = path_near(f->path);
	return f->folder ? rmdir(path) : unlink(path);
}

static void file_fini(struct object *o)
{
	struct file *f = (struct file *)(void *)o;
	watch_free(f->watch);
	share_leave(f);
	pipe_end_free(f->end);
	net_events_free(f->events);
	if (f->fd > 2)
		(void)!syscall(SYS_close, f->fd);
	if (f->delete_on_close && f->path)
		(void)!file_remove(f);
	object_unref(f->port);
	folder_list_free(f->list);
	parts_free(f->locked);
	free(f->path);
}

/* Its last handle is closed: what waits ends, also when somebody still looks at it. */
static void file_closed(struct object *o)
{
	struct file *f = (struct file *)(void *)o;
	async_close(f);
	pipe_end_close(f->end);
}

int fd_stat(int fd, struct stat *ret) { return (int)syscall(SYS_fstat, fd, ret); }

/* @path (NULL: it has none) is its own then, also when there is no memory for it. */
static struct file *file_new(int fd, uint32_t access, char *path)
{
	struct stat st;
	struct file *f = object_new(KIND_FILE, sizeof *f);
	if (!f) {
		free(path);
		return NULL;
	}
	f->o.fini = file_fini;
	f->o.closed = file_closed;
	f->o.manual = true;
	f->o.count = 1;
	f->fd = fd;
	f->access = access;
	f->path = path;
	if (fd_stat(fd, &st) == 0) {
		f->folder = S_ISDIR(st.st_mode);
		f->pipe = S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode);
		f->type = S_ISCHR(st.st_mode) ? FILE_TYPE_CHAR : FILE_TYPE_DISK;
		f->console = S_ISCHR(st.st_mode) && isatty(fd);
		f->device = st.st_dev;
		f->inode = st.st_ino;
	}
	return f;
}

handle file_handle(int fd, uint32_t access, const char *path, bool inherit)
{
	struct file *f = file_new(fd, access, path ? strdup(path) : NULL);
	if (!f) {
		close(fd);
		return fail(ERROR_NOT_ENOUGH_MEMORY);
	}
	return object_handle(&f->o, inherit);
}

/* ---- the three that there are from the start ---- */

static WIN_STATE handle standard[3];

handle std_handle(int fd)
{
	if (!standard[fd]) {
		struct file *f = file_new(fd, fd ? GENERIC_WRITE : GENERIC_READ, NULL);
		if (f)
			f->input = fd == 0;
		standard[fd] = f ? object_handle(&f->o, true) : 0;
	}
	return standard[fd];
}

API(handle, k32_GetStdHandle, uint32_t which)
{
	uint32_t i = UINT32_MAX - 9 - which; /* -10, -11, -12 */
	if (i > 2) {
		last_error_set(ERROR_INVALID_HANDLE);
		return HANDLE_BAD;
	}
	return std_handle((int)i);
}

API(uint32_t, k32_SetStdHandle, uint32_t which, handle h)
{
	uint32_t i = UINT32_MAX - 9 - which;
	if (i > 2)
		return fail(ERROR_INVALID_HANDLE);
	standard[i] = h;
	return 1;
}

/* ---- opening ---- */

static handle bad(uint32_t error)
{
	last_error_set(error);
	return HANDLE_BAD;
}

static bool wants_read(uint32_t a)
{
	return a & (GENERIC_READ | GENERIC_ALL | GENERIC_EXECUTE) || a & FILE_READ_DATA;
}

static bool wants_write(uint32_t a)
{
	return a & (GENERIC_WRITE | GENERIC_ALL) || a & (FILE_WRITE_DATA | FILE_APPEND_DATA);
}

/* What others have to share with who has the access @a. */
static uint32_t share_needed(uint32_t a, uint32_t flags)
{
	bool removes = a & (FILE_ACCESS_DELETE | GENERIC_ALL) || flags & FILE_FLAG_DELETE_ON_CLOSE;
	return (wants_read(a) ? SHARE_READ : 0) | (wants_write(a) ? SHARE_WRITE : 0) |
	       (removes ? SHARE_DELETE : 0);
}

static int open_mode(uint32_t a)
{
	return wants_write(a) ? wants_read(a) ? O_RDWR : O_WRONLY : O_RDONLY;
}

static bool may_make(uint32_t how)
{
	return how == CREATE_NEW || how == CREATE_ALWAYS || how == OPEN_ALWAYS;
}

/* 0 or an error; *ret_fd. *ret_was: it was there before. */
static uint32_t file_make(const char *host, int mode, uint32_t how, int *ret_fd, bool *ret_was)
{
	int fd = -1;
	*ret_was = true;
	if (may_make(how)) {
		fd = open(path_near(host), mode | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		*ret_was = fd < 0;
		if (fd < 0 && errno == EEXIST && how == CREATE_NEW)
			return ERROR_FILE_EXISTS;
		if (fd < 0 && errno == ENOENT)
			return ERROR_PATH_NOT_FOUND;
	}
	if (fd < 0)
		fd = open(path_near(host), mode | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return error_of(errno);
	*ret_fd = fd;
	return 0;
}

static handle device_open(enum device d, uint32_t access, bool inherit)
{
	bool input = d == DEVICE_CONIN || (d == DEVICE_CON && !wants_write(access));
	int from = d == DEVICE_NUL ? process()->start->null_fd : input ? 0 : 1;
	int fd = d == DEVICE_NUL || isatty(from) ? fcntl(from, F_DUPFD_CLOEXEC, 3) : -1;
	handle h = fd < 0 ? bad(ERROR_FILE_NOT_FOUND) : file_handle(fd, access, NULL, inherit);
	struct file *f = fd < 0 || !h ? NULL : object_get(h, KIND_FILE);
	if (f)
		f->input = input;
	object_unref(f ? &f->o : NULL);
	return h;
}

/* What CreateFile was asked for. */
struct opening {
	uint32_t access, share, how, flags;
	bool inherit, was; /* @was: the file was there before */
};

/* A file that is open becomes a handle. */
static handle opening_end(const struct opening *o, struct file *f)
{
	bool cut = o->was && (o->how == CREATE_ALWAYS || o->how == TRUNCATE_EXISTING);
	uint32_t need = share_needed(o->access, o->flags);
	uint32_t error = !share_enter(f, need, o->share) ? ERROR_SHARING_VIOLATION
			 : cut && ftruncate(f->fd, 0) < 0 && truncate(f->path, 0) < 0
			     ? error_of(errno)
			     : 0;
	if (error) {
		object_unref(&f->o);
		return bad(error);
	}
	f->overlapped = o->flags & FILE_FLAG_OVERLAPPED;
	f->append =
	    o->access & FILE_APPEND_DATA && !(o->access & (FILE_WRITE_DATA | GENERIC_WRITE));
	f->delete_on_close = o->flags & FILE_FLAG_DELETE_ON_CLOSE;
	handle h = object_handle(&f->o, o->inherit);
	bool told = o->was && (o->how == CREATE_ALWAYS || o->how == OPEN_ALWAYS);
	last_error_set(told ? ERROR_ALREADY_EXISTS : ERROR_SUCCESS);
	return h ? h : HANDLE_BAD;
}

/* The usual case, without a look before: a file that is there and is written so; or, to look at
 * it, a folder. NULL: it is neither. */
static struct file *file_there(const char *path, const struct opening *o)
{
	bool itself = o->flags & FILE_FLAG_OPEN_REPARSE_POINT;
	if (o->how == CREATE_NEW || (itself && o->how != OPEN_EXISTING))
		return NULL;
	char *host = path_written(path);
	/* not open, which is a point of cancellation: nobody here is cancelled */
	int flags = open_mode(o->access) | O_CLOEXEC | O_NONBLOCK | (itself ? O_NOFOLLOW : 0);
	int fd = host ? (int)syscall(SYS_open, path_near(host), flags) : -1;
	if (fd < 0) {
		free(host);
		return NULL;
	}
	struct file *f = file_new(fd, o->access, host);
	if (f && (!f->folder || (o->how == OPEN_EXISTING && o->flags & FILE_FLAG_BACKUP_SEMANTICS)))
		return f;
	if (!f)
		close(fd);
	object_unref(f ? &f->o : NULL);
	return NULL;
}

/* What is at @path, or shall be, in whatever case; 0 or an error. *ret_host is malloc'ed. */
static uint32_t file_find(const char *path, struct opening *o, char **ret_host, int *ret_fd)
{
	struct stat st;
	enum path_state s;
	int mode = open_mode(o->access);
	autofree char *host = path_asked(path, &st, &s);
	if (!host)
		return last_error();
	if (path_absence(s) && !may_make(o->how))
		return path_absence(s);
	bool there = s == PATH_THERE || (!path_absence(s) && lstat(path_near(host), &st) == 0);
	bool link = there && S_ISLNK(st.st_mode);
	if (link && o->flags & FILE_FLAG_OPEN_REPARSE_POINT && o->how == OPEN_EXISTING)
		mode = O_PATH | O_NOFOLLOW; /* itself, not where it leads */
	else if (link)
		there = stat(path_near(host), &st) == 0;
	if (there && S_ISDIR(st.st_mode) && o->how != CREATE_NEW) {
		if (!(o->flags & FILE_FLAG_BACKUP_SEMANTICS))
			return ERROR_ACCESS_DENIED;
		mode = O_RDONLY | O_DIRECTORY;
		o->how = OPEN_EXISTING;
	}
	uint32_t error = file_make(host, mode, o->how, ret_fd, &o->was);
	if (error)
		return error == ERROR_FILE_NOT_FOUND ? path_missing(host) : error;
	*ret_host = take(host);
	return 0;
}

handle io_open(const char *path, uint32_t access, uint32_t share, uint32_t how, uint32_t flags,
	       bool inherit)
{
	int fd = -1;
	struct opening o = {access, share, how, flags, inherit, true};
	enum device d = path_device(path);
	if (d)
		return device_open(d, access, inherit);
	if (pipe_path(path))
		return pipe_open(pipe_path(path), access, flags, inherit);
	if (!path_valid(path))
		return bad(ERROR_INVALID_NAME);
	autofree char *host = may_make(how) ? path_absent(path) : NULL;
	struct file *f = host ? NULL : file_there(path, &o);
	if (f)
		return opening_end(&o, f);
	uint32_t error = host ? file_make(host, open_mode(access), how, &fd, &o.was)
			      : file_find(path, &o, &host, &fd);
	if (error)
		return bad(error);
	if (!(f = file_new(fd, access, take(host)))) {
		close(fd);
		return bad(ERROR_NOT_ENOUGH_MEMORY);
	}
	return opening_end(&o, f);
}

struct security {
	uint32_t len, pad;
	void *descriptor;
	uint32_t inherit;
};

API(handle, k32_CreateFileA, const char *path, uint32_t access, uint32_t share,
    const struct security *sec, uint32_t how, uint32_t flags, handle like)
{
	(void)like;
	if (!how || how > TRUNCATE_EXISTING || (how == TRUNCATE_EXISTING && !wants_write(access)))
		return bad(ERROR_INVALID_PARAMETER);
	return io_open(path, access, share, how, flags, sec && sec->inherit);
}

API(handle, k32_CreateFileW, const wide *path, uint32_t access, uint32_t share,
    const struct security *sec, uint32_t how, uint32_t flags, handle like)
{
	autofree char *p = text_from(path, SIZE_MAX);
	return k32_CreateFileA(p ? p : "", access, share, sec, how, flags, like);
}

struct create_file2 {
	uint32_t size, attributes, flags, qos;
	const struct security *sec;
	handle like;
};

API(handle, k32_CreateFile2, const wide *path, uint32_t access, uint32_t share, uint32_t how,
    const struct create_file2 *more)
{
	return k32_CreateFileW(path, access, share, more ? more->sec : NULL, how,
			       more ? more->attributes | more->flags : 0, 0);
}

/* ---- reading and writing ---- */

static bool wait_ready(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};
	struct thread *t = thread_self();
	atomic_store(&t->blocked, 1);
	int r = poll(&p, 1, -1);
	atomic_store(&t->blocked, 0);
	return r >= 0 || errno == EINTR;
}

int64_t io_read(struct file *f, void *buf, size_t len, int64_t at)
{
	struct thread *t = thread_self();
	bool more;
	if (f->nowait)
		return pipe_read_now(f, buf, len, &more);
	if (pipe_has_messages(f))
		return message_read(f, buf, (uint32_t)len, &more);
	for (;;) {
		atomic_store(&t->blocked, 1);
		ssize_t n = at >= 0 && !f->pipe && !f->console ? pread(f->fd, buf, len, at)
							       : read(f->fd, buf, len);
		int err = errno;
		atomic_store(&t->blocked, 0);
		if (n >= 0)
			return n;
		if (err == EAGAIN && wait_ready(f->fd, POLLIN))
			continue;
		if (err != EINTR)
			return -err;
	}
}

int64_t io_write(struct file *f, const void *buf, size_t len, int64_t at)
{
	size_t done = 0;
	struct thread *t = thread_self();
	const char *p = buf;
	if (f->nowait)
		return pipe_write_now(f, buf, len);
	if (pipe_has_messages(f))
		return message_write(f, buf, (uint32_t)len);
	if (f->append && !f->pipe && !f->console)
		at = lseek(f->fd, 0, SEEK_END);
	while (done < len) {
		atomic_store(&t->blocked, 1);
		ssize_t n = at >= 0 && !f->pipe && !f->console
				? pwrite(f->fd, p + done, len - done, at + (int64_t)done)
				: write(f->fd, p + done, len - done);
		int err = errno;
		atomic_store(&t->blocked, 0);
		if (n >= 0)
			done += (size_t)n;
		else if (err == EAGAIN && wait_ready(f->fd, POLLOUT))
			continue;
		else if (err != EINTR)
			return done ? (int64_t)done : -err;
	}
	return (int64_t)done;
}

/* Move a file's pointer; nothing where there is none. */
void io_seek(struct file *f, int64_t at)
{
	if (!f->pipe && !f->console && !f->overlapped)
		lseek(f->fd, at, SEEK_SET);
}

int64_t io_end(struct file *f) { return f->pipe || f->console ? -1 : lseek(f->fd, 0, SEEK_END); }

static int64_t overlapped_at(const struct overlapped *o)
{
	return o ? (int64_t)((uint64_t)o->at_high << 32 | o->at_low) : -1;
}

static uint32_t transfer_end(struct file *f, struct overlapped *o, int64_t r, uint32_t *ret_n,
			     uint32_t end_error)
{
	uint32_t error = r == -EBADF ? ERROR_ACCESS_DENIED /* the handle is good */
			 : r < 0     ? error_of((int)-r)
			 : r == 0    ? end_error
				     : 0;
	if (ret_n)
		*ret_n = r > 0 ? (uint32_t)r : 0;
	if (o)
		overlapped_end(f, o,
			       error == ERROR_HANDLE_EOF ? STATUS_END_OF_FILE
			       : r < 0                   ? status_of((int)-r)
			       : error                   ? STATUS_PIPE_BROKEN
							 : STATUS_SUCCESS,
			       r > 0 ? (uint64_t)r : 0, true);
	return error ? fail(error) : 1;
}

/* Nothing at all is read of a pipe when there is something to read. */
static int64_t file_read(struct file *f, void *buf, uint32_t n, const struct overlapped *o,
			 bool *ret_more)
{
	if (f->folder)
		return -EINVAL;
	if (f->nowait)
		return pipe_read_now(f, buf, n, ret_more);
	if (pipe_has_messages(f))
		return message_read(f, buf, n, ret_more);
	if (f->pipe && !n)
		return pipe_await(f);
	int64_t r = io_read(f, buf, n, overlapped_at(o));
	if (o && r > 0)
		io_seek(f, overlapped_at(o) + r);
	return r;
}

API(uint32_t, k32_ReadFile, handle h, void *buf, uint32_t n, uint32_t *ret_n, struct overlapped *o)
{
	if (ret_n)
		*ret_n = 0;
	struct file *f = object_get(h, KIND_FILE);
	if (!f)
		return 0;
	uint32_t ok, listens = pipe_listens(f);
	if (listens) {
		ok = fail(listens);
	} else if (o && f->overlapped && (f->end || f->socket)) {
		ok = pipe_overlapped(f, buf, n, ret_n, o, false, 0);
	} else {
		bool more = false;
		int64_t r = file_read(f, buf, n, o, &more);
		uint32_t end = pipe_has_messages(f) && r == 0 ? 0
			       : f->pipe && (n || r < 0)      ? ERROR_BROKEN_PIPE
			       : n && o && !f->console        ? ERROR_HANDLE_EOF
							      : 0;
		r = f->pipe && (r == -EPIPE || r == -ECONNRESET) ? 0 : r;
		ok = transfer_end(f, o, r, ret_n, end);
		if (more && o)
			o->status = STATUS_BUFFER_OVERFLOW;
		if (more)
			ok = fail(ERROR_MORE_DATA);
	}
	object_unref(&f->o);
	return ok;
}

API(uint32_t, k32_WriteFile, handle h, const void *buf, uint32_t n, uint32_t *ret_n,
    struct overlapped *o)
{
	if (ret_n)
		*ret_n = 0;
	struct file *f = object_get(h, KIND_FILE);
	if (!f)
		return 0;
	uint32_t ok, listens = pipe_listens(f);
	if (listens) {
		ok = fail(listens);
	} else if (o && f->overlapped && (f->end || f->socket)) {
		ok = pipe_overlapped(f, (void *)(uintptr_t)buf, n, ret_n, o, true, 0);
	} else {
		int64_t r = io_write(f, buf, n, overlapped_at(o));
		if (o && r > 0)
			io_seek(f, overlapped_at(o) + r);
		ok = transfer_end(f, o, r, ret_n, 0);
	}
	object_unref(&f->o);
	return ok;
}

API(uint32_t, k32_FlushFileBuffers, handle h)
{
	struct file *f = object_get(h, KIND_FILE);
	if (!f)
		return 0;
	int r = f->pipe || f->console ? 0 : fsync(f->fd);
	uint32_t ok = r < 0 && errno != EINVAL && errno != EROFS ? fail_errno() : 1;
	object_unref(&f->o);
	return ok;
}

static int64_t file_seek(handle h, int64_t at, uint32_t from)
{
	static const int whence[] = {SEEK_SET, SEEK_CUR, SEEK_END};
	struct file *f = object_get(h, KIND_FILE);
	if (!f)
		return -1;
	int64_t r = from < 3 && !f->pipe ? lseek(f->fd, at, whence[from]) : (errno = EINVAL, -1);
	if (r < 0)
		last_error_set(errno == EINVAL && from < 3 && !f->pipe ? ERROR_NEGATIVE_SEEK
			       : f->pipe                               ? ERROR_INVALID_FUNCTION
								       : ERROR_INVALID_PARAMETER);
	object_unref(&f->o);
	return r;
}

API(uint32_t, k32_SetFilePointerEx, handle h, int64_t at, int64_t *ret, uint32_t from)
{
	int64_t r = file_seek(h, at, from);
	if (r < 0)
		return 0;
	if (ret)
		*ret = r;
	return 1;
}

API(uint32_t, k32_SetFilePointer, handle h, int32_t low, int32_t *high, uint32_t from)
{
	int64_t at = high ? (int64_t)((uint64_t)(uint32_t)*high << 32 | (uint32_t)low) : low;
	int64_t r = file_seek(h, at, from);
	if (r < 0)
		return UINT32_MAX;
	if (high)
		*high = (int32_t)(r >> 32);
	if ((uint32_t)r == UINT32_MAX)
		last_error_set(ERROR_SUCCESS);
	return (uint32_t)r;
}

API(uint32_t, k32_SetEndOfFile, handle h)
{
	struct file *f = object_get(h, KIND_FILE);
	if (!f)
		return 0;
	off_t at = lseek(f->fd, 0, SEEK_CUR);
	uint32_t ok = !wants_write(f->access)              ? fail(ERROR_ACCESS_DENIED)
		      : at < 0 || ftruncate(f->fd, at) < 0 ? fail_errno()
							   : 1;
	object_unref(&f->o);
	return ok;
}

API(uint32_t, k32_GetFileSizeEx, handle h, int64_t *ret)
{
	struct stat st;
	struct file *f = object_get(h, KIND_FILE);
	if (!f)
		return 0;
	uint32_t ok = fd_stat(f->fd, &st) < 0 ? fail_errno() : 1;
	if (ok && (f->pipe || f->console))
		ok = fail(ERROR_INVALID_FUNCTION);
	if (ok)
		*ret = st.st_size;
	object_unref(&f->o);
	return ok;
}

API(uint32_t, k32_GetFileSize, handle h, uint32_t *high)
{
	int64_t n;
	if (!k32_GetFileSizeEx(h, &n))
		return UINT32_MAX;
	if (high)
		*high = (uint32_t)(n >> 32);
	if ((uint32_t)n == UINT32_MAX)
		last_error_set(ERROR_SUCCESS);
	return (uint32_t)n;
}

API(uint32_t, k32_GetFileType, handle h)
{
	struct file *f = object_get(h, KIND_FILE);
	if (!f)
		return FILE_TYPE_UNKNOWN;
	uint32_t type = f->pipe ? FILE_TYPE_PIPE : f->type;
	object_unref(&f->o);
	last_error_set(ERROR_SUCCESS);
	return type;
}

/* ---- locks of parts: each is given back as it was taken ---- */

struct part {
	struct part *next;
	int64_t at, len;
};

static WIN_STATE pthread_mutex_t locking = PTHREAD_MUTEX_INITIALIZER; /* of all lists */

static void parts_free(struct part *p)
{
	while (p) {
		struct part *next = p->next;
		free(p);
		p = next;
	}
}

/* The part that was locked so is taken from the list; false: none was. */
static bool part_drop(struct file *f, int64_t at, int64_t len)
{
	struct part *gone = NULL;
	pthread_mutex_lock(&locking);
	for (struct part **p = &f->locked; *p && !gone; p = *p ? &(*p)->next : p)
		if ((*p)->at == at && (*p)->len == len) {
			gone = *p;
			*p = gone->next;
		}
	pthread_mutex_unlock(&locking);
	bool found = gone != NULL;
	free(gone);
	return found;
}

static uint32_t file_lock(handle h, int64_t at, int64_t len, short type, bool wait)
{
	struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = len};
	struct part *part = type == F_UNLCK ? NULL : malloc(sizeof *part);
	struct file *f = object_get(h, KIND_FILE);
	if (!f || (type != F_UNLCK && !part)) {
		object_unref(f ? &f->o : NULL);
		free(part);
		return f ? fail(ERROR_NOT_ENOUGH_MEMORY) : 0;
	}
	if (at < 0 || len < 0)
		l.l_start = l.l_len = 0; /* all of it */
	uint32_t error = type == F_UNLCK && !part_drop(f, at, len) ? ERROR_NOT_LOCKED : 0;
	if (!error && fcntl(f->fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &l) < 0)
		error = errno == EAGAIN || errno == EACCES ? ERROR_LOCK_VIOLATION : error_of(errno);
	if (part && !error) {
		pthread_mutex_lock(&locking);
		*part = (struct part){f->locked, at, len};
		f->locked = part;
		pthread_mutex_unlock(&locking);
	} else {
		free(part);
	}
	object_unref(&f->o);
	return error ? fail(error) : 1;
}

API(uint32_t, k32_LockFileEx, handle h, uint32_t flags, uint32_t reserved, uint32_t low,
    uint32_t high, const struct overlapped *o)
{
	(void)reserved;
	return file_lock(h, overlapped_at(o), (int64_t)((uint64_t)high << 32 | low),
			 flags & 2 ? F_WRLCK : F_RDLCK, !(flags & 1));
}

API(uint32_t, k32_UnlockFileEx, handle h, uint32_t reserved, uint32_t low, uint32_t high,
    const struct overlapped *o)
{
	(void)reserved;
	return file_lock(h, overlapped_at(o), (int64_t)((uint64_t)high << 32 | low), F_UNLCK,
			 false);
}

API(uint32_t, k32_LockFile, handle h, uint32_t at, uint32_t at_high, uint32_t n, uint32_t n_high)
{
	return file_lock(h, (int64_t)((uint64_t)at_high << 32 | at),
			 (int64_t)((uint64_t)n_high << 32 | n), F_WRLCK, false);
}

API(uint32_t, k32_UnlockFile, handle h, uint32_t at, uint32_t at_high, uint32_t n, uint32_t n_high)
{
	return file_lock(h, (int64_t)((uint64_t)at_high << 32 | at),
			 (int64_t)((uint64_t)n_high << 32 | n), F_UNLCK, false);
}

/* ---- completion ports' side of a file ---- */

API(uint32_t, k32_SetFileCompletionNotificationModes, handle h, uint8_t flags)
{
	struct file *f = object_get(h, KIND_FILE);
	if (!f)
		return 0;
	f->modes = flags;
	object_unref(&f->o);
	return 1;
}

void file_port_set(struct file *f, struct object *port, uint64_t key)
{
	object_unref(f->port);
	object_ref(port);
	f->port = port;
	f->port_key = key;
}
