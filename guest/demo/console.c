/* SPDX-License-Identifier: Apache-2.0 */
/* Console over SBI: debug console (DBCN) where there is one, else the legacy calls. SBI 2.0 §12,
 * §5. */
#include "demo.h"

enum { DBCN = 0x4442434e, LEGACY_PUTCHAR = 1, LEGACY_GETCHAR = 2 };

bool colour = true;
static char line[256];
static unsigned held;

static const char *code(const char *s) { return colour ? s : ""; }
const char *bold(void) { return code("\033[1m"); }
const char *dim(void) { return code("\033[2m"); }
const char *warm(void) { return code("\033[33m"); }
const char *green(void) { return code("\033[32m"); }
const char *plain(void) { return code("\033[0m"); }

/* DBCN takes whole strings: one call a line, not one a character. */
static void flush(void)
{
	unsigned at = 0;
	while (at < held) {
		if (!machine.dbcn) {
			sbi(LEGACY_PUTCHAR, 0, (uint8_t)line[at++], 0, 0);
			continue;
		}
		struct sbi_ret r = sbi(DBCN, 0, held - at, (uint64_t)(uintptr_t)(line + at), 0);
		if (r.error)
			break;
		at += (unsigned)r.value;
	}
	held = 0;
}

static void hold(char c)
{
	line[held++] = c;
	if (held == sizeof(line))
		flush();
}

static void emit(char c)
{
	if (c == '\n')
		hold('\r');
	hold(c);
}

void put(char c)
{
	emit(c);
	flush();
}

int get(void)
{
	static uint8_t c;
	if (machine.dbcn) {
		struct sbi_ret r = sbi(DBCN, 1, 1, (uint64_t)(uintptr_t)&c, 0);
		return !r.error && r.value == 1 ? *(volatile uint8_t *)&c : -1;
	}
	int64_t v = sbi(LEGACY_GETCHAR, 0, 0, 0, 0).error;
	return v >= 0 && v < 256 ? (int)v : -1;
}

static void pad(int n, char with)
{
	while (n-- > 0)
		emit(with);
}

static void digits(uint64_t v, unsigned base, int width, char with, bool minus)
{
	char b[24];
	int n = 0;
	do {
		b[n++] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v);
	if (minus)
		b[n++] = '-';
	pad(width - n, with);
	while (n)
		emit(b[--n]);
}

static void text(const char *s, int width, bool left)
{
	int n = (int)strlen(s);
	if (!left)
		pad(width - n, ' ');
	for (; *s; s++)
		emit(*s);
	if (left)
		pad(width - n, ' ');
}

/* %s %c %d %u %x %%, each number 64 bits with l; width, 0 and -. */
void print(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	for (; *fmt; fmt++) {
		if (*fmt != '%') {
			emit(*fmt);
			continue;
		}
		bool left = fmt[1] == '-';
		fmt += left ? 2 : 1;
		char with = *fmt == '0' ? '0' : ' ';
		int width = 0;
		for (; *fmt >= '0' && *fmt <= '9'; fmt++)
			width = width * 10 + (*fmt - '0');
		bool wide = *fmt == 'l';
		fmt += wide;
		if (*fmt == 's') {
			text(va_arg(ap, const char *), width, left);
		} else if (*fmt == 'c') {
			emit((char)va_arg(ap, int));
		} else if (*fmt == 'd') {
			int64_t v = wide ? va_arg(ap, long) : va_arg(ap, int);
			digits(v < 0 ? 0 - (uint64_t)v : (uint64_t)v, 10, width, with, v < 0);
		} else if (*fmt == 'u' || *fmt == 'x') {
			uint64_t v = wide ? va_arg(ap, unsigned long) : va_arg(ap, unsigned);
			digits(v, *fmt == 'u' ? 10 : 16, width, with, false);
		} else {
			emit(*fmt);
		}
	}
	va_end(ap);
	flush();
}
