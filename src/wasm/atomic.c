/* SPDX-License-Identifier: Apache-2.0 */
/* Atomic accesses, by the host's own. An instance has one thread, so nobody ever waits to be
 * notified: a wait ends with its time, or with the deadline. Spec: the threads proposal of
 * WebAssembly, whose instructions have the prefix 0xfe */
#include "wasm/internal.h"

enum { ATOMIC_LOAD, ATOMIC_STORE, ATOMIC_ADD, ATOMIC_SUB, ATOMIC_AND, ATOMIC_OR, ATOMIC_XOR,
       ATOMIC_XCHG, ATOMIC_CMPXCHG };
enum { FIRST = 0x10, LAST = 0x4e, WIDTHS = 7 };

bool atomic_shape(unsigned op, struct atomic_shape *ret)
{
	static const struct {
		uint8_t bytes, type;
	} widths[WIDTHS] = {{4, WASM_I32}, {8, WASM_I64}, {1, WASM_I32}, {2, WASM_I32},
			    {1, WASM_I64}, {2, WASM_I64}, {4, WASM_I64}};
	struct atomic_shape s = {4, 1, WASM_I32, {WASM_I32, WASM_NONE}};
	if (op == ATOMIC_WAIT32 || op == ATOMIC_WAIT64) {
		bool wide = op == ATOMIC_WAIT64;
		s = (struct atomic_shape){wide ? 8 : 4, 2, WASM_I32,
					  {wide ? WASM_I64 : WASM_I32, WASM_I64}};
	} else if (op >= FIRST && op <= LAST) {
		unsigned kind = (op - FIRST) / WIDTHS, w = (op - FIRST) % WIDTHS;
		uint8_t t = widths[w].type;
		s.bytes = widths[w].bytes;
		s.n = kind == ATOMIC_LOAD ? 0 : kind == ATOMIC_CMPXCHG ? 2 : 1;
		s.out = kind == ATOMIC_STORE ? WASM_NONE : t;
		s.in[0] = s.in[1] = t;
	} else if (op != ATOMIC_NOTIFY) {
		return false;
	}
	*ret = s;
	return true;
}

/* The old value of the @bytes at @p. */
#define ACCESS(t)                                                                                  \
	static uint64_t access_##t(t *p, unsigned kind, uint64_t x, uint64_t y)                    \
	{                                                                                          \
		t v = (t)x;                                                                        \
		switch (kind) {                                                                    \
		case ATOMIC_LOAD: return __atomic_load_n(p, __ATOMIC_SEQ_CST);                     \
		case ATOMIC_STORE: __atomic_store_n(p, v, __ATOMIC_SEQ_CST); return 0;             \
		case ATOMIC_ADD: return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);                \
		case ATOMIC_SUB: return __atomic_fetch_sub(p, v, __ATOMIC_SEQ_CST);                \
		case ATOMIC_AND: return __atomic_fetch_and(p, v, __ATOMIC_SEQ_CST);                \
		case ATOMIC_OR: return __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST);                  \
		case ATOMIC_XOR: return __atomic_fetch_xor(p, v, __ATOMIC_SEQ_CST);                \
		case ATOMIC_XCHG: return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);              \
		default:                                                                           \
			__atomic_compare_exchange_n(p, &v, (t)y, false, __ATOMIC_SEQ_CST,          \
						    __ATOMIC_SEQ_CST);                             \
			return v;                                                                  \
		}                                                                                  \
	}
ACCESS(uint8_t)
ACCESS(uint16_t)
ACCESS(uint32_t)
ACCESS(uint64_t)
#undef ACCESS

static uint64_t access_any(void *p, unsigned bytes, unsigned kind, uint64_t x, uint64_t y)
{
	switch (bytes) {
	case 1: return access_uint8_t(p, kind, x, y);
	case 2: return access_uint16_t(p, kind, x, y);
	case 4: return access_uint32_t(p, kind, x, y);
	default: return access_uint64_t(p, kind, x, y);
	}
}

/* Nobody will notify: sleep @ns (negative: for good), but not beyond the deadline. */
static enum wasm_trap sleep_until_over(const struct wasm *w, int64_t ns)
{
	const uint64_t begin = host_monotonic_ns();
	for (;;) {
		uint64_t now = host_monotonic_ns(), gone = now - begin, left = UINT64_MAX;
		if (w->deadline_ns && now >= w->deadline_ns)
			return WASM_TRAP_DEADLINE;
		if (ns >= 0 && gone >= (uint64_t)ns)
			return WASM_OK;
		if (ns >= 0)
			left = (uint64_t)ns - gone;
		if (w->deadline_ns && w->deadline_ns - now < left)
			left = w->deadline_ns - now;
		left = left > 1000000000 ? 999999999 : left;
		const struct timespec t = {.tv_nsec = (long)left};
		(void)nanosleep(&t, NULL);
	}
}

static enum wasm_trap wait_for(const struct wasm *w, void *p, unsigned bytes, union wasm_slot *at)
{
	uint64_t want = bytes == 4 ? at[1].i32 : at[1].i64;
	if (access_any(p, bytes, ATOMIC_LOAD, 0, 0) != want) {
		at[0].i64 = 1;
		return WASM_OK;
	}
	enum wasm_trap t = sleep_until_over(w, (int64_t)at[2].i64);
	at[0].i64 = 2;
	return t;
}

enum wasm_trap atomic_run(struct wasm *w, const struct insn *i, union wasm_slot *at)
{
	struct atomic_shape s;
	unsigned op = i[1].d;
	const struct memory *m = &w->memories[i[1].k];
	uint64_t beyond;
	if (!atomic_shape(op, &s) || !address_check(m, at[0], i[1].code, s.bytes, &beyond))
		return WASM_TRAP_MEMORY;
	uint8_t *p = w->base + beyond;
	if ((uintptr_t)p % s.bytes)
		return WASM_TRAP_UNALIGNED;
	if (op == ATOMIC_NOTIFY) {
		at[0].i64 = 0;
		return WASM_OK;
	}
	if (op < FIRST && !w->m->memories[i[1].k].shared)
		return WASM_TRAP_UNSHARED;
	if (op < FIRST)
		return wait_for(w, p, s.bytes, at);
	uint64_t old = access_any(p, s.bytes, (op - FIRST) / WIDTHS, at[1].i64, at[2].i64);
	if (s.out)
		at[0].i64 = old;
	return WASM_OK;
}
