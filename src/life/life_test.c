/* SPDX-License-Identifier: Apache-2.0 */
/* The life cycle with a level of toy guests: real folders, real keepers, real sockets. */
#include "life/fake_level.h"
#include "life/internal.h"
#include "test/test.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

/* Each test has a home of its own, removed at its end. */
static void home_begin(char *home)
{
	strcpy(home, "/tmp/lodge-test-XXXXXX");
	CHECK(mkdtemp(home) != NULL);
	setenv("XDG_DATA_HOME", home, 1);
	setenv("XDG_RUNTIME_DIR", home, 1);
	setenv("XDG_CACHE_HOME", home, 1);
}

static void home_end(const char *home) { CHECK(file_remove_tree(AT_FDCWD, home, NULL) == 0); }

/* A published guest; @option "key=value" or NULL. */
static struct instance *guest_make(const char *name, const char *option, uint32_t flags,
				   uint64_t timeout_ns)
{
	struct instance *i = NULL;
	struct lodge_config c = {
	    .size = sizeof c, .guest = "fake", .flags = flags, .timeout_ns = timeout_ns};
	struct life_record rec = {.state = LIFE_CREATED, .created_ns = host_realtime_ns()};
	c.options = &option;
	c.noptions = option ? 1 : 0;
	CHECK(instance_new(&i, name, NULL) == 0);
	struct json_object *doc = life_config_json(&c);
	CHECK(instance_publish(i, doc, &rec, NULL) == 0);
	json_object_put(doc);
	close(i->lock);
	i->lock = -1;
	return i;
}

static int guest_keep(struct instance *i, int *leash, struct lodge_err *e)
{
	int r = instance_lock(i, e);
	return r < 0 ? r : keeper_spawn(i, &fake_level, NULL, leash, e);
}

static int post(struct instance *i, const char *verb, struct lodge_err *e)
{
	char path[64];
	snprintf(path, sizeof path, "/v1/%s", verb);
	return control_call(i, "POST", path, NULL, NULL, e);
}

static void guest_start(struct instance *i)
{
	int leash = -1;
	struct lodge_err e;
	if (guest_keep(i, &leash, &e) < 0)
		fail_msg("%s", e.msg);
	CHECK(post(i, "start", &e) == 0);
	close(leash);
}

static void wait_unlocked(struct instance *i)
{
	struct timespec ms = {.tv_nsec = 2000000};
	for (int n = 0; n < 2500 && instance_locked(i); n++)
		nanosleep(&ms, NULL);
	CHECK(!instance_locked(i));
}

/* As lodge wait: where nobody answers any more, it is in the record. */
static int64_t wait_code(struct instance *i)
{
	struct json_object *o = NULL;
	struct life_record rec;
	int64_t code = -1;
	if (control_call(i, "GET", "/v1/wait", NULL, &o, NULL) == 0) {
		CHECK(json_i64(o, "exit_code", &code));
		json_object_put(o);
		return code;
	}
	wait_unlocked(i);
	instance_record(i, &rec);
	CHECK(rec.state == LIFE_STOPPED);
	return rec.exit_code;
}

TEST(life_matrix)
{
	CHECK(life_may(LIFE_CREATED, LIFE_RUNNING) && life_may(LIFE_STOPPED, LIFE_RUNNING));
	CHECK(!life_may(LIFE_STOPPED, LIFE_PAUSED) && !life_may(LIFE_CREATED, LIFE_PAUSED));
	for (unsigned i = 0; i < LIFE_COUNT; i++) {
		enum life back = LIFE_COUNT;
		CHECK(life_find(life_name((enum life)i), &back) && back == (enum life)i);
		CHECK(!life_may((enum life)i, (enum life)i));
	}
}

