/* SPDX-License-Identifier: Apache-2.0 */
/* A guest moves to another keeper, by a stream of bytes.
 *
 *   source                                   destination
 *   HELLO ------------------------------->   checks, makes the guest
 *         <------------------------ ACCEPT
 *   files, disks, memory ---------------->   \ again and again what was written meanwhile,
 *   SYNC --------------------------------->   / while the guest runs on at the source
 *         <------------------------ SYNCED
 *   pauses; state, the rest, END --------->  loads it, all on disk
 *         <------------------------- READY
 *   notes that it is elsewhere
 *   COMMIT ------------------------------->  runs it
 *         <----------------------- STARTED
 *   ends
 *
 * Until COMMIT is on its way the source goes on when anything fails, and the destination runs
 * nothing before it has come: never both. When the stream breaks between COMMIT and STARTED the
 * source cannot know: the guest stays paused here, whole, for whoever can.
 *
 * A level with fit (a program's) has memory to send when it stands still, and not before. */
#include "life/internal.h"
#include <json-c/json.h>
#include <stdio.h>
#include <sys/socket.h>

enum {
	ROUNDS = 30,
	LAST_MS = 15,          /* what is left should take so long at most */
	LAST_PATIENCE_MS = 10000,
	BURST_MS = 30,         /* more than this, and it runs on for another round */
	BURSTS = 20,
	DURABLE_MS = 3000,
	RATE_MIN = 10 << 20,   /* bytes a second */
};

static struct mem *migrate_mem(struct keeper *k) { return k->level->memory(k->self); }

static uint64_t disks_left(struct keeper *k)
{
	return k->level->disk ? k->level->disk_left(k->self) : 0;
}

static int disks_track(struct keeper *k, bool on, struct lodge_err *e)
{
	return k->level->disk ? k->level->disk_track(k->self, on, e) : 0;
}

/* ---- beside the guest ---- */

/* Connect, say what comes, send files. */
static int greet(struct migration *m, struct lodge_err *e)
{
	struct keeper *k = m->keeper;
	m->fd = address_connect(m->to, e);
	int r = m->fd < 0 ? m->fd : 0;
	if (r == 0 && __atomic_load_n(&m->gone, __ATOMIC_ACQUIRE))
		r = err_set(e, ECANCELED, "the guest has ended");
	if (r == 0)
		r = wire_init(&m->wire, m->fd, m->fd, e);
	if (r == 0)
		r = outgoing_init(&m->out, &m->wire, e);
	if (r < 0)
		return r;
	m->out.mem = k->level->fit ? NULL : migrate_mem(k);
	m->out.read = k->level->disk_read;
	m->out.next = k->level->disk_next;
	m->out.user = k->self;
	while (k->level->disk && m->out.ndisks < STREAM_DISKS_MAX &&
	       (m->out.size[m->out.ndisks] = k->level->disk(k->self, m->out.ndisks)))
		m->out.ndisks++;
	struct json_object *hello = NULL;
	r = stream_describe(&m->out, m->config, k->level->name, &hello, e);
	if (r < 0)
		return r;
	json_put_text(hello, "name", k->inst->name);
	json_put_i64(hello, "created_ns", (int64_t)k->record.created_ns);
	json_put_i64(hello, "started_ns", (int64_t)k->record.started_ns);
	r = stream_hello(&m->out, hello, e);
	if (r == 0)
		r = stream_send_files(&m->out, hello, e);
	if (r == 0)
		r = wire_expect(&m->wire, FRAME_ACCEPT, e);
	if (r == 0)
		r = moved_prepare(k->inst, m->label, e);
	json_object_put(hello);
	return r;
}

static uint64_t bits_bytes(const struct migration *m)
{
	uint64_t n = 0;
	for (uint64_t i = 0; i <= mem_size(m->out.mem) / MEM_FRAME / 64; i++)
		n += (uint64_t)__builtin_popcountll(m->bits[i]);
	return n * MEM_FRAME;
}

static int sync_round(struct migration *m, struct lodge_err *e)
{
	int r = outgoing_word(&m->out, FRAME_SYNC, e);
	return r < 0 ? r : wire_expect(&m->wire, FRAME_SYNCED, e);
}

/* Bytes that go in @ms. */
static uint64_t rate_bytes(const struct migration *m, unsigned ms)
{
	return (m->rate < RATE_MIN ? RATE_MIN : m->rate) / 1000 * ms;
}

