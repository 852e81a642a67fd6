/* SPDX-License-Identifier: Apache-2.0 */
/* Limits: what may be changed when, and a keeper that holds a guest to its CPU time. */
#include "life/fake_level.h"
#include "life/internal.h"
#include "test/test.h"
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* Change @c by one text; the error, or 0. */
static int change(struct lodge_config *c, const char *text, uint64_t ram, bool lives)
{
	struct json_object *o = NULL;
	struct lodge_err e = {0};
	int r = life_limits_parse(&text, 1, &o, &e);
	if (r == 0)
		r = life_limits_change(c, o, ram, lives ? LIFE_CHANGES_LIVE : LIFE_CHANGES_ALL, &e);
	CHECK(r == 0 || e.msg[0]);
	json_object_put(o);
	return r;
}

TEST(limit_cpus_are_a_number_and_a_limit)
{
	struct lodge_config c = {.size = sizeof c, .cpus = 2};
	CHECK(change(&c, "cpus=0.25", 0, true) == 0 && c.cpus == 2 && c.cpu_milli == 250);
	CHECK(change(&c, "cpus=2", 0, true) == 0 && c.cpus == 2 && c.cpu_milli == 0);
	CHECK(change(&c, "cpus=2.5", 0, true) == -EINVAL && c.cpu_milli == 0);
	CHECK(change(&c, "cpus=2.5", 0, false) == 0 && c.cpus == 3 && c.cpu_milli == 2500);
	CHECK(change(&c, "cpus=none", 0, true) == 0 && c.cpus == 3 && c.cpu_milli == 0);
	CHECK(change(&c, "cpus=1", 0, false) == 0 && c.cpus == 1 && c.cpu_milli == 0);
	c.cpus = 0; /* the level's default: one */
	CHECK(change(&c, "cpus=1.5", 0, true) == -EINVAL);
	CHECK(change(&c, "cpus=0.5", 0, true) == 0 && c.cpus == 0 && c.cpu_milli == 500);
}

TEST(limit_memory_of_the_living_can_only_shrink)
{
	struct lodge_config c = {.size = sizeof c, .memory = 512 << 20};
	CHECK(change(&c, "memory=300M", 512 << 20, true) == 0);
	CHECK(c.memory == 512 << 20 && c.memory_limit == 300 << 20);
	CHECK(change(&c, "memory=1G", 512 << 20, true) == -EINVAL);
	CHECK(change(&c, "memory=1G", 0, true) == -EINVAL); /* suspended */
	CHECK(change(&c, "memory=512M", 512 << 20, true) == 0 && c.memory_limit == 0);
	CHECK(change(&c, "memory=1M", 512 << 20, true) == -EINVAL && c.memory_limit == 0);
	CHECK(change(&c, "memory=1G", 0, false) == 0 && c.memory == 1 << 30 && !c.memory_limit);
}

TEST(limit_texts_that_are_wrong_change_nothing)
{
	static const char *const bad[] = {
	    "cpus",        "cpus=",      "cpus=-1",      "cpus=0",       "cpus=nan",
	    "cpus=1e99",   "cpus=0x1",   "colour=3",     "=3",           "memory=much",
	    "disk-iops=x", "disk-bps=",  "cpuset=0-",    "cpuset=a",     "cpu-weight=10001",
	    "net-bps=-5",  "cpus =1",    "cpuset=\n",    "cpu-weight=-1"};
	struct lodge_config c = {.size = sizeof c, .cpus = 1};
	for (size_t i = 0; i < countof(bad); i++)
		CHECK(change(&c, bad[i], 0, true) == -EINVAL);
	CHECK(!c.cpu_milli && !c.memory_limit && !c.disk_iops && !c.disk_bps && !c.net_bps &&
	      !c.cpuset && !c.cpu_weight);
	/* none of several, when one is wrong */
	const char *two[] = {"net-bps=1M", "cpu-weight=20000"};
	struct json_object *o = NULL;
	CHECK(life_limits_parse(two, 2, &o, NULL) == 0);
	CHECK(life_limits_change(&c, o, 0, LIFE_CHANGES_LIVE, NULL) == -EINVAL && !c.net_bps);
	json_object_put(o);
	CHECK(life_limits_parse(NULL, 0, &o, NULL) == -EINVAL);
	/* as a request may say it */
	static const char *const json[] = {"{\"cpu_milli\":\"1\"}", "{\"cpu_milli\":-1}",
					   "{\"cpuset\":7}", "{\"disks\":[]}",
					   "{\"cpu_milli\":99999999}", "{\"memory\":1.5}"};
	for (size_t i = 0; i < countof(json); i++) {
		CHECK(json_parse(&o, json[i], strlen(json[i]), NULL) == 0);
		CHECK(life_limits_change(&c, o, 0, LIFE_CHANGES_LIVE, NULL) == -EINVAL);
		json_object_put(o);
	}
}

