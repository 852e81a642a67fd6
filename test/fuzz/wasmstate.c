/* SPDX-License-Identifier: Apache-2.0 */
/* Going on from the state of a WebAssembly program: a run is saved somewhere, some of its bytes
 * become others, and that is refused with a reason, or runs to some end. The first byte says how
 * the code is run and after how many looks around it is saved; then come changes of 4 bytes: which
 * section (the last: pages), where (16 bits), what. */
#include "wasi/wasi.h"
#include "wasm/internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* wat2wasm of: calls direct, by table and of the host, loops, tables and memory that grow, a
 * global and a table of references, segments that are passive. */
static const uint8_t module[] = {
    0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x0e, 0x03, 0x60,
    0x02, 0x7f, 0x7e, 0x01, 0x7e, 0x60, 0x00, 0x01, 0x7f, 0x60, 0x00, 0x00,
    0x02, 0x26, 0x01, 0x16, 0x77, 0x61, 0x73, 0x69, 0x5f, 0x73, 0x6e, 0x61,
    0x70, 0x73, 0x68, 0x6f, 0x74, 0x5f, 0x70, 0x72, 0x65, 0x76, 0x69, 0x65,
    0x77, 0x31, 0x0b, 0x73, 0x63, 0x68, 0x65, 0x64, 0x5f, 0x79, 0x69, 0x65,
    0x6c, 0x64, 0x00, 0x01, 0x03, 0x05, 0x04, 0x00, 0x00, 0x00, 0x02, 0x04,
    0x08, 0x02, 0x70, 0x01, 0x06, 0x14, 0x6f, 0x00, 0x02, 0x05, 0x04, 0x01,
    0x01, 0x01, 0x04, 0x06, 0x0b, 0x02, 0x7e, 0x01, 0x42, 0x07, 0x0b, 0x70,
    0x01, 0xd2, 0x01, 0x0b, 0x07, 0x0a, 0x01, 0x06, 0x5f, 0x73, 0x74, 0x61,
    0x72, 0x74, 0x00, 0x04, 0x09, 0x12, 0x02, 0x00, 0x41, 0x00, 0x0b, 0x03,
    0x01, 0x02, 0x03, 0x05, 0x70, 0x02, 0xd2, 0x02, 0x0b, 0xd0, 0x70, 0x0b,
    0x0c, 0x01, 0x01, 0x0a, 0xa4, 0x01, 0x04, 0x08, 0x00, 0x20, 0x01, 0x20,
    0x00, 0xad, 0x7c, 0x0b, 0x29, 0x01, 0x01, 0x7f, 0x03, 0x40, 0x20, 0x01,
    0x42, 0x1f, 0x7e, 0x21, 0x01, 0x20, 0x01, 0xa7, 0x41, 0xf8, 0xff, 0x03,
    0x71, 0x20, 0x01, 0x37, 0x03, 0x00, 0x20, 0x02, 0x41, 0x01, 0x6a, 0x22,
    0x02, 0x41, 0x09, 0x49, 0x0d, 0x00, 0x0b, 0x20, 0x01, 0x0b, 0x26, 0x00,
    0x20, 0x00, 0x04, 0x7e, 0x20, 0x01, 0x20, 0x00, 0x41, 0x01, 0x6b, 0x20,
    0x00, 0x20, 0x01, 0x20, 0x00, 0x41, 0x02, 0x70, 0x11, 0x00, 0x00, 0x41,
    0x02, 0x11, 0x00, 0x00, 0x85, 0x05, 0x10, 0x00, 0x1a, 0x20, 0x01, 0x0b,
    0x0b, 0x48, 0x01, 0x01, 0x7f, 0x03, 0x40, 0x41, 0x0c, 0x23, 0x00, 0x10,
    0x03, 0x24, 0x00, 0x41, 0x03, 0x20, 0x00, 0x41, 0x03, 0x70, 0x6a, 0x23,
    0x01, 0x26, 0x00, 0x20, 0x00, 0x41, 0x03, 0x70, 0x25, 0x00, 0x24, 0x01,
    0x41, 0x01, 0x40, 0x00, 0x1a, 0xd0, 0x70, 0x41, 0x01, 0xfc, 0x0f, 0x00,
    0x1a, 0x20, 0x00, 0x41, 0x01, 0x6a, 0x22, 0x00, 0x41, 0x28, 0x49, 0x0d,
    0x00, 0x0b, 0x41, 0xe4, 0x00, 0x41, 0x00, 0x41, 0x05, 0xfc, 0x08, 0x00,
    0x00, 0x0b, 0x0b, 0x08, 0x01, 0x01, 0x05, 0x6c, 0x6f, 0x64, 0x67, 0x65
};

