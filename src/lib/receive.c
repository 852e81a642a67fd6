/* SPDX-License-Identifier: Apache-2.0 */
/* A guest that comes in on a stream (migration, or a backup): its folder is made from what the
 * stream announces. Whoever sends may be anybody: nothing of this host is given to the guest
 * because the stream names it. */
#include "lib/lib.h"
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <sys/stat.h>

enum { FILES_MAX = 4, DISKS_MAX = 64 };
static const uint64_t FILE_BYTES_MAX = 4ull << 30, DISK_BYTES_MAX = 1ull << 50;

struct arriving {
	struct wire w;
	struct json_object *hello; /* owned */
	struct json_object *config; /* borrowed from hello */
	struct instance *inst;     /* owned */
	bool again;                /* over what an earlier stream has brought */
	int trust;
};

static struct json_object *member(struct json_object *o, const char *key, enum json_type type)
{
	struct json_object *v = NULL;
	return json_object_object_get_ex(o, key, &v) && json_object_is_type(v, type) ? v : NULL;
}

static size_t length(struct json_object *o) { return o ? json_object_array_length(o) : 0; }

static int hello_receive(struct arriving *a, struct lodge_err *e)
{
	struct wire_frame f;
	int r = wire_receive(&a->w, &f, e);
	if (r == 0 && f.type != FRAME_HELLO)
		r = err_set(e, EINVAL, "this is no stream of a guest");
	if (r == 0 && (f.index > STREAM_VERSION || !f.index))
		r = err_set(e, EINVAL, "the stream is of a newer Lodge (format %u, this one reads "
			    "up to %d)", f.index, STREAM_VERSION);
	if (r == 0)
		r = life_json_parse(&a->hello, (const char *)f.p, f.len, e);
	if (r < 0)
		return r;
	a->config = member(a->hello, "config", json_type_object);
	return a->config ? 0 : err_set(e, EINVAL, "the stream announces no guest");
}

/* ---- what a stranger's guest may not have ---- */

/* A guest without disks of its own lives in files of its host, with the rights of who starts it. */
static int level_check(const struct arriving *a, const struct level *l, struct lodge_err *e)
{
	return a->trust || !l || l->disk
	           ? 0
	           : err_set(e, EPERM, "the guest is of the level %s: it runs with your rights, on "
	                     "files of this host; --trust lets it", l->name);
}

static int trust_check(const struct arriving *a, struct lodge_err *e)
{
	struct json_object *level = member(a->hello, "level", json_type_string);
	int r = level ? level_check(a, level_named(json_object_get_string(level)), e) : 0;
	if (r < 0)
		return r;
	struct json_object *net = member(a->config, "net", json_type_string);
	struct json_object *options = member(a->config, "options", json_type_array);
	bool tap = net && !strncmp(json_object_get_string(net), "tap:", 4);
	for (size_t i = 0; i < length(options); i++) {
		const char *o = json_object_get_string(json_object_array_get_idx(options, i));
		/* hash=FILE, gdb=unix:PATH, gdb=PORT */
		if (o && !a->trust && (strchr(o, '/') || !strncmp(o, "gdb=", 4) ||
				       !strncmp(o, "hash=", 5)))
			return err_set(e, EPERM, "the guest's option %s is about its host; "
				       "--trust lets it have that here", o);
	}
	if (a->trust)
		return 0;
	if (length(member(a->config, "volumes", json_type_array)) ||
	    member(a->config, "root", json_type_string))
		return err_set(e, EPERM, "the guest shares folders of its host; --trust lets it "
			       "have those of the same names here");
	return tap ? err_set(e, EPERM, "the guest uses %s; --trust lets it have that network here",
			     json_object_get_string(net)) : 0;
}

/* ---- files ---- */

static int file_receive(struct arriving *a, unsigned index, const char *key, int64_t size,
			struct lodge_err *e)
{
	autoclose int fd = openat(a->inst->dirfd, key,
				  O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW |
				      (a->again ? O_TRUNC : O_EXCL), 0600);
	if (fd < 0)
		return err_sys(e, "making the file %s", key);
	struct wire_frame f;
	int r = 0;
	for (int64_t at = 0; r == 0 && at < size; at += f.len) {
		r = wire_receive(&a->w, &f, e);
		if (r == 0 && (f.type != FRAME_FILE || f.index != index || f.at != (uint64_t)at ||
			       !f.len || f.len > size - at))
			r = err_set(e, EINVAL, "the stream has something else where the guest's %s "
				    "should be", key);
		if (r == 0 && !host_pwrite(fd, f.p, f.len, f.at))
			r = err_sys(e, "writing the file %s", key);
	}
	return r == 0 && fsync(fd) < 0 ? err_sys(e, "writing the file %s", key) : r;
}

