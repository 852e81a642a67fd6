/* SPDX-License-Identifier: Apache-2.0 */
/* The folders of containers: ROOT/ID with state.json, config.json and exec.fifo. The folder itself
 * is the lock. A folder that has no whole state.json is of a creation that was killed. */
#include "level/container/internal.h"
#include "life/life.h"
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

enum { ID_MAX = 1024, STATE_MAX = 4 * CONTAINER_CONFIG_MAX }; /* it has the annotations, quoted */
#define CACHE ".lodge-seccomp"

static int id_check(const char *id, struct lodge_err *e)
{
	bool good = *id && strlen(id) <= ID_MAX && strcmp(id, ".") && strcmp(id, "..") &&
	            strcmp(id, CACHE);
	for (const char *p = id; good && *p; p++)
		good = isalnum((unsigned char)*p) || strchr("_+-.", *p);
	return good ? 0 : err_set(e, EINVAL, "invalid container ID format: '%.100s'", id);
}

static int dir_set(struct container *c, const char *root, const char *id, struct lodge_err *e)
{
	c->dirfd = -1;
	c->id = strdup(id);
	if (asprintf(&c->dir, "%s/%s", root, id) < 0)
		c->dir = NULL;
	return c->id && c->dir ? 0 : err_set(e, ENOMEM, "out of memory");
}

/* The lock of a folder that is still there. */
static int dir_lock(struct container *c, struct lodge_err *e)
{
	struct stat st;
	while (flock(c->dirfd, LOCK_EX) < 0)
		if (errno != EINTR)
			return err_sys(e, "locking %s", c->dir);
	c->locked = true;
	if (fstat(c->dirfd, &st) < 0 || st.st_nlink == 0)
		return err_set(e, ENOENT, "container does not exist");
	return 0;
}

