/* SPDX-License-Identifier: Apache-2.0 */
/* virtio: rings, feature negotiation and device life once, for every virtio device; transports
 * (MMIO, PCI) know no device and devices know no transport. Spec: VIRTIO 1.2.
 *
 * A device class fills struct virtio_class and gets its queues served on the loop thread with the
 * device's lock held (kicks from vCPUs are only a flag and a posted closure). */
#pragma once
#include "dev/dev.h"

enum {
	VIRTIO_QUEUES_MAX = 64,    /* per device */
	VIRTIO_QUEUE_SIZE = 256,   /* default ring size; a power of two up to 1024 */
	VIRTIO_CHAIN_MAX = 1024,   /* descriptors in one chain, indirect ones included */
	VIRTIO_CONFIG_MAX = 256,   /* bytes of device configuration space */
};
/* Device-independent feature bits. VIRTIO 1.2 §6 */
#define VIRTIO_F_INDIRECT_DESC (1ull << 28)
#define VIRTIO_F_EVENT_IDX (1ull << 29)
#define VIRTIO_F_VERSION_1 (1ull << 32)
#define VIRTIO_F_RING_PACKED (1ull << 34)
#define VIRTIO_F_IN_ORDER (1ull << 35)
#define VIRTIO_F_RING_RESET (1ull << 40)

/* A borrowed piece of guest memory, checked to be inside RAM. */
struct span {
	uint8_t *p;
	uint32_t len;
};

/* One descriptor chain, copied and checked by virtq_pop: @out spans are read by the device,
 * @in spans are written by it. It points into itself: pop into the storage where it stays. A
 * device may hold it across callbacks (spans stay valid as long as the machine's RAM, which is
 * never unmapped); a chain that outlived a reset of its queue is recognised and dropped by
 * virtq_push. Lengths come from the guest: bound the work done for one chain. */
struct chain {
	uint16_t head;             /* id to give back */
	uint16_t slots;            /* private: ring entries it takes */
	uint32_t epoch;            /* private: life of the queue it was taken in */
	uint16_t nout, nin;
	uint16_t next_out, next_in; /* cursor */
	uint32_t off_out, off_in;  /* bytes used of the span at the cursor */
	uint64_t out_len, in_len;  /* totals */
	struct span *out, *in;     /* into @spans */
	struct span spans[64];     /* chains with more pieces are gathered from the heap: @more */
	struct span *more;         /* owned; chain_fini frees it; NULL mostly */
};

struct virtio;
struct virtio_class {
	const char *name, *summary;
	size_t size;               /* of the instance; its first member is struct virtio */
	uint16_t device_id;        /* VIRTIO 1.2 §5 */
	uint32_t pci_class;        /* class code for the PCI transport, e.g. 0x020000 */
	uint32_t config_len;
	unsigned nqueues;          /* default; init may set v->nqueues */
	uint64_t features;         /* device-specific bits offered; init may add to v->offered */
	int (*init)(struct virtio *, struct lodge_err *);
	void (*fini)(struct virtio *);
	void (*reset)(struct virtio *);                        /* may be NULL */
	void (*serve)(struct virtio *, unsigned queue);        /* buffers came into @queue */
	void (*config_read)(struct virtio *, uint8_t *config); /* fill config_len bytes */
	/* may be NULL */
	void (*config_write)(struct virtio *, uint32_t off, const uint8_t *p, uint32_t len);
	void (*ready)(struct virtio *);                        /* DRIVER_OK was set; may be NULL */
	/* Finish and give back every chain that was taken, without @lock held; NULL: none is ever
	 * held between two serves. */
	void (*drain)(struct virtio *);
	/* State of a length that varies, behind all else; both NULL: none. As state_save; load_more
	 * comes after a reset and @loaded. */
	size_t (*save_more)(struct virtio *, uint8_t *buf, size_t cap);
	bool (*load_more)(struct virtio *, const uint8_t *buf, size_t len);
	const struct state_field *state; /* of the instance beyond struct virtio; NULL: nothing */
	/* The state was loaded: check what a stream could make impossible. False: damaged. */
	bool (*loaded)(struct virtio *);
};

