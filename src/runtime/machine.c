/* SPDX-License-Identifier: Apache-2.0 */
/* Containers whose annotation dev.lodge.level is "machine". What the host gets is a container too,
 * with namespaces, control groups and hooks as they are asked for; but its root is the host's, and
 * its program is `lodge run --level machine --root ROOTFS`, which is the container's program to
 * everybody outside: its streams, its end, and what is sent to it. Mounts of the host are made
 * below ROOTFS, in the container's mount namespace, and the guest sees them there; what a kernel of
 * its own has to make (/proc, /sys, /dev), the guest makes. One more process is `lodge exec`. */
#include "runtime/internal.h"
#include <ctype.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { NAME_LEN = 32, KEEPER_BYTES = 96 << 20, MEMORY_LEAST = 128 << 20, CPUS_MOST = 16 };
enum { TASKS_LEAST = 64 }; /* threads of the machine itself */

/* ---- JSON in short ---- */

static struct json_object *member(struct json_object *o, const char *key)
{
	struct json_object *v = NULL;
	return o && json_object_object_get_ex(o, key, &v) ? v : NULL;
}

static const char *text_of(struct json_object *o, const char *key)
{
	struct json_object *v = member(o, key);
	return v && json_object_is_type(v, json_type_string) ? json_object_get_string(v) : NULL;
}

static size_t length(struct json_object *a)
{
	return a && json_object_is_type(a, json_type_array) ? json_object_array_length(a) : 0;
}

static void add(struct json_object *list, const char *text)
{
	json_object_array_add(list, json_object_new_string(text));
}

static void put(struct json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, json_object_new_string(text));
}

static const char *annotation(struct json_object *spec, const char *key)
{
	return text_of(member(spec, "annotations"), key);
}

/* ---- names ---- */

/* The guest's name: short, for sockets lie below it. FNV-1a of all of @id. */
static void guest_name(const char *id, char ret[NAME_LEN])
{
	uint64_t h = 0xcbf29ce484222325u;
	for (const char *p = id; *p; p++)
		h = (h ^ (uint8_t)*p) * 0x100000001b3u;
	int n = snprintf(ret, NAME_LEN, "c%.12s-%08x", id, (unsigned)(h ^ h >> 32));
	for (int i = 0; i < n; i++)
		if (!isalnum((unsigned char)ret[i]) && ret[i] != '-')
			ret[i] = '_';
}

/* The program that has all levels: beside this one, or in PATH; malloc'ed. */
static char *lodge_find(const struct runtime_call *c, struct lodge_err *e)
{
	const char *set = getenv("LODGE_PROGRAM"), *path = getenv("PATH");
	const char *slash = strrchr(c->program, '/');
	char *one = NULL, *all = NULL;
	if (set)
		return strdup(set);
	if (asprintf(&all, "%.*s:%s:/usr/local/bin:/usr/bin", slash ? (int)(slash - c->program) : 0,
		     c->program, path ? path : "") < 0) {
		(void)!err_set(e, ENOMEM, "out of memory");
		return NULL;
	}
	char *rest = all;
	for (char *dir; !one && (dir = strsep(&rest, ":"));)
		if (*dir == '/' && (asprintf(&one, "%s/lodge", dir) < 0 || access(one, X_OK) < 0))
			free(take(one));
	free(all);
	if (!one)
		(void)!err_set(e, ENOENT,
			       "dev.lodge.level: no program 'lodge' beside this one or "
			       "in PATH; LODGE_PROGRAM can name it");
	return one;
}

/* What exec finds of the rights that the container was given. */
#define RIGHTS "dev.lodge.rights"
static void annotate(struct json_object *spec, const char *key, const char *text)
{
	struct json_object *all = member(spec, "annotations");
	if (all) /* it has one: dev.lodge.level */
		put(all, key, text);
}

/* Their folder, which nobody else may write to: there are sockets in it. */
static int guests_dir(const char *dir, struct lodge_err *e)
{
	struct stat st;
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return err_sys(e, "%s", dir);
	if (lstat(dir, &st) < 0)
		return err_sys(e, "%s", dir);
	return S_ISDIR(st.st_mode) && st.st_uid == geteuid() && !(st.st_mode & 022)
		   ? 0
		   : err_set(e, EPERM, "%s: not a folder that only this user writes to", dir);
}

