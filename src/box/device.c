/* SPDX-License-Identifier: Apache-2.0 */
/* Devices of a container: those that every Linux program counts on, and those that its
 * configuration lists; made, or taken from the host where none may be made. OCI-RT 1.2
 * config-linux.md "Devices", "Default Devices" */
#include "box/internal.h"
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define ALWAYS(p, ma, mi)                                                                          \
	{.path = p, .type = OCI_CHAR, .major = {ma, true}, .minor = {mi, true},                    \
	 .mode = {0666, true}}
static const struct oci_device always[] = {
    ALWAYS("/dev/null", 1, 3),   ALWAYS("/dev/zero", 1, 5),    ALWAYS("/dev/full", 1, 7),
    ALWAYS("/dev/random", 1, 8), ALWAYS("/dev/urandom", 1, 9), ALWAYS("/dev/tty", 5, 0),
};
static const struct {
	const char *name, *to;
} links[] = {
    {"fd", "/proc/self/fd"},       {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"},
    {"stderr", "/proc/self/fd/2"}, {"core", "/proc/kcore"},
};

static int device_bind(const struct box_root *r, const struct oci_device *d, struct lodge_err *e)
{
	autoclose int tree = open_tree(AT_FDCWD, d->path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0)
		return err_sys(e, "%.200s of the host", d->path);
	autoclose int place = box_place_make(r->fd, d->path, false);
	if (place < 0 || box_mount_move(tree, place) < 0)
		return err_sys(e, "%.200s", d->path);
	return 0;
}

static mode_t device_mode(const struct oci_device *d)
{
	mode_t type = d->type == OCI_BLOCK ? S_IFBLK : d->type == OCI_FIFO ? S_IFIFO : S_IFCHR;
	return type | (d->mode.set ? (mode_t)d->mode.v & 07777 : 0666);
}

static int device_node(int in, const char *name, const struct oci_device *d)
{
	struct stat st;
	mode_t mode = device_mode(d);
	dev_t dev = makedev((unsigned)d->major.v, (unsigned)d->minor.v);
	if (mknodat(in, name, mode, dev) < 0) {
		if (errno != EEXIST)
			return -1;
		/* there already, as it is wanted; else it gives way */
		if (fstatat(in, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return -1;
		bool same = (st.st_mode & S_IFMT) == (mode & S_IFMT) &&
		            (d->type == OCI_FIFO || st.st_rdev == dev);
		if (!same && (unlinkat(in, name, 0) < 0 || mknodat(in, name, mode, dev) < 0))
			return -1;
		if (same && fchmodat(in, name, mode & 07777, 0) < 0)
			return -1;
	}
	return (d->uid.set || d->gid.set) &&
		       fchownat(in, name, (uid_t)d->uid.v, (gid_t)d->gid.v, AT_SYMLINK_NOFOLLOW) < 0
		   ? -1
		   : 0;
}

static int device_make(const struct box_setup *s, const struct box_root *r,
                       const struct oci_device *d, struct lodge_err *e)
{
	char folder[PATH_MAX];
	const char *slash = strrchr(d->path, '/');
	if (strlen(d->path) >= sizeof folder || !slash[1] || !strcmp(slash, "/..") ||
	    !strcmp(slash, "/."))
		return err_set(e, EINVAL, "%.200s: no path of a device", d->path);
	if (s->own_users)
		return device_bind(r, d, e);
	memcpy(folder, d->path, (size_t)(slash - d->path));
	folder[slash - d->path] = 0;
	autoclose int in = box_place_make(r->fd, *folder ? folder : "/", true);
	if (in >= 0 && device_node(in, slash + 1, d) == 0)
		return 0;
	return in >= 0 && errno == EPERM ? device_bind(r, d, e) : err_sys(e, "%.200s", d->path);
}

/* Is /dev, or the root itself, somebody's whole /dev? Then it is taken as it is. */
static bool is_given(const struct oci_spec *s)
{
	for (size_t i = 0; i < s->mounts.n; i++) {
		struct box_options o;
		const char *at = s->mounts.at[i].destination;
		size_t n = strlen(at);
		while (n > 1 && at[n - 1] == '/')
			n--;
		box_options_sort(&o, &s->mounts.at[i]);
		if (n == 4 && !strncmp(at, "/dev", 4))
			return o.what & OPTION_BIND;
	}
	return false;
}

static int links_make(const struct box_root *r, struct lodge_err *e)
{
	autoclose int dev = box_place_make(r->fd, "/dev", true);
	if (dev < 0)
		return err_sys(e, "/dev");
	for (size_t i = 0; i < countof(links); i++)
		if ((strcmp(links[i].name, "core") || access(links[i].to, F_OK) == 0) &&
		    symlinkat(links[i].to, dev, links[i].name) < 0 && errno != EEXIST &&
		    errno != EROFS)
			return err_sys(e, "/dev/%s", links[i].name);
	autoclose int pts = openat(dev, "pts/ptmx", O_PATH | O_CLOEXEC);
	if (pts < 0)
		return 0;
	(void)!unlinkat(dev, "ptmx", 0);
	if (symlinkat("pts/ptmx", dev, "ptmx") < 0 && errno != EEXIST && errno != EROFS)
		return err_sys(e, "/dev/ptmx");
	return 0;
}

int box_devices_make(struct box_root *r, const struct box_setup *s, struct lodge_err *e)
{
	const struct oci_lin *l = s->spec->lin;
	if (is_given(s->spec))
		return 0;
	int bad = 0;
	for (size_t i = 0; bad == 0 && i < countof(always); i++)
		bad = device_make(s, r, &always[i], e);
	for (size_t i = 0; bad == 0 && l && i < l->devices.n; i++) {
		bad = device_make(s, r, &l->devices.at[i], e);
		if (bad < 0)
			err_in(e, bad, ".linux.devices[%zu]", i);
	}
	return bad == 0 ? links_make(r, e) : bad;
}
