/* SPDX-License-Identifier: Apache-2.0 */
/* What --volume shares with a guest: a folder of the host, or one that has a name and outlives the
 * guests that use it. $XDG_DATA_HOME/lodge/volumes/NAME has the folder `data`, and in `uses` a file
 * for each process without a keeper that has it: its number, and in it when that process began. */
#include "life/internal.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

static const char GONE[] = ".gone"; /* of the name of one that is being removed */

/* ---- where they are ---- */

static char *volumes_folder(void)
{
	char *ret = NULL;
	autofree char *data = life_home("data");
	return !data || asprintf(&ret, "%s/volumes", data) < 0 ? NULL : ret;
}

/* As docker has it: a word without a slash that does not begin with a point is a name. */
static bool name_of(const char *spec, char ret[LIFE_NAME_MAX + 1])
{
	size_t n = strcspn(spec, ":");
	if (n > LIFE_NAME_MAX)
		return false;
	memcpy(ret, spec, n);
	ret[n] = 0;
	return life_name_good(ret);
}

char *life_volume_source(const char *spec)
{
	char name[LIFE_NAME_MAX + 1], *ret = NULL;
	if (!name_of(spec, name))
		return strndup(spec, strcspn(spec, ":"));
	autofree char *all = volumes_folder();
	return !all || asprintf(&ret, "%s/%s/data", all, name) < 0 ? NULL : ret;
}

bool life_volume_kept(const char *source)
{
	autofree char *all = volumes_folder();
	size_t n = all ? strlen(all) : 0;
	return n && !strncmp(source, all, n) && source[n] == '/';
}

void life_volume_fini(struct life_volume *v)
{
	free(v->source);
	free(v->target);
	*v = (struct life_volume){0};
}

/* "C:", "C:\work" */
static bool on_drive(const char *dst)
{
	char letter = (char)(dst[0] & ~32);
	return letter >= 'A' && letter <= 'Z' && dst[1] == ':' &&
	       (!dst[2] || strchr("\\/:", dst[2]));
}

static int volume_parse(struct life_volume *ret, const char *spec, bool drives,
			struct lodge_err *e)
{
	struct life_volume v = {0};
	const char *colon = strchr(spec, ':');
	const char *dst = colon ? colon + 1 : NULL;
	bool drive = dst && drives && on_drive(dst);
	const char *end = dst ? strchrnul(drive ? dst + 2 : dst, ':') : NULL;
	if (!dst || colon == spec || (!drive && *dst != '/') ||
	    (*end && strcmp(end, ":ro") && strcmp(end, ":rw")))
		return err_set(e, EINVAL,
			       "--volume %s: write SRC:DST or SRC:DST:ro, DST beginning with /",
			       spec);
	v.source = life_volume_source(spec);
	v.target = strndup(dst, (size_t)(end - dst));
	v.readonly = !strcmp(end, ":ro");
	if (!v.source || !v.target) {
		life_volume_fini(&v);
		return err_set(e, ENOMEM, "out of memory");
	}
	*ret = v;
	return 0;
}

int life_volume_parse(struct life_volume *ret, const char *spec, struct lodge_err *e)
{
	return volume_parse(ret, spec, false, e);
}

int life_volume_parse_any(struct life_volume *ret, const char *spec, struct lodge_err *e)
{
	return volume_parse(ret, spec, true, e);
}

/* The folder of all, locked: nobody makes, takes or removes one meanwhile. -ENOENT: there is
 * none. */
static int volumes_lock(bool make, struct lodge_err *e)
{
	autofree char *all = volumes_folder();
	if (!all)
		return err_set(e, ENOMEM, "out of memory");
	int r = make ? home_make(all, e) : 0;
	if (r < 0)
		return r;
	autoclose int fd = open(all, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "%s", all);
	while (flock(fd, LOCK_EX) < 0)
		if (errno != EINTR)
			return err_sys(e, "locking %s", all);
	return take_fd(&fd);
}

