/* SPDX-License-Identifier: Apache-2.0 */
/* A container joins a network: an address, a pair of interfaces, rules, ports, and the names of all
 * that are in it. What would stay in the kernel when we are killed is only the bridge, and the
 * warden, or whoever comes next, takes that away. */
#include "host/host.h"
#include "level/container/network.h"
#include "level/container/stay.h"
#include "net/net.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

static const char eth[] = "eth0", record[] = "network";
enum { RECORD_MAX = 65536, HOSTS_MAX = 1 << 20, HOSTS_MORE_MAX = 1 << 20 };

/* ---- names: /etc/hosts of each member ---- */

struct hosts {
	FILE *to;
	const char *self; /* id */
};

static void host_line(FILE *to, const struct network_lease *l)
{
	char address[LINK_TEXT];
	link_text(l->address, address);
	fprintf(to, "%s\t%s", address, l->host);
	if (l->guest[0] && strcmp(l->guest, l->host) != 0)
		fprintf(to, " %s", l->guest);
	fprintf(to, strcmp(l->id, l->host) ? " %s\n" : "\n", l->id);
}

static int hosts_self(void *arg, const struct network_lease *l)
{
	struct hosts *h = arg;
	if (!strcmp(l->id, h->self))
		host_line(h->to, l);
	return 0;
}

static int hosts_other(void *arg, const struct network_lease *l)
{
	struct hosts *h = arg;
	if (strcmp(l->id, h->self) != 0)
		host_line(h->to, l);
	return 0;
}

/* The file is mounted in the container, so it stays the same file. It never ends in the middle of
 * what it said before: blank lines take that place until it is cut. */
static void hosts_put(const char *path, const char *text, size_t len)
{
	autoclose int fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
	off_t had = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
	size_t all = had > (off_t)len && had < HOSTS_MAX ? (size_t)had : len;
	autofree char *padded = malloc(all + 1);
	if (fd < 0 || !padded)
		return;
	memset(padded, '\n', all);
	memcpy(padded, text, len);
	if (host_pwrite(fd, padded, all, 0))
		(void)!ftruncate(fd, (off_t)len);
	(void)!fchmod(fd, 0644);
}

struct members {
	const struct network *n;
};

static int hosts_write(void *arg, const struct network_lease *l)
{
	struct members *m = arg;
	char path[PATH_MAX];
	autofree char *text = NULL;
	size_t len = 0;
	struct hosts h = {open_memstream(&text, &len), l->id};
	if (!h.to)
		return 0;
	fputs("127.0.0.1\tlocalhost\n::1\tlocalhost\n", h.to);
	(void)!network_leases(m->n, hosts_self, &h, NULL);
	(void)!network_leases(m->n, hosts_other, &h, NULL);
	autofree char *more = NULL;
	size_t more_len;
	snprintf(path, sizeof path, "%.3800s/../containers/%s/hosts.more", m->n->all, l->id);
	if (file_load(AT_FDCWD, path, HOSTS_MORE_MAX, &more, &more_len, NULL) == 0)
		fputs(more, h.to);
	*strrchr(path, '.') = 0;
	if (fclose(h.to) == 0)
		hosts_put(path, text, len);
	return 0;
}

/* Everybody's. */
static void hosts_update(const struct network *n)
{
	struct members m = {n};
	(void)!network_leases(n, hosts_write, &m, NULL);
}

/* The host's resolvers, but for those that only itself reaches. */
static void resolv_copy(FILE *to, const char *from, unsigned *servers)
{
	char line[512], word[64];
	FILE *f = fopen(from, "re");
	while (f && fgets(line, sizeof line, f)) {
		if (sscanf(line, "nameserver %63s", word) == 1) {
			if (!strncmp(word, "127.", 4) || strchr(word, ':'))
				continue; /* IPv6 does not leave the bridge */
			++*servers;
		}
		if (line[0] != '#' && line[0] != ';')
			fputs(line, to);
	}
	if (f)
		fclose(f);
}

static void resolv_write(const char *folder)
{
	char path[PATH_MAX];
	unsigned n = 0;
	snprintf(path, sizeof path, "%.4000s/resolv.conf", folder);
	FILE *to = fopen(path, "we");
	if (!to)
		return;
	resolv_copy(to, "/etc/resolv.conf", &n);
	if (!n) /* systemd-resolved keeps those that it asks here */
		resolv_copy(to, "/run/systemd/resolve/resolv.conf", &n);
	(void)!fchmod(fileno(to), 0644);
	fclose(to);
}

