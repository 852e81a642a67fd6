/* SPDX-License-Identifier: Apache-2.0 */
/* Small files that are whole or absent at every instant, and the removal of a folder. */
#include "base/base.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* Memory that is about to be filled: many faults cost more than the reading. */
static void filled_soon(char *buf, size_t len)
{
	enum { PAGE = 4096, MANY = 1 << 20 };
	char *from = buf + (-(uintptr_t)buf & (PAGE - 1));
	size_t whole = len > MANY ? (len - (size_t)(from - buf)) & ~(size_t)(PAGE - 1) : 0;
	if (!whole)
		return;
	(void)!madvise(from, whole, MADV_HUGEPAGE);
	(void)!madvise(from, whole, MADV_POPULATE_WRITE); /* Linux 5.14 */
}

int file_load(int dirfd, const char *name, size_t max, char **ret, size_t *ret_len,
	      struct lodge_err *e)
{
	autoclose int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, "%s", name);
	if (!S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "%s is not a plain file", name);
	if ((uint64_t)st.st_size > max)
		return err_set(e, EFBIG, "%s is too long (%lld bytes)", name,
			       (long long)st.st_size);
	autofree char *buf = malloc((size_t)st.st_size + 1);
	if (!buf)
		return err_set(e, ENOMEM, "out of memory");
	filled_soon(buf, (size_t)st.st_size);
	size_t have = 0;
	while (have < (size_t)st.st_size) {
		ssize_t n = read(fd, buf + have, (size_t)st.st_size - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "reading %s", name);
		if (n == 0)
			break;
		have += (size_t)n;
	}
	buf[have] = 0;
	*ret = take(buf);
	*ret_len = have;
	return 0;
}

static int file_write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		data += n;
		len -= (size_t)n;
	}
	return fsync(fd);
}

int file_replace(int dirfd, const char *name, const void *data, size_t len, struct lodge_err *e)
{
	char tmp[128];
	snprintf(tmp, sizeof tmp, ".%.64s.%d.new", name, (int)getpid());
	autoclose int fd =
	    openat(dirfd, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(e, "making %s", name);
	if (file_write_all(fd, data, len) < 0 || renameat(dirfd, tmp, dirfd, name) < 0) {
		int r = err_sys(e, "writing %s", name);
		unlinkat(dirfd, tmp, 0);
		return r;
	}
	if (fsync(dirfd) < 0)
		return err_sys(e, "writing the folder of %s", name);
	return 0;
}

int file_make_folders(const char *path, unsigned mode, unsigned mode_above, struct lodge_err *e)
{
	autofree char *copy = strdup(path);
	if (!copy)
		return err_set(e, ENOMEM, "out of memory");
	for (char *p = copy; *p; p++) {
		if (*p != '/' || p == copy)
			continue;
		*p = 0;
		if (mkdir(copy, mode_above) < 0 && errno != EEXIST)
			return err_sys(e, "making the folder %s", copy);
		*p = '/';
	}
	if (mkdir(copy, mode) < 0 && errno != EEXIST)
		return err_sys(e, "making the folder %s", copy);
	return 0;
}

/* A removal of a folder: however deep it is, so many descriptors and frames of the stack are
 * enough, for what is deeper is moved up to the top, and its turn comes there. */
enum { REMOVE_DEPTH = 64 };
struct removal {
	int top;        /* the folder itself; -1: not known yet */
	unsigned depth;
	bool moved;     /* something has come to the top */
};

static int node_remove(struct removal *m, int dirfd, const char *name, struct lodge_err *e);

static int inside_remove(struct removal *m, int fd, struct lodge_err *e)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	if (!d) {
		int r = err_sys(e, "reading a folder");
		if (copy >= 0)
			close(copy);
		return r;
	}
	int r = 0;
	rewinddir(d); /* the place is the descriptor's, and it may have been read before */
	for (struct dirent *de; r == 0 && (de = readdir(d));)
		if (strcmp(de->d_name, ".") && strcmp(de->d_name, ".."))
			r = node_remove(m, fd, de->d_name, e);
	closedir(d);
	return r;
}

/* Its owner may have no rights to it: overlayfs makes such, and so may any guest. */
static int folder_open(int dirfd, const char *name)
{
	enum { FLAGS = O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };
	char path[32];
	int fd = openat(dirfd, name, O_RDONLY | FLAGS);
	if (fd >= 0 || errno != EACCES)
		return fd;
	autoclose int at = openat(dirfd, name, O_PATH | FLAGS);
	snprintf(path, sizeof path, "/proc/self/fd/%d", at);
	return at < 0 || chmod(path, 0700) < 0 ? -1 : openat(dirfd, name, O_RDONLY | FLAGS);
}

static bool move_up(struct removal *m, int dirfd, const char *name)
{
	uint64_t n = 0;
	char to[32];
	if (getrandom(&n, sizeof n, 0) != sizeof n)
		return false;
	snprintf(to, sizeof to, ".deep-%016llx", (unsigned long long)n);
	/* overlayfs does not move what is of a lower layer */
	if (renameat2(dirfd, name, m->top, to, RENAME_NOREPLACE) < 0)
		return false;
	m->moved = true;
	return true;
}

static int folder_empty(struct removal *m, int fd, struct lodge_err *e)
{
	int r;
	if (m->top < 0) {
		m->top = fd;
		do {
			m->moved = false;
			r = inside_remove(m, fd, e);
		} while (r == 0 && m->moved);
		return r;
	}
	m->depth++;
	r = inside_remove(m, fd, e);
	m->depth--;
	return r;
}

static int node_remove(struct removal *m, int dirfd, const char *name, struct lodge_err *e)
{
	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return err_sys(e, "removing %s", name);
	autoclose int fd = folder_open(dirfd, name);
	if (fd < 0)
		return err_sys(e, "removing %s", name);
	if (fchmod(fd, 0700) < 0 && errno != EPERM)
		return err_sys(e, "removing %s", name);
	if (m->depth >= REMOVE_DEPTH && move_up(m, dirfd, name))
		return 0;
	int r = folder_empty(m, fd, e);
	if (r < 0)
		return err_in(e, r, "%s", name);
	if (unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_sys(e, "removing %s", name);
	return 0;
}

int file_remove_tree(int dirfd, const char *name, struct lodge_err *e)
{
	struct removal m = {.top = -1};
	return node_remove(&m, dirfd, name, e);
}
