/* SPDX-License-Identifier: Apache-2.0 */
/* level/process, private: a Linux program of riscv64 in this process. Its memory is at its own
 * addresses in ours, below USER_END; its system calls are ours; each of its threads is one of ours
 * with a hart and an engine of its own. */
#pragma once
#include "engine/engine.h"
#include "img/img.h"
#include "level/process/kept.h"
#include "life/life.h"
#include "linux/linux.h"
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

#define USER_END (UINT64_C(1) << 38)    /* as with Sv39 page tables */
#define USER_GUARD (UINT64_C(4) << 30)  /* behind it: nothing, so that strides of code end there */
enum { AUXV_MAX = 24 };
enum { PAGE = 4096, RIGHTS_MAPPED = 8 /* beside enum rv_access: something is there */ };

/* ---- space.c: what is mapped where, below USER_END ---- */
enum {
	RANGE_FOREIGN = 1,      /* was there before the guest: it may not have it */
	RANGE_FILE = 2,         /* what a file has, at least at first */
};
struct range {
	uint64_t lo, hi;
	uint8_t prot;           /* PROT_READ, PROT_WRITE, PROT_EXEC as the guest asked */
	uint8_t flags;
};
struct space {
	pthread_rwlock_t lock;
	struct range *ranges;   /* owned: sorted, without overlaps; neighbours differ */
	size_t n, cap;
	uint64_t top;           /* new mappings go below */
	uint64_t chance;        /* of where files go: file_place */
	uint64_t brk_start, brk;
};
/* An empty space but for what the process has there already; reserves the guard behind it. */
int space_init(struct space *s, struct lodge_err *e) MUST;
void space_fini(struct space *s);
/* The functions below want the lock: to read for those with a const space, else to write. */
/* The first range that ends above @at; NULL: none. */
const struct range *space_find(const struct space *s, uint64_t at);
/* [@lo, @hi) is now so; whole pages. False: no memory, nothing changed. */
bool space_put(struct space *s, uint64_t lo, uint64_t hi, uint8_t prot, uint8_t flags) MUST;
bool space_drop(struct space *s, uint64_t lo, uint64_t hi) MUST;
bool space_is_free(const struct space *s, uint64_t lo, uint64_t hi);
/* Does any range in [@lo, @hi) have one of these @prot bits, or these @flags? */
bool space_has(const struct space *s, uint64_t lo, uint64_t hi, uint8_t prot, uint8_t flags);
/* The highest gap of @len below @top; 0: none. */
uint64_t space_gap(const struct space *s, uint64_t len, uint64_t align, uint64_t top);

