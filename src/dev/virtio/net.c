/* SPDX-License-Identifier: Apache-2.0 */
/* Network card. Frames move between guest memory and a struct net; checksums and segmentation are
 * passed on undone as far as the network behind can do them. Spec: VIRTIO 1.2 §5.1 */
#include "dev/virtio/internal.h"
#include "net/net.h"

#define F_CSUM (1ull << 0)
#define F_GUEST_CSUM (1ull << 1)
#define F_MTU (1ull << 3)
#define F_MAC (1ull << 5)
#define F_GUEST_TSO4 (1ull << 7)
#define F_GUEST_TSO6 (1ull << 8)
#define F_GUEST_ECN (1ull << 9)
#define F_HOST_TSO4 (1ull << 11)
#define F_HOST_TSO6 (1ull << 12)
#define F_HOST_ECN (1ull << 13)
#define F_MRG_RXBUF (1ull << 15)
#define F_STATUS (1ull << 16)
#define F_CTRL_VQ (1ull << 17)
#define F_CTRL_RX (1ull << 18)
#define F_CTRL_RX_EXTRA (1ull << 20)
#define F_CTRL_MAC_ADDR (1ull << 23)
#define F_SPEED_DUPLEX (1ull << 63)

enum {
	QUEUE_RX = 0,
	QUEUE_TX = 1,
	QUEUE_CTRL = 2,
	HEADER = 12,       /* struct virtio_net_hdr with num_buffers: always, VERSION_1 is a must */
	CONFIG = 17,       /* up to duplex */
	RX_CHAINS = 64,    /* buffers that one frame may be spread over */
	TABLE = 64,        /* addresses the receive filter remembers */
	TABLE_SANE = 1024, /* addresses in one command; more is refused */
	SPEED = 10000,     /* Mbit/s: there is no wire, but tools like a number */
	LINK_UP = 1,
};

/* Receive filter switches, in the order of their commands. VIRTIO 1.2 §5.1.6.5.1 */
enum { RX_PROMISC, RX_ALLMULTI, RX_ALLUNI, RX_NOMULTI, RX_NOUNI, RX_NOBCAST, RX_MODES };

/* A guest that goes on from the state of another one has an address of its own; its driver, which
 * has read the other's, learns of it from outside (lodge-agent). Until it has, or QUIET_NS are
 * over, nothing is sent; once it has, nothing more is sent from the old one, as frames in the rings
 * are. */
enum { RENAMED_NOT, RENAMED_UNHEARD, RENAMED_HEARD };
static const uint64_t QUIET_NS = 5000000000u;

struct card {
	struct virtio v;
	struct net *net;      /* borrowed; NULL: no cable */
	struct chain *chains; /* owned: RX_CHAINS, the frame being received */
	bool fresh;           /* the driver has just come up */
	struct rate sent, received;
	struct gate tx, rx;   /* each of one queue */
	struct virtio_traffic traffic;
	uint8_t mac[6];
	uint8_t given[6];     /* what it had when the driver came up; zero: no driver yet */
	uint8_t was[6];       /* renamed: what the driver took it for */
	uint8_t renamed;
	bool tell;            /* the driver is to read the configuration again */
	uint64_t quiet_until_ns;
	uint8_t mode[RX_MODES];
	uint8_t table[TABLE][6];
	uint32_t ntable;
	uint8_t all_uni, all_multi; /* more addresses were given than the table holds */
};

static const struct state_field card_state[] = {
	STATE(struct card, mac, 1),     STATE(struct card, mode, 1),
	STATE(struct card, table, 1),   STATE(struct card, ntable, 1),
	STATE(struct card, all_uni, 1), STATE(struct card, all_multi, 1),
	STATE(struct card, given, 2),   STATE(struct card, was, 2),
	STATE(struct card, renamed, 2), STATE_END,
};

extern const struct virtio_class virtio_net;
static struct card *card_of(struct virtio *v) { return container_of(v, struct card, v); }

/* Whose state was loaded: this guest's, or that of one with another address? */
static void card_recognise(struct card *d)
{
	static const uint8_t none[6];
	uint8_t own[6];
	if (!memcmp(d->given, none, 6))
		memcpy(d->given, d->mac, 6);
	net_mac(d->net, own);
	if (!net_mac_given(d->net)) {
		net_mac_set(d->net, d->given);
	} else if (memcmp(own, d->given, 6)) {
		if (d->renamed != RENAMED_UNHEARD)
			memcpy(d->was, d->mac, 6);
		memcpy(d->mac, own, 6);
		memcpy(d->given, own, 6);
		d->renamed = RENAMED_UNHEARD;
		d->tell = true;
		d->quiet_until_ns = host_monotonic_ns() + QUIET_NS;
	}
}

