/* SPDX-License-Identifier: Apache-2.0 */
/* The moment of handing over, with a keeper at one end and a script at the other: wherever the
 * stream ends, the guest runs at one place at most, and is kept at one at least. */
#include "life/fake_level.h"
#include "life/internal.h"
#include "test/test.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

enum { RAM = 1 << 20 };

/* ---- a guest that has memory: its harts are not there, it counts what is done to it ---- */

static struct mem *roomy_mem; /* of the keeper's process, which has one guest */

static int roomy_create(void **ret, const struct level_env *env, const struct lodge_config *c,
			struct lodge_err *e)
{
	int r = mem_new(&roomy_mem, gpa(0), RAM, e);
	if (r == 0 && !env->restoring)
		memset(mem_host(roomy_mem), 7, RAM / 2);
	return r < 0 ? r : fake_create(ret, env, c, e);
}

static void roomy_destroy(void *self)
{
	mem_free(take(roomy_mem));
	fake_destroy(self);
}

static struct mem *roomy_memory(void *self)
{
	(void)self;
	return roomy_mem;
}

static int roomy_save(void *self, struct save_out *o, struct lodge_err *e)
{
	uint8_t *p = save_out_section(o, "roomy", 4);
	(void)self;
	(void)e;
	if (p)
		memcpy(p, "here", 4);
	return 0;
}

static int roomy_load(void *self, const struct save_in *in, struct lodge_err *e)
{
	size_t n;
	const uint8_t *p = save_in_find(in, "roomy", &n);
	(void)self;
	if (!p || n != 4 || mem_host(roomy_mem)[RAM / 2 - 1] != 7 || mem_host(roomy_mem)[RAM / 2])
		return err_set(e, EINVAL, "this is not what was sent");
	return 0;
}

static uint64_t roomy_disk(void *self, size_t i)
{
	(void)self;
	(void)i;
	return 0;
}
static int roomy_track(void *self, bool on, struct lodge_err *e)
{
	(void)on;
	return fake_nothing(self, e);
}
static uint64_t roomy_left(void *self) { return roomy_disk(self, 0); }

static struct level roomy_level(void)
{
	struct level l = fake_level;
	l.create = roomy_create;
	l.destroy = roomy_destroy;
	l.memory = roomy_memory;
	l.save = roomy_save;
	l.load = roomy_load;
	l.disk = roomy_disk;
	l.disk_track = roomy_track;
	l.disk_left = roomy_left;
	return l;
}

/* ---- both ends ---- */

struct rig {
	char home[32], address[64];
	struct level level;
	struct instance *inst;
	int listen;
	struct wire w;       /* the destination's, of a script */
	int fd;
};

static struct instance *guest_make(const char *name, bool half)
{
	struct instance *i = NULL;
	struct lodge_config c = {.size = sizeof c, .guest = "fake"};
	struct life_record rec = {.state = LIFE_CREATED, .created_ns = host_realtime_ns()};
	CHECK(instance_new(&i, name, NULL) == 0);
	struct json_object *doc = life_config_json(&c);
	CHECK(!half || receiving_note(i, NULL) == 0);
	CHECK(instance_publish(i, doc, &rec, NULL) == 0);
	json_object_put(doc);
	if (!half)
		close(take_fd(&i->lock));
	return i;
}

static int post(struct instance *i, const char *path, struct json_object *args, struct lodge_err *e)
{
	return control_call(i, "POST", path, args, NULL, e);
}

static void rig_start(struct rig *g)
{
	int leash = -1;
	struct lodge_err e;
	for (int i = 0; i < 5000 && instance_locked(g->inst); i++) /* by the one before, still */
		usleep(1000);
	CHECK(instance_lock(g->inst, NULL) == 0);
	if (keeper_spawn(g->inst, &g->level, NULL, &leash, &e) < 0)
		fail_msg("%s", e.msg);
	CHECK(post(g->inst, "/v1/start", NULL, &e) == 0);
	close(leash);
}

