/* SPDX-License-Identifier: Apache-2.0 */
/* lodge_copy: two processes, one that has the guest's files and one that has the host's, with a tar
 * between them. What a hostile guest does to the files meanwhile is done to the one, which knows
 * no paths of the host, or comes to the other as a tar, which may be anybody's anyway. */
#include "image/image.h"
#include "lib/lib.h"
#include <fcntl.h>
#include <json-c/json_object.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>

/* Set-id bits would be the caller's rights in the guest's hands. */
enum { MODES_IN = 07777, MODES_OUT = 01777 };

/* How one of them ended; shared with it. */
struct side {
	int result;
	struct lodge_err e;
	uint64_t devices, owners;
};

struct job {
	struct lodge_guest *g;
	const struct level *level;
	struct life_config *config;    /* owned */
	struct json_object *inspected; /* owned; NULL: it does not run */
	struct lodge_copy c;
	struct side *sides;            /* of the source, and of the destination */
};

static bool job_out(const struct job *j) { return j->c.flags & LODGE_COPY_OUT; }
static bool job_archive(const struct job *j) { return j->c.flags & LODGE_COPY_ARCHIVE; }

/* ---- in the processes ---- */

static int guest_root(const struct job *j, struct lodge_err *e)
{
	const struct instance *i = j->g->inst;
	const struct lodge_config *c = j->config ? &j->config->c : NULL;
	if (j->level->root)
		return j->level->root(i->dir, c, j->inspected, e);
	int fd = open(c->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_sys(e, "%s", c->root) : fd;
}

static int side_pack(const struct job *j, int root, int to, struct lodge_err *e)
{
	const struct files_pack p = {.root = root,
				     .path = job_out(j) ? j->c.guest_path : j->c.host_path,
				     .follow = j->c.flags & LODGE_COPY_FOLLOW,
				     .all = job_archive(j),
				     .to = to};
	return files_pack(&p, e);
}

static enum files_owner owner_wanted(const struct job *j)
{
	if (job_archive(j) || (!job_out(j) && !j->c.host_path))
		return FILES_STORED;
	/* who is not root is root in a container only, where its users are its own */
	return job_out(j) || (geteuid() != 0 && !j->level->root) ? FILES_OURS : FILES_ROOT;
}

static int side_unpack(const struct job *j, int root, int from, struct side *s, struct lodge_err *e)
{
	struct files_unpack u = {.root = root,
				 .path = job_out(j) ? j->c.host_path : j->c.guest_path,
				 .folder = !job_out(j) && !j->c.host_path,
				 .privileged = !job_out(j),
				 .owner = owner_wanted(j),
				 .modes = job_out(j) ? MODES_OUT : MODES_IN,
				 .from = from};
	int r = files_unpack(&u, e);
	s->devices = u.devices;
	s->owners = u.owners;
	return r;
}

static _Noreturn void side_main(const struct job *j, bool source, int fd, pid_t parent)
{
	struct side *s = &j->sides[!source];
	bool guest = source == job_out(j);
	host_signals_default();
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	host_fds_close(&fd, 1);
	umask(0);
	int root = guest ? guest_root(j, &s->e) : AT_FDCWD, r = root;
	if (!guest || root >= 0)
		r = source ? side_pack(j, root, fd, &s->e) : side_unpack(j, root, fd, s, &s->e);
	if (r < 0 && guest)
		(void)err_in(&s->e, r, "%s", j->g->inst->name);
	s->result = r < 0 ? r : 0;
	_exit(0);
}

/* ---- around them ---- */

static pid_t side_start(const struct job *j, bool source, int fd)
{
	struct side *s = &j->sides[!source];
	pid_t self = getpid();
	s->result = err_set(&s->e, EIO, "the process that copies was killed");
	pid_t pid = fork();
	if (pid == 0)
		side_main(j, source, fd, self);
	if (pid < 0)
		s->result = err_sys(&s->e, "a process that copies");
	return pid;
}

/* A source that fails leaves half a tar to the other; one that nobody reads has nothing to say. */
static int sides_result(struct job *j, struct lodge_err *e)
{
	const struct side *from = &j->sides[0], *to = &j->sides[1];
	const struct side *bad = from->result < 0 && from->result != -EPIPE ? from
				 : to->result < 0			    ? to : from;
	if (to->devices || to->owners)
		snprintf(j->c.warning, sizeof j->c.warning,
			 "%llu devices and the owners of %llu files were left out",
			 (unsigned long long)to->devices, (unsigned long long)to->owners);
	return bad->result < 0 ? err_set(e, -bad->result, "%s", bad->e.msg) : 0;
}

static int job_run(struct job *j, struct lodge_err *e)
{
	int ends[2] = {j->c.fd, j->c.fd};
	bool both = j->c.host_path;
	pid_t from = 0, to = 0;
	if (both && pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(e, "a pipe");
	if (both || job_out(j))
		from = side_start(j, true, ends[1]);
	if (both)
		close(ends[1]);
	if (both || !job_out(j))
		to = side_start(j, false, ends[0]);
	if (both)
		close(ends[0]);
	host_reap(from);
	host_reap(to);
	return sides_result(j, e);
}

static int job_look(struct job *j, struct lodge_err *e)
{
	struct instance *i = j->g->inst;
	struct lodge_err why = {.code = ENOEXEC};
	if (j->g->alien) /* of one that does not run, the engine has unmounted the root */
		return alien_inspected(j->g, &j->level, &j->inspected, e);
	j->level = level_of(i, &why);
	int r = j->level ? instance_config(i, &j->config, e)
			 : err_set(e, why.code, "%s", why.msg);
	if (r == 0 && !j->level->root && !j->config->c.root)
		r = err_set(e, EOPNOTSUPP, "the files of %s are out of reach: its root is no "
			    "folder of the host's", i->name);
	if (r < 0)
		return r;
	r = control_call(i, "GET", "/v1/guest", NULL, &j->inspected, e);
	return r == -ENOTCONN ? guest_lock(j->g, e) : r;
}

static int copy_import(struct lodge_copy *ret, const struct lodge_copy *c, struct lodge_err *e)
{
	if (c->size != sizeof *c)
		return err_set(e, EINVAL, "lodge_copy.size is %zu", c->size);
	*ret = *c;
	ret->warning[0] = 0;
	if (!ret->guest_path || (ret->host_path && !*ret->host_path))
		return err_set(e, EINVAL, "a path is missing");
	if (!*ret->guest_path)
		ret->guest_path = "/";
	return 0;
}

int lodge_copy(struct lodge_guest *g, struct lodge_copy *given, struct lodge_err *e)
{
	struct job j = {.g = g};
	int r = copy_import(&j.c, given, e);
	if (r < 0)
		return r;
	j.sides = mmap(NULL, 2 * sizeof *j.sides, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (j.sides == MAP_FAILED)
		return err_sys(e, "memory");
	bool locked = g->inst->lock >= 0;
	r = job_look(&j, e);
	if (r == 0)
		r = job_run(&j, e);
	if (!locked && g->inst->lock >= 0)
		close(take_fd(&g->inst->lock));
	munmap(j.sides, 2 * sizeof *j.sides);
	life_config_free(j.config);
	json_object_put(j.inspected);
	memcpy(given->warning, j.c.warning, sizeof given->warning);
	return r;
}
