/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-blk: a disk. Data goes straight between the host file and guest memory; requests run
 * out of order, several at a time. Spec: VIRTIO 1.2 §5.2
 *
 * Who touches what: serve, reset and batch hold the device's lock; done holds none and runs only
 * on the loop thread, so it touches nothing but its request and the list of finished ones. */
#include "blk/blk.h"
#include "dev/virtio/internal.h"
#include <stdio.h>

/* Feature bits. VIRTIO 1.2 §5.2.3 */
enum {
	F_SEG_MAX = 1 << 2,
	F_RO = 1 << 5,
	F_BLK_SIZE = 1 << 6,
	F_FLUSH = 1 << 9,
	F_TOPOLOGY = 1 << 10,
	F_CONFIG_WCE = 1 << 11,
	F_MQ = 1 << 12,
	F_DISCARD = 1 << 13,
	F_WRITE_ZEROES = 1 << 14,
};
/* Requests and their status. §5.2.6 */
enum {
	T_IN = 0,
	T_OUT = 1,
	T_FLUSH = 4,
	T_GET_ID = 8,
	T_DISCARD = 11,
	T_WRITE_ZEROES = 13,
	S_OK = 0,
	S_IOERR = 1,
	S_UNSUPP = 2,
	HEADER_LEN = 16,
	ID_LEN = 20,
	RANGE_LEN = 16,
	RANGE_UNMAP = 1,
};
enum {
	SECTOR_SHIFT = 9,
	SEGMENTS_MAX = 126,       /* pieces of data in one request */
	RANGES_MAX = 16,          /* of one discard or write-zeroes */
	RANGE_SECTORS_MAX = 1 << 22,
	DATA_MAX = 1 << 30,       /* bytes of one request: far above what a driver sends */
	IN_FLIGHT_MAX = 128,      /* per device: bounds what the guest makes us hold */
	CONFIG_LEN = 60,
	CONFIG_WRITEBACK = 32,
};

struct vblk;

struct range {
	uint64_t sector;
	uint32_t sectors;
	bool unmap;
};

/* One request in flight. */
struct request {
	struct blk_req r;
	struct vblk *d;
	struct request *next;      /* in free or finished */
	uint8_t *status;           /* in guest memory; valid while the queue lives its epoch */
	uint32_t epoch, written;
	uint16_t head, slots, queue;
	uint8_t verdict;
	bool reads;                /* the data goes into guest memory */
	bool flush_after;          /* the driver wants it on stable storage at once */
	unsigned nranges, at_range;
	struct range ranges[RANGES_MAX];
	struct iovec iov[SEGMENTS_MAX + 2];
};

struct vblk {
	struct virtio v;
	struct blk *b;             /* borrowed; NULL: an empty disk */
	uint8_t writeback;
	char serial[ID_LEN + 1];
	unsigned in_flight;
	uint64_t starved;          /* queues that wait for a free request */
	struct request *free;      /* owned */
	struct request *finished, **finished_tail; /* loop thread only */
	struct chain chain;        /* being looked at */
	struct rate requests, bytes;
	struct gate gate;          /* of the two */
	struct virtio_traffic traffic;
};

extern const struct virtio_class virtio_blk;
static struct vblk *vblk_of(struct virtio *v) { return container_of(v, struct vblk, v); }

/* ---- requests ---- */

static struct request *request_new(struct vblk *d)
{
	struct request *q = d->free;
	if (q)
		d->free = q->next;
	else if (d->in_flight < IN_FLIGHT_MAX)
		q = malloc(sizeof *q);
	if (!q)
		return NULL;
	d->in_flight++;
	q->d = d;
	q->next = NULL;
	q->nranges = q->at_range = 0;
	q->flush_after = q->reads = false;
	q->verdict = S_OK;
	return q;
}

static void request_free(struct vblk *d, struct request *q)
{
	q->next = d->free;
	d->free = q;
	d->in_flight--;
}

