/* SPDX-License-Identifier: Apache-2.0 */
/* Units: how they are found, and how they go away. */
#include "engine/translate/internal.h"
#include <sys/mman.h>

enum { POOL_FIRST = 8, POOL_MIN = 128 << 10, HASH_MIN = 1024 };

/* ---- the pool and its tables ---- */

static void *pool_at(const struct translate *t, ref r) { return t->pool.at + r; }
static struct unit *unit_at(const struct translate *t, ref r) { return r ? pool_at(t, r) : NULL; }
static ref ref_of(const struct translate *t, const void *p)
{
	return (ref)((const uint8_t *)p - t->pool.at);
}

/* NULL: it is full. */
static void *pool_take(struct pool *p, size_t bytes)
{
	bytes = align_up(bytes, 8);
	if (bytes > p->bytes - p->used) {
		p->full = true;
		return NULL;
	}
	host_pages_ahead(p->at, p->bytes, p->used, &p->ready);
	p->used += (uint32_t)bytes;
	return p->at + p->used - bytes;
}

static ref *hash_slot(struct translate *t, uint64_t pa)
{
	return &t->hash[(pa >> 1 ^ pa >> 13) & (t->hash_size - 1)];
}

static ref *page_slot(struct translate *t, uint64_t pa)
{
	return &t->tables->pages[(pa >> 12) % PAGES_HASH];
}

static ref *page2_slot(struct translate *t, uint64_t pa)
{
	return &t->tables->pages2[(pa >> 12) % PAGES2_HASH];
}

/* Entries of one slot keep their order. */
static bool hash_resize(struct translate *t, uint32_t size)
{
	ref *old = t->hash, *new = host_pages_new(size * sizeof *new);
	uint32_t nold = t->hash_size;
	if (!new)
		return false;
	if (t->wipes && madvise(new, size * sizeof *new, MADV_WIPEONFORK) < 0) {
		host_pages_free(new, size * sizeof *new);
		return false;
	}
	if (size == HASH_MIN) /* few units are everywhere in it */
		host_pages_ready(new, size * sizeof *new);
	t->hash = new;
	t->hash_size = size;
	for (uint32_t n = 0; n < nold; n++) {
		ref back = 0, next;
		for (ref r = old[n]; r; r = next) {
			struct entry *e = pool_at(t, r);
			next = e->next;
			e->next = back;
			back = r;
		}
		for (ref r = back; r; r = next) {
			struct entry *e = pool_at(t, r);
			ref *slot = hash_slot(t, entry_pa(e));
			next = e->next;
			e->next = *slot;
			*slot = r;
		}
	}
	host_pages_free(old, nold * sizeof *old);
	return true;
}

int units_init(struct translate *t, uint64_t bytes, struct lodge_err *e)
{
	t->pool.bytes = bytes < POOL_MIN ? POOL_MIN : (uint32_t)min_u64(bytes, UINT32_MAX);
	t->pool.used = POOL_FIRST;
	t->pool.at = host_pages_new(t->pool.bytes);
	t->tables = host_pages_new(sizeof *t->tables);
	t->jumps = host_pages_new(JIT_JUMPS * sizeof *t->jumps);
	if (!t->pool.at || !t->tables || !t->jumps || !hash_resize(t, HASH_MIN))
		return err_set(e, ENOMEM, "no memory for translated units");
	return 0;
}

void units_fini(struct translate *t)
{
	host_pages_free(t->pool.at, t->pool.bytes);
	host_pages_free(t->tables, sizeof *t->tables);
	host_pages_free(t->hash, t->hash_size * sizeof *t->hash);
	host_pages_free(t->jumps, JIT_JUMPS * sizeof *t->jumps);
	free(t->units);
	free(t->units2);
}

static void jumps_clear(struct translate *t)
{
	for (unsigned i = 0; t->njumps <= JUMPS_FEW && i < t->njumps; i++)
		t->jumps[t->jump_used[i]] = (struct jit_jump){ .va = 0 };
	if (t->njumps > JUMPS_FEW)
		memset(t->jumps, 0, jumps_size(t) * sizeof *t->jumps);
	t->njumps = 0;
}

static void jumps_resize(struct translate *t, unsigned n)
{
	*t->jump_mask = jit_jump_mask(n);
	t->njumps = t->jumps_lost = 0;
	host_pages_ready(t->jumps, n * sizeof *t->jumps);
}

void jumps_begin(struct translate *t) { jumps_resize(t, JUMPS_BEGIN); }

