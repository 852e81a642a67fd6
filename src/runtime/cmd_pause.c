/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/internal.h"

static int pause_run(struct runtime_call *c)
{
	struct container one;
	struct lodge_err e;
	int r = call_container(c, true, &one);
	if (r)
		return r;
	if (container_pause(&one, true, &e) < 0)
		r = say_error(&e);
	container_fini(&one);
	return r;
}

const struct runtime_command runtime_pause = {
    .name = "pause",
    .operands = "ID",
    .summary = "let all processes of a container stand still",
    .min = 1,
    .max = 1,
    .run = pause_run,
};