static void rig_begin(struct rig *g)
{
	*g = (struct rig){.level = roomy_level(), .fd = -1};
	strcpy(g->home, "/tmp/lodge-test-XXXXXX");
	CHECK(mkdtemp(g->home) != NULL);
	setenv("XDG_DATA_HOME", g->home, 1);
	setenv("XDG_RUNTIME_DIR", g->home, 1);
	snprintf(g->address, sizeof g->address, "unix:%s/there", g->home);
	g->listen = life_listen(g->address, NULL);
	CHECK(g->listen >= 0);
	g->inst = guest_make("a", false);
	rig_start(g);
}

static void rig_hang_up(struct rig *g)
{
	if (g->fd >= 0)
		close(take_fd(&g->fd));
	wire_fini(&g->w);
}

static void rig_end(struct rig *g)
{
	struct lodge_err e;
	(void)!post(g->inst, "/v1/kill", NULL, &e);
	rig_hang_up(g);
	for (int n = 0; n < 2500 && instance_locked(g->inst); n++)
		poll(NULL, 0, 2);
	CHECK(!instance_locked(g->inst));
	close(g->listen);
	instance_free(g->inst);
	CHECK(file_remove_tree(AT_FDCWD, g->home, NULL) == 0);
}

/* Ask for it, and take part until its frame @until has come (0: nothing is read). */
static void rig_move(struct rig *g, unsigned until)
{
	struct json_object *args = json_object_new_object();
	struct wire_frame f = {0};
	struct lodge_err e;
	json_put_text(args, "to", g->address);
	if (post(g->inst, "/v1/migrate", args, &e) < 0)
		fail_msg("%s", e.msg);
	json_object_put(args);
	g->fd = accept4(g->listen, NULL, NULL, SOCK_CLOEXEC);
	CHECK(g->fd >= 0 && wire_init(&g->w, g->fd, g->fd, NULL) == 0);
	while (until && f.type != until) {
		if (wire_receive(&g->w, &f, &e) < 0)
			fail_msg("%s", e.msg);
		struct wire_frame answer = {.type = f.type == FRAME_HELLO  ? FRAME_ACCEPT
						    : f.type == FRAME_SYNC ? FRAME_SYNCED
						    : f.type == FRAME_END  ? FRAME_READY
									   : 0};
		if (answer.type && f.type != until)
			CHECK(wire_send(&g->w, &answer, NULL) == 0);
	}
}

/* What the keeper says of it, once it has made up its mind. */
static void rig_outcome(struct rig *g, char state[16], char guest[16])
{
	struct json_object *o = NULL, *m = NULL;
	const char *s = "", *l = "";
	for (int n = 0; n < 2500; n++) {
		CHECK(control_call(g->inst, "GET", "/v1/guest", NULL, &o, NULL) == 0);
		CHECK(json_object_object_get_ex(o, "migration", &m) && json_text(m, "state", &s) &&
		      json_text(o, "state", &l));
		snprintf(state, 16, "%s", s);
		snprintf(guest, 16, "%s", l);
		json_object_put(o);
		if (strcmp(state, "moving") != 0)
			return;
		poll(NULL, 0, 2);
	}
	fail_msg("it never ends");
}

static bool rig_is(struct rig *g, const char *want, const char *want_guest)
{
	char state[16], guest[16];
	rig_outcome(g, state, guest);
	return !strcmp(state, want) && !strcmp(guest, want_guest);
}

TEST(migrate_a_broken_stream_before_the_handing_over_lets_it_go_on)
{
	static const unsigned phase[] = {0, FRAME_HELLO, FRAME_SYNC, FRAME_RAM, FRAME_STATE,
					 FRAME_END};
	struct rig g;
	char where[128];
	rig_begin(&g);
	for (size_t i = 0; i < countof(phase); i++) {
		rig_move(&g, phase[i]);
		rig_hang_up(&g);
		CHECK(rig_is(&g, "failed", "running") && !moved_to(g.inst, where));
		CHECK(post(g.inst, "/v1/pause", NULL, NULL) == 0);
		CHECK(post(g.inst, "/v1/resume", NULL, NULL) == 0);
	}
	rig_end(&g);
}

