/* SPDX-License-Identifier: Apache-2.0 */
/* Groups made, entered, listed, emptied and removed. */
#include "cgroup/internal.h"
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

enum { TRIES = 500, TRY_US = 1000, PIDS_STEP = 256, DEPTH_MAX = 32 };

/* ---- files ---- */

int cgroup_write(const struct cgroup_part *p, const char *file, const char *text)
{
	return host_text_put(p->fd, file, text);
}

bool cgroup_has(const struct cgroup_part *p, const char *file)
{
	return p->fd >= 0 && faccessat(p->fd, file, F_OK, 0) == 0;
}

ssize_t cgroup_read(const struct cgroup_part *p, const char *file, char *buf, size_t cap)
{
	autoclose int fd = openat(p->fd, file, O_RDONLY | O_CLOEXEC);
	size_t n = 0;
	if (fd < 0)
		return -1;
	while (n + 1 < cap) {
		ssize_t got = read(fd, buf + n, cap - 1 - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		n += (size_t)got;
	}
	buf[n] = 0;
	return (ssize_t)n;
}

/* ---- making ---- */

/* A new group of cpuset (version 1) takes nobody in until it has what its parent has. */
static int cpuset_fill(int parent, int fd)
{
	static const char *const files[] = {"cpuset.cpus", "cpuset.mems"};
	const struct cgroup_part up = {.fd = parent}, own = {.fd = fd};
	char text[1024];
	for (size_t i = 0; i < countof(files); i++) {
		if (cgroup_read(&own, files[i], text, sizeof text) < 0)
			return errno == ENOENT ? 0 : -1;
		if (text[strspn(text, "\n")])
			continue;
		if (cgroup_read(&up, files[i], text, sizeof text) < 0 ||
		    cgroup_write(&own, files[i], text) < 0)
			return -1;
	}
	return 0;
}

/* Keepers have a umask that hides what they make; containers of others may lie below it. */
static int folder_make(int at, const char *name)
{
	if (mkdirat(at, name, 0755) < 0)
		return -1;
	(void)!fchmodat(at, name, 0755, 0);
	return 0;
}

/* All that this level has may be had below: version 2. */
static void controllers_pass(int fd)
{
	const struct cgroup_part p = {.fd = fd};
	char have[256], one[72], *rest = have;
	if (cgroup_read(&p, "cgroup.controllers", have, sizeof have) < 0)
		return;
	have[strcspn(have, "\n")] = 0;
	for (char *w; (w = strsep(&rest, " "));) {
		snprintf(one, sizeof one, "+%.64s", w);
		if (*w)
			(void)!cgroup_write(&p, "cgroup.subtree_control", one);
	}
}

/* Each folder from the mount down. Another may make, and remove, the same meanwhile. */
static int part_walk(struct cgroup_part *p, bool pass)
{
	bool cpuset = !p->v2 && strstr(p->options, "cpuset");
	int at = open(p->mount, O_PATH | O_DIRECTORY | O_CLOEXEC);
	char name[NAME_MAX + 1];
	for (const char *rest = p->dir + strlen(p->mount); at >= 0 && *rest;) {
		rest += strspn(rest, "/");
		size_t n = strcspn(rest, "/");
		if (!n)
			break;
		if (n > NAME_MAX) { /* not the group above it */
			close(at);
			errno = ENAMETOOLONG;
			return -1;
		}
		memcpy(name, rest, n);
		name[n] = 0;
		rest += n;
		if (pass && p->v2)
			controllers_pass(at);
		int bad = folder_make(at, name) < 0 && errno != EEXIST;
		int to = bad ? -1 : openat(at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (to >= 0 && cpuset && cpuset_fill(at, to) < 0) {
			close(to);
			to = -1;
		}
		int why = errno;
		close(at);
		errno = why;
		at = to;
	}
	p->fd = at;
	return at < 0 ? -1 : 0;
}

/* The usual way, for a parent that is there: one call. */
static int part_make(struct cgroup_part *p, bool pass)
{
	bool cpuset = !p->v2 && strstr(p->options, "cpuset");
	if (!cpuset && !pass && (folder_make(AT_FDCWD, p->dir) == 0 || errno == EEXIST))
		p->fd = open(p->dir, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	for (int i = 0; p->fd < 0 && i < 10; i++)
		if (part_walk(p, pass) < 0 && errno != ENOENT)
			return -1;
	return p->fd < 0 ? -1 : 0;
}

static bool is_forbidden(int code) { return code == EACCES || code == EROFS || code == EPERM; }

int cgroup_make(struct cgroup *g, const struct oci_resources *r, struct lodge_err *e)
{
	bool alone = g->n == 1 && g->at[0].v2;
	bool pass = alone || (r && (r->unified.n || r->hugepages.n || r->rdma.n));
	for (size_t i = 0; i < g->n; i++)
		if (part_make(&g->at[i], pass && g->at[i].v2) < 0 &&
		    !(g->rootless && is_forbidden(errno)))
			return err_sys(e, "control group %.300s", g->at[i].dir);
	return 0;
}

int cgroup_open(struct cgroup *g, struct lodge_err *e)
{
	for (size_t i = 0; i < g->n; i++) {
		if (g->at[i].fd >= 0)
			continue;
		g->at[i].fd = open(g->at[i].dir, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		/* an ordinary user's is not below a folder that only others may see */
		if (g->at[i].fd < 0 && errno != ENOENT && !(errno == EACCES && geteuid() != 0))
			return err_sys(e, "control group %.300s", g->at[i].dir);
	}
	return 0;
}

int cgroup_enter(const struct cgroup *g, pid_t pid, bool itself, struct lodge_err *e)
{
	char text[16];
	snprintf(text, sizeof text, "%d", (int)pid);
	for (size_t i = 0; i < g->n; i++) {
		const struct cgroup_part *p = &g->at[i];
		const char *file = pid || p->v2 ? "cgroup.procs" : "tasks";
		if (p->fd >= 0 && !(itself && !p->v2) && cgroup_write(p, file, text) < 0 &&
		    !(g->rootless && is_forbidden(errno)))
			return err_sys(e, "entering control group %.300s", p->dir);
	}
	return 0;
}

int cgroup_join(int fd, struct lodge_err *e)
{
	const struct cgroup_part p = {.fd = fd};
	return cgroup_write(&p, "tasks", "0") < 0 ? err_sys(e, "entering a control group") : 0;
}

int cgroup_enter_below(const struct cgroup *g, const char *path, const char *controllers, pid_t pid,
                       struct lodge_err *e)
{
	char text[16];
	bool any = false;
	snprintf(text, sizeof text, "%d", (int)pid);
	while (*path == '/')
		path++;
	if (!cgroup_path_good(path))
		return err_set(e, EINVAL, "--cgroup %s: it leads out of the container's", path);
	for (size_t i = 0; i < g->n; i++) {
		struct cgroup_part p = g->at[i];
		if (p.fd < 0 || (controllers && !cgroup_options_match(p.options, controllers)))
			continue;
		any = true;
		autoclose int fd = openat(p.fd, *path ? path : ".",
		                          O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		p.fd = fd;
		if (fd < 0 || cgroup_write(&p, "cgroup.procs", text) < 0)
			return err_sys(e, "--cgroup %s in %.300s", path, p.dir);
	}
	return any ? 0
		   : err_set(e, ENOENT, "--cgroup %s:%s: no such hierarchy",
			     controllers ? controllers : "", path);
}

/* ---- processes ---- */

struct pids {
	pid_t *at;
	size_t n, cap;
};

static int pids_read(struct pids *l, int fd)
{
	int own = openat(fd, "cgroup.procs", O_RDONLY | O_CLOEXEC), pid;
	FILE *f = own < 0 ? NULL : fdopen(own, "r");
	if (!f) {
		auto_close(&own);
		return errno == ENOENT || errno == ENODEV ? 0 : -errno;
	}
	while (fscanf(f, "%d", &pid) == 1) {
		if (l->n == l->cap) {
			pid_t *at = realloc(l->at, (l->cap + PIDS_STEP) * sizeof *at);
			if (!at) {
				fclose(f);
				return -ENOMEM;
			}
			l->at = at;
			l->cap += PIDS_STEP;
		}
		l->at[l->n++] = pid;
	}
	fclose(f);
	return 0;
}

/* Call @fn for @fd and all below, those first if @up. */
static int each(int fd, bool up, unsigned depth, int (*fn)(void *arg, int fd), void *arg)
{
	int r = up ? 0 : fn(arg, fd);
	int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = own < 0 ? NULL : fdopendir(own);
	if (!d)
		auto_close(&own);
	for (struct dirent *de; r == 0 && d && depth < DEPTH_MAX && (de = readdir(d));) {
		if (de->d_type != DT_DIR || de->d_name[0] == '.')
			continue;
		autoclose int to = openat(fd, de->d_name, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (to >= 0)
			r = each(to, up, depth + 1, fn, arg);
		if (to >= 0 && up)
			(void)!unlinkat(fd, de->d_name, AT_REMOVEDIR);
	}
	if (d)
		closedir(d);
	return r == 0 && up ? fn(arg, fd) : r;
}

static int pids_each(void *arg, int fd) { return pids_read(arg, fd); }

/* One hierarchy is enough: they are in all. The one that nobody changes from inside is best. */
static const struct cgroup_part *part_for_pids(const struct cgroup *g)
{
	static const char *const order[] = {"pids", "freezer", "devices", "memory", "cpu", ""};
	for (size_t i = 0; i < countof(order); i++) {
		const struct cgroup_part *p = cgroup_part_of(g, order[i]);
		if (p && p->fd >= 0)
			return p;
	}
	for (size_t i = 0; i < g->n; i++)
		if (g->at[i].fd >= 0)
			return &g->at[i];
	return NULL;
}

int cgroup_pids(const struct cgroup *g, pid_t **ret, size_t *ret_n, struct lodge_err *e)
{
	struct pids l = {0};
	const struct cgroup_part *p = part_for_pids(g);
	int r = p ? each(p->fd, false, 0, pids_each, &l) : 0;
	if (r < 0) {
		free(l.at);
		return err_set(e, -r, "processes of %.300s: %s", p->dir, strerror(-r));
	}
	*ret = l.at;
	*ret_n = l.n;
	return 0;
}

int cgroup_kill(const struct cgroup *g, int sig, struct lodge_err *e)
{
	const struct cgroup_part *v2 = cgroup_part_of(g, "");
	if (sig == SIGKILL && v2 && v2->v2 && v2->fd >= 0)
		(void)!cgroup_write(v2, "cgroup.kill", "1");
	if (sig == SIGKILL && cgroup_frozen(g)) {
		int r = cgroup_freeze(g, false, e);
		if (r < 0)
			return r;
	}
	for (int i = 0; i < TRIES; i++) {
		pid_t *at = NULL;
		size_t n = 0;
		int r = cgroup_pids(g, &at, &n, e);
		for (size_t k = 0; r == 0 && k < n; k++)
			if (at[k] > 0)
				kill(at[k], sig);
		free(at);
		if (r < 0 || n == 0 || sig != SIGKILL)
			return r;
		usleep(TRY_US);
	}
	return err_set(e, EBUSY, "processes of the container do not end");
}

/* ---- the end ---- */

static int nothing(void *arg, int fd)
{
	(void)arg;
	(void)fd;
	return 0;
}

static int part_remove(struct cgroup_part *p)
{
	for (int i = 0; i < TRIES; i++) {
		if (rmdir(p->dir) == 0 || errno == ENOENT)
			return 0;
		if (errno != EBUSY)
			return -1;
		int fd = open(p->dir, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0)
			(void)!each(fd, true, 0, nothing, NULL); /* groups that the guest made */
		auto_close(&fd);
		if (rmdir(p->dir) == 0 || errno == ENOENT)
			return 0;
		usleep(i < 20 ? TRY_US / 10 : TRY_US);
	}
	return -1;
}

int cgroup_remove(struct cgroup *g, struct lodge_err *e)
{
	int r = 0;
	for (size_t i = 0; i < g->n; i++) {
		if (!strcmp(g->at[i].dir, g->at[i].mount))
			continue; /* the top is nobody's */
		auto_close(&g->at[i].fd);
		g->at[i].fd = -1;
		if (part_remove(&g->at[i]) < 0 && !(g->rootless && is_forbidden(errno)))
			r = err_sys(e, "removing control group %.300s", g->at[i].dir);
	}
	return r;
}
