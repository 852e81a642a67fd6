/* SPDX-License-Identifier: Apache-2.0 */
/* Frames on a stream of bytes: a socket, a pair of pipes, a file. Nothing of one is believed before
 * its checksums were right. Format: lodge-stream(5) */
#include "save/internal.h"
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <zlib.h>

enum {
	AT_MAGIC = 0, AT_TYPE = 4, AT_INDEX = 8, AT_LEN = 12, AT_AT = 16, AT_CRC = 24,
	AT_HEAD_CRC = 28, HEAD = 32,
	PATIENCE_MS = 20000,
};
static const uint32_t magic = 0x3153474cu; /* "LGS1" */

int wire_init(struct wire *w, int in, int out, struct lodge_err *e)
{
	*w = (struct wire){ .in = in, .out = out, .leash = -1, .patience_ms = PATIENCE_MS };
	w->buf = malloc(FRAME_MAX);
	if (!w->buf)
		return err_set(e, ENOMEM, "out of memory");
	for (int i = 0; i < 2; i++) {
		struct stat st;
		int fd = i ? out : in, flags = fd < 0 ? -1 : fcntl(fd, F_GETFL);
		if (flags >= 0 && fstat(fd, &st) == 0 && !S_ISREG(st.st_mode) &&
		    fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
			return err_sys(e, "a descriptor of the stream");
	}
	return 0;
}

void wire_fini(struct wire *w) { free(take(w->buf)); }

/* Until @fd is ready. */
static int wire_wait(struct wire *w, int fd, short events, struct lodge_err *e)
{
	struct pollfd p[2] = { { .fd = fd, .events = events },
		{ .fd = w->leash, .events = POLLIN } };
	int n = poll(p, 2, (int)w->patience_ms);
	if (n < 0 && errno != EINTR)
		return err_sys(e, "waiting for the other side");
	if (n > 0 && p[1].revents)
		return err_set(e, ECANCELED, "given up");
	return n == 0 ? err_set(e, ETIMEDOUT, "nothing moved for %u s", w->patience_ms / 1000) : 0;
}

/* Without SIGPIPE where that can be had. */
static ssize_t wire_put(int fd, struct iovec *v, int n)
{
	struct msghdr m = { .msg_iov = v, .msg_iovlen = (size_t)n };
	ssize_t r = sendmsg(fd, &m, MSG_NOSIGNAL);
	return r < 0 && errno == ENOTSOCK ? writev(fd, v, n) : r;
}

static int wire_write(struct wire *w, struct iovec *v, int n, struct lodge_err *e)
{
	while (n) {
		ssize_t did = wire_put(w->out, v, n);
		if (did < 0 && (errno == EAGAIN || errno == EINTR)) {
			int r = wire_wait(w, w->out, POLLOUT, e);
			if (r < 0)
				return r;
			continue;
		}
		if (did < 0)
			return err_sys(e, "the stream broke");
		w->sent += (uint64_t)did;
		for (; n && (size_t)did >= v->iov_len; v++, n--)
			did -= (ssize_t)v->iov_len;
		if (n) {
			v->iov_base = (char *)v->iov_base + did;
			v->iov_len -= (size_t)did;
		}
	}
	return 0;
}

/* The other side may have said why it hung up. */
static int wire_reason(struct wire *w, int r, struct lodge_err *e)
{
	struct wire_frame f;
	struct lodge_err why;
	w->patience_ms = 0;
	for (int i = 0; w->in >= 0 && i < 8; i++) {
		int n = wire_receive(w, &f, &why);
		if (n < 0 && w->told)
			return err_set(e, why.code, "%s", why.msg);
		if (n < 0)
			break;
	}
	return r;
}

int wire_send(struct wire *w, const struct wire_frame *f, struct lodge_err *e)
{
	uint8_t head[HEAD] = { 0 };
	struct iovec v[2] = { { head, HEAD }, { (void *)(uintptr_t)f->p, f->len } };
	assert(f->len <= FRAME_MAX);
	le32_put(head + AT_MAGIC, magic);
	le32_put(head + AT_TYPE, f->type);
	le32_put(head + AT_INDEX, f->index);
	le32_put(head + AT_LEN, f->len);
	le64_put(head + AT_AT, f->at);
	le32_put(head + AT_CRC, (uint32_t)crc32(0, f->p, f->len));
	le32_put(head + AT_HEAD_CRC, (uint32_t)crc32(0, head, AT_HEAD_CRC));
	int r = wire_write(w, v, f->len ? 2 : 1, e);
	return r == -EPIPE || r == -ECONNRESET ? wire_reason(w, r, e) : r;
}

static int wire_read(struct wire *w, void *buf, size_t len, struct lodge_err *e)
{
	size_t have = 0;
	while (have < len) {
		ssize_t n = read(w->in, (uint8_t *)buf + have, len - have);
		if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
			int r = wire_wait(w, w->in, POLLIN, e);
			if (r < 0)
				return r;
			continue;
		}
		if (n < 0)
			return err_sys(e, "the stream broke");
		if (n == 0)
			return err_set(e, ECONNRESET, "the stream ended too early");
		have += (size_t)n;
	}
	return 0;
}

