/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots of a guest that runs. It stands still for as long as it takes to gather its state, to
 * begin new overlays over its disks, and to fork; the child, which has the memory as it was, writes
 * the files while the guest goes on. Folder "snapshots/NAME" of the instance: "state" and "ram"
 * (lodge-state(5)), and "config.json" as it was, whose disks are files that nobody writes any more.
 *
 * The configuration with the new overlays is durable before they are made: the guest never writes
 * to what a start after a crash would not find. */
#include "life/internal.h"
#include <fcntl.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/stat.h>

enum { DISKS_MAX = 64 };
static const char json_style = JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE;

/* One snapshot on its way. */
struct shot {
	const char *name;
	struct json_object *doc, *next; /* owned: the configuration as it is; as it goes on */
	char *over[DISKS_MAX];          /* owned; NULL: the disk is not written */
	size_t ndisks;
	int all, dir;                   /* owned: "snapshots", the new folder in it */
	bool noted, frozen;             /* config.json is next; the guest is in the overlays */
	struct save_out *state;         /* owned */
	uint64_t id;
};

static void shot_fini(struct shot *s)
{
	json_object_put(s->doc);
	json_object_put(s->next);
	for (size_t i = 0; i < s->ndisks; i++)
		free(s->over[i]);
	if (s->all >= 0)
		close(s->all);
	if (s->dir >= 0)
		close(s->dir);
	save_out_free(s->state);
}

int config_read(const struct instance *i, struct json_object **ret, struct lodge_err *e)
{
	autofree char *text = NULL;
	size_t len;
	int r = life_file_read(i->dirfd, "config.json", &text, &len, e);
	return r < 0 ? r : json_parse(ret, text, len, e);
}

/* ---- disks ---- */

/* May a snapshot rest on what @d writes? */
static int disk_check(const struct life_disk *d, const char *dir, struct lodge_err *e)
{
	const char *file = d->overlay ? d->overlay : d->path;
	size_t n = strlen(dir);
	if (file && !strncmp(file, dir, n) && file[n] == '/')
		return 0;
	return err_set(e, EOPNOTSUPP,
	               "the disk %s is written in place, outside the guest's folder: a snapshot "
	               "would change under it. Give it an overlay, or let lodge make the disk",
	               file ? file : "of no file");
}

/* Disk @i as it goes on: a new overlay over its top. */
static int disk_plan(struct shot *s, const struct instance *inst, size_t i, const char *spec,
		     char **ret_spec, struct lodge_err *e)
{
	struct life_disk d;
	int r = life_disk_parse(&d, spec, e);
	if (r < 0)
		return r;
	if (!d.readonly) {
		r = disk_check(&d, inst->dir, e);
		if (r == 0)
			r = life_disk_branch(&d, i, inst->dir, ret_spec, &s->over[i], e);
	} else if (!(*ret_spec = strdup(spec))) {
		r = err_set(e, ENOMEM, "out of memory");
	}
	life_disk_fini(&d);
	return r;
}

/* s->next from s->doc, and the overlays to be made. */
static int disks_plan(struct shot *s, const struct instance *inst, struct lodge_err *e)
{
	struct json_object *old = NULL, *list = json_object_new_array();
	if (json_object_deep_copy(s->doc, &s->next, NULL) < 0) {
		json_object_put(list);
		return err_set(e, ENOMEM, "out of memory");
	}
	json_object_object_get_ex(s->doc, "disks", &old);
	size_t n = old ? json_object_array_length(old) : 0;
	int r = n > DISKS_MAX ? err_set(e, E2BIG, "more than %d disks", DISKS_MAX) : 0;
	for (size_t i = 0; r == 0 && i < n; i++) {
		autofree char *spec = NULL;
		const char *text = json_object_get_string(json_object_array_get_idx(old, i));
		s->ndisks = i + 1;
		r = disk_plan(s, inst, i, text ? text : "", &spec, e);
		if (r == 0)
			json_object_array_add(list, json_object_new_string(spec));
	}
	json_object_object_add(s->next, "disks", list);
	json_put_text(s->next, "snapshot", s->name);
	life_disk_files_note(s->next, s->doc);
	return r;
}