TEST(life_a_guest_runs_and_its_code_comes_back)
{
	char home[32];
	home_begin(home);
	struct instance *i = guest_make("a", "stop=obey", 0, 0);
	struct life_record rec;
	struct lodge_err e;
	instance_record(i, &rec);
	CHECK(rec.state == LIFE_CREATED && !instance_locked(i));
	guest_start(i);
	instance_record(i, &rec);
	CHECK(rec.state == LIFE_RUNNING && instance_locked(i));
	CHECK(post(i, "start", &e) == -EBUSY && strstr(e.msg, "running"));
	CHECK(post(i, "pause", &e) == 0 && post(i, "pause", &e) == -EBUSY);
	instance_record(i, &rec);
	CHECK(rec.state == LIFE_PAUSED);
	CHECK(post(i, "resume", &e) == 0 && post(i, "stop", &e) == 0);
	wait_unlocked(i);
	instance_record(i, &rec);
	CHECK(rec.state == LIFE_STOPPED && rec.exit_code == 3 && !strcmp(rec.why, "asked to stop"));
	CHECK(post(i, "stop", &e) == -ENOTCONN);
	guest_start(i); /* and again */
	CHECK(post(i, "kill", &e) == 0);
	wait_unlocked(i);
	instance_record(i, &rec);
	CHECK(rec.exit_code == 137 && rec.state == LIFE_STOPPED);
	instance_free(i);
	home_end(home);
}

TEST(life_a_keeper_killed_is_failed_and_can_start_again)
{
	char home[32];
	home_begin(home);
	struct instance *i = guest_make("a", NULL, 0, 0);
	struct life_record rec;
	guest_start(i);
	instance_record(i, &rec);
	CHECK(rec.pid > 1 && kill(rec.pid, SIGKILL) == 0);
	wait_unlocked(i);
	instance_record(i, &rec);
	CHECK(rec.state == LIFE_FAILED && strstr(rec.why, "killed"));
	guest_start(i);
	instance_record(i, &rec);
	CHECK(rec.state == LIFE_RUNNING);
	CHECK(post(i, "kill", NULL) == 0);
	wait_unlocked(i);
	instance_free(i);
	home_end(home);
}

TEST(life_failures_of_a_level_reach_the_caller)
{
	char home[32];
	home_begin(home);
	struct lodge_err e;
	int leash = -1;
	struct instance *i = guest_make("a", "create=fail", 0, 0);
	CHECK(guest_keep(i, &leash, &e) == -EINVAL && strstr(e.msg, "told to fail"));
	wait_unlocked(i);
	instance_free(i);
	i = guest_make("b", "start=fail", 0, 0);
	CHECK(guest_keep(i, &leash, &e) == 0);
	CHECK(post(i, "start", &e) == -EIO && strstr(e.msg, "told not to start"));
	close(leash); /* let go before it runs: the keeper leaves, nothing has happened */
	wait_unlocked(i);
	struct life_record rec;
	instance_record(i, &rec);
	CHECK(rec.state == LIFE_CREATED && rec.started_ns == 0);
	instance_free(i);
	home_end(home);
}

TEST(life_one_keeper_and_one_name)
{
	char home[32];
	home_begin(home);
	struct instance *i = guest_make("a", NULL, 0, 0), *j = NULL, *twin = NULL;
	struct lodge_err e;
	CHECK(instance_new(&twin, "a", &e) == -EEXIST);
	CHECK(instance_open(&j, "a", NULL) == 0 && instance_lock(i, &e) == 0);
	CHECK(instance_lock(j, &e) == -EBUSY && instance_locked(j));
	CHECK(instance_remove(i, &e) == 0);
	instance_free(i);
	/* j still holds the folder that is gone. */
	CHECK(instance_lock(j, &e) == -ENOENT);
	instance_free(j);
	CHECK(instance_open(&j, "a", &e) == -ENOENT && instance_open(&j, "../a", &e) == -ENOENT);
	home_end(home);
}

TEST(life_two_creates_of_one_name_have_one_winner)
{
	char home[32];
	home_begin(home);
	struct instance *a = NULL, *b = NULL;
	struct life_record rec = {.state = LIFE_CREATED};
	struct json_object *doc = json_object_new_object(), *names = NULL;
	CHECK(instance_new(&a, "x", NULL) == 0 && instance_new(&b, "x", NULL) == 0);
	CHECK(instance_publish(a, doc, &rec, NULL) == 0);
	CHECK(instance_publish(b, doc, &rec, NULL) == -EEXIST);
	instance_free(b);
	CHECK(instance_names(&names, NULL) == 0 && json_object_array_length(names) == 1);
	json_object_put(names);
	json_object_put(doc);
	instance_free(a);
	home_end(home);
}

