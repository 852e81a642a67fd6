/* SPDX-License-Identifier: Apache-2.0 */
/* mmap and its kin. The host does the work at the same addresses; what is added is where a mapping
 * goes, that it stays below USER_END and off what is not the guest's, which pages hold code, and
 * when code has changed. Linux 6.1 mm/mmap.c, mm/mremap.c, mm/mprotect.c */
#include "level/process/internal.h"

enum { RWX = PROT_READ | PROT_WRITE | PROT_EXEC, HUGE = 2 << 20, TRIES = 64 };
/* flags that mean something to x86 alone */
enum { ONLY_X86 = 0x40 | 0x80 };

static uint64_t page_up(uint64_t n) { return (n + PAGE - 1) & ~(uint64_t)(PAGE - 1); }
static bool is_page(uint64_t at) { return !(at & (PAGE - 1)); }
static void *host(uint64_t at) { return (void *)(uintptr_t)at; }
static bool is_inside(uint64_t at, uint64_t len)
{
	return at <= USER_END && len <= USER_END - at;
}

int mem_host_prot(uint64_t prot)
{
	int p = (int)(prot & (PROT_READ | PROT_WRITE));
	return prot & PROT_EXEC ? p | PROT_READ : p;
}

/* The host has done it; the table follows. That there is no memory for it cannot be undone. */
static int64_t noted(bool ok, int64_t r) { return ok ? r : -ENOMEM; }

static int64_t host_map(uint64_t at, uint64_t len, int prot, int flags, int fd, uint64_t off)
{
	void *p = mmap(host(at), len, mem_host_prot((uint64_t)prot), flags, fd, (off_t)off);
	if (p == MAP_FAILED)
		return -errno;
	if (p == host(at))
		return (int64_t)at;
	munmap(p, len); /* a kernel that knows no MAP_FIXED_NOREPLACE */
	return -EEXIST;
}

/* At a free place, @hint if that is one. What turns out to be somebody else's is remembered. */
static int64_t map_free(struct space *s, uint64_t hint, uint64_t len, int prot, int flags, int fd,
			uint64_t off)
{
	uint64_t align = flags & MAP_HUGETLB ? HUGE : PAGE;
	bool hinted = hint && is_inside(hint, len) && space_is_free(s, hint, hint + len);
	for (unsigned i = 0; i < TRIES; i++) {
		uint64_t at = hinted ? hint : space_gap(s, len, align, s->top);
		if (!at)
			return -ENOMEM;
		int64_t r = host_map(at, len, prot, flags | MAP_FIXED_NOREPLACE, fd, off);
		if (r >= 0)
			return noted(space_put(s, at, at + len, (uint8_t)(prot & RWX), 0), r);
		if (hinted) {
			hinted = false;
			continue;
		}
		if (r != -EEXIST)
			return r;
		if (!space_put(s, at, at + len, 0, RANGE_FOREIGN))
			return -ENOMEM;
	}
	return -ENOMEM;
}

int64_t mem_map(struct proc *p, uint64_t at, uint64_t len, int prot, int flags, int fd,
                uint64_t off)
{
	struct space *s = &p->space;
	int64_t r;
	pthread_rwlock_wrlock(&s->lock);
	len = page_up(len);
	if (!at) {
		r = map_free(s, 0, len, prot, flags, fd, off);
	} else if (!is_inside(at, len) ||
		   space_has(s, at, at + len, 0, RANGE_FOREIGN)) {
		r = -ENOMEM;
	} else {
		/* over what is ours already: pieces of a program may share a page */
		bool free = space_is_free(s, at, at + len);
		int how = flags | (free ? MAP_FIXED_NOREPLACE : MAP_FIXED);
		r = host_map(at, len, prot, how, fd, off);
		if (r >= 0)
			r = noted(space_put(s, at, at + len, (uint8_t)(prot & RWX), 0), r);
	}
	pthread_rwlock_unlock(&s->lock);
	return r;
}