struct virtq;               /* private to virtio.c */
struct virtio {
	struct dev_setup s;
	const struct virtio_class *class;
	pthread_mutex_t *lock;     /* the transport device's lock */
	uint64_t offered, acked;   /* feature bits */
	uint8_t status;            /* VIRTIO 1.2 §2.1 */
	unsigned nqueues;
	struct virtq *queues;      /* owned */
	void *transport;           /* for the transport's callback below */
	void (*notify)(void *transport, int queue); /* raise: queue index, -1: config change */
	uint32_t config_generation;
	uint16_t queue_size;        /* largest ring size offered; init may change it */
	/* private to virtio.c */
	uint64_t pending;           /* queues to serve, atomic */
	bool posted;                /* service is on the loop's list, atomic */
	bool serving;
	unsigned budget;            /* chains left in this service call */
	uint64_t again;             /* queues that used their budget up */
	struct span *spare;         /* owned: storage of the last long chain */
};

/* ---- for device classes ---- */
/* Take the next chain the driver offered. False: none (notifications are then re-enabled), or the
 * driver broke the ring: the device is in NEEDS_RESET and stays silent until reset. */
bool virtq_pop(struct virtio *v, unsigned queue, struct chain *ret) MUST;
/* How many the driver offers now: chains, or descriptors of a packed ring. */
unsigned virtq_offered(const struct virtio *v, unsigned queue);
/* Give a chain back with @written bytes in its in-spans, and notify when the driver wants it.
 * Frees chain->more. */
void virtq_push(struct virtio *v, unsigned queue, struct chain *c, uint32_t written);
/* Device memory access is over: engines learn that the in-spans were written. virtq_push and
 * virtq_unpop do it; for a chain that is finished otherwise. */
void chain_written(struct virtio *v, const struct chain *c);
/* Put a popped chain back as not taken (receive queues without room). Only the last popped. */
void virtq_unpop(struct virtio *v, unsigned queue, struct chain *c);
/* Forget a chain that will never be pushed (the device is being reset). */
void chain_fini(struct chain *c);
bool virtq_ready(const struct virtio *v, unsigned queue);
/* Next span of the chain; false at the end. */
bool chain_next_out(struct chain *c, struct span *ret) MUST;
bool chain_next_in(struct chain *c, struct span *ret) MUST;
/* Copy across span borders, advancing the cursor. Returns bytes copied (short at the end). */
size_t chain_read(struct chain *c, void *buf, size_t len);
size_t chain_write(struct chain *c, const void *buf, size_t len);
/* The driver did something that the specification forbids. */
void virtio_needs_reset(struct virtio *v, const char *why);
/* Config space changed: bump the generation and interrupt. */
void virtio_config_changed(struct virtio *v);
/* Ask for serve(queue) on the loop thread soon (after a backend became ready). Any thread. */
void virtio_kick(struct virtio *v, unsigned queue);
/* Is a driver at work? Device's lock held, or no more than a hint. */
bool virtio_up(const struct virtio *v);
static inline bool virtio_has(const struct virtio *v, uint64_t bit) { return v->acked & bit; }
/* Value of @key in the device's options, as dev_option. */
bool virtio_option(const struct virtio *v, const char *key, char *buf, size_t cap);

/* ---- for boards ---- */
const struct virtio_class *virtio_class_at(size_t i);           /* NULL past the end */
const struct virtio_class *virtio_class_find(const char *name); /* "blk", "net", ... */
extern const struct dev_class dev_virtio_mmio, dev_virtio_pci;
/* The virtio device behind a transport's dev; NULL for any other dev. */
struct virtio *virtio_of(struct dev *d);
/* Negotiated features, rings and the class's own state as bytes, and back; the transport's dev
 * does it in dev_save and dev_load. Nothing may be in flight (inuse of every queue 0). Returns
 * the bytes needed; writes nothing when that is more than @cap. */