void jumps_grow(struct translate *t)
{
	unsigned n = jumps_size(t);
	t->jumps_lost = 0;
	if (n == JIT_JUMPS)
		return;
	jumps_clear(t);
	jumps_resize(t, 4 * n < JIT_JUMPS ? 4 * n : JIT_JUMPS);
}

static bool list_add(ref **units, uint32_t *n, uint32_t *have, ref u)
{
	if (*n == *have) {
		uint32_t cap = *have ? *have * 2 : 256;
		ref *more = realloc(*units, cap * sizeof *more);
		if (!more)
			return false;
		*units = more;
		*have = cap;
	}
	(*units)[(*n)++] = u;
	return true;
}

bool unit_add(struct translate *t, struct unit *u)
{
	ref r = ref_of(t, u);
	if (jit_cache_is2(t->cache, u->j.code)
	            ? !list_add(&t->units2, &t->nunits2, &t->units2_cap, r)
	            : !list_add(&t->units, &t->nunits, &t->units_cap, r))
		return false;
	t->nentries += u->nentries;
	if (t->nentries > t->hash_size) /* if not, it is slower */
		(void)hash_resize(t, 4 * t->hash_size);
	for (unsigned n = u->nentries; n-- > 0;) { /* the start last: found first */
		ref *slot = hash_slot(t, u->j.pa + u->entries[n].off);
		u->entries[n].next = *slot;
		*slot = ref_of(t, &u->entries[n]);
	}
	ref *slot = page_slot(t, u->j.pa);
	u->page_next = *slot;
	*slot = r;
	if (is_crossing(u->reach)) {
		slot = page2_slot(t, unit_pa2(u));
		unit_page2(u)->next = *slot;
		*slot = r;
	}
	t->made++;
	t->made2 += u->tier;
	return true;
}

/* The labels of the unit just made where control may come in: those that look at the limit. */
static unsigned entries_find(const struct jit_gen *g, const struct range *r, unsigned n,
                             struct entry *to)
{
	unsigned k = 0;
	for (unsigned i = 0; i < n; i++) {
		uint32_t code = jit_label_code(g, r->off[i] / 2u);
		if (code && range_checks(r, i)) {
			to[k] = (struct entry){ .code = code, .off = r->off[i], .n = (uint16_t)k };
			k++;
		}
	}
	return k;
}

struct unit *unit_room(struct translate *t, unsigned nentries, unsigned bytes, unsigned notes_len)
{
	return pool_take(&t->pool, sizeof(struct unit) + nentries * sizeof(struct entry) +
	                           sizeof(struct unit_page2) + bytes + notes_len);
}

struct unit *unit_new(struct translate *t, const struct jit_gen *g, const struct range *r,
                      unsigned n, unsigned reach, uint64_t pa2, const struct jit_unit *j)
{
	struct entry entries[UNIT_INSNS];
	unsigned bytes = n < r->n ? r->off[n] : r->bytes, k = entries_find(g, r, n, entries);
	struct unit *u = unit_room(t, k, bytes, j->notes_len);
	if (!u)
		return NULL;
	*u = (struct unit){ .j = *j, .bytes = (uint16_t)bytes, .nentries = (uint16_t)k,
		.reach = (uint8_t)reach };
	memcpy(u->entries, entries, k * sizeof *entries);
	if (is_crossing(reach))
		unit_page2(u)->frame = (uint32_t)(pa2 >> 12);
	uint8_t *code = unit_code(u);
	memcpy(code, r->code, bytes);
	memcpy(code + bytes, j->notes, j->notes_len);
	u->j.notes = code + bytes;
	return u;
}

/* The guest may be writing this code just now: what is translated is what was copied. */
static unsigned range_copy(struct rv_hart *h, struct range *r, const struct place *p)
{
	unsigned room = (unsigned)min_u64(4096 - (p->pa & 4095), 4 * UNIT_INSNS);
	if (!rv_code_copy(h, r->code, p->host, room) ||
	    (p->pa2 && !rv_code_copy(h, r->code + 2, p->host2, 2))) {
		h->exc = RV_EXC_NONE; /* the interpreter will see it */
		return 0;
	}
	return p->pa2 ? 4 : room;
}

