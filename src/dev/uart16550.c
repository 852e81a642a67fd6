/* SPDX-License-Identifier: Apache-2.0 */
/* 16550A UART with FIFOs, modem lines and loopback. Spec: PC16550D 1995.
 *
 *   0  RBR, THR; DLL with DLAB    4  MCR
 *   1  IER;      DLM with DLAB    5  LSR
 *   2  IIR, FCR                   6  MSR
 *   3  LCR                        7  SCR
 *
 * DEVIATES: there is no line, so no baud rate and no line errors. A character is sent in no time,
 * and the receive timeout comes at once when no byte waits on the host's side.
 *
 * When the host does not take a byte, it waits in the transmitter (LSR.THRE stays clear) for at
 * most UART_STALL_NS; after that bytes are dropped until the host makes room again, so that a
 * console which nobody reads does not hold up the guest. */
#include "dev/dev.h"

enum { UART_FIFO = 16, UART_SIZE = 0x100, UART_STALL_NS = 50000000 };
enum { UART_DATA, UART_IER, UART_IIR_FCR, UART_LCR, UART_MCR, UART_LSR, UART_MSR, UART_SCR };
enum { IER_RECEIVE = 1, IER_TRANSMIT = 2, IER_LINE = 4, IER_MODEM = 8, IER_MASK = 15 };
enum {
	IIR_MODEM = 0,
	IIR_NONE = 1,
	IIR_TRANSMIT = 2,
	IIR_RECEIVE = 4,
	IIR_LINE = 6,
	IIR_TIMEOUT = 12,
	IIR_FIFOS = 0xc0,
};
enum { FCR_ENABLE = 1, FCR_CLEAR_RX = 2, FCR_CLEAR_TX = 4, FCR_TRIGGER = 0xc0 };
enum { LCR_DLAB = 0x80 };
enum { MCR_DTR = 1, MCR_RTS = 2, MCR_OUT1 = 4, MCR_OUT2 = 8, MCR_LOOP = 16, MCR_MASK = 31 };
enum { LSR_DATA = 1, LSR_OVERRUN = 2, LSR_THRE = 0x20, LSR_TEMT = 0x40 };
enum { MSR_DELTA = 15, MSR_CTS = 0x10, MSR_DSR = 0x20, MSR_RI = 0x40, MSR_DCD = 0x80 };

struct uart {
	struct dev dev;
	struct chr *chr; /* borrowed; may be NULL */
	uint8_t ier, fcr, lcr, mcr, msr, scr, dll, dlm;
	uint8_t rx[UART_FIFO], tx[UART_FIFO];
	uint8_t rx_head, rx_len, tx_len;
	uint8_t overrun;
	uint8_t thre_irq;         /* the transmitter became empty and IIR has not told yet */
	uint8_t used;             /* the guest has touched a register: until then input is left to
	                             other readers of the same stream (SBI's console) */
	bool deaf;                /* the host takes nothing: drop */
	unsigned posted;          /* atomic: uart_wake is on its way to the loop */
	struct loop_timer *stall; /* owned */
};

static const struct state_field uart_state[] = {
	STATE(struct uart, ier, 1),     STATE(struct uart, fcr, 1),
	STATE(struct uart, lcr, 1),     STATE(struct uart, mcr, 1),
	STATE(struct uart, msr, 1),     STATE(struct uart, scr, 1),
	STATE(struct uart, dll, 1),     STATE(struct uart, dlm, 1),
	STATE(struct uart, rx, 1),      STATE(struct uart, tx, 1),
	STATE(struct uart, rx_head, 1), STATE(struct uart, rx_len, 1),
	STATE(struct uart, tx_len, 1),  STATE(struct uart, overrun, 1),
	STATE(struct uart, thre_irq, 1), STATE(struct uart, used, 1),
	STATE_END
};

static unsigned uart_depth(const struct uart *u) { return u->fcr & FCR_ENABLE ? UART_FIFO : 1; }

