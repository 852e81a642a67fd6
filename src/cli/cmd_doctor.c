/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include <json-c/json.h>

static const struct option_row options[] = {
    {"format", 0, OPT_TEXT, "FORMAT", "table", "table or json", false},
};

static void probe_json(void *user, const struct lodge_probe *p)
{
	struct json_object *o = json_object_new_object();
	json_object_object_add(o, "name", json_object_new_string(p->name));
	json_object_object_add(o, "ok", p->ok < 0 ? NULL : json_object_new_boolean(p->ok));
	json_object_object_add(o, "finding", json_object_new_string(p->finding));
	if (p->fix)
		json_object_object_add(o, "fix", json_object_new_string(p->fix));
	json_object_array_add(user, o);
}

static void probe_text(void *user, const struct lodge_probe *p)
{
	const char *const *marks = user;
	printf("%s %-17s %s\n", marks[p->ok == 1 ? 0 : p->ok == 0 ? 1 : 2], p->name, p->finding);
	if (p->fix && p->ok == 0)
		printf("%24s-> %s\n", "", p->fix);
}

static int doctor(struct args *a)
{
	static const char *const plain[] = {"ok  ", "no  ", "-   "};
	static const char *const colour[] = {"\033[32mok\033[0m  ", "\033[33mno\033[0m  ", "-   "};
	const char *const *marks = isatty(1) && !getenv("NO_COLOR") ? colour : plain;
	struct json_object *list = json_object_new_array();
	struct lodge_err e;
	union {
		const void *in;
		void *out;
	} user = {marks};
	int r =
	    a->json ? lodge_doctor(probe_json, list, &e) : lodge_doctor(probe_text, user.out, &e);
	if (a->json)
		puts(json_object_to_json_string_ext(list, JSON_C_TO_STRING_PRETTY |
							      JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(list);
	return r < 0 ? fail(a, &e) : 0;
}

const struct command command_doctor = {
    .name = "doctor",
    .operands = "",
    .summary = "try what this host can do for guests",
    .text = "Every line is a thing that was really tried. A 'no' is not an error: it says what\n"
	    "will be slower or missing, and how to change it.\n",
    .options = options,
    .noptions = countof(options),
    .run = doctor,
};