/* A saved stream may hold anything. */
static bool card_loaded(struct virtio *v)
{
	struct card *d = card_of(v);
	if (d->ntable > TABLE || d->renamed > RENAMED_HEARD || (d->mac[0] | d->given[0]) & 1)
		return false;
	if (d->net)
		card_recognise(d);
	if (!virtio_up(v))
		d->renamed = RENAMED_NOT;
	return true;
}

/* ---- guest to outside ---- */

/* What the guest's header says, if it is allowed to say so. VIRTIO 1.2 §5.1.6.2 */
static bool card_meta(const struct card *d, const uint8_t h[HEADER], uint64_t len,
                      struct net_meta *ret)
{
	const struct virtio *v = &d->v;
	struct net_meta m = { .flags = h[0] & NET_NEEDS_CSUM };
	uint8_t gso = h[1], kind = gso & (uint8_t)~NET_GSO_ECN;
	if (m.flags) {
		m.csum_start = le16_at(h + 6);
		m.csum_offset = le16_at(h + 8);
		if (!virtio_has(v, F_CSUM) || m.csum_start < NET_ETH_HEADER ||
		    (uint64_t)m.csum_start + m.csum_offset + 2 > len)
			return false;
	}
	if (gso != NET_GSO_NONE) {
		m.gso = gso;
		m.hdr_len = le16_at(h + 2);
		m.gso_size = le16_at(h + 4);
		uint64_t need = kind == NET_GSO_TCPV4   ? F_HOST_TSO4
		                : kind == NET_GSO_TCPV6 ? F_HOST_TSO6
		                                        : 0;
		if (!need || !virtio_has(v, need) || !m.flags || !m.gso_size || m.hdr_len > len)
			return false;
		if (gso & NET_GSO_ECN && !virtio_has(v, F_HOST_ECN))
			return false;
	}
	*ret = m;
	return true;
}

/* Is the frame that @c is at from the address @mac? It may be in pieces of any length. */
static bool card_from(const struct chain *c, const uint8_t mac[6])
{
	struct chain look = *c; /* its spans are those of @c, its cursor is not */
	uint8_t head[12];
	return chain_read(&look, head, 12) == 12 && !memcmp(head + 6, mac, 6);
}

static void card_send(struct card *d, struct chain *c)
{
	struct iovec iov[VIRTIO_CHAIN_MAX];
	uint8_t h[HEADER];
	struct net_meta m;
	int n = 0;
	if (!d->net || c->out_len > HEADER + NET_FRAME_MAX || chain_read(c, h, HEADER) < HEADER ||
	    !card_meta(d, h, c->out_len - HEADER, &m))
		return;
	if (d->renamed == RENAMED_HEARD && card_from(c, d->was))
		return;
	for (struct span s; chain_next_out(c, &s);)
		iov[n++] = (struct iovec){ s.p, s.len };
	net_send(d->net, &m, iov, n);
}

/* When the next frame may leave; 0: now. */
static uint64_t card_due(struct card *d)
{
	uint64_t quiet = d->renamed == RENAMED_UNHEARD && d->tx.timer ? d->quiet_until_ns : 0;
	return quiet > host_monotonic_ns() ? quiet : gate_rate_due(&d->tx, &d->sent);
}

static void card_serve_tx(struct card *d)
{
	struct chain c;
	uint64_t due;
	while (!(due = card_due(d)) && virtq_pop(&d->v, QUEUE_TX, &c)) {
		gate_rate_take(&d->tx, &d->sent, c.out_len - min_u64(c.out_len, HEADER));
		d->traffic.out++;
		d->traffic.out_bytes += c.out_len - min_u64(c.out_len, HEADER);
		card_send(d, &c);
		virtq_push(&d->v, QUEUE_TX, &c, 0);
	}
	if (due)
		gate_hold(&d->tx, QUEUE_TX, due);
}

/* ---- outside to guest ---- */

