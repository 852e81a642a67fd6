/* SPDX-License-Identifier: Apache-2.0 */
/* What nf_tables does for one address: it speaks to the world as the host, and ports of the host
 * lead to it. Linux include/uapi/linux/netfilter/nf_tables.h */
#include "link/internal.h"
#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>

enum { TABLE_OWNED = 2 }; /* NFT_TABLE_F_OWNER; the headers of Debian 12 may lack it */
enum { RULES_BYTES = 96 << 10 }; /* NAT_PORTS of them fit */
enum { SOURCE = 12, TARGET = 16, TARGET_PORT = 2 }; /* where IPv4, TCP and UDP have them */

struct rules {
	const struct nat_want *w;
	struct msgs m;
	_Alignas(8) uint8_t room[RULES_BYTES];
};

static void table_message(struct rules *t, unsigned kind, unsigned flags, const char *what)
{
	const struct nfgenmsg g = {.nfgen_family = NFPROTO_IPV4, .version = NFNETLINK_V0};
	msg_begin(&t->m, NFNL_SUBSYS_NFTABLES << 8 | kind, flags, &g, sizeof g, what);
}

static void batch(struct rules *t, unsigned kind)
{
	const struct nfgenmsg g = {.version = NFNETLINK_V0, .res_id = htons(NFNL_SUBSYS_NFTABLES)};
	msg_begin(&t->m, kind, 0, &g, sizeof g, NULL);
}

/* ---- tables and chains ---- */

static void table_new(struct rules *t)
{
	table_message(t, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL,
	              "a table of nf_tables that goes with its owner (Linux 5.12, "
	              "CONFIG_NF_TABLES_IPV4)");
	msg_text(&t->m, NFTA_TABLE_NAME, t->w->table);
	msg_be32(&t->m, NFTA_TABLE_FLAGS, TABLE_OWNED);
}

static void chain_new(struct rules *t, const char *name, const char *type, unsigned hook,
                      int priority)
{
	table_message(t, NFT_MSG_NEWCHAIN, NLM_F_CREATE | NLM_F_EXCL,
	              !strcmp(type, "nat") ? "a chain of nf_tables (CONFIG_NFT_NAT)"
	                                   : "a chain of nf_tables");
	msg_text(&t->m, NFTA_CHAIN_TABLE, t->w->table);
	msg_text(&t->m, NFTA_CHAIN_NAME, name);
	size_t at = msg_nest(&t->m, NFTA_CHAIN_HOOK);
	msg_be32(&t->m, NFTA_HOOK_HOOKNUM, hook);
	msg_be32(&t->m, NFTA_HOOK_PRIORITY, (uint32_t)priority);
	msg_nest_end(&t->m, at);
	msg_text(&t->m, NFTA_CHAIN_TYPE, type);
}

/* ---- rules: expressions, each of which goes on to the next or ends the rule ---- */

static size_t rule_begin(struct rules *t, const char *chain, const char *what)
{
	table_message(t, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, what);
	msg_text(&t->m, NFTA_RULE_TABLE, t->w->table);
	msg_text(&t->m, NFTA_RULE_CHAIN, chain);
	return msg_nest(&t->m, NFTA_RULE_EXPRESSIONS);
}

struct part {
	size_t element, data;
};

static struct part part_begin(struct msgs *m, const char *name)
{
	struct part p = {.element = msg_nest(m, NFTA_LIST_ELEM)};
	msg_text(m, NFTA_EXPR_NAME, name);
	p.data = msg_nest(m, NFTA_EXPR_DATA);
	return p;
}

static void part_end(struct msgs *m, struct part p)
{
	msg_nest_end(m, p.data);
	msg_nest_end(m, p.element);
}

static void value(struct msgs *m, unsigned type, const void *data, size_t len)
{
	size_t at = msg_nest(m, type);
	msg_put(m, NFTA_DATA_VALUE, data, len);
	msg_nest_end(m, at);
}

static void compare(struct msgs *m, unsigned op, const void *data, size_t len)
{
	struct part p = part_begin(m, "cmp");
	msg_be32(m, NFTA_CMP_SREG, NFT_REG_1);
	msg_be32(m, NFTA_CMP_OP, op);
	value(m, NFTA_CMP_DATA, data, len);
	part_end(m, p);
}

