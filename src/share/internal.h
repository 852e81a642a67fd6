/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of share have in common: the tables of nodes and handles, the job at hand. */
#pragma once
#include "host/host.h"
#include "share/share.h"
#define FUSE_USE_VERSION 312
#include <dirent.h>
#include <fuse_lowlevel.h>
#include <sys/stat.h>

extern const struct host_library share_fuse; /* see fuse.c */

enum {
	SHARE_WORKERS = 4,
	SHARE_MESSAGE_MAX = 80 << 10, /* without the data of a write: an attribute of 64 KiB fits */
	SHARE_HEADER_IN = 40,         /* struct fuse_in_header */
	SHARE_HEADER_OUT = 16,        /* struct fuse_out_header */
	SHARE_NODES_MAX = 1 << 20,
	SHARE_INIT_MAX = 256,
};

/* A file or folder that the guest knows. Its descriptor is O_PATH, and closed when too many are
 * open: it is opened again by parent and name, and must then be the same file. */
struct node {
	uint64_t id;           /* what the guest says: slot | generation << 32; the root is 1 */
	dev_t dev;
	ino_t ino;
	mode_t type;           /* S_IFMT bits */
	uint64_t nlookup;      /* times the guest was told of it and has not forgotten */
	unsigned children;     /* nodes whose parent this is */
	unsigned users;        /* threads that use fd */
	int fd;                /* owned; -1: closed for thrift */
	bool pinned;           /* cannot be opened again: unlinked, or its place is unknown */
	struct node *parent;   /* counted in its children; NULL: the root, or unknown */
	char *name;            /* owned; within parent */
	struct node *hash;     /* next in its bucket */
	struct node *lru_prev, *lru_next; /* those with an open fd, oldest first; not the root */
};

struct node_slot {
	struct node *node;     /* NULL: free */
	uint32_t generation;
	uint32_t next_free;
};

struct nodes {
	struct node_slot *slots; /* owned; slot 0 is not used */
	uint32_t nslots, cap_slots, free_slot;
	struct node **buckets;   /* owned */
	uint32_t nbuckets;       /* a power of two */
	uint32_t count, nfds, max_fds;
	struct node lru;         /* list head */
};

/* An open file or folder of the guest. */
struct handle {
	int fd;                 /* owned (by dir, when that is set) */
	DIR *dir;               /* owned */
	off_t dir_off;          /* where dir stands */
	pthread_mutex_t lock;   /* of dir */
	unsigned users;         /* 1 for the guest, 1 for each thread at work */
	uint64_t node;
};

struct handle_slot {
	struct handle *handle;
	uint32_t generation;
};

/* The request that this thread serves. */
struct share_job {
	struct share_req *r;
	size_t out_len, in_len;
	bool replied;
};

struct share {
	struct share_options o;  /* path is not kept */
	struct loop *loop;       /* borrowed */
	struct log *log;         /* borrowed */
	struct fuse_session *se; /* owned */
	bool inited;             /* FUSE_INIT has come */
	uint8_t init[SHARE_INIT_MAX]; /* it, as it came */
	size_t init_len;
	int root, proc;          /* owned: the folder; /proc/self/fd */
	pthread_key_t job;       /* struct share_job of the thread */
	bool job_made;

	pthread_mutex_t m;       /* guards nodes and handles */
	struct nodes nodes;
	struct handle_slot *handles; /* owned */
	uint32_t nhandles, max_handles;

	pthread_mutex_t qm;      /* guards what follows; m is never taken inside */
	pthread_cond_t work, quiet;
	struct share_req *head, **tail, *done, **done_tail;
	unsigned nworkers, idle, running;
	bool exclusive, stop;
	pthread_t workers[SHARE_WORKERS];
	int event;               /* owned: eventfd, some are done */
	struct loop_watch *watch;
};

/* ---- state as bytes: numbers little-endian, one after the other ---- */
struct bytes_out {
	uint8_t *buf;
	size_t n, cap;           /* n counts on when it is more than cap */
};
struct bytes_in {
	const uint8_t *p;
	size_t left;
	bool bad;                /* more was asked for than there is; reads give 0 from then on */
};
void out_put(struct bytes_out *o, uint64_t v, unsigned width);
void out_bytes(struct bytes_out *o, const void *p, size_t n);
uint64_t in_get(struct bytes_in *i, unsigned width);
const uint8_t *in_bytes(struct bytes_in *i, size_t n); /* NULL: bad */