/* ---- a process and its threads ---- */
struct action {                 /* as the guest has it in memory */
	uint64_t handler, flags, mask;
};
struct alt {                    /* stack of signals */
	uint64_t sp, size;
	uint32_t flags;
};
struct proc {
	pthread_mutex_t lock;   /* of actions and tasks; taken last */
	pthread_cond_t left;    /* a task has ended */
	struct task *tasks;     /* all; owned by their threads */
	unsigned ntasks;
	struct task *ending;    /* it ends the others; NULL: nobody */
	struct task *heir;      /* its program goes on on the first thread; NULL: none */
	bool unshares;          /* its rights have changed: it has no code in common any more */
	bool parked;            /* that thread has ended for the program, but waits for an heir */
	struct task *idle;      /* ended; a new thread takes one over, hart and translations */
	unsigned nidle;
	uint64_t stales;        /* changes of code so far */
	struct action actions[64];
	struct rv_env env;
	struct vclock clock;
	const struct engine *engine;
	struct space space;
	struct linux_proc sys;
	bool shares;            /* memory that is written, with other processes: since exec */
	bool shares_read;       /* mappings of that kind that may only be read so far */
	uint64_t vdso;          /* its page */
	uint64_t trampoline;    /* in it: where signal handlers return to */
	uint64_t stack_lo, stack_hi;
	char *exe, *root;       /* owned; of sys */
	char name[16];          /* of the thread that an heir comes from */
	struct linux_bind *binds; /* the same */
	uint64_t auxv[2 * AUXV_MAX];
	uint64_t chance[2];     /* of load_place; children inherit it */
	struct debug *debug;    /* owned; NULL: no debugger */
	int trace_fd;           /* calls are written there; -1: nowhere */
	bool by_kernel;         /* execve of what gains rights is the kernel's: process.h */
	int vfork_fd;           /* its end tells the parent to go on; -1: none waits */
	struct kept_slot *lender; /* of that parent */
	uint32_t lent_number;   /* a halt that this child of vfork has put off, since then */
	uint64_t lent_since_ns;
	/* ---- of a keeper's program; halt.c ---- */
	struct kept *kept;      /* shared with the keeper; NULL: there is none */
	struct kept_slot *slot; /* of this process; NULL: none was free */
	struct task *speaker;   /* answers the keeper while all stand still */
	uint32_t halt_number;   /* why: the number of the halt; 0: they run */
	unsigned nhalted, naway; /* tasks that stand still, that wait for a child of vfork */
	int life_fd;            /* the speaker's, which all processes share; -1 */
	struct { uint64_t *v; size_t n; } pages; /* those that the state names; owned */
	struct { char **v; size_t n; } watched; /* paths, by inotify; owned, under the lock */
	struct { uint64_t dev, ino; } console[2]; /* what stdin and stdout were at first */
};
/* Of a thread that a debugger watches: debug.c. */
struct watch {
	bool parked;            /* stands between two instructions, or behind a call */
	bool held;              /* stays so, whatever the others do */
	bool step;              /* stops where it comes to us next */
	bool exec;              /* has another program, which nobody was told of */
	int event, why;         /* a signal to tell the debugger of, 0: none; enum gdb_why */
	bool asks;              /* stands before a signal is delivered */
	int give;               /* the signal that it goes on with; 0: none */
	int silent;             /* one that the debugger has sent, and need not hear of */
};
struct task {
	struct proc *p;
	struct rv_hart *h;      /* NULL: not yet */
	uint64_t clear_tid;     /* guest address; 0: none */
	struct task *next;
	int tid, status;        /* status: of exit */
	struct rv_range stale[RV_STALE]; /* from others, under the lock */
	unsigned nstale;
	uint64_t stales;        /* changes of code that it knows of, while it is idle */
	struct report *report;  /* of a child of vfork that has not called exec: to its parent */
	struct registers *back; /* of that parent, while it runs the end of its child; owned */
	struct filter *filter;  /* owned: a reference; of system calls. NULL: none */
	bool strict;            /* makes four calls only */
	struct watch watch;
	bool moves;             /* the first thread takes it over, as exec does */
	_Atomic bool calling;   /* in a system call, and so in no code of the engine's */
	/* ---- signals: signal.c ---- */
	uint64_t mask, saved_mask;
	bool has_saved;         /* saved_mask is the mask again after the next delivery */
	struct alt alt;
	volatile int kept;      /* a signal that waits for delivery; 0: none */
	struct pending *_Atomic looks; /* say there, when kicked, which signals wait: pending.c */
	siginfo_t info;         /* of it */
	uint64_t until_pc;      /* sys.until_ns is of the call there */
	bool restart;           /* the call that is being made was interrupted */
	uint64_t restart_a0;
	struct linux_task sys;  /* its proc is p's; last, for its buffers are large */
};
int task_new(struct task **ret, struct proc *p, struct lodge_err *e) MUST;
/* Give it a hart. */
int task_hart(struct task *t, struct lodge_err *e) MUST;
void task_free(struct task *t);
/* ---- thread.c ---- */
void task_enlist(struct task *t);       /* it runs from now on */
/* Others will touch what @t, which is in a call, writes: its atomics are locked from then on. */
void task_share(struct task *t);
/* Memory will be mapped, or protected, so; @shared: other processes may have it, too. */
void task_maps(struct task *t, uint64_t prot, bool shared);
/* The process has one thread, the rest is known: after fork and exec. */
void proc_alone(struct proc *p);
/* Run the program on this thread, which is @t's; @t is freed. Returns when other threads go on. */
void task_run(struct task *t);
/* Code in [@lo, @hi) has changed or may not run any more, on any hart. */
void task_code_stale(struct task *t, uint64_t lo, uint64_t hi);
/* The process has other rights than those that it shares translated code with; @now: from now on.
 * That code goes as soon as @t is the only thread. */
