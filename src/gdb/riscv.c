/* SPDX-License-Identifier: Apache-2.0 */
/* Registers of riscv, and a target description of registers. GDB 13 §G.5.12, psABI 1.0 §1.2 */
#include "gdb/internal.h"
#include "isa/riscv/riscv.h"

#define FEATURE "org.gnu.gdb.riscv."

static void reg_add(struct gdb_cpu *c, const char *name, const char *feature, const char *type,
                    unsigned bits)
{
	struct gdb_reg *r = &c->reg[c->n++];
	memcpy(r->name, name, min_u64(strlen(name), sizeof r->name - 1));
	r->feature = feature;
	r->type = type;
	r->bits = (uint16_t)bits;
}

void gdb_cpu_riscv(struct gdb_cpu *c, const char *osabi, unsigned vector_bytes)
{
	static const char x[32][5] = {
	    "zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "fp", "s1",  "a0",
	    "a1",   "a2", "a3", "a4", "a5", "a6", "a7", "s2", "s3", "s4",  "s5",
	    "s6",   "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6"};
	static const char f[32][5] = {
	    "ft0", "ft1", "ft2", "ft3", "ft4", "ft5", "ft6",  "ft7",  "fs0", "fs1",  "fa0",
	    "fa1", "fa2", "fa3", "fa4", "fa5", "fa6", "fa7",  "fs2",  "fs3", "fs4",  "fs5",
	    "fs6", "fs7", "fs8", "fs9", "fs10", "fs11", "ft8", "ft9", "ft10", "ft11"};
	static const char status[][7] = {"fflags", "frm", "fcsr"};
	static const char vector[][7] = {"vstart", "vxsat", "vxrm", "vcsr", "vl", "vtype", "vlenb"};
	*c = (struct gdb_cpu){.architecture = "riscv:rv64", .osabi = osabi,
		.vector_bytes = vector_bytes};
	for (unsigned i = 0; i < 32; i++) {
		bool data = (i >= 2 && i <= 4) || i == 8;
		reg_add(c, x[i], FEATURE "cpu",
		        i == 1 ? "code_ptr" : data ? "data_ptr" : "int", 64);
	}
	reg_add(c, "pc", FEATURE "cpu", "code_ptr", 64);
	for (unsigned i = 0; i < 32; i++)
		reg_add(c, f[i], FEATURE "fpu", "riscv_double", 64);
	for (unsigned i = 0; i < countof(status); i++)
		reg_add(c, status[i], FEATURE "fpu", "int", 32);
	for (unsigned i = 0; vector_bytes && i < countof(vector); i++)
		reg_add(c, vector[i], FEATURE "csr", "int", 64);
	for (unsigned i = 0; vector_bytes && i < 32; i++) {
		char name[8];
		snprintf(name, sizeof name, "v%u", i);
		reg_add(c, name, FEATURE "vector", "riscv_vector", 8 * vector_bytes);
	}
}

static uint64_t status_get(const struct rv_hart *h, unsigned n)
{
	uint64_t flags = h->fp.flags;
	switch (n) {
	case GDB_RV_FFLAGS: return flags;
	case GDB_RV_FRM: return h->frm;
	case GDB_RV_FCSR: return flags | h->frm << 5;
	case GDB_RV_VSTART: return h->vstart;
	case GDB_RV_VXSAT: return h->vxsat;
	case GDB_RV_VXRM: return h->vxrm;
	case GDB_RV_VCSR: return h->vxsat | (uint64_t)h->vxrm << 1;
	case GDB_RV_VL: return h->vl;
	case GDB_RV_VTYPE: return h->vtype;
	default: return h->vlenb;
	}
}

bool gdb_riscv_get(const struct rv_hart *h, uint64_t pc, unsigned n, uint8_t ret[GDB_REG_BYTES])
{
	if (n >= GDB_RV_V + 32 || (n >= GDB_RV_VSTART && !h->vlenb))
		return false;
	if (n >= GDB_RV_V)
		memcpy(ret, h->v + (size_t)(n - GDB_RV_V) * h->vlenb, h->vlenb);
	else if (n < GDB_RV_PC)
		le64_put(ret, h->x[n - GDB_RV_X]);
	else if (n == GDB_RV_PC)
		le64_put(ret, pc);
	else if (n < GDB_RV_FFLAGS)
		le64_put(ret, h->f[n - GDB_RV_F]);
	else
		le64_put(ret, status_get(h, n));
	return true;
}

