/* SPDX-License-Identifier: Apache-2.0 */
/* Programs of Linux: any headers give segments that make sense, or an error. */
#include "img/img.h"

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct img_program p;
	uint64_t off, n;
	if (img_program_headers(data, len, &off, &n, NULL) < 0 || off > len || n > len - off ||
	    img_program(&p, data, data + off, n, NULL) < 0)
		return 0;
	if (p.lo >= p.hi || p.lo % 4096 || p.hi % 4096 || p.align & (p.align - 1) ||
	    !p.nsegments || p.nsegments > IMG_PARTS_MAX)
		__builtin_trap();
	for (unsigned i = 0; i < p.nsegments; i++) {
		const struct img_part *s = &p.segments[i];
		if (s->at < p.lo || s->at + s->mem_len > p.hi || s->at + s->mem_len < s->at ||
		    s->file_len > s->mem_len || s->off + s->file_len < s->off ||
		    (s->at ^ s->off) % 4096)
			__builtin_trap();
	}
	return 0;
}
