/* SPDX-License-Identifier: Apache-2.0 */
/* Going on from a state. It may be anything: what it says is compared with the module, frames may
 * only wait where control can be, behind a call or at the target of a branch, and slots are values,
 * none of which is an address of ours. Format: lodge-state(5) */
#include "wasm/internal.h"
#include <stdlib.h>
#include <sys/mman.h>

static int damaged(struct lodge_err *e, const char *what)
{
	return err_set(e, EINVAL, "the state is damaged: %s", what);
}

/* A section of @n entries of @each bytes. */
static int section_find(const struct wasm_source *from, const char *name, uint64_t n,
			unsigned each, const uint8_t **ret, struct lodge_err *e)
{
	size_t len = 0;
	*ret = from->find(from->user, name, &len);
	if (!*ret && n)
		return err_set(e, EINVAL, "the state is damaged: it has no section %s", name);
	return len == n * each ? 0 : err_set(e, EINVAL, "the state is damaged: its section %s has "
					     "%zu bytes, and should have %llu",
					     name, len, (unsigned long long)(n * each));
}

static int head_load(const struct wasm_source *from, struct saved *ret, struct lodge_err *e)
{
	size_t len = 0;
	const uint8_t *p = from->find(from->user, "wasm", &len);
	*ret = (struct saved){0};
	return p && state_load(saved_fields, ret, p, len) ? 0 : damaged(e, "section wasm");
}

/* How much of the pages what @name counts takes, of @each bytes. */
static int pages_add(const struct wasm_source *from, const char *name, bool tables, uint64_t *all,
		     struct lodge_err *e)
{
	size_t len = 0;
	const uint8_t *p = from->find(from->user, name, &len);
	for (size_t i = 0; p && i + 8 <= len; i += 8) {
		uint64_t n = le64_at(p + i);
		if (tables ? n > TABLE_MAX : n % PAGE || n > 1ull << 47)
			return damaged(e, name);
		*all += tables ? pages_of(n) : n;
		if (*all > 1ull << 47)
			return damaged(e, name);
	}
	return 0;
}

int wasm_saved_pages(const struct wasm_source *from, uint64_t *ret, struct lodge_err *e)
{
	struct saved s;
	uint64_t all = 0;
	int r = head_load(from, &s, e);
	if (r == 0 && s.nslots > 1u << 30)
		r = damaged(e, "so many slots");
	if (r == 0)
		r = pages_add(from, "wasm/memories", false, &all, e);
	if (r == 0)
		r = pages_add(from, "wasm/tables", true, &all, e);
	if (r == 0)
		*ret = all + pages_of(s.nslots);
	return r;
}

/* ---- memories, tables, globals ---- */

/* The pages from @from on are what @m has. A memory that moves when it grows gets a copy: what lies
 * behind it in the mapping is not its own. */
static void pages_take(const struct wasm_source *s, uint64_t from, struct memory *m)
{
	bool moves = s->movable && m->span >= MEMORY_SPAN;
	const uint8_t *p = s->pages + from;
	uint64_t len = m->common ? memory_len(m) : 0;
	for (uint64_t at = 0; at < len; at += 4096) /* a file has what is not zero */
		if (!is_zero(p + at, 4096))
			memcpy(m->at + at, p + at, 4096);
	if (m->len && (!moves || mremap(s->pages + from, m->len, m->len,
					MREMAP_MAYMOVE | MREMAP_FIXED, m->at) == MAP_FAILED))
		memcpy(m->at, s->pages + from, m->len);
}

static int memories_load(struct wasm *w, const struct wasm_source *from, uint64_t *at,
			 struct lodge_err *e)
{
	const uint8_t *p;
	int r = section_find(from, "wasm/memories", w->m->nmemories, 8, &p, e);
	for (uint32_t i = 0; r == 0 && i < w->m->nmemories; i++) {
		struct memory *m = &w->memories[i];
		uint64_t len = le64_at(p + 8 * i);
		if (!memory_is_saved(w, i)) {
			if (len)
				return damaged(e, "a thread's memory");
			continue;
		}
		uint64_t had = memory_len(m);
		if (len % PAGE || len < had || len > m->max)
			return damaged(e, "a memory's size");
		if (memory_grow(w, m, (len - had) / PAGE) == UINT64_MAX)
			return err_set(e, ENOMEM, "the state has a memory of %llu MiB, which %s",
				       (unsigned long long)(len >> 20),
				       w->memory_max ? "is more than it may have (-m)"
						     : "there is not");
		pages_take(from, *at, m);
		*at += len;
	}
	return r;
}

