/* SPDX-License-Identifier: Apache-2.0 */
/* diff: address spaces of a program: two sets of page tables over the windows of layout.h, and the
 * table of addresses that programs take their pointers from. RISC-V Priv 20240411 §4.3, §4.4 */
#include "test/diff/diff.h"

enum { V = 1, R = 2, W = 4, X = 8, U = 16, A = 64, D = 128, AD = A | D };

static uint64_t table_new(struct program *p) { return TABLES + 4096ull * p->tables++; }

static uint64_t pte(uint64_t pa, unsigned bits) { return pa >> 12 << 10 | bits; }

/* Where the entry of @va at @level is in space @s; tables on the way are made. */
static uint64_t pte_at(struct program *p, unsigned s, uint64_t va, unsigned level)
{
	uint64_t table = (p->satp[s] & ((1ull << 44) - 1)) << 12;
	for (unsigned l = p->mode - 8 + 2;; l--) {
		uint64_t at = table + (va >> (12 + 9 * l) & 511) * 8;
		if (l == level)
			return at;
		if (!image_get(p, at))
			image_put(p, at, pte(table_new(p), V));
		table = image_get(p, at) >> 10 << 12;
	}
}

static void map(struct program *p, unsigned s, uint64_t va, uint64_t pa, unsigned bits)
{
	image_put(p, pte_at(p, s, va, 0), pte(pa, bits | V));
}

static void map_range(struct program *p, unsigned s, uint64_t va, uint64_t pa, uint64_t bytes,
		      unsigned bits)
{
	for (uint64_t o = 0; o < bytes; o += 4096)
		map(p, s, va + o, pa + o, bits);
}

/* Pages with odd rights; what may be executed is never written. */
static const struct {
	uint64_t pa;
	unsigned bits;
} odd[] = {
    {SPARE, R | A},
    {SPARE + 6 * 4096, X | A},
    {SPARE + 1 * 4096, R | W},
    {SPARE + 2 * 4096, R | W | AD},
    {0, 0},
    {0x40000000, R | W | AD},
    {DEVICE, R | W | AD},
    {SPARE + 3 * 4096, W | AD},
    {SPARE + 4 * 4096, R | W | A},
    {SPARE + 7 * 4096, R | X | A},
    {SPARE + 5 * 4096, R | D},
    {SPARE + 6 * 4096, X},
};

/* What both windows have, @u: U or 0. */
static void map_window(struct program *p, unsigned s, uint64_t w, unsigned u, unsigned code)
{
	uint64_t func = s ? FUNC_B : FUNC;
	map_range(p, s, w + TABLE_S, TABLE_S, 2 * 4096, R | u | A);
	map_range(p, s, w + VALUES, VALUES, 4 * 4096, R | u | A);
	map_range(p, s, w + CODE, CODE, CODE_SIZE, code | u | A);
	map_range(p, s, w + FUNC, func, 2 * 4096, X | R | u | A);
	map_range(p, s, w + DATA, DATA, DATA_SIZE, R | W | u | AD);
	for (uint64_t i = 8; s && i < 16; i++) /* the second space has some of them elsewhere */
		map(p, s, w + DATA + 4096 * i, DATA + 4096 * (i ^ 1), R | W | u | AD);
	map_range(p, s, w + CODE_ALIAS, CODE, CODE_SIZE, R | W | u | AD);
	map_range(p, s, w + FUNC_ALIAS, func, 2 * 4096, R | W | u | AD);
	map_range(p, s, w + DATA_ALIAS, DATA, DATA_SIZE, R | W | u | AD);
	image_put(p, pte_at(p, s, w + MEGA, 1), pte(RAM_AT, R | W | u | AD | V));
	for (unsigned i = 0; i < countof(odd); i++)
		if (odd[i].bits)
			map(p, s, w + ODD + 4096 * i, odd[i].pa, odd[i].bits | u);
	for (unsigned i = 0; i < 8; i += 1 + s)
		map(p, s, w + PLAY + 4096 * i, SPARE + 4096 * (i ^ s), R | W | u | AD);
}

