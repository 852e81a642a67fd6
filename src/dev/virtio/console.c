/* SPDX-License-Identifier: Apache-2.0 */
/* Console and named byte ports. Spec: VIRTIO 1.2 §5.3
 *
 *   queue 0, 1   port 0 (the console): to the guest, from the guest
 *   queue 2, 3   control messages, with F_MULTIPORT
 *   queue 2n+2.. port n, the same
 *
 * Nothing is held between calls: a chain that the host has no room for is put back together with
 * the count of its bytes already delivered. */
#include "dev/virtio/virtio.h"
#include "chr/chr.h"

enum {
	DEVICE_ID = 3,
	F_SIZE = 1 << 0,
	F_MULTIPORT = 1 << 1,
	F_EMERG_WRITE = 1 << 2,

	PORTS = 1 + VIRTIO_CONSOLE_PORTS,
	CONTROL_RX = 2,
	CONTROL_TX = 3,
	TURN = 1 << 20, /* bytes of one queue moved before others get their turn */
	NAME_MAX_LEN = 32,
};
/* Control events. §5.3.6.2 */
enum {
	EV_DEVICE_READY,
	EV_PORT_ADD,
	EV_PORT_REMOVE,
	EV_PORT_READY,
	EV_CONSOLE_PORT,
	EV_RESIZE,
	EV_PORT_OPEN,
	EV_PORT_NAME,
};
/* The order in which a port's pending messages are told. */
static const uint8_t telling[] = { EV_PORT_ADD, EV_CONSOLE_PORT, EV_RESIZE, EV_PORT_NAME,
	                           EV_PORT_OPEN };

struct port {
	struct virtio *v;  /* borrowed */
	struct chr *chr;   /* borrowed; NULL: bytes go nowhere */
	unsigned rx;       /* queue index; tx is the next */
	char name[NAME_MAX_LEN];
};

struct console {
	struct virtio v;
	struct port ports[PORTS];
	unsigned nports;
	uint16_t cols, rows;
	/* snapshot */
	uint8_t tell[PORTS];      /* bit per control event not yet told */
	uint8_t open[PORTS];      /* a program in the guest has the port open */
	uint32_t sent[PORTS];     /* bytes delivered of the chain at the front of the tx queue */
};

static void port_stirred(void *arg)
{
	struct port *p = arg;
	virtio_kick(p->v, p->rx);
	virtio_kick(p->v, p->rx + 1);
}

static void port_receive(struct console *s, struct port *p)
{
	unsigned n = (unsigned)(p - s->ports);
	struct chain c;
	size_t turn = 0;
	if (!p->chr || (virtio_has(&s->v, F_MULTIPORT) && !s->open[n]))
		return;
	while (turn < TURN && virtq_pop(&s->v, p->rx, &c)) {
		size_t got = 0, part = 1;
		for (struct span x; part && got < TURN && chain_next_in(&c, &x); got += part)
			part = chr_read(p->chr, x.p, min_u64(x.len, TURN - got));
		if (!got) {
			virtq_unpop(&s->v, p->rx, &c);
			return;
		}
		virtq_push(&s->v, p->rx, &c, (uint32_t)got);
		turn += got;
	}
	if (turn >= TURN)
		virtio_kick(&s->v, p->rx);
}

/* Deliver @c from byte @from on, at most @max bytes. Returns bytes delivered. */
static size_t port_deliver(struct port *p, struct chain *c, size_t from, size_t max)
{
	size_t done = 0;
	struct span x;
	while (done < max && chain_next_out(c, &x)) {
		if (from >= x.len) {
			from -= x.len;
			continue;
		}
		size_t want = min_u64(x.len - from, max - done);
		size_t n = chr_write(p->chr, x.p + from, want);
		done += n;
		from = 0;
		if (n < want)
			break;
	}
	return done;
}

