/* SPDX-License-Identifier: Apache-2.0 */
/* From a text to a module: its sections, in the order of the binary format.
 * Spec: WASM-TEXT 3.0 §6.6 */
#include "host/host.h"
#include "wat/internal.h"

enum { TEXT_MAX = 1 << 30, QUOTES_MAX = 8 };

/* ---- sections ---- */

static void section_put(struct bytes *to, unsigned id, const struct bytes *body)
{
	byte_put(to, id);
	sized_put(to, body);
}

static void vector_put(struct bytes *to, unsigned id, uint32_t n, const struct bytes *body)
{
	if (!n)
		return;
	byte_put(to, id);
	unsigned_put(to, unsigned_len(n) + body->n);
	unsigned_put(to, n);
	bytes_put(to, body->at, body->n);
	to->failed |= body->failed;
}

static void custom_put(struct bytes *to, const char *name, const struct bytes *body)
{
	struct bytes all = {0};
	unsigned_put(&all, strlen(name));
	bytes_put(&all, name, strlen(name));
	bytes_put(&all, body->at, body->n);
	section_put(to, 0, &all);
	to->failed |= all.failed | body->failed;
	free(all.at);
}

static void types_put(struct wat *w, struct bytes *to)
{
	struct bytes all = {0};
	uint32_t groups = w->nsigs;
	for (uint32_t i = 0; i < w->nsigs; i++) {
		const struct sig *s = &w->sigs[i];
		if (s->group) {
			byte_put(&all, 0x4e);
			unsigned_put(&all, s->group);
			groups -= s->group - 1;
		}
		byte_put(&all, 0x60);
		unsigned_put(&all, s->np);
		bytes_put(&all, w->types.at + s->at, s->plen);
		unsigned_put(&all, s->nr);
		bytes_put(&all, w->types.at + s->at + s->plen, s->len - s->plen);
	}
	vector_put(to, 1, groups, &all);
	free(all.at);
}

static void module_put(struct wat *w, struct bytes *to)
{
	struct bytes own = {0};
	bytes_put(to, "\0asm\1\0\0\0", 8);
	types_put(w, to);
	static const struct {
		uint8_t id, out;
	} order[] = {{2, OUT_IMPORT}, {3, OUT_FUNC}, {4, OUT_TABLE}, {5, OUT_MEMORY},
		     {13, OUT_TAG}, {6, OUT_GLOBAL}, {7, OUT_EXPORT}, {8, OUT_START},
		     {9, OUT_ELEM}, {12, OUT_DATA}, {10, OUT_CODE}, {11, OUT_DATA}};
	for (size_t i = 0; i < countof(order); i++) {
		const struct bytes *body = &w->out[order[i].out];
		uint32_t n = w->entries[order[i].out];
		if (order[i].id == 8 && n) {
			section_put(to, 8, body);
		} else if (order[i].id == 12 && w->data_counted) {
			byte_put(to, 12);
			unsigned_put(to, unsigned_len(n));
			unsigned_put(to, n);
		} else if (order[i].id != 8 && order[i].id != 12) {
			vector_put(to, order[i].id, n, body);
		}
	}
	names_put(w, &own);
	if (own.n)
		custom_put(to, "name", &own);
	own.n = 0;
	if (w->lines.n) {
		lines_put(w, &own, unsigned_len(w->entries[OUT_CODE]));
		custom_put(to, ".debug_line", &own);
	}
	to->failed |= own.failed;
	free(own.at);
}

/* ---- the text ---- */

static void utf8_check(struct wat *w)
{
	const uint8_t *p = (const uint8_t *)w->text, *end = (const uint8_t *)w->end;
	while (p < end) {
		if (end - p >= 8 && !(le64_at(p) & 0x8080808080808080u)) {
			p += 8;
			continue;
		}
		unsigned n = utf8_len(p, (size_t)(end - p));
		if (!n) {
			(void)wat_fail(w, (const char *)p, "malformed UTF-8 encoding");
			return;
		}
		p += n;
	}
}

