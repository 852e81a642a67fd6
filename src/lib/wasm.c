/* SPDX-License-Identifier: Apache-2.0 */
/* Modules of WebAssembly in the embedder's process: include/lodge/wasm.h on the rooms wasm and
 * wat. */
#include "host/host.h"
#include "lib/lib.h"
#include "lib/wasm.h"
#include "wat/wat.h"

enum { NESTED_MAX = 64, FEW_SLOTS = 32, FEW_VALUES = 16 };

/* ---- modules ---- */

int lodge_wasm_module_new(struct lodge_wasm_module **ret, const char *name, const void *bytes,
			  size_t len, struct lodge_err *e)
{
	struct lodge_wasm_module *m = calloc(1, sizeof *m);
	if (!m)
		return err_set(e, ENOMEM, "out of memory");
	m->uses = 1;
	int r = 0;
	if (len >= 4 && wasm_claims(bytes, len)) {
		m->len = len;
		if ((m->bytes = malloc(len)))
			memcpy(m->bytes, bytes, len);
		else
			r = err_set(e, ENOMEM, "out of memory");
	} else {
		r = wat_encode(name, bytes, len, &m->bytes, &m->len, e);
	}
	if (r == 0)
		r = err_in(e, wasm_module_new(&m->m, m->bytes, m->len, 0, e), "%s", name);
	if (r < 0)
		lodge_wasm_module_free(m);
	else
		*ret = m;
	return r;
}

void lodge_wasm_module_free(struct lodge_wasm_module *m)
{
	if (!m || __atomic_sub_fetch(&m->uses, 1, __ATOMIC_ACQ_REL))
		return;
	wasm_module_free(m->m);
	free(m->bytes);
	free(m);
}

/* The exported function @name, or -ENOENT. */
static int64_t export_get(const struct lodge_wasm_module *m, const char *name, struct lodge_err *e)
{
	int64_t f = wasm_export_find(m->m, name, WASM_FUNC);
	return f < 0 ? err_set(e, ENOENT, "the module exports no function %s", name) : f;
}

int lodge_wasm_module_type(const struct lodge_wasm_module *m, const char *name, char **ret_type,
			   struct lodge_err *e)
{
	int64_t func = export_get(m, name, e);
	if (func < 0)
		return (int)func;
	const struct signature s = signature_of(m->m, (uint32_t)func);
	*ret_type = signature_text(&s);
	return *ret_type ? 0 : err_set(e, ENOMEM, "out of memory");
}

/* ---- functions of the embedder ---- */

/* Called by the engine: the slots as values, and back. */
static enum wasm_trap bound_call(void *user, struct wasm *w, union wasm_slot *at)
{
	struct bound *b = user;
	struct lodge_wasm *g = b->g;
	const struct signature *s = &b->signature;
	struct lodge_wasm_value few[FEW_VALUES], *all = few;
	union wasm_slot *const unused = g->unused;
	(void)w;
	if (s->np + s->nr > FEW_VALUES && !(all = calloc(s->np + s->nr, sizeof *all)))
		return WASM_TRAP_NOMEM;
	values_read(s->types, s->np, at, all);
	for (uint32_t i = s->np; i < s->np + s->nr; i++)
		all[i] = (struct lodge_wasm_value){
		    .type = (enum lodge_wasm_type)type_known(s->types[i])};
	struct lodge_err why;
	why.code = 0;
	why.msg[0] = 0;
	g->unused = at + signature_slots(s);
	int r = b->fn(b->user, g, all, all + s->np, &why);
	g->unused = unused;
	if (r == 0)
		r = values_write(g->m->m, s->types + s->np, s->nr, all + s->np, at, &why);
	if (all != few)
		free(all);
	if (r == 0)
		return WASM_OK;
	r = r < 0 ? r : -r;
	if (!why.code)
		(void)!err_set(&why, -r, "%.*s.%.*s failed", (int)b->import.module_len,
			       b->import.module, (int)b->import.name_len, b->import.name);
	g->why = why;
	g->why.code = -r;
	return WASM_TRAP_EXIT;
}

