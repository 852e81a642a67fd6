/* SPDX-License-Identifier: Apache-2.0 */
/* What the specification asks of values and of their combinations. OCI-RT 1.2 */
#include "oci/internal.h"
#include <ctype.h>

/* ---- process ---- */

static int rlimits_check(const struct oci_process *p, const char *at, struct lodge_err *e)
{
	for (size_t i = 0; i < p->rlimits.n; i++) {
		const struct oci_rlimit *l = &p->rlimits.at[i];
		const char *name = oci_words_rlimits[l->type - 1];
		if (l->soft.v > l->hard.v)
			return err_set(e, EINVAL, "%s.rlimits[%zu]: %s: soft is above hard", at, i,
				       name);
		for (size_t k = 0; k < i; k++)
			if (p->rlimits.at[k].type == l->type)
				return err_set(e, EINVAL, "%s.rlimits[%zu].type: a second %s", at,
					       i, name);
	}
	return 0;
}

int oci_process_check(const struct oci_process *p, const char *at, struct lodge_err *e)
{
	if (p->cwd[0] != '/')
		return err_set(e, EINVAL, "%s.cwd: '%.200s' is not an absolute path", at, p->cwd);
	if (p->args.n && !p->args.at[0][0])
		return err_set(e, EINVAL, "%s.args[0]: it is empty", at);
	return rlimits_check(p, at, e);
}

/* ---- resources ---- */

static int rules_check(const struct oci_resources *r, const char *at, struct lodge_err *e)
{
	for (size_t i = 0; i < r->devices.n; i++) {
		const char *access = r->devices.at[i].access;
		if (access && access[strspn(access, "rwm")])
			return err_set(e, EINVAL,
				       "%s.devices[%zu].access: '%.20s' is not of r, w and "
				       "m",
				       at, i, access);
	}
	return 0;
}

static int plain_name(const char *name)
{
	return *name && strcmp(name, ".") && strcmp(name, "..") && !strchr(name, '/');
}

int oci_resources_check(const struct oci_resources *r, const char *at, struct lodge_err *e)
{
	for (size_t i = 0; i < r->unified.n; i++)
		if (!plain_name(r->unified.at[i].key))
			return err_set(e, EINVAL, "%s.unified: '%.100s' is not the name of a file",
				       at, r->unified.at[i].key);
	for (size_t i = 0; i < r->hugepages.n; i++)
		if (!plain_name(r->hugepages.at[i].size))
			return err_set(e, EINVAL,
				       "%s.hugepageLimits[%zu].pageSize: '%.40s' is no size", at, i,
				       r->hugepages.at[i].size);
	const struct oci_memory *m = r->memory;
	if (m && m->swappiness.set && m->swappiness.v > 200)
		return err_set(e, EINVAL, "%s.memory.swappiness: must be from 0 to 200", at);
	return rules_check(r, at, e);
}

/* ---- linux ---- */

const struct oci_namespace *oci_namespace_of(const struct oci_spec *s, enum oci_space type)
{
	for (size_t i = 0; s->lin && i < s->lin->namespaces.n; i++)
		if (s->lin->namespaces.at[i].type == (unsigned)type)
			return &s->lin->namespaces.at[i];
	return NULL;
}

static int namespaces_check(const struct oci_lin *l, struct lodge_err *e)
{
	unsigned seen = 0;
	for (size_t i = 0; i < l->namespaces.n; i++) {
		const struct oci_namespace *n = &l->namespaces.at[i];
		if (seen & 1u << n->type)
			return err_set(e, EINVAL, ".linux.namespaces[%zu].type: a second '%s'", i,
			               oci_words_namespaces[n->type - 1]);
		seen |= 1u << n->type;
		if (n->path && n->path[0] && n->path[0] != '/')
			return err_set(e, EINVAL, ".linux.namespaces[%zu].path: '%.200s' is not an "
			               "absolute path", i, n->path);
	}
	return 0;
}

