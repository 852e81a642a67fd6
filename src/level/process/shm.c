/* SPDX-License-Identifier: Apache-2.0 */
/* System V shared memory in the guest's space. The segments are the host's; where they go, and that
 * the table of the space follows, is seen to here. Linux 6.1 ipc/shm.c do_shmat, ksys_shmdt */
#include "level/process/internal.h"
#include <stdio.h>
#include <sys/shm.h>
#include <sys/syscall.h>

enum { HUGE = 2 << 20 };

static void *host(uint64_t at) { return (void *)(uintptr_t)at; }

/* Where @at is asked for: 0 or -errno. */
static int64_t address_check(uint64_t *at, int flags)
{
	if (!*at)
		return flags & SHM_REMAP ? -EINVAL : 0;
	if (*at & (PAGE - 1) && flags & SHM_RND) {
		*at &= ~(uint64_t)(PAGE - 1);
		if (!*at)
			return -EINVAL;
	}
	return *at & (PAGE - 1) ? -EINVAL : 0;
}

/* The host's call, and the table; with the lock. Code is data to the host. */
static int64_t attach(struct task *t, int id, uint64_t at, uint64_t len, int flags)
{
	struct space *s = &t->p->space;
	int prot = flags & SHM_RDONLY ? PROT_READ : PROT_READ | PROT_WRITE;
	bool code = space_has(s, at, at + len, PROT_EXEC, 0);
	task_maps(t, (uint64_t)prot, true);
	if (syscall(SYS_shmat, id, at, flags) < 0)
		return -errno;
	if (flags & SHM_EXEC && mprotect(host(at), len, prot) < 0)
		return -errno;
	prot |= flags & SHM_EXEC ? PROT_EXEC : 0;
	if (!space_put(s, at, at + len, (uint8_t)prot, 0))
		return -ENOMEM;
	if (code)
		task_code_stale(t, at, at + len);
	return (int64_t)at;
}

static int64_t attach_at(struct task *t, int id, uint64_t at, uint64_t len, int flags)
{
	struct space *s = &t->p->space;
	if (at > USER_END || len > USER_END - at ||
	    space_has(s, at, at + len, 0, RANGE_FOREIGN) ||
	    (!(flags & SHM_REMAP) && !space_is_free(s, at, at + len)))
		return -EINVAL;
	return attach(t, id, at, len, flags);
}

/* The place is taken first, and the segment put over it. What it has beyond its size, on huge
 * pages, finds room as well. */
static int64_t attach_free(struct task *t, int id, uint64_t len, int flags)
{
	uint64_t room = align_up(len, HUGE);
	int64_t at = mem_map(t->p, 0, room, PROT_NONE,
	                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (at < 0)
		return at;
	uint64_t lo = (uint64_t)at;
	pthread_rwlock_wrlock(&t->p->space.lock);
	int64_t r = attach(t, id, lo, len, flags | SHM_REMAP);
	uint64_t keep = r < 0 ? 0 : len;
	if (keep < room)
		(void)!mem_unmap(t, lo + keep, room - keep);
	pthread_rwlock_unlock(&t->p->space.lock);
	return r;
}

int64_t mem_shmat(struct task *t, const uint64_t a[6])
{
	int id = (int)a[0], flags = (int)a[2];
	uint64_t at = a[1];
	struct shmid_ds ds;
	int64_t r = id < 0 ? -EINVAL : address_check(&at, flags);
	if (r < 0)
		return r;
	if (shmctl(id, IPC_STAT, &ds) < 0)
		return -errno;
	uint64_t len = align_up(ds.shm_segsz, PAGE);
	if (len < ds.shm_segsz || len > USER_END)
		return at ? -EINVAL : -ENOMEM;
	if (!at)
		return attach_free(t, id, len, flags);
	pthread_rwlock_wrlock(&t->p->space.lock);
	r = attach_at(t, id, at, len, flags);
	pthread_rwlock_unlock(&t->p->space.lock);
	return r;
}

/* ---- shmdt: what is left of the segment that is attached at an address ---- */

struct piece {
	uint64_t lo, hi, off, inode;
	unsigned major, minor;
};

/* A line of /proc/self/maps: is it one of a segment? */
static bool piece_read(const char *line, struct piece *ret)
{
	unsigned long long lo, hi, off, inode;
	int name = 0;
	if (sscanf(line, "%llx-%llx %*s %llx %x:%x %llu %n", &lo, &hi, &off, &ret->major,
	           &ret->minor, &inode, &name) != 6 || strncmp(line + name, "/SYSV", 5) != 0)
		return false;
	ret->lo = lo;
	ret->hi = hi;
	ret->off = off;
	ret->inode = inode;
	return true;
}

static bool is_same(const struct piece *a, const struct piece *b)
{
	return a->inode == b->inode && a->major == b->major && a->minor == b->minor;
}

/* With the lock. The first piece that lies where one of a segment at @at would, and all of the same
 * segment for which that is true: Linux finds no others either. */
static int64_t detach(struct task *t, uint64_t at)
{
	struct piece first = {.lo = 0}, p;
	char line[512];
	int64_t r = -EINVAL;
	FILE *f = fopen("/proc/self/maps", "re");
	if (!f)
		return -EINVAL;
	while (fgets(line, sizeof line, f)) {
		if (!piece_read(line, &p) || p.lo < at || p.lo >= USER_END || p.lo - at != p.off ||
		    (first.inode && !is_same(&first, &p)))
			continue;
		if (!first.inode)
			first = p;
		r = mem_unmap(t, p.lo, p.hi - p.lo);
		if (r < 0)
			break;
	}
	fclose(f);
	return r;
}

int64_t mem_shmdt(struct task *t, const uint64_t a[6])
{
	if (a[0] & (PAGE - 1))
		return -EINVAL;
	pthread_rwlock_wrlock(&t->p->space.lock);
	int64_t r = detach(t, a[0]);
	pthread_rwlock_unlock(&t->p->space.lock);
	return r;
}
