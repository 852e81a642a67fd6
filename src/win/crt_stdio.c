/* SPDX-License-Identifier: Apache-2.0 */
/* Streams of the C runtime. What the guest calls a FILE is an entry of an array, as in msvcrt,
 * whose contents are of no use to it; the stream of the same number is ours. */
#include "win/crt.h"
#include <stdio.h>
#include <sys/stat.h>

enum { FILE_SIZE = 48, BUFFER = 4096, BUFFER_OUT = 16384 };
enum { MODE_FULL = 0, MODE_LINE = 0x40, MODE_NONE = 4 };
struct stream {
	pthread_mutex_t lock; /* recursive */
	int fd;               /* -1: free */
	bool read, write, eof, error, owned, looked, unbuffered;
	char *buf;
	size_t cap, pos, len; /* reading: pos of len; writing: len */
	bool writing;
	int unread[4], nunread;
	char *temporary; /* host path, removed at the end; owned */
};
uint8_t iob[CRT_FDS][FILE_SIZE]; /* msvcrt exports it */
static WIN_STATE struct {
	pthread_mutex_t lock;
	struct stream *all[CRT_FDS];
} streams = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct stream *stream_new(size_t i)
{
	pthread_mutexattr_t a;
	struct stream *s = calloc(1, sizeof *s);
	if (!s)
		process_die(LODGE_EXIT_LODGE, "no memory for the guest");
	pthread_mutexattr_init(&a);
	pthread_mutexattr_settype(&a, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&s->lock, &a);
	s->fd = i < 3 ? (int)i : -1;
	s->read = i == 0;
	s->write = i == 1 || i == 2;
	streams.all[i] = s;
	return s;
}

/* The stream of a FILE, locked; NULL: it is none. */
static struct stream *stream_lock(const void *file)
{
	size_t off = (size_t)((const uint8_t *)file - iob[0]), i = off / FILE_SIZE;
	if (off >= sizeof iob)
		return NULL;
	struct stream *s = streams.all[i];
	if (!s) {
		pthread_mutex_lock(&streams.lock);
		s = streams.all[i] ? streams.all[i] : stream_new(i);
		pthread_mutex_unlock(&streams.lock);
	}
	pthread_mutex_lock(&s->lock);
	if (s->fd < 0) {
		pthread_mutex_unlock(&s->lock);
		crt_fail(EBADF);
		return NULL;
	}
	return s;
}

static void stream_unlock(struct stream *s) { pthread_mutex_unlock(&s->lock); }

/* ---- buffers ---- */

static bool stream_flush(struct stream *s)
{
	bool ok = true;
	if (s->writing && s->len) {
		ok = fd_write(s->fd, s->buf, s->len) == (int64_t)s->len;
		s->error |= !ok;
	}
	s->len = s->pos = 0;
	s->writing = false;
	return ok;
}

static bool buffer_look(struct stream *s)
{
	if (!s->looked) {
		s->unbuffered |= s->write && !s->read && (s->fd == 2 || fd_terminal(s->fd));
		s->looked = true;
	}
	if (!s->buf) {
		s->cap = BUFFER_OUT;
		s->buf = malloc(s->cap);
		s->owned = true;
	}
	return s->buf != NULL;
}

static size_t stream_write(struct stream *s, const void *p, size_t n)
{
	if (!s->write || !buffer_look(s)) {
		s->error = true;
		crt_fail(EBADF);
		return 0;
	}
	if (!s->writing) { /* what was read ahead is not read */
		if (s->len > s->pos)
			fd_seek(s->fd, (int64_t)s->pos - (int64_t)s->len, SEEK_CUR);
		s->pos = s->len = 0;
		s->nunread = 0;
		s->writing = true;
	}
	if (n >= s->cap - s->len) {
		if (!stream_flush(s))
			return 0;
		s->writing = true;
		if (n >= s->cap) {
			bool ok = fd_write(s->fd, p, n) == (int64_t)n;
			s->error |= !ok;
			return ok ? n : 0;
		}
	}
	memcpy(s->buf + s->len, p, n);
	s->len += n;
	return n;
}

/* An unbuffered stream writes when a call is over, not each character of it. */
static void call_over(struct stream *s)
{
	if (s->unbuffered && s->writing && s->len) {
		(void)stream_flush(s);
		s->writing = true;
	}
}