void code_unshare(struct task *t, bool now);
void task_stale_take(struct task *t);   /* what others have said of code */
/* The same to @to from another thread; with the lock of the program. */
void task_stale_post(struct task *to, uint64_t lo, uint64_t hi);
/* Around fork, which finds the lists whole. */
void tasks_fork_begin(struct task *t);
void tasks_fork_end(struct task *t, bool in_child);
/* Returns when they are gone, or false: another task is at it, and this one will end. */
bool tasks_end_others(struct task *t) MUST;
/* Of a new program: its thread is the one that gives the process its number. */
void task_lead(struct task *t);
/* Of struct rv_process. */
void task_ecall(void *proc, struct rv_hart *h);
void task_exception(void *proc, struct rv_hart *h, enum rv_exc cause, uint64_t tval);
void task_look(void *proc, struct rv_hart *h);
/* Ends the process as signal @sig does. */
_Noreturn void proc_die(struct proc *p, int sig);

/* ---- root.c ---- */
/* Open what @c says is the program's /; sets up p->sys. On failure root_close, too. */
int root_open(struct proc *p, const struct lodge_config *c, struct lodge_err *e) MUST;
void root_close(struct proc *p);

/* ---- trace.c: the log of calls, for -o strace=FILE ---- */
/* Open what the option strace names ("-": standard error) as p->trace_fd. */
int trace_open(struct proc *p, const struct lodge_config *c, struct lodge_err *e) MUST;
/* call_run with a line of log, which processes and threads of the program share. */
int64_t trace_call(struct task *t, unsigned nr, const uint64_t a[6]);
void trace_signal(const struct task *t, int sig, uint64_t at);

/* ---- debug.c: a debugger, for -o gdb=WHERE. Thread: the task's own ---- */
/* If it is asked for, wait for it; p->debug. */
int debug_open(struct proc *p, const struct lodge_config *c, struct lodge_err *e) MUST;
/* The program is there: @t, its only thread, stands until the debugger lets it go. */
int debug_begin(struct task *t, struct lodge_err *e) MUST;
/* The others want p->debug not to be NULL, but for exec, forked and ended. */
void debug_park(struct task *t);        /* while all have to stand */
void debug_called(struct task *t);      /* a call was made: perhaps all have to stand */
/* @sig is about to be delivered: the one to deliver instead, 0: none. */
int debug_signal(struct task *t, int sig) MUST;
/* An ebreak at h->npc: false: the program's own. */
bool debug_trap(struct task *t) MUST;
void debug_exec(struct task *t);        /* another program is there */
void debug_forked(struct task *t);      /* in the child */
void debug_ended(struct proc *p, int status, int sig);
/* Of struct rv_process. */
void debug_code(const struct debug *d, uint64_t va, uint8_t *copy, size_t n);

/* ---- seccomp.c ---- */
/* @t has the filters of @from (NULL: none). */
void seccomp_inherit(struct task *t, const struct task *from);
/* Of a thread with filters: is call @nr not made, but has *@ret as its result? It may not return,
 * and the thread may have begun a handler. */
bool seccomp_stops(struct task *t, unsigned nr, const uint64_t a[6], int64_t *ret);
/* Is @code, @n struct sock_filter, a program that Linux takes? What it makes of struct
 * seccomp_data @data, if it is. */
bool seccomp_sound(const void *code, unsigned n) MUST;
uint32_t seccomp_eval(const void *code, const void *data);
int64_t call_seccomp(struct task *t, const uint64_t a[6]);
int64_t call_prctl_process(struct task *t, const uint64_t a[6]);

/* ---- load.c ---- */
struct program {
	struct img_program p;
	uint64_t bias;          /* is at its addresses plus this */
	int fd;                 /* owned; -1: none */
};
/* What starts a program. */
struct start {
	uint64_t entry, sp, stack_lo;
	struct program main, interp; /* interp.fd -1: none */
	const char *const *argv, *const *env;
	size_t argc, nenv;
	const char *path;       /* as it was given: AT_EXECFN */
	bool secure;            /* AT_SECURE, whatever the user ids say */
	char *found;            /* owned: path of the program that the user named */
	char *script;           /* owned, path of a script's interpreter: argv is owned, too */
};
/* Read the headers of the program at @fd (taken) and of its interpreter: nothing is mapped. @path
 * is for messages. ENOEXEC, ENOENT, EACCES. */
