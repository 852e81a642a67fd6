/* SPDX-License-Identifier: Apache-2.0 */
/* image: container images of the Open Container Initiative, and docker's: their names, the
 * documents that they are made of, where they come from, and the store in which they lie, unpacked
 * and ready to be the root of a guest. Everything from outside is checked here, once. */
#pragma once
#include "base/base.h"

/* ---- ref.c: names ---- */
/* [HOST[:PORT]/]NAME[:TAG][@DIGEST]. OCI-Dist 1.1 §2.2 */
enum { REF_HOST = 256, REF_NAME = 256, REF_TAG = 129, REF_TEXT = 800, DIGEST_TEXT = 140 };
/* "sha256:" or "sha512:" and hexadecimal digits, checked; "": none. */
struct digest {
	char text[DIGEST_TEXT];
};
struct image_ref {
	char host[REF_HOST]; /* with its port */
	char name[REF_NAME];
	char tag[REF_TAG];   /* "": none */
	struct digest digest;
};
/* A name without a host is one of this host, localhost's; without tag and digest the tag is
 * latest. */
int ref_parse(struct image_ref *ret, const char *text, struct lodge_err *e) MUST;
/* In full: HOST/NAME:TAG@DIGEST. */
void ref_print(const struct image_ref *r, char ret[REF_TEXT]);
/* Does a name begin with the host of a registry? */
bool ref_has_host(const char *text);

/* ---- digest.c ---- */
int digest_parse(struct digest *ret, const char *text, struct lodge_err *e) MUST;
bool digest_same(const struct digest *a, const struct digest *b);
const char *digest_hex(const struct digest *d); /* behind the colon */
/* A sum being made. Ended by digest_end or digest_drop; one that was not begun may be dropped. */
struct digest_sum {
	void *ctx;
	const char *alg;
};
/* @alg "sha256", "sha512", or a digest that begins so. Loads OpenSSL. */
int digest_begin(struct digest_sum *s, const char *alg, struct lodge_err *e) MUST;
void digest_add(struct digest_sum *s, const void *data, size_t len);
void digest_end(struct digest_sum *s, struct digest *ret);
void digest_drop(struct digest_sum *s);
int digest_of(struct digest *ret, const void *data, size_t len, struct lodge_err *e) MUST;

/* ---- platform.c ---- */
struct platform {
	char os[32], arch[32], variant[32];
};
/* "linux/riscv64", "linux/arm/v7", "riscv64". NULL: the host's. */
int platform_parse(struct platform *ret, const char *text, struct lodge_err *e) MUST;
void platform_print(const struct platform *p, char ret[100]);
/* How well an image for @has does where @want is wanted: 0 not at all, the more the better. */
int platform_match(const struct platform *want, const struct platform *has);

/* ---- manifest.c: what images are made of; OCI-Image 1.1 ---- */
struct image_texts {
	char **at; /* owned, as each is */
	size_t n;
};
void image_texts_fini(struct image_texts *t);

enum image_media { MEDIA_OTHER, MEDIA_INDEX, MEDIA_MANIFEST, MEDIA_CONFIG, MEDIA_LAYER };
struct image_desc { /* a descriptor: names one blob for certain */
	enum image_media media;
	struct digest digest;
	uint64_t size;
	struct platform platform; /* all "": not said */
	char name[REF_TEXT];      /* annotation org.opencontainers.image.ref.name; "": none */
};
enum { IMAGE_LAYERS = 256 };
struct image_manifest {
	struct image_desc config;
	struct image_desc *layers; /* owned; the lowest first */
	size_t nlayers;
};
struct image_index {
	struct image_desc *at; /* owned */
	size_t n;
};
/* What the document is: by its media type, else by its members. */
enum image_media image_document(const void *text, size_t len);
int image_index_parse(struct image_index *ret, const char *what, const void *text, size_t len,
                      struct lodge_err *e) MUST;
void image_index_fini(struct image_index *x);
/* The one for @want; ENOENT names what there is. */
int image_index_choose(const struct image_index *x, const char *what, const struct platform *want,
                       const struct image_desc **ret, struct lodge_err *e) MUST;
int image_manifest_parse(struct image_manifest *ret, const char *what, const void *text, size_t len,
                         struct lodge_err *e) MUST;
void image_manifest_fini(struct image_manifest *m);

/* ---- config.c: how an image wants to be run; OCI-Image 1.1 §config ---- */
struct image_health {
	struct image_texts test; /* docker's: "NONE", "CMD", "CMD-SHELL", ...; n 0: none */
	uint64_t interval_ns, timeout_ns, start_ns, retries;
};
struct image_config {
	struct platform platform;
	struct image_texts entrypoint, cmd, env, ports, volumes;
	struct image_texts labels; /* "key=value" */
	struct image_health health;
	char *cwd, *user, *stop_signal, *created; /* owned; NULL: not said */
	struct digest *diffs; /* owned: of each layer's tar; the lowest first */
	size_t ndiffs;
};
int image_config_parse(struct image_config *ret, const char *what, const void *text, size_t len,
                       struct lodge_err *e) MUST;
