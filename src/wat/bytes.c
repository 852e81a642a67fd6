/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that grow, as the binary format has them. Spec: WASM-CORE 2.0 §5.2 */
#include "wat/internal.h"

static bool bytes_room(struct bytes *b, size_t n)
{
	if (n <= b->cap - b->n)
		return true;
	size_t cap = b->cap ? 2 * b->cap : 256;
	while (cap - b->n < n)
		cap *= 2;
	uint8_t *p = realloc(b->at, cap);
	if (!p) {
		b->failed = true;
		return false;
	}
	b->at = p;
	b->cap = cap;
	return true;
}

void bytes_put(struct bytes *b, const void *p, size_t n)
{
	if (!n || !bytes_room(b, n))
		return;
	memcpy(b->at + b->n, p, n);
	b->n += n;
}

void byte_put(struct bytes *b, unsigned v)
{
	if (bytes_room(b, 1))
		b->at[b->n++] = (uint8_t)v;
}

void unsigned_put(struct bytes *b, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		byte_put(b, 0x80 | (unsigned)(v & 0x7f));
	byte_put(b, (unsigned)v);
}

unsigned unsigned_len(uint64_t v)
{
	unsigned n = 1;
	while (v >>= 7)
		n++;
	return n;
}

void signed_put(struct bytes *b, int64_t v)
{
	for (; v < -64 || v > 63; v >>= 7)
		byte_put(b, 0x80 | (unsigned)(v & 0x7f));
	byte_put(b, (unsigned)(v & 0x7f));
}

void sized_put(struct bytes *b, const struct bytes *from)
{
	unsigned_put(b, from->n);
	bytes_put(b, from->at, from->n);
	b->failed |= from->failed;
}
