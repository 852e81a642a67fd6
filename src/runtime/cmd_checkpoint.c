/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/internal.h"

static int checkpoint_run(struct runtime_call *c)
{
	(void)c;
	return say_text("checkpoint: CRIU is needed, which this Debian does not have");
}

const struct runtime_command runtime_checkpoint = {
    .name = "checkpoint",
    .operands = "[OPTION...] ID",
    .summary = "refused: needs CRIU",
    .max = SIZE_MAX,
    .stop_at_operand = true,
    .run = checkpoint_run,
};
