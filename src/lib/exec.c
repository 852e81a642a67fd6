/* SPDX-License-Identifier: Apache-2.0 */
/* A program in the guest: one session with the agent, one channel in it.
 * Spec: guest/agent/PROTOCOL.md, version 1 */
#include "lib/lib.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { CHANNEL = 1, OUT_CAP = 1 << 17, STDIN_CHUNK = 16 << 10, ACK_EVERY = 32 << 10 };

struct lodge_exec {
	struct enter *enter; /* owned; NULL: the agent's. Then nothing below is used */
	int sock; /* owned; non-blocking */
	struct agent_in *in;
	struct agent_frame data; /* what is being handed out; len 0: nothing */
	uint8_t *out;
	size_t out_len;
	uint32_t may_send; /* STDIN bytes that the guest takes now */
	uint32_t to_ack;   /* bytes handed out, not yet told to the guest */
	bool ended;
	int code;
	/* lodge_exec_first */
	struct lodge_guest *g; /* borrowed; NULL: made by lodge_exec */
	bool coming;           /* the guest has not connected yet: sock is an epoll of these two */
	int listener, wait;    /* owned; -1: none. wait: readable when the guest has ended */
};

/* ---- out ---- */

static int exec_flush(struct lodge_exec *x)
{
	if (x->coming)
		return -EAGAIN;
	while (x->out_len) {
		ssize_t n = send(x->sock, x->out, x->out_len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		memmove(x->out, x->out + n, x->out_len - (size_t)n);
		x->out_len -= (size_t)n;
	}
	return 0;
}

/* Queue a frame and send what goes. -EAGAIN: no room to queue it. */
static int exec_frame(struct lodge_exec *x, enum agent_type type, const void *payload, size_t len)
{
	if (x->out_len + AGENT_HEADER + len > OUT_CAP)
		return -EAGAIN;
	agent_head(x->out + x->out_len, (uint32_t)len, type, CHANNEL);
	if (len)
		memcpy(x->out + x->out_len + AGENT_HEADER, payload, len);
	x->out_len += AGENT_HEADER + len;
	int r = exec_flush(x);
	return r == -EAGAIN ? 0 : r;
}

long lodge_exec_write(struct lodge_exec *x, const void *buf, size_t len)
{
	if (x->enter)
		return enter_write(x->enter, buf, len);
	int r = exec_flush(x);
	if (r < 0)
		return r;
	if (len == 0)
		return exec_frame(x, AGENT_STDIN_EOF, NULL, 0);
	if (x->may_send == 0)
		return -ENOBUFS;
	if (len > x->may_send)
		len = x->may_send;
	if (len > STDIN_CHUNK)
		len = STDIN_CHUNK;
	r = exec_frame(x, AGENT_STDIN, buf, len);
	if (r < 0)
		return r;
	if (x->may_send != AGENT_WINDOW_UNLIMITED)
		x->may_send -= (uint32_t)len;
	return (long)len;
}

int lodge_exec_signal(struct lodge_exec *x, int number)
{
	uint8_t p[4];
	if (x->enter)
		return enter_signal(x->enter, number);
	if (x->coming)
		return -ENOTCONN;
	agent_put32(p, (uint32_t)number);
	return exec_frame(x, AGENT_SIGNAL, p, sizeof p);
}

int lodge_exec_resize(struct lodge_exec *x, unsigned rows, unsigned columns)
{
	uint8_t p[4];
	if (x->enter)
		return enter_resize(x->enter, rows, columns);
	agent_put16(p, (uint16_t)rows);
	agent_put16(p + 2, (uint16_t)columns);
	return exec_frame(x, AGENT_RESIZE, p, sizeof p);
}

/* ---- in ---- */

static void exec_window(struct lodge_exec *x, const struct agent_frame *f)
{
	uint32_t more = f->len >= 4 ? agent_get32(f->payload) : 0;
	if (more == AGENT_WINDOW_UNLIMITED ||
	    __builtin_add_overflow(x->may_send, more, &x->may_send))
		x->may_send = AGENT_WINDOW_UNLIMITED;
}

static void exec_exit(struct lodge_exec *x, const struct agent_frame *f)
{
	uint32_t kind = f->len >= 8 ? agent_get32(f->payload) : 0;
	uint32_t value = f->len >= 8 ? agent_get32(f->payload + 4) : LODGE_EXIT_LODGE;
	x->ended = true;
	x->code =
	    kind == AGENT_SIGNALED ? LODGE_EXIT_SIGNAL + (int)(value & 127) : (int)(value & 255);
}

static int exec_refused(struct lodge_exec *x, const struct agent_frame *f, struct lodge_err *e)
{
	uint32_t code = f->len >= 4 ? agent_get32(f->payload) : EPROTO;
	x->ended = true;
	return err_set(e, code && code < 4096 ? (int)code : EIO, "in the guest: %.*s",
		       f->len > 4 ? (int)(f->len - 4) : 0, (const char *)f->payload + 4);
}

/* One frame of ours. 1: x->data has bytes, 0: nothing to hand out, negative: error. */
static int exec_take(struct lodge_exec *x, const struct agent_frame *f, struct lodge_err *e)
{
	if (f->channel != CHANNEL)
		return 0;
	switch (f->type) {
	case AGENT_STDOUT:
	case AGENT_STDERR: x->data = *f; return f->len > 0;
	case AGENT_WINDOW: exec_window(x, f); return 0;
	case AGENT_EXIT: exec_exit(x, f); return 0;
	case AGENT_ERROR: return exec_refused(x, f, e);
	default: return 0;
	}
}

static int exec_receive(struct lodge_exec *x, struct lodge_err *e)
{
	size_t cap;
	uint8_t *room = agent_in_room(x->in, &cap);
	ssize_t n = recv(x->sock, room, cap, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return -EAGAIN;
	if (n <= 0)
		return err_set(e, ECONNRESET,
			       "the connection to the agent broke: the guest has gone, "
			       "or its agent has");
	agent_in_add(x->in, (size_t)n);
	return 0;
}

/* The guest connects, or ends before. -EAGAIN: neither yet. */
static int exec_arrive(struct lodge_exec *x, struct lodge_err *e)
{
	autoclose int fd = accept4(x->listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
		return err_sys(e, "waiting for the guest");
	if (fd < 0) {
		uint8_t peek;
		ssize_t n = recv(x->wait, &peek, 1, MSG_PEEK | MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return -EAGAIN;
		return err_set(e, ECONNRESET, "%s ended before its program began; what it said: "
			       "lodge logs %s", x->g->inst->name, x->g->inst->name);
	}
	int r = agent_hello(fd);
	if (r < 0)
		return err_set(e, -r, "greeting the guest: %s", strerror(-r));
	/* Under the number that the caller polls. */
	if (dup3(fd, x->sock, O_CLOEXEC) < 0)
		return err_sys(e, "the connection to the guest");
	close(take_fd(&x->listener));
	x->coming = false;
	r = exec_flush(x);
	return r == 0 || r == -EAGAIN ? 0 : err_set(e, -r, "asking the guest: %s", strerror(-r));
}

/* Until there is data, the end, or nothing more to read. */
static int exec_advance(struct lodge_exec *x, struct lodge_err *e)
{
	struct agent_frame f;
	while (!x->data.len && !x->ended) {
		int r = agent_in_next(x->in, &f);
		if (r < 0)
			return err_set(e, EPROTO, "the agent does not keep to its protocol");
		r = r ? exec_take(x, &f, e) : exec_receive(x, e);
		if (r < 0)
			return r;
	}
	return 0;
}

long lodge_exec_read(struct lodge_exec *x, void *buf, size_t cap, int *ret_stream,
		     struct lodge_err *e)
{
	uint8_t ack[4];
	if (x->enter)
		return enter_read(x->enter, buf, cap, ret_stream, e);
	int r = x->coming ? exec_arrive(x, e) : 0;
	if (r < 0)
		return r;
	if (exec_flush(x) == -EPIPE && !x->ended)
		return err_set(e, ECONNRESET, "the connection to the agent broke");
	r = exec_advance(x, e);
	if (r < 0)
		return r;
	if (!x->data.len)
		return 0;
	size_t n = min_u64(cap, x->data.len);
	memcpy(buf, x->data.payload, n);
	*ret_stream = x->data.type == AGENT_STDERR ? LODGE_EXEC_STDERR : LODGE_EXEC_STDOUT;
	x->data.payload += n;
	x->data.len -= n;
	x->to_ack += (uint32_t)n;
	agent_put32(ack, x->to_ack);
	if (x->to_ack >= ACK_EVERY && exec_frame(x, AGENT_WINDOW, ack, sizeof ack) == 0)
		x->to_ack = 0;
	return (long)n;
}

/* ---- beginning and end ---- */

static int exec_begin(struct lodge_exec *x, const struct lodge_exec_config *c, unsigned flags,
		      struct lodge_err *e)
{
	autofree uint8_t *p = NULL;
	size_t len = 0;
	int r = agent_exec_make(c, flags, &p, &len, e);
	if (r < 0)
		return r;
	r = exec_frame(x, AGENT_EXEC, p, len);
	return r < 0 ? err_set(e, -r, "asking the agent: %s", strerror(-r)) : 0;
}

static int exec_config_import(struct lodge_exec_config *ret, const struct lodge_exec_config *c,
			      struct lodge_err *e)
{
	if (c->size < offsetof(struct lodge_exec_config, shell) || c->size > sizeof *c)
		return err_set(e, EINVAL, "lodge_exec_config.size is %zu", c->size);
	*ret = (struct lodge_exec_config){0};
	memcpy(ret, c, c->size);
	for (size_t i = 0; i < ret->nenv; i++)
		if (!strchr(ret->env[i], '='))
			return err_set(e, EINVAL, "--env %s: write KEY=VALUE", ret->env[i]);
	return ret->argc || ret->shell ? 0 : err_set(e, EINVAL, "no program is named");
}

static int exec_new(struct lodge_exec **ret, struct lodge_exec_config *ret_config,
		    const struct lodge_exec_config *given, struct lodge_err *e)
{
	int r = exec_config_import(ret_config, given, e);
	if (r < 0)
		return r;
	struct lodge_exec *x = calloc(1, sizeof *x);
	if (!x)
		return err_set(e, ENOMEM, "out of memory");
	x->sock = x->listener = x->wait = -1;
	x->may_send = AGENT_WINDOW_START;
	x->in = calloc(1, sizeof *x->in);
	x->out = malloc(OUT_CAP);
	if (!x->in || !x->out) {
		lodge_exec_close(x);
		return err_set(e, ENOMEM, "out of memory");
	}
	*ret = x;
	return 0;
}

int lodge_exec(struct lodge_exec **ret, struct lodge_guest *g,
	       const struct lodge_exec_config *given, struct lodge_err *e)
{
	struct lodge_exec_config c;
	struct lodge_exec *x = NULL;
	int r = exec_new(&x, &c, given, e);
	if (r < 0)
		return r;
	const struct level *l = g->alien ? NULL : level_of(g->inst, NULL);
	if (g->alien || (l && l->exec)) {
		r = enter_begin(&x->enter, g, l, &c, e);
		if (r < 0)
			lodge_exec_close(x);
		else
			*ret = x;
		return r;
	}
	if (l && !l->agent) {
		lodge_exec_close(x);
		return err_set(e, EOPNOTSUPP, "%s is of the level %s: it is one program, and "
			       "nothing else can be started in it", g->inst->name, l->name);
	}
	/* It may fall asleep just now. */
	for (int w = 1; r >= 0 && w > 0;) {
		w = guest_wake(g, e);
		r = w < 0 ? w : (x->sock = agent_connect(g->inst, c.wait_ns, x->in, e));
		if (r < 0 && w >= 0 && guest_dozes(g))
			r = w = 1;
		else
			w = 0;
	}
	if (r >= 0)
		r = exec_begin(x, &c, 0, e);
	if (r < 0) {
		lodge_exec_close(x);
		return r;
	}
	*ret = x;
	return 0;
}

/* ---- the program that a guest is for ---- */

/* Ears for the guest, before it starts: it does not try twice. */
static int first_listen(struct lodge_exec *x, struct lodge_err *e)
{
	char name[32];
	struct epoll_event ev = {.events = EPOLLIN};
	snprintf(name, sizeof name, "vsock.sock_%u", AGENT_FIRST_PORT);
	x->coming = true;
	x->listener = socket_listen(x->g->inst->runtime, name, e);
	if (x->listener < 0)
		return x->listener;
	x->wait = control_connect(x->g->inst, "control.sock", e);
	int r = x->wait < 0 ? x->wait : control_send(x->wait, "GET", "/v1/wait", false, NULL, e);
	if (r < 0)
		return r;
	x->sock = epoll_create1(EPOLL_CLOEXEC);
	if (x->sock < 0 || epoll_ctl(x->sock, EPOLL_CTL_ADD, x->listener, &ev) < 0 ||
	    epoll_ctl(x->sock, EPOLL_CTL_ADD, x->wait, &ev) < 0)
		return err_sys(e, "waiting for the guest");
	return 0;
}

int lodge_exec_first(struct lodge_exec **ret, struct lodge_guest *g,
		     const struct lodge_exec_config *given, struct lodge_err *e)
{
	struct lodge_exec_config c;
	struct lodge_exec *x = NULL;
	int r = exec_new(&x, &c, given, e);
	if (r < 0)
		return r;
	x->g = g;
	g->inst->waits = true;
	r = lodge_keep(g, e);
	g->inst->waits = false;
	if (r == 0)
		r = first_listen(x, e);
	if (r == 0)
		r = exec_begin(x, &c, AGENT_EXEC_FIRST, e);
	if (r == 0)
		r = lodge_start(g, e);
	if (r < 0) {
		lodge_exec_close(x);
		return r;
	}
	*ret = x;
	return 0;
}

int lodge_exec_first_end(struct lodge_exec *x, int *ret_exit_code, struct lodge_err *e)
{
	struct lodge_guest *g = x->g;
	autoclose int wait = take_fd(&x->wait);
	lodge_exec_close(x);
	return guest_exit(g, wait, ret_exit_code, e);
}

int lodge_exec_fd(const struct lodge_exec *x)
{
	return x->enter ? enter_fd(x->enter) : x->sock;
}

int lodge_exec_exit(const struct lodge_exec *x)
{
	return x->enter ? enter_exit(x->enter) : x->code;
}

void lodge_exec_close(struct lodge_exec *x)
{
	if (!x)
		return;
	enter_end(x->enter);
	if (x->sock >= 0) {
		if (!x->ended && exec_frame(x, AGENT_CLOSE, NULL, 0) < 0)
			x->ended = true;
		close(x->sock);
	}
	if (x->listener >= 0)
		close(x->listener);
	if (x->wait >= 0)
		close(x->wait);
	free(x->in);
	free(x->out);
	free(x);
}