/* Does the guest want to see a frame for @to? VIRTIO 1.2 §5.1.6.5.1 */
static bool card_wants(const struct card *d, const uint8_t to[6])
{
	static const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	if (!virtio_has(&d->v, F_CTRL_RX) || d->mode[RX_PROMISC])
		return true;
	if (!memcmp(to, broadcast, 6))
		return !d->mode[RX_NOBCAST];
	bool multi = to[0] & 1;
	if (d->mode[multi ? RX_NOMULTI : RX_NOUNI])
		return false;
	if (d->mode[multi ? RX_ALLMULTI : RX_ALLUNI] || (multi ? d->all_multi : d->all_uni))
		return true;
	if (!multi && (!memcmp(to, d->mac, 6) ||
	               (d->renamed == RENAMED_UNHEARD && !memcmp(to, d->was, 6))))
		return true;
	for (uint32_t i = 0; i < d->ntable; i++)
		if (!memcmp(to, d->table[i], 6))
			return true;
	return false;
}

/* The header for the guest; false: the frame needs what the driver did not accept. */
static bool card_header(const struct card *d, const struct net_meta *m, unsigned nbuffers,
                        uint8_t ret[HEADER])
{
	const struct virtio *v = &d->v;
	uint8_t kind = m->gso & (uint8_t)~NET_GSO_ECN;
	memset(ret, 0, HEADER);
	if (m->flags & NET_NEEDS_CSUM && !virtio_has(v, F_GUEST_CSUM))
		return false;
	if ((kind == NET_GSO_TCPV4 && !virtio_has(v, F_GUEST_TSO4)) ||
	    (kind == NET_GSO_TCPV6 && !virtio_has(v, F_GUEST_TSO6)) || kind == NET_GSO_UDP)
		return false;
	if (virtio_has(v, F_GUEST_CSUM))
		ret[0] = m->flags;
	ret[1] = m->gso;
	le16_put(ret + 2, m->hdr_len);
	le16_put(ret + 4, m->gso_size);
	le16_put(ret + 6, m->csum_start);
	le16_put(ret + 8, m->csum_offset);
	le16_put(ret + 10, (uint16_t)nbuffers);
	return true;
}

/* Put @n chains back, last first. */
static void card_unpop(struct card *d, unsigned n)
{
	while (n--)
		virtq_unpop(&d->v, QUEUE_RX, &d->chains[n]);
}

/* Take buffers for @need bytes. Returns how many; 0: not now; -1: this frame will never fit. */
static int card_take(struct card *d, uint64_t need)
{
	unsigned n = 0, max = virtio_has(&d->v, F_MRG_RXBUF) ? RX_CHAINS : 1;
	uint64_t room = 0;
	while (room < need && n < max) {
		if (!virtq_pop(&d->v, QUEUE_RX, &d->chains[n])) {
			card_unpop(d, n);
			return 0;
		}
		struct chain *c = &d->chains[n++];
		room += c->in_len;
		if (!c->in_len || room < HEADER) {
			virtio_needs_reset(&d->v, "receive buffer without room for a header");
			card_unpop(d, n);
			return -1;
		}
	}
	if (room >= need)
		return (int)n;
	card_unpop(d, n);
	return -1;
}

/* All chains of a frame are pushed within one serve, so they become visible together. */
static bool card_receive(void *arg, const struct net_meta *m, const uint8_t *frame, size_t len)
{
	struct card *d = arg;
	uint8_t h[HEADER];
	if (!card_wants(d, frame) || !card_header(d, m, 1, h))
		return true;
	uint64_t due = gate_rate_due(&d->rx, &d->received);
	if (due) {
		gate_hold(&d->rx, QUEUE_RX, due);
		return false;
	}
	int n = card_take(d, HEADER + len);
	if (n <= 0)
		return n < 0;
	gate_rate_take(&d->rx, &d->received, len);
	d->traffic.in++;
	d->traffic.in_bytes += len;
	le16_put(h + 10, (uint16_t)n);
	size_t done = 0;
	for (int i = 0; i < n; i++) {
		struct chain *c = &d->chains[i];
		size_t wrote = i ? 0 : chain_write(c, h, HEADER);
		size_t part = chain_write(c, frame + done, len - done);
		done += part;
		virtq_push(&d->v, QUEUE_RX, c, (uint32_t)(wrote + part));
	}
	return true;
}

static void card_wake(void *arg) { virtio_kick(arg, QUEUE_RX); }

