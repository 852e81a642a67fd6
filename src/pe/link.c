/* SPDX-License-Identifier: Apache-2.0 */
/* What binds images to each other: imports, exports, memory of threads, unwinding. PE 2024-07 */
#include "pe/pe.h"

/* ---- imports: the .idata Section; Delay-Load Import Tables ---- */

enum { DESCRIPTOR = 20, DELAY_DESCRIPTOR = 32, NAME_MOST = 4096 };
#define BY_ORDINAL (UINT64_C(1) << 63)

void pe_imports_begin(struct pe_imports *w, const struct pe_image *im, bool delayed)
{
	*w = (struct pe_imports){
	    .im = im, .delayed = delayed, .next = im->pe->dirs[delayed ? PE_DELAY : PE_IMPORT].rva};
}

/* What a file takes of one library; numbers of the image. */
struct taken {
	uint32_t name, slots, names;
};

/* As the descriptor @d says it. False: it is the one behind the last. */
static bool taken_read(const uint8_t *d, bool delayed, struct taken *ret)
{
	uint32_t names = le32_at(d + (delayed ? 16 : 0));
	ret->name = le32_at(d + (delayed ? 4 : 12));
	ret->slots = le32_at(d + (delayed ? 12 : 16));
	ret->names = names ? names : ret->slots;
	return ret->name && ret->slots;
}

int pe_imports_library(struct pe_imports *w, struct lodge_err *e)
{
	if (!w->next)
		return 0;
	const uint8_t *d = pe_at(w->im, w->next, w->delayed ? DELAY_DESCRIPTOR : DESCRIPTOR);
	if (!d)
		return err_set(e, EINVAL, "its table of imports is outside of its image");
	struct taken t;
	if (!taken_read(d, w->delayed, &t))
		return 0;
	if (w->delayed && !(le32_at(d) & 1)) /* of the linkers before 2000 */
		return err_set(e, ENOTSUP, "its delayed imports are given by address");
	w->slots = t.slots;
	w->names = t.names;
	w->library = pe_text(w->im, t.name);
	w->next += w->delayed ? DELAY_DESCRIPTOR : DESCRIPTOR;
	return w->library ? 1 : err_set(e, EINVAL, "a name of a library is outside of its image");
}

int pe_imports_next(struct pe_imports *w, struct pe_import *ret, struct lodge_err *e)
{
	const uint8_t *d = pe_at(w->im, w->names, 8);
	uint8_t *slot = pe_at(w->im, w->slots, 8);
	if (!d || !slot)
		return err_set(e, EINVAL, "%s: imports are outside of the image", w->library);
	uint64_t v = le64_at(d);
	if (!v)
		return 0;
	w->names += 8;
	w->slots += 8;
	*ret = (struct pe_import){.slot = slot};
	if (v & BY_ORDINAL) {
		ret->ordinal = (uint16_t)v;
		return 1;
	}
	const uint8_t *hint = pe_at(w->im, v & UINT32_MAX, 2);
	ret->name = pe_text(w->im, (v & UINT32_MAX) + 2);
	if (!hint || !ret->name)
		return err_set(e, EINVAL, "%s: an import's name is outside of the image",
			       w->library);
	ret->hint = le16_at(hint);
	return 1;
}

/* Where of the file @n bytes of the image are; NULL: nowhere in one piece. */
static const uint8_t *file_at(const struct pe *p, const uint8_t *file, uint64_t len, uint64_t rva,
			      uint64_t n)
{
	for (unsigned i = 0; i < p->nsections; i++) {
		const struct pe_section *s = &p->sections[i];
		uint64_t in = rva - s->rva;
		if (rva >= s->rva && in < s->file_len && n <= s->file_len - in &&
		    s->off + in + n <= len)
			return file + s->off + in;
	}
	return NULL;
}

