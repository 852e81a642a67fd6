/* SPDX-License-Identifier: Apache-2.0 */
/* Published ports: the text form "[BIND:]HOST:GUEST[/tcp|udp]". */
#include "internal.h"
#include <arpa/inet.h>
#include <stdio.h>

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
	struct net_port p = { .bind = "127.0.0.1" };
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
