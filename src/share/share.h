/* SPDX-License-Identifier: Apache-2.0 */
/* share: a folder of the host as a file system for a guest, by FUSE messages (libfuse dispatches,
 * a table of our own checks every message before libfuse sees it).
 *
 * Confinement. The guest names files by node and one path component; a component with "/", "",
 * "." or ".." is refused, symbolic links are never followed on the host, and node and handle
 * numbers are checked against tables. Only regular files and folders are ever opened. What a
 * link inside the folder points to is read by the guest's kernel in the guest's own tree.
 *
 * Ownership. Files are made with the keeper's user and group, without set-user-id and
 * set-group-id bits, and the guest cannot give them away: a guest never leaves a program on the
 * host that runs with somebody's rights. With guest_owner (useful when the keeper is root, for a
 * guest's root file system) the guest's ids and bits are kept as they are.
 *
 * Coherence. The guest caches names and attributes for a second and data from open to close.
 * Locks (flock, fcntl) are the guest kernel's own: they hold within one guest. */
#pragma once
#include "base/base.h"
#include "host/host.h"
#include <sys/uio.h>

struct share;
struct share_options {
	const char *path;  /* an existing folder; borrowed for the call */
	bool readonly;
	bool guest_owner;  /* keep the guest's user and group ids; the keeper must be root */
	bool devices;      /* with guest_owner: the guest may make device nodes */
	bool xattr;        /* carry user.* extended attributes */
};

/* Open. @l may be NULL: requests then run inside share_submit (tests). After the last fork of the
 * process: /proc/self/fd is kept open, so it works in an empty root. Errors: ENOTDIR, EPERM, ... */
int share_open(struct share **ret, const struct share_options *o, struct loop *l, struct log *log,
               struct lodge_err *e) MUST;
void share_close(struct share *s); /* NULL is fine; waits for requests that run */

/* One message and room for its answer, both in guest memory, which is read once. The caller owns
 * all of it until done runs. */
struct share_req {
	const struct iovec *out, *in; /* the message; room for the answer */
	int nout, nin;
	void (*done)(struct share_req *r, uint32_t written); /* bytes of answer; see share_attach */
	struct share_req *next;       /* private */
	uint32_t written;             /* private */
};
/* done runs on the loop thread with @lock held. Once, before the first request. */
int share_attach(struct share *s, pthread_mutex_t *lock, struct lodge_err *e) MUST;
void share_detach(struct share *s);
/* Hand in a request; a worker thread serves it. Any thread. */
void share_submit(struct share *s, struct share_req *r);
/* The guest went away: waits for what runs, gives back what waits (written 0), and forgets all
 * nodes and handles. After return no guest memory is touched. Any thread but the workers. */
void share_reset(struct share *s);

/* Wait for all requests and run their done calls here. Thread: the loop's, @lock held. */
void share_drain(struct share *s);

/* What the guest knows of the folder: its mount, the files by their places, what it has open. As
 * state_save; nothing may be under way (share_drain). */
size_t share_save(struct share *s, uint8_t *buf, size_t cap);
/* Into a share that was just opened or reset, of the same folder or one with the same content. What
 * is not there any more, or is another file now, is an error for the guest when it uses it (ESTALE,
 * or EBADF for what was open), never before. False: damaged, and the share is as if reset. */
bool share_load(struct share *s, const uint8_t *buf, size_t len) MUST;

enum {
	SHARE_DATA_MAX = 1 << 20, /* bytes of one read or write */
};
