/* SPDX-License-Identifier: Apache-2.0 */
/* The sections around random functions. */
#include "wasm/random_make_test.h"

static void bytes_add(struct bytes *b, const void *p, size_t n)
{
	memcpy(b->at + b->n, p, n);
	b->n += n;
}
static void bytes_uleb5(struct bytes *b, size_t at, size_t v)
{
	for (unsigned k = 0; k < 5; k++)
		b->at[at + k] = (uint8_t)((v >> 7 * k & 127) | (k < 4 ? 128 : 0));
}
#define ADD(b, text) bytes_add(b, text, sizeof text - 1)

static void head_add(struct bytes *b, const struct maker *m)
{
	b->n = 0;
	if (m->plain)
		ADD(b, "\0asm\1\0\0\0\1\x43\x09");
	else
		ADD(b, "\0asm\1\0\0\0\1\x4e\x0b");
	ADD(b, "\x60\5\x7f\x7e\x7d\x7c\x7b\1\x7f\x60\5\x7f\x7e\x7d\x7c\x7b\1\x7e"
	       "\x60\5\x7f\x7e\x7d\x7c\x7b\1\x7d\x60\5\x7f\x7e\x7d\x7c\x7b\1\x7c"
	       "\x60\5\x7f\x7e\x7d\x7c\x7b\1\x7b\x60\2\x7f\x7b\0"
	       "\x60\2\x7e\x7c\2\x7c\x7e\x60\1\x7f\1\x7f\x60\0\1\x7e");
	if (!m->plain)
		ADD(b, "\x60\0\2\x7f\x7b\x60\0\3\x7f\x7b\x69");
	if (m->plain)
		ADD(b, "\3\x10\x0f\0\1\2\3\4\0\6\6\x08\x08\x08\x08\x08\x08\x08");
	else
		ADD(b, "\3\x09\x08\0\1\2\3\4\0\6\6");
	ADD(b, "\4\x09\2\x70\1\7\x09\x70\1\4\x0c"); /* tables of 7 to 9 and 4 to 12 */
	if (m->plain)
		ADD(b, "\5\4\1\1\1\2"); /* a memory of 1 to 2 pages */
	else
		ADD(b, "\5\7\2\1\1\2\5\1\1\x0d\3\1\0\5"); /* two, a tag: (i32 v128) */
	ADD(b, "\6\x34\5"           /* globals */
	       "\x7f\1\x41\5\x0b\x7e\1\x42\7\x0b\x7d\1\x43\0\0\x80\x3f\x0b"
	       "\x7c\1\x44\0\0\0\0\0\0\xf0\x3f\x0b"
	       "\x7b\1\xfd\x0c\1\2\3\4\5\6\7\x88\0\0\x80\x3f\x80\xff\0\1\x0b");
	if (m->plain) /* what may be called */
		ADD(b, "\7\x1d\7\1a\0\x08\1b\0\x09\1c\0\x0a"
		       "\1d\0\x0b\1e\0\x0c\1f\0\x0d\1m\0\x0e");
	ADD(b, "\x09\x13\2\0\x41\0\x0b\6\0\1\2\3\4\5\1\0\4\5\4\3\2" /* elements */
	       "\x0c\1\1");                                         /* one segment of data */
}

/* A function's body: its locals, and what @m has. */
static void body_add(struct bytes *b, const struct maker *m, const void *locals, size_t len)
{
	size_t at = b->n;
	CHECK(m->n < BODY_MAX && b->n + len + m->n + 1000 < sizeof b->at);
	b->n += 5;
	bytes_uleb5(b, at, m->n + len);
	bytes_add(b, locals, len);
	bytes_add(b, m->at, m->n);
}

/* Call function @f with some arguments; its result becomes an i64. */
static void plain_call(struct maker *m, uint32_t f)
{
	static const uint8_t after[TYPES][4] = {{0xad}, {0}, {0xbc, 0xad}, {0xbd}, {0xfd, 0x1d, 1}};
	for (unsigned t = 0; t < TYPES; t++)
		random_constant(m, t);
	byte(m, 0x10);
	uleb(m, f);
	for (unsigned k = 0; k < 4 && after[f % TYPES][k]; k++)
		byte(m, after[f % TYPES][k]);
}

/* A sum of memory 0 and of the globals. */
static void plain_sum(struct maker *m)
{
	static const char sum[] =
	    "\x03\x40\x20\1\x42\x1f\x7e\x20\0\x29\3\0\x7c\x21\1" /* sum * 31 + the next 8 */
	    "\x20\0\x41\x08\x6a\x22\0\x3f\0\x41\x10\x74\x49\x0d\0\x0b"
	    "\x20\1\x23\0\xad\x7c\x23\1\x85\x23\2\xbc\xad\x7c\x23\3\xbd\x85"
	    "\x23\4\xfd\x1d\0\x7c\x0b";
	memcpy(m->at, sum, sizeof sum - 1);
	m->n = sizeof sum - 1;
}

static void plain_add(struct bytes *b, struct maker *m)
{
	for (uint32_t f = 0; f < FUNCS; f++) {
		m->n = 0;
		plain_call(m, f);
		byte(m, 0x0b);
		body_add(b, m, "", 1);
	}
	plain_sum(m);
	body_add(b, m, "\2\1\x7f\1\x7e", 5);
}

void random_module(struct bytes *b, struct maker *m)
{
	static const uint8_t locals[] = {14, 1, 0x7f, 1, 0x7e, 1, 0x7d, 1, 0x7c, 1, 0x7b,
					 1, 0x7f, 1, 0x7e, 1, 0x7d, 1, 0x7c, 1, 0x7b,
					 COUNTERS, 0x7f, 1, 0x70, 1, 0x7d, 1, 0x7c,
					 1, WASM_EXNREF};
	uint8_t with_exception[sizeof locals];
	memcpy(with_exception, locals, sizeof locals);
	with_exception[0]++;
	m->calm |= m->plain;
	head_add(b, m);
	b->at[b->n++] = 10;
	size_t at = b->n;
	b->n += 5;
	b->at[b->n++] = m->plain ? 15 : 8;
	for (uint32_t f = 0; f < FUNCS; f++) {
		random_function(m, f);
		body_add(b, m, m->plain ? locals : with_exception,
			 sizeof locals - (m->plain ? 2 : 0));
	}
	ADD(b, "\6\0\x20\1\x20\0\x0b\x08\0\x20\0\x20\1\x12\6\x0b");
	if (m->plain)
		plain_add(b, m);
	bytes_uleb5(b, at, b->n - at - 5);
	ADD(b, "\x0b\x1b\1\1\x18what is copied somewhere");
}

void random_parameters(union wasm_slot a[6], struct maker *m)
{
	a[0].i64 = (uint32_t)random_number(m);
	a[1].i64 = random_number(m);
	a[2].i64 = (uint32_t)random_float(m, false);
	a[3].i64 = random_float(m, true);
	a[4].i64 = random_float(m, true);
	a[5].i64 = random_number(m);
}