static int tables_load(struct wasm *w, const struct wasm_source *from, uint64_t *at,
		       struct lodge_err *e)
{
	const uint8_t *p;
	int r = section_find(from, "wasm/tables", w->m->ntables, 8, &p, e);
	for (uint32_t i = 0; r == 0 && i < w->m->ntables; i++) {
		struct table *t = &w->tables[i];
		uint64_t n = le64_at(p + 8 * i);
		if (n < t->n || n > t->max)
			return damaged(e, "a table's size");
		uint64_t *q = realloc(t->at, (n + 1) * sizeof *q);
		if (!q)
			return err_set(e, ENOMEM, "out of memory");
		t->at = q;
		t->room = 0;
		t->n = n;
		for (uint64_t k = 0; k < n; k++)
			if (!element_of(w, t, le64_at(from->pages + *at + 8 * k), &q[k]))
				return damaged(e, "a table names a function that is not there");
		*at += pages_of(n);
	}
	return r;
}

static int globals_load(struct wasm *w, const struct wasm_source *from, struct lodge_err *e)
{
	const struct wasm_module *m = w->m;
	const uint8_t *p, *q = NULL;
	int r = section_find(from, "wasm/globals", m->nglobals, 16, &p, e);
	if (r == 0)
		r = section_find(from, "wasm/dropped", (uint64_t)m->ndatas + m->nelems, 1, &q, e);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < m->nglobals; i++)
		w->globals[i] = (struct wvalue){le64_at(p + 16 * i), le64_at(p + 16 * i + 8)};
	for (uint32_t i = 0; i < m->ndatas; i++)
		w->data_dropped[i] = q[i] != 0;
	for (uint32_t i = 0; i < m->nelems; i++)
		w->elem_dropped[i] = q[m->ndatas + i] != 0;
	return 0;
}

/* ---- frames ---- */

struct known { /* a function of which there are frames */
	uint32_t func, n;
	struct insn *at;  /* owned: its code, with codes */
	uint8_t *marks;   /* owned: of each instruction, and one more */
};
/* It is a branch, or the target of one; a call is right before it. */
enum { MARK_TARGET = 1, MARK_CALL = 2, MARK_INDIRECT = 4 };
struct knowns {
	struct known *at; /* owned; by function */
	uint32_t n;
};

static void knowns_free(struct knowns *k)
{
	for (uint32_t i = 0; i < k->n; i++) {
		free(k->at[i].at);
		free(k->at[i].marks);
	}
	free(k->at);
}

static void known_mark(struct known *k)
{
	for (uint32_t i = 0; i < k->n; i += 1 + code_is_double(k->at[i].code)) {
		uint64_t code = k->at[i].code;
		if (code_branches(code))
			k->marks[i + (uint32_t)k->at[i].rel] |= MARK_TARGET;
		if (code_branches(code) || code == CODE_BR_TABLE)
			k->marks[i] |= MARK_TARGET;
		if (code == CODE_ATOMIC) /* one that waits is run again */
			k->marks[i] |= MARK_TARGET;
		if (code == CODE_CALL)
			k->marks[i + 1] |= MARK_CALL;
		if (code == CODE_CALL_INDIRECT)
			k->marks[i + 2] |= MARK_INDIRECT;
	}
}

