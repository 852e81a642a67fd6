/* SPDX-License-Identifier: Apache-2.0 */
#include "level/container/internal.h"
#include "test/test.h"

TEST(record_comes_back)
{
	struct container a = CONTAINER_NONE, b = CONTAINER_NONE;
	a.bundle = strdup("/b");
	a.rootfs = strdup("/b/r \"x\"");
	a.created = strdup("2026-01-01T00:00:00Z");
	a.version = strdup("1.2.0");
	a.annotations = strdup("{\"k\":\"v\"}");
	a.pid = 17;
	a.started = UINT64_C(1) << 40;
	a.ready = a.hooks = true;
	a.cgroup.n = 1;
	a.cgroup.at[0] = (struct cgroup_part){.name = "unified", .v2 = true, .fd = -1,
					      .mount = strdup("/m"), .dir = strdup("/m/d")};
	autofree char *text = record_text(&a);
	CHECK(text && record_parse(&b, text, strlen(text), NULL) == 0);
	CHECK(!strcmp(b.rootfs, a.rootfs) && b.pid == 17 && b.started == a.started);
	CHECK(b.ready && b.hooks && !b.rootless && !b.own_pids && !b.unit);
	CHECK(b.cgroup.n == 1 && b.cgroup.at[0].v2 && !strcmp(b.cgroup.at[0].dir, "/m/d"));
	container_fini(&a);
	container_fini(&b);
}

TEST(record_refuses_damage)
{
	static const char *const bad[] = {
	    "", "[]", "{}", "{\"bundle\":\"/b\"}",
	    "{\"bundle\":\"/b\",\"created\":\"x\",\"cgroups\":[{\"name\":\"a\"}]}",
	    "{\"bundle\":\"/b\",\"created\":\"x\",\"cgroups\":[{\"name\":\"a\"}]}",
	};
	for (size_t i = 0; i < countof(bad); i++) {
		struct container c = CONTAINER_NONE;
		struct lodge_err e = {0};
		CHECK(record_parse(&c, bad[i], strlen(bad[i]), &e) == -EINVAL && e.msg[0]);
		container_fini(&c);
	}
}

TEST(status_of_one_that_is_no_more)
{
	struct container c = CONTAINER_NONE;
	c.pid = getpid();
	c.started = host_process_began(c.pid);
	CHECK(c.started && container_status(&c) != CONTAINER_STOPPED);
	c.started++; /* the number is another's */
	CHECK(container_status(&c) == CONTAINER_STOPPED);
}
