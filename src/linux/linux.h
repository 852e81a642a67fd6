/* SPDX-License-Identifier: Apache-2.0 */
/* linux: system calls of riscv64 Linux, carried over to the x86-64 kernel of the host. Knows no
 * hart and no instruction: what comes in is a number of asm-generic and six arguments, what goes
 * out is what the guest finds in a0.
 *
 * Guest addresses are host addresses, all below linux_proc.user_end; what lies above is Lodge's.
 * Both sides are LP64 and little endian, so most calls pass as they are. What is done here: every
 * pointer that the kernel would follow is held against user_end (-EFAULT), structures that differ
 * are converted, paths are resolved in the guest's root, /proc/self shows the guest and not
 * Lodge, descriptors of Lodge's own are out of reach. calls.def has a row for each call. */
#pragma once
#include "base/base.h"
#include <limits.h>
#include <time.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <ucontext.h>

/* Results of linux_call beside a value or -errno. The call was interrupted or not begun because
 * @pending was set: deliver the signal, then make the call again if its handler has SA_RESTART,
 * else give the guest -EINTR. */
#define LINUX_RESTART (-512)

enum { LINUX_SIGNAL = 1, LINUX_KICK = 2 };

/* ---- what the threads of a guest process share ---- */

/* A folder or file of the host that shows at @guest (an absolute path without "..", "." and
 * links); the mount point need not exist in the root, but only then do listings show it. */
struct linux_bind {
	const char *guest, *host;
	int fd; /* O_PATH of @host, borrowed; one of Lodge's own */
	bool read_only;
	bool fixed; /* the host's /dev and such: the guest's mounts never reach it */
};

/* What a guest mapping is, from @at on. */
struct linux_area {
	uint64_t end;     /* the first address that may be different */
	int prot;         /* the guest's PROT_*, as it asked for it */
	const char *name; /* "[heap]", "[stack]", "[vdso]"; NULL: the host's */
};

enum { LINUX_FDS = 64 };
struct linux_proc {
	uint64_t user_end; /* the first address that is not the guest's */
	/* Descriptors of Lodge's own, among the LINUX_FDS from fd_own on: the guest gets EBADF for
	 * those whose bit is set, and close_range leaves them. See linux_fd_own. */
	int fd_own;
	_Atomic uint64_t fd_set;
	/* The folder that is the guest's "/": O_PATH, borrowed, one of Lodge's own, and its path
	 * without links. -1 and NULL: the host's. It is a translation of paths, not a wall: a guest
	 * that means harm gets out of it. What is set here may be changed by a guest's chroot. */
	int root_fd;
	const char *root;
	const struct linux_bind *binds; /* borrowed; longest paths first (linux_binds_sort) */
	unsigned n_binds;
	/* The program, by its guest path: /proc/self/exe. Borrowed; the level replaces it at
	 * exec. */
	const char *exe;
	/* Where the guest's stack has what /proc/self/cmdline and environ show, as exec left it. */
	uint64_t arg_start, arg_end, env_start, env_end;
	const void *auxv; /* and auxv; borrowed */
	size_t auxv_len;
	/* Signals that a mask given to a call never blocks (bit n - 1 for signal n): those that
	 * Lodge itself needs to come through. */
	uint64_t keep_signals;
	/* For /proc/self/maps: fills @ret for the guest mapping at @at; false: not the guest's up
	 * to @ret->end. NULL: all below user_end is shown as the host has it. Any thread. */
	bool (*area)(void *user, uint64_t at, struct linux_area *ret);
	/* NULL, or: inotify watches the host's file @path. Any thread. */
	void (*watched)(void *user, const char *path, bool follow);
	/* For /proc/self/stat, status and task: how many threads the guest has with this id, or, 0,
	 * in all. NULL: those that the host knows. Any thread. */
	unsigned (*threads)(void *user, uint64_t tid);
	void *user;
	const char *isa; /* for /proc/cpuinfo, "rv64imafdc_..."; NULL: the host's file. Borrowed */
	/* Limits that the guest sees, but that are not put on Lodge (see limit.c). */
	struct rlimit limit[RLIM_NLIMITS];
};

/* Fills @p with no root and no binds. @user_end page-aligned. */
void linux_proc_init(struct linux_proc *p, uint64_t user_end);
/* Before a program runs: its limits are the host's. */
void linux_limits_take(struct linux_proc *p);
/* Makes @fd one of Lodge's own, out of the guest's way and reach, close-on-exec: returns where it
 * is now, or @fd itself, not hidden, when no room is left. Any thread; holds after fork. */
int linux_fd_own(struct linux_proc *p, int fd);
bool linux_fd_is_own(const struct linux_proc *p, int fd);
/* Closes what linux_fd_own returned. */
void linux_fd_close(struct linux_proc *p, int fd);
void linux_binds_sort(struct linux_bind *binds, unsigned n);

