/* SPDX-License-Identifier: Apache-2.0 */
/* The level: this process becomes the program. */
#include "level/process/internal.h"
#include <fcntl.h>

enum { RAM_OF_MACHINES = 0x80000000u };

static unsigned proc_rights(void *proc, uint64_t va)
{
	struct proc *p = proc;
	unsigned rights = 0;
	pthread_rwlock_rdlock(&p->space.lock);
	const struct range *r = space_find(&p->space, va);
	if (r && r->lo <= va && !(r->flags & RANGE_FOREIGN))
		rights = (r->prot & PROT_READ ? RV_READ : 0u) |
			 (r->prot & PROT_WRITE ? RV_WRITE : 0u) |
			 (r->prot & PROT_EXEC ? RV_EXEC : 0u) | RIGHTS_MAPPED;
	pthread_rwlock_unlock(&p->space.lock);
	return rights;
}

static const struct rv_process ops = {
	.end = USER_END, .rights = proc_rights, .ecall = task_ecall,
	.exception = task_exception, .look = task_look,
};

static int engine_choose(const struct engine **ret, const char *accel, struct lodge_err *e)
{
	bool any = !accel || !strcmp(accel, "auto");
	const struct engine *g = any ? engine_default() : engine_find(accel);
	if (!g)
		return err_set(e, EINVAL, "there is no engine '%s'", accel);
	*ret = g;
	return g->probe ? g->probe(e) : 0;
}

static int proc_init(struct proc *p, const struct lodge_config *c, struct lodge_err *e)
{
	*p = (struct proc){.root = -1};
	vclock_init(&p->clock);
	p->env = (struct rv_env){.process = &ops, .clock = &p->clock, .user = p};
	if (c->root && (p->root = open(c->root, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
		return err_sys(e, "--root %s", c->root);
	int r = engine_choose(&p->engine, c->accel, e);
	if (r == 0)
		r = host_fault_begin(e);
	return r < 0 ? r : space_init(&p->space, e);
}

/* ---- what the program starts with ---- */

static size_t key_len(const char *pair)
{
	const char *eq = strchr(pair, '=');
	return eq ? (size_t)(eq - pair) : strlen(pair);
}

/* The caller's environment, and what the user adds to it or puts in its place. */
static int env_make(struct start *s, const struct lodge_config *c, struct lodge_err *e)
{
	size_t n = 0, max = c->nenv;
	for (char **v = environ; v && *v; v++)
		max++;
	const char **all = calloc(max + 1, sizeof *all);
	if (!all)
		return err_set(e, ENOMEM, "out of memory");
	for (char **v = environ; v && *v; v++)
		all[n++] = *v;
	for (size_t i = 0; i < c->nenv; i++) {
		size_t k = 0, len = key_len(c->env[i]);
		while (k < n && (key_len(all[k]) != len || strncmp(all[k], c->env[i], len) != 0))
			k++;
		all[k] = c->env[i];
		n += k == n;
	}
	s->env = all;
	s->nenv = n;
	return 0;
}

static int args_make(struct start *s, const struct lodge_config *c, struct lodge_err *e)
{
	const char **all = calloc(c->argc + 2, sizeof *all);
	if (!all)
		return err_set(e, ENOMEM, "out of memory");
	all[0] = c->guest;
	for (size_t i = 0; i < c->argc; i++)
		all[1 + i] = c->argv[i];
	s->argv = all;
	s->argc = c->argc + 1;
	return 0;
}

static void start_fini(struct start *s)
{
	program_close(s);
	free((void *)(uintptr_t)s->argv);
	free((void *)(uintptr_t)s->env);
}

static int prepare(struct proc *p, struct start *s, const struct lodge_config *c,
		   struct lodge_err *e)
{
	s->path = c->guest;
	s->main.fd = s->interp.fd = -1;
	int r = proc_init(p, c, e);
	if (r == 0 && c->cwd && chdir(c->cwd) < 0)
		r = err_sys(e, "--workdir %s", c->cwd);
	if (r == 0)
		r = program_open(p, s, c->guest, e);
	if (r == 0)
		r = args_make(s, c, e);
	if (r == 0)
		r = env_make(s, c, e);
	return r;
}

static int process_become(const struct lodge_config *c, struct lodge_err *e)
{
	static struct proc p; /* the one that this process is */
	struct start s = {.path = NULL};
	struct task *t = NULL;
	int r = prepare(&p, &s, c, e);
	if (r == 0)
		r = program_load(&p, &s, e);
	if (r == 0)
		r = task_new(&t, &p, e);
	start_fini(&s);
	if (r < 0)
		return r; /* it is the caller's to exit: what is mapped stays */
	rv_process_reset(t->h, s.entry, s.sp);
	p.engine->run(t->h);
	_exit(LODGE_EXIT_LODGE);
}

/* ---- the level ---- */

/* A kernel lies in RAM, where machines have it; a program does not, or has an interpreter. */
static int process_claims(const struct lodge_config *c)
{
	struct proc p = {.root = -1};
	struct start s = {.main.fd = -1, .interp.fd = -1};
	int sure = 0;
	if (!c->guest || c->kernel || c->firmware)
		return 0;
	autoclose int root = c->root ? open(c->root, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	p.root = root;
	int r = program_open(&p, &s, c->guest, NULL);
	if (s.main.fd >= 0 && s.main.p.nsegments)
		sure = s.main.p.relative || s.main.p.interp_len || s.main.p.lo < RAM_OF_MACHINES
			? 80 : 10;
	(void)r; /* without its interpreter it is one as well */
	program_close(&s);
	return sure;
}

static int process_create(void **ret, const struct level_env *env, const struct lodge_config *c,
			  struct lodge_err *e)
{
	(void)ret, (void)env, (void)c;
	return err_set(e, EOPNOTSUPP, "a program runs in the foreground only: lodge run %s",
	               c->guest);
}

extern const struct level level_process;
const struct level level_process = {
	.name = "process",
	.summary = "a program of riscv64 Linux, its system calls those of the host",
	.claims = process_claims, .become = process_become, .create = process_create,
};
