/* SPDX-License-Identifier: Apache-2.0 */
/* NtDeviceIoControlFile, of sockets: to be told when one is ready, which libraries of events are
 * built on (IOCTL_AFD_POLL). And WSAPoll. */
#include "win/async.h"
#include "win/socket.h"
#include <sys/epoll.h>
#include <sys/mman.h>

enum { AFD_POLL = 0x12024, AFD_HANDLES = 16, AFD_HANDLE_SIZE = 16, AFD_HANDLES_MAX = 64 };
enum {
	AFD_RECEIVE = 1,
	AFD_RECEIVE_EXPEDITED = 2,
	AFD_SEND = 4,
	AFD_DISCONNECT = 8,
	AFD_ABORT = 0x10,
	AFD_LOCAL_CLOSE = 0x20,
	AFD_ACCEPT = 0x80,
	AFD_CONNECT_FAIL = 0x100
};
/* As IO_STATUS_BLOCK, which it is asked with. */
struct io_status {
	uint64_t status, n;
};
struct afd {
	struct pending p;
	uint8_t *out; /* AFD_POLL_INFO of the guest: timeout, how many, exclusive, then handles */
	uint64_t socket;
	uint32_t wants;
};

static uint32_t afd_events(int fd, uint32_t wants)
{
	struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT | POLLPRI | POLLRDHUP};
	int err = 0;
	socklen_t n = sizeof err;
	if (poll(&p, 1, 0) <= 0)
		return 0;
	uint32_t e = 0;
	if (p.revents & POLLIN)
		e |= AFD_RECEIVE | AFD_ACCEPT;
	if (p.revents & POLLPRI)
		e |= AFD_RECEIVE_EXPEDITED;
	if (p.revents & POLLOUT)
		e |= AFD_SEND;
	if (p.revents & POLLRDHUP)
		e |= AFD_DISCONNECT;
	if (p.revents & POLLERR)
		e |= getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &n) == 0 && err == ECONNREFUSED
			 ? AFD_CONNECT_FAIL
			 : AFD_ABORT;
	return e & (wants | AFD_ABORT | AFD_LOCAL_CLOSE);
}

static int64_t afd_attempt(struct pending *p)
{
	struct afd *a = (struct afd *)(void *)p;
	uint32_t e = afd_events(p->on->fd, a->wants);
	if (!e)
		return -EAGAIN;
	le32_put(a->out + 8, 1);
	le64_put(a->out + AFD_HANDLES, a->socket);
	le32_put(a->out + AFD_HANDLES + 8, e);
	le32_put(a->out + AFD_HANDLES + 12, 0);
	return AFD_HANDLES + AFD_HANDLE_SIZE;
}

static uint32_t afd_poll(struct file *f, struct io_status *io, const struct told *told,
			 const uint8_t *in, uint8_t *out)
{
	struct file *s = socket_get(le64_at(in + AFD_HANDLES));
	if (!s)
		return STATUS_INVALID_HANDLE;
	struct afd *a = pending_new(sizeof *a, f, (struct overlapped *)(void *)io);
	if (!a) {
		socket_put(s);
		return STATUS_NO_MEMORY;
	}
	a->p.on = s;
	a->p.bare = true;
	a->p.told = *told;
	a->out = out;
	a->socket = le64_at(in + AFD_HANDLES);
	a->wants = le32_at(in + AFD_HANDLES + 8);
	a->p.events = (a->wants & (AFD_RECEIVE | AFD_ACCEPT) ? EPOLLIN : 0u) |
		      (a->wants & AFD_DISCONNECT ? EPOLLRDHUP : 0u) |
		      (a->wants & AFD_SEND ? EPOLLOUT : 0u) |
		      (a->wants & AFD_RECEIVE_EXPEDITED ? EPOLLPRI : 0u) | EPOLLERR;
	a->p.attempt = afd_attempt;
	int64_t r = a->p.attempt(&a->p);
	if (r == -EAGAIN && le64_at(in) == 0) { /* it shall not wait */
		le32_put(out + 8, 0);
		r = AFD_HANDLES;
	}
	if (r == -EAGAIN)
		return async_start(&a->p) == 0 ? STATUS_PENDING : STATUS_NO_MEMORY;
	pending_free(&a->p);
	status_end(f, (struct overlapped *)(void *)io, told, STATUS_SUCCESS, (uint64_t)r, true);
	return STATUS_SUCCESS;
}

