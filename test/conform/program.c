/* SPDX-License-Identifier: Apache-2.0 */
/* conform: programs made from the instruction table. A program is one instruction, a pair of lr
 * and sc, a straight sequence, or a word that is no instruction. What it needs (addresses in
 * SCRATCH, jump targets that are exits) is put into the registers of its cells. */
#include "isa/riscv/riscv.h"
#include "test/conform/conform.h"
#include <stdio.h>

enum { NO_REG = 33, TRIES = 400 };

/* A program being made. */
struct making {
	struct maker *m;
	struct program *p;
	uint64_t entry;
	unsigned variant;
	unsigned bytes;         /* written so far */
	const struct rv_pattern *main; /* what operands are chosen for; NULL: a sequence, illegal */
	struct rv_insn d;       /* its decoded operands */
	unsigned base;          /* register that points into SCRATCH */
	int32_t base_imm;       /* the target is base + this */
	unsigned align;         /* of the target; 1: any */
	unsigned jump_reg;      /* register that holds a code address */
	struct vector_kind vector;
};

const char *about_name(unsigned about)
{
	return about < RV_PATTERNS ? rv_patterns[about].name
	       : about == ABOUT_SEQUENCE ? "(sequence)" : "(illegal)";
}

static bool name_is(const struct rv_pattern *p, const char *start)
{
	return !strncmp(p->name, start, strlen(start));
}
static bool is_jump_reg(const struct rv_pattern *p)
{
	return name_is(p, "jalr") || name_is(p, "c.jr") || name_is(p, "c.jalr");
}
static bool is_memory(const struct rv_pattern *p)
{
	return strchr(p->operands, '(') && !is_jump_reg(p);
}
static bool is_jump(const struct rv_pattern *p)
{
	uint8_t k = p->kind[4];
	return k == RV_K_J || k == RV_K_B || k == RV_K_CJ || k == RV_K_CB;
}
static bool is_amo(const struct rv_pattern *p)
{
	return p->kind[5] == RV_K_AQRL;
}
/* May stand in a sequence: touches nothing but registers and SCRATCH. Two bugs of the oracle (10.0)
 * are avoided: amocas with rd = x0 corrupts its constant 0, which later instructions of the same
 * block then see; froundnx is dropped, its flag with it, when its result is overwritten unread. */
static bool is_plain(const struct rv_pattern *p)
{
	return !is_jump(p) && !is_jump_reg(p) && p->kind[4] != RV_K_CSR &&
	       !strstr(p->name, "ebreak") && !name_is(p, "wrs") && !name_is(p, "cbo") &&
	       !name_is(p, "amocas") &&
	       !name_is(p, "froundnx") && !name_is(p, "lr.") && !name_is(p, "sc.");
}

static bool listed(const char *exts, const char *ext)
{
	char want[24], have[512];
	snprintf(want, sizeof want, " %s ", ext);
	snprintf(have, sizeof have, " %s ", exts);
	return strstr(have, want) != NULL;
}

void maker_init(struct maker *m, const char *exts, const char *wrong, const char *only)
{
	memset(m, 0, sizeof *m);
	for (unsigned i = 0; i < RV_PATTERNS; i++) {
		const struct rv_pattern *p = &rv_patterns[i];
		if (!listed(exts, p->ext) || listed(wrong, p->name) || !strcmp(p->name, "ecall"))
			continue;
		m->usable[i] = true;
		if (!only || !strcmp(only, p->name))
			m->list[m->nlist++] = i;
	}
}

/* ---- choosing a word ---- */

/* Fields of a 32-bit word with edges: all zeros or ones in an immediate, equal registers. */
static uint32_t word_random(struct rng *r, const struct rv_pattern *p)
{
	uint32_t v = (uint32_t)rng_next(r);
	bool wide = (p->match & 3) == 3;
	switch (rng_below(r, 8)) {
	case 0: v |= wide ? 0xfff00000 : 0x1c7c; break;
	case 1: v &= wide ? 0x000fffff : ~0x1c7cu; break;
	case 2: v = (v & ~0xf80u) | (v >> 8 & 0xf80); break;          /* rd = rs1 */
	case 3: v = (v & ~0x1f00000u) | (v << 5 & 0x1f00000); break;  /* rs2 = rs1 */
	default: break;
	}
	v = (v & ~p->mask) | p->match;
	return wide ? v : v & 0xffff;
}