TEST(life_a_new_name_and_the_same_paths)
{
	char home[32], dir[160], path[200];
	home_begin(home);
	struct lodge_err e;
	struct stat a, b;
	struct instance *i = guest_make("a", NULL, 0, 0), *j = guest_make("b", NULL, 0, 0);
	struct instance *k = NULL;
	snprintf(dir, sizeof dir, "%s", i->dir);
	CHECK(instance_lock(i, NULL) == 0 && instance_rename(i, "b", &e) == -EEXIST);
	CHECK(instance_rename(i, "../c", &e) == -EINVAL && !strcmp(i->name, "a"));
	CHECK(instance_rename(i, "c", &e) == 0 && !strcmp(i->name, "c") && !strcmp(i->dir, dir));
	CHECK(stat(i->dir, &a) == 0 && fstat(i->dirfd, &b) == 0 && a.st_ino == b.st_ino);
	CHECK(instance_open(&k, "a", NULL) == -ENOENT && instance_open(&k, "c", NULL) == 0);
	CHECK(!strcmp(k->dir, dir) && !strcmp(k->id, i->id) && instance_locked(k));
	struct life_config *lc = NULL;
	CHECK(instance_config(k, &lc, NULL) == 0 && !strcmp(lc->c.name, "c"));
	life_config_free(lc);
	instance_free(k);
	/* a link that leads nowhere, or to another, is mended by who opens the guest */
	CHECK(unlink(dir) == 0 && instance_open(&k, "c", NULL) == 0 && stat(dir, &a) == 0);
	instance_free(k);
	CHECK(unlink(dir) == 0 && symlink("../instances/b", dir) == 0);
	CHECK(instance_open(&k, "c", NULL) == 0 && stat(dir, &a) == 0 && a.st_ino == b.st_ino);
	instance_free(k);
	CHECK(instance_remove(i, NULL) == 0 && lstat(dir, &a) < 0);
	/* who has no id keeps its name */
	snprintf(path, sizeof path, "%s/id", j->place);
	CHECK(unlink(path) == 0 && instance_open(&k, "b", NULL) == 0 && !k->id[0]);
	CHECK(!strcmp(k->dir, k->place) && instance_lock(k, NULL) == 0);
	CHECK(instance_rename(k, "d", &e) == -EOPNOTSUPP && strstr(e.msg, "older version"));
	instance_free(k);
	instance_free(j);
	instance_free(i);
	home_end(home);
}

TEST(life_leftovers_of_a_killed_create_go)
{
	char home[32], path[128];
	home_begin(home);
	struct instance *a = NULL;
	struct json_object *names = NULL;
	struct stat st;
	CHECK(instance_new(&a, "x", NULL) == 0);
	snprintf(path, sizeof path, "%s/lodge/instances/%s", home, a->temporary);
	CHECK(instance_names(&names, NULL) == 0 && stat(path, &st) == 0); /* it is in use */
	json_object_put(names);
	a->temporary[0] = 0; /* as if killed: nobody tidies up, the lock goes */
	instance_free(a);
	CHECK(instance_names(&names, NULL) == 0 && stat(path, &st) < 0);
	json_object_put(names);
	home_end(home);
}

TEST(life_rm_removes_and_tells_the_code_first)
{
	char home[32];
	home_begin(home);
	struct instance *i = guest_make("a", "stop=obey", LODGE_RM, 0);
	struct stat st;
	guest_start(i);
	int fd = control_connect(i, "control.sock", NULL);
	CHECK(fd >= 0 && control_send(fd, "GET", "/v1/wait", false, NULL, NULL) == 0);
	CHECK(post(i, "stop", NULL) == 0);
	struct json_object *o = NULL;
	int64_t code = -1;
	CHECK(control_receive(fd, &o, NULL) == 0 && json_i64(o, "exit_code", &code) && code == 3);
	json_object_put(o);
	close(fd);
	CHECK(stat(i->dir, &st) < 0);
	wait_unlocked(i);
	CHECK(stat(i->runtime, &st) < 0);
	instance_free(i);
	home_end(home);
}

