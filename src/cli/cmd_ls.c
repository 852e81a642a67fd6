/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include <json-c/json.h>

enum { COLUMNS = 6, CELL = 64 };

static const struct option_row options[] = {
    {"all", 'a', OPT_FLAG, NULL, NULL, "also those that do not run", false},
    {"quiet", 'q', OPT_FLAG, NULL, NULL, "names only", false},
    {"engine", 0, OPT_TEXT, "NAME", NULL,
     "only containers of this engine (podman, containerd, ...), or guests of lodge", false},
    {"filter", 'f', OPT_LIST, "KEY=VALUE", NULL,
     "only those whose name (a part is enough), state, level, guest or label (KEY or KEY=VALUE)\n"
     "is that; of one key any of several, of several keys all", false},
    {"format", 0, OPT_TEXT, "FORMAT", "table", "table or json", false},
};

static bool label_has(struct json_object *o, const char *want)
{
	struct json_object *labels = NULL, *value = NULL;
	char key[128];
	snprintf(key, sizeof key, "%.*s", (int)strcspn(want, "="), want);
	want = strchr(want, '=');
	return json_object_object_get_ex(o, "labels", &labels) &&
	       json_object_object_get_ex(labels, key, &value) &&
	       (!want || !strcmp(json_object_get_string(value), want + 1));
}

static bool is_filtered(struct json_object *o, const char *key, const char *want)
{
	if (!strcmp(key, "label"))
		return label_has(o, want);
	const char *have = member_text(o, !strcmp(key, "status") ? "state" : key);
	return !strcmp(key, "name") ? strstr(have, want) != NULL : !strcmp(have, want);
}

static const char *const filter_keys[] = {"name", "state", "status", "level", "guest", "label"};

static int filters_check(const struct args *a)
{
	size_t n;
	const char *const *f = arg_list(a, "filter", &n);
	for (size_t i = 0; i < n; i++) {
		bool known = false;
		for (size_t k = 0; k < countof(filter_keys); k++) {
			size_t len = strlen(filter_keys[k]);
			known |= !strncmp(f[i], filter_keys[k], len) && f[i][len] == '=';
		}
		if (!known)
			return fail_text(a, "--filter %s: name=, state=, level=, guest= and label= "
					    "are there", f[i]);
	}
	return 0;
}

/* Who asks for a state wants those that do not run, too. */
static bool asks_for_state(const struct args *a)
{
	size_t n;
	const char *const *f = arg_list(a, "filter", &n);
	for (size_t i = 0; i < n; i++)
		if (!strncmp(f[i], "state=", 6) || !strncmp(f[i], "status=", 7))
			return true;
	return false;
}

/* Leave in @list what shall be shown. */
static struct json_object *ls_select(const struct args *a, struct json_object *list, bool all,
				     const char *engine)
{
	struct json_object *ret = json_object_new_array();
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *o = json_object_array_get_idx(list, i);
		const char *state = member_text(o, "state"), *of = member_text(o, "engine");
		if (engine && strcmp(engine, *of ? of : "lodge") != 0)
			continue;
		if (!filters_fit(a, o, is_filtered))
			continue;
		if (all || !strcmp(state, "running") || !strcmp(state, "paused") ||
		    !strcmp(state, "suspended"))
			json_object_array_add(ret, json_object_get(o));
	}
	return ret;
}

static void ls_row(struct json_object *o, const char **cells, char (*buf)[CELL])
{
	const char *state = member_text(o, "state");
	const char *engine = member_text(o, "engine");
	bool ended = !strcmp(state, "stopped") || !strcmp(state, "failed");
	cells[0] = member_text(o, "name");
	cells[1] = state;
	cells[2] = member_text(o, "level");
	cells[3] = member_text(o, "guest");
	cells[4] = ago((uint64_t)member_number(o, "created_ns"), buf[0], CELL);
	cells[5] = "";
	if (*engine) {
		snprintf(buf[1], CELL, "%.20s, %.40s", engine, member_text(o, "root"));
		cells[5] = buf[1];
	} else if (ended) {
		snprintf(buf[1], CELL, "exit code %d", (int)member_number(o, "exit_code"));
		cells[5] = !strcmp(state, "failed") ? member_text(o, "why") : buf[1];
	} else if (!strcmp(state, "suspended")) {
		char since[CELL];
		cells[5] = buf[1];
		snprintf(buf[1], CELL, "%s %.40s",
			 member_text(o, "why")[0] ? "idle, suspended" : "suspended",
			 ago((uint64_t)member_number(o, "ended_ns"), since, sizeof since));
	} else if (member_number(o, "started_ns")) {
		cells[5] = buf[1];
		char since[CELL];
		const char *health = member_text(o, "health");
		snprintf(buf[1], CELL, "started %.40s%s%.12s%s",
			 ago((uint64_t)member_number(o, "started_ns"), since, sizeof since),
			 *health ? " (" : "", health, *health ? ")" : "");
	}
}

static void ls_table(struct json_object *list)
{
	static const char *const head[COLUMNS] = {"NAME",  "STATE",   "LEVEL",
						  "GUEST", "CREATED", "STATUS"};
	size_t n = json_object_array_length(list);
	const char **cells = calloc((n + 1) * COLUMNS, sizeof *cells);
	char(*buf)[2][CELL] = calloc(n + 1, sizeof *buf);
	if (cells && buf) {
		memcpy(cells, head, sizeof head);
		for (size_t i = 0; i < n; i++)
			ls_row(json_object_array_get_idx(list, i), cells + (i + 1) * COLUMNS,
			       buf[i]);
		table_print(cells, COLUMNS, n + 1);
	}
	free(cells);
	free(buf);
}

static int ls(struct args *a)
{
	char *text = NULL;
	struct lodge_err e;
	if (filters_check(a))
		return LODGE_EXIT_LODGE;
	if (lodge_list(&text, &e) < 0)
		return fail(a, &e);
	struct json_object *all = json_tokener_parse(text);
	/* names go to other commands, rm for one: those are Lodge's guests, unless one asks */
	const char *engine = arg_text(a, "engine");
	if (arg_flag(a, "quiet") && !engine)
		engine = "lodge";
	struct json_object *list = ls_select(a, all, arg_flag(a, "all") || asks_for_state(a),
					     engine);
	lodge_free(text);
	if (a->json) {
		puts(json_object_to_json_string_ext(list, JSON_C_TO_STRING_PRETTY |
							      JSON_C_TO_STRING_NOSLASHESCAPE));
	} else if (arg_flag(a, "quiet")) {
		for (size_t i = 0; i < json_object_array_length(list); i++)
			puts(member_text(json_object_array_get_idx(list, i), "name"));
	} else {
		ls_table(list);
	}
	json_object_put(list);
	json_object_put(all);
	return 0;
}

const struct command command_ls = {
    .name = "ls",
    .alias = "ps",
    .operands = "",
    .summary = "list guests",
    .text = "States: created, running, paused, suspended, stopped, and failed for a guest whose\n"
	    "keeper was killed or crashed. Without -a, those that run, are paused or suspended.\n"
	    "Containers that an engine has made with lodge-oci are listed as well, with the\n"
	    "engine and the folder of their state; other commands take their id, or its\n"
	    "beginning, as NAME: pause, resume, stop, kill, exec, shell, top, stats, update,\n"
	    "inspect, cp, and logs (of podman's driver k8s-file). With -q, only with --engine.\n"
	    "Who filters by state need not say -a.\n",
    .options = options,
    .noptions = countof(options),
    .run = ls,
};