static int volume_open(int all, const char *name, struct lodge_err *e)
{
	int fd = life_name_good(name)
		     ? openat(all, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
		     : -1;
	if (fd < 0 && (errno == ENOENT || !life_name_good(name)))
		return err_set(e, ENOENT, "there is no volume '%s'; lodge volume ls shows all",
			       name);
	return fd < 0 ? err_sys(e, "the volume %s", name) : fd;
}

/* ---- making and using ---- */

static int volume_make(int all, const char *name, struct lodge_err *e)
{
	static const char *const parts[] = {"uses", "data"};
	if (!life_name_good(name))
		return err_set(e, EINVAL, "'%s' cannot be the name of a volume: letters, digits, "
			       "_.- and at most %d of them", name, LIFE_NAME_MAX);
	if (mkdirat(all, name, 0711) < 0 && errno != EEXIST)
		return err_sys(e, "the volume %s", name);
	autoclose int fd = volume_open(all, name, e);
	if (fd < 0)
		return fd;
	for (size_t i = 0; i < countof(parts); i++)
		if (mkdirat(fd, parts[i], 0755) < 0 && errno != EEXIST)
			return err_sys(e, "the volume %s", name);
	return 0;
}

int life_volume_create(const char *name, struct lodge_err *e)
{
	autoclose int all = volumes_lock(true, e);
	return all < 0 ? all : volume_make(all, name, e);
}

static int use_note(int all, const char *name, struct lodge_err *e)
{
	char path[LIFE_NAME_MAX + 32], text[32];
	snprintf(path, sizeof path, "%s/uses/%d", name, (int)getpid());
	int n = snprintf(text, sizeof text, "%llu\n",
			 (unsigned long long)host_process_began(getpid()));
	autoclose int fd = openat(all, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, text, (size_t)n) != n)
		return err_sys(e, "the volume %s: that it is in use", name);
	return 0;
}

int life_volumes_make(const struct lodge_config *c, bool here, struct lodge_err *e)
{
	char name[LIFE_NAME_MAX + 1];
	autoclose int all = -1;
	int r = 0;
	for (size_t i = 0; r == 0 && i < c->nvolumes; i++) {
		if (!strchr(c->volumes[i], ':') || !name_of(c->volumes[i], name))
			continue;
		if (all < 0 && (all = volumes_lock(true, e)) < 0)
			return all;
		r = volume_make(all, name, e);
		if (r == 0 && here)
			r = use_note(all, name, e);
	}
	return r;
}

/* ---- who uses them ---- */

static int volumes_of(const char *guest, struct life_config **ret)
{
	struct instance *i = NULL;
	int r = instance_open(&i, guest, NULL);
	if (r == 0)
		r = instance_config(i, ret, NULL);
	instance_free(i);
	return r;
}

/* Guests whose volumes @source is among, as an array of names. */
static int guests_find(const char *source, struct json_object **ret, struct lodge_err *e)
{
	struct json_object *names = NULL;
	int r = instance_names(&names, e);
	if (r < 0)
		return r;
	*ret = json_object_new_array();
	for (size_t i = 0; i < json_object_array_length(names); i++) {
		struct life_config *c = NULL;
		const char *guest =
		    json_object_get_string(json_object_array_get_idx(names, i));
		bool uses = false;
		if (volumes_of(guest, &c) < 0)
			continue;
		for (size_t k = 0; !uses && k < c->c.nvolumes; k++) {
			autofree char *one = life_volume_source(c->c.volumes[k]);
			uses = one && !strcmp(one, source);
		}
		if (uses)
			json_object_array_add(*ret, json_object_new_string(guest));
		life_config_free(c);
	}
	json_object_put(names);
	return 0;
}