/* Bytes that must wait before the receiver interrupts. PC16550D 1995 §8.5 */
static unsigned uart_trigger(const struct uart *u)
{
	static const uint8_t level[] = { 1, 4, 8, 14 };
	return u->fcr & FCR_ENABLE ? level[u->fcr >> 6] : 1;
}

/* The interrupt of the highest priority. PC16550D 1995 §8.6, table IV */
static uint8_t uart_iir(const struct uart *u)
{
	if (u->ier & IER_LINE && u->overrun)
		return IIR_LINE;
	if (u->ier & IER_RECEIVE && u->rx_len >= uart_trigger(u))
		return IIR_RECEIVE;
	if (u->ier & IER_RECEIVE && u->rx_len)
		return IIR_TIMEOUT;
	if (u->ier & IER_TRANSMIT && u->thre_irq)
		return IIR_TRANSMIT;
	if (u->ier & IER_MODEM && u->msr & MSR_DELTA)
		return IIR_MODEM;
	return IIR_NONE;
}

static void uart_update(struct uart *u) { irq_set(&u->dev.irq, uart_iir(u) != IIR_NONE); }

static void uart_rx_put(struct uart *u, uint8_t byte)
{
	if (u->rx_len >= uart_depth(u)) {
		u->overrun = 1;
		if (u->fcr & FCR_ENABLE)
			return; /* the FIFO keeps what it has; the lone register is overwritten */
		u->rx_len = 0;
	}
	u->rx[(u->rx_head + u->rx_len) % UART_FIFO] = byte;
	u->rx_len++;
}

/* Take what waits on the host's side, as far as there is room. */
static void uart_fill(struct uart *u)
{
	uint8_t buf[UART_FIFO];
	if (!u->chr || !u->used || u->mcr & MCR_LOOP || u->rx_len >= uart_depth(u))
		return;
	size_t n = chr_read(u->chr, buf, uart_depth(u) - u->rx_len);
	for (size_t i = 0; i < n; i++)
		uart_rx_put(u, buf[i]);
}

/* The guest uses this UART: from now on it takes the stream's input. */
static void uart_use(struct uart *u)
{
	if (!u->used) {
		u->used = 1;
		uart_fill(u);
	}
}

/* ---- transmitter ---- */

static void uart_stall_set(struct uart *u, bool on)
{
	if (u->stall)
		loop_timer_set(u->stall, on ? host_monotonic_ns() + UART_STALL_NS : UINT64_MAX);
}

static void uart_tx_emptied(struct uart *u)
{
	u->tx_len = 0;
	u->thre_irq = 1;
	uart_stall_set(u, false);
}

/* Give the transmitter's bytes to the host; what does not fit waits or is dropped. */
static void uart_drain(struct uart *u)
{
	if (!u->tx_len)
		return;
	size_t n = u->chr ? chr_write(u->chr, u->tx, u->tx_len) : u->tx_len;
	if (n == u->tx_len) {
		u->deaf = false;
		uart_tx_emptied(u);
	} else if (u->deaf || !u->stall) {
		uart_tx_emptied(u);
	} else {
		memmove(u->tx, u->tx + n, u->tx_len - n);
		u->tx_len = (uint8_t)(u->tx_len - n);
		uart_stall_set(u, true);
	}
}

static void uart_stalled(void *arg)
{
	struct uart *u = arg;
	if (!u->tx_len)
		return;
	u->deaf = true;
	uart_drain(u);
	uart_update(u);
}

static void uart_send(struct uart *u, uint8_t byte)
{
	u->thre_irq = 0;
	if (u->mcr & MCR_LOOP) {
		uart_rx_put(u, byte);
		u->thre_irq = 1;
		return;
	}
	if (u->tx_len >= uart_depth(u))
		return; /* written without looking at THRE: lost, as on the chip */
	u->tx[u->tx_len++] = byte;
	uart_drain(u);
}