/* Where guests of the runtime's root @root have their folders and sockets. */
static char *state_dir(const char *root)
{
	char *own = NULL;
	return asprintf(&own, "%s-vm", root) < 0 ? NULL : own;
}

/* ---- mounts ---- */

static bool guest_makes(const char *to)
{
	static const char *const own[] = {"/proc", "/sys", "/dev"};
	for (size_t i = 0; i < countof(own); i++) {
		size_t n = strlen(own[i]);
		if (!strncmp(to, own[i], n) && (!to[n] || to[n] == '/'))
			return true;
	}
	return false;
}

/* Where @to of the root leads, links followed inside of it; what is not there yet is added as it
 * is. Malloc'ed. The image must not lead a mount out of its root. */
static char *place_of(int rootfd, const char *root, const char *to, struct lodge_err *e)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};
	char part[PATH_MAX], link[64], got[PATH_MAX], *own = NULL;
	size_t n = strlen(to), len = strlen(root);
	if (*to != '/' || n >= sizeof part || strstr(to, "/../") ||
	    (n > 2 && !strcmp(to + n - 3, "/.."))) {
		(void)!err_set(e, EINVAL, ".mounts: %.200s: not a place", to);
		return NULL;
	}
	for (unsigned tries = 0;; n = (size_t)(strrchr(part, '/') - part)) {
		int fd;
		snprintf(part, sizeof part, "%.*s", (int)n, to);
		do /* EAGAIN: somebody on this host has moved something meanwhile */
			fd = (int)syscall(SYS_openat2, rootfd, n ? part : "/", &how, sizeof how);
		while (fd < 0 && errno == EAGAIN && tries++ < 1000);
		if (fd < 0 && errno == ENOENT && n)
			continue;
		snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
		ssize_t k = fd < 0 ? -1 : readlink(link, got, sizeof got - 1);
		got[k < 0 ? 0 : k] = 0;
		if (k < 0 || strncmp(got, root, len) || (got[len] && got[len] != '/' && len > 1)) {
			(void)!err_sys(e, ".mounts: %.200s", to);
			close(fd);
			return NULL;
		}
		close(fd);
		return asprintf(&own, "%s%s", got, to + n) < 0 ? NULL : own;
	}
}

static int mounts_move(struct json_object *spec, const char *root, struct lodge_err *e)
{
	struct json_object *old = member(spec, "mounts"), *list = json_object_new_array();
	autoclose int rootfd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = rootfd < 0 ? err_sys(e, ".root.path: %.300s", root) : 0;
	for (size_t i = 0; r == 0 && i < length(old); i++) {
		struct json_object *m = json_object_array_get_idx(old, i);
		const char *to = text_of(m, "destination");
		if (!to || guest_makes(to))
			continue;
		char *there = place_of(rootfd, root, to, e);
		if (!there) {
			r = -EINVAL;
			break;
		}
		put(m, "destination", there);
		free(there);
		json_object_array_add(list, json_object_get(m));
	}
	json_object_object_add(spec, "mounts", list);
	return r;
}

/* ---- the program ---- */

/* What the guest's kernel shall keep it to, in the agent's words: guest/agent/PROTOCOL.md "Rights".
 * Malloc'ed; NULL: out of memory. */
static char *rights_text(const struct oci_process *p)
{
	char *text = NULL;
	size_t len;
	struct box_rights r;
	FILE *f = open_memstream(&text, &len);
	if (!f)
		return NULL;
	box_rights_read(&r, p);
	fprintf(f, ";caps=%llx,%llx,%llx,%llx,%llx", (unsigned long long)r.bounding,
		(unsigned long long)r.effective, (unsigned long long)r.permitted,
		(unsigned long long)r.inheritable, (unsigned long long)r.ambient);
	for (size_t i = 0; i < p->rlimits.n; i++) {
		const struct oci_rlimit *l = &p->rlimits.at[i];
		fputc(';', f);
		for (const char *c = oci_words_rlimits[l->type - 1] + strlen("RLIMIT_"); *c; c++)
			fputc(tolower((unsigned char)*c), f);
		fprintf(f, "=%llu:%llu", (unsigned long long)l->soft.v,
			(unsigned long long)l->hard.v);
	}
	if (p->no_new_privileges)
		fputs(";nnp", f);
	if (p->oom_score_adj.set)
		fprintf(f, ";oom=%d", (int)p->oom_score_adj.v);
	fprintf(f, ";umask=%o",
		p->user && p->user->umask.set ? (unsigned)p->user->umask.v & 0777 : 022);
	if (fclose(f) != 0)
		free(take(text));
	return text;
}

