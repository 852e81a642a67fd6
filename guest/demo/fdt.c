/* SPDX-License-Identifier: Apache-2.0 */
/* The flattened device tree, read once into struct machine. Devicetree Specification 0.4 §5. */
#include "demo.h"

struct walk {
	const uint8_t *structs, *structs_end;
	const char *strings;
	uint32_t strings_size;
	const char *names[8]; /* of the nodes from the root to here */
	uint32_t acells[8], scells[8];
	unsigned depth;
	bool is_cpu, is_rtc, is_finisher;
	uint64_t reg;
};

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint64_t cells(const uint8_t *p, uint32_t n)
{
	return n >= 2 ? (uint64_t)be32(p) << 32 | be32(p + 4) : n ? be32(p) : 0;
}

static bool has_string(const uint8_t *list, uint32_t len, const char *want)
{
	const char *s = (const char *)list, *end = s + len;
	for (; s < end; s += strlen(s) + 1)
		if (!strcmp(s, want))
			return true;
	return false;
}

static const char *as_text(const uint8_t *v, uint32_t len)
{
	return len && !v[len - 1] ? (const char *)v : "";
}

static void root_prop(struct walk *w, const char *name, const uint8_t *v, uint32_t len)
{
	if (!strcmp(name, "model"))
		machine.model = as_text(v, len);
	else if (!strcmp(w->names[w->depth], "cpus") && !strcmp(name, "timebase-frequency"))
		machine.timebase = cells(v, len / 4);
}

static void chosen_prop(const char *name, const uint8_t *v, uint32_t len)
{
	if (!strcmp(name, "bootargs"))
		machine.bootargs = as_text(v, len);
	else if (!strcmp(name, "linux,initrd-start"))
		machine.initrd_start = cells(v, len / 4);
	else if (!strcmp(name, "linux,initrd-end"))
		machine.initrd_end = cells(v, len / 4);
}

static void cpu_prop(const char *name, const uint8_t *v, uint32_t len)
{
	if (!strcmp(name, "riscv,isa")) {
		machine.isa = as_text(v, len);
		machine.sstc |= find(machine.isa, "_sstc") != NULL;
	} else if (!strcmp(name, "riscv,isa-extensions")) {
		machine.sstc |= has_string(v, len, "sstc");
	} else if (!strcmp(name, "mmu-type")) {
		machine.mmu = as_text(v, len);
	}
}

static void prop(struct walk *w, const char *name, const uint8_t *v, uint32_t len)
{
	unsigned d = w->depth;
	const char *node = w->names[d];
	if (len == 4 && !strcmp(name, "#address-cells"))
		w->acells[d] = be32(v);
	else if (len == 4 && !strcmp(name, "#size-cells"))
		w->scells[d] = be32(v);
	if (d == 0 || !strcmp(node, "cpus"))
		root_prop(w, name, v, len);
	else if (d == 1 && !strcmp(node, "chosen"))
		chosen_prop(name, v, len);
	else if (!strncmp(node, "cpu@", 4))
		cpu_prop(name, v, len);
	if (d == 0)
		return;
	uint32_t ac = w->acells[d - 1], sc = w->scells[d - 1];
	if (!strcmp(name, "reg") && len >= 4 * (ac + sc)) {
		w->reg = cells(v, ac);
		if (!strncmp(node, "memory@", 7) && !machine.ram_size) {
			machine.ram_base = w->reg;
			machine.ram_size = cells(v + 4 * ac, sc);
		}
	} else if (!strcmp(name, "device_type")) {
		w->is_cpu = has_string(v, len, "cpu");
	} else if (!strcmp(name, "compatible")) {
		w->is_rtc = has_string(v, len, "google,goldfish-rtc");
		w->is_finisher = has_string(v, len, "sifive,test0");
	}
}

/* A node's properties are all seen: it ends, or its first child begins. */
static void node_done(struct walk *w)
{
	if (w->is_cpu && machine.harts < HARTS_MAX)
		machine.hart_ids[machine.harts++] = w->reg;
	if (w->is_rtc)
		machine.rtc = w->reg;
	if (w->is_finisher)
		machine.finisher = w->reg;
	w->is_cpu = w->is_rtc = w->is_finisher = false;
}

/* One token; false at the end or at something that is no tree. */
static bool token(struct walk *w, int *level)
{
	const uint8_t *p = w->structs;
	if (w->structs_end - p < 4)
		return false;
	uint32_t kind = be32(p);
	p += 4;
	if (kind == 1) {
		node_done(w);
		if (++*level < 0 || *level >= (int)countof(w->names))
			return false;
		w->depth = (unsigned)*level;
		w->names[w->depth] = (const char *)p;
		w->acells[w->depth] = 2;
		w->scells[w->depth] = 1;
		while (p < w->structs_end && *p)
			p++;
		p++;
	} else if (kind == 2) {
		node_done(w);
		if (--*level < -1)
			return false;
		w->depth = *level < 0 ? 0 : (unsigned)*level;
	} else if (kind == 3) {
		if (w->structs_end - p < 8 || *level < 0)
			return false;
		uint32_t len = be32(p), name = be32(p + 4);
		p += 8;
		if (len > (uint64_t)(w->structs_end - p) || name >= w->strings_size)
			return false;
		prop(w, w->strings + name, p, len);
		p += len;
	} else if (kind != 4) {
		return false;
	}
	w->structs += ((uintptr_t)p - (uintptr_t)w->structs + 3) & ~(uintptr_t)3;
	return true;
}

bool fdt_parse(const uint8_t *dtb)
{
	machine.bootargs = machine.isa = machine.mmu = machine.model = "";
	machine.timebase = 10000000;
	if (!dtb || be32(dtb) != 0xd00dfeed)
		return false;
	machine.dtb = dtb;
	machine.dtb_size = be32(dtb + 4);
	uint32_t at = be32(dtb + 8), len = be32(dtb + 36), strings = be32(dtb + 12);
	if (at > machine.dtb_size || len > machine.dtb_size - at || strings > machine.dtb_size)
		return false;
	static struct walk w;
	w.structs = dtb + at;
	w.structs_end = dtb + at + len;
	w.strings = (const char *)dtb + strings;
	w.strings_size = machine.dtb_size - strings;
	int level = -1;
	while (token(&w, &level))
		;
	return machine.ram_size && machine.harts;
}
