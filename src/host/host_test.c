/* SPDX-License-Identifier: Apache-2.0 */
#include "host/host.h"
#include "test/test.h"
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <sys/epoll.h>

struct rig {
	struct loop *loop;
	pthread_t thread;
	pthread_mutex_t lock;
	int calls, order[64];
	bool quit_at_end;
	struct loop_timer *timer;
	struct loop_watch *watch;
	int pipe[2];
};

static void *rig_thread(void *arg)
{
	loop_run(((struct rig *)arg)->loop);
	return NULL;
}

static void rig_init(struct rig *r)
{
	*r = (struct rig){ .pipe = { -1, -1 } };
	pthread_mutex_init(&r->lock, NULL);
	CHECK(loop_new(&r->loop, NULL) == 0);
}
static void rig_start(struct rig *r) { CHECK(!pthread_create(&r->thread, NULL, rig_thread, r)); }
static void rig_join(struct rig *r) { pthread_join(r->thread, NULL); }
static void rig_fini(struct rig *r)
{
	loop_free(r->loop);
	pthread_mutex_destroy(&r->lock);
}

static void rig_count(void *arg)
{
	struct rig *r = arg;
	CHECK(pthread_mutex_trylock(&r->lock) == EBUSY); /* held around the call */
	r->calls++;
}
static void rig_stop(void *arg) { loop_stop(((struct rig *)arg)->loop); }

struct item {
	struct rig *r;
	int n;
};
static void item_note(void *arg)
{
	struct item *i = arg;
	i->r->order[i->r->calls++] = i->n;
}

static unsigned pages_there(void *at, size_t bytes)
{
	unsigned char there[64];
	unsigned n = 0;
	CHECK(bytes / 4096 <= sizeof there && mincore(at, bytes, there) == 0);
	for (size_t i = 0; i < bytes / 4096; i++)
		n += there[i] & 1;
	return n;
}

TEST(pages_are_ready_ahead_of_what_is_used)
{
	enum { BYTES = 20 * 4096 };
	size_t ready = 0;
	uint8_t *p = host_pages_new(BYTES);
	CHECK(p && pages_there(p, BYTES) == 0);
	host_pages_ahead(p, BYTES, 0, &ready);
	unsigned some = pages_there(p, BYTES);
	CHECK(ready > 4096 && ready < BYTES && ready % 4096 == 0);
	CHECK(some == 0 || some == ready / 4096); /* 0: a kernel before Linux 5.14 */
	p[100] = 7;
	size_t had = ready;
	host_pages_ahead(p, BYTES, ready - 4096, &ready);
	CHECK(ready == had);                      /* there is enough left */
	host_pages_ahead(p, BYTES, ready, &ready);
	CHECK(ready > had && p[100] == 7);
	host_pages_ahead(p, BYTES, BYTES, &ready);
	host_pages_ahead(p, BYTES, BYTES, &ready);
	CHECK(ready == BYTES && p[100] == 7 && (!some || pages_there(p, BYTES) == 20));
	host_pages_free(p, BYTES);
}

TEST(loop_runs_posted_work_in_order)
{
	struct rig r;
	struct item items[50];
	rig_init(&r);
	rig_start(&r);
	for (int i = 0; i < 50; i++) {
		items[i] = (struct item){ &r, i };
		CHECK(loop_post(r.loop, &r.lock, item_note, &items[i]) == 0);
	}
	CHECK(loop_post(r.loop, NULL, rig_stop, &r) == 0);
	rig_join(&r);
	CHECK(r.calls == 50);
	for (int i = 0; i < 50; i++)
		CHECK(r.order[i] == i);
	rig_fini(&r);
}

TEST(loop_stop_before_run_is_not_lost)
{
	struct rig r;
	rig_init(&r);
	loop_stop(r.loop);
	rig_start(&r);
	rig_join(&r);
	rig_fini(&r);
}