static void user_add(struct json_object *list, struct json_object *process, const char *rights)
{
	struct json_object *u = member(process, "user"), *more = member(u, "additionalGids");
	char *text = NULL, *own = NULL;
	if (asprintf(&own, "%llu:%llu", (unsigned long long)json_object_get_int64(member(u, "uid")),
		     (unsigned long long)json_object_get_int64(member(u, "gid"))) < 0)
		return;
	for (size_t i = 0; i < length(more); i++) {
		text = own;
		if (asprintf(&own, "%s,%llu", text,
			     (unsigned long long)json_object_get_int64(
				 json_object_array_get_idx(more, i))) < 0)
			own = text;
		else
			free(text);
	}
	text = own;
	if (asprintf(&own, "%s%s", text, rights) < 0)
		own = text;
	else
		free(text);
	add(list, "-u");
	add(list, own);
	free(own);
}

/* Whom, where, with what around it. */
static void around_add(struct json_object *list, struct json_object *process, const char *rights)
{
	struct json_object *env = member(process, "env");
	user_add(list, process, rights);
	add(list, "-w");
	add(list, text_of(process, "cwd") ? text_of(process, "cwd") : "/");
	for (size_t i = 0; i < length(env); i++) {
		add(list, "-e");
		json_object_array_add(list, json_object_get(json_object_array_get_idx(env, i)));
	}
	if (json_object_get_boolean(member(process, "terminal")))
		add(list, "-t");
}

static void program_add(struct json_object *list, struct json_object *process)
{
	struct json_object *args = member(process, "args");
	for (size_t i = 0; i < length(args); i++) {
		/* lodge takes one "--" behind its first operand for itself */
		if (i == 1 &&
		    !strcmp(json_object_get_string(json_object_array_get_idx(args, 1)), "--"))
			add(list, "--");
		json_object_array_add(list, json_object_get(json_object_array_get_idx(args, i)));
	}
}

/* How many CPUs a list like "0-3,7" names. */
static int64_t cpus_count(const char *list)
{
	int64_t n = 0;
	for (const char *p = list; p && isdigit((unsigned char)*p);) {
		char *end;
		long from = strtol(p, &end, 10), to = from;
		if (*end == '-')
			to = strtol(end + 1, &end, 10);
		n += to <= from ? 1 : to - from < CPUS_MOST ? to - from + 1 : CPUS_MOST;
		p = end + (*end == ',');
	}
	return n;
}

/* Memory of the machine: as annotated, or what the control group leaves beside the keeper. */
static void size_add(struct json_object *list, struct json_object *spec)
{
	struct json_object *res = member(member(spec, "linux"), "resources");
	int64_t limit = json_object_get_int64(member(member(res, "memory"), "limit"));
	int64_t quota = json_object_get_int64(member(member(res, "cpu"), "quota"));
	int64_t period = json_object_get_int64(member(member(res, "cpu"), "period"));
	int64_t n = quota > 0 && period > 0 ? (quota - 1) / period + 1 : 0;
	int64_t some = cpus_count(text_of(member(res, "cpu"), "cpus"));
	const char *memory = annotation(spec, "dev.lodge.memory"),
		   *cpus = annotation(spec, "dev.lodge.cpus");
	char text[32];
	if (!memory && limit > 0) {
		int64_t left = limit - KEEPER_BYTES;
		snprintf(text, sizeof text, "%lldM",
			 (long long)(left < MEMORY_LEAST ? MEMORY_LEAST : left) >> 20);
		memory = text;
	}
	if (memory) {
		add(list, "-m");
		add(list, memory);
	}
	n = some && (!n || some < n) ? some : n;
	if (!cpus && n) {
		snprintf(text, sizeof text, "%lld", (long long)(n < CPUS_MOST ? n : CPUS_MOST));
		cpus = text;
	}
	if (cpus) {
		add(list, "--cpus");
		add(list, cpus);
	}
}

