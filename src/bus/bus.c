/* SPDX-License-Identifier: Apache-2.0 */
/* The window table: sorted by base, of fixed size, read without a lock.
 *
 * Readers use a sequence count: odd while a writer moves rows, changed when it has. Every word of
 * a row is an atomic read with acquire order and written with release order, so that a reader
 * which saw any new word also sees the odd count and tries again. No row is ever freed. */
#include "bus/bus.h"
#include <sched.h>

enum { BUS_WINDOWS_MAX = 512 };

struct window {
	uint64_t base, len;
	const struct bus_ops *ops; /* borrowed, as are the next two */
	void *dev;
	pthread_mutex_t *lock;
};

struct bus {
	pthread_mutex_t m; /* writers */
	uint32_t seq;
	uint32_t n;
	struct window w[BUS_WINDOWS_MAX];
};

#define ROW_GET(field) __atomic_load_n(&(field), __ATOMIC_ACQUIRE)
#define ROW_SET(field, v) __atomic_store_n(&(field), v, __ATOMIC_RELEASE)

int bus_new(struct bus **ret, struct lodge_err *e)
{
	struct bus *b = calloc(1, sizeof *b);
	if (!b)
		return err_set(e, ENOMEM, "out of memory");
	pthread_mutex_init(&b->m, NULL);
	*ret = b;
	return 0;
}

void bus_free(struct bus *b)
{
	if (!b)
		return;
	pthread_mutex_destroy(&b->m);
	free(b);
}

static void window_set(struct window *to, const struct window *from)
{
	ROW_SET(to->base, from->base);
	ROW_SET(to->len, from->len);
	ROW_SET(to->ops, from->ops);
	ROW_SET(to->dev, from->dev);
	ROW_SET(to->lock, from->lock);
}

/* Index of the first window whose base is above @at. */
static uint32_t bus_above(const struct bus *b, uint64_t at)
{
	uint32_t lo = 0, hi = ROW_GET(b->n);
	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;
		if (ROW_GET(b->w[mid].base) <= at)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void bus_change_begin(struct bus *b) { ROW_SET(b->seq, b->seq + 1); }
static void bus_change_end(struct bus *b) { ROW_SET(b->seq, b->seq + 1); }

static int bus_insert(struct bus *b, const struct window *w, struct lodge_err *e)
{
	uint32_t i = bus_above(b, w->base);
	const struct window *hit = NULL;
	if (i < b->n && b->w[i].base - w->base < w->len)
		hit = &b->w[i];
	else if (i > 0 && w->base - b->w[i - 1].base < b->w[i - 1].len)
		hit = &b->w[i - 1];
	if (hit)
		return err_set(e, EEXIST, "0x%llx+0x%llx overlaps 0x%llx+0x%llx",
		               (unsigned long long)w->base, (unsigned long long)w->len,
		               (unsigned long long)hit->base, (unsigned long long)hit->len);
	if (b->n == BUS_WINDOWS_MAX)
		return err_set(e, ENOSPC, "more than %d windows on one bus", BUS_WINDOWS_MAX);
	bus_change_begin(b);
	for (uint32_t k = b->n; k > i; k--)
		window_set(&b->w[k], &b->w[k - 1]);
	window_set(&b->w[i], w);
	ROW_SET(b->n, b->n + 1);
	bus_change_end(b);
	return 0;
}

int bus_map(struct bus *b, struct gpa base, uint64_t len, const struct bus_ops *ops, void *dev,
            pthread_mutex_t *lock, struct lodge_err *e)
{
	if (len == 0 || base.a + (len - 1) < base.a)
		return err_set(e, EINVAL, "a window of 0x%llx bytes at 0x%llx",
		               (unsigned long long)len, (unsigned long long)base.a);
	struct window w = { base.a, len, ops, dev, lock };
	pthread_mutex_lock(&b->m);
	int r = bus_insert(b, &w, e);
	pthread_mutex_unlock(&b->m);
	return r;
}

void bus_unmap(struct bus *b, struct gpa base)
{
	pthread_mutex_lock(&b->m);
	uint32_t i = bus_above(b, base.a);
	if (i > 0 && b->w[i - 1].base == base.a) {
		bus_change_begin(b);
		for (uint32_t k = i; k < b->n; k++)
			window_set(&b->w[k - 1], &b->w[k]);
		ROW_SET(b->n, b->n - 1);
		bus_change_end(b);
	}
	pthread_mutex_unlock(&b->m);
}

/* Copy the window that holds @at. The copy is of one map, old or new. */
static bool bus_find(const struct bus *b, uint64_t at, struct window *ret)
{
	for (;;) {
		uint32_t seq = ROW_GET(b->seq);
		if (seq & 1) {
			sched_yield();
			continue;
		}
		uint32_t i = bus_above(b, at);
		if (i > 0) {
			const struct window *w = &b->w[i - 1];
			*ret = (struct window){ ROW_GET(w->base), ROW_GET(w->len), ROW_GET(w->ops),
				                ROW_GET(w->dev), ROW_GET(w->lock) };
		}
		if (likely(__atomic_load_n(&b->seq, __ATOMIC_RELAXED) == seq))
			return i > 0 && at - ret->base < ret->len;
	}
}

/* Is @width at @at an access that the window's device may see? */
static bool window_takes(const struct window *w, uint64_t at, unsigned width)
{
	if (width < w->ops->width_min || width > w->ops->width_max || (width & (width - 1)))
		return false;
	return !(at & (width - 1)) && w->len - (at - w->base) >= width;
}

bool bus_read(struct bus *b, struct gpa at, unsigned width, uint64_t *ret_val)
{
	struct window w;
	if (!bus_find(b, at.a, &w) || !window_takes(&w, at.a, width))
		return false;
	if (w.lock)
		pthread_mutex_lock(w.lock);
	uint64_t val = w.ops->read(w.dev, at.a - w.base, width);
	if (w.lock)
		pthread_mutex_unlock(w.lock);
	*ret_val = width == 8 ? val : val & ((1ull << width * 8) - 1);
	return true;
}

bool bus_write(struct bus *b, struct gpa at, unsigned width, uint64_t val)
{
	struct window w;
	if (!bus_find(b, at.a, &w) || !window_takes(&w, at.a, width))
		return false;
	if (width < 8)
		val &= (1ull << width * 8) - 1;
	if (w.lock)
		pthread_mutex_lock(w.lock);
	w.ops->write(w.dev, at.a - w.base, width, val);
	if (w.lock)
		pthread_mutex_unlock(w.lock);
	return true;
}
