/* SPDX-License-Identifier: Apache-2.0 */
/* Threads but the first one, in a state: a section for each, which has those of its instance one
 * behind the other; its pages come behind those of the threads before. Format: lodge-state(5) */
#include "wasi/internal.h"
#include <stdio.h>

enum { WORD_ID, WORD_ARG, WORD_PHASE, WORD_WAITS, WORD_WAITED_NS, WORDS };
enum { PARTS_MAX = 16, PART_NAME = 40, PART_HEAD = PART_NAME + 8 };
struct parts { /* of one thread, while they are gathered */
	struct {
		const char *name;
		uint8_t *p; /* owned */
		size_t len;
	} at[PARTS_MAX];
	unsigned n;
	bool failed;
};
struct packed { /* the same, read */
	const uint8_t *p;
	size_t len;
};

static uint8_t *part_new(void *user, const char *name, size_t len)
{
	struct parts *x = user;
	assert(strlen(name) < PART_NAME && x->n < PARTS_MAX); /* names are the room's own */
	uint8_t *p = calloc(1, len + 1);
	x->failed |= !p;
	if (p) {
		x->at[x->n].name = name;
		x->at[x->n].p = p;
		x->at[x->n++].len = len;
	}
	return p;
}

static const uint8_t *part_find(void *user, const char *name, size_t *ret_len)
{
	const struct packed *x = user;
	const uint8_t *p = x->p;
	for (size_t left = x->len; left >= PART_HEAD;) {
		uint64_t len = le64_at(p + PART_NAME), all = align_up(len, 8);
		if (len > left - PART_HEAD || all > left - PART_HEAD)
			return NULL;
		if (!p[PART_NAME - 1] && !strcmp((const char *)p, name)) {
			*ret_len = len;
			return p + PART_HEAD;
		}
		p += PART_HEAD + all;
		left -= PART_HEAD + all;
	}
	return NULL;
}

/* The section of thread @id. */
static const char *part_name(char buf[32], uint64_t id)
{
	snprintf(buf, 32, "thread/%llu", (unsigned long long)id);
	return buf;
}

static void parts_write(const struct parts *x, uint64_t id, const struct wasm_sink *to)
{
	char name[32];
	size_t all = 0;
	for (unsigned i = 0; i < x->n; i++)
		all += PART_HEAD + align_up(x->at[i].len, 8);
	uint8_t *p = to->section(to->user, part_name(name, id), all);
	for (unsigned i = 0; p && i < x->n; i++) {
		memcpy(p, x->at[i].name, strlen(x->at[i].name));
		le64_put(p + PART_NAME, x->at[i].len);
		memcpy(p + PART_HEAD, x->at[i].p, x->at[i].len);
		p += PART_HEAD + align_up(x->at[i].len, 8);
	}
}

static int thread_save(struct wasi_thread *t, const struct wasm_sink *to, uint64_t *pages,
		       struct lodge_err *e)
{
	struct parts x = {.n = 0};
	const struct wasm_sink its = {part_new, &x};
	int r = wasm_save(t->w, &its, &t->npages, e);
	if (r == 0 && x.failed)
		r = err_set(e, ENOMEM, "out of memory for the state of a thread");
	if (r == 0) {
		parts_write(&x, t->id, to);
		*pages += t->npages;
	}
	for (unsigned i = 0; i < x.n; i++)
		free(x.at[i].p);
	return r;
}

int wasi_threads_save(struct wasi *s, const struct wasm_sink *to, uint64_t *pages,
		      struct lodge_err *e)
{
	unsigned n = 0;
	int r = 0;
	for (unsigned i = 1; i < THREADS_MAX; i++)
		n += s->threads[i] != NULL;
	uint8_t *p = n ? to->section(to->user, "threads", (size_t)n * WORDS * 8) : NULL;
	for (unsigned i = 1; p && i < THREADS_MAX; i++) {
		const struct wasi_thread *t = s->threads[i];
		if (!t)
			continue;
		const uint64_t words[WORDS] = {t->id, t->arg, t->phase, t->since_ns != 0,
					       t->since_ns ? s->stood_ns - t->since_ns : 0};
		for (unsigned k = 0; k < WORDS; k++, p += 8)
			le64_put(p, words[k]);
	}
	for (unsigned i = 1; r == 0 && i < THREADS_MAX; i++)
		if (s->threads[i])
			r = thread_save(s->threads[i], to, pages, e);
	return r;
}

