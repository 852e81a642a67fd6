/* SPDX-License-Identifier: Apache-2.0 */
/* What keeper and program say to each other: packets, of which some bring a descriptor along.
 * unix(7) */
#include "level/wasm/internal.h"
#include <sys/socket.h>

union room {
	char buf[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

bool message_send(int fd, const struct message *m, int pass)
{
	struct iovec v = {(void *)(uintptr_t)m, sizeof *m};
	union room c = {.buf = {0}};
	struct msghdr h = {.msg_iov = &v, .msg_iovlen = 1};
	if (pass >= 0) {
		h.msg_control = c.buf;
		h.msg_controllen = sizeof c.buf;
		struct cmsghdr *p = CMSG_FIRSTHDR(&h);
		*p = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)),
				      .cmsg_level = SOL_SOCKET,
				      .cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(p), &pass, sizeof pass);
	}
	ssize_t n;
	do
		n = sendmsg(fd, &h, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof *m;
}

bool message_receive(int fd, struct message *m, int *ret_passed, bool wait)
{
	struct iovec v = {m, sizeof *m};
	union room c;
	struct msghdr h = {
	    .msg_iov = &v, .msg_iovlen = 1, .msg_control = c.buf, .msg_controllen = sizeof c.buf};
	int flags = MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT), passed = -1;
	ssize_t n;
	errno = 0;
	do
		n = recvmsg(fd, &h, flags);
	while (n < 0 && errno == EINTR);
	struct cmsghdr *p = n < 0 ? NULL : CMSG_FIRSTHDR(&h);
	if (p && p->cmsg_level == SOL_SOCKET && p->cmsg_type == SCM_RIGHTS)
		memcpy(&passed, CMSG_DATA(p), sizeof passed);
	if (ret_passed)
		*ret_passed = passed;
	else
		auto_close(&passed);
	return n == (ssize_t)sizeof *m;
}
