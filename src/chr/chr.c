/* SPDX-License-Identifier: Apache-2.0 */
/* Two byte rings under one mutex. A side that came short (its ring full) is told once when the
 * other side makes room; a side that has bytes waiting is told at each arrival. */
#include "chr/chr.h"
#include <pthread.h>

struct ring {
	uint8_t *buf; /* owned */
	size_t head, used;
	bool starved; /* the writer could not place all it had */
};

struct chr_hook {
	void (*fn)(void *);
	void *arg;
};

struct chr {
	pthread_mutex_t m;
	size_t cap;
	struct ring to_host, to_dev;
	struct chr_hook on_device, on_host;
	void (*tap)(void *arg, const uint8_t *p, size_t n);
	void *tap_arg;
};

int chr_new(struct chr **ret, size_t ring_bytes, struct lodge_err *e)
{
	if (ring_bytes == 0)
		return err_set(e, EINVAL, "a stream without room for a byte");
	struct chr *c = calloc(1, sizeof *c);
	if (!c)
		return err_set(e, ENOMEM, "out of memory");
	pthread_mutex_init(&c->m, NULL);
	c->cap = ring_bytes;
	c->to_host.buf = malloc(ring_bytes);
	c->to_dev.buf = malloc(ring_bytes);
	if (!c->to_host.buf || !c->to_dev.buf) {
		chr_free(c);
		return err_set(e, ENOMEM, "out of memory");
	}
	*ret = c;
	return 0;
}

void chr_free(struct chr *c)
{
	if (!c)
		return;
	free(c->to_host.buf);
	free(c->to_dev.buf);
	pthread_mutex_destroy(&c->m);
	free(c);
}

static size_t ring_put(struct ring *r, size_t cap, const uint8_t *p, size_t len)
{
	size_t n = len < cap - r->used ? len : cap - r->used;
	size_t at = (r->head + r->used) % cap;
	size_t first = n < cap - at ? n : cap - at;
	memcpy(r->buf + at, p, first);
	memcpy(r->buf, p + first, n - first);
	r->used += n;
	r->starved = r->starved || n < len;
	return n;
}

static size_t ring_get(struct ring *r, size_t cap, uint8_t *p, size_t len)
{
	size_t n = len < r->used ? len : r->used;
	size_t first = n < cap - r->head ? n : cap - r->head;
	memcpy(p, r->buf + r->head, first);
	memcpy(p + first, r->buf, n - first);
	r->head = (r->head + n) % cap;
	r->used -= n;
	return n;
}

static void hook_call(const struct chr_hook *h)
{
	if (h->fn)
		h->fn(h->arg);
}

/* Put bytes into @r and tell the reader. */
static size_t chr_put(struct chr *c, struct ring *r, const struct chr_hook *reader, const void *buf,
                      size_t len)
{
	if (len == 0)
		return 0;
	pthread_mutex_lock(&c->m);
	size_t n = ring_put(r, c->cap, buf, len);
	struct chr_hook h = *reader;
	pthread_mutex_unlock(&c->m);
	if (n)
		hook_call(&h);
	return n;
}

/* Take bytes from @r and tell the writer when it waits for room. */
static size_t chr_get(struct chr *c, struct ring *r, const struct chr_hook *writer, void *buf,
                      size_t cap)
{
	if (cap == 0)
		return 0;
	pthread_mutex_lock(&c->m);
	size_t n = ring_get(r, c->cap, buf, cap);
	struct chr_hook h = *writer;
	bool tell = n && r->starved;
	if (tell)
		r->starved = false;
	pthread_mutex_unlock(&c->m);
	if (tell)
		hook_call(&h);
	return n;
}

size_t chr_write(struct chr *c, const void *buf, size_t len)
{
	size_t n = chr_put(c, &c->to_host, &c->on_host, buf, len);
	if (c->tap)
		c->tap(c->tap_arg, buf, n);
	return n;
}

size_t chr_read(struct chr *c, void *buf, size_t cap)
{
	return chr_get(c, &c->to_dev, &c->on_host, buf, cap);
}

size_t chr_host_write(struct chr *c, const void *buf, size_t len)
{
	return chr_put(c, &c->to_dev, &c->on_device, buf, len);
}

size_t chr_host_read(struct chr *c, void *buf, size_t cap)
{
	return chr_get(c, &c->to_host, &c->on_device, buf, cap);
}

static void chr_hook_set(struct chr *c, struct chr_hook *h, void (*fn)(void *), void *arg)
{
	pthread_mutex_lock(&c->m);
	*h = (struct chr_hook){ fn, arg };
	pthread_mutex_unlock(&c->m);
}

void chr_on_device(struct chr *c, void (*fn)(void *), void *arg)
{
	chr_hook_set(c, &c->on_device, fn, arg);
}

void chr_on_host(struct chr *c, void (*fn)(void *), void *arg)
{
	chr_hook_set(c, &c->on_host, fn, arg);
}

void chr_tap(struct chr *c, void (*fn)(void *arg, const uint8_t *p, size_t n), void *arg)
{
	c->tap = fn;
	c->tap_arg = arg;
}
