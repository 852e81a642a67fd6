/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors, indexes and manifests: OCI-Image 1.1 §descriptor, §image-index, §manifest; and
 * docker's of schema 2, which are the same by other names. */
#include "image/internal.h"
#include <stdio.h>

static const struct {
	const char *text;
	enum image_media media;
} medias[] = {
#define OCI    "application/vnd.oci.image."
#define DOCKER "application/vnd.docker."
    {OCI "index.v1+json", MEDIA_INDEX},
    {OCI "manifest.v1+json", MEDIA_MANIFEST},
    {OCI "config.v1+json", MEDIA_CONFIG},
    {OCI "layer.v1.tar", MEDIA_LAYER},
    {OCI "layer.v1.tar+gzip", MEDIA_LAYER},
    {OCI "layer.v1.tar+zstd", MEDIA_LAYER},
    {OCI "layer.nondistributable.v1.tar", MEDIA_LAYER},
    {OCI "layer.nondistributable.v1.tar+gzip", MEDIA_LAYER},
    {OCI "layer.nondistributable.v1.tar+zstd", MEDIA_LAYER},
    {DOCKER "distribution.manifest.list.v2+json", MEDIA_INDEX},
    {DOCKER "distribution.manifest.v2+json", MEDIA_MANIFEST},
    {DOCKER "container.image.v1+json", MEDIA_CONFIG},
    {DOCKER "image.rootfs.diff.tar", MEDIA_LAYER},
    {DOCKER "image.rootfs.diff.tar.gzip", MEDIA_LAYER},
    {DOCKER "image.rootfs.diff.tar.zstd", MEDIA_LAYER},
    {DOCKER "image.rootfs.foreign.diff.tar.gzip", MEDIA_LAYER},
#undef OCI
#undef DOCKER
};

static enum image_media media_of(const char *text)
{
	for (size_t i = 0; i < countof(medias); i++)
		if (!strcmp(medias[i].text, text))
			return medias[i].media;
	return MEDIA_OTHER;
}

static int platform_read(struct doc *d, struct json_object *o, struct platform *ret)
{
	static const struct {
		const char *key;
		size_t off;
	} parts[] = {{"os", offsetof(struct platform, os)},
		     {"architecture", offsetof(struct platform, arch)},
		     {"variant", offsetof(struct platform, variant)}};
	for (size_t i = 0; i < countof(parts); i++) {
		const char *text = "";
		int r = doc_text(d, o, parts[i].key, false, &text);
		if (r < 0)
			return r;
		if (strlen(text) >= sizeof ret->os)
			return doc_fail(d, parts[i].key, EINVAL, "is too long");
		strcpy((char *)ret + parts[i].off, text);
	}
	return 0;
}

static int desc_read(struct doc *d, struct json_object *o, struct image_desc *ret)
{
	struct json_object *platform = NULL, *notes = NULL;
	const char *media = "", *name = "";
	if (!json_object_is_type(o, json_type_object))
		return doc_fail(d, NULL, EINVAL, "is no object");
	int r = doc_text(d, o, "mediaType", false, &media);
	if (r >= 0)
		r = doc_digest(d, o, "digest", true, &ret->digest);
	if (r >= 0)
		r = doc_u64(d, o, "size", true, &ret->size);
	if (r >= 0)
		r = doc_get(d, o, "platform", json_type_object, false, &platform);
	if (r >= 0 && platform) {
		size_t at = doc_down(d, ".platform");
		r = platform_read(d, platform, &ret->platform);
		doc_up(d, at);
	}
	if (r >= 0)
		r = doc_get(d, o, "annotations", json_type_object, false, &notes);
	if (r >= 0 && notes) {
		size_t at = doc_down(d, ".annotations");
		r = doc_text(d, notes, "org.opencontainers.image.ref.name", false, &name);
		doc_up(d, at);
	}
	ret->media = media_of(media);
	if (strlen(name) < sizeof ret->name)
		strcpy(ret->name, name);
	return r < 0 ? r : 0;
}

/* The descriptors of an array. */
static int descs_read(struct doc *d, const char *key, size_t max, struct image_desc **ret,
		      size_t *ret_n)
{
	struct json_object *list = NULL;
	int r = doc_get(d, d->root, key, json_type_array, true, &list);
	if (r < 0)
		return r;
	size_t n = json_object_array_length(list);
	if (n > max)
		return doc_fail(d, key, EFBIG, "%zu items are more than %zu", n, max);
	struct image_desc *all = calloc(n + 1, sizeof *all);
	if (!all)
		return err_set(d->e, ENOMEM, "out of memory");
	for (size_t i = 0; r >= 0 && i < n; i++) {
		size_t at = doc_down(d, ".%s[%zu]", key, i);
		r = desc_read(d, json_object_array_get_idx(list, i), &all[i]);
		doc_up(d, at);
	}
	if (r < 0) {
		free(all);
		return r;
	}
	*ret = all;
	*ret_n = n;
	return 0;
}

