/* SPDX-License-Identifier: Apache-2.0 */
/* The state of a program, as sections of a state file (lodge-state(5)); its memory is a RAM file of
 * the pages that have been written, in the order of their addresses. Lists are arrays of 8-byte
 * words, so many for each entry; texts are offsets into one section of NUL-ended strings. */
#pragma once
#include "level/process/internal.h"
#include "save/save.h"
#include <sys/socket.h>
#include <sys/stat.h>

struct saved_process {
	uint64_t vdso, trampoline, stack_lo, stack_hi, brk_start, brk, top;
	uint64_t arg_start, arg_end, env_start, env_end;
	uint64_t actions[64 * 3]; /* as struct action */
	uint64_t auxv[2 * AUXV_MAX], auxv_len;
	uint64_t limits[2 * RLIM_NLIMITS];
	uint64_t timers[3 * 4]; /* struct itimerval of ITIMER_REAL, VIRTUAL, PROF */
	uint64_t pid, umask, threads, pages;
	uint64_t exe, cwd, comm; /* texts */
	uint64_t vlen;           /* bits of a vector register */
	uint64_t foreground;     /* group of its terminal's; 0: none */
};
extern const struct state_field saved_process_fields[];

struct saved_thread {
	uint64_t tid, mask, clear_tid, alt_sp, alt_size, alt_flags;
	uint64_t robust, robust_len;
	uint64_t left_ns;  /* of the call that it is about to make again; UINT64_MAX: none */
	uint64_t kept;     /* a signal that waits for delivery; 0: none */
	uint8_t info[128]; /* of it */
	uint64_t comm;     /* text */
	uint64_t npending; /* signals of its own that wait: since format 2 */
	uint8_t pending[8 * 128];
	/* registers */
	uint64_t x[32], f[32], pc, fcsr, vl, vtype, vstart, vcsr, vs;
	/* rv_hart.v: what VLEN 128 has of it, and the rest */
	uint8_t v[32 * 16], v_more[32 * (RV_VLENB_MAX - 16)];
};
extern const struct state_field saved_thread_fields[];

/* ---- lists: words of an entry ---- */
enum { /* "process/maps": what the host has mapped, and what the guest may do there */
       MAP_LO,
       MAP_HI,
       MAP_PROT,
       MAP_KIND,
       MAP_OFFSET,
       MAP_TEXT,
       MAP_SIZE,
       MAP_TIME,
       MAP_WORDS
};
/* MAP_KIND. FILE and SHARED_FILE: MAP_TEXT is a path of the host; SIZE and TIME (of its last
 * change, ns) say that it is still the same. SHARED: MAP_TEXT is a number, the same for mappings of
 * the same memory, MAP_SIZE its length. */
