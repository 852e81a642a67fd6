/* SPDX-License-Identifier: Apache-2.0 */
/* The store of images: a folder of plain files, each whole or absent at every instant
 * (docs/decisions/0025).
 *
 *   lock               shared while something is added or used, exclusive while things are removed
 *   blobs/ALG/HEX      what a digest names, checked
 *   partial/ALG-HEX    what there is of one so far; who writes it holds its lock
 *   layers/CHAIN/fs    a layer unpacked, "fs" over those of the layers below it; CHAIN/size
 *   layers/.new-...    one that is being unpacked
 *   names/KEY          an image: its record; KEY is made of its name
 *   guests/NAME        a link to the folder of a guest, where file "image" is its image's record
 */
#pragma once
#include "image/internal.h"
#include <sys/types.h>

struct image_store {
	char *path;           /* owned */
	int dir, lock;
	int blobs, partial, layers, names, guests; /* folders */
};

/* ---- store.c ---- */
/* What a file in names/ or in a guest's folder says. */
struct image_record {
	char name[REF_TEXT];  /* "": none */
	struct digest manifest, config;
	struct platform platform;
	uint64_t size, created_ns;
	struct image_texts chains; /* names of folders in layers/, the lowest first */
};
int record_load(struct image_record *ret, int dirfd, const char *file, struct lodge_err *e) MUST;
int record_save(const struct image_record *r, int dirfd, const char *file,
                struct lodge_err *e) MUST;
void record_fini(struct image_record *r);
/* Call @fn for each image that has a name; what is not 0 ends it and is returned. */
int store_each(struct image_store *s, int (*fn)(void *arg, const struct image_record *r), void *arg,
               struct lodge_err *e) MUST;
/* Where the record of the image @name is. */
void store_key(const char *name, char ret[40]);
int store_name_put(struct image_store *s, const struct image_record *r, struct lodge_err *e) MUST;
/* All of a small blob, checked again; malloc'ed, a zero byte behind it. */
int store_read(struct image_store *s, const struct digest *d, char **ret, size_t *ret_len,
               struct lodge_err *e) MUST;
/* LOCK_SH or LOCK_EX; @wait_ms for others. EBUSY. */
int store_lock(struct image_store *s, int how, unsigned wait_ms, struct lodge_err *e) MUST;
void store_unlock(struct image_store *s);

/* ---- blob.c: one blob on its way in; one thread ---- */
struct blob_in {
	struct image_store *store;
	struct digest digest;
	uint64_t size;        /* what it must be */
	uint64_t have;        /* what is there */
	int fd;
	struct digest_sum sum;
	struct lodge_err *e;  /* of blob_write */
};
void blob_path(const struct digest *d, char ret[DIGEST_TEXT]); /* below blobs/ */
bool blob_there(struct image_store *s, const struct digest *d);
int blob_open(struct image_store *s, const struct digest *d, struct lodge_err *e) MUST;
/* 1: it is there already, and nothing else is to be done. 0: begun; have bytes of it are left of
 * an earlier time. Waits for others who get the same one. */
int blob_begin(struct blob_in *b, struct image_store *s, const struct image_desc *d,
               struct lodge_err *e) MUST;
int blob_write(struct blob_in *b, const void *data, size_t len, struct lodge_err *e) MUST;
int blob_restart(struct blob_in *b, struct lodge_err *e) MUST;
/* Check it and give it its name; one that is wrong is thrown away. */
int blob_end(struct blob_in *b, struct lodge_err *e) MUST;
void blob_drop(struct blob_in *b); /* what is there stays for the next time */

/* ---- sweep.c ---- */
/* Remove what no image and no guest uses; the store is locked exclusively. */
int store_sweep(struct image_store *s, struct lodge_err *e) MUST;
