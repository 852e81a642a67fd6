/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/internal.h"
#include <json-c/json.h>
#include <stdio.h>

static int state_run(struct runtime_call *c)
{
	struct container one;
	int r = call_container(c, false, &one);
	if (r)
		return r;
	struct json_object *o = container_state(&one, container_status(&one), true);
	puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
	                                           JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
	container_fini(&one);
	return 0;
}

const struct runtime_command runtime_state = {
    .name = "state",
    .operands = "ID",
    .summary = "say what is known of a container",
    .min = 1,
    .max = 1,
    .run = state_run,
};
