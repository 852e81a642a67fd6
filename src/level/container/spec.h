/* SPDX-License-Identifier: Apache-2.0 */
/* spec: from what an image says of itself and what the user asks for to config.json. */
#pragma once
#include "image/image.h"

struct spec_wants {
	const struct image_config *image; /* NULL: a root that says nothing */
	const struct lodge_config *c;
	const char *id;     /* of its control groups */
	const char *host;   /* its name, unless an option says another */
	const char *root;   /* the root's path, absolute */
	const char *netns;  /* path of its network namespace; "": a new one; NULL: the host's */
	const char *files;  /* folder with hosts, hostname and resolv.conf for it */
	bool mapped;        /* in a user namespace */
	uint32_t ids;       /* of users and groups, from 0 on; UINT32_MAX: all */
	uint32_t uid, gid;  /* with users: who root is, outside */
	int users;          /* of that namespace, if the runtime is to join it; -1 */
	bool terminal;
};
/* The text of config.json, malloc'ed. @w->root is mounted. EINVAL: an option is wrong; ENOENT:
 * there is no such user, or nothing to run. */
int spec_make(char **ret, const struct spec_wants *w, struct lodge_err *e) MUST;
enum { CONTAINER_PIDS = 2048 }; /* how many it may have, unless an option says it */
/* "USER[:GROUP]" by the passwd and group of @root; @ids as above. ENOENT, EPERM. */
int spec_user(const char *root, const char *text, uint32_t ids, unsigned *ret_uid,
              unsigned *ret_gid,
              struct lodge_err *e) MUST;
/* The value of "key=value" of the level's options; NULL: not given. @at: the i-th of several. */
const char *spec_option(const struct lodge_config *c, const char *key, size_t at);

/* ---- for those that add to it: wishes.c, profile.c ---- */
/* What the options of @w->c that docker has, too, add to @spec. EINVAL, EPERM, ENODEV, ENOENT. */
int spec_wishes(const struct spec_wants *w, struct json_object *spec, struct lodge_err *e) MUST;
/* Lines of /etc/hosts, and an own resolv.conf (*@ret NULL: none is wanted); malloc'ed. EINVAL. */
int spec_hosts(char **ret, const struct lodge_config *c, struct lodge_err *e) MUST;
int spec_resolvers(char **ret, const struct lodge_config *c, struct lodge_err *e) MUST;
/* linux.seccomp of the profile in the file @path, docker's form or OCI's, for a program with the
 * capabilities of @process. Owned. EINVAL: it is none. */
int spec_profile(struct json_object **ret, const char *path, struct json_object *process,
                 struct lodge_err *e) MUST;
struct json_object *spec_words(const char *text); /* an array of them */
/* One more mount in the array @a, whose it is. @options: words. */
struct json_object *spec_mount_add(struct json_object *a, const char *to, const char *type,
				   const char *from, const char *options);
