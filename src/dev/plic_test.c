/* SPDX-License-Identifier: Apache-2.0 */
#include "dev/testing.h"
#include "test/test.h"

enum { ENABLE0 = 0x2000, ENABLE1 = 0x2080, CTX0 = 0x200000, CTX1 = 0x201000, PENDING = 0x1000 };

static void plic_rig(struct bench *b)
{
	bench_init(b, "plic", "sources=40,contexts=2");
	for (unsigned s = 1; s <= 40; s++)
		bench_put(b, 4 * s, 4, 1);
	bench_put(b, ENABLE0, 4, ~0u);
	bench_put(b, ENABLE0 + 4, 4, ~0u);
}
static void plic_pull(struct bench *b, unsigned s, bool level)
{
	struct irq q = plic_line(b->dev, s);
	irq_set(&q, level);
}
static uint64_t plic_take(struct bench *b, uint64_t ctx) { return bench_get(b, ctx + 4, 4); }
static void plic_done(struct bench *b, uint64_t ctx, uint64_t s) { bench_put(b, ctx + 4, 4, s); }

TEST(plic_claim_and_complete_of_a_level_source)
{
	struct bench b;
	plic_rig(&b);
	CHECK(plic_take(&b, CTX0) == 0);
	plic_pull(&b, 33, true);
	CHECK(b.line[0] && !b.line[1] && bench_get(&b, PENDING + 4, 4) == 2);
	CHECK(plic_take(&b, CTX0) == 33);
	CHECK(!b.line[0] && bench_get(&b, PENDING + 4, 4) == 0 && plic_take(&b, CTX0) == 0);
	plic_done(&b, CTX0, 33); /* still high: asks again. PLIC 1.0.0 §1.2 */
	CHECK(b.line[0] && plic_take(&b, CTX0) == 33);
	plic_pull(&b, 33, false);
	plic_done(&b, CTX0, 33);
	CHECK(!b.line[0] && plic_take(&b, CTX0) == 0);
	bench_fini(&b);
}

TEST(plic_gateway_forwards_one_request_at_a_time)
{
	struct bench b;
	plic_rig(&b);
	plic_pull(&b, 5, true);
	CHECK(plic_take(&b, CTX0) == 5);
	plic_pull(&b, 5, false);
	plic_pull(&b, 5, true); /* while it is handled: nothing yet */
	CHECK(!b.line[0] && plic_take(&b, CTX0) == 0);
	plic_done(&b, CTX0, 5);
	CHECK(b.line[0] && plic_take(&b, CTX0) == 5);
	plic_pull(&b, 5, false);
	plic_done(&b, CTX0, 5);
	plic_pull(&b, 6, true);
	plic_pull(&b, 6, false); /* forwarded and not claimed: stays */
	CHECK(b.line[0] && plic_take(&b, CTX0) == 6);
	bench_fini(&b);
}

TEST(plic_priority_number_and_threshold_decide)
{
	struct bench b;
	plic_rig(&b);
	bench_put(&b, 4 * 9, 4, 3);
	bench_put(&b, 4 * 4, 4, 0); /* never interrupts. §4 */
	for (unsigned s = 3; s <= 10; s++)
		plic_pull(&b, s, true);
	CHECK(plic_take(&b, CTX0) == 9); /* highest */
	CHECK(plic_take(&b, CTX0) == 3); /* then the lowest number */
	CHECK(plic_take(&b, CTX0) == 5);
	bench_put(&b, CTX0, 4, 1);
	CHECK(!b.line[0]);               /* 1 does not exceed 1. §7 */
	CHECK(plic_take(&b, CTX0) == 6); /* a claim does not look at the threshold. §8 */
	bench_put(&b, 4 * 7, 4, 2);
	CHECK(b.line[0]);
	bench_put(&b, CTX0, 4, 0xffffffff);
	CHECK(!b.line[0] && bench_get(&b, CTX0, 4) == 7); /* WARL */
	bench_fini(&b);
}