static void spaces_make(struct program *p, struct rng *r)
{
	unsigned code = rng_below(r, 2) ? X | R : X;
	for (unsigned s = 0; s < 2; s++) {
		uint64_t asid = p->same_asid ? 5 : 5 + s;
		p->satp[s] = (uint64_t)p->mode << 60 | asid << 44 | table_new(p) >> 12;
		map(p, s, S_CODE, S_CODE, X | R | A);
		map_range(p, s, S_SAVE, S_SAVE, 4 * 4096, R | W | AD);
		map_range(p, s, TABLES, TABLES, 32 * 4096, R | W | AD);
		map_window(p, s, 0, 0, code);
		map_window(p, s, p->window, U, code);
	}
}

void entry_put(struct program *p, unsigned i, uint64_t v, bool windowed)
{
	image_put(p, TABLE_S + 8 * i, v);
	image_put(p, TABLE_U + 8 * i, windowed ? v + p->window : v);
}

/* An address in DATA with pages on both sides, often near the end of one. */
static uint64_t data_address(struct rng *r, unsigned first)
{
	static const uint16_t edges[] = {0,    8,    64,   2048, 4095,     4094,
					 4093, 4092, 4090, 4088, 4096 - 16};
	uint64_t page = DATA + 4096ull * (first + rng_below(r, 12));
	return page +
	       (rng_below(r, 2) ? edges[rng_below(r, countof(edges))] : rng_below(r, 512) * 8);
}

static uint64_t bad_address(const struct program *p, struct rng *r)
{
	uint64_t in = data_address(r, 4), page = 4096 * (uint64_t)rng_below(r, 12);
	switch (rng_below(r, 14)) {
	case 0: return in - DATA + DATA_ALIAS;
	case 1: return in - RAM_AT + MEGA;
	case 2: return ODD + page + in % 4096;
	case 3: return ODD + page + 4096 - rng_below(r, 9);
	case 4:
	case 12:
	case 13: return PLAY + page % 0x8000 + in % 4096;
	case 5:
	case 10:
	case 11: return rng_below(r, 2) ? in + p->window : in - p->window;
	case 6: return in | 1ull << (39 + rng_below(r, 25));
	case 7: return DEVICE + rng_below(r, 64);
	case 8: return ODD + in % 4096;
	default: return rng_below(r, 2) ? rng_next(r) : 0x40000000 + rng_below(r, 100);
	}
}

static uint64_t pte_random(struct rng *r)
{
	static const unsigned bits[] = {0,     R | W | AD, R | A,  R | W | A, R | W,
					X | A, R | X | AD, W | AD, R | D};
	unsigned b = bits[rng_below(r, countof(bits))];
	uint64_t pa = SPARE + 4096ull * (b & X ? 6 + rng_below(r, 2) : rng_below(r, 6));
	if (rng_below(r, 16) == 0)
		pa = 0x40000000;
	return b ? pte(pa, b | V | (rng_below(r, 2) ? U : 0)) : 0;
}

