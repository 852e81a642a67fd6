/* SPDX-License-Identifier: Apache-2.0 */
/* host: the only room that talks to the host kernel's special interfaces: event loop,
 * memfd, clocks, threads, the address-fault handler. */
#pragma once
#include "base/base.h"
#include <pthread.h>

/* ---- clocks ---- */
uint64_t host_monotonic_ns(void);   /* CLOCK_MONOTONIC */
uint64_t host_realtime_ns(void);    /* CLOCK_REALTIME, since 1970 UTC */
uint64_t host_cpu_ns(void);         /* CPU time of all threads of this process so far */
/* Fill @buf with random bytes from the kernel; never fails once booted. */
void host_random(void *buf, size_t len);

/* ---- a process and all that it has started ---- */
/* Call @fn for each, parents first; what is not 0 ends it and is returned. Those that begin or end
 * meanwhile may be missed. */
int host_tree_each(pid_t pid, int (*fn)(void *arg, pid_t pid), void *arg) MUST;
/* CPU time of all of them, and of those that have ended and were waited for. */
uint64_t host_tree_cpu_ns(pid_t pid);
/* When @pid began, in ticks of the clock; 0: it has ended, whether it was waited for or not. */
uint64_t host_process_began(pid_t pid);

/* ---- CPUs of the host, for all threads of this process and of those it has started ---- */
unsigned host_cpus_online(void);
unsigned host_cpus_allowed(void); /* those that this thread may run on */
/* Is @text a set of CPUs ("0-2,5")? EINVAL. */
int host_cpus_check(const char *text, struct lodge_err *e) MUST;
/* Use these CPUs only; NULL: all that there are. EINVAL: none of them can be used. */
int host_cpus_pin(const char *text, struct lodge_err *e) MUST;
/* Stand beside others with @weight, 1 to 10000; 100 is usual. EPERM, EACCES: more than this process
 * has is for privileged ones. */
int host_cpus_weigh(unsigned weight, struct lodge_err *e) MUST;

/* ---- a control group of our own, for CPU time ---- */
struct host_cgroup;
struct host_cgroup_files {
	const char *cgroup, *mountinfo; /* in the form of those in /proc/self */
};
/* Make the group lodge-@name where the host lets us, and move this process there, with all that it
 * has started. @files NULL: the process's own. ENOENT: none are mounted; EACCES, EROFS, EBUSY, ...:
 * none may be made. */
int host_cgroup_new(struct host_cgroup **ret, const char *name,
                    const struct host_cgroup_files *files, struct lodge_err *e) MUST;
void host_cgroup_free(struct host_cgroup *g); /* goes back and removes it; NULL is fine */
const char *host_cgroup_path(const struct host_cgroup *g);
/* 1000: one CPU; 0: no limit. */
int host_cgroup_quota(struct host_cgroup *g, uint32_t milli, struct lodge_err *e) MUST;
int host_cgroup_weight(struct host_cgroup *g, unsigned weight, struct lodge_err *e) MUST;

/* An anonymous memory file of @bytes whose size can never change. Owned by the caller. */
int host_memfd_new(int *ret_fd, const char *name, uint64_t bytes, struct lodge_err *e) MUST;
/* Two ends for packets, each closed by exec; owned by the caller. */
int host_packet_pair(int ret[2], struct lodge_err *e) MUST;
/* One packet of a unix socket, with the descriptor @pass (-1: none). False: not all of it went, see
 * errno. */
bool host_packet_send(int fd, const void *data, size_t len, int pass) MUST;
/* The bytes of one, at most @len; 0: the other end is closed; -1: errno, EAGAIN when @wait is false
 * and there is none. *@ret_passed: owned, -1: none came. NULL: what comes is closed. */
ssize_t host_packet_receive(int fd, void *data, size_t len, bool wait, int *ret_passed) MUST;
/* Zeros in pages of their own, which take memory only once they are written: for what is large and
 * used in part (calloc clears what the heap has had already). NULL: no memory. */
