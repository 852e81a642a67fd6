/* SPDX-License-Identifier: Apache-2.0 */
/* Programs of several threads: "sum" and "pass" say the same natively; the others are of
 * WebAssembly, and some of them misbehave. */
#include "threads.h"

enum { MANY = 8, ROUNDS = 20000, STEPS = 50 };
static _Alignas(16) char stacks[MANY][STACK];
static struct thread threads[MANY];
static _Thread_local uint64_t own; /* each has its own */

/* ---- texts ---- */

static char *number_put(char *p, uint64_t v)
{
	char buf[24];
	int n = 0;
	do
		buf[n++] = (char)('0' + v % 10);
	while (v /= 10);
	while (n)
		*p++ = buf[--n];
	return p;
}
/* "@text @a @b" in one write. */
static void say(const char *text, uint64_t a, uint64_t b)
{
	char buf[96], *p = buf;
	while (*text)
		*p++ = *text++;
	*p++ = ' ';
	p = number_put(p, a);
	*p++ = ' ';
	p = number_put(p, b);
	*p++ = '\n';
	text_write(buf, (uint32_t)(p - buf));
}
static int same(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

static void all_start(void (*fn)(void *), int n)
{
	for (int i = 0; i < n; i++)
		if (thread_start(&threads[i], stacks[i], fn, (void *)(uintptr_t)i) < 0)
			proc_exit(90);
}
static void all_join(int n)
{
	for (int i = 0; i < n; i++)
		thread_join(&threads[i]);
}

/* ---- sums, in steps that all take together ---- */

static struct mutex m;
static struct cond c;
static uint64_t total, product = 1, steps[STEPS];
static uint32_t arrived, step;
static uint32_t plain[4]; /* atomics of 1, 2, 4 and 8 bytes */
static uint64_t wide;

static void barrier(void)
{
	lock(&m);
	uint32_t now = step;
	if (++arrived == MANY) {
		arrived = 0;
		steps[step++] = total;
		cond_wake(&c);
	}
	while (now == step)
		cond_wait(&c, &m);
	unlock(&m);
}

static void sum(void *arg)
{
	uint64_t me = (uintptr_t)arg + 1;
	own = me;
	for (int s = 0; s < STEPS; s++) {
		for (int i = 0; i < ROUNDS / STEPS; i++) {
			lock(&m);
			total += me * (uint64_t)(i + s);
			unlock(&m);
			own += (uint64_t)i;
			__atomic_fetch_add((uint8_t *)&plain[0], (uint8_t)me, __ATOMIC_SEQ_CST);
			__atomic_fetch_sub((uint16_t *)&plain[1], 5, __ATOMIC_SEQ_CST);
			__atomic_fetch_xor(&plain[2], (uint32_t)(me << (i & 7)), __ATOMIC_SEQ_CST);
			__atomic_fetch_or(&plain[3], 1u << (i + (int)me) % 32, __ATOMIC_SEQ_CST);
			uint64_t was = __atomic_load_n(&wide, __ATOMIC_SEQ_CST);
			while (!__atomic_compare_exchange_n(&wide, &was, was + me * 1000003, 0,
							    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
				;
		}
		barrier();
	}
	lock(&m);
	product *= own;
	unlock(&m);
}

static void sums(void)
{
	all_start(sum, MANY);
	all_join(MANY);
	for (int s = 0; s < STEPS; s++)
		say("step", (uint64_t)s, steps[s]);
	say("total", total, product);
	say("bytes", plain[0], plain[1]);
	say("words", plain[2], plain[3]);
	say("wide", wide, 0);
}

/* ---- a number goes around, changed by each; endless unless @left is said ---- */

static uint64_t left = 2000, value = 1;
static uint32_t turn;

static void pass(void *arg)
{
	uint32_t me = (uint32_t)(uintptr_t)arg;
	for (uint64_t n = 0;; n++) {
		lock(&m);
		while (turn % 4 != me && turn < left)
			cond_wait(&c, &m);
		if (turn >= left) {
			unlock(&m);
			return;
		}
		for (int i = 0; i < 20000; i++)
			value = value * 6364136223846793005u + me + n;
		say("pass", turn, value);
		turn++;
		cond_wake(&c);
		unlock(&m);
	}
}

#ifdef __wasm__
/* ---- what ends, and does not ---- */

static void forever(void *arg)
{
	volatile uint32_t n = 0;
	for (;;)
		n++;
}
static void sleeper(void *arg)
{
	uint32_t v = 0;
	wait_at(&v, 0, -1);
}
static void trapper(void *arg) { __builtin_trap(); }
static void exiter(void *arg) { proc_exit(9); }

static void bomb(void)
{
	static char stack[STACK];
	static struct thread t[1024];
	int n = 0, r;
	while (n < 1024 && (r = thread_start(&t[n], stack, sleeper, 0)) >= 0)
		n++;
	say("threads", (uint64_t)n, (uint64_t)-r);
}

/* ---- waits ---- */

static uint32_t cells[4], stop;
static uint64_t woken, waited, late;

static void storm_wait(void *arg)
{
	uint32_t me = (uint32_t)(uintptr_t)arg;
	for (uint32_t i = 0; !__atomic_load_n(&stop, __ATOMIC_SEQ_CST); i++) {
		int r = wait_at(&cells[(me + i) % 4], 0, (int64_t)(i % 5) * 20000);
		__atomic_fetch_add(r == 0 ? &waited : &late, 1, __ATOMIC_SEQ_CST);
	}
}
static void storm_wake(void *arg)
{
	uint32_t me = (uint32_t)(uintptr_t)arg;
	for (uint32_t i = 0; i < 100000; i++)
		__atomic_fetch_add(&woken, wake_at(&cells[(me + i) % 4], i % 3), __ATOMIC_SEQ_CST);
}
static void storm(void)
{
	for (int i = 0; i < MANY; i++)
		if (thread_start(&threads[i], stacks[i], i < 5 ? storm_wait : storm_wake,
				 (void *)(uintptr_t)i) < 0)
			proc_exit(90);
	for (int i = 5; i < MANY; i++)
		thread_join(&threads[i]);
	__atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
	all_join(5);
	say("storm", woken == waited, woken > 0);
}

static void storms(void)
{
	for (;;) {
		stop = 0;
		storm();
	}
}

/* Half by a wait, half by poll; in tenths of a second. */
static void naps(void)
{
	uint64_t t = now_ns();
	say("begins", 0, 0);
	int r = wait_at(&cells[2], 0, 750000000);
	sleep_ns(750000000);
	say("napped", (uint64_t)r, (now_ns() - t) / 100000000);
}
static void nap(void *arg) { naps(); }

static void woken_late(void *arg)
{
	own = 77;
	__atomic_fetch_add(&waited, (uint64_t)wait_at(&cells[0], 0, -1) + 1, __ATOMIC_SEQ_CST);
}
static void waits(void)
{
	uint64_t t = now_ns();
	say("time", (uint64_t)wait_at(&cells[1], 0, 100000000), now_ns() - t >= 100000000);
	say("other", (uint64_t)wait_at(&cells[1], 1, -1), wake_at(&cells[1], 9));
	all_start(woken_late, 5);
	uint64_t n = 0;
	while (n < 2)
		n += wake_at(&cells[0], (uint32_t)(2 - n));
	say("two", n, own);
	while (n < 5)
		n += wake_at(&cells[0], (uint32_t)WAKE_ALL);
	all_join(5);
	say("five", n, waited);
	say("sleeps", (sleep_ns(50000000), now_ns() - t >= 150000000), 1);
}

/* ---- memory that grows ---- */

static uint32_t bits[64];

static void grower(void *arg)
{
	for (int i = 0; i < 50; i++) {
		uint32_t page = (uint32_t)__builtin_wasm_memory_grow(0, 1);
		if (page == UINT32_MAX)
			proc_exit(91);
		uint32_t bit = 1u << page % 32;
		if (__atomic_fetch_or(&bits[page / 32], bit, __ATOMIC_SEQ_CST) & bit)
			proc_exit(92);
		uint32_t *p = (uint32_t *)(page * 65536u);
		for (int k = 0; k < 65536 / 4; k += 97)
			p[k] = page;
	}
}
static void grow(void)
{
	uint32_t first = (uint32_t)__builtin_wasm_memory_size(0);
	all_start(grower, MANY);
	all_join(MANY);
	uint32_t end = (uint32_t)__builtin_wasm_memory_size(0), bad = 0;
	for (uint32_t page = first; page < end; page++)
		for (int k = 0; k < 65536 / 4; k += 97)
			bad += ((uint32_t *)(page * 65536u))[k] != page;
	say("grown", end - first, bad);
	*(volatile uint32_t *)(end * 65536u) = 1; /* a trap */
}

static void talker(void *arg)
{
	for (uint64_t i = 0; i < 500; i++)
		say("line", (uintptr_t)arg, i);
}

/* ---- many that are short ---- */

static void brief(void *arg) { __atomic_fetch_add(&woken, 1, __ATOMIC_SEQ_CST); }
static void crowd(void)
{
	for (int r = 0; r < 100; r++) {
		all_start(brief, MANY);
		all_join(MANY);
	}
	say("crowd", woken, 0);
}

static void crowds(void)
{
	for (;;) {
		woken = 0;
		crowd();
	}
}

static void one(void (*fn)(void *))
{
	all_start(fn, 1);
	thread_join(&threads[0]);
}

static int wasm_only(const char *what)
{
	if (same(what, "bomb"))
		bomb();
	else if (same(what, "leaves")) {
		all_start(forever, 3);
		sleep_ns(30000000);
		proc_exit(5);
	} else if (same(what, "returns"))
		all_start(forever, 3);
	else if (same(what, "forever"))
		one(forever);
	else if (same(what, "trap"))
		one(trapper);
	else if (same(what, "exit"))
		one(exiter);
	else if (same(what, "storm"))
		storm();
	else if (same(what, "storms"))
		storms();
	else if (same(what, "naps"))
		one(nap);
	else if (same(what, "waits"))
		waits();
	else if (same(what, "grow"))
		grow();
	else if (same(what, "lines"))
		all_start(talker, MANY), all_join(MANY);
	else if (same(what, "crowd"))
		crowd();
	else if (same(what, "crowds"))
		crowds();
	else
		return 0;
	return 1;
}
#else
static int wasm_only(const char *what) { return !what; }
#endif

static int run(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "sum";
	if (argc > 2)
		for (left = 0; *argv[2]; argv[2]++)
			left = left * 10 + (uint64_t)(*argv[2] - '0');
	if (wasm_only(what))
		return 0;
	if (same(what, "pass")) {
		all_start(pass, 4);
		all_join(4);
	} else {
		sums();
	}
	return 0;
}

#ifdef __wasm__
void _start(void)
{
	static char *argv[16], buf[1024];
	uint32_t n = 0, len = 0;
	args_sizes_get(&n, &len);
	if (n < 16 && len < sizeof buf)
		args_get(argv, buf);
	run((int)n, argv);
}
#else
int main(int argc, char **argv) { return run(argc, argv); }
#endif
