/* SPDX-License-Identifier: Apache-2.0 */
/* The share as a whole: opening, its worker threads, and how messages enter and leave libfuse.
 *
 * A worker takes a request, copies its message out of guest memory, has it checked, and gives it
 * to libfuse, which calls one of the ops_*.c and finally share_answer, all on this thread. Data of
 * reads and writes is not copied: the operations work on guest memory directly. */
#include "internal.h"
#include <fcntl.h>
#include <linux/fuse.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

struct share_job *share_job_now(const struct share *s) { return pthread_getspecific(s->job); }

/* ---- scattered memory ---- */

static size_t iov_total(const struct iovec *v, int n)
{
	size_t len = 0;
	for (int i = 0; i < n; i++)
		len += v[i].iov_len;
	return len;
}

/* Copy @len bytes between @v at @off and @buf. Bytes that are in place already stay. */
static void iov_copy(const struct iovec *v, int n, size_t off, uint8_t *buf, size_t len, bool out)
{
	for (int i = 0; i < n && len; i++) {
		if (off >= v[i].iov_len) {
			off -= v[i].iov_len;
			continue;
		}
		size_t part = min_u64(len, v[i].iov_len - off);
		uint8_t *there = (uint8_t *)v[i].iov_base + off;
		if (there != buf)
			memmove(out ? buf : there, out ? there : buf, part);
		buf += part;
		len -= part;
		off = 0;
	}
}

/* ---- answers ---- */

/* libfuse's write to its device: the answer to the request of this thread. */
static ssize_t share_answer(int fd, struct iovec *iov, int count, void *user)
{
	struct share *s = user;
	struct share_job *j = share_job_now(s);
	size_t len = iov_total(iov, count), off = 0;
	(void)fd;
	if (!j || j->replied)
		return (ssize_t)len;
	j->replied = true;
	if (len > j->in_len) {
		/* The guest left too little room: as much as fits, the header saying so. */
		struct fuse_out_header h = { .len = SHARE_HEADER_OUT, .error = -EIO };
		if (j->in_len < SHARE_HEADER_OUT)
			return (ssize_t)len;
		memcpy(&h.unique, (const uint8_t *)iov[0].iov_base + 8, 8);
		iov_copy(j->r->in, j->r->nin, 0, (uint8_t *)&h, sizeof h, false);
		j->r->written = sizeof h;
		return (ssize_t)len;
	}
	for (int i = 0; i < count; i++) {
		iov_copy(j->r->in, j->r->nin, off, iov[i].iov_base, iov[i].iov_len, false);
		off += iov[i].iov_len;
	}
	j->r->written = (uint32_t)len;
	return (ssize_t)len;
}

/* libfuse's read from its device: never called, messages are handed in. */
static ssize_t share_no_read(int fd, void *buf, size_t len, void *user)
{
	(void)fd, (void)buf, (void)len, (void)user;
	errno = ENODEV;
	return -1;
}

static void share_error(struct share *s, const uint8_t *message, int code)
{
	struct fuse_out_header h = { .len = SHARE_HEADER_OUT, .error = -code };
	struct iovec iov = { &h, sizeof h };
	memcpy(&h.unique, message + 8, 8);
	share_answer(-1, &iov, 1, s);
}

/* ---- the session with one mount of the guest ---- */

static void share_init(void *user, struct fuse_conn_info *c)
{
	struct share *s = user;
	s->inited = true;
	c->max_write = SHARE_DATA_MAX;
	/* Who clears set-user-id bits on a write? The guest: the keeper may be too mighty for it.
	 */
	c->want &= ~(unsigned)FUSE_CAP_HANDLE_KILLPRIV;
	c->want &= ~(unsigned)(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE);
	c->want |= c->capable & FUSE_CAP_PARALLEL_DIROPS;
}

