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
/* Limits of @c as config.json has them under linux.resources; @all: also those that it has not,
 * as -1. Owned by the caller. */
struct json_object *spec_resources(const struct lodge_config *c, bool all);
/* "USER[:GROUP]" by the passwd and group of @root; @ids as above. ENOENT, EPERM. */
int spec_user(const char *root, const char *text, uint32_t ids, unsigned *ret_uid,
              unsigned *ret_gid,
              struct lodge_err *e) MUST;
/* The value of "key=value" of the level's options; NULL: not given. @at: the i-th of several. */
const char *spec_option(const struct lodge_config *c, const char *key, size_t at);