static struct unit *unit_make(struct rv_hart *h, const struct place *p)
{
	struct translate *t = h->engine;
	struct range *r = &t->range;
	struct jit_unit j;
	struct unit *u;
	rv_code_watch(h, p->pa);
	if (p->pa2)
		rv_code_watch(h, p->pa2);
	range_vectors(r, h);
	range_scan(r, range_copy(h, r, p), p->pa, NULL);
	unsigned n = r->n;
	for (unsigned tries = 0;; tries++) {
		for (unsigned got; n && (got = range_generate(t->gen, r, n, p->reach, false)) < n;)
			n = got;
		if (!n)
			return NULL;
		if (jit_end(t->gen, &j) &&
		    (u = unit_new(t, t->gen, r, n, p->reach, p->pa2, &j)))
			break;
		if (tries)
			return NULL;
		units_clear(t);
	}
	if (!unit_add(t, u))
		return NULL;
	share_give(h, t->gen, u);
	uint64_t trace = h->env->trace_pc;
	if (unlikely(trace && (trace == UINT64_MAX || trace - h->pc < u->bytes))) {
		uint64_t at[UNIT_INSNS];
		for (unsigned i = 0; i < n; i++)
			at[i] = p->pa + r->off[i];
		unit_dump(h, u, &(struct unit_text){ n, r->insn, at });
	}
	return u;
}

struct entry *unit_get(struct rv_hart *h, const struct place *p, bool make)
{
	struct translate *t = h->engine;
	struct entry *e;
	for (ref r = *hash_slot(t, p->pa); r; r = e->next) {
		e = pool_at(t, r);
		const struct unit *u = entry_unit(e);
		if (u->j.pa + e->off == p->pa && u->reach == p->reach && unit_pa2(u) == p->pa2)
			return e;
	}
	struct unit *u = make ? unit_make(h, p) : NULL;
	return u ? &u->entries[0] : NULL;
}

bool units_seed(struct translate *t, const struct unit *u, bool *seeds)
{
	bool any = false;
	for (const struct unit *k = unit_at(t, *page_slot(t, u->j.pa)); k;
	     k = unit_at(t, k->page_next)) {
		uint64_t off = k->j.pa - u->j.pa;
		if (off && off < 4 * JIT_UNIT_INSNS && k->j.pa >> 12 == u->j.pa >> 12 &&
		    k->reach == u->reach && !is_crossing(k->reach))
			any = seeds[off / 2] = true;
	}
	return any;
}

struct unit *unit_at_code(struct translate *t, uint32_t off)
{
	bool second = jit_cache_is2(t->cache, off - 1);
	uint32_t lo = 0, hi = second ? t->nunits2 : t->nunits;
	const ref *units = second ? t->units2 : t->units;
	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;
		if (unit_at(t, units[mid])->j.code < off)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo ? unit_at(t, units[lo - 1]) : NULL;
}

uint32_t unit_touch_find(void *t, uint32_t off)
{
	struct unit *u = unit_at_code(t, off + 1);
	return u ? jit_touch_find(&u->j, off) : 0;
}

/* ---- links ---- */

static struct link *link_at(const struct translate *t, ref r) { return pool_at(t, r); }

static void link_give(struct translate *t, ref r)
{
	link_at(t, r)->next = t->link_free;
	t->link_free = r;
}

/* 0: no room. */
static ref link_take(struct translate *t)
{
	ref r = t->link_free;
	if (r) {
		t->link_free = link_at(t, r)->next;
		return r;
	}
	struct link *l = pool_take(&t->pool, sizeof *l);
	return l ? ref_of(t, l) : 0;
}

static struct jit_exit_at link_exit(const struct translate *t, const struct link *l)
{
	struct jit_exit_at x;
	bool found = jit_exit_get(&unit_at(t, l->from)->j, l->exit, &x);
	assert(found);
	(void)found;
	return x;
}

void unit_link(struct translate *t, struct unit *from, const struct jit_exit_at *x,
               struct entry *to)
{
	struct unit *u = entry_unit(to);
	ref r = link_take(t);
	if (!r)
		return;
	*link_at(t, r) = (struct link){ ref_of(t, from), u->in, x->n };
	u->in = r;
	jit_link(t->cache, x, to->code);
	t->links++;
}

/* ---- going away ---- */

void jumps_forget(struct translate *t)
{
	jumps_clear(t);
	jit_far_forget(t->cache, NULL);
}

static void units_forget(struct translate *t)
{
	t->nunits = t->nunits2 = t->nentries = 0;
	t->pool.used = POOL_FIRST;
	t->pool.full = false;
	t->link_free = 0;
	t->clears++;
	jit_cache_clear(t->cache);
}