static void port_transmit(struct console *s, struct port *p)
{
	unsigned n = (unsigned)(p - s->ports);
	struct chain c;
	size_t turn = 0;
	while (virtq_pop(&s->v, p->rx + 1, &c)) {
		size_t got = p->chr ? port_deliver(p, &c, s->sent[n], TURN - turn) : c.out_len;
		turn += p->chr ? got : 0;
		if (s->sent[n] + got < c.out_len) {
			s->sent[n] += (uint32_t)got;
			virtq_unpop(&s->v, p->rx + 1, &c);
			if (turn == TURN)
				virtio_kick(&s->v, p->rx + 1);
			return;
		}
		s->sent[n] = 0;
		virtq_push(&s->v, p->rx + 1, &c, 0);
		if (turn == TURN) {
			virtio_kick(&s->v, p->rx + 1);
			return;
		}
	}
}

/* ---- control queues ---- */

static void control_put(struct console *s, struct chain *c, unsigned n, uint8_t ev)
{
	struct port *p = &s->ports[n];
	uint8_t m[8 + NAME_MAX_LEN];
	size_t len = 8;
	le32_put(m, n);
	le16_put(m + 4, ev);
	le16_put(m + 6, 1);
	if (ev == EV_RESIZE) {
		le16_put(m + 8, s->cols);
		le16_put(m + 10, s->rows);
		len += 4;
	} else if (ev == EV_PORT_NAME) {
		memcpy(m + 8, p->name, strlen(p->name));
		len += strlen(p->name);
	}
	virtq_push(&s->v, CONTROL_RX, c, (uint32_t)chain_write(c, m, len));
}

/* Tell one pending message of port @n. False: none, or the guest has no buffer. */
static bool control_tell(struct console *s, unsigned n)
{
	for (size_t i = 0; i < countof(telling); i++) {
		uint8_t bit = (uint8_t)(1u << telling[i]);
		struct chain c;
		if (!(s->tell[n] & bit))
			continue;
		if (!virtq_pop(&s->v, CONTROL_RX, &c))
			return false;
		s->tell[n] &= (uint8_t)~bit;
		control_put(s, &c, n, telling[i]);
		return true;
	}
	return false;
}

static void control_receive(struct console *s)
{
	for (unsigned n = 0; n < s->nports; n++)
		while (control_tell(s, n))
			;
}

static void control_message(struct console *s, uint32_t n, uint16_t ev, uint16_t value)
{
	if (ev == EV_DEVICE_READY && value) {
		/* A console that leads nowhere would only get a login program started on it. */
		for (unsigned i = s->ports[0].chr ? 0 : 1; i < s->nports; i++)
			s->tell[i] |= 1u << EV_PORT_ADD;
	}
	if (n >= s->nports)
		return;
	if (ev == EV_PORT_READY && value) {
		s->tell[n] |= 1u << EV_PORT_OPEN | (*s->ports[n].name ? 1u << EV_PORT_NAME : 0);
		if (!n)
			s->tell[n] |= 1u << EV_CONSOLE_PORT | 1u << EV_RESIZE;
	}
	if (ev == EV_PORT_OPEN) {
		s->open[n] = value != 0;
		port_stirred(&s->ports[n]);
	}
}

static void control_transmit(struct console *s)
{
	struct chain c;
	while (virtq_pop(&s->v, CONTROL_TX, &c)) {
		uint8_t m[8];
		if (chain_read(&c, m, sizeof m) == sizeof m)
			control_message(s, le32_at(m), le16_at(m + 4), le16_at(m + 6));
		virtq_push(&s->v, CONTROL_TX, &c, 0);
	}
	control_receive(s);
}

static void console_serve(struct virtio *v, unsigned queue)
{
	struct console *s = (struct console *)v;
	if (queue == CONTROL_RX)
		control_receive(s);
	else if (queue == CONTROL_TX)
		control_transmit(s);
	else if (queue & 1)
		port_transmit(s, &s->ports[queue < CONTROL_RX ? 0 : queue / 2 - 1]);
	else
		port_receive(s, &s->ports[queue < CONTROL_RX ? 0 : queue / 2 - 1]);
}

/* ---- configuration and life ---- */

