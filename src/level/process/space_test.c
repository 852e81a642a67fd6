/* SPDX-License-Identifier: Apache-2.0 */
/* The table of what is mapped, beside a byte for each page. */
#include "level/process/internal.h"
#include "test/test.h"

enum { PAGES = 200, BASE = 100 }; /* the pages from BASE on are played with */

static uint64_t at(unsigned page) { return (uint64_t)(BASE + page) * PAGE; }

static void same(const struct space *s, const uint8_t *model)
{
	for (unsigned i = 0; i < PAGES; i++) {
		const struct range *r = space_find(s, at(i));
		uint8_t prot = r && r->lo <= at(i) ? r->prot : 0;
		CHECK(prot == model[i]);
	}
	for (size_t i = 0; i + 1 < s->n; i++) {
		const struct range *r = &s->ranges[i];
		CHECK(r->lo < r->hi && r->hi <= r[1].lo);
		CHECK(r->hi < r[1].lo || r->prot != r[1].prot || r->flags != r[1].flags);
	}
}

TEST(space_is_what_was_put)
{
	struct space s = {.top = USER_END};
	uint8_t model[PAGES] = {0};
	uint32_t seed = 1;
	for (unsigned n = 0; n < 5000; n++) {
		seed = seed * 1103515245 + 12345;
		unsigned lo = seed >> 8 & 127, len = 1 + (seed >> 16 & 31);
		uint8_t prot = (uint8_t)(seed >> 24 & 3);
		if (prot)
			CHECK(space_put(&s, at(lo), at(lo + len), prot, 0));
		else
			CHECK(space_drop(&s, at(lo), at(lo + len)));
		memset(model + lo, prot, len);
		same(&s, model);
		bool any = false, two = false;
		for (unsigned i = lo; i < lo + len; i++) {
			any |= model[i] != 0;
			two |= model[i] & 2;
		}
		CHECK(space_is_free(&s, at(lo), at(lo + len)) == !any);
		CHECK(space_has(&s, at(lo), at(lo + len), 2, 0) == two);
		uint64_t gap = space_gap(&s, 3 * PAGE, PAGE, at(PAGES));
		CHECK(gap && space_is_free(&s, gap, gap + 3 * PAGE) && gap + 3 * PAGE <= at(PAGES));
		for (uint64_t up = gap + PAGE; up + 3 * PAGE <= at(PAGES); up += PAGE)
			CHECK(!space_is_free(&s, up, up + 3 * PAGE));
	}
	free(s.ranges);
}

TEST(space_gap_keeps_to_its_bounds)
{
	struct space s = {.top = USER_END};
	CHECK(space_put(&s, 65536, USER_END - PAGE, 1, 0));
	CHECK(space_gap(&s, PAGE, PAGE, USER_END) == USER_END - PAGE);
	CHECK(space_gap(&s, 2 * PAGE, PAGE, USER_END) == 0);
	CHECK(space_gap(&s, PAGE, 2 * PAGE, USER_END) == 0);
	CHECK(space_gap(&s, PAGE, PAGE, USER_END - PAGE) == 0);
	CHECK(space_drop(&s, 65536, 65536 + 3 * PAGE));
	CHECK(space_gap(&s, 3 * PAGE, PAGE, USER_END - PAGE) == 65536);
	CHECK(space_gap(&s, 2 * PAGE, PAGE, USER_END - PAGE) == 65536 + PAGE);
	CHECK(space_gap(&s, USER_END, PAGE, USER_END) == 0);
	free(s.ranges);
}
