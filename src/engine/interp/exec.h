/* SPDX-License-Identifier: Apache-2.0 */
/* engine/interp, private: what the generated instruction bodies (rv_exec.gen.h) are written with:
 * predecoded instructions, the fast paths of memory accesses, and the operations of the IR that
 * are not one C operator. */
#pragma once
#include "ir/ir.h"
#include "isa/riscv/riscv.h"

/* One predecoded instruction, 12 bytes: the cache of a guest's hot code has to stay small. */
struct rv_uop {
	uint16_t op;                /* interp_body of an enum rv_op, UOP_ILLEGAL or UOP_GOES_ON */
	uint8_t off;                /* halfwords from the start of the block */
	uint8_t rd, rs1, rs2, rs3;
	uint8_t aux;                /* aux of rv_insn | length in bytes << 4 */
	int32_t imm;
};
enum { UOP_ILLEGAL = RV_OPS, UOP_GOES_ON };
static inline unsigned uop_len(const struct rv_uop *u) { return u->aux >> 4; }
static inline unsigned uop_aux(const struct rv_uop *u) { return u->aux & 15u; }
static inline uint64_t uop_at(const struct rv_uop *u) { return 2u * (uint64_t)u->off; }

static inline struct rv_tlb *tlb_at(struct rv_hart *h, uint64_t va)
{
	return &h->tlb[(va >> 12) % RV_TLB_SIZE];
}

static inline uint64_t tlb_tag(const struct rv_hart *h, uint64_t va, unsigned size)
{
	return (va & (~0xfffull | (size - 1))) | h->dctx;
}

/* Other harts take it away. */
static inline uint64_t tlb_tag_w(const struct rv_tlb *t)
{
	return __atomic_load_n(&t->tag_w, __ATOMIC_RELAXED);
}

#define LOAD(size, type)                                                                           \
	static inline bool mem_load##size(struct rv_hart *h, uint64_t va, uint64_t *ret)           \
	{                                                                                          \
		const struct rv_tlb *t = tlb_at(h, va);                                            \
		if (unlikely(tlb_tag(h, va, size) != t->tag_r))                                    \
			return rv_load_slow(h, va, size, ret);                                     \
		*ret = __atomic_load_n((const type *)(uintptr_t)(va + t->add), __ATOMIC_RELAXED);  \
		return true;                                                                       \
	}                                                                                          \
	static inline bool mem_store##size(struct rv_hart *h, uint64_t va, uint64_t v)             \
	{                                                                                          \
		const struct rv_tlb *t = tlb_at(h, va);                                            \
		if (unlikely(tlb_tag(h, va, size) != tlb_tag_w(t)))                                \
			return rv_store_slow(h, va, size, v);                                      \
		__atomic_store_n((type *)(uintptr_t)(va + t->add), (type)v, __ATOMIC_RELAXED);     \
		return true;                                                                       \
	}
LOAD(1, uint8_t)
LOAD(2, uint16_t)
LOAD(4, uint32_t)
LOAD(8, uint64_t)
#undef LOAD

/* Host address for an atomic of @size bytes; NULL: h->exc is set. */
static inline void *atomic_at(struct rv_hart *h, uint64_t va, unsigned size)
{
	const struct rv_tlb *t = tlb_at(h, va);
	if (likely(tlb_tag(h, va, size) == tlb_tag_w(t)))
		return (void *)(uintptr_t)(va + t->add);
	return rv_atomic_ptr(h, va, size, RV_WRITE);
}

/* Load-reserved remembers the value; store-conditional compares and swaps it. A store of the same
 * value in between is not seen, which no program can tell from its not having happened.
 * DEVIATES: RISC-V Unpriv 20240411 §14.2 would fail such a store-conditional. */
static inline bool mem_lr(struct rv_hart *h, uint64_t va, unsigned size, uint64_t *ret)
{
	const struct rv_tlb *t = tlb_at(h, va);
	if (unlikely(h->env->process)) {
		if (!rv_process_lr(h, va, size, ret))
			return false;
	} else {
		const void *p = tlb_tag(h, va, size) == t->tag_r
					? (const void *)(uintptr_t)(va + t->add)
					: rv_atomic_ptr(h, va, size, RV_READ);
		if (unlikely(!p))
			return false;
		*ret = size == 4 ? __atomic_load_n((const uint32_t *)p, __ATOMIC_SEQ_CST)
				 : __atomic_load_n((const uint64_t *)p, __ATOMIC_SEQ_CST);
	}
	h->res_va = va;
	h->res_val = *ret;
	h->res_size = (uint8_t)size;
	return true;
}

