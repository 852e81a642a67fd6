/* SPDX-License-Identifier: Apache-2.0 */
/* SiFive test finisher: the guest writes how it ended. Spec: FINISHER 1 */
#include "dev/dev.h"

enum { FINISHER_FAIL = 0x3333, FINISHER_PASS = 0x5555, FINISHER_RESET = 0x7777 };

struct finisher {
	struct dev dev;
	uint32_t last; /* what was written, readable back */
};

static const struct state_field finisher_state[] = { STATE(struct finisher, last, 1), STATE_END };

static void finisher_reset(struct dev *d) { ((struct finisher *)d)->last = 0; }

static uint64_t finisher_read(struct dev *d, uint64_t off, unsigned width)
{
	(void)width;
	return off == 0 ? ((struct finisher *)d)->last : 0;
}

/* The low half says what, the high half the exit code of a failure. A 16-bit write is a whole
 * command. FINISHER 1 §1 */
static void finisher_write(struct dev *d, uint64_t off, unsigned width, uint64_t val)
{
	struct finisher *f = (struct finisher *)d;
	(void)width;
	if (off != 0)
		return;
	f->last = (uint32_t)val;
	if (!d->s.event)
		return;
	switch (val & 0xffff) {
	case FINISHER_PASS: d->s.event(d->s.user, DEV_POWEROFF, 0); break;
	case FINISHER_FAIL: d->s.event(d->s.user, DEV_POWEROFF, (int)(f->last >> 16)); break;
	case FINISHER_RESET: d->s.event(d->s.user, DEV_RESET, 0); break;
	default: log_guest(d->s.log, "finisher: unknown command 0x%x", f->last);
	}
}

const struct dev_class dev_finisher = {
	.name = "finisher",
	.summary = "power off, reset and exit code by one register",
	.spec = "FINISHER 1",
	.size = sizeof(struct finisher),
	.width_min = 2,
	.width_max = 4,
	.mmio = 0x1000,
	.reset = finisher_reset,
	.read = finisher_read,
	.write = finisher_write,
	.state = finisher_state,
};
