/* SPDX-License-Identifier: Apache-2.0 */
/* rvdiff: every user-level instruction of Lodge against an emulator that Debian packages.
 *
 *   rvdiff [-n COMPARISONS] [-s SEED] [-b FIRST_BATCH] [-o ONLY] [-e ENGINE]
 *          [-t SAMPLES] [-v VLEN] EMULATOR RUNNER BLOB
 *
 *   -v   only instructions of V, with registers of so many bits
 *   -t   samples of a unit before it is optimized (1: all, at once)
 *
 * Prints what differs (all registers, flags, memory, where execution left) with the batch number
 * that reproduces it, then one line of sums. Exit: 0 equal, 1 different, 2 could not run. */
#include "isa/riscv/riscv.h"
#include "test/conform/conform.h"
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

enum { SHOWN = 12, ALL_COME = 100000 }; /* so many comparisons reach every instruction */

/* Emulators by version: what they know, and how to switch it on (and everything else off). */
static const struct oracle_kind {
	unsigned major;
	const char *exts, *skipped, *cpu;
	const char *wrong;      /* instructions that it gets wrong */
	const char *vector;     /* for the cpu, with vectors; NULL: no good for them */
} kinds[] = {
	{ 9, "I M A F D C Zicsr Zifencei Zba Zbb Zbc Zbs Zicond Zawrs Zicbom Zicboz Zfhmin Zfa "
	  "Zacas", "",
	  "rv64,zba=on,zbb=on,zbc=on,zbs=on,zicond=on,zawrs=on,zicbom=on,zicboz=on,zfhmin=on,"
	  "zfa=on,zacas=on,zfh=off,zabha=off,zcb=off,v=off,h=off,zimop=off,zcmop=off", "",
	  ",zvfhmin=on" },
	{ 7, "I M A F D C Zicsr Zifencei Zba Zbb Zbc Zbs Zfhmin",
	  "Zicond Zawrs Zicbom Zicboz Zfa Zacas",
	  "rv64,zba=on,zbb=on,zbc=on,zbs=on,Zfhmin=on,v=off,h=off",
	  "ctzw" /* of a low half that is 0 */, NULL },
};

struct options {
	uint64_t seed;
	unsigned long n;
	unsigned first, opt_at, vlen;
	const char *only, *engine, *emulator, *runner, *blob;
};

struct counts {
	unsigned long compared, different, trapped;
	unsigned long by[ABOUTS], bad[ABOUTS];
};

static const struct oracle_kind *kind_of(const char *emulator)
{
	char cmd[512], line[256] = "";
	unsigned major = 0;
	snprintf(cmd, sizeof cmd, "'%s' --version", emulator);
	FILE *f = popen(cmd, "r");
	if (f && fgets(line, sizeof line, f)) {
		const char *v = strstr(line, "version ");
		major = v ? (unsigned)atoi(v + 8) : 0;
	}
	if (f)
		pclose(f);
	for (size_t i = 0; i < countof(kinds); i++)
		if (major >= kinds[i].major)
			return &kinds[i];
	return NULL;
}

static const char *oracle_cpu(const struct oracle_kind *k, const struct options *o)
{
	static char cpu[512];
	if (!o->vlen)
		return k->cpu;
	snprintf(cpu, sizeof cpu, "%s,v=true,vlen=%u,elen=64,vext_spec=v1.0%s", k->cpu, o->vlen,
	         k->vector);
	return cpu;
}

/* The oracle tells memory faults apart less well than a machine does. */
static uint64_t cause_kind(uint64_t cause)
{
	if (cause == CAUSE_EXIT || cause == RV_EXC_ILLEGAL || cause == RV_EXC_BREAKPOINT ||
	    cause == RV_EXC_ECALL_U || cause > RV_EXC_STORE_PAGE)
		return cause;
	return CAUSE_MEMORY;
}

static bool state_equal(const struct state *a, const struct state *b)
{
	return !memcmp(a->x, b->x, sizeof a->x) && !memcmp(a->f, b->f, sizeof a->f) &&
	       a->fcsr == b->fcsr && a->pc == b->pc &&
	       cause_kind(a->cause) == cause_kind(b->cause) &&
	       !memcmp(a->mem, b->mem, sizeof a->mem);
}