static inline bool mem_sc(struct rv_hart *h, uint64_t va, uint64_t v, unsigned size, uint64_t *ret)
{
	bool held = h->res_va == va && h->res_size == size;
	h->res_va = UINT64_MAX;
	*ret = 1;
	if (!held && !(va & (size - 1)))
		return true;
	if (unlikely(h->env->process)) {
		uint64_t seen = h->res_val;
		if (!rv_process_cas(h, va, size, &seen, v))
			return false;
		*ret = seen != h->res_val;
		return true;
	}
	void *p = atomic_at(h, va, size);
	if (unlikely(!p))
		return false;
	uint64_t old = h->res_val;
	uint32_t old32 = (uint32_t)old;
	*ret = size == 4 ? !__atomic_compare_exchange_n((uint32_t *)p, &old32, (uint32_t)v, false,
	                                                __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)
	                 : !__atomic_compare_exchange_n((uint64_t *)p, &old, v, false,
	                                                __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	return true;
}

#define AMO(bits, sbits)                                                                           \
	static inline uint64_t amo_swap_##bits(bits *p, bits v)                                    \
	{                                                                                          \
		return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);                                \
	}                                                                                          \
	static inline uint64_t amo_add_##bits(bits *p, bits v)                                     \
	{                                                                                          \
		return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);                                 \
	}                                                                                          \
	static inline uint64_t amo_xor_##bits(bits *p, bits v)                                     \
	{                                                                                          \
		return __atomic_fetch_xor(p, v, __ATOMIC_SEQ_CST);                                 \
	}                                                                                          \
	static inline uint64_t amo_and_##bits(bits *p, bits v)                                     \
	{                                                                                          \
		return __atomic_fetch_and(p, v, __ATOMIC_SEQ_CST);                                 \
	}                                                                                          \
	static inline uint64_t amo_or_##bits(bits *p, bits v)                                      \
	{                                                                                          \
		return __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST);                                  \
	}                                                                                          \
	static inline uint64_t amo_choose_##bits(bits *p, bits v, bool is_signed, bool larger)     \
	{                                                                                          \
		bits old = __atomic_load_n(p, __ATOMIC_RELAXED), put;                              \
		do {                                                                               \
			bool less = is_signed ? (sbits)v < (sbits)old : v < old;                   \
			put = v == old || less != larger ? v : old;                                \
		} while (!__atomic_compare_exchange_n(p, &old, put, true, __ATOMIC_SEQ_CST,        \
		                                      __ATOMIC_RELAXED));                          \
		return old;                                                                        \
	}                                                                                          \
	static inline uint64_t amo_min_##bits(bits *p, bits v)                                     \
	{                                                                                          \
		return amo_choose_##bits(p, v, true, false);                                       \
	}                                                                                          \
	static inline uint64_t amo_max_##bits(bits *p, bits v)                                     \
	{                                                                                          \
		return amo_choose_##bits(p, v, true, true);                                        \
	}                                                                                          \
	static inline uint64_t amo_minu_##bits(bits *p, bits v)                                    \
	{                                                                                          \
		return amo_choose_##bits(p, v, false, false);                                      \
	}                                                                                          \
	static inline uint64_t amo_maxu_##bits(bits *p, bits v)                                    \
	{                                                                                          \
		return amo_choose_##bits(p, v, false, true);                                       \
	}                                                                                          \
	static inline uint64_t amo_cas_##bits(bits *p, bits want, bits v)                          \
	{                                                                                          \
		__atomic_compare_exchange_n(p, &want, v, false, __ATOMIC_SEQ_CST,                  \
		                            __ATOMIC_SEQ_CST);                                     \
		return want;                                                                       \
	}
AMO(uint32_t, int32_t)
AMO(uint64_t, int64_t)
#undef AMO

#define AMO_OF(bytes, type)                                                                        \
	static inline uint64_t amo##bytes(type *p, unsigned kind, type v)                          \
	{                                                                                          \
		switch ((int)kind) {                                                               \
		case IR_AMO_swap: return amo_swap_##type(p, v);                                    \
		case IR_AMO_add: return amo_add_##type(p, v);                                      \
		case IR_AMO_xor: return amo_xor_##type(p, v);                                      \
		case IR_AMO_and: return amo_and_##type(p, v);                                      \
		case IR_AMO_or: return amo_or_##type(p, v);                                        \
		case IR_AMO_min: return amo_min_##type(p, v);                                      \
		case IR_AMO_max: return amo_max_##type(p, v);                                      \
		case IR_AMO_minu: return amo_minu_##type(p, v);                                    \
		default: return amo_maxu_##type(p, v);                                             \
		}                                                                                  \
	}
AMO_OF(4, uint32_t)
AMO_OF(8, uint64_t)
#undef AMO_OF

static inline bool mem_amo(struct rv_hart *h, uint64_t va, unsigned size, unsigned kind, uint64_t v,
                           uint64_t *ret)
{
	if (unlikely(h->env->process))
		return rv_process_amo(h, va, size | kind << 8, v, ret);
	void *p = atomic_at(h, va, size);
	if (unlikely(!p))
		return false;
	*ret = size == 4 ? amo4(p, kind, (uint32_t)v) : amo8(p, kind, v);
	return true;
}

