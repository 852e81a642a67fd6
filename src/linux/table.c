/* SPDX-License-Identifier: Apache-2.0 */
/* The table of calls, and what is the same for all of them: the checks of arguments, and paths. */
#include "linux/internal.h"

#define FD(n) { #n, LINUX_FD, 0, 0 }
#define DIR(n) { #n, LINUX_DIR, 0, 0 }
#define INT(n) { #n, LINUX_INT, 0, 0 }
#define HEX(n) { #n, LINUX_HEX, 0, 0 }
#define OCT(n) { #n, LINUX_OCT, 0, 0 }
#define LEN(n) { #n, LINUX_LEN, 0, 0 }
#define OFF(n) { #n, LINUX_OFF, 0, 0 }
#define PID(n) { #n, LINUX_PID, 0, 0 }
#define SIG(n) { #n, LINUX_SIG, 0, 0 }
#define VALUE(n) { #n, LINUX_VALUE, 0, 0 }
#define STR(n) { #n, LINUX_STR, 0, 0 }
#define ADDR(n) { #n, LINUX_ADDR, 0, 0 }
#define PATH(n, how) { #n, LINUX_PATH, 0, how }
#define IN(n, bytes) { #n, LINUX_IN, 0, bytes }
#define OUT(n, bytes) { #n, LINUX_OUT, 0, bytes }
#define IO(n, bytes) { #n, LINUX_IO, 0, bytes }
#define IN_N(n, bytes, i) { #n, LINUX_IN, 1 + (i), bytes }
#define OUT_N(n, bytes, i) { #n, LINUX_OUT, 1 + (i), bytes }

#define N_ARGS(...) (sizeof((struct linux_arg[]){ __VA_ARGS__ }) / sizeof(struct linux_arg))
#define ROW(nr, name_, host_, how_, error_, ...)                                                   \
	[nr] = { .name = #name_, .host = host_, .how = how_, .error = error_,                      \
	         .n_args = N_ARGS(__VA_ARGS__), .arg = { __VA_ARGS__ } },
#define PASS(nr, name, ...) ROW(nr, name, SYS_##name, HOW_PASS, 0, __VA_ARGS__)
#define WAIT(nr, name, ...) ROW(nr, name, SYS_##name, HOW_WAIT, 0, __VA_ARGS__)
#define SAME(nr, name, ...) ROW(nr, name, nr, HOW_PASS, 0, __VA_ARGS__)
#define SAME_WAIT(nr, name, ...) ROW(nr, name, nr, HOW_WAIT, 0, __VA_ARGS__)
#define OWN(nr, name, ...) ROW(nr, name, -1, HOW_OWN, 0, __VA_ARGS__)
#define LEVEL(nr, name, ...) ROW(nr, name, -1, HOW_LEVEL, ENOSYS, __VA_ARGS__)
#define NONE(nr, name, error, ...) ROW(nr, name, -1, HOW_NONE, error, __VA_ARGS__)
static const struct linux_row table[] = {
#include "linux/calls.def"
};

/* What runs those of HOW_OWN. */
#define PASS(nr, name, ...)
#define WAIT(nr, name, ...)
#define SAME(nr, name, ...)
#define SAME_WAIT(nr, name, ...)
#define OWN(nr, name, ...) [nr] = call_##name,
#define LEVEL(nr, name, ...)
#define NONE(nr, name, error, ...)
static int64_t (*const owns[countof(table)])(struct linux_task *t, const uint64_t a[6]) = {
#include "linux/calls.def"
};

const struct linux_row *linux_row(unsigned nr)
{
	return nr < countof(table) && table[nr].name[0] ? &table[nr] : NULL;
}

/* How many @arg has. Numbers are of 32 bits where the kernel takes an int, and those below zero are
 * for the kernel to refuse: no call reads or writes as far as the guard above user_end reaches. */
static uint64_t count(const struct linux_row *r, const struct linux_arg *arg, const uint64_t a[6])
{
	if (!arg->count)
		return 1;
	unsigned i = arg->count - 1u;
	if (r->arg[i].kind != LINUX_INT)
		return a[i];
	return (int)a[i] < 0 ? 0 : (uint32_t)a[i];
}

/* @v, or in its place what the kernel refuses as it would refuse @v if Lodge were not there: so the
 * kernel says which of several errors comes first. */
static uint64_t arg_for_host(const struct linux_proc *p, const struct linux_row *r,
                             const struct linux_arg *arg, const uint64_t a[6], uint64_t v)
{
	uint64_t bytes;
	switch (arg->kind) {
	case LINUX_FD:
	case LINUX_DIR: return fd_hidden(p, v) ? REFUSED_FD : v;
	case LINUX_STR:
	case LINUX_PATH: return v < p->user_end ? v : REFUSED;
	case LINUX_IN:
	case LINUX_OUT:
	case LINUX_IO:
		if (__builtin_mul_overflow(count(r, arg, a), (uint64_t)arg->bytes, &bytes))
			return REFUSED;
		return range_ok(p, v, bytes) ? v : REFUSED;
	default: return v;
	}
}

int64_t linux_call(struct linux_task *t, unsigned nr, const uint64_t a[6])
{
	const struct linux_row *r = linux_row(nr);
	bool paths = false;
	uint64_t b[6];
	if (!r)
		return -ENOSYS;
	if (r->error)
		return -r->error;
	memcpy(b, a, sizeof b);
	for (unsigned i = 0; i < r->n_args; i++) {
		b[i] = arg_for_host(t->proc, r, &r->arg[i], a, a[i]);
		paths |= r->arg[i].kind == LINUX_PATH;
	}
	if (r->how == HOW_OWN)
		return owns[nr](t, b);
	if (paths)
		return path_call(t, r, b);
	return r->how == HOW_WAIT ? linux_host_call(t, r->host, b) : linux_direct(r->host, b);
}
