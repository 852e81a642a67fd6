/* SPDX-License-Identifier: Apache-2.0 */
/* Making and finding blocks of predecoded instructions. */
#include "engine/engine.h"
#include "engine/interp/internal.h"
#include "host/host.h"
#include <sys/mman.h>

static block_ref *hash_slot(struct interp *it, uint64_t pa)
{
	return &it->hash[(pa >> 3 ^ pa >> 18) & (it->hash_size - 1)];
}

static void tables_shrink(struct interp *it)
{
	it->hash_size = HASH_FIRST;
	it->jumps_size = JUMPS_FIRST;
}

/* A slot's blocks go to it and to others that were not in use; what is in jumps stays where it is,
 * and is not found if that is not its place any more. */
static void tables_grow(struct interp *it)
{
	uint32_t old = it->hash_size;
	it->hash_size = 4 * old < HASH_SIZE ? 4 * old : HASH_SIZE;
	it->jumps_size = (uint32_t)min_u64(it->hash_size / HASH_JUMPS, JUMPS_SIZE);
	for (uint32_t n = 0; n < old; n++) {
		block_ref r = it->hash[n], next;
		it->hash[n] = 0;
		for (; r; r = next) {
			struct block *b = block_of(it->arena, r);
			block_ref *slot = hash_slot(it, b->pa);
			next = b->hash_next;
			b->hash_next = *slot;
			*slot = r;
		}
	}
}

static size_t heads_bytes(const struct interp *it)
{
	return align_up(it->arena_bytes / HEADS_PART, BLOCK_UNIT);
}
static uint8_t *rests(const struct interp *it) { return it->arena + heads_bytes(it); }

static void cache_drop(struct interp *it)
{
	memset(it->hash, 0, it->hash_size * sizeof *it->hash);
	memset(it->jumps, 0, it->jumps_size * sizeof *it->jumps);
	it->nhashed = 0;
	it->heads = sizeof(struct block); /* block 0 */
	it->rests = 0;
	it->flushes++;
}

/* Decode one instruction into @u. True: it must be the last of its block. */
static bool uop_make(struct rv_uop *u, uint32_t word, uint32_t off)
{
	struct rv_insn d;
	bool legal = rv_decode(word, &d);
	if (!legal)
		*u = (struct rv_uop){ .op = UOP_ILLEGAL, .imm = (int32_t)d.word };
	else
		*u = (struct rv_uop){ .op = interp_body[d.op], .imm = d.imm, .rd = d.rd,
			.rs1 = d.rs1, .rs2 = d.rs2, .rs3 = d.rs3, .aux = d.aux };
	u->off = (uint8_t)(off / 2);
	u->aux = (uint8_t)(u->aux | d.len << 4);
	return !legal || interp_ends[d.op];
}

static void block_finish(struct block *b, uint32_t epoch, const uint8_t *code)
{
	b->u[b->n] = (struct rv_uop){ .op = UOP_GOES_ON, .off = (uint8_t)(b->bytes / 2) };
	memcpy((uint8_t *)&b->u[b->n + 1], code, b->bytes);
	b->epoch = epoch;
	b->taken = b->next = 0;
	b->heat = 0;
}

/* An instruction whose second half is in the next page: never kept. */
static struct block *block_crossing(struct rv_hart *h, struct interp *it, const uint8_t *first)
{
	const uint8_t *second;
	uint64_t pa;
	if (!rv_fetch(h, h->pc + 2, &second, &pa))
		return NULL;
	uint8_t code[4] = { first[0], first[1] };
	if (!rv_code_copy(h, code + 2, second, 2))
		return NULL;
	struct block *b = it->crossing;
	b->n = 1;
	b->bytes = 4;
	uop_make(&b->u[0], le32_at(code), 0);
	block_finish(b, h->fetch_epoch - 1, code);
	return b;
}