static int version_check(struct doc *d)
{
	uint64_t version = 0;
	int r = doc_u64(d, d->root, "schemaVersion", true, &version);
	if (r >= 0 && version != 2)
		return doc_fail(d, "schemaVersion", ENOTSUP,
				"%llu is not 2, the only one that "
				"Lodge reads",
				(unsigned long long)version);
	return r;
}

enum image_media image_document(const void *text, size_t len)
{
	struct doc d;
	enum image_media media = MEDIA_OTHER;
	const char *said = "";
	if (doc_open(&d, "", text, len, NULL) == 0 &&
	    json_object_is_type(d.root, json_type_object)) {
		if (doc_text(&d, d.root, "mediaType", false, &said) > 0)
			media = media_of(said);
		if (media != MEDIA_INDEX && media != MEDIA_MANIFEST)
			media = json_object_object_get_ex(d.root, "manifests", NULL) ? MEDIA_INDEX
				: json_object_object_get_ex(d.root, "layers", NULL) ? MEDIA_MANIFEST
										    : MEDIA_OTHER;
	}
	doc_close(&d);
	return media;
}

int image_index_parse(struct image_index *ret, const char *what, const void *text, size_t len,
		      struct lodge_err *e)
{
	struct doc d;
	int r = doc_open(&d, what, text, len, e);
	if (r == 0)
		r = version_check(&d);
	if (r >= 0)
		r = descs_read(&d, "manifests", DOC_ITEMS, &ret->at, &ret->n);
	doc_close(&d);
	return r;
}

void image_index_fini(struct image_index *x)
{
	free(x->at);
	*x = (struct image_index){0};
}

/* What there is, for a message. */
static void index_list(const struct image_index *x, char *ret, size_t cap)
{
	ret[0] = 0;
	for (size_t i = 0; i < x->n; i++) {
		char text[100];
		size_t n = strlen(ret);
		if (!x->at[i].platform.arch[0] || !strcmp(x->at[i].platform.arch, "unknown"))
			continue;
		platform_print(&x->at[i].platform, text);
		snprintf(ret + n, cap - n, "%s%s", n ? ", " : "", text);
	}
	if (!*ret)
		snprintf(ret, cap, "nothing that names a platform");
}

int image_index_choose(const struct image_index *x, const char *what, const struct platform *want,
		       const struct image_desc **ret, struct lodge_err *e)
{
	const struct image_desc *best = NULL, *unsaid = NULL;
	int score = 0;
	for (size_t i = 0; i < x->n; i++) {
		const struct image_desc *d = &x->at[i];
		int s = platform_match(want, &d->platform);
		if (d->media != MEDIA_MANIFEST && d->media != MEDIA_INDEX)
			continue;
		if (!d->platform.os[0] && !d->platform.arch[0] && !unsaid)
			unsaid = d;
		if (s > score) {
			score = s;
			best = d;
		}
	}
	if (!best && x->n == 1)
		best = unsaid; /* its configuration says what it is for */
	if (!best) {
		char wanted[100], there[240];
		platform_print(want, wanted);
		index_list(x, there, sizeof there);
		return err_set(e, ENOENT, "%s: nothing for %s; it has %s (choose with --platform)",
			       what, wanted, there);
	}
	*ret = best;
	return 0;
}

int image_manifest_parse(struct image_manifest *ret, const char *what, const void *text, size_t len,
			 struct lodge_err *e)
{
	struct doc d;
	struct json_object *config = NULL;
	struct image_manifest m = {0};
	int r = doc_open(&d, what, text, len, e);
	if (r == 0)
		r = version_check(&d);
	if (r >= 0)
		r = doc_get(&d, d.root, "config", json_type_object, true, &config);
	if (r >= 0) {
		size_t at = doc_down(&d, ".config");
		r = desc_read(&d, config, &m.config);
		if (r == 0 && m.config.size > DOC_BYTES)
			r = doc_fail(&d, "size", EFBIG, "more than %u bytes", DOC_BYTES);
		if (r == 0 && m.config.media != MEDIA_CONFIG)
			r = doc_fail(&d, "mediaType", ENOTSUP,
				     "is not a container image's: this "
				     "is something else that lies in a registry");
		doc_up(&d, at);
	}
	if (r >= 0)
		r = descs_read(&d, "layers", IMAGE_LAYERS, &m.layers, &m.nlayers);
	for (size_t i = 0; r >= 0 && i < m.nlayers; i++) {
		if (m.layers[i].media != MEDIA_LAYER) {
			size_t at = doc_down(&d, ".layers[%zu]", i);
			r = doc_fail(&d, "mediaType", ENOTSUP,
				     "is no layer that Lodge reads (tar, "
				     "with gzip, zstd or no compression)");
			doc_up(&d, at);
		}
	}
	doc_close(&d);
	if (r < 0)
		image_manifest_fini(&m);
	else
		*ret = m;
	return r < 0 ? r : 0;
}

void image_manifest_fini(struct image_manifest *m)
{
	free(m->layers);
	*m = (struct image_manifest){0};
}
