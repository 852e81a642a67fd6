/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers and texts one after the other, with bounds. */
#include "internal.h"

void out_bytes(struct bytes_out *o, const void *p, size_t n)
{
	if (n && o->n <= o->cap && n <= o->cap - o->n)
		memcpy(o->buf + o->n, p, n);
	o->n += n;
}

void out_put(struct bytes_out *o, uint64_t v, unsigned width)
{
	uint8_t b[8];
	le64_put(b, v);
	out_bytes(o, b, width);
}

const uint8_t *in_bytes(struct bytes_in *i, size_t n)
{
	const uint8_t *p = i->p;
	if (i->bad || n > i->left) {
		i->bad = true;
		return NULL;
	}
	i->p += n;
	i->left -= n;
	return p;
}

uint64_t in_get(struct bytes_in *i, unsigned width)
{
	uint8_t b[8] = { 0 };
	const uint8_t *p = in_bytes(i, width);
	if (p)
		memcpy(b, p, width);
	return le64_at(b);
}