void image_config_fini(struct image_config *c);

/* ---- store.c: images on this host (docs/decisions/0025) ---- */
struct image_store;
/* Below the folder @path, which is made. */
int image_store_open(struct image_store **ret, const char *path, struct lodge_err *e) MUST;
void image_store_close(struct image_store *s); /* NULL is fine */

/* ---- pull.c ---- */
/* Zeroed is valid. */
struct image_pull {
	const char *platform;      /* "OS/ARCH[/VARIANT]"; NULL: the host's */
	const char *name;          /* what it shall be called here; NULL: as it is there */
	const char *registry;      /* "HOST[/NAME]" before names without a host; NULL: none */
	bool no_tls;               /* http, and certificates of anybody's */
	uint64_t max_unpacked;     /* bytes that a layer may unpack to; 0: the default */
	lodge_progress_fn *progress;
	void *user;                /* of progress */
};
/* Get the image @where: a name, "oci:PATH[:TAG]", "oci-archive:PATH[:TAG]",
 * "docker-archive:PATH[:TAG]", "docker://NAME" or a path. @ret_name: what it is called now.
 * @warning: what was left out, "": nothing. */
int image_pull(struct image_store *s, const char *where, const struct image_pull *how,
               char ret_name[REF_TEXT], char warning[256], struct lodge_err *e) MUST;

/* ---- pack.c, files.c: files as a tar, out of one folder and into another. Both may be somebody's
 * who changes them meanwhile. A folder is the / of its files, which no link leaves; or AT_FDCWD,
 * and they are the caller's own. To be called by a process of their own, without SIGPIPE; its
 * working directory changes. ---- */
struct files_pack {
	int root;         /* borrowed */
	const char *path; /* "X/.": what is in X */
	bool follow;      /* if it is a link: what it leads to */
	bool all;         /* attributes that give rights, too */
	int to;           /* borrowed: takes the tar */
};
/* Sockets are left out. EPIPE: nobody reads it. */
int files_pack(const struct files_pack *p, struct lodge_err *e) MUST;
enum files_owner { FILES_STORED, FILES_ROOT, FILES_OURS };
struct files_unpack {
	int root;         /* borrowed */
	const char *path; /* where the first entry goes, as docker cp has it */
	bool folder;      /* that has to be a folder, and takes all as it is called */
	bool privileged;  /* devices, and all attributes */
	enum files_owner owner; /* as in the tar, of root, of who asks */
	unsigned modes;   /* bits of modes that are given */
	int from;         /* borrowed: gives the tar, which may be compressed */
	/* out: */
	uint64_t bytes, devices, owners; /* of files; left out for want of privilege */
};
int files_unpack(struct files_unpack *u, struct lodge_err *e) MUST;

/* ---- list.c: what is in the store ---- */
struct json_object;
/* An array of {name, alias, digest, config, platform, size, created_ns}, by name; owned by the
 * caller. */
int image_list(struct image_store *s, struct json_object **ret, struct lodge_err *e) MUST;
/* An image by its name, by the end of its name if only one has it (app:v1 of HOST/x/app:v1), or by
 * the first digits (12 or more) of its digest. ENOENT, EEXIST: several have it. */
int image_find_name(struct image_store *s, const char *text, char ret_name[REF_TEXT],
                    struct lodge_err *e) MUST;
/* Its name goes, and all that no other image and no guest uses. *@ret_freed: bytes. */
int image_remove(struct image_store *s, const char *text, uint64_t *ret_freed,
                 struct lodge_err *e) MUST;

/* ---- root.c: the root of a guest ---- */
/* Make @folder (absolute; there already) ready for a root of the image @name, and say how the image
 * wants to be run. Until the folder is gone, or forgotten as @id, the image's layers stay. */
int image_root_make(struct image_store *s, const char *name, const char *id, const char *folder,
                    struct image_config *ret, struct lodge_err *e) MUST;
/* The same of a folder that is ready. */
int image_root_config(struct image_store *s, const char *folder, struct image_config *ret,
                      struct lodge_err *e) MUST;
/* Mount it on FOLDER/rootfs, in this process's mount namespace, which should be its own: overlayfs,
 * or, where the layers were unpacked without it, a copy. @durable: it is to be mounted again later,
 * with what was written; else that need not reach the disk. @layers: where the store's folder of
 * layers is mounted with other owners; NULL: it is as it is. */
int image_root_mount(struct image_store *s, const char *folder, const char *layers, bool durable,
                     struct lodge_err *e) MUST;
/* The folders of the layers of the image that @folder is a root of, highest first: descriptors,
 * owned by the caller. */
int image_root_below(struct image_store *s, const char *folder, int ret[IMAGE_LAYERS],
                     size_t *ret_n, struct lodge_err *e) MUST;
void image_root_forget(struct image_store *s, const char *id);
