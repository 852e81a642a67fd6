/* SPDX-License-Identifier: Apache-2.0 */
/* engine/interp, private: the cache of predecoded blocks.
 *
 * A block is a straight run of instructions inside one physical page, found by physical address
 * and therefore shared by all its mappings. It keeps a copy of the bytes that it was made from:
 * after fence.i (h->fetch_epoch moved) a block is compared with memory before it runs again, so
 * that neither stores nor DMA need to be watched. Blocks live in one arena per hart; when it is
 * full, everything is dropped. */
#pragma once
#include "engine/interp/exec.h"

enum {
	BLOCK_UOPS_MAX = 64,
	ARENA_BYTES = 1536 << 10,
	HASH_SIZE = 8192,       /* blocks by physical address */
	JUMPS_SIZE = 2048,      /* blocks by virtual address and fetch context */
};

struct block {
	uint64_t pa;
	uint32_t epoch;         /* bytes verified when h->fetch_epoch was this */
	uint16_t n;             /* instructions */
	uint16_t bytes;         /* of guest code */
	struct block *hash_next;
	struct block *taken, *next; /* followers in the same page, once known; NULL: look them up */
	struct rv_uop u[];      /* n and one that ends the block, then the code bytes */
};

struct jump {
	uint64_t va, fctx;
	struct block *b;
};

struct interp {
	struct block *hash[HASH_SIZE];
	struct jump jumps[JUMPS_SIZE];
	uint32_t map_epoch;     /* of the entries in jumps */
	uint8_t *arena;         /* owned, ARENA_BYTES */
	size_t used;
	struct block *crossing; /* owned scratch: one instruction that spans two pages */
	uint64_t blocks_made, flushes;
};

/* The code of each operation, relative to the first; index RV_OPS is an illegal instruction,
 * RV_OPS + 1 ends a block that just goes on. */
const int32_t *interp_labels(void);
extern const bool interp_ends[RV_OPS];  /* operations that end a block */
void interp_run(struct rv_hart *h);

/* Find or make the block at h->pc. NULL: h->exc and h->tval say why not. */
struct block *interp_block(struct rv_hart *h);
static inline const uint8_t *block_code(const struct block *b)
{
	return (const uint8_t *)&b->u[b->n + 1];
}
