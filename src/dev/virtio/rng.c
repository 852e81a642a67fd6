/* SPDX-License-Identifier: Apache-2.0 */
/* Entropy for the guest, from the host kernel. Spec: VIRTIO 1.2 §5.4 */
#include "dev/virtio/virtio.h"

enum { CHUNK = 64 * 1024 }; /* more than any driver asks for; bounds the work of one request */

struct rng {
	struct virtio v;
};

static void rng_serve(struct virtio *v, unsigned queue)
{
	struct chain c;
	while (virtq_pop(v, queue, &c)) {
		uint32_t n = 0;
		for (struct span s; n < CHUNK && chain_next_in(&c, &s); n += s.len) {
			s.len = (uint32_t)min_u64(s.len, CHUNK - n);
			host_random(s.p, s.len);
		}
		virtq_push(v, queue, &c, n);
	}
}

const struct virtio_class virtio_rng = {
	.name = "rng", .summary = "entropy source", .size = sizeof(struct rng),
	.device_id = 4, .pci_class = 0x100000, .nqueues = 1,
	.serve = rng_serve,
};
