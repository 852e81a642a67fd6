/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets. Addresses, options, control messages are the same on both sides. What is done here:
 * the pointers inside of messages are checked, on copies, and the paths of unix sockets are the
 * guest's. */
#include "linux/internal.h"
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

/* An address for the host, and what it needs to be held for the call. */
struct address {
	union {
		struct sockaddr_storage s;
		struct sockaddr_un un;
	};
	int len, hold; /* hold: a descriptor to close after the call, or -1 */
};
enum { PATH_AT = offsetof(struct sockaddr_un, sun_path) };

static bool translates(const struct linux_proc *p) { return p->root_fd >= 0 || p->n_binds; }
static void address_done(const struct address *ad)
{
	if (ad->hold >= 0)
		close(ad->hold);
}

/* A path that is too long for a sockaddr, by way of its folder's descriptor. */
static int path_shorten(struct linux_task *t, struct address *ad, const char *path)
{
	const char *name = strrchr(path, '/') + 1;
	char *dir = t->path[1];
	snprintf(dir, sizeof t->path[1], "%.*s", (int)(name - path), path);
	int64_t fd = HOST(SYS_openat, reg(AT_FDCWD), ptr(dir), O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return (int)fd;
	ad->hold = (int)fd;
	int n =
	    snprintf(ad->un.sun_path, sizeof ad->un.sun_path, "/proc/self/fd/%d/%s", (int)fd, name);
	return n < (int)sizeof ad->un.sun_path ? n : -ENAMETOOLONG;
}

/* Was @path, a name in the working folder, found to be just that? Then it can go to the host, and
 * come back from there, as it is. */
static bool name_stays(const struct linux_task *t, const char *path, const struct where *w)
{
	const char *last = strrchr(t->path[0], '/');
	return w->dir != AT_FDCWD && last && !strcmp(last + 1, path);
}

/* The guest's path in @ad becomes the host's; @how it is followed. */
static int address_translate(struct linux_task *t, struct address *ad, unsigned how)
{
	char path[sizeof ad->un.sun_path + 1] = { 0 };
	struct where w;
	const char *plain;
	memcpy(path, ad->un.sun_path, (size_t)ad->len - PATH_AT);
	int r = path_find_own(t, 0, &w, AT_FDCWD, path, how);
	if (!r && !strchr(path, '/') && name_stays(t, path, &w))
		return 0;
	if (!r)
		r = path_plain(t, 0, &plain, &w);
	if (r)
		return r;
	r = (int)strlen(plain);
	if (r < (int)sizeof ad->un.sun_path)
		memcpy(ad->un.sun_path, plain, (size_t)r + 1);
	else
		r = path_shorten(t, ad, plain);
	if (r < 0)
		return r;
	ad->len = PATH_AT + r + 1;
	return 0;
}

/* The guest's address of @len bytes at @at, for the host. After 0, address_done. */
static int address_read(struct linux_task *t, struct address *ad, uint64_t at, int len,
			unsigned how)
{
	memset(ad, 0, sizeof *ad);
	ad->len = len;
	ad->hold = -1;
	if (len < 0 || len > (int)sizeof ad->s)
		return -EINVAL;
	if (linux_read(t->proc, &ad->s, at, (size_t)len))
		return -EFAULT;
	if (!translates(t->proc) || ad->s.ss_family != AF_UNIX || len <= PATH_AT ||
	    len > (int)sizeof ad->un || !ad->un.sun_path[0])
		return 0;
	int r = address_translate(t, ad, how);
	if (r < 0)
		address_done(ad);
	return r;
}

/* A path as address_translate makes it, in the guest's eyes. */
static void address_to_guest(const struct linux_proc *p, struct address *ad)
{
	char path[sizeof ad->un.sun_path + 1] = { 0 }, guest[PATH_MAX];
	int fd, at = 0;
	if (!translates(p) || ad->s.ss_family != AF_UNIX || ad->len <= PATH_AT ||
	    ad->len > (int)sizeof ad->un || !ad->un.sun_path[0])
		return;
	memcpy(path, ad->un.sun_path, (size_t)ad->len - PATH_AT);
	if (sscanf(path, "/proc/self/fd/%d/%n", &fd, &at) == 1 && at) {
		const char *in = fd == p->root_fd ? "" : NULL;
		for (unsigned i = 0; !in && i < p->n_binds; i++)
			if (p->binds[i].fd == fd)
				in = p->binds[i].guest;
		if (!in)
			return;
		snprintf(guest, sizeof guest, "%s/%s", in, path + at);
	} else {
		snprintf(guest, sizeof guest, "%s", path);
		if (!path_to_guest(p, guest, sizeof guest))
			return;
	}
	size_t n = strlen(guest);
	if (n >= sizeof ad->un.sun_path)
		return;
	memcpy(ad->un.sun_path, guest, n + 1);
	ad->len = PATH_AT + (int)n + 1;
}

/* What the host answered to the guest's buffer of @cap bytes at @at; the length is written by the
 * caller. */
static int address_write(const struct linux_proc *p, struct address *ad, uint64_t at, int cap)
{
	address_to_guest(p, ad);
	int n = min_u64((uint64_t)ad->len, sizeof ad->s) < (uint64_t)cap ? ad->len : cap;
	return n > 0 ? linux_write(p, at, &ad->s, min_u64((uint64_t)n, sizeof ad->s)) : 0;
}

/* ---- calls with one address ---- */

int64_t call_bind(struct linux_task *t, const uint64_t a[6])
{
	struct address ad;
	int64_t r = address_read(t, &ad, a[1], (int)a[2], LAST | CHANGE);
	if (r == -EINVAL || r == -EFAULT) /* the kernel says the same, after the descriptor */
		return HOST(SYS_bind, a[0], REFUSED, a[2]);
	if (r)
		return r;
	r = HOST(SYS_bind, a[0], ptr(&ad.s), reg(ad.len));
	address_done(&ad);
	return r;
}

int64_t call_connect(struct linux_task *t, const uint64_t a[6])
{
	struct address ad;
	int64_t r = address_read(t, &ad, a[1], (int)a[2], FOLLOW);
	if (r == -EINVAL || r == -EFAULT) /* the kernel says the same, after the descriptor */
		return HOST(SYS_connect, a[0], REFUSED, a[2]);
	if (r)
		return r;
	r = HOST_WAIT(t, SYS_connect, a[0], ptr(&ad.s), reg(ad.len));
	address_done(&ad);
	return r;
}

/* A call that fills an address: @nr with its arguments in @b, the address's place being @i and its
 * length's @i + 1; @a has the guest's. */
static int64_t address_call(struct linux_task *t, long nr, const uint64_t a[6], unsigned i,
			    bool wait)
{
	struct address ad = { .hold = -1 };
	uint64_t b[6];
	int cap = 0;
	memcpy(b, a, sizeof b);
	bool ok = a[i] && !linux_read(t->proc, &cap, a[i + 1], sizeof cap) && cap >= 0 &&
	          range_ok(t->proc, a[i], (uint64_t)cap);
	if (ok) {
		ad.len = sizeof ad.s;
		b[i] = ptr(&ad.s);
		b[i + 1] = ptr(&ad.len);
	} else if (a[i]) {
		b[i] = REFUSED; /* or its length is: then there is no length */
	}
	int64_t r = wait ? linux_host_call(t, nr, b) : linux_direct(nr, b);
	if (r < 0 || !ok)
		return r;
	if (address_write(t->proc, &ad, a[i], cap) ||
	    linux_write(t->proc, a[i + 1], &ad.len, sizeof ad.len))
		return -EFAULT;
	return r;
}

int64_t call_accept(struct linux_task *t, const uint64_t a[6])
{
	return address_call(t, SYS_accept, a, 1, true);
}
int64_t call_accept4(struct linux_task *t, const uint64_t a[6])
{
	return address_call(t, SYS_accept4, a, 1, true);
}
int64_t call_getsockname(struct linux_task *t, const uint64_t a[6])
{
	return address_call(t, SYS_getsockname, a, 1, false);
}
int64_t call_getpeername(struct linux_task *t, const uint64_t a[6])
{
	return address_call(t, SYS_getpeername, a, 1, false);
}
int64_t call_recvfrom(struct linux_task *t, const uint64_t a[6])
{
	return address_call(t, SYS_recvfrom, a, 4, true);
}

int64_t call_sendto(struct linux_task *t, const uint64_t a[6])
{
	struct address ad;
	if (!a[4])
		return linux_host_call(t, SYS_sendto, a);
	int64_t r = address_read(t, &ad, a[4], (int)a[5], FOLLOW);
	if (r == -EINVAL || r == -EFAULT)
		return HOST(SYS_sendto, a[0], a[1], a[2], a[3], REFUSED, a[5]);
	if (r)
		return r;
	r = HOST_WAIT(t, SYS_sendto, a[0], a[1], a[2], a[3], ptr(&ad.s), reg(ad.len));
	address_done(&ad);
	return r;
}

/* ---- messages ---- */

/* struct msghdr is the same on both sides. Its copy gets a checked vector, and room for a name. */
static int message_read(struct linux_task *t, struct msghdr *m, uint64_t at)
{
	if (linux_read(t->proc, m, at, sizeof *m))
		return -EFAULT;
	if (!m->msg_name)
		m->msg_namelen = 0;
	if ((int)m->msg_namelen < 0)
		return -EINVAL;
	if (m->msg_iovlen > IOV_MAX)
		return -EMSGSIZE;
	if (m->msg_control && !range_ok(t->proc, ptr(m->msg_control), m->msg_controllen))
		m->msg_control = (void *)(uintptr_t)REFUSED;
	m->msg_iov = (void *)(uintptr_t)iov_for_host(t, ptr(m->msg_iov), m->msg_iovlen);
	return 0;
}

static int64_t message_send(struct linux_task *t, uint64_t fd, uint64_t at, uint64_t flags)
{
	struct address ad = { .hold = -1 };
	struct msghdr m;
	int64_t r = message_read(t, &m, at);
	if (r == -EFAULT || r == -EINVAL)
		return HOST(SYS_sendmsg, fd, at < t->proc->user_end ? at : REFUSED, flags);
	if (!r && m.msg_namelen) {
		int len = min_u64(m.msg_namelen, sizeof ad.s) & INT_MAX; /* as the kernel cuts it */
		r = address_read(t, &ad, ptr(m.msg_name), len, FOLLOW);
		m.msg_name = &ad.s;
		m.msg_namelen = (socklen_t)ad.len;
	}
	if (r)
		return r;
	r = HOST_WAIT(t, SYS_sendmsg, fd, ptr(&m), flags);
	address_done(&ad);
	return r;
}

static int64_t message_receive(struct linux_task *t, uint64_t fd, uint64_t at, uint64_t flags,
                               int *ret_flags)
{
	struct address ad = { .hold = -1 };
	struct msghdr m;
	int64_t r = message_read(t, &m, at);
	if (r == -EFAULT || r == -EINVAL)
		return HOST(SYS_recvmsg, fd, at < t->proc->user_end ? at : REFUSED, flags);
	if (r)
		return r;
	uint64_t name = ptr(m.msg_name);
	int cap = (int)min_u64(m.msg_namelen, sizeof ad.s);
	if (name) {
		if (!range_ok(t->proc, name, (uint64_t)cap))
			return -EFAULT;
		m.msg_name = &ad.s;
		m.msg_namelen = sizeof ad.s;
	}
	r = HOST_WAIT(t, SYS_recvmsg, fd, ptr(&m), flags);
	if (r < 0)
		return r;
	*ret_flags = m.msg_flags;
	ad.len = (int)m.msg_namelen;
	if ((name && address_write(t->proc, &ad, name, cap)) ||
	    (name && linux_write(t->proc, at + offsetof(struct msghdr, msg_namelen), &ad.len, 4)) ||
	    linux_write(t->proc, at + offsetof(struct msghdr, msg_controllen), &m.msg_controllen,
			8) ||
	    linux_write(t->proc, at + offsetof(struct msghdr, msg_flags), &m.msg_flags, 4))
		return -EFAULT;
	return r;
}

int64_t call_sendmsg(struct linux_task *t, const uint64_t a[6])
{
	return message_send(t, a[0], a[1], a[2]);
}

int64_t call_recvmsg(struct linux_task *t, const uint64_t a[6])
{
	int flags;
	return message_receive(t, a[0], a[1], a[2], &flags);
}

/* struct mmsghdr: a message and how many bytes it carried; a flag that is the kernel's own */
#define COMPAT UINT64_C(0x80000000)
enum { MMSG = sizeof(struct mmsghdr), MMSG_LEN = offsetof(struct mmsghdr, msg_len) };

int64_t call_sendmmsg(struct linux_task *t, const uint64_t a[6])
{
	uint64_t n = min_u64((uint32_t)a[2], IOV_MAX), i = 0;
	for (; i < n; i++) {
		int64_t r = message_send(t, a[0], a[1] + i * MMSG, a[3]);
		if (r >= 0)
			r = linux_write(t->proc, a[1] + i * MMSG + MMSG_LEN,
					&(uint32_t){(uint32_t)r}, 4);
		if (r < 0)
			return i ? (int64_t)i : r;
	}
	return (int64_t)i;
}

/* What is left of @limit since @begin; false: nothing. */
static bool time_left(struct timespec *ret, const struct timespec *limit,
		      const struct timespec *begin)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	int64_t ns = (limit->tv_sec - (now.tv_sec - begin->tv_sec)) * 1000000000 + limit->tv_nsec -
	             (now.tv_nsec - begin->tv_nsec);
	ns = ns > 0 ? ns : 0;
	*ret = (struct timespec){ .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };
	return ns > 0;
}

