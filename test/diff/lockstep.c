/* SPDX-License-Identifier: Apache-2.0 */
/* lockstep: the same random programs on two engines; everything that they leave is compared.
 *
 *   lockstep [-a ENGINE] [-b ENGINE] [-s SEED] [-n PROGRAMS] [-f FUEL] [-o INSTRUCTION]
 *            [-r RUNS] [-l BITS] [-t SAMPLES] [-p SEED] [-x GOOD=BAD] [-m on|off] [-w] [-q] [-v]
 *
 *   -a -b   the engines: the first of engines.def against each other one (against itself where
 *           there is no other)
 *   -s -n   programs SEED * 1000000 and on; the same ones from the same compiler
 *   -f      how often a program goes backward: hot loops get hotter
 *   -o      programs mostly of this instruction
 *   -r      programs that one pair of harts runs before it is made anew (64)
 *   -l      bits of a vector register (128)
 *   -t      samples of a unit before it is optimized, on the hart's thread (1: all, at once)
 *   -p      one program, by the number that a report gives; -v shows it
 *   -x      the second engine is told BAD where programs have GOOD: does the tester find that?
 *   -m      mirrored user memory (both, one after the other)
 *   -w      generated code does without the longest vectors of the host (rv_env.narrow)
 *   -q      differences are only counted, not made small
 *
 * Exit: 0 equal, 1 different, 2 could not run. */
#include "test/diff/diff.h"
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

enum { SHOWN = 3, PER_SEED = 1000000 };

struct options {
	const char *engine[2], *only, *plant, *mirror;
	uint64_t seed, fuel, one;
	unsigned n, per_rig;
	struct rig_how how;
	bool quiet, verbose, has_one;
};

struct counts {
	unsigned compared, different, unfinished;
	uint64_t instructions, traps, longest, mirrored, optimized;
};

static void difference_report(const struct options *o, const struct pair *q, struct program *p)
{
	printf("program %" PRIu64 ": %s and %s differ (kind %u, %u units)\n", p->seed,
	       q->e[0]->name, q->e[1]->name, p->kind, p->units);
	int fresh = pair_differs(q, p, true);
	if (fresh != 1) {
		printf("  not by itself: it needs the programs before, repeat with -s %" PRIu64
		       " -r %u\n",
		       o->seed, o->per_rig);
		return;
	}
	program_shrink(q, p);
	pair_differs(q, p, true);
	program_show(p);
	fflush(stdout);
}

static bool program_run(const struct options *o, const struct pair *q, struct rig *const rig[2],
			struct program *p, struct counts *c)
{
	bool first = rig_run(rig[0], p, NULL), second = rig_run(rig[1], p, q->plant);
	uint64_t n = rig_instructions(rig[0]);
	const uint8_t *ram = rig_ram(rig[0]);
	c->compared++;
	c->instructions += n;
	c->longest = n > c->longest ? n : c->longest;
	c->traps += le64_at(ram + (M_SAVE - RAM_AT + SAVE_COUNT)) +
		    le64_at(ram + (S_SAVE - RAM_AT + SAVE_COUNT));
	if (o->verbose)
		printf("program %" PRIu64 ": kind %u, %" PRIu64 " instructions, %" PRIu64
		       " of %" PRIu64 " rounds, fuel left %" PRId64 "\n",
		       p->seed, p->kind, n, p->x[24] - rig_hart(rig[0])->x[24], p->x[24],
		       (int64_t)rig_hart(rig[0])->x[27]);
	if (!first && !second) {
		c->unfinished++;
		const struct rv_hart *h = rig_hart(rig[0]);
		printf("program %" PRIu64 " does not end: pc %" PRIx64 " privilege %u fuel %" PRId64
		       " rounds %" PRIu64 " s10 %" PRIx64 "\n  mcause %" PRIx64 " mepc %" PRIx64
		       " scause %" PRIx64 " sepc %" PRIx64 " medeleg %" PRIx64 "\n",
		       p->seed, h->pc, h->priv, (int64_t)h->x[27], h->x[24], h->x[26], h->mcause,
		       h->mepc, h->scause, h->sepc, h->medeleg);
		return false;
	}
	if (first && second && rigs_equal(rig[0], rig[1]))
		return true;
	if (c->different++ < SHOWN && !o->quiet)
		difference_report(o, q, p);
	return false;
}

