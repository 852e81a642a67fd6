/* SPDX-License-Identifier: Apache-2.0 */
/* What the targets of states of WebAssembly share: a state in pieces, and changes of it. */
#pragma once
#include "wasi/internal.h"
#include <sys/mman.h>
#include <unistd.h>

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
	struct wasm *first; /* of several */
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

static void state_fini(struct state *s)
{
	for (unsigned i = 0; i < s->n; i++)
		free(s->part[i].p);
	if (s->pages)
		munmap(s->pages, s->npages);
}

/* The pages that are in the file @fd, which is closed. */
static void pages_map(struct state *s, int fd)
{
	s->pages = mmap(NULL, s->npages, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	if (s->pages == MAP_FAILED)
		abort();
	close(fd);
	s->saved = true;
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

/* As the input says, from its second byte on. */
static void changes_make(struct state *s, const uint8_t *data, size_t len)
{
	for (size_t i = 1; s->saved && i + 4 <= len && i < 400; i += 4)
		change(s, data + i);
}