/* Give the chain back with its status, unless its queue was reset meanwhile: then the memory
 * belongs to the guest again. Lock held. */
static void request_answer(struct vblk *d, struct request *q)
{
	struct chain *c = &d->chain;
	bool sure = q->verdict == S_OK || q->written == 1; /* all of it was written */
	if (q->reads)
		for (int i = 0; i < q->r.niov; i++)
			mem_written_host(d->v.s.mem, q->iov[i].iov_base, q->iov[i].iov_len);
	if (d->v.queues[q->queue].epoch == q->epoch) {
		*q->status = q->verdict;
		mem_written_host(d->v.s.mem, q->status, 1);
		c->nin = 0; /* its spans are gone; what was written is noted above */
		c->head = q->head;
		c->slots = q->slots;
		c->epoch = q->epoch;
		c->more = NULL;
		virtq_push(&d->v, q->queue, c, sure ? q->written : 0);
	}
	request_free(d, q);
}

static void request_range(struct request *q)
{
	const struct range *g = &q->ranges[q->at_range++];
	q->r.off = g->sector << SECTOR_SHIFT;
	q->r.len = (uint64_t)g->sectors << SECTOR_SHIFT;
	q->r.may_unmap = g->unmap;
	blk_submit(q->d->b, &q->r);
}

/* One step of a request ended: the next range, the flush of write-through, or the end. */
static void request_done(struct blk_req *r, int result)
{
	struct request *q = container_of(r, struct request, r);
	struct vblk *d = q->d;
	if (result < 0) {
		q->verdict = S_IOERR;
		log_guest(d->v.s.log, "virtio-blk: %s at %llu failed: %s",
		          r->op == BLK_READ ? "read" : r->op == BLK_FLUSH ? "flush" : "write",
		          (unsigned long long)r->off, strerror(-result));
	} else if (q->at_range < q->nranges) {
		request_range(q);
		return;
	} else if (q->flush_after) {
		q->flush_after = false;
		r->op = BLK_FLUSH;
		blk_submit(d->b, r);
		return;
	}
	q->next = NULL;
	*d->finished_tail = q;
	d->finished_tail = &q->next;
}

/* Answer what has finished, all queues with at most one interrupt each. Lock held. */
static void vblk_answer(struct vblk *d)
{
	bool serving = d->v.serving;
	uint64_t touched = 0;
	struct request *q = d->finished;
	d->finished = NULL;
	d->finished_tail = &d->finished;
	d->v.serving = true; /* gather the interrupts */
	for (struct request *next; q; q = next) {
		next = q->next;
		touched |= 1ull << q->queue;
		request_answer(d, q);
	}
	d->v.serving = serving;
	for (unsigned i = 0; i < d->v.nqueues && !serving; i++)
		if (touched >> i & 1)
			virtq_flush(&d->v, &d->v.queues[i]);
	for (unsigned i = 0; i < d->v.nqueues; i++)
		if (d->starved >> i & 1)
			virtio_kick(&d->v, i);
	d->starved = 0;
}

static void vblk_batch(void *arg)
{
	struct vblk *d = arg;
	if (d->v.lock)
		pthread_mutex_lock(d->v.lock);
	vblk_answer(d);
	if (d->v.lock)
		pthread_mutex_unlock(d->v.lock);
}

/* ---- what the driver asks ---- */

static bool vblk_writes_through(const struct vblk *d)
{
	if (virtio_has(&d->v, F_CONFIG_WCE))
		return !d->writeback;
	return !virtio_has(&d->v, F_FLUSH);
}