void *host_pages_new(size_t bytes) MUST;
void host_pages_free(void *p, size_t bytes); /* NULL is fine */
/* Those that [@at, @at + @bytes) is in are about to be written: a fault of each costs more than all
 * at once do. Also where a fork has left them to be copied. If it cannot be, they fault. */
void host_pages_ready(void *at, size_t bytes);
/* The same of pages that fill up from @at on: of @bytes, @used are in use, and *@ready begin to be
 * written without a fault (0 at first, and @used in the child of a fork). */
void host_pages_more(void *at, size_t bytes, size_t used, size_t *ready);
static inline void host_pages_ahead(void *at, size_t bytes, size_t used, size_t *ready)
{
	enum { LOW = 2 << 10 };
	if (unlikely(used + LOW > *ready))
		host_pages_more(at, bytes, used, ready);
}
/* Threads may access these bytes at once: a guest does as it likes with its memory, and who else
 * reads it copies before it looks. Only the thread sanitizer hears of it. */
void host_race_expect(const void *at, uint64_t bytes);

/* ---- in a process that we have forked ---- */
/* Close all descriptors but 0 to 2 and the @n of @keep, those below 3 of which are none. */
void host_fds_close(const int *keep, size_t n);
/* Every signal does what it does by default, and none is blocked. */
void host_signals_default(void);
/* The first half of that: what is blocked stays so. */
void host_signal_actions_default(void);
/* Wait until our child @pid has ended, whatever signals come: its status of wait(2). -1: it is no
 * child of ours, or below 1, none. */
int host_reap(pid_t pid);
void host_child_end(pid_t pid); /* kill that, and reap it */
/* The exit code of a process by its status of wait(2), as shells give it: its own, or 128 + the
 * signal. */
int host_exit_code(int status);
/* "KILL", "SIGKILL", "9", "RTMIN+1" as a number; below 0: none. */
int host_signal_find(const char *text);

/* ---- the event loop: one thread that waits for descriptors, timers and posted work ----
 * All callbacks run on the thread inside loop_run, one at a time, each with the lock that was
 * given at registration held (NULL: none), so that device code contains no locks.
 * Lock order: that lock, then the loop's own; every function here may be called with it held
 * except the freeing ones (see loop_watch_free). A callback may free what it was called for, but
 * not the lock that it runs under. */
struct loop;
struct loop_watch;
struct loop_timer;
typedef void loop_fn(void *arg);
typedef void loop_fd_fn(void *arg, uint32_t epoll_events);

int loop_new(struct loop **ret, struct lodge_err *e) MUST;
/* NULL is fine. The loop must not be running, and its watches and timers must be freed. */
void loop_free(struct loop *l);
/* Run until loop_stop. Thread: exactly one at a time. */
void loop_run(struct loop *l);
void loop_stop(struct loop *l);              /* any thread; loop_run returns soon after */
/* Run @fn(@arg) once on the loop thread, in order of posting. Any thread. 0 or -ENOMEM. */
int loop_post(struct loop *l, pthread_mutex_t *lock, loop_fn *fn, void *arg) MUST;
/* Remove posted work of @arg that has not run yet (before @arg is freed). After return no work of
 * @arg runs: same rule as loop_watch_free. */
void loop_cancel(struct loop *l, void *arg);
/* Watch @fd (borrowed) for @events (EPOLLIN, EPOLLOUT, ...), level-triggered. Any thread. */
int loop_watch_new(struct loop_watch **ret, struct loop *l, int fd, uint32_t events,
                   pthread_mutex_t *lock, loop_fd_fn *fn, void *arg, struct lodge_err *e) MUST;
int loop_watch_change(struct loop_watch *w, uint32_t events) MUST;
/* After return the callback does not run any more (from the loop thread itself: immediately;
 * from others: waits for a running call, so never call it holding @lock off the loop thread). */
