/* SPDX-License-Identifier: Apache-2.0 */
/* For the unit tests of this room: a task with some memory of its own far below the host's, as
 * guest memory is, and calls by the numbers of riscv64. */
#pragma once
#include "host/host.h"
#include "linux/internal.h"
#include "test/test.h"
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define GUEST UINT64_C(0x20000000)
#define USER_END (UINT64_C(1) << 38)
enum { GUEST_BYTES = 64 * 1024 };

struct guest {
	struct linux_proc proc;
	struct linux_task task;
};

static inline struct guest *guest_new(void)
{
	struct guest *g = calloc(1, sizeof *g);
	CHECK(g);
	linux_proc_init(&g->proc, USER_END);
	linux_limits_take(&g->proc);
	g->task.proc = &g->proc;
	CHECK(!host_fault_begin(NULL));
	CHECK(mmap((void *)GUEST, GUEST_BYTES, PROT_READ | PROT_WRITE,
	           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == (void *)GUEST);
	return g;
}

static inline void guest_free(struct guest *g)
{
	CHECK(!munmap((void *)GUEST, GUEST_BYTES));
	free(g);
}

/* The number of the call @name. */
static inline unsigned call_nr(const char *name)
{
	enum { NONE = 600 };
	unsigned nr = 0;
	while (nr < NONE && !(linux_row(nr) && !strcmp(linux_row(nr)->name, name)))
		nr++;
	CHECK(nr < NONE); /* there is such a call */
	return nr;
}

#define CALL(g, name, ...)                                                                         \
	linux_call(&(g)->task, call_nr(#name), (const uint64_t[6]){ __VA_ARGS__ })

/* Put @s at GUEST + @off: its address. */
static inline uint64_t guest_text(struct guest *g, unsigned off, const char *s)
{
	CHECK(!linux_write(&g->proc, GUEST + off, s, strlen(s) + 1));
	return GUEST + off;
}
static inline void *guest_at(unsigned off) { return (void *)(GUEST + off); }
