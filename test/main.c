/* SPDX-License-Identifier: Apache-2.0 */
/* The unit-test program: every registered test whose name contains one of the arguments. */
#include "test/test.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct test *tests;

void test_add(struct test *t)
{
	t->next = tests;
	tests = t;
}

static int test_wanted(const struct test *t, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strstr(t->name, argv[i]))
			return 1;
	return argc < 2;
}

int main(int argc, char **argv)
{
	size_t n = 0;
	for (struct test *t = tests; t; t = t->next)
		n++;
	struct CMUnitTest *all = calloc(n + 1, sizeof *all);
	if (!all)
		return 1;
	n = 0;
	for (struct test *t = tests; t; t = t->next)
		if (test_wanted(t, argc, argv))
			all[n++] = (struct CMUnitTest){ .name = t->name, .test_func = t->fn };
	int failed = _cmocka_run_group_tests("lodge", all, n, NULL, NULL);
	free(all);
	/* A run that matched nothing proves nothing. */
	return failed || n == 0;
}