void loop_watch_free(struct loop_watch *w);
/* A timer, disarmed at first and again when it fires. @deadline_ns on CLOCK_MONOTONIC; UINT64_MAX
 * disarms: whoever does so with @lock held will not see it fire any more. Any thread. */
int loop_timer_new(struct loop_timer **ret, struct loop *l, pthread_mutex_t *lock, loop_fn *fn,
                   void *arg, struct lodge_err *e) MUST;
void loop_timer_set(struct loop_timer *t, uint64_t deadline_ns);
void loop_timer_free(struct loop_timer *t);  /* same rule as loop_watch_free */

/* ---- namespaces (ns.c) ---- */
/* @count ids from @outside on are those from @inside on. */
struct host_ids_range {
	uint32_t inside, outside, count;
};
enum { HOST_MAPS = 8 };
/* Who is who in a new user namespace: each itself, if the caller is root and @all is set; what
 * @uids and @gids say, if there are any; else there is the caller alone, as @uid and @gid. */
struct host_ids {
	bool all;
	uid_t uid;
	gid_t gid;
	struct host_ids_range uids[HOST_MAPS], gids[HOST_MAPS];
	size_t nuids, ngids;
};
/* This user is root, and those that /etc/subuid and /etc/subgid give it are the others, as
 * newuidmap(1) maps them. False: it has none (or there is no newuidmap), and *@ret is the caller
 * alone, as root. */
bool host_ids_given(struct host_ids *ret);
/* How many there are from 0 on. */
uint32_t host_ids_count(const struct host_ids *ids);
/* The ranges that the lines of @name, or of the number @id, of @file (as of subuid(5)) have; at
 * most @cap. Their outside is set, and count. */
size_t host_subids(const char *file, const char *name, uid_t id, struct host_ids_range *ret,
                   size_t cap);
/* file_remove_tree of what may belong to ids that this user was given: in a namespace of them. */
int host_remove_tree(int dirfd, const char *name, struct lodge_err *e) MUST;
/* This process, which has one thread, enters a user namespace and those that @also (CLONE_NEWNS,
 * ...) names, mounts private. There is no way back, also on failure. */
int host_userns_enter(unsigned also, const struct host_ids *ids, struct lodge_err *e) MUST;

/* ---- what the host can really do: each does it once and says how it went ---- */
int host_probe_kvm(struct lodge_err *e) MUST;      /* runs a tiny guest */
int host_probe_io_uring(struct lodge_err *e) MUST;
int host_probe_userns(struct lodge_err *e) MUST;   /* forks */
int host_probe_tun(struct lodge_err *e) MUST;
int host_probe_ping(struct lodge_err *e) MUST;

/* ---- memory that may not be there ----
 * Accesses to addresses that somebody else chose. They fail, and say so, where the host would have
 * ended the process. Thread: any, between host_fault_begin and the end of the process. */
struct host_fault {
	uint64_t at;    /* address */
	int sig, code;  /* SIGSEGV or SIGBUS, and its si_code */
};
/* See to the handlers of SIGSEGV and SIGBUS in the process, which leave to those before what is not
 * ours. A thread that runs on a stack of its own making needs an alternate signal stack; the two
 * signals must not be blocked. */
int host_fault_begin(struct lodge_err *e) MUST;
/* Who looks at this thread's other faults; NULL: nobody. @catch gets the address of the instruction
 * and may change it to where the thread goes on; false: the fault is none of its own. It runs in
 * the signal handler. @t is borrowed. Returns who did before. */
struct host_fault_taker {
	bool (*catch)(void *user, const struct host_fault *f, uint64_t *pc);
	void *user;
};
const struct host_fault_taker *host_fault_taken_by(const struct host_fault_taker *t);
/* The last fault that was mended or taken on this thread. */
void host_fault_last(struct host_fault *ret);
/* @size 1, 2, 4 or 8 bytes at @at, in one access if that is aligned. False: a fault. */
bool host_load(uint64_t at, unsigned size, uint64_t *ret_zext) MUST;
bool host_store(uint64_t at, unsigned size, uint64_t v) MUST;
/* Compare and swap of @size 4 or 8 bytes, sequentially consistent: *@old is what is expected, and
 * then what was there, zero-extended. @at should be aligned. */