struct finder {
	struct lodge_wasm *g;
	const struct lodge_wasm_config *c;
	uint32_t n; /* functions so far */
};

static bool name_is(const char *name, const char *at, uint32_t len)
{
	return strlen(name) == len && !memcmp(name, at, len);
}

static int import_bind(struct finder *f, const struct lodge_wasm_import *from,
		       const struct wasm_import *im, struct lodge_err *e)
{
	struct bound *b = &f->g->bound[f->n];
	b->signature = signature_of(f->g->m->m, f->n);
	autofree char *want = signature_text(&b->signature);
	if (!want)
		return err_set(e, ENOMEM, "out of memory");
	if (!signature_is_outside(&b->signature))
		return err_set(e, EINVAL, "import %s.%s: references to exceptions stay inside",
			       from->module, from->name);
	if (!signature_is(&b->signature, from->type))
		return err_set(e, EINVAL, "import %s.%s: the module wants the type %s, there is %s",
			       from->module, from->name, want, from->type ? from->type : "none");
	b->g = f->g;
	b->fn = from->fn;
	b->user = from->user;
	b->import = *im;
	f->n++;
	return 0;
}

static wasm_host_fn *import_find(void *user, size_t i, const struct wasm_import *im,
				 struct lodge_err *e)
{
	struct finder *f = user;
	(void)i;
	for (size_t k = 0; k < f->c->nimports; k++) {
		const struct lodge_wasm_import *from = &f->c->imports[k];
		if (name_is(from->module, im->module, im->module_len) &&
		    name_is(from->name, im->name, im->name_len))
			return import_bind(f, from, im, e) == 0 ? bound_call : NULL;
	}
	(void)!err_set(e, EINVAL, "the module imports the function %.*s.%.*s, which is not "
		       "provided", (int)im->module_len, im->module, (int)im->name_len, im->name);
	return NULL;
}

/* ---- calls ---- */

/* Why a run ended, as errors of the host are told. */
static int trap_error(struct lodge_wasm *g, enum wasm_trap t, struct lodge_err *e)
{
	switch ((int)t) {
	case WASM_OK: return 0;
	case WASM_TRAP_EXIT: return err_set(e, g->why.code, "%s", g->why.msg);
	case WASM_TRAP_FUEL:
	case WASM_TRAP_DEADLINE: return err_set(e, ETIMEDOUT, "%s", wasm_trap_text(t));
	case WASM_TRAP_INVALID: return err_set(e, EINVAL, "%s", wasm_error(g->w));
	case WASM_TRAP_NOMEM: return err_set(e, ENOMEM, "%s", wasm_trap_text(t));
	default: return err_set(e, EFAULT, "%s", wasm_trap_text(t));
	}
}

static void limits_begin(const struct lodge_wasm *g)
{
	uint64_t now = host_monotonic_ns();
	uint64_t end = g->timeout_ns > UINT64_MAX - now ? UINT64_MAX : now + g->timeout_ns;
	wasm_limit(g->w, wasm_fuel(g->w), g->timeout_ns ? end : 0);
}

static enum wasm_trap func_call(struct lodge_wasm *g, uint32_t func, union wasm_slot *at)
{
	enum wasm_trap t = WASM_TRAP_STACK;
	if (g->nested == NESTED_MAX)
		return t;
	if (!g->nested++)
		limits_begin(g);
	t = g->unused ? wasm_call_within(g->w, func, at, g->unused) : wasm_call(g->w, func, at);
	g->nested--;
	return t;
}

int lodge_wasm_call(struct lodge_wasm *g, const char *name, const struct lodge_wasm_value *args,
		    size_t nargs, struct lodge_wasm_value *results, size_t nresults,
		    struct lodge_err *e)
{
	union wasm_slot few[FEW_SLOTS], *at = few;
	int64_t func = export_get(g->m, name, e);
	if (func < 0)
		return (int)func;
	const struct signature s = signature_of(g->m->m, (uint32_t)func);
	uint32_t n;
	if (!signature_is_outside(&s))
		return err_set(e, EINVAL, "%s takes or returns references to exceptions, which "
			       "stay inside", name);
	if (nargs != s.np || nresults != s.nr)
		return err_set(e, EINVAL, "%s takes %u values and returns %u, not %zu and %zu",
			       name, s.np, s.nr, nargs, nresults);
	if ((n = signature_slots(&s)) > FEW_SLOTS && !(at = calloc(n, sizeof *at)))
		return err_set(e, ENOMEM, "out of memory");
	int r = values_write(g->m->m, s.types, s.np, args, at, e);
	if (r == 0)
		r = trap_error(g, func_call(g, (uint32_t)func, at), e);
	if (r == 0)
		values_read(s.types + s.np, s.nr, at, results);
	if (at != few)
		free(at);
	return r;
}

