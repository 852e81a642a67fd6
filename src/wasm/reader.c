/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of a module, read in order. Spec: WASM-CORE 2.0 §5.2 */
#include "wasm/internal.h"
#include <stdio.h>
#include <stdlib.h>

int reader_fail(struct reader *r, int code, const char *fmt, ...)
{
	char text[160];
	va_list ap;
	if (r->bad)
		return r->bad;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	r->bad = err_set(r->e, code, "%s at byte %zu: %s",
			 code == EBADMSG  ? "malformed"
			 : code == EINVAL ? "invalid"
					  : "not supported",
			 (size_t)(r->p - r->base), text);
	return r->bad;
}

uint8_t reader_none(struct reader *r)
{
	reader_fail(r, EBADMSG, "unexpected end");
	return 0;
}

/* LEB128 of at most @bits bits; what does not fit into them is malformed. */
static uint64_t leb_read(struct reader *r, unsigned bits, bool sign)
{
	uint64_t v = 0;
	for (unsigned at = 0;; at += 7) {
		uint8_t b = reader_byte(r);
		unsigned left = bits - at; /* of the value, in this byte */
		if (r->bad)
			return 0;
		v |= (uint64_t)(b & 0x7f) << at;
		if (left < 7) {
			/* the other bits are copies of the sign, or zero */
			uint8_t rest = (uint8_t)((b & 0x7f) >> (sign ? left - 1 : left));
			uint8_t ones = (uint8_t)(0x7f >> (sign ? left - 1 : left));
			if (b & 0x80)
				reader_fail(r, EBADMSG, "integer representation too long");
			else if (rest && !(sign && rest == ones))
				reader_fail(r, EBADMSG, "integer too large");
		}
		if (!(b & 0x80) || r->bad) {
			if (sign && at + 7 < 64 && b & 0x40)
				v |= ~0ull << (at + 7);
			return r->bad ? 0 : v;
		}
	}
}

uint32_t reader_long_u32(struct reader *r)
{
	if (r->end - r->p >= 2 && !(r->p[1] & 0x80) && *r->p & 0x80 && !r->bad) {
		r->p += 2;
		return (r->p[-2] & 0x7fu) | (uint32_t)r->p[-1] << 7;
	}
	return (uint32_t)leb_read(r, 32, false);
}
uint64_t reader_u64(struct reader *r) { return leb_read(r, 64, false); }
int64_t reader_signed(struct reader *r, unsigned bits)
{
	if (r->p < r->end && !(*r->p & 0x80) && !r->bad)
		return (int64_t)((uint64_t)*r->p++ << 57) >> 57;
	return (int64_t)leb_read(r, bits, true);
}

const uint8_t *reader_bytes(struct reader *r, uint64_t n)
{
	if (r->bad || (uint64_t)(r->end - r->p) < n) {
		reader_fail(r, EBADMSG, "unexpected end");
		return NULL;
	}
	const uint8_t *p = r->p;
	r->p += n;
	return p;
}

const char *reader_name(struct reader *r, uint32_t *ret_len)
{
	uint32_t n = reader_u32(r);
	const uint8_t *p = reader_bytes(r, n);
	*ret_len = p ? n : 0;
	for (uint32_t i = 0, k; p && i < n; i += k)
		if (!(k = utf8_len(p + i, n - i))) {
			reader_fail(r, EBADMSG, "malformed UTF-8 encoding");
			break;
		}
	return (const char *)p;
}

uint32_t reader_count(struct reader *r, const char *what, uint32_t least)
{
	uint32_t n = reader_u32(r);
	if ((uint64_t)n * least > (uint64_t)(r->end - r->p))
		reader_fail(r, EBADMSG, "unexpected end: %u %s", n, what);
	else if (n > COUNT_MAX)
		reader_fail(r, ENOTSUP, "%u %s: at most %u", n, what, COUNT_MAX);
	return r->bad ? 0 : n;
}

void *array_more(struct reader *r, void *at, size_t size, uint32_t have, uint32_t n)
{
	if (r->bad || !n)
		return at;
	if ((uint64_t)have + n > COUNT_MAX) {
		reader_fail(r, EBADMSG, "too many entries");
		return at;
	}
	char *p = realloc(at, size * (have + n));
	if (!p) {
		r->bad = err_set(r->e, ENOMEM, "out of memory");
		return at;
	}
	memset(p + size * have, 0, size * n);
	return p;
}