int program_open(struct task *t, struct start *s, int fd, const char *path,
                 struct lodge_err *e) MUST;
/* Open @path in the guest's tree to read it. */
int program_find(struct task *t, const char *path, struct lodge_err *e) MUST;
/* Map them, the stack and all into the empty space. */
int program_load(struct proc *p, struct start *s, struct lodge_err *e) MUST;
void program_close(struct start *s);

const uint8_t *vdso_image(uint64_t *ret_len);

/* A random distance below @pages pages; 0 where the user wants none. */
uint64_t load_random(uint64_t pages);
/* The same, but of what holds code: one for all programs that descend from the first, so that what
 * one of them has translated is of use to the others. */
enum place { PLACE_PROGRAM, PLACE_TOP };
uint64_t load_place(const struct proc *p, enum place which, uint64_t pages);

/* ---- stack.c ---- */
/* Map the stack; sets s->sp to its top and where other mappings begin. */
int stack_map(struct proc *p, struct start *s, struct lodge_err *e) MUST;
/* Write arguments, environment and auxiliary vector; moves s->sp. E2BIG. */
int stack_fill(struct proc *p, struct start *s, struct lodge_err *e) MUST;

/* ---- memory.c: calls that change the space; results as of system calls ---- */
int64_t mem_mmap(struct task *t, const uint64_t a[6]);
int64_t mem_munmap(struct task *t, const uint64_t a[6]);
int64_t mem_mremap(struct task *t, const uint64_t a[6]);
int64_t mem_mprotect(struct task *t, const uint64_t a[6]);
int64_t mem_madvise(struct task *t, const uint64_t a[6]);
int64_t mem_brk(struct task *t, const uint64_t a[6]);
int64_t mem_shmat(struct task *t, const uint64_t a[6]); /* shm.c */
int64_t mem_shmdt(struct task *t, const uint64_t a[6]);
/* munmap(2) of whole pages below USER_END, with the space's lock for writing. */
int64_t mem_unmap(struct task *t, uint64_t at, uint64_t len) MUST;
/* Host rights for what the guest asked: code is data to the host. */
int mem_host_prot(uint64_t prot);
/* Map for the loader: as mmap(2) at @at, whatever of the guest's is there, or at a place of the
 * level's choice when it is 0. Address or -errno. */
int64_t mem_map(struct proc *p, uint64_t at, uint64_t len, int prot, int flags, int fd,
                uint64_t off);

/* ---- calls.c ---- */
int64_t call_run(struct task *t, unsigned nr, const uint64_t a[6]);

/* ---- signal.c ---- */
enum { SIGNAL_KICK = 64 };      /* makes a thread look around; no guest has it */
/* What the process was started with; our handlers. */
int signals_begin(struct proc *p, struct lodge_err *e) MUST;
/* A debugger has come or gone: signals that end or stop the program come by us, or do not. */
void signals_watch(struct proc *p);
/* This thread is @t from now on, with the mask of @from (NULL: the thread's). */
void signals_task(struct task *t, const struct task *from);
void signals_restore(struct proc *p, const uint64_t actions[]); /* as saved */
void signals_task_restored(struct task *t); /* this thread is @t, whose mask and kept are set */
void signals_move(struct task *t);      /* this thread goes on with @t */
/* Bytes of a stack that any signal can be delivered on: AT_MINSIGSTKSZ. */
uint64_t signals_stack_min(const struct proc *p);
void signals_end(void);                 /* it is nobody's */
void signals_forked(struct task *t);    /* in the child */
void signals_exec(struct task *t);
void signals_noticed(struct task *t);   /* this thread looks around: calls may wait again */
/* Between two instructions, or behind a call: run what is kept. h->npc is where the program is. */
void signals_deliver(struct task *t);
/* An instruction raised @sig at h->npc. */
void signals_fault(struct task *t, int sig, int code, uint64_t at);
/* @info is delivered at h->npc, or ends the process. */
void signals_force(struct task *t, const siginfo_t *info);
int64_t call_sigaction(struct task *t, const uint64_t a[6]);
int64_t call_sigprocmask(struct task *t, const uint64_t a[6]);
int64_t call_sigpending(struct task *t, const uint64_t a[6]);
int64_t call_sigsuspend(struct task *t, const uint64_t a[6]);
int64_t call_sigtimedwait(struct task *t, const uint64_t a[6]);
int64_t call_sigaltstack(struct task *t, const uint64_t a[6]);
int64_t call_sigreturn(struct task *t, const uint64_t a[6]);