static int64_t map_fixed(struct task *t, uint64_t at, uint64_t len, int prot, int flags, int fd,
			 uint64_t off)
{
	struct space *s = &t->p->space;
	if (!is_page(at))
		return -EINVAL;
	if (!is_inside(at, len) || space_has(s, at, at + len, 0, RANGE_FOREIGN))
		return -ENOMEM;
	if (flags & MAP_FIXED_NOREPLACE && !space_is_free(s, at, at + len))
		return -EEXIST;
	bool code = space_has(s, at, at + len, PROT_EXEC, 0);
	int64_t r = host_map(at, len, prot, flags, fd, off);
	if (r >= 0)
		r = noted(space_put(s, at, at + len, (uint8_t)(prot & RWX), 0), r);
	if (r >= 0 && code)
		task_code_stale(t, at, at + len);
	return r;
}

int64_t mem_mmap(struct task *t, const uint64_t a[6])
{
	uint64_t at = a[0], len = page_up(a[1]);
	int prot = (int)a[2], flags = (int)a[3] & ~ONLY_X86, fd = (int)a[4];
	if (!a[1] || a[5] & (PAGE - 1))
		return -EINVAL;
	if (!len || len > USER_END)
		return -ENOMEM;
	if (flags & MAP_HUGETLB)
		len = align_up(len, HUGE);
	pthread_rwlock_wrlock(&t->p->space.lock);
	task_maps(t, a[2], a[3] & MAP_SHARED); /* MAP_SHARED_VALIDATE has it, too */
	int64_t r = flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)
			? map_fixed(t, at, len, prot, flags, fd, a[5])
			: map_free(&t->p->space, at & ~(uint64_t)(PAGE - 1), len, prot, flags, fd,
				   a[5]);
	pthread_rwlock_unlock(&t->p->space.lock);
	return r;
}

/* Call @fn for each piece of [@lo, @hi) that is mapped and the guest's, until it fails. */
static int64_t pieces(struct space *s, uint64_t lo, uint64_t hi,
		      int64_t (*fn)(uint64_t at, uint64_t len, int arg), int arg)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct range *r = &s->ranges[i];
		uint64_t from = r->lo > lo ? r->lo : lo, to = min_u64(r->hi, hi);
		if (r->lo >= hi)
			break;
		if (from >= to || r->flags & RANGE_FOREIGN)
			continue;
		int64_t e = fn(from, to - from, arg);
		if (e < 0)
			return e;
	}
	return 0;
}

static int64_t piece_unmap(uint64_t at, uint64_t len, int arg)
{
	(void)arg;
	return munmap(host(at), len) < 0 ? -errno : 0;
}

int64_t mem_unmap(struct task *t, uint64_t at, uint64_t len)
{
	struct space *s = &t->p->space;
	bool code = space_has(s, at, at + len, PROT_EXEC, 0);
	int64_t r;
	if (!space_has(s, at, at + len, 0, RANGE_FOREIGN)) {
		r = munmap(host(at), len) < 0 ? -errno : 0;
		if (r == 0)
			r = noted(space_drop(s, at, at + len), 0);
	} else {
		r = pieces(s, at, at + len, piece_unmap, 0);
		for (uint64_t lo = at; r == 0 && lo < at + len;) {
			const struct range *x = space_find(s, lo);
			if (!x || x->lo >= at + len)
				break;
			uint64_t hi = min_u64(x->hi, at + len);
			if (x->lo > lo)
				lo = x->lo;
			if (!(x->flags & RANGE_FOREIGN))
				r = noted(space_drop(s, lo, hi), 0);
			lo = hi;
		}
	}
	if (code)
		task_code_stale(t, at, at + len);
	return r;
}

