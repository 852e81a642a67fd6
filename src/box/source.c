/* SPDX-License-Identifier: Apache-2.0 */
/* Sources of mounts that only the host's rights can reach or change: what root of a user namespace
 * may not look up, and trees whose files have other owners inside (idmapped). They are made by the
 * runtime, out of sight, and put in place by the container's first process. mount_setattr(2) */
#include "box/internal.h"
#include <fcntl.h>
#include <sys/mount.h>

static int propagation_end(int fd, struct lodge_err *e)
{
	struct mount_attr attr = {.propagation = MS_SLAVE};
	return mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof attr) < 0
	           ? err_sys(e, "propagation of a mount") : 0;
}

/* Ids of the mount itself, or of the container. */
static int idmap(const struct box_setup *s, const struct oci_mount *m, const struct box_options *o,
                 int tree, struct lodge_err *e)
{
	const struct oci_lin *l = s->spec->lin;
	struct box_maps maps = {m->uid_maps.at, m->gid_maps.at, m->uid_maps.n, m->gid_maps.n};
	if (!maps.n_uids && l)
		maps =
		    (struct box_maps){l->uid_maps.at, l->gid_maps.at, l->uid_maps.n, l->gid_maps.n};
	if (!maps.n_uids)
		return err_set(e, EINVAL, "%.200s: idmap without uidMappings and gidMappings",
		               m->destination);
	autoclose int users = box_userns_make(s->proc, &maps, e);
	return users < 0 ? users : box_mount_idmap(tree, users, o->what & OPTION_IDMAP_ALL, e);
}

static int source_make(const struct box_setup *s, const struct oci_mount *m, bool all,
                       struct lodge_err *e)
{
	struct box_options o;
	bool below;
	box_options_sort(&o, m);
	bool ids = m->uid_maps.n || o.what & (OPTION_IDMAP | OPTION_IDMAP_ALL);
	if (!(o.what & OPTION_BIND) || o.what & OPTION_REMOUNT || (!ids && !all))
		return -1;
	autoclose int tree = box_mount_bind(m, &o, e);
	if (tree < 0)
		return tree - 1;
	below = s->spec->lin && s->spec->lin->propagation > 4 && s->spec->lin->propagation < 7;
	int r = below ? 0 : propagation_end(tree, e); /* shared roots share with the host */
	if (r == 0 && ids)
		r = idmap(s, m, &o, tree, e);
	return r < 0 ? r - 1 : take_fd(&tree);
}

int box_sources_open(int *ret, int *ret_root, const struct box_setup *s, bool all,
                     struct lodge_err *e)
{
	*ret_root = -1;
	for (size_t i = 0; i < s->spec->mounts.n; i++)
		ret[i] = -1;
	for (size_t i = 0; i < s->spec->mounts.n; i++) {
		ret[i] = source_make(s, &s->spec->mounts.at[i], all, e);
		if (ret[i] < -1)
			return err_in(e, ret[i] + 1, ".mounts[%zu]", i);
	}
	if (!all)
		return 0;
	*ret_root =
	    open_tree(AT_FDCWD, s->root, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	if (*ret_root < 0)
		return err_sys(e, "the root %s", s->root);
	return propagation_end(*ret_root, e);
}
