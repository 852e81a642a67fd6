/* SPDX-License-Identifier: Apache-2.0 */
/* The requests of a disk on their way: what is one file operation goes to io_uring, everything
 * else (and everything, where io_uring is refused) to a few worker threads. One eventfd wakes the
 * loop for both.
 *
 *   submit ──plan──> prepared ──submit──> in_ring ──ok──> finished ──loop──> done
 *      └───────────> waiting ──worker──> running ────────────┘
 *   whatever the ring does not do whole goes back to waiting: a worker repeats it, and only its
 *   verdict counts. */
#include "blk/internal.h"
#include <limits.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

static void list_add(struct req_list *l, struct blk_req *r)
{
	r->next = NULL;
	if (l->tail)
		l->tail->next = r;
	else
		l->head = r;
	l->tail = r;
}

static struct blk_req *list_get(struct req_list *l)
{
	struct blk_req *r = l->head;
	if (r) {
		l->head = r->next;
		if (!l->head)
			l->tail = NULL;
	}
	return r;
}

/* Lock held. */
static void queue_finish(struct blk *b, struct blk_req *r, int result)
{
	bool first = !b->finished.head;
	r->result = result;
	if (r->op != BLK_READ && r->op != BLK_FLUSH) /* also when it failed half-way */
		track_written(b, r->off, r->len);
	list_add(&b->finished, r);
	if (first && b->event_fd >= 0)
		(void)eventfd_write(b->event_fd, 1);
}

/* ---- workers ---- */

static int queue_run(struct blk *b, struct blk_req *r)
{
	struct ivec v = { r->iov, r->niov, 0 };
	return image_run(b->image, r->op, r->off, &v, r->len, r->may_unmap);
}

static void *queue_worker(void *arg)
{
	struct blk *b = arg;
	pthread_mutex_lock(&b->lock);
	for (;;) {
		struct blk_req *r = list_get(&b->waiting);
		if (!r && b->stopping)
			break;
		if (!r) {
			b->sleeping++;
			pthread_cond_wait(&b->work, &b->lock);
			b->sleeping--;
			continue;
		}
		b->running++;
		pthread_mutex_unlock(&b->lock);
		int result = queue_run(b, r);
		pthread_mutex_lock(&b->lock);
		b->running--;
		queue_finish(b, r, result);
		if (!b->running && !b->waiting.head)
			pthread_cond_broadcast(&b->idle);
	}
	pthread_mutex_unlock(&b->lock);
	return NULL;
}

static bool queue_thread_new(struct blk *b)
{
	pthread_attr_t a;
	if (pthread_attr_init(&a))
		return false;
	(void)pthread_attr_setstacksize(&a, 256 * 1024);
	bool made = !pthread_create(&b->thread[b->threads], &a, queue_worker, b);
	pthread_attr_destroy(&a);
	b->threads += made;
	return made;
}

/* Lock held. Where no thread can be had, the request runs here. */
static void queue_to_worker(struct blk *b, struct blk_req *r)
{
	list_add(&b->waiting, r);
	if (b->sleeping > 0) {
		pthread_cond_signal(&b->work);
		return;
	}
	if (b->threads < POOL_THREADS && b->loop && queue_thread_new(b))
		return;
	if (b->threads == 0) {
		r = list_get(&b->waiting);
		queue_finish(b, r, queue_run(b, r));
	}
}

/* ---- io_uring ---- */

static int ring_landed(struct blk *b, struct blk_req *r, bool ok)
{
	const struct blk_class *c = b->image->class;
	return c->landed ? c->landed(b->image, r, ok) : 0;
}

/* Lock held. Give the kernel what was prepared. When it refuses for good (a seccomp filter that
 * came later), the workers take over. */
static void ring_submit(struct blk *b)
{
	if (!b->prepared.head)
		return;
	int n = io_uring_submit(&b->ring);
	int r = n;
	for (; n > 0; n--, b->in_ring++)
		(void)list_get(&b->prepared);
	if (!b->prepared.head)
		return;
	if (r >= 0 || r == -EAGAIN || r == -EBUSY || r == -EINTR) {
		(void)eventfd_write(b->event_fd, 1); /* the loop tries again */
		return;
	}
	struct req_list back = b->prepared;
	b->prepared = (struct req_list){ NULL, NULL };
	b->ring_dead = true; /* what stays in it must never be submitted */
	for (struct blk_req *q; (q = list_get(&back));) {
		(void)!ring_landed(b, q, false);
		queue_to_worker(b, q);
	}
}

/* Lock held. False: not for the ring. */
static bool ring_prepare(struct blk *b, struct blk_req *r)
{
	const struct blk_class *c = b->image->class;
	struct plan p;
	if (!b->has_ring || b->ring_dead || r->op > BLK_FLUSH || r->niov > IOV_MAX || !c->plan ||
	    b->in_ring >= RING_ENTRIES || !c->plan(b->image, r, &p))
		return false;
	struct io_uring_sqe *q = io_uring_get_sqe(&b->ring);
	if (!q) {
		ring_submit(b);
		q = b->ring_dead ? NULL : io_uring_get_sqe(&b->ring);
	}
	if (!q) {
		(void)!ring_landed(b, r, false);
		return false;
	}
	if (r->op == BLK_READ)
		io_uring_prep_readv(q, p.fd, r->iov, (unsigned)r->niov, p.off);
	else if (r->op == BLK_WRITE)
		io_uring_prep_writev(q, p.fd, r->iov, (unsigned)r->niov, p.off);
	else
		io_uring_prep_fsync(q, p.fd, IORING_FSYNC_DATASYNC);
	io_uring_sqe_set_data(q, r);
	list_add(&b->prepared, r);
	return true;
}

