/* SPDX-License-Identifier: Apache-2.0 */
#include "chr/chr.h"
#include "test/test.h"

static void chr_counted(void *arg) { ++*(unsigned *)arg; }

TEST(chr_carries_bytes_both_ways_around_the_ring)
{
	struct chr *c = NULL;
	uint8_t out[7], in[7], next_out = 0, next_in = 0;
	CHECK(chr_new(&c, 10, NULL) == 0);
	for (int round = 0; round < 100; round++) {
		for (size_t i = 0; i < sizeof out; i++)
			out[i] = next_out++;
		CHECK(chr_write(c, out, sizeof out) == sizeof out);
		CHECK(chr_host_write(c, out, sizeof out) == sizeof out);
		CHECK(chr_host_read(c, in, 5) == 5 && chr_host_read(c, in + 5, 5) == 2);
		for (size_t i = 0; i < sizeof in; i++)
			CHECK(in[i] == next_in++);
		CHECK(chr_read(c, in, sizeof in) == sizeof in && !memcmp(in, out, sizeof in));
	}
	CHECK(chr_read(c, in, 7) == 0 && chr_host_read(c, in, 7) == 0);
	chr_free(c);
	CHECK(chr_new(&c, 0, NULL) == -EINVAL);
}

TEST(chr_tells_of_bytes_and_of_room_after_a_short_write)
{
	struct chr *c = NULL;
	unsigned dev = 0, host = 0;
	char buf[8] = { 0 };
	CHECK(chr_new(&c, 4, NULL) == 0);
	chr_on_device(c, chr_counted, &dev);
	chr_on_host(c, chr_counted, &host);
	CHECK(chr_write(c, "abcd", 4) == 4 && host == 1);
	CHECK(chr_host_read(c, buf, 1) == 1 && dev == 0); /* nobody waits for room */
	CHECK(chr_write(c, "efg", 3) == 1 && host == 2);
	CHECK(chr_write(c, "x", 1) == 0 && host == 2);
	CHECK(chr_host_read(c, buf, 2) == 2 && dev == 1);
	CHECK(chr_host_read(c, buf, 2) == 2 && dev == 1 && !memcmp(buf, "de", 2));
	CHECK(chr_host_write(c, "12345", 5) == 4 && dev == 2);
	CHECK(chr_read(c, buf, 8) == 4 && host == 3);
	chr_on_device(c, NULL, NULL);
	CHECK(chr_host_write(c, "1", 1) == 1 && dev == 2);
	chr_free(c);
}
