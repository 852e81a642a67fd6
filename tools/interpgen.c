/* SPDX-License-Identifier: Apache-2.0 */
/* interpgen HEADER: reads the IR template of every instruction and writes it as a C function, so
 * that the interpreter is compiled from the one definition that translators use. Runs on the
 * build machine, linked with ir and the sem_*.c files. */
#include "isa/riscv/internal.h"
#include <stdio.h>

static const char *const op_id[RV_OPS] = {
#define ROW(id, text) #id,
	RV_EACH_OP(ROW)
#undef ROW
};
static const char *const helper_name[RV_HELPERS] = {
#define HELPER(name, summary) #name,
#include "isa/riscv/calls.def"
};

static const char *c_type(uint8_t t)
{
	if (t == IR_F16)
		return "uint16_t";
	return t == IR_I32 || t == IR_F32 ? "uint32_t" : "uint64_t";
}
static unsigned width(uint8_t t) { return t == IR_I32 || t == IR_F32 ? 32 : 64; }

/* The fields of the hart that semantics read and write by offset. */
static const char *slot_name(uint64_t off)
{
	if (off == offsetof(struct rv_hart, fs))
		return "fs";
	if (off == offsetof(struct rv_hart, frm))
		return "frm";
	fprintf(stderr, "interpgen: no name for the hart's field at offset %llu\n",
	        (unsigned long long)off);
	exit(1);
}

static const char *field_text(uint64_t f)
{
	static const char *const text[] = {
		[IR_FIELD_IMM] = "(uint64_t)(int64_t)u->imm", [IR_FIELD_PC] = "pc + uop_at(u)",
		[IR_FIELD_NEXT] = "pc + uop_at(u) + uop_len(u)", [IR_FIELD_AUX] = "uop_aux(u)",
		[IR_FIELD_RD] = "u->rd & 31",                 [IR_FIELD_RS1] = "u->rs1",
		[IR_FIELD_RS2] = "u->rs2",                    [IR_FIELD_RS3] = "u->rs3",
	};
	return text[f];
}

static const char *register_text(uint64_t imm, bool put)
{
	static char buf[32];
	static const char *const index[] = {
		[IR_FIELD_RD] = "u->rd", [IR_FIELD_RS1] = "u->rs1",
		[IR_FIELD_RS2] = "u->rs2", [IR_FIELD_RS3] = "u->rs3",
	};
	/* x0 as a destination is register 32; as a source it must be 0 */
	snprintf(buf, sizeof buf, "h->%c[%s%s]", imm >> 8 == RV_FILE_X ? 'x' : 'f',
		 index[imm & 255], (imm & 255) == IR_FIELD_RD && !put ? " & 31" : "");
	return buf;
}

static const char *binary_text(uint8_t op)
{
	switch ((enum ir_op)op) {
	case IR_add: return "+";
	case IR_sub: return "-";
	case IR_mul: return "*";
	case IR_and: return "&";
	case IR_or: return "|";
	case IR_xor: return "^";
	case IR_eq: return "==";
	case IR_ne: return "!=";
	case IR_ltu: return "<";
	default: return NULL;
	}
}

static void write_pure(FILE *f, const struct ir_block *b, uint32_t n)
{
	const struct ir_ins *i = &b->ins[n];
	unsigned bits = width(b->ins[i->a].type);
	const char *infix = binary_text(i->op);
	fprintf(f, "\tconst %s v%u = ", c_type(i->type), n);
	if (infix)
		fprintf(f, "v%u %s v%u;\n", i->a, infix, i->b);
	else if (i->op == IR_lts)
		fprintf(f, "(int%u_t)v%u < (int%u_t)v%u;\n", bits, i->a, bits, i->b);
	else if (i->op == IR_shl || i->op == IR_shr)
		fprintf(f, "v%u %s (v%u & %u);\n", i->a, i->op == IR_shl ? "<<" : ">>", i->b,
			bits - 1);
	else if (i->op == IR_sar)
		fprintf(f, "(uint%u_t)((int%u_t)v%u >> (v%u & %u));\n", bits, bits, i->a, i->b,
			bits - 1);
	else if (i->op == IR_select)
		fprintf(f, "v%u ? v%u : v%u;\n", i->a, i->b, i->c);
	else if (i->op == IR_sext)
		fprintf(f, "(uint64_t)((int64_t)((uint64_t)v%u << %u) >> %u);\n", i->a,
		        64 - (unsigned)i->imm, 64 - (unsigned)i->imm);
	else if (i->op == IR_zext)
		fprintf(f, "(uint64_t)v%u & 0x%llxu;\n", i->a, ~0ull >> (64 - i->imm));
	else if (i->op == IR_trunc || i->op == IR_bits)
		fprintf(f, "(%s)v%u;\n", c_type(i->type), i->a);
	else if (ir_opinfo[i->op].nargs == 1)
		fprintf(f, "ir_%s%u(v%u);\n", ir_opinfo[i->op].name, bits, i->a);
	else
		fprintf(f, "ir_%s%u(v%u, v%u);\n", ir_opinfo[i->op].name, bits, i->a, i->b);
}

