/* SPDX-License-Identifier: Apache-2.0 */
/* Modules: the binary format, section after section, and what can be validated without looking at
 * the bodies of functions. Spec: WASM-CORE 2.0 §3.4, 5.5 */
#include "wasm/internal.h"
#include <stdio.h>

enum section {
	SECTION_CUSTOM, SECTION_TYPE, SECTION_IMPORT, SECTION_FUNCTION, SECTION_TABLE,
	SECTION_MEMORY, SECTION_GLOBAL, SECTION_EXPORT, SECTION_START, SECTION_ELEMENT,
	SECTION_CODE, SECTION_DATA, SECTION_DATA_COUNT, SECTION_TAG
};

bool wasm_claims(const uint8_t *b, size_t len) { return len >= 4 && !memcmp(b, "\0asm", 4); }

enum { OFFSET_MAX = 64 /* bytes of one, in a mapped file */ };

/* Of a mapped file: a page that is written to is a copy, which nobody else changes. */
static void bytes_own(const struct wasm_module *m, const uint8_t *at, uint64_t len)
{
	const uint8_t *end = at + len;
	while (m->mapped && at < end) {
		volatile uint8_t *p = (volatile uint8_t *)(uintptr_t)at;
		*p = *p;
		at += 4096 - ((uintptr_t)at & 4095);
	}
}

static struct span span_from(const struct reader *r, const uint8_t *at)
{
	return (struct span){at, (uint32_t)(r->p - at)};
}

/* ---- what imports and sections of their own describe alike ---- */

static void limits_read(struct reader *r, struct wlimits *l, uint64_t most32, uint64_t most64)
{
	uint8_t flags = reader_byte(r);
	if (flags > 7 || (flags & 2 && most32 != PAGES32))
		reader_fail(r, EBADMSG, "malformed limits flags 0x%02x", flags);
	l->shared = flags & 2;
	if (l->shared && !(flags & 1))
		reader_fail(r, EINVAL, "shared memory must have maximum");
	l->is64 = flags & 4;
	l->has_max = flags & 1;
	l->min = l->is64 ? reader_u64(r) : reader_u32(r);
	l->max = !l->has_max ? 0 : l->is64 ? reader_u64(r) : reader_u32(r);
	uint64_t most = l->is64 ? most64 : most32;
	if (l->min > most || (l->has_max && l->max > most && most32 == PAGES32))
		reader_fail(r, EINVAL, "memory size must be at most %llu pages",
			    (unsigned long long)most);
	if (l->has_max && l->min > l->max)
		reader_fail(r, EINVAL, "size minimum must not be greater than maximum");
}

static void table_read(struct wasm_module *m, struct reader *r, bool imported)
{
	MORE(r, m->tables, m->ntables, 1);
	if (r->bad)
		return;
	struct wlimits *t = &m->tables[m->ntables++];
	bool begins = !imported && r->p < r->end && *r->p == 0x40;
	if (begins && (reader_byte(r), reader_byte(r)) != 0)
		reader_fail(r, EBADMSG, "malformed table");
	t->type = reader_reference(r, m);
	limits_read(r, t, UINT32_MAX, UINT64_MAX);
	const uint8_t *at = r->p;
	if (begins && constant_read(m, r, t->type, NULL, NULL) == 0)
		t->init = span_from(r, at);
	else if (!begins && !imported && type_is_nonnull(t->type))
		reader_fail(r, EINVAL, "type mismatch: a table of %s that says not of which",
			    type_text(t->type).s);
}

static void memory_read(struct wasm_module *m, struct reader *r)
{
	MORE(r, m->memories, m->nmemories, 1);
	if (!r->bad)
		limits_read(r, &m->memories[m->nmemories++], PAGES32, 1ull << 48);
}

static void tag_read(struct wasm_module *m, struct reader *r)
{
	uint8_t attribute = reader_byte(r);
	uint32_t type = reader_u32(r);
	if (attribute)
		reader_fail(r, EBADMSG, "malformed tag attribute 0x%02x", attribute);
	else if (type >= m->ntypes)
		reader_fail(r, EINVAL, "unknown type %u", type);
	else if (m->types[type].nr)
		reader_fail(r, EINVAL, "non-empty tag result type");
	MORE(r, m->tags, m->ntags, 1);
	if (!r->bad)
		m->tags[m->ntags++].type = type;
}

static void tags_read(struct wasm_module *m, struct reader *r)
{
	for (uint32_t n = reader_count(r, "tags", 2); n && !r->bad; n--)
		tag_read(m, r);
}

