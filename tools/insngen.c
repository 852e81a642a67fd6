/* SPDX-License-Identifier: Apache-2.0 */
/* insngen TABLE HEADER SOURCE: an instruction table in; enumeration of operations, patterns with
 * their operand extraction, and decoder buckets out. Runs on the build machine. It refuses a line
 * without a citation, bits that are not 32 or 16, unknown operands, and two lines that overlap
 * without one being a special case of the other. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 1024, SLOTS = 6 }; /* slots: rd rs1 rs2 rs3 imm aux */
struct row {
	char name[24], ops[40], ext[16], spec[64], base[24];
	uint32_t mask, match;
	int bits, line, op, kind[SLOTS], flags;
};
static struct row rows[ROWS];
static int nrows, bad;

/* Operand tokens: name, slot, extraction kind, flags (1: rd is an x register). */
struct token {
	const char *name;
	int slot;
	const char *kind;
	int flags;
};
static const struct token tokens[] = {
    {"rd", 0, "R7", 1},    {"fd", 0, "R7", 0},   {"rs1", 1, "R15", 0},   {"fs1", 1, "R15", 0},
    {"rs2", 2, "R20", 0},  {"fs2", 2, "R20", 0}, {"fs3", 3, "R27", 0},   {"fli", 1, "R15", 0},
    {"zimm", 1, "R15", 0}, {"imm12", 4, "I", 0}, {"simm", 4, "S", 0},    {"boff", 4, "B", 0},
    {"uimm20", 4, "U", 0}, {"joff", 4, "J", 0},  {"sh6", 4, "SH6", 0},   {"sh5", 4, "SH5", 0},
    {"csr", 4, "CSR", 0},  {"rm", 5, "RM", 0},   {"aqrl", 5, "AQRL", 0}, {"fence", 4, "CSR", 0},
    /* of vectors: the semantics take what remains out of the word */
    {"vd", 0, "R7", 0},    {"vs3", 0, "R7", 0},  {"vs1", 1, "R15", 0},   {"vs2", 2, "R20", 0},
    {"simm5", 1, "R15", 0}, {"vm", 4, "WORD", 0}, {"v0", 4, "WORD", 0},  {"nf", 4, "WORD", 0},
    {"vtype", 4, "WORD", 0},
};
/* Tokens of 16-bit rows take their slot from the instruction that they abbreviate. */
static const struct { const char *name, *kind;
} short_tokens[] = {
    {"crd", "R7"},      {"crd_", "R2_"},    {"crs1_", "R7_"},   {"crs2", "R2"},
    {"crs2_", "R2_"},   {"cfd", "R7"},      {"cfd_", "R2_"},    {"cfs2", "R2"},
    {"cfs2_", "R2_"},   {"sp", "SP"},       {"zero", "ZERO"},   {"ra", "RA"},
    {"0", "NONE"},      {"cimm", "CI"},     {"csh", "CSH"},     {"clui", "CLUI"},
    {"c16sp", "C16SP"}, {"c4spn", "C4SPN"}, {"clw", "CLW"},     {"cld", "CLD"},
    {"clwsp", "CLWSP"}, {"cldsp", "CLDSP"}, {"cswsp", "CSWSP"}, {"csdsp", "CSDSP"},
    {"cj", "CJ"},       {"cb", "CB"},
};
static const char *const kinds[] = {
    "NONE", "R7",    "R15",   "R20",   "R27",   "R2",   "R2_",   "R7_",   "SP",
    "ZERO", "RA",    "I",     "S",     "B",     "U",    "J",     "SH6",   "SH5",
    "CSR",  "RM",    "AQRL",  "WORD",  "CI",    "CSH",  "CLUI",  "C16SP", "C4SPN", "CLW",
    "CLD",  "CLWSP", "CLDSP", "CSWSP", "CSDSP", "CJ",   "CB",
};
enum { NKINDS = sizeof kinds / sizeof kinds[0], F_RD_X = 1, F_RD_NONZERO = 2, F_RS1_NONZERO = 4,
       F_RS2_NONZERO = 8, F_IMM_NONZERO = 16 };