static void field_show(const char *name, unsigned i, uint64_t in, uint64_t got, uint64_t want)
{
	if (got != want)
		printf("    %s%u: was %016" PRIx64 ", lodge %016" PRIx64 ", oracle %016" PRIx64
		       "\n",
		       name, i, in, got, want);
}

static const char *word_name(uint32_t w)
{
	for (unsigned i = 0; i < RV_PATTERNS; i++)
		if ((w & rv_patterns[i].mask) == rv_patterns[i].match)
			return rv_patterns[i].name;
	return "";
}

static void difference_show(const struct batch *b, unsigned cell, const struct state *got,
                            const struct state *want, const char *about, unsigned number)
{
	const struct program *p = &b->program[cell / SETS];
	const struct state *in = &b->cell[cell].in;
	const uint8_t *code = (const uint8_t *)p->code + (in->pc - p->pc);
	printf("%s: batch %u cell %u at %" PRIx64 "\n", about, number, cell, in->pc);
	for (unsigned i = 0, off = 0; i < 8 && off < 32; i++) {
		uint32_t w = le32_at(code + off);
		if ((w & 0xfff) == (word_exit(0, b->variant) & 0xfff))
			break;
		w = (w & 3) == 3 ? w : w & 0xffff;
		struct rv_insn d = { 0 };
		printf("    %08x  %-12s", w, word_name(w));
		if (rv_decode(w, &d))
			printf(" rd %u, rs1 %u %016" PRIx64 " %016" PRIx64 ", rs2 %u %016" PRIx64
			       " %016" PRIx64 ", rs3 %u %016" PRIx64, d.rd, d.rs1, in->x[d.rs1],
			       in->f[d.rs1], d.rs2, in->x[d.rs2], in->f[d.rs2], d.rs3,
			       in->f[d.rs3]);
		printf("\n");
		off += (w & 3) == 3 ? 4 : 2;
	}
	printf("    fcsr was %03" PRIx64 ", lodge %03" PRIx64 " pc %" PRIx64 " cause %" PRIu64
	       ", oracle %03" PRIx64 " pc %" PRIx64 " cause %" PRIu64 "\n",
	       in->fcsr, got->fcsr, got->pc, got->cause, want->fcsr, want->pc, want->cause);
	for (unsigned i = 0; i < 32; i++) {
		field_show("x", i, in->x[i], got->x[i], want->x[i]);
		field_show("f", i, in->f[i], got->f[i], want->f[i]);
		field_show("mem", 8 * i, le64_at(in->mem + 8 * i), le64_at(got->mem + 8 * i),
		           le64_at(want->mem + 8 * i));
	}
}

static void batch_compare(const struct maker *m, const struct batch *lodge,
                          const struct batch *oracle, unsigned number, struct counts *c)
{
	for (unsigned i = 0; i < oracle->programs * SETS; i++) {
		const struct state *got = &lodge->cell[i].out, *want = &oracle->cell[i].out;
		unsigned about = m->about[i / SETS];
		c->compared++;
		c->by[about]++;
		c->trapped += want->cause != CAUSE_EXIT;
		unsigned vlenb = oracle->vlenb;
		const struct vstate *vgot = vlenb ? &lodge->vcell[i].out : NULL;
		const struct vstate *vwant = vlenb ? &oracle->vcell[i].out : NULL;
		if (state_equal(got, want) && (!vlenb || vector_equal(vgot, vwant, vlenb)))
			continue;
		if (c->bad[about]++ < 2 && c->different < SHOWN * 2) {
			difference_show(oracle, i, got, want, about_name(about), number);
			if (vlenb)
				vector_show(&oracle->vcell[i].in, vgot, vwant, vlenb);
		}
		c->different++;
	}
}

