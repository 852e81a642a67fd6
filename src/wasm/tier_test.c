/* SPDX-License-Identifier: Apache-2.0 */
/* The interpreter and compiled code run random modules and have to agree: results, memory, globals,
 * traps and the calls that they interrupted, bit for bit. LODGE_MODULES: how many modules,
 * LODGE_SEED: from where on; LODGE_WRITE: a folder where those go that test/wasm/random shows to
 * other engines. */
#include "test/test.h"
#include "wasm/pieces_test.h"
#include "wasm/random_test.h"

static wasm_host_fn *none(void *user, size_t i, const struct wasm_import *im, struct lodge_err *e)
{
	(void)user, (void)i, (void)im;
	(void)!err_set(e, EINVAL, "nothing is provided");
	return NULL;
}

static bool result_same(uint32_t func, const union wasm_slot *a, const union wasm_slot *b)
{
	uint8_t type = random_types[func % TYPES];
	if (type == WASM_I32 || type == WASM_F32)
		return a[0].i32 == b[0].i32;
	return a[0].i64 == b[0].i64 && (type != WASM_V128 || a[1].i64 == b[1].i64);
}

static bool memories_same(const struct wasm *x, const struct wasm *y)
{
	bool ok = true;
	for (uint32_t i = 0; ok && i < x->m->nmemories; i++)
		ok = x->memories[i].len == y->memories[i].len &&
		     !memcmp(x->memories[i].at, y->memories[i].at, x->memories[i].len);
	for (uint32_t i = 0; ok && i < x->m->ntables; i++) {
		const struct table *t = &x->tables[i], *u = &y->tables[i];
		ok = t->n == u->n;
		for (uint64_t k = 0; ok && k < t->n; k++)
			ok = element_ref(x, t, k) == element_ref(y, u, k);
	}
	return ok;
}

static uint64_t ncalls, ntraps; /* of all modules */

/* Returns whether all of both is the same. *@over: the stack of both ended, not at the same moment,
 * and their memory may differ from now on. */
static bool same(struct wasm *x, struct wasm *y, uint64_t seed, uint32_t func, unsigned round,
		 bool *over)
{
	struct maker r = {.seed = seed + round};
	union wasm_slot a[6], b[6];
	random_parameters(a, &r);
	memcpy(b, a, sizeof b);
	enum wasm_trap s = wasm_call(x, func, a), t = wasm_call(y, func, b);
	ncalls++;
	ntraps += s != WASM_OK;
	*over = s == WASM_TRAP_STACK && t == s;
	if (*over)
		return true;
	bool ok = s == t && (s || result_same(func, a, b)) &&
		  memories_same(x, y) &&
		  x->globals[0].lo << 32 == y->globals[0].lo << 32 &&
		  x->globals[1].lo == y->globals[1].lo &&
		  x->globals[2].lo << 32 == y->globals[2].lo << 32 &&
		  x->globals[3].lo == y->globals[3].lo &&
		  !memcmp(&x->globals[4], &y->globals[4], 16) && x->ntrace == y->ntrace;
	char was[2][4096] = {"", ""};
	for (unsigned n = 0; s && n < 2; n++) {
		FILE *out = fmemopen(was[n], sizeof was[n], "w");
		wasm_trace(n ? y : x, out);
		fclose(out);
	}
	ok = ok && !strcmp(was[0], was[1]);
	if (!ok && strcmp(was[0], was[1]) != 0)
		printf("# interpreted\n%s# compiled\n%s", was[0], was[1]);
	for (uint32_t n = 0; !ok && n < PAGE; n++)
		if (x->memories[0].at[n] != y->memories[0].at[n]) {
			printf("# memory at %x: %02x and %02x\n", n, x->memories[0].at[n],
			       y->memories[0].at[n]);
			break;
		}
	for (unsigned n = 0; !ok && n < TYPES; n++)
		if (x->globals[n].lo != y->globals[n].lo)
			printf("# global %u: %llx and %llx\n", n,
			       (unsigned long long)x->globals[n].lo,
			       (unsigned long long)y->globals[n].lo);
	if (!ok)
		printf("# seed %llu, function %u, round %u: %s and %s, %llx and %llx\n",
		       (unsigned long long)seed, func, round, wasm_trap_text(s), wasm_trap_text(t),
		       (unsigned long long)a[0].i64, (unsigned long long)b[0].i64);
	return ok;
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *v = getenv(name);
	return v ? strtoull(v, NULL, 10) : otherwise;
}

