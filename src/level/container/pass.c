/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors handed over sockets: the master of a terminal, the listener of a filter. unix(7) */
#include "level/container/internal.h"
#include <stdio.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { PATIENCE_S = 10 };

int pass_connect(const char *path, struct lodge_err *e)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	/* who listens and never looks must not hold us up without an end */
	const struct timeval patience = {.tv_sec = PATIENCE_S};
	autoclose int at = open(path, O_PATH | O_CLOEXEC);
	autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (at < 0 || fd < 0)
		return err_sys(e, "%s", path);
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) < 0)
		return err_sys(e, "%s", path);
	/* a path may be longer than an address */
	snprintf(a.sun_path, sizeof a.sun_path, "/proc/self/fd/%d", at);
	if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
		return err_sys(e, "connecting to %s", path);
	return take_fd(&fd);
}

int pass_send(int socket, const char *text, size_t len, int fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} u = {{0}};
	union {
		const char *in;
		void *out;
	} data = {text};
	struct iovec v = {.iov_base = data.out, .iov_len = len};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = u.buf,
	                   .msg_controllen = sizeof u.buf};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(c), &fd, sizeof fd);
	ssize_t n;
	do
		n = sendmsg(socket, &m, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -1 : 0;
}

static int receive(int socket, int flags)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} u = {{0}};
	char text[64];
	struct iovec v = {.iov_base = text, .iov_len = sizeof text};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = u.buf,
	                   .msg_controllen = sizeof u.buf};
	ssize_t n;
	int fd = -1;
	do
		n = recvmsg(socket, &m, MSG_CMSG_CLOEXEC | flags);
	while (n < 0 && errno == EINTR);
	struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(c), sizeof fd);
	return fd;
}

int pass_receive(int socket) { return receive(socket, 0); }
int container_receive(int socket) { return receive(socket, MSG_DONTWAIT); }
