/* SPDX-License-Identifier: Apache-2.0 */
/* What every kind of network has: opening by name, the bounded queue towards the guest. */
#include "internal.h"
#include <stdio.h>

static const struct net_class *const classes[] = {
#define NET(name) &net_##name,
#include "net/net.def"
};

static const struct net_class *net_class_find(const char *name)
{
	if (!name)
		return classes[0];
	for (size_t i = 0; i < countof(classes); i++)
		if (!strcmp(classes[i]->name, name))
			return classes[i];
	return NULL;
}

static int net_mac_parse(uint8_t ret[6], const char *text, struct lodge_err *e)
{
	uint8_t mac[6];
	int used = -1;
	if (!text) {
		host_random(mac, sizeof mac);
		mac[0] = (uint8_t)((mac[0] & ~1u) | 2); /* unicast, locally administered */
	} else {
		int got = sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &mac[0], &mac[1],
		                 &mac[2], &mac[3], &mac[4], &mac[5], &used);
		if (got != 6 || used != 17 || text[17])
			return err_set(e, EINVAL, "mac \"%s\" is not of the form 02:00:00:00:00:01",
			               text);
		if (mac[0] & 1)
			return err_set(e, EINVAL, "mac %s is a group address", text);
	}
	memcpy(ret, mac, sizeof mac);
	return 0;
}

int net_open(struct net **ret, const struct net_options *o, struct loop *l, struct log *log,
             struct lodge_err *e)
{
	const struct net_class *c = net_class_find(o->kind);
	if (!c)
		return err_set(e, EINVAL, "no network of kind \"%s\" (user, tap, none)", o->kind);
	if (o->npublish && c != &net_user)
		return err_set(e, EINVAL, "ports can be published on a user network only, not %s",
		               c->name);
	struct net *n = calloc(1, c->size);
	if (!n)
		return err_set(e, ENOMEM, "no memory for a network");
	n->class = c;
	n->loop = l;
	n->log = log;
	n->tail = &n->head;
	n->mtu = c->mtu;
	n->mac_given = o->mac;
	int r = net_mac_parse(n->mac, o->mac, e);
	if (!r && !(n->tx = malloc(NET_FRAME_MAX)))
		r = err_set(e, ENOMEM, "no memory for a frame");
	if (!r)
		r = c->open(n, o, e);
	if (r) {
		net_close(n);
		return err_in(e, r, "network %s", c->name);
	}
	*ret = n;
	return 0;
}

static void net_drop_oldest(struct net *n)
{
	struct net_frame *f = n->head;
	n->head = f->next;
	if (!n->head)
		n->tail = &n->head;
	n->nqueued--;
	n->queued_bytes -= f->len;
	free(f);
}

void net_close(struct net *n)
{
	if (!n)
		return;
	n->class->close(n);
	net_discard(n);
	for (unsigned i = 0; i < n->nports; i++)
		close(n->ports[i].fd);
	free(n->ports);
	free(n->tx);
	free(n);
}

void net_enqueue(struct net *n, const struct net_meta *meta, const uint8_t *frame, size_t len)
{
	if (len < NET_ETH_HEADER || len > NET_FRAME_MAX)
		return;
	while (n->head &&
	       (n->nqueued >= NET_QUEUE_FRAMES || n->queued_bytes + len > NET_QUEUE_BYTES)) {
		net_drop_oldest(n);
		n->dropped++;
	}
	struct net_frame *f = malloc(sizeof *f + len);
	if (!f) {
		n->dropped++;
		return;
	}
	f->next = NULL;
	f->meta = *meta;
	f->len = len;
	memcpy(f->data, frame, len);
	*n->tail = f;
	n->tail = &f->next;
	n->nqueued++;
	n->queued_bytes += len;
	if (n->wake)
		n->wake(n->arg);
}

void net_on_receive(struct net *n, net_wake_fn *wake, net_receive_fn *fn, void *arg)
{
	n->wake = wake;
	n->receive = fn;
	n->arg = arg;
}

void net_receive(struct net *n)
{
	while (n->head && n->receive &&
	       n->receive(n->arg, &n->head->meta, n->head->data, n->head->len))
		net_drop_oldest(n);
}

void net_discard(struct net *n)
{
	while (n->head)
		net_drop_oldest(n);
}

void net_send(struct net *n, const struct net_meta *meta, const struct iovec *iov, int niov)
{
	size_t len = 0;
	for (int i = 0; i < niov; i++) {
		if (iov[i].iov_len > NET_FRAME_MAX - len)
			return;
		/* The one and only read of guest memory. */
		memcpy(n->tx + len, iov[i].iov_base, iov[i].iov_len);
		len += iov[i].iov_len;
	}
	if (len >= NET_ETH_HEADER)
		n->class->send(n, meta, n->tx, len);
}

bool net_checksum(const struct net_meta *meta, uint8_t *frame, size_t len)
{
	size_t start = meta->csum_start, at = start + meta->csum_offset;
	if (start >= len || at + 2 > len)
		return false;
	uint64_t sum = 0;
	size_t i = start;
	for (; i + 4 <= len; i += 4)
		sum += be32_at(frame + i);
	if (i + 2 <= len) {
		sum += be16_at(frame + i);
		i += 2;
	}
	if (i < len)
		sum += (uint64_t)frame[i] << 8;
	sum = (sum >> 32) + (sum & 0xffffffff);
	while (sum >> 16)
		sum = (sum >> 16) + (sum & 0xffff);
	/* A UDP sum of zero would mean "none"; for TCP both zeros are the same number. */
	uint16_t folded = (uint16_t)~sum;
	folded = folded ? folded : 0xffff;
	frame[at] = (uint8_t)(folded >> 8);
	frame[at + 1] = (uint8_t)folded;
	return true;
}

void net_mac(const struct net *n, uint8_t ret_mac[6]) { memcpy(ret_mac, n->mac, 6); }
bool net_mac_given(const struct net *n) { return n->mac_given; }
void net_mac_set(struct net *n, const uint8_t mac[6]) { memcpy(n->mac, mac, 6); }
unsigned net_mtu(const struct net *n) { return n->mtu; }
bool net_link(const struct net *n) { return n->class->link; }
unsigned net_offloads(const struct net *n) { return n->class->offloads; }
uint64_t net_dropped(const struct net *n) { return n->dropped; }

void net_set_offloads(struct net *n, unsigned can)
{
	if (n->class->set_offloads)
		n->class->set_offloads(n, can);
}

const struct net_port *net_port_at(const struct net *n, unsigned i)
{
	return i < n->nports ? &n->ports[i] : NULL;
}

uint64_t net_visited_ns(struct net *n)
{
	return n->class->visited_ns ? n->class->visited_ns(n) : 0;
}