static struct wglobal *global_read(struct wasm_module *m, struct reader *r)
{
	static struct wglobal none;
	MORE(r, m->globals, m->nglobals, 1);
	if (r->bad)
		return &none;
	struct wglobal *g = &m->globals[m->nglobals];
	g->type = reader_type(r, m);
	uint8_t mut = reader_byte(r);
	if (mut > 1)
		reader_fail(r, EBADMSG, "malformed mutability");
	g->mutable = mut;
	return g;
}

static void func_read(struct wasm_module *m, struct reader *r)
{
	uint32_t type = reader_u32(r);
	if (type >= m->ntypes)
		reader_fail(r, EINVAL, "unknown type %u", type);
	MORE(r, m->funcs, m->nfuncs, 1);
	if (!r->bad)
		m->funcs[m->nfuncs++].type = type;
}

static void import_read(struct wasm_module *m, struct reader *r, struct wimport *im)
{
	im->module.at = (const uint8_t *)reader_name(r, &im->module.len);
	im->name.at = (const uint8_t *)reader_name(r, &im->name.len);
	im->kind = reader_byte(r);
	switch (im->kind) {
	case WASM_FUNC: im->index = m->nfuncs; func_read(m, r); break;
	case WASM_TABLE: im->index = m->ntables; table_read(m, r, true); break;
	case WASM_MEMORY: im->index = m->nmemories; memory_read(m, r); break;
	case WASM_GLOBAL:
		im->index = m->nglobals;
		global_read(m, r)->imported = true;
		m->nglobals += !r->bad;
		break;
	case WASM_TAG: im->index = m->ntags; tag_read(m, r); break;
	default: reader_fail(r, EBADMSG, "malformed import kind 0x%02x", im->kind);
	}
}

static void imports_read(struct wasm_module *m, struct reader *r)
{
	uint32_t n = reader_count(r, "imports", 4);
	MORE(r, m->imports, 0, n);
	for (uint32_t i = 0; i < n && !r->bad; i++, m->nimports++)
		import_read(m, r, &m->imports[i]);
	m->nimported = m->nfuncs;
}

/* One at a time would be a quadratic number of moves. */
static void funcs_read(struct wasm_module *m, struct reader *r)
{
	uint32_t n = reader_count(r, "functions", 1);
	MORE(r, m->funcs, m->nfuncs, n);
	for (uint32_t i = 0; i < n && !r->bad; i++) {
		uint32_t type = reader_u32(r);
		if (type >= m->ntypes)
			reader_fail(r, EINVAL, "unknown type %u", type);
		m->funcs[m->nfuncs++].type = type;
	}
}

static void globals_read(struct wasm_module *m, struct reader *r)
{
	for (uint32_t n = reader_count(r, "globals", 3); n && !r->bad; n--) {
		struct wglobal *g = global_read(m, r);
		const uint8_t *at = r->p;
		if (r->bad || constant_read(m, r, g->type, NULL, NULL) < 0)
			return;
		g->init = span_from(r, at);
		m->nglobals++;
	}
}

static int name_order(const void *a, const void *b)
{
	const struct span *x = *(const struct span *const *)a, *y = *(const struct span *const *)b;
	uint32_t n = x->len < y->len ? x->len : y->len;
	int c = n ? memcmp(x->at, y->at, n) : 0;
	return c ? c : (x->len > y->len) - (x->len < y->len);
}

static void exports_differ(struct wasm_module *m, struct reader *r)
{
	autofree const struct span **names = calloc(m->nexports + 1, sizeof *names);
	if (!names) {
		r->bad = err_set(r->e, ENOMEM, "out of memory");
		return;
	}
	for (uint32_t i = 0; i < m->nexports; i++)
		names[i] = &m->exports[i].name;
	qsort(names, m->nexports, sizeof *names, name_order);
	for (uint32_t i = 1; i < m->nexports; i++)
		if (!name_order(&names[i - 1], &names[i]))
			reader_fail(r, EINVAL, "duplicate export name");
}

