/* SPDX-License-Identifier: Apache-2.0 */
/* known: of which places in memory 0 a slot is known to have the value, in a stretch of code that
 * is entered at its beginning only. Code that was compiled without optimization keeps its variables
 * in memory, and reads what it has just written. */
#pragma once
#include "base/base.h"

enum { KNOWN_MAX = 16 };
struct known_places {
	struct known_place {
		uint32_t offset;
		uint16_t base, value; /* slots: the address without the offset, what is there */
		uint8_t bytes, type;  /* enum ir_type */
	} at[KNOWN_MAX];
	unsigned n, oldest;
};
static inline void known_forget(struct known_places *k) { k->n = 0; }
/* The slot @slot has another value. */
static inline void known_slot_changed(struct known_places *k, uint32_t slot)
{
	for (unsigned i = k->n; i-- > 0;)
		if (k->at[i].base == slot || k->at[i].value == slot)
			k->at[i] = k->at[--k->n];
}
/* Memory at @p has another value, or may have if that is so by another base. */
void known_place_changed(struct known_places *k, const struct known_place *p);
void known_add(struct known_places *k, const struct known_place *p);
/* The slot that has what is at @p; false: none is known. */
bool known_find(const struct known_places *k, const struct known_place *p, uint16_t *ret);
