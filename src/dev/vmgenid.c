/* SPDX-License-Identifier: Apache-2.0 */
/* VM generation ID: 16 bytes that are others whenever the guest goes on from a saved state, and an
 * interrupt that says so: the guest's kernel then makes its random numbers anew. Nothing of it is
 * in the state: that is its point. Spec: VMGENID 2012 */
#include "dev/dev.h"

struct vmgenid {
	struct dev dev;
	uint8_t id[16];
	uint8_t changed; /* the guest has not looked yet: the line is high */
};

static const struct state_field vmgenid_state[] = { STATE_END };

static int vmgenid_init(struct dev *d, struct lodge_err *e)
{
	struct vmgenid *g = (struct vmgenid *)d;
	(void)e;
	/* where time is counted every run is the same */
	if (!d->s.clock || !vclock_is_counted(d->s.clock))
		host_random(g->id, sizeof g->id);
	return 0;
}

/* A new guest's kernel takes the id as it finds it. */
static void vmgenid_reset(struct dev *d)
{
	((struct vmgenid *)d)->changed = 0;
	irq_set(&d->irq, false);
}

static bool vmgenid_load_more(struct dev *d, const uint8_t *buf, size_t len)
{
	struct vmgenid *g = (struct vmgenid *)d;
	(void)buf;
	host_random(g->id, sizeof g->id);
	g->changed = 1;
	return len == 0;
}

static size_t vmgenid_save_more(struct dev *d, uint8_t *buf, size_t cap)
{
	(void)d, (void)buf, (void)cap;
	return 0;
}

static bool vmgenid_loaded(struct dev *d)
{
	struct vmgenid *g = (struct vmgenid *)d;
	g->changed &= 1;
	irq_set(&d->irq, g->changed);
	return true;
}

static uint64_t vmgenid_read(struct dev *d, uint64_t off, unsigned width)
{
	struct vmgenid *g = (struct vmgenid *)d;
	uint64_t v = 0;
	if (off + width > sizeof g->id)
		return 0;
	memcpy(&v, g->id + off, width);
	g->changed = 0;
	irq_set(&d->irq, false);
	return v;
}

static void vmgenid_write(struct dev *d, uint64_t off, unsigned width, uint64_t val)
{
	(void)d, (void)off, (void)width, (void)val;
}

const struct dev_class dev_vmgenid = {
	.name = "vmgenid",
	.summary = "tells the guest that it goes on from a saved state",
	.spec = "VMGENID 2012",
	.size = sizeof(struct vmgenid),
	.width_min = 1,
	.width_max = 8,
	.mmio = 0x1000,
	.init = vmgenid_init,
	.reset = vmgenid_reset,
	.read = vmgenid_read,
	.write = vmgenid_write,
	.state = vmgenid_state,
	.loaded = vmgenid_loaded,
	.save_more = vmgenid_save_more,
	.load_more = vmgenid_load_more,
};
