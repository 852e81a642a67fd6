/* SPDX-License-Identifier: Apache-2.0 */
/* What a process may: ids, groups, the five sets of capabilities, limits. capabilities(7),
 * OCI-RT 1.2 config.md "Linux Process" */
#include "box/internal.h"
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static const char *const names[] = {
#define CAPABILITY(n) #n,
#include "box/capabilities.def"
};

const char *box_capability_at(size_t i) { return i < countof(names) ? names[i] : NULL; }

bool box_capability_held(size_t i)
{
	return prctl(PR_CAPBSET_READ, (unsigned long)i, 0, 0, 0) == 1;
}

int box_capability_find(const char *name)
{
	for (size_t i = 0; i < countof(names); i++)
		if (!strcasecmp(names[i], name) || !strcasecmp(names[i] + 4, name))
			return (int)i;
	return -1;
}

/* The last one that this kernel knows. */
static unsigned last_known(void)
{
	unsigned c = countof(names) - 1;
	while (c && prctl(PR_CAPBSET_READ, (unsigned long)c, 0, 0, 0) < 0)
		c--;
	return c;
}

/* Those that it does not know are left out, as others do. */
static uint64_t set_of(const struct oci_texts *t, unsigned last)
{
	uint64_t set = 0;
	for (size_t i = 0; i < t->n; i++) {
		int c = box_capability_find(t->at[i]);
		if (c >= 0 && (unsigned)c <= last)
			set |= UINT64_C(1) << c;
	}
	return set;
}

void box_rights_read(struct box_rights *ret, const struct oci_process *p)
{
	static const struct oci_capabilities none;
	const struct oci_capabilities *c = p->capabilities ? p->capabilities : &none;
	unsigned last = last_known();
	*ret = (struct box_rights){.bounding = set_of(&c->bounding, last),
	                           .effective = set_of(&c->effective, last),
	                           .permitted = set_of(&c->permitted, last),
	                           .inheritable = set_of(&c->inheritable, last),
	                           .ambient = set_of(&c->ambient, last),
	                           .last = last};
}

int box_rights_bound(const struct box_rights *r, struct lodge_err *e)
{
	for (unsigned c = 0; c <= r->last; c++)
		if (!(r->bounding >> c & 1) &&
		    prctl(PR_CAPBSET_DROP, (unsigned long)c, 0, 0, 0) < 0 &&
		    (errno != EPERM || prctl(PR_CAPBSET_READ, (unsigned long)c, 0, 0, 0) == 1))
			return err_sys(e, "the bounding set of capabilities");
	return 0;
}

int box_rights_take(const struct box_rights *r, struct lodge_err *e)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2];
	for (unsigned i = 0; i < 2; i++)
		d[i] = (struct __user_cap_data_struct){
		    .effective = (uint32_t)(r->effective >> 32 * i),
		    .permitted = (uint32_t)(r->permitted >> 32 * i),
		    .inheritable = (uint32_t)(r->inheritable >> 32 * i)};
	if (syscall(SYS_capset, &head, d) < 0)
		return err_sys(e, ".process.capabilities: more than this process has, or effective "
		               "ones that are not permitted");
	(void)!prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	for (unsigned c = 0; c <= r->last; c++)
		/* one that is not inheritable and permitted cannot be: others only warn of it */
		if (r->ambient >> c & 1)
			(void)!prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, (unsigned long)c, 0, 0);
	return 0;
}

static int groups_set(const struct oci_user *u, struct lodge_err *e)
{
	static const struct oci_numbers none;
	const struct oci_numbers *g = u ? &u->additional_gids : &none;
	if (setgroups(g->n, g->at) == 0)
		return 0;
	/* in a user namespace of one id nobody may; that is no harm if there are none to set */
	return g->n || errno != EPERM ? err_sys(e, ".process.user.additionalGids") : 0;
}

int box_user_become(const struct oci_user *u, struct lodge_err *e)
{
	uid_t uid = u ? (uid_t)u->uid.v : 0;
	gid_t gid = u ? (gid_t)u->gid.v : 0;
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return err_sys(e, "keeping capabilities");
	int r = groups_set(u, e);
	if (r < 0)
		return r;
	if (syscall(SYS_setresgid, gid, gid, gid) < 0)
		return err_sys(e, ".process.user.gid: %u", gid);
	if (syscall(SYS_setresuid, uid, uid, uid) < 0)
		return err_sys(e, ".process.user.uid: %u", uid);
	if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0)
		return err_sys(e, "keeping capabilities");
	umask(u && u->umask.set ? (mode_t)u->umask.v & 0777 : 022);
	return 0;
}

int box_limits_set(const struct oci_process *p, struct lodge_err *e)
{
	for (size_t i = 0; i < p->rlimits.n; i++) {
		const struct oci_rlimit *l = &p->rlimits.at[i];
		const struct rlimit r = {.rlim_cur = l->soft.v, .rlim_max = l->hard.v};
		if (setrlimit((__rlimit_resource_t)(l->type - 1), &r) < 0)
			return err_sys(e, ".process.rlimits[%zu]: %s", i,
			               oci_words_rlimits[l->type - 1]);
	}
	return 0;
}