/* A name, which has to end soon, in the section that it begins in. */
static const char *file_name(const struct pe *p, const uint8_t *file, uint64_t len, uint64_t rva)
{
	for (unsigned i = 0; i < p->nsections; i++) {
		const struct pe_section *s = &p->sections[i];
		uint64_t in = rva - s->rva;
		if (rva < s->rva || in >= s->file_len || s->off + in >= len)
			continue;
		uint64_t left = min_u64(s->file_len - in, len - s->off - in);
		const uint8_t *t = file + s->off + in;
		return memchr(t, 0, min_u64(left, NAME_MOST)) ? (const char *)t : NULL;
	}
	return NULL;
}

/* The one at *@at, which moves on. 0: there is no more; -ENOENT: it is not where files have it. */
static int taken_next(const struct pe *p, const uint8_t *file, uint64_t len, bool delayed,
		      uint64_t *at, struct taken *ret)
{
	uint32_t size = delayed ? DELAY_DESCRIPTOR : DESCRIPTOR;
	const uint8_t *d = file_at(p, file, len, *at, size);
	if (!d)
		return -ENOENT;
	*at += size;
	return taken_read(d, delayed, ret);
}

static uint64_t taken_begin(const struct pe *p, bool delayed)
{
	return p->dirs[delayed ? PE_DELAY : PE_IMPORT].rva;
}

bool pe_file_imports(const struct pe *p, const uint8_t *file, uint64_t len, const char *dll)
{
	size_t name_len = strlen(dll) + 1;
	struct taken d;
	for (int delayed = 0; delayed < 2; delayed++) {
		uint64_t at = taken_begin(p, delayed);
		while (at && taken_next(p, file, len, delayed, &at, &d) > 0) {
			const uint8_t *t = file_at(p, file, len, d.name, name_len);
			if (t && !strncasecmp((const char *)t, dll, name_len))
				return true;
		}
	}
	return false;
}

/* What a file takes: how far we are. */
struct walk {
	const struct pe *p;
	const uint8_t *file;
	uint64_t len;
	unsigned n;
	pe_import_fn *fn;
	void *arg;
};

/* All that the library @dll gives, by the names at @at. */
static bool names_walk(struct walk *w, const char *dll, uint64_t at)
{
	for (;; at += 8) {
		const uint8_t *d = file_at(w->p, w->file, w->len, at, 8);
		uint64_t v = d ? le64_at(d) : 0;
		const char *name = NULL;
		if (!d || ++w->n > PE_FILE_IMPORTS)
			return false;
		if (!v)
			return true;
		if (!(v & BY_ORDINAL) &&
		    !(name = file_name(w->p, w->file, w->len, (v & UINT32_MAX) + 2)))
			return false;
		if (!w->fn(w->arg, dll, name))
			return false;
	}
}

bool pe_file_imports_all(const struct pe *p, const uint8_t *file, uint64_t len, pe_import_fn *fn,
			 void *arg)
{
	struct walk w = {.p = p, .file = file, .len = len, .fn = fn, .arg = arg};
	struct taken d;
	for (int delayed = 0; delayed < 2; delayed++) {
		uint64_t at = taken_begin(p, delayed);
		int r = 0;
		while (at && (r = taken_next(p, file, len, delayed, &at, &d)) > 0) {
			const char *dll = file_name(p, file, len, d.name);
			if (!dll || !names_walk(&w, dll, d.names))
				return false;
		}
		if (r < 0)
			return false;
	}
	return true;
}

/* ---- exports: the .edata Section ---- */