/* Of few units the places are cleared, else all tables. */
static void tables_clear(struct translate *t)
{
	enum { FEW = 64 };
	uint32_t n = t->nunits + t->nunits2;
	if (n > FEW) {
		memset(t->hash, 0, t->hash_size * sizeof *t->hash);
		memset(t->tables, 0, sizeof *t->tables);
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		struct unit *u =
		    unit_at(t, i < t->nunits ? t->units[i] : t->units2[i - t->nunits]);
		for (unsigned k = 0; k < u->nentries; k++)
			*hash_slot(t, u->j.pa + u->entries[k].off) = 0;
		*page_slot(t, u->j.pa) = 0;
		if (is_crossing(u->reach))
			*page2_slot(t, unit_pa2(u)) = 0;
	}
}

void units_clear(struct translate *t)
{
	tables_clear(t);
	units_forget(t);
	jumps_forget(t);
}

bool units_wipe(struct translate *t, bool on)
{
	int how = on ? MADV_WIPEONFORK : MADV_KEEPONFORK;
	if (t->wipes == on)
		return true;
	t->wipes = on;
	return !madvise(t->pool.at, t->pool.bytes, how) &&
	       !madvise(t->tables, sizeof *t->tables, how) &&
	       !madvise(t->jumps, JIT_JUMPS * sizeof *t->jumps, how) &&
	       !madvise(t->hash, t->hash_size * sizeof *t->hash, how);
}

void units_wiped(struct translate *t)
{
	units_forget(t);
	t->pool.ready = 0;
	jumps_begin(t);
}

void units_trim(struct translate *t)
{
	(void)!madvise(t->pool.at, t->pool.bytes, MADV_DONTNEED);
	t->pool.ready = 0;
	(void)hash_resize(t, HASH_MIN);
	free(take(t->units));
	free(take(t->units2));
	t->units_cap = t->units2_cap = 0;
	jit_cache_trim(t->cache);
}

static void entries_remove(struct translate *t, struct unit *u)
{
	for (unsigned n = 0; n < u->nentries; n++) {
		ref *p = hash_slot(t, u->j.pa + u->entries[n].off), r = ref_of(t, &u->entries[n]);
		while (*p != r)
			p = &((struct entry *)pool_at(t, *p))->next;
		*p = u->entries[n].next;
	}
	t->nentries -= u->nentries;
}

static void unit_kill(struct translate *t, struct unit *u)
{
	entries_remove(t, u);
	for (ref r = u->in, next; r; r = next) {
		struct jit_exit_at x = link_exit(t, link_at(t, r));
		next = link_at(t, r)->next;
		jit_link(t->cache, &x, 0);
		link_give(t, r);
	}
	u->in = 0;
	jit_far_forget(t->cache, &u->j);
	jit_unit_kill(t->cache, &u->j);
	u->dead = true;
	t->killed++;
}

bool unit_same(struct rv_hart *h, const struct unit *u)
{
	bool crossing = is_crossing(u->reach);
	unsigned first = crossing ? 2 : u->bytes;
	const uint8_t *code = unit_code(u), *b = NULL;
	if (h->env->process)
		return rv_code_is(h, u->j.pa, code, first) &&
		       (!crossing || rv_code_is(h, unit_pa2(u), code + 2, 2));
	const uint8_t *a = mem_ptr(h->env->mem, gpa(u->j.pa), first);
	if (crossing)
		b = mem_ptr(h->env->mem, gpa(unit_pa2(u)), 2);
	return a && !memcmp(a, code, first) && (!crossing || (b && !memcmp(b, code + 2, 2)));
}

static void lists_remove(struct translate *t, struct unit *u)
{
	ref *p = page_slot(t, u->j.pa), r = ref_of(t, u);
	while (*p && *p != r)
		p = &unit_at(t, *p)->page_next;
	if (*p)
		*p = u->page_next;
	if (!is_crossing(u->reach))
		return;
	p = page2_slot(t, unit_pa2(u));
	while (*p && *p != r)
		p = &unit_page2(unit_at(t, *p))->next;
	if (*p)
		*p = unit_page2(u)->next;
}

/* The table of jumps may still lead into it: the caller clears that. */
static void unit_remove(struct translate *t, struct unit *u)
{
	lists_remove(t, u);
	unit_kill(t, u);
}

void unit_drop(struct translate *t, struct unit *u)
{
	unit_remove(t, u);
	jumps_clear(t);
}

