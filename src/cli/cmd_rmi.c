/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

static int rmi(struct args *a)
{
	int code = 0;
	for (size_t i = 0; i < a->noperands; i++) {
		struct lodge_err e;
		if (lodge_image_remove(a->operands[i], &e) < 0)
			code = fail(a, &e);
		else
			puts(a->operands[i]);
	}
	return code;
}

const struct command command_rmi = {
    .name = "rmi",
    .operands = "IMAGE...",
    .summary = "delete images",
    .text = "What neither another image nor a guest uses is freed. A container image may also\n"
	    "be named by the first 12 digits of its digest. Guests of an image stay.\n",
    .min = 1,
    .completes = "images",
    .run = rmi,
};
