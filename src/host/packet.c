/* SPDX-License-Identifier: Apache-2.0 */
/* Packets of unix sockets, some of which bring a descriptor along. unix(7) */
#include "host/host.h"
#include <sys/socket.h>

union room {
	char buf[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

int host_packet_pair(int ret[2], struct lodge_err *e)
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret) < 0
		       ? err_sys(e, "a pair of sockets")
		       : 0;
}

bool host_packet_send(int fd, const void *data, size_t len, int pass)
{
	struct iovec v = {(void *)(uintptr_t)data, len};
	union room c = {.buf = {0}};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
	if (pass >= 0) {
		m.msg_control = c.buf;
		m.msg_controllen = sizeof c.buf;
		struct cmsghdr *h = CMSG_FIRSTHDR(&m);
		*h = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)),
				      .cmsg_level = SOL_SOCKET,
				      .cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(h), &pass, sizeof pass);
	}
	ssize_t n;
	do
		n = sendmsg(fd, &m, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)len;
}

ssize_t host_packet_receive(int fd, void *data, size_t len, bool wait, int *ret_passed)
{
	struct iovec v = {data, len};
	union room c;
	struct msghdr m = {
	    .msg_iov = &v, .msg_iovlen = 1, .msg_control = c.buf, .msg_controllen = sizeof c.buf};
	int passed = -1;
	ssize_t n;
	errno = 0;
	do
		n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
	while (n < 0 && errno == EINTR);
	const struct cmsghdr *h = n < 0 ? NULL : CMSG_FIRSTHDR(&m);
	if (h && h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS)
		memcpy(&passed, CMSG_DATA(h), sizeof passed);
	if (ret_passed)
		*ret_passed = passed;
	else
		auto_close(&passed);
	return n;
}
