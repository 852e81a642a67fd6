/* SPDX-License-Identifier: Apache-2.0 */
/* Private to isa/riscv: how the instructions of V are executed. A row of vec.def names a
 * runner, which knows masks, vstart and where elements lie, and kernels, which compute a run of
 * elements, one for each element width. What is reserved is refused before anything is written
 * (vec_check.c). Elements behind vl and masked ones stay as they are, which both policies
 * allow. Spec: RISC-V Unpriv 20240411 §31 */
#pragma once
#include "ir/ir.h"
#include "isa/riscv/priv.h"

enum { VEC_GROUP_MAX = 8 * RV_VLENB_MAX }; /* bytes of the largest register group */

struct vec;
typedef uint64_t vec_runner(struct vec *v);
/* d[i] = f(a[i], b[i], d[i]) for @n elements; a is vs2, b is vs1 or the scalar. */
typedef void vec_kernel(struct vec *v, void *d, const void *a, const void *b, size_t n);

enum vec_width { W_NONE, W_S, W_D, W_S_2, W_S_4, W_S_8, W_H, W_M, W_E, W_ED };
enum vec_scalar { VEC_SCALAR_V, VEC_SCALAR_X, VEC_SCALAR_XX, VEC_SCALAR_F, VEC_SCALAR_I,
		  VEC_SCALAR_U, VEC_SCALAR_TO_X, VEC_SCALAR_TO_F };
enum vec_flag {
	VEC_ADDS = 1,           /* vd is an operand too */
	VEC_START0 = 2,         /* illegal with vstart other than 0 */
	VEC_APART = 4,          /* vd may overlap neither a source nor the mask */
	VEC_FLOAT = 0xf0,       /* VEC_FP bits: of floating point, and which SEW there is */
};
#define VEC_FP(sew) (0x10 << (sew)) /* log2 of bytes */

struct vec_op {
	vec_runner *run;
	vec_kernel *const *kernel;      /* by log2 of SEW in bytes */
	uint8_t scalar, vd, vs2, vs1;   /* enum vec_scalar, enum vec_width */
	uint8_t flags;
};

/* One execution. */
struct vec {
	struct rv_hart *h;
	const struct vec_op *op;
	uint32_t word;
	bool masked;            /* by v0 */
	uint8_t vd, vs1, vs2;
	unsigned sew;           /* log2 of bytes */
	int lmul;               /* log2 */
	uint64_t vl, start;
	uint64_t x, y;          /* scalar operands */
	struct fp_env *fp;
	unsigned rm;
	const uint8_t *carry;   /* kernels with one: 0 or 1 for each element */
};

/* ---- vec.c ---- */
static inline uint8_t *vec_reg(const struct vec *v, unsigned n)
{
	return v->h->v + n * v->h->vlenb;
}
static inline bool vec_bit(const uint8_t *m, uint64_t i) { return m[i / 8] >> i % 8 & 1; }
static inline void vec_bit_set(uint8_t *m, uint64_t i, bool b)
{
	m[i / 8] = (uint8_t)((m[i / 8] & ~(1u << i % 8)) | (unsigned)b << i % 8);
}
static inline bool vec_active(const struct vec *v, uint64_t i)
{
	return !v->masked || vec_bit(v->h->v, i);
}
/* The next run of active elements from @*i on, below vl: moves @*i there; 0: none. */
uint64_t vec_next_run(const struct vec *v, uint64_t *i);
/* log2 of the bytes of an element of width @w; -3 for masks. */
int vec_eew(const struct vec *v, enum vec_width w);
uint64_t vec_vlmax(const struct vec *v);
/* Element @i of @bytes at @p, zero-extended. */
uint64_t vec_get(const void *p, uint64_t i, unsigned log2_bytes);
void vec_put(void *p, uint64_t i, unsigned log2_bytes, uint64_t val);
/* @n copies of the scalar operand; up to 7 bytes behind them too. */
void vec_splat(const struct vec *v, void *to, uint64_t n);

/* ---- vec_mem.c ---- */
bool vec_move_plain(struct rv_hart *h, uint32_t w, uint64_t va) MUST;

/* ---- vec_check.c ---- */
/* May @v be executed? §31.5.2, §31.3.4 */
bool vec_check(const struct vec *v) MUST;
/* Do groups of @n and @m registers from @a and @b on share one? */
bool vec_overlap(unsigned a, unsigned n, unsigned b, unsigned m);
/* Registers of a group: 2^@emul, at least 1. */
static inline unsigned vec_group(int emul) { return emul > 0 ? 1u << emul : 1; }

#define VEC(name, scalar, vd, vs2, vs1, flags, run, kernel)                                        \
	uint64_t vec_run_##run(struct vec *v);                                                     \
	extern vec_kernel *const vec_k_##kernel[4];
#include "isa/riscv/vec.def"
