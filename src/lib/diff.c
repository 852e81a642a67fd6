/* SPDX-License-Identifier: Apache-2.0 */
/* lodge_diff: a process of its own goes where the level has the guest's layers, and tells. */
#include "lib/lib.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>

struct told {
	int result;
	struct lodge_err e;
};

static _Noreturn void diff_child(struct lodge_guest *g, const struct level *l,
				 const struct lodge_config *c, int to, struct told *t)
{
	pid_t parent = getppid();
	host_signals_default();
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	host_fds_close(&to, 1);
	t->result = l->changes(g->inst->dir, c, to, &t->e);
	_exit(0);
}

static int lines_take(int from, int (*fn)(void *user, char kind, const char *path), void *user)
{
	char *line = NULL;
	size_t cap = 0;
	int r = 0;
	FILE *f = fdopen(from, "r");
	if (!f)
		return -errno;
	while (r == 0 && getdelim(&line, &cap, 0, f) > 1)
		r = fn(user, line[0], line + 1);
	free(line);
	fclose(f);
	return r;
}

static int diff_run(struct lodge_guest *g, const struct level *l, const struct lodge_config *c,
		    int (*fn)(void *user, char kind, const char *path), void *user,
		    struct lodge_err *e)
{
	int ends[2];
	struct told *t = mmap(NULL, sizeof *t, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			      -1, 0);
	if (t == MAP_FAILED)
		return err_sys(e, "memory");
	int r = pipe2(ends, O_CLOEXEC) < 0 ? err_sys(e, "a pipe") : 0;
	if (r == 0) {
		t->result = err_set(&t->e, EIO, "the process that compares was killed");
		pid_t pid = fork();
		if (pid == 0)
			diff_child(g, l, c, ends[1], t);
		close(ends[1]);
		r = lines_take(ends[0], fn, user);
		host_reap(pid);
		if (pid < 0)
			r = err_sys(e, "a process that compares");
		else if (r == 0 && t->result < 0)
			r = err_set(e, -t->result, "%s: %s", g->inst->name, t->e.msg);
	}
	munmap(t, sizeof *t);
	return r;
}

int lodge_diff(struct lodge_guest *g, int (*fn)(void *user, char kind, const char *path),
	       void *user, struct lodge_err *e)
{
	struct life_config *lc = NULL;
	struct lodge_err why = {.code = ENOEXEC};
	int r = guest_own(g, "diff", e);
	if (r < 0)
		return r;
	const struct level *l = level_of(g->inst, &why);
	if (!l)
		return err_set(e, why.code, "%s", why.msg);
	if (!l->changes)
		return err_set(e, EOPNOTSUPP, "%s is of the level %s: only containers of images "
			       "know what they have changed", g->inst->name, l->name);
	r = instance_config(g->inst, &lc, e);
	if (r == 0)
		r = diff_run(g, l, &lc->c, fn, user, e);
	life_config_free(lc);
	return r;
}
