/* SPDX-License-Identifier: Apache-2.0 */
#include "test/test.h"
#include "wasm/internal.h"
#include <sys/mman.h>
#include <unistd.h>

enum { AT = 1000, LEN = 3 << 19, OVER = 70000, PAGES = 40 };

static uint8_t byte_of(uint32_t i) { return (uint8_t)(i * 7 + (i >> 8)); }

static size_t leb_put(uint8_t *p, uint32_t v) /* five bytes */
{
	for (unsigned n = 0; n < 5; n++)
		p[n] = (uint8_t)((v >> 7 * n & 127) | (n < 4 ? 128 : 0));
	return 5;
}

static size_t segment_put(uint8_t *p, uint32_t at, uint32_t len)
{
	size_t n = 0;
	p[n++] = 0;
	p[n++] = 0x41;
	n += leb_put(p + n, at);
	p[n++] = 0x0b;
	return n + leb_put(p + n, len);
}

/* f(address) loads a byte; a large segment at AT, and then one of two bytes. */
static size_t module_make(uint8_t *to, uint32_t over)
{
	static const char head[] = "\0asm\1\0\0\0"
				   "\1\6\1\x60\1\x7f\1\x7f"
				   "\3\2\1\0"
				   "\5\3\1\0\x28" /* PAGES */
				   "\7\5\1\1f\0\0"
				   "\12\11\1\7\0\x20\0\x2d\0\0\x0b"
				   "\13";
	size_t n = sizeof head - 1, size = n;
	memcpy(to, head, n);
	n += 5;
	to[n++] = 2;
	n += segment_put(to + n, AT, LEN);
	for (uint32_t i = 0; i < LEN; i++)
		to[n++] = byte_of(i);
	n += segment_put(to + n, over, 2);
	to[n++] = 0xaa;
	to[n++] = 0xbb;
	(void)leb_put(to + size, (uint32_t)(n - size - 5));
	return n;
}

static uint32_t load(struct wasm *w, uint32_t at)
{
	union wasm_slot v[2] = {{.i32 = at}};
	CHECK(wasm_call(w, 0, v) == WASM_OK);
	return v[0].i32;
}

static struct wasm *instance(const struct wasm_module *m)
{
	const struct wasm_limits limits = {.compiles = true, .heat = 3};
	struct wasm *w = NULL;
	CHECK(wasm_new(&w, m, &limits, NULL, NULL, NULL) == 0);
	CHECK(wasm_start(w) == WASM_OK);
	return w;
}

static uint32_t pieces_left(const struct wasm *w)
{
	uint32_t n = 0;
	for (uint64_t i = 0; i < w->npieces; i++)
		n += w->pieces[i / 8] >> (i & 7) & 1;
	return n;
}

TEST(wasm_data_is_copied_when_it_is_touched)
{
	uint8_t *bytes = malloc(LEN + 200);
	struct wasm_module *m;
	CHECK(wasm_module_new(&m, bytes, module_make(bytes, OVER), 0, NULL) == 0);
	struct wasm *w = instance(m);
	uint32_t all = pieces_left(w);
	CHECK(all == (AT + LEN - 1) / 65536 + 1);
	CHECK(load(w, AT) == byte_of(0) && load(w, AT - 1) == 0);
	CHECK(pieces_left(w) == all - 1);
	CHECK(load(w, OVER) == 0xaa && load(w, OVER + 1) == 0xbb);
	CHECK(load(w, OVER - 1) == byte_of(OVER - 1 - AT));
	/* what the kernel is given is there: across two pieces */
	const uint8_t *p = wasm_memory(w, 5 * 65536 - 1, 2);
	CHECK(p && pieces_left(w) == all - 4);
	CHECK(p[0] == byte_of(5 * 65536 - 1 - AT) && p[1] == byte_of(5 * 65536 - AT));
	/* by compiled code, up to the end and behind it */
	CHECK(load(w, AT + LEN - 1) == byte_of(LEN - 1) && load(w, AT + LEN) == 0);
	for (uint32_t i = AT; i < AT + LEN; i += 4099)
		CHECK(load(w, i) == byte_of(i - AT) || i - OVER < 2);
	CHECK(pieces_left(w) == 0);
	union wasm_slot v[2] = {{.i32 = PAGES * 65536}};
	CHECK(wasm_call(w, 0, v) == WASM_TRAP_MEMORY);
	wasm_free(w);
	wasm_module_free(m);
	free(bytes);
}

/* Segments that lie one behind the other are found by their place. */
TEST(wasm_data_in_order_is_found)
{
	enum { BEHIND = AT + LEN + 65536 };
	uint8_t *bytes = malloc(LEN + 200);
	struct wasm_module *m;
	CHECK(wasm_module_new(&m, bytes, module_make(bytes, BEHIND), 0, NULL) == 0);
	struct wasm *w = instance(m);
	CHECK(!w->active_mixed && w->nactive == 2);
	CHECK(load(w, BEHIND) == 0xaa && load(w, BEHIND + 1) == 0xbb && load(w, BEHIND + 2) == 0);
	CHECK(load(w, AT) == byte_of(0) && load(w, AT + LEN - 1) == byte_of(LEN - 1));
	CHECK(load(w, AT + LEN) == 0 && load(w, AT + 300000) == byte_of(300000));
	wasm_free(w);
	w = NULL;
	wasm_module_free(m);
	CHECK(wasm_module_new(&m, bytes, module_make(bytes, OVER), 0, NULL) == 0);
	w = instance(m);
	CHECK(w->active_mixed);
	wasm_free(w);
	wasm_module_free(m);
	free(bytes);
}

/* The file of a module that is mapped is overwritten: nothing but its functions and data change. */
TEST(wasm_mapped_module_that_changes)
{
	uint8_t *bytes = malloc(LEN + 200);
	size_t n = module_make(bytes, OVER);
	struct wasm_module *m;
	int fd = memfd_create("module", MFD_CLOEXEC);
	CHECK(fd >= 0 && pwrite(fd, bytes, n, 0) == (ssize_t)n);
	void *map = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	CHECK(map != MAP_FAILED);
	CHECK(wasm_module_new(&m, map, n, WASM_LAZY | WASM_MAPPED, NULL) == 0);
	struct wasm *w = instance(m);
	CHECK(load(w, AT + 1) == byte_of(1));
	wasm_free(w);
	uint8_t *other = malloc(n);
	memset(other, 0xff, n);
	CHECK(pwrite(fd, other, n, 0) == (ssize_t)n);
	CHECK(wasm_export_find(m, "f", WASM_FUNC) == 0);
	w = instance(m);
	union wasm_slot v[2] = {{.i32 = AT}};
	enum wasm_trap t = wasm_call(w, 0, v);
	/* all of it may lie in a page that has become ours */
	CHECK(t == WASM_TRAP_INVALID || (t == WASM_OK && v[0].i32 <= 255));
	wasm_free(w);
	wasm_module_free(m);
	munmap(map, n);
	close(fd);
	free(other);
	free(bytes);
}
