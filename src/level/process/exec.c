/* SPDX-License-Identifier: Apache-2.0 */
/* execve: another program in this process. Linux 6.1 fs/exec.c, fs/binfmt_script.c */
#include "level/process/internal.h"
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

enum { SCRIPTS = 4, SCRIPT_LINE = 256, ARGS_MAX = 1 << 20, FILES_BLIND = 1 << 16 };
#define TEXT_MAX (UINT64_C(8) << 20)

/* Arguments and environment, out of the guest's memory, which goes away. */
struct list {
	char **text;    /* owned, NULL-ended; each owned */
	size_t n, cap;
	uint64_t bytes;
};
struct exec {
	struct start s;
	struct list argv, env;
	char *path;     /* owned: as the program sees its name */
	char *exe;      /* owned: where that is; NULL: taken */
	int fd;         /* of it; -1: taken */
};

static int list_add(struct list *l, char *text)
{
	if (text && l->n + 2 > l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 64;
		char **more = realloc(l->text, cap * sizeof *more);
		if (!more) {
			free(text);
			return -ENOMEM;
		}
		l->text = more;
		l->cap = cap;
	}
	if (!text)
		return -ENOMEM;
	l->text[l->n++] = text;
	l->text[l->n] = NULL;
	l->bytes += strlen(text) + 1;
	return l->n > ARGS_MAX || l->bytes > TEXT_MAX ? -E2BIG : 0;
}

static void list_fini(struct list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->text[i]);
	free(l->text);
}

/* The string at @at of the guest, malloc'ed. */
static int text_read(struct task *t, uint64_t at, char **ret)
{
	size_t len;
	uint64_t max = at < USER_END ? min_u64(USER_END - at, TEXT_MAX) : 0;
	if (!max || !host_length(at, max, &len))
		return -EFAULT;
	char *text = len < max ? calloc(1, len + 1) : NULL;
	if (!text)
		return len < max ? -ENOMEM : -E2BIG;
	if (linux_read(&t->p->sys, text, at, len)) {
		free(text);
		return -EFAULT;
	}
	*ret = text;
	return 0;
}

