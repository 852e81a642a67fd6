/* SPDX-License-Identifier: Apache-2.0 */
/* uplink: the user network of a container: a tap in a network namespace of its own, and a process
 * outside it that carries what comes out to libslirp (net, kind user). */
#pragma once
#include "base/base.h"
#include <sys/types.h>

struct uplink {
	int space;   /* the network namespace; -1: none */
	pid_t pid;   /* who carries; 0: nobody */
};
#define UPLINK_NONE ((struct uplink){.space = -1})
/* Make the namespace, as one of the user namespace @users (-1: the caller's); with @user, also a
 * tap that is up (10.0.2.15/24, to 10.0.2.2) and the process behind it, with the ports of @publish.
 * The caller has one thread. */
int uplink_make(struct uplink *ret, int users, bool user, const char *const *publish, size_t n,
              struct lodge_err *e) MUST;
void uplink_end(struct uplink *w); /* zeroed is not fine: UPLINK_NONE is */