static bool uses(const struct rv_insn *d, unsigned reg)
{
	return d->rd == reg || d->rs1 == reg || d->rs2 == reg || d->rs3 == reg;
}
static bool uses_reserved(const struct rv_insn *d, unsigned variant)
{
	return uses(d, CELL_REG(variant)) || uses(d, LINK_REG(variant));
}

/* fflags, frm, fcsr; or one that user level must not reach. Counters differ from run to run, and
 * what else is below 0x100 or at 0xcxx belongs to extensions of the oracle. */
static bool csr_fits(struct rng *r, uint32_t *word)
{
	uint32_t csr = 1 + rng_below(r, 3);
	if (rng_below(r, 16) == 0) {
		csr = *word >> 20;
		if (csr < 0x100 || csr >> 8 == 0xc || !(csr >> 8 & 3))
			return false;
	}
	*word = (*word & 0xfffff) | csr << 20;
	return true;
}

/* A jump from @at must land on an exit: of this program behind its code, or of a free place. */
static bool target_is_exit(const struct making *k, uint64_t to)
{
	if (to % 4 || to < CODE || to >= CODE + CODE_SIZE - 4 || to - BLOB < BLOB_SIZE)
		return false;
	uint64_t at = k->p->pc;
	if (to >= at && to < at + 4 * PROGRAM_WORDS) /* behind one instruction and its exit */
		return to >= at + 12;
	return !k->m->taken[(to - CODE) / 64];
}

/* A word of pattern @p that this program may hold at its current end. False: keep trying. */
static bool word_try(struct making *k, const struct rv_pattern *p, uint32_t *ret)
{
	struct rng *r = &k->m->rng;
	uint32_t w = word_random(r, p);
	struct rv_insn d;
	if (p->kind[4] == RV_K_CSR && p->kind[0] != RV_K_NONE && !csr_fits(r, &w))
		return false;
	bool legal = rv_decode(w, &d);
	if (uses_reserved(&d, k->variant) || (!legal && rng_below(r, 64)))
		return false;
	if (legal && d.op != p->op) /* a special case of this pattern */
		return false;
	if (is_memory(p) && (!legal || d.rs1 == 0))
		return false;
	if (is_jump_reg(p) && (!legal || d.rs1 == 0))
		return false;
	if (is_jump(p) && !target_is_exit(k, k->entry + k->bytes + (uint64_t)(int64_t)d.imm))
		return false;
	k->d = d;
	*ret = w;
	return true;
}

static void emit(struct making *k, uint32_t word, unsigned len)
{
	uint8_t *to = (uint8_t *)k->p->code + (k->entry - k->p->pc) + k->bytes;
	le16_put(to, (uint16_t)word);
	if (len == 4)
		le16_put(to + 2, (uint16_t)(word >> 16));
	k->bytes += len;
}

static bool emit_pattern(struct making *k, const struct rv_pattern *p)
{
	uint32_t w;
	for (unsigned i = 0; i < TRIES; i++)
		if (word_try(k, p, &w)) {
			emit(k, w, (w & 3) == 3 ? 4 : 2);
			return true;
		}
	return false;
}

/* ---- kinds of programs ---- */

static unsigned access_align(const struct rv_pattern *p)
{
	size_t n = strlen(p->name);
	char c = n > 1 && p->name[n - 2] == '.' ? p->name[n - 1] : 0;
	return !is_amo(p) ? 1 : c == 'q' ? 16 : c == 'd' ? 8 : 4;
}

static bool make_single(struct making *k, const struct rv_pattern *p)
{
	k->main = p;
	if (!emit_pattern(k, p))
		return false;
	if (is_memory(p)) {
		k->base = k->d.rs1;
		k->base_imm = k->d.imm;
		k->align = access_align(p);
	} else if (is_jump_reg(p)) {
		k->jump_reg = k->d.rs1;
		k->base_imm = k->d.imm;
	}
	return true;
}

/* lr, perhaps something between, sc to the same address. */
static bool make_pair(struct making *k)
{
	struct rng *r = &k->m->rng;
	unsigned base = 8 + rng_below(r, 8), wide = rng_below(r, 2);
	unsigned rd = rng_below(r, 30), rd2 = rng_below(r, 30), rs2 = rng_below(r, 30);
	if (rd == base || rd == 6 || rd == 7 || rd2 == 6 || rd2 == 7 || rs2 == 6 || rs2 == 7)
		return false;
	emit(k, 0x1000202fu | wide << 12 | base << 15 | rd << 7 | rng_below(r, 4) << 25, 4);
	if (rng_below(r, 2))
		emit(k, 0x00000013, 4);
	emit(k, 0x1800202fu | wide << 12 | base << 15 | rs2 << 20 | rd2 << 7, 4);
	k->base = base;
	k->align = 8;
	return true;
}

