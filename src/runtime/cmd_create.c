/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/internal.h"

static int create_run(struct runtime_call *c) { return call_create(c, false, true); }

const struct runtime_command runtime_create = {
    .name = "create",
    .operands = "ID",
    .summary = "make a container; start runs it",
    .options = create_options,
    .noptions = CREATE_OPTIONS,
    .min = 1,
    .max = 1,
    .guarded = true,
    .run = create_run,
};
