/* SPDX-License-Identifier: Apache-2.0 */
/* Units that processes share: most of what a program runs first, its libraries' code, another one
 * has translated already. Who makes a unit of a file's code puts a copy of it, as it was made, into
 * memory that is shared with all processes that are forked from the first; who has none at an
 * address looks there, compares the guest's code with that of the copy, and puts it into its own
 * cache. So nothing that runs is shared, and a copy is as good as its guest code is the same.
 *
 * Copies are only added, from the first fork on, by an atomic addition, and found by the address of
 * each of their entries once they are whole. A process that dies in between leaves a gap. When the
 * memory is full nothing is added any more. All of these processes have the rights of one user: see
 * SECURITY.md. */
#include "engine/translate/internal.h"
#include <sys/mman.h>

enum { SHARE_BYTES = 32 << 20, SLOTS = 1 << 16, UNIT = 4 /* of a ref */ };

struct code_share {             /* refs are in units of UNIT bytes from here; 0: none */
	uint64_t used;          /* bytes; atomic; 0: nobody has been forked yet */
	ref slot[SLOTS];        /* copy_entry; atomic */
};
static bool is_open(const struct code_share *s)
{
	return s && __atomic_load_n(&s->used, __ATOMIC_RELAXED);
}

struct copy_entry {
	ref next;               /* of the same slot */
	uint32_t code;          /* bytes from the start of the code */
	uint32_t mark;          /* of its address and the guest code there: entry_mark */
	uint16_t off;           /* bytes of guest code from the start */
	uint16_t n;             /* of its unit */
};
/* Behind the entries: where the code changes when it moves, the code, guest code, notes. */
struct copy {
	struct jit_unit j;      /* notes is of no use */
	struct jit_moves moves; /* at is of no use */
	uint16_t bytes, nentries;
	uint8_t reach, tier;
	struct copy_entry entries[];
};

static const uint32_t *copy_moves(const struct copy *c)
{
	return (const uint32_t *)(const void *)&c->entries[c->nentries];
}
static const uint8_t *copy_code(const struct copy *c)
{
	return (const uint8_t *)(copy_moves(c) + c->moves.n);
}
static const uint8_t *copy_guest(const struct copy *c) { return copy_code(c) + c->j.code_len; }
static const uint8_t *copy_notes(const struct copy *c) { return copy_guest(c) + c->bytes; }
static const struct copy *copy_of(const struct copy_entry *e)
{
	return (const struct copy *)(const void *)((const uint8_t *)(e - e->n) -
	                                           offsetof(struct copy, entries));
}

