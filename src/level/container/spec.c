/* SPDX-License-Identifier: Apache-2.0 */
/* config.json of a guest that is an image, with the defaults that podman and docker have:
 * namespaces, mounts, capabilities, system calls. OCI-Image 1.1 §conversion, OCI-RT 1.2 config.md
 */
#include "level/container/spec.h"
#include "box/box.h"
#include "cgroup/cgroup.h"
#include "life/life.h"
#include <fcntl.h>
#include <json-c/json.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* ---- JSON ---- */

static struct json_object *text_new(const char *v) { return json_object_new_string(v); }
static void put(struct json_object *o, const char *key, struct json_object *v)
{
	json_object_object_add(o, key, v);
}
static void put_text(struct json_object *o, const char *key, const char *v)
{
	put(o, key, text_new(v));
}
struct json_object *spec_words(const char *text)
{
	struct json_object *a = json_object_new_array();
	while (*text) {
		size_t n = strcspn(text, " ");
		json_object_array_add(a, json_object_new_string_len(text, (int)n));
		text += n + (text[n] == ' ');
	}
	return a;
}

/* ---- options ---- */

const char *spec_option(const struct lodge_config *c, const char *key, size_t at)
{
	size_t n = strlen(key);
	for (size_t i = 0; i < c->noptions; i++)
		if (!strncmp(c->options[i], key, n) && c->options[i][n] == '=' && at-- == 0)
			return c->options[i] + n + 1;
	return NULL;
}

/* ---- who runs it ---- */

enum { ACCOUNTS_MAX = 64 << 20 };

/* A file of the root, by its own links. One that is no file, or has no end, is as if not there. */
static FILE *root_file(const char *root, const char *path)
{
	autoclose int dir = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	int fd = dir < 0 ? -1 : box_place_open(dir, path, O_RDONLY | O_NONBLOCK);
	if (fd >= 0 &&
	    (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > ACCOUNTS_MAX)) {
		close(fd);
		fd = -1;
	}
	return fd < 0 ? NULL : fdopen(fd, "re");
}

static bool number(const char *text, unsigned *ret)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);
	if (!*text || *end || n >= UINT32_MAX || text[0] == '-')
		return false;
	*ret = (unsigned)n;
	return true;
}

/* The line of @name, or of the id @name, in @path: passwd(5), group(5). Its third field, and the
 * fourth if that is a number too. */
static bool line_find(const char *root, const char *path, const char *name, unsigned *ret_id,
		      unsigned *ret_group)
{
	char line[4096];
	FILE *f = root_file(root, path);
	bool found = false;
	while (f && !found && fgets(line, sizeof line, f)) {
		char *field[4] = {NULL}, *rest = line;
		line[strcspn(line, "\n")] = 0;
		for (size_t n = 0; n < countof(field) && rest; n++)
			field[n] = strsep(&rest, ":");
		if (!field[2] || (strcmp(field[0], name) && strcmp(field[2], name)))
			continue;
		found = number(field[2], ret_id);
		if (ret_group && field[3])
			number(field[3], ret_group);
	}
	if (f)
		fclose(f);
	return found;
}

int spec_user(const char *root, const char *text, uint32_t ids, unsigned *ret_uid,
	      unsigned *ret_gid, struct lodge_err *e)
{
	autofree char *user = strdup(text);
	char *group = user ? strchr(user, ':') : NULL;
	unsigned uid = 0, gid = 0;
	if (!user)
		return err_set(e, ENOMEM, "out of memory");
	if (group)
		*group++ = 0;
	if (!line_find(root, "etc/passwd", user, &uid, &gid) && !number(user, &uid))
		return err_set(e, ENOENT, "there is no user '%s' in the image's /etc/passwd", user);
	if (group && !line_find(root, "etc/group", group, &gid, NULL) && !number(group, &gid))
		return err_set(e, ENOENT, "there is no group '%s' in the image's /etc/group",
			       group);
	if (ids <= 1 && (uid || gid))
		return err_set(e, EPERM,
			       "it wants to run as user %u:%u, and without root there is "
			       "only root in a container, as you have no range of ids in "
			       "/etc/subuid and /etc/subgid; take --user 0",
			       uid, gid);
	if (ids != UINT32_MAX && (uid >= ids || gid >= ids))
		return err_set(e, EPERM,
			       "it wants to run as user %u:%u, and in the container there "
			       "are %u ids: 0 to %u", uid, gid, ids, ids - 1);
	*ret_uid = uid;
	*ret_gid = gid;
	return 0;
}

