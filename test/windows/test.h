/* SPDX-License-Identifier: Apache-2.0 */
/* For programs of Windows that check functions of its API: what fails is printed with its line and
 * function; the last line is "N assertions, N failed", and the exit code 0 only if none did. The
 * names of assertions are what the file `differences` refers to. */
#pragma once
#include <stdio.h>
#include <string.h>
#include <windows.h>

static int checked, failed;
#define CHECK(x)           check(!!(x), #x, __func__, __LINE__, 0, 0)
#define SAME(got, want)    IS(#got, got, want)
#define TEXT_IS(got, want) TEXT(#got, got, want)
/* Of tables, where @name says which row it is. */
#define IS(name, got, want)   same((long long)(got), (long long)(want), name, __func__, __LINE__)
#define TEXT(name, got, want) text_is(got, want, name, __func__, __LINE__)
/* @x fails with the error @e. */
#define FAILS(x, e) (SetLastError(0xbad), CHECK(!(x)), IS("error of " #x, GetLastError(), e))
#define COUNT(a)    (sizeof(a) / sizeof *(a))

static void name_print(const char *what, const char *where, int line)
{
	failed++;
	printf("%d: %s: ", line, where);
	for (; *what; what++)
		*what < ' ' ? printf("\\%o", (unsigned char)*what) : putchar(*what);
}

static void text_print(const char *before, const char *s)
{
	printf("%s\"", before);
	for (; s && *s; s++)
		*s < ' ' ? printf("\\%o", (unsigned char)*s) : putchar(*s);
	printf(s ? "\"" : "\" (NULL)");
}

static void check(int ok, const char *what, const char *where, int line, long long got,
		  long long want)
{
	checked++;
	if (ok)
		return;
	name_print(what, where, line);
	printf(": got %lld, want %lld\n", got, want);
}

static inline void same(long long got, long long want, const char *what, const char *where,
			int line)
{
	check(got == want, what, where, line, got, want);
}

static inline void text_is(const char *got, const char *want, const char *what, const char *where,
			   int line)
{
	checked++;
	if (got && !strcmp(got, want))
		return;
	name_print(what, where, line);
	text_print(": got ", got);
	text_print(", want ", want);
	printf("\n");
}

/* @text as UTF-8, in one of a few rooms that are used in turn. */
static inline const char *narrow(const wchar_t *text)
{
	static char rooms[4][1000];
	static unsigned turn;
	char *to = rooms[turn++ % 4];
	if (!text || !WideCharToMultiByte(CP_UTF8, 0, text, -1, to, sizeof rooms[0], NULL, NULL))
		return NULL;
	return to;
}

static int end(void)
{
	printf("%d assertions, %d failed\n", checked, failed);
	return failed != 0;
}
