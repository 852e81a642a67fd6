/* SPDX-License-Identifier: Apache-2.0 */
/* cmd.exe: any lines become a tree, or are refused; nothing of them is run. */
#include "win/cmd.h"

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { MOST = 1 << 16 };
struct given {
	struct cmd *c;
	const char *at;
};

static char *given_next(void *arg)
{
	struct given *g = arg;
	if (!*g->at)
		return NULL;
	size_t n = strcspn(g->at, "\n");
	autofree char *line = strndup(g->at, n);
	g->at += n + (g->at[n] == '\n');
	return expand_line(g->c, line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *args[] = {(char[]){"x.cmd"}, (char[]){"\"a b\""}};
	struct batch b = {.args = args, .nargs = 2, .all = args[1], .path = args[0]};
	struct cmd c = {.batch = len && data[0] & 1 ? &b : NULL, .delayed = true};
	autofree char *text = strndup((const char *)data, len < MOST ? len : MOST);
	struct given g = {&c, text};
	struct lines l = {.next = given_next, .arg = &g, .batch = c.batch != NULL};
	struct node *n;
	char *bad;
	static const struct win_start none; /* no drives */
	process()->start = &none;
	environment_set("A", "value of a");
	c.variables['i'] = "a,b c";
	while (parse_next(&l, &n, &bad)) {
		struct string t = {0};
		if (n)
			node_print(&t, n);
		node_free(n);
		autofree char *all = string_take(&t);
		free(expand_late(&c, all));
	}
	free(bad);
	return 0;
}
