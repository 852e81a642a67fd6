/* SPDX-License-Identifier: Apache-2.0 */
/* conform, host side: programs are generated from rv.insn and a seed, run in Lodge and in an
 * emulator that Debian packages (the oracle), and everything that they leave is compared. */
#pragma once
#include "base/base.h"
#include "isa/riscv/riscv.h"
#include "test/conform/guest.h"
#include "test/conform/values.h"

/* What a program is about, for reports and counts; a pattern index or one of these. */
enum { ABOUT_SEQUENCE = RV_PATTERNS, ABOUT_ILLEGAL, ABOUTS };
const char *about_name(unsigned about);

struct maker {
	struct rng rng;
	bool usable[RV_PATTERNS];       /* user level, and known to the oracle */
	unsigned list[RV_PATTERNS], nlist; /* the usable ones */
	unsigned turn;                  /* round robin, so that all come equally often */
	uint8_t taken[CODE_SIZE / 64];  /* slots of this batch */
	unsigned about[PROGRAMS];
	unsigned vlenb;                 /* programs about vectors of so many bytes; 0: others */
};
/* @exts: extensions that the oracle knows, @wrong: instructions to leave out; both separated by
 * spaces. @only: NULL, or one instruction. */
void maker_init(struct maker *m, const char *exts, const char *wrong, const char *only);
/* Fill @b with @n programs; the same for the same seed and batch number. */
void maker_batch(struct maker *m, struct batch *b, uint64_t seed, unsigned number, unsigned n);

/* vector.c: what programs about vectors are made of */
struct vector_kind {
	unsigned vlenb, sew;            /* sew: log2 of bytes */
	int lmul;                       /* log2 */
};
struct vector_kind vector_kind(struct rng *r, unsigned vlenb);
/* A word of pattern @p, likely to be legal under @k. */
uint32_t vector_word(struct rng *r, const struct rv_pattern *p, const struct vector_kind *k);
/* Does @d, of pattern @p, name x register @reg? */
bool vector_names_x(const struct rv_pattern *p, const struct rv_insn *d, unsigned reg);
/* May it stand in a sequence: touches no memory but that at a base register? */
bool vector_is_plain(const struct rv_pattern *p);
/* State for @d, the only instruction, or of a sequence (@p NULL); sets addresses in @x. */
void vector_fill(struct rng *r, const struct vector_kind *k, const struct rv_pattern *p,
                 const struct rv_insn *d, struct vstate *ret, uint64_t *x);
bool vector_equal(const struct vstate *a, const struct vstate *b, unsigned vlenb);
void vector_show(const struct vstate *in, const struct vstate *got, const struct vstate *want,
                 unsigned vlenb);

/* oracle.c */
struct oracle {
	struct batch *batch;            /* shared with the runner */
	int to, from;
	int pid;
};
int oracle_start(struct oracle *o, const char *emulator, const char *cpu, const char *runner,
                 const char *blob, struct lodge_err *e) MUST;
int oracle_begin(struct oracle *o, struct lodge_err *e) MUST;
int oracle_finish(struct oracle *o, struct lodge_err *e) MUST;
void oracle_stop(struct oracle *o);

/* lodge.c */
struct lodge_rig;
/* @vlen: bits of vector registers; 0: none. */
int lodge_rig_new(struct lodge_rig **ret, const char *engine, unsigned opt_at, unsigned vlen,
                  const char *blob, struct lodge_err *e) MUST;
void lodge_rig_free(struct lodge_rig *r);
/* Run a copy of @b; the result stays valid until the next run. */
const struct batch *lodge_rig_run(struct lodge_rig *r, const struct batch *b);
