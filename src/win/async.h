/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked for with an OVERLAPPED and has to wait: for a descriptor to be ready, or for
 * somebody to end it. One thread of the process looks after all of it (async.c). */
#pragma once
#include "win/internal.h"

/* The head of what a kind of request keeps; made by pending_new, freed when it has ended. */
struct pending {
	struct file *f;       /* a reference: who is told, and asked to call it off */
	struct file *on;      /* whose descriptor is looked at; NULL: that of @f; a reference */
	struct overlapped *o; /* the guest's */
	bool bare;            /* @o is a status block only, and @told says the rest */
	bool looks;           /* it never ends, takes nothing, and says itself what it looks for */
	struct told told;
	uint32_t events; /* EPOLL... of the descriptor; 0: async_finish ends it */
	/* Try it, under the lock: bytes, or a negative errno; -EAGAIN: it goes on waiting. */
	int64_t (*attempt)(struct pending *p);
	void (*fini)(struct pending *p); /* drops what else it has; may be NULL */
	uint64_t fn;           /* of the guest, called when @thread lets itself be; 0: none */
	struct object *thread; /* who asked; a reference */
	int64_t result;
	bool more; /* it has a message's beginning; there is more of it */
	struct pending *next;
};
/* afd.c: does @name, of the space of objects, name what tells of sockets? STATUS_... */
bool afd_path(const char *name);
uint32_t afd_open(handle *ret, bool inherit);
/* Zeroed, @size bytes that begin with a struct pending; NULL: no memory. */
void *pending_new(size_t size, struct file *f, struct overlapped *o) MUST;
void pending_free(struct pending *p);
void pending_tell(struct pending *p); /* its end, which is in p->result; without the lock */
/* It waits from here on, and is the thread's: 0 or a negative errno (it is freed then). */
int async_start(struct pending *p) MUST;
/* Call off what waits for @f: what asked with @o (NULL: all), by @thread (NULL: all). False: there
 * was nothing. What only looks goes on. */
bool async_cancel(const struct file *f, const struct overlapped *o, const struct object *thread);
/* @f is closed: all that waits for it, or looks at it, is called off. */
void async_close(const struct file *f);
/* What waits for @f may find that it need not. */
void async_look(const struct file *f);
/* End the first of @f without events, so; false: there is none. */
bool async_finish(const struct file *f, int64_t result);
