/* SPDX-License-Identifier: Apache-2.0 */
/* Remote fences, and how a hart sleeps and is woken.
 *
 * A fence for another hart is put into its queue; the hart applies it before its next block. The
 * sender need not wait for a hart that runs no guest code (asleep, paused, stopped): that hart
 * looks into its queue before it runs any. `resting` says which are; it is written before
 * `requests` is read, and read after `requests` is written, so one of the two sides sees the
 * other. A waiting sender serves its own queue, so harts that fence each other do not block.
 * SBI 2.0 §8; RISC-V Priv 20240411 §4.2.1 */
#include "isa/riscv/priv.h"
#include <sched.h>
#include <time.h>

enum { FENCE_QUEUE = 16, FENCE_PAGES_MAX = 64, SPINS = 200 };
/* A hart that begins fewer instructions than this in this time, of the guest's clock, is idle: a
 * kernel at its prompt needs a tenth of it, and a busy hart does it in 20 ms. */
enum { IDLE_INSNS = 30000000 };
#define IDLE_NS UINT64_C(3000000000)

struct rv_fences {
	pthread_mutex_t lock; /* of the queue and of sleeping */
	pthread_cond_t wake;
	struct rv_fence queue[FENCE_QUEUE];
	unsigned n;
	bool overflow;    /* more came than fit: flush everything */
	uint64_t posted;  /* fences ever queued */
	uint64_t done;    /* atomic: fences ever applied */
	uint32_t resting; /* atomic: 1 while the thread runs no guest code */
	uint32_t asleep;  /* atomic: 1 while it may be in pthread_cond_wait */
	uint32_t waiters; /* atomic: harts to wake when done moves */
	uint64_t polls;   /* atomic: written by the hart */
};

int rv_fences_new(struct rv_fences **ret, struct lodge_err *e)
{
	struct rv_fences *f = calloc(1, sizeof *f);
	pthread_condattr_t a;
	if (!f)
		return err_set(e, ENOMEM, "no memory for a fence queue");
	f->resting = 1;
	pthread_mutex_init(&f->lock, NULL);
	pthread_condattr_init(&a);
	pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	pthread_cond_init(&f->wake, &a);
	pthread_condattr_destroy(&a);
	*ret = f;
	return 0;
}