static int config_write(const struct instance *i, struct json_object *doc, struct lodge_err *e)
{
	size_t len;
	const char *text = json_object_to_json_string_length(doc, json_style, &len);
	return file_replace(i->dirfd, "config.json", text, len, e);
}

/* The guest goes on in the overlays that were made, also when one could not be. An overlay that is
 * noted and not there is made at the next start, over the same file. */
static int disks_freeze(struct keeper *k, struct shot *s, struct lodge_err *e)
{
	struct json_object *was = NULL, *is = NULL;
	int r = !k->level->freeze ? 0 : k->level->freeze(k->self, (const char *const *)s->over,
							 s->ndisks, e);
	s->frozen = true;
	if (r == 0)
		return 0;
	json_object_object_get_ex(s->doc, "disks", &was);
	json_object_object_get_ex(s->next, "disks", &is);
	for (size_t i = 0; i < s->ndisks; i++)
		if (!s->over[i] || access(s->over[i], F_OK) < 0)
			json_object_array_put_idx(is, i, json_object_get(
						  json_object_array_get_idx(was, i)));
	return r;
}

/* No snapshot came of it: config.json says what the guest's disks are now, and nothing else. */
static void config_restore(struct keeper *k, struct shot *s)
{
	struct lodge_err why;
	struct json_object *is = s->frozen ? s->next : s->doc;
	if (!s->noted)
		return;
	json_object_object_del(s->next, "snapshot");
	if (config_write(k->inst, is, &why) < 0)
		log_at(&k->log, LOG_WARN, "overlays that are not there are noted: %s", why.msg);
}

/* ---- the child ---- */

static int shot_write(struct shot *s, struct mem *m, struct lodge_err *e)
{
	size_t len;
	json_put_i64(s->doc, "snapshot_ns", (int64_t)host_realtime_ns());
	const char *text = json_object_to_json_string_length(s->doc, json_style, &len);
	int r = file_replace(s->dir, "config.json", text, len, e);
	if (r == 0)
		r = saving_write(s->state, s->id, m, s->dir, e);
	if (r == 0 && renameat2(s->all, ".new", s->all, s->name, RENAME_NOREPLACE) < 0)
		r = err_sys(e, "giving the snapshot its name");
	return r == 0 && fsync(s->all) < 0 ? err_sys(e, "writing the folder of snapshots") : r;
}

static void shot_child(struct shot *s, struct mem *m, pid_t parent, int fd)
{
	struct lodge_err e = { 0 };
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* the state of a guest that is gone is nobody's */
	if (getppid() != parent)
		_exit(1);
	if (shot_write(s, m, &e) == 0)
		e.code = 0;
	_exit(write(fd, &e, sizeof e) != (ssize_t)sizeof e);
}

/* The child has said its last word, or died without. */
static void saver_done(void *arg, uint32_t events)
{
	struct keeper *k = arg;
	struct saver *v = &k->saver;
	struct lodge_err e = { .code = EIO, .msg = "the process that wrote it died" };
	(void)events;
	if (read(v->fd, &e, sizeof e) != (ssize_t)sizeof e)
		e.code = EIO;
	e.msg[sizeof e.msg - 1] = 0;
	loop_watch_free(take(v->watch));
	close(take_fd(&v->fd));
	host_reap(v->pid);
	v->pid = 0;
	v->result = -e.code;
	snprintf(v->why, sizeof v->why, "%.255s", e.code ? e.msg : "");
	struct json_object *o = json_object_new_object();
	json_put_text(o, "snapshot", v->name);
	json_put_text(o, "failed", e.code ? e.msg : NULL);
	keeper_event(k, "snapshot", o);
	if (e.code && file_remove_tree(k->inst->dirfd, "snapshots/.new", NULL) < 0)
		log_at(&k->log, LOG_WARN, "a half-written snapshot cannot be removed");
}