static int one_round(struct migration *m, bool first, struct lodge_err *e)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < m->out.ndisks; i++)
		r = outgoing_disk(&m->out, i, first, e);
	if (r == 0)
		r = first ? outgoing_ram_all(&m->out, e)
			  : outgoing_ram_written(&m->out, m->bits, e);
	return r;
}

/* Until what is left is sent in a moment. */
static int rounds(struct migration *m, struct lodge_err *e)
{
	struct keeper *k = m->keeper;
	int r = 0;
	for (unsigned most = m->rounds + ROUNDS; r == 0 && m->rounds < most; m->rounds++) {
		uint64_t begun = host_monotonic_ns(), sent = m->wire.sent;
		r = one_round(m, m->rounds == 0, e);
		if (r == 0)
			r = sync_round(m, e);
		if (r == 0)
			r = mem_track_take(m->out.mem, m->bits, e);
		if (r < 0)
			return r;
		uint64_t ns = host_monotonic_ns() - begun + 1;
		uint64_t rate = (m->wire.sent - sent) * 1000 / (ns / 1000000 + 1);
		m->rate = m->rounds ? (m->rate + rate) / 2 : rate;
		m->left = bits_bytes(m) + disks_left(k);
		if (m->left <= rate_bytes(m, LAST_MS))
			break;
	}
	return r;
}

/* ---- the guest stands still: on the loop ---- */

static int tracking_begin(struct keeper *k, struct lodge_err *e)
{
	struct migration *m = &k->migration;
	int r = mem_track_begin(m->out.mem, e);
	if (r == 0)
		m->bits = calloc(mem_size(m->out.mem) / MEM_FRAME / 64 + 1, sizeof *m->bits);
	if (r == 0 && !m->bits)
		r = err_set(e, ENOMEM, "out of memory");
	m->tracked = r == 0;
	return r;
}

static void tracking_end(struct keeper *k)
{
	struct mem *m = migrate_mem(k);
	if (m)
		mem_track_end(m);
	if (disks_track(k, false, NULL) < 0)
		log_at(&k->log, LOG_WARN, "disks are tracked for nothing");
}

static int last_round(struct keeper *k, struct lodge_err *e)
{
	struct migration *m = &k->migration;
	struct save_out *o = NULL;
	const uint8_t *state = NULL;
	size_t len = 0;
	uint64_t id;
	/* it drains the devices: only then is everything written that will be */
	int r = saving_gather(k, &o, &id, e);
	if (r == 0 && m->tracked)
		r = mem_track_take(m->out.mem, m->bits, e);
	if (r == 0)
		r = save_out_bytes(o, &state, &len, e);
	if (r == 0)
		r = outgoing_state(&m->out, state, len, e);
	m->out.mem = migrate_mem(k);
	if (r == 0)
		r = one_round(m, !m->tracked, e);
	struct wire_frame end = { .type = FRAME_END, .index = k->record.state == LIFE_PAUSED };
	if (r == 0)
		r = wire_send(&m->wire, &end, e);
	if (r == 0)
		r = wire_expect(&m->wire, FRAME_READY, e);
	save_out_free(o);
	return r;
}

/* From here on it is the other's. 1: nobody knows whether it is. */
static int hand_over(struct keeper *k, struct lodge_err *e)
{
	struct migration *m = &k->migration;
	int r = moved_note(k->inst, e);
	if (r < 0)
		return r;
	r = outgoing_word(&m->out, FRAME_COMMIT, e);
	if (r == 0)
		r = wire_expect(&m->wire, FRAME_STARTED, e);
	return r < 0 && !m->wire.told ? 1 : r;
}

/* ---- steps ---- */

static void migration_close(struct keeper *k)
{
	struct migration *m = &k->migration;
	outgoing_fini(&m->out);
	wire_fini(&m->wire);
	if (m->fd >= 0)
		close(take_fd(&m->fd));
	free(take(m->bits));
	json_object_put(take(m->config));
	m->on = false;
}

static void migration_failed(struct keeper *k, int r, const struct lodge_err *e)
{
	struct migration *m = &k->migration;
	if (m->wire.buf && !m->wire.told)
		wire_fail(&m->wire, e);
	migration_close(k);
	m->state = MIGRATE_FAILED;
	m->result = r;
	snprintf(m->why, sizeof m->why, "%.300s", e->msg);
	log_at(&k->log, LOG_WARN, "not moved: %s", e->msg);
	keeper_settle(k);
}

