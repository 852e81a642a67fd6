/* SPDX-License-Identifier: Apache-2.0 */
/* libzstd: loaded when it is first wanted. */
#include "blk/internal.h"

__asm__(HOST_LIBRARY(blk_zstd)
#include "blk/zstd.def"
        HOST_LIBRARY_END);
extern void *blk_zstd_at[];
extern const char blk_zstd_names[];

const struct host_library blk_zstd = {
	.file = "libzstd.so.1",
	.package = "libzstd1",
	.at = blk_zstd_at,
	.names = blk_zstd_names,
};
HOST_LIBRARY_LISTED(blk_zstd);
