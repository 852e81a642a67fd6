/* SPDX-License-Identifier: Apache-2.0 */
/* Interfaces, addresses, routes: rtnetlink(7), Linux Documentation/networking/bridge, veth(4). */
#include "link/internal.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>

void link_text(uint32_t address, char ret[LINK_TEXT])
{
	struct in_addr a = {htonl(address)};
	inet_ntop(AF_INET, &a, ret, LINK_TEXT);
}

uint32_t link_mask(unsigned prefix) { return prefix ? ~0u << (32 - prefix) : 0; }

int link_net_parse(const char *text, uint32_t *ret_net, unsigned *ret_prefix, struct lodge_err *e)
{
	enum { LEAST = 8, MOST = 29 };
	char buf[32], *end;
	struct in_addr a;
	const char *slash = strchr(text, '/');
	if (!slash || (size_t)(slash - text) >= sizeof buf)
		return err_set(e, EINVAL, "'%.60s' is no network: 10.1.2.0/24 would be one", text);
	snprintf(buf, sizeof buf, "%.*s", (int)(slash - text), text);
	unsigned long prefix = strtoul(slash + 1, &end, 10);
	if (inet_pton(AF_INET, buf, &a) != 1 || end == slash + 1 || *end)
		return err_set(e, EINVAL, "'%.60s' is no network: 10.1.2.0/24 would be one", text);
	if (prefix < LEAST || prefix > MOST)
		return err_set(e, EINVAL, "'%.60s': a network has /%d to /%d", text, LEAST, MOST);
	uint32_t net = ntohl(a.s_addr);
	if (net & ~link_mask((unsigned)prefix) || net >> 24 == 0 || net >> 24 == 127 ||
	    net >> 28 >= 14)
		return err_set(e, EINVAL, "'%.60s' is not the address of a network of hosts", text);
	*ret_net = net;
	*ret_prefix = (unsigned)prefix;
	return 0;
}

bool link_net_taken(uint32_t net, unsigned prefix, const char *but)
{
	FILE *f = fopen("/proc/self/net/route", "re");
	char line[256], name[LINK_NAME + 1];
	bool taken = false;
	while (f && !taken && fgets(line, sizeof line, f)) {
		unsigned to, mask;
		if (sscanf(line, "%16s %x %*x %*x %*d %*d %*d %x", name, &to, &mask) != 3)
			continue; /* the head of the table */
		uint32_t common = ntohl(mask) & link_mask(prefix);
		taken = mask && !((ntohl(to) ^ net) & common) && strcmp(name, but) != 0;
	}
	if (f)
		fclose(f);
	return taken;
}

int link_open(int *ret, int space, struct lodge_err *e)
{
	if (space < 0)
		return msg_socket(ret, NETLINK_ROUTE, e);
	autoclose int here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (here < 0 || setns(space, CLONE_NEWNET) < 0)
		return err_sys(e, "entering a network namespace");
	int r = msg_socket(ret, NETLINK_ROUTE, e);
	if (setns(here, CLONE_NEWNET) < 0)
		abort(); /* it was ours a moment ago: whatever followed would be done elsewhere */
	return r;
}

/* In the namespace that the socket is of. */
static int index_of(int s, const char *name)
{
	struct ifreq r = {0};
	if (strlen(name) >= sizeof r.ifr_name)
		return 0;
	strcpy(r.ifr_name, name);
	return ioctl(s, SIOCGIFINDEX, &r) < 0 ? 0 : r.ifr_ifindex;
}

static int index_get(int s, const char *name, int *ret, struct lodge_err *e)
{
	*ret = index_of(s, name);
	return *ret ? 0 : err_sys(e, "the interface %s", name);
}

struct alias {
	char *text;
	int index;
};

static void alias_take(void *arg, struct nlmsghdr *h)
{
	struct alias *a = arg;
	struct ifinfomsg *i = NLMSG_DATA(h);
	unsigned n = (unsigned)IFLA_PAYLOAD(h);
	if (h->nlmsg_type != RTM_NEWLINK || i->ifi_index != a->index)
		return;
	for (struct rtattr *t = IFLA_RTA(i); RTA_OK(t, n); t = RTA_NEXT(t, n))
		if (t->rta_type == IFLA_IFALIAS)
			snprintf(a->text, LINK_ALIAS, "%.*s", (int)RTA_PAYLOAD(t),
			         (const char *)RTA_DATA(t));
}