int store_make(struct container *c, const char *root, const char *id, struct lodge_err *e)
{
	int r = id_check(id, e);
	if (r == 0)
		r = dir_set(c, root, id, e);
	if (r < 0)
		return r;
	int made = mkdir(c->dir, 0711);
	if (made < 0 && errno == ENOENT) {
		r = file_make_folders(root, 0711, 0755, e);
		if (r < 0)
			return r;
		made = mkdir(c->dir, 0711);
	}
	if (made < 0)
		return errno == EEXIST
			   ? err_set(e, EEXIST, "container with given ID already exists: %.200s",
				     id)
			   : err_sys(e, "making %s", c->dir);
	c->dirfd = open(c->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (c->dirfd < 0)
		return err_sys(e, "%s", c->dir);
	return dir_lock(c, e);
}

int store_write(const struct container *c, const char *name, const char *text, size_t len,
                struct lodge_err *e)
{
	char temporary[64];
	snprintf(temporary, sizeof temporary, ".%.40s.new", name);
	autoclose int fd =
	    openat(c->dirfd, temporary,
		   O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || !host_pwrite(fd, text, len, 0) ||
	    renameat(c->dirfd, temporary, c->dirfd, name) < 0) {
		int r = err_sys(e, "writing %s/%s", c->dir, name);
		(void)!unlinkat(c->dirfd, temporary, 0);
		return r;
	}
	return 0;
}

int store_save(struct container *c, struct lodge_err *e)
{
	autofree char *text = record_text(c);
	if (!text)
		return err_set(e, ENOMEM, "out of memory");
	return store_write(c, "state.json", text, strlen(text), e);
}

/* What is in it says which processes get signals, and which programs are hooks. */
static int dir_check(const struct container *c, struct lodge_err *e)
{
	struct stat st;
	if (fstat(c->dirfd, &st) < 0)
		return err_sys(e, "%s", c->dir);
	if (st.st_uid != geteuid() || st.st_mode & 022)
		return err_set(e, EPERM, "%s: not a folder that only this user writes to", c->dir);
	return 0;
}

static int record_load(struct container *c, struct lodge_err *e)
{
	autofree char *text = NULL;
	size_t n;
	int r = file_load(c->dirfd, "state.json", STATE_MAX, &text, &n, e);
	/* killed before it came so far: there is a folder, and nothing else */
	if (r == -ENOENT)
		return 0;
	return r < 0 ? err_in(e, r, "%s", c->dir) : record_parse(c, text, n, e);
}

int container_open(struct container *ret, const char *root, const char *id, bool lock,
                   struct lodge_err *e)
{
	struct container c = CONTAINER_NONE;
	int r = id_check(id, e);
	if (r == 0)
		r = dir_set(&c, root, id, e);
	if (r == 0)
		c.dirfd = open(c.dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (r == 0 && c.dirfd < 0)
		r = errno == ENOENT || errno == ENOTDIR
		        ? err_set(e, ENOENT, "container does not exist")
		        : err_sys(e, "%s", c.dir);
	if (r == 0)
		r = dir_check(&c, e);
	if (r == 0 && lock)
		r = dir_lock(&c, e);
	if (r == 0)
		r = record_load(&c, e);
	if (r == 0)
		r = cgroup_open(&c.cgroup, e);
	if (r < 0) {
		container_fini(&c);
		return r;
	}
	*ret = c;
	return 0;
}

int container_config(const struct container *c, struct oci_doc *ret, struct lodge_err *e)
{
	size_t n = 0;
	autofree char *text = NULL;
	int r = file_load(c->dirfd, "config.json", CONTAINER_CONFIG_MAX, &text, &n, e);
	return r < 0 ? err_in(e, r, "%s", c->dir) : oci_spec_read(ret, text, n, e);
}

void container_fini(struct container *c)
{
	free(c->id);
	free(c->bundle);
	free(c->rootfs);
	free(c->created);
	free(c->dir);
	free(c->annotations);
	free(c->version);
	free(c->unit);
	cgroup_fini(&c->cgroup);
	auto_close(&c->dirfd);
	*c = CONTAINER_NONE;
}

int store_remove(struct container *c, struct lodge_err *e)
{
	static const char *const files[] = {"exec.fifo", "config.json", ".config.json.new",
					    ".state.json.new", "state.json"};
	for (size_t i = 0; i < countof(files); i++)
		if (unlinkat(c->dirfd, files[i], 0) < 0 && errno != ENOENT)
			return err_sys(e, "removing %s/%s", c->dir, files[i]);
	return rmdir(c->dir) < 0 && errno != ENOENT ? err_sys(e, "removing %s", c->dir) : 0;
}

/* A folder that only this user can write to; -1: it is not, or there is none. */
static int own_folder(const char *path)
{
	struct stat st;
	autoclose int fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_uid != geteuid() || st.st_mode & 022)
		return -1;
	return take_fd(&fd);
}

/* That of all roots of a user, since `lodge run` has a root for each container. */
static int cache_of_user(void)
{
	char path[PATH_MAX];
	autofree char *home = life_home("cache");
	if (!home || snprintf(path, sizeof path, "%s/seccomp", home) >= (int)sizeof path)
		return -1;
	int fd = own_folder(path);
	if (fd >= 0 || errno != ENOENT)
		return fd;
	return file_make_folders(path, 0700, 0700, NULL) < 0 ? -1 : own_folder(path);
}

int store_cache(const char *root)
{
	char path[PATH_MAX];
	int fd = cache_of_user();
	/* no home, a read-only one, one of somebody else: as long as the root lasts, then */
	if (fd >= 0 || snprintf(path, sizeof path, "%s/" CACHE, root) >= (int)sizeof path)
		return fd;
	return mkdir(path, 0700) < 0 && errno != EEXIST ? -1 : own_folder(path);
}

static int name_order(const void *a, const void *b)
{
	struct json_object *const *x = a, *const *y = b;
	return strcmp(json_object_get_string(*x), json_object_get_string(*y));
}

int container_ids(const char *root, struct json_object **ret, struct lodge_err *e)
{
	struct json_object *a = json_object_new_array();
	DIR *d = opendir(root);
	if (!d && errno != ENOENT) {
		json_object_put(a);
		return err_sys(e, "%s", root);
	}
	for (struct dirent *de; d && (de = readdir(d));)
		if (id_check(de->d_name, NULL) == 0 && de->d_type == DT_DIR)
			json_object_array_add(a, json_object_new_string(de->d_name));
	if (d)
		closedir(d);
	json_object_array_sort(a, name_order);
	*ret = a;
	return 0;
}

int store_pid_file(const char *path, pid_t pid, struct lodge_err *e)
{
	char temporary[PATH_MAX], text[16];
	int n = snprintf(text, sizeof text, "%d", (int)pid);
	const char *slash = strrchr(path, '/');
	int folder = slash ? (int)(slash - path) + 1 : 0;
	if (snprintf(temporary, sizeof temporary, "%.*s.%s.%d", folder, path, path + folder,
	             (int)getpid()) >= (int)sizeof temporary)
		return err_set(e, ENAMETOOLONG, "--pid-file: too long");
	/* the folder may be anybody's: what has this name is taken away, not written to */
	(void)!unlink(temporary);
	autoclose int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0 || !host_pwrite(fd, text, (size_t)n, 0) || rename(temporary, path) < 0) {
		int r = err_sys(e, "--pid-file %s", path);
		(void)!unlink(temporary);
		return r;
	}
	return 0;
}
