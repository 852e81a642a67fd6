/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration as JSON and back: one table of fields for both directions. */
#include "life/internal.h"
#include <limits.h>
#include <stdio.h>

enum field_kind { F_TEXT, F_PATH, F_U64, F_U32, F_LIST, F_DISKS, F_VOLUMES };
struct field {
	const char *key;
	enum field_kind kind;
	size_t off, count_off;
};
#define AT(f) offsetof(struct lodge_config, f)
static const struct field fields[] = {
    {"level", F_TEXT, AT(level), 0},
    {"name", F_TEXT, AT(name), 0},
    {"guest", F_TEXT, AT(guest), 0},
    {"argv", F_LIST, AT(argv), AT(argc)},
    {"memory", F_U64, AT(memory), 0},
    {"cpus", F_U32, AT(cpus), 0},
    {"flags", F_U32, AT(flags), 0},
    {"accel", F_TEXT, AT(accel), 0},
    {"kernel", F_PATH, AT(kernel), 0},
    {"initrd", F_PATH, AT(initrd), 0},
    {"firmware", F_PATH, AT(firmware), 0},
    {"append", F_TEXT, AT(append), 0},
    {"disks", F_DISKS, AT(disks), AT(ndisks)},
    {"volumes", F_VOLUMES, AT(volumes), AT(nvolumes)},
    {"publish", F_LIST, AT(publish), AT(npublish)},
    {"env", F_LIST, AT(env), AT(nenv)},
    {"net", F_TEXT, AT(net), 0},
    {"bus", F_TEXT, AT(bus), 0},
    {"mmu", F_TEXT, AT(mmu), 0},
    {"root", F_PATH, AT(root), 0},
    {"cwd", F_TEXT, AT(cwd), 0},
    {"timeout_ns", F_U64, AT(timeout_ns), 0},
    {"options", F_LIST, AT(options), AT(noptions)},
    {"cpu_milli", F_U32, AT(cpu_milli), 0},
    {"cpu_weight", F_U32, AT(cpu_weight), 0},
    {"cpuset", F_TEXT, AT(cpuset), 0},
    {"memory_limit", F_U64, AT(memory_limit), 0},
    {"disk_iops", F_U64, AT(disk_iops), 0},
    {"disk_bps", F_U64, AT(disk_bps), 0},
    {"net_bps", F_U64, AT(net_bps), 0},
    {"restart", F_TEXT, AT(restart), 0},
    {"idle_timeout_ns", F_U64, AT(idle_timeout_ns), 0},
    {"user", F_TEXT, AT(user), 0},
    {"log_max", F_U64, AT(log_max), 0},
    {"pids_limit", F_U64, AT(pids_limit), 0},
    {"memory_reservation", F_U64, AT(memory_reservation), 0},
    {"memory_swap", F_U64, AT(memory_swap), 0},
    {"labels", F_LIST, AT(labels), AT(nlabels)},
};

/* @path against the current folder; malloc'ed. Symbolic links are kept: they may be moved later. */
static char *path_absolute(const char *path)
{
	char *ret = NULL;
	if (path[0] == '/')
		return strdup(path);
	autofree char *cwd = getcwd(NULL, 0);
	if (!cwd || asprintf(&ret, "%s/%s", strcmp(cwd, "/") ? cwd : "", path) < 0)
		return NULL;
	return ret;
}

static struct json_object *path_json(const char *path)
{
	autofree char *abs = path_absolute(path);
	return json_object_new_string(abs ? abs : path);
}

static struct json_object *disk_json(const char *spec)
{
	struct life_disk d = {0};
	if (life_disk_parse(&d, spec, NULL) < 0 || !d.path) {
		life_disk_fini(&d);
		return json_object_new_string(spec);
	}
	autofree char *path = path_absolute(d.path);
	autofree char *over = d.overlay ? path_absolute(d.overlay) : NULL;
	autofree char *text = NULL;
	if (asprintf(&text, "%s%s%s%s%s%s%s%s", path ? path : d.path, d.format ? ",format=" : "",
		     d.format ? d.format : "", d.bus ? ",bus=" : "", d.bus ? d.bus : "",
		     over ? ",overlay=" : "", over ? over : "", d.readonly ? ",ro" : "") < 0)
		text = NULL;
	life_disk_fini(&d);
	return json_object_new_string(text ? text : spec);
}

static struct json_object *volume_json(const char *spec)
{
	struct life_volume v = {0};
	if (life_volume_parse_any(&v, spec, NULL) < 0)
		return json_object_new_string(spec);
	autofree char *source = path_absolute(v.source);
	autofree char *text = NULL;
	if (asprintf(&text, "%s:%s%s", source ? source : v.source, v.target,
		     v.readonly ? ":ro" : "") < 0)
		text = NULL;
	life_volume_fini(&v);
	return json_object_new_string(text ? text : spec);
}