size_t virtio_save(struct virtio *v, uint8_t *buf, size_t cap);
bool virtio_load(struct virtio *v, const uint8_t *buf, size_t len) MUST;
/* Chains that the device took and did not give back yet. Device's lock held. */
unsigned virtio_inflight(const struct virtio *v);
/* Wait for what the device does for the guest and give its chains back, so that virtio_save may
 * follow. No vCPU runs. Thread: the loop's, no lock held. */
void virtio_drain(struct virtio *v);
/* Make a virtio device behind an MMIO transport (a struct dev of dev_virtio_mmio). The dev owns
 * it: dev_free frees both. Map it with dev_map. VIRTIO 1.2 §4.2 */
int virtio_mmio_new(struct dev **ret, const struct virtio_class *c, const struct dev_setup *s,
                    struct lodge_err *e) MUST;
/* The same behind PCI: a function on bridge @host (dev/pci/pci.h), at the next free slot or at
 * that of the option "slot=N". §4.1 */
struct pci_host;
int virtio_pci_new(struct dev **ret, struct pci_host *host, const struct virtio_class *c,
                   const struct dev_setup *s, struct lodge_err *e) MUST;

/* ---- for levels: what the host asks of particular devices; each takes the device's lock ---- */
/* Backend of class "console": all borrowed. Without a named port it is a plain console; with one
 * it is multiport and the console is port 0. A NULL stream: bytes go nowhere. Names may also come
 * from the option "ports=NAME:NAME", in the order of @ports. A port's host input waits in its
 * stream until a program in the guest opens the port; nothing is lost on the way. */
enum { VIRTIO_CONSOLE_PORTS = 8 };
struct virtio_console_backend {
	struct chr *console;
	struct {
		const char *name;
		struct chr *chr;
	} ports[VIRTIO_CONSOLE_PORTS];
};
void virtio_console_resize(struct virtio *v, unsigned cols, unsigned rows);

/* What a disk may do in a second, and a network card in each direction; 0: no limit. What is more
 * waits in the rings. Thread: the loop's. */
void virtio_blk_limit(struct virtio *v, uint64_t requests_per_s, uint64_t bytes_per_s);
void virtio_net_limit(struct virtio *v, uint64_t bytes_per_s);

/* What a disk or a network card has moved since it was made: into the guest, and out of it. */
struct virtio_traffic {
	uint64_t in_bytes, out_bytes, in, out; /* requests; frames */
};
void virtio_blk_traffic(struct virtio *v, struct virtio_traffic *ret);
void virtio_net_traffic(struct virtio *v, struct virtio_traffic *ret);
/* The address of a network card. True: its driver still goes by @ret_was, the address of the guest
 * whose state this one goes on from (else both are the same). VIRTIO 1.2 §5.1.4 */
bool virtio_net_address(struct virtio *v, uint8_t ret_was[6], uint8_t ret_now[6]);
unsigned virtio_vsock_connections(struct virtio *v); /* open, or about to be */

/* Ask the guest to live with @target_bytes of its RAM. */
void virtio_balloon_set(struct virtio *v, uint64_t target_bytes);
/* What the guest last said of its memory (bytes; 0 before it spoke), and ask it to say it anew. */
struct virtio_balloon_stats {
	uint64_t target, actual;            /* RAM asked for and now held by the guest */
	uint64_t reported;                  /* released by free-page reporting so far */
	uint64_t free, total, available, caches, swap_in, swap_out;
	uint64_t major_faults, minor_faults; /* counts */
	uint64_t oom_kills;                  /* what it killed for want of memory since it booted */
	uint64_t updates;                   /* times the guest spoke */
};
void virtio_balloon_stats(struct virtio *v, struct virtio_balloon_stats *ret);
