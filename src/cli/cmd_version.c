/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

static int version(struct args *a)
{
	(void)a;
	printf("lodge %s\n", lodge_version());
	return 0;
}

const struct command command_version = {
    .name = "version",
    .operands = "",
    .summary = "print the version",
    .run = version,
};
