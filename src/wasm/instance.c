/* SPDX-License-Identifier: Apache-2.0 */
/* Instances: memories, tables, globals, functions that become code when they are called.
 * Spec: WASM-CORE 2.0 §4.5 */
#include "wasm/internal.h"
#include <sys/mman.h>

enum {
	STACK_SLOTS = 1 << 20,
	MADE_BYTES = 1 << 20 /* code for the interpreter that nobody has to look for */
};

const char *wasm_trap_text(enum wasm_trap t)
{
	static const char *const texts[] = {
	    "",
#define TRAP(name, text) text,
#include "wasm/trap.def"
	};
	return t < countof(texts) ? texts[t] : "?";
}

/* ---- functions ---- */


/* What is imported: functions, which @find knows or @of has, and shared memories, which are made
 * here as are the module's own. */
static int imports_find(struct wasm *w, const struct wasm *of, wasm_find_fn *find,
			struct lodge_err *e)
{
	const struct wasm_module *m = w->m;
	struct wasm_import im;
	uint32_t func = 0;
	for (size_t i = 0; wasm_import_at(m, i, &im); i++) {
		if (im.kind == WASM_MEMORY && m->memories[m->imports[i].index].shared)
			continue;
		if (im.kind != WASM_FUNC)
			return err_set(e, EINVAL, "import %.*s.%.*s: only functions and shared "
				       "memories can be one",
				       (int)im.module_len, im.module, (int)im.name_len, im.name);
		struct lodge_err why = {.code = EINVAL};
		wasm_host_fn *fn = of ? of->funcs[func].host : find(w->user, i, &im, &why);
		if (!fn)
			return err_set(e, why.code, "%s", why.msg);
		w->funcs[func].host_user = w->user;
		w->funcs[func++].host = fn;
	}
	return 0;
}

static int funcs_new(struct wasm *w, const struct wasm *of, wasm_find_fn *find,
		     struct lodge_err *e)
{
	const struct wasm_module *m = w->m;
	w->funcs = calloc(m->nfuncs + 1, sizeof *w->funcs);
	if (!w->funcs)
		return err_set(e, ENOMEM, "out of memory");
	for (uint32_t i = 0; i < m->nfuncs; i++) {
		const struct wtype *t = &m->types[m->funcs[i].type];
		w->funcs[i] = (struct func){.code = i < m->nimported ? &w->hosted : &w->lazy,
					    .nslots = t->pslots > t->rslots ? t->pslots : t->rslots,
					    .nparams = t->pslots,
					    .nlocals = t->pslots,
					    .nresults = t->rslots,
					    .type = t->canon};
	}
	return imports_find(w, of, find, e);
}

static bool code_is_cold(const struct wasm *w, const struct func *f)
{
	return f->own && f->code == &w->warm && !f->waits && f->heat == f->seen && !tier_uses(w, f);
}

/* Most functions of a large program run once, at its start. The code of those that nobody has
 * called since the last time, and that wait for nobody, is made again when it is wanted. */
static void codes_drop(struct wasm *w, struct func *now)
{
	size_t left = 0;
	now->waits = true;
	for (const struct frame *p = w->frames; p < w->top; p++)
		if (p->f)
			p->f->waits = true;
	for (uint32_t i = w->m->nimported; i < w->m->nfuncs; i++) {
		struct func *f = &w->funcs[i];
		if (code_is_cold(w, f)) {
			free(take(f->own));
			free(take(f->codes));
			f->ninsns = 0;
			f->code = &w->lazy;
		}
		left += f->ninsns * sizeof *f->own;
		f->seen = f->heat;
		f->waits = false;
	}
	w->made_bytes = left;
	w->made_limit = 2 * left > w->made_least ? 2 * left : w->made_least;
}

static bool code_is_indirect(uint64_t code)
{
	return code == CODE_CALL_INDIRECT || code == CODE_TAIL_INDIRECT;
}

