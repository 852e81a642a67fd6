/* SPDX-License-Identifier: Apache-2.0 */
/* Which parts of a disk hold data, and which were written since: for copies of a disk in use. */
#include "blk/internal.h"

enum { SHIFT = 16 }; /* of a part: 64 KiB */

static uint64_t parts(const struct blk *b)
{
	return (b->image->size + (1 << SHIFT) - 1) >> SHIFT;
}

/* Lock held. */
void track_written(struct blk *b, uint64_t off, uint64_t len)
{
	if (!b->written || !len || off >= b->image->size)
		return;
	uint64_t end = off + min_u64(len, b->image->size - off);
	for (uint64_t i = off >> SHIFT; i << SHIFT < end; i++)
		b->written[i / 64] |= UINT64_C(1) << i % 64;
}

bool image_data(struct image *im, uint64_t from, uint64_t *ret_from, uint64_t *ret_end)
{
	if (im->class->data)
		return im->class->data(im, from, ret_from, ret_end);
	*ret_from = from;
	*ret_end = im->size;
	return from < im->size;
}

static void data_mark(struct blk *b)
{
	uint64_t at = 0, from, end;
	while (image_data(b->image, at, &from, &end)) {
		pthread_mutex_lock(&b->lock);
		track_written(b, from, end - from);
		pthread_mutex_unlock(&b->lock);
		at = end;
	}
}

int blk_track_begin(struct blk *b, struct lodge_err *e)
{
	uint64_t *bits = calloc(parts(b) / 64 + 1, sizeof *bits);
	if (!bits)
		return err_set(e, ENOMEM, "out of memory");
	pthread_mutex_lock(&b->lock);
	free(b->written);
	b->written = bits;
	pthread_mutex_unlock(&b->lock);
	data_mark(b);
	return 0;
}

void blk_track_end(struct blk *b)
{
	pthread_mutex_lock(&b->lock);
	free(take(b->written));
	pthread_mutex_unlock(&b->lock);
}

/* Lock held: the first marked part from @i on, @n: none. */
static uint64_t part_next(const struct blk *b, uint64_t i, uint64_t n)
{
	while (i < n) {
		uint64_t word = b->written[i / 64] >> i % 64;
		if (word)
			return min_u64(i + (uint64_t)__builtin_ctzll(word), n);
		i = (i / 64 + 1) * 64;
	}
	return n;
}

bool blk_track_next(struct blk *b, uint64_t from, uint64_t max, uint64_t *ret_off,
                    uint64_t *ret_len)
{
	uint64_t n = parts(b), most = max >> SHIFT, i = n, k = n;
	pthread_mutex_lock(&b->lock);
	if (b->written) {
		i = k = part_next(b, (from + (1 << SHIFT) - 1) >> SHIFT, n);
		while (k < n && k - i < most && b->written[k / 64] >> k % 64 & 1) {
			b->written[k / 64] &= ~(UINT64_C(1) << k % 64);
			k++;
		}
	}
	pthread_mutex_unlock(&b->lock);
	if (k == i)
		return false;
	*ret_off = i << SHIFT;
	*ret_len = min_u64(k << SHIFT, b->image->size) - *ret_off;
	return true;
}

uint64_t blk_track_left(struct blk *b)
{
	uint64_t sum = 0;
	pthread_mutex_lock(&b->lock);
	for (uint64_t i = 0; b->written && i <= parts(b) / 64; i++)
		sum += (uint64_t)__builtin_popcountll(b->written[i]) << SHIFT;
	pthread_mutex_unlock(&b->lock);
	return sum;
}