static void *greet_main(void *arg);
static void *rounds_main(void *arg);

static void thread_begin(struct migration *m, void *(*fn)(void *))
{
	struct lodge_err e;
	m->step = 0;
	m->threaded = pthread_create(&m->thread, NULL, fn, m) == 0;
	if (!m->threaded)
		migration_failed(m->keeper, err_set(&e, EAGAIN, "no thread"), &e);
}

static void thread_end(struct migration *m)
{
	if (m->threaded)
		pthread_join(m->thread, NULL);
	m->threaded = false;
}

/* It stands still, but has written much since the last look: the end of a round and a burst came
 * together. It runs on, and is caught at a better moment. */
static bool burst(struct keeper *k, struct lodge_err *e)
{
	struct migration *m = &k->migration;
	if (!m->tracked || m->bursts >= BURSTS || mem_track_take(m->out.mem, m->bits, NULL) < 0)
		return false;
	m->left = bits_bytes(m) + disks_left(k);
	if (m->left <= rate_bytes(m, BURST_MS) || k->level->resume(k->self, e) < 0)
		return false;
	m->bursts++;
	return true;
}

/* It may run elsewhere: it stands still until somebody says, for everyone to see. */
static void migration_doubt(struct keeper *k, const struct lodge_err *e)
{
	struct migration *m = &k->migration;
	bool ran = k->record.state == LIFE_RUNNING;
	migration_close(k);
	m->state = MIGRATE_DOUBT;
	snprintf(m->why, sizeof m->why, "the stream broke at the last moment (%.60s): the "
		 "guest may run at %.60s. Look: if not, lodge resume it; else lodge kill",
		 e->msg, m->label);
	log_at(&k->log, LOG_ERROR, "%s", m->why);
	k->record.state = LIFE_PAUSED;
	keeper_record(k);
	if (ran) {
		struct json_object *why = json_object_new_object();
		json_put_text(why, "why", m->why);
		keeper_event(k, life_name(LIFE_PAUSED), why);
	}
}

/* The guest stands still, for good if all goes well. */
static void migration_finish(void *arg)
{
	struct migration *m = arg;
	struct keeper *k = m->keeper;
	struct lodge_err e = m->err, why = { 0 };
	bool running = k->record.state == LIFE_RUNNING;
	thread_end(m);
	uint64_t begun = host_monotonic_ns();
	/* also to give up: tracking ends while nothing runs */
	int r = running ? k->level->pause(k->self, &why) : 0;
	if (r < 0)
		e = why;
	else
		r = m->step;
	if (r == 0 && running && burst(k, &why)) {
		thread_begin(m, rounds_main);
		return;
	}
	m->wire.patience_ms = LAST_PATIENCE_MS;
	if (r == 0)
		r = last_round(k, &e);
	if (r == 0)
		r = hand_over(k, &e);
	m->pause_ns = host_monotonic_ns() - begun;
	if (r == 0) {
		m->state = MIGRATE_DONE;
		snprintf(m->why, sizeof m->why, "moved to %.100s", m->label);
		log_at(&k->log, LOG_INFO, "%s: %u rounds, %u bursts, %llu MiB, last %llu KiB, "
		       "paused for %llu us", m->why, m->rounds + 1, m->bursts,
		       (unsigned long long)m->wire.sent >> 20, (unsigned long long)m->left >> 10,
		       (unsigned long long)m->pause_ns / 1000);
		m->wire.patience_ms = DURABLE_MS;
		wire_drain(&m->wire); /* it hangs up when all is durable there */
		migration_close(k);
		keeper_ended(k, 0, m->why);
		return;
	}
	tracking_end(k);
	if (r > 0) {
		migration_doubt(k, &e);
		return;
	}
	if (life_moved_forget(k->inst, &why) < 0)
		log_at(&k->log, LOG_ERROR, "%s", why.msg);
	if (running && k->level->resume(k->self, &why) < 0)
		log_at(&k->log, LOG_ERROR, "after a migration that failed: %s", why.msg);
	migration_failed(k, r, &e);
}