#define SHARED_NAME "lodge-shared" /* of memory that was SHARED_ANON before */
enum { HELD_ANON, HELD_FILE, HELD_SHARED_ANON, HELD_SHARED_FILE };
enum { PAGES_AT, PAGES_COUNT, PAGES_WORDS }; /* "process/pages" */
enum {                                       /* "process/files" */
       FILE_FD,
       FILE_KIND,
       FILE_FLAGS,
       FILE_POS,
       FILE_TEXT,
       FILE_A,
       FILE_B,
       FILE_C,
       FILE_D,
       FILE_WORDS
};
/* FILE_KIND. Of all but SAME, FILE_FLAGS is as of fcntl(2); FILE_LOCK comes behind its file. */
enum {
	KIND_SAME,    /* as the descriptor A has it */
	KIND_CONSOLE, /* A: 0 input, 1 output */
	KIND_PATH,    /* TEXT, at POS; A: size, B: mode, of a regular file */
	KIND_PIPE, /* the end A (0: to read) of pipe B, of capacity C. D: its inode, by which other
		    * processes have it, too (0: only this one) */
	KIND_EVENTFD,  /* A: count, B: is a semaphore */
	KIND_TIMERFD,  /* A: clock, B: expires in ns, C: interval in ns */
	KIND_SIGNALFD, /* A: mask */
	KIND_EPOLL,
	KIND_LOCK, /* of descriptor FD. A: flock(2) operation; D: enum lock_kind; B, C: start and
		    * length, 0: to the end */
	KIND_SOCKET,   /* A: of the list of sockets */
	KIND_NAMELESS, /* a file without a path, at POS, with what section process/file/A has of its
			* C bytes; TEXT: the folder where it was, or "" of memfd; B: mode */
	KIND_OTHER,    /* as the descriptor A of process B has it */
	KIND_INOTIFY,
	KIND_FIFO, /* as PIPE, at the path TEXT */
};
enum lock_kind { LOCK_FLOCK, LOCK_POSIX, LOCK_OFD };
/* Of a file: inodes of other file systems are other files. */
static inline uint64_t file_number(uint64_t dev, uint64_t ino)
{
	return ino ^ dev * UINT64_C(0x9e3779b97f4a7c15);
}
enum { WATCH_EPOLL, WATCH_FD, WATCH_EVENTS, WATCH_DATA, WATCH_WORDS }; /* "process/watches" */
/* "process/pipe/N": what is in pipe N. */
enum { /* "process/sockets", and "process/socket/N": its name, its peer's, bytes not received */
       SOCKET_NUMBER,
       SOCKET_KIND,
       SOCKET_INODE,
       SOCKET_DOMAIN,
       SOCKET_TYPE,
       SOCKET_PROTOCOL,
       SOCKET_SWITCHES, /* bits of socket_switches */
       SOCKET_BACKLOG,
       SOCKET_PEER, /* of a pair: the inode of the other end, 0: it is gone */
       SOCKET_SHUT, /* 1: reads no more, 2: writes no more */
       SOCKET_RECEIVE_US,
       SOCKET_SEND_US,
       SOCKET_NAME_LEN,
       SOCKET_PEER_LEN,
       SOCKET_WORDS
};
enum { SOCKET_BOUND, SOCKET_LISTENS, SOCKET_PAIR };
enum { SOCKETS_MAX = 4096, SOCKET_SWITCHES_N = 8 };
struct socket_switch {
	int level, name, domain; /* 0: of all */
};
extern const struct socket_switch socket_switches[SOCKET_SWITCHES_N];
enum { /* "process/timers": those of timer_create */
       TIMER_ID,
       TIMER_CLOCK,
       TIMER_SIGNAL,
       TIMER_NOTIFY, /* as of struct sigevent; TIMER_TID is of SIGEV_THREAD_ID */
       TIMER_TID,
       TIMER_VALUE,
       TIMER_LEFT, /* ns; 0: it is not armed */
       TIMER_EVERY,
       TIMER_WORDS
};
enum { INOTIFY_FD, INOTIFY_WATCH, INOTIFY_MASK, INOTIFY_TEXT, INOTIFY_WORDS }; /* a path watched */
enum { /* "process/kin": the process, then its children that have ended and that it may wait for */
       KIN_PID,
       KIN_PARENT, /* 1: nobody of the program */
       KIN_GROUP,
       KIN_SESSION,
       KIN_END, /* KIN_LIVES, or how KIN_STATUS is meant: an exit code, a signal */
       KIN_STATUS,
       KIN_WORDS
};
enum { KIN_LIVES, KIN_EXITED, KIN_KILLED };
/* "process/signals": those that wait. WAITING_TID 0: for the process; else it is in saved_thread */
enum { WAITING_TID, WAITING_INFO, WAITING_WORDS = 17 };

