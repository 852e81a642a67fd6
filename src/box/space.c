/* SPDX-License-Identifier: Apache-2.0 */
/* Namespaces of a container: which it gets, which it joins, and who is who in its user namespace.
 * namespaces(7), user_namespaces(7), time_namespaces(7) */
#include "box/internal.h"
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

enum { MAP_BYTES = 4096, NS_GET_NSTYPE_ = 0xb703 };

static const struct {
	unsigned flag;
	const char *file; /* in /proc/PID/ns */
} kinds[] = {
    [OCI_PID] = {CLONE_NEWPID, "pid"},   [OCI_NETWORK] = {CLONE_NEWNET, "net"},
    [OCI_MOUNT] = {CLONE_NEWNS, "mnt"},  [OCI_IPC] = {CLONE_NEWIPC, "ipc"},
    [OCI_UTS] = {CLONE_NEWUTS, "uts"},   [OCI_USER] = {CLONE_NEWUSER, "user"},
    [OCI_CGROUP] = {CLONE_NEWCGROUP, "cgroup"}, [OCI_TIME] = {CLONE_NEWTIME, "time"},
};

unsigned box_space_flag(enum oci_space type) { return kinds[type].flag; }
const char *box_space_file(enum oci_space type) { return kinds[type].file; }

void box_spaces_fini(struct box_spaces *s)
{
	for (size_t i = 0; i < countof(s->join); i++)
		auto_close(&s->join[i]);
	*s = BOX_SPACES_NONE;
}

int box_spaces_open(struct box_spaces *ret, const struct oci_spec *spec, struct lodge_err *e)
{
	struct box_spaces s = BOX_SPACES_NONE;
	for (size_t i = 0; spec->lin && i < spec->lin->namespaces.n; i++) {
		const struct oci_namespace *n = &spec->lin->namespaces.at[i];
		if (!n->path || !*n->path) {
			s.make |= kinds[n->type].flag;
			continue;
		}
		int fd = open(n->path, O_RDONLY | O_CLOEXEC);
		int type = fd < 0 ? -1 : ioctl(fd, NS_GET_NSTYPE_);
		if (fd < 0) {
			int r = err_sys(e, ".linux.namespaces[%zu].path: %.200s", i, n->path);
			box_spaces_fini(&s);
			return r;
		}
		s.join[n->type] = fd;
		if (type != (int)kinds[n->type].flag) {
			box_spaces_fini(&s);
			return err_set(e, EINVAL, ".linux.namespaces[%zu].path: %.200s is not a %s "
			               "namespace", i, n->path, oci_words_namespaces[n->type - 1]);
		}
	}
	*ret = s;
	return 0;
}

/* The user namespace first: the others may be of its rights. The mount namespace last: the others
 * have been opened, but what else is looked up is not in sight then. */
int box_spaces_join(const struct box_spaces *s, struct lodge_err *e)
{
	static const enum oci_space order[] = {OCI_USER, OCI_IPC,    OCI_UTS,  OCI_NETWORK,
	                                       OCI_PID,  OCI_CGROUP, OCI_TIME, OCI_MOUNT};
	bool own_user = s->join[OCI_USER] < 0;
	/* Those that belong to the host can be joined only while we still have its rights. */
	unsigned joined = 0;
	for (size_t i = 1; !own_user && i < countof(order); i++)
		if (s->join[order[i]] >= 0 && order[i] != OCI_MOUNT &&
		    setns(s->join[order[i]], (int)kinds[order[i]].flag) == 0)
			joined |= 1u << order[i];
	for (size_t i = 0; i < countof(order); i++)
		if (s->join[order[i]] >= 0 && !(joined & 1u << order[i]) &&
		    setns(s->join[order[i]], (int)kinds[order[i]].flag) < 0)
			return err_sys(e, "joining the %s namespace",
			               oci_words_namespaces[order[i] - 1]);
	return 0;
}

/* ---- ids ---- */

int box_time_offsets(int proc, const struct oci_lin *l, struct lodge_err *e)
{
	char text[256] = "";
	size_t n = 0;
	for (size_t i = 0; i < l->time_offsets.n && n < sizeof text; i++)
		n += (size_t)snprintf(text + n, sizeof text - n, "%s %lld %llu\n",
		                      l->time_offsets.at[i].key,
		                      (long long)l->time_offsets.at[i].secs.v,
		                      (unsigned long long)l->time_offsets.at[i].nanosecs.v);
	if (n >= sizeof text)
		return err_set(e, E2BIG, ".linux.timeOffsets: too many");
	if (n && box_proc_write(proc, "self/timens_offsets", text) < 0)
		return err_sys(e, ".linux.timeOffsets");
	return 0;
}

