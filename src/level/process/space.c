/* SPDX-License-Identifier: Apache-2.0 */
/* What is mapped below USER_END. The host's page tables say what may be read and written; what may
 * be executed, and what is whose, stands here. */
#include "level/process/internal.h"
#include <stdio.h>

/* The address sanitizer has its shadow behind the guest's addresses, for tests to live with. */
#if defined(__SANITIZE_ADDRESS__)
#define SHADOWED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SHADOWED 1
#endif
#endif
#ifndef SHADOWED
#define SHADOWED 0
#endif

/* What the process itself has there (a sanitizer's shadow): the guest does without. */
static int foreign_find(struct space *s, struct lodge_err *e)
{
	char line[512];
	FILE *f = fopen("/proc/self/maps", "re");
	int r = 0;
	if (!f) /* a chroot without /proc: what is there after all, mmap says */
		return 0;
	while (r == 0 && fgets(line, sizeof line, f)) {
		unsigned long long lo, hi;
		if (sscanf(line, "%llx-%llx", &lo, &hi) != 2 || lo >= USER_END)
			break; /* they are in order */
		if (!space_put(s, lo, min_u64(hi, USER_END), 0, RANGE_FOREIGN))
			r = err_set(e, ENOMEM, "out of memory");
	}
	fclose(f);
	return r;
}

int space_init(struct space *s, struct lodge_err *e)
{
	*s = (struct space){.top = USER_END};
	pthread_rwlock_init(&s->lock, NULL);
	/* where it cannot be had, the first access that strays there is not the guest's alone */
	void *p = mmap((void *)(uintptr_t)USER_END, USER_GUARD, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
	if (p != (void *)(uintptr_t)USER_END && !SHADOWED)
		return err_set(e, EEXIST, "this process has mapped the addresses behind 2^38, "
		               "which have to be free to run programs");
	return foreign_find(s, e);
}

void space_fini(struct space *s)
{
	munmap((void *)(uintptr_t)USER_END, USER_GUARD);
	free(s->ranges);
	pthread_rwlock_destroy(&s->lock);
}

/* Index of the first range that ends above @at; s->n: none. */
static size_t range_index(const struct space *s, uint64_t at)
{
	size_t lo = 0, hi = s->n;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		if (s->ranges[mid].hi <= at)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

const struct range *space_find(const struct space *s, uint64_t at)
{
	size_t i = range_index(s, at);
	return i < s->n ? &s->ranges[i] : NULL;
}

/* Room for two more. */
static bool room_make(struct space *s)
{
	if (s->n + 2 <= s->cap)
		return true;
	size_t cap = s->cap ? 2 * s->cap : 64;
	struct range *more = realloc(s->ranges, cap * sizeof *more);
	if (!more)
		return false;
	s->ranges = more;
	s->cap = cap;
	return true;
}

static void range_insert(struct space *s, size_t i, struct range r)
{
	memmove(&s->ranges[i + 1], &s->ranges[i], (s->n - i) * sizeof r);
	s->ranges[i] = r;
	s->n++;
}

static void ranges_remove(struct space *s, size_t i, size_t n)
{
	memmove(&s->ranges[i], &s->ranges[i + n], (s->n - i - n) * sizeof *s->ranges);
	s->n -= n;
}

bool space_drop(struct space *s, uint64_t lo, uint64_t hi)
{
	if (!room_make(s))
		return false;
	size_t i = range_index(s, lo), end;
	if (i < s->n && s->ranges[i].lo < lo) {
		struct range rest = s->ranges[i];
		s->ranges[i++].hi = lo;
		if (rest.hi > hi) {
			rest.lo = hi;
			range_insert(s, i, rest);
			return true;
		}
	}
	for (end = i; end < s->n && s->ranges[end].hi <= hi; end++)
		continue;
	if (end < s->n && s->ranges[end].lo < hi)
		s->ranges[end].lo = hi;
	ranges_remove(s, i, end - i);
	return true;
}

static bool is_alike(const struct range *a, const struct range *b)
{
	return a->hi == b->lo && a->prot == b->prot && a->flags == b->flags;
}

bool space_put(struct space *s, uint64_t lo, uint64_t hi, uint8_t prot, uint8_t flags)
{
	if (!space_drop(s, lo, hi) || !room_make(s))
		return false;
	size_t i = range_index(s, lo);
	range_insert(s, i, (struct range){lo, hi, prot, flags});
	if (i + 1 < s->n && is_alike(&s->ranges[i], &s->ranges[i + 1])) {
		s->ranges[i].hi = s->ranges[i + 1].hi;
		ranges_remove(s, i + 1, 1);
	}
	if (i > 0 && is_alike(&s->ranges[i - 1], &s->ranges[i])) {
		s->ranges[i - 1].hi = s->ranges[i].hi;
		ranges_remove(s, i, 1);
	}
	return true;
}

bool space_is_free(const struct space *s, uint64_t lo, uint64_t hi)
{
	const struct range *r = space_find(s, lo);
	return !r || r->lo >= hi;
}

bool space_has(const struct space *s, uint64_t lo, uint64_t hi, uint8_t prot, uint8_t flags)
{
	for (size_t i = range_index(s, lo); i < s->n && s->ranges[i].lo < hi; i++)
		if (s->ranges[i].prot & prot || s->ranges[i].flags & flags)
			return true;
	return false;
}

uint64_t space_gap(const struct space *s, uint64_t len, uint64_t align, uint64_t top)
{
	enum { LOWEST = 65536 }; /* vm.mmap_min_addr */
	size_t i = range_index(s, top);
	uint64_t hi = top;
	if (i < s->n && s->ranges[i].lo < top)
		hi = s->ranges[i].lo;
	for (;;) {
		uint64_t lo = i > 0 ? s->ranges[i - 1].hi : 0;
		if (lo < LOWEST)
			lo = LOWEST;
		if (hi > lo && hi - lo >= len) {
			uint64_t at = (hi - len) & ~(align - 1);
			if (at >= lo)
				return at;
		}
		if (i == 0)
			return 0;
		hi = s->ranges[--i].lo;
	}
}