static int user_find(const struct spec_wants *w, struct json_object *process, struct lodge_err *e)
{
	const char *said = w->c->user;
	unsigned uid = 0, gid = 0;
	if (!said)
		said = w->image && w->image->user ? w->image->user : "0";
	int r = spec_user(w->root, said, w->ids, &uid, &gid, e);
	if (r < 0)
		return r;
	struct json_object *o = json_object_new_object();
	put(o, "uid", json_object_new_int64(uid));
	put(o, "gid", json_object_new_int64(gid));
	put(process, "user", o);
	return 0;
}

/* ---- what it runs ---- */

static void args_add(struct json_object *a, const struct image_texts *t)
{
	for (size_t i = 0; i < t->n; i++)
		json_object_array_add(a, text_new(t->at[i]));
}

static int args_make(const struct spec_wants *w, struct json_object *process, struct lodge_err *e)
{
	const char *entry = spec_option(w->c, "entrypoint", 0);
	struct json_object *a = json_object_new_array();
	put(process, "args", a);
	if (entry && *entry)
		json_object_array_add(a, text_new(entry));
	else if (!entry && w->image)
		args_add(a, &w->image->entrypoint);
	for (size_t i = 0; i < w->c->argc; i++)
		json_object_array_add(a, text_new(w->c->argv[i]));
	if (!w->c->argc && !entry && w->image)
		args_add(a, &w->image->cmd);
	if (!json_object_array_length(a) && !w->image)
		json_object_array_add(a, text_new("/bin/sh"));
	return json_object_array_length(a)
		   ? 0
		   : err_set(e, ENOENT,
			     "the image says of no program that it is to be run; name "
			     "one behind the image");
}

/* The last of a name counts. */
static void env_put(struct json_object *a, const char *text)
{
	size_t n = strcspn(text, "=") + 1;
	for (size_t i = 0; i < json_object_array_length(a); i++)
		if (!strncmp(json_object_get_string(json_object_array_get_idx(a, i)), text, n)) {
			json_object_array_put_idx(a, i, text_new(text));
			return;
		}
	json_object_array_add(a, text_new(text));
}

