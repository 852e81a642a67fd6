/* SPDX-License-Identifier: Apache-2.0 */
/* users: who is who in a container that root runs with --userns, --uidmap or --gidmap: the
 * namespace, and the ids of this host that nobody else's container has. */
#pragma once
#include "base/base.h"

struct users {
	int space;           /* a user namespace that nobody is in; -1: none is wanted */
	uint32_t ids;        /* it has from 0 on */
	uint32_t uid, gid;   /* of this host: who root in it is */
};
#define USERS_NONE {.space = -1, .ids = UINT32_MAX}
struct users_ask {
	const char *all;     /* the folder of containers, as for whom ids are taken */
	const char *id;      /* of the container: a folder in it that is locked */
	const char *home;    /* of one that is kept: it has the same ids again; NULL: none */
};
/* EPERM: only root may ask for more than "host". */
int users_make(struct users *ret, const struct lodge_config *c, const struct users_ask *q,
               struct lodge_err *e) MUST;
/* Mount the folder @from on @to, in this process's mount namespace, with owners as the namespace
 * has them (mount_setattr(2): Linux 5.12, and 5.19 below overlayfs). */
int users_mount(const struct users *u, const char *from, const char *to, struct lodge_err *e) MUST;
void users_end(struct users *u);
