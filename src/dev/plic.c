/* SPDX-License-Identifier: Apache-2.0 */
/* Platform-level interrupt controller. Spec: PLIC 1.0.0.
 *
 *   0x000000 + 4s             priority of source s                  §4
 *   0x001000 + 4(s / 32)      pending bits, read only               §5
 *   0x002000 + 0x80c + 4w     enable bits of context c              §6
 *   0x200000 + 0x1000c        threshold of context c                §7
 *   0x200004 + 0x1000c        claim (read), complete (write)        §8, §9
 *
 * Sources are level-triggered. A gateway forwards one request and then none until its handler
 * completes; a line still high at completion asks again (§1.2). A context's output is high while
 * it has an enabled pending source whose priority exceeds its threshold.
 *
 * irq_set comes with a device's lock held, so this device has its own (dev.lock, taken here and
 * never by the bus). Outputs are driven under it: what is behind them takes no lock. */
#include "dev/dev.h"

enum {
	PLIC_SOURCES_MAX = 1024, /* source 0 does not exist */
	PLIC_WORDS = PLIC_SOURCES_MAX / 32,
	PLIC_CONTEXTS_MAX = 128,
	PLIC_PRIORITY_MAX = 7,
	PLIC_PENDING = 0x1000,
	PLIC_ENABLE = 0x2000,
	PLIC_ENABLE_STEP = 0x80,
	PLIC_CONTEXT = 0x200000,
	PLIC_CONTEXT_STEP = 0x1000,
	PLIC_SIZE = 0x4000000,
};

struct plic {
	struct dev dev;
	unsigned sources, contexts; /* valid sources are 1..sources */
	uint8_t priority[PLIC_SOURCES_MAX];
	uint8_t threshold[PLIC_CONTEXTS_MAX];
	uint32_t level[PLIC_WORDS];   /* input lines */
	uint32_t pending[PLIC_WORDS]; /* requests forwarded and not yet claimed */
	uint32_t stale[PLIC_WORDS];   /* requests made by a reset out of lines that were high */
	uint32_t claimed[PLIC_WORDS]; /* in the hands of a handler: gateway closed */
	uint32_t enable[PLIC_CONTEXTS_MAX][PLIC_WORDS];
	bool out[PLIC_CONTEXTS_MAX]; /* what each line was last driven to */
};

static const struct state_field plic_state[] = {
	STATE(struct plic, priority, 1), STATE(struct plic, threshold, 1),
	STATE(struct plic, level, 1),    STATE(struct plic, pending, 1),
	STATE(struct plic, stale, 1),    STATE(struct plic, claimed, 1),
	STATE(struct plic, enable, 1),   STATE_END
};

/* Words that can hold a bit of an existing source. */
static unsigned plic_words(const struct plic *p) { return p->sources / 32 + 1; }

/* Bits of word @w that belong to sources which exist. */
static uint32_t plic_mask(const struct plic *p, unsigned w)
{
	uint32_t m = w == 0 ? ~1u : ~0u;
	if (w == p->sources / 32)
		m &= ~0u >> (31 - p->sources % 32);
	return w < plic_words(p) ? m : 0;
}

/* The pending enabled source of the highest priority above @floor, the lowest number among
 * equals; 0: none. §8 */
static unsigned plic_best(const struct plic *p, unsigned c, unsigned floor)
{
	unsigned best = 0;
	for (unsigned w = 0; w < plic_words(p); w++) {
		uint32_t bits = p->pending[w] & p->enable[c][w];
		for (; bits; bits &= bits - 1) {
			unsigned s = w * 32 + (unsigned)__builtin_ctz(bits);
			if (p->priority[s] > floor) {
				floor = p->priority[s];
				best = s;
			}
		}
	}
	return best;
}

static void plic_drive(struct plic *p, unsigned c)
{
	bool level = plic_best(p, c, p->threshold[c]) != 0;
	if (level == p->out[c])
		return;
	p->out[c] = level;
	if (c < p->dev.s.nirqs)
		irq_set(&p->dev.s.irqs[c], level);
}

