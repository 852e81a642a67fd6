/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the room share. Calls return an error number of preview 1, 0 for success. */
#pragma once
#include "host/host.h"
#include "wasi/wasi.h"
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>

enum { DESCRIPTORS_MAX = 4096, IOVS_MAX = 1024, PATH_LEN_MAX = 4096 };
enum { THREADS_MAX = 256, SPARES = 8 };
enum {
	W_2BIG = 1, W_AGAIN = 6, W_BADF = 8, W_FAULT = 21, W_ILSEQ = 25, W_INTR = 27, W_INVAL = 28,
	W_IO = 29, W_ISDIR = 31, W_MFILE = 33, W_NAMETOOLONG = 37, W_NOENT = 44, W_NOMEM = 48,
	W_NOSYS = 52, W_NOTDIR = 54, W_NOTEMPTY = 55, W_NOTSUP = 58, W_PERM = 63,
	W_NOTCAPABLE = 76
};
/* Rights, as preview 1 numbers them. */
enum right {
	MAY_DATASYNC, MAY_READ, MAY_SEEK, MAY_SET_FLAGS, MAY_SYNC, MAY_TELL, MAY_WRITE, MAY_ADVISE,
	MAY_ALLOCATE, MAY_CREATE_DIRECTORY, MAY_CREATE_FILE, MAY_LINK_SOURCE, MAY_LINK_TARGET,
	MAY_OPEN, MAY_READDIR, MAY_READLINK, MAY_RENAME_SOURCE, MAY_RENAME_TARGET, MAY_PATH_STAT,
	MAY_PATH_SET_SIZE, MAY_PATH_SET_TIMES, MAY_STAT, MAY_SET_SIZE, MAY_SET_TIMES, MAY_SYMLINK,
	MAY_REMOVE_DIRECTORY, MAY_UNLINK, MAY_POLL, MAY_SHUTDOWN, MAY_ACCEPT, RIGHTS
};
#define RIGHTS_ALL ((1ull << RIGHTS) - 1)
enum filetype {
	TYPE_UNKNOWN, TYPE_BLOCK, TYPE_CHARACTER, TYPE_DIRECTORY, TYPE_REGULAR, TYPE_DGRAM,
	TYPE_STREAM, TYPE_LINK
};

struct descriptor {
	bool used;
	int fd;            /* owned, unless it is one of the process's first three */
	uint8_t type;
	uint64_t rights, inherited;
	const char *name;  /* of a folder that was there from the start; borrowed, else NULL */
	int listing;       /* the folder once more, to be read; -1: not yet. Owned */
	/* where it was found, as the program wrote it: below folder @root of the configuration;
	 * owned, "" of that folder itself; NULL: nowhere */
	char *path;
	uint32_t root;
};
struct wasi;
struct wasi_thread { /* the first one, or one of thread.c */
	struct wasi *all;
	struct wasm *w;    /* owned, but the first one's */
	bool locked;       /* the call that it makes holds the lock */
	uint64_t since_ns; /* when the call began that waits, and may be begun again; 0: none */
	unsigned place;    /* in wasi.threads */
	uint32_t id, arg;
	int64_t entry;     /* the function wasi_thread_start */
	uint64_t phase, npages;
	bool goes_on;      /* of a state */
};
struct wasi {
	struct wasi_thread main;     /* first: both are users of an instance */
	const struct wasi_config *c; /* borrowed */
	pthread_mutex_t lock;        /* of all below, once there are several threads */
	bool several;                /* atomic; for good */
	struct wasi_thread *me;      /* that calls, for one call */
	struct descriptor *at;       /* owned */
	uint32_t n;
	int *roots;                  /* owned: the folders, whatever the program does to its own */
	bool exits;
	int exit_code;
	/* ---- time of a program that stood still, or has been somewhere else (save.c) ---- */
	int64_t away_ns;     /* how far its monotonic clock is behind ours */
	uint64_t cpu_ns;     /* that it had used up before this process was it */
	uint64_t stood_ns;   /* since when it stands still */
	/* ---- threads (thread.c) ---- */
	struct wasi_thread *threads[THREADS_MAX]; /* owned; 0 is not used. Atomic for a signal */
	int tids[THREADS_MAX];                    /* atomic: of the host; 0: none */
	struct wasm *spare[SPARES];               /* owned: of threads that have ended */
	unsigned nspare;
	uint32_t last_id;
	pthread_cond_t changed;
	unsigned running, standing; /* threads, with the first one; those that stand still */
	uint64_t round;             /* how often they have gone on */
	bool speaks;                /* one of them does for all */
};
/* A call of the module, by @t's instance: true: it has the lock, for call_end. */
bool call_begin(struct wasi_thread *t, struct wasm *w);
void call_end(struct wasi *s, bool locked);
/* Within a call, around one of the host that may wait: others may call meanwhile, and what was
 * found in the table is not to be looked at again. *@fd (NULL: none) becomes one that nobody
 * closes. False: errno. */
struct away {
	struct wasi_thread *me;
	bool several;
	int fd;
};
bool away_begin(struct wasi *s, int *fd, struct away *ret) MUST;
void away_end(struct wasi *s, struct away *a);
/* Threads (thread.c). */
enum { THREAD_ID_MAX = (1 << 29) - 1 };
enum { THREAD_START, THREAD_MAIN }; /* phases: the start function; wasi_thread_start */
int64_t thread_entry(const struct wasm_module *m); /* wasi_thread_start; -1: there is none */
/* With the lock held. EAGAIN: they are too many; others as wasm_thread_new. */
int thread_new(struct wasi *s, uint32_t id, struct wasi_thread **ret, struct lodge_err *e) MUST;
void threads_free(struct wasi *s); /* none of which runs */
enum wasm_trap wasi_thread_spawn(void *user, struct wasm *w, union wasm_slot *at);
/* CLOCK_MONOTONIC and times of CPUs as the program sees them; others as they are. */
uint64_t guest_clock_ns(const struct wasi *s, clockid_t id);

uint32_t errno_of(int host);
/* @len bytes of the program's memory, for this call; NULL: not there. */
void *guest(struct wasi *s, uint32_t at, uint64_t len);
/* The descriptor @i, if it may do @right. */
uint32_t descriptor_get(struct wasi *s, uint32_t i, enum right right, struct descriptor **ret);
/* A new one for @fd, which is taken over, also on failure. */
uint32_t descriptor_add(struct wasi *s, int fd, uint64_t rights, uint64_t inherited,
			uint32_t *ret);
uint32_t descriptor_put(struct wasi *s, uint32_t i, int fd, uint64_t rights, uint64_t inherited);
/* -1: errno; EXDEV is a way out of the folder @dir. */
int beneath_open(int dir, const char *path, uint64_t flags, uint64_t mode);
void descriptor_drop(struct descriptor *d);
uint8_t filetype_of(const struct stat *st);
uint8_t descriptor_type(int fd, const struct stat *st);
void stat_put(uint8_t *to, const struct stat *st, bool old);
uint32_t times_of(struct timespec t[2], uint64_t atim, uint64_t mtim, uint32_t flags);
/* Buffers of the program: @ret has room for IOVS_MAX. */
uint32_t iovs_read(struct wasi *s, uint32_t at, uint32_t n, struct iovec *ret);
/* The result of a call of the host: @r itself goes to @at of the program, or its errno. */
uint32_t size_put(struct wasi *s, uint32_t at, int64_t r);

#define BOTH(name, signature)                                                                      \
	uint32_t wasi_##name(struct wasi *s, const union wasm_slot *a);
#include "wasi/calls.def"
