/* SPDX-License-Identifier: Apache-2.0 */
/* engine/interp, private: the cache of predecoded blocks.
 *
 * A block is a straight run of instructions inside one physical page, found by physical address
 * and therefore shared by all its mappings. It keeps a copy of the bytes that it was made from:
 * after fence.i (h->fetch_epoch moved) a block is compared with memory before it runs again, so
 * that neither stores nor DMA need to be watched. Blocks live in one arena per hart; when it is
 * full, everything is dropped.
 *
 * What changes as a block runs is its head, and heads lie together: of a process that was forked,
 * and its program after execve, the rest stays the parent's pages. */
#pragma once
#include "engine/interp/exec.h"

enum {
	BLOCK_UOPS_MAX = 64,
	ARENAS_BYTES =
	    2560 << 10,    /* of all harts: what a keeper may use beyond its guest is bounded */
	HASH_FIRST = 1024,   /* blocks by physical address; those of a page lie together */
	HASH_SIZE = 32768,
	JUMPS_FIRST = 256,   /* blocks by virtual address and fetch context */
	JUMPS_SIZE = 2048,
	HASH_JUMPS = HASH_FIRST / JUMPS_FIRST,
	HEADS_PART = 4,     /* one part in so many of the arena is for heads */
	BLOCK_UNIT = 8,
};

/* Where a block is: units from the start of the arena. 0 is a block that is never valid. */
typedef uint32_t block_ref;

struct block {
	uint64_t pa;
	struct rv_uop *u;       /* n and one that goes on to the next block, then the code bytes */
	uint32_t epoch;         /* bytes verified when h->fetch_epoch was this */
	uint16_t n;             /* instructions */
	uint16_t bytes;         /* of guest code */
	block_ref hash_next;
	block_ref taken, next;  /* followers in the same page, once known */
	uint32_t heat;          /* times begun */
};

struct jump {
	uint64_t va, fctx;
	struct block *b;
};

struct interp {
	/* The first so many are in use: what few blocks do not need is not in memory. */
	block_ref hash[HASH_SIZE]; /* first: in pages of its own */
	struct jump jumps[JUMPS_SIZE];
	uint32_t hash_size, jumps_size, nhashed;
	uint32_t map_epoch;     /* of the entries in jumps */
	uint8_t *arena;         /* owned: heads, then the rest of the blocks */
	size_t arena_bytes, heads, rests; /* bytes in use of both */
	size_t heads_ready, rests_ready; /* host_pages_ahead */
	struct block *crossing; /* owned scratch: one instruction that spans two pages */
	uint64_t blocks_made, flushes;
	uint64_t runs;          /* of the loop: @hot is read where one begins */
	/* A block begun more often than this is offered to a translator. True: it ran, go on at
	 * h->pc. UINT32_MAX and NULL without one. */
	uint32_t hot;
	bool (*enter)(struct rv_hart *h, struct block *b);
	/* The translator has what begins at @pa, before it was begun here. NULL: it has not. */
	bool (*known)(struct rv_hart *h, uint64_t pa);
};
/* Prepare @it for @h, which need not be its engine data. Errors: ENOMEM; call interp_fini then too.
 */
int interp_init(struct interp *it, const struct rv_hart *h, struct lodge_err *e) MUST;
void interp_fini(struct interp *it);
static inline size_t interp_used(const struct interp *it) { return it->heads + it->rests; }
/* In the child of a fork: pages that it will write are the parent's as yet. */
void interp_forked(struct interp *it);
/* Forget all blocks and give their memory back. Not while interp_run is in a block. */
void interp_trim(struct interp *it);
void interp_forget(struct interp *it); /* as struct engine's, when it was not calm */

extern const bool interp_ends[RV_OPS];  /* operations that end a block */
extern const uint16_t interp_body[RV_OPS]; /* what rv_uop.op is for each operation */
void interp_run(struct rv_hart *h);

/* Find or make the block at h->pc. NULL: h->exc and h->tval say why not. */
struct block *interp_block(struct rv_hart *h);
_Static_assert(sizeof(struct block) % BLOCK_UNIT == 0, "heads lie one behind the other");
static inline const uint8_t *block_code(const struct block *b)
{
	return (const uint8_t *)&b->u[b->n + 1];
}
static inline struct block *block_of(uint8_t *arena, block_ref r)
{
	return (struct block *)(void *)(arena + (size_t)r * BLOCK_UNIT);
}
static inline block_ref block_ref_of(const struct interp *it, const struct block *b)
{
	return (block_ref)((size_t)((const uint8_t *)b - it->arena) / BLOCK_UNIT);
}