static bool stream_fill(struct stream *s)
{
	if (!s->read || !buffer_look(s)) {
		s->error = true;
		crt_fail(EBADF);
		return false;
	}
	if (s->writing)
		(void)stream_flush(s);
	int64_t n = fd_read(s->fd, s->buf, s->cap);
	s->pos = 0;
	s->len = n > 0 ? (size_t)n : 0;
	s->error |= n < 0;
	s->eof |= n == 0;
	return n > 0;
}

static int stream_getc(struct stream *s)
{
	if (s->nunread)
		return s->unread[--s->nunread];
	if (s->writing || s->pos == s->len)
		if (!stream_fill(s))
			return -1;
	return (uint8_t)s->buf[s->pos++];
}

static size_t stream_read(struct stream *s, char *p, size_t n)
{
	size_t got = 0;
	while (got < n && s->nunread)
		p[got++] = (char)s->unread[--s->nunread];
	while (got < n) {
		if ((s->writing || s->pos == s->len) && n - got >= BUFFER && s->read) {
			if (s->writing)
				(void)stream_flush(s);
			int64_t r = fd_read(s->fd, p + got, n - got);
			s->error |= r < 0;
			s->eof |= r == 0;
			s->pos = s->len = 0;
			if (r <= 0)
				break;
			got += (size_t)r;
			continue;
		}
		if ((s->writing || s->pos == s->len) && !stream_fill(s))
			break;
		size_t k = min_u64(n - got, s->len - s->pos);
		memcpy(p + got, s->buf + s->pos, k);
		s->pos += k;
		got += k;
	}
	return got;
}

/* ---- opening and closing ---- */

static uint8_t *file_of_fd(int fd, bool read, bool write)
{
	pthread_mutex_lock(&streams.lock);
	size_t i = 3;
	while (i < CRT_FDS && streams.all[i] && streams.all[i]->fd >= 0)
		i++;
	struct stream *s = i == CRT_FDS ? NULL : streams.all[i] ? streams.all[i] : stream_new(i);
	if (s) {
		s->fd = fd;
		s->read = read;
		s->write = write;
		s->eof = s->error = s->looked = s->unbuffered = s->writing = false;
		s->pos = s->len = 0;
		s->nunread = 0;
	}
	pthread_mutex_unlock(&streams.lock);
	if (!s)
		crt_fail(EMFILE);
	return s ? iob[i] : NULL;
}

struct mode {
	bool read, write;
	int flags;
};

static bool mode_read(struct mode *m, const char *s)
{
	enum { CREAT = 0x100, TRUNC = 0x200, EXCL = 0x400, APPEND = 8 };
	bool plus = strchr(s, '+') != NULL;
	s += strspn(s, " ");
	m->read = *s == 'r' || plus;
	m->write = *s == 'w' || *s == 'a' || plus;
	m->flags = plus ? 2 : m->write ? 1 : 0;
	m->flags |= *s == 'w' ? CREAT | TRUNC : *s == 'a' ? CREAT | APPEND : 0;
	m->flags |= strchr(s, 'x') ? EXCL : 0;
	const char *kind = strpbrk(s, "bt");
	m->flags |= strchr(s, 'b') ? 0x8000 : kind ? 0x4000 : 0;
	m->flags |= strchr(s, 'D') ? 0x40 : 0;
	m->flags |= strchr(s, 'N') ? 0x80 : 0;
	return *s == 'r' || *s == 'w' || *s == 'a';
}

static void *file_open_mode(const char *path, const char *mode)
{
	struct mode m;
	if (!mode_read(&m, mode)) {
		crt_fail(EINVAL);
		return NULL;
	}
	int fd = fd_open(path, m.flags, 0);
	if (fd < 0)
		return NULL;
	if (m.flags & 8)
		fd_seek(fd, 0, SEEK_END);
	void *f = file_of_fd(fd, m.read, m.write);
	if (!f)
		fd_close(fd);
	return f;
}

static int stream_close(struct stream *s)
{
	bool ok = stream_flush(s);
	if (s->owned)
		free(s->buf);
	s->buf = NULL;
	s->owned = false;
	ok &= fd_close(s->fd) == 0;
	s->fd = -1;
	if (s->temporary)
		unlink(s->temporary);
	free(s->temporary);
	s->temporary = NULL;
	return ok ? 0 : -1;
}

void crt_flush(void)
{
	for (size_t i = 0; i < CRT_FDS; i++) {
		struct stream *s = streams.all[i];
		if (s && s->fd >= 0 && s->writing && pthread_mutex_trylock(&s->lock) == 0) {
			(void)stream_flush(s);
			pthread_mutex_unlock(&s->lock);
		}
	}
}

/* ---- functions ---- */

