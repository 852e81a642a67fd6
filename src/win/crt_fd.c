/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors of the C runtime: handles with a mode, text or binary. In text, a line ends with \r\n
 * in the file and with \n in the program. */
#include "win/crt.h"
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

enum {
	O_WIN_APPEND = 8,
	O_WIN_CREAT = 0x100,
	O_WIN_TRUNC = 0x200,
	O_WIN_EXCL = 0x400,
	O_WIN_TEXT = 0x4000,
	O_WIN_BINARY = 0x8000,
	O_WIN_TEMPORARY = 0x40,
	O_WIN_NOINHERIT = 0x80,
	CTRL_Z = 26
};
struct crt_fd {
	handle h; /* 0: not open */
	bool text, append, eof;
	int pushed; /* a byte that was read too many, + 1 */
};
static WIN_STATE struct {
	pthread_mutex_t lock;
	struct crt_fd all[CRT_FDS];
	bool begun;
} fds = {.lock = PTHREAD_MUTEX_INITIALIZER};
WIN_STATE uint32_t crt_fmode;

static void begin(void)
{
	for (int fd = 0; !fds.begun && fd < 3; fd++)
		fds.all[fd] = (struct crt_fd){.h = std_handle(fd), .text = true};
	fds.begun = true;
}

static struct crt_fd *fd_at(int fd)
{
	if (!fds.begun) {
		pthread_mutex_lock(&fds.lock);
		begin();
		pthread_mutex_unlock(&fds.lock);
	}
	if (fd < 0 || fd >= CRT_FDS || !fds.all[fd].h) {
		crt_fail(EBADF);
		return NULL;
	}
	return &fds.all[fd];
}

bool fd_text(int fd)
{
	const struct crt_fd *f = fd_at(fd);
	return f && f->text;
}

handle fd_handle(int fd)
{
	const struct crt_fd *f = fd_at(fd);
	return f ? f->h : HANDLE_BAD;
}

bool fd_terminal(int fd)
{
	struct stat st;
	const struct crt_fd *f = fd_at(fd);
	struct file *file = f ? object_get(f->h, KIND_FILE) : NULL;
	bool is = file && fstat(file->fd, &st) == 0 && S_ISCHR(st.st_mode);
	object_unref(file ? &file->o : NULL);
	return is;
}

int fd_of_handle(handle h, int flags)
{
	pthread_mutex_lock(&fds.lock);
	begin();
	int fd = 0;
	while (fd < CRT_FDS && fds.all[fd].h)
		fd++;
	bool text = flags & O_WIN_TEXT     ? true
		    : flags & O_WIN_BINARY ? false
					   : !(crt_fmode & O_WIN_BINARY);
	if (fd < CRT_FDS)
		fds.all[fd] = (struct crt_fd){.h = h, .text = text, .append = flags & O_WIN_APPEND};
	pthread_mutex_unlock(&fds.lock);
	return fd < CRT_FDS ? fd : crt_fail(EMFILE);
}

int fd_open(const char *path, int flags, int mode)
{
	static const uint32_t access[] = {GENERIC_READ, GENERIC_WRITE, GENERIC_READ | GENERIC_WRITE,
					  0};
	uint32_t how = flags & O_WIN_CREAT   ? flags & O_WIN_EXCL    ? CREATE_NEW
					       : flags & O_WIN_TRUNC ? CREATE_ALWAYS
								     : OPEN_ALWAYS
		       : flags & O_WIN_TRUNC ? TRUNCATE_EXISTING
					     : OPEN_EXISTING;
	uint32_t extra = flags & O_WIN_TEMPORARY ? FILE_FLAG_DELETE_ON_CLOSE : 0;
	(void)mode;
	handle h = io_open(path, access[flags & 3], 3, how, extra, !(flags & O_WIN_NOINHERIT));
	return h == HANDLE_BAD ? crt_fail_win() : fd_of_handle(h, flags);
}

int fd_close(int fd)
{
	struct crt_fd *f = fd_at(fd);
	if (!f)
		return -1;
	handle h = f->h;
	f->h = 0;
	object_close(h);
	return 0;
}

/* ---- bytes ---- */

