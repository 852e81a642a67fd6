/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz the documents of container images, their names, and what registries and logins say: the
 * first byte says which. */
#include "image/source.h"
#include <stdio.h>

static void fuzz_names(const char *text)
{
	struct image_ref r, again;
	struct platform p;
	struct digest d;
	char full[REF_TEXT], path[PLACE_PATH], value[64];
	if (ref_parse(&r, text, NULL) == 0) {
		ref_print(&r, full);
		assert(strlen(full) < REF_TEXT - 1);
		assert(!strstr(r.host, "..") && !strstr(r.name, ".."));
		assert(!strpbrk(full, " \n\t\\"));
		if (strlen(full) < REF_TEXT - 8) { /* what is printed means the same */
			assert(ref_parse(&again, full, NULL) == 0);
			assert(!strcmp(r.name, again.name) && !strcmp(r.tag, again.tag));
		}
	}
	if (place_path(text, path, NULL) == 0) {
		assert(path[0] != '/' && !strstr(path, "//"));
		for (const char *q = path; (q = strstr(q, "..")); q++)
			assert((q > path && q[-1] != '/') || (q[2] && q[2] != '/'));
	}
	if (platform_parse(&p, text, NULL) == 0)
		assert(p.arch[0]);
	if (digest_parse(&d, text, NULL) == 0)
		assert(!strchr(digest_hex(&d), '/'));
	file_name("/tmp", text, full);
	assert(ref_parse(&r, full, NULL) == 0);
	if (auth_param(text, "realm", value, sizeof value))
		assert(strlen(value) < sizeof value);
}

static void fuzz_documents(const char *text, size_t len)
{
	struct image_index x = {0};
	struct image_manifest m = {0};
	struct image_config c = {0};
	struct platform want;
	const struct image_desc *d;
	struct lodge_err e;
	(void)image_document(text, len);
	if (image_index_parse(&x, "x", text, len, &e) == 0) {
		assert(platform_parse(&want, "linux/amd64", NULL) == 0);
		if (image_index_choose(&x, "x", &want, &d, &e) == 0)
			assert(d->digest.text[0]);
		image_index_fini(&x);
	}
	if (image_manifest_parse(&m, "x", text, len, &e) == 0)
		image_manifest_fini(&m);
	if (image_config_parse(&c, "x", text, len, &e) == 0) {
		for (size_t i = 0; i < c.env.n; i++)
			assert(strchr(c.env.at[i], '='));
		image_config_fini(&c);
	}
	free(auth_search(text, len, "localhost:5000", "a/b"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len > 8192)
		return 0;
	autofree char *text = calloc(1, len + 1);
	if (!text)
		return 0;
	memcpy(text, data, len);
	if (len && text[0] == '{')
		fuzz_documents(text, len);
	else
		fuzz_names(text);
	return 0;
}
