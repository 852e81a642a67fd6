/* SPDX-License-Identifier: Apache-2.0 */
/* One mount: made out of sight with all that it shall be, then put in its place by descriptor. So
 * nobody sees it half done, and no name is looked up twice. fsopen(2), open_tree(2),
 * mount_setattr(2), move_mount(2) */
#include "box/internal.h"
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>

static int attrs_apply(int fd, const struct box_attrs *a, bool below)
{
	struct mount_attr attr = {.attr_set = a->set, .attr_clr = a->clear};
	if (!a->set && !a->clear)
		return 0;
	return mount_setattr(fd, "", AT_EMPTY_PATH | (below ? AT_RECURSIVE : 0), &attr,
			     sizeof attr);
}

int box_mount_attrs(int fd, const struct box_options *o)
{
	return attrs_apply(fd, &o->below, true) < 0 ? -1 : attrs_apply(fd, &o->own, false);
}

int box_mount_spread(int fd, const struct box_options *o)
{
	for (size_t i = 0; i < o->n_spread; i++) {
		struct mount_attr attr = {.propagation = o->spread[i].flag};
		if (mount_setattr(fd, "", AT_EMPTY_PATH | (o->spread[i].below ? AT_RECURSIVE : 0),
		                  &attr, sizeof attr) < 0)
			return -1;
	}
	return 0;
}

int box_mount_move(int tree, int place)
{
	return move_mount(tree, "", place, "",
	                  MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

/* ---- a file system of its own ---- */

/* What the kernel says of the last failure, if it does: "e why". */
static int fs_why(int fs, const char *what, struct lodge_err *e)
{
	char text[256];
	int code = errno;
	ssize_t n = read(fs, text, sizeof text - 1);
	if (n > 2) {
		text[n] = 0;
		text[strcspn(text, "\n")] = 0;
		return err_set(e, code, "%s: %s (%s)", what, strerror(code), text + 2);
	}
	return err_set(e, code, "%s: %s", what, strerror(code));
}

/* "key=value" or "flag"; the kernel copies it. */
static int fs_option(int fs, const char *option)
{
	char key[64];
	const char *eq = strchr(option, '=');
	if (!eq)
		return fsconfig(fs, FSCONFIG_SET_FLAG, option, NULL, 0);
	size_t n = (size_t)(eq - option);
	if (n >= sizeof key) {
		errno = EINVAL;
		return -1;
	}
	memcpy(key, option, n);
	key[n] = 0;
	return fsconfig(fs, FSCONFIG_SET_STRING, key, eq + 1, 0);
}

static int fs_options(int fs, const struct oci_mount *m, const char *label, const char *mode)
{
	const char *super;
	bool own_mode = false;
	struct box_option_walk w = {0};
	for (const char *option; (option = box_option_next(&m->options, &w));) {
		if (!box_option_for_super(option, &super))
			continue;
		own_mode |= !strncmp(super, "mode=", 5);
		if (fs_option(fs, super) < 0)
			return -1;
	}
	if (mode && !own_mode && fs_option(fs, mode) < 0)
		return -1;
	return label && *label ? fsconfig(fs, FSCONFIG_SET_STRING, "context", label, 0) : 0;
}

int box_mount_new(const struct oci_mount *m, const struct box_options *o, const char *label,
                  const char *mode, struct lodge_err *e)
{
	char what[200];
	snprintf(what, sizeof what, "mounting %s at %.150s", m->type ? m->type : "?",
	         m->destination);
	autoclose int fs = fsopen(m->type ? m->type : "", FSOPEN_CLOEXEC);
	if (fs < 0)
		return err_sys(e, "%s", what);
	const char *source = m->source && *m->source ? m->source : m->type;
	if (fsconfig(fs, FSCONFIG_SET_STRING, "source", source, 0) < 0 ||
	    (o->own.set & MOUNT_ATTR_RDONLY && !(o->what & OPTION_COPY_UP) &&
	     fsconfig(fs, FSCONFIG_SET_FLAG, "ro", NULL, 0) < 0) ||
	    fs_options(fs, m, label, mode) < 0 ||
	    fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return fs_why(fs, what, e);
	int fd = fsmount(fs, FSMOUNT_CLOEXEC, (unsigned)o->own.set);
	return fd < 0 ? fs_why(fs, what, e) : fd;
}

/* ---- something that is there ---- */

int box_mount_bind(const struct oci_mount *m, const struct box_options *o, struct lodge_err *e)
{
	const char *source = m->source ? m->source : "";
	unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
	int fd = open_tree(AT_FDCWD, source,
	                   flags | (o->what & OPTION_RECURSIVE ? AT_RECURSIVE : 0));
	return fd < 0 ? err_sys(e, "mounting %.150s at %.150s", source, m->destination) : fd;
}

int box_mount_idmap(int fd, int userns, bool below, struct lodge_err *e)
{
	struct mount_attr attr = {.attr_set = (uint64_t)MOUNT_ATTR_IDMAP,
	                          .userns_fd = (uint64_t)(unsigned)userns};
	return mount_setattr(fd, "", AT_EMPTY_PATH | (below ? AT_RECURSIVE : 0), &attr,
	                     sizeof attr) < 0 ? err_sys(e, "ids of a mount") : 0;
}

bool box_is_on(int fd, long type)
{
	struct statfs st;
	return fstatfs(fd, &st) == 0 && st.f_type == type;
}