static int pair_run(const struct options *o, const struct pair *q, struct counts *c,
		    struct lodge_err *e)
{
	struct rig *rig[2] = {NULL, NULL};
	struct program *p = malloc(sizeof *p);
	int r = p ? 0 : err_set(e, ENOMEM, "no memory");
	for (unsigned i = 0; !r && i < o->n; i++) {
		if (!rig[0]) {
			r = rig_new(&rig[0], q->e[0], &q->how, e);
			if (!r)
				r = rig_new(&rig[1], q->e[1], &q->how, e);
		}
		if (r)
			break;
		program_make(p, o->has_one ? o->one : o->seed * PER_SEED + i, o->fuel, o->only);
		if (o->has_one && o->verbose)
			program_show(p);
		if (!program_run(o, q, rig, p, c) || i % o->per_rig == o->per_rig - 1) {
			c->mirrored += rig_mirrored(rig[1]);
			c->optimized += rig_optimized(rig[1]);
			rig_free(rig[0]);
			rig_free(rig[1]);
			rig[0] = rig[1] = NULL;
		}
	}
	if (rig[1]) {
		c->mirrored += rig_mirrored(rig[1]);
		c->optimized += rig_optimized(rig[1]);
	}
	rig_free(rig[0]);
	rig_free(rig[1]);
	free(p);
	return r;
}

static int pair_report(const struct options *o, const struct pair *q, struct counts *sum,
		       struct lodge_err *e)
{
	struct counts c = {0};
	time_t began = time(NULL);
	int r = pair_run(o, q, &c, e);
	if (r)
		return r;
	printf("lockstep: %s and %s: %u programs, %" PRIu64 " instructions, %" PRIu64
	       " traps, longest %" PRIu64 ", %" PRIu64 " pages mirrored,"
	       " %" PRIu64 " units optimized: %u differ, %u do not end;"
	       " seed %" PRIu64 ", %ld s\n",
	       q->e[0]->name, q->e[1]->name, c.compared, c.instructions, c.traps, c.longest,
	       c.mirrored, c.optimized, c.different, c.unfinished, o->seed,
	       (long)(time(NULL) - began));
	sum->different += c.different;
	/* one that ends on neither engine tells nothing; there must not be many */
	if (c.unfinished > 1 + c.compared / 100)
		return err_set(e, EINVAL, "too many programs do not end");
	return 0;
}

static int pair_both(const struct options *o, struct pair *q, struct counts *sum,
		     struct lodge_err *e)
{
	int r = 0;
	for (unsigned on = 0; on < 2 && !r; on++) {
		q->how.mirror = on;
		if (!o->mirror || !strcmp(o->mirror, on ? "on" : "off"))
			r = pair_report(o, q, sum, e);
	}
	return r;
}

static bool options_read(struct options *o, int argc, char **argv)
{
	*o = (struct options){.seed = 1, .n = 200, .per_rig = 64, .how.vlen = 128};
	for (int c; (c = getopt(argc, argv, "a:b:s:n:f:o:r:l:t:p:x:m:wqv")) != -1;)
		switch (c) {
		case 'a': o->engine[0] = optarg; break;
		case 'b': o->engine[1] = optarg; break;
		case 's': o->seed = strtoull(optarg, NULL, 10); break;
		case 'n': o->n = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'f': o->fuel = strtoull(optarg, NULL, 10); break;
		case 'o': o->only = optarg; break;
		case 'r': o->per_rig = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'l': o->how.vlen = (unsigned)strtoul(optarg, NULL, 10); break;
		case 't': o->how.opt_at = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'p':
			o->one = strtoull(optarg, NULL, 10);
			o->has_one = true;
			o->n = 1;
			break;
		case 'x': o->plant = optarg; break;
		case 'm': o->mirror = optarg; break;
		case 'w': o->how.narrow = true; break;
		case 'q': o->quiet = true; break;
		case 'v': o->verbose = true; break;
		default: return false;
		}
	return argc == optind && o->per_rig;
}

int main(int argc, char **argv)
{
	struct options o;
	struct lodge_err e = {0};
	struct counts sum = {0};
	if (!options_read(&o, argc, argv)) {
		fprintf(stderr, "usage: lockstep [-a ENGINE] [-b ENGINE] [-s SEED] [-n PROGRAMS]"
				" [-f FUEL] [-o INSTRUCTION] [-r RUNS] [-l BITS] [-p PROGRAM]"
				" [-x GOOD=BAD] [-m on|off] [-w] [-q] [-v]\n");
		return 2;
	}
	struct pair q = {.plant = o.plant, .how = o.how};
	q.e[0] = o.engine[0] ? engine_find(o.engine[0]) : engine_at(0);
	const struct engine *only = o.engine[1] ? engine_find(o.engine[1]) : NULL;
	if (!q.e[0] || (o.engine[1] && !only)) {
		fprintf(stderr, "lockstep: no such engine\n");
		return 2;
	}
	int r = 0;
	bool alone = !only && !engine_at(1);
	for (size_t i = 0; !r && engine_at(i); i++) {
		q.e[1] = engine_at(i);
		if (only ? q.e[1] == only : alone || q.e[1] != q.e[0])
			r = pair_both(&o, &q, &sum, &e);
	}
	if (r) {
		fprintf(stderr, "lockstep: %s\n", e.msg);
		return 2;
	}
	return sum.different ? 1 : 0;
}