/* ---- gathering ---- */
struct words {
	uint64_t *v; /* owned */
	size_t n, cap;
	bool failed; /* no memory */
};
struct gather {
	struct save_out *o;
	struct task *t; /* who speaks */
	struct words maps, pages, files, watches, sockets, timers, waiting;
	struct words locks; /* they come behind all files */
	struct words kin, inotify;
	struct words others; /* what is open in the other processes */
	unsigned nnameless;
	int nfds; /* all descriptors are below */
	char *texts; /* owned */
	size_t ntexts, captexts;
	bool failed;
	unsigned npipes;
	int own_fd; /* a descriptor that is not the program's; -1 */
};
void words_add(struct words *w, const uint64_t *v, size_t n);
uint64_t text_add(struct gather *g, const char *text);
/* save_files.c: all descriptors that are the program's. EOPNOTSUPP: one cannot be saved. */
int files_gather(struct gather *g, struct lodge_err *e) MUST;
/* save_kin.c. EOPNOTSUPP: it has a child that cannot be saved. */
int kin_gather(struct gather *g, struct lodge_err *e) MUST;
int others_gather(struct gather *g, struct lodge_err *e) MUST;
/* Has another process opened the file @st? And apart from us, who have it as @fd? */
bool other_has(const struct gather *g, const struct stat *st);
bool other_apart(const struct gather *g, int fd, const struct stat *st);
/* The descriptor of the first process, in the order of numbers, that has the open file @fd; false:
 * that is this one. */
bool other_find(const struct gather *g, int fd, const struct stat *st, uint64_t *ret_pid,
		uint64_t *ret_fd);
/* watches.c: descriptor @fd of inotify, of which fdinfo says @text. EOPNOTSUPP. */
int inotify_gather(struct gather *g, int fd, const char *text, struct lodge_err *e) MUST;
/* save_maps.c: what is mapped, and which pages are to be kept. */
int maps_gather(struct gather *g, struct lodge_err *e) MUST;
/* Is the file @st, which has no name, mapped as shared memory? */
bool maps_have(const struct gather *g, const struct stat *st);

/* save_sockets.c: the socket at @fd. EOPNOTSUPP: it cannot be saved. */
int socket_gather(struct gather *g, int fd, uint64_t *ret_number, struct lodge_err *e) MUST;
/* Like "127.0.0.1:80", "/path", "@abstract". */
void socket_name_print(char *to, size_t cap, const struct sockaddr_storage *a, size_t len);
int timers_gather(struct gather *g, struct lodge_err *e) MUST;
enum { PENDING_MAX = 8 };
struct pending {
	siginfo_t info[PENDING_MAX];
	unsigned n;
	bool more;          /* than that */
	_Atomic bool done;
};
int pending_gather(struct gather *g, struct lodge_err *e) MUST;

/* ---- going on ---- */
/* Word @i of an entry of a list. */
static inline uint64_t word(const uint8_t *entry, unsigned i) { return le64_at(entry + 8 * i); }

struct tree;
struct restore { /* of one process */
	const struct save_in *in; /* its sections */
	const uint8_t *ram;       /* the pages, of all processes */
	uint64_t ram_pages, ram_at; /* how many; which is its first */
	struct saved_process p;
	struct tree *tree; /* that it is of */
	struct proc *proc;
};

/* ---- tree.c: the processes of a program ---- */
#define TREE_PREFIX "tree/%u/" /* of the sections of process N, where there are several */
enum { TREE_MAX = 256, PIPES_MAX = 1024, SHARED_MAX = 256 };
struct kin {
	uint64_t pid, parent, group, session, end, status;
	unsigned process; /* of tree.each, if it lives */
};
struct sockets {
	size_t n;
	struct socket_made {
		const uint8_t *w; /* of the list */
		const struct restore *r;
		int fd; /* owned; -1: not yet */
	} *made; /* owned */
};
/* Open files of all processes, made before these are: they inherit them. Above all descriptors that
 * the program has. */