struct rig {
	struct keeper k;
	struct instance *inst;
	int far;
	char home[32];
};

static void rig_init(struct rig *r, const char *burn)
{
	const char *options[] = {"cgroup=off", burn};
	struct lodge_config c = {
	    .size = sizeof c, .guest = "fake", .cpus = 2, .options = options, .noptions = 2};
	struct life_record rec = {.state = LIFE_CREATED};
	int pair[2];
	strcpy(r->home, "/tmp/lodge-test-XXXXXX");
	CHECK(mkdtemp(r->home) != NULL);
	setenv("XDG_DATA_HOME", r->home, 1);
	setenv("XDG_RUNTIME_DIR", r->home, 1);
	struct json_object *doc = life_config_json(&c);
	CHECK(instance_new(&r->inst, "limits", NULL) == 0);
	CHECK(instance_publish(r->inst, doc, &rec, NULL) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	json_object_put(doc);
	r->far = pair[0];
	r->k = (struct keeper){
	    .inst = r->inst, .level = &fake_level, .leash = pair[1], .signal_fd = -1};
	CHECK(keeper_build(&r->k, NULL) == 0);
}

static void rig_fini(struct rig *r)
{
	keeper_fini(&r->k);
	close(r->k.leash);
	close(r->far);
	instance_free(r->inst);
	CHECK(file_remove_tree(AT_FDCWD, r->home, NULL) == 0);
}

static int rig_verb(struct rig *r, const char *verb, const char *json)
{
	struct json_object *o = NULL;
	CHECK(json_parse(&o, json, strlen(json), NULL) == 0);
	int x = keeper_verb(&r->k, verb, o, NULL);
	json_object_put(o);
	return x;
}

static void loop_end(void *arg) { loop_stop(arg); }

/* CPUs that this process used while the keeper ran for @ms. */
static double rig_run(struct rig *r, unsigned ms)
{
	struct loop_timer *timer = NULL;
	uint64_t cpu = host_cpu_ns(), at = host_monotonic_ns();
	CHECK(loop_timer_new(&timer, r->k.loop, NULL, loop_end, r->k.loop, NULL) == 0);
	loop_timer_set(timer, at + ms * 1000000ull);
	loop_run(r->k.loop);
	loop_timer_free(timer);
	return (double)(host_cpu_ns() - cpu) / (double)(host_monotonic_ns() - at);
}

TEST(limit_cpu_time_holds_without_a_control_group)
{
	struct rig r;
	rig_init(&r, "burn=yes");
	CHECK(rig_verb(&r, "start", "{}") == 0);
	double free_run = rig_run(&r, 300);
	CHECK(rig_verb(&r, "update", "{\"cpu_milli\":100}") == 0);
	CHECK(!r.k.limiter.by_group);
	double held = rig_run(&r, 1500);
	CHECK(held < 0.13);
	/* as much as it may, where the host had as much to give */
	CHECK(held > 0.07 || free_run < 0.3);
	CHECK(r.k.limiter.held || r.k.limiter.held_ns > 0);
	/* a guest that stands still is not looked at, and is held again when it goes on */
	CHECK(rig_verb(&r, "pause", "{}") == 0);
	for (int i = 0; i < 60 && r.k.limiter.held; i++) /* at the look that is due */
		(void)rig_run(&r, 50);
	CHECK(!r.k.limiter.held);
	CHECK(rig_verb(&r, "resume", "{}") == 0);
	(void)rig_run(&r, 2000); /* what it has saved up meanwhile */
	CHECK(rig_run(&r, 1500) < 0.25);
	CHECK(rig_verb(&r, "update", "{\"cpu_milli\":0}") == 0);
	CHECK(rig_run(&r, 300) > free_run / 4 && !r.k.limiter.held);
	rig_fini(&r);
}

TEST(limit_update_is_kept_and_says_what_it_cannot)
{
	struct rig r;
	struct life_config *lc = NULL;
	rig_init(&r, "burn=no");
	CHECK(rig_verb(&r, "start", "{}") == 0);
	CHECK(rig_verb(&r, "update", "{\"net_bps\":5000,\"cpuset\":\"0\",\"disk_iops\":7}") == 0);
	CHECK(strstr(r.k.limiter.warnings, "no network"));
	CHECK(r.k.config->c.net_bps == 5000 && !strcmp(r.k.config->c.cpuset, "0"));
	CHECK(instance_config(r.inst, &lc, NULL) == 0);
	CHECK(lc->c.net_bps == 5000 && lc->c.disk_iops == 7 && !strcmp(lc->c.cpuset, "0"));
	life_config_free(lc);
	CHECK(rig_verb(&r, "update", "{\"net_bps\":0,\"cpuset\":\"\"}") == 0);
	CHECK(!r.k.limiter.warnings[0] && !r.k.config->c.cpuset);
	CHECK(rig_verb(&r, "update", "{\"cpuset\":\"1000\"}") == 0);
	CHECK(strstr(r.k.limiter.warnings, "cpuset is not enforced"));
	CHECK(rig_verb(&r, "update", "{\"cpuset\":\"\"}") == 0);
	CHECK(rig_verb(&r, "update", "{\"cpu_milli\":3000}") == -EINVAL);
	CHECK(rig_verb(&r, "update", "{\"name\":\"x\"}") == -EINVAL);
	struct json_object *o = json_object_new_object(), *l = NULL;
	int64_t n = 0;
	keeper_describe(&r.k, o);
	CHECK(json_object_object_get_ex(o, "limits", &l) && json_i64(l, "disk_iops", &n) && n == 7);
	json_object_put(o);
	CHECK(((struct fake *)r.k.self)->limits == 5);
	rig_fini(&r);
}

/* Kills that were there before it was looked at, and without a limit, are no news. */
TEST(limit_memory_that_was_wanting_is_told_and_kept)
{
	struct rig r;
	struct life_record rec;
	rig_init(&r, "burn=no");
	CHECK(rig_verb(&r, "start", "{}") == 0);
	struct fake *f = r.k.self;
	f->kills = 2;
	(void)rig_run(&r, 100);
	CHECK(!r.k.record.oom_killed && !r.k.oom.timer);
	CHECK(rig_verb(&r, "update", "{\"memory\":33554432}") == 0);
	(void)rig_run(&r, 1200);
	CHECK(r.k.oom.timer && r.k.oom.seen == 2 && !r.k.record.oom_killed);
	CHECK(rig_verb(&r, "update", "{\"memory\":0}") == 0);
	f->kills = 5;
	(void)rig_run(&r, 1200);
	CHECK(rig_verb(&r, "update", "{\"memory\":33554432}") == 0);
	(void)rig_run(&r, 500);
	CHECK(r.k.oom.seen == 5 && !r.k.record.oom_killed);
	f->kills = 6;
	(void)rig_run(&r, 1200);
	CHECK(r.k.oom.seen == 6 && r.k.record.oom_killed);
	instance_record(r.inst, &rec);
	CHECK(rec.oom_killed);
	f->kills = 0; /* it has booted */
	(void)rig_run(&r, 1200);
	CHECK(r.k.oom.seen == 0 && r.k.record.oom_killed);
	rig_fini(&r);
}

/* A thread that is nicer than others, as all would be under nice(1). */
struct polite {
	pthread_t thread;
	pthread_barrier_t turn;
	int before, after;
};

static void *polite_run(void *arg)
{
	struct polite *p = arg;
	(void)!nice(5);
	p->before = getpriority(PRIO_PROCESS, 0);
	pthread_barrier_wait(&p->turn);
	pthread_barrier_wait(&p->turn);
	p->after = getpriority(PRIO_PROCESS, 0);
	return NULL;
}

TEST(limit_weight_that_nobody_asked_for_leaves_niceness_alone)
{
	struct rig r;
	struct polite p = {.before = 0};
	CHECK(pthread_barrier_init(&p.turn, NULL, 2) == 0);
	CHECK(pthread_create(&p.thread, NULL, polite_run, &p) == 0);
	pthread_barrier_wait(&p.turn);
	rig_init(&r, "burn=no");
	CHECK(rig_verb(&r, "start", "{}") == 0);
	pthread_barrier_wait(&p.turn);
	pthread_join(p.thread, NULL);
	pthread_barrier_destroy(&p.turn);
	CHECK(p.before > getpriority(PRIO_PROCESS, 0) || p.before == 19);
	CHECK(p.after == p.before);
	rig_fini(&r);
}
