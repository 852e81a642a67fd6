/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels and programs: any bytes give a plan inside the file, or an error. */
#include "img/img.h"

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct img_plan p;
	struct lodge_err e;
	if (img_plan(&p, data, len, &e) == 0)
		for (unsigned i = 0; i < p.nsegments; i++)
			if (p.segments[i].off > len ||
			    p.segments[i].file_len > len - p.segments[i].off)
				__builtin_trap();
	uint8_t *out = NULL;
	uint64_t n = 0;
	if (img_gunzip(&out, &n, data, len, 1 << 20, &e) == 0)
		free(out);
	return img_bootable(data, len) < 0;
}
