/* SPDX-License-Identifier: Apache-2.0 */
/* A mount of type cgroup: control groups as the host has them. Version 2 alone is one mount;
 * version 1 is a folder with one mount for each hierarchy, and version 2 beside them where the host
 * has both. cgroups(7), cgroup_namespaces(7) */
#include "box/internal.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

/* Its group, or, where none could be made for it, the one that it is in. */
static int hierarchy_bind(const struct box_hierarchy *h, const struct oci_mount *m,
                          const struct box_options *o, struct lodge_err *e)
{
	struct oci_mount one = *m;
	one.source = h->path;
	int fd = box_mount_bind(&one, o, e);
	if (fd == -ENOENT && h->instead) {
		one.source = h->instead;
		fd = box_mount_bind(&one, o, e);
	}
	return fd;
}

/* As the container's namespace shows it, or, without one, its own part of the host's. */
static int hierarchy_open(const struct box_setup *s, const struct box_hierarchy *h,
                          const struct oci_mount *m, const struct box_options *o,
                          struct lodge_err *e)
{
	struct oci_mount one = *m;
	struct oci_texts flags = {0};
	const char *words[16];
	char text[128];
	one.type = h->v2 ? "cgroup2" : "cgroup";
	one.source = "cgroup";
	if (!s->own_cgroups)
		return hierarchy_bind(h, m, o, e);
	snprintf(text, sizeof text, "%s", h->options);
	char *rest = text;
	for (char *w; !h->v2 && flags.n < countof(words) && (w = strsep(&rest, ","));)
		words[flags.n++] = w;
	flags.at = words;
	one.options = flags;
	int fd = box_mount_new(&one, o, NULL, NULL, e);
	return fd == -EPERM ? hierarchy_bind(h, m, o, e) : fd;
}

static int hierarchy_mount(const struct box_setup *s, const struct box_hierarchy *h, int in,
                           const struct oci_mount *m, const struct box_options *o,
                           struct lodge_err *e)
{
	if (mkdirat(in, h->name, 0755) < 0 && errno != EEXIST)
		return err_sys(e, "a folder for cgroup %s", h->name);
	autoclose int tree = hierarchy_open(s, h, m, o, e);
	if (tree < 0)
		return tree;
	autoclose int place = openat(in, h->name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (place < 0 || box_mount_attrs(tree, o) < 0 || box_mount_move(tree, place) < 0)
		return err_sys(e, "mounting cgroup %s", h->name);
	/* "cpu,cpuacct" is also found by either name */
	char text[64];
	snprintf(text, sizeof text, "%.63s", h->name);
	char *rest = text;
	for (char *w; strchr(h->name, ',') && (w = strsep(&rest, ","));)
		if (symlinkat(h->name, in, w) < 0 && errno != EEXIST)
			return err_sys(e, "a link for cgroup %s", w);
	return 0;
}

static int folder_mount(const struct box_setup *s, int place, const struct oci_mount *m,
                        const struct box_options *o, struct lodge_err *e)
{
	const char *words[] = {"mode=755"};
	struct oci_mount folder = *m;
	struct box_options plain = {.own = {.set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
	                                           MOUNT_ATTR_NOEXEC}};
	folder.type = folder.source = "tmpfs";
	folder.options = (struct oci_texts){words, 1, true};
	autoclose int tree = box_mount_new(&folder, &plain, NULL, NULL, e);
	if (tree < 0)
		return tree;
	/* put in place first: what is below one that is not cannot be mounted upon */
	if (box_mount_move(tree, place) < 0)
		return err_sys(e, "mounting at %.200s", m->destination);
	int r = 0;
	for (size_t i = 0; r == 0 && i < s->n_hierarchies; i++)
		r = hierarchy_mount(s, &s->hierarchies[i], tree, m, o, e);
	if (r == 0 && (box_mount_attrs(tree, o) < 0 || box_mount_spread(tree, o) < 0))
		r = err_sys(e, "options of the mount at %.200s", m->destination);
	return r;
}

int box_cgroups_mount(const struct box_setup *s, struct box_root *r, const struct oci_mount *m,
                      const struct box_options *o, struct lodge_err *e)
{
	autoclose int place = box_place_make(r->fd, m->destination, true);
	if (place < 0)
		return err_sys(e, "a place for %.200s", m->destination);
	if (!s->n_hierarchies)
		return err_set(e, ENOENT, "no control groups are mounted on this host");
	struct box_options own = *o;
	own.what &= ~(unsigned)OPTION_BIND;
	if (s->n_hierarchies > 1 || !s->hierarchies[0].v2)
		return folder_mount(s, place, m, &own, e);
	autoclose int tree = hierarchy_open(s, &s->hierarchies[0], m, &own, e);
	if (tree < 0)
		return tree;
	if (box_mount_attrs(tree, &own) < 0 || box_mount_spread(tree, &own) < 0 ||
	    box_mount_move(tree, place) < 0)
		return err_sys(e, "mounting at %.200s", m->destination);
	return 0;
}
