/* SPDX-License-Identifier: Apache-2.0 */
/* Standing still, and what a run is then: which functions wait at which instruction, and all that
 * they can reach. Interpreted and compiled frames are the same slots (docs/decisions/0033), so a
 * state does not say which they were. Format: lodge-state(5) */
#include "wasm/internal.h"
#include <stdlib.h>

const struct state_field saved_fields[] = {
	STATE(struct saved, module_len, 1), STATE(struct saved, module_sum, 1),
	STATE(struct saved, nslots, 1),	    STATE(struct saved, fuel, 1),
	STATE(struct saved, fueled, 1),	    STATE_END};

uint64_t bytes_sum(const void *p, size_t len)
{
	const uint64_t k = UINT64_C(0x9e3779b97f4a7c15);
	const uint8_t *b = p;
	uint64_t h = len * k;
	for (; len >= 8; b += 8, len -= 8) {
		unsigned __int128 m = (unsigned __int128)(h ^ le64_at(b)) * k;
		h = (uint64_t)m ^ (uint64_t)(m >> 64) ^ (h << 7 | h >> 57);
	}
	for (; len; len--)
		h = (h ^ *b++) * k;
	return h ^ h >> 29;
}

/* ---- standing still ---- */

void wasm_interrupt(struct wasm *w)
{
	__atomic_store_n(&w->asked, true, __ATOMIC_RELAXED);
	tier_interrupt(w);
}

enum wasm_trap halt(struct wasm *w, struct spot at)
{
	uint64_t began = host_monotonic_ns();
	__atomic_store_n(&w->asked, false, __ATOMIC_RELAXED);
	w->here = at;
	enum wasm_trap t = w->halted ? w->halted(w->halted_user, w) : WASM_OK;
	w->here = (struct spot){0};
	wait_stood(w, host_monotonic_ns() - began);
	return t;
}

/* ---- the calls that wait ---- */

struct stand {
	uint32_t func, insn; /* insn: where it goes on */
};
struct walk {
	struct wasm *w;
	struct stand *at; /* owned; innermost first */
	uint32_t n, cap;
	bool failed;
};

/* Code that was handed over, compiled, has no instructions here yet. */
static void stand_ready(struct walk *k, const struct func *f)
{
	struct func *own = &k->w->funcs[f - k->w->funcs];
	const struct insn *code = own->code;
	if (own->host || own->own)
		return;
	k->failed |= func_ready(k->w, own) != WASM_OK;
	own->code = code;
}

static void stand_add(struct walk *k, const struct func *f, uint32_t insn)
{
	stand_ready(k, f);
	if (k->n == k->cap && !k->failed) {
		uint32_t cap = k->cap ? 2 * k->cap : 64;
		struct stand *p = realloc(k->at, cap * sizeof *p);
		k->failed = !p || k->n >= FRAMES_MAX;
		k->at = p ? p : k->at;
		k->cap = p ? cap : k->cap;
	}
	if (!k->failed)
		k->at[k->n++] = (struct stand){(uint32_t)(f - k->w->funcs), insn};
}

/* The next instruction behind the call @insn of @f. */
static uint32_t behind(const struct wasm *w, const struct func *f, uint32_t insn)
{
	return insn + 1 + (f->own[insn].go == w->labels[CODE_CALL_INDIRECT]);
}

static void compiled_add(void *user, const struct func *f, uint32_t insn, bool calls)
{
	struct walk *k = user;
	stand_ready(k, f);
	if (!k->failed)
		stand_add(k, f, calls ? behind(k->w, f, insn) : insn);
}

/* The kinds of code take turns: compiled frames from @code on, if there are any, were entered by an
 * interpreter, whose calls lie in w->frames down to a record without a function; that one was
 * called by compiled code, or by nobody. */