API(void *, crt___iob_func, void) { return iob; }
API(void *, crt___acrt_iob_func, unsigned i) { return i < CRT_FDS ? iob[i] : NULL; }
API(void *, crt_fopen, const char *path, const char *mode) { return file_open_mode(path, mode); }
API(void *, crt__wfopen, const wide *path, const wide *mode)
{
	autofree char *p = text_from(path, SIZE_MAX), *m = text_from(mode, SIZE_MAX);
	return p && m ? file_open_mode(p, m) : NULL;
}
API(int, crt_fopen_s, void **ret, const char *path, const char *mode)
{
	*ret = file_open_mode(path, mode);
	return *ret ? 0 : crt_self()->err;
}
API(int, crt__wfopen_s, void **ret, const wide *path, const wide *mode)
{
	*ret = crt__wfopen(path, mode);
	return *ret ? 0 : crt_self()->err;
}
API(void *, crt__fsopen, const char *path, const char *mode, int share)
{
	(void)share;
	return file_open_mode(path, mode);
}
API(void *, crt__wfsopen, const wide *path, const wide *mode, int share)
{
	(void)share;
	return crt__wfopen(path, mode);
}
API(void *, crt__fdopen, int fd, const char *mode)
{
	struct mode m;
	return mode_read(&m, mode) ? file_of_fd(fd, m.read, m.write) : NULL;
}

API(void *, crt__wfdopen, int fd, const wide *mode)
{
	autofree char *m = text_from(mode, SIZE_MAX);
	return m ? crt__fdopen(fd, m) : NULL;
}
API(int, crt_fclose, void *file)
{
	struct stream *s = stream_lock(file);
	if (!s)
		return -1;
	int r = stream_close(s);
	stream_unlock(s);
	return r;
}

/* The same FILE on another file. */
API(void *, crt_freopen, const char *path, const char *mode, void *file)
{
	struct mode m;
	struct stream *s = stream_lock(file);
	if (!s || !path || !mode_read(&m, mode))
		return NULL;
	int fd = fd_open(path, m.flags, 0), old = s->fd;
	bool ok = fd >= 0;
	if (ok) {
		(void)stream_flush(s);
		if (fd_copy(fd, old) == 0)
			fd_close(fd);
		s->read = m.read;
		s->write = m.write;
		s->eof = s->error = s->looked = s->unbuffered = false;
	}
	stream_unlock(s);
	return ok ? file : NULL;
}

API(void *, crt_tmpfile, void)
{
	char path[64];
	for (int i = 0; i < 100; i++) {
		uint32_t n;
		host_random(&n, sizeof n);
		snprintf(path, sizeof path, "C:\\Temp\\t%08x.tmp", n);
		void *f = file_open_mode(path, "w+xbD");
		if (f)
			return f;
	}
	return NULL;
}

API(int, crt_fflush, void *file)
{
	if (!file) {
		crt_flush();
		return 0;
	}
	struct stream *s = stream_lock(file);
	if (!s)
		return -1;
	bool ok = !s->writing || stream_flush(s);
	stream_unlock(s);
	return ok ? 0 : -1;
}

API(size_t, crt_fwrite, const void *p, size_t size, size_t n, void *file)
{
	struct stream *s = stream_lock(file);
	size_t bytes, done = 0;
	if (!s)
		return 0;
	if (size && !__builtin_mul_overflow(size, n, &bytes))
		done = stream_write(s, p, bytes);
	call_over(s);
	stream_unlock(s);
	return size ? done / size : 0;
}

API(size_t, crt_fread, void *p, size_t size, size_t n, void *file)
{
	struct stream *s = stream_lock(file);
	size_t bytes, done = 0;
	if (!s)
		return 0;
	if (size && !__builtin_mul_overflow(size, n, &bytes))
		done = stream_read(s, p, bytes);
	stream_unlock(s);
	return size ? done / size : 0;
}