static void console_config_read(struct virtio *v, uint8_t *config)
{
	struct console *s = (struct console *)v;
	le16_put(config, s->cols);
	le16_put(config + 2, s->rows);
	le32_put(config + 4, s->nports);
}

static void console_config_write(struct virtio *v, uint32_t off, const uint8_t *p, uint32_t len)
{
	struct console *s = (struct console *)v;
	/* An early console: one byte at a time, dropped when the host is slow. */
	if (off == 8 && len && s->ports[0].chr && chr_write(s->ports[0].chr, p, 1) != 1)
		log_guest(v->s.log, "virtio-console: early output dropped");
}

void virtio_console_resize(struct virtio *v, unsigned cols, unsigned rows)
{
	struct console *s = (struct console *)v;
	assert(v->class->device_id == DEVICE_ID);
	pthread_mutex_lock(v->lock);
	s->cols = (uint16_t)cols;
	s->rows = (uint16_t)rows;
	if (virtio_has(v, F_MULTIPORT)) {
		s->tell[0] |= 1u << EV_RESIZE;
		virtio_kick(v, CONTROL_RX);
	}
	virtio_config_changed(v);
	pthread_mutex_unlock(v->lock);
}

static void port_init(struct console *s, unsigned n, struct chr *chr, const char *name, size_t len)
{
	struct port *p = &s->ports[n];
	p->v = &s->v;
	p->chr = chr;
	p->rx = n ? 2 * n + 2 : 0;
	if (len > NAME_MAX_LEN - 1)
		len = NAME_MAX_LEN - 1;
	if (len)
		memcpy(p->name, name, len);
	if (chr)
		chr_on_device(chr, port_stirred, p);
	s->nports = n + 1;
}

static int console_init(struct virtio *v, struct lodge_err *e)
{
	struct console *s = (struct console *)v;
	static const struct virtio_console_backend none;
	const struct virtio_console_backend *b = v->s.backend ? v->s.backend : &none;
	char names[NAME_MAX_LEN * VIRTIO_CONSOLE_PORTS] = "";
	const char *at = names;
	if (virtio_option(v, "ports", names, sizeof names) && strlen(names) == sizeof names - 1)
		return err_set(e, EINVAL, "names of ports are too long");
	port_init(s, 0, b->console, NULL, 0);
	for (unsigned i = 0; i < VIRTIO_CONSOLE_PORTS; i++) {
		size_t len = strcspn(at, ":");
		const char *name = b->ports[i].name ? b->ports[i].name : at;
		size_t name_len = b->ports[i].name ? strlen(name) : len;
		if (!name_len)
			break;
		port_init(s, i + 1, b->ports[i].chr, name, name_len);
		at += len + (at[len] == ':');
	}
	if (s->nports > 1) {
		v->offered |= F_MULTIPORT;
		v->nqueues = 2 * s->nports + 2;
	}
	return 0;
}

static void console_fini(struct virtio *v)
{
	struct console *s = (struct console *)v;
	for (unsigned n = 0; n < s->nports; n++)
		if (s->ports[n].chr)
			chr_on_device(s->ports[n].chr, NULL, NULL);
}

static void console_reset(struct virtio *v)
{
	struct console *s = (struct console *)v;
	memset(s->tell, 0, sizeof s->tell);
	memset(s->open, 0, sizeof s->open);
	memset(s->sent, 0, sizeof s->sent);
}

static const struct state_field console_state[] = {
	STATE(struct console, cols, 1), STATE(struct console, rows, 1),
	STATE(struct console, tell, 1), STATE(struct console, open, 1),
	STATE(struct console, sent, 1), STATE_END
};

const struct virtio_class virtio_console = {
	.name = "console", .summary = "console and named byte streams",
	.size = sizeof(struct console), .device_id = DEVICE_ID, .pci_class = 0x078000,
	.config_len = 12, .nqueues = 2, .features = F_SIZE | F_EMERG_WRITE,
	.init = console_init, .fini = console_fini, .reset = console_reset,
	.serve = console_serve, .config_read = console_config_read,
	.config_write = console_config_write, .state = console_state,
};