static bool sequence_word(struct making *k, unsigned base)
{
	struct rng *r = &k->m->rng;
	const struct rv_pattern *p = &rv_patterns[k->m->list[rng_below(r, k->m->nlist)]];
	if (!is_plain(p))
		return false;
	uint32_t w = word_random(r, p);
	struct rv_insn d;
	if (is_memory(p)) {
		if (p->kind[1] == RV_K_R15)
			w = (w & ~0xf8000u) | base << 15;
		else if (p->kind[1] == RV_K_R7_)
			w = (w & ~0x380u) | (base - 8) << 7;
		else
			return false;
		if (p->kind[4] == RV_K_I) /* a small immediate: bits 11..7 are its sign */
			w = (int32_t)w < 0 ? w | 0xf8000000 : w & ~0xf8000000u;
		if (p->kind[4] == RV_K_S)
			w = (int32_t)w < 0 ? w | 0xf8000000 : w & ~0xf8000000u;
	}
	if (!rv_decode(w, &d) || d.op != p->op || uses_reserved(&d, k->variant) || d.rd == base)
		return false;
	if (is_memory(p) && (d.imm < -120 || d.imm > 112))
		return false;
	emit(k, w, d.len);
	return true;
}

static bool make_sequence(struct making *k)
{
	unsigned n = 3 + rng_below(&k->m->rng, 5), base = 8 + rng_below(&k->m->rng, 8);
	k->base = base;
	k->align = 256; /* the middle of SCRATCH */
	for (unsigned i = 0, tries = 0; i < n && tries < TRIES; tries++)
		i += sequence_word(k, base);
	return k->bytes != 0;
}

/* Vector loads and stores: the oracle knows some of them even with its vectors switched off. */
static bool is_vector(uint32_t w)
{
	uint32_t width = w >> 12 & 7;
	return ((w & 0x7f) == 0x07 || (w & 0x7f) == 0x27) && (width == 0 || width >= 5);
}

/* What loops do, and engines may do by themselves, comes more often. */
static const struct rv_pattern *vector_pattern(const struct maker *m, struct rng *r)
{
	static const char usual[] = " vle8.v vle32.v vle64.v vle8ff.v vse8.v vse32.v vse64.v "
		"vadd.vv vsub.vx vand.vi vor.vv vxor.vx vmul.vv vmacc.vv vmacc.vx vmv.v.v vmv.v.x "
		"vmv.v.i vfadd.vv vfsub.vf vfmul.vv vfmacc.vv vfmacc.vf vmseq.vi vmseq.vv vmsne.vx "
		"vmv.s.x vmv.x.s vfmv.s.f vfmv.f.s vfirst.m vsetvli ";
	const struct rv_pattern *p = &rv_patterns[m->list[rng_below(r, m->nlist)]];
	for (unsigned i = rng_below(r, 4) ? TRIES : 0; i && !listed(usual, p->name); i--)
		p = &rv_patterns[m->list[rng_below(r, m->nlist)]];
	return p;
}

static bool make_vector_sequence(struct making *k)
{
	struct rng *r = &k->m->rng;
	unsigned n = 3 + rng_below(r, 5), base = 8 + rng_below(r, 8);
	if (rng_below(r, 4)) /* vsetvli x5, x0, the type */
		emit(k, 0x72d7u | (uint32_t)(k->vector.lmul & 7) << 20 | k->vector.sew << 23, 4);
	for (unsigned i = 0, tries = 0; i < n && tries < TRIES; tries++) {
		const struct rv_pattern *p = vector_pattern(k->m, r);
		uint32_t w = vector_word(r, p, &k->vector);
		struct rv_insn d;
		if (is_memory(p))
			w = (w & ~0xf8000u) | base << 15;
		if (!vector_is_plain(p) || !rv_decode(w, &d) || d.op != p->op ||
		    (d.rd == base && vector_names_x(p, &d, base)) ||
		    vector_names_x(p, &d, CELL_REG(k->variant)) ||
		    vector_names_x(p, &d, LINK_REG(k->variant)))
			continue;
		emit(k, w, 4);
		i++;
	}
	k->d.rs1 = (uint8_t)base;
	return k->bytes != 0;
}

