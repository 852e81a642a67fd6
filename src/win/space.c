/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's part of the address space: which pages are reserved, committed, and how protected.
 * Regions are sorted and do not overlap; neighbours that are alike are one. */
#include "win/internal.h"
#include <sys/mman.h>

enum { REGIONS_MAX = 1 << 20 };
static WIN_STATE struct {
	pthread_mutex_t lock;
	struct region *all; /* owned */
	size_t n, cap;
	uint64_t next; /* where to look first; 0: nowhere yet */
} space = {.lock = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP};
static const uint64_t LOWEST = GRANULE, USUAL = 0x10000000, TOP = UINT64_C(0x4f0000000000);

/* EDEADLK: it was this thread's already. A change takes a microsecond or two, and a guest whose
 * threads all commit waits for that rather than for a wake-up, which takes twenty. */
static int space_lock(void)
{
	for (int i = 0; i < 100; i++) {
		if (pthread_mutex_trylock(&space.lock) == 0)
			return 0;
		__builtin_ia32_pause();
	}
	return pthread_mutex_lock(&space.lock);
}

int prot_host(uint32_t prot)
{
	if (prot & PAGE_GUARD)
		return PROT_NONE;
	switch (prot & 0xff) {
	case PAGE_NOACCESS: return PROT_NONE;
	case PAGE_READONLY: return PROT_READ;
	case PAGE_READWRITE:
	case PAGE_WRITECOPY: return PROT_READ | PROT_WRITE;
	case PAGE_EXECUTE:
	case PAGE_EXECUTE_READ: return PROT_READ | PROT_EXEC;
	case PAGE_EXECUTE_READWRITE:
	case PAGE_EXECUTE_WRITECOPY: return PROT_READ | PROT_WRITE | PROT_EXEC;
	default: return -1;
	}
}

