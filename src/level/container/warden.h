/* SPDX-License-Identifier: Apache-2.0 */
/* warden: a process that sees to it that nothing of a container stays when lodge was killed. */
#pragma once
#include "base/base.h"
#include <sys/types.h>

struct warden {
	int end;   /* -1: none */
	pid_t pid;
};
/* When this process ends without warden_end, the container @id of the runtime @program (its states
 * are in FOLDER/state) is killed and deleted, and @folder goes. @keep: a descriptor that it holds
 * until then. The caller has one thread. */
int warden_start(struct warden *ret, const char *program, const char *id, const char *folder,
                 int keep, struct lodge_err *e) MUST;
void warden_end(struct warden *w);
/* At once. */
void warden_clean(const char *program, const char *id, const char *folder);
