/* SPDX-License-Identifier: Apache-2.0 */
/* From a call of the module to the function here, and those that need no descriptor: arguments,
 * environment, clocks, chance, the end. */
#include "wasi/internal.h"
#include <sched.h>
#include <stdio.h>
#include <time.h>

uint32_t errno_of(int host)
{
	static const struct {
		int host;
		uint32_t number;
	} rows[] = {
#define ERRNO(host, number) {host, number},
#include "wasi/errno.def"
	};
	for (size_t i = 0; i < countof(rows); i++)
		if (rows[i].host == host)
			return rows[i].number;
	return W_IO;
}

void *guest(struct wasi *s, uint32_t at, uint64_t len) { return wasm_memory(s->me->w, at, len); }

/* ---- the table ---- */

/* A signal came before anything was done: it is done later, and began now. */
static enum wasm_trap call_ended(struct wasi *s, union wasm_slot *at, uint32_t r)
{
	if (r == W_INTR)
		return WASM_AGAIN;
	s->me->since_ns = 0;
	at[0].i32 = r;
	return s->exits ? WASM_TRAP_EXIT : WASM_OK;
}

#define BOTH(name, signature)                                                                      \
	static enum wasm_trap call_##name(void *user, struct wasm *w, union wasm_slot *at)         \
	{                                                                                          \
		struct wasi_thread *t = user;                                                      \
		t->locked = call_begin(t, w);                                                      \
		enum wasm_trap r = call_ended(t->all, at, wasi_##name(t->all, at));                \
		call_end(t->all, t->locked);                                                       \
		return r;                                                                          \
	}
#include "wasi/calls.def"

static enum wasm_trap call_proc_exit(void *user, struct wasm *w, union wasm_slot *at)
{
	struct wasi_thread *t = user;
	t->locked = call_begin(t, w);
	if (!t->all->exits)
		t->all->exit_code = (int)(at[0].i32 & 255);
	t->all->exits = true;
	call_end(t->all, t->locked);
	return WASM_TRAP_EXIT;
}

enum { NEW = 1, UNSTABLE = 2 };
static const struct {
	const char *name, *signature;
	wasm_host_fn *fn;
	unsigned of;
} calls[] = {
    {"proc_exit", "i:", call_proc_exit, NEW | UNSTABLE},
#define BOTH(name, signature) {#name, signature, call_##name, NEW | UNSTABLE},
#define CALL(name, signature) {#name, signature, call_##name, NEW},
#define OLD(name, signature) {&#name[4], signature, call_##name, UNSTABLE},
#include "wasi/calls.def"
};

static bool text_is(const char *at, uint32_t len, const char *s)
{
	return len == strlen(s) && !memcmp(at, s, len);
}

wasm_host_fn *wasi_find(void *user, size_t n, const struct wasm_import *im, struct lodge_err *e)
{
	if (text_is(im->module, im->module_len, "wasi") &&
	    text_is(im->name, im->name_len, "thread-spawn") && !strcmp(im->signature, "i:i"))
		return wasi_thread_spawn;
	unsigned of = text_is(im->module, im->module_len, "wasi_snapshot_preview1") ? NEW
		      : text_is(im->module, im->module_len, "wasi_unstable")	   ? UNSTABLE
										   : 0;
	(void)user;
	(void)n;
	for (size_t i = 0; i < countof(calls); i++) {
		if (!(calls[i].of & of) || !text_is(im->name, im->name_len, calls[i].name))
			continue;
		if (!strcmp(im->signature, calls[i].signature))
			return calls[i].fn;
		(void)!err_set(e, EINVAL, "import %.*s: its type is %s, and should be %s",
			       (int)im->name_len, im->name, im->signature, calls[i].signature);
		return NULL;
	}
	(void)!err_set(e, EINVAL,
		       "the module imports the function %.*s of '%.*s', which is not provided: "
		       "programs may import those of WASI preview 1 (wasi_snapshot_preview1)",
		       (int)im->name_len, im->name, (int)im->module_len, im->module);
	return NULL;
}

int wasi_exit_code(const struct wasi *s) { return s->exit_code; }

/* ---- texts that the program is given ---- */

static uint32_t texts_sizes(struct wasi *s, const char *const *t, size_t n,
			    const union wasm_slot *a)
{
	uint8_t *count = guest(s, a[0].i32, 4), *bytes = guest(s, a[1].i32, 4);
	size_t all = 0;
	if (!count || !bytes)
		return W_FAULT;
	for (size_t i = 0; i < n; i++)
		all += strlen(t[i]) + 1;
	if (all > UINT32_MAX)
		return W_2BIG;
	le32_put(count, (uint32_t)n);
	le32_put(bytes, (uint32_t)all);
	return 0;
}

static uint32_t texts_get(struct wasi *s, const char *const *t, size_t n,
			  const union wasm_slot *a)
{
	uint32_t at = a[1].i32;
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(t[i]) + 1;
		uint8_t *slot = guest(s, a[0].i32 + (uint32_t)(4 * i), 4), *to = guest(s, at, len);
		if (!slot || !to)
			return W_FAULT;
		le32_put(slot, at);
		memcpy(to, t[i], len);
		at += (uint32_t)len;
	}
	return 0;
}