/* The data pieces of the chain as buffers. False: too many, or not whole sectors of the disk. */
static bool request_data(struct request *q, struct chain *c, bool in, uint64_t sector)
{
	uint64_t left = in ? c->in_len - 1 : c->out_len - HEADER_LEN;
	uint64_t size = blk_size(q->d->b);
	q->r.niov = 0;
	q->r.iov = q->iov;
	q->r.len = left;
	q->r.off = sector << SECTOR_SHIFT;
	if (left % (1 << SECTOR_SHIFT) || left > DATA_MAX || sector > size >> SECTOR_SHIFT ||
	    left > size - q->r.off)
		return false;
	for (struct span s; left > 0 && (in ? chain_next_in(c, &s) : chain_next_out(c, &s));) {
		if (q->r.niov == (int)countof(q->iov))
			return false;
		size_t n = (size_t)min_u64(left, s.len);
		q->iov[q->r.niov++] = (struct iovec){ s.p, n };
		left -= n;
	}
	return left == 0;
}

/* The ranges of a discard or write-zeroes. S_OK, or the status to answer. */
static uint8_t request_ranges(struct request *q, struct chain *c, bool discard)
{
	uint64_t n = (c->out_len - HEADER_LEN) / RANGE_LEN;
	uint64_t sectors = blk_size(q->d->b) >> SECTOR_SHIFT;
	if ((c->out_len - HEADER_LEN) % RANGE_LEN || n == 0 || n > RANGES_MAX)
		return S_IOERR;
	for (unsigned i = 0; i < n; i++) {
		uint8_t raw[RANGE_LEN];
		(void)chain_read(c, raw, sizeof raw);
		uint32_t flags = le32_at(raw + 12);
		struct range *g = &q->ranges[i];
		*g = (struct range){ le64_at(raw), le32_at(raw + 8), flags & RANGE_UNMAP };
		if (flags & ~(uint32_t)RANGE_UNMAP || (discard && flags))
			return S_UNSUPP;
		if (g->sectors > RANGE_SECTORS_MAX || g->sector > sectors ||
		    g->sectors > sectors - g->sector)
			return S_IOERR;
	}
	q->nranges = (unsigned)n;
	return S_OK;
}

/* S_OK: submitted. Anything else is the answer. */
static uint8_t request_start(struct vblk *d, struct request *q, struct chain *c, uint32_t type,
                             uint64_t sector)
{
	bool writes = type == T_OUT || type == T_DISCARD || type == T_WRITE_ZEROES;
	if (!d->b || (writes && blk_readonly(d->b)))
		return S_IOERR;
	q->r.done = request_done;
	q->r.may_unmap = false;
	*(type == T_IN ? &d->traffic.in : &d->traffic.out) += 1;
	q->flush_after = writes && type != T_DISCARD && vblk_writes_through(d);
	if (type == T_IN || type == T_OUT) {
		q->r.op = type == T_IN ? BLK_READ : BLK_WRITE;
		if (!request_data(q, c, type == T_IN, sector))
			return S_IOERR;
		q->reads = type == T_IN;
		*(q->reads ? &d->traffic.in_bytes : &d->traffic.out_bytes) += q->r.len;
		blk_submit(d->b, &q->r);
	} else if (type == T_FLUSH) {
		q->r.op = BLK_FLUSH;
		q->r.off = q->r.len = 0;
		blk_submit(d->b, &q->r);
	} else {
		q->r.op = type == T_DISCARD ? BLK_DISCARD : BLK_ZERO;
		uint8_t bad = request_ranges(q, c, type == T_DISCARD);
		if (bad)
			return bad;
		request_range(q);
	}
	return S_OK;
}

