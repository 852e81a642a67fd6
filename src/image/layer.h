/* SPDX-License-Identifier: Apache-2.0 */
/* Layers: tar files from anywhere, made into folders; and what the folders become together. */
#pragma once
#include "image/store.h"
#include <sys/stat.h>

/* ---- tar.c: a tar, perhaps compressed, read entry by entry ---- */
struct tar;
struct archive_entry;
enum {
	TAR_ANY = 1 << 0,    /* bzip2 and xz too: what people archive images with */
	TAR_STREAM = 1 << 1, /* it cannot be read twice */
};
/* More data than that is refused: a small file that is made to fill the disk. */
enum { TAR_GIB = 64 }; /* of data, by default */
struct tar_limits {
	uint64_t bytes;   /* of the tar, and of what its files claim to be; 0: the default */
	uint64_t ratio;   /* times what is read of it, beyond the first 64 MiB; 0: the default */
	uint64_t entries; /* 0: the default */
};
/* @fd is borrowed and read from its beginning, a stream from where it is. @sum (NULL: none) is made
 * of the bare tar. */
int tar_open(struct tar **ret, int fd, unsigned flags, const struct tar_limits *l,
             struct digest_sum *sum, struct lodge_err *e) MUST;
void tar_close(struct tar *t);
/* 1: the next entry, valid until the one after; 0: the end, after all of @fd was read. */
int tar_next(struct tar *t, struct archive_entry **ret, struct lodge_err *e) MUST;
/* 1: a piece of the entry's data for @ret_off; 0: there is no more. */
int tar_data(struct tar *t, const void **ret, size_t *ret_len, uint64_t *ret_off,
             struct lodge_err *e) MUST;
uint64_t tar_done(const struct tar *t); /* bytes of @fd that were read */

/* ---- place.c: names below a folder, whatever lies there ---- */
/* "./a//b/" as "a/b", "/" as "". Refused: "..", too long, too deep, a zero byte. */
enum { PLACE_PATH = 4096, PLACE_DEPTH = 200 };
int place_path(const char *path, char ret[PLACE_PATH], struct lodge_err *e) MUST;
/* The folder @path below @root, by links that stay below it only. */
enum {
	PLACE_MAKE = 1 << 0,   /* it and its parents */
	PLACE_MOUNTS = 1 << 1, /* other file systems may be mounted below @root */
};
int place_folder(int root, const char *path, unsigned flags, struct lodge_err *e) MUST;
/* As open, of what @path is to somebody whose / is the folder @root, whoever changes it meanwhile:
 * no link and no ".." leads out of it. AT_FDCWD: to us. A descriptor, or -errno. */
int place_open(int root, const char *path, int flags) MUST;

/* ---- layer.c ---- */
/* A tar of files, which comes to a folder that others may change meanwhile: names that would take
 * something away from lower layers are names like others, and all is done by descriptors. */
struct layer_files {
	/* At the first entry: where do all go? *@ret_top: what their first name becomes, at most
	 * NAME_MAX bytes, "": it stays. Of entries below ".": what comes before their names. The
	 * descriptor of the folder, owned by the caller. */
	int (*place)(void *arg, bool folder, char ret_top[256], struct lodge_err *e);
	void *arg;
	enum files_owner owner;
	mode_t modes; /* bits that are given */
};
struct layer_job {
	int blob;                  /* borrowed */
	const struct digest *diff; /* what the bare tar must be; NULL: whatever it is */
	int root;                  /* borrowed: the folder, with what lower layers have in it */
	bool first;                /* nothing is below */
	bool privileged;           /* owners and devices as stored */
	struct tar_limits limits;
	const struct layer_files *files; /* NULL; else it is no layer, but files */
	/* non-zero ends the work; @done of the blob's bytes */
	int (*progress)(void *arg, uint64_t done);
	void *arg;
	/* out: */
	uint64_t bytes;            /* of files */
	uint64_t devices, owners;  /* that were left out, for want of privilege */
};
/* The working directory changes. */
int layer_apply(struct layer_job *j, struct lodge_err *e) MUST;

/* ---- copy.c ---- */
/* All below @from into the folder @to, owners and all, blocks shared where the file system can. */
int tree_copy(int from, int to, bool privileged, struct lodge_err *e) MUST;

/* ---- overlay.c: folders of layers seen as one ---- */
/* Is this process the root of the host, and not of a user namespace only? */
bool overlay_privileged(void);
/* What takes the writes. @durable: it is to be mounted again with what was written; else that need
 * not reach the disk. */
struct overlay_top {
	const char *upper, *work;
	bool durable;
};
/* Mount on @target the layers' folders @lower (names in the folder @at, the lowest first) below
 * @top (NULL: only to be read). All of this process's mount namespace, @at too. */
int overlay_mount(int at, const char *target, const char *const *lower, size_t n,
                  const struct overlay_top *top, struct lodge_err *e) MUST;

/* ---- unpack.c ---- */
struct unpack {
	struct image_store *store;
	const struct image_manifest *manifest;
	const struct image_config *config;
	struct tar_limits limits;
	lodge_progress_fn *progress;
	void *user;
	/* out: */
	struct image_texts chains;
	uint64_t bytes, devices, owners;
};
/* Every layer of the image as a folder of the store, by a process of its own. */
int unpack_run(struct unpack *u, struct lodge_err *e) MUST;
void unpack_fini(struct unpack *u);
/* root.c: it holds all that is below it as well, since overlayfs was not to be had. */
bool layer_flat(struct image_store *s, const char *chain);
uint64_t layer_bytes(struct image_store *s, const char *chain); /* 0 also: unknown */
