/* SPDX-License-Identifier: Apache-2.0 */
#include "win/cmd.h"
#include <stdio.h>

#include "test/test.h"

struct given {
	const char *const *lines;
};

static char *given_next(void *arg)
{
	struct given *g = arg;
	return *g->lines ? strdup(*g->lines++) : NULL;
}

/* @a, and @b as a second line, as it is understood; "!X" where X was not expected. */
static char *understood(const char *a, const char *b)
{
	const char *const all[] = {a, b, NULL};
	struct given g = {all};
	struct lines l = {.next = given_next, .arg = &g, .batch = true};
	struct string t = {0};
	struct node *n;
	char *bad;
	if (parse_next(&l, &n, &bad) && n)
		node_print(&t, n);
	if (bad) {
		string_put(&t, "!");
		string_put(&t, bad);
	}
	node_free(n);
	free(bad);
	return string_take(&t);
}

static bool parses(const char *line, const char *want)
{
	autofree char *got = understood(line, NULL);
	if (strcmp(got, want) != 0)
		printf("%s: %s, want %s\n", line, got, want);
	return !strcmp(got, want);
}

TEST(cmd_operators_bind)
{
	CHECK(parses("a & b && c || d | e", "a  & b  && c  || d  | e"));
	CHECK(parses("(a & b) > x", "(a  & b ) 1>x "));
	CHECK(parses("a 2>&1 <in >>out", "a    2>&1  0<in  1>>out "));
	CHECK(parses("echo a2>b", "echo a2 1>b "));
	CHECK(parses("@echo a^&b \"c&d^\"", "echo a&b \"c&d^\""));
	CHECK(parses("if not exist a (b) else c & d", "if not exist a (b ) else c  & d"));
	CHECK(parses("if /i \"a b\"==c d", "if /I \"a b\"==c d"));
	CHECK(parses("if 1 equ 2 x & y", "if 1 EQU 2 x  & y"));
	CHECK(parses("for /f \"tokens=1\" %i in ('a ^| b') do c",
		     "for /F \"tokens=1\" %i in ('a | b') do c"));
	CHECK(parses(":label & x", ""));
	CHECK(parses("rem a & b", "rem"));
	autofree char *two = understood("(a", "b)"), *on = understood("a^", "b");
	CHECK(!strcmp(two, "(a\nb )") && !strcmp(on, "ab"));
}

TEST(cmd_what_is_not_expected_is_named)
{
	CHECK(parses("a && && b", "!&&"));
	CHECK(parses("| a", "!|"));
	CHECK(parses("(a", "!"));
	CHECK(parses("if a b", "!b"));
	CHECK(parses("for i in (a) do b", "!i"));
	CHECK(parses("a >", "!"));
	char deep[4000];
	memset(deep, '(', sizeof deep - 1);
	deep[sizeof deep - 1] = 0;
	CHECK(parses(deep, "!("));
}

static bool expands(struct cmd *c, const char *line, const char *want)
{
	autofree char *got = expand_line(c, line);
	if (strcmp(got, want) != 0)
		printf("%s: %s, want %s\n", line, got, want);
	return !strcmp(got, want);
}

TEST(cmd_variables_and_arguments)
{
	char *args[] = {(char[]){"x.cmd"}, (char[]){"\"a b\""}, (char[]){"c"}};
	struct batch b = {.args = args, .nargs = 3, .all = (char[]){"\"a b\" c"}, .path = args[0]};
	struct cmd c = {.batch = &b};
	environment_set("LT_A", "abcdef");
	CHECK(expands(&c, "%LT_A% %lt_a:~1,2% %LT_A:~-2% %LT_A:cd=X% %LT_A:*c=Y%",
		      "abcdef bc ef abXef Ydef"));
	CHECK(expands(&c, "[%LT_NONE%] %% %LT_NONE:~1%", "[] % ~1"));
	CHECK(expands(&c, "%1 %~1 %2 %3 %* 50%", "\"a b\" a b c  \"a b\" c 50"));
	c.batch = NULL;
	CHECK(expands(&c, "%LT_A% %LT_NONE% %1 %%", "abcdef %LT_NONE% %1 %%"));
	c.variables['i'] = "dir\\file.txt";
	c.delayed = true;
	autofree char *late = expand_late(&c, "%i !LT_A:~0,1!^! %j !");
	CHECK(!strcmp(late, "dir\\file.txt a! %j "));
	environment_set("LT_A", NULL);
}

TEST(cmd_sums)
{
	static const struct {
		const char *text, *want;
	} rows[] = {{" LT_S=1+2*3", "7"},
		    {" LT_S=(1+2)*3", "9"},
		    {" LT_S=-7/2", "-3"},
		    {" LT_S=0x10|3", "19"},
		    {" LT_S=1<<4>>1", "8"},
		    {" LT_S=~5", "-6"},
		    {" LT_S=2147483647+1", "-2147483648"},
		    {" LT_S=5, LT_S+=2", "7"},
		    {" \"LT_S=10 %% 4\"", "2"},
		    {" LT_S=-2147483648/-1", "-2147483648"}};
	extern uint32_t cmd_set(struct cmd * c, const char *args);
	struct batch b = {0};
	struct cmd c = {.batch = &b, .fd = {-1, -1, -1}};
	for (size_t i = 0; i < countof(rows); i++) {
		autofree char *line = NULL;
		CHECK(asprintf(&line, "/a%s", rows[i].text) > 0);
		char *twice = strstr(line, "%%");
		if (twice)
			memmove(twice, twice + 1, strlen(twice));
		CHECK(cmd_set(&c, line) == 0);
		autofree char *got = environment_get("LT_S");
		CHECK(got && !strcmp(got, rows[i].want));
	}
	CHECK(cmd_set(&c, "/a 1/0") && cmd_set(&c, "/a 1+") && cmd_set(&c, "/a (1"));
	environment_set("LT_S", NULL);
}

TEST(cmd_parts_of_names)
{
	static const struct {
		const char *full, *how, *want;
	} rows[] = {{"C:\\a\\b.cmd", "p", "\\a\\"},     {"C:\\a\\b.cmd", "dp", "C:\\a\\"},
		    {"C:\\a\\b.cmd", "nx", "b.cmd"},   {"x.cmd", "p", ""},
		    {"x.cmd", "dp", ""},	       {"x.cmd", "n", "x"}};
	static const struct win_start none; /* no drives */
	process()->start = &none;
	for (size_t i = 0; i < countof(rows); i++) {
		autofree char *got =
		    name_modified("x", rows[i].how, strlen(rows[i].how), rows[i].full);
		CHECK(!strcmp(got, rows[i].want));
	}
}
