/* SPDX-License-Identifier: Apache-2.0 */
/* The interpreter's loop: threaded code over predecoded blocks. The bodies of the instructions
 * are generated from their one definition (rv_exec.gen.h); here is only how control moves. */
#include "engine/engine.h"
#include "engine/interp/internal.h"
#include "rv_exec.gen.h"

const bool interp_ends[RV_OPS] = {
#define ENDS_PLAIN false
#define ENDS_BRANCH true
#define ENDS_JUMP true
#define ENDS_JUMPR true
#define ENDS_END true
#define ENDS_ENDNPC true
#define ROW(op, shape, same) ENDS_##shape,
	RV_EACH_SHAPE(ROW)
#undef ROW
};
const uint16_t interp_body[RV_OPS] = {
#define ROW(op, shape, same) RV_OP_##same,
	RV_EACH_SHAPE(ROW)
#undef ROW
};

/* The instruction at @u did not complete: count and deliver. */
static void interp_fault(struct rv_hart *h, const struct block *b, const struct rv_uop *u,
			 uint64_t pc)
{
	enum rv_exc cause = (enum rv_exc)h->exc;
	h->icount -= (uint64_t)(b->n - (u - b->u));
	h->pc = pc + uop_at(u);
	h->exc = RV_EXC_NONE;
	if (cause == RV_EXC_ILLEGAL && !h->tval) {
		const uint8_t *code = block_code(b) + uop_at(u);
		h->tval = uop_len(u) == 4 ? le32_at(code) : le16_at(code);
	}
	rv_trap(h, cause, h->tval);
}

/* The block at h->pc. It is remembered in @link of @from when it lies in the same page: mapping and
 * page then stay the same until an instruction that ends a block without a link. */
static struct block *interp_link(struct rv_hart *h, const struct block *from, block_ref *link,
                                 uint64_t from_pc)
{
	struct interp *it = h->engine;
	uint64_t drops = it->flushes;
	struct block *b = interp_block(h);
	if (b && b != it->crossing && from != it->crossing && drops == it->flushes &&
	    !((h->pc ^ from_pc) >> 12))
		*link = block_ref_of(it, b);
	return b;
}

/* Run until the slow path is due: h->icount has reached h->limit. */
static void interp_execute(struct rv_hart *h)
{
	/* clang-format off */
	static const void *const code[] = {
#define LABEL(op, shape) [RV_OP_##op] = &&do_##op,
		RV_EACH_BODY(LABEL)
		[UOP_ILLEGAL] = &&illegal,
		[UOP_GOES_ON] = &&goes_on,
	};
	uint8_t *const arena = ((struct interp *)h->engine)->arena;
	const uint32_t hot = ((struct interp *)h->engine)->hot;
	/* block 0 stands for "not linked": its epoch cannot come up before we return */
	block_of(arena, 0)->epoch = h->fetch_epoch + (1u << 31);
	const struct rv_uop *u;
	struct block *b;
	block_ref *link;
	uint64_t pc = 0;
	int failed;

#define TARGET(u, pc) ((pc) + uop_at(u) + (uint64_t)(int64_t)(u)->imm)
#define DISPATCH() goto *code[u->op]
jumped:
	if (unlikely(h->icount >= __atomic_load_n(&h->limit, __ATOMIC_RELAXED))) {
		h->sync = h->icount - 1;
		return;
	}
look_up:
	if (unlikely(h->icount >= __atomic_load_n(&h->limit, __ATOMIC_RELAXED)))
		return;
	b = interp_block(h);
	goto enter;
link_up:
	if (unlikely(h->icount >= __atomic_load_n(&h->limit, __ATOMIC_RELAXED))) {
		if (u->op != UOP_GOES_ON && h->pc <= pc + uop_at(u))
			h->sync = h->icount - 1;
		return;
	}
	b = interp_link(h, b, link, pc);
enter:
	if (unlikely(!b)) {
		enum rv_exc cause = (enum rv_exc)h->exc;
		h->exc = RV_EXC_NONE;
		rv_trap(h, cause, h->tval);
		goto look_up;
	}
	pc = h->pc;
begin:
	if (unlikely(b->heat++ >= hot)) {
		h->pc = pc;
		if (((struct interp *)h->engine)->enter(h, b))
			goto look_up;
	}
	h->icount += b->n;
	u = b->u;
	DISPATCH();

#define PLAIN(op)                                                                                  \
	do_##op:                                                                                   \
		if (unlikely(rv_do_##op(h, u, pc)))                                                \
			goto fault;                                                                \
		u++;                                                                               \
		DISPATCH();
#define CHAIN(which, target)                                                                       \
		{                                                                                  \
			struct block *n_ = block_of(arena, b->which);                              \
			uint64_t to_ = (target);                                                   \
			if (likely(n_->epoch == h->fetch_epoch &&                                  \
			           h->icount < __atomic_load_n(&h->limit, __ATOMIC_RELAXED))) {    \
				b = n_;                                                            \
				pc = to_;                                                          \
				goto begin;                                                        \
			}                                                                          \
			h->pc = to_;                                                               \
			link = &b->which;                                                          \
			goto link_up;                                                              \
		}
#define BRANCH(op)                                                                                 \
	do_##op:                                                                                   \
		if (rv_do_##op(h, u, pc))                                                          \
			CHAIN(taken, TARGET(u, pc))                                                \
		else                                                                               \
			CHAIN(next, pc + uop_at(u) + uop_len(u))
#define JUMP(op)                                                                                   \
	do_##op:                                                                                   \
		rv_do_##op(h, u, pc);                                                              \
		CHAIN(taken, TARGET(u, pc))
#define JUMPR(op)                                                                                  \
	do_##op:                                                                                   \
		rv_do_##op(h, u, pc);                                                              \
		h->pc = h->npc;                                                                    \
		goto jumped;
#define SYSTEM(op, then)                                                                           \
	do_##op:                                                                                   \
		h->pc = pc + uop_at(u);                                                            \
		h->icount--; /* counters that it reads do not count itself */                      \
		failed = rv_do_##op(h, u, pc);                                                     \
		h->icount++;                                                                       \
		if (unlikely(failed))                                                              \
			goto fault;                                                                \
		h->pc = then;                                                                      \
		goto look_up;
#define END(op) SYSTEM(op, pc + uop_at(u) + uop_len(u))
#define ENDNPC(op) SYSTEM(op, h->npc)
#define BODY(op, shape) shape(op)
	RV_EACH_BODY(BODY)

goes_on:
	CHAIN(next, pc + uop_at(u))
illegal:
	h->exc = RV_EXC_ILLEGAL;
	h->tval = 0;
fault:
	interp_fault(h, b, u, pc);
	goto look_up;
	/* clang-format on */
}

void interp_run(struct rv_hart *h)
{
	while (!(__atomic_load_n(&h->requests, __ATOMIC_ACQUIRE) & RV_REQ_LEAVE)) {
		rv_wait(h);
		rv_poll(h);
		if (__atomic_load_n(&h->requests, __ATOMIC_ACQUIRE) & RV_REQ_LEAVE)
			break;
		((struct interp *)h->engine)->runs++;
		interp_execute(h);
	}
}