/* ---- modem lines ---- */

/* Outside loopback the other side is always there. In loopback the outputs come back as inputs.
 * PC16550D 1995 §8.8 (MCR bit 4), §8.9 */
static void uart_modem(struct uart *u)
{
	uint8_t now = MSR_CTS | MSR_DSR | MSR_DCD;
	if (u->mcr & MCR_LOOP)
		now = (uint8_t)((u->mcr & MCR_RTS ? MSR_CTS : 0) |
		                (u->mcr & MCR_DTR ? MSR_DSR : 0) |
		                (u->mcr & MCR_OUT1 ? MSR_RI : 0) |
		                (u->mcr & MCR_OUT2 ? MSR_DCD : 0));
	uint8_t changed = (u->msr ^ now) & 0xf0;
	if (now & MSR_RI)
		changed &= (uint8_t)~MSR_RI; /* only the trailing edge of RI counts */
	u->msr = (uint8_t)(now | (u->msr & MSR_DELTA) | changed >> 4);
}

/* ---- registers ---- */

static void uart_write_fcr(struct uart *u, uint8_t val)
{
	bool toggled = (u->fcr ^ val) & FCR_ENABLE;
	if (toggled || val & FCR_CLEAR_RX)
		u->rx_len = 0;
	if ((toggled || val & FCR_CLEAR_TX) && u->tx_len)
		uart_tx_emptied(u);
	/* The other bits count only with bit 0. §8.5 */
	u->fcr = val & FCR_ENABLE ? val & (FCR_ENABLE | FCR_TRIGGER) : 0;
	uart_fill(u);
}

static void uart_write_ier(struct uart *u, uint8_t val)
{
	/* Enabling the transmitter's interrupt while it is empty raises it. §8.7 */
	if (val & ~u->ier & IER_TRANSMIT && !u->tx_len)
		u->thre_irq = 1;
	u->ier = val & IER_MASK;
}

static void uart_write(struct dev *d, uint64_t off, unsigned width, uint64_t v)
{
	struct uart *u = (struct uart *)d;
	uart_use(u);
	uint8_t val = (uint8_t)v;
	bool dlab = u->lcr & LCR_DLAB;
	(void)width;
	switch (off) {
	case UART_DATA:
		if (dlab)
			u->dll = val;
		else
			uart_send(u, val);
		break;
	case UART_IER:
		if (dlab)
			u->dlm = val;
		else
			uart_write_ier(u, val);
		break;
	case UART_IIR_FCR: uart_write_fcr(u, val); break;
	case UART_LCR: u->lcr = val; break;
	case UART_MCR:
		u->mcr = val & MCR_MASK;
		uart_modem(u);
		uart_fill(u);
		break;
	case UART_SCR: u->scr = val; break;
	default: return;
	}
	uart_update(u);
}

static uint8_t uart_read_data(struct uart *u)
{
	uint8_t byte = u->rx[u->rx_head];
	if (!u->rx_len)
		return 0;
	u->rx_head = (uint8_t)((u->rx_head + 1) % UART_FIFO);
	u->rx_len--;
	uart_fill(u);
	return byte;
}

static uint8_t uart_read_iir(struct uart *u)
{
	uint8_t id = uart_iir(u);
	if (id == IIR_TRANSMIT)
		u->thre_irq = 0;
	return (uint8_t)(id | (u->fcr & FCR_ENABLE ? IIR_FIFOS : 0));
}

static uint8_t uart_read_lsr(struct uart *u)
{
	unsigned v = (u->rx_len ? LSR_DATA : 0) | (u->overrun ? LSR_OVERRUN : 0) |
	             (u->tx_len ? 0 : LSR_THRE | LSR_TEMT);
	u->overrun = 0;
	return (uint8_t)v;
}

static uint8_t uart_read_msr(struct uart *u)
{
	uint8_t v = u->msr;
	u->msr &= (uint8_t)~MSR_DELTA;
	return v;
}