static int known_make(struct wasm *w, struct known *k, const uint8_t *p, struct lodge_err *e)
{
	struct made made;
	if (k->func < w->m->nimported || k->func >= w->m->nfuncs)
		return damaged(e, "a frame of a function that is not there");
	int r = func_make(w->m, k->func, &made, false, e);
	if (r < 0)
		return r;
	k->at = take(made.at);
	k->n = made.n;
	made_fini(&made); /* who catches is no matter here */
	if (made.n != le32_at(p + 4) ||
	    bytes_sum(k->at, k->n * sizeof *k->at) + made.nslots != le64_at(p + 8))
		return err_set(e, EINVAL, "the state is damaged, or of a version of Lodge that "
			       "makes other code of function %u: that version can go on from it",
			       k->func);
	if (!(k->marks = calloc(made.n + 2, 1)))
		return err_set(e, ENOMEM, "out of memory");
	known_mark(k);
	struct func *f = &w->funcs[k->func];
	const struct insn *code = f->code; /* that of kept code stays */
	enum wasm_trap t = f->own ? WASM_OK : func_ready(w, f);
	if (code == &w->tiered)
		f->code = code;
	return t == WASM_OK ? 0 : err_set(e, ENOMEM, "out of memory");
}

static int known_order(const void *x, const void *y)
{
	const struct known *a = x, *b = y;
	return (a->func > b->func) - (a->func < b->func);
}

static int knowns_make(struct wasm *w, const struct wasm_source *from, struct knowns *ret,
		       struct lodge_err *e)
{
	size_t len = 0;
	const uint8_t *p = from->find(from->user, "wasm/code", &len);
	uint32_t n = (uint32_t)(len / CODE_BYTES_SAVED);
	if (!p || len % CODE_BYTES_SAVED || n > w->m->nfuncs)
		return damaged(e, "section wasm/code");
	if (!(ret->at = calloc(n + 1, sizeof *ret->at)))
		return err_set(e, ENOMEM, "out of memory");
	int r = 0;
	for (; r == 0 && ret->n < n; ret->n++) {
		ret->at[ret->n].func = le32_at(p + CODE_BYTES_SAVED * ret->n);
		r = known_make(w, &ret->at[ret->n], p + CODE_BYTES_SAVED * ret->n, e);
	}
	qsort(ret->at, ret->n, sizeof *ret->at, known_order);
	return r;
}

/* The call that is right before @insn; NULL: there is none. */
static const struct insn *call_before(const struct known *k, uint32_t insn)
{
	unsigned mark = insn < k->n ? k->marks[insn] : 0;
	return mark & MARK_CALL	      ? &k->at[insn - 1]
	       : mark & MARK_INDIRECT ? &k->at[insn - 2]
				      : NULL;
}

struct place {
	struct wasm *w;
	struct knowns known;
	const uint8_t *frames;
	uint32_t n;
};

static const struct known *known_of(const struct place *p, uint32_t func)
{
	const struct known key = {.func = func};
	return p->known.n ? bsearch(&key, p->known.at, p->known.n, sizeof key, known_order) : NULL;
}

/* The frame where the run goes on, at @fp. */
static int innermost_load(struct place *p, uint32_t func, uint32_t insn, union wasm_slot *fp,
			  struct frame *top, struct lodge_err *e)
{
	struct wasm *w = p->w;
	struct func *f = func < w->m->nfuncs ? &w->funcs[func] : NULL;
	const struct known *k = known_of(p, func);
	if (!f || (!f->host && !k) || f->nslots > (uint64_t)(w->stack_end - fp))
		return damaged(e, "its innermost frame");
	if (insn != SPOT_BEGIN &&
	    (f->host || insn >= k->n || (insn && !(k->marks[insn] & MARK_TARGET))))
		return damaged(e, "a frame waits where no frame can");
	w->back.f = f;
	w->back.fp = fp;
	w->back.ip = insn == SPOT_BEGIN ? NULL : f->own + insn;
	w->back.top = top;
	return 0;
}