API(int, crt_fputc, int c, void *file)
{
	const char t = (char)c;
	return crt_fwrite(&t, 1, 1, file) == 1 ? (uint8_t)c : -1;
}
API(int, crt_putc, int c, void *file) { return crt_fputc(c, file); }
API(int, crt_putchar, int c) { return crt_fputc(c, iob[1]); }
API(int, crt_fputs, const char *t, void *file)
{
	size_t n = strlen(t);
	return crt_fwrite(t, 1, n, file) == n ? 0 : -1;
}
API(int, crt_puts, const char *t)
{
	struct stream *s = stream_lock(iob[1]);
	if (!s)
		return -1;
	bool ok = stream_write(s, t, strlen(t)) == strlen(t) && stream_write(s, "\n", 1) == 1;
	call_over(s);
	stream_unlock(s);
	return ok ? 0 : -1;
}
API(int, crt_fputwc, wide c, void *file)
{
	char t[8];
	size_t n = utf8_put(&c, 1, t, sizeof t, NULL);
	return crt_fwrite(t, 1, n, file) == n ? c : 0xffff;
}
API(int, crt_putwc, wide c, void *file) { return crt_fputwc(c, file); }
API(int, crt_fputws, const wide *t, void *file)
{
	autofree char *p = text_from(t, SIZE_MAX);
	return p ? crt_fputs(p, file) : -1;
}
API(int, crt_fgetc, void *file)
{
	struct stream *s = stream_lock(file);
	if (!s)
		return -1;
	int c = stream_getc(s);
	stream_unlock(s);
	return c;
}
API(int, crt_getc, void *file) { return crt_fgetc(file); }
API(int, crt_getchar, void) { return crt_fgetc(iob[0]); }
API(int, crt_ungetc, int c, void *file)
{
	struct stream *s = c == -1 ? NULL : stream_lock(file);
	if (!s)
		return -1;
	bool fits = s->nunread < 4;
	if (fits) {
		s->unread[s->nunread++] = (uint8_t)c;
		s->eof = false;
	}
	stream_unlock(s);
	return fits ? (uint8_t)c : -1;
}
API(char *, crt_fgets, char *buf, int n, void *file)
{
	int got = 0, c = 0;
	struct stream *s = stream_lock(file);
	if (!s)
		return NULL;
	while (got + 1 < n && c != '\n' && (c = stream_getc(s)) >= 0)
		buf[got++] = (char)c;
	stream_unlock(s);
	if (n > 0)
		buf[got] = 0;
	return got ? buf : NULL;
}
API(wide *, crt_fgetws, wide *buf, int n, void *file)
{
	autofree char *t = n > 0 ? malloc((size_t)n) : NULL;
	if (!t || !crt_fgets(t, n, file))
		return NULL;
	buf[utf16_put(t, strlen(t), buf, (size_t)n - 1, NULL)] = 0;
	return buf;
}
API(int, crt_getwc, void *file)
{
	char t[4];
	int c = crt_fgetc(file), n = 1;
	wide w[2];
	if (c < 0)
		return 0xffff;
	t[0] = (char)c;
	for (int more = c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0; more > 0; more--)
		if ((c = crt_fgetc(file)) >= 0)
			t[n++] = (char)c;
	utf16_put(t, (size_t)n, w, 2, NULL);
	return w[0];
}
API(int, crt_fgetwc, void *file) { return crt_getwc(file); }
API(int, crt_ungetwc, int c, void *file) { return c < 0x80 ? crt_ungetc(c, file) : 0xffff; }

API(int, crt_feof, void *file)
{
	struct stream *s = stream_lock(file);
	int r = s && s->eof;
	if (s)
		stream_unlock(s);
	return r;
}
API(int, crt_ferror, void *file)
{
	struct stream *s = stream_lock(file);
	int r = s && s->error;
	if (s)
		stream_unlock(s);
	return r;
}
API(void, crt_clearerr, void *file)
{
	struct stream *s = stream_lock(file);
	if (!s)
		return;
	s->eof = s->error = false;
	stream_unlock(s);
}
API(int, crt__fileno, void *file)
{
	struct stream *s = stream_lock(file);
	int fd = s ? s->fd : -1;
	if (s)
		stream_unlock(s);
	return fd;
}

/* Where the next byte is; in text, what has been read ahead cannot be told to the byte. */
static int64_t stream_tell(struct stream *s)
{
	int64_t at = fd_seek(s->fd, 0, SEEK_CUR);
	if (at < 0)
		return -1;
	if (s->writing) {
		at += (int64_t)s->len;
		for (size_t i = 0; fd_text(s->fd) && i < s->len; i++)
			at += s->buf[i] == '\n';
		return at;
	}
	at -= (int64_t)(s->len - s->pos) + s->nunread;
	for (size_t i = s->pos; fd_text(s->fd) && i < s->len; i++)
		at -= s->buf[i] == '\n';
	return at;
}

