/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

enum { CLONES_MAX = 1000 };

static const struct option_row options[] = {
    {"count", 'n', OPT_NUMBER, "N", NULL, "make N: NEW-1, NEW-2, ...", false},
    {"publish", 'p', OPT_LIST, "[BIND:]HOST:GUEST[/udp]", NULL,
     "pass a port of the host to the copy (on 127.0.0.1)", false},
    {"snapshot", 's', OPT_TEXT, "SNAPSHOT", NULL, "from this one, not from what it is now", false},
};

static int clone_one(struct args *a, struct lodge_guest *g, const char *name, const char *snapshot,
		     struct lodge_err *e)
{
	struct lodge_guest *n = NULL;
	size_t nports;
	const char *const *ports = arg_list(a, "publish", &nports);
	int r = lodge_clone(&n, g, name, snapshot, ports, nports, e);
	if (r < 0)
		return r;
	puts(lodge_name(n));
	lodge_close(n);
	return 0;
}

/* All from one snapshot: they are then the same, and the guest stands still once. */
static int clone_many(struct args *a, struct lodge_guest *g, uint64_t count, struct lodge_err *e)
{
	const char *snapshot = arg_text(a, "snapshot"), *state = lodge_state(g);
	char made[64] = "", name[64];
	bool live = !strcmp(state, "running") || !strcmp(state, "paused");
	int r = 0;
	if (!snapshot && live) {
		snprintf(name, sizeof name, "clone-%d", (int)getpid());
		r = lodge_snapshot(g, name, made, e);
		snapshot = made;
	}
	for (uint64_t i = 1; r == 0 && i <= count; i++) {
		snprintf(name, sizeof name, "%.50s-%u", a->operands[1], (unsigned)i);
		r = clone_one(a, g, name, snapshot, e);
	}
	struct lodge_err why;
	if (made[0] && lodge_snapshot_remove(g, made, &why) < 0 && r == 0) {
		*e = why;
		r = -why.code;
	}
	return r;
}

static int clone(struct args *a)
{
	struct lodge_guest *g = NULL;
	struct lodge_err e;
	uint64_t count = arg_number(a, "count");
	size_t nports;
	arg_list(a, "publish", &nports);
	if (count > 1 && nports)
		return fail_text(a, "a port can be published by one of %d only: clone that alone",
				 (int)count);
	if (count > CLONES_MAX)
		return fail_text(a, "at most %d clones at a time", CLONES_MAX);
	int r = lodge_open(&g, a->operands[0], &e);
	if (r == 0)
		r = count ? clone_many(a, g, count, &e)
			  : clone_one(a, g, a->operands[1], arg_text(a, "snapshot"), &e);
	lodge_close(g);
	return r < 0 ? fail(a, &e) : 0;
}

const struct command command_clone = {
    .name = "clone",
    .operands = "NAME NEW",
    .summary = "make a running copy of a guest",
    .text = "Of a running, paused or suspended guest, or of a snapshot. The copy shares memory\n"
	    "and disk with it until either writes, and stays when it is removed. It gets a MAC\n"
	    "and a vsock address of its own, new random numbers (VM generation ID) and the right\n"
	    "time. Its network is its own too, so equal IP addresses in it do no harm; ports of\n"
	    "the host that the guest publishes are not published by the copy, but those of -p.\n"
	    "Connections are treated as lodge suspend says.\n"
	    "\n"
	    "The MAC is set by the agent in the guest, while the network is in use; until then,\n"
	    "or for 5 s, the copy sends nothing. A guest without the agent is told by its network\n"
	    "card (an interrupt), and goes on with the MAC it has until it reads the new one;\n"
	    "inspect then shows both. The agent in an image of an earlier Lodge cannot do it\n"
	    "either; lodge rmi and lodge pull make that anew.\n",
    .options = options,
    .noptions = countof(options),
    .min = 2,
    .max = 2,
    .completes = "guests",
    .run = clone,
};
