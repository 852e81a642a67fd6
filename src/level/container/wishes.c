/* SPDX-License-Identifier: Apache-2.0 */
/* What docker's options of `run` add to config.json, each with docker's meaning. OCI-RT 1.2
 * config.md, config-linux.md */
#include "box/box.h"
#include "host/host.h"
#include "level/container/spec.h"
#include "life/life.h"
#include <arpa/inet.h>
#include <dirent.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

typedef int wish_fn(const struct spec_wants *w, struct json_object *spec, const char *value,
		    struct lodge_err *e);

/* ---- JSON ---- */

/* The member @key of @o, made (by @make) if it is not there. */
static struct json_object *member(struct json_object *o, const char *key,
				  struct json_object *(*make)(void))
{
	struct json_object *got = NULL;
	if (json_object_object_get_ex(o, key, &got))
		return got;
	got = make();
	json_object_object_add(o, key, got);
	return got;
}

static struct json_object *object_of(struct json_object *o, const char *key)
{
	return member(o, key, json_object_new_object);
}

static struct json_object *array_of(struct json_object *o, const char *key)
{
	return member(o, key, json_object_new_array);
}

/* ---- mounts ---- */

/* "DIR[:OPTION,...]" */
static int tmpfs_add(const struct spec_wants *w, struct json_object *spec, const char *value,
		     struct lodge_err *e)
{
	char dir[PATH_MAX], options[1024];
	size_t n = strcspn(value, ":");
	(void)w;
	if (value[0] != '/' || n >= sizeof dir || strlen(value + n) >= sizeof options - 64)
		return err_set(e, EINVAL, "--tmpfs %s: it is DIR or DIR:OPTION,..., DIR beginning "
			       "with /", value);
	snprintf(dir, sizeof dir, "%.*s", (int)n, value);
	snprintf(options, sizeof options, "rw noexec nosuid nodev%s%s", value[n] ? " " : "",
		 value[n] ? value + n + 1 : "");
	for (char *p = options; (p = strchr(p, ','));)
		*p = ' ';
	spec_mount_add(array_of(spec, "mounts"), dir, "tmpfs", "tmpfs", options);
	return 0;
}

static int shm_size(const struct spec_wants *w, struct json_object *spec, const char *value,
		    struct lodge_err *e)
{
	uint64_t size = 0;
	struct json_object *mounts = array_of(spec, "mounts");
	char options[96];
	(void)w;
	if (life_parse_size(value, &size, NULL) < 0 || !size)
		return err_set(e, EINVAL, "--shm-size %s: it is a size, for example 1G", value);
	snprintf(options, sizeof options, "nosuid noexec nodev mode=1777 size=%llu",
		 (unsigned long long)size);
	for (size_t i = 0; i < json_object_array_length(mounts); i++) {
		struct json_object *m = json_object_array_get_idx(mounts, i), *to = NULL;
		if (json_object_object_get_ex(m, "destination", &to) &&
		    !strcmp(json_object_get_string(to), "/dev/shm"))
			json_object_object_add(m, "options", spec_words(options));
	}
	return 0;
}

/* ---- devices ---- */

static void device_rule(struct json_object *spec, const char *type, const struct stat *st,
			const char *access)
{
	struct json_object *resources = object_of(object_of(spec, "linux"), "resources");
	struct json_object *o = json_object_new_object();
	json_object_object_add(o, "allow", json_object_new_boolean(true));
	json_object_object_add(o, "access", json_object_new_string(access));
	if (st) {
		json_object_object_add(o, "type", json_object_new_string(type));
		json_object_object_add(o, "major", json_object_new_int64(major(st->st_rdev)));
		json_object_object_add(o, "minor", json_object_new_int64(minor(st->st_rdev)));
	}
	json_object_array_add(array_of(resources, "devices"), o);
}