static void env_make(const struct spec_wants *w, struct json_object *process)
{
	struct json_object *a = json_object_new_array();
	char host[300];
	const char *name = spec_option(w->c, "hostname", 0);
	env_put(a, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	if (w->terminal)
		env_put(a, "TERM=xterm");
	snprintf(host, sizeof host, "HOSTNAME=%.200s", name ? name : w->host);
	env_put(a, host);
	for (size_t i = 0; w->image && i < w->image->env.n; i++)
		env_put(a, w->image->env.at[i]);
	for (size_t i = 0; i < w->c->nenv; i++)
		env_put(a, w->c->env[i]);
	put(process, "env", a);
}

/* ---- what it may do ---- */

static const char *const usual[] = {
    "CAP_CHOWN",            "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID",  "CAP_KILL",
    "CAP_NET_BIND_SERVICE", "CAP_SETFCAP",      "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID",
    "CAP_SYS_CHROOT",
};

/* Those that can be given: all, but where this process itself is confined. */
static uint64_t caps_held(void)
{
	uint64_t ret = 0;
	for (size_t i = 0; box_capability_at(i); i++)
		if (box_capability_held(i))
			ret |= UINT64_C(1) << i;
	return ret;
}

static int caps_change(const struct lodge_config *c, const char *key, bool to, uint64_t *set,
		       struct lodge_err *e)
{
	const char *word;
	for (size_t k = 0; (word = spec_option(c, key, k)); k++) {
		bool every = !strcasecmp(word, "all");
		int at = box_capability_find(word);
		if (!every && at < 0)
			return err_set(e, EINVAL, "--%s %s: no such capability", key, word);
		uint64_t which = !every ? UINT64_C(1) << at : to ? caps_held() : UINT64_MAX;
		*set = to ? *set | which : *set & ~which;
	}
	return 0;
}

static int caps_make(const struct spec_wants *w, struct json_object *process, struct lodge_err *e)
{
	static const char *const sets[] = {"bounding", "effective", "permitted"};
	uint64_t set = 0;
	for (size_t i = 0; i < countof(usual); i++)
		set |= UINT64_C(1) << box_capability_find(usual[i]);
	const char *drop = spec_option(w->c, "cap-drop", 0);
	/* --cap-drop all --cap-add X is X; --cap-add all --cap-drop X is all others */
	bool none = drop && !strcasecmp(drop, "all");
	int r = none ? caps_change(w->c, "cap-drop", false, &set, e) : 0;
	if (r == 0)
		r = caps_change(w->c, "cap-add", true, &set, e);
	if (r == 0 && !none)
		r = caps_change(w->c, "cap-drop", false, &set, e);
	struct json_object *o = json_object_new_object();
	for (size_t k = 0; k < countof(sets); k++) {
		struct json_object *a = json_object_new_array();
		for (size_t i = 0; box_capability_at(i); i++)
			if (set >> i & 1)
				json_object_array_add(a, text_new(box_capability_at(i)));
		put(o, sets[k], a);
	}
	put(process, "capabilities", o);
	return r;
}

static struct json_object *call_rule(struct json_object *names, const char *action)
{
	struct json_object *o = json_object_new_object();
	put(o, "names", names);
	put_text(o, "action", action);
	return o;
}

/* @value of argument 0, under @mask if that is not 0. */
static void rule_arg(struct json_object *rule, const char *op, uint64_t value, uint64_t two)
{
	struct json_object *a = json_object_new_array(), *o = json_object_new_object();
	put(o, "index", json_object_new_int(0));
	put(o, "value", json_object_new_int64((int64_t)value));
	put(o, "valueTwo", json_object_new_int64((int64_t)two));
	put_text(o, "op", op);
	json_object_array_add(a, o);
	put(rule, "args", a);
}

static struct json_object *seccomp_make(void)
{
	static const char *const calls[] = {
#define CALL(name) #name,
#include "level/container/calls.def"
	};
	/* Namespaces by clone are for those with rights; 0, 8 and the like are Linux as ever. */
	static const uint64_t kinds[] = {0, 0x8, 0x20000, 0x20008, 0xffffffff};
	enum { SPACES = 0x7e020000, VSOCK = 40 };
	struct json_object *s = json_object_new_object(), *list = json_object_new_array();
	struct json_object *names = json_object_new_array();
	for (size_t i = 0; i < countof(calls); i++)
		json_object_array_add(names, text_new(calls[i]));
	json_object_array_add(list, call_rule(names, "SCMP_ACT_ALLOW"));
	struct json_object *clone = call_rule(spec_words("clone"), "SCMP_ACT_ALLOW");
	rule_arg(clone, "SCMP_CMP_MASKED_EQ", SPACES, 0);
	json_object_array_add(list, clone);
	struct json_object *later = call_rule(spec_words("clone3"), "SCMP_ACT_ERRNO");
	put(later, "errnoRet", json_object_new_int(ENOSYS));
	json_object_array_add(list, later);
	for (size_t i = 0; i < countof(kinds); i++) {
		struct json_object *one = call_rule(spec_words("personality"), "SCMP_ACT_ALLOW");
		rule_arg(one, "SCMP_CMP_EQ", kinds[i], 0);
		json_object_array_add(list, one);
	}
	struct json_object *sock = call_rule(spec_words("socket"), "SCMP_ACT_ALLOW");
	rule_arg(sock, "SCMP_CMP_NE", VSOCK, 0);
	json_object_array_add(list, sock);
	put_text(s, "defaultAction", "SCMP_ACT_ERRNO");
	put(s, "architectures", spec_words("SCMP_ARCH_X86_64 SCMP_ARCH_X86 SCMP_ARCH_X32"));
	put(s, "syscalls", list);
	return s;
}

/* ---- what it sees ---- */

struct json_object *spec_mount_add(struct json_object *a, const char *to, const char *type,
				   const char *from, const char *options)
{
	struct json_object *o = json_object_new_object();
	put_text(o, "destination", to);
	put_text(o, "type", type);
	put_text(o, "source", from);
	put(o, "options", spec_words(options));
	json_object_array_add(a, o);
	return o;
}

/* Ids from 0 on are @outside and those that follow. */
static struct json_object *ids_map(uint32_t outside, uint32_t count)
{
	struct json_object *a = json_object_new_array(), *o = json_object_new_object();
	put(o, "containerID", json_object_new_int64(0));
	put(o, "hostID", json_object_new_int64(outside));
	put(o, "size", json_object_new_int64(count));
	json_object_array_add(a, o);
	return a;
}

static void mounts_usual(const struct spec_wants *w, struct json_object *a)
{
	spec_mount_add(a, "/proc", "proc", "proc", "nosuid noexec nodev");
	spec_mount_add(a, "/dev", "tmpfs", "tmpfs",
		       "nosuid noexec strictatime mode=755 size=65536k");
	spec_mount_add(a, "/dev/pts", "devpts", "devpts",
		  w->ids <= 5 ? "nosuid noexec newinstance ptmxmode=0666 mode=0620"
			    : "nosuid noexec newinstance ptmxmode=0666 mode=0620 gid=5");
	spec_mount_add(a, "/dev/shm", "tmpfs", "shm", "nosuid noexec nodev mode=1777 size=65536k");
	spec_mount_add(a, "/dev/mqueue", "mqueue", "mqueue", "nosuid noexec nodev");
	/* of a network that is its own, or the host's root's */
	if (w->netns || !w->mapped)
		spec_mount_add(a, "/sys", "sysfs", "sysfs", "nosuid noexec nodev ro");
	else
		spec_mount_add(a, "/sys", "none", "/sys", "rbind nosuid noexec nodev ro");
	if (!w->mapped || w->users >= 0)
		spec_mount_add(a, "/sys/fs/cgroup", "cgroup", "cgroup",
			  "nosuid noexec nodev relatime ro");
}

/* One with a name is the guest's own: it begins with what the image has there, and its owners are
 * the container's. */
static void volume_add(const struct spec_wants *w, const struct life_volume *v,
		       struct json_object *a)
{
	char options[64];
	bool kept = life_volume_kept(v->source);
	snprintf(options, sizeof options, "rbind rprivate %s%s", v->readonly ? "ro" : "rw",
		 kept ? " lodge_fill" : "");
	struct json_object *m = spec_mount_add(a, v->target, "bind", v->source, options);
	if (kept && w->users >= 0) {
		put(m, "uidMappings", ids_map(w->uid, w->ids));
		put(m, "gidMappings", ids_map(w->gid, w->ids));
	}
}

static int mounts_make(const struct spec_wants *w, struct json_object *a, struct lodge_err *e)
{
	static const char *const files[] = {"hosts", "hostname", "resolv.conf"};
	mounts_usual(w, a);
	for (size_t i = 0; i < countof(files); i++) {
		char from[4096], to[64];
		snprintf(from, sizeof from, "%.4000s/%s", w->files, files[i]);
		snprintf(to, sizeof to, "/etc/%s", files[i]);
		if (access(from, F_OK) == 0)
			spec_mount_add(a, to, "bind", from, "bind rprivate");
	}
	for (size_t i = 0; i < w->c->nvolumes; i++) {
		struct life_volume v = {0};
		int r = life_volume_parse(&v, w->c->volumes[i], e);
		if (r == 0)
			volume_add(w, &v, a);
		life_volume_fini(&v);
		if (r < 0)
			return r;
	}
	return 0;
}

static void spaces_make(const struct spec_wants *w, struct json_object *lin)
{
	static const char *const types[] = {"pid", "ipc", "uts", "mount", "cgroup", "network"};
	struct json_object *a = json_object_new_array();
	for (size_t i = 0; i < countof(types); i++) {
		bool net = !strcmp(types[i], "network");
		struct json_object *o;
		if (net && !w->netns)
			continue;
		o = json_object_new_object();
		put_text(o, "type", types[i]);
		if (net && *w->netns)
			put_text(o, "path", w->netns);
		json_object_array_add(a, o);
	}
	if (w->users >= 0) {
		struct json_object *o = json_object_new_object();
		char path[64];
		snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)getpid(), w->users);
		put_text(o, "type", "user");
		put_text(o, "path", path);
		json_object_array_add(a, o);
	}
	put(lin, "namespaces", a);
}