/* One module by both, compiled at the first call or the third, or meanwhile. */
static bool module_try(struct bytes *b, struct maker *m, uint64_t seed)
{
	const struct wasm_limits plain = {.stack_slots = 1 << 16};
	const struct wasm_limits compiled = {.stack_slots = 1 << 16,
					     .deadline_ns = seed & 2 ? UINT64_MAX : 0,
					     .compiles = true,
					     .code_kept = seed & 4 ? 1 : 0,
					     .background = seed & 8,
					     .heat = seed & 1 ? 3 : 1};
	struct lodge_err e = {0};
	struct wasm_module *mod;
	struct wasm *x, *y;
	m->seed = seed * 0x9e3779b97f4a7c15u;
	m->calm = false;
	random_module(b, m);
	if (wasm_module_new(&mod, b->at, b->n, 0, &e) < 0) {
		printf("# seed %llu: %s\n", (unsigned long long)seed, e.msg);
		return false;
	}
	CHECK(wasm_new(&x, mod, &plain, none, NULL, &e) == 0);
	CHECK(wasm_new(&y, mod, &compiled, none, NULL, &e) == 0);
	bool ok = wasm_start(x) == WASM_OK && wasm_start(y) == WASM_OK, over = false;
	for (unsigned round = 0; ok && !over && round < 4; round++)
		for (uint32_t f = 0; ok && !over && f < FUNCS; f++)
			ok = same(x, y, seed, f, round, &over);
	wasm_free(x);
	wasm_free(y);
	wasm_module_free(mod);
	return ok;
}

TEST(wasm_compiled_code_does_what_the_interpreter_does)
{
	struct bytes *b = malloc(sizeof *b);
	struct maker *m = calloc(1, sizeof *m);
	CHECK(b && m);
	uint64_t from = setting("LODGE_SEED", 1), n = setting("LODGE_MODULES", 300), bad = 0;
	static const uint64_t once_bad[] = {30013586}; /* an i32 thrown, with more beside it */
	for (unsigned k = 0; k < countof(once_bad); k++)
		bad += !module_try(b, m, once_bad[k]);
	for (uint64_t seed = from; seed < from + n && bad < 5; seed++)
		bad += !module_try(b, m, seed);
	CHECK(!bad);
	printf("# %llu calls, %llu of them ended in a trap\n", (unsigned long long)ncalls,
	       (unsigned long long)ntraps);
	free(b);
	free(m);
}

static bool module_write(const char *folder, uint64_t seed, const struct bytes *b)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/%llu.wasm", folder, (unsigned long long)seed);
	FILE *out = fopen(path, "w");
	bool ok = out && fwrite(b->at, 1, b->n, out) == b->n;
	return out && fclose(out) == 0 && ok;
}

TEST(wasm_random_modules_for_other_engines_are_valid)
{
	struct bytes *b = malloc(sizeof *b);
	struct maker *m = calloc(1, sizeof *m);
	CHECK(b && m);
	const char *folder = getenv("LODGE_WRITE");
	uint64_t from = setting("LODGE_SEED", 1), n = setting("LODGE_MODULES", 50);
	for (uint64_t seed = from; seed < from + n; seed++) {
		struct wasm_module *mod;
		*m = (struct maker){.seed = seed * 0x9e3779b97f4a7c15u, .plain = true};
		random_module(b, m);
		CHECK(wasm_module_new(&mod, b->at, b->n, 0, NULL) == 0);
		CHECK(wasm_export_find(mod, "m", WASM_FUNC) >= 0);
		wasm_module_free(mod);
		CHECK(!folder || module_write(folder, seed, b));
	}
	free(b);
	free(m);
}

/* ---- states ---- */

struct state { /* what a run was when it stood still */
	struct pieces is;
	uint32_t countdown; /* halts until it is saved */
	uint32_t nsaved, ncompiled, nboth; /* saves; in compiled code; with both kinds waiting */
	struct lodge_err err;
};

static enum wasm_trap on_halt(void *user, struct wasm *w)
{
	struct state *s = user;
	const struct wasm_sink to = {pieces_section, &s->is};
	w->asked = true;
	if (s->countdown-- > 1)
		return WASM_OK;
	CHECK(wasm_save(w, &to, &s->is.npages, &s->err) == 0);
	int fd = pieces_file(&s->is);
	CHECK(wasm_save_pages(w, fd, 0, &s->err) == 0);
	pieces_take(&s->is, fd);
	s->nsaved++;
	s->ncompiled += w->here.code && !w->here.f;
	s->nboth += w->crossing != NULL;
	return WASM_TRAP_EXIT;
}

static struct wasm_limits stop_limits(struct state *s, uint64_t seed)
{
	return (struct wasm_limits){.stack_slots = 1 << 16,
				    .compiles = seed & 3,
				    .heat = 1 + (uint32_t)(seed >> 2) % 3,
				    .code_kept = seed & 32 ? 1 : 0,
				    .background = seed & 64,
				    .slice = 1 + (uint32_t)(seed >> 3) % 5,
				    .halted = on_halt,
				    .halted_user = s};
}

