/* SPDX-License-Identifier: Apache-2.0 */
/* Resources: three levels of folders (kind, name, language), then a place. PE 2024-07, the .rsrc
 * Section. All offsets but that of the data are from the beginning of the section. */
#include "pe/pe.h"

enum { FOLDER = 16, ENTRY = 8, DATA = 16, ENTRIES_MAX = 0x10000 };
#define BELOW (UINT32_C(1) << 31) /* it is a folder; it is a text */

/* Of the table of resources. */
static const uint8_t *part_at(const struct pe_image *im, uint32_t off, uint64_t len)
{
	uint32_t rva = im->pe->dirs[PE_RESOURCE].rva, all = im->pe->dirs[PE_RESOURCE].len;
	return rva && off < all ? pe_at(im, (uint64_t)rva + off, len) : NULL;
}

int pe_resource_entry(const struct pe_image *im, uint32_t folder, uint32_t i, struct pe_key *ret,
		      uint32_t *ret_at)
{
	const uint8_t *f = part_at(im, folder, FOLDER);
	if (!f || i >= ENTRIES_MAX || i >= (uint32_t)le16_at(f + 12) + le16_at(f + 14))
		return -ENOENT;
	const uint8_t *e = part_at(im, folder + FOLDER + i * ENTRY, ENTRY);
	if (!e)
		return -ENOENT;
	struct pe_key k = {.number = le32_at(e)};
	if (k.number & BELOW) {
		const uint8_t *t = part_at(im, k.number & ~BELOW, 2);
		k.units = t ? le16_at(t) : 0;
		k.text = part_at(im, (k.number & ~BELOW) + 2, 2 * (uint64_t)k.units);
		if (!t || !k.text)
			return -ENOENT;
	}
	*ret = k;
	*ret_at = le32_at(e + 4) & ~BELOW;
	return 0;
}

int pe_resource_data(const struct pe_image *im, uint32_t at, struct pe_resource *ret)
{
	const uint8_t *d = part_at(im, at, DATA);
	if (!d || !pe_at(im, le32_at(d), le32_at(d + 4)))
		return -ENOENT;
	*ret = (struct pe_resource){le32_at(d), le32_at(d + 4)};
	return 0;
}