static int kind_of(const char *name)
{
	for (int i = 0; i < NKINDS; i++)
		if (!strcmp(kinds[i], name))
			return i;
	abort();
}

static void complain(const struct row *r, const char *what, const char *arg)
{
	fprintf(stderr, "line %d: %s: %s %s\n", r->line, r->name, what, arg);
	bad = 1;
}

static const struct token *token_find(const char *t)
{
	for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++)
		if (!strcmp(tokens[i].name, t))
			return &tokens[i];
	return NULL;
}

static const char *short_kind(const char *t)
{
	for (size_t i = 0; i < sizeof short_tokens / sizeof short_tokens[0]; i++)
		if (!strcmp(short_tokens[i].name, t))
			return short_tokens[i].kind;
	return NULL;
}

static struct row *row_find(const char *name)
{
	for (int i = 0; i < nrows; i++)
		if (!strcmp(rows[i].name, name))
			return &rows[i];
	return NULL;
}

static int split(char *s, char **ret, int cap)
{
	int n = 0;
	for (char *t = strtok(s, ",()"); t && n < cap; t = strtok(NULL, ",()"))
		ret[n++] = t;
	return n;
}

static void parse_short(struct row *r, char **tok, int n)
{
	struct row *base = row_find(r->base);
	char copy[40], *btok[8];
	if (!base) {
		complain(r, "no such instruction", r->base);
		return;
	}
	r->op = base->op;
	snprintf(copy, sizeof copy, "%s", base->ops);
	int nb = strcmp(copy, "-") ? split(copy, btok, 8) : 0;
	if (nb != n) {
		complain(r, "operands differ from those of", r->base);
		return;
	}
	for (int i = 0; i < n; i++) {
		const struct token *t = token_find(btok[i]);
		size_t len = strlen(tok[i]);
		int nonzero = tok[i][len - 1] == '!';
		if (nonzero)
			tok[i][len - 1] = 0;
		const char *k = short_kind(tok[i]);
		if (!k) {
			complain(r, "unknown operand", tok[i]);
			return;
		}
		r->kind[t->slot] = kind_of(k);
		r->flags |= t->flags;
		if (nonzero)
			r->flags |= t->slot == 4 ? F_IMM_NONZERO : F_RD_NONZERO << t->slot;
	}
}

static void parse_operands(struct row *r)
{
	char copy[40], *tok[8];
	snprintf(copy, sizeof copy, "%s", r->ops);
	int n = strcmp(copy, "-") ? split(copy, tok, 8) : 0;
	if (r->base[0]) {
		parse_short(r, tok, n);
		return;
	}
	for (int i = 0; i < n; i++) {
		const struct token *t = token_find(tok[i]);
		if (!t) {
			complain(r, "unknown operand", tok[i]);
			return;
		}
		r->kind[t->slot] = kind_of(t->kind);
		r->flags |= t->flags;
	}
	if (!strcmp(r->ext, "V"))
		r->kind[4] = kind_of("WORD");
}

static void parse(char *s, int line)
{
	struct row *r = &rows[nrows];
	char bits[64] = "", *tok, *save = NULL;
	int n = 0, nb = 0, in_bits = 1;
	memset(r, 0, sizeof *r);
	r->line = line;
	for (tok = strtok_r(s, " \t\n", &save); tok; tok = strtok_r(NULL, " \t\n", &save), n++) {
		if (n == 0)
			snprintf(r->name, sizeof r->name, "%s", tok);
		else if (n == 1)
			snprintf(r->ops, sizeof r->ops, "%s", tok);
		else if (in_bits && strspn(tok, "01.") == strlen(tok)) {
			for (char *c = tok; *c && nb < 40; c++)
				bits[nb++] = *c;
		} else if (in_bits) {
			in_bits = 0;
			snprintf(r->ext, sizeof r->ext, "%s", tok);
		} else if (tok[0] == '=')
			snprintf(r->base, sizeof r->base, "%s", tok + 1);
		else {
			size_t l = strlen(r->spec);
			snprintf(r->spec + l, sizeof r->spec - l, "%s%s", l ? " " : "", tok);
		}
	}
	if ((nb != 32 && nb != 16) || (nb == 16) != (r->base[0] != 0))
		complain(r, "bits must be 32, or 16 with =base:", bits);
	if (!strstr(r->spec, "\xc2\xa7"))
		complain(r, "no specification section:", r->spec);
	for (int i = 0; i < nb; i++) {
		r->mask |= (uint32_t)(bits[i] != '.') << (nb - 1 - i);
		r->match |= (uint32_t)(bits[i] == '1') << (nb - 1 - i);
	}
	r->bits = nb;
	if (!r->base[0])
		r->op = nrows;
	parse_operands(r);
	nrows++;
}