TEST(life_timeout_is_124)
{
	char home[32];
	home_begin(home);
	struct instance *i = guest_make("a", NULL, 0, 50000000);
	guest_start(i);
	CHECK(wait_code(i) == LODGE_EXIT_TIMEOUT);
	wait_unlocked(i);
	instance_free(i);
	home_end(home);
}

TEST(life_stop_loses_patience)
{
	char home[32];
	home_begin(home);
	struct instance *i = guest_make("a", NULL, 0, 0);
	struct json_object *args = json_object_new_object(), *o = NULL, *asked = NULL;
	guest_start(i);
	json_put_i64(args, "timeout_ms", 50);
	CHECK(control_call(i, "POST", "/v1/stop", args, &o, NULL) == 0);
	CHECK(json_object_object_get_ex(o, "asked", &asked) && !json_object_get_boolean(asked));
	json_object_put(o);
	json_object_put(args);
	CHECK(wait_code(i) == 137);
	wait_unlocked(i);
	instance_free(i);
	home_end(home);
}

/* Read from a console until @text was seen (true) or it ended. */
static bool console_sees(int fd, const char *text)
{
	char buf[65536];
	size_t n = 0;
	while (n < sizeof buf - 1) {
		ssize_t r = recv(fd, buf + n, sizeof buf - 1 - n, 0);
		if (r <= 0)
			return false;
		n += (size_t)r;
		buf[n] = 0;
		if (strstr(buf, text))
			return true;
	}
	return false;
}

static int console_open(struct instance *i, const char *path)
{
	int fd = control_connect(i, "control.sock", NULL);
	CHECK(fd >= 0 && control_send(fd, "GET", path, true, NULL, NULL) == 0);
	CHECK(control_receive(fd, NULL, NULL) == 0);
	return fd;
}

TEST(life_console_for_many)
{
	char home[32];
	home_begin(home);
	struct instance *i = guest_make("a", NULL, 0, 0);
	int leash = -1;
	CHECK(guest_keep(i, &leash, NULL) == 0);
	/* Before the guest starts: nothing is missed. */
	int a = console_open(i, "/v1/console"), b = console_open(i, "/v1/console");
	CHECK(post(i, "start", NULL) == 0);
	close(leash);
	CHECK(console_sees(a, "hello\n") && console_sees(b, "hello\n"));
	CHECK(send(a, "ping\n", 5, 0) == 5);
	CHECK(console_sees(a, "ping\n") && console_sees(b, "ping\n"));
	close(a); /* one goes, the other stays */
	int c = console_open(i, "/v1/console?replay=1000");
	CHECK(console_sees(c, "hello\nping\n"));
	CHECK(send(b, "quit 5\n", 7, 0) == 7);
	CHECK(console_sees(c, "quit 5\n") && !console_sees(c, "more"));
	close(b);
	close(c);
	wait_unlocked(i);
	struct life_record rec;
	instance_record(i, &rec);
	CHECK(rec.exit_code == 5);
	char *log = NULL;
	size_t len = 0;
	CHECK(life_file_read(i->dirfd, "console.log", &log, &len, NULL) == 0);
	CHECK(!strcmp(log, "hello\nping\nquit 5\n"));
	free(log);
	/* each has its time */
	uint64_t position = 1, off, ns, before = rec.started_ns - 1000000000;
	int fd = openat(i->dirfd, "console.log", O_RDONLY);
	int times = life_stamps_find(i->dirfd, fd, &position);
	CHECK(times >= 0 && position == 0);
	CHECK(life_stamp_at(times, 0, &off, &ns) && off == 0 && ns > before);
	CHECK(!life_stamp_at(times, 100, &off, &ns));
	close(times);
	close(fd);
	instance_free(i);
	home_end(home);
}

