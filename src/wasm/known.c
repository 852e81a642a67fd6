/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/known.h"

static void drop(struct known_places *k, unsigned i) { k->at[i] = k->at[--k->n]; }

void known_place_changed(struct known_places *k, const struct known_place *p)
{
	for (unsigned i = k->n; i-- > 0;) {
		const struct known_place *q = &k->at[i];
		/* of one base, addresses are as far apart as offsets are: they do not wrap */
		bool apart = q->base == p->base && (p->offset >= q->offset + (uint64_t)q->bytes ||
						    q->offset >= p->offset + (uint64_t)p->bytes);
		if (!apart)
			drop(k, i);
	}
}

void known_add(struct known_places *k, const struct known_place *p)
{
	if (k->n < KNOWN_MAX)
		k->at[k->n++] = *p;
	else
		k->at[k->oldest++ % KNOWN_MAX] = *p;
}

bool known_find(const struct known_places *k, const struct known_place *p, uint16_t *ret)
{
	for (unsigned i = 0; i < k->n; i++) {
		const struct known_place *q = &k->at[i];
		if (q->base == p->base && q->offset == p->offset && q->bytes == p->bytes &&
		    q->type == p->type) {
			*ret = q->value;
			return true;
		}
	}
	return false;
}