/* A block without anything in it yet; @worst: bytes of the rest, at most. */
static struct block *block_room(struct interp *it, size_t worst)
{
	size_t nheads = heads_bytes(it), nrests = it->arena_bytes - nheads;
	if (it->heads + sizeof(struct block) > nheads || it->rests + worst > nrests)
		cache_drop(it);
	host_pages_ahead(it->arena, nheads, it->heads, &it->heads_ready);
	host_pages_ahead(rests(it), nrests, it->rests, &it->rests_ready);
	struct block *b = (struct block *)(void *)(it->arena + it->heads);
	b->u = (struct rv_uop *)(void *)(rests(it) + it->rests);
	b->n = 0;
	return b;
}

static struct block *block_make(struct rv_hart *h, struct interp *it, const uint8_t *code,
				uint64_t pa)
{
	size_t room = 4096 - (pa & 4095);
	size_t worst = (BLOCK_UOPS_MAX + 1) * (sizeof(struct rv_uop) + 4);
	/* The guest may be writing this code just now: what runs is what was copied. */
	uint8_t copy[4 * BLOCK_UOPS_MAX];
	if (!rv_code_copy(h, copy, code, min_u64(room, sizeof copy)))
		return NULL;
	if (room == 2 && (copy[0] & 3) == 3)
		return block_crossing(h, it, copy);
	struct block *b = block_room(it, worst);
	b->pa = pa;
	uint32_t off = 0;
	bool known = it->known && it->known(h, pa); /* then it will hardly be run here */
	unsigned max = known ? 1 : BLOCK_UOPS_MAX;
	for (bool last = false; !last && b->n < max && off < room;) {
		bool is_long = (copy[off] & 3) == 3;
		if (is_long && room - off < 4)
			break;
		last = uop_make(&b->u[b->n++], is_long ? le32_at(copy + off) : le16_at(copy + off),
				off);
		off += is_long ? 4 : 2;
	}
	b->bytes = (uint16_t)off;
	block_finish(b, h->fetch_epoch, copy);
	if (known)
		b->heat = it->hot;
	it->heads += sizeof *b;
	it->rests += align_up((b->n + 1u) * sizeof b->u[0] + b->bytes, 4);
	if (unlikely(++it->nhashed > it->hash_size && it->hash_size < HASH_SIZE))
		tables_grow(it);
	block_ref *slot = hash_slot(it, pa);
	b->hash_next = *slot;
	*slot = block_ref_of(it, b);
	it->blocks_made++;
	return b;
}

/* Is the block still what memory holds? Looked at once per fence.i. */
static bool block_verify(struct rv_hart *h, struct block *b, const uint8_t *code)
{
	if (b->epoch != h->fetch_epoch) {
		if (h->env->process ? !rv_code_is(h, b->pa, block_code(b), b->bytes)
				    : memcmp(block_code(b), code, b->bytes) != 0)
			return false;
		b->epoch = h->fetch_epoch;
	}
	return true;
}

/* The block made from the code at @pa, if memory still says the same. */
static struct block *block_find(struct rv_hart *h, struct interp *it, const uint8_t *code,
				uint64_t pa)
{
	for (block_ref *p = hash_slot(it, pa); *p; p = &block_of(it->arena, *p)->hash_next) {
		struct block *b = block_of(it->arena, *p);
		if (b->pa != pa)
			continue;
		if (block_verify(h, b, code))
			return b;
		*p = b->hash_next; /* its room comes back when the arena is dropped */
		break;
	}
	return NULL;
}

/* Another program begins, with the libraries of the one before it: blocks of theirs are the oldest,
 * and each gets another epoch. After a fork their pages are still the parent's. */
static void program_begins(struct interp *it)
{
	enum { BEGIN_BYTES = 128 << 10 };
	host_pages_ready(it->arena, min_u64(it->heads, BEGIN_BYTES));
	host_pages_ready(it->jumps, it->jumps_size * sizeof *it->jumps);
}