int lodge_wasm_trace(const struct lodge_wasm *g, char **ret_text, struct lodge_err *e)
{
	size_t n;
	autofree char *text = NULL;
	FILE *out = open_memstream(&text, &n);
	if (!out)
		return err_sys(e, "a text");
	wasm_trace(g->w, out);
	if (fclose(out) != 0)
		return err_sys(e, "a text");
	*ret_text = take(text);
	return 0;
}

/* ---- instances ---- */

static int start(struct lodge_wasm *g, struct lodge_err *e)
{
	g->nested++;
	limits_begin(g);
	enum wasm_trap t = wasm_start(g->w);
	g->nested--;
	return err_in(e, trap_error(g, t, e), "the start of the module");
}

static int instance_make(struct lodge_wasm *g, const struct lodge_wasm_config *c,
			 struct lodge_err *e)
{
	struct finder f = {.g = g, .c = c};
	struct wasm_import im;
	size_t n = 0;
	const struct wasm_limits limits = {.memory_max = c->memory,
					   .fuel = c->fuel,
					   .deadline_ns = c->timeout_ns ? UINT64_MAX : 0,
					   .compiles = true};
	while (wasm_import_at(g->m->m, n, &im))
		n++;
	if (!(g->bound = calloc(n + 1, sizeof *g->bound)))
		return err_set(e, ENOMEM, "out of memory");
	int r = wasm_new(&g->w, g->m->m, &limits, import_find, &f, e);
	for (uint32_t i = 0; r == 0 && i < f.n; i++)
		wasm_host_user(g->w, i, &g->bound[i]);
	return r == 0 ? start(g, e) : r;
}

int lodge_wasm_new(struct lodge_wasm **ret, struct lodge_wasm_module *m,
		   const struct lodge_wasm_config *c, struct lodge_err *e)
{
	if (c->size != sizeof *c)
		return err_set(e, EINVAL, "lodge_wasm_config.size is %zu, and not that of this "
			       "library, %zu", c->size, sizeof *c);
	struct lodge_wasm *g = calloc(1, sizeof *g);
	if (!g)
		return err_set(e, ENOMEM, "out of memory");
	g->m = m;
	g->timeout_ns = c->timeout_ns;
	g->fueled = c->fuel != 0;
	__atomic_add_fetch(&m->uses, 1, __ATOMIC_RELAXED);
	int r = instance_make(g, c, e);
	if (r < 0)
		lodge_wasm_free(g);
	else
		*ret = g;
	return r;
}

void lodge_wasm_free(struct lodge_wasm *g)
{
	if (!g)
		return;
	wasm_free(g->w);
	free(g->bound);
	lodge_wasm_module_free(g->m);
	free(g);
}

void *lodge_wasm_memory(struct lodge_wasm *g, uint64_t at, uint64_t len)
{
	return wasm_memory(g->w, at, len);
}
uint64_t lodge_wasm_memory_size(const struct lodge_wasm *g) { return wasm_memory_size(g->w); }
uint64_t lodge_wasm_fuel(const struct lodge_wasm *g) { return g->fueled ? wasm_fuel(g->w) : 0; }

int lodge_wasm_refuel(struct lodge_wasm *g, uint64_t fuel, struct lodge_err *e)
{
	if (!g->fueled || g->nested)
		return err_set(e, EINVAL, g->fueled ? "not within a call"
						    : "this instance was made without fuel");
	wasm_limit(g->w, fuel, 0);
	return 0;
}