static int list_read(struct task *t, struct list *l, uint64_t at)
{
	for (uint64_t p = 0; at; at += 8) {
		char *text = NULL;
		if (linux_read(&t->p->sys, &p, at, sizeof p))
			return -EFAULT;
		if (!p)
			return 0;
		int r = text_read(t, p, &text);
		if (r == 0)
			r = list_add(l, text);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Put @text in front of argv[@at]. */
static int list_insert(struct list *l, size_t at, const char *text)
{
	int r = list_add(l, strdup(text));
	if (r < 0)
		return r;
	char *last = l->text[l->n - 1];
	memmove(&l->text[at + 1], &l->text[at], (l->n - 1 - at) * sizeof last);
	l->text[at] = last;
	return 0;
}

/* ---- scripts ---- */

/* argv of "#!INTERP [ARG]" becomes INTERP, ARG, path, argv[1], ... */
static int script_args(struct exec *x, char *line)
{
	char *name = line + strspn(line, " \t"), *arg;
	size_t len = strlen(name);
	while (len && (name[len - 1] == ' ' || name[len - 1] == '\t'))
		name[--len] = 0;
	if (!len)
		return -ENOEXEC;
	arg = name + strcspn(name, " \t");
	if (*arg) {
		*arg++ = 0;
		arg += strspn(arg, " \t");
	}
	if (x->argv.n)
		free(x->argv.text[0]);
	int r = x->argv.n ? 0 : list_add(&x->argv, strdup(""));
	if (r == 0)
		x->argv.text[0] = strdup(x->path);
	if (r == 0 && !x->argv.text[0])
		r = -ENOMEM;
	if (r == 0 && *arg)
		r = list_insert(&x->argv, 0, arg);
	if (r == 0)
		r = list_insert(&x->argv, 0, name);
	if (r < 0)
		return r;
	free(x->path);
	x->path = strdup(name);
	return x->path ? 0 : -ENOMEM;
}

/* 1: it is a script, and x->path its interpreter, not opened yet; 0: it is none. */
static int script_take(struct exec *x)
{
	char line[SCRIPT_LINE + 1] = "";
	ssize_t n = pread(x->fd, line, SCRIPT_LINE, 0);
	if (n < 2 || line[0] != '#' || line[1] != '!')
		return 0;
	char *end = memchr(line, '\n', (size_t)n);
	if (!end && n == SCRIPT_LINE)
		return -ENOEXEC;
	if (end)
		*end = 0;
	close(x->fd);
	x->fd = -1;
	int r = script_args(x, line + 2);
	return r < 0 ? r : 1;
}

/* ---- the host's own programs ---- */

static bool is_host_program(int fd)
{
	enum { EM_X86_64 = 62, EM_386 = 3 };
	uint8_t head[20];
	return pread(fd, head, sizeof head, 0) == sizeof head && !memcmp(head, "\177ELF", 4) &&
	       (le16_at(head + 18) == EM_X86_64 || le16_at(head + 18) == EM_386);
}

static int host_exec(struct proc *p, const struct exec *x)
{
	char *none[] = {NULL};
	halt_leave(p);
	syscall(SYS_execveat, x->fd, "", x->argv.n ? x->argv.text : none,
	        x->env.n ? x->env.text : none, AT_EMPTY_PATH);
	int r = -errno;
	halt_join(p);
	return r;
}

/* A program that gains rights, if the kernel runs those of riscv64 by lodge: it gives them. */
static bool is_kernels(const struct task *t, const struct exec *x)
{
	struct stat st;
	if (!t->p->by_kernel || t->p->sys.root_fd >= 0 || fstat(x->fd, &st) < 0)
		return false;
	return st.st_mode & (S_ISUID | S_ISGID) ||
	       fgetxattr(x->fd, "security.capability", NULL, 0) > 0;
}

/* By its path: one that only a descriptor names, the kernel has no interpreter for. */
static int kernel_exec(struct proc *p, const struct exec *x)
{
	char *none[] = {NULL};
	halt_leave(p);
	syscall(SYS_execve, x->path, x->argv.n ? x->argv.text : none,
	        x->env.n ? x->env.text : none);
	int r = -errno;
	halt_join(p);
	return r;
}

/* ---- the change ---- */

static void space_empty(struct task *t)
{
	struct space *s = &t->p->space;
	pthread_rwlock_wrlock(&s->lock);
	if (s->n && !space_has(s, 0, USER_END, 0, RANGE_FOREIGN)) { /* all at once */
		munmap((void *)(uintptr_t)s->ranges[0].lo,
		       s->ranges[s->n - 1].hi - s->ranges[0].lo);
		s->n = 0;
	}
	for (size_t i = s->n; i-- > 0;) {
		struct range r = s->ranges[i];
		if (r.flags & RANGE_FOREIGN)
			continue;
		munmap((void *)(uintptr_t)r.lo, r.hi - r.lo);
		(void)!space_drop(s, r.lo, r.hi);
	}
	s->top = USER_END;
	pthread_rwlock_unlock(&s->lock);
	code_unshare(t, false);
	rv_code_gone(t->h); /* there are no other threads */
	t->p->stales++;
}

static void file_close(const struct proc *p, int fd, int flags)
{
	if (flags >= 0 && flags & FD_CLOEXEC && !linux_fd_is_own(&p->sys, fd))
		close(fd);
}

/* Descriptors are small numbers, most of the time, and the kernel says how many there are (Linux
 * 6.2). False: that were not all. */
static bool files_close_few(const struct proc *p)
{
	enum { FEW = 32 };
	struct stat st;
	if (stat("/proc/thread-self/fd", &st) < 0)
		return false;
	int64_t left = st.st_size;
	for (unsigned i = 0; i < LINUX_FDS; i++)
		left -= p->sys.fd_set >> i & 1 && p->sys.fd_own + (int)i >= FEW;
	for (int fd = 0; fd < FEW && left > 0; fd++) {
		int flags = fcntl(fd, F_GETFD);
		left -= flags >= 0;
		file_close(p, fd, flags);
	}
	return st.st_size && left <= 0;
}

/* In a chroot without /proc: poll(2) says of many at once which there are. */
static void files_close_blind(const struct proc *p)
{
	enum { CHUNK = 1024 };
	struct pollfd f[CHUNK];
	for (int from = 0, end = getdtablesize(); from < end && from < FILES_BLIND; from += CHUNK) {
		int n = end - from < CHUNK ? end - from : CHUNK;
		for (int i = 0; i < n; i++)
			f[i] = (struct pollfd){.fd = from + i};
		bool known = poll(f, (nfds_t)n, 0) >= 0;
		for (int i = 0; i < n; i++)
			if (!known || f[i].revents != POLLNVAL)
				file_close(p, f[i].fd, fcntl(f[i].fd, F_GETFD));
	}
}

static void files_close(const struct proc *p)
{
	if (files_close_few(p))
		return;
	DIR *d = opendir("/proc/thread-self/fd");
	if (!d) {
		files_close_blind(p);
		return;
	}
	for (struct dirent *e; (e = readdir(d));) {
		int fd = atoi(e->d_name);
		if (e->d_name[0] != '.' && fd != dirfd(d))
			file_close(p, fd, fcntl(fd, F_GETFD));
	}
	closedir(d);
}

/* No way back from here, unless another thread did so first: then this one has ended. */
static int change(struct task *t, struct exec *x)
{
	struct proc *p = t->p;
	struct start *s = &x->s;
	struct lodge_err e;
	if (!tasks_end_others(t))
		return -EINTR;
	exe_set(p, x->path, take(x->exe));
	s->path = x->path;
	s->argv = (const char *const *)x->argv.text;
	s->argc = x->argv.n;
	s->env = (const char *const *)x->env.text;
	s->nenv = x->env.n;
	space_empty(t);
	p->shares = p->shares_read = false;
	proc_alone(p);
	t->clear_tid = 0;
	signals_exec(t);
	syscall(SYS_set_robust_list, NULL, 24);
	if (program_load(p, s, &e) < 0)
		proc_die(p, SIGKILL);
	program_close(s);
	files_close(p);
	if (p->vfork_fd >= 0)
		linux_fd_close(&p->sys, p->vfork_fd);
	p->vfork_fd = -1;
	report_drop(take(t->report));
	rv_process_reset(t->h, s->entry, s->sp);
	t->h->npc = s->entry;
	debug_exec(t);
	task_lead(t);
	return 0;
}

static int exec_open(struct task *t, struct exec *x)
{
	for (unsigned depth = 0;; depth++) {
		int r = x->fd < 0 ? x->fd = program_find(t, x->path, NULL) : 0;
		if (r < 0)
			return r;
		if (faccessat(x->fd, "", X_OK, AT_EMPTY_PATH | AT_EACCESS) < 0)
			return -EACCES;
		r = script_take(x);
		if (r <= 0)
			return r;
		if (depth == SCRIPTS)
			return -ELOOP;
	}
}

int script_start(struct task *t, struct start *s, int *fd, struct lodge_err *e)
{
	struct exec x = {.fd = *fd, .path = strdup(s->path)};
	char two[2] = "";
	int r = x.path ? 0 : -ENOMEM;
	if (pread(*fd, two, 2, 0) < 2 || memcmp(two, "#!", 2) != 0) {
		free(x.path);
		return 0;
	}
	for (size_t i = 0; r == 0 && i < s->argc; i++)
		r = list_add(&x.argv, strdup(s->argv[i]));
	if (r == 0)
		r = exec_open(t, &x);
	*fd = x.fd;
	free((void *)(uintptr_t)s->argv);
	s->argv = (const char *const *)x.argv.text;
	s->argc = x.argv.n;
	s->script = x.path;
	if (r < 0)
		return err_set(e, -r, "%s: %s of the script %s", x.path ? x.path : "", strerror(-r),
		               s->path);
	s->path = x.path;
	return 0;
}

static int64_t exec_run(struct task *t, struct exec *x)
{
	int r = exec_open(t, x);
	if (r < 0)
		return r;
	bool filtered = t->filter || t->strict; /* what is not run here would be free of that */
	if (!filtered && is_host_program(x->fd) && t->p->sys.root_fd < 0)
		return host_exec(t->p, x);
	if (!filtered && is_kernels(t, x))
		return kernel_exec(t->p, x);
	r = program_open(t, &x->s, x->fd, x->path, NULL);
	x->fd = -1;
	if (r == 0)
		r = exe_find(t, x->path, &x->exe, NULL);
	if (r == 0)
		r = change(t, x);
	if (r < 0)
		program_close(&x->s);
	return r;
}

static int64_t exec_call(struct task *t, int dir, uint64_t path, const uint64_t lists[2], int flags)
{
	struct exec x = {.fd = -1, .s.main.fd = -1, .s.interp.fd = -1};
	int64_t r = text_read(t, path, &x.path);
	if (r == 0 && (dir != AT_FDCWD || flags & AT_EMPTY_PATH) && x.path[0] != '/') {
		bool self = !*x.path && flags & AT_EMPTY_PATH;
		char *name = NULL;
		x.fd = self ? fcntl(dir, F_DUPFD_CLOEXEC, 0)
			    : linux_open(&t->sys, dir, x.path,
		                         O_RDONLY | O_CLOEXEC | (flags & AT_SYMLINK_NOFOLLOW
		                                                         ? O_NOFOLLOW : 0), 0);
		if (x.fd < 0)
			r = self ? -errno : x.fd;
		if (asprintf(&name, "/dev/fd/%d%s%s", dir, *x.path ? "/" : "", x.path) < 0)
			r = -ENOMEM;
		free(x.path);
		x.path = name;
	}
	if (r == 0)
		r = list_read(t, &x.argv, lists[0]);
	if (r == 0)
		r = list_read(t, &x.env, lists[1]);
	if (r == 0 && !x.argv.n)
		r = list_add(&x.argv, strdup(""));
	if (r == 0)
		r = exec_run(t, &x);
	auto_close(&x.fd);
	list_fini(&x.argv);
	list_fini(&x.env);
	free(x.exe);
	free(x.path);
	return r;
}

int64_t call_execve(struct task *t, const uint64_t a[6])
{
	return exec_call(t, AT_FDCWD, a[0], &a[1], 0);
}

int64_t call_execveat(struct task *t, const uint64_t a[6])
{
	if (a[4] & ~(uint64_t)(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
		return -EINVAL;
	return exec_call(t, (int)a[0], a[1], &a[2], (int)a[4]);
}
