/* SPDX-License-Identifier: Apache-2.0 */
/* Migration from outside the keeper: the source's keeper connects to an address; for other streams
 * it connects to a socket of ours, and we carry the bytes. */
#include "lib/lib.h"
#include <fcntl.h>
#include <json-c/json.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>

enum { POLL_MS = 10, CHUNK = 256 << 10, ACCEPT_MS = 10000 };

/* ---- how it goes ---- */

/* 1: it is under way; 0: the guest is there. */
static int migrate_look(struct lodge_guest *g, lodge_progress_fn *fn, void *user,
			struct lodge_err *e)
{
	struct json_object *o = NULL, *m = NULL, *code = NULL, *why = NULL, *n = NULL, *left = NULL;
	struct life_record rec;
	int r = control_call(g->inst, "GET", "/v1/guest", NULL, &o, e);
	if (r == -ENOTCONN || r == -ECONNRESET) { /* the keeper has ended: how? */
		instance_record(g->inst, &rec);
		bool moved = rec.state == LIFE_STOPPED && !strncmp(rec.why, "moved to ", 9);
		return moved || access(g->inst->place, F_OK) < 0 ? 0 :
		       err_set(e, EIO, "%s ended while it was moved: %s", g->inst->name, rec.why);
	}
	if (r < 0 || !json_object_object_get_ex(o, "migration", &m)) {
		json_object_put(o);
		return r < 0 ? r : err_set(e, EIO, "the keeper knows of no migration");
	}
	const char *state = json_object_object_get_ex(m, "state", &n) ? json_object_get_string(n)
								       : "";
	json_object_object_get_ex(m, "code", &code);
	json_object_object_get_ex(m, "why", &why);
	r = !strcmp(state, "done") ? 0 : 1;
	if (!strcmp(state, "failed"))
		r = err_set(e, json_object_get_int(code), "%s is not moved: %s", g->inst->name,
			    json_object_get_string(why));
	else if (!strcmp(state, "doubt"))
		r = err_set(e, EIO, "%s: %s", g->inst->name, json_object_get_string(why));
	if (r > 0 && fn && json_object_object_get_ex(m, "bytes_sent", &n) &&
	    json_object_object_get_ex(m, "bytes_left", &left)) {
		uint64_t sent = json_object_get_uint64(n);
		(void)!fn(user, "moving", sent, sent + json_object_get_uint64(left));
	}
	json_object_put(o);
	return r;
}

static int migrate_ask(struct lodge_guest *g, const char *to, const char *label, int still,
		       struct lodge_err *e)
{
	struct json_object *args = json_object_new_object();
	json_object_object_add(args, "to", json_object_new_string(to));
	json_object_object_add(args, "label", json_object_new_string(label));
	json_object_object_add(args, "still", json_object_new_boolean(still));
	int r = control_call(g->inst, "POST", "/v1/migrate", args, NULL, e);
	json_object_put(args);
	return r;
}

int lodge_migrate(struct lodge_guest *g, const char *to, int still, lodge_progress_fn *fn,
		  void *user, struct lodge_err *e)
{
	int own = guest_own(g, "migrate", e);
	if (own < 0)
		return own;
	int r = migrate_ask(g, to, to, still, e);
	while (r == 0 && (r = migrate_look(g, fn, user, e)) > 0) {
		poll(NULL, 0, POLL_MS);
		r = 0;
	}
	return r < 0 ? r : guest_gone(g, e);
}

int lodge_migrate_undo(struct lodge_guest *g, struct lodge_err *e)
{
	int own = guest_own(g, "migrate", e);
	if (own < 0)
		return own;
	int r = guest_lock(g, e);
	if (r == 0)
		r = life_moved_forget(g->inst, e);
	if (g->inst->lock >= 0)
		close(take_fd(&g->inst->lock));
	return r;
}

/* ---- carrying bytes ---- */

struct lane {
	int from, to;
	bool over;
	size_t have, off;
	char buf[CHUNK];
};

/* What can be moved now. False: this way is over. */
static bool lane_move(struct lane *l)
{
	if (l->off == l->have) {
		ssize_t n = read(l->from, l->buf, sizeof l->buf);
		if (n <= 0)
			return n < 0 && (errno == EAGAIN || errno == EINTR);
		l->have = (size_t)n;
		l->off = 0;
	}
	ssize_t n = send(l->to, l->buf + l->off, l->have - l->off, MSG_NOSIGNAL);
	if (n < 0 && errno == ENOTSOCK)
		n = write(l->to, l->buf + l->off, l->have - l->off);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	l->off += (size_t)n;
	return true;
}

