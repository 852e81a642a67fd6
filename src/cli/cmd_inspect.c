/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

static const struct option_row options[] = {
    {"format", 0, OPT_TEXT, "FORMAT", "json",
     "json is the only one; errors are JSON too when given", false},
};

/* An array, as docker prints, so that one guest and many look the same to programs. */
static int inspect(struct args *a)
{
	int code = 0;
	bool first = true;
	putchar('[');
	for (size_t i = 0; i < a->noperands; i++) {
		struct lodge_guest *g = NULL;
		struct lodge_err e;
		char *text = NULL;
		int r = lodge_open(&g, a->operands[i], &e);
		if (r == 0)
			r = lodge_inspect(g, &text, &e);
		if (r < 0) {
			code = fail(a, &e);
		} else {
			printf("%s%s", first ? "\n" : ",\n", text);
			first = false;
		}
		lodge_free(text);
		lodge_close(g);
	}
	puts(first ? "]" : "\n]");
	return code;
}

const struct command command_inspect = {
    .name = "inspect",
    .operands = "NAME...",
    .summary = "print all that is known of guests",
    .options = options,
    .noptions = countof(options),
    .min = 1,
    .completes = "guests",
    .run = inspect,
};
