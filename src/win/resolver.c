/* SPDX-License-Identifier: Apache-2.0 */
/* Asking a resolver: by UDP, and by TCP what does not fit. The host's C library cannot be asked: it
 * looks for files that the box does not have. RFC 1035 4.2 */
#include "win/socket.h"
#include <poll.h>
#include <sys/time.h>

enum { PORT = 53, TRIES = 2, TRY_MS = 5000 };

struct question {
	uint8_t query[DNS_QUERY_MAX], in[DNS_MESSAGE_MAX];
	size_t n;
	enum dns_type type;
	uint8_t found[DNS_ADDRESSES][4];
	size_t nfound;
	char name[DNS_NAME_MAX];
};

static enum dns_answer answer_read(struct question *q, size_t len)
{
	return q->type == DNS_NAME
		   ? dns_name_read(q->in, len, q->query, q->n, q->name)
		   : dns_answer_read(q->in, len, q->query, q->n, q->found, &q->nfound);
}

static int connection(uint32_t resolver, int type)
{
	const struct sockaddr_in to = {.sin_family = AF_INET,
				       .sin_port = htons(PORT),
				       .sin_addr = {htonl(resolver)}};
	const struct timeval patience = {.tv_sec = TRY_MS / 1000};
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	if (fd >= 0 && (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0 ||
			setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) < 0 ||
			connect(fd, (const struct sockaddr *)&to, sizeof to) < 0)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* What answers other questions is not looked at, until the time is over. */
static enum dns_answer by_udp(struct question *q, uint32_t resolver)
{
	int fd = connection(resolver, SOCK_DGRAM);
	enum dns_answer a = DNS_FAILED;
	for (int i = 0; fd >= 0 && i < TRIES; i++) {
		const uint64_t end = host_monotonic_ns() + TRY_MS * UINT64_C(1000000);
		struct pollfd f = {.fd = fd, .events = POLLIN};
		if (send(fd, q->query, q->n, 0) < 0)
			continue;
		for (;;) {
			uint64_t now = host_monotonic_ns();
			int n = now >= end ? 0 : poll(&f, 1, (int)((end - now) / 1000000) + 1);
			if (n < 0 && errno == EINTR)
				continue;
			ssize_t len = n <= 0 ? -1 : recv(fd, q->in, sizeof q->in, MSG_DONTWAIT);
			if (n <= 0 || (len < 0 && errno != EAGAIN && errno != EINTR))
				break;
			a = len < 0 ? DNS_FOREIGN : answer_read(q, (size_t)len);
			if (a != DNS_FOREIGN) {
				close(fd);
				return a;
			}
		}
	}
	if (fd >= 0)
		close(fd);
	return DNS_FAILED;
}

static bool stream_read(int fd, uint8_t *to, size_t n)
{
	for (size_t at = 0; at < n;) {
		ssize_t got = recv(fd, to + at, n - at, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		at += (size_t)got;
	}
	return true;
}

static enum dns_answer by_tcp(struct question *q, uint32_t resolver)
{
	uint8_t framed[2 + DNS_QUERY_MAX] = {(uint8_t)(q->n >> 8), (uint8_t)q->n}, length[2];
	enum dns_answer a = DNS_FAILED;
	int fd = connection(resolver, SOCK_STREAM);
	memcpy(framed + 2, q->query, q->n);
	if (fd >= 0 && send(fd, framed, q->n + 2, MSG_NOSIGNAL) == (ssize_t)q->n + 2 &&
	    stream_read(fd, length, 2)) {
		size_t len = (size_t)(length[0] << 8 | length[1]);
		if (len <= sizeof q->in && stream_read(fd, q->in, len))
			a = answer_read(q, len);
	}
	if (fd >= 0)
		close(fd);
	return a;
}

static enum dns_answer question_ask(struct question *q, uint32_t resolver)
{
	enum dns_answer a = by_udp(q, resolver);
	return a == DNS_CUT ? by_tcp(q, resolver) : a;
}

/* NULL: no memory. ->n is 0: nothing is called that. */
static struct question *question_new(const char *host, enum dns_type type)
{
	struct question *q = calloc(1, sizeof *q);
	uint16_t id;
	host_random(&id, sizeof id);
	if (!q)
		return NULL;
	q->type = type;
	q->n = dns_query(q->query, id, host, type);
	return q;
}

bool resolver_ask(uint32_t resolver, const char *host, uint8_t ret[][16], size_t *ret_n)
{
	*ret_n = 0;
	autofree struct question *q = question_new(host, DNS_IPV4);
	if (!q)
		return false;
	if (!q->n)
		return true;
	enum dns_answer a = question_ask(q, resolver);
	for (size_t i = 0; a == DNS_FOUND && i < q->nfound; i++)
		memcpy(ret[i], q->found[i], 4);
	*ret_n = a == DNS_FOUND ? q->nfound : 0;
	return a == DNS_FOUND || a == DNS_NONE;
}

bool resolver_name(uint32_t resolver, const uint8_t address[4], char ret[DNS_NAME_MAX])
{
	char host[32];
	dns_reverse(address, host);
	autofree struct question *q = question_new(host, DNS_NAME);
	bool found = q && q->n && question_ask(q, resolver) == DNS_FOUND;
	if (found)
		memcpy(ret, q->name, DNS_NAME_MAX);
	return found;
}