uint32_t wasi_args_sizes_get(struct wasi *s, const union wasm_slot *a)
{
	return texts_sizes(s, s->c->argv, s->c->argc, a);
}
uint32_t wasi_args_get(struct wasi *s, const union wasm_slot *a)
{
	return texts_get(s, s->c->argv, s->c->argc, a);
}
uint32_t wasi_environ_sizes_get(struct wasi *s, const union wasm_slot *a)
{
	return texts_sizes(s, s->c->env, s->c->nenv, a);
}
uint32_t wasi_environ_get(struct wasi *s, const union wasm_slot *a)
{
	return texts_get(s, s->c->env, s->c->nenv, a);
}

/* ---- clocks ---- */

static bool clock_of(uint32_t id, clockid_t *ret)
{
	static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC,
					   CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID};
	if (id >= countof(clocks))
		return false;
	*ret = clocks[id];
	return true;
}

static uint64_t timespec_ns(const struct timespec *t)
{
	return (uint64_t)t->tv_sec * 1000000000 + (uint64_t)t->tv_nsec;
}

uint64_t guest_clock_ns(const struct wasi *s, clockid_t id)
{
	struct timespec t = {0};
	(void)clock_gettime(id, &t);
	uint64_t ns = timespec_ns(&t);
	return id == CLOCK_REALTIME    ? ns
	       : id == CLOCK_MONOTONIC ? ns - (uint64_t)s->away_ns
				       : ns + s->cpu_ns;
}

static uint32_t time_put(struct wasi *s, uint32_t at, uint64_t ns)
{
	uint8_t *to = guest(s, at, 8);
	if (!to)
		return W_FAULT;
	le64_put(to, ns);
	return 0;
}

uint32_t wasi_clock_res_get(struct wasi *s, const union wasm_slot *a)
{
	struct timespec t;
	clockid_t id;
	if (!clock_of(a[0].i32, &id))
		return W_INVAL;
	return clock_getres(id, &t) < 0 ? errno_of(errno) : time_put(s, a[1].i32, timespec_ns(&t));
}

uint32_t wasi_clock_time_get(struct wasi *s, const union wasm_slot *a)
{
	clockid_t id;
	if (!clock_of(a[0].i32, &id))
		return W_INVAL;
	return time_put(s, a[2].i32, guest_clock_ns(s, id));
}

/* ---- the rest ---- */

uint32_t wasi_random_get(struct wasi *s, const union wasm_slot *a)
{
	void *to = guest(s, a[0].i32, a[1].i32);
	if (!to)
		return W_FAULT;
	host_random(to, a[1].i32);
	return 0;
}

uint32_t wasi_sched_yield(struct wasi *s, const union wasm_slot *a)
{
	struct away away;
	(void)a;
	(void)!away_begin(s, NULL, &away);
	sched_yield();
	away_end(s, &away);
	return 0;
}

/* A signal that would end a process ends this one as a shell says it; others are ignored. */
uint32_t wasi_proc_raise(struct wasi *s, const union wasm_slot *a)
{
	/* of preview 1: 0 none, 1 HUP ... as Linux numbers them up to 15, CHLD 16, ... */
	static const uint8_t harmless[] = {0, 16, 17, 22, 27};
	if (a[0].i32 > 30)
		return W_INVAL;
	for (size_t i = 0; i < countof(harmless); i++)
		if (a[0].i32 == harmless[i])
			return 0;
	s->exits = true;
	s->exit_code = (int)(128 + a[0].i32);
	return 0;
}
