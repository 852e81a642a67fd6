/* SPDX-License-Identifier: Apache-2.0 */
/* Control groups on folders that look like them, of each kind. */
#include "host/host.h"
#include "test/test.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

struct tree {
	char dir[64], cgroup[96], mountinfo[96];
};

static void tree_put(const struct tree *t, const char *name, const char *text)
{
	char path[256];
	snprintf(path, sizeof path, "%s/%s", t->dir, name);
	FILE *f = fopen(path, "w");
	CHECK(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

static void tree_is(const struct tree *t, const char *name, const char *want)
{
	char path[256], got[128] = "";
	snprintf(path, sizeof path, "%s/%s", t->dir, name);
	FILE *f = fopen(path, "r");
	CHECK(f != NULL);
	size_t n = fread(got, 1, sizeof got - 1, f);
	got[n] = 0;
	fclose(f);
	CHECK(!strncmp(got, want, strlen(want)));
}

static void tree_dir(const struct tree *t, const char *name)
{
	char path[256];
	snprintf(path, sizeof path, "%s/%s", t->dir, name);
	CHECK(mkdir(path, 0755) == 0);
}

static struct host_cgroup_files tree_init(struct tree *t, const char *cgroup, const char *mounts)
{
	char text[512];
	snprintf(t->dir, sizeof t->dir, "/tmp/lodge-cgroup-XXXXXX");
	CHECK(mkdtemp(t->dir) != NULL);
	snprintf(t->cgroup, sizeof t->cgroup, "%s/self", t->dir);
	snprintf(t->mountinfo, sizeof t->mountinfo, "%s/mounts", t->dir);
	tree_put(t, "self", cgroup);
	snprintf(text, sizeof text, mounts, t->dir, t->dir);
	tree_put(t, "mounts", text);
	return (struct host_cgroup_files){ t->cgroup, t->mountinfo };
}

static void tree_fini(const struct tree *t)
{
	char cmd[128];
	snprintf(cmd, sizeof cmd, "rm -rf '%s'", t->dir);
	CHECK(system(cmd) == 0);
}

#define V1 "40 30 0:30 / %s/v1 rw - cgroup cgroup rw,cpu,cpuacct\n"
#define V2 "41 30 0:31 / %s/v2 rw - cgroup2 cgroup2 rw\n"

/* The group as mkdir would find it in a real tree. */
static void group_put(const struct tree *t, const char *dir, bool v2)
{
	static const char *const files[2][4] = {
		{ "cgroup.procs", "cpu.cfs_quota_us", "cpu.cfs_period_us", "cpu.shares" },
		{ "cgroup.procs", "cpu.max", "cpu.weight", "cgroup.subtree_control" },
	};
	char path[200];
	tree_dir(t, dir);
	for (size_t i = 0; i < 4; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, files[v2][i]);
		tree_put(t, path, "");
	}
}

TEST(cgroup_hybrid_uses_version_1)
{
	struct tree t;
	struct host_cgroup *g = NULL;
	char pid[16];
	struct host_cgroup_files f = tree_init(&t, "0::/x\n5:cpuacct,cpu:/app\n", V2 V1);
	tree_dir(&t, "v1");
	group_put(&t, "v1/app", false);
	group_put(&t, "v1/app/lodge-g", false);
	CHECK(host_cgroup_new(&g, "g", &f, NULL) == 0);
	snprintf(pid, sizeof pid, "%d", (int)getpid());
	tree_is(&t, "v1/app/lodge-g/cgroup.procs", pid);
	CHECK(host_cgroup_quota(g, 250, NULL) == 0);
	tree_is(&t, "v1/app/lodge-g/cpu.cfs_period_us", "20000");
	tree_is(&t, "v1/app/lodge-g/cpu.cfs_quota_us", "5000");
	CHECK(host_cgroup_quota(g, 10, NULL) == 0);
	tree_is(&t, "v1/app/lodge-g/cpu.cfs_period_us", "100000");
	tree_is(&t, "v1/app/lodge-g/cpu.cfs_quota_us", "1000");
	CHECK(host_cgroup_weight(g, 50, NULL) == 0);
	tree_is(&t, "v1/app/lodge-g/cpu.shares", "512");
	host_cgroup_free(g);
	tree_is(&t, "v1/app/cgroup.procs", pid);
	tree_fini(&t);
}

TEST(cgroup_version_2_below_or_beside)
{
	for (int beside = 0; beside < 2; beside++) {
		struct tree t;
		struct host_cgroup *g = NULL;
		struct host_cgroup_files f = tree_init(&t, "0::/user/app\n", V2);
		const char *dir = beside ? "v2/user/lodge-g" : "v2/user/app/lodge-g";
		char name[128];
		tree_dir(&t, "v2");
		group_put(&t, "v2/user", true);
		group_put(&t, "v2/user/app", true);
		group_put(&t, dir, true);
		/* below: as when the group has processes, which refuses to pass controllers on */
		if (beside) {
			tree_dir(&t, "v2/user/app/lodge-g");
			snprintf(name, sizeof name, "%s/v2/user/app/%s", t.dir,
			         "cgroup.subtree_control");
			CHECK(unlink(name) == 0);
		}
		CHECK(host_cgroup_new(&g, "g", &f, NULL) == 0);
		CHECK(strstr(host_cgroup_path(g), dir) != NULL);
		CHECK(host_cgroup_quota(g, 1500, NULL) == 0);
		snprintf(name, sizeof name, "%s/cpu.max", dir);
		tree_is(&t, name, "30000 20000");
		CHECK(host_cgroup_weight(g, 300, NULL) == 0);
		snprintf(name, sizeof name, "%s/cpu.weight", dir);
		tree_is(&t, name, "300");
		host_cgroup_free(g);
		tree_fini(&t);
	}
}

TEST(cgroup_that_cannot_be_had_is_said)
{
	struct tree t;
	struct host_cgroup *g = NULL;
	struct lodge_err e = { 0 };
	struct host_cgroup_files f = tree_init(&t, "0::/user/app\n", V2);
	CHECK(host_cgroup_new(&g, "g", &f, &e) < 0 && strstr(e.msg, "control group"));
	tree_dir(&t, "v2");
	group_put(&t, "v2/user", true); /* no controller cpu comes to those below */
	CHECK(host_cgroup_new(&g, "g", &f, &e) < 0 && !g);
	tree_put(&t, "self", "garbage\n7:memory:/\n");
	CHECK(host_cgroup_new(&g, "g", &f, &e) == -ENOENT);
	tree_fini(&t);
}

TEST(cpus_texts)
{
	static const char *const bad[] = {"", "x", "1-", "3-1", "0,", "0,,1", "1 2", "99999", "-1"};
	for (size_t i = 0; i < countof(bad); i++)
		CHECK(host_cpus_check(bad[i], NULL) == -EINVAL);
	CHECK(host_cpus_check("0", NULL) == 0 && host_cpus_check("0-2,5,7-7", NULL) == 0);
	CHECK(host_cpus_pin("1023", NULL) == -EINVAL);
	CHECK(host_cpus_pin("0", NULL) == 0 && host_cpus_pin(NULL, NULL) == 0);
	CHECK(host_cpus_online() >= 1 && host_cpu_ns() > 0);
}
