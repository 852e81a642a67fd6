/* SPDX-License-Identifier: Apache-2.0 */
/* A control group of our own for CPU time, below the one that this process is in or beside it,
 * wherever the host lets us: version 2, version 1, or both in use (hybrid). Without root that is
 * where somebody has given us a part of the tree ("delegated"). cgroups(7) */
#include "host/host.h"
#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

enum { LINE_BYTES = 4352, PERIOD_US = 20000, LONG_PERIOD_US = 100000, QUOTA_MIN_US = 1000 };

struct host_cgroup {
	char *dir, *from; /* owned: ours; the one that the process was in */
	bool v2;
};

/* ---- where the process is ---- */

/* Is @word among the words of @list, separated by any of @by? */
static bool list_has(const char *list, const char *word, const char *by)
{
	size_t n = strlen(word);
	for (const char *p = list; *p; p += strspn(p, by)) {
		size_t m = strcspn(p, by);
		if (m == n && !strncmp(p, word, n))
			return true;
		p += m;
	}
	return false;
}

/* The path in the hierarchy that has the controller cpu; *ret_v2: of version 2, which may. */
static bool own_find(const struct host_cgroup_files *f, char path[LINE_BYTES], bool *ret_v2)
{
	char line[LINE_BYTES];
	bool found = false;
	FILE *in = fopen(f->cgroup, "re");
	while (in && fgets(line, sizeof line, in)) {
		char *list = strchr(line, ':'), *p = list ? strchr(list + 1, ':') : NULL;
		if (!p)
			continue;
		*p++ = 0;
		p[strcspn(p, "\n")] = 0;
		bool v1 = list_has(list + 1, "cpu", ",");
		if (!v1 && (list[1] || found)) /* version 1 is the one that counts when it has it */
			continue;
		snprintf(path, LINE_BYTES, "%s", p);
		*ret_v2 = !v1;
		found = true;
		if (v1)
			break;
	}
	if (in)
		fclose(in);
	return found;
}

/* Where that hierarchy is mounted. proc(5), mountinfo: id, parent, device, root, mount point,
 * options, more, "-", type, source, options of the file system. */
static bool mount_find(const struct host_cgroup_files *f, bool v2, const char *path,
                       char dir[LINE_BYTES])
{
	char line[LINE_BYTES], root[LINE_BYTES], at[LINE_BYTES], type[64], options[LINE_BYTES];
	bool found = false;
	FILE *in = fopen(f->mountinfo, "re");
	while (in && !found && fgets(line, sizeof line, in)) {
		const char *end = strstr(line, " - ");
		if (!end || sscanf(line, "%*s %*s %*s %4351s %4351s", root, at) != 2 ||
		    sscanf(end, " - %63s %*s %4351s", type, options) != 2)
			continue;
		if (v2 ? strcmp(type, "cgroup2") != 0
		       : strcmp(type, "cgroup") || !list_has(options, "cpu", ","))
			continue;
		size_t n = strcmp(root, "/") ? strlen(root) : 0;
		if (strncmp(path, root, n))
			continue;
		found = snprintf(dir, LINE_BYTES, "%s%s", at,
		                 strcmp(path + n, "/") ? path + n : "") < LINE_BYTES;
	}
	if (in)
		fclose(in);
	return found;
}

/* ---- files of a group ---- */

static int group_write(const char *dir, const char *name, const char *text)
{
	char path[LINE_BYTES + 32];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	return host_text_put(AT_FDCWD, path, text) < 0 ? -errno : 0;
}

static bool group_has(const char *dir, const char *name)
{
	char path[LINE_BYTES + 32];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	return access(path, F_OK) == 0;
}

static int process_enter(void *dir, pid_t pid)
{
	char text[16];
	snprintf(text, sizeof text, "%d", (int)pid);
	int r = group_write(dir, "cgroup.procs", text);
	return r == -ESRCH && pid != getpid() ? 0 : r; /* it has ended */
}

static int group_enter(char *dir) { return host_tree_each(getpid(), process_enter, dir); }

