/* SPDX-License-Identifier: Apache-2.0 */
/* Programs of Windows: any bytes give an image whose parts are inside of it, or an error. */
#include "pe/pe.h"

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { IMAGE_MOST = 1 << 22 };

static void imports_walk(const struct pe_image *im, bool delayed)
{
	struct pe_imports w;
	struct pe_import i;
	unsigned n = 0;
	pe_imports_begin(&w, im, delayed);
	while (n < 10000 && pe_imports_library(&w, NULL) > 0)
		while (n++ < 10000 && pe_imports_next(&w, &i, NULL) > 0)
			le64_put(i.slot, le64_at(i.slot) + (i.name ? strlen(i.name) : i.ordinal));
}

static bool name_look(void *arg, const char *dll, const char *name)
{
	*(size_t *)arg += strlen(dll) + (name ? strlen(name) : 0);
	return true;
}

static void resources_walk(const struct pe_image *im, uint32_t folder, int depth, unsigned *n)
{
	struct pe_key k;
	struct pe_resource r;
	uint32_t below;
	for (uint32_t i = 0; *n < 10000 && pe_resource_entry(im, folder, i, &k, &below) == 0; i++) {
		++*n;
		for (uint32_t u = 0; k.text && u < k.units; u++)
			*n += le16_at(k.text + 2 * u) == 'x';
		if (depth < 2)
			resources_walk(im, below, depth + 1, n);
		else if (pe_resource_data(im, below, &r) == 0 && r.len)
			*n += im->at[r.rva + r.len - 1] == 'x';
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct pe p;
	struct pe_tls t;
	const char *forward = NULL;
	uint32_t rva;
	(void)pe_claims(data, len);
	if (pe_read(&p, data, len, NULL) < 0)
		return 0;
	(void)!pe_runnable(&p, NULL);
	(void)!pe_file_imports(&p, data, len, "crypt32.dll");
	size_t names = 0;
	(void)!pe_file_imports_all(&p, data, len, name_look, &names);
	if (p.size > IMAGE_MOST || !p.nsections || p.nsections > PE_SECTIONS_MAX)
		return 0;
	struct pe_image im = {.at = calloc(1, p.size), .size = p.size, .pe = &p};
	if (!im.at)
		return 0;
	pe_fill(&im, data, len);
	(void)!pe_relocate(&im, NULL);
	imports_walk(&im, false);
	imports_walk(&im, true);
	unsigned n = 0;
	resources_walk(&im, 0, 0, &n);
	if (pe_export(&im, "name", 0, &rva, &forward) == 0 && rva >= p.size)
		__builtin_trap();
	for (uint32_t i = 0; i < 20; i++)
		(void)!pe_export(&im, NULL, i, &rva, &forward);
	if (pe_tls(&im, &t, NULL) > 0) {
		*t.index = t.len ? t.data[t.len - 1] : 0;
		for (unsigned i = 0; i < 100 && pe_tls_callback(&im, &t, i); i++)
			continue;
	}
	for (uint32_t at = 0; at < p.size; at += 4096) {
		const struct pe_function *f = pe_function_at(&im, at);
		if (f && (at < f->begin || at >= f->end))
			__builtin_trap();
	}
	free(im.at);
	return 0;
}
