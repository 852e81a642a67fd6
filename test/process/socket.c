/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets: unix, inet, netlink; messages, control messages, options. */
#include "say.h"
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

static void pairs(void)
{
	int s[2], no[2];
	char buf[32] = { 0 };
	SAY(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s));
	SAY(socketpair(AF_UNIX, SOCK_STREAM, 0, KERNEL));
	SAY(socketpair(AF_INET, SOCK_STREAM, 0, no));
	SAY(socket(999, SOCK_STREAM, 0));
	SAY(send(s[0], "hello", 5, 0));
	SAY(recv(s[1], buf, 3, MSG_PEEK));
	SAY(recv(s[1], buf, sizeof buf, 0));
	SAY(recv(s[1], buf, sizeof buf, MSG_DONTWAIT));
	SAY(send(s[0], KERNEL, 5, 0));
	SAY(send(s[0], BAD, 5, 0));
	SAY(shutdown(s[0], SHUT_WR));
	SAY(recv(s[1], buf, sizeof buf, 0));
	SAY(send(s[0], "x", 1, MSG_NOSIGNAL));
	SAY(shutdown(s[0], 9));
	SAY(shutdown(0, 0) == -1 ? 1 : 0);
	close(s[0]);
	close(s[1]);
}

static void messages(void)
{
	int s[2];
	char a[4] = "abc", b[8] = "defg", in[16] = { 0 };
	union { struct cmsghdr h; char room[CMSG_SPACE(sizeof(int))]; } c = { .h = { 0 } };
	struct iovec v[2] = { { a, 3 }, { b, 4 } }, w = { in, sizeof in };
	struct msghdr m = { .msg_iov = v, .msg_iovlen = 2, .msg_control = &c,
	                    .msg_controllen = sizeof c.room };
	SAY(socketpair(AF_UNIX, SOCK_DGRAM, 0, s));
	int fd = file_make("passed", "by descriptor");
	c.h.cmsg_len = CMSG_LEN(sizeof fd);
	c.h.cmsg_level = SOL_SOCKET;
	c.h.cmsg_type = SCM_RIGHTS;
	memcpy(CMSG_DATA(&c.h), &fd, sizeof fd);
	SAY(sendmsg(s[0], &m, 0));
	struct sockaddr_un from;
	struct msghdr r = { .msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &w,
	                    .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof c.room };
	SAY(recvmsg(s[1], &r, MSG_CMSG_CLOEXEC));
	say_bytes("message", in, 7);
	printf("namelen %d controllen %d flags %x type %d\n", (int)r.msg_namelen,
	       (int)r.msg_controllen, r.msg_flags & ~MSG_CMSG_CLOEXEC, c.h.cmsg_type);
	int got;
	memcpy(&got, CMSG_DATA(&c.h), sizeof got);
	SAY(pread(got, in, 4, 0));
	say_bytes("file", in, 4);
	SAY(sendmsg(s[0], KERNEL, 0));
	SAY(recvmsg(s[0], BAD, 0));
	v[1].iov_base = KERNEL;
	m.msg_controllen = 0;
	SAY(sendmsg(s[0], &m, 0));
	m.msg_iovlen = 5000;
	SAY(sendmsg(s[0], &m, 0));
	m.msg_iovlen = 1;
	m.msg_control = KERNEL;
	m.msg_controllen = 32;
	SAY(sendmsg(s[0], &m, 0));
	m.msg_control = NULL;
	m.msg_controllen = 0;
	struct mmsghdr mm[3] = { { m, 0 }, { m, 0 }, { m, 0 } };
	SAY(sendmmsg(s[0], mm, 3, 0));
	printf("sent %u %u %u\n", mm[0].msg_len, mm[1].msg_len, mm[2].msg_len);
	SAY(recvmmsg(s[1], mm, 2, 0, NULL));
	SAY(recvmmsg(s[1], mm, 3, MSG_WAITFORONE, &(struct timespec){ 1, 0 }));
	SAY(recvmmsg(s[1], mm, 3, MSG_DONTWAIT, NULL));
	SAY(recvmmsg(s[1], mm, 3, MSG_DONTWAIT, &(struct timespec){ -1, 0 }));
	close(s[0]);
	close(s[1]);
	close(fd);
	close(got);
}

static void unix_names(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX, .sun_path = "sock" }, got;
	socklen_t n = sizeof got;
	int s = (int)SAY(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0)),
	    c = socket(AF_UNIX, SOCK_STREAM, 0);
	SAY(accept(s, NULL, NULL));
	SAY(connect(c, (void *)&un, sizeof un));
	SAY(bind(s, (void *)&un, sizeof un));
	SAY(bind(s, (void *)&un, sizeof un));
	SAY(bind(c, KERNEL, sizeof un));
	SAY(bind(c, (void *)&un, -1));
	SAY(listen(s, 2));
	SAY(accept(s, NULL, NULL));
	SAY(connect(c, (void *)&un, sizeof un));
	int a = (int)SAY(accept4(s, (void *)&got, &n, SOCK_CLOEXEC));
	SAY(n);
	n = sizeof got;
	SAY(getpeername(c, (void *)&got, &n));
	printf("peer %u %s\n", n, got.sun_path);
	n = 4;
	SAY(getsockname(s, (void *)&got, &n));
	SAY(n);
	SAY(getsockname(s, KERNEL, &n));
	SAY(getsockname(s, (void *)&got, KERNEL));
	n = (socklen_t)-1;
	SAY(getsockname(s, (void *)&got, &n));
	struct ucred u;
	n = sizeof u;
	SAY(getsockopt(c, SOL_SOCKET, SO_PEERCRED, &u, &n));
	IS(u.pid == getpid() && u.uid == getuid());
	close(a);
	close(c);
	close(s);
	un = (struct sockaddr_un){ .sun_family = AF_UNIX, .sun_path = "\0abstract" };
	un.sun_path[9] = 'x';
	s = socket(AF_UNIX, SOCK_DGRAM, 0);
	SAY(bind(s, (void *)&un, 13));
	SAY(sendto(s, "hi", 2, 0, (void *)&un, 13));
	char buf[8];
	n = sizeof got;
	SAY(recvfrom(s, buf, sizeof buf, 0, (void *)&got, &n));
	printf("from %u %s\n", n, got.sun_path + 1);
	close(s);
}

