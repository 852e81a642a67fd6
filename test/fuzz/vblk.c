/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz virtio-blk with a disk behind it and a hostile driver before it: the input is the guest's
 * memory (rings, headers and data) and a row of kicks, resets and register writes. */
#include "blk/blk.h"
#include "dev/virtio/internal.h"
#include <stdio.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { RAM = 1 << 20, DISK = 1 << 18, QUEUES = 2, RING = 0x4000, STEPS = 32, INDEX = 0x1000,
       BUDGET = 16 };
static const uint64_t base = 0x80000000;

static void driver_start(struct virtio *v, uint8_t how)
{
	virtio_status_set(v, 0);
	virtio_status_set(v, 3);
	uint32_t features = virtio_offered(v, 0);
	if (how & 1)
		features &= ~(uint32_t)VIRTIO_F_EVENT_IDX;
	if (how & 2)
		features &= 0xffff0000u;
	virtio_accept(v, 0, features);
	virtio_accept(v, 1, virtio_offered(v, 1) & (how & 4 ? 0x5 : 0x1));
	virtio_status_set(v, 11);
	for (unsigned i = 0; i < v->nqueues; i++) {
		struct virtq *q = virtio_queue(v, i);
		virtq_resize(q, v, how & 8 ? 8 : 64);
		q->desc = base + i * RING;
		q->driver = q->desc + INDEX;
		q->device = q->desc + 2 * INDEX;
		virtq_enable(v, q);
	}
	v->serving = true; /* not yet: driver_kick serves */
	virtio_status_set(v, 15);
	v->serving = false;
}

/* Serve a queue as the loop would, but with a budget that keeps one input short. */
static void driver_kick(struct virtio *v, unsigned queue)
{
	v->serving = true;
	v->budget = BUDGET;
	v->class->serve(v, queue);
	v->serving = false;
	virtq_flush(v, virtio_queue(v, queue));
}

/* An index that says that some chains are there, wherever the input put garbage. */
static void driver_offer(struct mem *m, unsigned queue, uint8_t n)
{
	uint8_t *avail = mem_host(m) + queue * RING + INDEX;
	le16_put(avail + 2, (uint16_t)(le16_at(avail + 2) + n % 16));
}

static void driver_steps(struct virtio *v, struct mem *m, const uint8_t *s, unsigned n)
{
	for (; n > 0; n--, s += 2) {
		unsigned queue = s[1] % QUEUES;
		switch (s[0] % 8) {
		case 0: driver_start(v, s[1]); break;
		case 1: virtio_config_set(v, 32, 1, s[1]); break;
		case 2: (void)virtio_config_get(v, s[1], 4); break;
		case 3: driver_kick(v, queue); break;
		default:
			driver_offer(m, queue, s[0] >> 3);
			driver_kick(v, queue);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char path[64];
	struct mem *m;
	struct virtio *v;
	struct blk *b;
	if (len < 2 * STEPS + 1)
		return 0;
	autoclose int fd = memfd_create("disk", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, DISK) < 0 || mem_new(&m, gpa(base), RAM, NULL) < 0)
		return 0;
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	struct blk_options o = { .path = path, .format = "raw", .readonly = data[0] & 128 };
	if (blk_open(&b, &o, NULL, NULL) < 0)
		abort();
	struct dev_setup s = { .mem = m, .backend = b, .options = "queues=2,packed=on,serial=x" };
	if (virtio_new(&v, virtio_class_find("blk"), &s, NULL, NULL) < 0)
		abort();
	memcpy(mem_host(m), data + 2 * STEPS + 1, min_u64(len - 2 * STEPS - 1, RAM));
	driver_start(v, data[0]);
	driver_steps(v, m, data + 1, STEPS);
	virtio_free(v);
	if (blk_close(b) < 0)
		__builtin_trap();
	mem_free(m);
	return 0;
}
