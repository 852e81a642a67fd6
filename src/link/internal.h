/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of netlink(7), made and sent: what link's own files share. */
#pragma once
#include "host/host.h"
#include "link/link.h"
#include <linux/netlink.h>

/* Some messages that are sent together. Empty with a buffer, aligned to 8 bytes, and zeros. */
enum { MSG_BYTES = 1024, MSG_COUNT = 256 };
struct msgs {
	uint8_t *buf;                /* borrowed */
	size_t cap, len, at;         /* at: of the message that is being made */
	bool full;                   /* it did not fit: nothing is sent */
	unsigned n;                  /* how many: their sequence numbers are 1 to n */
	const char *what[MSG_COUNT]; /* for errors, static: what each makes; NULL: no answer */
};
#define MSGS(room) {.buf = (room), .cap = sizeof(room)}
/* A message with the family header @body. @what: for errors; NULL: it is not answered. */
void msg_begin(struct msgs *m, unsigned type, unsigned flags, const void *body, size_t len,
               const char *what);
void msg_put(struct msgs *m, unsigned type, const void *data, size_t len);
void msg_text(struct msgs *m, unsigned type, const char *text);
void msg_u32(struct msgs *m, unsigned type, uint32_t v);  /* as the host has it */
void msg_be32(struct msgs *m, unsigned type, uint32_t v); /* as nf_tables wants it */
size_t msg_nest(struct msgs *m, unsigned type);
void msg_body(struct msgs *m, const void *data, size_t len); /* in a nest, bare */
void msg_nest_end(struct msgs *m, size_t nest);
/* Send them and wait until each is acknowledged. The first error, as "WHAT: why". */
int msg_send(int s, struct msgs *m, struct lodge_err *e) MUST;
/* The same of one that asks: @fn gets each answer. */
int msg_ask(int s, struct msgs *m, void (*fn)(void *arg, struct nlmsghdr *h), void *arg,
            struct lodge_err *e) MUST;
int msg_socket(int *ret, int protocol, struct lodge_err *e) MUST;
