/* SPDX-License-Identifier: Apache-2.0 */
/* Instances that share a memory, each on a thread of its own. */
#include "test/test.h"
#include "wasm/internal.h"
#include <pthread.h>

enum { MANY = 4, ROUNDS = 20000, WAIT = 0, NOTIFY, ADD, GROW }; /* functions of the module */

static const uint8_t bytes[] =
    "\0asm\1\0\0\0"
    "\1\x13\3\x60\3\x7f\x7f\x7e\1\x7f\x60\2\x7f\x7f\1\x7f\x60\1\x7f\1\x7f"
    "\3\5\4\0\1\1\2"
    "\5\4\1\3\1\x40" /* a shared memory of 1 to 64 pages */
    "\x0a\x3e\4"
    "\x0c\0\x20\0\x20\1\x20\2\xfe\1\2\0\x0b"
    "\x0a\0\x20\0\x20\1\xfe\0\2\0\x0b"
    "\x1d\0\3\x40\x20\0\x41\1\xfe\x1e\2\0\x1a\x20\1\x41\1\x6b\x22\1\x0d\0\x0b\x20\0\xfe\x10\2\0"
    "\x0b"
    "\6\0\x20\0\x40\0\x0b";

struct program {
	struct wasm_module *m;
	struct wasm *first, *w[MANY];
};
struct job {
	struct wasm *w;
	uint32_t func, x, y;
	int64_t ns;
	enum wasm_trap trap;
	uint32_t got;
};

static void program_new(struct program *p, const struct wasm_limits *l)
{
	struct lodge_err e;
	CHECK(wasm_module_new(&p->m, bytes, sizeof bytes - 1, 0, &e) == 0);
	CHECK(wasm_new(&p->first, p->m, l, NULL, NULL, &e) == 0);
	CHECK(wasm_start(p->first) == WASM_OK);
	for (unsigned i = 0; i < MANY; i++)
		CHECK(wasm_thread_new(&p->w[i], p->first, NULL, &e) == 0);
}

static void program_free(struct program *p)
{
	wasm_free(p->first); /* the others go on */
	for (unsigned i = 0; i < MANY; i++)
		wasm_free(p->w[i]);
	wasm_module_free(p->m);
}

static void *job_do(void *arg)
{
	struct job *j = arg;
	union wasm_slot at[3] = {{.i64 = j->x}, {.i64 = j->y}, {.i64 = (uint64_t)j->ns}};
	j->trap = wasm_call(j->w, j->func, at);
	j->got = at[0].i32;
	return NULL;
}

static uint32_t call(struct wasm *w, uint32_t func, uint32_t x, uint32_t y)
{
	struct job j = {w, func, x, y, 0, WASM_OK, 0};
	(void)job_do(&j);
	CHECK(j.trap == WASM_OK);
	return j.got;
}

static void jobs_start(const struct program *p, struct job like, pthread_t id[MANY],
		       struct job j[MANY])
{
	for (unsigned i = 0; i < MANY; i++) {
		j[i] = like;
		j[i].w = p->w[i];
		CHECK(pthread_create(&id[i], NULL, job_do, &j[i]) == 0);
	}
}

static void jobs_join(const pthread_t id[MANY])
{
	for (unsigned i = 0; i < MANY; i++)
		pthread_join(id[i], NULL);
}

TEST(wasm_threads_add_to_one_number)
{
	for (unsigned how = 0; how < 3; how++) {
		const struct wasm_limits l = {
		    .compiles = how == 0, .heat = 1, .fuel = how == 2 ? 1u << 30 : 0};
		struct program p;
		struct job j[MANY];
		pthread_t id[MANY];
		program_new(&p, &l);
		jobs_start(&p, (struct job){.func = ADD, .x = 8, .y = ROUNDS}, id, j);
		jobs_join(id);
		CHECK(call(p.first, ADD, 8, 1) == MANY * ROUNDS + 1);
		program_free(&p);
	}
}

TEST(wasm_threads_wait_until_they_are_notified)
{
	const struct wasm_limits l = {.compiles = true, .heat = 1};
	struct program p;
	struct job j[MANY];
	pthread_t id[MANY];
	uint32_t n = 0;
	program_new(&p, &l);
	jobs_start(&p, (struct job){.func = WAIT, .x = 16, .ns = -1}, id, j);
	while (n < 3)
		n += call(p.first, NOTIFY, 16, 3 - n);
	CHECK(n == 3 && call(p.first, NOTIFY, 12, UINT32_MAX) == 0);
	while (n < MANY)
		n += call(p.first, NOTIFY, 16, UINT32_MAX);
	CHECK(n == MANY);
	jobs_join(id);
	for (unsigned i = 0; i < MANY; i++)
		CHECK(j[i].trap == WASM_OK && j[i].got == 0);
	CHECK(call(p.first, NOTIFY, 16, UINT32_MAX) == 0);
	program_free(&p);
}

TEST(wasm_threads_that_wait_see_their_time_and_the_deadline)
{
	struct wasm_limits l = {.compiles = false};
	struct program p;
	struct job j[MANY];
	pthread_t id[MANY];
	program_new(&p, &l);
	jobs_start(&p, (struct job){.func = WAIT, .x = 16, .ns = 20000000}, id, j);
	jobs_join(id);
	for (unsigned i = 0; i < MANY; i++)
		CHECK(j[i].trap == WASM_OK && j[i].got == 2);
	program_free(&p);
	l.deadline_ns = host_monotonic_ns() + 50000000;
	program_new(&p, &l);
	jobs_start(&p, (struct job){.func = WAIT, .x = 16, .ns = -1}, id, j);
	jobs_join(id);
	for (unsigned i = 0; i < MANY; i++)
		CHECK(j[i].trap == WASM_TRAP_DEADLINE);
	program_free(&p);
}

TEST(wasm_threads_grow_one_memory)
{
	const struct wasm_limits l = {.memory_max = 40 * PAGE};
	struct program p;
	struct job j[MANY];
	pthread_t id[MANY];
	program_new(&p, &l);
	for (unsigned r = 0, seen = 0; r < 10; r++, seen = 0) {
		jobs_start(&p, (struct job){.func = GROW, .x = 1}, id, j);
		jobs_join(id);
		for (unsigned i = 0; i < MANY; i++) /* the last one is too many */
			seen |= 1u << (j[i].got == UINT32_MAX ? 31 : j[i].got - 1 - MANY * r);
		CHECK(seen == (r < 9 ? 15u : 7u | 1u << 31));
	}
	CHECK(wasm_memory_size(p.first) == 40 * PAGE && wasm_memory_size(p.w[0]) == 40 * PAGE);
	*(uint32_t *)wasm_memory(p.w[1], 40 * PAGE - 4, 4) = 7;
	CHECK(call(p.w[2], ADD, 40 * PAGE - 4, 1) == 8);
	CHECK(!wasm_memory(p.w[1], 40 * PAGE - 4, 5));
	jobs_start(&p, (struct job){.func = ADD, .x = 40 * PAGE, .y = 1}, id, j);
	jobs_join(id);
	CHECK(j[0].trap == WASM_TRAP_MEMORY && j[3].trap == WASM_TRAP_MEMORY);
	program_free(&p);
}
