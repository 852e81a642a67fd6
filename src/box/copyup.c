/* SPDX-License-Identifier: Apache-2.0 */
/* tmpcopyup: a new file system, or an empty volume, begins with what its place had. By descriptors;
 * links stay links. */
#include "box/internal.h"
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>

enum { DEPTH_MAX = 64 };
/* There while a volume is being filled: who was killed meanwhile has left a part. */
static const char FILLING[] = ".lodge-filling";
static int folder_copy(int from, int to, unsigned depth);

static int attributes_copy(int to, const char *name, const struct stat *st)
{
	const struct timespec times[2] = {st->st_atim, st->st_mtim};
	if (fchownat(to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    (!S_ISLNK(st->st_mode) && fchmodat(to, name, st->st_mode & 07777, 0) < 0))
		return -1;
	(void)!utimensat(to, name, times, AT_SYMLINK_NOFOLLOW);
	return 0;
}

static int file_copy(int from, int to, const char *name, const struct stat *st)
{
	autoclose int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	autoclose int out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (in < 0 || out < 0)
		return -1;
	for (off_t left = st->st_size; left > 0;) {
		ssize_t n = sendfile(out, in, NULL, (size_t)left);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break; /* it became shorter */
		left -= n;
	}
	char caps[128];
	ssize_t n = fgetxattr(in, "security.capability", caps, sizeof caps);
	int r = attributes_copy(to, name, st); /* a change of owner drops them */
	if (r == 0 && n > 0)
		(void)!fsetxattr(out, "security.capability", caps, (size_t)n, 0);
	return r;
}

static int link_copy(int from, int to, const char *name)
{
	char text[PATH_MAX];
	ssize_t n = readlinkat(from, name, text, sizeof text - 1);
	if (n < 0)
		return -1;
	text[n] = 0;
	return symlinkat(text, to, name);
}

static int entry_copy(int from, int to, const char *name, unsigned depth)
{
	struct stat st;
	int r = fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW);
	if (r < 0)
		return errno == ENOENT ? 0 : -1;
	if (S_ISREG(st.st_mode))
		return file_copy(from, to, name, &st);
	if (S_ISDIR(st.st_mode)) {
		autoclose int in =
		    openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		autoclose int out = -1;
		if (in < 0 || mkdirat(to, name, 0700) < 0 ||
		    (out = openat(to, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
			return -1;
		r = folder_copy(in, out, depth + 1);
	} else if (S_ISLNK(st.st_mode)) {
		r = link_copy(from, to, name);
	} else {
		r = mknodat(to, name, st.st_mode, st.st_rdev);
		if (r < 0 && errno == EPERM)
			return 0; /* devices, in a user namespace */
	}
	return r < 0 ? r : attributes_copy(to, name, &st);
}

static int folder_copy(int from, int to, unsigned depth)
{
	int own = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *d = own < 0 ? NULL : fdopendir(own);
	if (!d || depth > DEPTH_MAX) {
		if (d)
			closedir(d);
		else if (own >= 0)
			close(own);
		errno = d ? ELOOP : errno;
		return -1;
	}
	for (struct dirent *de; r == 0 && (de = readdir(d));)
		if (strcmp(de->d_name, ".") && strcmp(de->d_name, ".."))
			r = entry_copy(from, to, de->d_name, depth);
	int why = errno;
	closedir(d);
	errno = why;
	return r;
}

int box_copy_up(int place, int tree)
{
	struct stat st;
	autoclose int from = openat(place, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autoclose int to = openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (from < 0 || to < 0 || fstat(from, &st) < 0)
		return -1;
	return folder_copy(from, to, 0) < 0 ? -1 : fchown(to, st.st_uid, st.st_gid);
}

/* Of @dir: 1: it has nothing, but for what a copy that was interrupted has left, which goes; 0:
 * something; -1 and errno. */
static int folder_empty(int dir, bool interrupted)
{
	int own = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 1;
	DIR *d = own < 0 ? NULL : fdopendir(own);
	if (!d) {
		auto_close(&own);
		return -1;
	}
	for (struct dirent *de; r == 1 && (de = readdir(d));) {
		if (!strcmp(de->d_name, ".") || !strcmp(de->d_name, ".."))
			continue;
		r = interrupted && (!strcmp(de->d_name, FILLING) ||
				    file_remove_tree(own, de->d_name, NULL) == 0);
	}
	closedir(d);
	return r;
}

int box_fill(int place, int tree)
{
	struct stat st;
	autoclose int to = openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool interrupted = to >= 0 && faccessat(to, FILLING, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
	int empty = to < 0 ? -1 : folder_empty(to, interrupted);
	if (empty <= 0)
		return empty;
	autoclose int mark = openat(to, FILLING, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (mark < 0 || fstat(place, &st) < 0 || box_copy_up(place, to) < 0)
		return -1;
	return fchmod(to, st.st_mode & 07777) < 0 ? -1 : unlinkat(to, FILLING, 0);
}
