/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz: what an agent in a hostile guest sends, cut into pieces of any size. */
#include "life/life.h"

/* The first byte of every piece is its length. Returns how many frames came out. */
static unsigned fuzz_feed(struct agent_in *in, const uint8_t *data, size_t len, int *ret_result)
{
	struct agent_frame f;
	unsigned frames = 0;
	int r = 0;
	while (len && r >= 0) {
		size_t n = min_u64(data[0] + 1u, len - 1), cap;
		data++;
		len--;
		while (n && r >= 0) {
			uint8_t *room = agent_in_room(in, &cap);
			assert(cap > 0);
			size_t m = min_u64(n, cap);
			memcpy(room, data, m);
			agent_in_add(in, m);
			data += m;
			len -= m;
			n -= m;
			while ((r = agent_in_next(in, &f)) > 0) {
				frames++;
				assert(f.len <= AGENT_PAYLOAD_MAX && f.type < AGENT_TYPE_COUNT);
				assert(f.payload >= in->buf &&
				       f.payload + f.len <= in->buf + in->len);
			}
		}
	}
	*ret_result = r;
	return frames;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct agent_in *in = calloc(1, sizeof *in);
	int r = 0;
	if (!in)
		return 0;
	unsigned frames = fuzz_feed(in, data, len, &r);
	assert(frames <= len);
	free(in);
	return 0;
}