static struct json_object *resources_make(const struct spec_wants *w)
{
	struct json_object *r = cgroup_wishes(w->c, false, CONTAINER_PIDS);
	/* an ordinary user has no control groups */
	if (w->mapped && w->users < 0 && !w->c->pids_limit)
		json_object_object_del(r, "pids");
	return r;
}

static void linux_make(const struct spec_wants *w, struct json_object *spec)
{
	struct json_object *lin = json_object_new_object();
	char path[200];
	const char *filter = spec_option(w->c, "seccomp", 0);
	spaces_make(w, lin);
	put(lin, "resources", resources_make(w));
	snprintf(path, sizeof path, "/lodge/%.100s", w->id);
	put_text(lin, "cgroupsPath", path);
	if (!filter || strcmp(filter, "off"))
		put(lin, "seccomp", seccomp_make());
	put(lin, "maskedPaths",
	    spec_words("/proc/acpi /proc/asound /proc/kcore /proc/keys /proc/latency_stats "
		  "/proc/timer_list /proc/timer_stats /proc/sched_debug /proc/scsi /sys/firmware "
		  "/sys/devices/virtual/powercap"));
	put(lin, "readonlyPaths",
	    spec_words("/proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger"));
	put(spec, "linux", lin);
}

static int process_make(const struct spec_wants *w, struct json_object *spec, struct lodge_err *e)
{
	struct json_object *p = json_object_new_object();
	const char *cwd = w->c->cwd ? w->c->cwd : w->image && w->image->cwd ? w->image->cwd : "/";
	put(spec, "process", p);
	if (cwd[0] != '/')
		return err_set(e, EINVAL, "--workdir %s: no absolute path", cwd);
	put_text(p, "cwd", cwd);
	put(p, "terminal", json_object_new_boolean(w->terminal));
	env_make(w, p);
	int r = args_make(w, p, e);
	if (r == 0)
		r = user_find(w, p, e);
	return r == 0 ? caps_make(w, p, e) : r;
}

int spec_make(char **ret, const struct spec_wants *w, struct lodge_err *e)
{
	struct json_object *spec = json_object_new_object(), *root = json_object_new_object();
	struct json_object *mounts = json_object_new_array();
	const char *hostname = spec_option(w->c, "hostname", 0);
	put_text(spec, "ociVersion", "1.2.0");
	put_text(root, "path", w->root);
	put(root, "readonly", json_object_new_boolean(w->c->flags & LODGE_READONLY));
	put(spec, "root", root);
	put_text(spec, "hostname", hostname ? hostname : w->host);
	put(spec, "mounts", mounts);
	int r = process_make(w, spec, e);
	if (r == 0)
		r = mounts_make(w, mounts, e);
	if (r == 0) {
		linux_make(w, spec);
		r = spec_wishes(w, spec, e);
	}
	if (r == 0) {
		*ret = strdup(json_object_to_json_string_ext(spec, JSON_C_TO_STRING_PRETTY));
		r = *ret ? 0 : err_set(e, ENOMEM, "out of memory");
	}
	json_object_put(spec);
	return r;
}