int64_t mem_munmap(struct task *t, const uint64_t a[6])
{
	uint64_t at = a[0], len = page_up(a[1]);
	if (!is_page(at) || !a[1] || !len || !is_inside(at, len))
		return -EINVAL;
	pthread_rwlock_wrlock(&t->p->space.lock);
	int64_t r = mem_unmap(t, at, len);
	pthread_rwlock_unlock(&t->p->space.lock);
	return r;
}

/* How far from @lo on everything is mapped and the guest's. */
static uint64_t mapped_to(const struct space *s, uint64_t lo, uint64_t hi)
{
	while (lo < hi) {
		const struct range *r = space_find(s, lo);
		if (!r || r->lo > lo || r->flags & RANGE_FOREIGN)
			break;
		lo = r->hi;
	}
	return min_u64(lo, hi);
}

static int64_t protect(struct task *t, uint64_t at, uint64_t len, uint64_t prot)
{
	struct space *s = &t->p->space;
	uint64_t end = mapped_to(s, at, at + len);
	uint64_t more = prot & (PROT_GROWSDOWN | PROT_GROWSUP);
	bool code = prot & PROT_EXEC || space_has(s, at, at + len, PROT_EXEC, 0);
	if (more)
		return -EINVAL;
	if (end > at) {
		task_maps(t, prot, t->p->shares_read); /* is it one of these? */
		if (mprotect(host(at), end - at, mem_host_prot(prot)) < 0)
			return -errno;
		if (!space_put(s, at, end, (uint8_t)(prot & RWX), 0))
			return -ENOMEM;
		if (code)
			task_code_stale(t, at, end);
	}
	return end < at + len ? -ENOMEM : 0;
}

int64_t mem_mprotect(struct task *t, const uint64_t a[6])
{
	uint64_t at = a[0], len = page_up(a[1]);
	if (!is_page(at))
		return -EINVAL;
	if (!a[1])
		return 0;
	if (!len || !is_inside(at, len))
		return -ENOMEM;
	pthread_rwlock_wrlock(&t->p->space.lock);
	int64_t r = protect(t, at, len, a[2]);
	pthread_rwlock_unlock(&t->p->space.lock);
	return r;
}

/* What the host gives back of private pages may be other code than was there. */
int64_t mem_madvise(struct task *t, const uint64_t a[6])
{
	uint64_t at = a[0], len = page_up(a[1]);
	int what = (int)a[2];
	if (!is_page(at) || len < a[1] || !is_inside(at, len))
		return !is_page(at) || len < a[1] ? -EINVAL : -ENOMEM;
	struct space *s = &t->p->space;
	pthread_rwlock_wrlock(&s->lock);
	int64_t r = 0;
	if (space_has(s, at, at + len, 0, RANGE_FOREIGN))
		r = -ENOMEM;
	else if (madvise(host(at), len, what) < 0)
		r = -errno;
	if (space_has(s, at, at + len, PROT_EXEC, 0) &&
	    (what == MADV_DONTNEED || what == MADV_REMOVE || what == MADV_FREE))
		task_code_stale(t, at, at + len);
	pthread_rwlock_unlock(&s->lock);
	return r;
}

/* ---- mremap ---- */

struct move {
	uint64_t from, len, to, new_len; /* to 0: anywhere */
	int flags;
};

/* To @m->to, where everything is free, or nothing is left of what was there. */
static int64_t move_to(struct task *t, const struct move *m, uint8_t prot)
{
	struct space *s = &t->p->space;
	bool code = prot & PROT_EXEC || space_has(s, m->to, m->to + m->new_len, PROT_EXEC, 0);
	int flags = MREMAP_MAYMOVE | MREMAP_FIXED | (m->flags & MREMAP_DONTUNMAP);
	if (mremap(host(m->from), m->len, m->new_len, flags, host(m->to)) == MAP_FAILED)
		return -errno;
	bool ok = space_put(s, m->to, m->to + m->new_len, prot, 0);
	if (m->len && !(m->flags & MREMAP_DONTUNMAP))
		ok &= space_drop(s, m->from, m->from + m->len);
	if (code) {
		task_code_stale(t, m->from, m->from + m->len);
		task_code_stale(t, m->to, m->to + m->new_len);
	}
	return noted(ok, (int64_t)m->to);
}

