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

static char *by_id_dir(void)
{
	char *ret = NULL;
	autofree char *data = life_home("data");
	return !data || asprintf(&ret, "%s/by-id", data) < 0 ? NULL : ret;
}

/* From now on its paths do not have its name in them. */
static int paths_by_id(struct instance *i, const char *id, struct lodge_err *e)
{
	autofree char *all = by_id_dir();
	autofree char *run = life_home("runtime");
	char *dir = NULL, *runtime = NULL;
	if (!all || !run || asprintf(&dir, "%s/%s", all, id) < 0 ||
	    asprintf(&runtime, "%s/.%s", run, id) < 0) {
		free(dir);
		return err_set(e, ENOMEM, "out of memory");
	}
	free(i->dir);
	free(i->runtime);
	i->dir = dir;
	i->runtime = runtime;
	snprintf(i->id, sizeof i->id, "%s", id);
	return 0;
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
	i->place = i->dir ? strdup(i->dir) : NULL;
	if (asprintf(&i->runtime, "%s/%s", run, name) < 0)
		i->runtime = NULL;
	if (!i->dir || !i->place || !i->runtime) {
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
	free(i->place);
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
	autoclose int now = open(i->place, O_PATH | O_DIRECTORY | O_CLOEXEC);
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

/* ---- the id, and the link that goes by it ---- */

static int id_make(struct instance *i, struct lodge_err *e)
{
	uint64_t n;
	char id[LIFE_ID_MAX + 1];
	host_random(&n, sizeof n);
	snprintf(id, sizeof id, "%016llx", (unsigned long long)n);
	int r = paths_by_id(i, id, e);
	return r < 0 ? r : file_replace(i->dirfd, "id", id, strlen(id), e);
}

/* The link leads to instances/NAME, whatever there is by now. */
static int id_link(const struct instance *i, struct lodge_err *e)
{
	char to[LIFE_NAME_MAX + 16], fresh[LIFE_ID_MAX + 8];
	autofree char *all = by_id_dir();
	if (!i->id[0])
		return 0;
	int r = all ? home_make(all, e) : err_set(e, ENOMEM, "out of memory");
	if (r < 0)
		return r;
	autoclose int dir = open(all, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(to, sizeof to, "../instances/%s", i->name);
	snprintf(fresh, sizeof fresh, ".%s", i->id);
	if (dir >= 0)
		(void)!unlinkat(dir, fresh, 0);
	if (dir < 0 || symlinkat(to, dir, fresh) < 0 || renameat(dir, fresh, dir, i->id) < 0)
		return err_sys(e, "%s", i->dir);
	return 0;
}

static void id_unlink(const struct instance *i)
{
	if (i->id[0])
		(void)!unlink(i->dir);
}

static int id_read(struct instance *i, struct lodge_err *e)
{
	struct stat link, own;
	autofree char *id = NULL;
	size_t len = 0;
	if (life_file_read(i->dirfd, "id", &id, &len, NULL) < 0 || len != LIFE_ID_MAX ||
	    strspn(id, "0123456789abcdef") != len)
		return 0;
	int r = paths_by_id(i, id, e);
	if (r < 0 || fstat(i->dirfd, &own) < 0 ||
	    (stat(i->dir, &link) == 0 && link.st_ino == own.st_ino && link.st_dev == own.st_dev))
		return r;
	/* who renamed it was killed */
	return id_link(i, e);
}

const char *instance_key(const struct instance *i) { return i->id[0] ? i->id : i->name; }

/* Links of guests that were killed while they were made, or removed. */
static void ids_sweep(void)
{
	struct stat st;
	autofree char *all = by_id_dir();
	DIR *d = all ? opendir(all) : NULL;
	for (struct dirent *de; d && (de = readdir(d));)
		if (fstatat(dirfd(d), de->d_name, &st, 0) < 0 && errno == ENOENT &&
		    fstatat(dirfd(d), de->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    time(NULL) - st.st_mtime >= LEFTOVER_AGE_S)
			(void)!unlinkat(dirfd(d), de->d_name, 0);
	if (d)
		closedir(d);
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
	r = id_make(i, e);
	return r < 0 ? r : instance_lock(i, e);
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
	r = id_link(i, e);
	if (r == 0 && renameat2(all, i->temporary, all, i->name, RENAME_NOREPLACE) < 0)
		r = errno == EEXIST
			? err_set(e, EEXIST, "a guest named %s exists already", i->name)
			: err_sys(e, "giving the folder its name %s", i->name);
	if (r < 0) {
		id_unlink(i);
		return r;
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
	i->dirfd = open(i->place, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (i->dirfd < 0)
		r = errno == ENOENT
			? err_set(e, ENOENT, "there is no guest named '%s'; lodge ls -a shows all",
				  name)
			: err_sys(e, "%s", i->place);
	else
		r = id_read(i, e);
	if (r < 0) {
		instance_free(i);
		return r;
	}
	*ret = i;
	return 0;
}

/* What is written in the folder: for people, and for those that look without opening it. */
static int name_note(struct instance *i, struct lodge_err *e)
{
	struct life_config *c = NULL;
	int r = instance_config(i, &c, e);
	if (r == 0) {
		json_object_object_add(c->doc, "name", json_object_new_string(i->name));
		r = instance_config_set(i, c->doc, e);
	}
	life_config_free(c);
	return r;
}

int instance_rename(struct instance *i, const char *name, struct lodge_err *e)
{
	char was[LIFE_NAME_MAX + 1];
	char *place = NULL;
	if (!life_name_good(name))
		return err_set(e, EINVAL, "'%s' cannot be the name of a guest", name);
	if (!i->id[0])
		return err_set(e, EOPNOTSUPP, "%s was made by an older version, which names its "
			       "files by the guest's name: it keeps that", i->name);
	autoclose int all = instances_fd(false, e);
	autofree char *dir = all < 0 ? NULL : instances_dir();
	if (all < 0)
		return all;
	if (!dir || asprintf(&place, "%s/%s", dir, name) < 0)
		return err_set(e, ENOMEM, "out of memory");
	if (renameat2(all, i->name, all, name, RENAME_NOREPLACE) < 0) {
		free(place);
		return errno == EEXIST
			   ? err_set(e, EEXIST, "a guest named %s exists already", name)
			   : err_sys(e, "giving the folder the name %s", name);
	}
	runtime_unname(i);
	memcpy(was, i->name, sizeof was);
	snprintf(i->name, sizeof i->name, "%s", name);
	free(i->place);
	i->place = place;
	int r = id_link(i, e);
	if (r == 0)
		r = name_note(i, e);
	runtime_name(i);
	struct json_object *o = json_object_new_object();
	json_put_text(o, "was", was);
	json_object_put(life_event(i->name, "renamed", o));
	return r == 0 && fsync(all) < 0 ? err_sys(e, "writing the folder of all guests") : r;
}

/* A container's root may be of other ids. Who was there a moment ago (a waiter, a command that
 * looks) may still write its last file. */
static int folder_remove(int all, const char *gone, struct lodge_err *e)
{
	enum { TRIES = 50, TRY_US = 10000 };
	int r = host_remove_tree(all, gone, e);
	for (int i = 0; r == -ENOTEMPTY && i < TRIES; i++) {
		usleep(TRY_US);
		r = host_remove_tree(all, gone, e);
	}
	return r;
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
	id_unlink(i);
	json_object_put(life_event(i->name, "removed", NULL));
	runtime_unname(i);
	if (file_remove_tree(AT_FDCWD, i->runtime, NULL) < 0)
		errno = 0; /* sockets of a dead keeper; the next one replaces them */
	return folder_remove(all, gone, e);
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
	half = half && access(i->place, F_OK) < 0;
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
	ids_sweep();
	json_object_array_sort(names, text_order);
	*ret = names;
	return 0;
}
