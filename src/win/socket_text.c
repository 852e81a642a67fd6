/* SPDX-License-Identifier: Apache-2.0 */
/* Whole addresses of sockets as text, and back: "1.2.3.4:80", "[fe80::1%2]:80", without a port when
 * that is 0. */
#include "win/socket.h"
#include <arpa/inet.h>
#include <limits.h>
#include <stdio.h>

enum { TEXT_MAX = INET6_ADDRSTRLEN + 24 };

static bool address_text(const void *name, uint32_t len, char ret[TEXT_MAX])
{
	struct sockaddr_storage a = {0};
	char text[INET6_ADDRSTRLEN], scope[12] = "";
	if (len > sizeof a || !address_in(&a, name, (int)len))
		return false;
	const struct sockaddr_in *v4 = (const void *)&a;
	const struct sockaddr_in6 *v6 = (const void *)&a;
	bool six = a.ss_family == AF_INET6;
	if (len < (six ? sizeof *v6 : sizeof *v4) || (!six && a.ss_family != AF_INET))
		return false;
	unsigned port = ntohs(six ? v6->sin6_port : v4->sin_port);
	const void *at = six ? (const void *)&v6->sin6_addr : &v4->sin_addr;
	inet_ntop(a.ss_family, at, text, sizeof text);
	if (six && v6->sin6_scope_id)
		snprintf(scope, sizeof scope, "%%%u", v6->sin6_scope_id);
	if (port)
		snprintf(ret, TEXT_MAX, six ? "[%s%s]:%u" : "%s%s:%u", text, scope, port);
	else
		snprintf(ret, TEXT_MAX, "%s%s", text, scope);
	return true;
}

/* 0 and the text, when it has room in *@ret_len characters, which tell how many it needs with the
 * 0; else as WSAAddressToString fails. @out: whether there is somewhere to write it. */
static int32_t text_ask(const void *name, uint32_t len, bool out, char text[TEXT_MAX],
			uint32_t *ret_len)
{
	if (!name || !out || !ret_len)
		return socket_fail(EFAULT);
	if (!address_text(name, len, text))
		return socket_fail(EINVAL);
	uint32_t need = (uint32_t)strlen(text) + 1, have = *ret_len;
	*ret_len = need;
	return have < need ? socket_fail(EFAULT) : 0;
}

API(int32_t, ws_WSAAddressToStringA, const void *name, uint32_t len, const void *protocol,
    char *ret, uint32_t *ret_len)
{
	char text[TEXT_MAX];
	(void)protocol;
	int32_t r = text_ask(name, len, ret != NULL, text, ret_len);
	if (r == 0)
		strcpy(ret, text);
	return r;
}

API(int32_t, ws_WSAAddressToStringW, const void *name, uint32_t len, const void *protocol,
    wide *ret, uint32_t *ret_len)
{
	char text[TEXT_MAX];
	(void)protocol;
	int32_t r = text_ask(name, len, ret != NULL, text, ret_len);
	if (r == 0)
		(void)wide_give(text, ret, *ret_len);
	return r;
}

/* A number from 1 on that is all of @s. */
static bool number_all(const char *s, unsigned long most, unsigned long *ret)
{
	char *end = NULL;
	*ret = *s >= '0' && *s <= '9' ? strtoul(s, &end, 10) : 0;
	return *ret && *ret <= most && !*end;
}

static bool text_v4(char *s, struct sockaddr_in *ret)
{
	unsigned long port = 0;
	char *colon = strchr(s, ':');
	if (colon)
		*colon = 0;
	*ret = (struct sockaddr_in){.sin_family = AF_INET};
	if ((colon && !number_all(colon + 1, 65535, &port)) || !inet_aton(s, &ret->sin_addr))
		return false;
	ret->sin_port = htons((uint16_t)port);
	return true;
}

static bool text_v6(char *s, struct sockaddr_in6 *ret)
{
	unsigned long port = 0, scope = 0;
	char *close = *s == '[' ? strchr(s, ']') : NULL;
	if (*s == '[' && !close)
		return false;
	if (close && close[1] && (close[1] != ':' || !number_all(close + 2, 65535, &port)))
		return false;
	if (close) {
		*close = 0;
		s++;
	}
	char *percent = strchr(s, '%');
	if (percent)
		*percent = 0;
	*ret = (struct sockaddr_in6){.sin6_family = AF_INET6};
	if ((percent && !number_all(percent + 1, UINT32_MAX, &scope)) ||
	    inet_pton(AF_INET6, s, &ret->sin6_addr) != 1)
		return false;
	ret->sin6_port = htons((uint16_t)port);
	ret->sin6_scope_id = (uint32_t)scope;
	return true;
}

API(int32_t, ws_WSAStringToAddressA, const char *s, int32_t family, const void *protocol, void *ret,
    int32_t *ret_len)
{
	struct sockaddr_storage a = {0};
	autofree char *own = s ? strdup(s) : NULL;
	int32_t size = family == AF_INET ? (int32_t)sizeof(struct sockaddr_in)
					 : (int32_t)sizeof(struct sockaddr_in6);
	(void)protocol;
	if (!ret || !ret_len)
		return socket_fail(EFAULT);
	if (!own || (family != AF_INET && family != FAMILY_INET6))
		return socket_fail(EINVAL);
	if (*ret_len < size) {
		*ret_len = size;
		return socket_fail(EFAULT);
	}
	if (!(family == AF_INET ? text_v4(own, (struct sockaddr_in *)&a)
				: text_v6(own, (struct sockaddr_in6 *)&a)))
		return socket_fail(EINVAL);
	address_out(ret, ret_len, &a, (socklen_t)size);
	return 0;
}

API(int32_t, ws_WSAStringToAddressW, const wide *s, int32_t family, const void *protocol, void *ret,
    int32_t *ret_len)
{
	autofree char *t = s ? text_from(s, SIZE_MAX) : NULL;
	return ws_WSAStringToAddressA(t, family, protocol, ret, ret_len);
}
