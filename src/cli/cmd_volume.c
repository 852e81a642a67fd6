/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include <json-c/json.h>
#include <sys/random.h>

static const struct option_row options[] = {
    {"quiet", 'q', OPT_FLAG, NULL, NULL, "ls: names only", false},
    {"force", 'f', OPT_FLAG, NULL, NULL, "prune: do not ask; rm: one that is not there is fine",
     false},
    {"format", 0, OPT_TEXT, "FORMAT", "table", "table or json (of ls)", false},
};

static int volume_create(struct args *a, const char *name)
{
	struct lodge_err e;
	char own[17];
	uint8_t random[8];
	if (!name && getrandom(random, sizeof random, 0) != sizeof random)
		return fail_text(a, "volume create: no random name can be had: give one");
	for (size_t i = 0; i < sizeof random; i++)
		snprintf(own + 2 * i, 3, "%02x", random[i]);
	if (lodge_volume_create(name ? name : own, &e) < 0)
		return fail(a, &e);
	puts(name ? name : own);
	return 0;
}

static int volume_rm(struct args *a, const char *name)
{
	struct lodge_err e;
	int r = lodge_volume_remove(name, &e);
	if (r < 0 && !(r == -ENOENT && arg_flag(a, "force")))
		return fail(a, &e);
	puts(name);
	return 0;
}

static int volume_inspect(struct args *a, const char *name)
{
	struct lodge_err e;
	char *text = NULL;
	if (lodge_volume_inspect(name, &text, &e) < 0)
		return fail(a, &e);
	json_print(text);
	lodge_free(text);
	return 0;
}

/* "a, b": its guests, then processes. */
static void users_text(struct json_object *o, char *buf, size_t cap)
{
	static const char *const keys[] = {"guests", "processes"};
	*buf = 0;
	for (size_t k = 0; k < countof(keys); k++) {
		struct json_object *list = NULL;
		json_object_object_get_ex(o, keys[k], &list);
		size_t n = list ? json_object_array_length(list) : 0;
		for (size_t i = 0; i < n; i++) {
			size_t len = strlen(buf);
			snprintf(buf + len, cap - len, "%s%s%s", len ? ", " : "", k ? "PID " : "",
				 json_object_get_string(json_object_array_get_idx(list, i)));
		}
	}
}

static void volumes_print(struct json_object *list, bool quiet)
{
	enum { COLUMNS = 3 };
	struct row {
		char age[24], users[128];
	};
	size_t n = json_object_array_length(list);
	const char **cells = calloc((n + 1) * COLUMNS, sizeof *cells);
	struct row *text = calloc(n + 1, sizeof *text);
	for (size_t i = 0; cells && text && i < n; i++) {
		struct json_object *o = json_object_array_get_idx(list, i);
		const char **row = cells + (i + 1) * COLUMNS;
		users_text(o, text[i].users, sizeof text[i].users);
		row[0] = member_text(o, "name");
		row[1] = ago((uint64_t)member_number(o, "created_ns"), text[i].age,
			     sizeof text[i].age);
		row[2] = text[i].users;
		if (quiet)
			puts(row[0]);
	}
	if (cells && !quiet) {
		static const char *const head[COLUMNS] = {"NAME", "CREATED", "USED BY"};
		memcpy(cells, head, sizeof head);
		table_print(cells, COLUMNS, n + 1);
	}
	free(text);
	free(cells);
}

static int volume_ls(struct args *a, const char *name)
{
	struct lodge_err e;
	char *text = NULL;
	(void)name;
	if (lodge_volume_list(&text, &e) < 0)
		return fail(a, &e);
	struct json_object *list = json_tokener_parse(text);
	if (a->json)
		puts(text);
	else
		volumes_print(list, arg_flag(a, "quiet"));
	json_object_put(list);
	lodge_free(text);
	return 0;
}

static int volume_prune(struct args *a, const char *name)
{
	struct lodge_err e;
	char *text = NULL, word[8] = "";
	(void)name;
	if (!arg_flag(a, "force")) {
		if (!isatty(0))
			return fail_text(a, "volume prune removes all that no guest has: say "
					    "--force where nobody can be asked");
		fputs("All volumes that nobody has, with what is in them: remove? [y/N] ", stderr);
		if (!fgets(word, sizeof word, stdin) || (*word != 'y' && *word != 'Y'))
			return 0;
	}
	if (lodge_volume_prune(&text, &e) < 0)
		return fail(a, &e);
	struct json_object *list = json_tokener_parse(text);
	for (size_t i = 0; i < json_object_array_length(list); i++)
		puts(json_object_get_string(json_object_array_get_idx(list, i)));
	json_object_put(list);
	lodge_free(text);
	return 0;
}

static int volume(struct args *a)
{
	static const struct sub subs[] = {{"create", volume_create, SUB_ANY},
					  {"ls", volume_ls, SUB_ALONE},
					  {"inspect", volume_inspect, SUB_NAMES},
					  {"rm", volume_rm, SUB_NAMES},
					  {"prune", volume_prune, SUB_ALONE}};
	return subs_run(a, "volume", subs, countof(subs));
}

const struct command command_volume = {
    .name = "volume",
    .operands = "create|ls|inspect|rm|prune [NAME...]",
    .summary = "folders with a name, which outlive guests",
    .text =
	"--volume NAME:/DIR of run and create gives a guest the volume NAME, which is made if it\n"
	"is not there; a word with a slash, or that begins with a point, is a folder of the host.\n"
	"An empty volume that a container gets begins with what its image has at that place.\n"
	"create makes one (without a name, one is made up), ls and inspect show who has them and\n"
	"where they are, rm deletes those that nobody has, prune all of these.\n",
    .options = options,
    .noptions = countof(options),
    .min = 1,
    .run = volume,
};
