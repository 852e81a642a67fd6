/* SPDX-License-Identifier: Apache-2.0 */
/* The interpreter's loop: threaded code over predecoded blocks. The bodies of the instructions
 * are generated from their one definition (rv_exec.gen.h); here is only how control moves. */
#include "engine/engine.h"
#include "engine/interp/internal.h"
#include "rv_exec.gen.h"

static const int32_t *interp_execute(struct rv_hart *h);

const bool interp_ends[RV_OPS] = {
#define ENDS_PLAIN false
#define ENDS_BRANCH true
#define ENDS_JUMP true
#define ENDS_JUMPR true
#define ENDS_END true
#define ENDS_ENDNPC true
#define ROW(op, shape) ENDS_##shape,
	RV_EACH_BODY(ROW)
#undef ROW
};

const int32_t *interp_labels(void) { return interp_execute(NULL); }

/* The instruction at @u did not complete: count and deliver. */
static void interp_fault(struct rv_hart *h, const struct block *b, const struct rv_uop *u, uint64_t pc)
{
	enum rv_exc cause = (enum rv_exc)h->exc;
	h->icount -= (uint64_t)(b->n - (u - b->u));
	h->pc = pc + u->off;
	h->exc = RV_EXC_NONE;
	if (cause == RV_EXC_ILLEGAL && !h->tval) {
		const uint8_t *code = block_code(b) + u->off;
		h->tval = u->len == 4 ? le32_at(code) : le16_at(code);
	}
	rv_trap(h, cause, h->tval);
}

/* The block at h->pc. It is remembered in @link of @from when it lies in the same page: mapping and
 * page then stay the same until an instruction that ends a block without a link. */
static struct block *interp_link(struct rv_hart *h, const struct block *from, struct block **link,
                                 uint64_t from_pc)
{
	struct interp *it = h->engine;
	uint64_t drops = it->flushes;
	struct block *b = interp_block(h);
	if (b && b != it->crossing && from != it->crossing && drops == it->flushes &&
	    !((h->pc ^ from_pc) >> 12))
		*link = b;
	return b;
}

/* With NULL: returns the labels. Else runs until the slow path is due. */
static const int32_t *interp_execute(struct rv_hart *h)
{
	/* clang-format off */
	static const int32_t labels[] = {
#define LABEL(op, shape) (int32_t)((const char *)&&do_##op - (const char *)&&do_lui),
		RV_EACH_BODY(LABEL)
		(int32_t)((const char *)&&illegal - (const char *)&&do_lui),
		(int32_t)((const char *)&&goes_on - (const char *)&&do_lui),
	};
	if (!h)
		return labels;
	const char *const base = (const char *)&&do_lui;
	const struct rv_uop *u;
	struct block *b, **link;
	uint64_t pc = 0;

#define DISPATCH() goto *(const void *)(base + u->go)
look_up:
	if (unlikely(h->icount >= __atomic_load_n(&h->limit, __ATOMIC_RELAXED)))
		return NULL;
	b = interp_block(h);
	goto enter;
link_up:
	if (unlikely(h->icount >= __atomic_load_n(&h->limit, __ATOMIC_RELAXED)))
		return NULL;
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
			struct block *n_ = b->which;                                               \
			uint64_t to_ = (target);                                                   \
			if (likely(n_ && n_->epoch == h->fetch_epoch &&                            \
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
			CHAIN(taken, pc + u->off + (uint64_t)(int64_t)u->imm)                      \
		else                                                                               \
			CHAIN(next, pc + u->off + u->len)
#define JUMP(op)                                                                                   \
	do_##op:                                                                                   \
		rv_do_##op(h, u, pc);                                                              \
		CHAIN(taken, pc + u->off + (uint64_t)(int64_t)u->imm)
#define JUMPR(op)                                                                                  \
	do_##op:                                                                                   \
		rv_do_##op(h, u, pc);                                                              \
		h->pc = h->npc;                                                                    \
		goto look_up;
#define END(op)                                                                                    \
	do_##op:                                                                                   \
		h->pc = pc + u->off;                                                               \
		if (unlikely(rv_do_##op(h, u, pc)))                                                \
			goto fault;                                                                \
		h->pc = pc + u->off + u->len;                                                      \
		goto look_up;
#define ENDNPC(op)                                                                                 \
	do_##op:                                                                                   \
		h->pc = pc + u->off;                                                               \
		if (unlikely(rv_do_##op(h, u, pc)))                                                \
			goto fault;                                                                \
		h->pc = h->npc;                                                                    \
		goto look_up;
#define BODY(op, shape) shape(op)
	RV_EACH_BODY(BODY)

goes_on:
	CHAIN(next, pc + u->off)
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
	const uint32_t leave = RV_REQ_STOP | RV_REQ_PAUSE;
	while (!(__atomic_load_n(&h->requests, __ATOMIC_ACQUIRE) & leave)) {
		rv_wait(h);
		rv_poll(h);
		if (__atomic_load_n(&h->requests, __ATOMIC_ACQUIRE) & leave)
			break;
		interp_execute(h);
	}
}