/* Look at the chain in d->chain and start what it asks, or answer at once. */
static void vblk_request(struct vblk *d, unsigned queue, struct request *q)
{
	struct chain *c = &d->chain;
	uint8_t header[HEADER_LEN];
	q->head = c->head;
	q->slots = c->slots;
	q->epoch = c->epoch;
	q->queue = (uint16_t)queue;
	q->written = (uint32_t)c->in_len;
	q->status = c->in[c->nin - 1].p + c->in[c->nin - 1].len - 1;
	(void)chain_read(c, header, sizeof header);
	uint32_t type = le32_at(header);
	uint8_t verdict = S_UNSUPP;
	bool known = type == T_IN || type == T_OUT || type == T_FLUSH ||
	             (type == T_DISCARD && virtio_has(&d->v, F_DISCARD)) ||
	             (type == T_WRITE_ZEROES && virtio_has(&d->v, F_WRITE_ZEROES));
	if (known) {
		verdict = request_start(d, q, c, type, le64_at(header + 8));
		if (verdict == S_OK) {
			chain_fini(c);
			return;
		}
	} else if (type == T_GET_ID) {
		verdict = c->in_len > 1 ? S_OK : S_IOERR;
		size_t n = chain_write(c, d->serial, min_u64(ID_LEN, c->in_len - 1));
		chain_written(&d->v, c);
		q->written = (uint32_t)n + 1;
	}
	q->verdict = verdict;
	chain_fini(c);
	request_answer(d, q);
}

/* When the limits let the next request pass; 0: now. */
static uint64_t vblk_due(const struct vblk *d)
{
	uint64_t a = gate_rate_due(&d->gate, &d->requests);
	uint64_t b = gate_rate_due(&d->gate, &d->bytes);
	return a > b ? a : b;
}

/* The request in d->chain passes: its data is all but header and status. */
static void vblk_count(struct vblk *d)
{
	uint64_t all = d->chain.in_len + d->chain.out_len;
	gate_rate_take(&d->gate, &d->requests, 1);
	gate_rate_take(&d->gate, &d->bytes, all - min_u64(all, HEADER_LEN + 1));
}

static void vblk_serve(struct virtio *v, unsigned queue)
{
	struct vblk *d = vblk_of(v);
	uint64_t due;
	if (d->b)
		blk_plug(d->b);
	for (;;) {
		if ((due = vblk_due(d))) {
			gate_hold(&d->gate, queue, due);
			break;
		}
		struct request *q = request_new(d);
		if (!q) {
			d->starved |= 1ull << queue; /* vblk_answer comes back */
			break;
		}
		if (!virtq_pop(v, queue, &d->chain)) {
			request_free(d, q);
			gate_pass(&d->gate);
			break;
		}
		vblk_count(d);
		if (d->chain.out_len < HEADER_LEN || d->chain.in_len == 0) {
			chain_fini(&d->chain);
			request_free(d, q);
			virtio_needs_reset(v, "block request without header or status");
			break;
		}
		vblk_request(d, queue, q);
	}
	if (!d->b)
		return;
	blk_unplug(d->b);
	if (!v->s.loop) { /* nobody would tell us: finish here */
		blk_finish(d->b);
		vblk_answer(d);
	}
}

void virtio_blk_limit(struct virtio *v, uint64_t requests_per_s, uint64_t bytes_per_s)
{
	struct vblk *d = vblk_of(v);
	assert(v->class == &virtio_blk);
	pthread_mutex_lock(v->lock);
	gate_rate_set(&d->gate, &d->requests, requests_per_s);
	gate_rate_set(&d->gate, &d->bytes, bytes_per_s);
	pthread_mutex_unlock(v->lock);
}

void virtio_blk_traffic(struct virtio *v, struct virtio_traffic *ret)
{
	assert(v->class == &virtio_blk);
	pthread_mutex_lock(v->lock);
	*ret = vblk_of(v)->traffic;
	pthread_mutex_unlock(v->lock);
}

/* ---- life ---- */

static int vblk_init(struct virtio *v, struct lodge_err *e)
{
	struct vblk *d = vblk_of(v);
	char text[32];
	d->b = v->s.backend;
	d->finished_tail = &d->finished;
	d->writeback = 1;
	if (virtio_option(v, "queues", text, sizeof text)) {
		char *end;
		unsigned long n = strtoul(text, &end, 10);
		if (*end || n < 1 || n > VIRTIO_QUEUES_MAX)
			return err_set(e, EINVAL, "virtio-blk: queues=%s is not between 1 and %d",
			               text, VIRTIO_QUEUES_MAX);
		v->nqueues = (unsigned)n;
	}
	if (virtio_option(v, "serial", text, sizeof text))
		snprintf(d->serial, sizeof d->serial, "%.*s", ID_LEN, text);
	if (v->nqueues > 1)
		v->offered |= F_MQ;
	if (d->b && blk_readonly(d->b))
		v->offered |= F_RO;
	else
		v->offered |= F_DISCARD | F_WRITE_ZEROES | F_CONFIG_WCE;
	if (d->b && v->s.loop)
		blk_on_batch(d->b, vblk_batch, d);
	return gate_init(&d->gate, v, e);
}

