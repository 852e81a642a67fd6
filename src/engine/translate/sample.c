/* SPDX-License-Identifier: Apache-2.0 */
/* How many accesses to memory generated code makes: it does not count them, for that would cost
 * more than all the rest that it counts. So now and then, at an instruction that chance names, the
 * hart stops, and the interpreter runs a short window of the guest, whose blocks are looked at one
 * by one. Every instruction is as likely to lie in a window as any other, so their part of accesses
 * is that of the run, but for chance; a window stands for as many instructions as lie between
 * windows at that time. Its first instructions are not counted: generated code stops at the heads
 * of loops only. */
#include "engine/translate/mirror.h"
#include "rv_exec.gen.h"

enum {
	WINDOW = 2000,          /* instructions */
	LEAD = 1024,            /* up to so many before it */
	EVERY_MIN = 1 << 16,    /* between windows: early ones are dense, so that short runs */
	EVERY_MAX = 1 << 24,    /* have some, too */
	DENSE = 32,
	WEIGHT_UNIT = 1 << 12,
};

static uint64_t sample_random(struct sample *s)
{
	s->seed ^= s->seed << 13;
	s->seed ^= s->seed >> 7;
	s->seed ^= s->seed << 17;
	return s->seed;
}

static void sample_plan(struct rv_hart *h, struct sample *s)
{
	uint64_t every = h->icount / DENSE;
	every = every < EVERY_MIN ? EVERY_MIN : min_u64(every, EVERY_MAX);
	s->on = false;
	s->end = 0;
	s->weight = every / WEIGHT_UNIT;
	s->next = h->icount + every / 2 + sample_random(s) % every;
}

void sample_init(struct rv_hart *h)
{
	struct translate *t = h->engine;
	struct sample *s = &t->sample;
	*s = (struct sample){ .hot = t->it.hot, .seed = 0x9e3779b97f4a7c15u * (h->id + 1u) };
	if (!h->env->count) {
		sample_plan(h, s);
		return;
	}
	*s = (struct sample){ .on = true, .run = UINT64_MAX, .end = UINT64_MAX, .weight = 1 };
	t->it.hot = 0;
}

void sample_arm(struct rv_hart *h)
{
	struct translate *t = h->engine;
	t->sample.on = true;
	t->sample.run = t->it.runs;
	t->it.hot = 0;
}

/* Look around at @at. Who sets the limit to 0 meanwhile has its way. */
static void limit_lower(struct rv_hart *h, uint64_t at)
{
	uint64_t limit = __atomic_load_n(&h->limit, __ATOMIC_RELAXED);
	if (limit > at)
		__atomic_compare_exchange_n(&h->limit, &limit, at, false, __ATOMIC_SEQ_CST,
		                            __ATOMIC_SEQ_CST);
}

static void block_count(struct rv_hart *h, struct sample *s, const struct block *b)
{
	static const uint8_t accesses[UOP_GOES_ON + 1] = {
#define ROW(op, n) [RV_OP_##op] = n,
		RV_EACH_ACCESS(ROW)
#undef ROW
	};
	uint64_t n = 0;
	for (unsigned i = 0; i < b->n; i++)
		n += accesses[b->u[i].op];
	s->insns += b->n * s->weight;
	s->accesses[mirror_key(h, h->engine) != 0] += n * s->weight;
}

bool sample_block(struct rv_hart *h, const struct block *b)
{
	struct translate *t = h->engine;
	struct sample *s = &t->sample;
	if (!s->on) {
		if (h->icount < s->next) {
			limit_lower(h, s->next);
			return false;
		}
		sample_arm(h);
	}
	if (s->run == t->it.runs) { /* it does not offer every block, but in its next run */
		limit_lower(h, h->icount);
		return true;
	}
	if (!s->end) {
		s->begin = h->icount + sample_random(s) % LEAD;
		s->end = s->begin + WINDOW;
	}
	if (h->icount >= s->end) {
		t->it.hot = s->hot;
		s->windows++;
		sample_plan(h, s);
		return false;
	}
	if (h->icount >= s->begin)
		block_count(h, s, b);
	return true;
}

/* Where all is counted, that is what was counted. */
RACY void sample_stats(const struct translate *t, struct engine_stats *ret)
{
	const struct sample *s = &t->sample;
	bool all = s->end == UINT64_MAX;
	double part = all ? 1 : s->insns ? (double)t->insns / (double)s->insns : 0;
	ret->samples = all ? 1 : s->windows;
	ret->accesses_tlb = (uint64_t)((double)s->accesses[0] * part);
	ret->accesses_mirror = (uint64_t)((double)s->accesses[1] * part);
}
