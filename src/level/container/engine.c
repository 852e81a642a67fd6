/* SPDX-License-Identifier: Apache-2.0 */
/* Containers that an engine (podman, containerd, CRI-O) has made with lodge-oci. Their one state is
 * the folder that the runtime keeps for them; it is read anew each time, so the engine's verbs and
 * ours see the same. A folder that another runtime has written is left alone. */
#include "level/container/internal.h"
#include "level/container/spec.h"
#include <dirent.h>
#include <json-c/json.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>

enum { SHORT = 12, LONG = 64 };

/* ---- where they are ---- */

typedef bool root_fn(void *user, const char *root); /* false: enough */

/* Each folder of @all, which has one root for each namespace of containerd's. */
static bool roots_below(const char *all, root_fn *fn, void *user)
{
	char path[PATH_MAX];
	bool more = true;
	DIR *d = opendir(all);
	for (struct dirent *de; more && d && (de = readdir(d));) {
		if (de->d_name[0] == '.' || de->d_type != DT_DIR)
			continue;
		snprintf(path, sizeof path, "%s/%.255s", all, de->d_name);
		more = fn(user, path);
	}
	if (d)
		closedir(d);
	return more;
}

/* @more: "FOLDER:FOLDER..." beside those that the runtime and the engines use by themselves. */
static void roots_each(const char *more, root_fn *fn, void *user)
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	char path[PATH_MAX];
	bool go = true;
	if (geteuid() == 0)
		go = fn(user, "/run/lodge-oci") && fn(user, "/run/runc") &&
		     roots_below("/run/containerd/runc", fn, user);
	if (go && xdg && *xdg == '/' && strlen(xdg) < PATH_MAX - 16) {
		snprintf(path, sizeof path, "%.4000s/lodge-oci", xdg);
		go = fn(user, path);
	}
	for (const char *p = more; go && p && *p; p += strspn(p, ":")) {
		size_t n = strcspn(p, ":");
		if (*p == '/' && n < sizeof path) {
			snprintf(path, sizeof path, "%.*s", (int)n, p);
			go = fn(user, path);
		}
		p += n;
	}
}

/* ---- what one is ---- */

const char *container_short_id(const char *id, char buf[SHORT + 1])
{
	if (strlen(id) != LONG || strspn(id, "0123456789abcdef") != LONG)
		return id;
	memcpy(buf, id, SHORT);
	buf[SHORT] = 0;
	return buf;
}

static struct json_object *annotation(struct json_object *notes, const char *key)
{
	struct json_object *v = NULL;
	return json_object_object_get_ex(notes, key, &v) ? v : NULL;
}

static const char *engine_name(const char *root, struct json_object *notes)
{
	struct json_object *v = annotation(notes, "io.container.manager");
	if (v)
		return strcmp(json_object_get_string(v), "libpod") ? json_object_get_string(v)
								   : "podman";
	if (!strncmp(root, "/run/containerd/", 16) ||
	    annotation(notes, "io.kubernetes.cri.container-type"))
		return "containerd";
	return "lodge-oci";
}

/* "2026-01-02T03:04:05.678901234Z" */
static int64_t time_read(const char *text)
{
	struct tm tm = {0};
	const char *rest = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
	if (!rest)
		return 0;
	int64_t ns = 0, unit = 100000000;
	for (rest += *rest == '.'; *rest >= '0' && *rest <= '9' && unit; rest++, unit /= 10)
		ns += (*rest - '0') * unit;
	return timegm(&tm) * INT64_C(1000000000) + ns;
}

/* What it runs: the name of its image where an annotation has it, else its command. */
static struct json_object *guest_of(const struct container *c, struct json_object *notes)
{
	struct json_object *image = annotation(notes, "io.kubernetes.cri.image-name");
	struct oci_doc doc = {0};
	char text[256] = "";
	if (image)
		return json_object_get(image);
	if (container_config(c, &doc, NULL) == 0 && doc.process)
		for (size_t i = 0, n = 0; i < doc.process->args.n && n < sizeof text; i++)
			n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", i ? " " : "",
					      doc.process->args.at[i]);
	oci_doc_fini(&doc);
	return json_object_new_string(text);
}

static const char *state_name(enum container_status s)
{
	return s == CONTAINER_CREATING ? "created" : container_status_name(s);
}

static struct json_object *text_new(const char *v) { return json_object_new_string(v ? v : ""); }

/* As lodge_list has guests, and with @whole as lodge_inspect has them. */
static struct json_object *describe(struct container *c, const char *root, bool whole)
{
	char id[SHORT + 1], path[64];
	enum container_status s = container_status(c);
	struct json_object *o = json_object_new_object();
	struct json_object *notes = c->annotations ? json_tokener_parse(c->annotations) : NULL;
	pid_t pid = s == CONTAINER_STOPPED ? 0 : c->pid;
	json_object_object_add(o, "name", text_new(container_short_id(c->id, id)));
	json_object_object_add(o, "id", text_new(c->id));
	json_object_object_add(o, "state", text_new(state_name(s)));
	json_object_object_add(o, "level", text_new("container"));
	json_object_object_add(o, "engine", text_new(engine_name(root, notes)));
	json_object_object_add(o, "root", text_new(root));
	json_object_object_add(o, "guest", guest_of(c, notes));
	json_object_object_add(o, "pid", json_object_new_int(pid));
	json_object_object_add(o, "created_ns", json_object_new_int64(time_read(c->created)));
	if (whole) {
		struct json_object *at = json_object_new_object();
		snprintf(path, sizeof path, "/proc/%d/root", (int)pid);
		json_object_object_add(o, "bundle", text_new(c->bundle));
		json_object_object_add(o, "rootfs", text_new(c->rootfs));
		if (notes)
			json_object_object_add(o, "annotations", json_object_get(notes));
		json_object_object_add(at, "id", text_new(c->id));
		json_object_object_add(at, "states", text_new(root));
		json_object_object_add(at, "pid", json_object_new_int(pid));
		json_object_object_add(at, "status", text_new(container_status_name(s)));
		json_object_object_add(at, "root", text_new(path));
		json_object_object_add(o, "container", at);
	}
	json_object_put(notes);
	return o;
}

