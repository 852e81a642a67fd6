/* SPDX-License-Identifier: Apache-2.0 */
/* Limits of resources, and what a process begins with. Limits on memory are the guest's to see
 * and the level's to hold: put on this process they would end Lodge. The soft limit of
 * descriptors is put on, its hard limit is not, so that there is room above for Lodge's own. All
 * others are the host's. */
#include "linux/internal.h"
#include <unistd.h>

enum { FDS_FROM = 1024 }; /* higher would make each fork copy a larger table */

static bool view_only(int resource)
{
	return resource == RLIMIT_AS || resource == RLIMIT_DATA || resource == RLIMIT_STACK ||
	       resource == RLIMIT_NOFILE;
}

static void limit_take(struct linux_proc *p, int i)
{
	if (getrlimit((__rlimit_resource_t)i, &p->limit[i]) < 0)
		p->limit[i] = (struct rlimit){ RLIM_INFINITY, RLIM_INFINITY };
}

void linux_limits_take(struct linux_proc *p)
{
	for (int i = 0; i < (int)RLIM_NLIMITS; i++)
		limit_take(p, i);
}

void linux_proc_init(struct linux_proc *p, uint64_t user_end)
{
	memset(p, 0, sizeof *p);
	p->user_end = user_end;
	p->root_fd = -1;
	limit_take(p, RLIMIT_NOFILE);
	const struct rlimit *fds = &p->limit[RLIMIT_NOFILE];
	rlim_t from = fds->rlim_cur < FDS_FROM ? fds->rlim_cur : FDS_FROM;
	if (from + LINUX_FDS > fds->rlim_max)
		from = fds->rlim_max > LINUX_FDS ? fds->rlim_max - LINUX_FDS : 0;
	p->fd_own = (int)from;
}

int linux_fd_own(struct linux_proc *p, int fd)
{
	struct rlimit now, more;
	rlim_t end = (rlim_t)p->fd_own + LINUX_FDS;
	bool raise = getrlimit(RLIMIT_NOFILE, &now) == 0 && now.rlim_cur < end;
	if (raise) {
		more = (struct rlimit){ end < now.rlim_max ? end : now.rlim_max, now.rlim_max };
		raise = setrlimit(RLIMIT_NOFILE, &more) == 0;
	}
	int to = fcntl(fd, F_DUPFD_CLOEXEC, p->fd_own);
	if (raise && setrlimit(RLIMIT_NOFILE, &now) < 0)
		p->limit[RLIMIT_NOFILE].rlim_cur = more.rlim_cur;
	if (to >= (int)end) {
		close(to);
		return fd;
	}
	if (to < 0)
		return fd;
	p->fd_set |= 1ull << (to - p->fd_own);
	close(fd);
	return to;
}

bool linux_fd_is_own(const struct linux_proc *p, int fd) { return fd_hidden(p, (uint64_t)fd); }

void linux_fd_close(struct linux_proc *p, int fd)
{
	if (fd >= p->fd_own && fd < p->fd_own + LINUX_FDS)
		p->fd_set &= ~(1ull << (fd - p->fd_own));
	close(fd);
}

struct rlimit linux_limit(const struct linux_proc *p, int resource)
{
	struct rlimit r = { RLIM_INFINITY, RLIM_INFINITY };
	if (resource < 0 || resource >= (int)RLIM_NLIMITS)
		return r;
	if (!view_only(resource) && !HOST(SYS_prlimit64, 0, reg(resource), 0, ptr(&r)))
		return r;
	return p->limit[resource];
}

static int64_t limit_set(struct linux_proc *p, int resource, const struct rlimit *new)
{
	struct rlimit *now = &p->limit[resource], host;
	if (new->rlim_cur > new->rlim_max)
		return -EINVAL;
	if (!view_only(resource))
		return HOST(SYS_prlimit64, 0, reg(resource), ptr(new), 0);
	if (new->rlim_max > now->rlim_max && geteuid())
		return -EPERM;
	if (resource == RLIMIT_NOFILE) {
		if (getrlimit(RLIMIT_NOFILE, &host) < 0)
			return -errno;
		host.rlim_cur = new->rlim_cur < host.rlim_max ? new->rlim_cur : host.rlim_max;
		int64_t r = HOST(SYS_prlimit64, 0, reg(resource), ptr(&host), 0);
		if (r < 0)
			return r;
	}
	*now = *new;
	return 0;
}

/* @new and @old may be 0. */
static int64_t limit_call(struct linux_task *t, uint64_t resource, uint64_t new, uint64_t old)
{
	struct rlimit to;
	int i = (int)resource;
	if ((uint32_t)resource >= RLIM_NLIMITS)
		return -EINVAL;
	if (new && linux_read(t->proc, &to, new, sizeof to))
		return -EFAULT;
	struct rlimit was = linux_limit(t->proc, i);
	int64_t r = new ? limit_set(t->proc, i, &to) : 0;
	return !r && old ? linux_write(t->proc, old, &was, sizeof was) : r;
}

int64_t call_getrlimit(struct linux_task *t, const uint64_t a[6])
{
	return (uint32_t)a[0] < RLIM_NLIMITS && !a[1] ? -EFAULT : limit_call(t, a[0], 0, a[1]);
}

int64_t call_setrlimit(struct linux_task *t, const uint64_t a[6])
{
	return a[1] ? limit_call(t, a[0], a[1], 0) : -EFAULT;
}

int64_t call_prlimit64(struct linux_task *t, const uint64_t a[6])
{
	if ((int)a[0] && (int)a[0] != getpid())
		return linux_direct(SYS_prlimit64, a);
	return limit_call(t, a[1], a[2], a[3]);
}

void linux_limit_put(struct linux_proc *p, int resource, const struct rlimit *to)
{
	struct rlimit most = linux_limit(p, resource), v = *to;
	if (v.rlim_max > most.rlim_max && geteuid())
		v.rlim_max = most.rlim_max;
	if (v.rlim_cur > v.rlim_max)
		v.rlim_cur = v.rlim_max;
	(void)!limit_set(p, resource, &v);
}
