/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

static const struct option_row options[] = {
    {"no-stdin", 0, OPT_FLAG, NULL, NULL, "only watch", false},
    {"replay", 0, OPT_SIZE, "SIZE", "4K", "show so much of what was printed before", true},
};

static int attach(struct args *a)
{
	struct lodge_guest *g = NULL;
	struct lodge_console *c = NULL;
	struct lodge_err e;
	uint64_t replay = arg_number(a, "replay");
	int code = LODGE_EXIT_LODGE, number = 0;
	if ((!replay && lodge_parse_size(arg_text(a, "replay"), &replay, &e) < 0) ||
	    lodge_open(&g, a->operands[0], &e) < 0 || lodge_attach(&c, g, replay, &e) < 0) {
		lodge_close(g);
		return fail(a, &e);
	}
	if (session_console(g, c, !arg_flag(a, "no-stdin"), false, &number) == SESSION_OVER) {
		if (lodge_console_exit(c, &code, &e) < 0)
			code = fail(a, &e);
	} else {
		code = 0;
	}
	lodge_console_close(c);
	lodge_close(g);
	return code;
}

const struct command command_attach = {
    .name = "attach",
    .operands = "NAME",
    .summary = "connect to a guest's console",
    .text = "Ctrl-] leaves again. Several may be attached at once; all see the same and all may\n"
	    "type. When the guest ends, its exit code is attach's.\n",
    .options = options,
    .noptions = countof(options),
    .min = 1,
    .max = 1,
    .completes = "guests",
    .run = attach,
};
