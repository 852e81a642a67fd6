/* SPDX-License-Identifier: Apache-2.0 */
/* Packets: "$" body "#" checksum, with "}" before bytes that would end it. GDB 13 §E.1 */
#include "gdb/internal.h"
#include <signal.h>
#include <stdarg.h>

static int hex_digit(uint8_t c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static void body_add(struct in *in, uint8_t byte)
{
	if (in->len < PACKET)
		in->body[in->len++] = byte;
	else
		in->long_ = true;
}

static enum in_event in_idle(struct in *in, uint8_t byte)
{
	if (byte == '$') {
		in->state = IN_BODY;
		in->len = 0;
		in->sum = 0;
		in->long_ = false;
	}
	return byte == 3 ? IN_INTERRUPT : byte == '-' ? IN_AGAIN : IN_NOTHING;
}

static enum in_event in_end(struct in *in, uint8_t byte)
{
	int digit = hex_digit(byte);
	if (in->state == IN_SUM) {
		in->state = digit < 0 ? IN_IDLE : IN_SUM_LOW;
		if (digit < 0)
			return IN_BAD;
		in->got = (uint8_t)(digit << 4);
		return IN_NOTHING;
	}
	in->state = IN_IDLE;
	if (digit < 0 || (in->got | digit) != in->sum || in->long_)
		return IN_BAD;
	in->body[in->len] = 0;
	return IN_PACKET;
}

enum in_event in_add(struct in *in, uint8_t byte)
{
	if (in->state == IN_IDLE)
		return in_idle(in, byte);
	if (in->state == IN_SUM || in->state == IN_SUM_LOW)
		return in_end(in, byte);
	if (byte == '#' && in->state == IN_BODY) {
		in->state = IN_SUM;
		return IN_NOTHING;
	}
	if (byte == '$' && in->state == IN_BODY) /* the one before was cut */
		return in_idle(in, byte);
	in->sum = (uint8_t)(in->sum + byte);
	if (in->state == IN_ESCAPE) {
		body_add(in, byte ^ 0x20);
		in->state = IN_BODY;
	} else if (byte == '}') {
		in->state = IN_ESCAPE;
	} else {
		body_add(in, byte);
	}
	return IN_NOTHING;
}

void reply_bytes(struct reply *o, const void *data, size_t len)
{
	size_t n = min_u64(len, sizeof o->body - o->len);
	memcpy(o->body + o->len, data, n);
	o->len += n;
}

void reply_text(struct reply *o, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (n > 0)
		reply_bytes(o, text, min_u64((uint64_t)n, sizeof text - 1));
}

void reply_hex(struct reply *o, const void *data, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *b = data;
	for (size_t i = 0; i < len; i++) {
		const char two[2] = {digits[b[i] >> 4], digits[b[i] & 15]};
		reply_bytes(o, two, 2);
	}
}

size_t reply_frame(const struct reply *o, uint8_t *to)
{
	static const char digits[] = "0123456789abcdef";
	size_t n = 0;
	uint8_t sum = 0;
	to[n++] = '$';
	for (size_t i = 0; i < o->len; i++) {
		uint8_t c = o->body[i];
		if (c == '#' || c == '$' || c == '}' || c == '*') {
			to[n++] = '}';
			c ^= 0x20;
		}
		to[n++] = c;
	}
	for (size_t i = 1; i < n; i++)
		sum = (uint8_t)(sum + to[i]);
	to[n++] = '#';
	to[n++] = (uint8_t)digits[sum >> 4];
	to[n++] = (uint8_t)digits[sum & 15];
	return n;
}

uint64_t hex_take(const char **p)
{
	uint64_t v = 0;
	for (int d; (d = hex_digit((uint8_t)**p)) >= 0; ++*p)
		v = v << 4 | (unsigned)d;
	return v;
}

size_t hex_bytes(const char *text, uint8_t *ret, size_t cap)
{
	size_t n = 0;
	for (; n < cap; n++, text += 2) {
		int high = hex_digit((uint8_t)text[0]);
		int low = high < 0 ? -1 : hex_digit((uint8_t)text[1]);
		if (low < 0)
			break;
		ret[n] = (uint8_t)(high << 4 | low);
	}
	return n;
}

int thread_take(const char **p)
{
	if ((*p)[0] == '-' && (*p)[1] == '1') {
		*p += 2;
		return -1;
	}
	return (int)(hex_take(p) & INT32_MAX);
}

/* ---- signals ---- */

enum { GDB_RT33 = 45, GDB_RT32 = 77, GDB_RT64 = 78, LINUX_RT = 32 };
/* by Linux's number */
static const uint8_t signals[LINUX_RT] = {
	[SIGHUP] = 1, [SIGINT] = 2, [SIGQUIT] = 3, [SIGILL] = 4, [SIGTRAP] = 5, [SIGABRT] = 6,
	[SIGFPE] = 8, [SIGKILL] = 9, [SIGBUS] = 10, [SIGSEGV] = 11, [SIGSYS] = 12,
	[SIGPIPE] = 13, [SIGALRM] = 14, [SIGTERM] = 15, [SIGURG] = 16, [SIGSTOP] = 17,
	[SIGTSTP] = 18, [SIGCONT] = 19, [SIGCHLD] = 20, [SIGTTIN] = 21, [SIGTTOU] = 22,
	[SIGIO] = 23, [SIGXCPU] = 24, [SIGXFSZ] = 25, [SIGVTALRM] = 26, [SIGPROF] = 27,
	[SIGWINCH] = 28, [SIGUSR1] = 30, [SIGUSR2] = 31, [SIGPWR] = 32,
};

int signal_to_gdb(int sig)
{
	if (sig > LINUX_RT)
		return sig == 64 ? GDB_RT64 : sig < 64 ? GDB_RT33 + sig - 33 : 0;
	return sig == LINUX_RT ? GDB_RT32 : sig > 0 ? signals[sig] : 0;
}

int signal_from_gdb(int sig)
{
	for (int i = 1; sig && i <= 64; i++)
		if (signal_to_gdb(i) == sig)
			return i;
	return 0;
}