/* No word may mean two things, except that a special case comes first. */
static void check_overlap(void)
{
	for (int i = 0; i < nrows; i++)
		for (int j = i + 1; j < nrows; j++) {
			struct row *a = &rows[i], *b = &rows[j];
			if (a->bits != b->bits || ((a->match ^ b->match) & a->mask & b->mask))
				continue;
			uint32_t both = a->mask & b->mask;
			if ((both != a->mask && both != b->mask) || a->mask == b->mask)
				complain(b, "overlaps", a->name);
		}
}

static int by_special(const void *x, const void *y)
{
	const struct row *a = x, *b = y;
	int pa = __builtin_popcount(a->mask), pb = __builtin_popcount(b->mask);
	return pa != pb ? pb - pa : a->line - b->line;
}

static void c_name(char *out, size_t cap, const char *name)
{
	snprintf(out, cap, "%s", name);
	for (char *c = out; *c; c++)
		if (*c == '.')
			*c = '_';
}

/* Bytes of the longest of the texts that lie at @at in a row. */
static size_t longest(size_t at)
{
	size_t max = 0;
	for (int i = 0; i < nrows; i++) {
		size_t n = strlen((const char *)&rows[i] + at);
		max = n > max ? n : max;
	}
	return max;
}

static void write_header(FILE *f, const char *table)
{
	char id[32];
	fprintf(f,
		"/* Generated by insngen from %s. */\n#pragma once\n#include <stdint.h>\n\nenum "
		"rv_op {\n",
		table);
	for (int i = 0; i < nrows; i++)
		if (!rows[i].base[0]) {
			c_name(id, sizeof id, rows[i].name);
			fprintf(f, "\tRV_OP_%s,\n", id);
		}
	fprintf(f, "\tRV_OPS\n};\n#define RV_EACH_OP(X)");
	for (int i = 0; i < nrows; i++)
		if (!rows[i].base[0]) {
			c_name(id, sizeof id, rows[i].name);
			fprintf(f, " \\\n\tX(%s, \"%s\")", id, rows[i].name);
		}
	fprintf(f, "\n\n/* How an operand is taken out of the word. */\nenum rv_kind {");
	for (int i = 0; i < NKINDS; i++)
		fprintf(f, " RV_K_%s,", kinds[i]);
	fprintf(
	    f,
	    " };\nenum { RV_F_RD_X = 1, RV_F_RD_NONZERO = 2, RV_F_RS1_NONZERO = 4, "
	    "RV_F_RS2_NONZERO = 8, RV_F_IMM_NONZERO = 16 };\n"
	    "/* Without pointers, which would have to be moved with the program at each start. */\n"
	    "struct rv_pattern {\n\tuint32_t mask, match;\n"
	    "\tuint16_t op;\n\tuint8_t kind[6]; /* rd rs1 rs2 rs3 imm aux */\n\tuint8_t "
	    "flags;\n\tchar name[%zu], operands[%zu], ext[%zu];\n};\n"
	    "enum { RV_PATTERNS = %d };\n"
	    "extern const struct rv_pattern rv_patterns[RV_PATTERNS];\n"
	    "/* Those of a bucket lie together; the last one is no pattern, and fits all. */\n"
	    "struct rv_candidate {\n\tuint32_t mask, match;\n\tuint16_t pattern;\n};\n"
	    "/* Where those of a bucket begin. 32 bits: opcode[6:2] << 3 | funct3; 16 bits:\n"
	    " * 256 + (quadrant << 3 | funct3). */\n"
	    "extern const uint16_t rv_bucket_at[256 + 32];\n"
	    "extern const struct rv_candidate rv_candidates[];\n",
	    longest(offsetof(struct row, name)) + 1, longest(offsetof(struct row, ops)) + 1,
	    longest(offsetof(struct row, ext)) + 1, nrows);
}

