/* SPDX-License-Identifier: Apache-2.0 */
/* Places in a root that somebody else has filled, and may be changing: links are followed within it
 * only, by the kernel (openat2(2), RESOLVE_IN_ROOT), or step by step where something is to be made,
 * each step by a descriptor of the one before. What comes back is a descriptor of the place, to
 * mount upon: its name is not looked up again. */
#include "box/internal.h"
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { LINKS_MAX = 40, DEPTH_MAX = 128, TRIES = 128 };

int box_open_how(int at, const char *path, uint64_t flags, uint64_t resolve)
{
	const struct open_how how = {.flags = flags | O_CLOEXEC, .resolve = resolve};
	for (int i = 0; i < TRIES; i++) {
		int fd = (int)syscall(SYS_openat2, at, path, &how, sizeof how);
		/* something moved meanwhile: it says so rather than be led astray */
		if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
			return fd;
	}
	return -1;
}

int box_place_open(int root, const char *path, int flags)
{
	while (*path == '/')
		path++;
	return box_open_how(root, *path ? path : ".", (uint64_t)flags,
	                    RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

/* ---- making the way ---- */

/* The folders that we are in, the root first. All owned but the first. */
struct walk {
	int at[DEPTH_MAX];
	unsigned depth, links;
	char rest[PATH_MAX];
};

static void walk_up(struct walk *w)
{
	if (w->depth)
		close(w->at[w->depth--]);
}

static void walk_fini(struct walk *w)
{
	while (w->depth)
		walk_up(w);
}

/* What a link says comes before the rest. */
static int walk_link(struct walk *w, int link)
{
	char to[PATH_MAX], rest[PATH_MAX];
	ssize_t n = readlinkat(link, "", to, sizeof to - 1);
	if (n < 0)
		return -1;
	to[n] = 0;
	if (++w->links > LINKS_MAX) {
		errno = ELOOP;
		return -1;
	}
	memcpy(rest, w->rest, sizeof rest);
	if ((size_t)n + 1 + strlen(rest) >= sizeof w->rest) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(w->rest, to, (size_t)n);
	w->rest[n] = '/';
	memcpy(w->rest + n + 1, rest, strlen(rest) + 1);
	if (*to == '/')
		walk_fini(w);
	return 0;
}

/* Open @name in the folder we are in; made if it is not there. */
static int walk_open(const struct walk *w, const char *name, bool folder)
{
	int in = w->at[w->depth];
	int fd = openat(in, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 || errno != ENOENT)
		return fd;
	if (folder ? mkdirat(in, name, 0755) < 0 && errno != EEXIST
	           : mknodat(in, name, S_IFREG | 0644, 0) < 0 && errno != EEXIST)
		return -1;
	return openat(in, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
}

/* One step; *ret_fd is the place when it was the last and is no folder to go on from. */
static int walk_step(struct walk *w, bool folder, int *ret_fd)
{
	char name[NAME_MAX + 1];
	struct stat st;
	const char *p = w->rest + strspn(w->rest, "/");
	size_t n = strcspn(p, "/");
	if (n > NAME_MAX) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(name, p, n);
	name[n] = 0;
	p += n + strspn(p + n, "/");
	memmove(w->rest, p, strlen(p) + 1);
	if (!n || !strcmp(name, "."))
		return 0;
	if (!strcmp(name, "..")) {
		walk_up(w);
		return 0;
	}
	int fd = walk_open(w, name, folder || *w->rest);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -1;
	if (S_ISLNK(st.st_mode)) {
		int r = walk_link(w, fd);
		close(fd);
		return r;
	}
	if (!*w->rest && !S_ISDIR(st.st_mode)) {
		*ret_fd = fd;
		return 0;
	}
	if (w->depth + 1 == DEPTH_MAX) {
		close(fd);
		errno = ENAMETOOLONG;
		return -1;
	}
	w->at[++w->depth] = fd;
	return 0;
}

int box_place_make(int root, const char *path, bool folder)
{
	int fd = box_place_open(root, path, O_PATH);
	if (fd >= 0 || errno != ENOENT)
		return fd;
	struct walk w = {.at = {root}};
	if (strlen(path) >= sizeof w.rest) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(w.rest, path, strlen(path) + 1);
	int r = 0;
	while (r == 0 && fd < 0 && *w.rest)
		r = walk_step(&w, folder, &fd);
	if (r == 0 && fd < 0)
		fd = w.depth ? fcntl(w.at[w.depth], F_DUPFD_CLOEXEC, 3)
		             : openat(root, ".", O_PATH | O_CLOEXEC);
	int why = errno;
	walk_fini(&w);
	errno = why;
	return r < 0 ? -1 : fd;
}