/* The other side wants it: from now on it is to be known what the guest writes. */
static void migration_track(void *arg)
{
	struct migration *m = arg;
	struct keeper *k = m->keeper;
	struct lodge_err e = m->err;
	bool running = k->record.state == LIFE_RUNNING;
	thread_end(m);
	int r = m->step;
	if (r == 0)
		r = disks_track(k, true, &e);
	if (r < 0) {
		migration_failed(k, r, &e);
		return;
	}
	if (running && m->live && (r = k->level->pause(k->self, &e)) == 0) {
		r = tracking_begin(k, &e);
		if (r == -EOPNOTSUPP)
			log_at(&k->log, LOG_INFO, "it stands still while it moves: %s", e.msg);
		if (k->level->resume(k->self, &e) < 0)
			log_at(&k->log, LOG_ERROR, "after tracking began: %s", e.msg);
	}
	if (m->tracked)
		thread_begin(m, rounds_main);
	else
		migration_finish(m);
}

static void *greet_main(void *arg)
{
	struct migration *m = arg;
	pthread_setname_np(pthread_self(), "migrate");
	m->step = greet(m, &m->err);
	if (loop_post(m->keeper->loop, NULL, migration_track, m) < 0)
		m->step = -ENOMEM;
	return NULL;
}

static void *rounds_main(void *arg)
{
	struct migration *m = arg;
	pthread_setname_np(pthread_self(), "migrate");
	m->step = rounds(m, &m->err);
	if (loop_post(m->keeper->loop, NULL, migration_finish, m) < 0)
		m->step = -ENOMEM;
	return NULL;
}

/* ---- the keeper ---- */

int keeper_migrate(struct keeper *k, struct json_object *args, struct lodge_err *e)
{
	struct migration *m = &k->migration;
	const char *to = NULL, *label = NULL;
	struct json_object *still = NULL;
	if (!k->level->save || !k->level->load || !k->level->pause || !k->level->memory)
		return keeper_unsaved(k, "migrate", e);
	if (m->on)
		return err_set(e, EBUSY, "%s is on its way to %s already", k->inst->name, m->label);
	if (k->saver.pid)
		return err_set(e, EBUSY, "the snapshot %s is being written", k->saver.name);
	if (!json_text(args, "to", &to))
		return err_set(e, EINVAL, "'to' is needed: unix:PATH or tcp:HOST:PORT");
	json_text(args, "label", &label);
	keeper_settle_stop(k);
	*m = (struct migration){ .keeper = k, .on = true, .fd = -1, .state = MIGRATE_MOVING,
		.live = !json_object_object_get_ex(args, "still", &still) ||
			!json_object_get_boolean(still) };
	m->live = m->live && !k->level->fit;
	m->wire.leash = -1;
	snprintf(m->to, sizeof m->to, "%s", to);
	snprintf(m->label, sizeof m->label, "%s", label ? label : to);
	int r = config_read(k->inst, &m->config, e);
	if (r < 0) {
		m->on = false;
		return r;
	}
	thread_begin(m, greet_main);
	return m->on ? 0 : err_set(e, EAGAIN, "%s", m->why);
}

void keeper_migrate_abort(struct keeper *k)
{
	struct migration *m = &k->migration;
	struct lodge_err e;
	if (!m->on)
		return;
	__atomic_store_n(&m->gone, true, __ATOMIC_RELEASE);
	if (m->fd >= 0)
		shutdown(m->fd, SHUT_RDWR);
	thread_end(m);
	loop_cancel(k->loop, m);
	tracking_end(k);
	migration_failed(k, err_set(&e, ECANCELED, "the guest has ended"), &e);
}

void keeper_migrate_describe(const struct keeper *k, struct json_object *out)
{
	static const char *const names[] = { NULL, "moving", "done", "failed", "doubt" };
	const struct migration *m = &k->migration;
	if (m->state == MIGRATE_NONE)
		return;
	struct json_object *o = json_object_new_object();
	json_put_text(o, "to", m->label);
	json_put_text(o, "state", names[m->state]);
	json_put_i64(o, "code", m->result < 0 ? -m->result : 0);
	json_put_text(o, "why", m->why);
	json_put_i64(o, "rounds", m->rounds);
	json_put_i64(o, "bytes_sent", (int64_t)m->wire.sent);
	json_put_i64(o, "bytes_left", (int64_t)m->left);
	json_put_i64(o, "bytes_per_second", (int64_t)m->rate);
	json_put_i64(o, "pause_ns", (int64_t)m->pause_ns);
	json_object_object_add(out, "migration", o);
}