static int files_receive(struct arriving *a, struct lodge_err *e)
{
	static const char *const keys[FILES_MAX] = {"kernel", "initrd", "firmware", "guest"};
	struct json_object *files = member(a->hello, "files", json_type_array);
	bool seen[FILES_MAX] = {false};
	int r = length(files) > FILES_MAX ? err_set(e, EINVAL, "too many files") : 0;
	for (size_t i = 0; r == 0 && i < length(files); i++) {
		struct json_object *f = json_object_array_get_idx(files, i);
		struct json_object *key = member(f, "key", json_type_string);
		struct json_object *size = member(f, "size", json_type_int);
		size_t k = 0;
		while (key && k < FILES_MAX && strcmp(json_object_get_string(key), keys[k]) != 0)
			k++;
		int64_t n = json_object_get_int64(size);
		if (!key || !size || k == FILES_MAX || seen[k] || n < 0 ||
		    n > (int64_t)FILE_BYTES_MAX)
			return err_set(e, EINVAL, "the stream announces a file that makes no "
				       "sense");
		seen[k] = true;
		autofree char *path = NULL;
		if (asprintf(&path, "%s/%s", a->inst->dir, keys[k]) < 0)
			return err_set(e, ENOMEM, "out of memory");
		r = file_receive(a, (unsigned)i, keys[k], n, e);
		json_object_object_add(a->config, keys[k], json_object_new_string(path));
	}
	for (size_t k = 0; k < FILES_MAX; k++) {
		struct json_object *o = member(a->config, keys[k], json_type_string);
		if (r == 0 && o && !seen[k] && strchr(json_object_get_string(o), '/'))
			r = err_set(e, EINVAL, "the stream does not bring the guest's %s", keys[k]);
	}
	return r;
}

/* ---- disks: raw files of the folder, of the sizes announced ---- */

static int disk_make(struct arriving *a, size_t i, const char *spec, struct json_object *list,
		     struct lodge_err *e)
{
	struct json_object *d = json_object_array_get_idx(
	    member(a->hello, "disks", json_type_array), i);
	struct json_object *size = member(d, "size", json_type_int);
	int64_t n = json_object_get_int64(size);
	struct life_disk was = {0};
	char name[32];
	autofree char *made = NULL;
	if (!size || n <= 0 || n % 512 || n > (int64_t)DISK_BYTES_MAX)
		return err_set(e, EINVAL, "the stream announces a disk of an impossible size");
	int r = life_disk_parse(&was, spec, e);
	snprintf(name, sizeof name, "disk%zu.raw", i);
	autoclose int fd =
	    r < 0 ? -1 : openat(a->inst->dirfd, name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW |
				(a->again ? 0 : O_EXCL), 0600);
	if (r == 0 && (fd < 0 || ftruncate(fd, n) < 0))
		r = err_sys(e, "making a disk of %lld bytes", (long long)n);
	if (r == 0 && asprintf(&made, "%s/%s,format=raw%s%s%s", a->inst->dir, name,
			       was.bus ? ",bus=" : "", was.bus ? was.bus : "",
			       was.readonly ? ",ro" : "") < 0) {
		made = NULL;
		r = err_set(e, ENOMEM, "out of memory");
	}
	if (r == 0)
		json_object_array_add(list, json_object_new_string(made));
	life_disk_fini(&was);
	return r;
}

static int disks_make(struct arriving *a, struct lodge_err *e)
{
	struct json_object *disks = member(a->hello, "disks", json_type_array);
	struct json_object *specs = member(a->config, "disks", json_type_array);
	struct json_object *list = json_object_new_array();
	int r = 0;
	if (length(disks) != length(specs) || length(disks) > DISKS_MAX)
		r = err_set(e, EINVAL, "the stream announces other disks than the guest has");
	for (size_t i = 0; r == 0 && i < length(specs); i++) {
		const char *spec = json_object_get_string(json_object_array_get_idx(specs, i));
		r = disk_make(a, i, spec ? spec : "", list, e);
	}
	json_object_object_add(a->config, "disks", list);
	return r;
}