int share_new(struct rv_env *env, struct lodge_err *e)
{
	void *p = mmap(NULL, SHARE_BYTES, PROT_READ | PROT_WRITE,
	               MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return err_sys(e, "mapping memory for translated code");
	env->share = p;
	return 0;
}

void share_free(struct rv_env *env)
{
	struct code_share *s = take(env->share);
	if (s)
		munmap(s, SHARE_BYTES);
}

static ref *slot_of(struct code_share *s, uint64_t pa)
{
	return &s->slot[(pa >> 1 ^ pa >> 17) % SLOTS];
}

static struct copy_entry *entry_of(const struct code_share *s, ref r)
{
	return r ? (struct copy_entry *)(uintptr_t)((const uint8_t *)s + (uint64_t)r * UNIT) : NULL;
}

/* Programs lie at the same addresses: most copies are told apart without a look at them. */
static uint32_t entry_mark(uint64_t pa, uint64_t first)
{
	return (uint32_t)pa ^ (uint32_t)first << 16;
}

/* ---- taking ---- */

static bool is_same(struct rv_hart *h, const struct copy *c, const uint64_t pa2)
{
	bool crossing = is_crossing(c->reach);
	unsigned first = crossing ? 2 : c->bytes;
	return rv_code_is(h, c->j.pa, copy_guest(c), first) &&
	       (!crossing || rv_code_is(h, pa2, copy_guest(c) + 2, 2));
}

/* The entry for @p; later ones, which may be better, first. With @tier only an optimized unit that
 * begins there. */
static const struct copy_entry *entry_find(struct rv_hart *h, const struct place *p, bool tier)
{
	struct code_share *s = h->env->share;
	const struct translate *t = h->engine;
	const struct copy_entry *e;
	uint64_t first;
	if (!is_open(s) || !host_load(p->pa, 2, &first))
		return NULL;
	uint32_t mark = entry_mark(p->pa, first);
	for (ref r = __atomic_load_n(slot_of(s, p->pa), __ATOMIC_ACQUIRE); (e = entry_of(s, r));
	     r = e->next) {
		const struct copy *c = copy_of(e);
		if (e->mark != mark || c->j.pa + e->off != p->pa || c->reach != p->reach)
			continue;
		if (c->j.alone && !t->alone)
			continue;
		if (tier ? !c->tier || e->off : c->tier && opt_is_never(h->engine, c->j.pa))
			continue;
		if (is_same(h, c, p->pa2))
			return e;
	}
	return NULL;
}

static struct unit *copy_put(struct translate *t, const struct copy *c, uint64_t pa2)
{
	struct jit_unit j = c->j;
	struct jit_moves moves = c->moves;
	struct unit *u = unit_room(t, c->nentries, c->bytes, j.notes_len);
	moves.at = copy_moves(c);
	if (!u || !jit_unit_put(t->cache, copy_code(c), &moves, &j))
		return NULL;
	*u = (struct unit){ .j = j, .bytes = c->bytes, .nentries = c->nentries, .reach = c->reach,
		.tier = c->tier };
	for (unsigned n = 0; n < c->nentries; n++)
		u->entries[n] = (struct entry){ .code = j.code + c->entries[n].code,
			.off = c->entries[n].off, .n = (uint16_t)n };
	if (is_crossing(u->reach))
		unit_page2(u)->frame = (uint32_t)(pa2 >> 12);
	uint8_t *code = unit_code(u);
	memcpy(code, copy_guest(c), c->bytes);
	memcpy(code + c->bytes, copy_notes(c), j.notes_len);
	u->j.notes = code + c->bytes;
	if (!unit_add(t, u))
		return NULL;
	t->made--;
	t->made2 -= u->tier;
	t->taken++;
	return u;
}

struct entry *share_take(struct rv_hart *h, const struct place *p, bool tier)
{
	struct translate *t = h->engine;
	const struct copy_entry *e = NULL;
	if (!tier && t->known && p->pa == t->known_pa && t->known_epoch == h->fetch_epoch &&
	    !is_crossing(p->reach) && (t->alone || !copy_of(t->known)->j.alone))
		e = t->known;
	t->known = NULL;
	if (!e)
		e = entry_find(h, p, tier);
	struct unit *u = e ? copy_put(h->engine, copy_of(e), p->pa2) : NULL;
	return u ? &u->entries[e->n] : NULL;
}

/* It is entered next: it is found once for both. */
bool share_knows(struct rv_hart *h, uint64_t pa)
{
	const struct place p = { .pa = pa, .reach = RV_PROCESS_REACH | UNIT_MIRRORED };
	struct translate *t = h->engine;
	const struct copy_entry *e = entry_find(h, &p, false);
	if (e) {
		t->known = e;
		t->known_pa = pa;
		t->known_epoch = h->fetch_epoch;
	}
	return e;
}

/* ---- giving ---- */

bool share_fork(const struct rv_env *env)
{
	enum { SOME = 64 << 10 };
	struct code_share *s = env->share;
	uint64_t used = s ? __atomic_load_n(&s->used, __ATOMIC_RELAXED) : 0, none = 0;
	if (s && !used)
		__atomic_compare_exchange_n(&s->used, &none, align_up(sizeof *s, 8), false,
		                            __ATOMIC_RELAXED, __ATOMIC_RELAXED);
	return used && used < SHARE_BYTES - SOME;
}

static void entry_publish(struct code_share *s, struct copy_entry *e, uint64_t pa)
{
	ref *slot = slot_of(s, pa), r = (ref)(((uint8_t *)e - (uint8_t *)s) / UNIT);
	ref head = __atomic_load_n(slot, __ATOMIC_RELAXED);
	do {
		e->next = head;
	} while (!__atomic_compare_exchange_n(slot, &head, r, true, __ATOMIC_RELEASE,
	                                      __ATOMIC_RELAXED));
}

/* Zeros; NULL: it is full. */
static struct copy *copy_room(struct code_share *s, uint64_t bytes)
{
	if (__atomic_load_n(&s->used, __ATOMIC_RELAXED) > SHARE_BYTES - bytes)
		return NULL;
	uint64_t at = __atomic_fetch_add(&s->used, bytes, __ATOMIC_RELAXED);
	return at > SHARE_BYTES - bytes ? NULL : (void *)((uint8_t *)s + at);
}

static bool is_shared(struct rv_hart *h, const struct unit *u)
{
	const struct rv_process *p = h->env->process;
	const struct place at = { .pa = u->j.pa, .pa2 = unit_pa2(u), .reach = u->reach };
	return p->rights(h->env->user, u->j.pa) & RV_OF_FILE && !entry_find(h, &at, u->tier);
}

void share_give(struct rv_hart *h, const struct jit_gen *g, const struct unit *u)
{
	struct code_share *s = h->env->share;
	struct translate *t = h->engine;
	struct jit_moves moves;
	if (likely(!is_open(s)) || !jit_unit_moves(g, &moves) || !is_shared(h, u))
		return;
	uint64_t bytes = sizeof(struct copy) + u->nentries * sizeof(struct copy_entry) +
	                 moves.n * sizeof *moves.at + u->j.code_len + u->bytes + u->j.notes_len;
	struct copy *c = copy_room(s, align_up(bytes, 8));
	if (!c)
		return;
	*c = (struct copy){ .j = u->j, .moves = moves, .bytes = u->bytes,
		.nentries = u->nentries, .reach = u->reach, .tier = u->tier };
	for (unsigned n = 0; n < u->nentries; n++)
		c->entries[n] = (struct copy_entry){ .code = u->entries[n].code - u->j.code,
			.mark = entry_mark(u->j.pa + u->entries[n].off,
			                   le16_at(unit_code(u) + u->entries[n].off)),
			.off = u->entries[n].off, .n = (uint16_t)n };
	memcpy((void *)(uintptr_t)copy_moves(c), moves.at, moves.n * sizeof *moves.at);
	memcpy((void *)(uintptr_t)copy_code(c), jit_cache_code(t->cache, u->j.code), u->j.code_len);
	memcpy((void *)(uintptr_t)copy_guest(c), unit_code(u), u->bytes);
	memcpy((void *)(uintptr_t)copy_notes(c), u->j.notes, u->j.notes_len);
	for (unsigned n = u->nentries; n-- > 0;)
		entry_publish(s, &c->entries[n], u->j.pa + c->entries[n].off);
}