static uint64_t uart_read(struct dev *d, uint64_t off, unsigned width)
{
	struct uart *u = (struct uart *)d;
	uart_use(u);
	bool dlab = u->lcr & LCR_DLAB;
	uint8_t v = 0;
	(void)width;
	switch (off) {
	case UART_DATA: v = dlab ? u->dll : uart_read_data(u); break;
	case UART_IER: return dlab ? u->dlm : u->ier;
	case UART_IIR_FCR: v = uart_read_iir(u); break;
	case UART_LCR: return u->lcr;
	case UART_MCR: return u->mcr;
	case UART_LSR: v = uart_read_lsr(u); break;
	case UART_MSR: v = uart_read_msr(u); break;
	case UART_SCR: return u->scr;
	default: return 0;
	}
	uart_update(u);
	return v;
}

/* ---- life ---- */

/* On the loop, with the lock: bytes arrived or room appeared. */
static void uart_wake(void *arg)
{
	struct uart *u = arg;
	__atomic_store_n(&u->posted, 0, __ATOMIC_RELEASE);
	u->deaf = false;
	uart_fill(u);
	uart_drain(u);
	uart_update(u);
}

/* From any thread, perhaps one that is inside this very device: only post. */
static void uart_hook(void *arg)
{
	struct uart *u = arg;
	if (__atomic_exchange_n(&u->posted, 1, __ATOMIC_ACQ_REL))
		return;
	if (loop_post(u->dev.s.loop, &u->dev.lock, uart_wake, u) < 0)
		__atomic_store_n(&u->posted, 0, __ATOMIC_RELEASE);
}

static int uart_init(struct dev *d, struct lodge_err *e)
{
	struct uart *u = (struct uart *)d;
	u->chr = d->s.backend;
	if (!u->chr || !d->s.loop)
		return 0;
	int r = loop_timer_new(&u->stall, d->s.loop, &d->lock, uart_stalled, u, e);
	if (r == 0)
		chr_on_device(u->chr, uart_hook, u);
	return r;
}

static void uart_fini(struct dev *d)
{
	struct uart *u = (struct uart *)d;
	if (u->chr && u->stall) {
		chr_on_device(u->chr, NULL, NULL);
		loop_cancel(d->s.loop, u);
	}
	loop_timer_free(u->stall);
}

static bool uart_loaded(struct dev *d)
{
	struct uart *u = (struct uart *)d;
	if (u->rx_head >= UART_FIFO || u->rx_len > uart_depth(u) || u->tx_len > uart_depth(u))
		return false;
	u->ier &= IER_MASK;
	u->mcr &= MCR_MASK;
	u->fcr &= FCR_ENABLE | FCR_TRIGGER;
	uart_fill(u);
	uart_drain(u);
	uart_update(u);
	return true;
}

static void uart_reset(struct dev *d)
{
	struct uart *u = (struct uart *)d;
	u->ier = u->fcr = u->lcr = u->mcr = u->scr = u->dll = u->dlm = 0;
	u->rx_head = u->rx_len = u->tx_len = 0;
	u->overrun = u->thre_irq = u->used = 0;
	u->deaf = false;
	u->msr = MSR_CTS | MSR_DSR | MSR_DCD;
	memset(u->rx, 0, sizeof u->rx);
	memset(u->tx, 0, sizeof u->tx);
	uart_stall_set(u, false);
	uart_update(u);
}

const struct dev_class dev_uart16550 = {
	.name = "uart16550",
	.summary = "serial port",
	.spec = "PC16550D 1995",
	.size = sizeof(struct uart),
	.width_min = 1,
	.width_max = 1,
	.mmio = UART_SIZE,
	.init = uart_init,
	.fini = uart_fini,
	.reset = uart_reset,
	.read = uart_read,
	.write = uart_write,
	.state = uart_state,
	.loaded = uart_loaded,
};
