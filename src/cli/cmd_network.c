/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include <json-c/json.h>

static const struct option_row options[] = {
    {"subnet", 0, OPT_TEXT, "NET/PREFIX", NULL, "create: its addresses, for example 10.1.2.0/24",
     false},
    {"quiet", 'q', OPT_FLAG, NULL, NULL, "ls: names only", false},
    {"format", 0, OPT_TEXT, "FORMAT", "table", "table or json (of ls)", false},
};

static int network_create(struct args *a, const char *name)
{
	struct lodge_err e;
	if (lodge_network_create(name, arg_text(a, "subnet"), &e) < 0)
		return fail(a, &e);
	puts(name);
	return 0;
}

static int network_rm(struct args *a, const char *name)
{
	struct lodge_err e;
	if (lodge_network_remove(name, &e) < 0)
		return fail(a, &e);
	puts(name);
	return 0;
}

static int network_inspect(struct args *a, const char *name)
{
	struct lodge_err e;
	char *text = NULL;
	if (lodge_network_inspect(name, &text, &e) < 0)
		return fail(a, &e);
	json_print(text);
	lodge_free(text);
	return 0;
}

static void networks_print(struct json_object *list, bool quiet)
{
	enum { COLUMNS = 4 };
	size_t n = json_object_array_length(list);
	const char **cells = calloc((n + 1) * COLUMNS, sizeof *cells);
	char (*count)[16] = calloc(n + 1, sizeof *count);
	for (size_t i = 0; cells && count && i < n; i++) {
		struct json_object *o = json_object_array_get_idx(list, i), *members = NULL;
		json_object_object_get_ex(o, "members", &members);
		snprintf(count[i], sizeof *count, "%zu",
		         members ? json_object_array_length(members) : 0);
		const char **row = cells + (i + 1) * COLUMNS;
		row[0] = member_text(o, "name");
		row[1] = member_text(o, "subnet");
		row[2] = member_text(o, "interface");
		row[3] = count[i];
		if (quiet)
			puts(row[0]);
	}
	if (cells && !quiet) {
		static const char *const head[COLUMNS] = {"NAME", "SUBNET", "INTERFACE", "MEMBERS"};
		memcpy(cells, head, sizeof head);
		table_print(cells, COLUMNS, n + 1);
	}
	free(count);
	free(cells);
}

static int network_ls(struct args *a, const char *name)
{
	struct lodge_err e;
	char *text = NULL;
	(void)name;
	if (lodge_network_list(&text, &e) < 0)
		return fail(a, &e);
	struct json_object *list = json_tokener_parse(text);
	if (a->json)
		puts(text);
	else
		networks_print(list, arg_flag(a, "quiet"));
	json_object_put(list);
	lodge_free(text);
	return 0;
}

static int network(struct args *a)
{
	static const struct sub subs[] = {{"create", network_create, SUB_NAMES},
					  {"ls", network_ls, SUB_ALONE},
					  {"rm", network_rm, SUB_NAMES},
					  {"inspect", network_inspect, SUB_NAMES}};
	return subs_run(a, "network", subs, countof(subs));
}

const struct command command_network = {
    .name = "network",
    .operands = "create|ls|rm|inspect [NAME...]",
    .summary = "networks that containers join",
    .text =
	"A container that is run by root with --net NAME joins the network NAME: it gets an\n"
	"address of it, reaches the others in it by address and by name (their guests' names and\n"
	"host names), and the world behind the host's address. --publish leads a port of the host\n"
	"to it. The network bridge is there by itself.\n"
	"create makes one, with addresses that nothing else has or with those of --subnet; ls and\n"
	"inspect show them and who is in them; rm deletes those that nobody is in. The interface\n"
	"of the host (a bridge) is there while somebody is in the network.\n",
    .options = options,
    .noptions = countof(options),
    .min = 1,
    .run = network,
};