/* Make @name below @in and go there. */
static int group_make(const char *in, bool v2, const char *name, char **ret)
{
	char *dir = NULL;
	if (asprintf(&dir, "%s/lodge-%s", in, name) < 0)
		return -ENOMEM;
	bool there = mkdir(dir, 0755) == 0 || errno == EEXIST;
	int r = there ? 0 : -errno;
	/* Children have the controller when their parent says so, which it cannot while it has
	 * processes of its own. */
	if (r == 0 && v2 && !group_has(dir, "cpu.max"))
		r = group_write(in, "cgroup.subtree_control", "+cpu");
	if (r == 0 && !group_has(dir, v2 ? "cpu.max" : "cpu.cfs_quota_us"))
		r = -EOPNOTSUPP;
	if (r == 0)
		r = group_enter(dir);
	if (r < 0) {
		if (there)
			rmdir(dir);
		free(dir);
		return r;
	}
	*ret = dir;
	return 0;
}

int host_cgroup_new(struct host_cgroup **ret, const char *name,
                    const struct host_cgroup_files *files, struct lodge_err *e)
{
	static const struct host_cgroup_files usual = { "/proc/self/cgroup",
		                                        "/proc/self/mountinfo" };
	const struct host_cgroup_files *f = files ? files : &usual;
	char path[LINE_BYTES], dir[LINE_BYTES];
	bool v2 = false;
	if (!own_find(f, path, &v2) || !mount_find(f, v2, path, dir))
		return err_set(e, ENOENT, "no control groups for CPU time are mounted");
	struct host_cgroup *g = calloc(1, sizeof *g);
	if (!g || !(g->from = strdup(dir))) {
		free(g);
		return err_set(e, ENOMEM, "out of memory");
	}
	g->v2 = v2;
	int r = group_make(dir, v2, name, &g->dir);
	char *up = strrchr(dir, '/');
	if (r < 0 && v2 && up && strcmp(path, "/")) {
		*up = 0;
		r = group_make(dir, v2, name, &g->dir);
	}
	if (r < 0) {
		r = err_set(e, -r, "a control group in %s: %s", g->from, strerror(-r));
		host_cgroup_free(g);
		return r;
	}
	*ret = g;
	return 0;
}

void host_cgroup_free(struct host_cgroup *g)
{
	if (!g)
		return;
	/* Those that were killed take a moment to be gone. */
	bool left = g->dir && group_enter(g->from) == 0;
	for (int i = 0; left && i < 100 && rmdir(g->dir) < 0 && errno == EBUSY; i++)
		usleep(5000);
	free(g->dir);
	free(g->from);
	free(g);
}

const char *host_cgroup_path(const struct host_cgroup *g) { return g->dir; }

/* ---- limits ---- */

int host_cgroup_quota(struct host_cgroup *g, uint32_t milli, struct lodge_err *e)
{
	char text[48], period[16];
	/* Short periods keep the guest answering; below some ms of quota the kernel wants long. */
	uint32_t us = (uint64_t)milli * PERIOD_US / 1000 >= QUOTA_MIN_US ? PERIOD_US
	                                                                 : LONG_PERIOD_US;
	uint64_t quota = (uint64_t)milli * us / 1000;
	int r = 0;
	snprintf(period, sizeof period, "%u", us);
	if (g->v2 && milli)
		snprintf(text, sizeof text, "%llu %u", (unsigned long long)quota, us);
	else
		snprintf(text, sizeof text, g->v2 ? "max" : "-1");
	if (g->v2) {
		r = group_write(g->dir, "cpu.max", text);
	} else {
		/* The ratio of old and new may not be more than is allowed in between. */
		r = group_write(g->dir, "cpu.cfs_quota_us", "-1");
		if (r == 0 && milli)
			r = group_write(g->dir, "cpu.cfs_period_us", period);
		snprintf(text, sizeof text, "%llu", (unsigned long long)quota);
		if (r == 0 && milli)
			r = group_write(g->dir, "cpu.cfs_quota_us", text);
	}
	return r < 0 ? err_set(e, -r, "%s: a quota of %u/1000 CPU: %s", g->dir, milli,
	                       strerror(-r))
	             : 0;
}

int host_cgroup_weight(struct host_cgroup *g, unsigned weight, struct lodge_err *e)
{
	char text[16];
	/* shares: 1024 is usual, 2 the least */
	unsigned shares = weight * 1024 / 100;
	snprintf(text, sizeof text, "%u", g->v2 ? weight : shares < 2 ? 2 : shares);
	int r = group_write(g->dir, g->v2 ? "cpu.weight" : "cpu.shares", text);
	return r < 0 ? err_set(e, -r, "%s: weight %u: %s", g->dir, weight, strerror(-r)) : 0;
}