TEST(loop_cancel_removes_only_that_work)
{
	struct rig r;
	struct item a = { &r, 1 }, b = { &r, 2 };
	rig_init(&r);
	for (int i = 0; i < 3; i++) {
		CHECK(loop_post(r.loop, &r.lock, item_note, &a) == 0);
		CHECK(loop_post(r.loop, NULL, item_note, &b) == 0);
	}
	loop_cancel(r.loop, &a);
	CHECK(loop_post(r.loop, NULL, rig_stop, &r) == 0);
	rig_start(&r);
	rig_join(&r);
	CHECK(r.calls == 3 && r.order[0] == 2 && r.order[2] == 2);
	rig_fini(&r);
}

/* A thing whose callback uses it: if a free did not wait, ASan and TSan would say so. */
struct victim {
	pthread_mutex_t lock;
	unsigned uses;
};
static void victim_use(void *arg) { ((struct victim *)arg)->uses++; }

TEST(loop_frees_wait_for_the_running_call)
{
	struct rig r;
	rig_init(&r);
	rig_start(&r);
	for (int i = 0; i < 300; i++) {
		struct victim *v = calloc(1, sizeof *v);
		struct loop_timer *t = NULL;
		pthread_mutex_init(&v->lock, NULL);
		CHECK(loop_timer_new(&t, r.loop, &v->lock, victim_use, v, NULL) == 0);
		pthread_mutex_lock(&v->lock); /* so that the loop thread waits inside */
		loop_timer_set(t, 0);
		CHECK(loop_post(r.loop, &v->lock, victim_use, v) == 0);
		if (i % 3 == 0)
			usleep(50);
		pthread_mutex_unlock(&v->lock);
		loop_timer_free(t);
		loop_cancel(r.loop, v);
		pthread_mutex_destroy(&v->lock);
		free(v);
	}
	loop_stop(r.loop);
	rig_join(&r);
	rig_fini(&r);
}

TEST(loop_timer_disarmed_under_its_lock_never_fires)
{
	struct rig r;
	rig_init(&r);
	CHECK(loop_timer_new(&r.timer, r.loop, &r.lock, rig_count, &r, NULL) == 0);
	rig_start(&r);
	for (int i = 0; i < 100; i++) {
		pthread_mutex_lock(&r.lock);
		int before = r.calls;
		loop_timer_set(r.timer, 1); /* long past: the loop thread picks it at once */
		usleep(20);
		loop_timer_set(r.timer, UINT64_MAX);
		pthread_mutex_unlock(&r.lock);
		usleep(20);
		pthread_mutex_lock(&r.lock);
		CHECK(r.calls == before);
		pthread_mutex_unlock(&r.lock);
	}
	loop_stop(r.loop);
	rig_join(&r);
	loop_timer_free(r.timer);
	rig_fini(&r);
}

static void rig_fired(void *arg)
{
	struct rig *r = arg;
	r->order[r->calls++] = (int)(host_monotonic_ns() / 1000000 % 1000000);
	if (r->calls < 3)
		loop_timer_set(r->timer, host_monotonic_ns() + 2000000);
	else
		loop_stop(r->loop);
}

TEST(loop_timer_fires_when_due_and_can_be_set_anew)
{
	struct rig r;
	rig_init(&r);
	CHECK(loop_timer_new(&r.timer, r.loop, NULL, rig_fired, &r, NULL) == 0);
	uint64_t t0 = host_monotonic_ns();
	loop_timer_set(r.timer, t0 + 50000000); /* then earlier, then a little later */
	loop_timer_set(r.timer, t0 + 1000000);
	loop_timer_set(r.timer, t0 + 3000000);
	rig_start(&r);
	rig_join(&r);
	CHECK(r.calls == 3 && host_monotonic_ns() - t0 >= 7000000);
	loop_timer_free(r.timer);
	rig_fini(&r);
}

static void rig_readable(void *arg, uint32_t events)
{
	struct rig *r = arg;
	char c;
	CHECK(events & EPOLLIN);
	CHECK(read(r->pipe[0], &c, 1) == 1);
	r->order[r->calls++] = c;
	if (c == 'q') {
		loop_watch_free(r->watch); /* its own: immediately */
		loop_stop(r->loop);
	}
}

