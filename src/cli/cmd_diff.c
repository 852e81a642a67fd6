/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

/* A path is anything but a 0: what a terminal would act on is shown, not sent. */
static int line_print(void *user, char kind, const char *path)
{
	(void)user;
	putchar(kind);
	putchar(' ');
	for (const unsigned char *p = (const unsigned char *)path; *p; p++)
		if (*p < ' ' || *p == 127)
			printf("\\x%02x", *p);
		else
			putchar(*p);
	putchar('\n');
	return ferror(stdout);
}

static int diff_one(struct args *a, struct lodge_guest *g, struct lodge_err *e)
{
	(void)a;
	int r = lodge_diff(g, line_print, NULL, e);
	return r > 0 ? 0 : r;
}

static int diff(struct args *a) { return for_each_guest(a, diff_one); }

const struct command command_diff = {
    .name = "diff",
    .operands = "NAME",
    .summary = "list what a container has changed of its image",
    .text = "A line for each path: A added, C changed (or something in the folder is), D deleted;\n"
	    "while it runs, and when it does not. Places of volumes and mounts are no changes.\n",
    .min = 1,
    .max = 1,
    .completes = "guests",
    .run = diff,
};