static int frames_load(struct place *p, struct lodge_err *e)
{
	struct wasm *w = p->w;
	union wasm_slot *fp = w->stack;
	struct frame *top = w->frames;
	*top++ = (struct frame){NULL, fp, NULL};
	for (uint32_t i = 0; i + 1 < p->n; i++) {
		uint32_t func = le32_at(p->frames + FRAME_BYTES * i);
		uint32_t insn = le32_at(p->frames + FRAME_BYTES * i + 4);
		const struct known *k = known_of(p, func);
		const struct insn *call = k ? call_before(k, insn) : NULL;
		if (!call || w->funcs[func].nslots > (uint64_t)(w->stack_end - fp))
			return damaged(e, "a frame waits where no call is");
		*top++ = (struct frame){w->funcs[func].own + insn, fp, &w->funcs[func]};
		fp += call->d;
	}
	const uint8_t *last = p->frames + FRAME_BYTES * (size_t)(p->n - 1);
	w->frames_end += p->n;
	return innermost_load(p, le32_at(last), le32_at(last + 4), fp, top, e);
}

static int run_load(struct wasm *w, const struct wasm_source *from, const struct saved *s,
		    uint64_t at, struct lodge_err *e)
{
	struct place p = {.w = w};
	size_t len = 0;
	p.frames = from->find(from->user, "wasm/frames", &len);
	p.n = (uint32_t)(len / FRAME_BYTES);
	if (!p.frames || !len || len % FRAME_BYTES || len / FRAME_BYTES > FRAMES_MAX)
		return damaged(e, "section wasm/frames");
	if (s->nslots > (uint64_t)(w->stack_end - w->stack))
		return damaged(e, "so many slots");
	memcpy(w->stack, from->pages + at, s->nslots * sizeof *w->stack);
	size_t limit = w->made_limit;
	w->made_limit = SIZE_MAX; /* what frames will lie in is not dropped meanwhile */
	int r = knowns_make(w, from, &p.known, e);
	if (r == 0)
		r = frames_load(&p, e);
	w->made_limit = limit;
	knowns_free(&p.known);
	return r;
}

static int exceptions_load(struct wasm *w, const struct wasm_source *from, struct lodge_err *e)
{
	size_t len = 0;
	const uint8_t *p = from->find(from->user, "wasm/exceptions", &len);
	return exns_load(w, p, p ? len : 0) ? 0 : damaged(e, "section wasm/exceptions");
}

static int waiting_load(struct wasm *w, const struct wasm_source *from, struct lodge_err *e)
{
	size_t len = 0;
	const uint8_t *p = from->find(from->user, "wasm/wait", &len);
	struct saved_wait s;
	if (!p)
		return 0;
	if (len != sizeof s)
		return damaged(e, "section wasm/wait");
	s = (struct saved_wait){le64_at(p), le64_at(p + 8), le64_at(p + 16), le64_at(p + 24),
				le64_at(p + 32)};
	return wait_load(w, &s) ? 0 : damaged(e, "a thread waits in no shared memory");
}

int wasm_load(struct wasm *w, const struct wasm_source *from, struct lodge_err *e)
{
	struct saved s;
	uint64_t want = 0, at = 0;
	int r = head_load(from, &s, e);
	if (r == 0)
		r = wasm_saved_pages(from, &want, e);
	if (r == 0 && want > from->npages)
		r = damaged(e, "its memory is cut short");
	if (r == 0 && (s.module_len != w->m->len ||
		       s.module_sum != bytes_sum(w->m->bytes, w->m->len)))
		r = err_set(e, EINVAL, "the state is of another module, or the module has been "
			    "changed since");
	if (r == 0)
		r = memories_load(w, from, &at, e);
	if (r == 0)
		r = tables_load(w, from, &at, e);
	if (r == 0)
		r = globals_load(w, from, e);
	if (r == 0)
		r = exceptions_load(w, from, e);
	if (r == 0)
		r = run_load(w, from, &s, at, e);
	if (r == 0)
		r = waiting_load(w, from, e);
	if (r == 0 && w->fueled && s.fueled)
		fuel_load(w, s.fuel);
	w->loaded_ns = host_monotonic_ns();
	return r;
}

enum wasm_trap wasm_go_on(struct wasm *w)
{
	w->top = w->frames;
	w->ntrace = 0;
	wait_stood(w, host_monotonic_ns() - w->loaded_ns);
	const struct host_fault_taker *before = host_fault_taken_by(&w->taker);
	enum wasm_trap t = wasm_run(w, w->back.f, w->back.fp, NULL);
	host_fault_taken_by(before);
	return t;
}
