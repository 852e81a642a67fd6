/* SPDX-License-Identifier: Apache-2.0 */
/* Commands whose first word says what is done, and whose others to what. */
#include "cli/cli.h"
#include <json-c/json.h>

void json_print(const char *text)
{
	struct json_object *o = json_tokener_parse(text);
	puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY |
						   JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
}

int subs_run(struct args *a, const char *command, const struct sub *subs, size_t n)
{
	char all[128] = "";
	for (size_t i = 0; i < n; i++) {
		int code = 0;
		size_t len = strlen(all);
		snprintf(all + len, sizeof all - len, "%s%s",
			 i == 0 ? "" : i + 1 < n ? ", " : " and ", subs[i].name);
		if (strcmp(a->operands[0], subs[i].name))
			continue;
		if (subs[i].takes == SUB_ALONE && a->noperands > 1)
			return fail_text(a, "%s %s: '%s' is one word too many", command,
					 subs[i].name, a->operands[1]);
		if (subs[i].takes == SUB_NAMES && a->noperands < 2)
			return fail_text(a, "%s %s needs a name", command, subs[i].name);
		if (a->noperands < 2)
			return subs[i].fn(a, NULL);
		for (size_t k = 1; k < a->noperands; k++) {
			int r = subs[i].fn(a, a->operands[k]);
			code = r ? r : code;
		}
		return code;
	}
	return fail_text(a, "%s '%s'; %s exist", command, a->operands[0], all);
}