/* Who is in a user namespace makes no nodes: it gets the host's. */
static void device_put(const struct spec_wants *w, struct json_object *spec, const char *from,
		       const char *to, const struct stat *st)
{
	const char *type = S_ISBLK(st->st_mode) ? "b" : "c";
	if (w->mapped) {
		spec_mount_add(array_of(spec, "mounts"), to, "bind", from,
			       "bind rprivate rw nosuid noexec");
		return;
	}
	struct json_object *o = json_object_new_object();
	json_object_object_add(o, "path", json_object_new_string(to));
	json_object_object_add(o, "type", json_object_new_string(type));
	json_object_object_add(o, "major", json_object_new_int64(major(st->st_rdev)));
	json_object_object_add(o, "minor", json_object_new_int64(minor(st->st_rdev)));
	json_object_object_add(o, "fileMode", json_object_new_int64(st->st_mode & 07777));
	json_object_object_add(o, "uid", json_object_new_int64(st->st_uid));
	json_object_object_add(o, "gid", json_object_new_int64(st->st_gid));
	json_object_array_add(array_of(object_of(spec, "linux"), "devices"), o);
}

/* "SRC[:DST[:rwm]]"; as with docker, SRC:rwm has no DST. */
static int device_add(const struct spec_wants *w, struct json_object *spec, const char *value,
		      struct lodge_err *e)
{
	autofree char *from = strdup(value);
	struct stat st;
	char *to = from ? strchr(from, ':') : NULL, *access = NULL;
	if (!from)
		return err_set(e, ENOMEM, "out of memory");
	if (to) {
		*to++ = 0;
		if ((access = strchr(to, ':')))
			*access++ = 0;
		else if (*to != '/') {
			access = to;
			to = NULL;
		}
	}
	if ((to && *to != '/') || (access && (!*access || access[strspn(access, "rwm")])))
		return err_set(e, EINVAL, "--device %s: it is SRC, SRC:DST or SRC:DST:rwm", value);
	if (stat(from, &st) < 0)
		return err_sys(e, "--device %s", from);
	if (!S_ISBLK(st.st_mode) && !S_ISCHR(st.st_mode))
		return err_set(e, ENODEV, "--device %s: no device", from);
	device_put(w, spec, from, to ? to : from, &st);
	if (!w->mapped || w->users >= 0)
		device_rule(spec, S_ISBLK(st.st_mode) ? "b" : "c", &st, access ? access : "rwm");
	return 0;
}

/* ---- limits and parameters ---- */

static bool limit_read(const char *text, uint64_t *ret)
{
	char *end;
	if (!strcmp(text, "-1") || !strcmp(text, "unlimited")) {
		*ret = UINT64_MAX;
		return true;
	}
	errno = 0;
	*ret = strtoull(text, &end, 10);
	return !errno && end != text && !*end && *text != '-';
}

/* "NAME=SOFT[:HARD]" */
static int ulimit_add(const struct spec_wants *w, struct json_object *spec, const char *value,
		      struct lodge_err *e)
{
	char name[32], soft[32], hard[32] = "", type[48] = "RLIMIT_";
	uint64_t low, high;
	(void)w;
	int n = sscanf(value, "%20[a-zA-Z_]=%24[^:]:%24s", name, soft, hard);
	if (n < 2 || !limit_read(soft, &low) || !limit_read(n == 3 ? hard : soft, &high))
		return err_set(e, EINVAL, "--ulimit %s: it is NAME=SOFT or NAME=SOFT:HARD, for "
			       "example nofile=1024:4096", value);
	if (low > high)
		return err_set(e, EINVAL, "--ulimit %s: the soft limit is above the hard one",
			       value);
	for (size_t i = 0, k = 7; name[i]; i++)
		type[k++] = (char)(name[i] >= 'a' && name[i] <= 'z' ? name[i] - 32 : name[i]);
	struct json_object *o = json_object_new_object();
	json_object_object_add(o, "type", json_object_new_string(type));
	json_object_object_add(o, "soft", json_object_new_uint64(low));
	json_object_object_add(o, "hard", json_object_new_uint64(high));
	json_object_array_add(array_of(object_of(spec, "process"), "rlimits"), o);
	return 0;
}

