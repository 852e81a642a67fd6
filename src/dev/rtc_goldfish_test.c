/* SPDX-License-Identifier: Apache-2.0 */
#include "dev/testing.h"
#include "test/test.h"

static uint64_t rtc_time(struct bench *b)
{
	uint64_t low = bench_get(b, 0, 4);
	return low | bench_get(b, 4, 4) << 32;
}
static void rtc_alarm(struct bench *b, uint64_t at)
{
	bench_put(b, 0x0c, 4, at >> 32);
	bench_put(b, 0x08, 4, (uint32_t)at);
}

TEST(rtc_tells_the_wall_time_and_can_be_set)
{
	struct bench b;
	bench_init(&b, "rtc-goldfish", NULL);
	uint64_t t = rtc_time(&b), now = host_realtime_ns();
	CHECK(t <= now && now - t < 1000000000);
	bench_put(&b, 4, 4, 0x12345678);
	bench_put(&b, 0, 4, 0x1000);
	t = rtc_time(&b);
	CHECK(t >= 0x1234567800001000 && t < 0x1234567800001000 + 1000000000);
	bench_fini(&b);
}

TEST(rtc_alarm_rings_once_when_due)
{
	struct bench b;
	bench_init(&b, "rtc-goldfish", NULL);
	bench_put(&b, 0x10, 4, 1);
	uint64_t at = host_realtime_ns() + 3000000;
	rtc_alarm(&b, at);
	CHECK(bench_get(&b, 0x18, 4) == 1 && !b.line[0]);
	CHECK(bench_get(&b, 8, 4) == (uint32_t)at && bench_get(&b, 0xc, 4) == at >> 32);
	usleep(4000);
	bench_turn(&b);
	CHECK(b.line[0] && bench_get(&b, 0x18, 4) == 0);
	bench_put(&b, 0x10, 4, 0); /* masked, not forgotten */
	CHECK(!b.line[0]);
	bench_put(&b, 0x10, 4, 1);
	CHECK(b.line[0]);
	bench_put(&b, 0x1c, 4, 1);
	CHECK(!b.line[0]);
	rtc_alarm(&b, 1); /* long past: at once */
	CHECK(b.line[0] && b.raised[0] == 3);
	bench_fini(&b);
}

TEST(rtc_alarm_can_be_taken_back)
{
	struct bench b;
	bench_init(&b, "rtc-goldfish", NULL);
	bench_put(&b, 0x10, 4, 1);
	rtc_alarm(&b, host_realtime_ns() + 2000000);
	bench_put(&b, 0x14, 4, 1);
	CHECK(bench_get(&b, 0x18, 4) == 0);
	usleep(3000);
	bench_turn(&b);
	CHECK(!b.line[0]);
	bench_fini(&b);
}