static void exports_read(struct wasm_module *m, struct reader *r)
{
	static const char *const kinds[] = {"function", "table", "memory", "global", "tag"};
	const uint32_t counts[] = {m->nfuncs, m->ntables, m->nmemories, m->nglobals,
				   m->ntags};
	uint32_t n = reader_count(r, "exports", 3);
	MORE(r, m->exports, 0, n);
	for (uint32_t i = 0; i < n && !r->bad; i++) {
		struct wexport *x = &m->exports[i];
		x->name.at = (const uint8_t *)reader_name(r, &x->name.len);
		x->kind = reader_byte(r);
		x->index = reader_u32(r);
		if (x->kind > WASM_TAG)
			reader_fail(r, EBADMSG, "malformed export kind %u", x->kind);
		else if (x->index >= counts[x->kind])
			reader_fail(r, EINVAL, "unknown %s %u", kinds[x->kind], x->index);
		else if (x->kind == WASM_FUNC)
			m->funcs[x->index].declared = true;
		m->nexports += !r->bad;
	}
	exports_differ(m, r);
}

static void start_read(struct wasm_module *m, struct reader *r)
{
	uint32_t f = reader_u32(r);
	if (f >= m->nfuncs)
		reader_fail(r, EINVAL, "unknown function %u", f);
	else if (m->types[m->funcs[f].type].np || m->types[m->funcs[f].type].nr)
		reader_fail(r, EINVAL, "start function has parameters or results");
	m->start = f;
}

/* ---- segments ---- */

static void offset_read(struct wasm_module *m, struct reader *r, struct span *ret, bool is64)
{
	const uint8_t *at = r->p;
	(void)!constant_read(m, r, is64 ? WASM_I64 : WASM_I32, NULL, NULL);
	*ret = span_from(r, at);
}

static void elem_items_read(struct wasm_module *m, struct reader *r, struct welem *el)
{
	el->n = reader_count(r, "elements", 1);
	const uint8_t *at = r->p;
	for (uint32_t i = 0; i < el->n && !r->bad; i++) {
		if (el->expressions) {
			(void)!constant_read(m, r, el->type, NULL, NULL);
			continue;
		}
		uint32_t f = reader_u32(r);
		if (f >= m->nfuncs)
			reader_fail(r, EINVAL, "unknown function %u", f);
		else
			m->funcs[f].declared = true;
	}
	el->items = span_from(r, at);
}

static void elem_read(struct wasm_module *m, struct reader *r, struct welem *el)
{
	uint32_t flags = reader_u32(r);
	if (flags > 7) {
		reader_fail(r, EBADMSG, "malformed elements segment kind %u", flags);
		return;
	}
	el->mode = (uint8_t)(!(flags & 1) ? SEGMENT_ACTIVE
			     : flags & 2  ? SEGMENT_DECLARED
					  : SEGMENT_PASSIVE);
	el->expressions = flags & 4;
	el->type = el->expressions ? WASM_FUNCREF : WASM_FUNCREF | WASM_NONNULL;
	if (el->mode == SEGMENT_ACTIVE) {
		el->table = flags & 2 ? reader_u32(r) : 0;
		if (!r->bad && el->table >= m->ntables)
			reader_fail(r, EINVAL, "unknown table %u", el->table);
		offset_read(m, r, &el->offset, !r->bad && m->tables[el->table].is64);
	}
	if (flags & 3) {
		if (el->expressions)
			el->type = reader_reference(r, m);
		else if (reader_byte(r) != 0)
			reader_fail(r, EBADMSG, "malformed element kind");
	}
	if (!r->bad && el->mode == SEGMENT_ACTIVE &&
	    !type_fits(el->type, m->tables[el->table].type))
		reader_fail(r, EINVAL, "type mismatch: %s elements for a table of %s",
			    type_text(el->type).s, type_text(m->tables[el->table].type).s);
	elem_items_read(m, r, el);
}

static void elems_read(struct wasm_module *m, struct reader *r)
{
	uint32_t n = reader_count(r, "element segments", 2);
	MORE(r, m->elems, 0, n);
	for (uint32_t i = 0; i < n && !r->bad; i++, m->nelems++)
		elem_read(m, r, &m->elems[i]);
}

static void data_read(struct wasm_module *m, struct reader *r, struct wdata *d)
{
	uint32_t flags = reader_u32(r);
	if (flags > 2) {
		reader_fail(r, EBADMSG, "malformed data segment kind %u", flags);
		return;
	}
	d->mode = flags == 1 ? SEGMENT_PASSIVE : SEGMENT_ACTIVE;
	if (d->mode == SEGMENT_ACTIVE) {
		d->memory = flags == 2 ? reader_u32(r) : 0;
		if (!r->bad && d->memory >= m->nmemories)
			reader_fail(r, EINVAL, "unknown memory %u", d->memory);
		bytes_own(m, r->p, min_u64((uint64_t)(r->end - r->p), OFFSET_MAX));
		offset_read(m, r, &d->offset, !r->bad && m->memories[d->memory].is64);
		if (m->mapped && d->offset.len > OFFSET_MAX)
			reader_fail(r, ENOTSUP, "an offset of more than %u bytes", OFFSET_MAX);
	}
	d->bytes.len = reader_u32(r);
	d->bytes.at = reader_bytes(r, d->bytes.len);
}

