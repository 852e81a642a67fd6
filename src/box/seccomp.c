/* SPDX-License-Identifier: Apache-2.0 */
/* libseccomp, loaded late. A static program, which cannot, has its own row of this name instead. */
#include "box/internal.h"

__asm__(HOST_LIBRARY(box_seccomp)
#include "box/seccomp.def"
        HOST_LIBRARY_END);
extern void *box_seccomp_at[];
extern const char box_seccomp_names[];
const struct host_library box_seccomp = {
	.file = "libseccomp.so.2",
	.package = "libseccomp2",
	.at = box_seccomp_at,
	.names = box_seccomp_names,
};