struct block *interp_block(struct rv_hart *h)
{
	struct interp *it = h->engine;
	struct jump *j = &it->jumps[(h->pc >> 1 ^ h->fctx) & (it->jumps_size - 1)];
	if (it->map_epoch != h->map_epoch) {
		if (!h->env->process) /* there, fctx is another one as well */
			memset(it->jumps, 0, it->jumps_size * sizeof *it->jumps);
		else if (h->code_gone)
			program_begins(it);
		it->map_epoch = h->map_epoch;
	} else if (j->va == h->pc && j->fctx == h->fctx && j->b && j->b->epoch == h->fetch_epoch) {
		return j->b;
	}
	const uint8_t *code;
	uint64_t pa;
	if (!rv_fetch(h, h->pc, &code, &pa))
		return NULL;
	struct block *b = block_find(h, it, code, pa);
	if (!b)
		b = block_make(h, it, code, pa);
	if (b && b != it->crossing) /* @j may have another place by now: it is not found then */
		*j = (struct jump){ h->pc, h->fctx, b };
	return b;
}

void interp_trim(struct interp *it)
{
	cache_drop(it);
	(void)!madvise(it->arena, it->arena_bytes, MADV_DONTNEED);
	it->heads_ready = it->rests_ready = 0;
	(void)!madvise(it->hash, sizeof it->hash, MADV_DONTNEED); /* zeros, as before */
	tables_shrink(it);
}

void interp_forked(struct interp *it)
{
	it->heads_ready = it->heads;
	it->rests_ready = it->rests;
}

void interp_fini(struct interp *it)
{
	host_pages_free(it->arena, it->arena_bytes);
	free(it->crossing);
}

static void interp_detach(struct rv_hart *h)
{
	struct interp *it = h->engine;
	h->idled = NULL;
	if (!it)
		return;
	h->engine = NULL;
	interp_fini(it);
	host_pages_free(it, sizeof *it);
}

void interp_forget(struct interp *it)
{
	host_pages_free(it->arena, it->arena_bytes);
}

static void interp_forget_hart(struct rv_hart *h, bool calm)
{
	if (calm)
		interp_detach(h);
	else
		interp_forget(h->engine);
}

/* Even 2^32 runs make a block hot. */
static bool enter_never(struct rv_hart *h, struct block *b)
{
	(void)h, (void)b;
	return false;
}

int interp_init(struct interp *it, const struct rv_hart *h, struct lodge_err *e)
{
	it->hot = UINT32_MAX;
	it->enter = enter_never;
	it->crossing = calloc(1, sizeof *it->crossing + 2 * sizeof(struct rv_uop) + 4);
	if (it->crossing)
		it->crossing->u = (struct rv_uop *)(void *)(it->crossing + 1);
	it->arena_bytes = ARENAS_BYTES / (h->env->nharts ? h->env->nharts : 1);
	tables_shrink(it);
	it->map_epoch = h->map_epoch;
	it->arena = host_pages_new(it->arena_bytes);
	it->heads = sizeof(struct block);
	host_pages_ready(it->hash, it->hash_size * sizeof *it->hash);
	host_pages_ready(it->jumps, it->jumps_size * sizeof *it->jumps);
	if (!it->crossing || !it->arena)
		return err_set(e, ENOMEM, "no memory for the interpreter's block cache");
	return 0;
}

enum { IDLE_BYTES = 256 << 10 };

/* Blocks are quickly made again, and an idle hart needs few of them. */
static void interp_idled(struct rv_hart *h)
{
	struct interp *it = h->engine;
	if (interp_used(it) > IDLE_BYTES)
		interp_trim(it);
}

static int interp_attach(struct rv_hart *h, struct lodge_err *e)
{
	struct interp *it = host_pages_new(sizeof *it);
	h->engine = it;
	if (!it)
		return err_set(e, ENOMEM, "no memory for the interpreter");
	h->idled = interp_idled;
	int r = interp_init(it, h, e);
	if (r < 0)
		interp_detach(h);
	return r;
}

RACY static void interp_stats(const struct rv_hart *h, struct engine_stats *ret)
{
	const struct interp *it = h->engine;
	*ret = (struct engine_stats){ .instructions = h->icount, .blocks_made = it->blocks_made,
		.cache_flushes = it->flushes, .cache_bytes = interp_used(it) };
}

const struct engine engine_interpret = {
	.name = "interpret",
	.summary = "predecoded interpreter: portable, the oracle of the others",
	.attach = interp_attach, .detach = interp_detach, .run = interp_run, .stats = interp_stats,
	.forget = interp_forget_hart,
};
