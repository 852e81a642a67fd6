/* SPDX-License-Identifier: Apache-2.0 */
/* The other end of a migration, in the keeper that will have the guest: see migrate.c. The level's
 * guest exists already; its memory, its disks and its state come in on the stream. */
#include "life/internal.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

/* Its disks are raw files of the folder, and this process may write them beside the level, whose
 * guest does not run yet. */
static int disks_open(struct keeper *k, struct incoming *in, struct lodge_err *e)
{
	uint64_t size;
	while (k->level->disk && in->ndisks < STREAM_DISKS_MAX &&
	       (size = k->level->disk(k->self, in->ndisks))) {
		char name[32];
		struct incoming_disk *d = &in->disk[in->ndisks];
		snprintf(name, sizeof name, "disk%zu.raw", in->ndisks);
		*d = (struct incoming_disk){ .size = size,
			.fd = openat(k->inst->dirfd, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW) };
		if (d->fd < 0)
			return err_sys(e, "%s", name);
		in->ndisks++;
	}
	return 0;
}

/* Memory of a guest that has it by what its state says. */
static int memory_fit(void *user, struct incoming *in, struct lodge_err *e)
{
	struct keeper *k = user;
	struct save_in state;
	int r = save_in_parse(&state, in->state, in->state_len, e);
	state.buf = in->state; /* borrowed */
	state.len = in->state_len;
	if (r == 0)
		r = keeper_fit_state(k, &state, e);
	if (r == 0)
		in->mem = k->level->memory(k->self);
	return r;
}

/* What will be true from COMMIT on. */
static int record_ready(struct keeper *k, struct lodge_err *e)
{
	struct life_record r = k->record;
	r.state = LIFE_RUNNING;
	r.pid = (int)getpid();
	return instance_record_ready(k->inst, &r, e);
}

static int receive_all(struct keeper *k, struct incoming *in, struct lodge_err *e)
{
	struct wire_frame accept = { .type = FRAME_ACCEPT };
	struct save_in state;
	int r = record_ready(k, e);
	if (r == 0)
		r = disks_open(k, in, e);
	if (r == 0)
		r = wire_send(in->w, &accept, e);
	if (r == 0)
		r = incoming_run(in, e);
	if (r == 0)
		r = save_in_parse(&state, in->state, in->state_len, e);
	if (r == 0)
		r = keeper_load_state(k, &state, e);
	return r;
}

int keeper_receive(struct keeper *k, struct lodge_err *e)
{
	struct incoming in = { .w = &k->from.wire };
	if (!k->level->save || !k->level->load || !k->level->memory)
		return err_set(e, EOPNOTSUPP, "the level %s cannot migrate", k->level->name);
	if (k->level->fit) {
		in.fit = memory_fit;
		in.user = k;
	} else {
		in.mem = k->level->memory(k->self);
	}
	int r = wire_init(&k->from.wire, k->from.in, k->from.out, e);
	k->from.wire.leash = k->leash;
	if (r == 0)
		r = receive_all(k, &in, e);
	k->from.paused = in.paused;
	incoming_fini(&in);
	return r;
}

int keeper_take_over(struct keeper *k, struct lodge_err *e)
{
	struct wire *w = &k->from.wire;
	struct wire_frame ready = { .type = FRAME_READY }, started = { .type = FRAME_STARTED };
	struct json_object *none = json_object_new_object();
	int r = wire_send(w, &ready, e);
	if (r == 0)
		r = wire_expect(w, FRAME_COMMIT, e);
	/* From here on this folder may be the only place where the guest runs; a keeper that is
	 * killed leaves a guest that has failed. It is made durable when it runs: until then what
	 * its source has is whole, and nobody removes it. */
	if (r == 0)
		r = receiving_forget(k->inst, e);
	if (r == 0)
		r = instance_record_turn(k->inst, e);
	if (r == 0)
		r = keeper_verb(k, "start", none, e);
	if (r == 0 && k->from.paused)
		r = keeper_verb(k, "pause", none, e);
	json_object_put(none);
	if (r < 0 && receiving_note(k->inst, NULL) < 0) /* its source has it */
		log_at(&k->log, LOG_WARN, "what is here of a guest that did not come stays");
	/* It runs, whether that is heard or not. */
	if (r == 0 && wire_send(w, &started, NULL) < 0)
		log_at(&k->log, LOG_WARN, "the guest runs here, but its source has not heard so");
	struct lodge_err why;
	if (r == 0 && fsync(k->inst->dirfd) < 0)
		log_at(&k->log, LOG_ERROR, "writing the folder: %s", strerror(errno));
	if (r == 0 && instance_record_set(k->inst, &k->record, &why) < 0)
		log_at(&k->log, LOG_ERROR, "%s", why.msg);
	k->from.on = false;
	return r;
}

void keeper_receive_end(struct keeper *k, const struct lodge_err *why)
{
	if (k->from.wire.buf && why)
		wire_fail(&k->from.wire, why);
	wire_fini(&k->from.wire);
	if (k->from.in >= 0 && k->from.in != k->from.out)
		close(k->from.in);
	if (k->from.out >= 0)
		close(k->from.out);
	k->from.in = k->from.out = -1;
}
