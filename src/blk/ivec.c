/* SPDX-License-Identifier: Apache-2.0 */
/* A cursor over the buffers of a request, so that layers can take it apart without copies. */
#include "blk/internal.h"

int ivec_take(struct ivec *v, uint64_t len, struct iovec *out, int cap, uint64_t *ret_len)
{
	int n = 0;
	*ret_len = 0;
	while (n < cap && v->n > 0 && *ret_len < len) {
		size_t have = v->iov->iov_len - v->skip;
		size_t some = (size_t)min_u64(have, len - *ret_len);
		if (some > 0)
			out[n++] = (struct iovec){ (char *)v->iov->iov_base + v->skip, some };
		*ret_len += some;
		v->skip += some;
		if (v->skip == v->iov->iov_len) {
			v->iov++;
			v->n--;
			v->skip = 0;
		}
	}
	return n;
}

void ivec_zero(struct ivec *v, uint64_t len)
{
	struct iovec one;
	for (uint64_t n; len > 0 && ivec_take(v, len, &one, 1, &n) > 0; len -= n)
		memset(one.iov_base, 0, one.iov_len);
}

void ivec_put(struct ivec *v, const void *buf, size_t len)
{
	const uint8_t *from = buf;
	struct iovec one;
	for (uint64_t n; len > 0 && ivec_take(v, len, &one, 1, &n) > 0; len -= n, from += n)
		memcpy(one.iov_base, from, one.iov_len);
}
