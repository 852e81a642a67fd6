/* SPDX-License-Identifier: Apache-2.0 */
/* Is the description of the control socket that of what it answers? */
#include "life/internal.h"
#include "test/test.h"
#include <stdio.h>
#include <strings.h>

enum { TEXT_MAX = 64 << 10 };

static char *description_read(void)
{
	char *text = calloc(1, TEXT_MAX);
	FILE *f = fopen("docs/openapi.yaml", "r");
	CHECK(text && f); /* tests run at the top of the tree */
	size_t n = fread(text, 1, TEXT_MAX - 1, f);
	CHECK(n > 0 && n < TEXT_MAX - 1);
	fclose(f);
	return text;
}

/* The line behind @at that begins with @indent blanks; NULL: one with fewer comes before. */
static char *line_next(char *at, size_t indent)
{
	for (char *p = at; (p = strchr(p, '\n')) && p[1];) {
		p++;
		size_t n = strspn(p, " ");
		if (n == indent)
			return p;
		if (n < indent && p[n] != '\n')
			return NULL;
	}
	return NULL;
}

static bool route_there(const char *method, const char *path)
{
	const char *m, *p;
	for (size_t i = 0; control_route(i, &m, &p); i++)
		if (!strcasecmp(m, method) && !strcmp(p, path))
			return true;
	return false;
}

/* How many methods of paths the description has; each must be a route. */
static size_t description_check(char *text)
{
	size_t n = 0;
	char path[64], method[16];
	char *paths = strstr(text, "\npaths:\n");
	CHECK(paths != NULL);
	for (char *p = paths + 1; (p = line_next(p, 2));) {
		CHECK(sscanf(p, " %63[^:]:", path) == 1);
		for (char *q = p; (q = line_next(q, 4)); n++) {
			CHECK(sscanf(q, " %15[^:]:", method) == 1);
			if (!route_there(method, path))
				fail_msg("openapi.yaml: no route %s %s", method, path);
		}
	}
	return n;
}

TEST(control_routes_are_those_of_the_description)
{
	autofree char *text = description_read();
	const char *m, *p;
	size_t routes = 0, verbs = 0;
	char line[80];
	for (; control_route(routes, &m, &p); routes++) {
		snprintf(line, sizeof line, "\n  %s:\n", p);
		if (!strstr(text, line))
			fail_msg("openapi.yaml: no path %s", p);
		verbs += !strcmp(m, "POST");
	}
	CHECK(verbs > 5 && description_check(text) == routes);
}

TEST(control_description_refers_to_what_it_has)
{
	autofree char *text = description_read();
	size_t n = 0;
	char kind[32], name[32], line[80];
	for (char *p = text; (p = strstr(p, "\"#/components/")); p++, n++) {
		CHECK(sscanf(p, "\"#/components/%31[^/]/%31[^\"]\"", kind, name) == 2);
		snprintf(line, sizeof line, "\n  %s:\n", kind);
		char *at = strstr(text, line);
		CHECK(at != NULL);
		snprintf(line, sizeof line, "%s:\n", name);
		bool found = false;
		for (at = at + 1; !found && (at = line_next(at, 4));)
			found = !strncmp(at + 4, line, strlen(line));
		if (!found)
			fail_msg("openapi.yaml: no %s %s", kind, name);
	}
	CHECK(n > 20);
}

static struct control_reply ask(const char *method, const char *path, const char *body)
{
	struct control_request q = {
	    .method = method, .path = path, .body = body, .body_len = strlen(body)};
	struct control_reply r;
	struct keeper none = {0};
	control_handle(&none, &q, &r);
	json_object_put(r.body);
	return r;
}

TEST(control_paths_and_methods_that_are_not_there)
{
	CHECK(ask("GET", "/v1/nothing", "").status == 404);
	CHECK(ask("GET", "/v1/guest/", "").status == 404);
	CHECK(ask("PUT", "/v1/guest", "").status == 405);
	CHECK(ask("GET", "/v1/kill", "").status == 405);
	CHECK(ask("PUT", "/v1/console/size", "[]").status == 400);
	CHECK(ask("PUT", "/v1/console/size", "{\"rows\":1}").status == 400);
}