/* ---- process.c ---- */
int process_claims(const struct lodge_config *c);
int process_become(const struct lodge_config *c, struct lodge_err *e);
/* The same in a child of the keeper's init: says at plan->ready when it is about to run. */
/* A process of the program of @c with nothing in it yet. */
int process_remake(struct task **ret, const struct lodge_config *c, struct lodge_err *e) MUST;
struct tree;
/* @from: what it goes on from; NULL: from its beginning. */
int process_kept(const struct lodge_config *c, const struct init_plan *plan, struct tree *from,
                 struct lodge_err *e) MUST;

/* ---- pending.c ---- */
/* This thread's signals that wait, which stay; says so in p->done. Async-signal-safe. */
struct pending;
void pending_look(struct pending *p);

/* ---- watches.c: of struct linux_proc ---- */
void watch_note(void *proc, const char *path, bool follow);

/* ---- halt.c ---- */
/* Is somebody to halt? Then halt_look. */
bool halt_wanted(const struct proc *p);
void halt_look(struct task *t);         /* returns when the program goes on */
void speak(struct task *t);             /* save.c: answer the keeper, if it asks */
void halt_join(struct proc *p);         /* this process is one of the program */
/* Before fork, a slot for the child, which no halt overlooks then (NULL: none); and behind it, in
 * both, with what fork returned. */
struct kept_slot *halt_fork(struct proc *p);
void halt_forked(struct proc *p, struct kept_slot *slot, int64_t pid);
void halt_leave(struct proc *p);        /* it is not any more */
void halt_ended(struct proc *p);        /* a task has; the lock is held */
void halt_away(struct task *t, bool away); /* it waits for a child and runs nothing meanwhile */
void halt_away_kicked(struct task *t);  /* perhaps that child stands still */
/* init.c: the next thread or process has this number, if this process may say so. */
bool init_next_pid(int pid);

/* ---- vfork.c: how a child that fails tells its parent ---- */
struct clone;
struct report *report_new(const struct task *t, const struct clone *c); /* NULL: there is none */
void report_drop(struct report *r);
/* In the child: a call had this @result, and its registers have it; it is about to exit. */
void report_call(struct task *t, int64_t result);
void report_exit(struct task *t);
/* In the parent, when the child is gone: the hart is where that failed, or nothing is changed. The
 * result of the call that is being made. At the next call, or fault, report_done. */
int64_t report_take(struct task *t, const struct report *r, int64_t pid);
void report_done(struct task *t);

/* ---- fork.c, exec.c ---- */
/* What clone and clone3 ask for. */
struct clone {
	uint64_t flags, stack, tls, parent_tid, child_tid;
	int signal;             /* when the child ends */
};
int64_t fork_run(struct task *t, const struct clone *c);
int64_t thread_run(struct task *t, const struct clone *c);
int64_t call_exit(struct task *t, const uint64_t a[6]);
int64_t call_execve(struct task *t, const uint64_t a[6]);
int64_t call_execveat(struct task *t, const uint64_t a[6]);
/* If what @fd (of s->path) has is a script, its interpreter takes its place, in s->argv as well. */
int script_start(struct task *t, struct start *s, int *fd, struct lodge_err *e) MUST;
/* What /proc/self/exe will say of the program @path: *@ret, owned. */
int exe_find(struct task *t, const char *path, char **ret, struct lodge_err *e) MUST;
/* Name the program that runs: /proc/self/exe is @exe, which is taken, and comm is of @path. Other
 * threads would read the old one meanwhile: there are none. */
void exe_set(struct proc *p, const char *path, char *exe);