/* What the other side says went wrong there. */
static int wire_told(struct wire *w, const struct wire_frame *f, struct lodge_err *e)
{
	int code = f->index > 0 && f->index < 4096 ? (int)f->index : EIO;
	w->told = true;
	return err_set(e, code, "the other side: %.*s", (int)min_u64(f->len, 400),
	               (const char *)f->p);
}

int wire_receive(struct wire *w, struct wire_frame *ret, struct lodge_err *e)
{
	uint8_t head[HEAD];
	int r = wire_read(w, head, HEAD, e);
	if (r < 0)
		return r;
	if (le32_at(head + AT_MAGIC) != magic ||
	    le32_at(head + AT_HEAD_CRC) != (uint32_t)crc32(0, head, AT_HEAD_CRC))
		return err_set(e, EINVAL, "this is no stream of a guest, or it is damaged");
	struct wire_frame f = { .type = le32_at(head + AT_TYPE), .index = le32_at(head + AT_INDEX),
		.len = le32_at(head + AT_LEN), .at = le64_at(head + AT_AT), .p = w->buf };
	if (f.len > FRAME_MAX)
		return err_set(e, EINVAL, "the stream has a piece of %u bytes, more than %d", f.len,
		               FRAME_MAX);
	r = wire_read(w, w->buf, f.len, e);
	if (r < 0)
		return r;
	if (le32_at(head + AT_CRC) != (uint32_t)crc32(0, w->buf, f.len))
		return err_set(e, EINVAL, "the stream is damaged: a piece has a wrong checksum");
	if (f.type == FRAME_ERROR)
		return wire_told(w, &f, e);
	*ret = f;
	return 0;
}

void wire_drain(struct wire *w)
{
	struct wire_frame f;
	while (wire_receive(w, &f, NULL) == 0)
		;
}

int wire_expect(struct wire *w, enum frame_type type, struct lodge_err *e)
{
	struct wire_frame f;
	int r = wire_receive(w, &f, e);
	if (r == 0 && f.type != type)
		r = err_set(e, EPROTO, "the other side says %u where %u was its turn", f.type,
		            (unsigned)type);
	return r;
}

void wire_fail(struct wire *w, const struct lodge_err *why)
{
	struct wire_frame f = { .type = FRAME_ERROR, .index = (uint32_t)why->code,
		.p = (const uint8_t *)why->msg, .len = (uint32_t)strlen(why->msg) };
	if (w->out >= 0 && !w->told && wire_send(w, &f, NULL) < 0)
		w->told = true; /* nobody is there to hear it */
}