bool afd_path(const char *name)
{
	static const char device[] = "\\Device\\Afd";
	size_t n = strlen(device);
	return !strncasecmp(name, device, n) && (!name[n] || name[n] == '\\');
}

uint32_t afd_open(handle *ret, bool inherit)
{
	int fd = memfd_create("afd", MFD_CLOEXEC);
	handle h = fd < 0 ? 0 : file_handle(fd, GENERIC_READ, NULL, inherit);
	struct file *f = h ? object_get(h, KIND_FILE) : NULL;
	if (!f)
		return STATUS_NO_MEMORY;
	f->afd = true;
	object_unref(&f->o);
	*ret = h;
	return STATUS_SUCCESS;
}

/* DEVIATES: of one socket, with the handle itself (as libuv asks) or \Device\Afd (as mio and wepoll
 * do); no other controls. */
API(uint32_t, nt_NtDeviceIoControlFile, handle h, handle event, uint64_t fn, uint64_t context,
    struct io_status *io, uint32_t what, const uint8_t *in, uint32_t n_in, uint8_t *out,
    uint32_t n_out)
{
	const struct told told = {event, context};
	if (fn)
		return STATUS_NOT_SUPPORTED;
	struct file *f = object_get(h, KIND_FILE);
	if (!f)
		return STATUS_INVALID_HANDLE;
	const uint32_t least = AFD_HANDLES + AFD_HANDLE_SIZE;
	uint32_t status = what != AFD_POLL || !(f->socket || f->afd) ? STATUS_NOT_IMPLEMENTED
			  : n_in < least || n_out < least	     ? STATUS_BUFFER_TOO_SMALL
			  : le32_at(in + 8) != 1		     ? STATUS_NOT_SUPPORTED
						: afd_poll(f, io, &told, in, out);
	object_unref(&f->o);
	return status;
}

/* ---- WSAPoll ---- */

enum {
	POLL_ERR = 1,
	POLL_HUP = 2,
	POLL_NVAL = 4,
	POLL_WRNORM = 0x10,
	POLL_RDNORM = 0x100,
	POLL_RDBAND = 0x200,
	POLL_MOST = 4096
};
struct poll_win {
	uint64_t socket;
	int16_t events, revents;
};

static short poll_events(int16_t e)
{
	return (short)((e & POLL_RDNORM ? POLLIN : 0) | (e & POLL_RDBAND ? POLLPRI : 0) |
		       (e & POLL_WRNORM ? POLLOUT : 0));
}

static int16_t poll_answer(const struct pollfd *p, int16_t wanted)
{
	int16_t r = (int16_t)((p->revents & POLLIN ? POLL_RDNORM : 0) |
			      (p->revents & POLLPRI ? POLL_RDBAND : 0) |
			      (p->revents & POLLOUT ? POLL_WRNORM : 0));
	return (int16_t)((r & wanted) | (p->revents & POLLERR ? POLL_ERR : 0) |
			 (p->revents & POLLHUP ? POLL_HUP : 0));
}

API(int32_t, ws_WSAPoll, struct poll_win *all, uint32_t n, int32_t ms)
{
	if (!n || n > POLL_MOST)
		return socket_fail(EINVAL);
	autofree struct pollfd *p = calloc(n, sizeof *p);
	autofree struct file **f = calloc(n, sizeof(struct file *));
	int32_t got = 0, bad = 0;
	if (!p || !f)
		return socket_fail(ENOBUFS);
	for (uint32_t i = 0; i < n; i++) {
		f[i] = socket_get(all[i].socket); /* held, so that it is the same at the end */
		bad += !f[i];
		p[i] = (struct pollfd){.fd = f[i] ? f[i]->fd : -1,
				       .events = poll_events(all[i].events)};
	}
	int r = socket_poll(p, n, bad ? 0 : ms);
	int err = errno;
	for (uint32_t i = 0; i < n; i++) {
		all[i].revents = f[i] ? poll_answer(&p[i], all[i].events) : POLL_NVAL;
		got += all[i].revents != 0;
		if (f[i])
			socket_put(f[i]);
	}
	return r < 0 ? socket_fail(err) : got;
}
