/* SPDX-License-Identifier: Apache-2.0 */
/* For programs of Windows that check functions of its API: what fails is printed with its line; the
 * last line is "N assertions, N failed", and the exit code 0 only if none did. */
#pragma once
#include <stdio.h>
#include <string.h>
#include <windows.h>

static int checked, failed;
#define CHECK(x)           check(!!(x), #x, __FILE__, __LINE__, 0, 0)
#define SAME(got, want)    same((long long)(got), (long long)(want), #got, __FILE__, __LINE__)
#define TEXT_IS(got, want) text_is(got, want, #got, __FILE__, __LINE__)
/* @x fails with the error @e. */
#define FAILS(x, e) (SetLastError(0xbad), CHECK(!(x)), SAME(GetLastError(), e))

static void check(int ok, const char *what, const char *file, int line, long long got,
		  long long want)
{
	checked++;
	if (ok)
		return;
	failed++;
	printf("%s:%d: %s: got %lld, want %lld\n", file, line, what, got, want);
}

static inline void same(long long got, long long want, const char *what, const char *file, int line)
{
	check(got == want, what, file, line, got, want);
}

static inline void text_is(const char *got, const char *want, const char *what, const char *file,
			   int line)
{
	checked++;
	if (got && !strcmp(got, want))
		return;
	failed++;
	printf("%s:%d: %s: got \"%s\", want \"%s\"\n", file, line, what, got ? got : "(null)",
	       want);
}

static int end(void)
{
	printf("%d assertions, %d failed\n", checked, failed);
	return failed != 0;
}