static void wat_fini(struct wat *w)
{
	for (size_t i = 0; i + sizeof(void *) <= w->kept.n; i += sizeof(void *)) {
		void *p;
		memcpy(&p, w->kept.at + i, sizeof p);
		free(p);
	}
	struct bytes *const all[] = {&w->kept, &w->local_names, &w->types, &w->locals, &w->code,
				     &w->pending, &w->scratch, &w->names, &w->lines};
	for (size_t i = 0; i < countof(all); i++)
		free(all[i]->at);
	for (size_t i = 0; i < OUT_SECTIONS; i++)
		free(w->out[i].at);
	free(w->symbols);
	free(w->symbol_slots);
	free(w->func_names);
	free(w->sigs);
	free(w->frames);
	free(w->rows);
	free(w);
}

static struct wat *wat_new(const char *file, const char *text, size_t len, unsigned quoted,
			   struct lodge_err *e)
{
	struct wat *w = calloc(1, sizeof *w);
	if (!w)
		return NULL;
	w->file = file;
	w->text = text ? text : "";
	w->end = w->text + len;
	w->e = e;
	w->quoted = quoted;
	w->lines_line = 1; /* where a line program begins */
	host_random(&w->seed, sizeof w->seed);
	byte_put(&w->types, 0); /* so that there is a first one */
	mnemonics_init(w);
	utf8_check(w);
	token_first(w);
	return w;
}

/* (module binary "..." ...), (module quote "..." ...): what the strings are. */
static bool strings_module(struct wat *w, struct bytes *ret, bool *ret_text)
{
	if (!open_take(w, "module"))
		return false;
	(void)symbol_take_any(w);
	*ret_text = token_is(&w->t, "quote");
	if (!word_take(w, "binary") && !word_take(w, "quote"))
		return false;
	while (w->t.kind == TOKEN_STRING && !w->bad) {
		quote_take(w, ret, false);
		if (*ret_text) /* two strings are no word together */
			byte_put(ret, ' ');
	}
	close_take(w);
	if (!w->bad && w->t.kind != TOKEN_END)
		wat_expected(w, "the end of the text");
	if (ret->failed)
		wat_nomem(w);
	return true;
}

static int text_encode(struct wat *w, struct bytes *to)
{
	wat_scan(w);
	wat_fields(w);
	if (!w->bad)
		module_put(w, to);
	bool failed = to->failed | w->local_names.failed | w->lines.failed;
	for (size_t i = 0; i < OUT_SECTIONS; i++)
		failed |= w->out[i].failed;
	if (!w->bad && failed)
		wat_nomem(w);
	return w->bad;
}

int wat_encode(const char *file, const char *text, size_t len, uint8_t **ret, size_t *ret_len,
	       struct lodge_err *e)
{
	struct bytes inner = {0}, out = {0};
	int r = 0;
	if (len > TEXT_MAX)
		return err_set(e, EFBIG, "%s: a text of more than 1 GiB", file);
	for (unsigned quoted = 0;; quoted++) {
		bool quotes = false;
		struct bytes next = {0};
		struct wat *w = wat_new(file, text, len, quoted, e);
		if (!w)
			r = err_set(e, ENOMEM, "out of memory");
		else if (strings_module(w, &next, &quotes))
			r = w->bad;
		else
			r = text_encode(w, &out);
		if (w && r == 0 && quotes && quoted == QUOTES_MAX)
			r = wat_fail(w, w->text, "modules are quoted in each other too deeply");
		if (w)
			wat_fini(w);
		free(inner.at);
		inner = next;
		if (r < 0 || !quotes)
			break;
		text = (const char *)inner.at;
		len = inner.n;
	}
	if (r == 0 && inner.at) {
		free(out.at);
		out = inner;
	} else {
		free(inner.at);
	}
	if (r < 0) {
		free(out.at);
		return r;
	}
	*ret = out.at;
	*ret_len = out.n;
	return 0;
}

bool wat_claims(const char *text, size_t len)
{
	bool is = false;
	struct wat *w = len && len <= TEXT_MAX ? calloc(1, sizeof *w) : NULL;
	if (!w)
		return false;
	w->text = text;
	w->end = text + len;
	token_first(w);
	is = !w->bad && open_is(w, "module");
	free(w);
	return is;
}