struct json_object *container_describe(struct container *c, const char *root)
{
	return describe(c, root, true);
}

/* ---- all of them ---- */

/* Ours to look at, and made to the end by this runtime. */
static bool open_quietly(struct container *ret, const char *root, const char *id)
{
	if (container_open(ret, root, id, false, NULL) < 0)
		return false;
	if (ret->bundle && ret->pid)
		return true;
	container_fini(ret);
	return false;
}

static bool root_list(void *user, const char *root)
{
	struct json_object *ids = NULL;
	struct container c;
	if (container_ids(root, &ids, NULL) < 0)
		return true;
	for (size_t i = 0; i < json_object_array_length(ids); i++) {
		const char *id = json_object_get_string(json_object_array_get_idx(ids, i));
		if (!open_quietly(&c, root, id))
			continue;
		json_object_array_add(user, describe(&c, root, false));
		container_fini(&c);
	}
	json_object_put(ids);
	return true;
}

void container_engines_list(const char *more, struct json_object *list)
{
	roots_each(more, root_list, list);
}

/* ---- one of them ---- */

struct search {
	const char *word;
	char *root, *id; /* owned: of what was found */
	bool exact;
	unsigned found;
};

static bool root_search(void *user, const char *root)
{
	struct search *s = user;
	struct json_object *ids = NULL;
	struct container c;
	size_t n = strlen(s->word);
	if (container_ids(root, &ids, NULL) < 0)
		return true;
	for (size_t i = 0; !s->exact && i < json_object_array_length(ids); i++) {
		const char *id = json_object_get_string(json_object_array_get_idx(ids, i));
		if (strncmp(id, s->word, n) != 0 || !open_quietly(&c, root, id))
			continue;
		container_fini(&c);
		s->exact = strlen(id) == n;
		s->found = s->exact ? 1 : s->found + 1;
		free(s->root);
		free(s->id);
		s->root = strdup(root);
		s->id = strdup(id);
	}
	json_object_put(ids);
	return !s->exact;
}

int container_engines_find(const char *more, const char *word, char **ret_root, char **ret_id,
			   struct lodge_err *e)
{
	struct search s = {.word = word};
	int r = 0;
	if (*word)
		roots_each(more, root_search, &s);
	if (!s.found)
		r = err_set(e, ENOENT, "there is no container of an engine called '%s'", word);
	else if (s.found > 1)
		r = err_set(e, ENOTUNIQ, "'%s' is the beginning of %u containers' ids: write more "
			    "of it", word, s.found);
	else if (!s.root || !s.id)
		r = err_set(e, ENOMEM, "out of memory");
	if (r < 0) {
		free(s.root);
		free(s.id);
		return r;
	}
	*ret_root = s.root;
	*ret_id = s.id;
	return 0;
}

/* ---- what is done to one ---- */

int container_stop_signal(const struct container *c)
{
	struct json_object *notes = c->annotations ? json_tokener_parse(c->annotations) : NULL;
	struct json_object *v = annotation(notes, "org.opencontainers.image.stopSignal");
	int n = v ? host_signal_find(json_object_get_string(v)) : SIGTERM;
	json_object_put(notes);
	return n > 0 ? n : SIGTERM;
}

int container_await(struct container *c, int ms)
{
	autoclose int fd = (int)syscall(SYS_pidfd_open, c->pid, 0);
	struct pollfd p = {.fd = fd, .events = POLLIN};
	if (fd < 0 || container_status(c) == CONTAINER_STOPPED)
		return 1;
	int r;
	do
		r = poll(&p, 1, ms);
	while (r < 0 && errno == EINTR);
	return r > 0;
}

static void drop_unless(struct json_object *changes, const char *key, struct json_object *of,
			const char *part, const char *member)
{
	struct json_object *o = NULL;
	if (!json_object_object_get_ex(changes, key, NULL) &&
	    json_object_object_get_ex(of, part, &o))
		json_object_object_del(o, member);
}

int container_limit(struct container *c, const struct lodge_config *limits,
		    struct json_object *changes, struct lodge_err *e)
{
	struct oci_doc doc = {0};
	struct json_object *o = cgroup_wishes(limits, true, CONTAINER_PIDS), *pids = NULL;
	drop_unless(changes, "cpu_milli", o, "cpu", "quota");
	drop_unless(changes, "memory", o, "memory", "limit");
	drop_unless(changes, "pids_limit", o, "pids", "limit");
	if (!limits->pids_limit && json_object_object_get_ex(o, "pids", &pids) &&
	    json_object_object_get_ex(pids, "limit", NULL)) /* of an engine's, none is none */
		json_object_object_add(pids, "limit", json_object_new_int(-1));
	const char *text = json_object_to_json_string(o);
	int r = oci_resources_read(&doc, text, strlen(text), e);
	if (r == 0)
		r = container_update(c, doc.resources, e);
	oci_doc_fini(&doc);
	json_object_put(o);
	return r;
}