/* Lock held. Take what the kernel has finished. */
static void ring_reap(struct blk *b)
{
	struct io_uring_cqe *q;
	while (b->in_ring > 0 && io_uring_peek_cqe(&b->ring, &q) == 0) {
		struct blk_req *r = io_uring_cqe_get_data(q);
		bool whole = q->res >= 0 && (r->op == BLK_FLUSH || (uint64_t)q->res == r->len);
		io_uring_cqe_seen(&b->ring, q);
		b->in_ring--;
		if (ring_landed(b, r, whole) == 0 && whole)
			queue_finish(b, r, 0);
		else
			queue_to_worker(b, r);
	}
}

/* ---- the door's verbs ---- */

static bool req_sound(const struct blk_req *r)
{
	uint64_t sum = 0;
	if (r->op != BLK_READ && r->op != BLK_WRITE)
		return true;
	for (int i = 0; i < r->niov; i++)
		if (__builtin_add_overflow(sum, r->iov[i].iov_len, &sum))
			return false;
	return sum == r->len;
}

void blk_submit(struct blk *b, struct blk_req *r)
{
	int bad = blk_check(b, r->op, r->off, r->len);
	if (!bad && !req_sound(r))
		bad = -EINVAL;
	pthread_mutex_lock(&b->lock);
	if (bad || (r->op == BLK_FLUSH ? b->no_flush : r->len == 0))
		queue_finish(b, r, bad);
	else if (!ring_prepare(b, r))
		queue_to_worker(b, r);
	else if (!b->plugged)
		ring_submit(b);
	pthread_mutex_unlock(&b->lock);
}

void blk_plug(struct blk *b)
{
	pthread_mutex_lock(&b->lock);
	b->plugged++;
	pthread_mutex_unlock(&b->lock);
}

void blk_unplug(struct blk *b)
{
	pthread_mutex_lock(&b->lock);
	if (--b->plugged == 0)
		ring_submit(b);
	pthread_mutex_unlock(&b->lock);
}

void blk_on_batch(struct blk *b, void (*fn)(void *arg), void *arg)
{
	pthread_mutex_lock(&b->lock);
	b->batch = fn;
	b->batch_arg = arg;
	pthread_mutex_unlock(&b->lock);
}

static void queue_deliver(struct blk *b)
{
	pthread_mutex_lock(&b->lock);
	ring_submit(b);
	ring_reap(b);
	struct req_list l = b->finished;
	b->finished = (struct req_list){ NULL, NULL };
	void (*batch)(void *) = b->batch;
	void *arg = b->batch_arg;
	pthread_mutex_unlock(&b->lock);
	if (!l.head)
		return;
	for (struct blk_req *r; (r = list_get(&l));)
		r->done(r, r->result);
	if (batch)
		batch(arg);
}

static void queue_event(void *arg, uint32_t events)
{
	struct blk *b = arg;
	eventfd_t n;
	(void)events;
	(void)eventfd_read(b->event_fd, &n);
	queue_deliver(b);
}

void blk_drain(struct blk *b)
{
	pthread_mutex_lock(&b->lock);
	for (;;) {
		struct io_uring_cqe *q;
		ring_submit(b);
		ring_reap(b);
		if (b->in_ring > 0)
			(void)io_uring_wait_cqe(&b->ring, &q);
		else if (b->running || b->waiting.head)
			pthread_cond_wait(&b->idle, &b->lock);
		else if (!b->prepared.head)
			break;
	}
	pthread_mutex_unlock(&b->lock);
}

void blk_finish(struct blk *b)
{
	bool more = true;
	while (more) { /* done may submit again */
		blk_drain(b);
		queue_deliver(b);
		pthread_mutex_lock(&b->lock);
		more = b->finished.head || b->prepared.head || b->waiting.head || b->in_ring ||
		       b->running;
		pthread_mutex_unlock(&b->lock);
	}
}

/* ---- life ---- */

static void ring_init(struct blk *b)
{
	if (io_uring_queue_init(RING_ENTRIES, &b->ring, IORING_SETUP_CLAMP) < 0)
		return;
	b->has_ring = !io_uring_register_eventfd(&b->ring, b->event_fd);
	if (!b->has_ring)
		io_uring_queue_exit(&b->ring);
}

int queue_init(struct blk *b, struct loop *l, bool no_uring, struct lodge_err *e)
{
	b->loop = l;
	if (l) {
		b->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (b->event_fd < 0)
			return err_sys(e, "eventfd of a disk");
		int r = loop_watch_new(&b->watch, l, b->event_fd, EPOLLIN, NULL, queue_event, b, e);
		if (r < 0) {
			close(b->event_fd);
			return r;
		}
		if (b->image->class->plan && !no_uring)
			ring_init(b);
	}
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->work, NULL);
	pthread_cond_init(&b->idle, NULL);
	return 0;
}

void queue_fini(struct blk *b)
{
	loop_watch_free(b->watch);
	pthread_mutex_lock(&b->lock);
	b->stopping = true;
	pthread_cond_broadcast(&b->work);
	pthread_mutex_unlock(&b->lock);
	for (unsigned i = 0; i < b->threads; i++)
		pthread_join(b->thread[i], NULL);
	if (b->has_ring)
		io_uring_queue_exit(&b->ring);
	if (b->event_fd >= 0)
		close(b->event_fd);
	free(b->written);
	pthread_mutex_destroy(&b->lock);
	pthread_cond_destroy(&b->work);
	pthread_cond_destroy(&b->idle);
}
