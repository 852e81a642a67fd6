/* SPDX-License-Identifier: Apache-2.0 */
/* Functions that are compiled by a second thread while the first one runs them. */
#include "test/test.h"
#include "wasm/random_test.h"
#include "wasm/tier.h"
#include <sched.h>
#include <time.h>

/* f0(x) = 3 * x; f1(n): the sum of f0(n), f0(n - 1), ... f0(1). */
static const char module[] = "\0asm\1\0\0\0"
			     "\1\6\1\x60\1\x7f\1\x7f"
			     "\3\3\2\0\0"
			     "\xa\x25\2"
			     "\7\0\x20\0\x41\3\x6c\x0b"
			     "\x1b\1\1\x7f\3\x40\x20\1\x20\0\x10\0\x6a\x21\1\x20\0\x41\1\x6b\x22\0"
			     "\x0d\0\x0b\x20\1\x0b";

static struct wasm *instance(const struct wasm_module *m, uint32_t heat)
{
	const struct wasm_limits limits = {.compiles = true, .heat = heat, .background = true};
	struct wasm *w = NULL;
	CHECK(wasm_new(&w, m, &limits, NULL, NULL, NULL) == 0);
	CHECK(wasm_start(w) == WASM_OK);
	return w;
}

static uint32_t call(struct wasm *w, uint32_t func, uint32_t x)
{
	union wasm_slot v[2] = {{.i32 = x}};
	CHECK(wasm_call(w, func, v) == WASM_OK);
	return v[0].i32;
}

static bool made_soon(const struct wasm *w, uint32_t func)
{
	const struct timespec nap = {.tv_nsec = 1000000};
	for (unsigned i = 0; i < 20000; i++) {
		if (tier_state(w->tier, &w->funcs[func]) == TIER_MADE)
			return true;
		(void)nanosleep(&nap, NULL);
	}
	return false;
}

static void calls(bool alone)
{
	struct wasm_module *m;
	CHECK(wasm_module_new(&m, (const uint8_t *)module, sizeof module - 1, 0, NULL) == 0);
	struct wasm *w = instance(m, 2);
	if (!w->tier) /* a host that nothing is compiled on */
		return;
	CHECK(call(w, 0, 7) == 21 && !w->tier->compiler && !w->tier->cache);
	CHECK(call(w, 0, 8) == 24);
	CHECK(!w->tier->compiler == alone);
	CHECK(!alone || tier_state(w->tier, &w->funcs[0]) == TIER_MADE);
	CHECK(made_soon(w, 0));
	CHECK(call(w, 0, 9) == 27 && w->funcs[0].code == &w->tiered);
	/* within one call of f1 its loop goes over to compiled code */
	CHECK(call(w, 1, 2000000) == 3 * (uint32_t)(2000001ull * 2000000 / 2));
	CHECK(made_soon(w, 1));
	wasm_free(w);
	wasm_module_free(m);
}

TEST(wasm_functions_are_compiled_while_they_run)
{
	if (host_cpus_allowed() > 1)
		calls(false);
}

/* One whose code for the interpreter was dropped is hot when compiled code calls it. */
TEST(wasm_nobody_compiles_beside_the_thread_that_does)
{
	struct wasm_module *m;
	CHECK(wasm_module_new(&m, (const uint8_t *)module, sizeof module - 1, 0, NULL) == 0);
	struct wasm *w = instance(m, 2);
	struct func *f = &w->funcs[1];
	CHECK(call(w, 0, 7) == 21 && call(w, 0, 8) == 24);
	if (w->tier && w->tier->compiler) {
		f->heat = 5;
		CHECK(!f->own && !tier_warm(w, f) && tier_state(w->tier, f) == TIER_NONE);
		CHECK(call(w, 1, 4) == 30 && f->own); /* and now there is something to read */
		CHECK(made_soon(w, 1));
	}
	wasm_free(w);
	wasm_module_free(m);
}

TEST(wasm_who_has_one_cpu_compiles_at_once)
{
	cpu_set_t all, one;
	CPU_ZERO(&one);
	CPU_SET((unsigned)sched_getcpu(), &one);
	CHECK(sched_getaffinity(0, sizeof all, &all) == 0);
	CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
	calls(true);
	CHECK(sched_setaffinity(0, sizeof all, &all) == 0);
}

TEST(wasm_a_little_is_compiled_without_a_thread)
{
	enum { HEAT = 20 };
	struct wasm_module *m;
	if (host_cpus_allowed() < 2)
		return;
	CHECK(wasm_module_new(&m, (const uint8_t *)module, sizeof module - 1, 0, NULL) == 0);
	struct wasm *w = instance(m, 0);
	for (uint32_t n = 0; w->tier && n < HEAT; n++) {
		CHECK(tier_state(w->tier, &w->funcs[0]) == TIER_NONE);
		CHECK(call(w, 0, n) == 3 * n);
	}
	CHECK(!w->tier || tier_state(w->tier, &w->funcs[0]) == TIER_MADE);
	CHECK(!w->tier || !w->tier->compiler);
	wasm_free(w);
	wasm_module_free(m);
}

static wasm_host_fn *none(void *user, size_t i, const struct wasm_import *im, struct lodge_err *e)
{
	(void)user, (void)i, (void)im;
	(void)!err_set(e, EINVAL, "nothing is provided");
	return NULL;
}

/* What is there while more is being made is a whole, that another instance takes. */
static void saved_meanwhile(const struct wasm_module *m, struct wasm *from)
{
	const struct wasm_limits limits = {.compiles = true, .heat = 1000, .stack_slots = 1 << 16};
	uint32_t list[4 * FUNCS], want = 0; /* there are more than those that are random */
	uint8_t *bytes = NULL;
	size_t len = 0, fresh;
	struct wasm *w;
	if (wasm_code_save(from, &bytes, &len) < 0)
		return;
	CHECK(wasm_new(&w, m, &limits, none, NULL, NULL) == 0);
	CHECK(wasm_code_load(w, bytes, len));
	want = tier_units(w->tier);
	CHECK(want && wasm_code_list(w, list, countof(list), &fresh) == want && !fresh);
	for (uint32_t i = 0; i < want; i++)
		CHECK(list[i] == (uint32_t)(from->tier->units[i].f - from->funcs));
	wasm_free(w);
	free(bytes);
}

TEST(wasm_code_is_kept_while_more_is_made_and_who_makes_it_can_be_left_alone)
{
	const struct wasm_limits limits = {
	    .compiles = true, .heat = 1, .background = true, .stack_slots = 1 << 16};
	struct bytes *b = malloc(sizeof *b);
	struct maker *r = calloc(1, sizeof *r);
	CHECK(b && r);
	for (uint64_t seed = 1; seed <= 40; seed++) {
		struct wasm_module *m;
		struct wasm *w;
		union wasm_slot v[6];
		*r = (struct maker){.seed = seed * 0x9e3779b97f4a7c15u};
		random_module(b, r);
		CHECK(wasm_module_new(&m, b->at, b->n, 0, NULL) == 0);
		CHECK(wasm_new(&w, m, &limits, none, NULL, NULL) == 0);
		CHECK(wasm_start(w) == WASM_OK);
		for (uint32_t f = 0; f < FUNCS; f++) {
			random_parameters(v, r);
			(void)!wasm_call(w, f, v);
			saved_meanwhile(m, w);
		}
		wasm_free(w); /* it may be at work */
		wasm_module_free(m);
	}
	free(b);
	free(r);
}
