/* SPDX-License-Identifier: Apache-2.0 */
/* What generated code calls, and the FPU's state around it: MXCSR collects the guest's flags while
 * it runs. Spec: SDM1 083 §10.2.3; RISC-V Unpriv 20240411 §20.2 */
#include "engine/interp/exec.h"
#include "engine/translate/mirror.h"
#include <xmmintrin.h>

enum { MX_DEFAULT = 0x1f80, MX_FLAGS = 0x3f, MX_MODE_SHIFT = 13 };

static unsigned mx_of(const struct rv_hart *h)
{
	static const unsigned mode[4] = { 0, 3, 1, 2 }; /* RNE, RTZ, RDN, RUP */
	return MX_DEFAULT | mode[h->frm & 3] << MX_MODE_SHIFT;
}

void translate_fp_in(struct rv_hart *h) { _mm_setcsr(mx_of(h)); }

/* IE DE ZE OE UE PE to NV DZ OF UF NX */
#define MX1(m) ((m) & 1) << 4 | ((m) & 4) << 1 | ((m) & 8) >> 1 | ((m) & 16) >> 3 | ((m) & 32) >> 5
#define MX4(m) MX1(m), MX1((m) + 1), MX1((m) + 2), MX1((m) + 3)
#define MX16(m) MX4(m), MX4((m) + 4), MX4((m) + 8), MX4((m) + 12)
static const uint8_t mx_flags[64] = { MX16(0), MX16(16), MX16(32), MX16(48) };

void translate_fp_out(struct rv_hart *h)
{
	h->fp.flags |= mx_flags[_mm_getcsr() & MX_FLAGS];
	_mm_setcsr(MX_DEFAULT);
}

static uint64_t call_load(void *state, uint64_t va, uint64_t bytes)
{
	uint64_t v = 0;
	bool ok = rv_load_slow(state, va, (unsigned)bytes, &v);
	mirror_after(state, va, bytes, ok);
	return v;
}

static uint64_t call_store(void *state, uint64_t va, uint64_t bytes, uint64_t v)
{
	bool ok = rv_store_slow(state, va, (unsigned)bytes, v);
	mirror_after(state, va, bytes, ok);
	return 0;
}

static uint64_t call_atomic(void *state, uint64_t va, uint64_t what, uint64_t v, uint64_t want)
{
	struct rv_hart *h = state;
	unsigned bytes = what & 255, kind = (unsigned)(what >> 16);
	uint64_t r = 0;
	bool ok;
	switch ((int)(what >> 8 & 255)) {
	case JIT_LR: (void)!mem_lr(h, va, bytes, &r); return r;
	case JIT_SC: (void)!mem_sc(h, va, v, bytes, &r); return r;
	case JIT_AMO: ok = mem_amo(h, va, bytes, kind, v, &r); break;
	case JIT_CAS: ok = mem_cas(h, va, bytes, want, v, &r); break;
	default:
		r = (uint64_t)(uintptr_t)atomic_at(h, va, bytes);
		ok = r != 0;
	}
	mirror_after(h, va, bytes, ok);
	return r;
}

/* ---- floating point: each row of fpops.def, its arguments as bits ---- */
#define ARGS_VOID(v)
#define ARGS_I32(v) , (uint32_t)(v)
#define ARGS_I64(v) , (v)
#define ARGS_F16(v) , (uint16_t)(v)
#define ARGS_F32(v) , (uint32_t)(v)
#define ARGS_F64(v) , (v)
#define RM_0
#define RM_1 , rm
#define CALL_0(name, a_, b_, c_) fp_##name(env ARGS_##a_(a) ARGS_##b_(b) ARGS_##c_(c) RM_0)
#define CALL_1(name, a_, b_, c_) fp_##name(env ARGS_##a_(a) ARGS_##b_(b) ARGS_##c_(c) RM_1)
#define CALL_2(name, a_, b_, c_) fp_##name((unsigned)a)