/* ---- the control queue ---- */

static bool card_set_mode(struct card *d, uint8_t cmd, struct chain *c)
{
	uint8_t on;
	if (cmd >= RX_MODES || chain_read(c, &on, 1) < 1 || on > 1)
		return false;
	if (cmd > RX_ALLMULTI && !virtio_has(&d->v, F_CTRL_RX_EXTRA))
		return false;
	d->mode[cmd] = on;
	return true;
}

/* Read one of the two address lists of MAC_TABLE_SET into what is left of the table. */
static bool card_read_list(struct chain *c, uint8_t table[TABLE][6], uint32_t *n, uint8_t *ret_all)
{
	uint8_t count[4], mac[6];
	if (chain_read(c, count, 4) < 4 || le32_at(count) > TABLE_SANE)
		return false;
	*ret_all = 0;
	for (uint32_t i = le32_at(count); i; i--) {
		if (chain_read(c, mac, 6) < 6)
			return false;
		if (*n < TABLE)
			memcpy(table[(*n)++], mac, 6);
		else
			*ret_all = 1;
	}
	return true;
}

static bool card_set_table(struct card *d, struct chain *c)
{
	uint8_t table[TABLE][6], all_uni, all_multi;
	uint32_t n = 0;
	if (!card_read_list(c, table, &n, &all_uni) || !card_read_list(c, table, &n, &all_multi))
		return false;
	memcpy(d->table, table, 6 * n);
	d->ntable = n;
	d->all_uni = all_uni;
	d->all_multi = all_multi;
	return true;
}

static bool card_set_mac(struct card *d, struct chain *c)
{
	uint8_t mac[6];
	if (!virtio_has(&d->v, F_CTRL_MAC_ADDR) || chain_read(c, mac, 6) < 6 || mac[0] & 1)
		return false;
	memcpy(d->mac, mac, 6);
	if (d->renamed != RENAMED_NOT) {
		d->renamed = memcmp(mac, d->was, 6) ? RENAMED_HEARD : RENAMED_NOT;
		virtio_kick(&d->v, QUEUE_TX);
	}
	return true;
}

static bool card_command(struct card *d, struct chain *c)
{
	enum { CLASS_RX = 0, CLASS_MAC = 1, MAC_TABLE_SET = 0, MAC_ADDR_SET = 1 };
	uint8_t h[2];
	if (chain_read(c, h, 2) < 2)
		return false;
	if (h[0] == CLASS_RX)
		return virtio_has(&d->v, F_CTRL_RX) && card_set_mode(d, h[1], c);
	if (h[0] == CLASS_MAC && h[1] == MAC_TABLE_SET)
		return virtio_has(&d->v, F_CTRL_RX) && card_set_table(d, c);
	return h[0] == CLASS_MAC && h[1] == MAC_ADDR_SET && card_set_mac(d, c);
}

static void card_serve_ctrl(struct card *d)
{
	struct chain c;
	while (virtq_pop(&d->v, QUEUE_CTRL, &c)) {
		uint8_t ack = card_command(d, &c) ? 0 : 1;
		virtq_push(&d->v, QUEUE_CTRL, &c, (uint32_t)chain_write(&c, &ack, 1));
	}
}

/* ---- life ---- */

static unsigned card_accepted(const struct virtio *v)
{
	return (virtio_has(v, F_GUEST_CSUM) ? NET_CAN_CSUM : 0u) |
	       (virtio_has(v, F_GUEST_TSO4) ? NET_CAN_TSO4 : 0u) |
	       (virtio_has(v, F_GUEST_TSO6) ? NET_CAN_TSO6 : 0u) |
	       (virtio_has(v, F_GUEST_ECN) ? NET_CAN_ECN : 0u);
}

static void card_serve(struct virtio *v, unsigned queue)
{
	struct card *d = card_of(v);
	if (d->fresh && d->net) {
		/* Not in ready(): that runs on a vCPU, the network belongs to the loop. */
		net_discard(d->net);
		net_set_offloads(d->net, card_accepted(v));
	}
	d->fresh = false;
	if (d->tell)
		virtio_config_changed(v);
	d->tell = false;
	if (queue == QUEUE_TX)
		card_serve_tx(d);
	else if (queue == QUEUE_CTRL)
		card_serve_ctrl(d);
	else if (d->net)
		net_receive(d->net);
}