/* ---- ports ---- */

/* It takes no connections: nobody else shall have the port. */
static int port_take(struct nat_port *ret, const char *text, struct lodge_err *e)
{
	struct net_port p;
	struct sockaddr_in a = {.sin_family = AF_INET};
	socklen_t len = sizeof a;
	int r = net_port_parse(&p, text, e);
	if (r < 0)
		return r;
	inet_pton(AF_INET, p.bind, &a.sin_addr);
	a.sin_port = htons(p.host);
	autoclose int s = socket(AF_INET, (p.udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
	if (s < 0 || bind(s, (struct sockaddr *)&a, sizeof a) < 0 ||
	    getsockname(s, (struct sockaddr *)&a, &len) < 0)
		return err_sys(e, "the port %s cannot be published", text);
	*ret = (struct nat_port){ntohl(a.sin_addr.s_addr), ntohs(a.sin_port), p.guest, p.udp};
	return take_fd(&s);
}

static int ports_take(struct network_hold *h, const struct network_ask *q, struct nat_port *ports,
                      struct lodge_err *e)
{
	h->ports = calloc(q->npublish + 1, sizeof *h->ports);
	if (!h->ports)
		return err_set(e, ENOMEM, "out of memory");
	for (size_t i = 0; i < q->npublish; i++) {
		int fd = port_take(&ports[i], q->publish[i], e);
		if (fd < 0)
			return fd;
		h->ports[h->n++] = fd;
	}
	return 0;
}

void network_let_go(struct network_hold *h)
{
	for (size_t i = 0; i < h->n; i++)
		close(h->ports[i]);
	free(h->ports);
	auto_close(&h->nat);
	*h = (struct network_hold)NETWORK_HOLD_NONE;
}

/* ---- what the kernel has of it ---- */

static int switch_on(const char *path, struct lodge_err *e)
{
	char is = '0';
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, &is, 1) != 1)
		return err_sys(e, "%s", path);
	return is != '0' || host_text_put(AT_FDCWD, path, "1\n") == 0
	           ? 0 : err_sys(e, "%s is 0, and cannot be changed", path);
}

/* Whoever is the first looks whether its addresses are still nobody else's. */
static int net_ready(struct network *n, struct lodge_err *e)
{
	char address[LINK_TEXT];
	if (network_members(n) || !link_net_taken(n->net, n->prefix, n->bridge))
		return 0;
	if (n->chosen)
		return network_choose(n, e);
	link_text(n->net, address);
	return err_set(e, EADDRINUSE, "the host reaches addresses of the network %s (%s/%u) by "
	               "another interface", n->name, address, n->prefix);
}

static int bridge_up(const struct network *n, int s, struct lodge_err *e)
{
	char path[128];
	int r = link_bridge(s, n->bridge, n->dir, network_gateway(n), n->prefix, e);
	if (r == 0)
		r = switch_on("/proc/sys/net/ipv4/ip_forward", e);
	/* ports on the host's loopback: see rules_guard in link/nat.c */
	snprintf(path, sizeof path, "/proc/sys/net/ipv4/conf/%s/route_localnet", n->bridge);
	return r == 0 ? switch_on(path, e) : r;
}

static void pair_name(const char *id, char ret[LINK_NAME])
{
	snprintf(ret, LINK_NAME, "lv%.12s", id);
}

static int pair_make(const struct network *n, const struct network_ask *q, int s, uint32_t address,
                     struct lodge_err *e)
{
	char name[LINK_NAME];
	const uint8_t mac[6] = {0x02, 0x6c, (uint8_t)(address >> 24), (uint8_t)(address >> 16),
	                        (uint8_t)(address >> 8), (uint8_t)address};
	int inside = -1;
	pair_name(q->id, name);
	int r = link_pair(s, name, n->bridge, eth, mac, q->space, e);
	if (r == 0)
		r = link_open(&inside, q->space, e);
	if (r == 0)
		r = link_address(inside, eth, address, n->prefix, network_gateway(n), e);
	auto_close(&inside);
	return r;
}

/* ---- joining and leaving ---- */

static void text_add(struct json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, json_object_new_string(text));
}

static struct json_object *ports_describe(const struct nat_port *ports, size_t n)
{
	struct json_object *a = json_object_new_array();
	for (size_t i = 0; i < n; i++) {
		char bind[LINK_TEXT], text[64];
		link_text(ports[i].bind, bind);
		snprintf(text, sizeof text, "%s:%u:%u/%s", bind, ports[i].host, ports[i].guest,
		         ports[i].udp ? "udp" : "tcp");
		json_object_array_add(a, json_object_new_string(text));
	}
	return a;
}

