/* SPDX-License-Identifier: Apache-2.0 */
/* Instructions of V: from the word to its runner, and what runners are written with.
 * RISC-V Unpriv 20240411 §31.3, §31.5 */
#include "isa/riscv/vec.h"

vec_kernel *const vec_k_none[4];

static const struct vec_op vec_ops[RV_OPS] = {
#define VEC(name, scalar, vd, vs2, vs1, flags, run, kernel)                                        \
	[RV_OP_##name] = { vec_run_##run, vec_k_##kernel, VEC_SCALAR_##scalar, W_##vd, W_##vs2,    \
		           W_##vs1, flags },
#include "isa/riscv/vec.def"
};

/* A narrow scalar must be boxed, else it is the canonical NaN. §31.10.2 */
static uint64_t float_unbox(uint64_t f, unsigned sew)
{
	if (sew == 2)
		return f >> 32 == UINT32_MAX ? (uint32_t)f : FP_NAN_S;
	return f;
}

uint64_t rv_help_vector(struct rv_hart *h, uint64_t a, uint64_t b, uint64_t c)
{
	uint32_t w = (uint32_t)a;
	if (vec_move_plain(h, w, b))
		return 0;
	struct vec v = { .h = h, .op = &vec_ops[a >> 32], .word = w, .masked = !(w >> 25 & 1),
		.vd = w >> 7 & 31, .vs1 = w >> 15 & 31, .vs2 = w >> 20 & 31,
		.sew = h->vtype >> 3 & 7, .lmul = (int)((h->vtype & 7) ^ 4) - 4, .vl = h->vl,
		.start = h->vstart, .x = b, .y = c, .fp = &h->fp, .rm = h->frm };
	if (unlikely(!h->vs || !vec_check(&v)))
		return rv_raise(h, RV_EXC_ILLEGAL, 0);
	if (v.op->flags & VEC_FLOAT) {
		h->fs = 3;
		if (v.op->scalar == VEC_SCALAR_F)
			v.x = float_unbox(b, v.sew);
	}
	uint64_t r = v.op->run(&v);
	if (likely(h->exc == RV_EXC_NONE))
		h->vstart = 0;
	if (likely(h->exc != RV_EXC_ILLEGAL))
		h->vs = 3;
	rv_vector_settle(h);
	return r;
}

uint64_t vec_next_run(const struct vec *v, uint64_t *i)
{
	uint64_t n = 0;
	if (!v->masked)
		return *i < v->vl ? v->vl - *i : 0;
	while (*i < v->vl && !vec_bit(v->h->v, *i))
		++*i;
	while (*i + n < v->vl && vec_bit(v->h->v, *i + n))
		n++;
	return n;
}

int vec_eew(const struct vec *v, enum vec_width w)
{
	static const int8_t more[] = { [W_D] = 1, [W_ED] = 1, [W_S_2] = -1, [W_S_4] = -2,
		[W_S_8] = -3, [W_M] = 0 };
	if (w == W_M)
		return -3;
	return w == W_H ? 1 : w == W_E ? (int)v->sew : (int)v->sew + more[w];
}

uint64_t vec_vlmax(const struct vec *v)
{
	uint64_t one = v->h->vlenb >> v->sew;
	return v->lmul >= 0 ? one << v->lmul : one >> -v->lmul;
}

uint64_t vec_get(const void *p, uint64_t i, unsigned log2_bytes)
{
	uint64_t r = 0;
	memcpy(&r, (const uint8_t *)p + (i << log2_bytes), 1u << log2_bytes);
	return r;
}

void vec_put(void *p, uint64_t i, unsigned log2_bytes, uint64_t val)
{
	memcpy((uint8_t *)p + (i << log2_bytes), &val, 1u << log2_bytes);
}

void vec_splat(const struct vec *v, void *to, uint64_t n)
{
	uint64_t some = v->x;
	if (v->sew == 0)
		some = (v->x & 0xff) * UINT64_C(0x0101010101010101);
	else if (v->sew == 1)
		some = (v->x & 0xffff) * UINT64_C(0x0001000100010001);
	else if (v->sew == 2)
		some = (v->x & 0xffffffff) * UINT64_C(0x0000000100000001);
	/* whole words: groups are */
	for (uint64_t i = 0; i < (n << v->sew); i += 8)
		memcpy((uint8_t *)to + i, &some, 8);
}

/* ---- vsetvli, vsetivli, vsetvl ---- */

/* vl for @type; RV_VTYPE_ILL when there is no such type. §31.6 */
static uint64_t vtype_vlmax(const struct rv_hart *h, uint64_t type)
{
	unsigned sew = type >> 3 & 7;
	int lmul = (int)((type & 7) ^ 4) - 4;
	/* a fraction of a register that holds an element of ELEN at least in the whole of it */
	if (type >> 8 || sew > 3 || lmul == -4 || (lmul < 0 && (int)sew > 3 + lmul))
		return RV_VTYPE_ILL;
	uint64_t one = h->vlenb >> sew;
	return lmul >= 0 ? one << lmul : one >> -lmul;
}

void rv_vector_settle(struct rv_hart *h)
{
	bool ready = h->vs == 3 && !h->vstart && h->vtype != RV_VTYPE_ILL;
	h->vready = ready ? (uint32_t)h->vtype | IR_KEY : 0;
	h->vkey = ready && h->vl == vtype_vlmax(h, h->vtype) ? h->vready : 0;
}

bool rv_vector_valid(const struct rv_hart *h)
{
	uint64_t max = vtype_vlmax(h, h->vtype);
	if (!h->vlenb)
		return !h->vl && !h->vstart && !h->vs;
	return h->vs <= 3 && h->vxrm <= 3 && h->vxsat <= 1 && h->vstart < 8 * (uint64_t)h->vlenb &&
	       (max == RV_VTYPE_ILL ? h->vtype == max && !h->vl : h->vl <= max);
}

unsigned rv_vlen_named(const char *text)
{
	static const char *const name[] = { "128", "256", "512" };
	for (unsigned i = 0; text && i < countof(name); i++)
		if (!strcmp(text, name[i]))
			return 128u << i;
	return text ? 0 : 128;
}

void rv_vector_restore(struct rv_hart *h, bool used, uint64_t vl, uint64_t vtype, uint64_t vstart,
                       uint64_t vcsr)
{
	uint64_t max = vtype_vlmax(h, vtype);
	if (!h->vlenb)
		return;
	h->vs = used ? 3 : 1;
	h->vtype = max == RV_VTYPE_ILL ? max : vtype;
	h->vl = max == RV_VTYPE_ILL ? 0 : min_u64(vl, max);
	h->vstart = vstart & (8 * (uint64_t)h->vlenb - 1);
	h->vxsat = vcsr & 1;
	h->vxrm = vcsr >> 1 & 3;
	rv_vector_settle(h);
}

uint64_t rv_help_vset(struct rv_hart *h, uint64_t avl, uint64_t type, uint64_t c)
{
	enum { KEEP = 1, LONGEST = 2 };
	if (unlikely(!h->vs))
		return rv_raise(h, RV_EXC_ILLEGAL, 0);
	uint64_t max = vtype_vlmax(h, type);
	/* a new ratio with the old vl is reserved */
	if (c & KEEP && (h->vtype == RV_VTYPE_ILL || max != vtype_vlmax(h, h->vtype)))
		max = RV_VTYPE_ILL;
	if (c & KEEP)
		avl = h->vl;
	h->vs = 3;
	h->vstart = 0;
	h->vtype = max == RV_VTYPE_ILL ? max : type;
	h->vl = max == RV_VTYPE_ILL ? 0 : c & LONGEST ? max : min_u64(avl, max);
	rv_vector_settle(h);
	return h->vl;
}
