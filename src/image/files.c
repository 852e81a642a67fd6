/* SPDX-License-Identifier: Apache-2.0 */
/* Where files go that are copied, by the rules of docker cp: into a folder that is there, else to
 * the name that is given, in a folder that is. */
#include "image/layer.h"
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

enum { HOPS = 40 };

/* A path, and what it is taken apart into. */
struct spot {
	char path[PLACE_PATH];
	char name[NAME_MAX + 1]; /* its last part; "": it ends with ".", ".." or is a root */
	size_t parent;           /* bytes before that */
	bool slash;              /* it says of itself that it is a folder */
};

static int spot_set(struct spot *s, const char *path, struct lodge_err *e)
{
	size_t len = strlen(path), end = len, from;
	if (!len || len >= sizeof s->path)
		return err_set(e, len ? ENAMETOOLONG : ENOENT, "'%.100s' is no path", path);
	memcpy(s->path, path, len + 1);
	while (end && path[end - 1] == '/')
		end--;
	for (from = end; from && path[from - 1] != '/'; from--)
		continue;
	const char *name = path + from;
	size_t n = end - from;
	bool dots = (n == 1 && *name == '.') || (n == 2 && !strncmp(name, "..", 2));
	if (n > NAME_MAX)
		return err_set(e, ENAMETOOLONG, "'%.100s...' is too long a name", name);
	s->parent = from;
	s->slash = end < len || dots;
	snprintf(s->name, sizeof s->name, "%.*s", dots ? 0 : (int)n, name);
	return 0;
}

static int parent_open(const struct files_unpack *u, const struct spot *s, struct lodge_err *e)
{
	char path[PLACE_PATH];
	snprintf(path, sizeof path, "%.*s", (int)s->parent, s->path);
	int fd = place_open(u->root, path, O_RDONLY | O_DIRECTORY);
	return fd < 0 ? err_set(e, -fd, "the folder of %s: %s", s->path, strerror(-fd)) : fd;
}

/* What is called so, or shall be, is a name in the folder *@ret. 1: it is a link, and @s is where
 * that leads. */
static int spot_name(const struct files_unpack *u, struct spot *s, int *ret, struct lodge_err *e)
{
	char link[PLACE_PATH], path[2 * PLACE_PATH];
	autoclose int up = parent_open(u, s, e);
	if (up < 0)
		return up;
	ssize_t n = readlinkat(up, s->name, link, sizeof link - 1);
	if (n < 0) {
		*ret = take_fd(&up);
		return 0;
	}
	link[n] = 0;
	snprintf(path, sizeof path, "%.*s%s", link[0] == '/' ? 0 : (int)s->parent, s->path, link);
	bool slash = s->slash;
	int r = spot_set(s, path, e);
	s->slash |= slash;
	return r < 0 ? r : 1;
}

/* It is there, and no folder; or it is not there. */
static int spot_check(const struct files_unpack *u, const struct spot *s, bool folder, bool there,
		      struct lodge_err *e)
{
	if (there && folder)
		return err_set(e, ENOTDIR, "%s is there, and no folder: a folder cannot be copied "
			       "to it", u->path);
	if (there && (s->slash || u->folder))
		return err_set(e, ENOTDIR, "%s is no folder", u->path);
	if (!there && (u->folder || (s->slash && !folder) || !s->name[0]))
		return err_set(e, ENOENT, "there is no folder %s", u->path);
	return 0;
}

static int spot_place(void *arg, bool folder, char ret_top[256], struct lodge_err *e)
{
	const struct files_unpack *u = arg;
	struct spot s;
	struct stat st;
	int r = spot_set(&s, u->path, e), to = -1;
	*ret_top = 0;
	for (int hops = 0; r >= 0; hops++) {
		autoclose int fd = place_open(u->root, s.path, O_PATH);
		if (fd >= 0 && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
			to = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			return to < 0 ? err_sys(e, "%s", u->path) : to;
		}
		if (fd < 0 && fd != -ENOENT && fd != -ENOTDIR)
			return err_set(e, -fd, "%s: %s", u->path, strerror(-fd));
		r = hops == HOPS ? err_set(e, ELOOP, "%s: too many links", u->path)
				 : spot_check(u, &s, folder, fd >= 0 || fd == -ENOTDIR, e);
		if (r == 0)
			r = spot_name(u, &s, &to, e);
		if (r == 0) {
			snprintf(ret_top, 256, "%s", s.name);
			return to;
		}
	}
	return r;
}

int files_unpack(struct files_unpack *u, struct lodge_err *e)
{
	const struct layer_files files = {.place = spot_place, .arg = u, .owner = u->owner,
					  .modes = (mode_t)u->modes};
	struct layer_job j = {.blob = u->from, .root = -1, .files = &files,
			      .privileged = u->privileged && overlay_privileged()};
	int r = layer_apply(&j, e);
	u->bytes = j.bytes;
	u->devices = j.devices;
	u->owners = j.owners;
	return r;
}
