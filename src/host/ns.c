/* SPDX-License-Identifier: Apache-2.0 */
/* A user namespace for this process, and others below it. user_namespaces(7) */
#include "host/host.h"
#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/wait.h>

enum { MAP_BYTES = 4096 };

struct maps {
	char uids[MAP_BYTES], gids[MAP_BYTES];
	bool all;
	const struct host_ids *given; /* NULL: what is above is written */
};

static int text_write(pid_t of, const char *name, const char *text, struct lodge_err *e)
{
	char path[64];
	/* its own number may be of another pid namespace than /proc */
	if (of == getpid())
		snprintf(path, sizeof path, "/proc/self/%s", name);
	else
		snprintf(path, sizeof path, "/proc/%d/%s", of, name);
	return host_text_put(AT_FDCWD, path, text) < 0 ? err_sys(e, "writing %s", path) : 0;
}

/* All ids that this namespace has, as themselves. */
static void map_same(const char *path, char buf[MAP_BYTES])
{
	FILE *f = fopen(path, "re");
	unsigned inside, outside, count;
	size_t n = 0;
	while (f && n < MAP_BYTES && fscanf(f, "%u %u %u", &inside, &outside, &count) == 3)
		n += (size_t)snprintf(buf + n, MAP_BYTES - n, "%u %u %u\n", inside, inside, count);
	if (f)
		fclose(f);
}

/* The setuid program that knows what this user was given. */
static int helper_run(const char *program, pid_t of, const struct host_ids_range *at, size_t n)
{
	enum { NUMBER = 12 };
	char numbers[3 * HOST_MAPS + 1][NUMBER], name[32];
	char *argv[3 * HOST_MAPS + 3] = {name, numbers[0]}, *const env[] = {NULL};
	pid_t pid;
	snprintf(name, sizeof name, "%s", program);
	snprintf(numbers[0], NUMBER, "%d", (int)of);
	for (size_t i = 0; i < n; i++) {
		const uint32_t v[3] = {at[i].inside, at[i].outside, at[i].count};
		for (size_t k = 0; k < 3; k++) {
			snprintf(numbers[3 * i + k + 1], NUMBER, "%u", v[k]);
			argv[3 * i + k + 2] = numbers[3 * i + k + 1];
		}
	}
	int r = posix_spawn(&pid, program, NULL, NULL, argv, env);
	return r ? -r : host_reap(pid) ? -EPERM : 0;
}

static int maps_given(pid_t of, const struct host_ids *ids)
{
	int r = helper_run("/usr/bin/newuidmap", of, ids->uids, ids->nuids);
	return r == 0 ? helper_run("/usr/bin/newgidmap", of, ids->gids, ids->ngids) : r;
}

static int maps_write(pid_t of, const struct maps *m, struct lodge_err *e)
{
	int r = m->all ? 0 : text_write(of, "setgroups", "deny", e);
	if (r == 0)
		r = text_write(of, "uid_map", m->uids, e);
	return r == 0 ? text_write(of, "gid_map", m->gids, e) : r;
}

/* Who enters a namespace has no rights in the old one, which ids of others ask for: a child that
 * stays behind writes the maps, when it is told. */
static pid_t writer_start(const struct maps *m, int ends[2])
{
	pid_t of = getpid(), child;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	child = fork();
	if (child == 0) {
		char go;
		close(ends[1]);
		int r = read(ends[0], &go, 1) == 1 ? 0 : -EPIPE;
		if (r == 0)
			r = m->given ? maps_given(of, m->given) : maps_write(of, m, NULL);
		_exit(-r);
	}
	close(ends[0]);
	return child;
}

static int writer_go(pid_t child, int end, bool given, struct lodge_err *e)
{
	ssize_t n = write(end, "", 1);
	close(end);
	int status = host_reap(child);
	if (n == 1 && status == 0)
		return 0;
	int why = WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : EPERM;
	return err_set(e, why, "ids of a user namespace: %s%s", strerror(why),
		       given ? " (newuidmap refuses what /etc/subuid and /etc/subgid give)"
			     : "");
}

int host_userns_enter(unsigned also, const struct host_ids *ids, struct lodge_err *e)
{
	struct maps m = {.all = ids->all && geteuid() == 0,
			 .given = !ids->all && ids->nuids ? ids : NULL};
	int ends[2] = {-1, -1};
	pid_t writer = -1;
	if (m.all) {
		map_same("/proc/self/uid_map", m.uids);
		map_same("/proc/self/gid_map", m.gids);
	} else if (!m.given) {
		snprintf(m.uids, sizeof m.uids, "%u %u 1\n", ids->uid, geteuid());
		snprintf(m.gids, sizeof m.gids, "%u %u 1\n", ids->gid, getegid());
	}
	if ((m.all || m.given) && (writer = writer_start(&m, ends)) < 0)
		return err_sys(e, "a process for a user namespace");
	int r = unshare((int)(CLONE_NEWUSER | also)) < 0 ? -errno : 0;
	if (r < 0) {
		auto_close(&ends[1]);
		return err_set(e, -r, "a user namespace: %s (see lodge doctor)", strerror(-r));
	}
	r = writer > 0 ? writer_go(writer, ends[1], m.given, e) : maps_write(getpid(), &m, e);
	if (r == 0 && also & CLONE_NEWNS && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		r = err_sys(e, "making mounts private");
	return r;
}