/* What lodge itself runs with: its folders, and the caller's image. */
static struct json_object *own_env(const char *dir)
{
	struct json_object *list = json_object_new_array();
	const char *const home = getenv("HOME"), *cache = getenv("XDG_CACHE_HOME");
	char *text = NULL;
	const struct {
		const char *key, *value;
	} all[] = {{"PATH", getenv("PATH")},
		   {"HOME", home ? home : "/root"},
		   {"XDG_CACHE_HOME", cache},
		   {"XDG_DATA_HOME", dir},
		   {"XDG_RUNTIME_DIR", dir}};
	for (size_t i = 0; i < countof(all); i++) {
		if (!all[i].value || asprintf(&text, "%s=%s", all[i].key, all[i].value) < 0)
			continue;
		add(list, text);
		free(text);
	}
	return list;
}

/* The rights to keep files of a guest's users, as far as the container was to have them. */
static void rights_put(struct json_object *process)
{
	static const char *const sets[] = {"bounding", "effective", "permitted"};
	static const char *const want[] = {"CAP_CHOWN",           "CAP_DAC_OVERRIDE", "CAP_FOWNER",
					   "CAP_FSETID",          "CAP_KILL",         "CAP_SETFCAP",
					   "CAP_DAC_READ_SEARCH", "CAP_SYS_NICE"};
	struct json_object *caps = json_object_new_object();
	for (size_t i = 0; i < countof(sets); i++) {
		struct json_object *list = json_object_new_array();
		for (size_t k = 0; k < countof(want); k++)
			add(list, want[k]);
		json_object_object_add(caps, sets[i], list);
	}
	json_object_object_add(process, "capabilities", caps);
	json_object_object_add(process, "noNewPrivileges", json_object_new_boolean(true));
}

/* @list, owned from now on, is what @process runs instead. */
static void process_put(struct json_object *process, struct json_object *list, const char *dir)
{
	static const char *const gone[] = {"apparmorProfile", "selinuxLabel", "user", "rlimits"};
	for (size_t i = 0; i < countof(gone); i++)
		json_object_object_del(process, gone[i]);
	json_object_object_add(process, "args", list);
	json_object_object_add(process, "env", own_env(dir));
	put(process, "cwd", "/");
	struct json_object *user = json_object_new_object();
	json_object_object_add(user, "uid", json_object_new_int(0));
	json_object_object_add(user, "gid", json_object_new_int(0));
	json_object_object_add(process, "user", user);
	rights_put(process);
}

static struct json_object *run_words(struct json_object *spec, const char *lodge, const char *name,
				     const char *root, const char *rights)
{
	struct json_object *list = json_object_new_array(), *process = member(spec, "process");
	const char *kernel = annotation(spec, "dev.lodge.kernel"),
		   *host = text_of(spec, "hostname");
	const char *const first[] = {lodge,     "run",    "--rm", "--name", name,         "--level",
				     "machine", "--root", root,   "-o",     "prepared=on"};
	char *text = NULL;
	for (size_t i = 0; i < countof(first); i++)
		add(list, first[i]);
	if (host && asprintf(&text, "hostname=%s", host) >= 0) {
		add(list, "-o");
		add(list, text);
		free(text);
	}
	if (kernel) {
		add(list, "--kernel");
		add(list, kernel);
	}
	if (json_object_get_boolean(member(member(spec, "root"), "readonly")))
		add(list, "--read-only");
	size_add(list, spec);
	around_add(list, process, rights);
	add(list, "--");
	program_add(list, process);
	return list;
}

/* ---- the whole ---- */

/* A limit of tasks is one of the machine's own threads: with less than these there is none. */
static void tasks_raise(struct json_object *spec)
{
	struct json_object *pids = member(member(member(spec, "linux"), "resources"), "pids");
	int64_t limit = json_object_get_int64(member(pids, "limit"));
	if (limit > 0 && limit < TASKS_LEAST)
		json_object_object_add(pids, "limit", json_object_new_int(TASKS_LEAST));
}