static int sysctl_add(const struct spec_wants *w, struct json_object *spec, const char *value,
		      struct lodge_err *e)
{
	const char *is = strchr(value, '=');
	char key[128];
	(void)w;
	if (!is || is == value || is - value >= (long)sizeof key)
		return err_set(e, EINVAL, "--sysctl %s: it is KEY=VALUE", value);
	snprintf(key, sizeof key, "%.*s", (int)(is - value), value);
	json_object_object_add(object_of(object_of(spec, "linux"), "sysctl"), key,
			       json_object_new_string(is + 1));
	return 0;
}

static int group_add(const struct spec_wants *w, struct json_object *spec, const char *value,
		     struct lodge_err *e)
{
	char user[80];
	unsigned uid, gid;
	snprintf(user, sizeof user, "0:%.70s", value);
	int r = spec_user(w->root, user, w->ids, &uid, &gid, e);
	if (r == 0)
		json_object_array_add(array_of(object_of(object_of(spec, "process"), "user"),
					       "additionalGids"), json_object_new_int64(gid));
	return r;
}

/* The attendant sends it; here it is only looked at. */
static int stop_signal(const struct spec_wants *w, struct json_object *spec, const char *value,
		       struct lodge_err *e)
{
	(void)w;
	(void)spec;
	return host_signal_find(value) > 0
		   ? 0 : err_set(e, EINVAL, "--stop-signal %s: there is no such signal", value);
}

/* ---- rights ---- */

static int security_opt(const struct spec_wants *w, struct json_object *spec, const char *value,
			struct lodge_err *e)
{
	struct json_object *process = object_of(spec, "process"), *lin = object_of(spec, "linux");
	struct json_object *filter = NULL;
	(void)w;
	if (!strcmp(value, "no-new-privileges") || !strcmp(value, "no-new-privileges:true") ||
	    !strcmp(value, "no-new-privileges=true")) {
		json_object_object_add(process, "noNewPrivileges", json_object_new_boolean(true));
		return 0;
	}
	if (!strncmp(value, "apparmor=", 9)) {
		json_object_object_add(process, "apparmorProfile",
				       json_object_new_string(value + 9));
		return 0;
	}
	if (strncmp(value, "seccomp=", 8) != 0)
		return err_set(e, EINVAL, "--security-opt %s: no-new-privileges, seccomp=FILE, "
			       "seccomp=unconfined and apparmor=PROFILE are there", value);
	if (!strcmp(value + 8, "unconfined")) {
		json_object_object_del(lin, "seccomp");
		return 0;
	}
	int r = spec_profile(&filter, value + 8, process, e);
	if (r == 0)
		json_object_object_add(lin, "seccomp", filter);
	return r;
}

/* Those of the host's /dev, but for what every container has its own of. */
static void devices_all(const struct spec_wants *w, struct json_object *spec, const char *dir,
			unsigned depth)
{
	static const char *const own[] = {"/dev/pts", "/dev/shm", "/dev/mqueue", "/dev/console",
					  "/dev/null", "/dev/zero", "/dev/full", "/dev/random",
					  "/dev/urandom", "/dev/tty", "/dev/ptmx"};
	enum { DEPTH_MAX = 6 };
	DIR *d = depth < DEPTH_MAX ? opendir(dir) : NULL;
	for (struct dirent *de; d && (de = readdir(d));) {
		char path[512];
		struct stat st;
		bool skip = de->d_name[0] == '.';
		snprintf(path, sizeof path, "%.200s/%s", dir, de->d_name);
		for (size_t i = 0; !skip && i < countof(own); i++)
			skip = !strcmp(path, own[i]);
		if (skip || lstat(path, &st) < 0)
			continue;
		if (S_ISDIR(st.st_mode))
			devices_all(w, spec, path, depth + 1);
		else if (S_ISBLK(st.st_mode) || S_ISCHR(st.st_mode))
			device_put(w, spec, path, path, &st);
	}
	if (d)
		closedir(d);
}

