/* SPDX-License-Identifier: Apache-2.0 */
/* image: what its own files share. */
#pragma once
#include "host/host.h"
#include "image/image.h"
#include <json-c/json.h>

/* ---- library.c: loaded late ---- */
extern const struct host_library image_crypto, image_curl, image_archive;

/* ---- doc.c: a JSON document from outside ---- */
/* Where in it we are, for messages: "WHAT: $.layers[2].size: ...". */
struct doc {
	const char *what; /* borrowed: file or address */
	struct json_object *root;
	size_t len;
	char path[200];
	struct lodge_err *e;
};
enum { DOC_DEPTH = 32, DOC_BYTES = 4 << 20, DOC_ITEMS = 4096, DOC_TEXT = 1 << 16 };
/* The root must be an object. To be closed also on failure. */
int doc_open(struct doc *d, const char *what, const void *text, size_t len,
             struct lodge_err *e) MUST;
void doc_close(struct doc *d);
/* A member deeper; returns what doc_up wants. */
size_t doc_down(struct doc *d, const char *fmt, ...) PRINTF(2, 3);
void doc_up(struct doc *d, size_t len);
/* "what: $.path.key: ..."; @key NULL: the place itself. Returns -@code. */
int doc_fail(const struct doc *d, const char *key, int code, const char *fmt, ...) PRINTF(4, 5);
/* 1 found, 0 absent (or null), or an error: of another type, or @need and absent. */
int doc_get(const struct doc *d, struct json_object *o, const char *key, enum json_type type,
            bool need, struct json_object **ret) MUST;
/* The same; *@ret is borrowed from the document, and untouched when absent. */
int doc_text(const struct doc *d, struct json_object *o, const char *key, bool need,
             const char **ret) MUST;
int doc_u64(const struct doc *d, struct json_object *o, const char *key, bool need,
            uint64_t *ret) MUST;
/* An array of texts, copied. */
int doc_texts(struct doc *d, struct json_object *o, const char *key, struct image_texts *ret) MUST;
/* An object's keys ({"80/tcp": {}}), or with @values "key=value" of texts, copied. */
int doc_keys(struct doc *d, struct json_object *o, const char *key, bool values,
             struct image_texts *ret) MUST;
int doc_digest(const struct doc *d, struct json_object *o, const char *key, bool need,
               struct digest *ret) MUST;
int texts_add(struct image_texts *t, const char *text) MUST;
