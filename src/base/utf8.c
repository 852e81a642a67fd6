/* SPDX-License-Identifier: Apache-2.0 */
/* Characters of UTF-8. Spec: RFC 3629 */
#include "base/base.h"

unsigned utf8_len(const uint8_t *p, size_t left)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned n = *p < 0x80 ? 1 : *p >> 5 == 6 ? 2 : *p >> 4 == 14 ? 3 : *p >> 3 == 30 ? 4 : 0;
	if (n < 2)
		return n;
	if (n > left)
		return 0;
	uint32_t v = *p & (0x7fu >> n);
	for (unsigned i = 1; i < n; i++) {
		if (p[i] >> 6 != 2)
			return 0;
		v = v << 6 | (p[i] & 63);
	}
	return v < least[n] || v > 0x10ffff || (v >= 0xd800 && v < 0xe000) ? 0 : n;
}

unsigned utf8_encode(uint8_t ret[4], uint32_t v)
{
	unsigned n = v < 0x80 ? 1 : v < 0x800 ? 2 : v < 0x10000 ? 3 : 4;
	static const uint8_t heads[] = {0, 0, 0xc0, 0xe0, 0xf0};
	for (unsigned i = n; i-- > 1; v >>= 6)
		ret[i] = (uint8_t)(0x80 | (v & 63));
	ret[0] = (uint8_t)(heads[n] | v);
	return n;
}