TEST(migrate_a_destination_that_says_no_is_believed_even_at_the_last)
{
	static const unsigned phase[] = {FRAME_HELLO, FRAME_END, FRAME_COMMIT};
	struct rig g;
	char where[128];
	struct lodge_err no = {.code = ENOSPC, .msg = "no room"};
	rig_begin(&g);
	for (size_t i = 0; i < countof(phase); i++) {
		rig_move(&g, phase[i]);
		wire_fail(&g.w, &no);
		CHECK(rig_is(&g, "failed", "running") && !moved_to(g.inst, where));
		rig_hang_up(&g);
	}
	rig_end(&g);
}

TEST(migrate_in_doubt_it_is_kept_paused_until_somebody_says)
{
	struct rig g;
	char where[128];
	struct lodge_err e;
	struct life_record rec;
	rig_begin(&g);
	rig_move(&g, FRAME_COMMIT);
	CHECK(moved_to(g.inst, where) && !strcmp(where, g.address));
	rig_hang_up(&g);
	CHECK(rig_is(&g, "doubt", "paused") && moved_to(g.inst, where));
	instance_record(g.inst, &rec); /* what ls goes by */
	CHECK(rec.state == LIFE_PAUSED);
	CHECK(post(g.inst, "/v1/resume", NULL, &e) == 0 && !moved_to(g.inst, where));
	/* the keeper may be killed in the midst of it: then nothing is started by mistake */
	rig_move(&g, FRAME_COMMIT);
	rig_hang_up(&g);
	CHECK(rig_is(&g, "doubt", "paused"));
	CHECK(post(g.inst, "/v1/kill", NULL, &e) == 0);
	for (int n = 0; n < 2500 && instance_locked(g.inst); n++)
		poll(NULL, 0, 2);
	instance_record(g.inst, &rec);
	CHECK(rec.state == LIFE_STOPPED && strstr(rec.why, "moved to"));
	int leash = -1;
	CHECK(instance_lock(g.inst, NULL) == 0);
	CHECK(keeper_spawn(g.inst, &g.level, NULL, &leash, &e) == -EPERM);
	CHECK(strstr(e.msg, "--undo"));
	CHECK(life_moved_forget(g.inst, NULL) == 0);
	rig_start(&g);
	rig_end(&g);
}

TEST(migrate_what_has_started_there_ends_here)
{
	struct rig g;
	struct life_record rec;
	struct wire_frame started = {.type = FRAME_STARTED};
	rig_begin(&g);
	rig_move(&g, FRAME_COMMIT);
	CHECK(wire_send(&g.w, &started, NULL) == 0);
	for (int n = 0; n < 2500 && instance_locked(g.inst); n++)
		poll(NULL, 0, 2);
	instance_record(g.inst, &rec);
	CHECK(rec.state == LIFE_STOPPED && strstr(rec.why, "moved to"));
	rig_end(&g);
}

/* Keeper to keeper. */
TEST(migrate_between_two_keepers)
{
	struct rig g;
	struct lodge_err e;
	int leash = -1;
	char where[128];
	struct json_object *args = json_object_new_object();
	struct life_record rec;
	rig_begin(&g);
	json_put_text(args, "to", g.address);
	CHECK(post(g.inst, "/v1/pause", NULL, &e) == 0);
	CHECK(post(g.inst, "/v1/migrate", args, &e) == 0);
	json_object_put(args);
	g.fd = accept4(g.listen, NULL, NULL, SOCK_CLOEXEC);
	struct instance *b = guest_make("b", true);
	struct wire_frame f;
	CHECK(wire_init(&g.w, g.fd, g.fd, NULL) == 0 && wire_receive(&g.w, &f, NULL) == 0);
	struct keeper_from from = {g.fd, g.fd};
	if (keeper_spawn(b, &g.level, &from, &leash, &e) < 0)
		fail_msg("%s", e.msg);
	close(leash);
	rig_hang_up(&g);
	instance_record(b, &rec);
	CHECK(rec.state == LIFE_PAUSED && !receiving(b) && !moved_to(b, where));
	CHECK(post(b, "/v1/resume", NULL, &e) == 0 && post(b, "/v1/kill", NULL, &e) == 0);
	for (int n = 0; n < 2500 && (instance_locked(b) || instance_locked(g.inst)); n++)
		poll(NULL, 0, 2);
	CHECK(moved_to(g.inst, where));
	instance_free(b);
	rig_end(&g);
}

