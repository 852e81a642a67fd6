/* SPDX-License-Identifier: Apache-2.0 */
/* Which devices a group may use: first none, then what the configuration says in its order, then
 * those that each container has. devices.rst, OCI-RT 1.2 config-linux.md "Allowed Device list" */
#include "cgroup/internal.h"
#include <stdio.h>

#define ALLOW(t, ma, mi, a)                                                                        \
	{.allow = true, .type = t, .major = {ma, true}, .minor = {mi, true}, .access = a}
static const struct oci_device_rule always[] = {
    ALLOW(OCI_RULE_CHAR, -1, -1, "m"),  ALLOW(OCI_RULE_BLOCK, -1, -1, "m"),
    ALLOW(OCI_RULE_CHAR, 1, 3, "rwm"),  ALLOW(OCI_RULE_CHAR, 1, 8, "rwm"),
    ALLOW(OCI_RULE_CHAR, 1, 7, "rwm"),  ALLOW(OCI_RULE_CHAR, 5, 0, "rwm"),
    ALLOW(OCI_RULE_CHAR, 1, 5, "rwm"),  ALLOW(OCI_RULE_CHAR, 1, 9, "rwm"),
    ALLOW(OCI_RULE_CHAR, 136, -1, "rwm"), ALLOW(OCI_RULE_CHAR, 5, 2, "rwm"),
};

static bool is_all(const struct oci_device_rule *d)
{
	return (!d->type || d->type == OCI_RULE_ALL) && (!d->major.set || d->major.v < 0) &&
	       (!d->minor.set || d->minor.v < 0);
}

static size_t number_text(char *buf, size_t cap, const struct oci_int *n)
{
	return (size_t)(n->set && n->v >= 0 ? snprintf(buf, cap, "%lld", (long long)n->v)
	                                    : snprintf(buf, cap, "*"));
}

static int rule_put(const struct cgroup_part *p, const struct oci_device_rule *d,
                    struct lodge_err *e)
{
	static const char types[] = {[0] = 'a', [OCI_RULE_ALL] = 'a', [OCI_RULE_CHAR] = 'c',
	                             [OCI_RULE_BLOCK] = 'b'};
	char text[64];
	const char *access = d->access && *d->access ? d->access : "rwm";
	if (is_all(d))
		return cgroup_put(p, d->allow ? "devices.allow" : "devices.deny", "a", "devices",
				  e);
	/* version 1 has no rule of both kinds for some numbers: one of each */
	if (!d->type || d->type == OCI_RULE_ALL) {
		struct oci_device_rule one = *d;
		one.type = OCI_RULE_CHAR;
		int r = rule_put(p, &one, e);
		one.type = OCI_RULE_BLOCK;
		return r == 0 ? rule_put(p, &one, e) : r;
	}
	size_t n = (size_t)snprintf(text, sizeof text, "%c ", types[d->type]);
	n += number_text(text + n, sizeof text - n, &d->major);
	text[n++] = ':';
	n += number_text(text + n, sizeof text - n, &d->minor);
	snprintf(text + n, sizeof text - n, " %.3s", access);
	return cgroup_put(p, d->allow ? "devices.allow" : "devices.deny", text, "devices", e);
}

static int rules_put(const struct cgroup_part *p, const struct oci_device_rule *rules, size_t n,
                     struct lodge_err *e)
{
	size_t first = 0;
	/* what comes before the last rule for all is nothing any more */
	for (size_t i = 0; i < n; i++)
		if (is_all(&rules[i]))
			first = i;
	int r = first || (n && is_all(&rules[0]))
		    ? 0
		    : cgroup_put(p, "devices.deny", "a", "devices", e);
	for (size_t i = first; r == 0 && i < n; i++)
		r = rule_put(p, &rules[i], e);
	bool open = n && is_all(&rules[first]) && rules[first].allow;
	for (size_t i = 0; r == 0 && !open && i < countof(always); i++)
		r = rule_put(p, &always[i], e);
	return r;
}

int cgroup_devices_set(const struct cgroup *g, const struct oci_resources *r, struct lodge_err *e)
{
	const struct cgroup_part *p = cgroup_part_of(g, "devices");
	if (!p || p->fd < 0)
		return 0; /* no groups: nothing is limited, as the caller knows */
	if (!p->v2)
		return rules_put(p, r->devices.at, r->devices.n, e);
	size_t n = r->devices.n;
	struct oci_device_rule *all = calloc(n + countof(always), sizeof *all);
	if (!all)
		return err_set(e, ENOMEM, "out of memory");
	if (n)
		memcpy(all, r->devices.at, n * sizeof *all);
	memcpy(all + n, always, sizeof always);
	int bad = cgroup_devices_attach(p, all, n + countof(always), e);
	free(all);
	return bad;
}
