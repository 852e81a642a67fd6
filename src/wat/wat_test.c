/* SPDX-License-Identifier: Apache-2.0 */
/* What test/wasm/texts cannot ask: depth, and beginnings of files. */
#include "test/test.h"
#include "wasm/wasm.h"
#include "wat/wat.h"
#include <stdio.h>

enum { DEPTH = 300000 };

static int encode(const char *text, struct lodge_err *e)
{
	uint8_t *out = NULL;
	size_t n = 0;
	int r = wat_encode("t", text, strlen(text), &out, &n, e);
	if (r == 0)
		free(out);
	return r;
}

/* @before, DEPTH times @open, @middle, DEPTH times @close, @after */
static int deep(const char *before, const char *open, const char *middle, const char *close,
		const char *after)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);
	CHECK(f);
	fputs(before, f);
	for (unsigned i = 0; i < DEPTH; i++)
		fputs(open, f);
	fputs(middle, f);
	for (unsigned i = 0; i < DEPTH; i++)
		fputs(close, f);
	fputs(after, f);
	fclose(f);
	int r = encode(text, NULL);
	free(text);
	return r;
}

TEST(wat_text_is_nested_as_deeply_as_it_likes)
{
	CHECK(deep("(func ", "(block $a ", "(br $a)", ")", ")") == 0);
	CHECK(deep("(func ", "block $a ", "br 299999", " end $a", ")") == 0);
	CHECK(deep("(func ", "(i32.eqz ", "(i32.const 1)", ")", "drop)") == 0);
	CHECK(deep("(func ", "(if (i32.const 1) (then ", "nop", "))", ")") == 0);
	CHECK(deep("(func ", "(try (do ", "nop", "))", ")") == 0);
	CHECK(deep("", "(;", "x", ";)", "(func)") == 0);
	CHECK(deep("(@a ", "(", "x", ")", ") (func)") == 0);
	CHECK(deep("(func ", "(block ", "", "", "") == -EBADMSG);
	CHECK(deep("(func ", "if ", "", "else end ", ")") == 0);
	CHECK(deep("", "(", "", "", "") == -EBADMSG);
	CHECK(deep("", "(;", "", "", "") == -EBADMSG);
	CHECK(deep("(table 1 funcref) (elem ", "(", "", "", "") == -EBADMSG);
}

TEST(wat_quoted_modules_end)
{
	enum { DEEPEST = 8, ROOM = 1 << 16 };
	char *text = malloc(ROOM), *quoted = malloc(ROOM);
	struct lodge_err e = {0};
	CHECK(text && quoted);
	strcpy(text, "(module)");
	for (unsigned i = 1; i <= DEEPEST + 1; i++) {
		size_t n = (size_t)snprintf(quoted, ROOM, "(module quote \"");
		for (const char *p = text; *p; p++)
			n += (size_t)snprintf(quoted + n, ROOM - n,
					      *p == '"' || *p == '\\' ? "\\%c" : "%c", *p);
		(void)snprintf(quoted + n, ROOM - n, "\")");
		CHECK(n + 3 < ROOM);
		strcpy(text, quoted);
		CHECK(encode(text, &e) == (i <= DEEPEST ? 0 : -EBADMSG));
	}
	CHECK(strstr(e.msg, "modules are quoted in each other too deeply"));
	free(text);
	free(quoted);
	CHECK(encode("(module quote \"(func\" \"i32.ad)\")", &e) == -EBADMSG);
	CHECK(!strcmp(e.msg, "t:1:7: in the quoted module: an instruction is expected, not "
			     "i32.ad"));
}

TEST(wat_begins_with_module)
{
	static const char *const yes[] = {"(module", "( module)", " \n;; a\n(; (; ;) ;)(module $m",
					  "(@a b)(module binary"};
	static const char *const no[] = {"", "(", "module", "(func)", "#!/bin/sh", "(modul)",
					 "(; (module", "\177ELF", "(module\"", "\0asm"};
	for (size_t i = 0; i < countof(yes); i++)
		CHECK(wat_claims(yes[i], strlen(yes[i])));
	for (size_t i = 0; i < countof(no); i++)
		CHECK(!wat_claims(no[i], strlen(no[i])));
}

/* Lines of the text come back from the reader of line tables. */
TEST(wat_lines_are_those_of_the_validator)
{
	static const char text[] = "(module\n (func)\n\n (func (result i32)\n  nop\n\n\n"
				   "  (block\n    (i64.const 1))))";
	struct lodge_err e = {0};
	struct wasm_module *m;
	uint8_t *out;
	size_t n;
	CHECK(wat_encode("/a/b.wat", text, strlen(text), &out, &n, &e) == 0);
	CHECK(wasm_module_new(&m, out, n, 0, &e) == -EINVAL);
	CHECK(!strncmp(e.msg, "b.wat:9: function 1: ", 21));
	free(out);
}
