/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"
#include "test/test.h"
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

struct sample {
	uint32_t a;
	uint64_t b[2];
	uint8_t c;
};
static const struct state_field sample_state[] = {
    STATE(struct sample, a, 1), STATE(struct sample, b, 1), STATE(struct sample, c, 2), STATE_END};

TEST(state_round_trip_and_missing_field)
{
	struct sample s = { 1, { 2, 3 }, 4 }, t = { 0, { 0 }, 9 };
	uint8_t buf[128];
	size_t n = state_save(sample_state, &s, buf, sizeof buf);
	CHECK(state_load(sample_state, &t, buf, n));
	CHECK(t.a == 1 && t.b[1] == 3 && t.c == 4);
	t.c = 9; /* a stream written before c existed */
	CHECK(state_load(sample_state, &t, buf, n - (1 + 1 + 4 + 1)));
	CHECK(t.c == 9);
}

TEST(state_refuses_every_truncation_inside_a_field)
{
	struct sample s = { 1, { 2, 3 }, 4 }, t;
	uint8_t buf[128];
	size_t n = state_save(sample_state, &s, buf, sizeof buf), whole = 0;
	for (size_t i = 0; i <= n; i++)
		whole += state_load(sample_state, &t, buf, i);
	CHECK(whole == 4); /* nothing, a, a+b, all */
}

TEST(errors_gather_their_context_on_the_way_up)
{
	struct lodge_err e;
	CHECK(err_in(&e, err_set(&e, EINVAL, "ram of %d bytes", 7), "machine") == -EINVAL);
	CHECK(e.code == EINVAL && !strcmp(e.msg, "machine: ram of 7 bytes"));
}

/* What somebody else put there may be deeper than there are descriptors. */
TEST(a_folder_goes_however_deep_it_is)
{
	enum { DEEP = 1200, FILES = 200 };
	char home[] = "/tmp/lodge-test-XXXXXX";
	struct rlimit before, few;
	CHECK(mkdtemp(home) != NULL);
	int fd = open(home, O_RDONLY | O_DIRECTORY);
	for (unsigned i = 0; i < DEEP; i++) {
		CHECK(mkdirat(fd, "d", i % 7 ? 0755 : 0700) == 0);
		CHECK(i % 3 || mkdirat(fd, "beside", 0555) == 0);
		int next = openat(fd, "d", O_RDONLY | O_DIRECTORY);
		CHECK(next >= 0);
		close(fd);
		fd = next;
	}
	close(fd);
	CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
	few = before;
	few.rlim_cur = FILES;
	CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
	struct lodge_err e = {.msg = ""};
	int r = file_remove_tree(AT_FDCWD, home, &e);
	CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
	CHECK(r == 0 && access(home, F_OK) < 0);
}