static void mounts_open(struct json_object *spec)
{
	struct json_object *mounts = array_of(spec, "mounts");
	for (size_t i = 0; i < json_object_array_length(mounts); i++) {
		struct json_object *m = json_object_array_get_idx(mounts, i), *to = NULL;
		const char *at = json_object_object_get_ex(m, "destination", &to)
				     ? json_object_get_string(to) : "";
		if (!strcmp(at, "/sys") || !strcmp(at, "/sys/fs/cgroup"))
			json_object_object_add(m, "options",
					       spec_words("nosuid noexec nodev rw"));
	}
}

static int privileged(const struct spec_wants *w, struct json_object *spec, const char *value,
		      struct lodge_err *e)
{
	static const char *const sets[] = {"bounding", "effective", "permitted"};
	struct json_object *lin = object_of(spec, "linux");
	struct json_object *caps = object_of(object_of(spec, "process"), "capabilities");
	if (!strcmp(value, "false"))
		return 0;
	if (w->mapped)
		return err_set(e, EPERM, "--privileged is root's, without --userns: --cap-add and "
			       "--device give some of it");
	for (size_t k = 0; k < countof(sets); k++) {
		struct json_object *a = json_object_new_array();
		for (size_t i = 0; box_capability_at(i); i++)
			if (box_capability_held(i)) /* lodge may be confined itself */
				json_object_array_add(
				    a, json_object_new_string(box_capability_at(i)));
		json_object_object_add(caps, sets[k], a);
	}
	json_object_object_del(lin, "seccomp");
	json_object_object_del(lin, "maskedPaths");
	json_object_object_del(lin, "readonlyPaths");
	mounts_open(spec);
	devices_all(w, spec, "/dev", 0);
	device_rule(spec, NULL, NULL, "rwm");
	return 0;
}

/* ---- all ---- */

int spec_wishes(const struct spec_wants *w, struct json_object *spec, struct lodge_err *e)
{
	static const struct {
		const char *option;
		wish_fn *fn;
	} wishes[] = {
#define WISH(option, fn) {option, fn},
#include "level/container/wishes.def"
	};
	const char *value;
	for (size_t i = 0; i < countof(wishes); i++)
		for (size_t k = 0; (value = spec_option(w->c, wishes[i].option, k)); k++) {
			int r = wishes[i].fn(w, spec, value, e);
			if (r < 0)
				return r;
		}
	return 0;
}

/* ---- names ---- */

int spec_hosts(char **ret, const struct lodge_config *c, struct lodge_err *e)
{
	char *text = NULL;
	size_t len = 0;
	const char *value;
	for (size_t k = 0; (value = spec_option(c, "add-host", k)); k++) {
		const char *is = strchr(value, ':');
		if (!is || is == value || !is[1] || value[strcspn(value, " \n\t#")])
			return err_set(e, EINVAL, "--add-host %s: it is NAME:ADDRESS", value);
	}
	FILE *to = open_memstream(&text, &len);
	for (size_t k = 0; to && (value = spec_option(c, "add-host", k)); k++)
		fprintf(to, "%s\t%.*s\n", strchr(value, ':') + 1, (int)strcspn(value, ":"),
			value);
	if (!to || fclose(to) != 0)
		return err_set(e, ENOMEM, "out of memory");
	*ret = text;
	return 0;
}

int spec_resolvers(char **ret, const struct lodge_config *c, struct lodge_err *e)
{
	char *text = NULL;
	size_t len = 0;
	const char *value;
	uint8_t address[16];
	for (size_t k = 0; (value = spec_option(c, "dns", k)); k++)
		if (inet_pton(AF_INET, value, address) != 1 &&
		    inet_pton(AF_INET6, value, address) != 1)
			return err_set(e, EINVAL, "--dns %s: it is an address", value);
	FILE *to = spec_option(c, "dns", 0) ? open_memstream(&text, &len) : NULL;
	for (size_t k = 0; to && (value = spec_option(c, "dns", k)); k++)
		fprintf(to, "nameserver %s\n", value);
	*ret = to && fclose(to) == 0 ? text : NULL;
	return 0;
}