bool host_cas(uint64_t at, unsigned size, uint64_t *old, uint64_t v) MUST;
bool host_cas16(uint64_t at, uint64_t old[2], const uint64_t v[2]) MUST; /* @at: aligned */
/* Returns how many of the @n bytes were not copied: the last ones. */
size_t host_copy(void *to, const void *from, size_t n) MUST;
/* Are the @n bytes @at those @as, which are there? False also where they are not. */
bool host_same(const void *at, const void *as, size_t n);
/* Bytes before the first zero byte, @max if there is none among so many. False: a fault. */
bool host_length(uint64_t at, size_t max, size_t *ret) MUST;

/* ---- all of a piece of a file, however many calls it takes ---- */
/* Write all of it at @off; false: errno says why. */
bool host_pwrite(int fd, const void *p, size_t len, uint64_t off) MUST;
/* Read all of it; false: errno, 0 for a file that ends before. */
bool host_pread(int fd, void *p, size_t len, uint64_t off) MUST;

/* One write(2) of all of @text, as files of /proc, /sys and control groups take it: whole or not at
 * all. -1 and errno. */
int host_text_write(int fd, const char *text) MUST;
/* The same for the file @path, looked up from @dir, which is there. */
int host_text_put(int dir, const char *path, const char *text) MUST;

/* ---- libraries that few runs need: loaded when they are first wanted ----
 * A room lists the functions that it calls as HOST_CALL(name) rows of a .def and makes them with
 *     __asm__(HOST_LIBRARY(tag)
 *     #include "room/tag.def"
 *             HOST_LIBRARY_END);
 * Each is then a function of ours by the library's own name, which goes on into the library: calls
 * are checked against its header as ever, a name that is no row does not link, and none may be
 * called before host_library_load has succeeded. */
struct host_library {
	const char *file, *package; /* its soname; the Debian package that has it */
	void **at;              /* tag_at and tag_names, which HOST_LIBRARY(tag) has made */
	const char *names;
};
#define HOST_LIBRARY(tag)                                                                          \
	".pushsection .bss\n.balign 8\n" #tag "_at:\n.popsection\n"                               \
	".pushsection .rodata\n" #tag "_names:\n.popsection\n"
#define HOST_CALL(name)                                                                            \
	".pushsection .bss\n" #name "_at: .zero 8\n.popsection\n"                                  \
	".pushsection .rodata\n.asciz \"" #name "\"\n.popsection\n"                                \
	".pushsection .text\n.globl " #name "\n.hidden " #name "\n.type " #name ", @function\n"    \
	#name ": jmp *" #name "_at(%rip)\n.size " #name ", . - " #name "\n.popsection\n"
#define HOST_LIBRARY_END ".pushsection .rodata\n.byte 0\n.popsection\n"
/* One that host_libraries_load shall find. */
#define HOST_LIBRARY_LISTED(lib)                                                                   \
	static struct host_library_node lib##_node = { &lib, NULL };                               \
	__attribute__((constructor)) static void lib##_list(void)                                  \
	{                                                                                          \
		host_library_list(&lib##_node);                                                    \
	}                                                                                          \
	struct host_library_node
struct host_library_node {
	const struct host_library *lib;
	struct host_library_node *next;
};
void host_library_list(struct host_library_node *n); /* of HOST_LIBRARY_LISTED; borrowed */
/* All that are listed, as far as they are there. Before a fork: what is only looked at while they
 * are bound, some 3 MiB, does not come along. */
void host_libraries_load(void);
/* Any thread; cheap after the first time. It stays for good. ENOENT with what to install. */
int host_library_load(const struct host_library *l, struct lodge_err *e) MUST;
