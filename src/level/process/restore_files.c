/* SPDX-License-Identifier: Apache-2.0 */
/* The descriptors of a program that goes on. All open files of all its processes are made by the
 * first one, before it forks the others: so they are shared as they were. */
#include "level/process/saved.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

enum { FD_LIMIT = 1 << 20 };

/* Of one process. */
struct files {
	struct restore *r;
	struct bank *bank;
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

/* Is the entry @w of process @r an end of it? By its inode, or by its number there. */
static bool is_pipe(const struct bank *b, size_t i, const struct restore *r, const uint8_t *w)
{
	if (word(w, FILE_KIND) != KIND_PIPE && word(w, FILE_KIND) != KIND_FIFO)
		return false;
	return b->pipe[i].r ? b->pipe[i].r == r && !word(w, FILE_D) &&
				      word(w, FILE_B) == b->pipe[i].number
			    : word(w, FILE_D) == b->pipe[i].number;
}

/* What is in pipe @i, if @r says so; NULL: it does not. */
static const uint8_t *content_find(const struct bank *b, size_t i, const struct restore *r,
				   size_t *ret_len)
{
	char name[SAVE_NAME_MAX + 1];
	const uint8_t *w, *p = NULL;
	size_t n;
	if (words_find(r, "process/files", FILE_WORDS, &w, &n, NULL) < 0)
		return NULL;
	for (; n && !p; n--, w += 8 * FILE_WORDS) {
		if (!is_pipe(b, i, r, w))
			continue;
		snprintf(name, sizeof name, "process/pipe/%u", (unsigned)word(w, FILE_B));
		p = save_in_find(r->in, name, ret_len);
	}
	return p;
}

static bool pipe_fill(const struct tree *t, size_t i)
{
	const uint8_t *p = NULL;
	size_t len = 0;
	int in = t->bank.pipe[i].end[1];
	for (unsigned k = 0; k < t->n && !p; k++)
		p = content_find(&t->bank, i, &t->each[k], &len);
	(void)!fcntl(in, F_SETFL, O_NONBLOCK);
	bool ok = !p || write(in, p, len) == (ssize_t)len;
	(void)!fcntl(in, F_SETFL, 0);
	return ok;
}

/* Both ends of the named pipe of @w, which nobody else reads; made where it is gone. */
static int fifo_make(const struct files *f, const uint8_t *w, int ret[2], struct lodge_err *e)
{
	const char *path = text_find(f->r, word(w, FILE_TEXT));
	const int how = O_CLOEXEC | O_NONBLOCK;
	struct stat st;
	if (!path)
		return err_set(e, EINVAL, "the state does not name a pipe");
	autoclose int other = open(path, O_WRONLY | how);
	if (other >= 0)
		return err_set(e, EADDRINUSE, "its named pipe %s is another file now, or somebody "
			       "else reads it", path);
	if (errno == ENOENT && mkfifo(path, 0600) < 0)
		return err_sys(e, "its named pipe %s", path);
	autoclose int out = open(path, O_RDONLY | how);
	autoclose int in = out < 0 || fstat(out, &st) < 0 || !S_ISFIFO(st.st_mode)
				   ? -1
				   : open(path, O_WRONLY | how);
	if (in < 0)
		return err_sys(e, "its named pipe %s", path);
	ret[0] = take_fd(&out);
	ret[1] = take_fd(&in);
	return 0;
}

/* A new pipe with what was in it. Its number in the bank. */
static int pipe_make(struct files *f, const uint8_t *w, struct lodge_err *e)
{
	struct bank *b = f->bank;
	int low[2] = {-1, -1}, *end = b->pipe[b->npipes].end;
	bool named = word(w, FILE_KIND) == KIND_FIFO;
	if (b->npipes == PIPES_MAX)
		return err_set(e, E2BIG, "the state has more than %d pipes", PIPES_MAX);
	int r = named ? fifo_make(f, w, low, e) : pipe2(low, O_CLOEXEC);
	if (r < 0)
		return named ? r : err_sys(e, "a pipe");
	b->pipe[b->npipes].number = word(w, FILE_D) ? word(w, FILE_D) : word(w, FILE_B);
	b->pipe[b->npipes].r = word(w, FILE_D) ? NULL : f->r;
	b->npipes++;
	for (int i = 0; i < 2; i++) {
		end[i] = fcntl(low[i], F_DUPFD_CLOEXEC, b->above);
		close(low[i]);
	}
	if (word(w, FILE_C) && word(w, FILE_C) <= INT32_MAX)
		(void)!fcntl(end[1], F_SETPIPE_SZ, (int)word(w, FILE_C));
	bool ok = end[0] >= 0 && end[1] >= 0 && pipe_fill(f->r->tree, b->npipes - 1);
	return ok ? (int)b->npipes - 1 : err_set(e, EINVAL, "what was in a pipe does not fit it");
}

/* Each end that was opened by itself is an open file by itself; so are all of those with a name. */
static int pipe_open(struct files *f, const uint8_t *w, struct lodge_err *e)
{
	char path[64];
	if (word(w, FILE_A) > 1)
		return err_set(e, EINVAL, "the state has a pipe that cannot be");
	int i = 0;
	while (i < (int)f->bank->npipes && !is_pipe(f->bank, (size_t)i, f->r, w))
		i++;
	if (i == (int)f->bank->npipes)
		i = pipe_make(f, w, e);
	if (i < 0)
		return i;
	int *end = &f->bank->pipe[i].end[word(w, FILE_A)];
	int mode = (int)word(w, FILE_FLAGS) & O_ACCMODE;
	if (word(w, FILE_KIND) == KIND_PIPE && mode != O_RDWR &&
	    !f->bank->pipe[i].taken[word(w, FILE_A)]) {
		f->bank->pipe[i].taken[word(w, FILE_A)] = true;
		int fd = fcntl(*end, F_DUPFD_CLOEXEC, 0);
		return fd < 0 ? err_sys(e, "a pipe") : fd;
	}
	snprintf(path, sizeof path, "/proc/self/fd/%d", *end);
	int fd = open(path, mode | O_CLOEXEC | O_NONBLOCK);
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

/* One that is made anew. */
static int file_open(struct files *f, const uint8_t *w, struct lodge_err *e)
{
	int fd = -1;
	uint64_t mask = word(w, FILE_A);
	switch (word(w, FILE_KIND)) {
	case KIND_CONSOLE:
		fd = fcntl(f->bank->console[word(w, FILE_A) & 1], F_DUPFD_CLOEXEC, 0);
		break;
	case KIND_PATH: return path_open(f, w, e);
	case KIND_PIPE:
	case KIND_FIFO: return pipe_open(f, w, e);
	case KIND_EVENTFD:
		fd = eventfd(0, EFD_CLOEXEC | (word(w, FILE_B) ? EFD_SEMAPHORE : 0));
		if (fd >= 0 && word(w, FILE_A) && eventfd_write(fd, word(w, FILE_A)) < 0)
			return err_sys(e, "an eventfd");
		break;
	case KIND_TIMERFD: return timer_open(w, e);
	case KIND_SIGNALFD:
		fd = (int)syscall(SYS_signalfd4, -1, &mask, sizeof mask, SFD_CLOEXEC);
		break;
	case KIND_SOCKET: return sockets_open(f->r->tree, f->r, word(w, FILE_A), e);
	case KIND_NAMELESS: return nameless_open(f, w, e);
	case KIND_EPOLL: fd = epoll_create1(EPOLL_CLOEXEC); break;
	case KIND_INOTIFY: return inotify_make(f->r, word(w, FILE_FD), e);
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

/* ---- the bank ---- */

static bool is_made(uint64_t kind)
{
	return kind != KIND_SAME && kind != KIND_LOCK && kind != KIND_OTHER;
}

static int list_find(const struct restore *r, const uint8_t **ret, size_t *ret_n,
		     struct lodge_err *e)
{
	return words_find(r, "process/files", FILE_WORDS, ret, ret_n, e);
}

/* All that process @i has. */
static int bank_fill(struct tree *t, unsigned i, struct lodge_err *e)
{
	const int settable = O_APPEND | O_ASYNC | O_DIRECT | O_NOATIME | O_NONBLOCK;
	struct files f = {.r = &t->each[i], .bank = &t->bank};
	const uint8_t *w;
	size_t n;
	int err = list_find(f.r, &w, &n, e);
	if (err < 0)
		return err;
	int *all = t->bank.file[i] = malloc((n + 1) * sizeof *all);
	if (!all)
		return err_set(e, ENOMEM, "out of memory");
	for (size_t k = 0; k <= n; k++)
		all[k] = -1;
	for (size_t k = 0; k < n; k++, w += 8 * FILE_WORDS) {
		if (!is_made(word(w, FILE_KIND)))
			continue;
		autoclose int fd = file_open(&f, w, e);
		if (fd < 0)
			return fd;
		int flags = (int)word(w, FILE_FLAGS);
		if (!(flags & O_PATH))
			(void)!fcntl(fd, F_SETFL, flags & settable);
		all[k] = fcntl(fd, F_DUPFD_CLOEXEC, t->bank.above);
		if (all[k] < 0)
			return err_sys(e, "descriptor %d", (int)word(w, FILE_FD));
	}
	return 0;
}

static int above_find(struct tree *t, struct lodge_err *e)
{
	int err = 0;
	t->bank.above = 3;
	for (unsigned i = 0; err == 0 && i < t->n; i++) {
		const uint8_t *w;
		size_t n;
		err = list_find(&t->each[i], &w, &n, e);
		for (; err == 0 && n; n--, w += 8 * FILE_WORDS)
			if (word(w, FILE_FD) >= FD_LIMIT)
				err = err_set(e, EINVAL, "the state has a descriptor of the number "
					      "%llu", (unsigned long long)word(w, FILE_FD));
			else if ((int)word(w, FILE_FD) >= t->bank.above)
				t->bank.above = (int)word(w, FILE_FD) + 1;
	}
	return err;
}

static void bank_close(struct tree *t)
{
	struct bank *b = &t->bank;
	for (unsigned i = 0; i < t->n; i++) {
		const uint8_t *w;
		size_t n;
		if (!b->file[i] || list_find(&t->each[i], &w, &n, NULL) < 0)
			continue;
		for (size_t k = 0; k < n; k++)
			auto_close(&b->file[i][k]);
		free(take(b->file[i]));
	}
	for (size_t i = 0; i < b->npipes; i++)
		for (int k = 0; k < 2; k++)
			auto_close(&b->pipe[i].end[k]);
	for (size_t i = 0; i < b->nshared; i++)
		auto_close(&b->shared[i].fd);
	sockets_end(&b->sockets);
	for (int i = 0; i < 2; i++)
		auto_close(&b->console[i]);
}

int files_make(struct tree *t, struct lodge_err *e)
{
	struct rlimit all;
	t->bank.console[0] = t->bank.console[1] = -1;
	if (getrlimit(RLIMIT_NOFILE, &all) == 0 && all.rlim_cur < all.rlim_max) {
		all.rlim_cur = all.rlim_max;
		(void)!setrlimit(RLIMIT_NOFILE, &all);
	}
	int err = above_find(t, e);
	for (int i = 0; err == 0 && i < 2; i++)
		if ((t->bank.console[i] = fcntl(i, F_DUPFD_CLOEXEC, t->bank.above)) < 0)
			err = err_sys(e, "the console");
	if (err == 0)
		err = shared_make(t, e);
	if (err == 0)
		err = sockets_begin(t, e);
	for (unsigned i = 0; err == 0 && i < t->n; i++)
		err = bank_fill(t, i, e);
	return err;
}

/* ---- one process takes what is its own ---- */

/* The open file of descriptor @fd of process @i. */
static int bank_find(const struct tree *t, unsigned i, uint64_t fd, struct lodge_err *e)
{
	const uint8_t *w;
	size_t n, k = 0;
	int err = list_find(&t->each[i], &w, &n, e);
	while (err == 0 && k < n) {
		const uint8_t *one = w + 8 * FILE_WORDS * k;
		if (word(one, FILE_FD) != fd || word(one, FILE_KIND) == KIND_LOCK) {
			k++;
			continue;
		}
		if (word(one, FILE_KIND) != KIND_SAME || word(one, FILE_A) == fd)
			break;
		fd = word(one, FILE_A); /* which comes before it */
		n = k;
		k = 0;
	}
	if (err == 0 && (k >= n || t->bank.file[i][k] < 0))
		err = err_set(e, EINVAL, "the state has no descriptor %llu to be shared",
			      (unsigned long long)fd);
	return err < 0 ? err : t->bank.file[i][k];
}

/* A descriptor, to be copied, of what entry @k is. */
static int file_find(const struct restore *r, const uint8_t *w, size_t k, struct lodge_err *e)
{
	const struct tree *t = r->tree;
	unsigned self = (unsigned)(r - t->each);
	int same = (int)word(w, FILE_A); /* which came before */
	if (word(w, FILE_KIND) == KIND_SAME && word(w, FILE_A) < FD_LIMIT &&
	    !linux_fd_is_own(&r->proc->sys, same))
		return same;
	if (is_made(word(w, FILE_KIND)))
		return t->bank.file[self][k];
	const struct kin *of = tree_find(t, word(w, FILE_B));
	if (word(w, FILE_KIND) != KIND_OTHER || !of || of->end != KIN_LIVES || of->process == self)
		return err_set(e, EINVAL, "the state has a descriptor that is none of its own");
	return bank_find(t, of->process, word(w, FILE_A), e);
}

static int one_file(const struct restore *r, const uint8_t *w, size_t k, struct lodge_err *e)
{
	int fd = (int)word(w, FILE_FD), flags = (int)word(w, FILE_FLAGS);
	if (linux_fd_is_own(&r->proc->sys, fd))
		return err_set(e, EINVAL, "the state has a descriptor of the number %d", fd);
	if (word(w, FILE_KIND) == KIND_LOCK)
		return 0;
	int of = file_find(r, w, k, e);
	if (of < 0)
		return of;
	if (of == fd || dup3(of, fd, flags & O_CLOEXEC) < 0)
		return err_sys(e, "descriptor %d", fd);
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

int files_restore(struct restore *r, struct lodge_err *e)
{
	const uint8_t *w;
	size_t n;
	int err = list_find(r, &w, &n, e);
	for (int i = 0; i < 3; i++)
		close(i);
	for (size_t i = 0; err == 0 && i < n; i++)
		err = one_file(r, w + 8 * FILE_WORDS * i, i, e);
	bank_close(r->tree); /* locks of fcntl would go with it */
	for (; err == 0 && n; n--, w += 8 * FILE_WORDS)
		if (word(w, FILE_KIND) == KIND_LOCK)
			err = lock_take(w, e);
	return err < 0 ? err : watches_restore(r, e);
}
