/* SPDX-License-Identifier: Apache-2.0 */
/* libmicrohttpd: loaded when it is first wanted. */
#include "life/internal.h"

__asm__(HOST_LIBRARY(life_microhttpd)
#include "life/microhttpd.def"
        HOST_LIBRARY_END);
extern void *life_microhttpd_at[];
extern const char life_microhttpd_names[];

const struct host_library life_microhttpd = {
	.file = "libmicrohttpd.so.12",
	.package = "libmicrohttpd12",
	.at = life_microhttpd_at,
	.names = life_microhttpd_names,
};
HOST_LIBRARY_LISTED(life_microhttpd);