/* Between a source and a keeper, which it kills as soon as that says that it runs the guest. */
struct between {
	int source, keeper;
	struct instance *at;
	unsigned last; /* of the keeper's answers */
};

static void *stream_carry(void *arg)
{
	const struct between *b = arg;
	char buf[4096];
	ssize_t n, sent = 0;
	while (poll(&(struct pollfd){b->source, POLLIN, 0}, 1, -1) == 1 &&
	       ((n = read(b->source, buf, sizeof buf)) > 0 || (n < 0 && errno == EAGAIN)))
		for (ssize_t at = 0; at < n; at += sent > 0 ? sent : 0) {
			(void)!poll(&(struct pollfd){b->keeper, POLLOUT, 0}, 1, -1);
			sent = send(b->keeper, buf + at, (size_t)(n - at), MSG_NOSIGNAL);
			if (sent < 0 && errno != EAGAIN)
				return NULL; /* it was killed */
		}
	shutdown(b->keeper, SHUT_WR);
	return NULL;
}

static void *answers_carry(void *arg)
{
	struct between *b = arg;
	struct life_record rec;
	struct wire from, to;
	struct wire_frame f;
	int r = wire_init(&from, b->keeper, b->keeper, NULL);
	if (r == 0)
		r = wire_init(&to, b->source, b->source, NULL);
	while (r == 0 && b->last != FRAME_STARTED && (r = wire_receive(&from, &f, NULL)) == 0) {
		b->last = f.type;
		instance_record(b->at, &rec);
		if (f.type == FRAME_STARTED && rec.pid > 0)
			kill(rec.pid, SIGKILL);
		r = wire_send(&to, &f, NULL);
	}
	wire_fini(&from);
	wire_fini(&to);
	return NULL;
}

TEST(migrate_a_keeper_that_is_killed_as_it_begins_has_failed)
{
	struct rig g;
	struct lodge_err e;
	int leash = -1, pair[2];
	struct json_object *args = json_object_new_object();
	struct life_record rec;
	pthread_t there, back;
	rig_begin(&g);
	json_put_text(args, "to", g.address);
	CHECK(post(g.inst, "/v1/migrate", args, &e) == 0);
	json_object_put(args);
	g.fd = accept4(g.listen, NULL, NULL, SOCK_CLOEXEC);
	struct wire_frame f;
	CHECK(wire_init(&g.w, g.fd, g.fd, NULL) == 0 && wire_receive(&g.w, &f, NULL) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	struct between b = {g.fd, pair[0], guest_make("b", true), 0};
	CHECK(pthread_create(&there, NULL, stream_carry, &b) == 0);
	CHECK(pthread_create(&back, NULL, answers_carry, &b) == 0);
	struct keeper_from from = {pair[1], pair[1]};
	if (keeper_spawn(b.at, &g.level, &from, &leash, NULL) == 0)
		close(leash);
	pthread_join(back, NULL);
	CHECK(b.last == FRAME_STARTED);
	close(pair[1]);
	pthread_join(there, NULL);
	for (int n = 0; n < 2500 && (instance_locked(b.at) || instance_locked(g.inst)); n++)
		poll(NULL, 0, 2);
	instance_record(b.at, &rec);
	CHECK(rec.state == LIFE_FAILED && !receiving(b.at));
	instance_record(g.inst, &rec);
	CHECK(rec.state == LIFE_STOPPED && strstr(rec.why, "moved to"));
	close(pair[0]);
	instance_free(b.at);
	rig_end(&g);
}

/* A folder that nobody fills any more is nobody's. */
TEST(migrate_half_a_guest_goes_with_the_next_look)
{
	struct rig g;
	struct json_object *names = NULL;
	struct life_record rec;
	rig_begin(&g);
	struct instance *b = guest_make("b", true);
	CHECK(instance_names(&names, NULL) == 0 && json_object_array_length(names) == 2);
	json_object_put(names);
	close(take_fd(&b->lock));
	instance_record(b, &rec);
	CHECK(rec.state == LIFE_FAILED);
	CHECK(instance_names(&names, NULL) == 0 && json_object_array_length(names) == 1);
	json_object_put(names);
	instance_free(b);
	rig_end(&g);
}
