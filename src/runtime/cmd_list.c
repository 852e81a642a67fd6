/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/internal.h"
#include <json-c/json.h>
#include <stdio.h>

static const struct runtime_option options[] = {
    {"format", 'f', RT_TEXT, "table or json"},
    {"quiet", 'q', RT_FLAG, "ids alone"},
};

static const char *const head[] = {"ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"};
enum { COLUMNS = countof(head) };

struct table {
	char **cells; /* owned, each */
	size_t n;
};

static void row_add(struct table *t, const char *const *row)
{
	char **cells = realloc(t->cells, (t->n + COLUMNS) * sizeof *cells);
	if (!cells)
		return;
	t->cells = cells;
	for (size_t i = 0; i < COLUMNS; i++) {
		cells[t->n] = strdup(row[i] ? row[i] : "");
		t->n += !!cells[t->n];
	}
}

static void table_print(const struct table *t)
{
	union {
		char **in;
		const char *const *out;
	} cells = {t->cells};
	columns_print(cells.out, COLUMNS, t->n / COLUMNS);
}

static void container_add(struct container *one, struct json_object *list, struct table *t)
{
	char pid[16], owner[16];
	enum container_status s = container_status(one);
	struct json_object *o = container_state(one, s, true);
	/* without the user database, which a static program has not: root, or the number */
	snprintf(owner, sizeof owner, one->owner ? "#%u" : "root", one->owner);
	json_object_object_add(o, "owner", json_object_new_string(owner));
	json_object_array_add(list, o);
	snprintf(pid, sizeof pid, "%d", s == CONTAINER_STOPPED ? 0 : (int)one->pid);
	const char *row[COLUMNS] = {one->id,     pid,          container_status_name(s),
				    one->bundle, one->created, owner};
	row_add(t, row);
}

static int list_run(struct runtime_call *c)
{
	const char *format = call_text(c, "format");
	struct json_object *ids = NULL, *list = json_object_new_array();
	struct table t = {0};
	struct lodge_err e;
	if (format && strcmp(format, "json") && strcmp(format, "table"))
		return say_text("invalid format option: %s", format);
	if (container_ids(c->root, &ids, &e) < 0)
		return say_error(&e);
	row_add(&t, head);
	for (size_t i = 0; i < json_object_array_length(ids); i++) {
		struct container one;
		const char *id = json_object_get_string(json_object_array_get_idx(ids, i));
		if (call_flag(c, "quiet")) {
			puts(id);
			continue;
		}
		if (container_open(&one, c->root, id, false, &e) < 0)
			continue; /* gone meanwhile, or damaged: delete --force knows what to do */
		container_add(&one, list, &t);
		container_fini(&one);
	}
	if (!call_flag(c, "quiet") && format && !strcmp(format, "json"))
		puts(json_object_to_json_string_ext(list, JSON_C_TO_STRING_PLAIN |
		                                              JSON_C_TO_STRING_NOSLASHESCAPE));
	else if (!call_flag(c, "quiet"))
		table_print(&t);
	for (size_t i = 0; i < t.n; i++)
		free(t.cells[i]);
	free(t.cells);
	json_object_put(ids);
	json_object_put(list);
	return 0;
}

const struct runtime_command runtime_list = {
    .name = "list",
    .operands = "",
    .summary = "list the containers of the root folder",
    .options = options,
    .noptions = countof(options),
    .max = 0,
    .run = list_run,
};
