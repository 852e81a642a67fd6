/* SPDX-License-Identifier: Apache-2.0 */
/* Does as much pass as a limit says, whatever the sizes? */
#include "base/base.h"
#include "test/test.h"

enum { MS = 1000000, BURST = 50 * MS };
static const uint64_t second = 1000 * MS;

/* Take @amount as often as it goes in [0, @end): how much that was. */
static uint64_t passed(struct rate *r, uint64_t amount, uint64_t end)
{
	uint64_t sum = 0;
	for (uint64_t now = 0; now < end;) {
		uint64_t due = rate_due(r, now);
		if (due) {
			CHECK(due > now);
			now = due;
			continue;
		}
		rate_take(r, amount, now);
		sum += amount;
	}
	return sum;
}

TEST(rate_holds_for_all_sizes)
{
	static const uint64_t sizes[] = { 1, 512, 4096, 65536, 1 << 20, 7777 };
	for (size_t i = 0; i < countof(sizes); i++) {
		struct rate r;
		rate_set(&r, 1 << 20, BURST, 0);
		uint64_t n = passed(&r, sizes[i], 10 * second);
		/* times are whole ns */
		CHECK(n >= (10 << 20) - (10 << 12) && n <= (10 << 20) + sizes[i]);
	}
}

TEST(rate_saves_a_burst_and_no_more)
{
	struct rate r;
	rate_set(&r, 1000, BURST, 0);
	CHECK(rate_credit_ns(&r, 0) == 0);
	CHECK(rate_credit_ns(&r, 20 * MS) == 20 * MS);
	CHECK(rate_credit_ns(&r, 9 * second) == BURST);
	uint64_t now = 9 * second, n = 0;
	for (; !rate_due(&r, now); n++)
		rate_take(&r, 1, now);
	CHECK(n == 51); /* 50 saved up, one in debt */
	CHECK(rate_due(&r, now) == now + MS);
}

TEST(rate_zero_is_no_limit_and_a_change_forgives)
{
	struct rate r = { 0 };
	rate_take(&r, UINT64_MAX, 5);
	CHECK(rate_due(&r, 5) == 0);
	rate_set(&r, 1, BURST, second);
	rate_take(&r, UINT64_MAX, second);
	CHECK(rate_due(&r, second) > 1000 * second);
	rate_take(&r, UINT64_MAX, second); /* does not wrap */
	CHECK(rate_due(&r, second) > 1000 * second);
	rate_set(&r, 100, BURST, second);
	CHECK(rate_due(&r, second) == 0);
	rate_set(&r, 0, BURST, second);
	CHECK(rate_due(&r, second) == 0);
}
