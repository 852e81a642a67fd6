/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

static const struct option_row options[] = {
    {"attach", 'a', OPT_FLAG, NULL, NULL, "stay with the guest, as run does", false},
    {"interactive", 'i', OPT_FLAG, NULL, NULL, "with -a: stdin goes to the console", false},
};

static int start_attached(struct args *a, struct lodge_guest *g)
{
	struct lodge_console *c = NULL;
	struct lodge_err e;
	int code = LODGE_EXIT_LODGE, number = 0;
	if (lodge_keep(g, &e) < 0 || lodge_attach(&c, g, 0, &e) < 0 || lodge_start(g, &e) < 0) {
		lodge_console_close(c);
		return fail(a, &e);
	}
	warnings_print(g);
	bool in = arg_flag(a, "interactive") || (isatty(0) && isatty(1));
	if (session_console(g, c, in, true, &number) == SESSION_DETACHED)
		code = 0;
	else if (lodge_console_exit(c, &code, &e) < 0)
		code = fail(a, &e);
	lodge_console_close(c);
	return number ? LODGE_EXIT_SIGNAL + number : code;
}

static int start_one(struct args *a, struct lodge_guest *g, struct lodge_err *e)
{
	(void)a;
	int r = lodge_start(g, e);
	warnings_print(g);
	if (r == 0)
		puts(lodge_name(g));
	return r;
}

static int start(struct args *a)
{
	struct lodge_guest *g = NULL;
	struct lodge_err e;
	if (!arg_flag(a, "attach"))
		return for_each_guest(a, start_one);
	if (a->noperands != 1)
		return fail_text(a, "start -a takes one guest");
	if (lodge_open(&g, a->operands[0], &e) < 0)
		return fail(a, &e);
	int r = start_attached(a, g);
	lodge_close(g);
	return r;
}

const struct command command_start = {
    .name = "start",
    .operands = "NAME...",
    .summary = "start guests that are created, suspended or stopped",
    .options = options,
    .noptions = countof(options),
    .min = 1,
    .completes = "guests",
    .run = start,
};
