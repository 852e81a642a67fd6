/* SPDX-License-Identifier: Apache-2.0 */
/* State tables to bytes and back: {u8 name length, name, u32 size, bytes} per field, so that a
 * reader can skip what it does not know and keep what the writer did not have. */
#include "base/base.h"

size_t state_save(const struct state_field *t, const void *obj, uint8_t *buf, size_t cap)
{
	size_t need = 0, n = 0;
	for (const struct state_field *f = t; f->name; f++)
		need += 1 + strlen(f->name) + 4 + f->size;
	if (need > cap)
		return need;
	for (const struct state_field *f = t; f->name; f++) {
		size_t len = strlen(f->name);
		buf[n++] = (uint8_t)len;
		memcpy(buf + n, f->name, len);
		n += len;
		le32_put(buf + n, f->size);
		memcpy(buf + n + 4, (const uint8_t *)obj + f->off, f->size);
		n += 4 + f->size;
	}
	return n;
}

static const struct state_field *field_find(const struct state_field *t, const uint8_t *name,
                                            size_t len)
{
	for (const struct state_field *f = t; f->name; f++)
		if (strlen(f->name) == len && !memcmp(f->name, name, len))
			return f;
	return NULL;
}

bool state_load(const struct state_field *t, void *obj, const uint8_t *buf, size_t len)
{
	size_t n = 0;
	while (n < len) {
		size_t name_len = buf[n++];
		if (len - n < name_len + 4)
			return false;
		const struct state_field *f = field_find(t, buf + n, name_len);
		n += name_len;
		uint32_t size = le32_at(buf + n);
		n += 4;
		if (len - n < size || (f && f->size != size))
			return false;
		if (f)
			memcpy((uint8_t *)obj + f->off, buf + n, size);
		n += size;
	}
	return true;
}