static void mask(struct msgs *m, uint32_t bits)
{
	const uint32_t none = 0;
	struct part p = part_begin(m, "bitwise");
	msg_be32(m, NFTA_BITWISE_SREG, NFT_REG_1);
	msg_be32(m, NFTA_BITWISE_DREG, NFT_REG_1);
	msg_be32(m, NFTA_BITWISE_LEN, sizeof bits);
	value(m, NFTA_BITWISE_MASK, &bits, sizeof bits);
	value(m, NFTA_BITWISE_XOR, &none, sizeof none);
	part_end(m, p);
}

static void payload(struct msgs *m, unsigned base, unsigned off, unsigned len)
{
	struct part p = part_begin(m, "payload");
	msg_be32(m, NFTA_PAYLOAD_DREG, NFT_REG_1);
	msg_be32(m, NFTA_PAYLOAD_BASE, base);
	msg_be32(m, NFTA_PAYLOAD_OFFSET, off);
	msg_be32(m, NFTA_PAYLOAD_LEN, len);
	part_end(m, p);
}

/* The address at @off is in the network. */
static void address_in(struct msgs *m, unsigned off, uint32_t net, unsigned prefix)
{
	uint32_t v = htonl(net);
	payload(m, NFT_PAYLOAD_NETWORK_HEADER, off, sizeof v);
	if (prefix < 32)
		mask(m, htonl(link_mask(prefix)));
	compare(m, NFT_CMP_EQ, &v, sizeof v);
}

static void meta(struct msgs *m, unsigned key)
{
	struct part p = part_begin(m, "meta");
	msg_be32(m, NFTA_META_DREG, NFT_REG_1);
	msg_be32(m, NFTA_META_KEY, key);
	part_end(m, p);
}

static void interface(struct msgs *m, unsigned key, unsigned op, const char *name)
{
	char text[IFNAMSIZ] = "";
	snprintf(text, sizeof text, "%s", name);
	meta(m, key);
	compare(m, op, text, sizeof text);
}

