/* SPDX-License-Identifier: Apache-2.0 */
/* Resources of modules: found by kind, name and language, looked at where they lie in the image;
 * and tables of texts, which are resources as well. */
#include "win/internal.h"

/* What is asked for: MAKEINTRESOURCE, "#12" or a name. */
struct wanted {
	uint32_t number;
	wide *text; /* in upper case, malloc'ed; NULL: by number */
};
enum { TEXTS = 6, TEXTS_OF_BLOCK = 16, ANY_LANGUAGE = 0xffff, ENGLISH_US = 0x409 };

static bool wanted_begin(struct wanted *w, const wide *name)
{
	uint64_t n = (uint64_t)(uintptr_t)name;
	*w = (struct wanted){.number = (uint32_t)n};
	if (n < 0x10000)
		return true;
	if (*name == '#') {
		w->number = 0;
		for (name++; *name >= '0' && *name <= '9'; name++)
			w->number = w->number * 10 + *name - '0';
		return true;
	}
	size_t len = wide_len(name);
	w->text = malloc((len + 1) * sizeof *w->text);
	for (size_t i = 0; w->text && i <= len; i++)
		w->text[i] = wide_upper(name[i]);
	return w->text != NULL;
}

static bool key_is(const struct pe_key *k, const struct wanted *w)
{
	if (!w->text || !k->text)
		return !w->text && !k->text && k->number == w->number;
	for (uint32_t i = 0; i < k->units; i++)
		if (!w->text[i] || wide_upper(le16_at(k->text + 2 * i)) != w->text[i])
			return false;
	return !w->text[k->units];
}

/* The entry below @folder; false: there is none. */
static bool entry_find(const struct pe_image *im, uint32_t folder, const struct wanted *w,
		       uint32_t *ret)
{
	struct pe_key k;
	uint32_t at;
	for (uint32_t i = 0; pe_resource_entry(im, folder, i, &k, &at) == 0; i++)
		if (key_is(&k, w)) {
			*ret = at;
			return true;
		}
	return false;
}

/* The language that is asked for, else English, else the first. */
static bool language_find(const struct pe_image *im, uint32_t folder, uint32_t language,
			  uint32_t *ret)
{
	const struct wanted asked = {.number = language}, english = {.number = ENGLISH_US};
	struct pe_key k;
	if (language != ANY_LANGUAGE && entry_find(im, folder, &asked, ret))
		return true;
	return entry_find(im, folder, &english, ret) ||
	       pe_resource_entry(im, folder, 0, &k, ret) == 0;
}

static struct module *module_asked(uint64_t h)
{
	h &= ~UINT64_C(3); /* LoadLibraryEx as data */
	struct module *m = h ? module_of_handle(h) : process()->main;
	return m && !m->ours ? m : NULL;
}

/* Where the resource is told about in the image, which is its HRSRC; 0: none, with the last error.
 */
static uint64_t resource_find(uint64_t h, const wide *kind, const wide *name, uint32_t language)
{
	struct module *m = module_asked(h);
	struct wanted k = {0}, n = {0};
	struct pe_resource r;
	uint32_t at, error = ERROR_RESOURCE_DATA_NOT_FOUND;
	uint64_t found = 0;
	if (m && m->im.pe->dirs[PE_RESOURCE].rva && wanted_begin(&k, kind) &&
	    wanted_begin(&n, name)) {
		if (!entry_find(&m->im, 0, &k, &at))
			error = ERROR_RESOURCE_TYPE_NOT_FOUND;
		else if (!entry_find(&m->im, at, &n, &at))
			error = ERROR_RESOURCE_NAME_NOT_FOUND;
		else if (language_find(&m->im, at, language, &at) &&
			 pe_resource_data(&m->im, at, &r) == 0)
			found =
			    (uint64_t)(uintptr_t)m->im.at + m->im.pe->dirs[PE_RESOURCE].rva + at;
	}
	free(k.text);
	free(n.text);
	return found ? found : fail(error);
}

API(uint64_t, k32_FindResourceExW, uint64_t h, const wide *kind, const wide *name,
    uint16_t language)
{
	return resource_find(h, kind, name, language ? language : ANY_LANGUAGE);
}

API(uint64_t, k32_FindResourceW, uint64_t h, const wide *name, const wide *kind)
{
	return resource_find(h, kind, name, ANY_LANGUAGE);
}

static const wide *name_wide(const char *name, wide **ret_owned)
{
	*ret_owned = NULL;
	if ((uint64_t)(uintptr_t)name < 0x10000)
		return (const wide *)(const void *)name;
	return *ret_owned = text_wide(name, SIZE_MAX);
}

API(uint64_t, k32_FindResourceExA, uint64_t h, const char *kind, const char *name,
    uint16_t language)
{
	autofree wide *k = NULL, *n = NULL;
	const wide *kw = name_wide(kind, &k), *nw = name_wide(name, &n);
	return resource_find(h, kw, nw, language ? language : ANY_LANGUAGE);
}

API(uint64_t, k32_FindResourceA, uint64_t h, const char *name, const char *kind)
{
	return k32_FindResourceExA(h, kind, name, 0);
}

API(uint32_t, k32_SizeofResource, uint64_t h, uint64_t resource)
{
	(void)h;
	const uint8_t *d = (const uint8_t *)(uintptr_t)resource;
	return d ? le32_at(d + 4) : fail(ERROR_RESOURCE_DATA_NOT_FOUND);
}

