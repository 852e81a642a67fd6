/* SPDX-License-Identifier: Apache-2.0 */
/* The descriptors of a program that stands still. Files are kept by path and position, small ones
 * without a path whole; pipes, eventfd, timerfd, signalfd and epoll whole, too. What cannot be kept
 * is named. proc_pid_fdinfo(5) */
#include "level/process/saved.h"
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { TYPE_FILE = 0 }; /* kcmp(2) */
enum { PIPE_MAX = 1 << 20, NAMELESS_MAX = 4 << 20, NAMELESS_FILES = 16 };

struct info {
	int fd;
	struct stat st;
	char link[PATH_MAX];
	char text[16384]; /* fdinfo */
};

/* The number behind @key in fdinfo; @base of strtoull. */
static uint64_t info_number(const struct info *f, const char *key, int base)
{
	const char *at = strstr(f->text, key);
	return at ? strtoull(at + strlen(key), NULL, base) : 0;
}

/* Like "it_value: (1, 500)", in nanoseconds. */
static uint64_t info_time(const struct info *f, const char *key)
{
	unsigned long long s = 0, ns = 0;
	const char *at = strstr(f->text, key);
	if (at && sscanf(at + strlen(key), "(%llu, %llu)", &s, &ns) == 2)
		return s * 1000000000 + ns;
	return 0;
}

static bool info_read(struct info *f, int fd)
{
	char path[64];
	f->fd = fd;
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(path, f->link, sizeof f->link - 1);
	if (n < 0 || fstat(fd, &f->st) < 0)
		return false;
	f->link[n] = 0;
	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
	autoclose int in = open(path, O_RDONLY | O_CLOEXEC);
	n = in < 0 ? -1 : read(in, f->text, sizeof f->text - 1);
	if (n < 0)
		return false;
	f->text[n] = 0;
	return true;
}

