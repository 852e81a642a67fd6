/* SPDX-License-Identifier: Apache-2.0 */
/* All processes of a group stand still. freezer-subsystem.rst, cgroup-v2.rst "cgroup.freeze" */
#include "cgroup/internal.h"

enum { TRIES = 2000, TRY_US = 500, AGAIN = 50 };

static const struct cgroup_part *freezer(const struct cgroup *g)
{
	const struct cgroup_part *p = cgroup_part_of(g, "freezer");
	return p && p->fd >= 0 && cgroup_has(p, p->v2 ? "cgroup.freeze" : "freezer.state") ? p
											   : NULL;
}

static bool state_is(const struct cgroup_part *p, bool frozen)
{
	char text[256];
	if (cgroup_read(p, p->v2 ? "cgroup.events" : "freezer.state", text, sizeof text) < 0)
		return false;
	if (p->v2)
		return !!strstr(text, "frozen 1") == frozen;
	return !strncmp(text, frozen ? "FROZEN" : "THAWED", 6);
}

bool cgroup_frozen(const struct cgroup *g)
{
	const struct cgroup_part *p = freezer(g);
	char text[64];
	if (!p)
		return false;
	if (p->v2)
		return cgroup_read(p, "cgroup.freeze", text, sizeof text) > 0 && text[0] == '1';
	return cgroup_read(p, "freezer.state", text, sizeof text) > 0 && text[0] == 'F';
}

/* Version 1 gives up on processes that fork meanwhile: it is asked again, after letting them go. */
int cgroup_freeze(const struct cgroup *g, bool on, struct lodge_err *e)
{
	const struct cgroup_part *p = freezer(g);
	if (!p)
		return err_set(e, ENOENT,
			       "there is no freezer among the control groups of this host");
	const char *file = p->v2 ? "cgroup.freeze" : "freezer.state";
	const char *to = p->v2 ? (on ? "1" : "0") : on ? "FROZEN" : "THAWED";
	for (int i = 0; i < TRIES; i++) {
		if (on && !p->v2 && i && i % AGAIN == 0)
			(void)!cgroup_write(p, file, "THAWED");
		if ((i == 0 || !p->v2) && cgroup_write(p, file, to) < 0)
			return err_sys(e, "%s of %.300s", file, p->dir);
		if (state_is(p, on))
			return 0;
		usleep(i < AGAIN ? TRY_US / 10 : TRY_US);
	}
	if (on)
		(void)!cgroup_write(p, file, p->v2 ? "0" : "THAWED");
	return err_set(e, EBUSY, "processes of the container do not stand still");
}