enum { PARTS = 32 };
struct state {
	struct {
		char name[40];
		uint8_t *p;
		size_t len;
	} part[PARTS];
	unsigned n, countdown;
	uint64_t npages;
	uint8_t *pages;
	struct wasi *wasi;
	bool saved;
};

static uint8_t *part_new(void *user, const char *name, size_t len)
{
	struct state *s = user;
	if (s->n == PARTS)
		abort();
	snprintf(s->part[s->n].name, sizeof s->part[0].name, "%s", name);
	s->part[s->n].len = len;
	return s->part[s->n++].p = calloc(1, len + 1);
}

static const uint8_t *part_find(void *user, const char *name, size_t *ret_len)
{
	const struct state *s = user;
	for (unsigned i = 0; i < s->n; i++)
		if (!strcmp(s->part[i].name, name)) {
			*ret_len = s->part[i].len;
			return s->part[i].p;
		}
	return NULL;
}

static enum wasm_trap on_halt(void *user, struct wasm *w)
{
	struct state *s = user;
	const struct wasm_sink to = {part_new, s};
	if (s->countdown-- > 1) {
		wasm_interrupt(w);
		return WASM_OK;
	}
	wasi_halted(s->wasi);
	int fd = memfd_create("state", MFD_CLOEXEC);
	if (fd < 0 || wasm_save(w, &to, &s->npages, NULL) < 0 ||
	    wasi_save(s->wasi, &to, NULL) < 0 || ftruncate(fd, (off_t)s->npages) < 0 ||
	    wasm_save_pages(w, fd, 0, NULL) < 0)
		abort();
	s->pages = mmap(NULL, s->npages, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	if (s->pages == MAP_FAILED)
		abort();
	close(fd);
	s->saved = true;
	return WASM_TRAP_EXIT;
}

static enum wasm_trap on_again(void *user, struct wasm *w)
{
	(void)user, (void)w;
	return WASM_OK;
}

static void change(struct state *s, const uint8_t *p)
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

static struct wasm *instance_new(const struct wasm_module *m, struct wasi *wasi,
				 const struct wasm_limits *l)
{
	struct wasm *w;
	if (wasm_new(&w, m, l, wasi_find, wasi, NULL) < 0)
		abort();
	return w;
}

/* What has been saved, from another instance. */
static void go_on(struct state *s, const struct wasm_module *m, const struct wasi_config *c,
		  struct wasm_limits l)
{
	const struct wasm_source from = {part_find, s, s->pages, s->npages, s->countdown & 1};
	struct lodge_err e = {0};
	struct wasi *wasi;
	l.halted = on_again;
	l.deadline_ns = host_monotonic_ns() + 20000000;
	if (wasi_new(&wasi, c, NULL) < 0)
		abort();
	struct wasm *w = instance_new(m, wasi, &l);
	int r = wasi_load(wasi, &from, &e);
	if (r == 0)
		r = wasm_load(w, &from, &e);
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
	static const struct wasi_config c = {.argv = argv, .argc = 1};
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
	    wasi_new(&s.wasi, &c, NULL) < 0)
		abort();
	struct wasm *w = instance_new(m, s.wasi, &l);
	wasm_interrupt(w);
	if (wasm_start(w) == WASM_OK)
		(void)!wasm_call(w, (uint32_t)wasm_export_find(m, "_start", WASM_FUNC), &none);
	wasm_free(w);
	wasi_free(s.wasi);
	for (size_t i = 1; s.saved && i + 4 <= len && i < 400; i += 4)
		change(&s, data + i);
	if (s.saved)
		go_on(&s, m, &c, l);
	for (unsigned i = 0; i < s.n; i++)
		free(s.part[i].p);
	if (s.pages)
		munmap(s.pages, s.npages);
	wasm_module_free(m);
	return 0;
}
