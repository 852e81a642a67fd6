/* SPDX-License-Identifier: Apache-2.0 */
/* libfuse: loaded when it is first wanted. */
#include "share/internal.h"

__asm__(HOST_LIBRARY(share_fuse)
#include "share/fuse.def"
        HOST_LIBRARY_END);
extern void *share_fuse_at[];
extern const char share_fuse_names[];

const struct host_library share_fuse = {
	.file = "libfuse3.so.3",
	.package = "libfuse3-3",
	.at = share_fuse_at,
	.names = share_fuse_names,
};
HOST_LIBRARY_LISTED(share_fuse);
