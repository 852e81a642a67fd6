/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a container that a keeper has, for who copies some. Of one that runs they are what
 * its first process sees; else its root is mounted as for a start, with its volumes. */
#include "level/container/internal.h"
#include "level/container/stay.h"
#include <fcntl.h>
#include <json-c/json.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* Who may not do so here may be root in there. */
static int users_join(pid_t pid, struct lodge_err *e)
{
	char path[64];
	struct stat ours, theirs;
	snprintf(path, sizeof path, "/proc/%d/ns/user", (int)pid);
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &theirs) < 0 || stat("/proc/self/ns/user", &ours) < 0)
		return err_sys(e, "the container's users");
	if (geteuid() == 0 || (ours.st_ino == theirs.st_ino && ours.st_dev == theirs.st_dev))
		return 0;
	return setns(fd, CLONE_NEWUSER) < 0 ? err_sys(e, "the container's users") : 0;
}

static int running_root(struct json_object *inspected, struct lodge_err *e)
{
	struct json_object *o = NULL;
	struct container one;
	char path[64];
	json_object_object_get_ex(inspected, "container", &o);
	const char *id = inspected_text(o, "id"), *states = inspected_text(o, "states");
	const char *pid = inspected_text(o, "pid");
	if (!id || !states || !pid)
		return err_set(e, ESRCH, "the container does not run");
	pid_t first = (pid_t)strtol(pid, NULL, 10);
	int r = users_join(first, e);
	if (r < 0)
		return r;
	snprintf(path, sizeof path, "/proc/%d/root", (int)first);
	autoclose int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "the container's root");
	/* its number may have been given to somebody else, but not while it lives */
	r = container_open(&one, states, id, false, e);
	if (r < 0)
		return r;
	bool lives = one.pid == first && container_status(&one) != CONTAINER_STOPPED;
	container_fini(&one);
	return lives ? take_fd(&fd) : err_set(e, ESRCH, "the container has just ended");
}

/* A volume whose place is not there is made by the start, not by us. */
static int volume_mount(int root, const char *spec, struct lodge_err *e)
{
	struct life_volume v;
	int r = life_volume_parse(&v, spec, e);
	if (r < 0)
		return r;
	autoclose int place = box_place_open(root, v.target, O_PATH);
	autoclose int tree = place < 0 ? -1 : (int)syscall(SYS_open_tree, AT_FDCWD, v.source,
				OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	struct mount_attr ro = {.attr_set = MOUNT_ATTR_RDONLY};
	if (place >= 0 && (tree < 0 || (v.readonly && syscall(SYS_mount_setattr, tree, "",
			AT_EMPTY_PATH | AT_RECURSIVE, &ro, sizeof ro) < 0) ||
			   syscall(SYS_move_mount, tree, "", place, "",
				   MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0))
		r = err_sys(e, "the volume %s", spec);
	life_volume_fini(&v);
	return r;
}

/* A bundle has its root in itself. */
static int bundle_root(int folder, struct lodge_err *e)
{
	autofree char *text = NULL;
	size_t len;
	struct json_object *root = NULL, *path = NULL;
	int r = file_load(folder, "config.json", CONTAINER_CONFIG_MAX, &text, &len, e);
	struct json_object *o = r == 0 ? json_tokener_parse(text) : NULL;
	if (json_object_object_get_ex(o, "root", &root))
		json_object_object_get_ex(root, "path", &path);
	if (r == 0 && (r = openat(folder, path ? json_object_get_string(path) : "rootfs",
				  O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		r = err_sys(e, "the bundle's root");
	json_object_put(o);
	return r;
}

int container_root(const char *instance_dir, const struct lodge_config *c,
		   struct json_object *inspected, struct lodge_err *e)
{
	char home[PATH_MAX];
	if (inspected)
		return running_root(inspected, e);
	snprintf(home, sizeof home, "%.4000s/container", instance_dir);
	autoclose int root = stay_open(home, e);
	if (root < 0)
		return root;
	if (faccessat(root, "config.json", F_OK, 0) == 0 && !path_has(home, "image"))
		return bundle_root(root, e);
	int r = 0;
	for (size_t i = 0; r == 0 && i < c->nvolumes; i++)
		r = volume_mount(root, c->volumes[i], e);
	return r < 0 ? r : take_fd(&root);
}