static void card_ready(struct virtio *v)
{
	struct card *d = card_of(v);
	d->fresh = true;
	memcpy(d->given, d->mac, 6);
}

static void card_reset(struct virtio *v)
{
	struct card *d = card_of(v);
	memset(d->mode, 0, sizeof d->mode);
	d->ntable = 0;
	d->all_uni = d->all_multi = 0;
	d->fresh = d->tell = false;
	memset(d->given, 0, 6);
	d->renamed = RENAMED_NOT;
	gate_reset(&d->tx);
	gate_reset(&d->rx);
	if (d->net)
		net_mac(d->net, d->mac);
}

static void card_config_read(struct virtio *v, uint8_t *config)
{
	struct card *d = card_of(v);
	memcpy(config, d->mac, 6);
	le16_put(config + 6, d->net && net_link(d->net) ? LINK_UP : 0);
	le16_put(config + 8, 1); /* queue pairs */
	le16_put(config + 10, (uint16_t)(d->net ? net_mtu(d->net) : 1500));
	le32_put(config + 12, SPEED);
	config[16] = 1; /* full duplex */
}

void virtio_net_limit(struct virtio *v, uint64_t bytes_per_s)
{
	struct card *d = card_of(v);
	assert(v->class == &virtio_net);
	pthread_mutex_lock(v->lock);
	gate_rate_set(&d->tx, &d->sent, bytes_per_s);
	gate_rate_set(&d->rx, &d->received, bytes_per_s);
	pthread_mutex_unlock(v->lock);
}

void virtio_net_traffic(struct virtio *v, struct virtio_traffic *ret)
{
	assert(v->class == &virtio_net);
	pthread_mutex_lock(v->lock);
	*ret = card_of(v)->traffic;
	pthread_mutex_unlock(v->lock);
}

bool virtio_net_address(struct virtio *v, uint8_t ret_was[6], uint8_t ret_now[6])
{
	struct card *d = card_of(v);
	assert(v->class == &virtio_net);
	pthread_mutex_lock(v->lock);
	bool unheard = d->renamed == RENAMED_UNHEARD;
	memcpy(ret_was, unheard ? d->was : d->mac, 6);
	memcpy(ret_now, d->mac, 6);
	pthread_mutex_unlock(v->lock);
	return unheard;
}

static int card_init(struct virtio *v, struct lodge_err *e)
{
	struct card *d = card_of(v);
	d->net = v->s.backend;
	d->mac[0] = 2;
	d->chains = calloc(RX_CHAINS, sizeof *d->chains);
	if (!d->chains)
		return err_set(e, ENOMEM, "no memory for receive chains");
	unsigned can = d->net ? net_offloads(d->net) : 0;
	if (can & NET_CAN_CSUM)
		v->offered |= F_CSUM | F_GUEST_CSUM;
	if (can & NET_CAN_TSO4)
		v->offered |= F_HOST_TSO4 | F_GUEST_TSO4;
	if (can & NET_CAN_TSO6)
		v->offered |= F_HOST_TSO6 | F_GUEST_TSO6;
	if (can & NET_CAN_ECN)
		v->offered |= F_HOST_ECN | F_GUEST_ECN;
	if (d->net)
		net_on_receive(d->net, card_wake, card_receive, v);
	int r = gate_init(&d->tx, v, e);
	return r < 0 ? r : gate_init(&d->rx, v, e);
}

static void card_fini(struct virtio *v)
{
	struct card *d = card_of(v);
	gate_fini(&d->tx);
	gate_fini(&d->rx);
	if (d->net)
		net_on_receive(d->net, NULL, NULL, NULL);
	free(d->chains);
}

const struct virtio_class virtio_net = {
	.name = "net", .summary = "network card (backend: struct net)",
	.size = sizeof(struct card), .device_id = 1, .pci_class = 0x020000,
	.config_len = CONFIG, .nqueues = 3,
	.features = F_MTU | F_MAC | F_MRG_RXBUF | F_STATUS | F_CTRL_VQ | F_CTRL_RX |
	            F_CTRL_RX_EXTRA | F_CTRL_MAC_ADDR | F_SPEED_DUPLEX,
	.init = card_init, .fini = card_fini, .reset = card_reset, .serve = card_serve,
	.config_read = card_config_read, .ready = card_ready, .state = card_state,
	.loaded = card_loaded,
};