/* ---- the folder ---- */

static uint64_t time_of(const struct arriving *a, const char *key)
{
	struct json_object *o = member(a->hello, key, json_type_int);
	int64_t v = json_object_get_int64(o);
	return v > 0 ? (uint64_t)v : 0;
}

/* All of the folder that the stream says first; nobody sees it yet. */
static int folder_fill(struct arriving *a, const char *name, struct lodge_err *e)
{
	static const char *const own[] = {"snapshot", "snapshot_ns", "disk_files"};
	struct json_object *said = member(a->hello, "name", json_type_string);
	name = name ? name : said ? json_object_get_string(said) : "";
	int r = a->inst ? 0 : instance_new(&a->inst, name, e);
	for (size_t i = 0; i < countof(own); i++)
		json_object_object_del(a->config, own[i]);
	if (r < 0)
		return r;
	json_object_object_add(a->config, "name", json_object_new_string(a->inst->name));
	r = files_receive(a, e);
	return r < 0 ? r : disks_make(a, e);
}

static int folder_publish(struct arriving *a, enum life state, struct lodge_err *e)
{
	struct json_object *level = member(a->hello, "level", json_type_string);
	struct life_record rec = {.state = state, .created_ns = time_of(a, "created_ns"),
				  .started_ns = time_of(a, "started_ns")};
	snprintf(rec.level, sizeof rec.level, "%s", level ? json_object_get_string(level) : "");
	return instance_publish(a->inst, a->config, &rec, e);
}

/* ---- a backup ---- */

static const char *hello_text(const struct arriving *a, const char *key)
{
	struct json_object *o = member(a->hello, key, json_type_string);
	return o ? json_object_get_string(o) : "";
}

/* Does @a continue what the stream before it, which ended with @id, has brought? */
static int base_check(const struct arriving *a, const char *id, const struct mem *m,
		      struct lodge_err *e)
{
	struct json_object *memory = member(a->hello, "memory", json_type_int);
	uint64_t bytes = (uint64_t)json_object_get_int64(memory);
	if (!hello_text(a, "backup")[0])
		return err_set(e, EINVAL, "this is no backup");
	if (a->again ? strcmp(hello_text(a, "base"), id) != 0 : hello_text(a, "base")[0] != 0)
		return err_set(e, EINVAL, a->again ? "this is no incremental backup over the one "
						     "before it"
						   : "this is an incremental backup: the one that "
						     "it is over comes first");
	if (a->again && bytes != (m ? mem_size(m) : 0))
		return err_set(e, EINVAL, "the guest had another memory than in the backup before");
	return 0;
}

