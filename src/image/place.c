/* SPDX-License-Identifier: Apache-2.0 */
/* Names of a layer's entries, found below its root and nowhere else: the kernel itself refuses a
 * way that leaves it (openat2(2), RESOLVE_BENEATH), by links too. */
#include "image/layer.h"
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/syscall.h>

int place_path(const char *path, char ret[PLACE_PATH], struct lodge_err *e)
{
	size_t n = 0;
	unsigned depth = 0;
	for (const char *p = path; *p;) {
		size_t len = strcspn(p, "/");
		if (len == 2 && p[0] == '.' && p[1] == '.')
			return err_set(e, EPERM, "'%.200s' would leave the layer", path);
		if (len > NAME_MAX || n + len + 2 > PLACE_PATH || ++depth > PLACE_DEPTH)
			return err_set(e, ENAMETOOLONG, "'%.100s...' is too long or too deep",
				       path);
		if (len && !(len == 1 && *p == '.')) {
			if (n)
				ret[n++] = '/';
			memcpy(ret + n, p, len);
			n += len;
		}
		p += len;
		while (*p == '/')
			p++;
	}
	ret[n] = 0;
	return 0;
}

static int open_again(int root, const char *path, int flags, uint64_t resolve)
{
	struct open_how how = {.flags = (uint64_t)(unsigned)flags | O_CLOEXEC, .resolve = resolve};
	for (;;) {
		int fd = (int)syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof how);
		/* EAGAIN: something was renamed meanwhile, and the kernel is not sure */
		if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
			return fd;
	}
}

static int beneath(int root, const char *path, unsigned flags)
{
	return open_again(root, path, O_RDONLY | O_DIRECTORY,
			  RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS |
			      (flags & PLACE_MOUNTS ? 0 : RESOLVE_NO_XDEV));
}

int place_open(int root, const char *path, int flags)
{
	int fd = open_again(root, path, flags,
			    root == AT_FDCWD ? 0 : RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
	return fd < 0 ? -errno : fd;
}

static int place_failed(const char *path, unsigned flags, struct lodge_err *e)
{
	if (errno == EXDEV)
		return err_set(e, EPERM, "'%.200s' goes by a link that leaves the %s", path,
			       flags & PLACE_MOUNTS ? "folder" : "layer");
	if (errno == ELOOP)
		return err_set(e, ELOOP, "'%.200s' goes by too many links", path);
	return err_sys(e, "'%.200s'", path);
}

int place_folder(int root, const char *path, unsigned flags, struct lodge_err *e)
{
	char part[PLACE_PATH];
	int fd = beneath(root, path, flags);
	if (fd >= 0)
		return fd;
	if (!(flags & PLACE_MAKE) || errno != ENOENT)
		return place_failed(path, flags, e);
	/* One after the other, each found as strictly as the first. */
	for (size_t n = 0; path[n];) {
		n += 1 + strcspn(path + n + 1, "/");
		memcpy(part, path, n);
		part[n] = 0;
		fd = beneath(root, part, flags);
		if (fd < 0 && errno == ENOENT) {
			char *name = strrchr(part, '/');
			if (name)
				*name++ = 0;
			autoclose int up = name ? beneath(root, part, flags) : dup(root);
			if (up < 0 ||
			    (mkdirat(up, name ? name : part, 0755) < 0 && errno != EEXIST))
				return place_failed(path, flags, e);
			memcpy(part, path, n);
			fd = beneath(root, part, flags);
		}
		if (fd < 0)
			return place_failed(path, flags, e);
		if (!path[n])
			return fd;
		close(fd);
	}
	return err_set(e, EINVAL, "'%s' is no folder", path);
}
