/* SPDX-License-Identifier: Apache-2.0 */
/* Going on from the state of a WebAssembly program with two threads, one of which waits in a shared
 * memory: some of its bytes become others, and that is refused with a reason, or runs to some end.
 * The first byte says how the code is run and when it is saved; then come changes of 4 bytes: which
 * section (the last: pages), where (16 bits), what. All runs on one thread of the host, one run
 * inside the other. */
#include "test/fuzz/wasmstate.h"

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* wat2wasm of: _start adds and notifies in a loop; wasi_thread_start waits, by a call, and grows
 * the memory; a global and a table. */
static const uint8_t module[] = {
    0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x0e, 0x03, 0x60,
    0x01, 0x7f, 0x01, 0x7f, 0x60, 0x00, 0x00, 0x60, 0x02, 0x7f, 0x7f, 0x00,
    0x02, 0x15, 0x01, 0x04, 0x77, 0x61, 0x73, 0x69, 0x0c, 0x74, 0x68, 0x72,
    0x65, 0x61, 0x64, 0x2d, 0x73, 0x70, 0x61, 0x77, 0x6e, 0x00, 0x00, 0x03,
    0x04, 0x03, 0x01, 0x00, 0x02, 0x04, 0x04, 0x01, 0x70, 0x00, 0x02, 0x05,
    0x04, 0x01, 0x03, 0x01, 0x04, 0x06, 0x06, 0x01, 0x7e, 0x01, 0x42, 0x07,
    0x0b, 0x07, 0x1e, 0x02, 0x06, 0x5f, 0x73, 0x74, 0x61, 0x72, 0x74, 0x00,
    0x01, 0x11, 0x77, 0x61, 0x73, 0x69, 0x5f, 0x74, 0x68, 0x72, 0x65, 0x61,
    0x64, 0x5f, 0x73, 0x74, 0x61, 0x72, 0x74, 0x00, 0x03, 0x0a, 0x57, 0x03,
    0x25, 0x01, 0x01, 0x7f, 0x03, 0x40, 0x41, 0x10, 0x41, 0x01, 0xfe, 0x1e,
    0x02, 0x00, 0x1a, 0x41, 0x08, 0x41, 0x01, 0xfe, 0x00, 0x02, 0x00, 0x1a,
    0x20, 0x00, 0x41, 0x01, 0x6a, 0x22, 0x00, 0x41, 0x28, 0x49, 0x0d, 0x00,
    0x0b, 0x0b, 0x0e, 0x00, 0x20, 0x00, 0x41, 0x00, 0x42, 0xa0, 0x8d, 0x06,
    0xfe, 0x01, 0x02, 0x00, 0x0b, 0x20, 0x00, 0x03, 0x40, 0x23, 0x00, 0x41,
    0x08, 0x10, 0x02, 0xad, 0x7c, 0x24, 0x00, 0x41, 0x01, 0x40, 0x00, 0x1a,
    0x20, 0x00, 0x41, 0x01, 0x6a, 0x22, 0x00, 0x41, 0x28, 0x49, 0x0d, 0x00,
    0x0b, 0x0b};

static void save(struct state *s)
{
	const struct wasm_sink to = {part_new, s};
	uint64_t own;
	int fd = memfd_create("state", MFD_CLOEXEC);
	wasi_halted(s->wasi);
	if (fd < 0 || wasm_save(s->first, &to, &s->npages, NULL) < 0 ||
	    wasi_save(s->wasi, &to, NULL) < 0)
		abort();
	own = s->npages;
	if (wasi_threads_save(s->wasi, &to, &s->npages, NULL) < 0 ||
	    ftruncate(fd, (off_t)s->npages) < 0 || wasm_save_pages(s->first, fd, 0, NULL) < 0 ||
	    wasi_threads_save_pages(s->wasi, fd, own, NULL) < 0)
		abort();
	pages_map(s, fd);
}

/* The first one stands for as long as the second one runs, which stands when all is saved. */
static enum wasm_trap on_halt(void *user, struct wasm *w)
{
	struct state *s = user;
	struct wasi_thread *t;
	union wasm_slot at[2] = {{.i64 = 1}, {.i64 = 5}};
	if (s->countdown-- > 1 && w != s->first) {
		wasm_interrupt(w);
		return WASM_OK;
	}
	if (w != s->first) {
		save(s);
		return WASM_TRAP_EXIT;
	}
	if (thread_new(s->wasi, 1, &t, NULL) < 0)
		abort();
	t->phase = THREAD_MAIN;
	t->entry = thread_entry(wasm_module_of(w));
	wasm_interrupt(t->w);
	(void)!wasm_call(t->w, (uint32_t)t->entry, at);
	return WASM_TRAP_EXIT;
}

static void ended(void *user, struct wasm *w, enum wasm_trap t) { (void)user, (void)w, (void)t; }

/* What has been saved, from another instance. */
static void go_on(struct state *s, const struct wasm_module *m, const struct wasi_config *c,
		  struct wasm_limits l)
{
	struct wasm_source from = {part_find, s, s->pages, s->npages, s->countdown & 1};
	struct lodge_err e = {0};
	struct wasi *wasi;
	struct wasm *w;
	l.halted = on_again;
	l.deadline_ns = host_monotonic_ns() + 5000000;
	if (wasi_new(&wasi, c, NULL) < 0 || wasm_new(&w, m, &l, wasi_find, wasi, NULL) < 0)
		abort();
	wasi_attach(wasi, w);
	int r = wasi_load(wasi, &from, &e);
	if (r == 0)
		r = wasm_load(w, &from, &e);
	if (r == 0)
		r = wasi_threads_load(wasi, &from, &e);
	for (unsigned i = 1; r == 0 && i < THREADS_MAX; i++)
		if (wasi->threads[i])
			(void)!wasm_go_on(wasi->threads[i]->w);
	if (r == 0)
		(void)!wasm_go_on(w);
	else if (!e.msg[0])
		abort();
	wasm_free(w);
	wasi_free(wasi);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char *const argv[] = {"fuzz"};
	static const struct wasi_config c = {.argv = argv, .argc = 1, .trapped = ended};
	const unsigned how = len ? data[0] : 0;
	struct state s = {.countdown = 1 + how / 8};
	const struct wasm_limits l = {.memory_max = 16 << 20,
				      .stack_slots = 1 << 14,
				      .slice = 3,
				      .compiles = how & 1,
				      .heat = 1 + (how >> 1) % 4,
				      .halted = on_halt,
				      .halted_user = &s};
	struct wasm_module *m;
	union wasm_slot none;
	if (wasm_module_new(&m, module, sizeof module, 0, NULL) < 0 ||
	    wasi_new(&s.wasi, &c, NULL) < 0 ||
	    wasm_new(&s.first, m, &l, wasi_find, s.wasi, NULL) < 0)
		abort();
	wasi_attach(s.wasi, s.first);
	wasm_interrupt(s.first);
	if (wasm_start(s.first) == WASM_OK)
		(void)!wasm_call(s.first, (uint32_t)wasm_export_find(m, "_start", WASM_FUNC),
				 &none);
	wasm_free(s.first);
	wasi_free(s.wasi);
	changes_make(&s, data, len);
	if (s.saved)
		go_on(&s, m, &c, l);
	state_fini(&s);
	wasm_module_free(m);
	return 0;
}
