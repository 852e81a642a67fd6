/* SPDX-License-Identifier: Apache-2.0 */
/* The root of a container: its tree, what is mounted in it, and the change to it. All of it happens
 * in a mount namespace of its own. pivot_root(2), OCI-RT 1.2 config.md, config-linux.md */
#include "box/internal.h"
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { LINE_BYTES = 8192 };

/* ---- the tree ---- */

static unsigned long propagation_flags(unsigned word, bool *ret_below)
{
	static const unsigned long flags[] = {MS_PRIVATE, MS_SLAVE, MS_SHARED, MS_UNBINDABLE};
	*ret_below = !word || (word - 1) % 2;
	return word ? flags[(word - 1) / 2] : MS_SLAVE;
}

/* Where the mount is that @path is in: mount points are the fifth word of a line of mountinfo,
 * which begins with the number. proc(5) */
static int parent_find(const char *path, char point[PATH_MAX])
{
	char line[LINE_BYTES];
	struct statx st;
	int found = -1;
	if (statx(AT_FDCWD, path, AT_NO_AUTOMOUNT, STATX_MNT_ID, &st) < 0)
		return -1;
	FILE *f = fopen("/proc/self/mountinfo", "re");
	while (f && found < 0 && fgets(line, sizeof line, f)) {
		unsigned long long id;
		if (sscanf(line, "%llu %*s %*s %*s %4095s", &id, point) == 2 && id == st.stx_mnt_id)
			found = 0;
	}
	if (f)
		fclose(f);
	errno = ENOENT;
	return found;
}

/* What is mounted in here must not appear outside, nor the new root be shared, which the kernel
 * refuses to change to. */
static int tree_private(const struct box_setup *s, struct lodge_err *e)
{
	bool below;
	char point[PATH_MAX];
	unsigned long flags =
	    propagation_flags(s->spec->lin ? s->spec->lin->propagation : 0, &below);
	if (flags == MS_UNBINDABLE) /* not before we have bound it */
		flags = MS_PRIVATE;
	if (mount(NULL, "/", NULL, flags | MS_REC, NULL) < 0)
		return err_sys(e, "propagation of mounts");
	if (flags != MS_SHARED)
		return 0;
	if (parent_find(s->root, point) < 0 || mount(NULL, point, NULL, MS_PRIVATE, NULL) < 0)
		return err_sys(e, "making the mount around %s private", s->root);
	return 0;
}