static int maps_check(const struct oci_spec *s, struct lodge_err *e)
{
	const struct oci_lin *l = s->lin;
	const struct oci_namespace *u = oci_namespace_of(s, OCI_USER);
	bool made = u && !(u->path && *u->path), maps = l->uid_maps.n && l->gid_maps.n;
	if (!u && (l->uid_maps.n || l->gid_maps.n))
		return err_set(e, EINVAL,
			       ".linux.uidMappings: there is no user namespace in "
			       ".linux.namespaces");
	if (made && !maps)
		return err_set(e, EINVAL,
			       ".linux.uidMappings, .linux.gidMappings: a user namespace "
		               "needs both");
	const struct oci_namespace *t = oci_namespace_of(s, OCI_TIME);
	if (l->time_offsets.n && (!t || (t->path && *t->path)))
		return err_set(e, EINVAL, ".linux.timeOffsets: there is no new time namespace in "
		               ".linux.namespaces");
	for (size_t i = 0; i < l->time_offsets.n; i++)
		if (strcmp(l->time_offsets.at[i].key, "monotonic") &&
		    strcmp(l->time_offsets.at[i].key,
			       "boottime"))
			return err_set(e, EINVAL,
				       ".linux.timeOffsets: '%.40s' is neither monotonic nor "
			               "boottime", l->time_offsets.at[i].key);
	return 0;
}

static int devices_check(const struct oci_lin *l, struct lodge_err *e)
{
	for (size_t i = 0; i < l->devices.n; i++) {
		const struct oci_device *d = &l->devices.at[i];
		if (d->path[0] != '/')
			return err_set(e, EINVAL,
				       ".linux.devices[%zu].path: '%.200s' is not an absolute "
				       "path",
				       i, d->path);
		if (d->type != OCI_FIFO && (!d->major.set || !d->minor.set))
			return err_set(e, EINVAL,
				       ".linux.devices[%zu]: major and minor are missing", i);
	}
	return 0;
}

static bool has_errno(unsigned action)
{
	return action == OCI_ERRNO || action == OCI_TRACE;
}

static int seccomp_check(const struct oci_seccomp *s, struct lodge_err *e)
{
	bool notify = s->default_action == OCI_NOTIFY;
	if (notify)
		return err_set(e, EINVAL,
			       ".linux.seccomp.defaultAction: SCMP_ACT_NOTIFY would also "
		               "stop the runtime");
	if (s->default_errno_ret.set && !has_errno(s->default_action))
		return err_set(e, EINVAL,
			       ".linux.seccomp.defaultErrnoRet: the action has no errno");
	for (size_t i = 0; i < s->syscalls.n; i++) {
		const struct oci_seccomp_call *c = &s->syscalls.at[i];
		if (c->errno_ret.set && !has_errno(c->action))
			return err_set(e, EINVAL,
				       ".linux.seccomp.syscalls[%zu].errnoRet: the action "
			               "has no errno", i);
		if (!c->names.n)
			return err_set(e, EINVAL,
				       ".linux.seccomp.syscalls[%zu].names: it is empty", i);
		for (size_t k = 0; k < c->args.n; k++)
			if (c->args.at[k].index.v > 5)
				return err_set(e, EINVAL, ".linux.seccomp.syscalls[%zu].args[%zu]"
				               ".index: must be from 0 to 5", i, k);
		notify |= c->action == OCI_NOTIFY;
	}
	if (notify && !(s->listener_path && *s->listener_path))
		return err_set(e, EINVAL, ".linux.seccomp.listenerPath: SCMP_ACT_NOTIFY needs it");
	return 0;
}

static int linux_check(const struct oci_spec *s, struct lodge_err *e)
{
	const struct oci_lin *l = s->lin;
	const struct oci_intel_rdt *rdt = l->intel_rdt;
	int r = namespaces_check(l, e);
	if (r == 0)
		r = maps_check(s, e);
	if (r == 0)
		r = devices_check(l, e);
	if (r == 0 && l->seccomp)
		r = seccomp_check(l->seccomp, e);
	if (r == 0 && l->resources)
		r = oci_resources_check(l->resources,
			       ".linux.resources", e);
	if (r == 0 && rdt && rdt->clos_id && !plain_name(rdt->clos_id))
		r = err_set(e, EINVAL,
			       ".linux.intelRdt.closID: '%.100s' is not the name of a folder",
		            rdt->clos_id);
	return r;
}