static void frames_walk(struct walk *k)
{
	const struct wasm *w = k->w;
	const struct crossing *x = w->crossing;
	const struct frame *top = w->top;
	const uint64_t *code = w->here.code;
	const uint32_t *innermost = w->here.f ? NULL : &w->here.insn;
	if (w->here.f)
		stand_add(k, w->here.f, w->here.insn);
	for (;;) {
		if (code)
			tier_walk(w, code, innermost, compiled_add, k);
		innermost = NULL;
		for (; top > w->frames && top[-1].f; top--)
			stand_add(k, top[-1].f, (uint32_t)(top[-1].ip - top[-1].f->own));
		if (top > w->frames)
			top--;
		if (top == w->frames || !x)
			return;
		code = x->code;
		x = x->before;
	}
}

/* ---- sections ---- */

static uint8_t *section(const struct wasm_sink *to, const char *name, size_t len)
{
	return to->section(to->user, name, len);
}

/* What the code of each function that waits was made into: another Lodge may make other code. */
static int codes_save(const struct walk *k, const struct wasm_sink *to, struct lodge_err *e)
{
	const struct wasm *w = k->w;
	autofree uint8_t *seen = calloc(w->m->nfuncs + 1, 1);
	uint32_t n = 0, done = 0;
	if (!seen)
		return err_set(e, ENOMEM, "out of memory");
	for (uint32_t i = 0; i < k->n; i++)
		if (k->at[i].func >= w->m->nimported && !seen[k->at[i].func])
			n += seen[k->at[i].func] = 1;
	uint8_t *p = section(to, "wasm/code", (size_t)n * CODE_BYTES_SAVED);
	for (uint32_t i = 0; p && i < k->n; i++) {
		uint32_t func = k->at[i].func;
		struct made made;
		if (!seen[func])
			continue;
		seen[func] = 0;
		int r = func_make(w->m, func, &made, false, e);
		if (r < 0)
			return r;
		le32_put(p + CODE_BYTES_SAVED * done, func);
		le32_put(p + CODE_BYTES_SAVED * done + 4, made.n);
		le64_put(p + CODE_BYTES_SAVED * done++ + 8,
			 bytes_sum(made.at, made.n * sizeof *made.at) + made.nslots);
		made_fini(&made);
	}
	return 0;
}

/* How many slots the frames use, up to the end of the innermost one's. */
static uint64_t slots_used(const struct walk *k)
{
	const struct wasm *w = k->w;
	uint64_t at = 0;
	for (uint32_t i = k->n; i-- > 1;) {
		const struct func *f = &w->funcs[k->at[i].func];
		const struct insn *p = &f->own[k->at[i].insn];
		/* the second half of an indirect call has no body */
		at += p[-1].go == w->labels[CODE_CALL] ? p[-1].d : p[-2].d;
	}
	return k->n ? at + w->funcs[k->at[0].func].nslots : 0;
}

static void frames_save(const struct walk *k, const struct wasm_sink *to)
{
	uint8_t *p = section(to, "wasm/frames", (size_t)k->n * FRAME_BYTES);
	for (uint32_t i = k->n; p && i-- > 0; p += FRAME_BYTES) {
		le32_put(p, k->at[i].func);
		le32_put(p + 4, k->at[i].insn);
	}
}

static void instance_save(const struct wasm *w, const struct wasm_sink *to)
{
	const struct wasm_module *m = w->m;
	uint8_t *p = section(to, "wasm/memories", 8 * (size_t)m->nmemories);
	for (uint32_t i = 0; p && i < m->nmemories; i++)
		le64_put(p + 8 * i, memory_is_saved(w, i) ? memory_len(&w->memories[i]) : 0);
	p = section(to, "wasm/tables", 8 * (size_t)m->ntables);
	for (uint32_t i = 0; p && i < m->ntables; i++)
		le64_put(p + 8 * i, w->tables[i].n);
	p = section(to, "wasm/globals", 16 * (size_t)m->nglobals);
	for (uint32_t i = 0; p && i < m->nglobals; i++) {
		le64_put(p + 16 * i, w->globals[i].lo);
		le64_put(p + 16 * i + 8, w->globals[i].hi);
	}
	p = section(to, "wasm/dropped", (size_t)m->ndatas + m->nelems);
	for (uint32_t i = 0; p && i < m->ndatas; i++)
		p[i] = w->data_dropped[i];
	for (uint32_t i = 0; p && i < m->nelems; i++)
		p[m->ndatas + i] = w->elem_dropped[i];
	struct saved_wait wait;
	p = wait_save(w, &wait) ? section(to, "wasm/wait", sizeof wait) : NULL;
	if (p) {
		const uint64_t words[] = {wait.notified, wait.memory, wait.at, wait.turn,
					  wait.left_ns};
		for (unsigned i = 0; i < countof(words); i++)
			le64_put(p + 8 * i, words[i]);
	}
	size_t len = exns_saved_len(w);
	p = len ? section(to, "wasm/exceptions", len) : NULL;
	if (p)
		exns_save(w, p);
}

