/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

static const struct option_row options[] = {
    {"follow", 'f', OPT_FLAG, NULL, NULL, "go on until the guest stops", false},
    {"tail", 'n', OPT_TEXT, "N", "all", "only the last N lines", false},
};

static int logs_write(void *user, const void *data, size_t len)
{
	(void)user;
	return fwrite(data, 1, len, stdout) == len && fflush(stdout) == 0 ? 0 : -EPIPE;
}

static int logs(struct args *a)
{
	struct lodge_guest *g = NULL;
	struct lodge_err e = {.code = EPIPE, .msg = "cannot write to stdout"};
	const char *text = arg_text(a, "tail");
	char *end = NULL;
	long tail = strcmp(text, "all") ? strtol(text, &end, 10) : -1;
	if (end && (*end || end == text || tail < 0))
		return fail_text(a, "--tail %s: a number or all", text);
	int r = lodge_open(&g, a->operands[0], &e);
	if (r == 0)
		r = lodge_logs(g, tail, arg_flag(a, "follow"), logs_write, NULL, &e);
	lodge_close(g);
	return r < 0 ? fail(a, &e) : 0;
}

const struct command command_logs = {
    .name = "logs",
    .operands = "NAME",
    .summary = "print what a guest's console has shown",
    .options = options,
    .noptions = countof(options),
    .min = 1,
    .max = 1,
    .completes = "guests",
    .run = logs,
};
