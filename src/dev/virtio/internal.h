/* SPDX-License-Identifier: Apache-2.0 */
/* Between the rings, the device life and the transports. Spec: VIRTIO 1.2 §2.7, §2.8. */
#pragma once
#include "dev/virtio/virtio.h"
#include <endian.h>

/* Status bits. VIRTIO 1.2 §2.1 */
enum {
	STATUS_DRIVER_OK = 4,
	STATUS_FEATURES_OK = 8,
	STATUS_NEEDS_RESET = 64,
};
/* Descriptor flags, both kinds of ring. VIRTIO 1.2 §2.7.5, §2.8.1 */
enum {
	DESC_NEXT = 1,
	DESC_WRITE = 2,
	DESC_INDIRECT = 4,
	DESC_AVAIL = 1 << 7,
	DESC_USED = 1 << 15,
	DESC_LEN = 16,
};

struct virtq {
	/* written by the driver; fixed while enabled */
	uint64_t desc, driver, device; /* guest physical */
	uint16_t size;
	uint8_t enabled; /* flags here are bytes because a saved stream may hold any value */
	/* decided when enabled. Host addresses are kept because RAM is never unmapped; they are
	 * found again from the three above after a load. */
	uint8_t packed, event_idx, indirect;
	uint8_t *desc_p, *driver_p, *device_p;
	/* progress */
	uint16_t avail_pos;  /* split: free-running index; packed: ring slot */
	uint16_t avail_seen; /* split: the driver's index when last read */
	uint16_t used_pos;   /* as avail_pos */
	uint8_t avail_wrap, used_wrap;
	uint16_t inuse;      /* slots taken and not given back */
	uint32_t since;      /* slots given back since the last interrupt decision */
	uint32_t epoch;      /* counts lives of the queue */
};

/* One kind of ring. */
struct ring_ops {
	/* Lengths in bytes and alignments of the three areas: descriptor, driver, device. */
	void (*layout)(const struct virtq *q, uint32_t len[3]);
	bool (*available)(struct virtq *q);
	/* How many wait: chains, or descriptors of a packed ring. */
	unsigned (*offered)(const struct virtq *q);
	/* Take the chain at the front. NULL, or what the driver did wrong. */
	const char *(*pull)(struct virtio *v, struct virtq *q, struct chain *c);
	void (*put)(struct virtq *q, const struct chain *c, uint32_t written);
	/* Make everything put visible. */
	void (*publish)(struct virtq *q);
	/* Does the driver want to hear of the last q->since slots? After publish. */
	bool (*wanted)(const struct virtq *q);
	/* Ask the driver to notify for the next chain, or not to. */
	void (*listen)(struct virtq *q, bool on);
	void (*unpop)(struct virtq *q, const struct chain *c);
};
extern const struct ring_ops ring_split, ring_packed;

/* Ring fields are shared with running vCPUs: each is read and written in one piece. */
static inline uint16_t ring_load(const uint8_t *p)
{
	return le16toh(__atomic_load_n((const uint16_t *)(const void *)p, __ATOMIC_ACQUIRE));
}
static inline void ring_store(uint8_t *p, uint16_t val)
{
	__atomic_store_n((uint16_t *)(void *)p, htole16(val), __ATOMIC_RELEASE);
}
/* Was @event passed when the index went from @old to @now? VIRTIO 1.2 §2.7.10 */
static inline bool ring_passed(uint16_t event, uint16_t now, uint16_t old)
{
	return (uint16_t)(now - event - 1) < (uint16_t)(now - old);
}

/* ---- chains being built ---- */
void chain_init(struct chain *c, const struct virtq *q);
/* Append a piece. NULL, or what is wrong with it. */
const char *chain_add(struct virtio *v, struct chain *c, uint64_t addr, uint32_t len, bool in);
void chain_seal(struct chain *c);
/* An indirect table of @len bytes at @addr. NULL, or what is wrong. */
const char *chain_table(struct virtio *v, uint64_t addr, uint32_t len, const uint8_t **ret,
                        uint32_t *ret_n);

/* ---- queues, for the device life ---- */
/* Publish what was pushed and interrupt when the driver wants it. */
void virtq_flush(struct virtio *v, struct virtq *q);
/* No notifications while the queue is being served. */
void virtq_hush(struct virtio *v, struct virtq *q);
/* Find the ring's areas in RAM again (after a load). NULL, or what is wrong with them. */
const char *virtq_place(struct virtio *v, struct virtq *q);

/* ---- limits of devices (gate.c); all with the device's lock held, on the loop thread ---- */
struct gate {
	struct virtio *v;
	struct loop_timer *timer; /* owned; NULL: no loop, and so no limits */
	uint64_t waiting;         /* queues */
	unsigned turn;            /* who had it last */
};
int gate_init(struct gate *g, struct virtio *v, struct lodge_err *e) MUST;
void gate_fini(struct gate *g);
void gate_reset(struct gate *g);
/* @queue is served again at @due_ns, or soon after. */
void gate_hold(struct gate *g, unsigned queue, uint64_t due_ns);
/* A queue was served until it was empty: the next that waits comes. */
void gate_pass(struct gate *g);
/* rate_due and rate_take by the host's clock. */
uint64_t gate_rate_due(const struct gate *g, const struct rate *r);
void gate_rate_take(const struct gate *g, struct rate *r, uint64_t amount);
/* Change the limit @r; those that wait try again. 0: none. */
void gate_rate_set(struct gate *g, struct rate *r, uint64_t per_s);

/* ---- transports (all with the device's lock held) ---- */
/* Every transport's instance starts like this. */
struct virtio_dev {
	struct dev d;
	struct virtio *v; /* owned; NULL: an empty slot */
};
int virtio_new(struct virtio **ret, const struct virtio_class *c, const struct dev_setup *s,
               pthread_mutex_t *lock, struct lodge_err *e) MUST;
void virtio_free(struct virtio *v);  /* NULL is fine */
void virtio_reset(struct virtio *v); /* as the driver does by writing status 0 */
void virtio_status_set(struct virtio *v, uint8_t status);
uint32_t virtio_offered(const struct virtio *v, uint32_t half);
void virtio_accept(struct virtio *v, uint32_t half, uint32_t bits);
struct virtq *virtio_queue(struct virtio *v, uint32_t queue); /* NULL past the end */
/* Writes of a queue's registers: ignored while it is enabled. @half: 0 low, 1 high. */
void virtq_resize(struct virtq *q, const struct virtio *v, uint32_t size);
void virtq_address(const struct virtq *q, uint64_t *field, unsigned half, uint32_t val);
void virtq_enable(struct virtio *v, struct virtq *q);
void virtq_disable(struct virtio *v, struct virtq *q);
/* Device configuration space; outside it reads are 0 and writes are ignored. */
uint64_t virtio_config_get(struct virtio *v, uint64_t off, unsigned width);
void virtio_config_set(struct virtio *v, uint64_t off, unsigned width, uint64_t val);
