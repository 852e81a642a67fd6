/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/internal.h"

static int resume_run(struct runtime_call *c)
{
	struct container one;
	struct lodge_err e;
	int r = call_container(c, true, &one);
	if (r)
		return r;
	if (container_pause(&one, false, &e) < 0)
		r = say_error(&e);
	container_fini(&one);
	return r;
}

const struct runtime_command runtime_resume = {
    .name = "resume",
    .operands = "ID",
    .summary = "let them go on",
    .min = 1,
    .max = 1,
    .run = resume_run,
};
