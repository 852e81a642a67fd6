/* SPDX-License-Identifier: Apache-2.0 */
/* A backup: one stream (lodge-stream(5)) that holds a guest as it was at one moment: configuration,
 * what it boots from, disks, and memory and state if it had any. A running guest is taken from a
 * snapshot made for this; it goes on. An incremental one holds only what differs from an earlier
 * one, which says what it had by the SHA-256 of each piece. */
#include "lib/lib.h"
#include "blk/blk.h"
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>

enum { PIECE = 64 << 10, SUM = 32, OBJECTS = STREAM_DISKS_MAX + 1, RAM_OBJECT = STREAM_DISKS_MAX };

/* What a backup has of each piece of its disks and of memory; zeroes: zeroes. */
struct sums {
	uint64_t n[OBJECTS];
	uint8_t *p[OBJECTS]; /* owned */
};

struct backup {
	struct outgoing o;
	struct blk *disk[STREAM_DISKS_MAX]; /* owned */
	struct mem *mem;                    /* owned; NULL: it had no memory */
	struct sums now, base;
	char base_id[40];                   /* "": a full one */
	lodge_progress_fn *fn;
	void *user;
	uint64_t done, total;
};

static void sums_fini(struct sums *s)
{
	for (size_t i = 0; i < OBJECTS; i++)
		free(s->p[i]);
}

static bool sums_grow(struct sums *s, size_t object, uint64_t n)
{
	if (n <= s->n[object])
		return true;
	uint8_t *bigger = n < SIZE_MAX / SUM ? realloc(s->p[object], n * SUM) : NULL;
	if (!bigger)
		return false;
	memset(bigger + s->n[object] * SUM, 0, (n - s->n[object]) * SUM);
	s->p[object] = bigger;
	s->n[object] = n;
	return true;
}

/* ---- the earlier one ---- */

static int index_take(struct sums *s, const struct wire_frame *f, struct lodge_err *e)
{
	uint64_t n = f->len / SUM;
	if (f->index >= OBJECTS || f->len % SUM || f->at > UINT32_MAX ||
	    !sums_grow(s, f->index, f->at + n))
		return err_set(e, EINVAL, "the earlier backup's index makes no sense");
	memcpy(s->p[f->index] + f->at * SUM, f->p, f->len);
	return 0;
}

static int base_hello(struct backup *b, const struct wire_frame *f, struct lodge_err *e)
{
	struct json_object *h = NULL, *id = NULL;
	int r = f->type == FRAME_HELLO ? life_json_parse(&h, (const char *)f->p, f->len, e)
				       : err_set(e, EINVAL, "this is no backup");
	if (r == 0 && !json_object_object_get_ex(h, "backup", &id))
		r = err_set(e, EINVAL, "this is no backup");
	if (r == 0)
		snprintf(b->base_id, sizeof b->base_id, "%.39s", json_object_get_string(id));
	json_object_put(h);
	return r;
}

/* All of it is read: an incremental backup is worth nothing over one that is damaged. */
static int base_read(struct backup *b, int fd, struct lodge_err *e)
{
	struct wire w;
	struct wire_frame f;
	int r = wire_init(&w, fd, -1, e);
	if (r == 0)
		r = wire_receive(&w, &f, e);
	if (r == 0)
		r = base_hello(b, &f, e);
	while (r == 0 && f.type != FRAME_END) {
		r = wire_receive(&w, &f, e);
		if (r == 0 && f.type == FRAME_INDEX)
			r = index_take(&b->base, &f, e);
	}
	wire_fini(&w);
	return err_in(e, r, "the earlier backup");
}

/* ---- pieces ---- */

static int piece_send(struct backup *b, size_t object, uint64_t at, const uint8_t *p, size_t len,
		      struct lodge_err *e)
{
	static const uint8_t none[SUM];
	uint64_t n = at / PIECE;
	bool zero = is_zero(p, len), ram = object == RAM_OBJECT;
	uint8_t *sum = b->now.p[object] + n * SUM, bytes[8];
	const uint8_t *was = n < b->base.n[object] ? b->base.p[object] + n * SUM : none;
	if (!zero)
		sha256(p, len, sum);
	if (!memcmp(sum, was, SUM))
		return 0;
	struct wire_frame f = { .index = ram ? 0 : (uint32_t)object, .at = at,
		.type = ram ? (zero ? FRAME_RAM_ZERO : FRAME_RAM)
			    : (zero ? FRAME_DISK_ZERO : FRAME_DISK),
		.p = zero ? bytes : p, .len = zero ? 8 : (uint32_t)len };
	le64_put(bytes, len);
	return wire_send(b->o.w, &f, e);
}

static int progress(struct backup *b, uint64_t bytes, struct lodge_err *e)
{
	b->done += bytes;
	if (b->fn && b->fn(b->user, "backing up", b->done, b->total))
		return err_set(e, ECANCELED, "given up");
	return 0;
}

