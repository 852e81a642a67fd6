/* SPDX-License-Identifier: Apache-2.0 */
#include "host/host.h"
#include "runtime/internal.h"
#include <signal.h>

static const struct runtime_option options[] = {
    {"all", 'a', RT_FLAG, "all processes in the container"},
    {"signal", 's', RT_TEXT, "as the second operand"},
};

static int kill_run(struct runtime_call *c)
{
	struct container one;
	struct lodge_err e;
	const char *word = c->n > 1 ? c->operands[1] : call_text(c, "signal");
	int sig = word ? host_signal_find(word) : SIGTERM;
	if (sig < 0)
		return say_text("unknown signal \"%s\"", word);
	int r = call_container(c, false, &one);
	if (r)
		return r;
	if (container_kill(&one, sig, call_flag(c, "all"), &e) < 0)
		r = say_error(&e);
	container_fini(&one);
	return r;
}

const struct runtime_command runtime_kill = {
    .name = "kill",
    .operands = "ID [SIGNAL]",
    .summary = "send a signal to the process of a container (TERM)",
    .options = options,
    .noptions = countof(options),
    .min = 1,
    .max = 2,
    .run = kill_run,
};