static void plic_drive_all(struct plic *p)
{
	for (unsigned c = 0; c < p->contexts; c++)
		plic_drive(p, c);
}

/* Contexts that listen to source @s. */
static void plic_drive_source(struct plic *p, unsigned s)
{
	for (unsigned c = 0; c < p->contexts; c++)
		if (p->enable[c][s / 32] & 1u << s % 32)
			plic_drive(p, c);
}

static void plic_set(void *ctx, unsigned s, bool level)
{
	struct plic *p = ctx;
	uint32_t bit = 1u << s % 32;
	pthread_mutex_lock(&p->dev.lock);
	uint32_t *lines = &p->level[s / 32];
	if (level && !(*lines & bit)) {
		*lines |= bit;
		if (!(p->claimed[s / 32] & bit)) {
			p->pending[s / 32] |= bit;
			plic_drive_source(p, s);
		}
	} else if (!level) {
		/* A request once forwarded stays until claimed (§1.2), unless it is only a reset's
		 * guess about a device that is being reset too. */
		*lines &= ~bit;
		if (p->stale[s / 32] & bit) {
			p->stale[s / 32] &= ~bit;
			p->pending[s / 32] &= ~bit;
			plic_drive_source(p, s);
		}
	}
	pthread_mutex_unlock(&p->dev.lock);
}

struct irq plic_line(struct dev *plic, unsigned source)
{
	struct plic *p = (struct plic *)plic;
	if (source == 0 || source > p->sources)
		return (struct irq){ 0 };
	return (struct irq){ plic_set, p, source };
}

static int plic_init(struct dev *d, struct lodge_err *e)
{
	struct plic *p = (struct plic *)d;
	uint64_t sources = 0, contexts = 0;
	int r = dev_option_u64(d, "sources", 95, 1, PLIC_SOURCES_MAX - 1, &sources, e);
	if (r == 0)
		r = dev_option_u64(d, "contexts", 2, 1, PLIC_CONTEXTS_MAX, &contexts, e);
	p->sources = (unsigned)sources;
	p->contexts = (unsigned)contexts;
	return r;
}

/* Clear what cannot be, and drive every output, whatever it was thought to be. */
static bool plic_loaded(struct dev *d)
{
	struct plic *p = (struct plic *)d;
	for (unsigned w = 0; w < PLIC_WORDS; w++) {
		uint32_t m = plic_mask(p, w);
		p->level[w] &= m;
		p->pending[w] &= m & ~p->claimed[w];
		p->stale[w] &= p->pending[w];
		p->claimed[w] &= m;
		for (unsigned c = 0; c < PLIC_CONTEXTS_MAX; c++)
			p->enable[c][w] &= c < p->contexts ? m : 0;
	}
	for (unsigned s = 0; s < PLIC_SOURCES_MAX; s++)
		p->priority[s] &= PLIC_PRIORITY_MAX;
	for (unsigned c = 0; c < p->contexts; c++) {
		p->threshold[c] &= PLIC_PRIORITY_MAX;
		p->out[c] = plic_best(p, c, p->threshold[c]) != 0;
		if (c < d->s.nirqs)
			irq_set(&d->s.irqs[c], p->out[c]);
	}
	return true;
}

/* The lines are the devices' and survive: a high one asks again at once. */
static void plic_reset(struct dev *d)
{
	struct plic *p = (struct plic *)d;
	memset(p->priority, 0, sizeof p->priority);
	memset(p->threshold, 0, sizeof p->threshold);
	memset(p->claimed, 0, sizeof p->claimed);
	memset(p->enable, 0, sizeof p->enable);
	memcpy(p->pending, p->level, sizeof p->pending);
	memcpy(p->stale, p->level, sizeof p->stale);
	plic_loaded(d);
}

/* A claim takes the best pending source whatever the threshold says. §8 */
static uint32_t plic_claim(struct plic *p, unsigned c)
{
	unsigned s = plic_best(p, c, 0);
	if (s == 0)
		return 0;
	p->pending[s / 32] &= ~(1u << s % 32);
	p->stale[s / 32] &= ~(1u << s % 32);
	p->claimed[s / 32] |= 1u << s % 32;
	plic_drive_source(p, s);
	return s;
}