static struct json_object *list_json(enum field_kind kind, const char *const *v, size_t n)
{
	struct json_object *a = json_object_new_array();
	for (size_t i = 0; i < n; i++)
		json_object_array_add(a, kind == F_DISKS     ? disk_json(v[i])
					 : kind == F_VOLUMES ? volume_json(v[i])
							     : json_object_new_string(v[i]));
	return a;
}

static struct json_object *field_json(const struct lodge_config *c, const struct field *f)
{
	const char *p = (const char *)c + f->off;
	const char *text;
	size_t n;
	switch (f->kind) {
	case F_TEXT:
	case F_PATH:
		text = *(const char *const *)(const void *)p;
		if (!text)
			return NULL;
		return f->kind == F_PATH ? path_json(text) : json_object_new_string(text);
	case F_U64: return json_object_new_int64((int64_t) * (const uint64_t *)(const void *)p);
	case F_U32: return json_object_new_int64(*(const uint32_t *)(const void *)p);
	case F_LIST:
	case F_DISKS:
	case F_VOLUMES:
		n = *(const size_t *)(const void *)((const char *)c + f->count_off);
		return n ? list_json(f->kind, *(const char *const *const *)(const void *)p, n)
			 : NULL;
	}
	return NULL;
}

struct json_object *life_config_json(const struct lodge_config *c)
{
	struct json_object *o = json_object_new_object();
	for (size_t i = 0; i < countof(fields); i++) {
		struct json_object *v = field_json(c, &fields[i]);
		if (v)
			json_object_object_add(o, fields[i].key, v);
	}
	/* A guest that is a file of this folder must be found from any other. */
	if (c->guest && !c->root && access(c->guest, F_OK) == 0 && strchr(c->guest, '/'))
		json_object_object_add(o, "guest", path_json(c->guest));
	return o;
}

/* ---- and back ---- */

static int load_list(struct life_config *lc, const struct field *f, struct json_object *v,
		     struct lodge_err *e)
{
	size_t n = json_object_is_type(v, json_type_array) ? json_object_array_length(v) : SIZE_MAX;
	if (n > 4096 || lc->narrays == countof(lc->arrays))
		return err_set(e, EINVAL, "'%s' is not a list of texts", f->key);
	const char **a = calloc(n + 1, sizeof *a);
	if (!a)
		return err_set(e, ENOMEM, "out of memory");
	lc->arrays[lc->narrays++] = a;
	for (size_t i = 0; i < n; i++) {
		struct json_object *s = json_object_array_get_idx(v, i);
		a[i] = json_object_is_type(s, json_type_string) ? json_object_get_string(s) : NULL;
		if (!a[i] || strlen(a[i]) != (size_t)json_object_get_string_len(s))
			return err_set(e, EINVAL, "'%s' is not a list of texts", f->key);
	}
	*(const char *const **)(void *)((char *)&lc->c + f->off) = a;
	*(size_t *)(void *)((char *)&lc->c + f->count_off) = n;
	return 0;
}

static int load_field(struct life_config *lc, const struct field *f, struct lodge_err *e)
{
	char *p = (char *)&lc->c + f->off;
	struct json_object *v = NULL;
	int64_t n = 0;
	if (!json_object_object_get_ex(lc->doc, f->key, &v))
		return 0;
	switch (f->kind) {
	case F_TEXT:
	case F_PATH:
		if (!json_text(lc->doc, f->key, (const char **)(void *)p))
			return err_set(e, EINVAL, "'%s' is not a text", f->key);
		return 0;
	case F_U64:
	case F_U32:
		if (!json_i64(lc->doc, f->key, &n) || n < 0 || (f->kind == F_U32 && n > UINT32_MAX))
			return err_set(e, EINVAL, "'%s' is not a number in range", f->key);
		if (f->kind == F_U64)
			*(uint64_t *)(void *)p = (uint64_t)n;
		else
			*(uint32_t *)(void *)p = (uint32_t)n;
		return 0;
	case F_LIST:
	case F_DISKS:
	case F_VOLUMES: return load_list(lc, f, v, e);
	}
	return 0;
}

int life_config_load(struct life_config **ret, struct json_object *doc, struct lodge_err *e)
{
	struct life_config *lc = calloc(1, sizeof *lc);
	if (!lc) {
		json_object_put(doc);
		return err_set(e, ENOMEM, "out of memory");
	}
	lc->doc = doc;
	lc->c.size = sizeof lc->c;
	int r = json_object_is_type(doc, json_type_object)
		    ? 0
		    : err_set(e, EINVAL, "a configuration is a JSON object");
	for (size_t i = 0; r == 0 && i < countof(fields); i++)
		r = load_field(lc, &fields[i], e);
	if (r < 0) {
		life_config_free(lc);
		return r;
	}
	*ret = lc;
	return 0;
}

void life_config_free(struct life_config *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->narrays; i++)
		free(c->arrays[i]);
	json_object_put(c->doc);
	free(c);
}
