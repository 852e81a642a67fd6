/* SPDX-License-Identifier: Apache-2.0 */
/* Every virtio class: random fields come back, damage is refused. */
#include "dev/virtio/internal.h"
#include "test/test.h"

enum { STATE_MAX = 64 << 10, ROUNDS = 50 };

static uint64_t next(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	return *x ^= *x << 17;
}

static void table_scramble(const struct state_field *t, void *obj, uint64_t *seed)
{
	for (const struct state_field *f = t; t && f->name; f++)
		for (uint32_t i = 0; i < f->size; i++)
			((uint8_t *)obj + f->off)[i] = (uint8_t)next(seed);
}

/* Random fields of its class, and what a driver negotiated. A class refuses what it could not be
 * in; what it takes must come back the same, from a second save too. */
TEST(virtio_state_of_every_class_comes_back)
{
	static uint8_t a[STATE_MAX], b[STATE_MAX];
	const struct virtio_class *c;
	uint64_t seed = 88172645463325252u;
	for (size_t i = 0; (c = virtio_class_at(i)); i++) {
		unsigned taken = 0;
		struct dev *x = NULL, *y = NULL;
		struct dev_setup s = { .options = "tag=t" };
		CHECK(virtio_mmio_new(&x, c, &s, NULL) == 0 &&
		      virtio_mmio_new(&y, c, &s, NULL) == 0);
		for (unsigned round = 0; round < ROUNDS; round++) {
			struct virtio *v = virtio_of(x);
			v->acked = next(&seed) & v->offered;
			v->status = STATUS_FEATURES_OK | STATUS_DRIVER_OK;
			v->config_generation = (uint32_t)next(&seed);
			if (round)
				table_scramble(c->state, v, &seed);
			size_t n = dev_save(x, a, STATE_MAX);
			CHECK(n && n <= STATE_MAX);
			if (!dev_load(y, a, n))
				continue;
			taken++;
			/* what load tidied up stays as it is */
			CHECK(dev_save(y, a, STATE_MAX) == n && dev_load(x, a, n));
			CHECK(dev_save(x, b, STATE_MAX) == n && !memcmp(a, b, n));
			CHECK(!dev_load(y, a, n - 1) && !dev_load(y, a, n / 2));
		}
		CHECK(taken > 0);
		dev_free(x);
		dev_free(y);
	}
}