/* A completion for a source that the context does not enable is ignored. §9 */
static void plic_complete(struct plic *p, unsigned c, uint32_t s)
{
	if (s == 0 || s > p->sources)
		return;
	uint32_t bit = 1u << s % 32;
	if (!(p->enable[c][s / 32] & p->claimed[s / 32] & bit))
		return;
	p->claimed[s / 32] &= ~bit;
	if (p->level[s / 32] & bit) {
		p->pending[s / 32] |= bit;
		plic_drive_source(p, s);
	}
}

static uint32_t plic_read_locked(struct plic *p, uint64_t off)
{
	if (off < PLIC_PENDING)
		return p->priority[off / 4];
	if (off < PLIC_ENABLE) {
		uint64_t w = (off - PLIC_PENDING) / 4;
		return w < PLIC_WORDS ? p->pending[w] : 0;
	}
	if (off < PLIC_CONTEXT) {
		uint64_t c = (off - PLIC_ENABLE) / PLIC_ENABLE_STEP;
		return c < p->contexts ? p->enable[c][off % PLIC_ENABLE_STEP / 4] : 0;
	}
	uint64_t c = (off - PLIC_CONTEXT) / PLIC_CONTEXT_STEP;
	if (c >= p->contexts)
		return 0;
	switch (off % PLIC_CONTEXT_STEP) {
	case 0: return p->threshold[c];
	case 4: return plic_claim(p, (unsigned)c);
	default: return 0;
	}
}

static void plic_write_locked(struct plic *p, uint64_t off, uint32_t val)
{
	if (off < PLIC_PENDING) {
		uint64_t s = off / 4;
		if (s == 0 || s > p->sources)
			return;
		p->priority[s] = val & PLIC_PRIORITY_MAX;
		plic_drive_all(p);
		return;
	}
	if (off < PLIC_ENABLE)
		return;
	if (off < PLIC_CONTEXT) {
		uint64_t c = (off - PLIC_ENABLE) / PLIC_ENABLE_STEP;
		unsigned w = (unsigned)(off % PLIC_ENABLE_STEP / 4);
		if (c >= p->contexts)
			return;
		p->enable[c][w] = val & plic_mask(p, w);
		plic_drive(p, (unsigned)c);
		return;
	}
	uint64_t c = (off - PLIC_CONTEXT) / PLIC_CONTEXT_STEP;
	if (c >= p->contexts)
		return;
	if (off % PLIC_CONTEXT_STEP == 0) {
		p->threshold[c] = val & PLIC_PRIORITY_MAX;
		plic_drive(p, (unsigned)c);
	} else if (off % PLIC_CONTEXT_STEP == 4) {
		plic_complete(p, (unsigned)c, val);
	}
}

static uint64_t plic_read(struct dev *d, uint64_t off, unsigned width)
{
	(void)width;
	pthread_mutex_lock(&d->lock);
	uint32_t v = plic_read_locked((struct plic *)d, off);
	pthread_mutex_unlock(&d->lock);
	return v;
}

static void plic_write(struct dev *d, uint64_t off, unsigned width, uint64_t val)
{
	(void)width;
	pthread_mutex_lock(&d->lock);
	plic_write_locked((struct plic *)d, off, (uint32_t)val);
	pthread_mutex_unlock(&d->lock);
}

const struct dev_class dev_plic = {
	.name = "plic",
	.summary = "platform-level interrupt controller; sources=N,contexts=M",
	.spec = "PLIC 1.0.0",
	.size = sizeof(struct plic),
	.width_min = 4,
	.width_max = 4,
	.mmio = PLIC_SIZE,
	.locks_itself = true,
	.init = plic_init,
	.reset = plic_reset,
	.read = plic_read,
	.write = plic_write,
	.state = plic_state,
	.loaded = plic_loaded,
};