static uint64_t call_fp(void *state, uint64_t what, uint64_t a, uint64_t b, uint64_t c)
{
	struct rv_hart *h = state;
	struct fp_env *env = &h->fp;
	unsigned rm = (unsigned)(what >> 8) == 7 ? h->frm : (unsigned)(what >> 8);
	uint64_t r = 0;
	translate_fp_out(h);
	switch ((int)(what & 255)) {
#define FPOP(name, ret, a_, b_, c_, rm_) case FP_##name: r = CALL_##rm_(name, a_, b_, c_); break;
#include "ir/fpops.def"
	default: break;
	}
	translate_fp_in(h);
	return r;
}

enum {
#define HELPER(name, summary) HELPER_##name,
#include "isa/riscv/calls.def"
};

/* Vector loads and stores leave the FPU alone, as those of call_load do: a fifth of their time. */
static uint64_t vector_move(struct rv_hart *h, uint64_t a, uint64_t va, uint64_t c)
{
	uint64_t r = rv_help_vector(h, a, va, c), bytes = h->vl << (h->vtype >> 3 & 3);
	if (bytes)
		mirror_after(h, va, bytes, h->exc == RV_EXC_NONE);
	return r;
}

static bool is_vector_move(uint64_t which, uint64_t a)
{
	return which == HELPER_vector && ((a & 0x7f) == 0x07 || (a & 0x7f) == 0x27);
}

static uint64_t call_helper(void *state, uint64_t which, uint64_t a, uint64_t b, uint64_t c)
{
	static uint64_t (*const helpers[])(struct rv_hart *, uint64_t, uint64_t, uint64_t) = {
#define HELPER(name, summary) rv_help_##name,
#include "isa/riscv/calls.def"
	};
	struct rv_hart *h = state;
	bool moves = is_vector_move(which, a);
	uint64_t r;
	if (!moves)
		translate_fp_out(h);
	h->icount--; /* counters that it reads do not count itself */
	r = moves ? vector_move(h, a, b, c) : helpers[which](h, a, b, c);
	h->icount++;
	if (!__atomic_load_n(&h->limit, __ATOMIC_RELAXED)) /* see counted_begin */
		((struct jit_run *)(void *)h->engine_run)->limit = 0;
	mirror_ready(h, h->engine);
	if (!moves)
		translate_fp_in(h);
	return r;
}

#define RUN_AT offsetof(struct rv_hart, engine_run)
const struct jit_guest translate_guest = {
	.pc = offsetof(struct rv_hart, pc), .npc = offsetof(struct rv_hart, npc),
	.count = offsetof(struct rv_hart, icount), .limit = offsetof(struct rv_hart, limit),
	.exc = offsetof(struct rv_hart, exc), .tval = offsetof(struct rv_hart, tval),
	.run = RUN_AT, .key = offsetof(struct rv_hart, fctx),
	.tlb = offsetof(struct rv_hart, tlb), .tlb_entries = RV_TLB_SIZE,
	.dctx = offsetof(struct rv_hart, dctx), .fp_on = offsetof(struct rv_hart, fs),
	.fp_mode = offsetof(struct rv_hart, frm), .fp_regs = offsetof(struct rv_hart, f),
	.fp_flags = offsetof(struct rv_hart, fp.flags), .mx_flags = mx_flags,
	.vector_call = HELPER_vector,
	.vector = offsetof(struct rv_hart, v), .vector_vl = offsetof(struct rv_hart, vl),
	.vector_type = offsetof(struct rv_hart, vtype),
	.vector_ready = offsetof(struct rv_hart, vready),
	.vector_key = offsetof(struct rv_hart, vkey),
	.res_va = offsetof(struct rv_hart, res_va), .res_val = offsetof(struct rv_hart, res_val),
	.res_size = offsetof(struct rv_hart, res_size),
	.load = call_load, .store = call_store, .atomic = call_atomic, .fp = call_fp,
	.call = call_helper,
};