int link_alias(int s, const char *name, char ret[LINK_ALIAS], struct lodge_err *e)
{
	_Alignas(8) uint8_t room[MSG_BYTES];
	struct msgs m = MSGS(room);
	struct ifinfomsg i = {.ifi_index = index_of(s, name)};
	struct alias a = {ret, i.ifi_index};
	if (!i.ifi_index)
		return err_set(e, ENOENT, "there is no interface %s", name);
	*ret = 0;
	msg_begin(&m, RTM_GETLINK, 0, &i, sizeof i, "looking at an interface");
	return msg_ask(s, &m, alias_take, &a, e);
}

static void address_put(struct msgs *m, int index, uint32_t address, unsigned prefix)
{
	struct ifaddrmsg i = {.ifa_family = AF_INET,
	                      .ifa_prefixlen = (uint8_t)prefix,
	                      .ifa_index = (unsigned)index};
	uint32_t own = htonl(address), all = htonl(address | ~link_mask(prefix));
	msg_begin(m, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &i, sizeof i,
	          "the address of an interface");
	msg_put(m, IFA_LOCAL, &own, sizeof own);
	msg_put(m, IFA_ADDRESS, &own, sizeof own);
	msg_put(m, IFA_BROADCAST, &all, sizeof all);
}

static void up_put(struct msgs *m, int index)
{
	struct ifinfomsg i = {.ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
	msg_begin(m, RTM_NEWLINK, 0, &i, sizeof i, "switching an interface on");
}

/* Its own address, which else would be the least of its ports', and change with them. */
static void mac_of(uint32_t address, uint8_t ret[6])
{
	const uint8_t mac[6] = {0x02,
	                        0x6c,
	                        (uint8_t)(address >> 24),
	                        (uint8_t)(address >> 16),
	                        (uint8_t)(address >> 8),
	                        (uint8_t)address};
	memcpy(ret, mac, sizeof mac);
}

static int bridge_new(int s, const char *name, const char *alias, uint32_t address,
                      struct lodge_err *e)
{
	_Alignas(8) uint8_t room[MSG_BYTES];
	struct msgs m = MSGS(room);
	struct ifinfomsg i = {.ifi_family = AF_UNSPEC};
	uint8_t mac[6];
	mac_of(address, mac);
	msg_begin(&m, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &i, sizeof i,
	          "a bridge (the kernel needs CONFIG_BRIDGE)");
	msg_text(&m, IFLA_IFNAME, name);
	msg_put(&m, IFLA_ADDRESS, mac, sizeof mac);
	size_t info = msg_nest(&m, IFLA_LINKINFO);
	msg_text(&m, IFLA_INFO_KIND, "bridge");
	msg_nest_end(&m, info);
	int r = msg_send(s, &m, e);
	if (r < 0)
		return r;
	/* a second message: not every kernel takes an alias with the first */
	m = (struct msgs)MSGS(room);
	r = index_get(s, name, &i.ifi_index, e);
	if (r < 0)
		return r;
	msg_begin(&m, RTM_NEWLINK, 0, &i, sizeof i, "the alias of a bridge");
	msg_put(&m, IFLA_IFALIAS, alias, strlen(alias));
	return msg_send(s, &m, e);
}

int link_bridge(int s, const char *name, const char *alias, uint32_t address, unsigned prefix,
                struct lodge_err *e)
{
	char said[LINK_ALIAS];
	_Alignas(8) uint8_t room[MSG_BYTES];
	struct msgs m = MSGS(room);
	int index = 0, r = link_alias(s, name, said, e);
	if (r == -ENOENT)
		r = bridge_new(s, name, alias, address, e);
	else if (r == 0 && strcmp(said, alias) != 0)
		r = err_set(e, EEXIST, "the interface %s is somebody else's", name);
	if (r == 0)
		r = index_get(s, name, &index, e);
	if (r < 0)
		return r;
	address_put(&m, index, address, prefix);
	up_put(&m, index);
	return msg_send(s, &m, e);
}

/* What came from a port may go back to it: a container that asks the host for its own port, where
 * the bridge's packets pass nf_tables before they are the host's (br_netfilter). */
static int port_turns(int s, const char *name, struct lodge_err *e)
{
	_Alignas(8) uint8_t room[MSG_BYTES];
	struct msgs m = MSGS(room);
	struct ifinfomsg i = {.ifi_family = AF_UNSPEC};
	const uint8_t on = 1;
	int r = index_get(s, name, &i.ifi_index, e);
	if (r < 0)
		return r;
	msg_begin(&m, RTM_NEWLINK, 0, &i, sizeof i, "a port of a bridge");
	size_t info = msg_nest(&m, IFLA_LINKINFO);
	msg_text(&m, IFLA_INFO_SLAVE_KIND, "bridge");
	size_t data = msg_nest(&m, IFLA_INFO_SLAVE_DATA);
	msg_put(&m, IFLA_BRPORT_MODE, &on, sizeof on);
	msg_nest_end(&m, data);
	msg_nest_end(&m, info);
	return msg_send(s, &m, e);
}

int link_pair(int s, const char *name, const char *bridge, const char *peer, const uint8_t mac[6],
              int space, struct lodge_err *e)
{
	_Alignas(8) uint8_t room[MSG_BYTES];
	struct msgs m = MSGS(room);
	struct ifinfomsg own = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP};
	const struct ifinfomsg other = {.ifi_family = AF_UNSPEC};
	int master, r = index_get(s, bridge, &master, e);
	if (r < 0)
		return r;
	msg_begin(&m, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &own, sizeof own,
	          "a pair of interfaces (the kernel needs CONFIG_VETH)");
	msg_text(&m, IFLA_IFNAME, name);
	msg_u32(&m, IFLA_MASTER, (uint32_t)master);
	size_t info = msg_nest(&m, IFLA_LINKINFO);
	msg_text(&m, IFLA_INFO_KIND, "veth");
	size_t data = msg_nest(&m, IFLA_INFO_DATA), far = msg_nest(&m, VETH_INFO_PEER);
	msg_body(&m, &other, sizeof other);
	msg_text(&m, IFLA_IFNAME, peer);
	msg_put(&m, IFLA_ADDRESS, mac, 6);
	msg_u32(&m, IFLA_NET_NS_FD, (uint32_t)space);
	msg_nest_end(&m, far);
	msg_nest_end(&m, data);
	msg_nest_end(&m, info);
	r = msg_send(s, &m, e);
	return r < 0 ? r : port_turns(s, name, e);
}

