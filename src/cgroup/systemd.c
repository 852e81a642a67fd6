/* SPDX-License-Identifier: Apache-2.0 */
/* Groups that systemd manages: a scope for each container, in a slice. It is asked by its own tool,
 * busctl, which is there wherever it runs; what the files of the group hold is set by us, as for
 * all groups, since the scope is delegated. systemd.resource-control(5), CONTROL_GROUP_INTERFACE */
#include "cgroup/internal.h"
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>

enum { TRIES = 5000, TRY_US = 1000 };
#define MANAGER                                                                                    \
	"org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"
extern char **environ;

/* "a-b.slice" is below "a.slice". */
static int slice_path(const char *slice, char path[PATH_MAX], struct lodge_err *e)
{
	size_t n = strlen(slice), at = 0, end = n >= 6 ? n - 6 : 0;
	if (n <= 6 || strcmp(slice + end, ".slice") != 0 || strchr(slice, '/') || n > NAME_MAX ||
	    slice[end - 1] == '-' || (slice[0] == '-' && end > 1) || strstr(slice, "--"))
		if (strcmp(slice, "-.slice") != 0)
			return err_set(e, EINVAL,
				       ".linux.cgroupsPath: '%.100s' is no slice", slice);
	path[0] = 0;
	if (!strcmp(slice, "-.slice"))
		return 0;
	for (size_t i = 1; i <= end; i++)
		if (i == end || slice[i] == '-') {
			int did = snprintf(path + at, PATH_MAX - at, "/%.*s.slice", (int)i, slice);
			if (did < 0 || at + (size_t)did >= PATH_MAX)
				return err_set(e, ENAMETOOLONG, ".linux.cgroupsPath: too long");
			at += (size_t)did;
		}
	return 0;
}

int cgroup_unit_find(struct cgroup_unit *ret, const char *path, const char *id,
                     struct lodge_err *e)
{
	struct cgroup_unit u = {.name = NULL};
	char folder[PATH_MAX], text[PATH_MAX];
	if (access("/run/systemd/system", F_OK) < 0)
		return err_set(e, ENOTSUP, "--systemd-cgroup: systemd does not run on this host");
	snprintf(text, sizeof text, "%s", path ? path : "");
	char *rest = text, *slice = strsep(&rest, ":"), *prefix = rest ? strsep(&rest, ":") : NULL;
	const char *name = rest;
	if (*text && (!rest || strchr(rest, ':')))
		return err_set(e, EINVAL,
			       ".linux.cgroupsPath: '%.100s': with --systemd-cgroup it is "
		               "SLICE:PREFIX:NAME", path);
	if (!path || !*path) {
		prefix = NULL;
		name = id;
	}
	slice = slice && *slice ? slice : NULL;
	int r = slice_path(slice ? slice : geteuid() ? "user.slice" : "system.slice", folder, e);
	if (r < 0)
		return r;
	size_t n = strlen(name);
	bool is_slice = n > 6 && !strcmp(name + n - 6, ".slice");
	u.slice = strdup(slice ? slice : geteuid() ? "user.slice" : "system.slice");
	const char *before = is_slice ? "" : prefix ? prefix : "lodge-oci";
	if (asprintf(&u.name, "%s%s%s%s", before, *before ? "-" : "", name,
	             is_slice ? "" : ".scope") < 0)
		u.name = NULL;
	if (!u.name || asprintf(&u.path, "%s/%s", folder, u.name) < 0)
		u.path = NULL;
	if (!u.slice || !u.path) {
		cgroup_unit_fini(&u);
		return err_set(e, ENOMEM, "out of memory");
	}
	*ret = u;
	return 0;
}

void cgroup_unit_fini(struct cgroup_unit *u)
{
	free(u->name);
	free(u->slice);
	free(u->path);
	*u = (struct cgroup_unit){0};
}

/* What it says goes nowhere; its exit code says enough. */
static int busctl_run(const char *const *argv)
{
	posix_spawn_file_actions_t f;
	union {
		const char *const *in;
		char *const *out;
	} args = {argv};
	pid_t pid;
	posix_spawn_file_actions_init(&f);
	posix_spawn_file_actions_addopen(&f, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&f, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&f, 2, "/dev/null", O_WRONLY, 0);
	int r = posix_spawnp(&pid, "busctl", &f, NULL, args.out, environ);
	posix_spawn_file_actions_destroy(&f);
	if (r)
		return -r;
	return host_reap(pid) ? -EIO : 0;
}

/* Is @pid in a group whose path ends so? */
static bool is_in(pid_t pid, const char *path)
{
	char file[32], line[PATH_MAX + 64];
	size_t n = strlen(path);
	bool found = false;
	snprintf(file, sizeof file, "/proc/%d/cgroup", (int)pid);
	FILE *f = fopen(file, "re");
	while (f && !found && fgets(line, sizeof line, f)) {
		size_t len = strcspn(line, "\n");
		found = len >= n && !strncmp(line + len - n, path, n);
	}
	if (f)
		fclose(f);
	return found;
}

int cgroup_unit_start(const struct cgroup_unit *u, const char *id, pid_t pid,
                      struct lodge_err *e)
{
	char number[16], text[128];
	const char *bus = geteuid() ? "--user" : "--system";
	snprintf(number, sizeof number, "%d", (int)pid);
	snprintf(text, sizeof text, "container %.100s", id);
	const char *const argv[] = {
	    "busctl", "-q", bus, "call", MANAGER, "StartTransientUnit", "ssa(sv)a(sa(sv))",
	    u->name, "replace", "5", "Description", "s", text, "Slice", "s", u->slice,
	    "Delegate", "b", "true", "DefaultDependencies", "b", "false",
	    "PIDs", "au", "1", number, "0", NULL};
	int r = busctl_run(argv);
	if (r < 0)
		return err_set(e, -r,
			       "systemd does not make %s (busctl: %s)", u->name, strerror(-r));
	for (int i = 0; i < TRIES; i++) {
		if (is_in(pid, u->path))
			return 0;
		usleep(TRY_US);
	}
	return err_set(e, ETIMEDOUT, "systemd has not put the container into %s", u->name);
}

void cgroup_unit_stop(const char *name)
{
	const char *bus = geteuid() ? "--user" : "--system";
	const char *const argv[] = {"busctl", "-q", bus, "call", MANAGER, "StopUnit", "ss", name,
	                            "replace", NULL};
	(void)!busctl_run(argv);
}
