/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests register themselves: TEST(name) { CHECK(x); } in any *_test.c. Run by cmocka. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

struct test {
	const char *name;
	void (*fn)(void **state);
	struct test *next;
};
void test_add(struct test *t);
#define TEST(n)                                                                                    \
	static void n(void **state);                                                               \
	__attribute__((constructor)) static void n##_register(void)                                \
	{                                                                                          \
		static struct test t = { #n, n, NULL };                                            \
		test_add(&t);                                                                      \
	}                                                                                          \
	static void n(void **state __attribute__((unused)))
/* Fails this test, and goes on with the next, when @x is false. */
#define CHECK(x) _assert_true((x) ? 1 : 0, #x, __FILE__, __LINE__)
