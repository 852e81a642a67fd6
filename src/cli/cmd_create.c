/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

static const struct option_row options[] = {
#define OPTION(name, letter, kind, arg, value, setting, help)                                      \
	{name, letter, kind, arg, value, help, setting},
#define OWN(name, kind, arg, help) {name, 0, kind, arg, NULL, help, false},
#include "cli/guest_options.def"
};

static int create(struct args *a)
{
	struct lodge_config c;
	struct lodge_guest *g = NULL;
	struct lodge_err e;
	int r = config_from_args(&c, a);
	if (r == 0)
		r = image_need(a, &c);
	if (r)
		return r;
	if (lodge_create(&g, &c, &e) < 0)
		return fail(a, &e);
	puts(lodge_name(g));
	lodge_close(g);
	return 0;
}

const struct command command_create = {
    .name = "create",
    .operands = "GUEST [ARG...]",
    .summary = "make a guest without starting it",
    .text = "Takes what run takes, and prints the guest's name. lodge start NAME starts it.\n",
    .options = options,
    .noptions = countof(options),
    .stop_at_operand = true,
    .completes = "images",
    .run = create,
};
