/* SPDX-License-Identifier: Apache-2.0 */
/* libslirp: loaded when it is first wanted. */
#include "net/internal.h"

__asm__(HOST_LIBRARY(net_slirp)
#include "net/slirp.def"
        HOST_LIBRARY_END);
extern void *net_slirp_at[];
extern const char net_slirp_names[];

const struct host_library net_slirp = {
	.file = "libslirp.so.0",
	.package = "libslirp0",
	.at = net_slirp_at,
	.names = net_slirp_names,
};
HOST_LIBRARY_LISTED(net_slirp);
