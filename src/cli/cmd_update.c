/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

static const struct option_row options[] = {
    {"cpus", 0, OPT_TEXT, "X", NULL, "CPU time: 0.5 is half a CPU of the host", false},
    {"memory", 'm', OPT_TEXT, "SIZE", NULL, "how much of its memory it may use", false},
    {"disk-iops", 0, OPT_TEXT, "N", NULL, "requests of each disk in a second", false},
    {"disk-bps", 0, OPT_TEXT, "SIZE", NULL, "bytes of each disk in a second", false},
    {"net-bps", 0, OPT_TEXT, "SIZE", NULL, "bytes of the network in a second, each way", false},
    {"cpuset", 0, OPT_TEXT, "CPUS", NULL, "CPUs of the host that it may use: 0-2,5", false},
    {"restart", 0, OPT_TEXT, "POLICY", NULL,
     "when it ends by itself: no, on-failure[:N], always or unless-stopped", false},
    {"idle-timeout", 0, OPT_TEXT, "TIME", NULL,
     "suspend it when it was idle for TIME; it goes on when somebody connects", false},
    {"cpu-weight", 0, OPT_TEXT, "N", NULL, "weight beside others, 1 to 10000 (usual: 100)", false},
    {"log-max", 0, OPT_TEXT, "SIZE", NULL, "how much of its output is kept on the disk", false},
    {"pids-limit", 0, OPT_TEXT, "N", NULL, "containers: processes and threads at once", false},
    {"memory-reservation", 0, OPT_TEXT, "SIZE", NULL,
     "containers: memory to be left to it when it is scarce", false},
    {"memory-swap", 0, OPT_TEXT, "SIZE", NULL, "containers: memory and swap together", false},
};

static int update_one(struct args *a, struct lodge_guest *g, struct lodge_err *e)
{
	char *changes[countof(options)];
	size_t n = 0;
	int r = 0;
	for (size_t i = 0; i < countof(options); i++) {
		const char *v = arg_text(a, options[i].name);
		if (v && asprintf(&changes[n], "%s=%s", options[i].name, v) >= 0)
			n++;
	}
	r = lodge_update(g, (const char *const *)changes, n, e);
	while (n)
		free(changes[--n]);
	if (r == 0) {
		warnings_print(g);
		puts(lodge_name(g));
	}
	return r;
}

static int update(struct args *a) { return for_each_guest(a, update_one); }

const struct command command_update = {
    .name = "update",
    .operands = "NAME...",
    .summary = "change what guests may use",
    .text = "At once, when they run, and for good; lodge inspect shows it as \"limits\". The\n"
	    "value none ends a limit. A guest keeps its number of CPUs and its memory while it\n"
	    "lives and can be held to less; one that is stopped gets another number of CPUs or\n"
	    "other memory. CPU time is that of the whole keeper. Memory above the limit is taken\n"
	    "back by the guest's balloon, which needs a driver in the guest. A warning names what\n"
	    "could not be enforced.\n",
    .options = options,
    .noptions = countof(options),
    .min = 1,
    .completes = "guests",
    .run = update,
};