TEST(loop_watch_is_level_triggered_and_frees_itself)
{
	struct rig r;
	rig_init(&r);
	CHECK(pipe(r.pipe) == 0);
	CHECK(loop_watch_new(&r.watch, r.loop, r.pipe[0], 0, &r.lock, rig_readable, &r, NULL) == 0);
	CHECK(write(r.pipe[1], "abq", 3) == 3);
	CHECK(loop_watch_change(r.watch, EPOLLIN) == 0);
	rig_start(&r);
	rig_join(&r);
	CHECK(r.calls == 3 && r.order[0] == 'a' && r.order[2] == 'q');
	struct lodge_err e;
	struct loop_watch *w = NULL;
	CHECK(loop_watch_new(&w, r.loop, -1, EPOLLIN, NULL, rig_readable, &r, &e) == -EBADF && !w);
	close(r.pipe[0]);
	close(r.pipe[1]);
	rig_fini(&r);
}

TEST(host_random_fills_everything)
{
	uint8_t a[300] = { 0 }, zero[300] = { 0 };
	host_random(a, sizeof a);
	CHECK(memcmp(a, zero, 16) && memcmp(a + 284, zero, 16));
	host_random(a, 0);
	CHECK(host_realtime_ns() > 1600000000ull * 1000000000u);
}

/* ---- libraries loaded late: two functions of zlib, which is linked as well ---- */

__asm__(HOST_LIBRARY(late_zlib)
	HOST_CALL(zlibVersion)
	HOST_CALL(zlibCompileFlags)
	HOST_LIBRARY_END
	HOST_LIBRARY(late_none)
	HOST_CALL(no_such_function)
	HOST_LIBRARY_END);
extern void *late_zlib_at[], *late_none_at[];
extern const char late_zlib_names[], late_none_names[];
const char *zlibVersion(void);
unsigned long zlibCompileFlags(void);

TEST(host_library_is_loaded_when_it_is_wanted)
{
	const struct host_library zlib = { "libz.so.1", "zlib1g", late_zlib_at, late_zlib_names };
	CHECK(!late_zlib_at[0]);
	CHECK(host_library_load(&zlib, NULL) == 0);
	CHECK(late_zlib_at[0] && late_zlib_at[1] && late_zlib_at[0] != late_zlib_at[1]);
	CHECK(!strncmp(zlibVersion(), "1.", 2));
	CHECK(zlibCompileFlags() != 0);
	CHECK(host_library_load(&zlib, NULL) == 0);
}

TEST(host_library_that_is_not_there_says_what_to_install)
{
	struct lodge_err e;
	const struct host_library none = { "libnone.so.9", "libnone9", late_none_at,
		                           late_none_names };
	CHECK(host_library_load(&none, &e) == -ENOENT);
	CHECK(strstr(e.msg, "libnone.so.9") && strstr(e.msg, "install the package libnone9"));
	const struct host_library old = { "libz.so.1", "zlib1g", late_none_at, late_none_names };
	CHECK(host_library_load(&old, &e) == -ENOENT);
	CHECK(strstr(e.msg, "libz.so.1 has no no_such_function"));
}

static int tree_count(void *arg, pid_t pid)
{
	(void)pid;
	++*(unsigned *)arg;
	return 0;
}

static int tree_refuse(void *arg, pid_t pid)
{
	(void)arg;
	(void)pid;
	return -7;
}

/* A child that works, a grandchild that has worked and is gone. */
TEST(host_tree_and_its_cpu_time)
{
	int ready[2];
	char c;
	CHECK(pipe(ready) == 0);
	pid_t child = fork();
	if (child == 0) {
		pid_t grandchild = fork();
		uint64_t end = host_cpu_ns() + 60000000;
		while (host_cpu_ns() < end)
			;
		if (grandchild == 0)
			_exit(0);
		waitpid(grandchild, NULL, 0);
		(void)!write(ready[1], "x", 1);
		pause();
		_exit(0);
	}
	CHECK(read(ready[0], &c, 1) == 1);
	unsigned n = 0;
	CHECK(host_tree_each(getpid(), tree_count, &n) == 0 && n == 2);
	CHECK(host_tree_each(getpid(), tree_refuse, NULL) == -7);
	uint64_t cpu = host_tree_cpu_ns(child);
	CHECK(cpu >= 100000000 && cpu < 2000000000); /* both; the clock of the dead has ticks */
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	CHECK(host_tree_cpu_ns(child) == 0);
	close(ready[0]);
	close(ready[1]);
}