int wasi_threads_save_pages(const struct wasi *s, int fd, uint64_t at, struct lodge_err *e)
{
	int r = 0;
	for (unsigned i = 1; r == 0 && i < THREADS_MAX; i++)
		if (s->threads[i]) {
			r = wasm_save_pages(s->threads[i]->w, fd, at, e);
			at += s->threads[i]->npages;
		}
	return r;
}

/* The section "threads"; how many there are in it. */
static int threads_find(const struct wasm_source *from, const uint8_t **ret, size_t *ret_n,
			struct lodge_err *e)
{
	size_t len = 0;
	*ret = from->find(from->user, "threads", &len);
	*ret_n = *ret ? len / (8 * WORDS) : 0;
	if (*ret && (len % (8 * WORDS) || *ret_n >= THREADS_MAX))
		return err_set(e, EINVAL, "the state is damaged: section threads");
	return 0;
}

static void parts_find(const struct wasm_source *from, uint64_t id, struct packed *ret)
{
	char name[32];
	ret->len = 0;
	ret->p = from->find(from->user, part_name(name, id), &ret->len);
	ret->len = ret->p ? ret->len : 0;
}

int wasi_saved_pages(const struct wasm_source *from, uint64_t *ret, struct lodge_err *e)
{
	const uint8_t *p;
	size_t n;
	uint64_t all = 0, own = 0;
	int r = threads_find(from, &p, &n, e);
	if (r == 0)
		r = wasm_saved_pages(from, &all, e);
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct packed x;
		parts_find(from, le64_at(p + 8 * (i * WORDS + WORD_ID)), &x);
		const struct wasm_source its = {.find = part_find, .user = &x};
		r = wasm_saved_pages(&its, &own, e);
		all += own;
	}
	if (r == 0)
		*ret = all;
	return r;
}

static int thread_load(struct wasi *s, const struct wasm_source *from, const uint8_t *p,
		       uint64_t *at, struct lodge_err *e)
{
	uint64_t w[WORDS], own = 0;
	for (unsigned k = 0; k < WORDS; k++)
		w[k] = le64_at(p + 8 * k);
	struct packed x;
	parts_find(from, w[WORD_ID], &x);
	struct wasm_source its = {.find = part_find, .user = &x, .movable = from->movable};
	struct wasi_thread *t = NULL;
	int r = wasm_saved_pages(&its, &own, e);
	if (r == 0 && (own > from->npages - *at || !w[WORD_ID] || w[WORD_ID] > THREAD_ID_MAX ||
		       w[WORD_PHASE] > THREAD_MAIN))
		r = err_set(e, EINVAL, "the state is damaged: a thread");
	if (r == 0)
		r = thread_new(s, (uint32_t)w[WORD_ID], &t, e);
	if (r < 0)
		return r;
	its.pages = from->pages + *at;
	its.npages = own;
	*at += own;
	t->arg = (uint32_t)w[WORD_ARG];
	t->phase = w[WORD_PHASE];
	t->goes_on = true;
	t->entry = thread_entry(wasm_module_of(t->w));
	t->since_ns = w[WORD_WAITS] ? s->stood_ns - min_u64(w[WORD_WAITED_NS], s->stood_ns - 1) : 0;
	if (t->id > s->last_id)
		s->last_id = t->id;
	return t->entry < 0 ? err_set(e, EINVAL, "the state is damaged: a thread of a module "
				      "without wasi_thread_start")
			    : wasm_load(t->w, &its, e);
}

int wasi_threads_load(struct wasi *s, const struct wasm_source *from, struct lodge_err *e)
{
	const uint8_t *p;
	size_t n;
	uint64_t at = 0;
	int r = threads_find(from, &p, &n, e);
	if (r == 0)
		r = wasm_saved_pages(from, &at, e);
	if (r == 0 && at > from->npages)
		r = err_set(e, EINVAL, "the state is damaged: its memory is cut short");
	if (n)
		s->several = true;
	for (size_t i = 0; r == 0 && i < n; i++)
		r = thread_load(s, from, p + 8 * WORDS * i, &at, e);
	return r;
}