static int export_number(const struct pe_image *im, const uint8_t *d, const char *name,
			 uint32_t *ret)
{
	uint32_t lo = 0, hi = le32_at(d + 24);
	const uint8_t *names = pe_at(im, le32_at(d + 32), 4 * (uint64_t)hi);
	const uint8_t *numbers = pe_at(im, le32_at(d + 36), 2 * (uint64_t)hi);
	if (!names || !numbers)
		return -ENOENT;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		const char *s = pe_text(im, le32_at(names + 4 * mid));
		int order = s ? strcmp(name, s) : -1;
		if (order == 0) {
			*ret = le16_at(numbers + 2 * mid);
			return 0;
		}
		if (order < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return -ENOENT;
}

int pe_export(const struct pe_image *im, const char *name, uint32_t ordinal, uint32_t *ret_rva,
	      const char **ret_forward)
{
	uint32_t rva = im->pe->dirs[PE_EXPORT].rva, len = im->pe->dirs[PE_EXPORT].len;
	const uint8_t *d = len >= 40 ? pe_at(im, rva, 40) : NULL;
	if (!d)
		return -ENOENT;
	uint32_t n = le32_at(d + 20), number = ordinal - le32_at(d + 16);
	if (name && export_number(im, d, name, &number) < 0)
		return -ENOENT;
	const uint8_t *table = pe_at(im, le32_at(d + 28), 4 * (uint64_t)n);
	if (number >= n || !table)
		return -ENOENT;
	uint32_t at = le32_at(table + 4 * (uint64_t)number);
	if (!at || at >= im->size)
		return -ENOENT;
	*ret_forward = NULL;
	if (at - rva < len && !(*ret_forward = pe_text(im, at)))
		return -ENOENT;
	*ret_rva = at;
	return 0;
}

/* ---- the .tls Section ---- */

/* An address in the image as an RVA; outside: UINT64_MAX, where pe_at finds nothing. */
static uint64_t rva_of(const struct pe_image *im, uint64_t address)
{
	uint64_t rva = address - (uint64_t)(uintptr_t)im->at;
	return rva < im->size ? rva : UINT64_MAX;
}

int pe_tls(const struct pe_image *im, struct pe_tls *ret, struct lodge_err *e)
{
	const uint8_t *d;
	if (im->pe->dirs[PE_TLS].len < 40 || !im->pe->dirs[PE_TLS].rva)
		return 0;
	if (!(d = pe_at(im, im->pe->dirs[PE_TLS].rva, 40)))
		return err_set(e, EINVAL, "its TLS directory is outside of its image");
	uint64_t start = le64_at(d), end = le64_at(d + 8), callbacks = le64_at(d + 24);
	struct pe_tls t = {.len = end - start, .zeros = le32_at(d + 32)};
	t.data = t.len ? pe_at(im, rva_of(im, start), t.len) : im->at;
	t.index = pe_at(im, rva_of(im, le64_at(d + 16)), 4);
	if (!t.data || !t.index || rva_of(im, le64_at(d + 16)) % 4)
		return err_set(e, EINVAL, "its TLS data is outside of its image");
	if (callbacks) {
		uint64_t rva = rva_of(im, callbacks);
		if (!pe_at(im, rva, 8))
			return err_set(e, EINVAL, "its TLS callbacks are outside of its image");
		t.callbacks = (uint32_t)rva;
	}
	*ret = t;
	return 1;
}

uint32_t pe_tls_callback(const struct pe_image *im, const struct pe_tls *t, unsigned i)
{
	const uint8_t *p = t->callbacks ? pe_at(im, t->callbacks + 8 * (uint64_t)i, 8) : NULL;
	uint64_t rva = p && le64_at(p) ? rva_of(im, le64_at(p)) : 0;
	return rva < im->size ? (uint32_t)rva : 0;
}

/* ---- the .pdata Section ---- */

const struct pe_function *pe_function_at(const struct pe_image *im, uint32_t rva)
{
	uint32_t n = im->pe->dirs[PE_EXCEPTION].len / (uint32_t)sizeof(struct pe_function), lo = 0;
	const struct pe_function *all =
	    pe_at(im, im->pe->dirs[PE_EXCEPTION].rva, (uint64_t)n * sizeof *all);
	if (!all || im->pe->dirs[PE_EXCEPTION].rva % 4)
		return NULL;
	for (uint32_t hi = n; lo < hi;) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (rva < all[mid].begin)
			hi = mid;
		else if (rva >= all[mid].end)
			lo = mid + 1;
		else
			return &all[mid];
	}
	return NULL;
}