static void table_fill(struct program *p, struct rng *r)
{
	for (unsigned i = GOOD; i < BAD; i++)
		entry_put(p, i, data_address(r, i < STACKS ? 4 : 40), true);
	for (unsigned i = 0; i < TARGETS - BAD; i++)
		entry_put(p, BAD + i, bad_address(p, r), rng_below(r, 4) != 0);
	for (unsigned i = 0; i < SLOTS - TARGETS; i++) {
		static const unsigned pages[] = {1, 9, 11, 4, 5, 6};
		uint64_t to = bad_address(p, r);
		if (rng_below(r, 2))
			to = ODD + 4096 * pages[rng_below(r, countof(pages))] +
			     rng_below(r, 2048) * 2;
		/* physical addresses that hold data are no place to go */
		if (to - RAM_AT < RAM_SIZE || to - MEGA < RAM_SIZE ||
		    to - p->window - MEGA < RAM_SIZE || to - p->window - RAM_AT < RAM_SIZE)
			to = SPARE + 6 * 4096 + rng_below(r, 4096) * 2;
		entry_put(p, TARGETS + i, to, to - SPARE < RAM_SIZE ? false : rng_below(r, 2));
	}
	for (unsigned i = PTES; i < PTES_CODE; i++)
		entry_put(p, i, pte_random(r), false);
	for (unsigned i = 0; i < 4; i++) {
		uint64_t va = FUNC + (i & 1 ? p->window : 0);
		entry_put(p, PTES_CODE + i,
			  pte(i & 1 ? FUNC_B : FUNC, V | R | X | A | (i & 2 ? U : 0)), false);
		entry_put(p, SLOTS_CODE + i, p->mode ? pte_at(p, i >> 1, va, 0) : 0, false);
		entry_put(p, SLOTS_CODE + i + (VAS - SLOTS), va, false);
	}
	for (unsigned i = 0; p->mode && i < SLOTS_CODE - SLOTS; i++) {
		uint64_t va = PLAY + 4096ull * rng_below(r, 8) + (rng_below(r, 2) ? p->window : 0);
		entry_put(p, SLOTS + i, pte_at(p, rng_below(r, 2), va, 0), false);
		entry_put(p, VAS + i, va, false);
	}
	entry_put(p, SPACE, p->satp[0], false);
	entry_put(p, SPACE + 1, p->satp[1], false);
	entry_put(p, SPACE + 2, rng_below(r, 2) ? 0 : p->satp[0], false);
}

/* Code to land on: short instructions of free registers, and returns to s10. Its last instruction
 * hangs over the end of the page. */
static void landings_fill(struct program *p, struct rng *r)
{
	static const uint8_t reg[] = {5, 6, 7, 10, 11, 12, 13, 14, 15, 16, 17};
	for (unsigned i = 0; i < 2 * 4096; i += 2) {
		uint32_t rd = reg[rng_below(r, countof(reg))];
		uint32_t w = 0x0001 | rd << 7 | (1 + rng_below(r, 7)) << 2; /* c.addi */
		if (rng_below(r, 4) == 0)
			w = 0x8d02; /* c.jr s10 */
		le16_put(p->image + (SPARE + 6 * 4096 - RAM_AT) + i, (uint16_t)w);
	}
	le16_put(p->image + (SPARE + 8 * 4096 - 2 - RAM_AT), 0x0513); /* addi a0, .. */
	le16_put(p->image + (SPARE + 8 * 4096 - RAM_AT), 0);
	le16_put(p->image + (SPARE + 8 * 4096 + 2 - RAM_AT), 0x8d02);
}

static void values_fill(struct rng *r, struct program *p)
{
	static const char formats[] = "hssddd";
	uint64_t near = rng_next(r);
	for (unsigned i = 0; i < 4 * 4096; i += 8) {
		near = (p->kind & WITH_FP) && rng_below(r, 3)
			   ? value_float(r, formats[rng_below(r, 6)], near)
			   : value_int(r, near);
		image_put(p, VALUES + i, near);
	}
	for (uint64_t i = 0; i < DATA_SIZE; i += 8)
		image_put(p, DATA + i,
			  i % 4096 < 512 ? value_int(r, near) : i * 0x9e3779b97f4a7c15);
}

void pages_make(struct program *p, struct rng *r)
{
	static const uint8_t handler[] = {
#include "diff_handler.gen.h"
	};
	memcpy(p->image, handler, sizeof handler);
	p->mode = p->kind & WITH_PAGING ? 8 + rng_below(r, 3) : 0;
	p->same_asid = rng_below(r, 2);
	p->window = !p->mode          ? 0
		    : rng_below(r, 2) ? 0x1000000000
				      : -(1ull << (37 + 9 * (p->mode - 8)));
	if (p->mode)
		spaces_make(p, r);
	table_fill(p, r);
	values_fill(r, p);
	landings_fill(p, r);
	image_put(p, M_SAVE + SAVE_WINDOW, p->window);
	image_put(p, S_SAVE + SAVE_WINDOW, p->window);
	image_put(p, M_SAVE + SAVE_SATP, p->satp[0] ^ p->satp[1]);
	image_put(p, S_SAVE + SAVE_SATP, p->satp[0] ^ p->satp[1]);
}
