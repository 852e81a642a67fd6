/* SPDX-License-Identifier: Apache-2.0 */
/* libseccomp is linked in: in the place of src/box/seccomp.c, which would load it. */
#include "host/host.h"

static void *there[] = {there};
extern const struct host_library box_seccomp;
const struct host_library box_seccomp = {.at = there};