TEST(plic_contexts_share_sources_and_only_one_claims)
{
	struct bench b;
	plic_rig(&b);
	bench_put(&b, ENABLE1, 4, 1u << 7);
	plic_pull(&b, 7, true);
	CHECK(b.line[0] && b.line[1]);
	CHECK(plic_take(&b, CTX1) == 7);
	CHECK(!b.line[0] && !b.line[1] && plic_take(&b, CTX0) == 0);
	bench_put(&b, ENABLE1, 4, 0);
	plic_done(&b, CTX1, 7); /* not enabled there: ignored. §9 */
	CHECK(!b.line[0]);
	plic_done(&b, CTX0, 7); /* any context that enables it will do */
	CHECK(b.line[0] && !b.line[1]);
	bench_fini(&b);
}

TEST(plic_hides_what_is_not_there)
{
	struct bench b;
	plic_rig(&b);
	CHECK(bench_get(&b, ENABLE0, 4) == 0xfffffffe && bench_get(&b, ENABLE0 + 4, 4) == 0x1ff);
	bench_put(&b, 0, 4, 7);
	bench_put(&b, 4 * 41, 4, 7);
	bench_put(&b, PENDING, 4, ~0u); /* read only */
	CHECK(bench_get(&b, 0, 4) == 0 && bench_get(&b, 4 * 41, 4) == 0);
	CHECK(bench_get(&b, PENDING, 4) == 0);
	CHECK(!plic_line(b.dev, 0).set && !plic_line(b.dev, 41).set && plic_line(b.dev, 40).set);
	bench_put(&b, 0x202000, 4, 1); /* context 2 */
	CHECK(bench_get(&b, 0x202000, 4) == 0 && plic_take(&b, 0x202000) == 0);
	plic_done(&b, CTX0, 99);
	bench_fini(&b);
}

TEST(plic_reset_keeps_the_lines_of_devices)
{
	struct bench b;
	plic_rig(&b);
	plic_pull(&b, 2, true);
	CHECK(plic_take(&b, CTX0) == 2);
	plic_pull(&b, 3, true);
	dev_reset(b.dev);
	CHECK(!b.line[0] && bench_get(&b, PENDING, 4) == 0xc);
	plic_pull(&b, 3, false); /* its device is reset after us: nothing is left over */
	CHECK(bench_get(&b, PENDING, 4) == 4);
	bench_put(&b, 8, 4, 1);
	bench_put(&b, ENABLE0, 4, 4);
	CHECK(b.line[0] && plic_take(&b, CTX0) == 2);
	bench_fini(&b);
}

struct plic_race {
	struct bench *b;
	unsigned s, served, stop;
};
/* A device: pulls its line, waits until the handler has let it go. */
static void *plic_source(void *arg)
{
	struct plic_race *r = arg;
	for (int i = 0; i < 500; i++) {
		unsigned before = __atomic_load_n(&r->served, __ATOMIC_ACQUIRE);
		plic_pull(r->b, r->s, true);
		while (__atomic_load_n(&r->served, __ATOMIC_ACQUIRE) == before)
			sched_yield();
	}
	return NULL;
}

TEST(plic_loses_no_interrupt_between_threads)
{
	struct bench b;
	struct plic_race r[2];
	pthread_t t[2];
	unsigned total = 0;
	plic_rig(&b);
	for (unsigned i = 0; i < 2; i++) {
		r[i] = (struct plic_race){ &b, i + 1, 0, 0 };
		CHECK(!pthread_create(&t[i], NULL, plic_source, &r[i]));
	}
	while (total < 1000) {
		uint64_t s = plic_take(&b, CTX0);
		if (!s) {
			sched_yield();
			continue;
		}
		CHECK(s <= 2);
		plic_pull(&b, (unsigned)s, false);
		plic_done(&b, CTX0, s);
		__atomic_fetch_add(&r[s - 1].served, 1, __ATOMIC_RELEASE);
		total++;
	}
	for (unsigned i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	CHECK(r[0].served == 500 && r[1].served == 500 && !b.line[0]);
	bench_fini(&b);
}
