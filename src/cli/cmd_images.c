/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include <json-c/json.h>

enum { COLUMNS = 5, CELL = 32, DIGITS = 12 };

static const struct option_row options[] = {
    {"quiet", 'q', OPT_FLAG, NULL, NULL, "names only", false},
    {"format", 0, OPT_TEXT, "FORMAT", "table", "table or json", false},
};

/* The first digits, which lodge rmi takes. */
static const char *digest_short(const char *digest, char buf[CELL])
{
	const char *colon = strchr(digest, ':');
	if (!colon)
		return "-";
	snprintf(buf, CELL, "%.*s", DIGITS, colon + 1);
	return buf;
}

static void images_table(struct json_object *list)
{
	static const char *const head[COLUMNS] = {"IMAGE", "SHORT", "DIGEST", "SIZE", "CREATED"};
	size_t n = json_object_array_length(list);
	const char **cells = calloc((n + 1) * COLUMNS, sizeof *cells);
	char(*buf)[3][CELL] = calloc(n + 1, sizeof *buf);
	if (cells && buf) {
		memcpy(cells, head, sizeof head);
		for (size_t i = 0; i < n; i++) {
			struct json_object *o = json_object_array_get_idx(list, i);
			const char **row = cells + (i + 1) * COLUMNS;
			row[0] = member_text(o, "name");
			row[1] = member_text(o, "alias");
			row[2] = digest_short(member_text(o, "digest"), buf[i][0]);
			row[3] = human_size((uint64_t)member_number(o, "size"), buf[i][1], CELL);
			row[4] = ago((uint64_t)member_number(o, "created_ns"), buf[i][2], CELL);
		}
		table_print(cells, COLUMNS, n + 1);
	}
	free(cells);
	free(buf);
}

static int images(struct args *a)
{
	char *text = NULL;
	struct lodge_err e;
	if (lodge_image_list(&text, &e) < 0)
		return fail(a, &e);
	struct json_object *list = json_tokener_parse(text);
	if (a->json)
		puts(text);
	else if (arg_flag(a, "quiet"))
		for (size_t i = 0; i < json_object_array_length(list); i++)
			puts(member_text(json_object_array_get_idx(list, i), "alias"));
	else
		images_table(list);
	json_object_put(list);
	lodge_free(text);
	return 0;
}

const struct command command_images = {
    .name = "images",
    .operands = "",
    .summary = "list the images on this host",
    .options = options,
    .noptions = countof(options),
    .run = images,
};