struct bank {
	int above;
	int console[2];
	int *file[TREE_MAX]; /* owned: of each process, of each entry of its list; -1: none */
	struct {
		uint64_t number;
		const struct restore *r; /* whose number it is; NULL: it is an inode */
		int end[2];
		bool taken[2]; /* somebody has that very open file */
	} pipe[PIPES_MAX];
	struct {
		uint64_t number;
		int fd;
	} shared[SHARED_MAX]; /* memory */
	size_t npipes, nshared;
	struct sockets sockets;
};
struct together;
struct tree {
	unsigned n; /* processes, the first one first */
	struct save_in *view; /* owned */
	struct restore *each; /* owned */
	uint64_t pages;       /* of all */
	struct kin kin[TREE_MAX]; /* the first one first; with those that have ended */
	unsigned nkin;
	unsigned self; /* of kin: this process */
	struct bank bank;
	struct together *together;
};
/* From a state, checked. EINVAL: of no program that can be. @in is borrowed. */
int tree_new(struct tree **ret, const struct save_in *in, struct lodge_err *e) MUST;
void tree_free(struct tree *t);
/* Can these be made, in this way? EOPNOTSUPP: which one cannot. */
int tree_check(const struct tree *t, struct lodge_err *e) MUST;
const struct kin *tree_find(const struct tree *t, uint64_t pid);
const struct kin *tree_parent(const struct tree *t, const struct kin *k);
bool kin_leads(const struct kin *k); /* its session */
/* tree_fork.c: in the first process: make the others. Returns in each of them when it is its turn
 * to become what it was; t->self says which one it is. Errors: in the first one. */
int tree_fork(struct tree *t, struct lodge_err *e) MUST;
/* It is: the next one's turn. In the first process it returns when all are there. */
int tree_next(struct tree *t, struct lodge_err *e) MUST;
/* One of the others could not. */
_Noreturn void tree_fail(struct tree *t, const struct lodge_err *why);
/* A list of the state: 0 words when there is none. EINVAL: not of whole entries. */
int words_find(const struct restore *r, const char *name, size_t entry, const uint8_t **ret,
	       size_t *ret_n, struct lodge_err *e) MUST;
/* The text at @at; NULL: there is none. */
const char *text_find(const struct restore *r, uint64_t at);
/* The section "process", checked. */
int saved_load(const struct save_in *in, struct saved_process *ret, struct lodge_err *e) MUST;
/* This process becomes the program, as @first and threads beside it; none runs yet. */
int restore_run(struct restore *r, struct task *first, struct lodge_err *e) MUST;
/* The number of its thread @i; 0: the state does not say. */
int restore_tid(const struct restore *r, unsigned i);
/* This thread is @t, as it was. */
void thread_restored(struct task *t, const struct saved_thread *s, const char *comm);
/* thread.c: another thread of the program, by the number that comes next. */
int thread_go_on(struct proc *p, const struct saved_thread *s, const char *comm,
		 struct lodge_err *e) MUST;
/* restore_maps.c, restore_files.c: make what processes share; with it, become one of them. */
int shared_make(struct tree *t, struct lodge_err *e) MUST;
int maps_restore(struct restore *r, struct lodge_err *e) MUST;
int files_make(struct tree *t, struct lodge_err *e) MUST;
int files_restore(struct restore *r, struct lodge_err *e) MUST;
/* watches.c: the inotify of descriptor @number; its paths. */
int inotify_make(const struct restore *r, uint64_t number, struct lodge_err *e) MUST;
int inotify_paths(const struct restore *r, struct lodge_err *e) MUST;
/* When all threads are there. */
int timers_restore(const struct restore *r, struct lodge_err *e) MUST;
int pending_restore(const struct restore *r, const struct task *first, struct lodge_err *e) MUST;
/* Of this thread, which is @t. */
void pending_thread_put(const struct task *t, const struct saved_thread *s);
/* restore_sockets.c: the list of all processes. */
int sockets_begin(struct tree *t, struct lodge_err *e) MUST;
/* A descriptor of socket @number of @r. */
int sockets_open(struct tree *t, const struct restore *r, uint64_t number,
		 struct lodge_err *e) MUST;
void sockets_end(struct sockets *s);