TEST(life_damaged_folders_are_failed_and_go)
{
	static const char *const bad[] = {"", "{", "null", "{\"state\":\"dancing\"}", "\xff\xfe"};
	char home[32];
	home_begin(home);
	struct life_record rec;
	struct life_config *lc = NULL;
	struct lodge_err e;
	struct instance *i = guest_make("a", NULL, 0, 0);
	for (size_t n = 0; n < countof(bad); n++) {
		CHECK(file_replace(i->dirfd, "state.json", bad[n], strlen(bad[n]), &e) == 0);
		CHECK(file_replace(i->dirfd, "config.json", bad[n], strlen(bad[n]), &e) == 0);
		instance_record(i, &rec);
		CHECK(rec.state == LIFE_FAILED && strstr(rec.why, "state.json"));
		if (instance_config(i, &lc, &e) == 0)
			life_config_free(lc); /* an object without a state is still an object */
		else
			CHECK(strstr(e.msg, "config.json") != NULL);
	}
	CHECK(unlinkat(i->dirfd, "state.json", 0) == 0 && unlinkat(i->dirfd, "lock", 0) == 0);
	CHECK(mkdirat(i->dirfd, "config.json.d", 0) == 0 &&
	      mkdirat(i->dirfd, "state.json", 0) == 0);
	instance_record(i, &rec);
	CHECK(rec.state == LIFE_FAILED);
	CHECK(instance_lock(i, &e) == 0 && instance_remove(i, &e) == 0);
	instance_free(i);
	home_end(home);
}

TEST(life_removal_does_not_follow_links)
{
	char home[32], outside[64];
	home_begin(home);
	struct stat st;
	struct instance *i = guest_make("a", NULL, 0, 0);
	snprintf(outside, sizeof outside, "%s/outside", home);
	CHECK(mkdir(outside, 0700) == 0 && symlinkat(outside, i->dirfd, "link") == 0);
	CHECK(instance_lock(i, NULL) == 0 && instance_remove(i, NULL) == 0);
	CHECK(stat(outside, &st) == 0);
	instance_free(i);
	home_end(home);
}

TEST(life_events_stream_until_the_end)
{
	char home[32], buf[8192];
	static const char *const order[] = {"\"paused\"", "\"resumed\"", "\"updated\"", "\"died\"",
					    "\"exit_code\":137"};
	home_begin(home);
	struct instance *i = guest_make("a", "cgroup=off", 0, 0);
	guest_start(i);
	int fd = control_connect(i, "control.sock", NULL);
	CHECK(fd >= 0 && control_send(fd, "GET", "/v1/events", false, NULL, NULL) == 0);
	struct json_object *args = json_object_new_object();
	json_put_i64(args, "disk_iops", 5);
	CHECK(post(i, "pause", NULL) == 0 && post(i, "resume", NULL) == 0);
	CHECK(control_call(i, "POST", "/v1/update", args, NULL, NULL) == 0);
	json_object_put(args);
	CHECK(post(i, "kill", NULL) == 0);
	size_t n = 0;
	for (ssize_t r; n < sizeof buf - 1 && (r = recv(fd, buf + n, sizeof buf - 1 - n, 0)) > 0;)
		n += (size_t)r;
	buf[n] = 0;
	close(fd);
	CHECK(strstr(buf, "200 OK") && strstr(buf, "ndjson"));
	const char *at = buf;
	for (size_t k = 0; k < countof(order); k++) {
		at = strstr(at, order[k]);
		CHECK(at != NULL);
	}
	wait_unlocked(i);
	instance_free(i);
	home_end(home);
}

/* How often the guest "a" has been started, as the events tell. */
static int start_count(void *user, const char *json)
{
	*(unsigned *)user += strstr(json, "\"started\"") != NULL;
	return 0;
}
static unsigned starts(void)
{
	unsigned n = 0;
	struct life_event_query q = {.fn = start_count, .user = &n};
	CHECK(life_events(&q, NULL) == 0);
	return n;
}

static struct instance *guest_restarting(const char *option, const char *policy)
{
	struct instance *i = guest_make("a", option, 0, 0);
	struct json_object *o = NULL;
	char text[64];
	snprintf(text, sizeof text, "restart=%s", policy);
	const char *change = text;
	CHECK(life_limits_parse(&change, 1, &o, NULL) == 0);
	CHECK(instance_config_change(i, o, 0, LIFE_CHANGES_ALL, NULL, NULL) == 0);
	json_object_put(o);
	return i;
}