static inline bool mem_cas(struct rv_hart *h, uint64_t va, unsigned size, uint64_t want, uint64_t v,
                           uint64_t *ret)
{
	*ret = size == 4 ? (uint32_t)want : want;
	if (unlikely(h->env->process))
		return rv_process_cas(h, va, size, ret, v);
	void *p = atomic_at(h, va, size);
	if (unlikely(!p))
		return false;
	*ret = size == 4 ? amo_cas_uint32_t(p, (uint32_t)want, (uint32_t)v)
	                 : amo_cas_uint64_t(p, want, v);
	return true;
}

/* ---- operations of the IR (ops.def) that C has no operator for ---- */
static inline uint64_t ir_mulhs64(uint64_t a, uint64_t b)
{
	return (uint64_t)(((__int128)(int64_t)a * (int64_t)b) >> 64);
}
static inline uint64_t ir_mulhu64(uint64_t a, uint64_t b)
{
	return (uint64_t)(((unsigned __int128)a * b) >> 64);
}
static inline uint64_t ir_mulhsu64(uint64_t a, uint64_t b)
{
	return ir_mulhu64(a, b) - ((int64_t)a < 0 ? b : 0);
}
static inline uint64_t ir_divs64(uint64_t a, uint64_t b)
{
	if (b == 0)
		return UINT64_MAX;
	return b == UINT64_MAX ? 0 - a : (uint64_t)((int64_t)a / (int64_t)b);
}
static inline uint64_t ir_rems64(uint64_t a, uint64_t b)
{
	if (b == 0)
		return a;
	return b == UINT64_MAX ? 0 : (uint64_t)((int64_t)a % (int64_t)b);
}
static inline uint64_t ir_divu64(uint64_t a, uint64_t b) { return b ? a / b : UINT64_MAX; }
static inline uint64_t ir_remu64(uint64_t a, uint64_t b) { return b ? a % b : a; }
static inline uint32_t ir_divs32(uint32_t a, uint32_t b)
{
	if (b == 0)
		return UINT32_MAX;
	return b == UINT32_MAX ? 0 - a : (uint32_t)((int32_t)a / (int32_t)b);
}
static inline uint32_t ir_rems32(uint32_t a, uint32_t b)
{
	if (b == 0)
		return a;
	return b == UINT32_MAX ? 0 : (uint32_t)((int32_t)a % (int32_t)b);
}
static inline uint32_t ir_divu32(uint32_t a, uint32_t b) { return b ? a / b : UINT32_MAX; }
static inline uint32_t ir_remu32(uint32_t a, uint32_t b) { return b ? a % b : a; }
static inline uint64_t ir_rotl64(uint64_t a, uint64_t n) { return a << (n & 63) | a >> (-n & 63); }
static inline uint64_t ir_rotr64(uint64_t a, uint64_t n) { return a >> (n & 63) | a << (-n & 63); }
static inline uint32_t ir_rotl32(uint32_t a, uint32_t n) { return a << (n & 31) | a >> (-n & 31); }
static inline uint32_t ir_rotr32(uint32_t a, uint32_t n) { return a >> (n & 31) | a << (-n & 31); }
static inline uint64_t ir_clz64(uint64_t a) { return a ? (uint64_t)__builtin_clzll(a) : 64; }
static inline uint64_t ir_ctz64(uint64_t a) { return a ? (uint64_t)__builtin_ctzll(a) : 64; }
static inline uint64_t ir_popcnt64(uint64_t a) { return (uint64_t)__builtin_popcountll(a); }
static inline uint32_t ir_clz32(uint32_t a) { return a ? (uint32_t)__builtin_clz(a) : 32; }
static inline uint32_t ir_ctz32(uint32_t a) { return a ? (uint32_t)__builtin_ctz(a) : 32; }
static inline uint32_t ir_popcnt32(uint32_t a) { return (uint32_t)__builtin_popcount(a); }
static inline uint64_t ir_bswap64(uint64_t a) { return __builtin_bswap64(a); }
static inline uint64_t ir_orcb64(uint64_t a)
{
	const uint64_t low = 0x7f7f7f7f7f7f7f7full;
	uint64_t nonzero =
	    (((a & low) + low) | a) & ~low; /* the top bit of each byte that is not 0 */
	return (nonzero << 1) - (nonzero >> 7);
}
static inline unsigned __int128 ir_clmul128(uint64_t a, uint64_t b)
{
	unsigned __int128 r = 0;
	for (unsigned i = 0; i < 64; i++)
		r ^= (b >> i & 1) ? (unsigned __int128)a << i : 0;
	return r;
}
static inline uint64_t ir_clmul64(uint64_t a, uint64_t b) { return (uint64_t)ir_clmul128(a, b); }
static inline uint64_t ir_clmulh64(uint64_t a, uint64_t b)
{
	return (uint64_t)(ir_clmul128(a, b) >> 64);
}
