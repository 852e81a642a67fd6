/* SPDX-License-Identifier: Apache-2.0 */
/* Published ports: the text form "[BIND:]HOST:GUEST[/tcp|udp]", and their sockets. */
#include "internal.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

enum { BACKLOG = 128 }; /* connections that wait for the guest's attention */

/* A decimal port without sign or blanks; -1: not one. */
static int port_number(const char *s)
{
	int v = 0;
	size_t i = 0;
	for (; s[i] >= '0' && s[i] <= '9' && i < 5; i++)
		v = v * 10 + (s[i] - '0');
	return i == 0 || s[i] || v > 65535 ? -1 : v;
}

int net_port_parse(struct net_port *ret, const char *text, struct lodge_err *e)
{
	struct net_port p = { .bind = "127.0.0.1", .fd = -1 };
	char buf[96], *bind = NULL;
	size_t len = strlen(text);
	if (len >= sizeof buf)
		return err_set(e, EINVAL, "port \"%.40s...\" is too long", text);
	memcpy(buf, text, len + 1);
	char *slash = strchr(buf, '/');
	if (slash) {
		*slash = 0;
		p.udp = !strcmp(slash + 1, "udp");
		if (!p.udp && strcmp(slash + 1, "tcp"))
			return err_set(e, EINVAL, "port \"%s\": neither tcp nor udp", text);
	}
	char *guest = strrchr(buf, ':'), *host = buf;
	if (!guest)
		return err_set(e, EINVAL, "port \"%s\" is not [BIND:]HOST:GUEST[/tcp|udp]", text);
	*guest++ = 0;
	char *colon = strrchr(buf, ':');
	if (colon) {
		*colon = 0;
		host = colon + 1;
		bind = buf;
	}
	int h = port_number(host), g = port_number(guest);
	if (h < 0 || g < 1)
		return err_set(e, EINVAL, "port \"%s\": %s is not a port number", text,
		               h < 0 ? host : guest);
	struct in_addr a;
	if (bind && inet_pton(AF_INET, bind, &a) != 1)
		return err_set(e, EINVAL, "port \"%s\": \"%s\" is not an IPv4 address", text, bind);
	if (bind)
		memcpy(p.bind, bind, strlen(bind) + 1);
	p.host = (uint16_t)h;
	p.guest = (uint16_t)g;
	*ret = p;
	return 0;
}

static int port_refused(const struct net_port *p, struct lodge_err *e)
{
	int code = errno;
	const char *proto = p->udp ? "udp" : "tcp", *hint = "";
	if (code == EADDRINUSE)
		hint = ": another program has it; choose another host port, or 0 for a free one";
	else if (code == EACCES || code == EPERM)
		hint =
		    ": ports below net.ipv4.ip_unprivileged_port_start need CAP_NET_BIND_SERVICE";
	else if (code == EADDRNOTAVAIL)
		hint = ": this host has no such address";
	return err_set(e, code, "port %s:%u/%s cannot be published (%s)%s", p->bind, p->host, proto,
	               strerror(code), hint);
}

static const struct net_port *port_held(const struct net_port *p, const struct net_port *held,
                                        unsigned nheld)
{
	for (unsigned i = 0; i < nheld; i++)
		if (held[i].udp == p->udp && !strcmp(held[i].bind, p->bind) &&
		    held[i].guest == p->guest && (!p->host || held[i].host == p->host))
			return &held[i];
	return NULL;
}

int port_socket(struct net_port *p, const struct net_port *held, unsigned nheld,
                struct lodge_err *e)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(p->host) };
	socklen_t len = sizeof a;
	const struct net_port *had = port_held(p, held, nheld);
	int on = 1, kind = p->udp ? SOCK_DGRAM : SOCK_STREAM;
	autoclose int fd = had ? fcntl(had->fd, F_DUPFD_CLOEXEC, 3)
	                       : socket(AF_INET, kind | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_sys(e, "a socket for a port");
	if (inet_pton(AF_INET, p->bind, &a.sin_addr) != 1)
		return err_set(e, EINVAL, "%s is not an IPv4 address", p->bind);
	/* Two could have one UDP port then, and neither all of it. */
	if (!had && !p->udp && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
		return err_sys(e, "a socket for a port");
	if (!had && (bind(fd, (struct sockaddr *)&a, sizeof a) < 0 ||
	             (!p->udp && listen(fd, BACKLOG) < 0)))
		return port_refused(p, e);
	if (getsockname(fd, (struct sockaddr *)&a, &len) < 0)
		return err_sys(e, "the socket of a port");
	p->host = ntohs(a.sin_port);
	return take_fd(&fd);
}