void rv_fences_free(struct rv_fences *f)
{
	if (!f)
		return;
	pthread_cond_destroy(&f->wake);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

/* ---- running and resting ---- */

/* Stores of before are seen by whoever sees the count; rv_poll's next store is a full barrier. */
void rv_active(struct rv_hart *h)
{
	struct rv_fences *f = h->fences;
	uint64_t n = __atomic_load_n(&f->polls, __ATOMIC_RELAXED);
	__atomic_store_n(&f->polls, n + 1, __ATOMIC_RELEASE);
	if (unlikely(__atomic_load_n(&f->resting, __ATOMIC_RELAXED)))
		__atomic_store_n(&f->resting, 0, __ATOMIC_SEQ_CST);
}

uint64_t rv_polls(const struct rv_hart *h)
{
	return __atomic_load_n(&h->fences->polls, __ATOMIC_SEQ_CST);
}

bool rv_resting(const struct rv_hart *h)
{
	return __atomic_load_n(&h->fences->resting, __ATOMIC_SEQ_CST);
}

void rv_rest(struct rv_hart *h)
{
	uint32_t waiters;
	__atomic_store_n(&h->fences->resting, 1, __ATOMIC_SEQ_CST);
	waiters = __atomic_exchange_n(&h->fences->waiters, 0, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; waiters; i++, waiters >>= 1)
		if (waiters & 1)
			rv_hart_kick(h->env->harts[i]);
}

void rv_hart_kick(struct rv_hart *h)
{
	struct rv_fences *f = h->fences;
	__atomic_store_n(&h->limit, 0, __ATOMIC_SEQ_CST);
	if (likely(!__atomic_load_n(&f->asleep, __ATOMIC_SEQ_CST)))
		return;
	pthread_mutex_lock(&f->lock);
	pthread_cond_signal(&f->wake);
	pthread_mutex_unlock(&f->lock);
}

void rv_hart_request(struct rv_hart *h, uint32_t bits)
{
	__atomic_fetch_or(&h->requests, bits, __ATOMIC_SEQ_CST);
	rv_hart_kick(h);
}

void rv_hart_irq(void *hart, unsigned irq, bool level)
{
	struct rv_hart *h = hart;
	if (!level) {
		__atomic_fetch_and(&h->mip_lines, ~BIT(irq), __ATOMIC_SEQ_CST);
		return;
	}
	uint64_t old = __atomic_fetch_or(&h->mip_lines, BIT(irq), __ATOMIC_SEQ_CST);
	if (!(old >> irq & 1))
		rv_hart_kick(h);
}

/* ---- sleeping ---- */

static bool stays_asleep(struct rv_hart *h)
{
	const uint32_t fences = RV_REQ_FENCE_I | RV_REQ_SFENCE;
	if (__atomic_load_n(&h->requests, __ATOMIC_SEQ_CST) & ~fences)
		return false;
	switch (__atomic_load_n(&h->hsm, __ATOMIC_SEQ_CST)) {
	case RV_HSM_STOPPED:
	case RV_HSM_START_PENDING: return true;
	case RV_HSM_STARTED: return h->wfi && !rv_irq_pending(h);
	default: return !rv_irq_pending(h);
	}
}

/* Wait on the condition once. @deadline_ns on CLOCK_MONOTONIC. With f->lock held. */
static void sleep_until(struct rv_fences *f, uint64_t deadline_ns)
{
	struct timespec t = {(time_t)(deadline_ns / 1000000000u),
			     (long)(deadline_ns % 1000000000u)};
	if (deadline_ns == UINT64_MAX)
		pthread_cond_wait(&f->wake, &f->lock);
	else
		pthread_cond_timedwait(&f->wake, &f->lock, &t);
}

/* Before and while the hart sleeps: tell its engine, once in each IDLE_NS, that it is idle. Returns
 * when the sleep has to end for that, in guest time: the first time only. */
static uint64_t idle_look(struct rv_hart *h)
{
	uint64_t now = vclock_ns(h->env->clock);
	bool busy = h->icount - h->idle_icount > IDLE_INSNS;
	if (!h->idled)
		return UINT64_MAX;
	if (busy || now - h->idle_ns >= IDLE_NS) {
		h->idle_ns = now;
		h->idle_insns = h->icount - h->idle_icount;
		h->idle_icount = h->icount;
		h->idle_told = !busy;
		if (!busy)
			h->idled(h);
	}
	return h->idle_told ? UINT64_MAX : h->idle_ns + IDLE_NS;
}

/* @due: when to wake up even if the hart has no reason to. */
static uint64_t wake_deadline(struct rv_hart *h, uint64_t due)
{
	uint32_t hsm = __atomic_load_n(&h->hsm, __ATOMIC_RELAXED);
	if (hsm != RV_HSM_STOPPED && hsm != RV_HSM_START_PENDING)
		due = min_u64(due, rv_next_event_ns(h));
	return due == UINT64_MAX ? due : vclock_host_deadline(h->env->clock, due);
}

/* A suspended hart that has a reason to wake up does so. SBI 2.0 §9.4 */
static void resume_if_due(struct rv_hart *h)
{
	uint32_t hsm = __atomic_load_n(&h->hsm, __ATOMIC_RELAXED);
	if ((hsm == RV_HSM_SUSPENDED || hsm == RV_HSM_SUSPENDED_LOST) && rv_irq_pending(h)) {
		if (hsm == RV_HSM_SUSPENDED_LOST)
			rv_sbi_start(h);
		__atomic_store_n(&h->hsm, RV_HSM_STARTED, __ATOMIC_SEQ_CST);
	}
}

void rv_wait(struct rv_hart *h)
{
	struct rv_fences *f = h->fences;
	if (h->wfi)
		rv_skip_idle(h);
	if (stays_asleep(h)) {
		rv_rest(h);
		uint64_t look = idle_look(h);
		pthread_mutex_lock(&f->lock);
		__atomic_store_n(&f->asleep, 1, __ATOMIC_SEQ_CST);
		while (stays_asleep(h)) {
			sleep_until(f, wake_deadline(h, look));
			if (!stays_asleep(h))
				break;
			pthread_mutex_unlock(&f->lock); /* it may take a while */
			look = idle_look(h);
			pthread_mutex_lock(&f->lock);
		}
		__atomic_store_n(&f->asleep, 0, __ATOMIC_SEQ_CST);
		pthread_mutex_unlock(&f->lock);
	}
	resume_if_due(h);
	if (h->wfi && rv_irq_pending(h))
		h->wfi = false;
	/* rv_poll comes next: it marks us active and looks into the queue */
	__atomic_store_n(&h->limit, 0, __ATOMIC_RELAXED);
}

/* ---- fences ---- */

void rv_fence_apply(struct rv_hart *h, const struct rv_fence *fc)
{
	if (fc->insn) {
		h->fetch_epoch++;
		return;
	}
	uint64_t pages = fc->len / 4096 + 1;
	if (fc->len == UINT64_MAX || pages > FENCE_PAGES_MAX) {
		if (fc->asid < 0)
			rv_mmu_flush(h, false);
		else
			rv_mmu_flush_asid(h, (uint16_t)fc->asid);
		return;
	}
	for (uint64_t at = fc->va & ~UINT64_C(0xfff), i = 0; i < pages; i++, at += 4096)
		rv_mmu_flush_page(h, at, fc->asid);
}

static void fence_receive(struct rv_hart *h, const struct rv_fence *fc)
{
	rv_fence_apply(h, fc);
	if (unlikely(h->fw_running))
		rv_sbi_count(h, fc->insn       ? SBI_FW_FENCE_I_RECEIVED
				: fc->asid < 0 ? SBI_FW_SFENCE_RECEIVED
					       : SBI_FW_SFENCE_ASID_RECEIVED);
}

void rv_fence_serve(struct rv_hart *h)
{
	struct rv_fences *f = h->fences;
	struct rv_fence q[FENCE_QUEUE];
	__atomic_fetch_and(&h->requests, ~(uint32_t)(RV_REQ_FENCE_I | RV_REQ_SFENCE),
			   __ATOMIC_SEQ_CST);
	pthread_mutex_lock(&f->lock);
	unsigned n = f->n;
	bool overflow = f->overflow;
	uint64_t posted = f->posted;
	memcpy(q, f->queue, n * sizeof *q);
	f->n = 0;
	f->overflow = false;
	pthread_mutex_unlock(&f->lock);
	if (overflow) {
		h->fetch_epoch++;
		rv_mmu_flush(h, false);
	} else {
		for (unsigned i = 0; i < n; i++)
			fence_receive(h, &q[i]);
	}
	__atomic_store_n(&f->done, posted, __ATOMIC_SEQ_CST);
	uint32_t waiters = __atomic_exchange_n(&f->waiters, 0, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; waiters; i++, waiters >>= 1)
		if (waiters & 1)
			rv_hart_kick(h->env->harts[i]);
}

static uint64_t fence_post(struct rv_hart *to, const struct rv_fence *fc)
{
	struct rv_fences *f = to->fences;
	pthread_mutex_lock(&f->lock);
	if (f->n < FENCE_QUEUE)
		f->queue[f->n++] = *fc;
	else
		f->overflow = true;
	uint64_t ticket = ++f->posted;
	pthread_mutex_unlock(&f->lock);
	__atomic_fetch_or(&to->requests, fc->insn ? RV_REQ_FENCE_I : RV_REQ_SFENCE,
			  __ATOMIC_SEQ_CST);
	__atomic_store_n(&to->limit, 0, __ATOMIC_SEQ_CST);
	return ticket;
}

static bool fence_done(const struct rv_hart *to, uint64_t ticket)
{
	return __atomic_load_n(&to->fences->done, __ATOMIC_SEQ_CST) >= ticket ||
	       __atomic_load_n(&to->fences->resting, __ATOMIC_SEQ_CST);
}

/* Sleep until @to has made progress or this hart has something to do itself. */
static void fence_sleep(struct rv_hart *h, struct rv_hart *to, uint64_t ticket)
{
	struct rv_fences *f = h->fences;
	pthread_mutex_lock(&f->lock);
	__atomic_store_n(&f->asleep, 1, __ATOMIC_SEQ_CST);
	__atomic_fetch_or(&to->fences->waiters, BIT(h->id) & UINT32_MAX, __ATOMIC_SEQ_CST);
	if (!fence_done(to, ticket) && !__atomic_load_n(&h->requests, __ATOMIC_SEQ_CST))
		pthread_cond_wait(&f->wake, &f->lock);
	__atomic_store_n(&f->asleep, 0, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&f->lock);
}

static bool fence_wait(struct rv_hart *h, struct rv_hart *to, uint64_t ticket)
{
	for (unsigned spins = 0; !fence_done(to, ticket); spins++) {
		uint32_t req = __atomic_load_n(&h->requests, __ATOMIC_SEQ_CST);
		if (req & (RV_REQ_FENCE_I | RV_REQ_SFENCE))
			rv_fence_serve(h);
		else if (req & RV_REQ_LEAVE)
			return false;
		else if (spins < SPINS)
			sched_yield();
		else
			fence_sleep(h, to, ticket);
	}
	return true;
}

bool rv_fence_remote(struct rv_hart *h, uint32_t mask, const struct rv_fence *fc)
{
	uint64_t ticket[RV_HARTS_MAX] = {0};
	struct rv_env *env = h->env;
	for (unsigned i = 0; i < env->nharts; i++)
		if (mask >> i & 1 && env->harts[i] != h)
			ticket[i] = fence_post(env->harts[i], fc);
	if (mask >> h->id & 1)
		rv_fence_apply(h, fc);
	for (unsigned i = 0; i < env->nharts; i++)
		if (ticket[i] && !fence_wait(h, env->harts[i], ticket[i]))
			return false;
	return true;
}