static void datas_read(struct wasm_module *m, struct reader *r)
{
	uint32_t n = reader_count(r, "data segments", 2);
	if (m->has_data_count && n != m->data_count)
		reader_fail(r, EBADMSG, "data count and data section have inconsistent lengths");
	MORE(r, m->datas, 0, n);
	for (uint32_t i = 0; i < n && !r->bad; i++, m->ndatas++)
		data_read(m, r, &m->datas[i]);
}

/* ---- sections ---- */

static void code_read(struct wasm_module *m, struct reader *r)
{
	m->debug.code = r->p;
	uint32_t n = reader_u32(r);
	if (n != m->nfuncs - m->nimported) {
		reader_fail(r, EBADMSG, "function and code section have inconsistent lengths");
		return;
	}
	for (uint32_t i = 0; i < n && !r->bad; i++) {
		struct span *body = &m->funcs[m->nimported + i].body;
		body->len = reader_u32(r);
		body->at = reader_bytes(r, body->len);
	}
}

static void memories_read(struct wasm_module *m, struct reader *r)
{
	for (uint32_t n = reader_count(r, "memories", 2); n && !r->bad; n--)
		memory_read(m, r);
}

static void tables_read(struct wasm_module *m, struct reader *r)
{
	for (uint32_t n = reader_count(r, "tables", 3); n && !r->bad; n--) {
		table_read(m, r, false);
	}
}

static void data_count_read(struct wasm_module *m, struct reader *r)
{
	m->data_count = reader_u32(r);
	m->has_data_count = true;
}

static void custom_read(struct wasm_module *m, struct reader *r)
{
	uint32_t n;
	const char *name = reader_name(r, &n);
	const struct {
		const char *name;
		struct span *to;
	} known[] = {{"name", &m->names},
		     {".debug_line", &m->debug.line},
		     {".debug_str", &m->debug.str},
		     {".debug_line_str", &m->debug.line_str}};
	for (size_t i = 0; name && i < countof(known); i++)
		if (n == strlen(known[i].name) && !memcmp(name, known[i].name, n))
			*known[i].to = (struct span){r->p, (uint32_t)(r->end - r->p)};
	r->p = r->end;
}

static void section_read(struct wasm_module *m, struct reader *r, uint8_t id)
{
	static void (*const fns[])(struct wasm_module *, struct reader *) = {
	    [SECTION_CUSTOM] = custom_read,	   [SECTION_TYPE] = types_read,
	    [SECTION_IMPORT] = imports_read,	   [SECTION_FUNCTION] = funcs_read,
	    [SECTION_TABLE] = tables_read,	   [SECTION_MEMORY] = memories_read,
	    [SECTION_GLOBAL] = globals_read,	   [SECTION_EXPORT] = exports_read,
	    [SECTION_START] = start_read,	   [SECTION_ELEMENT] = elems_read,
	    [SECTION_CODE] = code_read,		   [SECTION_DATA] = datas_read,
	    [SECTION_DATA_COUNT] = data_count_read, [SECTION_TAG] = tags_read};
	fns[id](m, r);
	if (!r->bad && r->p != r->end)
		reader_fail(r, EBADMSG, "section size mismatch");
}

/* Sections of the format come in one order, at most once. */
static unsigned section_rank(uint8_t id)
{
	return id == SECTION_DATA_COUNT ? 2 * SECTION_ELEMENT + 1
	       : id == SECTION_TAG	? 2 * SECTION_MEMORY + 1
					: 2u * id;
}

/* What is looked at again after it was validated. Functions are copied when they are made; nobody
 * relies on what data and names say. */
static bool section_stays(uint8_t id)
{
	return id != SECTION_CODE && id != SECTION_DATA && id != SECTION_CUSTOM;
}

