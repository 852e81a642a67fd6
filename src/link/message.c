/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of netlink(7): a header each, then attributes, which may be nests of such. */
#include "link/internal.h"
#include <stdio.h>
#include <sys/socket.h>

static void *msg_room(struct msgs *m, size_t len)
{
	size_t whole = NLMSG_ALIGN(len);
	if (m->full || whole > m->cap - m->len) {
		m->full = true;
		return NULL;
	}
	void *p = m->buf + m->len;
	memset(p, 0, whole);
	m->len += whole;
	struct nlmsghdr *h = (void *)(m->buf + m->at);
	if (m->n)
		h->nlmsg_len = (uint32_t)(m->len - m->at);
	return p;
}

void msg_begin(struct msgs *m, unsigned type, unsigned flags, const void *body, size_t len,
               const char *what)
{
	if (m->n + 1 >= MSG_COUNT) {
		m->full = true;
		return;
	}
	m->at = m->len;
	m->n++;
	struct nlmsghdr *h = msg_room(m, sizeof *h);
	if (!h)
		return;
	*h = (struct nlmsghdr){.nlmsg_len = sizeof *h,
	                       .nlmsg_type = (uint16_t)type,
	                       .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags |
	                                                 (what ? NLM_F_ACK : 0)),
	                       .nlmsg_seq = m->n};
	m->what[m->n] = what;
	msg_body(m, body, len);
}

void msg_body(struct msgs *m, const void *data, size_t len)
{
	void *p = msg_room(m, len);
	if (p)
		memcpy(p, data, len);
}

void msg_put(struct msgs *m, unsigned type, const void *data, size_t len)
{
	const size_t head = NLMSG_ALIGN(sizeof(struct nlattr));
	struct nlattr *a = msg_room(m, head + len);
	if (!a)
		return;
	*a = (struct nlattr){(uint16_t)(head + len), (uint16_t)type};
	if (len)
		memcpy((uint8_t *)a + head, data, len);
}

void msg_text(struct msgs *m, unsigned type, const char *text)
{
	msg_put(m, type, text, strlen(text) + 1);
}

void msg_u32(struct msgs *m, unsigned type, uint32_t v) { msg_put(m, type, &v, sizeof v); }

void msg_be32(struct msgs *m, unsigned type, uint32_t v)
{
	msg_u32(m, type, __builtin_bswap32(v));
}

size_t msg_nest(struct msgs *m, unsigned type)
{
	size_t at = m->len;
	msg_put(m, NLA_F_NESTED | type, NULL, 0);
	return at;
}

void msg_nest_end(struct msgs *m, size_t nest)
{
	if (!m->full)
		((struct nlattr *)(void *)(m->buf + nest))->nla_len = (uint16_t)(m->len - nest);
}

int msg_socket(int *ret, int protocol, struct lodge_err *e)
{
	struct sockaddr_nl own = {.nl_family = AF_NETLINK};
	autoclose int s = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
	if (s < 0 || bind(s, (struct sockaddr *)&own, sizeof own) < 0)
		return err_sys(e, "a socket of netlink%s",
		               protocol == NETLINK_NETFILTER
		                   ? " to nf_tables (the kernel needs CONFIG_NF_TABLES)" : "");
	*ret = take_fd(&s);
	return 0;
}

static int msg_error(const struct msgs *m, const struct nlmsghdr *h, unsigned *left,
                     struct lodge_err *e)
{
	const struct nlmsgerr *err =
	    (const void *)((const uint8_t *)h + NLMSG_HDRLEN);
	const char *what = h->nlmsg_seq <= m->n ? m->what[h->nlmsg_seq] : NULL;
	if (h->nlmsg_len < NLMSG_LENGTH(sizeof *err))
		return err_set(e, EIO, "an answer of the kernel is too short");
	if (err->error == 0) {
		*left -= *left > 0;
		return 0;
	}
	return err_set(e, -err->error, "%s: %s", what ? what : "the kernel's network",
	               strerror(-err->error));
}

int msg_ask(int s, struct msgs *m, void (*fn)(void *arg, struct nlmsghdr *h), void *arg,
            struct lodge_err *e)
{
	_Alignas(8) uint8_t buf[32768];
	unsigned left = 0;
	if (m->full)
		return err_set(e, E2BIG, "too much for one message to the kernel's network");
	for (unsigned i = 1; i <= m->n; i++)
		left += m->what[i] != NULL;
	if (send(s, m->buf, m->len, 0) != (ssize_t)m->len)
		return err_sys(e, "asking the kernel's network");
	while (left) {
		ssize_t got = recv(s, buf, sizeof buf, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(e, "an answer of the kernel's network");
		size_t n = (size_t)got;
		for (struct nlmsghdr *h = (void *)buf; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
			int r = 0;
			if (h->nlmsg_type == NLMSG_ERROR)
				r = msg_error(m, h, &left, e);
			else if (fn && h->nlmsg_type >= NLMSG_MIN_TYPE)
				fn(arg, h);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

int msg_send(int s, struct msgs *m, struct lodge_err *e) { return msg_ask(s, m, NULL, NULL, e); }
