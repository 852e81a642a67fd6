/* SPDX-License-Identifier: Apache-2.0 */
/* The map of an overlay: one bit for each granule, in pages that stand in the file twice, so that
 * a torn write of one version leaves the other. A small number of pages is kept in memory.
 * docs/overlay.md has the format.
 *
 *   page in the file:  crc32 u32 | 0 u32 | seq u64 | bits[4080]
 *   the version with sequence number s stands in slot s & 1; all zeroes: never written */
#include "blk/internal.h"
#include <zlib.h>

static uint64_t slot_off(const struct map *m, uint32_t index, uint64_t seq)
{
	return m->off + ((uint64_t)index * 2 + (seq & 1)) * MAP_PAGE;
}

static uint32_t page_crc(const struct map *m, uint32_t index, const uint8_t *raw)
{
	uint8_t where[12];
	le64_put(where, m->id);
	le32_put(where + 8, index);
	return (uint32_t)crc32(crc32(0, where, sizeof where), raw + 4, MAP_PAGE - 4);
}

/* ---- reading ---- */

enum slot { SLOT_EMPTY, SLOT_GOOD, SLOT_BAD };

static enum slot slot_look(const struct map *m, uint32_t index, unsigned slot, const uint8_t *raw)
{
	static const uint8_t zeroes[MAP_PAGE];
	if (!memcmp(raw, zeroes, MAP_PAGE))
		return SLOT_EMPTY;
	uint64_t seq = le64_at(raw + 8);
	bool good = le32_at(raw) == page_crc(m, index, raw) && seq != 0 && (seq & 1) == slot;
	return good ? SLOT_GOOD : SLOT_BAD;
}

/* Choose between the two versions. The first one ever written goes to slot 1, so a damaged slot 0
 * beside an empty slot 1 cannot come from a torn write. */
static int page_read(const struct map *m, struct map_page *p)
{
	uint8_t raw[2][MAP_PAGE];
	enum slot is[2];
	uint64_t seq[2] = { 0, 0 };
	int r = file_read_buf(m->file, slot_off(m, p->index, 0), raw, sizeof raw);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < 2; i++) {
		is[i] = slot_look(m, p->index, i, raw[i]);
		seq[i] = is[i] == SLOT_GOOD ? le64_at(raw[i] + 8) : 0;
	}
	if (seq[0] == seq[1] && is[0] != SLOT_EMPTY)
		return -EIO;
	unsigned best = seq[1] > seq[0];
	p->seq = seq[best];
	memcpy(p->bits, raw[best] + MAP_HEAD, sizeof p->bits);
	if (p->seq == 0)
		memset(p->bits, 0, sizeof p->bits);
	return 0;
}

/* A place for another page: a new one, or the one unused for longest that the file has. */
static int map_room(struct map *m, struct map_page **ret)
{
	if (m->n < MAP_CACHE) {
		*ret = calloc(1, sizeof **ret);
		if (*ret) {
			(*ret)->index = UINT32_MAX;
			m->page[m->n++] = *ret;
			return 0;
		}
	}
	*ret = NULL;
	for (unsigned i = 0; i < m->n; i++) {
		struct map_page *p = m->page[i];
		if (!p->dirty && !p->writing && (!*ret || p->used < (*ret)->used))
			*ret = p;
	}
	if (*ret)
		return 0;
	return m->n < MAP_CACHE ? -ENOMEM : -ENOBUFS;
}

static int map_find(struct map *m, uint32_t index, bool may_load, struct map_page **ret)
{
	for (unsigned i = 0; i < m->n; i++)
		if (m->page[i]->index == index) {
			*ret = m->page[i];
			(*ret)->used = ++m->clock;
			return 0;
		}
	if (!may_load)
		return -EAGAIN;
	if (index >= m->npages)
		return -EINVAL;
	int r = map_room(m, ret);
	if (r < 0)
		return r;
	(*ret)->index = index;
	(*ret)->used = ++m->clock;
	r = page_read(m, *ret);
	if (r < 0) {
		(*ret)->index = UINT32_MAX;
		(*ret)->used = 0;
	}
	return r;
}

void map_fini(struct map *m)
{
	while (m->n > 0)
		free(m->page[--m->n]);
}

/* ---- bits ---- */

static bool bit_at(const struct map_page *p, uint64_t bit)
{
	return p->bits[bit / 8] >> (bit % 8) & 1;
}

int map_run(struct map *m, uint64_t at, uint64_t end, bool may_load, bool *ret_present,
            uint64_t *ret_end)
{
	bool first = true, present = false;
	while (at < end) {
		struct map_page *p;
		uint64_t page = at / MAP_BITS, stop = min_u64(end, (page + 1) * MAP_BITS);
		int r = map_find(m, (uint32_t)page, may_load, &p);
		if (r < 0)
			return r;
		if (first)
			present = bit_at(p, at % MAP_BITS);
		first = false;
		while (at < stop && bit_at(p, at % MAP_BITS) == present)
			at++;
		if (at < stop)
			break;
	}
	*ret_present = present;
	*ret_end = at;
	return 0;
}

int map_set(struct map *m, uint64_t at, uint64_t end)
{
	while (at < end) {
		struct map_page *p;
		uint64_t page = at / MAP_BITS, stop = min_u64(end, (page + 1) * MAP_BITS);
		int r = map_find(m, (uint32_t)page, true, &p);
		if (r < 0)
			return r;
		for (; at < stop; at++) {
			uint64_t bit = at % MAP_BITS;
			if (!bit_at(p, bit)) {
				p->bits[bit / 8] |= (uint8_t)(1 << bit % 8);
				p->dirty = true;
			}
		}
	}
	return 0;
}

/* ---- writing ---- */

bool map_is_clean(const struct map *m)
{
	for (unsigned i = 0; i < m->n; i++)
		if (m->page[i]->dirty || m->page[i]->writing)
			return false;
	return true;
}

int map_take(struct map *m, struct map_copy **ret, unsigned *ret_n)
{
	unsigned n = 0;
	*ret = NULL;
	*ret_n = 0;
	for (unsigned i = 0; i < m->n; i++)
		n += m->page[i]->dirty;
	if (n == 0)
		return 0;
	struct map_copy *c = malloc(n * sizeof *c);
	if (!c)
		return -ENOMEM;
	*ret = c;
	*ret_n = n;
	for (unsigned i = 0; i < m->n; i++) {
		struct map_page *p = m->page[i];
		if (!p->dirty)
			continue;
		p->dirty = false;
		p->writing = true;
		c->index = p->index;
		le32_put(c->raw + 4, 0);
		le64_put(c->raw + 8, ++p->seq);
		memcpy(c->raw + MAP_HEAD, p->bits, sizeof p->bits);
		le32_put(c->raw, page_crc(m, p->index, c->raw));
		c++;
	}
	return 0;
}

void map_taken(struct map *m, const struct map_copy *c, unsigned n, bool written)
{
	for (unsigned i = 0; i < m->n; i++) {
		struct map_page *p = m->page[i];
		for (unsigned k = 0; k < n && p->writing; k++) {
			if (c[k].index != p->index)
				continue;
			p->writing = false;
			if (!written) { /* try again in the same slot: the other one is whole */
				p->dirty = true;
				p->seq--;
			}
		}
	}
}

uint64_t map_copy_off(const struct map *m, const struct map_copy *c)
{
	return slot_off(m, c->index, le64_at(c->raw + 8));
}