/* The first region that ends behind @at. */
static size_t first_behind(uint64_t at)
{
	size_t lo = 0, hi = space.n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (space.all[mid].hi <= at)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool hole(uint64_t lo, uint64_t hi)
{
	size_t i = first_behind(lo);
	return i == space.n || space.all[i].lo >= hi;
}

/* Room for @more regions, and for what a stack that grows meanwhile wants: what follows cannot
 * fail. */
static int room(size_t more)
{
	more += 3;
	if (space.n + more <= space.cap)
		return 0;
	size_t cap = space.cap ? 2 * space.cap : 256;
	struct region *all = cap <= REGIONS_MAX ? realloc(space.all, cap * sizeof *all) : NULL;
	if (!all)
		return -ENOMEM;
	space.all = all;
	space.cap = cap;
	return 0;
}

static void insert(size_t i, const struct region *r)
{
	memmove(space.all + i + 1, space.all + i, (space.n - i) * sizeof *r);
	space.all[i] = *r;
	space.n++;
}

static void cut(size_t i, size_t n)
{
	memmove(space.all + i, space.all + i + n, (space.n - i - n) * sizeof *space.all);
	space.n -= n;
}

/* A region begins at @at, if it is in one. */
static void split(uint64_t at)
{
	size_t i = first_behind(at);
	if (i == space.n || space.all[i].lo >= at)
		return;
	struct region r = space.all[i];
	space.all[i].hi = at;
	r.lo = at;
	insert(i + 1, &r);
}

static void join(size_t i)
{
	if (i + 1 >= space.n)
		return;
	struct region *a = &space.all[i], *b = a + 1;
	if (a->hi == b->lo && a->base == b->base && a->prot == b->prot) {
		a->hi = b->hi;
		cut(i + 1, 1);
	}
}

/* All of [lo, hi) belongs to one allocation. */
static bool inside(uint64_t lo, uint64_t hi)
{
	size_t i = first_behind(lo);
	if (i == space.n || space.all[i].lo > lo)
		return false;
	for (uint64_t base = space.all[i].base; i < space.n && space.all[i].base == base; i++) {
		if (space.all[i].hi >= hi)
			return true;
		if (i + 1 == space.n || space.all[i + 1].lo != space.all[i].hi)
			return false;
	}
	return false;
}

static void prot_set(uint64_t lo, uint64_t hi, uint32_t prot)
{
	split(lo);
	split(hi);
	size_t from = first_behind(lo), i = from;
	for (; i < space.n && space.all[i].lo < hi; i++)
		space.all[i].prot = prot;
	while (i-- > from)
		join(i);
	if (from > 0)
		join(from - 1);
}

/* ---- placing ---- */

/* Where pages come from: fd -1: they are new ones. */
struct source {
	int fd;
	bool copy; /* what is written stays here */
	uint64_t off;
};

static int map_at(uint64_t at, uint64_t len, const struct source *from, int prot)
{
	int flags = MAP_FIXED_NOREPLACE | MAP_NORESERVE | (from->copy ? MAP_PRIVATE : MAP_SHARED) |
		    (from->fd < 0 ? MAP_ANONYMOUS : 0);
	void *want = (void *)(uintptr_t)at;
	void *p = mmap(want, len, prot, flags, from->fd, (off_t)from->off);
	if (p == MAP_FAILED)
		return -errno;
	if (p != want) { /* a kernel that does not know the flag */
		munmap(p, len);
		return -EEXIST;
	}
	return 0;
}

/* The lowest hole of @len bytes from @at on; 0: there is none. */
static uint64_t hole_find(uint64_t at, uint64_t len)
{
	for (size_t i = first_behind(at); i < space.n; i++) {
		if (space.all[i].lo >= at && space.all[i].lo - at >= len)
			return at;
		if (space.all[i].hi > at)
			at = align_up(space.all[i].hi, GRANULE);
	}
	return at < TOP && TOP - at >= len ? at : 0;
}

static int place(uint64_t *ret, uint64_t at, uint64_t len, const struct source *src, int prot)
{
	if (!len || len > TOP)
		return -ENOMEM;
	if (at) {
		if (at < LOWEST || at > TOP - len || !hole(at, at + len))
			return -EEXIST;
		*ret = at;
		return map_at(at, len, src, prot);
	}
	for (uint64_t from = space.next ? space.next : USUAL, tries = 0; tries < 1000; tries++) {
		uint64_t to = hole_find(from, len);
		if (!to && !(to = hole_find(LOWEST, len)))
			return -ENOMEM;
		int r = map_at(to, len, src, prot);
		if (r == 0) {
			*ret = to;
			space.next = to + align_up(len, GRANULE);
			return 0;
		}
		if (r != -EEXIST)
			return r;
		from = to + GRANULE;
	}
	return -ENOMEM;
}

static int add(uint64_t *ret, uint64_t at, uint64_t len, const struct region *as,
	       const struct source *from)
{
	uint64_t to = at;
	len = align_up(len, PAGE);
	space_lock();
	int r = room(3);
	if (r == 0)
		r = place(&to, at, len, from, as->prot ? prot_host(as->prot) : PROT_NONE);
	if (r == 0) {
		struct region one = *as;
		one.lo = one.base = to;
		one.hi = to + len;
		insert(first_behind(to), &one);
		*ret = to;
	}
	pthread_mutex_unlock(&space.lock);
	return r;
}

int space_reserve(uint64_t *ret, uint64_t at, uint64_t len, uint32_t prot, enum region_kind kind)
{
	struct region r = {.first_prot = prot, .kind = kind};
	return add(ret, at, len, &r, &(struct source){.fd = -1, .copy = true});
}

int space_map_file(uint64_t *ret, uint64_t at, uint64_t len, int fd, uint64_t off, uint32_t prot)
{
	struct region r = {.prot = prot, .first_prot = prot, .kind = REGION_MAPPED};
	bool copy = (prot & 0xff) == PAGE_WRITECOPY || (prot & 0xff) == PAGE_EXECUTE_WRITECOPY;
	return add(ret, at, len, &r, &(struct source){fd, copy || fd < 0, off});
}

/* ---- changing ---- */

int space_commit(uint64_t at, uint64_t len, uint32_t prot)
{
	uint64_t lo = at & ~(uint64_t)(PAGE - 1), hi = align_up(at + len, PAGE);
	int host = prot_host(prot), r = 0;
	if (host < 0 || hi <= lo)
		return -EINVAL;
	space_lock();
	if (!inside(lo, hi))
		r = -EFAULT;
	else if ((r = room(3)) == 0 && mprotect((void *)(uintptr_t)lo, hi - lo, host) < 0)
		r = -errno;
	if (r == 0)
		prot_set(lo, hi, prot);
	pthread_mutex_unlock(&space.lock);
	return r;
}

int space_decommit(uint64_t at, uint64_t len)
{
	uint64_t lo = at & ~(uint64_t)(PAGE - 1), hi = align_up(at + len, PAGE);
	int r = 0;
	space_lock();
	if (hi <= lo || !inside(lo, hi))
		r = -EFAULT;
	else if ((r = room(3)) == 0 &&
		 mmap((void *)(uintptr_t)lo, hi - lo, PROT_NONE,
		      MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) == MAP_FAILED)
		r = -errno;
	if (r == 0)
		prot_set(lo, hi, 0);
	pthread_mutex_unlock(&space.lock);
	return r;
}

static bool committed(uint64_t lo, uint64_t hi)
{
	for (size_t i = first_behind(lo); i < space.n && space.all[i].lo < hi; i++)
		if (!space.all[i].prot)
			return false;
	return true;
}

int space_protect(uint64_t at, uint64_t len, uint32_t prot, uint32_t *ret_old)
{
	uint64_t lo = at & ~(uint64_t)(PAGE - 1), hi = align_up(at + len, PAGE);
	int host = prot_host(prot), r = 0;
	if (host < 0 || hi <= lo)
		return -EINVAL;
	space_lock();
	if (!inside(lo, hi) || !committed(lo, hi))
		r = -EFAULT;
	else if ((r = room(3)) == 0 && mprotect((void *)(uintptr_t)lo, hi - lo, host) < 0)
		r = -errno;
	if (r == 0) {
		*ret_old = space.all[first_behind(lo)].prot;
		prot_set(lo, hi, prot);
	}
	pthread_mutex_unlock(&space.lock);
	return r;
}

bool space_held(void)
{
	if (space_lock() == EDEADLK)
		return true;
	pthread_mutex_unlock(&space.lock);
	return false;
}

static bool stack_commit(uint64_t lo, uint64_t hi)
{
	return lo < hi && mprotect((void *)(uintptr_t)lo, hi - lo, PROT_READ | PROT_WRITE) == 0;
}

bool space_grow_stack(uint64_t lo, uint64_t at)
{
	uint64_t hi = (at & ~(uint64_t)(PAGE - 1)) + PAGE;
	/* What was interrupted is one of us: the table is half changed, and not looked at. That the
	 * pages are committed it says later, if at all; the guest's they are in any case. */
	if (space_lock() == EDEADLK)
		return stack_commit(lo, hi);
	size_t i = first_behind(at);
	bool grows = i < space.n && space.all[i].lo <= at && space.all[i].prot & PAGE_GUARD &&
		     lo < hi && inside(lo, hi) && space.n + 3 <= space.cap && stack_commit(lo, hi);
	if (grows)
		prot_set(lo, hi, PAGE_READWRITE);
	pthread_mutex_unlock(&space.lock);
	return grows;
}

int space_release(uint64_t base)
{
	int r = -EINVAL;
	space_lock();
	size_t i = first_behind(base), n = 0;
	if (i < space.n && space.all[i].lo == base && space.all[i].base == base) {
		while (i + n < space.n && space.all[i + n].base == base)
			n++;
		uint64_t hi = space.all[i + n - 1].hi;
		r = munmap((void *)(uintptr_t)base, hi - base) < 0 ? -errno : 0;
		cut(i, n);
		if (base < space.next && space.next - base < UINT64_C(1) << 32)
			space.next = base;
	}
	pthread_mutex_unlock(&space.lock);
	return r;
}

bool space_at(uint64_t at, struct region *ret)
{
	space_lock();
	size_t i = first_behind(at);
	bool found = i < space.n && space.all[i].lo <= at;
	if (found)
		*ret = space.all[i];
	else
		*ret = (struct region){.lo = i > 0 ? space.all[i - 1].hi : LOWEST,
				       .hi = i < space.n ? space.all[i].lo : WIN_GUEST_END};
	pthread_mutex_unlock(&space.lock);
	return found;
}

void *space_new(uint64_t len, uint32_t prot)
{
	uint64_t at = 0;
	if (space_reserve(&at, 0, len, prot, REGION_PRIVATE) < 0 || space_commit(at, len, prot) < 0)
		process_die(LODGE_EXIT_LODGE, "no memory for the guest");
	return (void *)(uintptr_t)at;
}
