/* SPDX-License-Identifier: Apache-2.0 */
/* ACLINT in the layout of the SiFive CLINT: machine software interrupts and the machine timer of
 * every hart. Spec: ACLINT 1.0-rc4 §2 (MTIMER), §3 (MSWI).
 *
 *   0x0000 + 4h   MSIP of hart h, bit 0        -> irqs[2h]
 *   0x4000 + 8h   MTIMECMP of hart h           -> irqs[2h + 1]
 *   0xbff8        MTIME, ticks of 100 ns
 *
 * DEVIATES: MTIME is the machine's clock and cannot be written, so that it and the harts' time
 * CSR can never disagree; reset leaves it alone. */
#include "dev/dev.h"

enum {
	ACLINT_HARTS_MAX = 64,
	ACLINT_MTIMECMP = 0x4000,
	ACLINT_MTIME = 0xbff8,
	ACLINT_SIZE = 0x10000,
	ACLINT_TICK_NS = 100, /* 10 MHz */
};

struct aclint {
	struct dev dev;
	unsigned harts;
	uint8_t msip[ACLINT_HARTS_MAX];
	uint64_t mtimecmp[ACLINT_HARTS_MAX];
	bool mtip[ACLINT_HARTS_MAX]; /* what the line was last driven to */
	struct loop_timer *timer;    /* owned; armed for the earliest MTIMECMP ahead */
};

static const struct state_field aclint_state[] = {
	STATE(struct aclint, msip, 1), STATE(struct aclint, mtimecmp, 1), STATE_END
};

static uint64_t aclint_now(const struct aclint *a)
{
	return a->dev.s.clock ? vclock_ns(a->dev.s.clock) / ACLINT_TICK_NS : 0;
}

static void aclint_line(struct aclint *a, unsigned i, bool level)
{
	if (i < a->dev.s.nirqs)
		irq_set(&a->dev.s.irqs[i], level);
}

/* MTIP is pending while MTIME >= MTIMECMP. ACLINT 1.0-rc4 §2.3 */
static void aclint_drive_timer(struct aclint *a, unsigned h, uint64_t now)
{
	bool level = now >= a->mtimecmp[h];
	if (level == a->mtip[h])
		return;
	a->mtip[h] = level;
	aclint_line(a, 2 * h + 1, level);
}

/* Wake at the earliest comparison ahead. One timer serves all harts. */
static void aclint_arm(struct aclint *a, uint64_t now)
{
	uint64_t next = UINT64_MAX, ns = UINT64_MAX;
	if (!a->timer || !a->dev.s.clock)
		return;
	for (unsigned h = 0; h < a->harts; h++)
		if (a->mtimecmp[h] > now)
			next = min_u64(next, a->mtimecmp[h]);
	if (__builtin_mul_overflow(next, (uint64_t)ACLINT_TICK_NS, &ns))
		ns = UINT64_MAX; /* in more than 58 000 years */
	loop_timer_set(a->timer, vclock_host_deadline(a->dev.s.clock, ns));
}

static void aclint_update(struct aclint *a)
{
	uint64_t now = aclint_now(a);
	for (unsigned h = 0; h < a->harts; h++)
		aclint_drive_timer(a, h, now);
	aclint_arm(a, now);
}

static void aclint_fire(void *arg) { aclint_update(arg); }

static int aclint_init(struct dev *d, struct lodge_err *e)
{
	struct aclint *a = (struct aclint *)d;
	uint64_t harts = 0;
	int r = dev_option_u64(d, "harts", 1, 1, ACLINT_HARTS_MAX, &harts, e);
	if (r < 0)
		return r;
	a->harts = (unsigned)harts;
	if (d->s.loop)
		r = loop_timer_new(&a->timer, d->s.loop, &d->lock, aclint_fire, a, e);
	return r;
}

static void aclint_fini(struct dev *d) { loop_timer_free(((struct aclint *)d)->timer); }

/* Drive every line, whatever it was thought to be. */
static bool aclint_loaded(struct dev *d)
{
	struct aclint *a = (struct aclint *)d;
	uint64_t now = aclint_now(a);
	for (unsigned h = 0; h < a->harts; h++) {
		a->msip[h] &= 1;
		aclint_line(a, 2 * h, a->msip[h]);
		a->mtip[h] = now >= a->mtimecmp[h];
		aclint_line(a, 2 * h + 1, a->mtip[h]);
	}
	aclint_arm(a, now);
	return true;
}

/* MSIP resets to zero (§3.2); MTIMECMP is unspecified (§2.3) and starts at never. */
static void aclint_reset(struct dev *d)
{
	struct aclint *a = (struct aclint *)d;
	memset(a->msip, 0, sizeof a->msip);
	memset(a->mtimecmp, 0xff, sizeof a->mtimecmp);
	aclint_loaded(d);
}

/* The part of a 64-bit register that an access of 4 or 8 bytes sees. */
static uint64_t half_get(uint64_t reg, uint64_t off, unsigned width)
{
	return width == 8 ? reg : (uint32_t)(reg >> (off & 4) * 8);
}

static void half_put(uint64_t *reg, uint64_t off, unsigned width, uint64_t val)
{
	unsigned shift = (unsigned)(off & 4) * 8;
	if (width == 8)
		*reg = val;
	else
		*reg = (*reg & ~(0xffffffffull << shift)) | val << shift;
}

static uint64_t aclint_read(struct dev *d, uint64_t off, unsigned width)
{
	struct aclint *a = (struct aclint *)d;
	if ((off & ~7ull) == ACLINT_MTIME)
		return half_get(aclint_now(a), off, width);
	if (off >= ACLINT_MTIMECMP)
		return (off - ACLINT_MTIMECMP) / 8 < a->harts
		               ? half_get(a->mtimecmp[(off - ACLINT_MTIMECMP) / 8], off, width)
		               : 0;
	uint64_t v = 0, h = off / 4;
	for (unsigned i = 0; i < width / 4 && h + i < a->harts; i++)
		v |= (uint64_t)a->msip[h + i] << 32 * i;
	return v;
}

static void aclint_write_msip(struct aclint *a, uint64_t h, bool level)
{
	if (h >= a->harts || a->msip[h] == level)
		return;
	a->msip[h] = level;
	aclint_line(a, (unsigned)(2 * h), level);
}

static void aclint_write(struct dev *d, uint64_t off, unsigned width, uint64_t val)
{
	struct aclint *a = (struct aclint *)d;
	if (off < ACLINT_MTIMECMP) {
		aclint_write_msip(a, off / 4, val & 1);
		if (width == 8)
			aclint_write_msip(a, off / 4 + 1, val >> 32 & 1);
		return;
	}
	uint64_t h = (off - ACLINT_MTIMECMP) / 8;
	if (h >= a->harts)
		return;
	half_put(&a->mtimecmp[h], off, width, val);
	aclint_update(a);
}

const struct dev_class dev_aclint = {
	.name = "aclint",
	.summary = "software interrupts and timers of the harts; harts=N",
	.spec = "ACLINT 1.0-rc4",
	.size = sizeof(struct aclint),
	.width_min = 4,
	.width_max = 8,
	.mmio = ACLINT_SIZE,
	.init = aclint_init,
	.fini = aclint_fini,
	.reset = aclint_reset,
	.read = aclint_read,
	.write = aclint_write,
	.state = aclint_state,
	.loaded = aclint_loaded,
};