static void lanes_wait(struct lane *l[2], int ms)
{
	struct pollfd p[4];
	int n = 0;
	for (int i = 0; i < 2; i++)
		if (!l[i]->over)
			p[n++] = l[i]->off < l[i]->have
				     ? (struct pollfd){.fd = l[i]->to, .events = POLLOUT}
				     : (struct pollfd){.fd = l[i]->from, .events = POLLIN};
	(void)!poll(p, (nfds_t)n, ms);
}

static void nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	if (flags >= 0)
		(void)!fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

struct carrier {
	int sock, in, out;
	bool stop; /* atomic */
	pthread_t thread;
};

/* A thread of its own: the keeper answers no requests while the guest stands still for its last
 * bytes, which must go their way. */
static void *carrier_main(void *arg)
{
	struct carrier *c = arg;
	struct lane *l[2] = {calloc(1, sizeof *l[0]), calloc(1, sizeof *l[0])};
	if (l[0] && l[1]) {
		*l[0] = (struct lane){.from = c->sock, .to = c->out};
		*l[1] = (struct lane){.from = c->in, .to = c->sock};
	}
	while (l[0] && l[1] && !__atomic_load_n(&c->stop, __ATOMIC_ACQUIRE)) {
		lanes_wait(l, POLL_MS);
		for (int i = 0; i < 2; i++)
			if (!l[i]->over && !lane_move(l[i])) {
				l[i]->over = true;
				/* either end tells the keeper; the other side is told by closing */
				shutdown(c->sock, i ? SHUT_WR : SHUT_RD);
			}
	}
	/* its last word for the other side, why it gave up say */
	for (int i = 0; l[0] && i < 100 && !l[0]->over; i++)
		l[0]->over = !lane_move(l[0]);
	free(l[0]);
	free(l[1]);
	return NULL;
}

/* Until the keeper says how it went. */
static int carry(struct lodge_guest *g, struct carrier *c, lodge_progress_fn *fn, void *user,
		 struct lodge_err *e)
{
	int r = 1;
	nonblocking(c->sock);
	nonblocking(c->in);
	nonblocking(c->out);
	if (pthread_create(&c->thread, NULL, carrier_main, c) != 0)
		return err_set(e, EAGAIN, "no thread to carry the guest");
	while (r > 0 && (r = migrate_look(g, fn, user, e)) > 0)
		poll(NULL, 0, 5 * POLL_MS);
	__atomic_store_n(&c->stop, true, __ATOMIC_RELEASE);
	pthread_join(c->thread, NULL);
	return r;
}

static int accept_within(int fd, int ms, struct lodge_err *e)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	if (poll(&p, 1, ms) <= 0)
		return err_set(e, ETIMEDOUT, "the keeper does not connect");
	int sock = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	return sock < 0 ? err_sys(e, "the keeper's connection") : sock;
}

int lodge_migrate_stream(struct lodge_guest *g, int in, int out, const char *label, int still,
			 lodge_progress_fn *fn, void *user, struct lodge_err *e)
{
	int own = guest_own(g, "migrate", e);
	if (own < 0)
		return own;
	autofree char *path = NULL, *to = NULL;
	if (asprintf(&path, "%s/move.%d", g->inst->runtime, (int)getpid()) < 0 ||
	    asprintf(&to, "unix:%s", path) < 0)
		return err_set(e, ENOMEM, "out of memory");
	unlink(path);
	autoclose int fd = life_listen(to, e);
	if (fd < 0)
		return fd;
	int r = migrate_ask(g, to, label, still, e);
	autoclose int sock = r < 0 ? -1 : accept_within(fd, ACCEPT_MS, e);
	unlink(path);
	struct carrier c = {.sock = sock, .in = in, .out = out};
	if (r == 0)
		r = sock < 0 ? sock : carry(g, &c, fn, user, e);
	return r < 0 ? r : guest_gone(g, e);
}

int lodge_listen(const char *address, struct lodge_err *e) { return life_listen(address, e); }