API(int64_t, crt__ftelli64, void *file)
{
	struct stream *s = stream_lock(file);
	if (!s)
		return -1;
	int64_t at = stream_tell(s);
	stream_unlock(s);
	return at;
}
API(int, crt_ftell, void *file) { return (int)crt__ftelli64(file); }
API(int, crt__fseeki64, void *file, int64_t at, int whence)
{
	struct stream *s = stream_lock(file);
	if (!s)
		return -1;
	if (whence == SEEK_CUR) {
		at += stream_tell(s);
		whence = SEEK_SET;
	}
	(void)stream_flush(s);
	s->nunread = 0;
	s->eof = false;
	int64_t r = fd_seek(s->fd, at, whence);
	stream_unlock(s);
	return r < 0 ? -1 : 0;
}
API(int, crt_fseek, void *file, int at, int whence) { return crt__fseeki64(file, at, whence); }
API(void, crt_rewind, void *file)
{
	crt__fseeki64(file, 0, SEEK_SET);
	crt_clearerr(file);
}
API(int, crt_fgetpos, void *file, int64_t *ret)
{
	*ret = crt__ftelli64(file);
	return *ret < 0 ? -1 : 0;
}
API(int, crt_fsetpos, void *file, const int64_t *at) { return crt__fseeki64(file, *at, SEEK_SET); }
API(int, crt_setvbuf, void *file, char *buf, int mode, size_t n)
{
	struct stream *s = stream_lock(file);
	(void)buf; /* ours is as good */
	(void)n;
	if (!s)
		return -1;
	(void)stream_flush(s);
	s->looked = true;
	s->unbuffered = mode == MODE_NONE;
	stream_unlock(s);
	return 0;
}
API(void, crt_setbuf, void *file, char *buf)
{
	crt_setvbuf(file, buf, buf ? MODE_FULL : MODE_NONE, 512);
}
API(void, crt__lock_file, void *file) { (void)stream_lock(file); }
API(void, crt__unlock_file, void *file)
{
	struct stream *s = stream_lock(file);
	if (!s)
		return;
	stream_unlock(s);
	stream_unlock(s);
}
API(int, crt__flushall, void)
{
	crt_flush();
	return 3;
}
API(int, crt__fcloseall, void)
{
	crt_flush();
	return 0;
}

/* ---- printf and its kind ---- */

struct stream_sink {
	struct format_sink s;
	struct stream *to;
};

static bool stream_put(struct format_sink *f, const void *t, size_t n)
{
	struct stream *s = ((struct stream_sink *)(void *)f)->to;
	return stream_write(s, t, n) == n;
}

static int stream_format(void *file, unsigned flags, const void *format, __builtin_ms_va_list ap)
{
	struct stream_sink to = {{stream_put, false, 0}, stream_lock(file)};
	if (!to.to)
		return -1;
	int64_t n = format_run(&to.s, flags, format, ap);
	call_over(to.to);
	stream_unlock(to.to);
	return (int)n;
}

API(int, crt_vfprintf, void *file, const char *format, __builtin_ms_va_list ap)
{
	return stream_format(file, FORMAT_MSVCRT, format, ap);
}
API_VARIADIC(int, crt_fprintf, (void *file, const char *format, ...), format,
	     crt_vfprintf(file, format, ap))
API(int, crt_vprintf, const char *format, __builtin_ms_va_list ap)
{
	return stream_format(iob[1], FORMAT_MSVCRT, format, ap);
}
API_VARIADIC(int, crt_printf, (const char *format, ...), format, crt_vprintf(format, ap))
API(int, crt_vfwprintf, void *file, const wide *format, __builtin_ms_va_list ap)
{
	return stream_format(file, FORMAT_MSVCRT | FORMAT_WIDE, format, ap);
}
API_VARIADIC(int, crt_fwprintf, (void *file, const wide *format, ...), format,
	     crt_vfwprintf(file, format, ap))
API_VARIADIC(int, crt_wprintf, (const wide *format, ...), format, crt_vfwprintf(iob[1], format, ap))
API(int, crt___stdio_common_vfprintf, uint64_t options, void *file, const char *format,
    void *locale, __builtin_ms_va_list ap)
{
	(void)options;
	(void)locale;
	return stream_format(file, FORMAT_UCRT, format, ap);
}
API(int, crt___stdio_common_vfwprintf, uint64_t options, void *file, const wide *format,
    void *locale, __builtin_ms_va_list ap)
{
	(void)options;
	(void)locale;
	return stream_format(file, FORMAT_UCRT | FORMAT_WIDE, format, ap);
}
API(void, crt_perror, const char *what)
{
	const char *t = crt_error_text(crt_self()->err);
	crt_fputs(what && *what ? what : "", iob[2]);
	crt_fputs(what && *what ? ": " : "", iob[2]);
	crt_fputs(t, iob[2]);
	crt_fputs("\n", iob[2]);
}
