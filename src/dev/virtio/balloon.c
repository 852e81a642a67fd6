/* SPDX-License-Identifier: Apache-2.0 */
/* Memory given back: balloon, statistics, free-page reporting. Spec: VIRTIO 1.2 §5.5
 *
 * Drivers number the queues of features they do not use away (Linux) or keep the numbers of the
 * specification. Both work: 2 is statistics when that was accepted, any queue from 2 on that is
 * not statistics is reporting. */
#include "dev/virtio/virtio.h"

enum {
	DEVICE_ID = 5,
	F_STATS_VQ = 1 << 1,
	F_DEFLATE_ON_OOM = 1 << 2,
	F_REPORTING = 1 << 5,

	INFLATE = 0,
	DEFLATE = 1,
	STATS = 2,
	PFN_SHIFT = 12,
	PFNS_MAX = 16384, /* of one chain; drivers send 256 */
	STATS_MAX = 64,   /* entries looked at */
	STAT_OOM_KILL = 10, /* of Linux 6.12 and later, not in the specification */
	STAT_LEN = 10,
};

struct balloon {
	struct virtio v;
	uint32_t wanted, actual; /* frames in the balloon */
	uint64_t reported;
	uint64_t stats[8];       /* by tag */
	uint64_t oom_kills;
	uint64_t updates;
	uint8_t ask;              /* give the statistics buffer back to have it filled anew */
};

/* A run of frames being gathered, so that neighbours cost one call. */
struct run {
	uint64_t first, n;
};

static void run_release(struct balloon *b, struct run *r)
{
	if (r->n)
		mem_release(b->v.s.mem, gpa(r->first << PFN_SHIFT), r->n << PFN_SHIFT);
	r->n = 0;
}

static void run_add(struct balloon *b, struct run *r, uint64_t pfn)
{
	if (r->n && pfn + 1 == r->first) {
		r->first = pfn;
		r->n++;
	} else if (r->n && pfn == r->first + r->n) {
		r->n++;
	} else {
		run_release(b, r);
		*r = (struct run){ pfn, 1 };
	}
}

static void balloon_inflate(struct balloon *b, struct chain *c)
{
	struct run r = { 0, 0 };
	uint8_t pfn[4];
	for (unsigned i = 0; i < PFNS_MAX && chain_read(c, pfn, sizeof pfn) == sizeof pfn; i++)
		run_add(b, &r, le32_at(pfn));
	run_release(b, &r);
}

/* The guest's free ranges are the spans that we may write: they become holes. */
static void balloon_report(struct balloon *b, struct chain *c)
{
	struct mem *m = b->v.s.mem;
	for (struct span s; chain_next_in(c, &s);) {
		uint64_t off = (uint64_t)(s.p - mem_host(m));
		b->reported += mem_release(m, gpa(mem_base(m).a + off), s.len);
	}
}

static void balloon_stats_read(struct balloon *b, struct chain *c)
{
	uint8_t s[STAT_LEN];
	for (unsigned i = 0; i < STATS_MAX && chain_read(c, s, sizeof s) == sizeof s; i++)
		if (le16_at(s) < countof(b->stats))
			b->stats[le16_at(s)] = le64_at(s + 2);
		else if (le16_at(s) == STAT_OOM_KILL)
			b->oom_kills = le64_at(s + 2);
	b->updates++;
}

/* The driver leaves one filled buffer with us; giving it back asks for fresh numbers. The ring is
 * then looked at until it is empty: only so does the driver know that it is to notify. */
static void balloon_stats_serve(struct balloon *b)
{
	struct chain c;
	while (virtq_pop(&b->v, STATS, &c)) {
		if (!b->ask) {
			balloon_stats_read(b, &c);
			virtq_unpop(&b->v, STATS, &c);
			return;
		}
		b->ask = false;
		virtq_push(&b->v, STATS, &c, 0);
	}
}

static void balloon_serve(struct virtio *v, unsigned queue)
{
	struct balloon *b = (struct balloon *)v;
	struct chain c;
	if (queue == STATS && virtio_has(v, F_STATS_VQ)) {
		balloon_stats_serve(b);
		return;
	}
	while (virtq_pop(v, queue, &c)) {
		if (queue == INFLATE)
			balloon_inflate(b, &c);
		else if (queue != DEFLATE && virtio_has(v, F_REPORTING))
			balloon_report(b, &c);
		virtq_push(v, queue, &c, 0);
	}
}

void virtio_balloon_set(struct virtio *v, uint64_t target_bytes)
{
	struct balloon *b = (struct balloon *)v;
	assert(v->class->device_id == DEVICE_ID);
	uint64_t ram = v->s.mem ? mem_size(v->s.mem) : 0;
	pthread_mutex_lock(v->lock);
	b->wanted = target_bytes < ram ? (uint32_t)((ram - target_bytes) >> PFN_SHIFT) : 0;
	virtio_config_changed(v);
	pthread_mutex_unlock(v->lock);
}

void virtio_balloon_stats(struct virtio *v, struct virtio_balloon_stats *ret)
{
	struct balloon *b = (struct balloon *)v;
	assert(v->class->device_id == DEVICE_ID);
	uint64_t ram = v->s.mem ? mem_size(v->s.mem) : 0;
	pthread_mutex_lock(v->lock);
	const uint64_t *s = b->stats;
	*ret = (struct virtio_balloon_stats){
		.target = ram - ((uint64_t)b->wanted << PFN_SHIFT),
		.actual = ram - min_u64(ram, (uint64_t)b->actual << PFN_SHIFT),
		.reported = b->reported, .updates = b->updates,
		.swap_in = s[0], .swap_out = s[1], .major_faults = s[2], .minor_faults = s[3],
		.free = s[4], .total = s[5], .available = s[6], .caches = s[7],
		.oom_kills = b->oom_kills,
	};
	if (virtio_has(v, F_STATS_VQ)) {
		b->ask = true;
		virtio_kick(v, STATS);
	}
	pthread_mutex_unlock(v->lock);
}

static void balloon_config_read(struct virtio *v, uint8_t *config)
{
	struct balloon *b = (struct balloon *)v;
	le32_put(config, b->wanted);
	le32_put(config + 4, b->actual);
}

static void balloon_config_write(struct virtio *v, uint32_t off, const uint8_t *p, uint32_t len)
{
	struct balloon *b = (struct balloon *)v;
	if (off == 4 && len == 4)
		b->actual = le32_at(p);
}

static void balloon_reset(struct virtio *v)
{
	struct balloon *b = (struct balloon *)v;
	b->actual = 0;
	b->ask = false;
	memset(b->stats, 0, sizeof b->stats);
	b->oom_kills = 0;
}

static const struct state_field balloon_state[] = {
	STATE(struct balloon, wanted, 1), STATE(struct balloon, actual, 1),
	STATE(struct balloon, reported, 1), STATE(struct balloon, stats, 1),
	STATE(struct balloon, updates, 1), STATE(struct balloon, ask, 1),
	STATE(struct balloon, oom_kills, 2), STATE_END
};

const struct virtio_class virtio_balloon = {
	.name = "balloon", .summary = "gives the guest's unused memory back",
	.size = sizeof(struct balloon), .device_id = DEVICE_ID, .pci_class = 0x050000,
	.config_len = 8, .nqueues = 5,
	.features = F_STATS_VQ | F_DEFLATE_ON_OOM | F_REPORTING,
	.reset = balloon_reset, .serve = balloon_serve,
	.config_read = balloon_config_read, .config_write = balloon_config_write,
	.state = balloon_state,
};
