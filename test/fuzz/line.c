/* SPDX-License-Identifier: Apache-2.0 */
/* Line tables of WebAssembly modules: any bytes say something about lines or nothing; names lie in
 * the bytes. */
#include "wasm/internal.h"

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint64_t addresses[] = {1, 2, 5, 16, 100, 1000, 65536, UINT64_MAX};
	struct line_place places[countof(addresses)];
	const uint32_t third = (uint32_t)(len / 4);
	volatile uint8_t sum = 0;
	if (!len)
		return 0;
	const struct debug d = {.line = {data, (uint32_t)len - third},
				.str = {data + len - third, third},
				.line_str = {data + len - third, third},
				.code = data};
	lines_find(&d, addresses, countof(addresses), places);
	for (size_t i = 0; i < countof(addresses); i++)
		for (uint32_t k = 0; k < places[i].file.len; k++)
			sum = (uint8_t)(sum + places[i].file.at[k]);
	return 0;
}