/* The disk outlives the device; the loop does not run any more, or we are on its thread. */
static void vblk_fini(struct virtio *v)
{
	struct vblk *d = vblk_of(v);
	gate_fini(&d->gate);
	if (d->b) {
		blk_on_batch(d->b, NULL, NULL);
		blk_finish(d->b);
	}
	for (struct request *q; (q = d->finished);) {
		d->finished = q->next;
		free(q);
	}
	for (struct request *q; (q = d->free);) {
		d->free = q->next;
		free(q);
	}
}

/* After return no request of the old life writes to guest memory: the data has landed, and
 * request_answer sees that its queue is another one now. */
static void vblk_reset(struct virtio *v)
{
	struct vblk *d = vblk_of(v);
	if (d->b)
		blk_drain(d->b);
	d->writeback = 1;
	d->starved = 0;
	gate_reset(&d->gate);
}

static void vblk_drain(struct virtio *v)
{
	struct vblk *d = vblk_of(v);
	if (!d->b)
		return;
	blk_finish(d->b);
	vblk_batch(d);
}

/* VIRTIO 1.2 §5.2.4 */
static void vblk_config_read(struct virtio *v, uint8_t *config)
{
	const struct vblk *d = vblk_of(v);
	uint32_t granule = d->b ? blk_granule(d->b) >> SECTOR_SHIFT : 1;
	memset(config, 0, CONFIG_LEN);
	le64_put(config, d->b ? blk_size(d->b) >> SECTOR_SHIFT : 0);
	le32_put(config + 12, SEGMENTS_MAX);
	le32_put(config + 20, 1 << SECTOR_SHIFT); /* blk_size */
	config[24] = 3;                           /* physical block: 2^3 logical ones */
	le16_put(config + 26, 8);                 /* min_io_size */
	le32_put(config + 28, granule > 8 ? granule : 0);
	config[CONFIG_WRITEBACK] = d->writeback;
	le16_put(config + 34, (uint16_t)v->nqueues);
	le32_put(config + 36, RANGE_SECTORS_MAX); /* discard */
	le32_put(config + 40, RANGES_MAX);
	le32_put(config + 44, granule);
	le32_put(config + 48, RANGE_SECTORS_MAX); /* write zeroes */
	le32_put(config + 52, RANGES_MAX);
	config[56] = 1;                           /* they may unmap */
}

static void vblk_config_write(struct virtio *v, uint32_t off, const uint8_t *p, uint32_t len)
{
	struct vblk *d = vblk_of(v);
	if (virtio_has(v, F_CONFIG_WCE) && off <= CONFIG_WRITEBACK && len > CONFIG_WRITEBACK - off)
		d->writeback = p[CONFIG_WRITEBACK - off] & 1;
}

static const struct state_field vblk_state[] = { STATE(struct vblk, writeback, 1), STATE_END };

const struct virtio_class virtio_blk = {
	.name = "blk", .summary = "disk", .size = sizeof(struct vblk), .device_id = 2,
	.pci_class = 0x010000, .config_len = CONFIG_LEN, .nqueues = 1,
	.features = F_SEG_MAX | F_BLK_SIZE | F_FLUSH | F_TOPOLOGY,
	.init = vblk_init, .fini = vblk_fini, .reset = vblk_reset, .serve = vblk_serve,
	.config_read = vblk_config_read, .config_write = vblk_config_write, .state = vblk_state,
	.drain = vblk_drain,
};