static void inet(void)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)},
			   got;
	socklen_t n = sizeof in;
	int s = (int)SAY(socket(AF_INET, SOCK_STREAM, 0)), one = 1, v = 0;
	SAY(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one));
	n = sizeof v;
	SAY(getsockopt(s, SOL_SOCKET, SO_REUSEADDR, &v, &n));
	SAY(v);
	SAY(getsockopt(s, SOL_SOCKET, SO_TYPE, &v, &n));
	SAY(v);
	SAY(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){0, 1000},
		       sizeof(struct timeval)));
	SAY(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, KERNEL, sizeof one));
	SAY(setsockopt(s, SOL_SOCKET, 9999, &one, sizeof one));
	SAY(getsockopt(s, SOL_SOCKET, SO_TYPE, KERNEL, &n));
	SAY(setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one));
	struct sock_filter all = { BPF_RET | BPF_K, 0, 0, 0xffff };
	struct sock_fprog prog = { 1, &all };
	SAY(setsockopt(s, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof prog));
	prog.filter = KERNEL;
	SAY(setsockopt(s, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof prog));
	SAY(setsockopt(s, SOL_SOCKET, SO_DETACH_FILTER, &one, sizeof one));
	SAY(bind(s, (void *)&in, sizeof in));
	n = sizeof in;
	SAY(getsockname(s, (void *)&in, &n));
	IS(n == sizeof in && in.sin_port != 0);
	SAY(listen(s, 5));
	SAY(accept(s, NULL, NULL)); /* no one comes in time */
	int c = socket(AF_INET, SOCK_STREAM, 0);
	SAY(connect(c, (void *)&in, sizeof in));
	n = sizeof got;
	int a = (int)SAY(accept(s, (void *)&got, &n));
	IS(got.sin_addr.s_addr == in.sin_addr.s_addr);
	SAY(write(c, "ping", 4));
	char buf[8];
	SAY(read(a, buf, sizeof buf));
	SAY(ioctl(a, FIONREAD, &v));
	SAY(v);
	struct tcp_info info;
	n = sizeof info;
	SAY(getsockopt(c, IPPROTO_TCP, TCP_INFO, &info, &n));
	SAY(info.tcpi_state);
	close(a);
	close(c);
	close(s);
	SAY(connect(socket(AF_INET, SOCK_DGRAM, 0), (void *)&in, 3));
	int s6 = socket(AF_INET6, SOCK_DGRAM, 0);
	IS(s6 >= 0 || errno == EAFNOSUPPORT);
}

static void netlink(void)
{
	int s = (int)SAY(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
	struct { struct nlmsghdr h; struct ifinfomsg i;
	} q = {
	    {sizeof q, RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, 1, 0},
	    {.ifi_family = AF_UNSPEC},
	};
	struct sockaddr_nl to = { .nl_family = AF_NETLINK };
	char buf[16384];
	SAY(sendto(s, &q, sizeof q, 0, (void *)&to, sizeof to));
	IS(recv(s, buf, sizeof buf, 0) > 100);
	IS(((struct nlmsghdr *)(void *)buf)->nlmsg_type == RTM_NEWLINK);
	close(s);
	s = socket(AF_INET, SOCK_DGRAM, 0);
	struct ifreq r[8];
	struct ifconf conf = { .ifc_len = sizeof r, .ifc_req = r };
	SAY(ioctl(s, SIOCGIFCONF, &conf));
	IS(conf.ifc_len >= (int)sizeof r[0] && conf.ifc_len % (int)sizeof r[0] == 0);
	strcpy(r[0].ifr_name, "lo");
	SAY(ioctl(s, SIOCGIFFLAGS, r));
	IS(r[0].ifr_flags & IFF_LOOPBACK);
	SAY(ioctl(s, SIOCGIFINDEX, r));
	SAY(r[0].ifr_ifindex);
	strcpy(r[0].ifr_name, "none9");
	SAY(ioctl(s, SIOCGIFFLAGS, r));
	conf.ifc_req = KERNEL;
	conf.ifc_len = sizeof r;
	SAY(ioctl(s, SIOCGIFCONF, &conf));
	SAY(ioctl(s, SIOCGIFFLAGS, KERNEL));
	close(s);
}

int main(void)
{
	pairs();
	messages();
	unix_names();
	inet();
	netlink();
	return 0;
}
