/* SPDX-License-Identifier: Apache-2.0 */
/* Test support of isa/riscv: harts on real memory and bus, without an engine. */
#pragma once
#include "isa/riscv/priv.h"
#include "test/test.h"

enum { RIG_RAM = 16 << 20 };
#define RIG_BASE UINT64_C(0x80000000)
/* A window of registers: reads give the offset | 0x5a00, writes are kept in last_*. */
#define RIG_MMIO UINT64_C(0x10000000)

struct rig {
	struct rv_env env;
	struct vclock clock;
	struct rv_hart *h; /* hart 0 */
	uint64_t last_off, last_val;
	unsigned last_width;
	uint32_t reset_type, reset_reason, resets;
	char console[256];
	size_t console_len;
	const char *typed; /* what console_read gives */
	uint64_t next_table;
};

/* @harts harts, Sv57, 16 PMP entries all open; with @sbi in S mode, else in M mode. */
void rig_init(struct rig *r, unsigned harts, bool sbi);
void rig_fini(struct rig *r);
uint64_t *rig_word(struct rig *r, uint64_t pa);
/* A zeroed page table; its physical address. */
uint64_t rig_table(struct rig *r);
/* Make tables from @root (of @levels levels) down to @level and put @pte there for @va.
 * Returns the physical address of the entry. */
uint64_t rig_map(struct rig *r, uint64_t root, unsigned levels, uint64_t va, unsigned level,
		 uint64_t pte);
static inline uint64_t rig_satp(unsigned levels, unsigned asid, uint64_t root)
{
	return (uint64_t)(levels - 3 + SATP_SV39) << 60 | (uint64_t)asid << 44 | root >> 12;
}
static inline uint64_t rig_leaf(uint64_t pa, uint64_t flags) { return pa >> 12 << 10 | flags; }
void rig_satp_set(struct rig *r, uint64_t satp);
void rig_priv_set(struct rig *r, unsigned priv);
/* CSR write of all bits, read; the cause of the exception they raised, if any. */
enum rv_exc rig_csrw(struct rv_hart *h, unsigned n, uint64_t v);
enum rv_exc rig_csrr(struct rv_hart *h, unsigned n, uint64_t *ret);
/* One ecall from S mode; a1 in *ret_value (may be NULL). */
int64_t rig_sbi(struct rv_hart *h, uint64_t ext, uint64_t fn, const uint64_t args[6],
		uint64_t *ret_value);
/* Access by the slow path; the exception, RV_EXC_NONE if it worked. */
enum rv_exc rig_access(struct rv_hart *h, uint64_t va, enum rv_access a, unsigned size);
/* Would the engine's fast path take this access? */
bool rig_hits(const struct rv_hart *h, uint64_t va, enum rv_access a);
/* CHECK with the name of the case. */
void rig_check(bool ok, const char *fmt, ...) PRINTF(2, 3);