static bool make_vector(struct making *k, const struct rv_pattern *p)
{
	struct rng *r = &k->m->rng;
	for (unsigned i = 0; i < TRIES; i++) {
		uint32_t w = vector_word(r, p, &k->vector);
		if (!rv_decode(w, &k->d) || k->d.op != p->op ||
		    vector_names_x(p, &k->d, CELL_REG(k->variant)) ||
		    vector_names_x(p, &k->d, LINK_REG(k->variant)) ||
		    (is_memory(p) && (!k->d.rs1 || (strstr(p->operands, "rs2") &&
		                                    k->d.rs1 == k->d.rs2))))
			continue;
		k->main = p;
		emit(k, w, 4);
		return true;
	}
	return false;
}

/* A word that Lodge does not know: random, or an instruction with one bit flipped. */
static bool make_illegal(struct making *k)
{
	struct rng *r = &k->m->rng;
	for (unsigned i = 0; i < TRIES; i++) {
		uint32_t w = (uint32_t)rng_next(r), flip = 1u << rng_below(r, 32);
		unsigned like = k->m->list[rng_below(r, k->m->nlist)];
		struct rv_insn d;
		if (rng_below(r, 4))
			w = flip ^ word_random(r, &rv_patterns[like]);
		if ((w & 3) != 3)
			w &= 0xffff;
		if (rv_decode(w, &d) || is_vector(w))
			continue;
		emit(k, w, (w & 3) == 3 ? 4 : 2);
		return true;
	}
	return false;
}

/* ---- cells ---- */

static char float_format(const struct rv_pattern *p)
{
	size_t n = p ? strlen(p->name) : 0;
	char c = n > 2 && p->name[n - 2] == '.' ? p->name[n - 1] : 0;
	return c == 'h' || c == 's' || c == 'd' ? c : 0;
}

static void fill_registers(struct making *k, struct cell *c)
{
	static const char formats[] = "hssddd";
	struct rng *r = &k->m->rng;
	const struct rv_insn *d = &k->d;
	char own = float_format(k->main);
	uint64_t near = rng_next(r);
	for (unsigned i = 1; i < 32; i++)
		near = c->in.x[i] = value_int(r, near);
	for (unsigned i = 0; i < 32; i++) {
		char format = formats[rng_below(r, 6)];
		c->in.f[i] = value_float(r, format, rng_next(r));
	}
	if (own) { /* operands that have to do with each other */
		c->in.f[d->rs1 % 32] = value_float(r, own, rng_next(r));
		if (k->main->kind[2] != RV_K_NONE)
			c->in.f[d->rs2 % 32] = value_float(r, own, c->in.f[d->rs1 % 32]);
		if (k->main->kind[3] != RV_K_NONE)
			c->in.f[d->rs3 % 32] = value_float(r, own, c->in.f[d->rs2 % 32]);
	}
	c->in.fcsr = rng_below(r, 32);
	c->in.fcsr |= rng_below(r, 5) << 5;
	if (rng_below(r, 32) == 0)
		c->in.fcsr |= rng_below(r, 8) << 5;
}

static void fill_addresses(struct making *k, struct cell *c)
{
	struct rng *r = &k->m->rng;
	if (k->base != NO_REG) {
		uint64_t off = rng_below(r, SCRATCH_SIZE - 16);
		if (k->align > 1) /* the oracle dies of a misaligned atomic */
			off = k->align == 256 ? SCRATCH_SIZE / 2 : off / k->align * k->align;
		else if (rng_below(r, 2))
			off &= ~7ull;
		/* compare and swap: make the comparison succeed half of the time */
		if (k->main && name_is(k->main, "amocas") && rng_below(r, 2)) {
			c->in.x[k->d.rd % 32] = le64_at(c->in.mem + off);
			if (k->align == 16)
				c->in.x[(k->d.rd + 1) % 32] = le64_at(c->in.mem + off + 8);
		}
		c->in.x[k->base] = SCRATCH + off - (uint64_t)(int64_t)k->base_imm;
	}
	if (k->jump_reg != NO_REG) {
		uint64_t to;
		do
			to = CODE + 4ull * rng_below(r, CODE_SIZE / 4);
		while (!target_is_exit(k, to));
		c->in.x[k->jump_reg] = to + rng_below(r, 2) - (uint64_t)(int64_t)k->base_imm;
	}
	c->in.x[0] = 0;
}

