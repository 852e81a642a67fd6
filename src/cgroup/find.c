/* SPDX-License-Identifier: Apache-2.0 */
/* The hierarchies of this host and a group's folder in each. Where they usually are is tried first:
 * the list of mounts grows with every container. proc(5), cgroups(7) */
#include "cgroup/internal.h"
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>

enum { LINE_BYTES = 8192 };
#define USUAL "/sys/fs/cgroup"

static bool is_on(const char *path, long type)
{
	struct statfs st;
	return statfs(path, &st) == 0 && st.f_type == type;
}

/* "cpu,cpuacct" may be mounted as that, as "cpuacct,cpu", or by a link. */
static bool usual_find(struct cgroup_part *p, bool only_v2)
{
	char path[PATH_MAX];
	if (p->v2) {
		snprintf(path, sizeof path, "%s", only_v2 ? USUAL : USUAL "/unified");
		if (!is_on(path, CGROUP2_SUPER_MAGIC))
			return false;
	} else {
		snprintf(path, sizeof path, USUAL "/%s", p->name);
		if (!is_on(path, CGROUP_SUPER_MAGIC))
			return false;
	}
	return (p->mount = strdup(path));
}

bool cgroup_options_match(const char *options, const char *wanted)
{
	size_t n = strlen(wanted);
	for (const char *at = options; (at = strstr(at, wanted)); at += n)
		if ((at == options || at[-1] == ',') && (!at[n] || at[n] == ',' || at[n] == '\n'))
			return true;
	return false;
}

/* By the list of mounts. @own: the path of this process; *ret_root: the part of it that is the
 * mount's root. */
static bool mounted_find(struct cgroup_part *p, const char *own, char root[PATH_MAX])
{
	autofree char *line = malloc(LINE_BYTES);
	char at[PATH_MAX], type[32], options[256];
	bool found = false;
	FILE *f = line ? fopen("/proc/self/mountinfo", "re") : NULL;
	while (f && !found && fgets(line, LINE_BYTES, f)) {
		const char *end = strstr(line, " - ");
		if (!end || sscanf(end, " - %31s %*s %255s", type, options) != 2 ||
		    strcmp(type, p->v2 ? "cgroup2" : "cgroup") != 0 ||
		    (!p->v2 && !cgroup_options_match(options, p->options)) ||
		    sscanf(line, "%*s %*s %*s %4095s %4095s", root, at) != 2)
			continue;
		size_t n = strcmp(root, "/") ? strlen(root) : 0;
		found = !strncmp(own, root, n) && (p->mount = strdup(at));
	}
	if (f)
		fclose(f);
	return found;
}

static char *join(const char *mount, const char *own, const char *path)
{
	char *dir = NULL;
	while (*own == '/')
		own++;
	while (*path == '/')
		path++;
	size_t n = strlen(own);
	while (n && own[n - 1] == '/')
		n--;
	if (asprintf(&dir, "%s%s%.*s%s%s", mount, n ? "/" : "", (int)n, own, *path ? "/" : "",
	             path) < 0)
		return NULL;
	n = strlen(dir);
	while (n > 1 && dir[n - 1] == '/')
		dir[--n] = 0;
	return dir;
}

/* The group's folder. @own: of this process as its namespace says. */
static int part_find(struct cgroup_part *p, const char *own, const char *path, bool only_v2)
{
	char root[PATH_MAX] = "/";
	bool usual = usual_find(p, only_v2);
	char *here = usual ? join(p->mount, own, "") : NULL;
	bool there = here && access(here, F_OK) == 0;
	free(here);
	if (!there && strcmp(own, "/") != 0) {
		char *before = p->mount;
		p->mount = NULL;
		if (mounted_find(p, own, root))
			free(before);
		else
			p->mount = before;
	}
	if (!p->mount && !mounted_find(p, own, root))
		return 0;
	const char *below = own + (strcmp(root, "/") && !strncmp(own, root, strlen(root))
	                               ? strlen(root) : 0);
	p->dir = join(p->mount, *path == '/' ? "" : below, path);
	p->here = join(p->mount, below, "");
	return p->dir ? 1 : -ENOMEM;
}

/* One line of /proc/self/cgroup: "4:memory:/path". */
static bool line_read(struct cgroup_part *p, char *line, const char **ret_own)
{
	char *list = strchr(line, ':'), *own = list ? strchr(list + 1, ':') : NULL;
	if (!own)
		return false;
	*own++ = 0;
	own[strcspn(own, "\n")] = 0;
	list++;
	*p = (struct cgroup_part){.fd = -1, .v2 = !*list};
	const char *name = !strncmp(list, "name=", 5) ? list + 5 : list;
	if (strlen(list) >= sizeof p->options)
		return false;
	snprintf(p->options, sizeof p->options, "%s", list);
	snprintf(p->name, sizeof p->name, "%s", p->v2 ? "unified" : name);
	*ret_own = own;
	return true;
}

bool cgroup_path_good(const char *path)
{
	for (const char *p = path; (p = strstr(p, "..")); p += 2)
		if ((p == path || p[-1] == '/') && (!p[2] || p[2] == '/'))
			return false;
	return true;
}

int cgroup_find(struct cgroup *ret, const char *path, const char *id, bool rootless,
                struct lodge_err *e)
{
	struct cgroup g = {.rootless = rootless};
	char line[LINE_BYTES];
	bool only_v2 = is_on(USUAL, CGROUP2_SUPER_MAGIC);
	path = path && *path ? path : id;
	if (!cgroup_path_good(path))
		return err_set(e, EINVAL, ".linux.cgroupsPath: '%.200s' leads out of its place",
			       path);
	FILE *f = fopen("/proc/self/cgroup", "re");
	while (f && g.n < countof(g.at) && fgets(line, sizeof line, f)) {
		const char *own;
		struct cgroup_part *p = &g.at[g.n];
		if (!line_read(p, line, &own))
			continue;
		int r = part_find(p, own, path, only_v2);
		if (r > 0)
			g.n++;
		else
			free(p->mount);
		if (r < 0) {
			fclose(f);
			cgroup_fini(&g);
			return err_set(e, ENOMEM, "out of memory");
		}
	}
	if (f)
		fclose(f);
	*ret = g;
	return 0;
}

static void part_fini(struct cgroup_part *p)
{
	free(p->mount);
	free(p->dir);
	free(p->here);
	auto_close(&p->fd);
}

void cgroup_fini(struct cgroup *g)
{
	for (size_t i = 0; i < g->n; i++)
		part_fini(&g->at[i]);
	*g = CGROUP_NONE;
}

void cgroup_narrow(struct cgroup *g, const char *const *controllers)
{
	bool wanted[CGROUP_HIERARCHIES] = {false};
	size_t n = 0;
	for (; *controllers; controllers++) {
		const struct cgroup_part *p = cgroup_part_of(g, *controllers);
		if (p)
			wanted[p - g->at] = true;
	}
	for (size_t i = 0; i < g->n; i++)
		if (wanted[i])
			g->at[n++] = g->at[i];
		else
			part_fini(&g->at[i]);
	g->n = n;
}

const struct cgroup_part *cgroup_part_of(const struct cgroup *g, const char *controller)
{
	const struct cgroup_part *v2 = NULL;
	for (size_t i = 0; i < g->n; i++) {
		if (g->at[i].v2)
			v2 = &g->at[i];
		else if (*controller && cgroup_options_match(g->at[i].options, controller))
			return &g->at[i];
	}
	return v2;
}