/* It goes to an address of this host. */
static void to_host(struct msgs *m)
{
	enum { LOCAL = 2 }; /* RTN_LOCAL */
	uint32_t local = LOCAL;
	struct part p = part_begin(m, "fib");
	msg_be32(m, NFTA_FIB_DREG, NFT_REG_1);
	msg_be32(m, NFTA_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
	msg_be32(m, NFTA_FIB_FLAGS, NFTA_FIB_F_DADDR);
	part_end(m, p);
	compare(m, NFT_CMP_EQ, &local, sizeof local);
}

/* Its connection was passed on by a rule of to_port. */
static void passed_on(struct msgs *m)
{
	const uint32_t bit = IPS_DST_NAT, none = 0;
	struct part p = part_begin(m, "ct");
	msg_be32(m, NFTA_CT_DREG, NFT_REG_1);
	msg_be32(m, NFTA_CT_KEY, NFT_CT_STATUS);
	part_end(m, p);
	mask(m, bit);
	compare(m, NFT_CMP_NEQ, &none, sizeof none);
}

static void load(struct msgs *m, unsigned into, const void *data, size_t len)
{
	struct part p = part_begin(m, "immediate");
	msg_be32(m, NFTA_IMMEDIATE_DREG, into);
	value(m, NFTA_IMMEDIATE_DATA, data, len);
	part_end(m, p);
}

static void verdict(struct msgs *m, uint32_t code)
{
	struct part p = part_begin(m, "immediate");
	msg_be32(m, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
	size_t data = msg_nest(m, NFTA_IMMEDIATE_DATA), v = msg_nest(m, NFTA_DATA_VERDICT);
	msg_be32(m, NFTA_VERDICT_CODE, code);
	msg_nest_end(m, v);
	msg_nest_end(m, data);
	part_end(m, p);
}

static void masquerade(struct msgs *m)
{
	part_end(m, part_begin(m, "masq"));
}

/* ---- the rules ---- */

/* Loopback addresses of the host are reached from here by nobody but the host: the bridge lets them
 * pass (route_localnet), for answers to what came from them. */
static void rules_guard(struct rules *t)
{
	size_t r = rule_begin(t, "guard", "a rule of nf_tables");
	interface(&t->m, NFT_META_IIFNAME, NFT_CMP_EQ, t->w->bridge);
	address_in(&t->m, TARGET, INADDR_LOOPBACK & 0xff000000, 8);
	verdict(&t->m, NF_DROP);
	msg_nest_end(&t->m, r);
}

static const char masquerading[] = "a rule of nf_tables that masquerades (CONFIG_NFT_MASQ)";

static void rules_leaving(struct rules *t)
{
	const struct nat_want *w = t->w;
	size_t r = rule_begin(t, "leaving", masquerading);
	address_in(&t->m, SOURCE, w->address, 32);
	interface(&t->m, NFT_META_OIFNAME, NFT_CMP_NEQ, w->bridge);
	masquerade(&t->m);
	msg_nest_end(&t->m, r);
	/* from the host's loopback, and from beside it through the host: answers come back here */
	r = rule_begin(t, "leaving", masquerading);
	address_in(&t->m, TARGET, w->address, 32);
	address_in(&t->m, SOURCE, INADDR_LOOPBACK & 0xff000000, 8);
	masquerade(&t->m);
	msg_nest_end(&t->m, r);
	r = rule_begin(t, "leaving", masquerading);
	address_in(&t->m, TARGET, w->address, 32);
	address_in(&t->m, SOURCE, w->net, w->prefix);
	passed_on(&t->m);
	masquerade(&t->m);
	msg_nest_end(&t->m, r);
}

static void rule_port(struct rules *t, const char *chain, const struct nat_port *p)
{
	struct msgs *m = &t->m;
	uint8_t protocol = p->udp ? IPPROTO_UDP : IPPROTO_TCP;
	uint16_t host = htons(p->host), guest = htons(p->guest);
	uint32_t to = htonl(t->w->address);
	size_t r = rule_begin(t, chain, "a rule of nf_tables for a port (CONFIG_NFT_NAT, "
	                                "CONFIG_NFT_FIB_IPV4)");
	meta(m, NFT_META_L4PROTO);
	compare(m, NFT_CMP_EQ, &protocol, sizeof protocol);
	payload(m, NFT_PAYLOAD_TRANSPORT_HEADER, TARGET_PORT, sizeof host);
	compare(m, NFT_CMP_EQ, &host, sizeof host);
	if (p->bind)
		address_in(m, TARGET, p->bind, 32);
	else
		to_host(m);
	load(m, NFT_REG_1, &to, sizeof to);
	load(m, NFT_REG_2, &guest, sizeof guest);
	struct part nat = part_begin(m, "nat");
	msg_be32(m, NFTA_NAT_TYPE, NFT_NAT_DNAT);
	msg_be32(m, NFTA_NAT_FAMILY, NFPROTO_IPV4);
	msg_be32(m, NFTA_NAT_REG_ADDR_MIN, NFT_REG_1);
	msg_be32(m, NFTA_NAT_REG_PROTO_MIN, NFT_REG_2);
	part_end(m, nat);
	msg_nest_end(m, r);
}

int nat_open(int *ret, const struct nat_want *w, struct lodge_err *e)
{
	enum { RAW = -300, DSTNAT = -100, SRCNAT = 100 }; /* as nft(8) calls these priorities */
	autofree struct rules *t = calloc(1, sizeof *t);
	autoclose int s = -1;
	if (!t)
		return err_set(e, ENOMEM, "out of memory");
	if (w->n > NAT_PORTS)
		return err_set(e, E2BIG, "%zu ports are too many: %d at most", w->n, NAT_PORTS);
	t->w = w;
	t->m = (struct msgs)MSGS(t->room);
	batch(t, NFNL_MSG_BATCH_BEGIN);
	table_new(t);
	chain_new(t, "guard", "filter", NF_INET_PRE_ROUTING, RAW);
	chain_new(t, "coming", "nat", NF_INET_PRE_ROUTING, DSTNAT);
	chain_new(t, "own", "nat", NF_INET_LOCAL_OUT, DSTNAT);
	chain_new(t, "leaving", "nat", NF_INET_POST_ROUTING, SRCNAT);
	rules_guard(t);
	rules_leaving(t);
	for (size_t i = 0; i < w->n; i++) {
		if (w->ports[i].bind >> 24 != 127) /* nothing comes from outside to those */
			rule_port(t, "coming", &w->ports[i]);
		rule_port(t, "own", &w->ports[i]);
	}
	batch(t, NFNL_MSG_BATCH_END);
	int r = msg_socket(&s, NETLINK_NETFILTER, e);
	if (r == 0)
		r = msg_send(s, &t->m, e);
	if (r == 0)
		*ret = take_fd(&s);
	return r;
}
