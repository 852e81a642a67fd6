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
    .summary = "delete images from the cache",
    .text = "Guests that were made from an image have their own copy and stay.\n",
    .min = 1,
    .completes = "images",
    .run = rmi,
};
