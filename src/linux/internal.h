/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the room linux share. */
#pragma once
#include "linux/linux.h"
#include <fcntl.h>
#include <sys/syscall.h>

/* How a row is made; how a path of a row is followed (linux_arg.bytes). */
enum { HOW_NONE = 1, HOW_PASS, HOW_WAIT, HOW_OWN, HOW_LEVEL };
enum {
	LAST,
	FOLLOW,
	FLAG_2 = 8,
	FLAG_3,
	FLAG_4,
	FLAG_MASK = 15,
	CHANGE = 16,
};

/* call_NAME for each OWN row: @a as the guest gave it, its pointers held against user_end. */
#define PASS(...)
#define WAIT(...)
#define SAME(...)
#define SAME_WAIT(...)
#define LEVEL(...)
#define NONE(...)
#define OWN(nr, name, ...) int64_t call_##name(struct linux_task *t, const uint64_t a[6]);
#include "linux/calls.def"

/* ---- the host ---- */
/* The host's call, which does not sleep: value or -errno. */
int64_t linux_direct(long nr, const uint64_t a[6]);
#define HOST(nr, ...) linux_direct(nr, (const uint64_t[6]){ __VA_ARGS__ })
#define HOST_WAIT(t, nr, ...) linux_host_call(t, nr, (const uint64_t[6]){ __VA_ARGS__ })
static inline uint64_t ptr(const void *p) { return (uint64_t)(uintptr_t)p; }
/* An int argument in a register. */
static inline uint64_t reg(int v) { return (uint64_t)(int64_t)v; }

/* ---- checks ---- */
/* An address and a descriptor that the kernel never takes. */
#define REFUSED ((uint64_t)-4096)
#define REFUSED_FD ((uint64_t)-1)
/* Is [@at, @at + @len) the guest's to name? Says nothing about what is mapped. */
static inline bool range_ok(const struct linux_proc *p, uint64_t at, uint64_t len)
{
	return at <= p->user_end && len <= p->user_end - at;
}
static inline uint64_t range_for_host(const struct linux_proc *p, uint64_t at, uint64_t len)
{
	return range_ok(p, at, len) ? at : REFUSED;
}
/* @e of a step before call @nr; but a path that could not be read is left to the kernel to find,
 * after what it looks at before: @a is the guest's. No other one may get there untranslated. */
static inline int64_t call_refuse(const struct linux_task *t, long nr, const uint64_t a[6],
                                  int64_t e)
{
	return t->unread && (e == -EFAULT || e == -ENAMETOOLONG) ? linux_direct(nr, a) : e;
}
/* A descriptor that is Lodge's own. */
static inline bool fd_hidden(const struct linux_proc *p, uint64_t fd)
{
	uint32_t i = (uint32_t)fd - (uint32_t)p->fd_own;
	return i < LINUX_FDS && p->fd_set >> i & 1;
}
/* A vector of the guest for the host: a copy in @t->iov, in which the kernel will refuse what is
 * not the guest's; or where it is, if it cannot be read, which the kernel will find too. */
uint64_t iov_for_host(struct linux_task *t, uint64_t at, uint64_t n) MUST;
/* The signal mask of @size bytes at @at (0: none) for the host: a copy in @t->words without
 * keep_signals; or where it is, if it cannot be read or has another size. */
uint64_t mask_for_host(struct linux_task *t, uint64_t at, uint64_t size) MUST;

/* ---- paths (path.c) ---- */
/* Where the host finds what a guest path names. */
struct where {
	int dir;          /* for *at calls, with @name */
	const char *name; /* in the task's scratch, or of a bind */
	bool read_only;
};
/* Resolve the guest's string at @path from @dir, following the last link or not as @how says, into
 * scratch @slot (below LINUX_PATHS). Nothing needs to be there. 0 or -errno. */
int path_find(struct linux_task *t, unsigned slot, struct where *ret, int dir, uint64_t path,
              unsigned how) MUST;
/* The same of a string of ours. */
int path_find_own(struct linux_task *t, unsigned slot, struct where *ret, int dir,
                  const char *path, unsigned how) MUST;
/* The guest path of descriptor @fd (or AT_FDCWD) to @buf, "" for the root. 0 or
 * -errno; -EXDEV: it is not in the root. */
int path_of_fd(struct linux_task *t, char *buf, size_t cap, int fd) MUST;
/* @w as one path for calls that take no directory: in scratch @slot, which may be @w's own. */
int path_plain(struct linux_task *t, unsigned slot, const char **ret, const struct where *w) MUST;
/* Is what path_find left in scratch @slot in a bind that is fixed? */
bool path_is_fixed(const struct linux_task *t, unsigned slot);
/* A path of the host in the guest's eyes: @host is changed in place (@cap bytes). False: it is
 * outside of the guest's root. */
bool path_to_guest(const struct linux_proc *p, char *host, size_t cap) MUST;
/* Where @w leads, as a path of the host, if it is text that starts with "/"; else NULL. */
const char *path_host(struct linux_task *t, const struct where *w);
/* Makes a PASS row with paths in it. */
int64_t path_call(struct linux_task *t, const struct linux_row *r, const uint64_t a[6]);

/* ---- what /proc shows (proc.c) ---- */
enum view { VIEW_NONE, VIEW_EXE, VIEW_CWD, VIEW_ROOT, VIEW_LINK, VIEW_CMDLINE, VIEW_ENVIRON,
            VIEW_AUXV, VIEW_MAPS, VIEW_STAT, VIEW_STATUS, VIEW_CPUINFO };
/* What @path (of the host, without "." and "..") is a view of; *ret_self: of this process. */
enum view view_of(const char *path, bool *ret_self);
/* A descriptor that reads as the view @v does, or -errno. */
int view_make(struct linux_task *t, enum view v, int flags) MUST;
