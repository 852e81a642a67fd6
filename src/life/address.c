/* SPDX-License-Identifier: Apache-2.0 */
/* "unix:PATH" and "tcp:HOST:PORT". */
#include "life/internal.h"
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static int unix_address(const char *path, struct sockaddr_un *ret, struct lodge_err *e)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (!*path || strlen(path) >= sizeof ret->sun_path)
		return err_set(e, EINVAL, "unix:%s: a path of 1 to %zu bytes", path,
		               sizeof ret->sun_path - 1);
	memcpy(ret->sun_path, path, strlen(path));
	return 0;
}

/* The first of what HOST:PORT can mean that @use takes. */
static int tcp_each(const char *text, bool listen, int (*use)(int fd, const struct addrinfo *a),
                    struct lodge_err *e)
{
	const char *colon = strrchr(text, ':');
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = listen ? AI_PASSIVE : 0 };
	struct addrinfo *all = NULL;
	bool braces = text[0] == '[' && colon > text && colon[-1] == ']';
	if (!colon || !colon[1])
		return err_set(e, EINVAL, "tcp:%s: tcp:HOST:PORT is needed", text);
	autofree char *host = strndup(text + braces, (size_t)(colon - text) - 2 * braces);
	if (!host)
		return err_set(e, ENOMEM, "out of memory");
	int r = getaddrinfo(*host ? host : NULL, colon + 1, &hints, &all);
	if (r != 0)
		return err_set(e, ENOENT, "tcp:%s: %s", text, gai_strerror(r));
	r = err_set(e, EADDRNOTAVAIL, "tcp:%s: no address", text);
	for (struct addrinfo *a = all; a && r < 0; a = a->ai_next) {
		autoclose int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, 0);
		r = fd < 0 || use(fd, a) < 0 ? err_sys(e, "tcp:%s", text) : take_fd(&fd);
	}
	freeaddrinfo(all);
	return r;
}

static int tcp_connect(int fd, const struct addrinfo *a)
{
	struct timeval patience = { .tv_sec = 20 };
	int on = 1;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return connect(fd, a->ai_addr, a->ai_addrlen);
}

static int tcp_listen(int fd, const struct addrinfo *a)
{
	int on = 1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	return bind(fd, a->ai_addr, a->ai_addrlen) < 0 ? -1 : listen(fd, 1);
}

int address_connect(const char *text, struct lodge_err *e)
{
	struct sockaddr_un a;
	if (!strncmp(text, "tcp:", 4))
		return tcp_each(text + 4, false, tcp_connect, e);
	if (strncmp(text, "unix:", 5) != 0)
		return err_set(e, EINVAL, "'%s': unix:PATH or tcp:HOST:PORT is needed", text);
	int r = unix_address(text + 5, &a, e);
	autoclose int fd = r < 0 ? -1 : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (r == 0 && (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) < 0))
		r = err_sys(e, "%s", text);
	return r < 0 ? r : take_fd(&fd);
}

int life_listen(const char *text, struct lodge_err *e)
{
	struct sockaddr_un a;
	if (!strncmp(text, "tcp:", 4))
		return tcp_each(text + 4, true, tcp_listen, e);
	if (strncmp(text, "unix:", 5) != 0)
		return err_set(e, EINVAL, "'%s': unix:PATH or tcp:HOST:PORT is needed", text);
	int r = unix_address(text + 5, &a, e);
	autoclose int fd = r < 0 ? -1 : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (r == 0 && fd >= 0 && fchmod(fd, 0600) < 0) /* bind gives it to the file */
		r = err_sys(e, "%s", text);
	if (r == 0 &&
	    (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 1) < 0))
		r = err_sys(e, "%s", text);
	return r < 0 ? r : take_fd(&fd);
}