static int disk_send(struct backup *b, size_t i, struct lodge_err *e)
{
	uint64_t size = b->o.size[i], at = 0, from, len;
	uint64_t pieces = (size + PIECE - 1) / PIECE;
	if (!sums_grow(&b->now, i, pieces))
		return err_set(e, ENOMEM, "out of memory");
	/* where nothing can be, nothing has to be read, but for what the earlier one had there */
	int r = blk_track_begin(b->disk[i], e);
	bool *look = r == 0 ? calloc(pieces, sizeof *look) : NULL;
	while (look && blk_track_next(b->disk[i], at, FRAME_MAX, &from, &len)) {
		for (at = from; at < from + len; at += PIECE)
			look[at / PIECE] = true;
		at = from + len;
	}
	blk_track_end(b->disk[i]);
	if (r == 0 && !look)
		r = err_set(e, ENOMEM, "out of memory");
	for (uint64_t n = 0; r == 0 && n < pieces; n++) {
		at = n * PIECE;
		len = min_u64(PIECE, size - at);
		if (look[n])
			r = blk_sync(b->disk[i], BLK_READ, at, b->o.buf, len);
		else
			memset(b->o.buf, 0, len);
		r = r < 0 ? err_set(e, -r, "disk %zu cannot be read", i)
			  : piece_send(b, i, at, b->o.buf, len, e);
		if (r == 0)
			r = progress(b, len, e);
	}
	free(look);
	return r;
}

static int ram_send(struct backup *b, struct lodge_err *e)
{
	uint64_t size = mem_size(b->mem);
	if (!sums_grow(&b->now, RAM_OBJECT, (size + PIECE - 1) / PIECE))
		return err_set(e, ENOMEM, "out of memory");
	int r = 0;
	for (uint64_t at = 0; r == 0 && at < size; at += PIECE) {
		uint64_t len = min_u64(PIECE, size - at);
		r = piece_send(b, RAM_OBJECT, at, mem_host(b->mem) + at, len, e);
		if (r == 0)
			r = progress(b, len, e);
	}
	return r;
}

static int index_send(struct backup *b, struct lodge_err *e)
{
	int r = 0;
	for (uint32_t i = 0; r == 0 && i < OBJECTS; i++)
		for (uint64_t at = 0, n; r == 0 && at < b->now.n[i]; at += n) {
			n = min_u64(FRAME_MAX / SUM, b->now.n[i] - at);
			struct wire_frame f = { .type = FRAME_INDEX, .index = i, .at = at,
				.p = b->now.p[i] + at * SUM, .len = (uint32_t)(n * SUM) };
			r = wire_send(b->o.w, &f, e);
		}
	return r;
}

/* ---- what is backed up: a folder as suspend and snapshots have it, or disks alone ---- */

static int disks_open(struct backup *b, struct json_object *config, struct lodge_err *e)
{
	struct json_object *list = NULL;
	json_object_object_get_ex(config, "disks", &list);
	size_t n = list ? json_object_array_length(list) : 0;
	int r = n > STREAM_DISKS_MAX ? err_set(e, E2BIG, "too many disks") : 0;
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct life_disk d = { 0 };
		const char *spec = json_object_get_string(json_object_array_get_idx(list, i));
		r = life_disk_parse(&d, spec, e);
		bool over = d.overlay && access(d.overlay, F_OK) == 0;
		struct blk_options o = { .path = over ? d.overlay : d.path,
			.format = over ? "overlay" : d.format, .readonly = true };
		if (r == 0)
			r = blk_open(&b->disk[i], &o, NULL, e);
		life_disk_fini(&d);
		if (r == 0)
			b->o.size[b->o.ndisks++] = blk_size(b->disk[i]);
	}
	return r;
}

