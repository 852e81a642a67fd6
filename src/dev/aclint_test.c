/* SPDX-License-Identifier: Apache-2.0 */
#include "dev/testing.h"
#include "test/test.h"

TEST(aclint_msip_drives_the_line_of_its_hart)
{
	struct bench b;
	bench_init(&b, "aclint", "harts=3");
	bench_put(&b, 4, 4, 0xffffffff);
	CHECK(b.line[2] && !b.line[0] && !b.line[4]);
	CHECK(bench_get(&b, 4, 4) == 1); /* only bit 0 is there. ACLINT 1.0-rc4 §3.2 */
	bench_put(&b, 4, 4, 2);
	CHECK(!b.line[2]);
	bench_put(&b, 0, 8, 0x100000001); /* both halves */
	CHECK(b.line[0] && b.line[2] && bench_get(&b, 0, 8) == 0x100000001);
	bench_put(&b, 12, 4, 1); /* hart 3 is not there */
	CHECK(!b.line[6] && bench_get(&b, 12, 4) == 0);
	dev_reset(b.dev);
	CHECK(!b.line[0] && !b.line[2]);
	bench_fini(&b);
}

TEST(aclint_timer_is_pending_exactly_from_mtimecmp_on)
{
	struct bench b;
	bench_init(&b, "aclint", "harts=2");
	vclock_pause(&b.clock); /* time moves only by our hand */
	b.clock.stopped_at_ns = 1000;
	CHECK(bench_get(&b, 0xbff8, 8) == 10 && bench_get(&b, 0xbffc, 4) == 0);
	bench_put(&b, 0x4008, 8, 11);
	CHECK(!b.line[3] && bench_get(&b, 0x4008, 8) == 11);
	b.clock.stopped_at_ns = 1099;
	dev_resume(b.dev);
	CHECK(!b.line[3]);
	b.clock.stopped_at_ns = 1100;
	dev_resume(b.dev);
	CHECK(b.line[3] && !b.line[1]);
	bench_put(&b, 0x4008, 4, 12); /* lower half: ahead again, the line falls */
	CHECK(!b.line[3]);
	bench_put(&b, 0x4008, 4, 0);
	CHECK(b.line[3]);
	bench_put(&b, 0x400c, 4, 1); /* upper half */
	CHECK(!b.line[3] && bench_get(&b, 0x4008, 8) == 0x100000000);
	bench_put(&b, 0x4000, 8, UINT64_MAX);
	CHECK(!b.line[1]);
	bench_fini(&b);
}

TEST(aclint_timer_fires_through_the_loop)
{
	struct bench b;
	bench_init(&b, "aclint", NULL);
	uint64_t now = bench_get(&b, 0xbff8, 8);
	bench_put(&b, 0x4000, 8, now + 20000); /* 2 ms */
	CHECK(!b.line[1]);
	usleep(3000);
	bench_turn(&b);
	CHECK(b.line[1]);
	bench_put(&b, 0x4000, 8, now + 10000000000);
	CHECK(!b.line[1]);
	bench_pass(&b, 1000000000000);
	CHECK(b.line[1]);
	bench_fini(&b);
}

TEST(aclint_drives_its_lines_after_a_load)
{
	struct bench a, b;
	uint8_t buf[2048];
	bench_init(&a, "aclint", "harts=2");
	bench_init(&b, "aclint", "harts=2");
	bench_put(&a, 4, 4, 1);
	bench_put(&a, 0x4000, 8, 0);
	CHECK(a.line[1] && a.line[2]);
	size_t n = dev_save(a.dev, buf, sizeof buf);
	CHECK(n <= sizeof buf && dev_load(b.dev, buf, n));
	CHECK(b.line[1] && b.line[2] && !b.line[0] && !b.line[3]);
	bench_fini(&a);
	bench_fini(&b);
}

TEST(aclint_refuses_a_silly_number_of_harts)
{
	struct dev *d = NULL;
	struct lodge_err e;
	struct dev_setup s = { .options = "harts=0" };
	CHECK(dev_new(&d, dev_class_find("aclint"), &s, &e) == -EINVAL && !d);
	CHECK(strstr(e.msg, "aclint: option harts=0"));
}
