/* SPDX-License-Identifier: Apache-2.0 */
#include "ir/ir.h"
#include "test/test.h"
#include "wasm/known.h"

static struct known_place place(uint16_t base, uint32_t offset, uint8_t bytes, uint16_t value)
{
	return (struct known_place){offset, base, value, bytes, bytes == 8 ? IR_I64 : IR_I32};
}

static int found(const struct known_places *k, struct known_place p)
{
	uint16_t v;
	return known_find(k, &p, &v) ? v : -1;
}

TEST(wasm_known_places_are_forgotten_when_something_changes)
{
	struct known_places k = {0};
	const struct known_place a = place(1, 8, 4, 10), b = place(1, 12, 4, 11);
	const struct known_place wide = place(1, 4, 8, 12), other = place(2, 100, 4, 13);
	known_add(&k, &a);
	known_add(&k, &b);
	CHECK(found(&k, a) == 10 && found(&k, b) == 11);
	CHECK(found(&k, place(1, 8, 8, 0)) < 0 && found(&k, place(2, 8, 4, 0)) < 0);
	known_place_changed(&k, &wide); /* 4 to 12, which is where a is, but not b */
	CHECK(found(&k, a) < 0 && found(&k, b) == 11);
	known_add(&k, &a);
	known_place_changed(&k, &other); /* which may be anywhere */
	CHECK(found(&k, a) < 0 && found(&k, b) < 0);
	known_add(&k, &a);
	known_add(&k, &b);
	known_slot_changed(&k, 10);
	CHECK(found(&k, a) < 0 && found(&k, b) == 11);
	known_slot_changed(&k, 1);
	CHECK(found(&k, b) < 0);
	const struct known_place low = place(1, 0, 4, 14), high = place(1, UINT32_MAX - 1, 4, 15);
	known_add(&k, &low);
	known_place_changed(&k, &high); /* of one base nothing wraps */
	CHECK(found(&k, low) == 14);
}

TEST(wasm_known_places_are_so_many_at_most)
{
	struct known_places k = {0};
	for (uint32_t i = 0; i < 3 * KNOWN_MAX; i++) {
		const struct known_place p = place(1, 4 * i, 4, (uint16_t)i);
		known_add(&k, &p);
		CHECK(found(&k, p) == (int)i && k.n <= KNOWN_MAX);
	}
	known_forget(&k);
	CHECK(!k.n);
}
