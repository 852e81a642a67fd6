/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's state on disk, in the folder "suspended" of its instance: the files "state" and "ram"
 * of lodge-state(5). The folder gets its name when all of it is durable, and loses it before the
 * guest runs again: so where it is, it is whole, and nothing has happened since. */
#include "life/internal.h"
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <sys/stat.h>

/* What life itself has to remember. */
struct life_saved {
	uint64_t ram_id;   /* ties the RAM file to the state file */
	uint64_t saved_ns; /* since 1970 */
};
static const struct state_field life_fields[] = {
	STATE(struct life_saved, ram_id, 1), STATE(struct life_saved, saved_ns, 1), STATE_END
};

bool suspended_exists(const struct instance *i)
{
	return faccessat(i->dirfd, SUSPENDED "/state", F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int saving_folder(int dirfd, const char *name, int *ret, struct lodge_err *e)
{
	int r = file_remove_tree(dirfd, name, e);
	if (r < 0)
		return r;
	if (mkdirat(dirfd, name, 0700) < 0)
		return err_sys(e, "making a folder for the state");
	*ret = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret < 0 ? err_sys(e, "opening the folder for the state") : 0;
}

int saving_gather(struct keeper *k, struct save_out **ret, uint64_t *ret_id, struct lodge_err *e)
{
	struct life_saved own = { .saved_ns = host_realtime_ns() };
	struct save_out *o = NULL;
	host_random(&own.ram_id, sizeof own.ram_id);
	int r = save_out_new(&o, k->level->name, e);
	if (r < 0)
		return r;
	save_out_fields(o, "life", life_fields, &own);
	r = k->level->save(k->self, o, e);
	if (r < 0) {
		save_out_free(o);
		return r;
	}
	*ret = o;
	*ret_id = own.ram_id;
	return 0;
}

int saving_write(struct save_out *o, uint64_t id, struct mem *m, int dir, struct lodge_err *e)
{
	uint64_t bytes;
	int r = save_out_file(o, dir, "state", e);
	if (r == 0)
		r = save_ram(m, dir, "ram", id, &bytes, e);
	return r == 0 && fsync(dir) < 0 ? err_sys(e, "writing the folder of the state") : r;
}

int keeper_save(struct keeper *k, struct lodge_err *e)
{
	int at = k->inst->dirfd;
	autoclose int dir = -1;
	struct save_out *o = NULL;
	uint64_t id = 0;
	/* State first: what cannot be saved is found before anything is written. */
	int r = saving_gather(k, &o, &id, e);
	/* It says that the guest's writes are done. */
	if (r == 0 && k->level->flush)
		r = k->level->flush(k->self, e);
	if (r == 0)
		r = saving_folder(k->inst->dirfd, SUSPENDED_NEW, &dir, e);
	if (r == 0)
		r = saving_write(o, id, k->level->memory(k->self), dir, e);
	save_out_free(o);
	if (r == 0 && renameat(at, SUSPENDED_NEW, at, SUSPENDED) < 0)
		r = err_sys(e, "giving the state of %s its name", k->inst->name);
	if (r < 0) {
		if (file_remove_tree(at, SUSPENDED_NEW, NULL) < 0)
			log_at(&k->log, LOG_WARN, "a half-written state cannot be removed");
		return err_in(e, r, "%s is not suspended", k->inst->name);
	}
	return fsync(at) < 0 ? err_sys(e, "writing the folder of %s", k->inst->name) : 0;
}

static int level_check(const struct keeper *k, const struct save_in *in, struct lodge_err *e)
{
	if (strcmp(in->level, k->level->name) == 0)
		return 0;
	return err_set(e, EINVAL, "the state is of the level %s, not %s", in->level,
		       k->level->name);
}

int keeper_fit_state(struct keeper *k, const struct save_in *in, struct lodge_err *e)
{
	int r = level_check(k, in, e);
	return r < 0 || !k->level->fit ? r : k->level->fit(k->self, in, e);
}

int keeper_load_state(struct keeper *k, const struct save_in *in, struct lodge_err *e)
{
	int r = level_check(k, in, e);
	return r < 0 ? r : k->level->load(k->self, in, e);
}

int keeper_load(struct keeper *k, struct lodge_err *e)
{
	struct life_saved own = { 0 };
	struct save_in in;
	if (!k->level->load)
		return err_set(e, EOPNOTSUPP, "the level %s cannot go on from a state",
			       k->level->name);
	autoclose int dir = openat(k->inst->dirfd, SUSPENDED, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_sys(e, "the saved state of %s", k->inst->name);
	int r = save_in_file(&in, dir, "state", e);
	if (r < 0)
		return err_in(e, r, "%s", k->inst->name);
	r = save_in_fields(&in, "life", life_fields, &own, e);
	if (r == 0)
		r = keeper_fit_state(k, &in, e);
	if (r == 0)
		r = load_ram(k->level->memory(k->self), dir, "ram", own.ram_id, e);
	if (r == 0)
		r = keeper_load_state(k, &in, e);
	save_in_fini(&in);
	return err_in(e, r, "%s cannot go on from its saved state", k->inst->name);
}

/* A state that was restored brings its configuration along: other disks. */
int suspended_config(const struct instance *i, struct lodge_err *e)
{
	autofree char *text = NULL;
	size_t len;
	if (faccessat(i->dirfd, SUSPENDED "/config.json", F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	int r = life_file_read(i->dirfd, SUSPENDED "/config.json", &text, &len, e);
	return r < 0 ? r : file_replace(i->dirfd, "config.json", text, len, e);
}

static int suspended_fill(int all, const char *from, int dir, struct json_object *doc,
			  struct lodge_err *e)
{
	static const char *const files[] = { "state", "ram" };
	size_t len;
	for (size_t i = 0; i < countof(files); i++) {
		char path[LIFE_NAME_MAX + 64];
		snprintf(path, sizeof path, "%s/%s", from, files[i]);
		if (linkat(all, path, dir, files[i], 0) < 0)
			return err_sys(e, "%s", path);
	}
	const char *text = json_object_to_json_string_length(doc, JSON_C_TO_STRING_PRETTY, &len);
	return file_replace(dir, "config.json", text, len, e);
}

int life_suspended_from(struct instance *i, const struct instance *of, const char *from,
			struct json_object *doc, struct lodge_err *e)
{
	autoclose int dir = -1;
	int r = saving_folder(i->dirfd, SUSPENDED_NEW, &dir, e);
	if (r == 0)
		r = suspended_fill(of->dirfd, from, dir, doc, e);
	if (r == 0 && fsync(dir) < 0)
		r = err_sys(e, "writing the folder of the state");
	if (r < 0)
		return r;
	/* One moment the old state, the next the new one. */
	bool other = suspended_exists(i);
	unsigned how = other ? RENAME_EXCHANGE : 0;
	if (renameat2(i->dirfd, SUSPENDED_NEW, i->dirfd, SUSPENDED, how) < 0 ||
	    fsync(i->dirfd) < 0)
		return err_sys(e, "giving the state of %s its name", i->name);
	return file_remove_tree(i->dirfd, SUSPENDED_NEW, e);
}

int life_suspended_drop(const struct instance *i, struct lodge_err *e)
{
	if (!suspended_exists(i))
		return 0;
	/* What an earlier keeper left half removed stands in the way. */
	int r = file_remove_tree(i->dirfd, SUSPENDED_OLD, e);
	if (r < 0)
		return r;
	if (renameat(i->dirfd, SUSPENDED, i->dirfd, SUSPENDED_OLD) < 0 || fsync(i->dirfd) < 0)
		return err_sys(e, "taking the saved state of %s away", i->name);
	/* The memory file lives on while it is mapped. */
	return file_remove_tree(i->dirfd, SUSPENDED_OLD, e);
}

/* ---- states that come from elsewhere, or go there ---- */

int life_state_open(int dir, struct mem **ret, char **ret_state, size_t *ret_len,
                    struct lodge_err *e)
{
	struct life_saved own = { 0 };
	struct save_in in;
	struct mem *m = NULL;
	uint64_t bytes = 0;
	int r = save_in_file(&in, dir, "state", e);
	if (r < 0)
		return r;
	r = save_in_fields(&in, "life", life_fields, &own, e);
	if (r == 0)
		r = save_ram_size(dir, "ram", &bytes, e);
	if (r == 0)
		r = mem_new(&m, gpa(0), bytes, e);
	if (r == 0)
		r = load_ram(m, dir, "ram", own.ram_id, e);
	if (r == 0) {
		*ret = m;
		*ret_state = (char *)(uintptr_t)take(in.buf);
		*ret_len = in.len;
	} else {
		mem_free(m);
	}
	save_in_fini(&in);
	return r;
}

int life_state_keep(struct instance *i, const uint8_t *state, size_t len, struct mem *m,
                    struct lodge_err *e)
{
	struct life_saved own = { 0 };
	struct save_in in;
	uint64_t bytes;
	autoclose int dir = -1;
	int r = save_in_parse(&in, state, len, e);
	if (r == 0)
		r = save_in_fields(&in, "life", life_fields, &own, e);
	if (r == 0)
		r = saving_folder(i->dirfd, SUSPENDED, &dir, e);
	if (r == 0)
		r = file_replace(dir, "state", state, len, e);
	if (r == 0)
		r = save_ram(m, dir, "ram", own.ram_id, &bytes, e);
	return r == 0 && fsync(dir) < 0 ? err_sys(e, "writing the folder of the state") : r;
}

/* ---- the guest's clock stood still, and it may be another guest now ---- */

enum { INFORM_TRIES = 8, INFORM_PAUSE_US = 100000 };

struct informer {
	struct instance *inst; /* owned */
	struct agent_news news;
};

static void *inform_main(void *arg)
{
	struct informer *f = arg;
	struct lodge_err e;
	int r = -1;
	/* The guest's kernel may reset the first connection: it has just been told that all are
	 * gone. No agent: nothing else can step the clock, but the guest itself by the network. */
	for (int n = 0; n < INFORM_TRIES && r < 0 && r != -EOPNOTSUPP; n++) {
		if (n)
			usleep(INFORM_PAUSE_US);
		r = agent_inform(f->inst, &f->news, &e);
	}
	instance_free(f->inst);
	free(f);
	return NULL;
}

void keeper_inform(const struct keeper *k)
{
	struct informer *f = k->bridge ? calloc(1, sizeof *f) : NULL;
	pthread_t t;
	pthread_attr_t detached;
	if (!f || instance_open(&f->inst, k->inst->name, NULL) < 0) {
		free(f);
		return;
	}
	f->news.renamed = k->level->renamed && k->level->renamed(k->self, f->news.was, f->news.now);
	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&t, &detached, inform_main, f) != 0) {
		instance_free(f->inst);
		free(f);
	}
	pthread_attr_destroy(&detached);
}
