/* SPDX-License-Identifier: Apache-2.0 */
/* The control group that all processes of a guest are in, where this user may make one: it is
 * limited, frozen, counted and killed by that. cgroups(7) */
#include "level/windows/internal.h"
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>

/* Hierarchies of version 1 that are of no use here cost time. */
static const char *const controllers[] = {"cpu",    "cpuacct", "cpuset", "memory",
					  "blkio",  "pids",    "freezer", NULL};

#define PREFIX "windows-"
#define RUN "run-" /* of programs in the foreground: and the number of the process outside */

static int group_find(struct cgroup *ret, const char *id, struct lodge_err *e)
{
	char path[128];
	snprintf(path, sizeof path, "/lodge/" PREFIX "%.100s", id);
	int r = cgroup_find(ret, path, id, false, e);
	if (r == 0)
		cgroup_narrow(ret, controllers);
	return r;
}

int group_wanted(const struct lodge_config *c, struct lodge_err *e)
{
	const char *wish = life_option(c, "cgroup");
	return wish && !strcmp(wish, "off") ? err_set(e, EPERM, "-o cgroup=off") : 0;
}

int group_make(struct group *p, const char *id, struct lodge_err *e)
{
	struct cgroup g = CGROUP_NONE;
	if (p->made)
		return 0;
	if (geteuid() != 0)
		return err_set(e, EACCES, "control groups are root's to make");
	int r = group_find(&g, id, e);
	if (r == 0 && g.n == 0)
		r = err_set(e, ENOENT, "this host has no control groups");
	if (r == 0)
		r = cgroup_make(&g, NULL, e);
	if (r == 0)
		r = cgroup_kill(&g, SIGKILL, e);
	if (r < 0) {
		cgroup_fini(&g);
		return r;
	}
	p->g = g;
	p->made = true;
	return 0;
}

bool group_freezes(const struct group *p)
{
	const struct cgroup_part *f = p->made ? cgroup_part_of(&p->g, "freezer") : NULL;
	return f && f->fd >= 0;
}

/* Is there a process of that number? One of a thread is not, which has numbers of the same kind. */
static bool process_lives(int pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd >= 0)
		close(fd);
	return fd >= 0 || (errno != ESRCH && errno != EINVAL && errno != ENOENT);
}

/* Those of processes outside that were killed. */
static void group_sweep(void)
{
	struct cgroup g = CGROUP_NONE;
	struct dirent *de;
	if (geteuid() != 0 || group_find(&g, "", NULL) < 0 || g.n == 0)
		return;
	char *slash = strrchr(g.at[0].dir, '/');
	*slash = 0;
	DIR *d = opendir(g.at[0].dir);
	while (d && (de = readdir(d))) {
		int pid = 0;
		if (sscanf(de->d_name, PREFIX RUN "%d", &pid) == 1 && pid > 0 &&
		    !process_lives(pid))
			group_forget(de->d_name + strlen(PREFIX));
	}
	if (d)
		closedir(d);
	cgroup_fini(&g);
}

int group_make_here(struct group *p, struct lodge_err *e)
{
	char id[24];
	group_sweep();
	snprintf(id, sizeof id, RUN "%d", (int)getpid());
	return group_make(p, id, e);
}

void group_end(struct group *p)
{
	if (!p->made)
		return;
	(void)!cgroup_kill(&p->g, SIGKILL, NULL);
	(void)!cgroup_remove(&p->g, NULL);
	cgroup_fini(&p->g);
	p->made = false;
}

void group_forget(const char *id)
{
	struct group p = GROUP_NONE;
	if (geteuid() != 0 || group_find(&p.g, id, NULL) < 0)
		return;
	p.made = cgroup_open(&p.g, NULL) == 0;
	if (p.made)
		group_end(&p);
	else
		cgroup_fini(&p.g);
}