/* Memory and state in folder @from; its state file into *@ret. */
static int state_open(struct backup *b, struct instance *i, const char *from, char **ret,
		      size_t *ret_len, struct lodge_err *e)
{
	autoclose int dir = openat(i->dirfd, from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_sys(e, "the saved state of %s", i->name);
	int r = life_state_open(dir, &b->mem, ret, ret_len, e);
	b->o.mem = b->mem;
	return r;
}

static int all_send(struct backup *b, struct json_object *hello, const char *state, size_t len,
		    struct lodge_err *e)
{
	int r = stream_hello(&b->o, hello, e);
	b->total = b->mem ? mem_size(b->mem) : 0;
	for (size_t i = 0; i < b->o.ndisks; i++)
		b->total += b->o.size[i];
	if (r == 0)
		r = stream_send_files(&b->o, hello, e);
	for (size_t i = 0; r == 0 && i < b->o.ndisks; i++)
		r = disk_send(b, i, e);
	if (r == 0 && b->mem)
		r = ram_send(b, e);
	if (r == 0 && b->mem)
		r = outgoing_state(&b->o, (const uint8_t *)state, len, e);
	if (r == 0)
		r = index_send(b, e);
	return r < 0 ? r : outgoing_word(&b->o, FRAME_END, e);
}

/* Of folder @from of the guest (NULL: it has no state), whose configuration is @config. */
static int backup_make(struct backup *b, struct instance *i, const char *from,
		       struct json_object *config, int out, struct lodge_err *e)
{
	struct wire w;
	struct json_object *hello = NULL;
	struct life_record rec;
	autofree char *state = NULL;
	size_t len = 0;
	uint64_t id[2];
	char text[40];
	instance_record(i, &rec);
	int r = wire_init(&w, -1, out, e);
	if (r == 0)
		r = outgoing_init(&b->o, &w, e);
	if (r == 0)
		r = disks_open(b, config, e);
	if (r == 0 && from)
		r = state_open(b, i, from, &state, &len, e);
	if (r == 0)
		r = stream_describe(&b->o, config, rec.level, &hello, e);
	if (r == 0) {
		host_random(id, sizeof id);
		snprintf(text, sizeof text, "%016llx%016llx", (unsigned long long)id[0],
			 (unsigned long long)id[1]);
		json_object_object_add(hello, "backup", json_object_new_string(text));
		if (b->base_id[0])
			json_object_object_add(hello, "base", json_object_new_string(b->base_id));
		json_object_object_add(hello, "name", json_object_new_string(i->name));
		json_object_object_add(hello, "created_ns",
				       json_object_new_int64((int64_t)rec.created_ns));
		json_object_object_add(hello, "started_ns",
				       json_object_new_int64((int64_t)rec.started_ns));
		r = all_send(b, hello, state, len, e);
	}
	json_object_put(hello);
	for (size_t k = 0; k < STREAM_DISKS_MAX; k++)
		if (b->disk[k] && blk_close(b->disk[k]) < 0)
			errno = 0; /* it was read only */
	mem_free(b->mem);
	outgoing_fini(&b->o);
	wire_fini(&w);
	return r;
}

static int backup_of_snapshot(struct backup *b, struct lodge_guest *g, int out,
			      struct lodge_err *e)
{
	char name[64], made[64], from[LIFE_NAME_MAX + 16];
	struct json_object *config = NULL;
	struct lodge_err why;
	uint32_t n;
	host_random(&n, sizeof n);
	snprintf(name, sizeof name, "backup-%08x", n);
	int r = lodge_snapshot(g, name, made, e);
	if (r < 0)
		return r;
	r = shot_config(g->inst, name, &config, e);
	snprintf(from, sizeof from, "snapshots/%s", name);
	if (r == 0)
		r = backup_make(b, g->inst, from, config, out, e);
	json_object_put(config);
	int gone = lodge_snapshot_remove(g, name, &why);
	return r == 0 && gone < 0 ? err_set(e, why.code, "%s", why.msg) : r;
}

static int backup_of_still(struct backup *b, struct lodge_guest *g, bool suspended, int out,
			   struct lodge_err *e)
{
	struct life_config *lc = NULL;
	int r = guest_lock(g, e);
	if (r < 0)
		return r;
	r = instance_config(g->inst, &lc, e);
	if (r == 0)
		r = backup_make(b, g->inst, suspended ? "suspended" : NULL, lc->doc, out, e);
	life_config_free(lc);
	close(take_fd(&g->inst->lock));
	return r;
}

/* A level that has a state has backups. Where a guest is nothing but that, its memory has another
 * size each time, and nothing can be said over an earlier one. */
static int level_check(const struct lodge_guest *g, bool over, struct lodge_err *e)
{
	struct lodge_err why = { .code = 0 };
	const struct level *l = level_of(g->inst, &why);
	if (!l)
		return err_set(e, why.code, "%s", why.msg);
	if (!l->disk && l->unsaved)
		return err_set(e, EOPNOTSUPP, "cannot back up %s: %s", g->inst->name, l->unsaved);
	if (!l->save || !l->memory)
		return err_set(e, EOPNOTSUPP, "the level %s has no backups", l->name);
	return !l->disk && over
	           ? err_set(e, EOPNOTSUPP, "the level %s has full backups only: leave "
	                     "--incremental out", l->name)
	           : 0;
}

int lodge_backup(struct lodge_guest *g, int out, int base, lodge_progress_fn *fn, void *user,
		 struct lodge_err *e)
{
	int own = guest_own(g, "backup", e);
	if (own < 0)
		return own;
	struct backup *b = calloc(1, sizeof *b);
	const char *state = lodge_state(g);
	bool live = !strcmp(state, "running") || !strcmp(state, "paused");
	if (!b)
		return err_set(e, ENOMEM, "out of memory");
	b->fn = fn;
	b->user = user;
	int r = level_check(g, base >= 0, e);
	if (r == 0 && base >= 0)
		r = base_read(b, base, e);
	if (r == 0)
		r = live ? backup_of_snapshot(b, g, out, e)
			 : backup_of_still(b, g, !strcmp(state, "suspended"), out, e);
	sums_fini(&b->now);
	sums_fini(&b->base);
	free(b);
	return err_in(e, r, "no backup of %s", g->inst->name);
}