/* NULL: @u cannot be entered there. */
static const struct entry *entry_at(const struct unit *u, uint64_t pa)
{
	for (unsigned n = 0; n < u->nentries; n++)
		if (u->j.pa + u->entries[n].off == pa)
			return &u->entries[n];
	return NULL;
}

/* A unit that was cut short may have labels for jumps from behind the cut, which @to has not: who
 * came there goes by the way out again. */
void unit_replace(struct translate *t, struct unit *from, struct unit *to)
{
	for (ref r = from->in, next; r; r = next) {
		struct link *l = link_at(t, r);
		struct jit_exit_at x = link_exit(t, l);
		const struct entry *e = entry_at(to, x.pa);
		next = l->next;
		jit_link(t->cache, &x, e ? e->code : 0);
		if (e) {
			l->next = to->in;
			to->in = r;
		} else {
			link_give(t, r);
		}
	}
	from->in = 0;
	jumps_clear(t);
	jit_far_forget(t->cache, &from->j);
	jit_unit_redirect(t->cache, &from->j, &to->j);
	entries_remove(t, from);
	lists_remove(t, from);
	from->dead = true;
}

/* Compare the units of frame @pa with memory. True: some are gone. */
static bool page_verify(struct rv_hart *h, uint64_t pa)
{
	struct translate *t = h->engine;
	bool any = false;
	uint64_t frame = pa >> 12;
	rv_code_watch(h, pa);
	for (struct unit *u = unit_at(t, *page_slot(t, pa)), *next; u; u = next) {
		next = unit_at(t, u->page_next);
		if (u->j.pa >> 12 != frame || unit_same(h, u))
			continue;
		unit_remove(t, u);
		any = true;
	}
	for (struct unit *u = unit_at(t, *page2_slot(t, pa)), *next; u; u = next) {
		next = unit_at(t, unit_page2(u)->next);
		if (unit_page2(u)->frame != frame || unit_same(h, u))
			continue;
		unit_remove(t, u);
		any = true;
	}
	return any;
}

/* Compare the units in @at with memory. True: some are gone. */
static bool range_verify(struct rv_hart *h, const struct rv_range *at)
{
	struct translate *t = h->engine;
	uint64_t lo = at->lo & ~UINT64_C(0xfff), hi = at->hi;
	bool any = false;
	for (uint32_t i = 0; i < t->nunits + t->nunits2; i++) {
		struct unit *u =
		    unit_at(t, i < t->nunits ? t->units[i] : t->units2[i - t->nunits]);
		bool in = u->j.pa + u->bytes > lo && u->j.pa < hi;
		in |= is_crossing(u->reach) && unit_pa2(u) + 2 > lo && unit_pa2(u) < hi;
		if (u->dead || !in || unit_same(h, u))
			continue;
		unit_remove(t, u);
		any = true;
	}
	return any;
}

void units_share(struct translate *t)
{
	bool any = false;
	for (uint32_t i = 0; i < t->nunits + t->nunits2; i++) {
		struct unit *u =
		    unit_at(t, i < t->nunits ? t->units[i] : t->units2[i - t->nunits]);
		if (u->dead || !u->j.alone)
			continue;
		unit_remove(t, u);
		any = true;
	}
	if (any)
		jumps_clear(t);
}

/* A process knows what has changed; few pages are looked for by themselves. */
static bool process_verify(struct rv_hart *h)
{
	enum { FEW = 16 << 12 };
	bool any = false;
	for (unsigned i = 0; i < h->nstale; i++) {
		const struct rv_range *r = &h->stale[i];
		if (r->hi - r->lo > FEW) {
			any |= range_verify(h, r);
			continue;
		}
		for (uint64_t at = r->lo & ~UINT64_C(0xfff); at < r->hi; at += 4096)
			any |= page_verify(h, at);
	}
	h->nstale = 0;
	return any;
}

void units_verify(struct rv_hart *h)
{
	struct translate *t = h->engine;
	if (h->code_gone && h->env->share) { /* what of it comes again is to be had there */
		units_clear(t);
		h->nstale = 0;
	}
	h->code_gone = false;
	if (h->env->process) {
		if (process_verify(h))
			jumps_clear(t);
		return;
	}
	enum { FRAMES = 256 };
	uint64_t frames[FRAMES];
	bool all, any = false;
	size_t n = rv_code_written(h, frames, FRAMES, &all);
	for (size_t i = 0; i < n; i++)
		any |= page_verify(h, frames[i]);
	if (all) { /* rare */
		units_clear(t);
		return;
	}
	if (any)
		jumps_clear(t);
}