static void head_save(const struct saved *s, const struct wasm_sink *to)
{
	size_t len = state_save(saved_fields, s, NULL, 0);
	uint8_t *p = section(to, "wasm", len);
	if (p)
		(void)state_save(saved_fields, s, p, len);
}

int wasm_save(struct wasm *w, const struct wasm_sink *to, uint64_t *ret_pages,
	      struct lodge_err *e)
{
	struct walk k = {.w = w};
	size_t limit = w->made_limit;
	w->made_limit = SIZE_MAX; /* as in run_load */
	frames_walk(&k);
	w->made_limit = limit;
	uint64_t pages = 0;
	int r = k.failed ? err_set(e, ENOMEM, "out of memory for the calls that wait") : 0;
	if (r == 0)
		r = codes_save(&k, to, e);
	if (r == 0) {
		const struct saved s = {
		    .module_len = w->m->len,
		    .module_sum = bytes_sum(w->m->bytes, w->m->len),
		    .nslots = w->nsaved = slots_used(&k),
		    .fueled = w->fueled,
		    .fuel = w->fueled ? fuel_of(w) : 0};
		head_save(&s, to);
		frames_save(&k, to);
		instance_save(w, to);
		for (uint32_t i = 0; i < w->m->nmemories; i++)
			pages += memory_is_saved(w, i) ? memory_len(&w->memories[i]) : 0;
		for (uint32_t i = 0; i < w->m->ntables; i++)
			pages += pages_of(w->tables[i].n);
		*ret_pages = pages + pages_of(s.nslots);
	}
	free(k.at);
	return r;
}

/* ---- pages ---- */

/* What is not zero of [@p, @p + @len), page by page. */
static bool data_write(int fd, const uint8_t *p, uint64_t len, uint64_t at)
{
	for (uint64_t from = 0, to; from < len; from = to) {
		while (from < len && is_zero(p + from, min_u64(4096, len - from)))
			from += 4096;
		to = from;
		while (to < len && !is_zero(p + to, min_u64(4096, len - to)))
			to += 4096;
		to = to < len ? to : len;
		if (to > from && !host_pwrite(fd, p + from, to - from, at + from))
			return false;
	}
	return true;
}

static bool table_write(const struct wasm *w, const struct table *t, int fd, uint64_t at)
{
	uint8_t buf[4096];
	for (uint64_t i = 0, n; i < t->n; i += n) {
		n = min_u64(t->n - i, sizeof buf / 8);
		for (uint64_t k = 0; k < n; k++)
			le64_put(buf + 8 * k, element_ref(w, t, i + k));
		if (!data_write(fd, buf, 8 * n, at + 8 * i))
			return false;
	}
	return true;
}

int wasm_save_pages(const struct wasm *w, int fd, uint64_t at, struct lodge_err *e)
{
	bool ok = true;
	for (uint32_t i = 0; ok && i < w->m->nmemories; i++) {
		uint64_t len = memory_is_saved(w, i) ? memory_len(&w->memories[i]) : 0;
		ok = data_write(fd, w->memories[i].at, len, at);
		at += len;
	}
	for (uint32_t i = 0; ok && i < w->m->ntables; i++) {
		ok = table_write(w, &w->tables[i], fd, at);
		at += pages_of(w->tables[i].n);
	}
	ok = ok && data_write(fd, (const uint8_t *)w->stack, 8 * w->nsaved, at);
	return ok ? 0 : err_sys(e, "writing the memory of the module");
}
