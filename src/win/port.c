/* SPDX-License-Identifier: Apache-2.0 */
/* I/O completion ports: a queue of what is done, and threads that wait for it. */
#include "win/internal.h"

struct completion {
	uint64_t key, overlapped, n;
	uint32_t status;
	struct completion *next;
};
struct port {
	struct object o; /* count: completions there are */
	pthread_mutex_t lock;
	struct completion *first, **end; /* owned */
};

static void port_fini(struct object *o)
{
	struct port *p = (struct port *)(void *)o;
	for (struct completion *c = p->first, *next; c; c = next) {
		next = c->next;
		free(c);
	}
}

void port_post(struct object *port, uint64_t n, uint64_t key, uint64_t overlapped, uint32_t status)
{
	struct port *p = (struct port *)(void *)port;
	struct completion *c = malloc(sizeof *c);
	if (!c)
		return;
	*c = (struct completion){key, overlapped, n, status, NULL};
	pthread_mutex_lock(&p->lock);
	*p->end = c;
	p->end = &c->next;
	pthread_mutex_unlock(&p->lock);
	wait_locked();
	p->o.count++;
	wait_wake(&p->o);
	wait_unlocked();
}

/* One that the wait has counted off. */
static struct completion *port_take(struct port *p)
{
	pthread_mutex_lock(&p->lock);
	struct completion *c = p->first;
	if (c && !(p->first = c->next))
		p->end = &p->first;
	pthread_mutex_unlock(&p->lock);
	return c;
}

API(handle, k32_CreateIoCompletionPort, handle file, handle port, uint64_t key, uint32_t threads)
{
	struct port *p;
	(void)threads;
	if (port) {
		p = object_get(port, KIND_PORT);
	} else if ((p = object_new(KIND_PORT, sizeof *p))) {
		p->o.fini = port_fini;
		p->end = &p->first;
		pthread_mutex_init(&p->lock, NULL);
		port = object_handle(&p->o, false);
		object_ref(&p->o);
	}
	if (!p || !port)
		return 0;
	if (file != HANDLE_BAD) {
		struct file *f = object_get(file, KIND_FILE);
		if (f)
			file_port_set(f, &p->o, key);
		else
			port = 0;
		object_unref(f ? &f->o : NULL);
	}
	object_unref(&p->o);
	return port;
}

API(uint32_t, k32_PostQueuedCompletionStatus, handle port, uint32_t n, uint64_t key,
    uint64_t overlapped)
{
	struct port *p = object_get(port, KIND_PORT);
	if (!p)
		return 0;
	port_post(&p->o, n, key, overlapped, STATUS_SUCCESS);
	object_unref(&p->o);
	return 1;
}

struct entry {
	uint64_t key, overlapped, internal;
	uint32_t n, pad;
};

API(uint32_t, k32_GetQueuedCompletionStatusEx, handle port, struct entry *out, uint32_t cap,
    uint32_t *ret_n, uint32_t ms, uint32_t alertable)
{
	struct port *p = object_get(port, KIND_PORT);
	struct object *o = p ? &p->o : NULL;
	uint32_t got = 0, r = WAIT_OBJECT_0;
	if (!p)
		return 0;
	while (got < cap && r == WAIT_OBJECT_0) {
		r = wait_for(&o, 1, false, got || !ms ? 0 : deadline_of_ms(ms),
			     alertable != 0 && !got);
		struct completion *c = r == WAIT_OBJECT_0 ? port_take(p) : NULL;
		if (!c)
			continue;
		out[got++] = (struct entry){c->key, c->overlapped, c->status, (uint32_t)c->n, 0};
		free(c);
	}
	object_unref(o);
	*ret_n = got;
	if (!got)
		return r == WAIT_IO_COMPLETION ? fail(WAIT_IO_COMPLETION) : fail(WAIT_TIMEOUT);
	return 1;
}

API(uint32_t, k32_GetQueuedCompletionStatus, handle port, uint32_t *ret_n, uint64_t *ret_key,
    uint64_t *ret_overlapped, uint32_t ms)
{
	struct entry e;
	uint32_t n;
	*ret_overlapped = 0;
	if (!k32_GetQueuedCompletionStatusEx(port, &e, 1, &n, ms, 0))
		return 0;
	*ret_n = e.n;
	*ret_key = e.key;
	*ret_overlapped = e.overlapped;
	return (int32_t)e.internal < 0 ? fail(error_of_status((uint32_t)e.internal)) : 1;
}
