/* SPDX-License-Identifier: Apache-2.0 */
/* The folder of a guest. Its lock file is the truth about who may change it: an open file
 * description lock goes with the last process that holds it, also by kill -9, and can be looked
 * at without being taken. */
#include "life/internal.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

enum { LEFTOVER_AGE_S = 60 };

static char *instances_dir(void)
{
	char *ret = NULL;
	autofree char *data = life_home("data");
	if (!data || asprintf(&ret, "%s/instances", data) < 0)
		return NULL;
	return ret;
}

static int instance_alloc(struct instance **ret, const char *name, struct lodge_err *e)
{
	if (!life_name_good(name))
		return err_set(e, EINVAL, "'%s' cannot be the name of a guest", name);
	struct instance *i = calloc(1, sizeof *i);
	autofree char *all = instances_dir();
	autofree char *run = life_home("runtime");
	if (!i || !all || !run) {
		free(i);
		return err_set(e, ENOMEM, "out of memory");
	}
	i->dirfd = i->lock = -1;
	snprintf(i->name, sizeof i->name, "%s", name);
	if (asprintf(&i->dir, "%s/%s", all, name) < 0)
		i->dir = NULL;
	if (asprintf(&i->runtime, "%s/%s", run, name) < 0)
		i->runtime = NULL;
	if (!i->dir || !i->runtime) {
		instance_free(i);
		return err_set(e, ENOMEM, "out of memory");
	}
	*ret = i;
	return 0;
}