static int64_t raw_read(struct crt_fd *f, void *buf, size_t n)
{
	struct file *file = object_get(f->h, KIND_FILE);
	if (!file)
		return crt_fail(EBADF);
	int64_t r = io_read(file, buf, n, -1);
	object_unref(&file->o);
	r = r == -EPIPE ? 0 : r == -ENODATA ? -EPIPE : r; /* as it takes errors of Win32 */
	return r < 0 ? crt_fail((int)-r) : r;
}

/* \r\n becomes \n; a lone \r stays; Ctrl-Z is the end. */
static int64_t text_read(struct crt_fd *f, char *buf, size_t n)
{
	for (;;) {
		size_t have = 0, out = 0;
		if (f->pushed) {
			buf[have++] = (char)(f->pushed - 1);
			f->pushed = 0;
		}
		int64_t r = have < n ? raw_read(f, buf + have, n - have) : 0;
		if (r < 0)
			return r;
		have += (size_t)r;
		for (size_t i = 0; i < have; i++) {
			char next = i + 1 < have ? buf[i + 1] : 0;
			if (buf[i] == '\r' && i + 1 == have) {
				int64_t more = raw_read(f, &next, 1);
				if (more == 1 && next != '\n')
					f->pushed = (uint8_t)next + 1;
				buf[out++] = more == 1 && next == '\n' ? '\n' : '\r';
			} else if (buf[i] == '\r' && next == '\n') {
				continue;
			} else if (buf[i] == CTRL_Z) {
				f->eof = true;
				return (int64_t)out;
			} else {
				buf[out++] = buf[i];
			}
		}
		if (out || !have)
			return (int64_t)out;
	}
}

int64_t fd_read(int fd, void *buf, size_t n)
{
	struct crt_fd *f = fd_at(fd);
	if (!f)
		return -1;
	if (f->eof || n == 0)
		return 0;
	return f->text ? text_read(f, buf, n) : raw_read(f, buf, n);
}

static int64_t raw_write(struct crt_fd *f, const void *buf, size_t n)
{
	struct file *file = object_get(f->h, KIND_FILE);
	if (!file)
		return crt_fail(EBADF);
	if (f->append && !file->pipe && !file->console)
		lseek(file->fd, 0, SEEK_END);
	int64_t r = io_write(file, buf, n, -1);
	object_unref(&file->o);
	return r < 0 ? crt_fail((int)-r) : r;
}

int64_t fd_write(int fd, const void *buf, size_t n)
{
	struct crt_fd *f = fd_at(fd);
	const char *p = buf;
	char out[8192];
	if (!f)
		return -1;
	if (!f->text)
		return raw_write(f, buf, n);
	for (size_t i = 0; i < n;) {
		size_t k = 0;
		for (; i < n && k + 2 <= sizeof out; i++) {
			if (p[i] == '\n')
				out[k++] = '\r';
			out[k++] = p[i];
		}
		if (raw_write(f, out, k) != (int64_t)k)
			return -1;
	}
	return (int64_t)n;
}

int64_t fd_seek(int fd, int64_t at, int whence)
{
	struct crt_fd *f = fd_at(fd);
	struct file *file = f ? object_get(f->h, KIND_FILE) : NULL;
	if (!file)
		return -1;
	f->eof = false;
	f->pushed = 0;
	int64_t r = lseek(file->fd, at, whence);
	int err = errno;
	object_unref(&file->o);
	return r < 0 ? crt_fail(err) : r;
}

/* ---- functions ---- */