int link_address(int s, const char *name, uint32_t address, unsigned prefix, uint32_t gateway,
                 struct lodge_err *e)
{
	_Alignas(8) uint8_t room[MSG_BYTES];
	struct msgs m = MSGS(room);
	struct rtmsg way = {.rtm_family = AF_INET,
	                    .rtm_table = RT_TABLE_MAIN,
	                    .rtm_protocol = RTPROT_BOOT,
	                    .rtm_scope = RT_SCOPE_UNIVERSE,
	                    .rtm_type = RTN_UNICAST};
	uint32_t by = htonl(gateway);
	int index, r = index_get(s, name, &index, e);
	if (r < 0)
		return r;
	address_put(&m, index, address, prefix);
	up_put(&m, index);
	msg_begin(&m, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &way, sizeof way, "a route");
	msg_put(&m, RTA_GATEWAY, &by, sizeof by);
	return msg_send(s, &m, e);
}

int link_remove(int s, const char *name, struct lodge_err *e)
{
	_Alignas(8) uint8_t room[MSG_BYTES];
	struct msgs m = MSGS(room);
	struct ifinfomsg i = {.ifi_index = index_of(s, name)};
	if (!i.ifi_index)
		return 0;
	msg_begin(&m, RTM_DELLINK, 0, &i, sizeof i, "removing an interface");
	int r = msg_send(s, &m, e);
	return r == -ENODEV ? 0 : r;
}
