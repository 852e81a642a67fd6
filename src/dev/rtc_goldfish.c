/* SPDX-License-Identifier: Apache-2.0 */
/* Goldfish real-time clock: wall time in ns and one alarm. Spec: GOLDFISH 2019 §RTC */
#include "dev/dev.h"

enum {
	RTC_TIME_LOW = 0x00,  /* read latches the high half; write sets */
	RTC_TIME_HIGH = 0x04, /* of the last read of TIME_LOW */
	RTC_ALARM_LOW = 0x08, /* write arms */
	RTC_ALARM_HIGH = 0x0c,
	RTC_IRQ_ENABLED = 0x10,
	RTC_CLEAR_ALARM = 0x14,
	RTC_ALARM_STATUS = 0x18,
	RTC_CLEAR_IRQ = 0x1c,
	RTC_SIZE = 0x1000,
};
/* Look at least this often while an alarm is armed: the host's clock may be stepped. */
static const uint64_t RTC_LOOK_NS = 60 * 1000000000ull;

struct rtc {
	struct dev dev;
	int64_t offset_ns;     /* guest's wall time minus the host's: the guest may set its clock */
	uint64_t alarm_ns;     /* since 1970 UTC */
	uint32_t latched_high; /* TIME_HIGH as of the last TIME_LOW read */
	uint8_t armed, enabled, pending;
	struct loop_timer *timer; /* owned */
};

static const struct state_field rtc_state[] = {
	STATE(struct rtc, offset_ns, 1), STATE(struct rtc, alarm_ns, 1),
	STATE(struct rtc, latched_high, 1), STATE(struct rtc, armed, 1),
	STATE(struct rtc, enabled, 1), STATE(struct rtc, pending, 1), STATE_END
};

/* Where time is counted, every run starts on the same day. */
static uint64_t rtc_now(const struct rtc *r)
{
	const uint64_t day_ns = UINT64_C(1735689600000000000); /* 2025-01-01 */
	const struct vclock *c = r->dev.s.clock;
	bool counted = c && vclock_is_counted(c);
	return (counted ? day_ns + vclock_ns(c) : host_realtime_ns()) + (uint64_t)r->offset_ns;
}

/* Ring when due, or sleep until then. */
static void rtc_update(struct rtc *r)
{
	uint64_t now = rtc_now(r), wake = UINT64_MAX;
	if (r->armed && now >= r->alarm_ns) {
		r->armed = false;
		r->pending = true;
	}
	if (r->armed)
		wake = host_monotonic_ns() + min_u64(r->alarm_ns - now, RTC_LOOK_NS);
	if (r->timer)
		loop_timer_set(r->timer, wake);
	irq_set(&r->dev.irq, r->pending && r->enabled);
}

static void rtc_fire(void *arg) { rtc_update(arg); }

static int rtc_init(struct dev *d, struct lodge_err *e)
{
	struct rtc *r = (struct rtc *)d;
	return d->s.loop ? loop_timer_new(&r->timer, d->s.loop, &d->lock, rtc_fire, r, e) : 0;
}

static void rtc_fini(struct dev *d) { loop_timer_free(((struct rtc *)d)->timer); }

static bool rtc_loaded(struct dev *d)
{
	struct rtc *r = (struct rtc *)d;
	r->armed &= 1;
	r->enabled &= 1;
	r->pending &= 1;
	rtc_update(r);
	return true;
}

/* What the guest had set its clock to is forgotten. */
static void rtc_reset(struct dev *d)
{
	struct rtc *r = (struct rtc *)d;
	r->offset_ns = 0;
	r->alarm_ns = r->latched_high = 0;
	r->armed = r->enabled = r->pending = false;
	rtc_update(r);
}

static uint64_t rtc_read(struct dev *d, uint64_t off, unsigned width)
{
	struct rtc *r = (struct rtc *)d;
	uint64_t now;
	(void)width;
	switch (off) {
	case RTC_TIME_LOW:
		now = rtc_now(r); /* latch, so that low and high agree */
		r->latched_high = (uint32_t)(now >> 32);
		return (uint32_t)now;
	case RTC_TIME_HIGH: return r->latched_high;
	case RTC_ALARM_LOW: return (uint32_t)r->alarm_ns;
	case RTC_ALARM_HIGH: return r->alarm_ns >> 32;
	case RTC_IRQ_ENABLED: return r->enabled;
	case RTC_ALARM_STATUS: return r->armed;
	default: return 0;
	}
}

/* Set one half of the clock and leave the other running. */
static void rtc_step(struct rtc *r, unsigned shift, uint64_t half)
{
	uint64_t now = rtc_now(r);
	uint64_t then = (now & ~(0xffffffffull << shift)) | half << shift;
	r->offset_ns = (int64_t)((uint64_t)r->offset_ns + (then - now));
}

static void rtc_write(struct dev *d, uint64_t off, unsigned width, uint64_t val)
{
	struct rtc *r = (struct rtc *)d;
	(void)width;
	switch (off) {
	case RTC_TIME_LOW: rtc_step(r, 0, val); break;
	case RTC_TIME_HIGH: rtc_step(r, 32, val); break;
	case RTC_ALARM_LOW:
		r->alarm_ns = (r->alarm_ns >> 32 << 32) | val;
		r->armed = true;
		break;
	case RTC_ALARM_HIGH: r->alarm_ns = (uint32_t)r->alarm_ns | val << 32; break;
	case RTC_IRQ_ENABLED: r->enabled = val & 1; break;
	case RTC_CLEAR_ALARM: r->armed = false; break;
	case RTC_CLEAR_IRQ: r->pending = false; break;
	default: return;
	}
	rtc_update(r);
}

const struct dev_class dev_rtc_goldfish = {
	.name = "rtc-goldfish",
	.summary = "wall clock with one alarm",
	.spec = "GOLDFISH 2019",
	.size = sizeof(struct rtc),
	.width_min = 4,
	.width_max = 4,
	.mmio = RTC_SIZE,
	.init = rtc_init,
	.fini = rtc_fini,
	.reset = rtc_reset,
	.read = rtc_read,
	.write = rtc_write,
	.state = rtc_state,
	.loaded = rtc_loaded,
};