API(int, crt__open, const char *path, int flags, ...) { return fd_open(path, flags, 0); }
API(int, crt__wopen, const wide *path, int flags, ...)
{
	autofree char *p = text_from(path, SIZE_MAX);
	return p ? fd_open(p, flags, 0) : crt_fail(ENOMEM);
}
API(int, crt__sopen, const char *path, int flags, int share, ...)
{
	(void)share;
	return fd_open(path, flags, 0);
}
API(int, crt__wsopen, const wide *path, int flags, int share, ...)
{
	(void)share;
	return crt__wopen(path, flags);
}
API(int, crt__close, int fd) { return fd_close(fd); }
API(int, crt__read, int fd, void *buf, unsigned n) { return (int)fd_read(fd, buf, n); }
API(int, crt__write, int fd, const void *buf, unsigned n) { return (int)fd_write(fd, buf, n); }
API(int, crt__isatty, int fd) { return fd_terminal(fd) ? 64 : 0; }
API(int64_t, crt__lseeki64, int fd, int64_t at, int whence) { return fd_seek(fd, at, whence); }
API(int, crt__lseek, int fd, int at, int whence) { return (int)fd_seek(fd, at, whence); }
API(int64_t, crt__telli64, int fd) { return fd_seek(fd, 0, SEEK_CUR); }
API(int, crt__tell, int fd) { return (int)fd_seek(fd, 0, SEEK_CUR); }
API(uint64_t, crt__get_osfhandle, int fd) { return fd_handle(fd); }
API(int, crt__open_osfhandle, handle h, int flags) { return fd_of_handle(h, flags); }

API(int, crt__setmode, int fd, int mode)
{
	struct crt_fd *f = fd_at(fd);
	if (!f)
		return -1;
	int old = f->text ? O_WIN_TEXT : O_WIN_BINARY;
	f->text = mode & O_WIN_TEXT;
	return old;
}

API(int, crt__dup, int fd)
{
	struct crt_fd *f = fd_at(fd);
	struct object *o = f ? object_get(f->h, KIND_FILE) : NULL;
	handle h = o ? object_handle(o, true) : 0;
	return h ? fd_of_handle(h, f->text ? O_WIN_TEXT : O_WIN_BINARY) : -1;
}

int fd_copy(int fd, int to)
{
	struct crt_fd *f = fd_at(fd);
	struct object *o = f && to >= 0 && to < CRT_FDS ? object_get(f->h, KIND_FILE) : NULL;
	handle h = o ? object_handle(o, true) : 0;
	if (!h)
		return -1;
	if (fds.all[to].h)
		object_close(fds.all[to].h);
	fds.all[to] = *f;
	fds.all[to].h = h;
	return 0;
}
API(int, crt__dup2, int fd, int to) { return fd_copy(fd, to); }

API(int64_t, crt__filelengthi64, int fd)
{
	struct stat st;
	struct crt_fd *f = fd_at(fd);
	struct file *file = f ? object_get(f->h, KIND_FILE) : NULL;
	int64_t n = file && fstat(file->fd, &st) == 0 ? st.st_size : -1;
	object_unref(file ? &file->o : NULL);
	return n;
}
API(int, crt__filelength, int fd) { return (int)crt__filelengthi64(fd); }

/* 0, or errno of the guest. */
API(int, crt__chsize_s, int fd, int64_t n)
{
	struct crt_fd *f = fd_at(fd);
	struct file *file = f ? object_get(f->h, KIND_FILE) : NULL;
	int r = file ? ftruncate(file->fd, n) : -1;
	int err = file ? errno : EBADF;
	object_unref(file ? &file->o : NULL);
	if (r == 0)
		return 0;
	(void)crt_fail(err);
	return crt_errno_of(err);
}

API(int, crt__chsize, int fd, int n) { return crt__chsize_s(fd, n) ? -1 : 0; }

API(int, crt__commit, int fd)
{
	struct crt_fd *f = fd_at(fd);
	struct file *file = f ? object_get(f->h, KIND_FILE) : NULL;
	if (file)
		(void)!fsync(file->fd);
	object_unref(file ? &file->o : NULL);
	return file ? 0 : -1;
}

API(int, crt__eof, int fd)
{
	int64_t at = fd_seek(fd, 0, SEEK_CUR), n = crt__filelengthi64(fd);
	return at < 0 ? -1 : at >= n;
}
API(int, crt__locking, int fd, int mode, int n)
{
	(void)mode;
	(void)n;
	return fd_at(fd) ? 0 : -1;
}
API(int, crt__pipe, int *fd, unsigned size, int mode)
{
	int p[2];
	(void)size;
	if (pipe2(p, O_CLOEXEC) < 0)
		return crt_fail(errno);
	fd[0] = fd_of_handle(file_handle(p[0], GENERIC_READ, NULL, true), mode);
	fd[1] = fd_of_handle(file_handle(p[1], GENERIC_WRITE, NULL, true), mode);
	return 0;
}
