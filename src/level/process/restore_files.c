/* SPDX-License-Identifier: Apache-2.0 */
/* The descriptors of a program that goes on. */
#include "level/process/saved.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

enum { PIPES_MAX = 1024, FD_LIMIT = 1 << 20 };

struct files {
	struct restore *r;
	int above;              /* all descriptors of the program are below */
	struct sockets sockets;
	int console[2];         /* this one and those of pipes are not */
	int pipe[PIPES_MAX][2]; /* -1: not made yet */
};

static struct timespec time_of(uint64_t ns)
{
	return (struct timespec){(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
}

static int path_open(const struct files *f, const uint8_t *w, struct lodge_err *e)
{
	const char *path = text_find(f->r, word(w, FILE_TEXT));
	const int never = O_CREAT | O_EXCL | O_TRUNC;
	struct stat st;
	if (!path)
		return err_set(e, EINVAL, "the state names no file for descriptor %d",
			       (int)word(w, FILE_FD));
	autoclose int fd =
	    open(path, ((int)word(w, FILE_FLAGS) & ~never) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set(e, ESTALE, "descriptor %d, %s: %s", (int)word(w, FILE_FD), path,
			       strerror(errno));
	if (S_ISREG(st.st_mode) != (word(w, FILE_B) != 0))
		return err_set(e, ESTALE, "descriptor %d, %s: it is another kind of file now",
			       (int)word(w, FILE_FD), path);
	if (S_ISREG(st.st_mode) && (uint64_t)st.st_size < word(w, FILE_A))
		return err_set(e, ESTALE, "descriptor %d, %s: the file is shorter than it was",
			       (int)word(w, FILE_FD), path);
	if (!((int)word(w, FILE_FLAGS) & O_PATH) && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) &&
	    lseek(fd, (off_t)word(w, FILE_POS), SEEK_SET) < 0)
		return err_sys(e, "descriptor %d, %s", (int)word(w, FILE_FD), path);
	return take_fd(&fd);
}

/* A new pipe with what was in it. */
static int pipe_make(struct files *f, const uint8_t *w, struct lodge_err *e)
{
	uint64_t number = word(w, FILE_B);
	char name[SAVE_NAME_MAX + 1];
	size_t len = 0;
	int *ends = f->pipe[number];
	if (pipe2(ends, O_CLOEXEC) < 0) {
		ends[0] = ends[1] = -1;
		return err_sys(e, "a pipe");
	}
	if (word(w, FILE_C) && word(w, FILE_C) <= INT32_MAX)
		(void)!fcntl(ends[1], F_SETPIPE_SZ, (int)word(w, FILE_C));
	snprintf(name, sizeof name, "process/pipe/%u", (unsigned)number);
	const uint8_t *p = save_in_find(f->r->in, name, &len);
	(void)!fcntl(ends[1], F_SETFL, O_NONBLOCK);
	bool ok = !p || write(ends[1], p, len) == (ssize_t)len;
	(void)!fcntl(ends[1], F_SETFL, 0);
	for (int i = 0; i < 2; i++) {
		int low = ends[i];
		ends[i] = fcntl(low, F_DUPFD_CLOEXEC, f->above);
		close(low);
	}
	ok = ok && ends[0] >= 0 && ends[1] >= 0;
	return ok ? 0 : err_set(e, EINVAL, "what was in a pipe does not fit it");
}

static int pipe_open(struct files *f, const uint8_t *w, struct lodge_err *e)
{
	if (word(w, FILE_B) >= PIPES_MAX || word(w, FILE_A) > 1)
		return err_set(e, EINVAL, "the state has a pipe that cannot be");
	int *ends = f->pipe[word(w, FILE_B)];
	int r = ends[0] < 0 ? pipe_make(f, w, e) : 0;
	if (r < 0)
		return r;
	int fd = fcntl(ends[word(w, FILE_A)], F_DUPFD_CLOEXEC, 0);
	return fd < 0 ? err_sys(e, "a pipe") : fd;
}

/* A file that has no path, with what was in it. */
static int nameless_fill(const struct files *f, const uint8_t *w, int fd, struct lodge_err *e)
{
	char name[SAVE_NAME_MAX + 1];
	size_t len = 0;
	snprintf(name, sizeof name, "process/file/%u", (unsigned)word(w, FILE_A));
	const uint8_t *p = save_in_find(f->r->in, name, &len);
	if (len != word(w, FILE_C) || (len && !p))
		return err_set(e, EINVAL, "the state does not have all of a deleted file");
	if (len && !host_pwrite(fd, p, len, 0))
		return err_sys(e, "a deleted file");
	(void)!fchmod(fd, (mode_t)word(w, FILE_B) & 07777);
	return 0;
}

static int nameless_open(const struct files *f, const uint8_t *w, struct lodge_err *e)
{
	const int never = O_CREAT | O_EXCL | O_TRUNC | O_TMPFILE | O_NOFOLLOW;
	const char *dir = text_find(f->r, word(w, FILE_TEXT));
	char path[64];
	if (!dir)
		return err_set(e, EINVAL, "the state says not where a deleted file was");
	autoclose int fd = dir[0] ? open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)
				  : memfd_create("lodge", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int number = (int)word(w, FILE_FD);
	int r = fd < 0 ? err_sys(e, "descriptor %d, a deleted file of %s", number, dir)
		       : nameless_fill(f, w, fd, e);
	if (r < 0)
		return r;
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	autoclose int again = open(path, ((int)word(w, FILE_FLAGS) & ~never) | O_CLOEXEC);
	if (again < 0 || lseek(again, (off_t)word(w, FILE_POS), SEEK_SET) < 0)
		return err_sys(e, "descriptor %d, a deleted file of %s", number, dir);
	if (!dir[0])
		(void)!fcntl(fd, F_ADD_SEALS, (int)word(w, FILE_D));
	return take_fd(&again);
}

static int timer_open(const uint8_t *w, struct lodge_err *e)
{
	struct itimerspec t = {time_of(word(w, FILE_C)), time_of(word(w, FILE_B))};
	autoclose int fd = timerfd_create((int)word(w, FILE_A), TFD_CLOEXEC);
	if (fd < 0 || timerfd_settime(fd, 0, &t, NULL) < 0)
		return err_sys(e, "descriptor %d, a timer", (int)word(w, FILE_FD));
	return take_fd(&fd);
}

static int file_open(struct files *f, const uint8_t *w, struct lodge_err *e)
{
	int fd = -1;
	uint64_t mask = word(w, FILE_A);
	switch (word(w, FILE_KIND)) {
	case KIND_SAME:
		if (linux_fd_is_own(&f->r->proc->sys, (int)word(w, FILE_A)))
			return err_set(e, EINVAL, "the state has a descriptor that is none of its "
			               "own");
		fd = fcntl((int)word(w, FILE_A), F_DUPFD_CLOEXEC, 0);
		break;
	case KIND_CONSOLE: fd = fcntl(f->console[word(w, FILE_A) & 1], F_DUPFD_CLOEXEC, 0); break;
	case KIND_PATH: return path_open(f, w, e);
	case KIND_PIPE: return pipe_open(f, w, e);
	case KIND_EVENTFD:
		fd = eventfd(0, EFD_CLOEXEC | (word(w, FILE_B) ? EFD_SEMAPHORE : 0));
		if (fd >= 0 && word(w, FILE_A) && eventfd_write(fd, word(w, FILE_A)) < 0)
			return err_sys(e, "an eventfd");
		break;
	case KIND_TIMERFD: return timer_open(w, e);
	case KIND_SIGNALFD:
		fd = (int)syscall(SYS_signalfd4, -1, &mask, sizeof mask, SFD_CLOEXEC);
		break;
	case KIND_SOCKET: return sockets_open(&f->sockets, word(w, FILE_A), e);
	case KIND_NAMELESS: return nameless_open(f, w, e);
	case KIND_EPOLL: fd = epoll_create1(EPOLL_CLOEXEC); break;
	default: return err_set(e, EINVAL, "the state has a descriptor of no known kind");
	}
	return fd < 0 ? err_sys(e, "descriptor %d", (int)word(w, FILE_FD)) : fd;
}

static int lock_take(const uint8_t *w, struct lodge_err *e)
{
	int fd = (int)word(w, FILE_FD), how = (int)word(w, FILE_A) & (LOCK_EX | LOCK_SH), r;
	struct flock l = {.l_type = how == LOCK_EX ? F_WRLCK : F_RDLCK,
			  .l_whence = SEEK_SET,
			  .l_start = (off_t)word(w, FILE_B),
			  .l_len = (off_t)word(w, FILE_C)};
	switch (word(w, FILE_D)) {
	case LOCK_FLOCK: r = flock(fd, how | LOCK_NB); break;
	case LOCK_POSIX: r = fcntl(fd, F_SETLK, &l); break;
	case LOCK_OFD: r = fcntl(fd, F_OFD_SETLK, &l); break;
	default: return err_set(e, EINVAL, "the state has a lock that cannot be");
	}
	return r < 0 ? err_sys(e, "the lock of descriptor %d", fd) : 0;
}

static int one_file(struct files *f, const uint8_t *w, struct lodge_err *e)
{
	int fd = (int)word(w, FILE_FD), flags = (int)word(w, FILE_FLAGS);
	const int settable = O_APPEND | O_ASYNC | O_DIRECT | O_NOATIME | O_NONBLOCK;
	if (word(w, FILE_FD) >= FD_LIMIT || linux_fd_is_own(&f->r->proc->sys, fd))
		return err_set(e, EINVAL, "the state has a descriptor of the number %d", fd);
	if (word(w, FILE_KIND) == KIND_LOCK)
		return lock_take(w, e);
	int got = file_open(f, w, e);
	if (got < 0)
		return got;
	if (got == fd)
		(void)!fcntl(fd, F_SETFD, flags & O_CLOEXEC ? FD_CLOEXEC : 0);
	else if (dup3(got, fd, flags & O_CLOEXEC) < 0)
		return err_sys(e, "descriptor %d", fd);
	if (got != fd)
		close(got);
	if (word(w, FILE_KIND) != KIND_SAME && !(flags & O_PATH))
		(void)!fcntl(fd, F_SETFL, flags & settable);
	return 0;
}

static int watches_restore(const struct restore *r, struct lodge_err *e)
{
	const uint8_t *w;
	size_t n;
	int err = words_find(r, "process/watches", WATCH_WORDS, &w, &n, e);
	for (size_t i = 0; err == 0 && i < n; i++, w += 8 * WATCH_WORDS) {
		struct epoll_event ev = {.events = (uint32_t)word(w, WATCH_EVENTS)};
		ev.data.u64 = word(w, WATCH_DATA);
		if (epoll_ctl((int)word(w, WATCH_EPOLL), EPOLL_CTL_ADD, (int)word(w, WATCH_FD),
			      &ev) < 0)
			err = err_sys(e, "descriptor %d, of epoll", (int)word(w, WATCH_EPOLL));
	}
	return err;
}

/* Out of the way of those that come. */
static int consoles_move(struct files *f, struct lodge_err *e)
{
	for (int i = 0; i < 2; i++)
		if ((f->console[i] = fcntl(i, F_DUPFD_CLOEXEC, f->above)) < 0)
			return err_sys(e, "the console");
	for (int i = 0; i < 3; i++)
		close(i);
	return 0;
}

int files_restore(struct restore *r, struct lodge_err *e)
{
	struct files *f = calloc(1, sizeof *f);
	const uint8_t *w;
	size_t n;
	if (!f)
		return err_set(e, ENOMEM, "out of memory");
	f->r = r;
	for (size_t i = 0; i < PIPES_MAX; i++)
		f->pipe[i][0] = f->pipe[i][1] = -1;
	int err = words_find(r, "process/files", FILE_WORDS, &w, &n, e);
	f->above = 3;
	f->console[0] = f->console[1] = -1;
	for (size_t i = 0; err == 0 && i < n; i++) {
		uint64_t fd = word(w + 8 * FILE_WORDS * i, FILE_FD);
		if (fd < FD_LIMIT && (int)fd >= f->above)
			f->above = (int)fd + 1;
	}
	if (err == 0)
		err = sockets_begin(&f->sockets, r, f->above, e);
	if (err == 0)
		err = consoles_move(f, e);
	for (size_t i = 0; err == 0 && i < n; i++, w += 8 * FILE_WORDS)
		err = one_file(f, w, e);
	if (err == 0)
		err = watches_restore(r, e);
	sockets_end(&f->sockets);
	for (int i = 0; i < 2; i++)
		auto_close(&f->console[i]);
	for (size_t i = 0; i < PIPES_MAX; i++)
		for (int k = 0; k < 2; k++)
			auto_close(&f->pipe[i][k]);
	free(f);
	return err;
}