/* A descriptor of the folder that holds all instances. */
static int instances_fd(bool make, struct lodge_err *e)
{
	autofree char *all = instances_dir();
	if (!all)
		return err_set(e, ENOMEM, "out of memory");
	int r = make ? home_make(all, e) : 0;
	if (r < 0)
		return r;
	int fd = open(all, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_sys(e, "%s", all) : fd;
}

void instance_free(struct instance *i)
{
	if (!i)
		return;
	if (i->temporary[0]) {
		autoclose int all = instances_fd(false, NULL);
		/* What cannot be removed now is removed by the next ls. */
		if (all >= 0 && host_remove_tree(all, i->temporary, NULL) < 0)
			errno = 0;
	}
	if (i->lock >= 0)
		close(i->lock);
	if (i->dirfd >= 0)
		close(i->dirfd);
	free(i->dir);
	free(i->runtime);
	free(i);
}

/* ---- the lock ---- */

static int lock_open(int dirfd, bool make)
{
	return openat(dirfd, "lock", O_RDWR | O_CLOEXEC | O_NOFOLLOW | (make ? O_CREAT : 0), 0600);
}

static int lock_take(int fd)
{
	struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	return fcntl(fd, F_OFD_SETLK, &fl);
}

int instance_lock(struct instance *i, struct lodge_err *e)
{
	struct stat a, b;
	autoclose int fd = lock_open(i->dirfd, true);
	if (fd < 0)
		return err_sys(e, "%s: the lock", i->name);
	if (lock_take(fd) < 0) {
		if (errno == EAGAIN || errno == EACCES)
			return err_set(e, EBUSY,
				       "%s is running, or is being changed by another command",
				       i->name);
		return err_sys(e, "locking %s", i->name);
	}
	/* Someone may have removed or replaced the folder between open and lock. */
	autoclose int now = open(i->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (!i->temporary[0] && (now < 0 || fstat(now, &a) < 0 || fstat(i->dirfd, &b) < 0 ||
				 a.st_ino != b.st_ino || a.st_dev != b.st_dev))
		return err_set(e, ENOENT, "%s was removed just now", i->name);
	i->lock = take_fd(&fd);
	return 0;
}

bool instance_locked(const struct instance *i)
{
	struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	if (i->lock >= 0)
		return true;
	autoclose int fd = lock_open(i->dirfd, false);
	return fd >= 0 && fcntl(fd, F_OFD_GETLK, &fl) == 0 && fl.l_type != F_UNLCK;
}

/* ---- making, opening, removing ---- */

static int instance_temporary(struct instance *i, int all, struct lodge_err *e)
{
	for (int tries = 0; tries < 100; tries++) {
		uint32_t r;
		host_random(&r, sizeof r);
		snprintf(i->temporary, sizeof i->temporary, ".new-%08x", r);
		if (mkdirat(all, i->temporary, 0700) == 0)
			return 0;
		if (errno != EEXIST)
			break;
	}
	int r = err_sys(e, "making a folder for %s", i->name);
	i->temporary[0] = 0;
	return r;
}

static int instance_fill(struct instance *i, int all, struct lodge_err *e)
{
	if (faccessat(all, i->name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return err_set(e, EEXIST, "a guest named %s exists already", i->name);
	int r = instance_temporary(i, all, e);
	if (r < 0)
		return r;
	i->dirfd = openat(all, i->temporary, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (i->dirfd < 0)
		return err_sys(e, "making a folder for %s", i->name);
	return instance_lock(i, e);
}

int instance_new(struct instance **ret, const char *name, struct lodge_err *e)
{
	struct instance *i = NULL;
	autoclose int all = instances_fd(true, e);
	if (all < 0)
		return all;
	int r = instance_alloc(&i, name, e);
	if (r < 0)
		return r;
	r = instance_fill(i, all, e);
	if (r < 0) {
		instance_free(i);
		return r;
	}
	*ret = i;
	return 0;
}

int instance_publish(struct instance *i, struct json_object *config, const struct life_record *rec,
		     struct lodge_err *e)
{
	size_t len;
	const char *text = json_object_to_json_string_length(
	    config, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
	int r = file_replace(i->dirfd, "config.json", text, len, e);
	if (r == 0)
		r = instance_record_set(i, rec, e);
	if (r < 0)
		return r;
	autoclose int all = instances_fd(false, e);
	if (all < 0)
		return all;
	if (renameat2(all, i->temporary, all, i->name, RENAME_NOREPLACE) < 0) {
		if (errno == EEXIST)
			return err_set(e, EEXIST, "a guest named %s exists already", i->name);
		return err_sys(e, "giving the folder its name %s", i->name);
	}
	i->temporary[0] = 0;
	return fsync(all) < 0 ? err_sys(e, "writing the folder of all guests") : 0;
}

int instance_open(struct instance **ret, const char *name, struct lodge_err *e)
{
	struct instance *i = NULL;
	if (!life_name_good(name))
		return err_set(e, ENOENT, "there is no guest named '%s'; lodge ls -a shows all",
			       name);
	int r = instance_alloc(&i, name, e);
	if (r < 0)
		return r;
	i->dirfd = open(i->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (i->dirfd < 0) {
		r = errno == ENOENT
			? err_set(e, ENOENT, "there is no guest named '%s'; lodge ls -a shows all",
				  name)
			: err_sys(e, "%s", i->dir);
		instance_free(i);
		return r;
	}
	*ret = i;
	return 0;
}

int instance_remove(struct instance *i, struct lodge_err *e)
{
	char gone[32];
	uint32_t n;
	autoclose int all = instances_fd(false, e);
	if (all < 0)
		return all;
	waiter_dismiss(i);
	host_random(&n, sizeof n);
	snprintf(gone, sizeof gone, ".del-%08x", n);
	/* Under another name first: the name is free at once, and a kill leaves no half guest. */
	if (renameat(all, i->name, all, gone) < 0)
		return err_sys(e, "removing %s", i->name);
	json_object_put(life_event(i->name, "removed", NULL));
	if (file_remove_tree(AT_FDCWD, i->runtime, NULL) < 0)
		errno = 0; /* sockets of a dead keeper; the next one replaces them */
	return host_remove_tree(all, gone, e); /* a container's root may be of other ids */
}

/* ---- all of them ---- */

static void leftover_remove(int all, const char *name)
{
	struct stat st;
	if (strncmp(name, ".new-", 5) && strncmp(name, ".del-", 5))
		return;
	autoclose int dir = openat(all, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (dir < 0 || fstat(dir, &st) < 0)
		return;
	autoclose int lock = lock_open(dir, false);
	if (lock < 0 ? time(NULL) - st.st_mtime < LEFTOVER_AGE_S : lock_take(lock) < 0)
		return;
	if (host_remove_tree(all, name, NULL) < 0)
		errno = 0; /* tried again next time */
}

static int text_order(const void *a, const void *b)
{
	struct json_object *const *x = a, *const *y = b;
	return strcmp(json_object_get_string(*x), json_object_get_string(*y));
}

/* One that was to come here, and nobody is at it any more: its source has it. */
static bool half_removed(const char *name)
{
	struct instance *i = NULL;
	if (instance_open(&i, name, NULL) < 0)
		return false;
	bool half = receiving(i);
	if (half)
		receiving_drop(i);
	half = half && access(i->dir, F_OK) < 0;
	instance_free(i);
	return half;
}

int instance_names(struct json_object **ret, struct lodge_err *e)
{
	int all = instances_fd(true, e);
	DIR *d = all < 0 ? NULL : fdopendir(all);
	if (!d) {
		if (all < 0)
			return all;
		int r = err_sys(e, "reading the folder of all guests");
		close(all);
		return r;
	}
	struct json_object *names = json_object_new_array();
	for (struct dirent *de; (de = readdir(d));) {
		if (de->d_name[0] == '.')
			leftover_remove(all, de->d_name);
		else if (life_name_good(de->d_name) && !half_removed(de->d_name))
			json_object_array_add(names, json_object_new_string(de->d_name));
	}
	closedir(d);
	json_object_array_sort(names, text_order);
	*ret = names;
	return 0;
}
