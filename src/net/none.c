/* SPDX-License-Identifier: Apache-2.0 */
/* A network card without a cable: the link is down, nothing comes, what is sent is lost. */
#include "internal.h"

static int none_open(struct net *n, const struct net_options *o, struct lodge_err *e)
{
	(void)n, (void)o, (void)e;
	return 0;
}

static void none_close(struct net *n) { (void)n; }

static void none_send(struct net *n, const struct net_meta *meta, uint8_t *frame, size_t len)
{
	(void)n, (void)meta, (void)frame, (void)len;
}

const struct net_class net_none = {
	.name = "none", .summary = "a cable that is not plugged in", .size = sizeof(struct net),
	.mtu = 1500, .open = none_open, .close = none_close, .send = none_send,
};