static int session_new(struct share *s)
{
	static const struct fuse_custom_io io = { .writev = share_answer, .read = share_no_read };
	struct fuse_lowlevel_ops ops = { .init = share_init };
	char name[] = "lodge", *argv[] = { name, NULL };
	struct fuse_args args = { .argc = 1, .argv = argv };
	ops_name(&ops);
	ops_file(&ops, &s->o);
	ops_dir(&ops);
	ops_attr(&ops, &s->o);
	s->inited = false;
	s->se = fuse_session_new(&args, &ops, sizeof ops, s);
	fuse_opt_free_args(&args); /* the library has made a copy of its own */
	if (!s->se)
		return -ENOMEM;
	/* The session wants a descriptor to call its own; nothing goes through it. */
	int fd = eventfd(0, EFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	int r = fuse_session_custom_io(s->se, &io, fd);
	if (r)
		close(fd);
	return r;
}

static void session_end(struct share *s)
{
	if (s->se)
		fuse_session_destroy(take(s->se)); /* closes its descriptor */
	handles_fini(s);
	nodes_fini(s);
}

/* A new life, after the guest has unmounted or was reset. Nothing else runs. */
static int session_renew(struct share *s)
{
	session_end(s);
	int r = nodes_init(s);
	if (!r)
		r = session_new(s);
	if (r)
		log_at(s->log, LOG_ERROR, "shared folder: %s", strerror(-r));
	return r;
}

/* ---- one request ---- */

static void share_pass(struct share *s, uint8_t *buf, size_t len)
{
	struct fuse_buf b = { .size = len, .mem = buf };
	bool init = share_is_init(buf);
	if ((init && s->inited && session_renew(s)) || !s->se) {
		share_error(s, buf, EIO);
		return;
	}
	if (init && len <= SHARE_INIT_MAX) {
		memcpy(s->init, buf, len);
		s->init_len = len;
	}
	fuse_session_process_buf(s->se, &b);
	if (!init && share_is_exclusive(buf))
		session_renew(s); /* FUSE_DESTROY: the next mount starts anew */
}

/* @alone: nothing else runs, so the session may be replaced. */
static void share_serve(struct share *s, struct share_req *r, uint8_t *buf, bool alone)
{
	struct share_job j = { .r = r };
	int code = EINVAL;
	r->written = 0;
	j.out_len = iov_total(r->out, r->nout);
	j.in_len = min_u64(iov_total(r->in, r->nin), UINT32_MAX);
	if (j.out_len < SHARE_HEADER_IN)
		return;
	pthread_setspecific(s->job, &j);
	/* The opcode decides how much to copy, so the header comes first, and only once. */
	iov_copy(r->out, r->nout, 0, buf, SHARE_HEADER_IN, true);
	size_t have = 0;
	bool write = share_is_write(buf, &have);
	have = min_u64(j.out_len, write ? have : SHARE_MESSAGE_MAX);
	iov_copy(r->out, r->nout, SHARE_HEADER_IN, buf + SHARE_HEADER_IN, have - SHARE_HEADER_IN,
	         true);
	enum share_verdict v = SHARE_FAIL;
	if (write || have == j.out_len)
		v = share_check(s, buf, have, j.out_len, &code);
	/* Somebody changed the message after it was looked at for this. */
	if (v == SHARE_PASS && share_is_exclusive(buf) && !alone)
		v = SHARE_FAIL;
	if (v == SHARE_PASS)
		share_pass(s, buf, have);
	else if (v == SHARE_FAIL)
		share_error(s, buf, code);
	pthread_setspecific(s->job, NULL);
}

/* ---- workers ---- */

/* INIT and DESTROY change everything: they run alone. */
static bool req_is_exclusive(const struct share_req *r)
{
	uint8_t h[SHARE_HEADER_IN] = { 0 };
	if (iov_total(r->out, r->nout) < sizeof h)
		return false;
	iov_copy(r->out, r->nout, 0, h, sizeof h, true);
	return share_is_exclusive(h);
}

/* The next request that may start now, or NULL at the end. s->qm is held. */
static struct share_req *share_next(struct share *s)
{
	for (;;) {
		struct share_req *r = s->head;
		if (s->stop)
			return NULL;
		bool alone = r && req_is_exclusive(r);
		if (r && !s->exclusive && (!s->running || !alone)) {
			s->exclusive = alone;
			s->head = r->next;
			if (!s->head)
				s->tail = &s->head;
			return r;
		}
		s->idle++;
		pthread_cond_wait(&s->work, &s->qm);
		s->idle--;
	}
}

static void share_finish(struct share *s, struct share_req *r)
{
	uint64_t one = 1;
	r->next = NULL;
	*s->done_tail = r;
	s->done_tail = &r->next;
	/* Can only fail when the counter is full, and then the loop knows. */
	ssize_t n = write(s->event, &one, sizeof one);
	(void)n;
}

static void *share_worker(void *arg)
{
	struct share *s = arg;
	autofree uint8_t *buf = malloc(SHARE_MESSAGE_MAX);
	struct share_req *r;
	/* A umask of our own: the guest's kernel has applied the guest's already. */
	if (!unshare(CLONE_FS))
		umask(0);
	pthread_mutex_lock(&s->qm);
	while (buf && (r = share_next(s))) {
		bool alone = s->exclusive;
		s->running++;
		pthread_mutex_unlock(&s->qm);
		share_serve(s, r, buf, alone);
		pthread_mutex_lock(&s->qm);
		s->running--;
		s->exclusive = false;
		share_finish(s, r);
		if (!s->running)
			pthread_cond_broadcast(&s->quiet);
		if (alone || !s->running)
			pthread_cond_broadcast(&s->work);
	}
	pthread_mutex_unlock(&s->qm);
	return NULL;
}

static void share_inline(struct share *s, struct share_req *r)
{
	static const size_t size = SHARE_MESSAGE_MAX;
	autofree uint8_t *buf = malloc(size);
	r->written = 0;
	if (buf)
		share_serve(s, r, buf, true);
	r->done(r, r->written);
}

void share_submit(struct share *s, struct share_req *r)
{
	if (!s->loop) {
		share_inline(s, r);
		return;
	}
	r->next = NULL;
	pthread_mutex_lock(&s->qm);
	*s->tail = r;
	s->tail = &r->next;
	if (!s->idle && s->nworkers < SHARE_WORKERS &&
	    !pthread_create(&s->workers[s->nworkers], NULL, share_worker, s))
		s->nworkers++;
	pthread_cond_signal(&s->work);
	pthread_mutex_unlock(&s->qm);
}

/* On the loop thread with the lock of share_attach held. */
static void share_completed(void *arg, uint32_t events)
{
	struct share *s = arg;
	uint64_t n;
	(void)events;
	ssize_t got = read(s->event, &n, sizeof n);
	(void)got;
	pthread_mutex_lock(&s->qm);
	struct share_req *r = s->done;
	s->done = NULL;
	s->done_tail = &s->done;
	pthread_mutex_unlock(&s->qm);
	while (r) {
		struct share_req *next = r->next;
		r->done(r, r->written);
		r = next;
	}
}

void share_reset(struct share *s)
{
	pthread_mutex_lock(&s->qm);
	while (s->head) {
		struct share_req *r = s->head;
		s->head = r->next;
		r->written = 0;
		share_finish(s, r);
	}
	s->tail = &s->head;
	while (s->running)
		pthread_cond_wait(&s->quiet, &s->qm);
	session_renew(s);
	pthread_mutex_unlock(&s->qm);
}

/* ---- saved ---- */

size_t share_save(struct share *s, uint8_t *buf, size_t cap)
{
	struct bytes_out o = { .buf = buf, .cap = cap };
	out_put(&o, s->inited ? s->init_len : 0, 4);
	out_bytes(&o, s->init, s->inited ? s->init_len : 0);
	nodes_save(s, &o);
	handles_save(s, &o);
	return o.n;
}

/* The guest's INIT once more, for the session; the guest has its answer already. */
static bool session_again(struct share *s, const uint8_t *init, size_t len)
{
	struct share_req r = { 0 };
	struct share_job j = { .r = &r, .out_len = len };
	uint8_t buf[SHARE_INIT_MAX] = { 0 };
	int code;
	if (!init || len < SHARE_HEADER_IN || len > sizeof buf || !share_is_init(init))
		return false;
	memcpy(buf, init, len);
	if (share_check(s, buf, len, len, &code) != SHARE_PASS)
		return false;
	pthread_setspecific(s->job, &j);
	share_pass(s, buf, len);
	pthread_setspecific(s->job, NULL);
	return s->inited;
}

bool share_load(struct share *s, const uint8_t *buf, size_t len)
{
	struct bytes_in i = { .p = buf, .left = len };
	pthread_mutex_lock(&s->qm);
	bool ok = s->se != NULL;
	size_t n = (size_t)in_get(&i, 4);
	const uint8_t *init = in_bytes(&i, n);
	if (ok && n)
		ok = session_again(s, init, n);
	ok = ok && nodes_load(s, &i) && handles_load(s, &i) && !i.bad && !i.left;
	if (!ok)
		session_renew(s);
	pthread_mutex_unlock(&s->qm);
	return ok;
}

void share_drain(struct share *s)
{
	pthread_mutex_lock(&s->qm);
	while (s->head || s->running)
		pthread_cond_wait(&s->quiet, &s->qm);
	pthread_mutex_unlock(&s->qm);
	share_completed(s, 0);
}

/* ---- open and close ---- */

int share_attach(struct share *s, pthread_mutex_t *lock, struct lodge_err *e)
{
	return s->loop ? loop_watch_new(&s->watch, s->loop, s->event, EPOLLIN, lock,
					share_completed, s, e)
		       : 0;
}

void share_detach(struct share *s)
{
	share_reset(s);
	if (s->watch)
		loop_watch_free(take(s->watch));
	share_completed(s, 0); /* give back what the loop had not */
}

static int share_open_folder(struct share *s, const struct share_options *o, struct lodge_err *e)
{
	if (o->guest_owner && geteuid() != 0)
		return err_set(e, EPERM, "files of other owners can only be made by root");
	s->root = open(o->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (s->root < 0)
		return err_sys(e, "%s", o->path);
	s->proc = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (s->proc < 0)
		return err_sys(e, "/proc/self/fd");
	s->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return s->event < 0 ? err_sys(e, "eventfd") : 0;
}

int share_open(struct share **ret, const struct share_options *o, struct loop *l, struct log *log,
               struct lodge_err *e)
{
	struct share *s = calloc(1, sizeof *s);
	if (!s)
		return err_set(e, ENOMEM, "no memory for a shared folder");
	s->o = *o;
	s->o.path = NULL;
	s->loop = l;
	s->log = log;
	s->root = s->proc = s->event = -1;
	s->tail = &s->head;
	s->done_tail = &s->done;
	pthread_mutex_init(&s->m, NULL);
	pthread_mutex_init(&s->qm, NULL);
	pthread_cond_init(&s->work, NULL);
	pthread_cond_init(&s->quiet, NULL);
	s->job_made = !pthread_key_create(&s->job, NULL);
	int r = s->job_made ? share_open_folder(s, o, e) : err_set(e, EAGAIN, "no thread key left");
	if (!r)
		r = host_library_load(&share_fuse, e);
	if (!r) {
		r = nodes_init(s);
		if (!r)
			r = session_new(s);
		if (r)
			r = err_set(e, -r, "%s: %s", o->path, strerror(-r));
	}
	if (r) {
		share_close(s);
		return err_in(e, r, "shared folder");
	}
	*ret = s;
	return 0;
}

void share_close(struct share *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->qm);
	s->stop = true;
	pthread_cond_broadcast(&s->work);
	pthread_mutex_unlock(&s->qm);
	for (unsigned i = 0; i < s->nworkers; i++)
		pthread_join(s->workers[i], NULL);
	session_end(s);
	if (s->watch)
		loop_watch_free(s->watch);
	const int fds[] = { s->root, s->proc, s->event };
	for (size_t i = 0; i < countof(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	if (s->job_made)
		pthread_key_delete(s->job);
	pthread_cond_destroy(&s->work);
	pthread_cond_destroy(&s->quiet);
	pthread_mutex_destroy(&s->m);
	pthread_mutex_destroy(&s->qm);
	free(s);
}
