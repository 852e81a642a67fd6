/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/internal.h"

static int start_run(struct runtime_call *c)
{
	struct container one;
	struct lodge_err e;
	int r = call_container(c, true, &one);
	if (r)
		return r;
	if (container_start(&one, &runtime_say, &e) < 0)
		r = say_error(&e);
	container_fini(&one);
	return r;
}

const struct runtime_command runtime_start = {
    .name = "start",
    .operands = "ID",
    .summary = "run the program of a created container",
    .min = 1,
    .max = 1,
    .run = start_run,
};
