/* SPDX-License-Identifier: Apache-2.0 */
/* What a debugger asks of the program: struct gdb_target. All threads stand meanwhile; those in
 * system calls stand where the call is, with its result still to come. */
#include "level/process/debug.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/uio.h>

/* ---- threads and registers ---- */

/* Tasks come and go with the lock of the program only, and none goes while all stand. */
struct task *debug_task(const struct debug *d, int thread)
{
	pthread_mutex_lock(&d->p->lock);
	struct task *t = d->p->tasks;
	while (t && t->tid != thread)
		t = t->next;
	pthread_mutex_unlock(&d->p->lock);
	return t;
}

static size_t target_threads(void *debug, int *ret, size_t cap)
{
	struct debug *d = debug;
	size_t n = 0;
	pthread_mutex_lock(&d->p->lock);
	for (const struct task *t = d->p->tasks; t; t = t->next, n++)
		if (n < cap)
			ret[n] = t->tid;
	pthread_mutex_unlock(&d->p->lock);
	for (size_t i = 0; i < n / 2 && n <= cap; i++) { /* the oldest first */
		int other = ret[n - 1 - i];
		ret[n - 1 - i] = ret[i];
		ret[i] = other;
	}
	return n;
}

static void target_thread_name(void *debug, int thread, char *ret, size_t cap)
{
	char path[64];
	(void)debug;
	*ret = 0;
	snprintf(path, sizeof path, "/proc/self/task/%d/comm", thread);
	FILE *f = fopen(path, "re");
	if (f && !fgets(ret, (int)cap, f))
		*ret = 0;
	if (f)
		fclose(f);
	ret[strcspn(ret, "\n")] = 0;
}

static bool target_reg_get(void *debug, int thread, unsigned n, uint8_t ret[GDB_REG_BYTES])
{
	const struct task *t = debug_task(debug, thread);
	return t && gdb_riscv_get(t->h, t->h->npc, n, ret);
}

static bool target_reg_set(void *debug, int thread, unsigned n, const uint8_t v[GDB_REG_BYTES])
{
	struct task *t = debug_task(debug, thread);
	return t && gdb_riscv_set(t->h, &t->h->npc, n, v);
}

/* ---- memory ---- */

static ssize_t target_mem_read(void *debug, uint64_t at, void *buf, size_t len)
{
	(void)debug;
	size_t n = at < USER_END ? min_u64(len, USER_END - at) : 0;
	struct iovec to = {buf, n}, from = {(void *)(uintptr_t)at, n};
	ssize_t got = n ? process_vm_readv(getpid(), &to, 1, &from, 1, 0) : 0;
	if (got < 0 && n > PAGE) { /* it ends somewhere */
		from.iov_len = to.iov_len = PAGE - (at & (PAGE - 1));
		got = process_vm_readv(getpid(), &to, 1, &from, 1, 0);
	}
	return got < 0 ? -errno : !got && len ? -EFAULT : got;
}

/* Past what the pages allow, as ptrace does: they are copied first. */
static int target_mem_write(void *debug, uint64_t at, const void *buf, size_t len)
{
	struct debug *d = debug;
	if (at >= USER_END || len > USER_END - at)
		return -EFAULT;
	autoclose int fd = open("/proc/self/mem", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (pwrite(fd, buf, len, (off_t)at) != (ssize_t)len)
		return -EFAULT;
	debug_code_stale(d, at, at + len);
	return 0;
}

static int target_breakpoint(void *debug, uint64_t at, bool set)
{
	struct debug *d = debug;
	_Atomic uint64_t *free = NULL, *have = NULL;
	if (!at || at & 1 || at >= USER_END)
		return -EINVAL;
	for (unsigned i = 0; i < BREAKS; i++) {
		if (d->breaks[i] == at)
			have = &d->breaks[i];
		else if (!d->breaks[i])
			free = &d->breaks[i];
	}
	if (set == (have != NULL))
		return 0;
	if (set && !free)
		return -ENOSPC;
	*(set ? free : have) = set ? at : 0;
	debug_code_stale(d, at, at + 2);
	return 0;
}

/* ---- going on ---- */

static void target_resume(void *debug, const struct gdb_action *a, size_t n)
{
	struct debug *d = debug;
	pthread_mutex_lock(&d->lock);
	debug_go(d, a, n);
	pthread_mutex_unlock(&d->lock);
}

static void target_interrupt(void *debug)
{
	struct debug *d = debug;
	pthread_mutex_lock(&d->lock);
	d->asked = true;
	debug_halt(d);
	(void)!write(d->bell, &(uint64_t){1}, 8);
	pthread_mutex_unlock(&d->lock);
}

static void target_detach(void *debug)
{
	struct debug *d = debug;
	pthread_mutex_lock(&d->lock);
	debug_end(d);
	pthread_mutex_unlock(&d->lock);
}

static void target_kill(void *debug)
{
	(void)debug;
	kill(getpid(), SIGKILL);
}

static void target_pass(void *debug, uint64_t signals)
{
	struct debug *d = debug;
	pthread_mutex_lock(&d->lock);
	d->pass = signals;
	pthread_mutex_unlock(&d->lock);
}

/* ---- objects and files ---- */

static ssize_t piece(const void *from, size_t have, uint64_t off, void *buf, size_t len)
{
	size_t at = min_u64(off, have), n = min_u64(len, have - at);
	memcpy(buf, (const uint8_t *)from + at, n);
	return (ssize_t)n;
}

static ssize_t target_auxv(void *debug, uint64_t off, void *buf, size_t len)
{
	const struct debug *d = debug;
	return piece(d->p->sys.auxv, d->p->sys.auxv_len, off, buf, len);
}

static ssize_t target_siginfo(void *debug, int thread, uint64_t off, void *buf, size_t len)
{
	const struct task *t = debug_task(debug, thread);
	return t ? piece(&t->info, sizeof t->info, off, buf, len) : -ESRCH;
}

static int target_exec_file(void *debug, char *ret, size_t cap)
{
	const struct debug *d = debug;
	snprintf(ret, cap, "%s", d->p->exe ? d->p->exe : "");
	return 0;
}

static int target_open(void *debug, const char *path)
{
	const struct debug *d = debug;
	return linux_open(d->sys, AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0);
}

static ssize_t target_readlink(void *debug, const char *path, char *ret, size_t cap)
{
	const struct debug *d = debug;
	int fd = linux_open(d->sys, AT_FDCWD, path, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
	if (fd < 0)
		return fd;
	ssize_t n = readlinkat(fd, "", ret, cap);
	int why = errno;
	close(fd);
	return n < 0 ? -why : n;
}

const struct gdb_target debug_target = {
	.threads = target_threads, .thread_name = target_thread_name,
	.reg_get = target_reg_get, .reg_set = target_reg_set,
	.mem_read = target_mem_read, .mem_write = target_mem_write,
	.breakpoint = target_breakpoint, .resume = target_resume,
	.interrupt = target_interrupt, .detach = target_detach, .kill = target_kill,
	.pass = target_pass, .auxv = target_auxv, .siginfo = target_siginfo,
	.exec_file = target_exec_file, .open = target_open, .readlink = target_readlink,
};