/* ---- one per guest thread ---- */
enum { LINUX_PATHS = 2 };
struct linux_task {
	struct linux_proc *proc; /* borrowed */
	/* LINUX_SIGNAL: a signal waits for this guest thread; LINUX_KICK: the level wants it to
	 * look around, of which the guest shall see nothing. Set by the level's handler of host
	 * signals, cleared by the level. No call sleeps while one is set. */
	volatile int pending;
	/* Of a call that waits for some time, was kicked and is to be made again: when that is over
	 * (CLOCK_MONOTONIC, nanoseconds). 0: none. The level clears it when another call comes. */
	uint64_t until_ns;
	struct timespec left; /* scratch: what is left of it */
	bool unread; /* the path that was asked for last could not be read: nothing was looked up */
	/* scratch of a running call; the first paths are those of the call's arguments */
	uint64_t words[32];
	_Alignas(16) char path[LINUX_PATHS + 2][PATH_MAX + 64];
	struct iovec iov[IOV_MAX];
};

/* Makes call @nr with @a. Returns its value, -errno (-ENOSYS: no such call, or one that the level
 * makes), or LINUX_RESTART. Thread: the task's own, after host_fault_begin. */
int64_t linux_call(struct linux_task *t, unsigned nr, const uint64_t a[6]);

/* ---- the table, for logs ---- */
enum linux_kind {
	LINUX_VALUE, LINUX_FD, LINUX_DIR, LINUX_INT, LINUX_HEX, LINUX_OCT, LINUX_LEN, LINUX_OFF,
	LINUX_PID, LINUX_SIG, LINUX_IN, LINUX_OUT, LINUX_IO, LINUX_STR, LINUX_PATH, LINUX_ADDR,
};
/* Names lie in the rows: a pointer would have to be moved with the program at each start. */
struct linux_arg {
	char name[12];
	uint8_t kind;   /* enum linux_kind */
	uint8_t count;  /* IN and OUT: 1 + the argument that says how many; 0: one */
	uint16_t bytes; /* IN and OUT: of one; PATH: how it is followed */
};
enum { LINUX_ARGS = 6 };
struct linux_row {
	char name[24];  /* "": there is none */
	struct linux_arg arg[LINUX_ARGS];
	int16_t host;  /* number on this host; -1: none */
	uint8_t how, n_args;
	int16_t error;
};
/* The row of call @nr, NULL: there is none. */
const struct linux_row *linux_row(unsigned nr);
/* Writes `name(fd=3, path="/x", ...)`, or with @done ` = value` too, as one line without its end
 * into @buf; returns its length, cut at @cap - 1. Reads strings of the guest, guarded. */
size_t linux_print(char *buf, size_t cap, struct linux_task *t, unsigned nr, const uint64_t a[6],
                   const int64_t *done);
/* The ` = value` of it alone, for those who print the call before it is made. */
size_t linux_print_result(char *buf, size_t cap, int64_t done);

/* ---- guarded copies: 0, or -EFAULT, with nothing beyond the fault touched ---- */
int linux_read(const struct linux_proc *p, void *to, uint64_t at, size_t len) MUST;
int linux_write(const struct linux_proc *p, uint64_t at, const void *from, size_t len) MUST;
/* The string at @at with its NUL: its length, -EFAULT, or -ENAMETOOLONG when it does not fit
 * @cap. */
ssize_t linux_string(const struct linux_proc *p, char *to, uint64_t at, size_t cap) MUST;

/* ---- calls that may sleep ---- */
/* Makes the host's call @nr unless @t->pending is set: its value, -errno or LINUX_RESTART. Works
 * with handlers that were installed with SA_RESTART: then the kernel's own rule says which call is
 * restarted (LINUX_RESTART) and which returns -EINTR. */
int64_t linux_host_call(struct linux_task *t, long nr, const uint64_t a[6]);
/* For the level's handler of guest signals, after it has set pending: if the thread stands in
 * linux_host_call before its system call, or the kernel is about to restart it, that call will
 * return LINUX_RESTART. A call that is done keeps its result. Async-signal-safe. */
void linux_interrupted(ucontext_t *uc);

/* ---- paths, for exec and the loader ---- */
/* The guest's openat: a descriptor or -errno. /proc/self/exe is the guest's. */
int linux_open(struct linux_task *t, int dir, const char *path, int flags, unsigned mode) MUST;
/* Where @path, from @dir, leads in the guest's eyes once all links are followed: an absolute guest
 * path without links. 0 or -errno. */
int linux_path(struct linux_task *t, char ret[PATH_MAX], int dir, const char *path) MUST;
/* The limit @resource as the guest sees it. */
struct rlimit linux_limit(const struct linux_proc *p, int resource);
/* Set it, as far as the host lets us. */
void linux_limit_put(struct linux_proc *p, int resource, const struct rlimit *to);