static int saver_start(struct keeper *k, struct shot *s, struct lodge_err *e)
{
	int pipes[2];
	struct mem *m = k->level->memory(k->self);
	int r = mem_freeze(m, e);
	if (r < 0)
		return r;
	if (pipe2(pipes, O_CLOEXEC) < 0)
		return err_sys(e, "a pipe for the snapshot's writer");
	autoclose int ours = pipes[0];
	autoclose int theirs = pipes[1];
	r = loop_watch_new(&k->saver.watch, k->loop, ours, EPOLLIN, NULL, saver_done, k, e);
	if (r < 0)
		return r;
	pid_t parent = getpid(), pid = fork();
	if (pid == 0)
		shot_child(s, m, parent, theirs);
	if (pid < 0) {
		r = err_sys(e, "a process to write the snapshot");
		loop_watch_free(take(k->saver.watch));
		return r;
	}
	k->saver.pid = pid;
	k->saver.fd = take_fd(&ours);
	k->saver.result = 1;
	snprintf(k->saver.name, sizeof k->saver.name, "%s", s->name);
	return 0;
}

/* ---- the keeper ---- */

static int shot_prepare(struct keeper *k, struct shot *s, struct lodge_err *e)
{
	int at = k->inst->dirfd;
	if (!s->name || !life_name_good(s->name))
		return err_set(e, EINVAL, "'%s' cannot be the name of a snapshot",
			       s->name ? s->name : "");
	if (mkdirat(at, "snapshots", 0700) < 0 && errno != EEXIST)
		return err_sys(e, "making the folder of snapshots");
	s->all = openat(at, "snapshots", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (s->all < 0)
		return err_sys(e, "the folder of snapshots");
	if (faccessat(s->all, s->name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return err_set(e, EEXIST, "%s has a snapshot %s already", k->inst->name, s->name);
	int r = config_read(k->inst, &s->doc, e);
	if (r == 0)
		r = disks_plan(s, k->inst, e);
	return r < 0 ? r : saving_folder(s->all, ".new", &s->dir, e);
}

int keeper_snapshot(struct keeper *k, struct json_object *args, struct lodge_err *e)
{
	struct shot s = { .all = -1, .dir = -1 };
	struct lodge_err why;
	bool was_running = k->record.state == LIFE_RUNNING;
	if (!k->level->save || !k->level->pause)
		return keeper_unsaved(k, "snapshot", e);
	if (k->saver.pid)
		return err_set(e, EBUSY, "the snapshot %s is being written", k->saver.name);
	if (k->migration.on)
		return err_set(e, EBUSY, "%s is being moved", k->inst->name);
	keeper_settle_stop(k);
	json_text(args, "name", &s.name);
	int r = shot_prepare(k, &s, e);
	/* What takes long and can be done while it runs. */
	if (r == 0) {
		s.noted = true;
		r = config_write(k->inst, s.next, e);
	}
	if (r == 0 && k->level->flush)
		r = k->level->flush(k->self, e);
	uint64_t begun = host_monotonic_ns();
	if (r == 0 && was_running)
		r = k->level->pause(k->self, e);
	if (r == 0) {
		r = saving_gather(k, &s.state, &s.id, e);
		if (r == 0)
			r = disks_freeze(k, &s, e);
		if (r == 0)
			r = saver_start(k, &s, e);
		if (was_running && k->level->resume(k->self, &why) < 0)
			log_at(&k->log, LOG_ERROR, "after a snapshot: %s", why.msg);
		k->saver.pause_ns = host_monotonic_ns() - begun;
	}
	keeper_settle(k);
	if (r < 0)
		config_restore(k, &s);
	if (r < 0 && s.dir >= 0 && file_remove_tree(s.all, ".new", NULL) < 0)
		log_at(&k->log, LOG_WARN, "the folder of a failed snapshot cannot be removed");
	shot_fini(&s);
	return err_in(e, r, "no snapshot of %s", k->inst->name);
}

void keeper_snapshot_describe(const struct keeper *k, struct json_object *out)
{
	const struct saver *v = &k->saver;
	if (!v->name[0])
		return;
	struct json_object *o = json_object_new_object();
	json_put_text(o, "name", v->name);
	json_put_text(o, "state", v->result > 0 ? "writing" : v->result == 0 ? "done" : "failed");
	json_put_i64(o, "code", v->result < 0 ? -v->result : 0);
	json_put_text(o, "why", v->why);
	json_put_i64(o, "pause_ns", (int64_t)v->pause_ns);
	json_object_object_add(out, "snapshot", o);
}

/* The guest is gone: what is not written yet will not be. */
void keeper_snapshot_abort(struct keeper *k)
{
	struct saver *v = &k->saver;
	if (!v->pid)
		return;
	kill(v->pid, SIGKILL);
	saver_done(k, 0);
}