static inline struct share *share_of(fuse_req_t req) { return fuse_req_userdata(req); }
struct share_job *share_job_now(const struct share *s);

/* ---- guard.c: what a message must look like before libfuse may see it ---- */
enum share_verdict {
	SHARE_PASS,      /* to libfuse */
	SHARE_FAIL,      /* answer with *ret_errno */
	SHARE_SILENT,    /* no answer */
};
/* Check the message of @len bytes; of a write only @have are here, its data stays with the guest.
 * @buf has at least SHARE_HEADER_IN bytes. */
enum share_verdict share_check(const struct share *s, const uint8_t *buf, size_t have, size_t len,
                               int *ret_errno);
bool share_is_write(const uint8_t *buf, size_t *ret_have); /* how much of a write to copy */
bool share_is_exclusive(const uint8_t *buf);               /* INIT, DESTROY */
bool share_is_init(const uint8_t *buf);
bool share_name_ok(const char *name);

/* ---- nodes.c. All take s->m themselves ---- */
int nodes_init(struct share *s) MUST;      /* 0 or -errno */
void nodes_fini(struct share *s);
/* The node's descriptor until node_put. -errno: ESTALE for a forged or vanished one. */
int node_get(struct share *s, uint64_t id, struct node **ret) MUST;
void node_put(struct share *s, struct node *n);
/* Count one lookup of the file @fd (O_PATH; taken over, also on failure) that is @name in
 * @parent. */
int node_enter(struct share *s, struct node *parent, const char *name, int fd,
               const struct stat *st, uint64_t *ret_id) MUST;
void node_forget(struct share *s, uint64_t id, uint64_t n);
/* @name in @parent is about to go: keep its node usable. */
void node_unlinking(struct share *s, struct node *parent, const char *name);
/* It is now @newname in @to. */
void node_renamed(struct share *s, struct node *to, const char *newname);
/* All nodes and their places. Nothing else runs. */
void nodes_save(const struct share *s, struct bytes_out *o);
/* Into tables that nodes_init made. Files are looked for when they are used: what is not the same
 * file any more gives ESTALE. False: damaged. */
bool nodes_load(struct share *s, struct bytes_in *i) MUST;
/* Text of a descriptor's number, to be used under s->proc. */
struct fd_name {
	char text[16];
};
struct fd_name fd_name(int fd);

/* ---- handles.c ---- */
int handle_new(struct share *s, uint64_t node, int fd, DIR *dir, uint64_t *ret_fh) MUST;
struct handle *handle_get(struct share *s, uint64_t fh, uint64_t node); /* NULL: forged */
void handle_put(struct share *s, struct handle *h);
void handle_close(struct share *s, uint64_t fh, uint64_t node);
void handles_fini(struct share *s);
/* As nodes_save and nodes_load, after them. A file that cannot be opened again has no handle. */
void handles_save(struct share *s, struct bytes_out *o);
bool handles_load(struct share *s, struct bytes_in *i) MUST;

/* ---- operations, by what they work on ---- */
void ops_name(struct fuse_lowlevel_ops *o);  /* lookup, make, remove, rename, link */
void ops_file(struct fuse_lowlevel_ops *o, const struct share_options *w); /* open, read, write */
void ops_dir(struct fuse_lowlevel_ops *o);
void ops_attr(struct fuse_lowlevel_ops *o, const struct share_options *w); /* attributes, statfs */
/* Enter it and fill @ret; 0 or -errno. */
int share_entry(struct share *s, struct node *parent, const char *name,
                struct fuse_entry_param *ret) MUST;
/* Open what @n is with the guest's @flags. A descriptor or -errno. */
int share_reopen(struct share *s, const struct node *n, int flags) MUST;
/* The mode bits that this share lets a guest set. */
mode_t share_mode(const struct share *s, mode_t mode);

#define SHARE_TIMEOUT 1.0 /* seconds that names and attributes are cached */