enum wasm_trap func_ready(struct wasm *w, struct func *f)
{
	struct made made;
	uint32_t i = (uint32_t)(f - w->funcs);
	int r = func_make(w->m, i, &made, false, &w->err);
	if (r < 0)
		return r == -ENOMEM ? WASM_TRAP_NOMEM : WASM_TRAP_INVALID;
	bool calls_references = false;
	free(f->codes);
	f->codes = malloc(made.n * sizeof *f->codes);
	for (uint32_t k = 0; f->codes && k < made.n; k++) {
		uint64_t code = made.at[k].code;
		made.at[k].go = w->labels[code];
		if (code_is_indirect(code) && made.at[k + 1].k == w->m->ntables)
			calls_references = true;
		f->codes[k] = (uint16_t)code;
		k += code_is_double(code);
	}
	if (!f->codes || (calls_references && !functions_table(w))) {
		made_fini(&made);
		return WASM_TRAP_NOMEM;
	}
	struct insn *exact = realloc(made.at, made.n * sizeof *made.at);
	f->own = exact ? exact : made.at;
	free(f->catches);
	f->catches = made.catches;
	f->ncatches = made.ncatches;
	f->references = made.references;
	f->ninsns = made.n;
	f->nslots = made.nslots;
	f->nlocals = made.nlocals;
	f->code = w->tier && f->heat != HEAT_NEVER ? &w->warm : f->own;
	if (!w->tier || f->heat >= HEAT_SUPER)
		super_apply(w, f);
	if (!w->tier)
		free(take(f->codes));
	w->made_bytes += made.n * sizeof *made.at;
	if (w->tier && w->made_bytes > w->made_limit)
		codes_drop(w, f);
	return WASM_OK;
}

/* ---- memories and tables ---- */

static int memory_new(struct wasm *w, uint32_t i, struct lodge_err *e)
{
	struct memory *ret = &w->memories[i];
	const struct wlimits *l = &w->m->memories[i];
	uint64_t pages = l->has_max ? l->max : l->is64 ? 1ull << 48 : PAGES32;
	*ret = (struct memory){.max = pages * PAGE, .is64 = l->is64};
	if (l->min > (1ull << 47) / PAGE)
		return err_set(e, ENOMEM, "a memory of %llu pages", (unsigned long long)l->min);
	if (l->shared) {
		int r = common_map(w, i, ret, e);
		if (r < 0 || w->second)
			return r;
	} else if (i == 0 && !l->is64) {
		ret->span = MEMORY_SPAN + PAGE;
		ret->at = w->base;
	}
	if (memory_grow(w, ret, l->min) == UINT64_MAX)
		return err_set(e, ENOMEM, "the module wants %llu KiB of memory, which %s",
			       (unsigned long long)(l->min * (PAGE / 1024)),
			       w->memory_max ? "is more than it may have" : "there is not");
	return 0;
}

static uint64_t base_span(const struct wasm *w)
{
	const struct wasm_module *m = w->m;
	return m->nmemories && !m->memories[0].is64 ? MEMORY_SPAN + PAGE : 0;
}