/* The time limit is looked at after each message only, as the kernel does. */
int64_t call_recvmmsg(struct linux_task *t, const uint64_t a[6])
{
	uint64_t n = min_u64((uint32_t)a[2], IOV_MAX), flags = a[3], i = 0;
	struct timespec limit = { 0 }, begin, left;
	bool more = true;
	if (flags & COMPAT)
		return -EINVAL;
	if (a[4] && linux_read(t->proc, &limit, a[4], sizeof limit))
		return -EFAULT;
	if (limit.tv_sec < 0 || limit.tv_sec > INT_MAX || (uint64_t)limit.tv_nsec >= 1000000000)
		return -EINVAL;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (; i < n && more; i++) {
		int got = 0;
		int64_t r = message_receive(t, a[0], a[1] + i * MMSG,
					    flags & ~(uint64_t)MSG_WAITFORONE, &got);
		if (r >= 0)
			r = linux_write(t->proc, a[1] + i * MMSG + MMSG_LEN,
					&(uint32_t){(uint32_t)r}, 4);
		if (r < 0 && !i)
			return r;
		if (r < 0)
			break;
		if (flags & MSG_WAITFORONE)
			flags |= MSG_DONTWAIT;
		more = !(got & MSG_OOB) && (!a[4] || time_left(&left, &limit, &begin));
	}
	if (a[4]) {
		time_left(&left, &limit, &begin);
		if (linux_write(t->proc, a[4], &left, sizeof left))
			return -EFAULT;
	}
	return (int64_t)i;
}

/* ---- options ---- */

int64_t call_setsockopt(struct linux_task *t, const uint64_t a[6])
{
	struct sock_fprog f;
	int option = (int)a[2];
	if ((int)a[1] != SOL_SOCKET ||
	    (option != SO_ATTACH_FILTER && option != SO_ATTACH_REUSEPORT_CBPF))
		return linux_direct(SYS_setsockopt, a);
	if ((int)a[4] != sizeof f)
		return -EINVAL;
	if (linux_read(t->proc, &f, a[3], sizeof f) ||
	    !range_ok(t->proc, ptr(f.filter), f.len * sizeof *f.filter))
		return -EFAULT;
	return HOST(SYS_setsockopt, a[0], a[1], a[2], ptr(&f), sizeof f);
}

/* What the kernel would map received data to is not for it to choose. */
int64_t call_getsockopt(struct linux_task *t, const uint64_t a[6])
{
	(void)t;
	if ((int)a[1] == IPPROTO_TCP && (int)a[2] == TCP_ZEROCOPY_RECEIVE)
		return -ENOPROTOOPT;
	return linux_direct(SYS_getsockopt, a);
}