static int backup_receive(struct arriving *a, struct mem **m, struct incoming *in, bool last,
			  struct lodge_err *e)
{
	struct json_object *memory = member(a->hello, "memory", json_type_int);
	struct json_object *disks = member(a->hello, "disks", json_type_array);
	int64_t bytes = json_object_get_int64(memory);
	int r = bytes && !*m ? mem_new(m, gpa(0), (uint64_t)bytes, e) : 0;
	*in = (struct incoming){.w = &a->w, .mem = *m};
	for (size_t i = 0; r == 0 && i < length(disks); i++) {
		struct incoming_disk *d = &in->disk[i];
		char name[32];
		snprintf(name, sizeof name, "disk%zu.raw", i);
		d->size = (uint64_t)json_object_get_int64(
		    member(json_object_array_get_idx(disks, i), "size", json_type_int));
		d->fd = openat(a->inst->dirfd, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
		in->ndisks++;
		if (d->fd < 0)
			r = err_sys(e, "%s", name);
	}
	if (r == 0)
		r = incoming_run(in, e);
	if (r == 0 && last && *m)
		r = life_state_keep(a->inst, in->state, in->state_len, *m, e);
	incoming_fini(in);
	return r;
}

static int backup_one(struct arriving *a, char id[40], struct mem **m, const char *name, bool last,
		      struct lodge_err *e)
{
	struct incoming *in = calloc(1, sizeof *in);
	int r = in ? hello_receive(a, e) : err_set(e, ENOMEM, "out of memory");
	if (r == 0)
		r = base_check(a, id, *m, e);
	if (r == 0)
		r = trust_check(a, e);
	if (r == 0)
		r = folder_fill(a, name, e);
	if (r == 0)
		r = backup_receive(a, m, in, last, e);
	if (r == 0)
		snprintf(id, 40, "%.39s", hello_text(a, "backup"));
	free(in);
	return r;
}

/* Whatever level it was announced to be of: that one counts which would run it. */
static int backup_publish(struct arriving *a, enum life state, struct lodge_err *e)
{
	struct lodge_err why = {.code = 0};
	int r = folder_publish(a, state, e);
	if (r < 0)
		return r;
	r = level_check(a, level_of(a->inst, &why), e);
	if (r < 0 && instance_remove(a->inst, &why) < 0)
		r = err_set(e, EPERM, "%s is here, and not trusted: lodge rm it", a->inst->name);
	return r;
}

int lodge_backup_restore(struct lodge_guest **ret, const int *in, size_t n, const char *name,
			 int trust, struct lodge_err *e)
{
	struct arriving a = {.trust = trust};
	struct mem *m = NULL;
	char id[40] = "";
	int r = n ? 0 : err_set(e, EINVAL, "no backup");
	for (size_t i = 0; r == 0 && i < n; i++) {
		a.again = i > 0;
		r = wire_init(&a.w, in[i], -1, e);
		if (r == 0)
			r = backup_one(&a, id, &m, name, i + 1 == n, e);
		if (r == 0 && i + 1 == n)
			r = backup_publish(&a, m ? LIFE_SUSPENDED : LIFE_STOPPED, e);
		wire_fini(&a.w);
		json_object_put(take(a.hello));
		if (r < 0 && n > 1)
			r = err_in(e, r, "backup %zu", i + 1);
	}
	mem_free(m);
	if (r < 0) {
		instance_free(a.inst);
		return r;
	}
	close(take_fd(&a.inst->lock));
	return guest_new(ret, a.inst, e);
}

/* ---- a migration ---- */

static int keeper_begin(struct arriving *a, int *ret_leash, struct lodge_err *e)
{
	struct lodge_err why = {.code = 0};
	const struct level *l = level_of(a->inst, &why);
	if (!l)
		return err_set(e, why.code, "%s", why.msg);
	int r = level_check(a, l, e);
	if (r < 0)
		return r;
	/* not 0, 1, 2: those are a keeper's own */
	autoclose int in = fcntl(a->w.in, F_DUPFD_CLOEXEC, 3);
	autoclose int out = fcntl(a->w.out, F_DUPFD_CLOEXEC, 3);
	struct keeper_from from = {in, out};
	if (in < 0 || out < 0)
		return err_sys(e, "the stream");
	return keeper_spawn(a->inst, l, &from, ret_leash, e);
}

/* A keeper that has given up holds the folder for a moment more. */
static void leaving_await(const struct instance *i)
{
	enum { MS = 3000 };
	for (int n = 0; n < MS && i->lock < 0 && instance_locked(i); n++)
		usleep(1000);
}

int lodge_receive(struct lodge_guest **ret, int in, int out, const char *name, int trust,
		  struct lodge_err *e)
{
	struct arriving a = {.trust = trust};
	struct lodge_err local, *why = e ? e : &local;
	int leash = -1;
	bool spawned = false;
	int r = wire_init(&a.w, in, out, why);
	if (r == 0)
		r = hello_receive(&a, why);
	if (r == 0)
		r = trust_check(&a, why);
	if (r == 0)
		r = folder_fill(&a, name, why);
	if (r == 0)
		r = receiving_note(a.inst, why);
	if (r == 0)
		r = folder_publish(&a, LIFE_CREATED, why);
	if (r == 0) {
		spawned = true;
		r = keeper_begin(&a, &leash, why);
	}
	if (leash >= 0)
		close(leash);
	/* A keeper has told the source itself. */
	if (r < 0 && a.w.buf && !(spawned && why->code != ENOEXEC))
		wire_fail(&a.w, why);
	if (r < 0 && a.inst && !a.inst->temporary[0]) {
		leaving_await(a.inst);
		receiving_drop(a.inst);
	}
	wire_fini(&a.w);
	json_object_put(a.hello);
	if (r < 0) {
		instance_free(a.inst);
		return r;
	}
	return guest_new(ret, a.inst, why);
}
