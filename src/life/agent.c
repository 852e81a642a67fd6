/* SPDX-License-Identifier: Apache-2.0 */
/* The host's side of the agent's protocol: frames, and the way to the agent.
 * Spec: guest/agent/PROTOCOL.md, version 2 */
#include "life/internal.h"
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

static const uint64_t GREETING_NS = 3000000000u, RETRY_NS = 100000000u;

/* ---- frames ---- */

uint8_t *agent_in_room(struct agent_in *in, size_t *ret_cap)
{
	if (in->used) {
		memmove(in->buf, in->buf + in->used, in->len - in->used);
		in->len -= in->used;
		in->used = 0;
	}
	*ret_cap = sizeof in->buf - in->len;
	return in->buf + in->len;
}

void agent_in_add(struct agent_in *in, size_t len)
{
	assert(len <= sizeof in->buf - in->len);
	in->len += len;
}

int agent_in_next(struct agent_in *in, struct agent_frame *ret)
{
	const uint8_t *p = in->buf + in->used;
	size_t have = in->len - in->used;
	if (have < AGENT_HEADER)
		return 0;
	uint32_t len = agent_get32(p);
	unsigned type = agent_get16(p + 4);
	if (len > AGENT_PAYLOAD_MAX || type >= AGENT_TYPE_COUNT)
		return -EPROTO;
	if (have < AGENT_HEADER + len)
		return 0;
	*ret = (struct agent_frame){type, agent_get16(p + 6), p + AGENT_HEADER, len};
	in->used += AGENT_HEADER + len;
	return 1;
}

static size_t put_text(uint8_t *p, const char *s)
{
	size_t n = strlen(s) + 1;
	memcpy(p, s, n);
	return n;
}

int agent_exec_make(const struct lodge_exec_config *c, unsigned flags, uint8_t **ret,
		    size_t *ret_len, struct lodge_err *e)
{
	const char *user = c->user ? c->user : "", *cwd = c->cwd ? c->cwd : "";
	size_t need = AGENT_EXEC_HEAD + strlen(user) + strlen(cwd) + 2;
	for (size_t i = 0; i < c->argc; i++)
		need += strlen(c->argv[i]) + 1;
	for (size_t i = 0; i < c->nenv; i++)
		need += strlen(c->env[i]) + 1;
	if (need > AGENT_PAYLOAD_MAX || c->argc > UINT16_MAX || c->nenv > UINT16_MAX)
		return err_set(e, E2BIG, "the arguments are too long for the agent (64 KiB)");
	uint8_t *p = calloc(1, need);
	if (!p)
		return err_set(e, ENOMEM, "out of memory");
	agent_put32(p, flags | (c->tty ? AGENT_EXEC_TTY : 0u) |
			   (c->interactive ? AGENT_EXEC_STDIN : 0u) |
			   (c->shell ? AGENT_EXEC_SHELL : 0u));
	agent_put16(p + 4, (uint16_t)c->rows);
	agent_put16(p + 6, (uint16_t)c->columns);
	agent_put16(p + 8, (uint16_t)c->argc);
	agent_put16(p + 10, (uint16_t)c->nenv);
	size_t n = AGENT_EXEC_HEAD;
	n += put_text(p + n, user);
	n += put_text(p + n, cwd);
	for (size_t i = 0; i < c->argc; i++)
		n += put_text(p + n, c->argv[i]);
	for (size_t i = 0; i < c->nenv; i++)
		n += put_text(p + n, c->env[i]);
	*ret = p;
	*ret_len = n;
	return 0;
}

/* ---- the way there ---- */

/* Wait until @fd is readable. False: not before @until_ns. */
static bool wait_readable(int fd, uint64_t until_ns)
{
	for (;;) {
		uint64_t now = host_monotonic_ns();
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int ms = now < until_ns ? (int)min_u64((until_ns - now) / 1000000 + 1, 60000) : 0;
		int r = poll(&p, 1, ms);
		if (r > 0)
			return true;
		if (r == 0 && host_monotonic_ns() >= until_ns)
			return false;
		if (r < 0 && errno != EINTR)
			return false;
	}
}