static void write_fcall(FILE *f, const struct ir_ins *i, uint32_t n)
{
	const struct fp_opinfo *o = &fp_opinfo[i->imm];
	const uint32_t arg[3] = { i->a, i->b, i->c };
	fprintf(f, "\tconst %s v%u = fp_%s(", c_type(i->type), n, o->name);
	if (o->rm == 2) {
		fprintf(f, "(unsigned)v%u);\n", i->a);
		return;
	}
	fprintf(f, "&h->fp");
	for (int a = 0; a < 3; a++)
		if (o->arg[a] != IR_VOID)
			fprintf(f, ", v%u", arg[a]);
	if (o->rm == 1)
		fprintf(f, ", (unsigned)v%u", i->d);
	fprintf(f, ");\n");
}

static void write_memory(FILE *f, const struct ir_ins *i, uint32_t n)
{
	unsigned bytes = (unsigned)(i->imm & 255);
	const char *fail = "\t\treturn 1;\n";
	if (i->op == IR_load)
		fprintf(f, "\tuint64_t v%u;\n\tif (unlikely(!mem_load%u(h, v%u, &v%u)))\n%s", n,
			bytes, i->a, n, fail);
	else if (i->op == IR_store)
		fprintf(f, "\tif (unlikely(!mem_store%u(h, v%u, v%u)))\n%s", bytes, i->a, i->b,
			fail);
	else if (i->op == IR_lr)
		fprintf(f, "\tuint64_t v%u;\n\tif (unlikely(!mem_lr(h, v%u, %u, &v%u)))\n%s", n,
			i->a, bytes, n, fail);
	else if (i->op == IR_sc)
		fprintf(f, "\tuint64_t v%u;\n\tif (unlikely(!mem_sc(h, v%u, v%u, %u, &v%u)))\n%s",
			n, i->a, i->b, bytes, n, fail);
	else if (i->op == IR_amo)
		fprintf(f, "\tuint64_t v%u;\n\tif (unlikely(!mem_amo(h, v%u, %u, IR_AMO_%s, v%u, "
		           "&v%u)))\n%s", n, i->a, bytes, ir_amo_name[i->imm >> 8], i->b, n, fail);
	else
		fprintf(f, "\tuint64_t v%u;\n\tif (unlikely(!mem_cas(h, v%u, %u, v%u, v%u, "
		           "&v%u)))\n%s", n, i->a, bytes, i->b, i->c, n, fail);
}

static void write_control(FILE *f, const struct ir_ins *i)
{
	if (i->op == IR_br)
		fprintf(f, "\treturn (int)v%u;\n", i->a);
	else if (i->op == IR_jumpr)
		fprintf(f, "\th->npc = v%u;\n\treturn 0;\n", i->a);
	else
		fprintf(f, "\treturn 0;\n");
}

static void write_ins(FILE *f, const struct ir_block *b, uint32_t n)
{
	const struct ir_ins *i = &b->ins[n];
	const char *t = c_type(i->type);
	switch ((enum ir_op)i->op) {
	case IR_const:
		fprintf(f, "\tconst %s v%u = 0x%llxu;\n", t, n, (unsigned long long)i->imm);
		break;
	case IR_field: fprintf(f, "\tconst %s v%u = %s;\n", t, n, field_text(i->imm)); break;
	case IR_get: fprintf(f, "\tconst %s v%u = h->%s;\n", t, n, slot_name(i->imm)); break;
	case IR_put: fprintf(f, "\th->%s = v%u;\n", slot_name(i->imm), i->a); break;
	case IR_getr:
		fprintf(f, "\tconst %s v%u = %s;\n", t, n, register_text(i->imm, false));
		break;
	case IR_putr: fprintf(f, "\t%s = v%u;\n", register_text(i->imm, true), i->a); break;
	case IR_load: case IR_store: case IR_lr: case IR_sc: case IR_amo: case IR_cas:
		write_memory(f, i, n);
		break;
	case IR_fcall: write_fcall(f, i, n); break;
	case IR_call:
		fprintf(f, "\tconst uint64_t v%u = rv_help_%s(h, v%u, v%u, v%u);\n"
		           "\tif (unlikely(h->exc != RV_EXC_NONE))\n\t\treturn 1;\n\t(void)v%u;\n",
		        n, helper_name[i->imm], i->a, i->b, i->c, n);
		break;
	case IR_guard:
		fprintf(f, "\tif (unlikely(!v%u)) {\n\t\th->exc = %llu;\n\t\th->tval = %s;\n"
		           "\t\treturn 1;\n\t}\n", i->a, (unsigned long long)i->imm,
		        i->imm == RV_EXC_BREAKPOINT ? "pc + uop_at(u)" : "0");
		break;
	case IR_fence: fprintf(f, "\t__atomic_thread_fence(__ATOMIC_SEQ_CST);\n"); break;
	case IR_br: case IR_jump: case IR_jumpr: case IR_end: write_control(f, i); break;
	default: write_pure(f, b, n);
	}
}