API(uint64_t, k32_LoadResource, uint64_t h, uint64_t resource)
{
	struct module *m = module_asked(h);
	const uint8_t *d = (const uint8_t *)(uintptr_t)resource;
	if (!m || !d)
		return d ? fail(ERROR_RESOURCE_DATA_NOT_FOUND) : 0;
	return (uint64_t)(uintptr_t)m->im.at + le32_at(d);
}

API(uint64_t, k32_LockResource, uint64_t loaded) { return loaded; }
API(uint32_t, k32_FreeResource, uint64_t loaded)
{
	(void)loaded;
	return 0;
}

/* ---- lists ---- */

/* What the guest is told about an entry: its number, or its text, which is the callee's. */
static wide *key_text(const struct pe_key *k)
{
	wide *t = k->text ? malloc((k->units + 1) * sizeof *t) : NULL;
	for (uint32_t i = 0; t && i < k->units; i++)
		t[i] = le16_at(k->text + 2 * i);
	if (t)
		t[k->units] = 0;
	return t;
}

API(uint32_t, k32_EnumResourceNamesW, uint64_t h, const wide *kind, uint64_t fn, uint64_t arg)
{
	struct module *m = module_asked(h);
	struct wanted w = {0};
	struct pe_key k;
	uint32_t folder = 0, below, on = 1;
	bool there = m && m->im.pe->dirs[PE_RESOURCE].rva;
	bool found = there && wanted_begin(&w, kind) && entry_find(&m->im, 0, &w, &folder);
	free(w.text);
	if (!found)
		return fail(there ? ERROR_RESOURCE_TYPE_NOT_FOUND : ERROR_RESOURCE_DATA_NOT_FOUND);
	for (uint32_t i = 0; on && pe_resource_entry(&m->im, folder, i, &k, &below) == 0; i++) {
		autofree wide *t = key_text(&k);
		on = guest_call4(fn, h, (uint64_t)(uintptr_t)kind,
				 k.text ? (uint64_t)(uintptr_t)t : k.number, arg);
	}
	return on ? 1 : fail(ERROR_RESOURCE_ENUM_USER_STOP);
}

API(uint32_t, k32_EnumResourceTypesW, uint64_t h, uint64_t fn, uint64_t arg)
{
	struct module *m = module_asked(h);
	struct pe_key k;
	uint32_t below, on = 1;
	if (!m || !m->im.pe->dirs[PE_RESOURCE].rva)
		return fail(ERROR_RESOURCE_DATA_NOT_FOUND);
	for (uint32_t i = 0; on && pe_resource_entry(&m->im, 0, i, &k, &below) == 0; i++) {
		autofree wide *t = key_text(&k);
		on = guest_call4(fn, h, k.text ? (uint64_t)(uintptr_t)t : k.number, arg, 0);
	}
	return on ? 1 : fail(ERROR_RESOURCE_ENUM_USER_STOP);
}

/* ---- tables of texts: 16 in a block, each with its length before it ---- */

static const uint8_t *text_find(uint64_t h, uint32_t id, uint32_t *ret_units)
{
	const wide *block = (const wide *)(uintptr_t)((id & 0xffff) / TEXTS_OF_BLOCK + 1);
	const wide *kind = (const wide *)(uintptr_t)TEXTS;
	uint64_t r = resource_find(h, kind, block, ANY_LANGUAGE);
	const uint8_t *p = r ? (const uint8_t *)(uintptr_t)k32_LoadResource(h, r) : NULL;
	const uint8_t *end = p ? p + k32_SizeofResource(h, r) : NULL;
	for (uint32_t i = 0; p && end - p >= 2; i++) {
		uint32_t units = le16_at(p);
		if ((size_t)(end - p - 2) / 2 < units)
			break;
		if (i == id % TEXTS_OF_BLOCK) {
			*ret_units = units;
			return units ? p + 2 : NULL;
		}
		p += 2 + 2 * (size_t)units;
	}
	return NULL;
}

/* Without room, the place of the text itself is given. */
API(int32_t, ole_LoadStringW, uint64_t h, uint32_t id, wide *buf, int32_t n)
{
	uint32_t units = 0;
	const uint8_t *t = text_find(h, id, &units);
	if (!n && t)
		*(uint64_t *)(void *)buf = (uint64_t)(uintptr_t)t;
	if (n <= 0 || !t) {
		if (n > 0)
			*buf = 0;
		return t && !n ? (int32_t)units : 0;
	}
	uint32_t fits = units < (uint32_t)n - 1 ? units : (uint32_t)n - 1;
	memcpy(buf, t, fits * sizeof *buf);
	buf[fits] = 0;
	return (int32_t)fits;
}

API(int32_t, ole_LoadStringA, uint64_t h, uint32_t id, char *buf, int32_t n)
{
	uint32_t units = 0;
	const uint8_t *t = text_find(h, id, &units);
	if (n <= 0)
		return 0;
	autofree wide *w = t ? malloc((units + 1) * sizeof *w) : NULL;
	autofree char *whole = t ? malloc(3 * (size_t)units + 1) : NULL;
	if (w)
		memcpy(w, t, units * sizeof *w);
	size_t got = w && whole ? utf8_put(w, units, whole, 3 * (size_t)units, NULL) : 0;
	if (got > (size_t)n - 1) /* no part of a character */
		for (got = (size_t)n - 1; got && (whole[got] & 0xc0) == 0x80;)
			got--;
	if (got)
		memcpy(buf, whole, got);
	buf[got] = 0;
	return (int32_t)got;
}