/* The next frame, or -errno; waits until @until_ns. */
static int agent_read(int fd, struct agent_in *in, struct agent_frame *f, uint64_t until_ns)
{
	for (;;) {
		size_t cap;
		int r = agent_in_next(in, f);
		if (r != 0)
			return r < 0 ? r : 0;
		if (!wait_readable(fd, until_ns))
			return -ETIMEDOUT;
		uint8_t *room = agent_in_room(in, &cap);
		ssize_t n = recv(fd, room, cap, MSG_DONTWAIT);
		if (n == 0)
			return -ECONNRESET;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (n > 0)
			agent_in_add(in, (size_t)n);
	}
}

static int send_frame(int fd, unsigned type, const uint8_t *payload, uint32_t len)
{
	uint8_t buf[AGENT_HEADER + 64];
	if (len > 64)
		return -EMSGSIZE;
	agent_head(buf, len, (enum agent_type)type, 0);
	if (len)
		memcpy(buf + AGENT_HEADER, payload, len);
	ssize_t n = send(fd, buf, AGENT_HEADER + len, MSG_NOSIGNAL);
	return n == (ssize_t)(AGENT_HEADER + len) ? 0 : n < 0 ? -errno : -EIO;
}

/* "CONNECT port" on the device's socket; the answer is one line. */
static int vsock_connect(const struct instance *i, uint64_t until_ns)
{
	char line[64] = "";
	autoclose int fd = control_connect(i, "vsock.sock", NULL);
	if (fd < 0)
		return fd;
	int n = snprintf(line, sizeof line, "CONNECT %u\n", AGENT_VSOCK_PORT);
	if (send(fd, line, (size_t)n, MSG_NOSIGNAL) != n)
		return -ECONNRESET;
	for (size_t at = 0; at < sizeof line - 1; at++) {
		if (!wait_readable(fd, until_ns) || recv(fd, line + at, 1, 0) != 1)
			return -ECONNREFUSED;
		if (line[at] == '\n')
			return !strncmp(line, "OK", 2) ? take_fd(&fd) : -ECONNREFUSED;
	}
	return -EPROTO;
}

int agent_hello(int fd)
{
	uint8_t hello[AGENT_HELLO_LEN];
	memcpy(hello, AGENT_MAGIC, AGENT_MAGIC_LEN);
	agent_put32(hello + 8, AGENT_VERSION);
	agent_put32(hello + 12, AGENT_PAYLOAD_MAX);
	agent_put32(hello + 16, AGENT_WINDOW_START);
	return send_frame(fd, AGENT_HELLO, hello, sizeof hello);
}

/* HELLO until HELLO. What was under way before on this channel is passed over. */
static int agent_greet(int fd, struct agent_in *in, uint64_t until_ns)
{
	struct agent_frame f;
	for (int tries = 0; tries < 2; tries++) {
		int r = agent_hello(fd);
		uint64_t patience = min_u64(until_ns, host_monotonic_ns() + GREETING_NS);
		while (r == 0 && (r = agent_read(fd, in, &f, patience)) == 0) {
			if (f.type != AGENT_HELLO)
				continue;
			if (f.len < AGENT_HELLO_LEN ||
			    memcmp(f.payload, AGENT_MAGIC, AGENT_MAGIC_LEN) != 0)
				return -EPROTO;
			in->version = agent_get32(f.payload + AGENT_MAGIC_LEN);
			return 0;
		}
		if (r != -ETIMEDOUT || host_monotonic_ns() >= until_ns)
			return r;
	}
	return -ETIMEDOUT;
}

/* One attempt on one way. */
static int agent_try(const struct instance *i, bool vsock, struct agent_in *in, uint64_t until_ns)
{
	uint64_t patience = min_u64(until_ns, host_monotonic_ns() + 2 * GREETING_NS);
	in->len = in->used = 0;
	autoclose int fd =
	    vsock ? vsock_connect(i, patience) : control_connect(i, "agent.sock", NULL);
	if (fd < 0)
		return take_fd(&fd);
	int r = agent_greet(fd, in, patience);
	return r < 0 ? r : take_fd(&fd);
}