static int64_t grow(struct task *t, const struct move *m, const struct range *r)
{
	struct space *s = &t->p->space;
	uint64_t end = m->from + m->len;
	uint8_t prot = r->prot;
	struct move to = *m;
	if (m->len && is_inside(m->from, m->new_len) &&
	    space_is_free(s, end, m->from + m->new_len) && !(m->flags & MREMAP_DONTUNMAP) &&
	    mremap(host(m->from), m->len, m->new_len, 0) != MAP_FAILED)
		return noted(space_put(s, end, m->from + m->new_len, prot, 0), (int64_t)m->from);
	if (!(m->flags & MREMAP_MAYMOVE))
		return -ENOMEM;
	to.to = space_gap(s, m->new_len, PAGE, s->top);
	return to.to ? move_to(t, &to, prot) : -ENOMEM;
}

static int64_t move(struct task *t, struct move *m)
{
	struct space *s = &t->p->space;
	const struct range *r = space_find(s, m->from);
	if (!r || r->lo > m->from || r->flags & RANGE_FOREIGN ||
	    mapped_to(s, m->from, m->from + m->len) < m->from + m->len)
		return -EFAULT;
	if (m->flags & MREMAP_FIXED) {
		if (!is_page(m->to) || !is_inside(m->to, m->new_len) ||
		    (m->to < m->from + m->len && m->from < m->to + m->new_len))
			return -EINVAL;
		if (space_has(s, m->to, m->to + m->new_len, 0, RANGE_FOREIGN))
			return -ENOMEM;
		return move_to(t, m, r->prot);
	}
	if (m->new_len > m->len || m->flags & MREMAP_DONTUNMAP || !m->len)
		return grow(t, m, r);
	if (m->new_len == m->len)
		return (int64_t)m->from;
	int64_t e = mem_unmap(t, m->from + m->new_len, m->len - m->new_len);
	return e < 0 ? e : (int64_t)m->from;
}

int64_t mem_mremap(struct task *t, const uint64_t a[6])
{
	struct move m = {.from = a[0], .len = page_up(a[1]), .new_len = page_up(a[2]),
		.to = a[4], .flags = (int)a[3]};
	const int known = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP;
	if (m.flags & ~known || (m.flags & ~MREMAP_MAYMOVE && !(m.flags & MREMAP_MAYMOVE)) ||
	    (m.flags & MREMAP_DONTUNMAP && m.len != m.new_len) || !is_page(m.from) ||
	    !m.new_len || m.new_len > USER_END)
		return -EINVAL;
	if (m.len < a[1] || !is_inside(m.from, m.len))
		return -EFAULT;
	pthread_rwlock_wrlock(&t->p->space.lock);
	int64_t r = move(t, &m);
	pthread_rwlock_unlock(&t->p->space.lock);
	return r;
}

/* ---- brk ---- */

static bool brk_move(struct task *t, uint64_t to)
{
	struct space *s = &t->p->space;
	uint64_t old = page_up(s->brk), end = page_up(to);
	if (to < s->brk_start || to > USER_END)
		return false;
	if (end < old)
		return mem_unmap(t, end, old - end) == 0;
	if (end == old)
		return true;
	if (!space_is_free(s, old, end) ||
	    host_map(old, end - old, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) < 0)
		return false;
	return space_put(s, old, end, PROT_READ | PROT_WRITE, 0);
}

int64_t mem_brk(struct task *t, const uint64_t a[6])
{
	struct space *s = &t->p->space;
	pthread_rwlock_wrlock(&s->lock);
	if (brk_move(t, a[0]))
		s->brk = a[0];
	int64_t r = (int64_t)s->brk;
	pthread_rwlock_unlock(&s->lock);
	return r;
}