/* Processes that have noted their use and live; the notes of others go. */
static struct json_object *processes_find(int volume)
{
	struct json_object *ret = json_object_new_array();
	int fd = openat(volume, "uses", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	for (struct dirent *de; d && (de = readdir(d));) {
		autofree char *text = NULL;
		size_t len;
		char *end;
		long pid = strtol(de->d_name, &end, 10);
		if (*end || pid <= 0 || file_load(fd, de->d_name, 64, &text, &len, NULL) < 0)
			continue;
		uint64_t began = host_process_began((pid_t)pid);
		if (began && began == strtoull(text, NULL, 10))
			json_object_array_add(ret, json_object_new_int64(pid));
		else
			(void)!unlinkat(fd, de->d_name, 0);
	}
	if (d)
		closedir(d);
	return ret;
}

static int volume_json(int all, const char *name, struct json_object **ret, struct lodge_err *e)
{
	struct stat st;
	struct json_object *guests = NULL;
	autoclose int fd = volume_open(all, name, e);
	if (fd < 0)
		return fd;
	autofree char *path = life_volume_source(name);
	int r = !path ? err_set(e, ENOMEM, "out of memory") : guests_find(path, &guests, e);
	if (r < 0)
		return r;
	struct json_object *o = json_object_new_object();
	json_put_text(o, "name", name);
	json_put_text(o, "path", path);
	if (fstat(fd, &st) == 0) /* its parts are as old as itself */
		json_put_i64(o, "created_ns", st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec);
	json_object_object_add(o, "guests", guests);
	json_object_object_add(o, "processes", processes_find(fd));
	*ret = o;
	return 0;
}

int life_volume_inspect(const char *name, struct json_object **ret, struct lodge_err *e)
{
	struct lodge_err why;
	autoclose int all = volumes_lock(false, &why);
	if (all < 0 && all != -ENOENT)
		return err_set(e, why.code, "%s", why.msg);
	return volume_json(all, name, ret, e);
}

static int name_order(const void *a, const void *b)
{
	const char *x = NULL, *y = NULL;
	json_text(*(struct json_object *const *)a, "name", &x);
	json_text(*(struct json_object *const *)b, "name", &y);
	return x && y ? strcmp(x, y) : 0;
}

int life_volume_list(struct json_object **ret, struct lodge_err *e)
{
	struct lodge_err why;
	autoclose int all = volumes_lock(false, &why);
	if (all < 0 && all != -ENOENT)
		return err_set(e, why.code, "%s", why.msg);
	struct json_object *list = json_object_new_array();
	int copy = all < 0 ? -1 : fcntl(all, F_DUPFD_CLOEXEC, 3);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	for (struct dirent *de; d && (de = readdir(d));) {
		struct json_object *o = NULL;
		size_t n = strlen(de->d_name);
		if (*de->d_name == '.' && n > strlen(GONE) &&
		    !strcmp(de->d_name + n - strlen(GONE), GONE))
			(void)!host_remove_tree(all, de->d_name, NULL); /* somebody was killed */
		if (life_name_good(de->d_name) && volume_json(all, de->d_name, &o, NULL) == 0)
			json_object_array_add(list, o);
	}
	if (d)
		closedir(d);
	json_object_array_sort(list, name_order);
	*ret = list;
	return 0;
}

/* ---- the end ---- */

int life_volume_remove(const char *name, struct lodge_err *e)
{
	struct json_object *o = NULL, *guests = NULL, *processes = NULL;
	char gone[LIFE_NAME_MAX + 16];
	struct lodge_err why;
	autoclose int all = volumes_lock(false, &why);
	if (all < 0 && all != -ENOENT)
		return err_set(e, why.code, "%s", why.msg);
	int r = volume_json(all, name, &o, e);
	if (r < 0)
		return r;
	json_object_object_get_ex(o, "guests", &guests);
	json_object_object_get_ex(o, "processes", &processes);
	if (json_object_array_length(guests))
		r = err_set(e, EBUSY, "the volume %s is of the guest %s: lodge rm it first", name,
			    json_object_get_string(json_object_array_get_idx(guests, 0)));
	else if (json_object_array_length(processes))
		r = err_set(e, EBUSY, "the volume %s is used by process %s", name,
			    json_object_get_string(json_object_array_get_idx(processes, 0)));
	json_object_put(o);
	snprintf(gone, sizeof gone, ".%s%s", name, GONE); /* whole, or not there */
	if (r == 0 && (r = host_remove_tree(all, gone, e)) == 0 &&
	    renameat(all, name, all, gone) < 0)
		r = err_sys(e, "the volume %s", name);
	return r == 0 ? host_remove_tree(all, gone, e) : r;
}