static int in_bucket(const struct row *r, int bucket)
{
	uint32_t bits = r->bits == 32
			    ? (uint32_t)(bucket >> 3) << 2 | 3u | (uint32_t)(bucket & 7) << 12
			    : (uint32_t)(bucket >> 3 & 3) | (uint32_t)(bucket & 7) << 13;
	uint32_t known = r->bits == 32 ? 0x707fu : 0xe003u;
	return (bucket < 256) == (r->bits == 32) && !((bits ^ r->match) & r->mask & known);
}

static void write_buckets(FILE *f)
{
	int at[288], n = 0;
	fprintf(f, "const struct rv_candidate rv_candidates[] = {\n");
	for (int b = 0; b < 288; b++) {
		at[b] = n;
		for (int i = 0; i < nrows; i++)
			if (in_bucket(&rows[i], b)) {
				fprintf(f, "\t{ 0x%08x, 0x%08x, %d },\n", rows[i].mask,
				        rows[i].match, i);
				n++;
			}
		fprintf(f, "\t{ 0, 0, 0xffff },\n");
		n++;
	}
	fprintf(f, "};\nconst uint16_t rv_bucket_at[288] = {\n");
	for (int b = 0; b < 288; b++)
		fprintf(f, "\t%d,\n", at[b]);
	fprintf(f, "};\n");
}

static void write_source(FILE *f, const char *header)
{
	static int op_number[ROWS];
	int n = 0;
	for (int i = 0; i < nrows; i++) /* rows[] is still in table order */
		if (!rows[i].base[0])
			op_number[i] = n++;
	for (int i = 0; i < nrows; i++)
		rows[i].op = op_number[rows[i].op];
	qsort(rows, (size_t)nrows, sizeof rows[0], by_special);
	fprintf(f,
		"/* Generated by insngen. */\n#include \"%s\"\n\nconst struct rv_pattern "
		"rv_patterns[] = {\n",
		header);
	for (int i = 0; i < nrows; i++) {
		struct row *r = &rows[i];
		fprintf(f, "\t{ 0x%08x, 0x%08x, %d, {", r->mask, r->match, r->op);
		for (int k = 0; k < SLOTS; k++)
			fprintf(f, " RV_K_%s,", kinds[r->kind[k]]);
		fprintf(f, " }, %d, \"%s\", \"%s\", \"%s\" },\n", r->flags, r->name,
		        strcmp(r->ops, "-") ? r->ops : "", r->ext);
	}
	fprintf(f, "};\n");
	write_buckets(f);
}

int main(int argc, char **argv)
{
	char s[256];
	int line = 0;
	FILE *in = argc == 4 ? fopen(argv[1], "r") : NULL;
	if (!in) {
		fprintf(stderr, "usage: insngen TABLE HEADER SOURCE\n");
		return 2;
	}
	while (fgets(s, sizeof s, in)) {
		line++;
		if (s[0] != '#' && s[0] != '\n')
			parse(s, line);
	}
	fclose(in);
	check_overlap();
	if (bad)
		return 1;
	FILE *h = fopen(argv[2], "w"), *c = fopen(argv[3], "w");
	if (!h || !c)
		return 1;
	write_header(h, argv[1]);
	const char *name = strrchr(argv[2], '/');
	write_source(c, name ? name + 1 : argv[2]);
	return fclose(h) | fclose(c);
}
