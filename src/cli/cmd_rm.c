/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

static const struct option_row options[] = {
    {"force", 'f', OPT_FLAG, NULL, NULL, "kill it first when it runs", false},
};

static int rm(struct args *a)
{
	int code = 0;
	for (size_t i = 0; i < a->noperands; i++) {
		struct lodge_err e;
		int r = lodge_remove(a->operands[i], arg_flag(a, "force"), &e);
		if (r < 0 && !(r == -ENOENT && arg_flag(a, "force")))
			code = fail(a, &e);
		else if (r == 0)
			puts(a->operands[i]);
	}
	return code;
}

const struct command command_rm = {
    .name = "rm",
    .operands = "NAME...",
    .summary = "delete guests and their disks",
    .text = "Deletes the guest's folder with the disks that lodge made in it. Files that were\n"
	    "given by --disk or --volume stay.\n",
    .options = options,
    .noptions = countof(options),
    .min = 1,
    .completes = "guests",
    .run = rm,
};
