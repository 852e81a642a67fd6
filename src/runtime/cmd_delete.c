/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/internal.h"

static const struct runtime_option options[] = {
    {"force", 'f', RT_FLAG, "kill it first; no error if there is none"},
};

static int delete_run(struct runtime_call *c)
{
	struct container one;
	struct lodge_err e;
	bool force = call_flag(c, "force");
	if (container_open(&one, c->root, c->operands[0], true, &e) < 0)
		return force && e.code == ENOENT ? 0 : say_error(&e);
	int r = container_delete(&one, force, &runtime_say, &e) < 0 ? say_error(&e) : 0;
	if (r == 0 && machine_is(&one))
		machine_forget(&one, c);
	container_fini(&one);
	return r;
}

const struct runtime_command runtime_delete = {
    .name = "delete",
    .operands = "ID",
    .summary = "remove what a stopped container has left",
    .options = options,
    .noptions = countof(options),
    .min = 1,
    .max = 1,
    .run = delete_run,
};