static const char *shape(const struct ir_block *b)
{
	const struct ir_ins *last = &b->ins[b->n - 1];
	if (last->op == IR_br)
		return "BRANCH";
	if (last->op == IR_jump)
		return "JUMP";
	if (last->op == IR_jumpr)
		return "JUMPR";
	if (last->op == IR_end)
		return last->imm ? "ENDNPC" : "END";
	return "PLAIN";
}

/* Accesses that the IR names; what helpers do is not known. */
static unsigned accesses(const struct ir_block *b)
{
	unsigned count = 0;
	for (uint32_t n = 0; n < b->n; n++)
		switch ((int)b->ins[n].op) {
		case IR_load: case IR_store: case IR_lr: case IR_sc: case IR_amo: case IR_cas:
			count++;
		}
	return count;
}

/* The C body of template @b, allocated. */
static char *body_text(const struct ir_block *b, bool plain)
{
	char *text = NULL;
	size_t len;
	FILE *m = open_memstream(&text, &len);
	fprintf(m, "(struct rv_hart *h, const struct rv_uop *u, uint64_t pc)\n{\n"
	           "\t(void)h; (void)u; (void)pc;\n");
	for (uint32_t n = 0; n < b->n; n++)
		write_ins(m, b, n);
	fprintf(m, "%s}\n", plain ? "\treturn 0;\n" : "");
	fclose(m);
	return text;
}

/* The first operation that has the same body: it stands for both. */
static unsigned first_alike(char *const *text, unsigned op)
{
	for (unsigned n = 0; n < op; n++)
		if (!strcmp(text[n], text[op]))
			return n;
	return op;
}

int main(int argc, char **argv)
{
	FILE *f = argc == 2 ? fopen(argv[1], "w") : NULL;
	static const char *shapes[RV_OPS];
	static unsigned memory[RV_OPS];
	static char *text[RV_OPS];
	static unsigned same[RV_OPS];
	if (!f) {
		fprintf(stderr, "usage: interpgen HEADER\n");
		return 2;
	}
	fprintf(f, "/* Generated by interpgen from the instruction semantics. */\n#pragma once\n"
	           "#include \"engine/interp/exec.h\"\n");
	for (unsigned op = 0; op < RV_OPS; op++) {
		static struct ir_ins room[IR_BLOCK_MAX];
		struct ir_block b = { .ins = room, .max = IR_BLOCK_MAX };
		struct rv_builder build = { .ir = &b };
		rv_semantics(&build, op);
		const char *wrong = ir_check(&b);
		if (wrong) {
			fprintf(stderr, "interpgen: %s: %s\n", op_id[op], wrong);
			return 1;
		}
		shapes[op] = shape(&b);
		memory[op] = accesses(&b);
		text[op] = body_text(&b, !strcmp(shapes[op], "PLAIN"));
		same[op] = first_alike(text, op);
		if (same[op] != op && strcmp(shapes[op], shapes[same[op]]))
			same[op] = op;
		if (same[op] == op)
			fprintf(f, "\n__attribute__((always_inline)) static inline int\n"
			           "rv_do_%s%s", op_id[op], text[op]);
	}
	fprintf(f, "\n/* X(operation, shape, operation whose body it has) */\n"
	           "#define RV_EACH_SHAPE(X)");
	for (unsigned op = 0; op < RV_OPS; op++)
		fprintf(f, " \\\n\tX(%s, %s, %s)", op_id[op], shapes[op], op_id[same[op]]);
	fprintf(f, "\n/* X(operation, shape), those that have their own */\n"
	           "#define RV_EACH_BODY(X)");
	for (unsigned op = 0; op < RV_OPS; op++)
		if (same[op] == op)
			fprintf(f, " \\\n\tX(%s, %s)", op_id[op], shapes[op]);
	fprintf(f, "\n\n/* X(operation, accesses to memory), where there are any */\n"
	           "#define RV_EACH_ACCESS(X)");
	for (unsigned op = 0; op < RV_OPS; op++)
		if (memory[op])
			fprintf(f, " \\\n\tX(%s, %u)", op_id[op], memory[op]);
	fprintf(f, "\n");
	return fclose(f);
}
