/* SPDX-License-Identifier: Apache-2.0 */
/* Paths that a container shall not see, or not change. Each is looked up once, within the root;
 * what covers it is a copy, by descriptor, of a device or folder that was checked, not of a name
 * that somebody may have exchanged. OCI-RT 1.2 config-linux.md "Masked Paths" */
#include "box/internal.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* In the mount namespace that it shall be copied in: verified, not just named. */
static int null_open(struct lodge_err *e)
{
	struct stat st;
	autoclose int fd = open("/dev/null", O_PATH | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, "/dev/null");
	if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
		return err_set(e, ENODEV, "/dev/null is not the null device");
	return take_fd(&fd);
}

/* One empty folder is enough for all. */
static int empty_open(struct box_root *r, const char *label, struct lodge_err *e)
{
	const char *words[] = {"size=0k", "mode=555"};
	const struct oci_mount m = {.destination = "a masked folder", .type = "tmpfs",
	                            .source = "tmpfs", .options = {words, 2, true}};
	const struct box_options o = {.own = {.set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
	                                             MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC}};
	if (r->empty < 0)
		r->empty = box_mount_new(&m, &o, label, NULL, e);
	return r->empty < 0 ? r->empty : 0;
}

static bool is_absent(int code) { return code == ENOENT || code == ENOTDIR; }

static int mask(struct box_root *r, const struct box_setup *s, int null, const char *path,
                struct lodge_err *e)
{
	struct stat st;
	autoclose int place = box_place_open(r->fd, path, O_PATH);
	if (place < 0)
		return is_absent(errno) ? 0 : err_sys(e, "masking %.200s", path);
	if (fstat(place, &st) < 0)
		return err_sys(e, "masking %.200s", path);
	bool folder = S_ISDIR(st.st_mode);
	int bad = folder ? empty_open(r, s->spec->lin->mount_label, e) : 0;
	if (bad)
		return bad;
	const unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH;
	/* the first use of the empty folder is in place, the others are copies of it */
	bool first = folder && !r->empty_used;
	autoclose int tree = first ? fcntl(r->empty, F_DUPFD_CLOEXEC, 3)
	                           : open_tree(folder ? r->empty : null, "", flags);
	if (tree < 0 || box_mount_move(tree, place) < 0)
		return err_sys(e, "masking %.200s", path);
	r->empty_used |= folder;
	return 0;
}

static int protect(struct box_root *r, const char *path, struct lodge_err *e)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
	autoclose int place = box_place_open(r->fd, path, O_PATH);
	if (place < 0)
		return is_absent(errno) ? 0 : err_sys(e, "protecting %.200s", path);
	autoclose int tree = open_tree(place, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC |
	                                              AT_EMPTY_PATH | AT_RECURSIVE);
	if (tree < 0 ||
	    mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof attr) < 0 ||
	    box_mount_move(tree, place) < 0)
		return err_sys(e, "protecting %.200s", path);
	return 0;
}

int box_paths_hide(struct box_root *r, const struct box_setup *s, struct lodge_err *e)
{
	const struct oci_lin *l = s->spec->lin;
	autoclose int null = l && l->masked.n ? null_open(e) : -1;
	int bad = l && l->masked.n && null < 0 ? null : 0;
	for (size_t i = 0; bad == 0 && l && i < l->readonly.n; i++)
		bad = protect(r, l->readonly.at[i], e);
	for (size_t i = 0; bad == 0 && l && i < l->masked.n; i++)
		bad = mask(r, s, null, l->masked.at[i], e);
	return bad;
}
