/* SPDX-License-Identifier: Apache-2.0 */
/* A state of a run in memory, for tests: its sections, and its pages. */
#pragma once
#include "wasm/wasm.h"
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PIECES_MAX = 32 };
struct pieces {
	struct {
		char name[40];
		uint8_t *p; /* owned */
		size_t len;
	} part[PIECES_MAX];
	unsigned n;
	uint8_t *pages; /* owned; NULL: they have not been taken, nothing is saved */
	uint64_t npages; /* bytes */
};

/* wasm_sink.section; @user: the pieces. */
static inline uint8_t *pieces_section(void *user, const char *name, size_t len)
{
	struct pieces *s = user;
	if (s->n == PIECES_MAX)
		abort();
	snprintf(s->part[s->n].name, sizeof s->part[0].name, "%s", name);
	s->part[s->n].len = len;
	return s->part[s->n++].p = calloc(1, len + 1);
}

/* wasm_source.find */
static inline const uint8_t *pieces_find(void *user, const char *name, size_t *ret_len)
{
	const struct pieces *s = user;
	for (unsigned i = 0; i < s->n; i++)
		if (!strcmp(s->part[i].name, name)) {
			*ret_len = s->part[i].len;
			return s->part[i].p;
		}
	return NULL;
}

/* A file for npages bytes. */
static inline int pieces_file(const struct pieces *s)
{
	int fd = memfd_create("state", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, (off_t)s->npages) < 0)
		abort();
	return fd;
}

/* Take the pages that are in the file @fd, which is closed. */
static inline void pieces_take(struct pieces *s, int fd)
{
	s->pages = mmap(NULL, s->npages, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	if (s->pages == MAP_FAILED)
		abort();
	close(fd);
}

static inline void pieces_drop(struct pieces *s)
{
	for (unsigned i = 0; i < s->n; i++)
		free(s->part[i].p);
	if (s->pages)
		munmap(s->pages, s->npages);
	s->n = 0;
	s->pages = NULL;
}