static int spec_change(struct json_object *spec, const char *bundle, const struct runtime_call *c,
		       const char *rights, struct lodge_err *e)
{
	static const char *const gone[] = {"seccomp",   "maskedPaths", "readonlyPaths",
					   "devices",   "sysctl",      "rootfsPropagation",
					   "mountLabel"};
	const char *path = text_of(member(spec, "root"), "path");
	struct json_object *lin = member(spec, "linux");
	char root[PATH_MAX], name[NAME_LEN], *full = NULL;
	if (!path || !member(spec, "process"))
		return err_set(e, EINVAL, ".root and .process: a machine needs both");
	if (asprintf(&full, "%s%s%s", *path == '/' ? "" : bundle, *path == '/' ? "" : "/", path) <
	    0)
		return err_set(e, ENOMEM, "out of memory");
	bool found = realpath(full, root);
	free(full);
	if (!found)
		return err_sys(e, ".root.path: %.300s", path);
	autofree char *dir = state_dir(c->root);
	autofree char *lodge = lodge_find(c, e);
	if (!dir || !lodge)
		return -ENOENT;
	int r = guests_dir(dir, e);
	if (r == 0)
		r = mounts_move(spec, root, e);
	if (r < 0)
		return r;
	guest_name(c->operands[0], name);
	tasks_raise(spec);
	process_put(member(spec, "process"), run_words(spec, lodge, name, root, rights), dir);
	annotate(spec, RIGHTS, rights);
	put(member(spec, "root"), "path", "/");
	json_object_object_add(member(spec, "root"), "readonly", json_object_new_boolean(false));
	for (size_t i = 0; lin && i < countof(gone); i++)
		json_object_object_del(lin, gone[i]);
	return 0;
}

int machine_bundle(struct bundle *b, const struct runtime_call *c, struct lodge_err *e)
{
	const char *level = oci_annotation(b->doc.spec, "dev.lodge.level");
	if (!level || strcmp(level, "machine") != 0)
		return 0;
	struct json_object *spec = json_tokener_parse(b->text);
	autofree char *rights = b->doc.spec->process ? rights_text(b->doc.spec->process) : NULL;
	int r = !spec     ? err_set(e, EINVAL, "config.json")
		: !rights ? err_set(e, EINVAL, ".process: a machine needs one")
			  : spec_change(spec, b->path, c, rights, e);
	char *text =
	    r == 0 ? strdup(json_object_to_json_string_ext(spec, JSON_C_TO_STRING_PLAIN)) : NULL;
	json_object_put(spec);
	if (r < 0)
		return r;
	if (!text)
		return err_set(e, ENOMEM, "out of memory");
	free(b->text);
	b->text = text;
	b->len = strlen(text);
	oci_doc_fini(&b->doc);
	b->doc = (struct oci_doc){0};
	return oci_spec_read(&b->doc, b->text, b->len, e);
}

bool machine_is(const struct container *c)
{
	struct json_object *o = c->annotations ? json_tokener_parse(c->annotations) : NULL;
	const char *level = text_of(o, "dev.lodge.level");
	bool is = level && !strcmp(level, "machine");
	json_object_put(o);
	return is;
}

/* What `exec` has in its options. */
static struct json_object *process_made(const struct runtime_call *c, uint32_t uid, uint32_t gid)
{
	struct json_object *p = json_object_new_object(), *list = json_object_new_array();
	size_t n;
	for (size_t i = 1; i < c->n; i++)
		add(list, c->operands[i]);
	json_object_object_add(p, "args", list);
	list = json_object_new_array();
	const char *const *env = call_list(c, "env", &n);
	for (size_t i = 0; i < n; i++)
		add(list, env[i]);
	json_object_object_add(p, "env", list);
	put(p, "cwd", call_text(c, "cwd") ? call_text(c, "cwd") : "/");
	json_object_object_add(p, "terminal", json_object_new_boolean(call_flag(c, "tty")));
	struct json_object *u = json_object_new_object();
	json_object_object_add(u, "uid", json_object_new_int64(uid));
	json_object_object_add(u, "gid", json_object_new_int64(gid));
	json_object_object_add(p, "user", u);
	return p;
}

