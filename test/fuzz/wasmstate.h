/* SPDX-License-Identifier: Apache-2.0 */
/* What the targets of states of WebAssembly share. A program is run and saved somewhere, some bytes
 * of its state become others, and that is refused with a reason, or runs to some end. The first
 * byte of the input says how the code is run and after how many looks around it is saved; then come
 * changes of 4 bytes: which section (the last: pages), where (16 bits), what. */
#pragma once
#include "wasi/internal.h"
#include "wasm/pieces_test.h"

struct state {
	struct pieces is;
	unsigned countdown;
	struct wasi *wasi;
	struct wasm *first; /* of several */
};

struct target {
	const uint8_t *module;
	size_t len;
	enum wasm_trap (*halted)(void *state, struct wasm *w); /* saves it when it is time */
	/* NULL, or: load what else there is, and go on with it */
	int (*more)(struct wasi *s, const struct wasm_source *from, struct lodge_err *e);
	uint64_t patience_ns; /* of each that goes on */
};

static enum wasm_trap on_again(void *user, struct wasm *w)
{
	(void)user, (void)w;
	return WASM_OK;
}

static void change(struct pieces *s, const uint8_t *p)
{
	unsigned i = p[0] % (s->n + 1);
	uint64_t at = le16_at(p + 1);
	if (i == s->n)
		s->pages[at * 256 % s->npages + at % 8] = p[3];
	else if (at == 0xffff) /* cut short */
		s->part[i].len -= min_u64(s->part[i].len, p[3]);
	else if (s->part[i].len)
		s->part[i].p[at % s->part[i].len] = p[3];
}

static void trapped(void *user, struct wasm *w, enum wasm_trap t) { (void)user, (void)w, (void)t; }

static void instance_new(struct wasi **ret_wasi, struct wasm **ret, const struct wasm_module *m,
			 const struct wasm_limits *l)
{
	static const char *const argv[] = {"fuzz"};
	static const struct wasi_config c = {.argv = argv, .argc = 1, .trapped = trapped};
	if (wasi_new(ret_wasi, &c, NULL) < 0 || wasm_new(ret, m, l, wasi_find, *ret_wasi, NULL) < 0)
		abort();
	wasi_attach(*ret_wasi, *ret);
}

/* What has been saved, from another instance. */
static void go_on(struct state *s, const struct target *t, const struct wasm_module *m,
		  struct wasm_limits l)
{
	const struct wasm_source from = {pieces_find, &s->is, s->is.pages, s->is.npages,
					 s->countdown & 1};
	struct lodge_err e = {0};
	struct wasi *wasi;
	struct wasm *w;
	l.halted = on_again;
	l.deadline_ns = host_monotonic_ns() + t->patience_ns;
	instance_new(&wasi, &w, m, &l);
	int r = wasi_load(wasi, &from, &e);
	if (r == 0)
		r = wasm_load(w, &from, &e);
	if (r == 0 && t->more)
		r = t->more(wasi, &from, &e);
	if (r == 0)
		(void)!wasm_go_on(w);
	else if (!e.msg[0])
		abort();
	wasm_free(w);
	wasi_free(wasi);
}

static int target_run(const struct target *t, const uint8_t *data, size_t len)
{
	const unsigned how = len ? data[0] : 0;
	struct state s = {.countdown = 1 + how / 8};
	const struct wasm_limits l = {.memory_max = 16 << 20,
				      .stack_slots = 1 << 14,
				      .slice = 3,
				      .compiles = how & 1,
				      .heat = 1 + (how >> 1) % 4,
				      .halted = t->halted,
				      .halted_user = &s};
	struct wasm_module *m;
	union wasm_slot none;
	if (wasm_module_new(&m, t->module, t->len, 0, NULL) < 0)
		abort();
	instance_new(&s.wasi, &s.first, m, &l);
	wasm_interrupt(s.first);
	if (wasm_start(s.first) == WASM_OK)
		(void)!wasm_call(s.first, (uint32_t)wasm_export_find(m, "_start", WASM_FUNC),
				 &none);
	wasm_free(s.first);
	wasi_free(s.wasi);
	for (size_t i = 1; s.is.pages && i + 4 <= len && i < 400; i += 4)
		change(&s.is, data + i);
	if (s.is.pages)
		go_on(&s, t, m, l);
	pieces_drop(&s.is);
	wasm_module_free(m);
	return 0;
}
