/* SPDX-License-Identifier: Apache-2.0 */
/* The system calls of a confined process: what the table of the process level can make of the
 * host's, less what reaches out. Two filters, of which the kernel takes the stricter word: one
 * says what arguments may not be, the other which calls there are. seccomp(2) */
#include "box/internal.h"
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum { SAME_NOWHERE = -1 };
/* Names of calls; with their number where it is the same on every architecture. */
struct call {
	const char *name;
	int nr;
};
static const struct call listed[] = {
#define PASS(nr, name, ...) {#name, SAME_NOWHERE},
#define WAIT(nr, name, ...) {#name, SAME_NOWHERE},
#define OWN(nr, name, ...) {#name, SAME_NOWHERE},
#define LEVEL(nr, name, ...) {#name, SAME_NOWHERE},
#define NONE(nr, name, ...)
#define SAME(nr, name, ...) {#name, nr},
#define SAME_WAIT(nr, name, ...) {#name, nr},
#include "linux/calls.def"
#define ALSO(name) {#name, SAME_NOWHERE},
#define DENY(name)
#include "box/calls.def"
};
static const char *const denied[] = {
#define ALSO(name)
#define DENY(name) #name,
#include "box/calls.def"
};

static bool is_denied(const char *name)
{
	for (size_t i = 0; i < countof(denied); i++)
		if (!strcmp(denied[i], name))
			return true;
	return false;
}

/* clone3 hides its flags in memory: without it, clone is used. socket: see below. */
static bool is_special(const char *name)
{
	return !strcmp(name, "clone3") || !strcmp(name, "socket") || is_denied(name);
}

/* The host's number of a call; below 0: it has none. */
static int number(const struct call *c)
{
	return c->nr >= 0 ? c->nr : seccomp_syscall_resolve_name(c->name);
}

static int families_add(scmp_filter_ctx f)
{
	static const unsigned families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};
	int nr = seccomp_syscall_resolve_name("socket"), r = 0;
	for (size_t i = 0; r == 0 && i < countof(families); i++)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, nr, 1,
		                     SCMP_A0(SCMP_CMP_MASKED_EQ, UINT32_MAX, families[i]));
	return r;
}

static int calls_add(scmp_filter_ctx f)
{
	int r = families_add(f);
	for (size_t i = 0; r == 0 && i < countof(listed); i++) {
		int nr = number(&listed[i]);
		if (nr >= 0 && !is_special(listed[i].name))
			r = seccomp_rule_add(f, SCMP_ACT_ALLOW, nr, 0);
	}
	for (size_t i = 0; r == 0 && i < countof(denied); i++) {
		int nr = seccomp_syscall_resolve_name(denied[i]);
		if (nr >= 0)
			r = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), nr, 0);
	}
	return r;
}

/* Numbers are of 32 bits in the kernel: what is above is not looked at. */
static int arguments_add(scmp_filter_ctx f)
{
	static const unsigned spaces[] = {CLONE_NEWNS,   CLONE_NEWUSER, CLONE_NEWPID,
					  CLONE_NEWNET,  CLONE_NEWIPC,  CLONE_NEWUTS,
					  CLONE_NEWCGROUP};
	static const unsigned ioctls[] = {TIOCSTI, TIOCLINUX}; /* keys for who reads next */
	int clone_nr = seccomp_syscall_resolve_name("clone"), r = 0;
	int ioctl_nr = seccomp_syscall_resolve_name("ioctl");
	for (size_t i = 0; r == 0 && i < countof(spaces); i++)
		r = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), clone_nr, 1,
		                     SCMP_A0(SCMP_CMP_MASKED_EQ, spaces[i], spaces[i]));
	for (size_t i = 0; r == 0 && i < countof(ioctls); i++)
		r = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), ioctl_nr, 1,
		                     SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, ioctls[i]));
	return r;
}

static int filter_one(uint32_t otherwise, int (*add)(scmp_filter_ctx f), struct lodge_err *e)
{
	scmp_filter_ctx f = seccomp_init(otherwise);
	int r = f ? add(f) : -ENOMEM;
	if (r == 0)
		(void)!seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* as a tree */
	if (r == 0)
		r = seccomp_load(f);
	seccomp_release(f);
	return r < 0 ? err_set(e, -r, "--isolate: filter of system calls: %s", strerror(-r)) : 0;
}

int filter_load(struct lodge_err *e)
{
	int r = filter_one(SCMP_ACT_ALLOW, arguments_add, e);
	return r == 0 ? filter_one(SCMP_ACT_ERRNO(ENOSYS), calls_add, e) : r;
}
