/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

static int pull(struct args *a)
{
	int code = 0;
	for (size_t i = 0; i < a->noperands; i++) {
		struct progress p = {.tty = isatty(2)};
		struct lodge_err e;
		int r = lodge_image_pull(a->operands[i], progress_show, &p, &e);
		progress_end(&p);
		if (r < 0)
			code = fail(a, &e);
		else
			puts(a->operands[i]);
	}
	return code;
}

const struct command command_pull = {
    .name = "pull",
    .operands = "IMAGE...",
    .summary = "get images into the cache",
    .text = "Images: debian (Debian 13 for riscv64, also debian:13 or debian:13/riscv64) and\n"
	    "debian-small (its kernel and a shell in memory). Packages come from the mirror that\n"
	    "this host's apt uses; apt checks their signatures.\n",
    .min = 1,
    .completes = "images",
    .run = pull,
};