/* For network_leave, by whichever process, and for inspect. */
static int record_write(const struct network *n, const struct network_ask *q,
                        const struct network_lease *l, const struct nat_port *ports,
                        struct lodge_err *e)
{
	struct json_object *o = json_object_new_object();
	char text[LINK_TEXT];
	autoclose int dir = open(q->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	text_add(o, "name", n->name);
	text_add(o, "id", l->id);
	link_text(l->address, text);
	text_add(o, "address", text);
	link_text(network_gateway(n), text);
	text_add(o, "gateway", text);
	text_add(o, "interface", n->bridge);
	json_object_object_add(o, "ports", ports_describe(ports, q->npublish));
	const char *all = json_object_to_json_string_ext(o, JSON_C_TO_STRING_NOSLASHESCAPE);
	int r = dir < 0 ? err_sys(e, "%s", q->folder)
	                : file_replace(dir, record, all, strlen(all), e);
	json_object_put(o);
	return r;
}

static int join_do(struct network *n, struct network_hold *h, const struct network_ask *q,
                   struct nat_port *ports, struct lodge_err *e)
{
	struct network_lease l = {0};
	char table[LINK_NAME + 16];
	int s = -1, r = net_ready(n, e);
	snprintf(l.id, sizeof l.id, "%s", q->id);
	snprintf(l.host, sizeof l.host, "%s", q->host);
	snprintf(l.guest, sizeof l.guest, "%s", q->guest ? q->guest : "");
	if (r == 0)
		r = network_lease(n, &l, e);
	if (r == 0)
		r = record_write(n, q, &l, ports, e);
	if (r == 0)
		r = link_open(&s, -1, e);
	if (r == 0)
		r = bridge_up(n, s, e);
	if (r == 0)
		r = pair_make(n, q, s, l.address, e);
	snprintf(table, sizeof table, "lodge-%.12s", q->id);
	const struct nat_want w = {.table = table, .bridge = n->bridge, .net = n->net,
	                           .address = l.address, .prefix = n->prefix, .ports = ports,
	                           .n = q->npublish};
	if (r == 0)
		r = nat_open(&h->nat, &w, e);
	auto_close(&s);
	if (r < 0)
		return r;
	resolv_write(q->folder);
	hosts_update(n);
	return 0;
}

int network_join(struct network_hold *ret, const struct network_ask *q, struct lodge_err *e)
{
	struct network n;
	autofree struct nat_port *ports = calloc(q->npublish + 1, sizeof *ports);
	*ret = (struct network_hold)NETWORK_HOLD_NONE;
	int r = ports ? ports_take(ret, q, ports, e) : err_set(e, ENOMEM, "out of memory");
	if (r == 0)
		r = network_open(&n, q->name, e);
	if (r < 0)
		return r;
	r = join_do(&n, ret, q, ports, e);
	network_close(&n);
	return r < 0 ? err_in(e, r, "--net %s", q->name) : 0;
}

static void leave_do(const struct network *n, struct json_object *o)
{
	const char *id = inspected_text(o, "id"), *address = inspected_text(o, "address");
	char name[LINK_NAME];
	struct in_addr a;
	int s = -1;
	if (!id || !address || inet_pton(AF_INET, address, &a) != 1)
		return;
	pair_name(id, name);
	if (link_open(&s, -1, NULL) == 0)
		(void)!link_remove(s, name, NULL); /* the namespace may go later: not at once */
	network_release(n, ntohl(a.s_addr));
	if (!network_members(n) && s >= 0)
		(void)!link_remove(s, n->bridge, NULL);
	else
		hosts_update(n);
	auto_close(&s);
}

struct json_object *network_joined(const char *folder)
{
	autofree char *text = NULL;
	size_t len;
	autoclose int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || file_load(dir, record, RECORD_MAX, &text, &len, NULL) < 0)
		return NULL;
	return json_tokener_parse(text);
}

void network_leave(const char *folder)
{
	struct network n;
	struct json_object *o = network_joined(folder);
	const char *name = inspected_text(o, "name");
	char path[PATH_MAX];
	if (!o)
		return;
	if (name && network_open(&n, name, NULL) == 0) {
		leave_do(&n, o);
		network_close(&n);
	}
	json_object_put(o);
	snprintf(path, sizeof path, "%.4000s/%s", folder, record);
	unlink(path);
}