TEST(life_restart_on_failure_gives_up)
{
	char home[32];
	struct life_record rec;
	home_begin(home);
	struct instance *i = guest_restarting("start=quit", "on-failure:2");
	guest_start(i);
	CHECK(wait_code(i) == 7);
	wait_unlocked(i);
	instance_record(i, &rec);
	CHECK(rec.state == LIFE_STOPPED && rec.exit_code == 7 && starts() == 3);
	instance_free(i);
	home_end(home);
}

static int64_t exit_of(struct instance *i, const char *input)
{
	int fd = console_open(i, "/v1/console?replay=1K");
	CHECK(send(fd, input, strlen(input), MSG_NOSIGNAL) == (ssize_t)strlen(input));
	int64_t code = wait_code(i);
	close(fd);
	wait_unlocked(i);
	return code;
}

TEST(life_restart_always_until_it_is_stopped)
{
	char home[32];
	struct timespec ms = {.tv_nsec = 5000000};
	home_begin(home);
	struct instance *i = guest_restarting("stop=obey", "always");
	guest_start(i);
	int fd = console_open(i, "/v1/console?replay=1K");
	CHECK(console_sees(fd, "hello"));
	CHECK(send(fd, "quit 0\n", 7, MSG_NOSIGNAL) == 7); /* the console stays through it */
	CHECK(console_sees(fd, "quit 0") && console_sees(fd, "hello"));
	for (int n = 0; n < 1000 && starts() < 2; n++)
		nanosleep(&ms, NULL);
	CHECK(post(i, "stop", NULL) == 0);
	CHECK(wait_code(i) == 3);
	close(fd);
	wait_unlocked(i);
	CHECK(starts() == 2);
	/* success is no failure; a policy can be taken back while it runs */
	struct json_object *o = json_object_new_object();
	json_put_text(o, "restart", "on-failure");
	guest_start(i);
	CHECK(control_call(i, "POST", "/v1/update", o, NULL, NULL) == 0);
	CHECK(exit_of(i, "quit 0\n") == 0 && starts() == 3);
	json_object_put(o);
	instance_free(i);
	home_end(home);
}

TEST(life_restart_can_be_stopped_between_two_runs)
{
	char home[32];
	struct life_record rec;
	struct timespec ms = {.tv_nsec = 20000000};
	home_begin(home);
	struct instance *i = guest_restarting("start=quit", "always");
	guest_start(i);
	for (int n = 0; n < 500 && starts() < 4; n++)
		nanosleep(&ms, NULL);
	/* it waits for 800 ms now, or soon */
	int r = -EBUSY;
	for (int n = 0; n < 100 && (r = post(i, "stop", NULL)) == -EBUSY; n++)
		nanosleep(&ms, NULL);
	CHECK(r == 0);
	wait_unlocked(i);
	instance_record(i, &rec);
	CHECK(rec.state == LIFE_STOPPED && rec.exit_code == 7 && starts() <= 5);
	instance_free(i);
	home_end(home);
}

TEST(life_restart_policies)
{
	static const char *const bad[] = {"", "yes", "on-failure:", "on-failure:0", "on-failure:x",
					  "on-failurex", "always:3", "on-failure:-1"};
	struct life_restart r;
	for (size_t n = 0; n < countof(bad); n++)
		CHECK(life_restart_parse(bad[n], &r, NULL) == -EINVAL);
	CHECK(life_restart_parse("on-failure:5", &r, NULL) == 0 && r.max == 5 && !r.after_success);
	CHECK(life_restart_parse("unless-stopped", &r, NULL) == 0 && r.after_success && !r.max);
	CHECK(life_restart_parse(NULL, &r, NULL) == 0 && !r.after_failure);
	struct lodge_config c = {.size = sizeof c, .guest = "x", .flags = LODGE_RM,
				 .restart = "always"};
	CHECK(life_config_check(&c, NULL) == -EINVAL);
}