int agent_connect(const struct instance *i, uint64_t wait_ns, struct agent_in *in,
		  struct lodge_err *e)
{
	struct timespec pause = {.tv_nsec = (long)RETRY_NS};
	/* An agent that is there answers within a moment, even on a slow machine. */
	uint64_t until = host_monotonic_ns() + (wait_ns > GREETING_NS ? wait_ns : GREETING_NS);
	do {
		autoclose int keeper = control_connect(i, "control.sock", e);
		if (keeper < 0)
			return take_fd(&keeper);
		int fd = agent_try(i, true, in, until);
		if (fd < 0)
			fd = agent_try(i, false, in, until);
		if (fd >= 0)
			return fd;
		nanosleep(&pause, NULL);
	} while (host_monotonic_ns() < until);
	return err_set(
	    e, ENOTCONN,
	    "the agent in %s does not answer: it is still booting, or has no lodge-agent "
	    "(docs: lodge-exec(1))",
	    i->name);
}

/* Send a request and wait for its OK. */
static int agent_call(int fd, struct agent_in *in, unsigned type, const uint8_t *payload,
		      uint32_t len, uint64_t until, struct lodge_err *e)
{
	struct agent_frame f;
	int r = send_frame(fd, type, payload, len);
	while (r == 0 && (r = agent_read(fd, in, &f, until)) == 0) {
		if (f.type == AGENT_OK)
			return 0;
		if (f.type == AGENT_ERROR && f.len >= 4) {
			uint32_t code = agent_get32(f.payload);
			return err_set(e, code && code < 4096 ? (int)code : EIO, "the agent: %.*s",
				       (int)(f.len - 4), (const char *)f.payload + 4);
		}
	}
	return err_set(e, -r, "the agent: %s", strerror(-r));
}

int agent_ask(const struct instance *i, unsigned type, uint64_t wait_ns, struct lodge_err *e)
{
	autofree struct agent_in *in = calloc(1, sizeof *in);
	if (!in)
		return err_set(e, ENOMEM, "out of memory");
	uint64_t until = host_monotonic_ns() + wait_ns + GREETING_NS;
	autoclose int fd = agent_connect(i, wait_ns, in, e);
	return fd < 0 ? take_fd(&fd) : agent_call(fd, in, type, NULL, 0, until, e);
}

static int agent_rename(int fd, struct agent_in *in, const struct agent_news *n,
			struct lodge_err *e)
{
	uint8_t p[AGENT_ADDRESS_LEN];
	if (in->version < AGENT_ADDRESS_VERSION)
		return err_set(e, EOPNOTSUPP, "the agent in the guest is of an earlier Lodge: it "
			       "cannot change the address of a network card");
	memcpy(p, n->was, 6);
	memcpy(p + 6, n->now, 6);
	return agent_call(fd, in, AGENT_ADDRESS, p, sizeof p, host_monotonic_ns() + GREETING_NS, e);
}

int agent_inform(const struct instance *i, const struct agent_news *n, struct lodge_err *e)
{
	uint8_t when[12];
	autofree struct agent_in *in = calloc(1, sizeof *in);
	if (!in)
		return err_set(e, ENOMEM, "out of memory");
	autoclose int fd = agent_connect(i, 0, in, e);
	if (fd < 0)
		return take_fd(&fd);
	int named = n->renamed ? agent_rename(fd, in, n, e) : 0;
	uint64_t now = host_realtime_ns(); /* as late as possible */
	le64_put(when, now / 1000000000u);
	le32_put(when + 8, (uint32_t)(now % 1000000000u));
	struct lodge_err *why = named < 0 ? NULL : e;
	int r = agent_call(fd, in, AGENT_TIME, when, sizeof when, host_monotonic_ns() + GREETING_NS,
			   why);
	return named < 0 ? named : r;
}