static void module_read(struct wasm_module *m, struct reader *r)
{
	unsigned rank = 0;
	bool code = false;
	const uint8_t *head = reader_bytes(r, 8);
	if (head && le32_at(head) != 0x6d736100)
		reader_fail(r, EBADMSG, "magic header not detected");
	else if (head && le32_at(head + 4) == 0x0001000d)
		reader_fail(r, ENOTSUP, "this is a component, not a module");
	else if (head && le32_at(head + 4) != 1)
		reader_fail(r, EBADMSG, "unknown binary version");
	while (!r->bad && r->p < r->end) {
		uint8_t id = reader_byte(r);
		uint32_t len = reader_u32(r);
		struct reader s = *r;
		if (!reader_bytes(r, len))
			return;
		s.end = r->p;
		if (section_stays(id))
			bytes_own(m, s.p, len);
		if (id > SECTION_TAG)
			reader_fail(&s, EBADMSG, "malformed section id %u", id);
		else if (id && section_rank(id) <= rank)
			reader_fail(&s, EBADMSG, "unexpected content after last section");
		else
			section_read(m, &s, id);
		rank = id ? section_rank(id) : rank;
		code |= id == SECTION_CODE;
		r->bad = s.bad;
	}
	if (!code && m->nfuncs > m->nimported)
		reader_fail(r, EBADMSG, "function and code section have inconsistent lengths");
	if (m->has_data_count && m->ndatas != m->data_count)
		reader_fail(r, EBADMSG, "data count and data section have inconsistent lengths");
}

int wasm_module_new(struct wasm_module **ret, const uint8_t *bytes, size_t len, unsigned flags,
		    struct lodge_err *e)
{
	static const uint8_t nothing[1];
	struct wasm_module *m = calloc(1, sizeof *m);
	if (!m)
		return err_set(e, ENOMEM, "out of memory");
	bytes = bytes ? bytes : nothing; /* of an empty text */
	*m = (struct wasm_module){.bytes = bytes, .len = len, .start = -1};
	m->lazy = flags & WASM_LAZY;
	m->mapped = flags & WASM_MAPPED;
	struct reader r = {.base = bytes, .p = bytes, .end = bytes + len, .e = e};
	module_read(m, &r);
	for (uint32_t i = m->nimported; !m->lazy && !r.bad && i < m->nfuncs; i++)
		r.bad = func_make(m, i, NULL, false, e);
	if (r.bad) {
		wasm_module_free(m);
		return r.bad;
	}
	*ret = m;
	return 0;
}

void wasm_module_free(struct wasm_module *m)
{
	if (!m)
		return;
	for (uint32_t i = 0; i < m->ntypes; i++)
		free(m->types[i].values);
	void *const arrays[] = {m->types, m->imports, m->funcs, m->tables, m->memories,
				m->globals, m->tags, m->exports, m->elems, m->datas};
	for (size_t i = 0; i < countof(arrays); i++)
		free(arrays[i]);
	free(m);
}

/* ---- what is asked of them ---- */

void wasm_signature(const struct wasm_module *m, uint32_t func, char ret[64])
{
	const struct wtype *t = &m->types[m->funcs[func].type];
	unsigned n = 0;
	for (uint32_t i = 0; i <= t->np + t->nr && n < 62; i++) {
		if (i == t->np)
			ret[n++] = ':';
		if (i == t->np + t->nr)
			break;
		switch (t->values[i]) {
		case WASM_I32: ret[n++] = 'i'; break;
		case WASM_I64: ret[n++] = 'I'; break;
		case WASM_F32: ret[n++] = 'f'; break;
		case WASM_F64: ret[n++] = 'F'; break;
		default: ret[n++] = '?';
		}
	}
	ret[n] = 0;
}

uint32_t wasm_funcs(const struct wasm_module *m) { return m->nfuncs; }

void wasm_func_type(const struct wasm_module *m, uint32_t func, const uint32_t **ret, uint32_t *np,
		    uint32_t *nr)
{
	const struct wtype *t = &m->types[m->funcs[func].type];
	*ret = t->values;
	*np = t->np;
	*nr = t->nr;
}

bool wasm_import_at(const struct wasm_module *m, size_t i, struct wasm_import *ret)
{
	if (i >= m->nimports)
		return false;
	const struct wimport *im = &m->imports[i];
	*ret = (struct wasm_import){(const char *)im->module.at, (const char *)im->name.at,
				    im->module.len, im->name.len, im->kind, ""};
	if (im->kind == WASM_FUNC)
		wasm_signature(m, im->index, ret->signature);
	return true;
}

int64_t wasm_export_find(const struct wasm_module *m, const char *name, enum wasm_kind kind)
{
	size_t n = strlen(name);
	for (uint32_t i = 0; i < m->nexports; i++)
		if (m->exports[i].kind == kind && m->exports[i].name.len == n &&
		    !memcmp(m->exports[i].name.at, name, n))
			return m->exports[i].index;
	return -1;
}
