/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include <json-c/json.h>

/* "[BIND:]HOST:GUEST[/udp]", in its parts: "GUEST/tcp" and "BIND:HOST". */
static void port_split(const char *spec, const char *usual, char guest[32], char host[96])
{
	char copy[160];
	snprintf(copy, sizeof copy, "%s", spec);
	char *slash = strchr(copy, '/'), *colon;
	const char *kind = slash ? slash + 1 : "tcp";
	if (slash)
		*slash = 0;
	colon = strrchr(copy, ':');
	snprintf(guest, 32, "%.16s/%.8s", colon ? colon + 1 : copy, kind);
	if (colon)
		*colon = 0;
	if (strchr(copy, ':'))
		snprintf(host, 96, "%.90s", copy);
	else
		snprintf(host, 96, "%s:%.60s", usual, copy);
}

/* How many of @list were printed: those of @want, or (NULL) all. */
static unsigned ports_print(struct json_object *list, const char *usual, const char *want)
{
	unsigned shown = 0;
	char guest[32], host[96];
	size_t n = list ? json_object_array_length(list) : 0;
	for (size_t i = 0; i < n; i++) {
		port_split(json_object_get_string(json_object_array_get_idx(list, i)), usual,
			   guest, host);
		size_t len = want ? strlen(want) : 0;
		if (want && (strncmp(guest, want, len) != 0 ||
			     (guest[len] && (strcmp(guest + len, "/tcp") != 0))))
			continue;
		if (want)
			puts(host);
		else
			printf("%s -> %s\n", guest, host);
		shown++;
	}
	return shown;
}

static int port(struct args *a)
{
	struct lodge_guest *g = NULL;
	struct lodge_err e;
	char *text = NULL;
	const char *want = a->noperands > 1 ? a->operands[1] : NULL;
	int r = lodge_open(&g, a->operands[0], &e);
	if (r == 0)
		r = lodge_inspect(g, &text, &e);
	if (r < 0) {
		lodge_close(g);
		return fail(a, &e);
	}
	struct json_object *o = json_tokener_parse(text), *config = NULL, *list = NULL;
	const char *state = member_text(o, "state");
	if (json_object_object_get_ex(o, "config", &config))
		json_object_object_get_ex(config, "publish", &list);
	bool open = !strcmp(state, "running") || !strcmp(state, "paused");
	unsigned shown = ports_print(open ? list : NULL, "127.0.0.1", want);
	if (!lodge_own(g))
		r = fail_text(a, "%s is a container of %s, which publishes its ports: %s port",
			      lodge_name(g), member_text(o, "engine"), member_text(o, "engine"));
	else if (want && !shown)
		r = fail_text(a, "%s publishes no port %s", lodge_name(g), want);
	json_object_put(o);
	lodge_free(text);
	lodge_close(g);
	return r;
}

const struct command command_port = {
    .name = "port",
    .operands = "NAME [PORT[/udp]]",
    .summary = "list a guest's ports and where on the host they are",
    .text = "Of a guest that runs, a line for each: 80/tcp -> 127.0.0.1:8080. With PORT, only\n"
	    "where on the host that one is.\n",
    .min = 1,
    .max = 2,
    .completes = "guests",
    .run = port,
};
