/* SPDX-License-Identifier: Apache-2.0 */
#include "dev/testing.h"
#include "test/test.h"

enum { DATA, IER, FCR, LCR, MCR, LSR, MSR, SCR, IIR = FCR };

static uint64_t uart_get(struct bench *b, uint64_t reg) { return bench_get(b, reg, 1); }
static void uart_put(struct bench *b, uint64_t reg, uint64_t val) { bench_put(b, reg, 1, val); }
static void uart_type(struct bench *b, const char *s)
{
	CHECK(chr_host_write(b->chr, s, strlen(s)) == strlen(s));
	bench_turn(b);
}

TEST(uart_reset_values)
{
	struct bench b;
	bench_init(&b, "uart16550", NULL);
	CHECK(uart_get(&b, IER) == 0 && uart_get(&b, IIR) == 1 && uart_get(&b, LCR) == 0);
	CHECK(uart_get(&b, MCR) == 0 && uart_get(&b, LSR) == 0x60 && uart_get(&b, MSR) == 0xb0);
	uart_put(&b, LCR, 0x80);
	uart_put(&b, DATA, 0x12);
	uart_put(&b, IER, 0x34);
	CHECK(uart_get(&b, DATA) == 0x12 && uart_get(&b, IER) == 0x34);
	uart_put(&b, LCR, 0x03);
	uart_put(&b, SCR, 0xa5);
	uart_put(&b, IER, 0xf0); /* the high half is not there */
	CHECK(uart_get(&b, IER) == 0 && uart_get(&b, SCR) == 0xa5 && uart_get(&b, 9) == 0);
	uart_put(&b, FCR, 0xc6); /* without bit 0 nothing is taken */
	CHECK(uart_get(&b, IIR) == 1);
	uart_put(&b, FCR, 0xc1);
	CHECK(uart_get(&b, IIR) == 0xc1);
	bench_fini(&b);
}

TEST(uart_sends_and_interrupts_when_empty)
{
	struct bench b;
	char got[4] = { 0 };
	bench_init(&b, "uart16550", NULL);
	uart_put(&b, DATA, 'a');
	CHECK(!b.line[0] && chr_host_read(b.chr, got, 4) == 1 && got[0] == 'a');
	uart_put(&b, IER, 2); /* enabling while empty interrupts at once */
	CHECK(b.line[0]);
	CHECK(uart_get(&b, IIR) == 2 && !b.line[0]); /* reading it clears it */
	CHECK(uart_get(&b, IIR) == 1);
	uart_put(&b, IER, 2); /* no edge, no interrupt */
	CHECK(!b.line[0]);
	uart_put(&b, DATA, 'b');
	CHECK(b.line[0]);
	uart_put(&b, IER, 0);
	CHECK(!b.line[0]);
	bench_fini(&b);
}

TEST(uart_receives_with_trigger_level_and_timeout)
{
	struct bench b;
	bench_init(&b, "uart16550", NULL);
	uart_put(&b, FCR, 0x41); /* 4 bytes */
	uart_put(&b, IER, 1);
	uart_type(&b, "xy");
	CHECK(b.line[0] && uart_get(&b, IIR) == 0xcc && uart_get(&b, LSR) == 0x61);
	uart_type(&b, "zw");
	CHECK(uart_get(&b, IIR) == 0xc4);
	CHECK(uart_get(&b, DATA) == 'x' && uart_get(&b, IIR) == 0xcc);
	CHECK(uart_get(&b, DATA) == 'y' && uart_get(&b, DATA) == 'z' && b.line[0]);
	CHECK(uart_get(&b, DATA) == 'w' && !b.line[0] && uart_get(&b, LSR) == 0x60);
	uart_type(&b, "0123456789abcdefGHIJ"); /* more than the FIFO: the rest waits outside */
	for (const char *p = "0123456789abcdefGHIJ"; *p; p++)
		CHECK(uart_get(&b, DATA) == (uint8_t)*p);
	CHECK(uart_get(&b, LSR) == 0x60); /* and nothing was overrun */
	uart_type(&b, "q");
	uart_put(&b, FCR, 0x43);
	CHECK(!b.line[0] && uart_get(&b, LSR) == 0x60);
	bench_fini(&b);
}

TEST(uart_without_fifo_holds_one_byte)
{
	struct bench b;
	bench_init(&b, "uart16550", NULL);
	uart_put(&b, IER, 1);
	uart_type(&b, "ab");
	CHECK(uart_get(&b, IIR) == 4 && uart_get(&b, DATA) == 'a');
	CHECK(uart_get(&b, IIR) == 4 && uart_get(&b, DATA) == 'b' && uart_get(&b, IIR) == 1);
	bench_fini(&b);
}

TEST(uart_loopback_carries_data_and_modem_lines)
{
	struct bench b;
	char c;
	bench_init(&b, "uart16550", NULL);
	uart_put(&b, MCR, 0x10);
	CHECK(uart_get(&b, MSR) == 0x0b); /* CTS, DSR and DCD fell */
	CHECK(uart_get(&b, MSR) == 0);
	uart_put(&b, IER, 8);
	uart_put(&b, MCR, 0x1f);
	CHECK(b.line[0] && uart_get(&b, IIR) == 0 && uart_get(&b, MSR) == 0xfb && !b.line[0]);
	uart_put(&b, MCR, 0x1b); /* RI falls: the trailing edge */
	CHECK(uart_get(&b, MSR) == 0xb4);
	uart_put(&b, MCR, 0x1f);
	CHECK(uart_get(&b, MSR) == 0xf0); /* RI rises: no delta */
	uart_put(&b, IER, 4);
	uart_put(&b, DATA, 'l');
	CHECK(uart_get(&b, LSR) == 0x61 && chr_host_read(b.chr, &c, 1) == 0);
	uart_put(&b, DATA, 'm'); /* overrun: the lone register takes the newer */
	CHECK(b.line[0] && uart_get(&b, IIR) == 6 && uart_get(&b, LSR) == 0x63 && !b.line[0]);
	CHECK(uart_get(&b, LSR) == 0x61 && uart_get(&b, DATA) == 'm');
	bench_fini(&b);
}

TEST(uart_waits_for_a_slow_host_but_not_for_ever)
{
	struct bench b;
	char buf[64];
	bench_init(&b, "uart16550", NULL); /* the ring holds 32 */
	uart_put(&b, IER, 2);
	for (int i = 0; i < 32; i++)
		uart_put(&b, DATA, (uint8_t)('A' + i));
	CHECK(uart_get(&b, LSR) == 0x60 && b.line[0]);
	uart_put(&b, DATA, '!');
	CHECK(uart_get(&b, LSR) == 0 && !b.line[0]);
	CHECK(chr_host_read(b.chr, buf, 1) == 1); /* room: told through the loop */
	bench_turn(&b);
	CHECK(uart_get(&b, LSR) == 0x60 && b.line[0]);
	uart_put(&b, DATA, '?');
	CHECK(uart_get(&b, LSR) == 0);
	usleep(60000);
	bench_turn(&b); /* nobody reads: dropped */
	CHECK(uart_get(&b, LSR) == 0x60);
	uart_put(&b, DATA, '?'); /* and the next at once */
	CHECK(uart_get(&b, LSR) == 0x60);
	CHECK(chr_host_read(b.chr, buf, 64) == 32 && buf[31] == '!');
	bench_turn(&b);
	uart_put(&b, DATA, '+');
	CHECK(chr_host_read(b.chr, buf, 64) == 1 && buf[0] == '+');
	bench_fini(&b);
}