static int map_text(char buf[MAP_BYTES], const struct oci_id_map *at, size_t n)
{
	size_t len = 0;
	for (size_t i = 0; i < n && len < MAP_BYTES; i++)
		len += (size_t)snprintf(buf + len, MAP_BYTES - len, "%u %u %u\n",
		                        (unsigned)at[i].container.v, (unsigned)at[i].host.v,
		                        (unsigned)at[i].size.v);
	return len < MAP_BYTES ? 0 : -E2BIG;
}

/* The setuid program that knows which ids a user was given: newuidmap(1). */
static int helper_run(const char *program, pid_t of, const struct oci_id_map *at, size_t n,
                      struct lodge_err *e)
{
	enum { NUMBER = 12 };
	char text[NUMBER], *words;
	autofree char **argv = calloc(3 * n + 3, sizeof *argv);
	autofree char *numbers = words = malloc(3 * n * NUMBER + 1);
	autofree char *name = strdup(program);
	char *const env[] = {NULL};
	pid_t pid;
	if (!argv || !words || !name)
		return err_set(e, ENOMEM, "out of memory");
	snprintf(text, sizeof text, "%d", (int)of);
	argv[0] = name;
	argv[1] = text;
	for (size_t i = 0; i < 3 * n; i++, words += NUMBER) {
		const struct oci_id_map *m = &at[i / 3];
		const uint64_t v[3] = {m->container.v, m->host.v, m->size.v};
		snprintf(words, NUMBER, "%u", (unsigned)v[i % 3]);
		argv[i + 2] = words;
	}
	(void)numbers;
	int r = posix_spawnp(&pid, program, NULL, NULL, argv, env);
	if (r)
		return err_set(e, r, "%s: %s (ids of others need it: install the package uidmap)",
		               program, strerror(r));
	if (host_reap(pid) == 0)
		return 0;
	return err_set(e, EPERM, "%s refuses these ids: see /etc/subuid and /etc/subgid", program);
}

/* Without rights the kernel lets us map ourselves, once gids cannot be given up any more. */
static bool is_own(const struct oci_id_map *at, size_t n, unsigned id)
{
	return n == 1 && at->host.v == id && at->size.v == 1;
}

static int map_write(int proc, pid_t of, const char *file, const struct oci_id_map *at, size_t n,
                     struct lodge_err *e)
{
	char path[48], text[MAP_BYTES];
	snprintf(path, sizeof path, "%d/%s", (int)of, file);
	if (map_text(text, at, n) < 0)
		return err_set(e, E2BIG, "%s: too many ranges", file);
	return box_proc_write(proc, path, text) < 0 ? err_sys(e, "writing %s", file) : 0;
}

int box_maps_write(int proc, pid_t of, const struct box_maps *m, struct lodge_err *e)
{
	char path[48];
	bool root = geteuid() == 0;
	int r = 0;
	if (root || is_own(m->uids, m->n_uids, geteuid()))
		r = map_write(proc, of, "uid_map", m->uids, m->n_uids, e);
	else
		r = helper_run("newuidmap", of, m->uids, m->n_uids, e);
	if (r < 0)
		return r;
	if (!root && is_own(m->gids, m->n_gids, getegid())) {
		snprintf(path, sizeof path, "%d/setgroups", (int)of);
		if (box_proc_write(proc, path, "deny") < 0)
			return err_sys(e, "writing setgroups");
	} else if (!root) {
		return helper_run("newgidmap", of, m->gids, m->n_gids, e);
	}
	return map_write(proc, of, "gid_map", m->gids, m->n_gids, e);
}

int box_userns_make(int proc, const struct box_maps *m, struct lodge_err *e)
{
	struct clone_args a = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
	char path[48];
	int ends[2], fd = -1;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(e, "a pipe");
	pid_t pid = (pid_t)syscall(SYS_clone3, &a, sizeof a);
	if (pid == 0) {
		char c;
		close(ends[1]);
		_exit(read(ends[0], &c, 1) ? 1 : 0); /* until we go */
	}
	close(ends[0]);
	int r = pid < 0 ? err_sys(e, "a user namespace") : box_maps_write(proc, pid, m, e);
	if (r == 0) {
		snprintf(path, sizeof path, "%d/ns/user", (int)pid);
		fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
		r = fd < 0 ? err_sys(e, "a user namespace") : fd;
	}
	close(ends[1]);
	host_reap(pid);
	return r;
}