static int run_all(const struct options *o, const struct oracle_kind *k, struct lodge_rig *rig,
                   struct oracle *q, struct counts *c, struct lodge_err *e)
{
	static struct maker m;
	maker_init(&m, o->vlen ? "V" : k->exts, k->wrong, o->only);
	m.vlenb = o->vlen / 8;
	if (!m.nlist)
		return err_set(e, EINVAL, "no such instruction (or the oracle does not know it)");
	for (unsigned number = o->first; c->compared < o->n; number++) {
		maker_batch(&m, q->batch, o->seed, number, o->vlen ? VPROGRAMS : PROGRAMS);
		struct batch *copy = malloc(sizeof *copy);
		if (!copy)
			return err_set(e, ENOMEM, "no memory");
		memcpy(copy, q->batch, sizeof *copy);
		int r = oracle_begin(q, e);
		const struct batch *got = r ? NULL : lodge_rig_run(rig, copy);
		free(copy);
		if (!r)
			r = oracle_finish(q, e);
		if (r)
			return err_in(e, r, "batch %u", number);
		batch_compare(&m, got, q->batch, number, c);
	}
	for (unsigned i = 0; i < m.nlist && o->n >= ALL_COME; i++)
		if (!c->by[m.list[i]])
			return err_set(e, EINVAL, "%s never ran", about_name(m.list[i]));
	return 0;
}

static bool options_read(struct options *o, int argc, char **argv)
{
	*o = (struct options){ .seed = 1, .n = 200000, .engine = "interpret" };
	for (int c; (c = getopt(argc, argv, "n:s:b:o:e:t:v:")) != -1;)
		switch (c) {
		case 'n': o->n = strtoul(optarg, NULL, 10); break;
		case 's': o->seed = strtoull(optarg, NULL, 10); break;
		case 'b': o->first = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'o': o->only = optarg; break;
		case 'e': o->engine = optarg; break;
		case 't': o->opt_at = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'v': o->vlen = (unsigned)strtoul(optarg, NULL, 10); break;
		default: return false;
		}
	if (argc - optind != 3)
		return false;
	o->emulator = argv[optind];
	o->runner = argv[optind + 1];
	o->blob = argv[optind + 2];
	return true;
}

int main(int argc, char **argv)
{
	struct options o;
	struct lodge_err e = { 0 };
	struct lodge_rig *rig = NULL;
	struct oracle q = { 0 };
	static struct counts c;
	if (!options_read(&o, argc, argv)) {
		fprintf(stderr, "usage: rvdiff [-n COMPARISONS] [-s SEED] [-b FIRST_BATCH]"
				" [-o ONLY] [-e ENGINE] [-t SAMPLES] [-v VLEN] EMULATOR RUNNER"
				" BLOB\n");
		return 2;
	}
	const struct oracle_kind *k = kind_of(o.emulator);
	if (!k) {
		fprintf(stderr, "rvdiff: %s is no qemu 7 or later\n", o.emulator);
		return 2;
	}
	if (o.vlen && !k->vector) {
		printf("rvdiff: V skipped, this oracle is too old\n");
		return 0;
	}
	time_t start = time(NULL);
	int r = lodge_rig_new(&rig, o.engine, o.opt_at, o.vlen, o.blob, &e);
	if (!r)
		r = oracle_start(&q, o.emulator, oracle_cpu(k, &o), o.runner, o.blob, &e);
	if (!r) {
		r = run_all(&o, k, rig, &q, &c, &e);
		oracle_stop(&q);
	}
	if (rig)
		lodge_rig_free(rig);
	if (r) {
		fprintf(stderr, "rvdiff: %s\n", e.msg);
		return 2;
	}
	for (unsigned i = 0; i < ABOUTS; i++)
		if (c.bad[i])
			printf("%-16s %lu of %lu differ\n", about_name(i), c.bad[i], c.by[i]);
	if (*k->skipped)
		printf("rvdiff: skipped, unknown to this oracle: %s; wrong there: %s\n", k->skipped,
		       k->wrong);
	printf("rvdiff: %lu executions compared (%lu trapped), %lu differ; seed %" PRIu64
	       ", %ld s\n", c.compared, c.trapped, c.different, o.seed, (long)(time(NULL) - start));
	return c.different ? 1 : 0;
}