static int refuse(const struct info *f, const char *what, struct lodge_err *e)
{
	return err_set(e, EOPNOTSUPP, "descriptor %d is %s (%.200s), which cannot be saved", f->fd,
		       what, f->link);
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* An earlier descriptor of the same open file; -1: none. */
static int same_find(const struct gather *g, const struct info *f)
{
	struct stat st;
	for (size_t i = 0; i < g->files.n; i += FILE_WORDS) {
		const uint64_t *w = &g->files.v[i];
		int fd = (int)w[FILE_FD];
		if (w[FILE_KIND] == KIND_SAME || w[FILE_KIND] == KIND_LOCK || fstat(fd, &st) < 0 ||
		    !is_same_file(&st, &f->st))
			continue;
		if (syscall(SYS_kcmp, getpid(), getpid(), TYPE_FILE, fd, f->fd) == 0)
			return fd;
	}
	return -1;
}

/* ---- pipes ---- */

/* The pipe of @f if an end of it is known already, else a new number. *@ret_read: what is in it is
 * known, too. */
static uint64_t pipe_number(struct gather *g, const struct info *f, bool *ret_read)
{
	struct stat st;
	uint64_t number = UINT64_MAX;
	*ret_read = false;
	for (size_t i = 0; i < g->files.n; i += FILE_WORDS) {
		uint64_t *w = &g->files.v[i];
		bool pipe = w[FILE_KIND] == KIND_PIPE || w[FILE_KIND] == KIND_FIFO;
		if (pipe && fstat((int)w[FILE_FD], &st) == 0 &&
		    is_same_file(&st, &f->st)) {
			*ret_read = *ret_read || !w[FILE_A];
			number = w[FILE_B];
		}
	}
	return number == UINT64_MAX ? g->npipes++ : number;
}

/* Keep what is in the pipe whose end to read is @fd, without taking it out. */
static int pipe_content(struct gather *g, int fd, uint64_t number, struct lodge_err *e)
{
	int copy[2], has = 0;
	char name[SAVE_NAME_MAX + 1];
	if (ioctl(fd, FIONREAD, &has) < 0 || has < 0 || has > PIPE_MAX)
		return err_sys(e, "descriptor %d, a pipe", fd);
	snprintf(name, sizeof name, "process/pipe/%u", (unsigned)number);
	uint8_t *p = save_out_section(g->o, name, (size_t)has);
	if (!has || !p)
		return 0;
	if (pipe2(copy, O_CLOEXEC | O_NONBLOCK) < 0)
		return err_sys(e, "a pipe");
	(void)!fcntl(copy[1], F_SETPIPE_SZ, fcntl(fd, F_GETPIPE_SZ));
	ssize_t n = tee(fd, copy[1], (size_t)has, SPLICE_F_NONBLOCK), got = 0;
	while (got < n) {
		ssize_t m = read(copy[0], p + got, (size_t)(n - got));
		if (m <= 0)
			break;
		got += m;
	}
	close(copy[0]);
	close(copy[1]);
	return got == has
		   ? 0
		   : err_set(e, EIO, "what is in the pipe of descriptor %d cannot be read", fd);
}

static int pipe_gather(struct gather *g, const struct info *f, uint64_t w[FILE_WORDS],
		       struct lodge_err *e)
{
	bool is_read, named = f->link[0] == '/';
	struct stat st;
	if (named && (stat(f->link, &st) < 0 || !is_same_file(&st, &f->st)))
		return refuse(f, "a named pipe that was deleted or moved away", e);
	w[FILE_KIND] = named ? KIND_FIFO : KIND_PIPE;
	w[FILE_TEXT] = named ? text_add(g, f->link) : 0;
	w[FILE_A] = (w[FILE_FLAGS] & O_ACCMODE) == O_WRONLY;
	w[FILE_B] = pipe_number(g, f, &is_read);
	w[FILE_C] = (uint64_t)fcntl(f->fd, F_GETPIPE_SZ);
	w[FILE_D] = file_number(named ? f->st.st_dev : 0, f->st.st_ino);
	return w[FILE_A] || is_read ? 0 : pipe_content(g, f->fd, w[FILE_B], e);
}

/* ---- files that have no path ---- */

static int epoll_gather(struct gather *g, const struct info *f)
{
	for (const char *at = f->text; (at = strstr(at, "tfd:")); at++) {
		unsigned fd = 0;
		uint64_t w[WATCH_WORDS] = {(uint64_t)f->fd};
		if (sscanf(at, "tfd: %u events: %" SCNx64 " data: %" SCNx64, &fd, &w[WATCH_EVENTS],
			   &w[WATCH_DATA]) == 3) {
			w[WATCH_FD] = fd;
			words_add(&g->watches, w, WATCH_WORDS);
		}
	}
	return 0;
}

static int anon_gather(struct gather *g, const struct info *f, uint64_t w[FILE_WORDS],
		       struct lodge_err *e)
{
	const char *what = f->link + strcspn(f->link, ":") + 1;
	if (!strcmp(what, "[eventfd]")) {
		w[FILE_KIND] = KIND_EVENTFD;
		w[FILE_A] = info_number(f, "eventfd-count:", 16);
		w[FILE_B] = info_number(f, "eventfd-semaphore:", 10);
	} else if (!strcmp(what, "[timerfd]")) {
		w[FILE_KIND] = KIND_TIMERFD;
		w[FILE_A] = info_number(f, "clockid:", 10);
		w[FILE_B] = info_time(f, "it_value: ");
		w[FILE_C] = info_time(f, "it_interval: ");
		if (!w[FILE_B] && (w[FILE_C] || info_number(f, "ticks:", 10)))
			w[FILE_B] = 1; /* it has expired, and nobody has read it */
	} else if (!strcmp(what, "[signalfd]")) {
		w[FILE_KIND] = KIND_SIGNALFD;
		w[FILE_A] = info_number(f, "sigmask:", 16);
	} else if (!strcmp(what, "[eventpoll]")) {
		w[FILE_KIND] = KIND_EPOLL;
		return epoll_gather(g, f);
	} else if (!strcmp(what, "inotify")) {
		w[FILE_KIND] = KIND_INOTIFY;
		if (strlen(f->text) == sizeof f->text - 1)
			return refuse(f, "an inotify with very many watches", e);
		return inotify_gather(g, f->fd, f->text, e);
	} else {
		return refuse(f, "a file of the kernel's", e);
	}
	return 0;
}

/* ---- files ---- */

/* All of what is in it goes into the state: it is nowhere else. */
static int content_gather(struct gather *g, const struct info *f, struct lodge_err *e)
{
	char path[64], name[SAVE_NAME_MAX + 1];
	size_t len = (size_t)f->st.st_size;
	snprintf(path, sizeof path, "/proc/self/fd/%d", f->fd);
	snprintf(name, sizeof name, "process/file/%u", g->nnameless);
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t *p = save_out_section(g->o, name, len);
	if (fd < 0 || (p && !host_pread(fd, p, len, 0)))
		return refuse(f, "a deleted file that cannot be read", e);
	return 0;
}

static int nameless_gather(struct gather *g, const struct info *f, uint64_t w[FILE_WORDS],
			   struct lodge_err *e)
{
	bool memory = !strncmp(f->link, "/memfd:", 7);
	struct stat st;
	char dir[PATH_MAX];
	for (size_t i = 0; i < g->files.n; i += FILE_WORDS)
		if (g->files.v[i + FILE_KIND] == KIND_NAMELESS &&
		    fstat((int)g->files.v[i + FILE_FD], &st) == 0 && is_same_file(&st, &f->st))
			return refuse(f, "a deleted file that is open more than once", e);
	if (other_apart(g, f->fd, &f->st))
		return refuse(f, "a deleted file that is open more than once", e);
	if (maps_have(g, &f->st))
		return refuse(f, "a deleted file that is mapped, too", e);
	if (f->st.st_size > NAMELESS_MAX || g->nnameless == NAMELESS_FILES)
		return refuse(f, "a deleted file of more than 4 MiB, or one of more than 16", e);
	snprintf(dir, sizeof dir, "%s", f->link);
	*(strrchr(dir, '/') + (strrchr(dir, '/') == dir)) = 0;
	w[FILE_KIND] = KIND_NAMELESS;
	w[FILE_TEXT] = text_add(g, memory ? "" : dir);
	w[FILE_POS] = info_number(f, "pos:", 10);
	w[FILE_A] = g->nnameless;
	w[FILE_B] = f->st.st_mode & 07777;
	w[FILE_C] = (uint64_t)f->st.st_size;
	w[FILE_D] = memory ? (uint64_t)fcntl(f->fd, F_GET_SEALS) : 0;
	int r = content_gather(g, f, e);
	g->nnameless++;
	return r;
}

static int path_gather(struct gather *g, const struct info *f, uint64_t w[FILE_WORDS],
		       struct lodge_err *e)
{
	struct stat st;
	if (f->link[0] == '/' && S_ISREG(f->st.st_mode) && !f->st.st_nlink &&
	    !(w[FILE_FLAGS] & O_PATH))
		return nameless_gather(g, f, w, e);
	if (f->link[0] != '/' || stat(f->link, &st) < 0 || !is_same_file(&st, &f->st))
		return refuse(f, "a file that was deleted or moved away", e);
	w[FILE_KIND] = KIND_PATH;
	w[FILE_TEXT] = text_add(g, f->link);
	w[FILE_POS] = info_number(f, "pos:", 10);
	w[FILE_A] = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
	w[FILE_B] = S_ISREG(st.st_mode);
	return 0;
}

/* One like "lock: 1: POSIX ADVISORY WRITE 35 08:01:123 0 EOF". Those of flock and of OFD belong to
 * the open file; POSIX's to the process, and show at each descriptor of the file: that one can have
 * taken it whose mode fits. */
static int lock_gather(struct gather *g, const struct info *f, const char *at, struct lodge_err *e)
{
	uint64_t w[FILE_WORDS] = {(uint64_t)f->fd, KIND_LOCK}, start;
	char kind[16], how[16], end[24];
	if (sscanf(at, "lock: %*d: %15s %*s %15s %*s %*s %" SCNu64 " %23s", kind, how, &start,
		   end) != 4)
		return refuse(f, "locked in an unknown way", e);
	bool writes = !strcmp(how, "WRITE"), posix = !strcmp(kind, "POSIX");
	uint64_t mode = info_number(f, "flags:", 8) & O_ACCMODE;
	if (posix && (writes ? mode == O_RDONLY : mode == O_WRONLY))
		return 0;
	if (!posix && strcmp(kind, "FLOCK") != 0 && strcmp(kind, "OFDLCK") != 0)
		return refuse(f, "with a lease", e);
	w[FILE_A] = writes ? LOCK_EX : LOCK_SH;
	w[FILE_B] = start;
	w[FILE_C] = strcmp(end, "EOF") != 0 ? strtoull(end, NULL, 10) - start + 1 : 0;
	w[FILE_D] = posix ? LOCK_POSIX : kind[0] == 'F' ? LOCK_FLOCK : LOCK_OFD;
	words_add(&g->locks, w, FILE_WORDS);
	return 0;
}

/* @others: of an open file that another process speaks for. */
static int locks_gather(struct gather *g, const struct info *f, bool others, struct lodge_err *e)
{
	int r = 0;
	for (const char *at = f->text; r == 0 && (at = strstr(at, "lock:")); at++) {
		const char *posix = strstr(at, "POSIX"), *end = strchr(at, '\n');
		if (!others || (posix && (!end || posix < end)))
			r = lock_gather(g, f, at, e);
	}
	return r;
}

static bool is_others(const struct gather *g, const struct info *f, uint64_t w[FILE_WORDS])
{
	uint64_t pid, fd;
	if (!other_find(g, f->fd, &f->st, &pid, &fd))
		return false;
	w[FILE_KIND] = KIND_OTHER;
	w[FILE_A] = fd;
	w[FILE_B] = pid;
	return true;
}

static int one_gather(struct gather *g, const struct info *f, struct lodge_err *e)
{
	const struct proc *p = g->t->p;
	uint64_t w[FILE_WORDS] = {(uint64_t)f->fd};
	bool other = false;
	w[FILE_FLAGS] = info_number(f, "flags:", 8);
	int r = 0, same = same_find(g, f);
	if (same >= 0) {
		w[FILE_KIND] = KIND_SAME;
		w[FILE_A] = (uint64_t)same;
	} else if (f->st.st_dev == p->console[1].dev && f->st.st_ino == p->console[1].ino) {
		w[FILE_KIND] = KIND_CONSOLE;
		w[FILE_A] = 1;
	} else if (f->st.st_dev == p->console[0].dev && f->st.st_ino == p->console[0].ino) {
		w[FILE_KIND] = KIND_CONSOLE;
	} else if ((other = is_others(g, f, w))) {
		r = 0;
	} else if (S_ISFIFO(f->st.st_mode)) {
		r = pipe_gather(g, f, w, e);
	} else if (S_ISSOCK(f->st.st_mode)) {
		w[FILE_KIND] = KIND_SOCKET;
		r = socket_gather(g, f->fd, &w[FILE_A], e);
	} else if (!strncmp(f->link, "anon_inode:", 11)) {
		r = anon_gather(g, f, w, e);
	} else {
		r = path_gather(g, f, w, e);
	}
	words_add(&g->files, w, FILE_WORDS);
	return r == 0 && same < 0 ? locks_gather(g, f, other, e) : r;
}

static void fds_count(struct gather *g, DIR *d)
{
	for (struct dirent *de; (de = readdir(d));)
		if (atoi(de->d_name) >= g->nfds)
			g->nfds = atoi(de->d_name) + 1;
	rewinddir(d);
}

int files_gather(struct gather *g, struct lodge_err *e)
{
	struct info *f = malloc(sizeof *f);
	DIR *d = f ? opendir("/proc/self/fd") : NULL;
	int r = d ? 0 : err_sys(e, "/proc/self/fd");
	const struct linux_proc *s = &g->t->p->sys;
	if (d)
		fds_count(g, d);
	for (struct dirent *de; r == 0 && (de = readdir(d));) {
		int fd = atoi(de->d_name);
		bool own = linux_fd_is_own(s, fd);
		if (de->d_name[0] == '.' || own || fd == dirfd(d) || fd == g->own_fd)
			continue;
		if (!info_read(f, fd))
			r = err_sys(e, "descriptor %d", fd);
		else
			r = one_gather(g, f, e);
	}
	if (d)
		closedir(d);
	free(f);
	return r;
}