int box_root_open(struct box_root *r, const struct box_setup *s, struct lodge_err *e)
{
	const unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE;
	*r = (struct box_root){.fd = -1, .empty = -1};
	int bad = tree_private(s, e);
	if (bad)
		return bad;
	r->fd = s->root_source >= 0 ? fcntl(s->root_source, F_DUPFD_CLOEXEC, 3)
	                            : open_tree(AT_FDCWD, s->root, flags);
	if (r->fd < 0)
		return err_sys(e, "the root %s", s->root);
	autoclose int place = open(s->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (s->root_source >= 0 && place < 0) /* not for us to see: some place will do */
		place = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (place < 0 || box_mount_move(r->fd, place) < 0)
		return err_sys(e, "the root %s", s->root);
	return 0;
}

void box_root_fini(struct box_root *r)
{
	auto_close(&r->fd);
	auto_close(&r->empty);
	*r = (struct box_root){.fd = -1, .empty = -1};
}

/* ---- mounts ---- */

static bool is_type(const struct oci_mount *m, const char *type)
{
	return m->type && !strcmp(m->type, type);
}

/* A link there would have the container say where: none of these may be one. */
static int kernel_place(int root, const char *path)
{
	int fd = box_place_make(root, path, true);
	if (fd < 0)
		return -1;
	close(fd);
	while (*path == '/')
		path++;
	return box_open_how(root, *path ? path : ".", O_PATH | O_DIRECTORY,
	                    RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
}

/* Files of proc that it is usual to cover, with what only says how things are. Anything else there
 * could be what a write of the runtime, or of the host, is meant for. */
static bool may_cover(const char *path)
{
	static const char *const files[] = {
	    "/proc/cpuinfo", "/proc/diskstats", "/proc/meminfo", "/proc/stat", "/proc/swaps",
	    "/proc/uptime",  "/proc/loadavg",   "/proc/slabinfo", "/proc/net/dev",
	    "/proc/sys/kernel/ns_last_pid", "/proc/sys/crypto/fips_enabled",
	};
	for (size_t i = 0; i < countof(files); i++)
		if (!strcmp(files[i], path))
			return true;
	return false;
}

static int place_for(const struct box_root *r, const struct oci_mount *m, int tree)
{
	struct stat st;
	if (is_type(m, "proc") || is_type(m, "sysfs"))
		return kernel_place(r->fd, m->destination);
	bool folder = tree < 0 || fstat(tree, &st) < 0 || S_ISDIR(st.st_mode);
	autoclose int fd = box_place_make(r->fd, m->destination, folder);
	if (fd >= 0 && box_is_on(fd, PROC_SUPER_MAGIC) && !may_cover(m->destination)) {
		errno = EPERM; /* perhaps by a link that the image has */
		return -1;
	}
	return take_fd(&fd);
}

/* /sys of the host, where one of its own is not to be had: in the host's network without rights. */
static int sysfs_instead(const struct oci_mount *m, struct box_options *o, struct lodge_err *e)
{
	struct oci_mount host = *m;
	host.source = "/sys";
	o->what |= OPTION_BIND | OPTION_RECURSIVE;
	return box_mount_bind(&host, o, e);
}

static int source_open(const struct box_setup *s, size_t i, struct box_options *o, int place,
                       struct lodge_err *e)
{
	const struct oci_mount *m = &s->spec->mounts.at[i];
	const char *label = s->spec->lin ? s->spec->lin->mount_label : NULL;
	char mode[16] = "";
	struct stat st;
	if (s->sources && s->sources[i] >= 0)
		return fcntl(s->sources[i], F_DUPFD_CLOEXEC, 3);
	if (o->what & OPTION_BIND)
		return box_mount_bind(m, o, e);
	/* of a type that has no labels, or one for all */
	if (is_type(m, "proc") || is_type(m, "sysfs") || is_type(m, "mqueue"))
		label = NULL;
	if (is_type(m, "tmpfs") && o->found && place >= 0 && fstat(place, &st) == 0)
		snprintf(mode, sizeof mode, "mode=%o", st.st_mode & 07777);
	int fd = box_mount_new(m, o, label, *mode ? mode : NULL, e);
	if (fd == -EPERM && is_type(m, "sysfs"))
		fd = sysfs_instead(m, o, e);
	return fd;
}

static int remount(const struct box_setup *s, const struct box_root *r, const struct oci_mount *m,
                   const struct box_options *o, struct lodge_err *e)
{
	(void)s;
	autoclose int place = box_place_open(r->fd, m->destination, O_PATH);
	if (place < 0 || box_mount_attrs(place, o) < 0 || box_mount_spread(place, o) < 0)
		return err_sys(e, "mounting %.200s anew", m->destination);
	return 0;
}

static int mount_one(const struct box_setup *s, struct box_root *r, size_t i, struct lodge_err *e)
{
	const struct oci_mount *m = &s->spec->mounts.at[i];
	struct box_options o;
	box_options_sort(&o, m);
	if (is_type(m, "cgroup") || is_type(m, "cgroup2")) {
		int bad = s->placed ? s->placed(s->placed_arg, e) : 0;
		return bad < 0 ? bad : box_cgroups_mount(s, r, m, &o, e);
	}
	if (o.what & OPTION_REMOUNT)
		return remount(s, r, m, &o, e);
	bool fresh = !(o.what & OPTION_BIND) && !(s->sources && s->sources[i] >= 0);
	if (fresh && is_type(m, "tmpfs")) {
		/* what was there before says which mode it has */
		autoclose int there = box_place_open(r->fd, m->destination, O_PATH);
		o.found = there >= 0;
	}
	autoclose int place = fresh ? place_for(r, m, -1) : -1;
	autoclose int tree = place >= 0 || !fresh ? source_open(s, i, &o, place, e) : -1;
	if (fresh && place < 0)
		return err_sys(e, "a place for %.200s", m->destination);
	if (tree < 0)
		return tree;
	if (!fresh && (place = place_for(r, m, tree)) < 0)
		return err_sys(e, "a place for %.200s", m->destination);
	if ((o.what & OPTION_COPY_UP && fresh && box_copy_up(place, tree) < 0) ||
	    (o.what & OPTION_FILL && !fresh && box_fill(place, tree) < 0))
		return err_sys(e, "copying into %.200s", m->destination);
	if ((!fresh || o.what & OPTION_COPY_UP || o.below.set || o.below.clear) &&
	    box_mount_attrs(tree, &o) < 0)
		return err_sys(e, "options of the mount at %.200s", m->destination);
	if (box_mount_spread(tree, &o) < 0 || box_mount_move(tree, place) < 0)
		return err_sys(e, "mounting at %.200s", m->destination);
	return 0;
}

int box_root_mount(struct box_root *r, const struct box_setup *s, struct lodge_err *e)
{
	for (size_t i = 0; i < s->spec->mounts.n; i++) {
		int bad = mount_one(s, r, i, e);
		if (bad < 0)
			return err_in(e, bad, ".mounts[%zu]", i);
	}
	return 0;
}

/* ---- the change ---- */

static int pivot(struct lodge_err *e)
{
	autoclose int old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (old < 0)
		return err_sys(e, "the old root");
	if (syscall(SYS_pivot_root, ".", ".") < 0)
		return err_sys(e, "pivot_root (a root in the initial memory file system needs "
		               "--no-pivot)");
	/* what is below the old root goes without the host seeing it */
	if (fchdir(old) < 0 || mount(NULL, ".", NULL, MS_SLAVE | MS_REC, NULL) < 0 ||
	    umount2(".", MNT_DETACH) < 0)
		return err_sys(e, "leaving the old root");
	return 0;
}

/* The old root stays below, out of reach for all that have no right to mount. */
static int move_over(struct lodge_err *e)
{
	autoclose int own = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	autoclose int top = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (own < 0 || top < 0 || box_mount_move(own, top) < 0 || fchdir(own) < 0 ||
	    chroot(".") < 0)
		return err_sys(e, "--no-pivot: moving the root");
	return 0;
}

int box_root_change(struct box_root *r, const struct box_setup *s, struct lodge_err *e)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
	bool below;
	unsigned word = s->spec->lin ? s->spec->lin->propagation : 0;
	if (s->spec->root->readonly &&
	    mount_setattr(r->fd, "", AT_EMPTY_PATH, &attr, sizeof attr) < 0)
		return err_sys(e, "making the root read-only");
	if (fchdir(r->fd) < 0)
		return err_sys(e, "the new root");
	int bad = s->no_pivot ? move_over(e) : pivot(e);
	if (bad == 0 && chdir("/") < 0)
		bad = err_sys(e, "the new root");
	if (bad == 0 && word) {
		unsigned long flags = propagation_flags(word, &below);
		if (mount(NULL, "/", NULL, flags | (below ? MS_REC : 0), NULL) < 0)
			bad = err_sys(e, "propagation of the root");
	}
	return bad;
}