static int process_change(const struct runtime_call *c, const char *id, struct json_object *process,
			  const char *rights, struct lodge_err *e)
{
	char name[NAME_LEN];
	struct json_object *list = json_object_new_array(), *args = member(process, "args");
	autofree char *dir = state_dir(c->root);
	autofree char *lodge = lodge_find(c, e);
	if (!dir || !lodge) {
		json_object_put(list);
		return -ENOENT;
	}
	const char *const first[] = {lodge, "exec", "--wait", "1m", "-i"};
	for (size_t i = 0; i < countof(first); i++)
		add(list, first[i]);
	around_add(list, process, rights);
	guest_name(id, name);
	add(list, name);
	add(list, "--"); /* the one that lodge takes for itself */
	for (size_t i = 0; i < length(args); i++)
		json_object_array_add(list, json_object_get(json_object_array_get_idx(args, i)));
	process_put(process, list, dir);
	return 0;
}

/* Those of the process, if it has any; else the container's. *@ret is malloc'ed. */
static int exec_rights(const struct container *one, const char *process, size_t len, char **ret,
		       struct lodge_err *e)
{
	struct oci_doc d = {0};
	int r = process ? oci_process_read(&d, process, len, e) : 0;
	if (r == 0 && process && d.process->capabilities) {
		*ret = rights_text(d.process);
	} else if (r == 0) {
		struct json_object *o =
		    one->annotations ? json_tokener_parse(one->annotations) : NULL;
		const char *kept = text_of(o, RIGHTS);
		*ret = strdup(kept ? kept : "");
		json_object_put(o);
	}
	oci_doc_fini(&d);
	return r == 0 && !*ret ? err_set(e, ENOMEM, "out of memory") : r;
}

int machine_exec(const struct runtime_call *c, const struct container *one, struct oci_doc *ret)
{
	const char *file = call_text(c, "process"), *user = call_text(c, "user");
	struct lodge_err e;
	autofree char *text = NULL, *rights = NULL;
	size_t len = 0;
	uint32_t uid = 0, gid = 0;
	if (!file && user && !user_read(user, &uid, &gid))
		return say_text("--user %s: UID[:GID] in numbers", user);
	int r = file ? text_read(file, &text, &len, &e) : 0;
	if (r == 0)
		r = exec_rights(one, text, len, &rights, &e);
	struct json_object *p = r < 0  ? NULL
				: file ? json_tokener_parse(text)
				       : process_made(c, uid, gid);
	if (r == 0 && !json_object_is_type(p, json_type_object))
		r = err_set(&e, EINVAL, "--process %s: not an object", file ? file : "");
	if (r == 0)
		r = process_change(c, one->id, p, rights, &e);
	if (r == 0) {
		const char *now = json_object_to_json_string_ext(p, JSON_C_TO_STRING_PLAIN);
		r = oci_process_read(ret, now, strlen(now), &e);
	}
	json_object_put(p);
	return r < 0 ? say_error(&e) : 0;
}

void machine_forget(const struct container *one, const struct runtime_call *c)
{
	char name[NAME_LEN], *env[8] = {NULL};
	autofree char *dir = state_dir(c->root);
	autofree char *lodge = lodge_find(c, NULL);
	int null;
	if (!dir || !lodge)
		return;
	guest_name(one->id, name);
	struct json_object *list = own_env(dir);
	for (size_t i = 0; i < length(list) && i < countof(env) - 1; i++)
		env[i] = strdup(json_object_get_string(json_object_array_get_idx(list, i)));
	pid_t pid = fork();
	if (pid == 0) {
		null = open("/dev/null", O_RDWR);
		for (int i = 0; i < 3; i++)
			dup2(null, i);
		execve(lodge, (char *[]){lodge, (char[]){"rm"}, (char[]){"-f"}, name, NULL}, env);
		_exit(1);
	}
	host_reap(pid);
	for (size_t i = 0; i < countof(env); i++)
		free(env[i]);
	json_object_put(list);
}
