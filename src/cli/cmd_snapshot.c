/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include <json-c/json.h>

enum { COLUMNS = 3, CELL = 96, DEPTH = 32 };

static const struct option_row options[] = {
    {"format", 0, OPT_TEXT, "FORMAT", "table", "table or json (of ls)", false},
};

/* A table whose first column is a tree. */
struct tree {
	struct json_object *list;
	size_t n, rows;
	const char **cells;
	char (*buf)[COLUMNS][CELL];
};

static bool tree_has(const struct tree *t, const char *name)
{
	for (size_t i = 0; i < t->n; i++)
		if (!strcmp(member_text(json_object_array_get_idx(t->list, i), "name"), name))
			return true;
	return false;
}

static void tree_row(struct tree *t, struct json_object *o, unsigned depth)
{
	char(*b)[CELL] = t->buf[t->rows];
	char size[CELL];
	snprintf(b[0], CELL, "%*s%s%s", (int)(2 * (depth ? depth - 1 : 0)), "", depth ? "- " : "",
		 member_text(o, "name"));
	char when[CELL];
	snprintf(b[1], CELL, "%.40s",
	         ago((uint64_t)member_number(o, "created_ns"), when, sizeof when));
	snprintf(b[2], CELL, "%.40s",
		 human_size((uint64_t)member_number(o, "memory_bytes"), size, sizeof size));
	t->rows++;
	for (int i = 0; i < COLUMNS; i++)
		t->cells[t->rows * COLUMNS + (size_t)i] = b[i];
}

/* Those that came from @parent ("": from none that is there). */
static void tree_below(struct tree *t, const char *parent, unsigned depth)
{
	for (size_t i = 0; i < t->n && depth < DEPTH && t->rows < t->n; i++) {
		struct json_object *o = json_object_array_get_idx(t->list, i);
		const char *from = member_text(o, "parent");
		bool root = !tree_has(t, from);
		if (*parent ? strcmp(from, parent) != 0 : !root)
			continue;
		tree_row(t, o, depth);
		tree_below(t, member_text(o, "name"), depth + 1);
	}
}

static void tree_print(struct json_object *list)
{
	struct tree t = {.list = list, .n = json_object_array_length(list)};
	t.cells = calloc((t.n + 1) * COLUMNS, sizeof *t.cells);
	t.buf = calloc(t.n + 1, sizeof *t.buf);
	if (t.cells && t.buf) {
		t.cells[0] = "SNAPSHOT";
		t.cells[1] = "CREATED";
		t.cells[2] = "MEMORY";
		tree_below(&t, "", 0);
		table_print(t.cells, COLUMNS, t.rows + 1);
	}
	free(t.cells);
	free(t.buf);
}

static int snapshot_ls(struct args *a, struct lodge_guest *g, struct lodge_err *e)
{
	char *text = NULL;
	int r = lodge_snapshot_list(g, &text, e);
	if (r < 0)
		return r;
	struct json_object *list = json_tokener_parse(text);
	if (a->json)
		puts(text);
	else
		tree_print(list);
	json_object_put(list);
	lodge_free(text);
	return 0;
}

static int snapshot_create(struct args *a, struct lodge_guest *g, struct lodge_err *e)
{
	char name[64];
	int r = lodge_snapshot(g, a->noperands > 2 ? a->operands[2] : NULL, name, e);
	if (r == 0)
		puts(name);
	return r;
}

static int snapshot_rm(struct args *a, struct lodge_guest *g, struct lodge_err *e)
{
	int r = 0;
	for (size_t i = 2; r == 0 && i < a->noperands; i++) {
		r = lodge_snapshot_remove(g, a->operands[i], e);
		if (r == 0)
			puts(a->operands[i]);
	}
	return r;
}

static int snapshot(struct args *a)
{
	static const struct {
		const char *name;
		size_t min, max;
		int (*fn)(struct args *a, struct lodge_guest *g, struct lodge_err *e);
	} subs[] = {
	    {"create", 2, 3, snapshot_create},
	    {"ls", 2, 2, snapshot_ls},
	    {"rm", 3, SIZE_MAX, snapshot_rm},
	};
	struct lodge_guest *g = NULL;
	struct lodge_err e;
	for (size_t i = 0; i < countof(subs); i++) {
		if (strcmp(a->operands[0], subs[i].name))
			continue;
		if (a->noperands < subs[i].min || a->noperands > subs[i].max)
			return fail_text(a, "snapshot %s: see lodge snapshot --help", subs[i].name);
		int r = lodge_open(&g, a->operands[1], &e);
		if (r == 0)
			r = subs[i].fn(a, g, &e);
		lodge_close(g);
		return r < 0 ? fail(a, &e) : 0;
	}
	return fail_text(a, "snapshot '%s'; create, ls and rm exist", a->operands[0]);
}

const struct command command_snapshot = {
    .name = "snapshot",
    .operands = "create|ls|rm NAME [SNAPSHOT...]",
    .summary = "named states of a guest: memory, devices and disks",
    .text = "create writes one of a running or paused guest and prints its name (given, or s1,\n"
	    "s2, ...); the guest stands still for a moment only. ls shows them as a tree: below\n"
	    "each those that were made after it was created or restored. rm deletes them; disk\n"
	    "contents that others rest on stay. Disks must have been made by lodge, or have an\n"
	    "overlay in the guest's folder; up to 60 snapshots may rest on each other. lodge\n"
	    "restore goes back to one.\n",
    .options = options,
    .noptions = countof(options),
    .min = 2,
    .run = snapshot,
};
