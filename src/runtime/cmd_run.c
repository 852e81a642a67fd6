/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/internal.h"

static int run_run(struct runtime_call *c) { return call_create(c, true, call_flag(c, "detach")); }

const struct runtime_command runtime_run = {
    .name = "run",
    .operands = "ID",
    .summary = "make a container and start it; the exit code is its own",
    .options = create_options,
    .noptions = RUN_OPTIONS,
    .min = 1,
    .max = 1,
    .guarded = true,
    .run = run_run,
};
