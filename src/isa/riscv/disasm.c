/* SPDX-License-Identifier: Apache-2.0 */
/* Decoded instructions as text, from the same table as everything else. 16-bit instructions are
 * printed with the operands of the one that they abbreviate. Spec: RISC-V Unpriv 20240411 §34 */
#include "isa/riscv/internal.h"
#include <stdio.h>

static const char *const x_name[32] = {
	"zero", "ra", "sp", "gp", "tp",  "t0",  "t1", "t2", "s0", "s1", "a0",
	"a1",   "a2", "a3", "a4", "a5",  "a6",  "a7", "s2", "s3", "s4", "s5",
	"s6",   "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6",
};
static const char *const rm_name[8] = { "rne", "rtz", "rdn", "rup", "rmm", "5", "6", "dyn" };
static const char *const aqrl_name[4] = { "", "rl", "aq", "aqrl" };

/* The pattern of 32 bits that says what operation @op looks like. */
static const struct rv_pattern *pattern_of(unsigned op)
{
	for (size_t i = 0; i < RV_PATTERNS; i++)
		if (rv_patterns[i].op == op && rv_patterns[i].mask & 3 &&
		    strcmp(rv_patterns[i].ext, "C"))
			return &rv_patterns[i];
	return NULL;
}

static bool operand_is(const char *t, size_t n, const char *name)
{
	return strlen(name) == n && !memcmp(t, name, n);
}

/* One operand of V, or -1: none. */
static int vector_operand_print(const struct rv_insn *d, const char *t, size_t n, char *buf,
				size_t cap)
{
	if (operand_is(t, n, "vd") || operand_is(t, n, "vs3"))
		return snprintf(buf, cap, "v%u", d->rd & 31u);
	if (operand_is(t, n, "vs1"))
		return snprintf(buf, cap, "v%u", d->rs1);
	if (operand_is(t, n, "vs2"))
		return snprintf(buf, cap, "v%u", d->rs2);
	if (operand_is(t, n, "simm5"))
		return snprintf(buf, cap, "%d", (d->rs1 ^ 16) - 16);
	if (operand_is(t, n, "v0"))
		return snprintf(buf, cap, "v0");
	if (operand_is(t, n, "vm"))
		return snprintf(buf, cap, "%s", d->word >> 25 & 1 ? "" : "v0.t");
	if (operand_is(t, n, "nf"))
		return snprintf(buf, cap, "%u", (d->word >> 29) + 1);
	if (operand_is(t, n, "vtype"))
		return snprintf(buf, cap, "0x%x",
		                d->word >> 20 & (d->word >> 31 ? 0x3ffu : 0x7ffu));
	return -1;
}

/* One operand of @n characters at @t into @buf. */
static int operand_print(const struct rv_insn *d, uint64_t pc, const char *t, size_t n, char *buf,
                         size_t cap)
{
	static const char x[] = "rd\0\0rs1\0rs2", f[] = "fd\0\0fs1\0fs2\0fs3";
	const uint8_t reg[4] = { d->rd & 31, d->rs1, d->rs2, d->rs3 };
	int len = vector_operand_print(d, t, n, buf, cap);
	if (len >= 0)
		return len;
	for (size_t i = 0; i < 4; i++) {
		if (i < 3 && operand_is(t, n, x + 4 * i))
			return snprintf(buf, cap, "%s", x_name[reg[i]]);
		if (operand_is(t, n, f + 4 * i))
			return snprintf(buf, cap, "f%u", reg[i]);
	}
	if (operand_is(t, n, "boff") || operand_is(t, n, "joff"))
		return snprintf(buf, cap, "0x%llx",
		                (unsigned long long)(pc + (uint64_t)(int64_t)d->imm));
	if (operand_is(t, n, "uimm20"))
		return snprintf(buf, cap, "0x%x", (uint32_t)d->imm >> 12);
	if (operand_is(t, n, "csr") || operand_is(t, n, "fence"))
		return snprintf(buf, cap, "0x%x", (uint32_t)d->imm & 0xfff);
	if (operand_is(t, n, "zimm") || operand_is(t, n, "fli"))
		return snprintf(buf, cap, "%u", d->rs1);
	if (operand_is(t, n, "rm"))
		return snprintf(buf, cap, "%s", rm_name[d->aux & 7]);
	if (operand_is(t, n, "aqrl"))
		return snprintf(buf, cap, "%s", aqrl_name[d->aux & 3]);
	return snprintf(buf, cap, "%d", d->imm);
}

void rv_disasm(uint32_t word, uint64_t pc, char *buf, size_t cap)
{
	struct rv_insn d;
	const struct rv_pattern *p = rv_decode(word, &d) ? pattern_of(d.op) : NULL;
	size_t n = 0;
	if (!p) {
		snprintf(buf, cap, "illegal 0x%x", d.word);
		return;
	}
	n += (size_t)snprintf(buf, cap, "%s%s", d.len == 2 ? "c." : "", p->name);
	for (const char *t = p->operands; *t && n < cap;) {
		size_t len = strcspn(t, ",()");
		if (t == p->operands && n + 1 < cap)
			buf[n++] = ' ';
		if (len)
			n += (size_t)operand_print(&d, pc, t, len, buf + n, cap - n);
		else if (n + 1 < cap)
			buf[n++] = *t;
		t += len ? len : 1;
		if (n < cap)
			buf[n] = 0;
	}
	if (n && n < cap && buf[n - 1] == ',') /* there is no mask */
		buf[n - 1] = 0;
}
