/* SPDX-License-Identifier: Apache-2.0 */
/* The way in for a guest that is one process and stays it: no process around it, no pid namespace.
 * It sees no /proc, and may signal nobody. namespaces(7) */
#include "box/internal.h"
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { KEPT_FD = 3, KEEP_MAX = 32 };
#define SPACES_ALONE (CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP)


/* Each of them may lie where another one is to be: first they are all put beyond. */
static int descriptors_close(const struct box_alone *b, struct lodge_err *e)
{
	const int beyond = KEPT_FD + (int)b->n_keep;
	int at[KEEP_MAX], next = KEPT_FD;
	size_t n = 0;
	if (b->n_keep > KEEP_MAX)
		return err_set(e, E2BIG, "more than %u descriptors are to stay", KEEP_MAX);
	for (size_t i = 0; i < b->n_keep; i++)
		if (b->keep[i] >= 0 &&
		    (at[n++] = fcntl(b->keep[i], F_DUPFD_CLOEXEC, beyond)) < 0)
			return err_sys(e, "keeping a descriptor");
	for (size_t i = 0; i < n; i++)
		if (dup3(at[i], next++, O_CLOEXEC) < 0)
			return err_sys(e, "keeping a descriptor");
	if (syscall(SYS_close_range, next, UINT32_MAX, 0) < 0)
		return err_sys(e, "closing files");
	return 0;
}

/* Files as the guest sees them. */
static int root_enter(const struct box_alone *b, struct lodge_err *e)
{
	const struct box as = {.binds = b->binds, .n_binds = b->n_binds};
	struct mounts m = {.root = -1, .program = -1};
	int r = mounts_binds_open(&m, &as, e);
	if (r == 0)
		r = mounts_stage(&m, e);
	for (const char *f = b->folders; r == 0 && f && *f; f += strlen(f) + 1)
		if (mkdir(f, 0755) < 0)
			r = err_sys(e, "making %s of the guest", f);
	if (r == 0)
		r = mounts_finish(&m, &as, false, e);
	mounts_fini(&m);
	return r;
}

/* A guest that can make no socket has no use for a network of its own either: what tells one
 * network from another are sockets, and those that were opened for it stay in theirs. */
int box_enter_alone(const struct box_alone *b, struct lodge_err *e)
{
	const struct host_ids ids = {.uid = geteuid(), .gid = getegid()};
	struct network n = {.space = -1};
	int r = host_userns_enter(SPACES_ALONE, &ids, e);
	if (r < 0)
		return r;
	if (b->sockets && !b->networked)
		network_begin(&n);
	if (b->meanwhile)
		b->meanwhile();
	r = sethostname("lodge", 5) < 0 ? err_sys(e, "the host's name") : root_enter(b, e);
	if (r == 0 && b->sockets && !b->networked)
		r = network_enter(&n, e);
	network_fini(&n);
	if (r == 0)
		r = descriptors_close(b, e);
	if (r == 0)
		r = rights_drop(e);
	return r == 0 ? sieve_load(b, e) : r;
}