/* A state with some bytes changed is refused, or runs to some end. */
static void state_damage(const struct wasm_module *mod, struct pieces *s, struct maker *r)
{
	struct state idle = {.countdown = UINT32_MAX};
	struct wasm_limits l = stop_limits(&idle, random_pick(r, 64));
	const struct wasm_source from = {pieces_find, s, s->pages, s->npages, false};
	struct wasm *w;
	unsigned i = random_pick(r, s->n);
	size_t at = s->part[i].len ? random_pick(r, (uint32_t)s->part[i].len) : 0;
	uint8_t was = s->part[i].p[at];
	s->part[i].p[at] = (uint8_t)(random_pick(r, 2) ? random_pick(r, 256)
						       : was ^ 1u << random_pick(r, 8));
	l.deadline_ns = host_monotonic_ns() + 20000000;
	CHECK(wasm_new(&w, mod, &l, none, NULL, NULL) == 0);
	struct lodge_err e = {0};
	w->asked = true;
	if (wasm_load(w, &from, &e) == 0)
		(void)!wasm_go_on(w);
	else
		CHECK(e.msg[0]);
	wasm_free(w);
	s->part[i].p[at] = was;
}

/* Call @func of @w, saved after a few looks around, and gone on from in another instance, again and
 * again. @at as in wasm_call. *@w is the last instance. */
static enum wasm_trap call_by_states(struct wasm **w, const struct wasm_module *mod,
				     struct state *s, struct maker *r, uint32_t func,
				     union wasm_slot *at)
{
	struct lodge_err e = {0};
	s->countdown = 1 + random_pick(r, 6);
	(*w)->asked = true;
	enum wasm_trap t = wasm_call(*w, func, at);
	for (unsigned n = 0; t == WASM_TRAP_EXIT && s->is.pages; n++) {
		const struct wasm_limits l = stop_limits(s, random_pick(r, 128));
		wasm_free(*w);
		CHECK(wasm_new(w, mod, &l, none, NULL, &e) == 0);
		if (!random_pick(r, 4))
			state_damage(mod, &s->is, r);
		const struct wasm_source from = {pieces_find, &s->is, s->is.pages, s->is.npages,
						 false};
		int got = wasm_load(*w, &from, &e);
		if (got < 0)
			printf("# %s\n", e.msg);
		CHECK(got == 0);
		pieces_drop(&s->is);
		s->countdown = 1 + random_pick(r, 6u << (n < 20 ? n : 20));
		(*w)->asked = true;
		t = wasm_go_on(*w);
		memcpy(at, (*w)->stack, 2 * sizeof *at);
	}
	return t;
}

static bool saved_try(struct bytes *b, struct maker *m, uint64_t seed, struct state *all)
{
	struct maker r = {.seed = seed};
	const struct wasm_limits plain = {.stack_slots = 1 << 16};
	struct state s = {0};
	const struct wasm_limits stops = stop_limits(&s, seed);
	struct lodge_err e = {0};
	struct wasm_module *mod;
	struct wasm *x, *y;
	bool ok = true;
	m->seed = seed * 0x9e3779b97f4a7c15u;
	m->calm = seed & 1;
	random_module(b, m);
	CHECK(wasm_module_new(&mod, b->at, b->n, 0, &e) == 0);
	CHECK(wasm_new(&x, mod, &plain, none, NULL, &e) == 0);
	CHECK(wasm_new(&y, mod, &stops, none, NULL, &e) == 0);
	CHECK(wasm_start(x) == WASM_OK && wasm_start(y) == WASM_OK);
	for (uint32_t f = 0; ok && f < FUNCS; f++) {
		union wasm_slot p[6], q[6];
		random_parameters(p, &r);
		memcpy(q, p, sizeof q);
		enum wasm_trap u = wasm_call(x, f, p);
		enum wasm_trap t = call_by_states(&y, mod, &s, &r, f, q);
		if (t == WASM_TRAP_STACK && u == t)
			break; /* not at the same moment: memory may differ */
		ok = t == u && (u || result_same(f, p, q)) &&
		     memories_same(x, y) &&
		     x->globals[1].lo == y->globals[1].lo && x->globals[3].lo == y->globals[3].lo &&
		     !memcmp(&x->globals[4], &y->globals[4], 16);
		if (!ok)
			printf("# seed %llu, function %u: %s and %s, %llx and %llx\n",
			       (unsigned long long)seed, f, wasm_trap_text(u), wasm_trap_text(t),
			       (unsigned long long)p[0].i64, (unsigned long long)q[0].i64);
	}
	pieces_drop(&s.is);
	all->nsaved += s.nsaved;
	all->ncompiled += s.ncompiled;
	all->nboth += s.nboth;
	wasm_free(x);
	wasm_free(y);
	wasm_module_free(mod);
	return ok;
}

TEST(wasm_a_run_that_is_saved_anywhere_goes_on_as_if_nothing_had_happened)
{
	struct state all = {0};
	struct bytes *b = malloc(sizeof *b);
	struct maker *m = calloc(1, sizeof *m);
	CHECK(b && m);
	uint64_t from = setting("LODGE_SEED", 1), n = setting("LODGE_MODULES", 300), bad = 0;
	for (uint64_t seed = from; seed < from + n && bad < 5; seed++)
		bad += !saved_try(b, m, seed, &all);
	CHECK(!bad);
	printf("# %u states, %u of compiled code, %u of calls of both kinds\n", all.nsaved,
	       all.ncompiled, all.nboth);
	CHECK(bad || n < 100 || (all.nsaved > n && all.ncompiled > n / 4 && all.nboth));
	free(b);
	free(m);
}
