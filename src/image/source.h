/* SPDX-License-Identifier: Apache-2.0 */
/* Where images come from. A source gives documents and blobs by descriptor; that they are what the
 * descriptor says is looked at by those who ask. */
#pragma once
#include "image/layer.h"

/* Shared by the threads of one pull. */
struct fetch {
	const struct image_pull *how;  /* borrowed */
	struct image_store *store;     /* borrowed */
	struct platform platform;      /* wanted */
	_Atomic uint64_t done;         /* bytes of layers that came */
	_Atomic bool stop;             /* the user has enough, or another thread failed */
};

struct source {
	const struct source_class *class;
	struct fetch *f;               /* borrowed */
	char what[REF_TEXT + 64];      /* for messages: an address or a path */
	char name[REF_TEXT];           /* what the image is called there, in full; "": nothing */
};

struct source_class {
	const char *name, *summary;
	/* How sure it is that @where is one of its own: 0 not at all. */
	int (*claims)(const char *where);
	int (*open)(struct source **ret, struct fetch *f, const char *where, struct lodge_err *e);
	void (*close)(struct source *s);
	/* The document by which the image is found: malloc'ed. It may also fill name. */
	int (*top)(struct source *s, char **ret, size_t *ret_len, struct lodge_err *e);
	/* A manifest or index; malloc'ed. */
	int (*document)(struct source *s, const struct image_desc *d, char **ret, size_t *ret_len,
	                struct lodge_err *e);
	/* All of @b, from where it is. Any thread. */
	int (*blob)(struct source *s, struct blob_in *b, struct lodge_err *e);
};
/* The one for @where, opened. */
int source_open(struct source **ret, struct fetch *f, const char *where, struct lodge_err *e) MUST;
void source_close(struct source *s);

/* pull.c: is the document what its descriptor says? EMSGSIZE, EBADMSG. */
int document_check(const struct image_desc *d, const char *text, size_t len,
                   struct lodge_err *e) MUST;

/* ---- file.c: what lies in files of this host ---- */
/* The rest of @b from @fd. */
int file_feed(struct fetch *f, int fd, struct blob_in *b, struct lodge_err *e) MUST;
/* "PREFIX:PATH[:TAG]" or a path, in two; @ret_tag "": none. Both malloc'ed. */
int file_where(const char *where, const char *prefix, char **ret_path, char **ret_tag,
               struct lodge_err *e) MUST;
/* A name for what is only known as a path. */
void file_name(const char *path, const char *tag, char ret[REF_TEXT]);
/* The one of index.json that @tag ("": the only one) says, alone in an index of its own text. */
int layout_choose(struct source *s, const char *path, const char *tag, const char *text, size_t len,
                  char **ret, size_t *ret_len, struct lodge_err *e) MUST;

/* ---- auth.c: who we are to a registry ---- */
/* "USER:PASSWORD" for @host and @name; NULL: nobody. malloc'ed. */
char *auth_find(const char *host, const char *name);
char *auth_base64(const char *text);
/* The value of @key in a header like: Bearer realm="...",service="...". False: it has none. */
bool auth_param(const char *header, const char *key, char *ret, size_t cap);
/* From the text of an auth.json; for tests too. */
char *auth_search(const char *text, size_t len, const char *host, const char *name);