static int base_new(struct wasm *w, struct lodge_err *e)
{
	w->front = tier_front(w->m);
	uint8_t *p = mmap(NULL, w->front + base_span(w), PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return err_sys(e, "8 GiB of address space for the memory of the module "
				  "(is it limited? ulimit -v)");
	w->base = p + w->front;
	if (mprotect(p, w->front, PROT_READ | PROT_WRITE) < 0)
		return err_sys(e, "memory for globals");
	return 0;
}

static int memories_new(struct wasm *w, struct lodge_err *e)
{
	const struct wasm_module *m = w->m;
	w->memories = calloc(m->nmemories + 1, sizeof *w->memories);
	w->tables = calloc(m->ntables + 1, sizeof *w->tables);
	if (!w->memories || !w->tables)
		return err_set(e, ENOMEM, "out of memory");
	for (uint32_t i = 0; i < m->nmemories; i++) {
		int r = memory_new(w, i, e);
		if (r < 0)
			return r;
	}
	for (uint32_t i = 0; i < m->ntables; i++) {
		const struct wlimits *l = &m->tables[i];
		struct table *t = &w->tables[i];
		t->max = l->has_max && l->max < TABLE_MAX ? l->max : TABLE_MAX;
		t->functions = type_is_function(l->type);
		t->is64 = l->is64;
		if (l->min > TABLE_MAX)
			return err_set(e, ENOMEM, "a table of %llu elements: at most %u",
				       (unsigned long long)l->min, TABLE_MAX);
		if (!(t->at = calloc(l->min + 1, sizeof *t->at)))
			return err_set(e, ENOMEM, "out of memory");
	}
	tables_begin(w);
	return 0;
}

bool functions_table(struct wasm *w)
{
	struct table *t = &w->tables[w->m->ntables];
	const uint32_t n = w->m->nfuncs + 1;
	if (t->at)
		return true;
	if (!(t->at = calloc(n, sizeof *t->at)))
		return false;
	for (uint32_t i = 1; i < n; i++) /* the first one is null's */
		t->at[i] = (uint64_t)(uintptr_t)&w->funcs[i - 1];
	t->functions = true;
	t->n = t->max = n;
	return true;
}

void tables_begin(struct wasm *w)
{
	for (uint32_t i = 0; i < w->m->ntables; i++) {
		const struct wlimits *l = &w->m->tables[i];
		struct table *t = &w->tables[i];
		uint64_t v = 0;
		t->n = l->min;
		if (l->init.len)
			(void)element_of(w, t, constant_value(w, l->init, l->type).lo, &v);
		for (uint64_t k = 0; k < t->n; k++)
			t->at[k] = v;
	}
}

void globals_begin(struct wasm *w)
{
	const struct wasm_module *m = w->m;
	for (uint32_t i = 0; i < m->nglobals; i++)
		w->globals[i] = constant_value(w, m->globals[i].init, m->globals[i].type);
}

static int globals_new(struct wasm *w, struct lodge_err *e)
{
	const struct wasm_module *m = w->m;
	w->globals = tier_globals(w);
	w->data_dropped = calloc(m->ndatas + 1, 1);
	w->elem_dropped = calloc(m->nelems + 1, 1);
	if (!w->data_dropped || !w->elem_dropped)
		return err_set(e, ENOMEM, "out of memory");
	globals_begin(w);
	return 0;
}

static int stack_new(struct wasm *w, uint32_t slots, struct lodge_err *e)
{
	uint32_t n = slots ? slots : STACK_SLOTS;
	w->stack = host_pages_new(n * sizeof *w->stack);
	w->frames = host_pages_new(FRAMES_ALL * sizeof *w->frames);
	if (!w->stack || !w->frames)
		return err_set(e, ENOMEM, "out of memory");
	w->stack_end = w->stack + n;
	w->frames_end = w->frames + FRAMES;
	w->top = w->frames;
	return 0;
}

static bool fault_catch(void *user, const struct host_fault *f, uint64_t *pc)
{
	return data_touched(user, f->at) || wasm_fault_find(pc) ||
	       tier_fault_find(user, pc);
}

/* What an instance has that is like nobody else's or @of's. */
static int instance_make(struct wasm *w, const struct wasm_limits *l, struct wasm *of,
			 wasm_find_fn *find, struct lodge_err *e)
{
	int r = host_fault_begin(e);
	if (r == 0 && !of)
		r = group_new(w, l, e);
	if (r == 0)
		r = stack_new(w, l->stack_slots, e);
	if (r == 0)
		r = funcs_new(w, of, find, e);
	if (r == 0)
		r = base_new(w, e);
	if (r == 0)
		r = memories_new(w, e);
	if (r == 0)
		r = globals_new(w, e);
	if (r == 0 && l->compiles && !w->fueled)
		tier_init(w, l);
	return r;
}

/* @of: an instance of the same program, whose group is joined; NULL: there is none. */
static int instance_new(struct wasm **ret, const struct wasm_module *m,
			const struct wasm_limits *l, struct wasm *of, wasm_find_fn *find,
			void *user, struct lodge_err *e)
{
	struct wasm *w = calloc(1, sizeof *w);
	if (!w)
		return err_set(e, ENOMEM, "out of memory");
	*w = (struct wasm){.m = m,
			   .user = user,
			   .memory_max = l->memory_max,
			   .deadline_ns = l->deadline_ns,
			   .slice_max = l->slice,
			   .halted = l->halted,
			   .halted_user = l->halted_user,
			   .fueled = l->fuel != 0,
			   .fuel = l->fuel > INT64_MAX ? INT64_MAX : (int64_t)l->fuel};
	(void)wasm_run(NULL, NULL, NULL, &w->labels);
	w->lazy.go = w->labels[CODE_LAZY];
	w->hosted.go = w->labels[CODE_HOST];
	w->warm.go = w->labels[CODE_WARM];
	w->tiered.go = w->labels[CODE_TIER];
	w->made_least = w->made_limit = l->code_kept ? l->code_kept : MADE_BYTES;
	w->taker = (struct host_fault_taker){fault_catch, w};
	if (of) {
		w->second = true;
		w->group = of->group;
		pthread_mutex_lock(&w->group->lock);
		w->group->users++;
		pthread_mutex_unlock(&w->group->lock);
	}
	int r = instance_make(w, l, of, find, e);
	if (r < 0) {
		wasm_free(w);
		return r;
	}
	*ret = w;
	return 0;
}

int wasm_new(struct wasm **ret, const struct wasm_module *m, const struct wasm_limits *l,
	     wasm_find_fn *find, void *user, struct lodge_err *e)
{
	return instance_new(ret, m, l, NULL, find, user, e);
}

int wasm_thread_new(struct wasm **ret, struct wasm *of, void *user, struct lodge_err *e)
{
	if (!of->group)
		return err_set(e, EINVAL, "the module has no shared memory");
	return instance_new(ret, of->m, &of->group->limits, of, NULL, user, e);
}

void wasm_free(struct wasm *w)
{
	if (!w)
		return;
	tier_stop(w);
	for (uint32_t i = 0; w->funcs && i < w->m->nfuncs; i++) {
		free(w->funcs[i].own);
		free(w->funcs[i].codes);
		free(w->funcs[i].catches);
	}
	exns_free(w);
	wait_forget(w);
	group_leave(w);
	for (uint32_t i = 0; w->tables && i <= w->m->ntables; i++)
		free(w->tables[i].at);
	tier_free(w);
	for (uint32_t i = 0; w->memories && i < w->m->nmemories; i++)
		if (w->memories[i].at && w->memories[i].at != w->base)
			munmap(w->memories[i].at, w->memories[i].span);
	if (w->stack)
		host_pages_free(w->stack, (size_t)(w->stack_end - w->stack) * sizeof *w->stack);
	if (w->frames)
		host_pages_free(w->frames, FRAMES_ALL * sizeof *w->frames);
	free(w->funcs);
	free(w->tables);
	free(w->memories);
	if (w->base)
		munmap(w->base - w->front, w->front + base_span(w));
	data_free(w);
	free(w->data_dropped);
	free(w->elem_dropped);
	free(w);
}

/* ---- running ---- */

static enum wasm_trap active_elem_copy(struct wasm *w, uint32_t i)
{
	const struct welem *s = &w->m->elems[i];
	uint32_t type = table_index_type(w->m, s->table);
	return segment_copy(w, i, s->table, constant_value(w, s->offset, type).lo, 0, s->n);
}

enum wasm_trap wasm_start(struct wasm *w)
{
	const struct wasm_module *m = w->m;
	union wasm_slot none;
	for (uint32_t i = 0; i < m->nelems; i++) {
		const struct welem *s = &m->elems[i];
		enum wasm_trap t = WASM_OK;
		if (s->mode == SEGMENT_ACTIVE)
			t = active_elem_copy(w, i);
		if (s->mode != SEGMENT_PASSIVE)
			w->elem_dropped[i] = true;
		if (t)
			return t;
	}
	enum wasm_trap t = data_start(w);
	if (t)
		return t;
	return m->start < 0 ? WASM_OK : wasm_call(w, (uint32_t)m->start, &none);
}

/* In the slots from @stack on. */
static enum wasm_trap call_at(struct wasm *w, uint32_t func, union wasm_slot *at,
			      union wasm_slot *stack)
{
	struct func *f = &w->funcs[func];
	if (f->nslots > (uint64_t)(w->stack_end - stack) || tier_stack_is_low(w))
		return WASM_TRAP_STACK;
	memcpy(stack, at, f->nparams * sizeof *at);
	w->ntrace = 0;
	const struct host_fault_taker *before = host_fault_taken_by(&w->taker);
	enum wasm_trap t = wasm_run(w, f, stack, NULL);
	host_fault_taken_by(before);
	if (t == WASM_OK)
		memcpy(at, stack, f->nresults * sizeof *at);
	return t;
}

enum wasm_trap wasm_call(struct wasm *w, uint32_t func, union wasm_slot *at)
{
	w->top = w->frames;
	w->thrown = 0;
	return call_at(w, func, at, w->stack);
}

enum wasm_trap wasm_call_within(struct wasm *w, uint32_t func, union wasm_slot *at,
				union wasm_slot *unused)
{
	struct frame *top = w->top;
	if (w->fueled && w->slice > 0)
		fuel_give(w, w->slice); /* the caller's, which takes some again */
	w->slice = 0;
	enum wasm_trap t = call_at(w, func, at, unused);
	w->top = top;
	return t;
}

void wasm_host_user(struct wasm *w, uint32_t func, void *user) { w->funcs[func].host_user = user; }

void wasm_limit(struct wasm *w, uint64_t fuel, uint64_t deadline_ns)
{
	fuel_load(w, fuel);
	w->deadline_ns = deadline_ns;
}

uint64_t wasm_fuel(const struct wasm *w)
{
	int64_t n = w->group ? __atomic_load_n(&w->group->fuel, __ATOMIC_RELAXED) : w->fuel;
	n += w->slice > 0 ? w->slice : 0; /* within a call of the host's */
	return n > 0 ? (uint64_t)n : 0;
}

const struct wasm_module *wasm_module_of(const struct wasm *w) { return w->m; }
const char *wasm_error(const struct wasm *w) { return w->err.msg; }

void *wasm_memory(struct wasm *w, uint64_t at, uint64_t len)
{
	static uint8_t nothing[1];
	const struct memory *m = w->m->nmemories ? w->memories : NULL;
	uint64_t has = m ? memory_len(m) : 0;
	if (!m || at > has || len > has - at)
		return NULL;
	data_need(w, at, len);
	return m->at ? m->at + at : nothing;
}

uint64_t wasm_memory_size(const struct wasm *w) 
{
	return w->m->nmemories ? memory_len(w->memories) : 0;
}