static void make_cell(struct making *k, struct cell *c)
{
	memset(c, 0, sizeof *c);
	for (unsigned i = 0; i < SCRATCH_SIZE; i += 8)
		le64_put(c->in.mem + i, value_int(&k->m->rng, 0));
	fill_registers(k, c);
	fill_addresses(k, c);
	c->in.x[CELL_REG(k->variant)] = c->in.x[LINK_REG(k->variant)] = 0;
	c->in.pc = k->entry;
	c->out.cause = ~0ull; /* nothing ran */
}

static void make_vcell(struct making *k, struct vcell *v, struct cell *c)
{
	memset(v, 0, sizeof *v);
	vector_fill(&k->m->rng, &k->vector, k->main, &k->d, &v->in, c->in.x);
}

/* ---- batches ---- */

/* A free place of 48 bytes; now and then one where the first instruction crosses a page. */
static uint64_t place(struct maker *m, bool *ret_crossing)
{
	for (;;) {
		unsigned slot = rng_below(&m->rng, CODE_SIZE / 64 - 1);
		uint64_t at = CODE + 64ull * slot;
		*ret_crossing = slot % 64 == 63 && rng_below(&m->rng, 2);
		if (m->taken[slot] || m->taken[slot + 1] || at + 128 - BLOB < BLOB_SIZE + 128)
			continue;
		m->taken[slot] = 1;
		m->taken[slot + 1] = *ret_crossing;
		return at + (*ret_crossing ? 60 : 0);
	}
}

static void make_program(struct maker *m, struct batch *b, unsigned i)
{
	bool crossing = m->about[i];
	struct making k;
	for (bool done = false; !done;) {
		k = (struct making){ .m = m, .p = &b->program[i], .variant = b->variant,
			.base = NO_REG, .jump_reg = NO_REG, .align = 1 };
		k.entry = k.p->pc + (crossing || rng_below(&m->rng, 4) == 0 ? 2 : 0);
		k.p->code[0] = 0x00010001; /* c.nop c.nop */
		unsigned kind = m->nlist < 10 ? 99 : rng_below(&m->rng, 100);
		unsigned turn = m->turn++ % m->nlist;
		if (m->vlenb)
			k.vector = vector_kind(&m->rng, m->vlenb);
		if (m->vlenb && kind < 18) {
			m->about[i] = ABOUT_SEQUENCE;
			done = make_vector_sequence(&k);
		} else if (m->vlenb) {
			m->about[i] = m->list[turn];
			done = make_vector(&k, &rv_patterns[m->list[turn]]);
		} else if (kind < 12) {
			m->about[i] = ABOUT_SEQUENCE;
			done = make_sequence(&k);
		} else if (kind < 15) {
			m->about[i] = ABOUT_ILLEGAL;
			done = make_illegal(&k);
		} else if (kind < 18) {
			m->about[i] = ABOUT_SEQUENCE;
			done = make_pair(&k);
		} else {
			m->about[i] = m->list[turn];
			done = make_single(&k, &rv_patterns[m->list[turn]]);
		}
	}
	uint64_t end = k.entry + k.bytes;
	emit(&k, word_exit(end, b->variant), 4);
	if ((k.entry + k.bytes) & 2)
		emit(&k, 0x0001, 2);
	while (k.entry + k.bytes < k.p->pc + sizeof k.p->code)
		emit(&k, word_exit(k.entry + k.bytes, b->variant), 4);
	for (unsigned s = 0; s < SETS; s++) {
		make_cell(&k, &b->cell[i * SETS + s]);
		if (m->vlenb)
			make_vcell(&k, &b->vcell[i * SETS + s], &b->cell[i * SETS + s]);
	}
}

void maker_batch(struct maker *m, struct batch *b, uint64_t seed, unsigned number, unsigned n)
{
	m->rng.s = (seed + 1) * 0x9e3779b97f4a7c15 ^ (number + 1) * 0xbf58476d1ce4e5b9;
	memset(m->taken, 0, sizeof m->taken);
	m->turn = number * PROGRAMS;
	b->variant = number % 2;
	b->vlenb = m->vlenb;
	b->programs = n;
	for (unsigned i = 0; i < n; i++) {
		bool crossing;
		b->program[i].pc = place(m, &crossing);
		m->about[i] = crossing;
	}
	for (unsigned i = 0; i < n; i++)
		make_program(m, b, i);
}