/* ---- the whole ---- */

static int hook_list_check(const struct oci_hook *at, size_t n, const char *name,
			   struct lodge_err *e)
{
	for (size_t i = 0; i < n; i++)
		if (at[i].path[0] != '/')
			return err_set(e, EINVAL,
				       ".hooks.%s[%zu].path: '%.200s' is not an absolute path",
			               name, i, at[i].path);
	return 0;
}

static int hooks_check(const struct oci_hooks *h, struct lodge_err *e)
{
#define CHECK(m, name)                                                                             \
	if (hook_list_check(h->m.at, h->m.n, name, e) < 0)                                         \
		return -EINVAL
	CHECK(prestart, "prestart");
	CHECK(create_runtime, "createRuntime");
	CHECK(create_container, "createContainer");
	CHECK(start_container, "startContainer");
	CHECK(poststart, "poststart");
	CHECK(poststop, "poststop");
#undef CHECK
	return 0;
}

/* "1.x.y", perhaps with more after a '-' or '+': of the major version that is known. */
static int version_check(const char *v, struct lodge_err *e)
{
	unsigned parts = 0, major = 0;
	const char *p = v;
	for (; isdigit((unsigned char)*p); parts++) {
		unsigned long n = strtoul(p, NULL, 10);
		major = parts ? major : (unsigned)n;
		p += strspn(p, "0123456789");
		if (*p != '.' || parts == 2) {
			parts++;
			break;
		}
		p++;
	}
	if (parts != 3 || (*p && *p != '-' && *p != '+'))
		return err_set(e, EINVAL, ".ociVersion: '%.60s' is not a version, like 1.2.0", v);
	if (major != 1)
		return err_set(e, EINVAL, ".ociVersion: '%.60s': only version 1 is known", v);
	return 0;
}

static int mounts_check(const struct oci_spec *s, struct lodge_err *e)
{
	for (size_t i = 0; i < s->mounts.n; i++) {
		const struct oci_mount *m = &s->mounts.at[i];
		if (!m->destination[0])
			return err_set(e, EINVAL, ".mounts[%zu].destination: it is empty", i);
		if (!m->uid_maps.n != !m->gid_maps.n)
			return err_set(e, EINVAL,
				       ".mounts[%zu]: uidMappings and gidMappings go together",
			               i);
	}
	return 0;
}

static int spaces_need(const struct oci_spec *s, struct lodge_err *e)
{
	bool own = oci_namespace_of(s, OCI_MOUNT);
	const struct oci_lin *l = s->lin;
	if ((s->hostname || s->domainname) && !oci_namespace_of(s, OCI_UTS))
		return err_set(e, EINVAL,
			       "%s: there is no uts namespace in .linux.namespaces",
		               s->hostname ? ".hostname" : ".domainname");
	if (!own && s->mounts.n)
		return err_set(e, EINVAL,
			       ".mounts: there is no mount namespace in .linux.namespaces");
	if (!own && l && (l->masked.n || l->readonly.n))
		return err_set(e, EINVAL, "%s: there is no mount namespace in .linux.namespaces",
		               l->masked.n ? ".linux.maskedPaths" : ".linux.readonlyPaths");
	return 0;
}

int oci_spec_check(const struct oci_spec *s, struct lodge_err *e)
{
	int r = version_check(s->version, e);
	if (r == 0 && !s->root)
		r = err_set(e, EINVAL, ".root: it is missing");
	if (r == 0 && !s->root->path[0])
		r = err_set(e, EINVAL, ".root.path: it is empty");
	if (r == 0 && s->process)
		r = oci_process_check(s->process, ".process", e);
	if (r == 0)
		r = mounts_check(s, e);
	if (r == 0 && s->hooks)
		r = hooks_check(s->hooks, e);
	if (r == 0 && s->lin)
		r = linux_check(s, e);
	return r == 0 ? spaces_need(s, e) : r;
}

const char *oci_annotation(const struct oci_spec *s, const char *key)
{
	for (size_t i = 0; i < s->annotations.n; i++)
		if (!strcmp(s->annotations.at[i].key, key))
			return s->annotations.at[i].value;
	return NULL;
}