static void vector_set(struct rv_hart *h, unsigned n, uint64_t v)
{
	uint64_t now[] = {h->vl, h->vtype, h->vstart, h->vxsat | (uint64_t)h->vxrm << 1};
	switch (n) {
	case GDB_RV_VL: now[0] = v; break;
	case GDB_RV_VTYPE: now[1] = v; break;
	case GDB_RV_VSTART: now[2] = v; break;
	case GDB_RV_VXSAT: now[3] = (now[3] & ~UINT64_C(1)) | (v & 1); break;
	case GDB_RV_VXRM: now[3] = (now[3] & 1) | (v & 3) << 1; break;
	case GDB_RV_VCSR: now[3] = v; break;
	default: break; /* vlenb */
	}
	rv_vector_restore(h, true, now[0], now[1], now[2], now[3]);
}

bool gdb_riscv_set(struct rv_hart *h, uint64_t *pc, unsigned n, const uint8_t v[GDB_REG_BYTES])
{
	uint64_t w = le64_at(v);
	if (n >= GDB_RV_V + 32 || (n >= GDB_RV_VSTART && !h->vlenb))
		return false;
	if (n >= GDB_RV_V)
		memcpy(h->v + (size_t)(n - GDB_RV_V) * h->vlenb, v, h->vlenb);
	else if (n >= GDB_RV_VSTART)
		vector_set(h, n, w);
	else if (n == GDB_RV_PC)
		*pc = w & ~UINT64_C(1);
	else if (n > GDB_RV_X && n < GDB_RV_PC)
		h->x[n - GDB_RV_X] = w;
	else if (n >= GDB_RV_F && n < GDB_RV_FFLAGS)
		h->f[n - GDB_RV_F] = w;
	if (n == GDB_RV_FFLAGS || n == GDB_RV_FCSR)
		h->fp.flags = w & 31;
	if (n == GDB_RV_FRM || n == GDB_RV_FCSR)
		h->frm = (n == GDB_RV_FRM ? w : w >> 5) & 7;
	return true;
}

/* What registers of a feature are made of. */
static void types_write(FILE *f, const struct gdb_cpu *c, const char *feature)
{
	static const struct {
		const char *type;
		char name;
		unsigned bytes;
	} parts[] = {{"uint8", 'b', 1}, {"uint16", 's', 2}, {"uint32", 'w', 4}, {"uint64", 'l', 8}};
	if (strstr(feature, ".fpu"))
		fputs("<union id=\"riscv_double\"><field name=\"float\" type=\"ieee_single\"/>"
		      "<field name=\"double\" type=\"ieee_double\"/></union>", f);
	if (!strstr(feature, ".vector"))
		return;
	for (size_t i = 0; i < countof(parts); i++)
		fprintf(f, "<vector id=\"v%c\" type=\"%s\" count=\"%u\"/>", parts[i].name,
		        parts[i].type, c->vector_bytes / parts[i].bytes);
	fputs("<union id=\"riscv_vector\">", f);
	for (size_t i = 0; i < countof(parts); i++)
		fprintf(f, "<field name=\"%c\" type=\"v%c\"/>", parts[i].name, parts[i].name);
	fputs("</union>", f);
}

char *gdb_cpu_xml(const struct gdb_cpu *c, size_t *ret_len)
{
	char *text = NULL;
	FILE *f = open_memstream(&text, ret_len);
	if (!f)
		return NULL;
	fprintf(f, "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\">"
	        "<target version=\"1.0\"><architecture>%s</architecture>", c->architecture);
	if (c->osabi)
		fprintf(f, "<osabi>%s</osabi>", c->osabi);
	for (unsigned i = 0; i < c->n; i++) {
		const struct gdb_reg *r = &c->reg[i];
		if (!i || strcmp(r->feature, r[-1].feature)) {
			fprintf(f, "%s<feature name=\"%s\">", i ? "</feature>" : "", r->feature);
			types_write(f, c, r->feature);
		}
		fprintf(f, "<reg name=\"%s\" bitsize=\"%u\" regnum=\"%u\" type=\"%s\"/>", r->name,
		        r->bits, i, r->type);
	}
	fputs("</feature></target>", f);
	if (fclose(f) == 0)
		return text;
	free(text);
	return NULL;
}
