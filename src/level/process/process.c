/* SPDX-License-Identifier: Apache-2.0 */
/* The level: this process becomes the program. */
#include "level/process/process.h"
#include "level/process/saved.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/stat.h>

enum { RAM_OF_MACHINES = 0x80000000u };

static unsigned proc_rights(void *proc, uint64_t va)
{
	struct proc *p = proc;
	unsigned rights = 0;
	pthread_rwlock_rdlock(&p->space.lock);
	const struct range *r = space_find(&p->space, va);
	if (r && r->lo <= va && !(r->flags & RANGE_FOREIGN)) {
		rights = (r->prot & PROT_READ ? RV_READ : 0u) |
			 (r->prot & PROT_WRITE ? RV_WRITE : 0u) |
			 (r->prot & PROT_EXEC ? RV_EXEC : 0u) | RIGHTS_MAPPED |
			 (r->flags & RANGE_FILE ? RV_OF_FILE : 0u);
	}
	pthread_rwlock_unlock(&p->space.lock);
	return rights;
}

static void proc_code(void *proc, uint64_t va, uint8_t *copy, size_t n)
{
	const struct proc *p = proc;
	if (unlikely(p->debug))
		debug_code(p->debug, va, copy, n);
}

static const struct rv_process ops = {
	.end = USER_END, .rights = proc_rights, .ecall = task_ecall,
	.exception = task_exception, .look = task_look,
};
/* The same with a debugger. */
static const struct rv_process ops_debugged = {
	.end = USER_END, .rights = proc_rights, .ecall = task_ecall,
	.exception = task_exception, .look = task_look, .code = proc_code,
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

/* For /proc/self/stat and task. */
static unsigned proc_threads(void *proc, uint64_t tid)
{
	struct proc *p = proc;
	unsigned n = 0;
	pthread_mutex_lock(&p->lock);
	for (const struct task *t = p->tasks; t; t = t->next)
		n += !tid || (uint64_t)t->tid == tid;
	pthread_mutex_unlock(&p->lock);
	return n;
}

/* For /proc/self/maps. */
static bool proc_area(void *proc, uint64_t at, struct linux_area *ret)
{
	struct proc *p = proc;
	pthread_rwlock_rdlock(&p->space.lock);
	const struct range *r = space_find(&p->space, at);
	bool in = r && r->lo <= at && !(r->flags & RANGE_FOREIGN);
	if (r)
		ret->end = in || r->lo <= at ? r->hi : r->lo;
	if (in) {
		uint64_t heap = align_up(p->space.brk, PAGE);
		ret->prot = r->prot;
		if (at >= p->stack_lo && at < p->stack_hi)
			ret->name = "[stack]";
		else if (at >= p->space.brk_start && at < heap)
			ret->name = "[heap]";
		else if (at == p->vdso)
			ret->name = "[vdso]";
	}
	pthread_rwlock_unlock(&p->space.lock);
	return in;
}

static int options_check(const struct lodge_config *c, struct lodge_err *e)
{
	const char *vlen = life_option(c, "vlen");
	if (!rv_vlen_named(vlen))
		return err_set(e, EINVAL, "option vlen=%s: 128, 256 or 512", vlen);
	return 0;
}

static int proc_init(struct proc *p, const struct lodge_config *c, struct lodge_err *e)
{
	memset(p, 0, sizeof *p);
	p->vfork_fd = p->trace_fd = p->life_fd = -1;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->left, NULL);
	vclock_init(&p->clock);
	host_random(p->chance, sizeof p->chance);
	p->env = (struct rv_env){.process = &ops, .clock = &p->clock, .user = p, .alone = true,
		.vlen = rv_vlen_named(life_option(c, "vlen"))};
	int r = root_open(p, c, e);
	linux_limits_take(&p->sys);
	p->sys.keep_signals = UINT64_C(1) << (SIGSEGV - 1) |
			      UINT64_C(1) << (SIGBUS - 1) |
			      UINT64_C(1) << (SIGNAL_KICK - 1);
	p->sys.area = proc_area;
	p->sys.threads = proc_threads;
	p->sys.watched = watch_note;
	p->sys.user = p;
	p->sys.isa = "rv64imafdcv_zicntr_zicsr_zifencei_zihpm_zba_zbb_zbc_zbs_zicboz_zicond_zawrs"
		       "_zacas_zfa_zfhmin_zve64d_zvfhmin";
	if (r == 0)
		r = options_check(c, e);
	if (r == 0)
		r = trace_open(p, c, e);
	if (r == 0)
		r = engine_choose(&p->engine, c->accel, e);
	if (r == 0 && p->engine->share)
		r = p->engine->share(&p->env, e);
	if (r == 0)
		r = signals_begin(p, e);
	r = r < 0 ? r : space_init(&p->space, e);
	host_random(&p->space.chance, sizeof p->space.chance);
	return r;
}

/* To where the program starts: as the user says, else / of its root, else where we are. */
static int dir_enter(struct task *t, const struct lodge_config *c, struct lodge_err *e)
{
	const char *to = c->cwd ? c->cwd : c->root ? "/" : NULL;
	if (!to)
		return 0;
	int fd = linux_open(&t->sys, AT_FDCWD, to, O_PATH | O_CLOEXEC, 0);
	if (fd < 0)
		return err_set(e, -fd, "--workdir %s: %s", to, strerror(-fd));
	int r = fchdir(fd) < 0 ? err_sys(e, "--workdir %s", to) : 0;
	close(fd);
	return r;
}

/* /proc/self/exe of the guest. */
int exe_find(struct task *t, const char *path, char **ret, struct lodge_err *e)
{
	char exe[PATH_MAX];
	int r = linux_path(&t->sys, exe, AT_FDCWD, path);
	if (r < 0)
		return err_set(e, -r, "%s: %s", path, strerror(-r));
	*ret = strdup(exe);
	return *ret ? 0 : err_set(e, ENOMEM, "out of memory");
}

void exe_set(struct proc *p, const char *path, char *exe)
{
	const char *slash = strrchr(path, '/');
	free(p->exe);
	p->sys.exe = p->exe = exe;
	(void)!prctl(PR_SET_NAME, slash ? slash + 1 : path);
}

/* ---- what the program starts with ---- */

/* Open the program @name, which in a root of its own may be one of the folders in PATH: execvp(3).
 * Its path is in *@ret, owned. */
static int guest_open(struct task *t, const struct lodge_config *c, char **ret, struct lodge_err *e)
{
	static const char usual[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	const char *path = getenv("PATH");
	for (size_t i = 0; i < c->nenv; i++)
		if (!strncmp(c->env[i], "PATH=", 5))
			path = c->env[i] + 5;
	*ret = strdup(c->guest);
	if (!*ret)
		return err_set(e, ENOMEM, "out of memory");
	if (!c->root || strchr(c->guest, '/'))
		return program_find(t, c->guest, e);
	for (const char *p = path && *path ? path : usual; *p;) {
		size_t n = strcspn(p, ":");
		char *one = NULL;
		if (asprintf(&one, "%.*s/%s", (int)n, p, c->guest) < 0)
			return err_set(e, ENOMEM, "out of memory");
		int fd = program_find(t, one, NULL);
		if (fd >= 0) {
			free(*ret);
			*ret = one;
			return fd;
		}
		free(one);
		p += n + (p[n] == ':');
	}
	return err_set(e, ENOENT, "%s: in no folder of PATH of the root %s", c->guest, c->root);
}

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

static int args_make(struct start *s, const struct lodge_config *c, const char *name,
		     struct lodge_err *e)
{
	const char **all = calloc(c->argc + 2, sizeof *all);
	if (!all)
		return err_set(e, ENOMEM, "out of memory");
	all[0] = name ? name : c->guest;
	for (size_t i = 0; i < c->argc; i++)
		all[1 + i] = c->argv[i];
	s->argv = all;
	s->argc = c->argc + 1;
	return 0;
}

static void start_fini(struct start *s)
{
	program_close(s);
	for (size_t i = 0; s->script && i < s->argc; i++)
		free((void *)(uintptr_t)s->argv[i]);
	free(s->script);
	free(s->found);
	free((void *)(uintptr_t)s->argv);
	free((void *)(uintptr_t)s->env);
}

static int prepare(struct task **ret, struct start *s, const struct lodge_config *c,
		   const struct process_given *g, struct lodge_err *e)
{
	static struct proc p; /* the one that this process is */
	s->path = c->guest;
	s->main.fd = s->interp.fd = -1;
	s->secure = getauxval(AT_SECURE) != 0;
	int fd = g->fd, r = proc_init(&p, c, e);
	p.by_kernel = g->by_kernel;
	if (r == 0)
		r = task_new(ret, &p, e);
	if (r == 0)
		r = dir_enter(*ret, c, e);
	if (r == 0)
		r = args_make(s, c, g->name, e);
	if (r == 0)
		r = env_make(s, c, e);
	if (r == 0 && fd < 0)
		r = fd = guest_open(*ret, c, &s->found, e);
	if (r >= 0) {
		s->path = s->found ? s->found : c->guest;
		r = script_start(*ret, s, &fd, e);
	}
	if (r == 0)
		r = program_open(*ret, s, fd, s->path, e);
	else
		auto_close(&fd);
	char *exe = NULL;
	if (r == 0)
		r = exe_find(*ret, s->path, &exe, e);
	if (r == 0)
		exe_set((*ret)->p, s->path, exe);
	return r;
}

/* Make the program of @c in this process, with nothing run yet. */
static int process_make(struct task **ret, const struct lodge_config *c,
                        const struct process_given *g, struct lodge_err *e)
{
	static const struct process_given nothing = {.fd = -1};
	struct start s = {.path = NULL};
	int r = prepare(ret, &s, c, g ? g : &nothing, e);
	if (r == 0)
		r = program_load((*ret)->p, &s, e);
	if (r == 0)
		r = task_hart(*ret, e);
	start_fini(&s);
	if (r < 0)
		return r; /* it is the caller's to exit: what is mapped stays */
	signals_task(*ret, NULL);
	rv_process_reset((*ret)->h, s.entry, s.sp);
	(*ret)->h->npc = s.entry;
	(*ret)->tid = gettid();
	return 0;
}

/* Let it run: the first thread is this one. */
static int process_go(struct task *t, struct lodge_err *e)
{
	task_enlist(t);
	int r = debug_begin(t, e);
	if (r < 0)
		return r;
	t->h->pc = t->h->npc;
	task_run(t);
	return 0;
}

int process_begin(const struct lodge_config *c, const struct process_given *g, struct lodge_err *e)
{
	struct task *t = NULL;
	int r = process_make(&t, c, g, e);
	if (r == 0)
		r = debug_open(t->p, c, e);
	if (r == 0 && t->p->debug)
		t->p->env.process = &ops_debugged;
	return r < 0 ? r : process_go(t, e);
}

int process_become(const struct lodge_config *c, struct lodge_err *e)
{
	return process_begin(c, NULL, e);
}

int process_remake(struct task **ret, const struct lodge_config *c, struct lodge_err *e)
{
	static struct proc p;
	int err = proc_init(&p, c, e);
	if (err == 0)
		err = task_new(ret, &p, e);
	if (err == 0)
		err = task_hart(*ret, e);
	if (err == 0)
		(*ret)->tid = gettid();
	return err;
}

static void console_note(struct proc *p, int fd)
{
	struct stat st;
	if (fstat(fd, &st) == 0 && (!S_ISCHR(st.st_mode) || isatty(fd))) {
		p->console[fd].dev = st.st_dev;
		p->console[fd].ino = st.st_ino;
	}
}

/* One of the program's processes becomes what it was; each in its turn. */
static int process_again(struct tree *from, struct task *t, struct lodge_err *e)
{
	int r = restore_run(&from->each[from->kin[from->self].process], t, e);
	return r < 0 ? r : tree_next(from, e);
}

int process_kept(const struct lodge_config *c, const struct init_plan *plan, struct tree *from,
                 struct lodge_err *e)
{
	struct control_message hello = {.value = 0};
	struct task *t = NULL;
	int r = from ? files_make(from, e) : process_make(&t, c, NULL, e);
	if (r == 0 && from)
		r = tree_fork(from, e);
	bool first = !from || from->self == 0;
	if (r == 0 && from)
		r = process_remake(&t, c, e);
	if (r < 0 && !first)
		tree_fail(from, e);
	if (r < 0)
		return r;
	struct proc *p = t->p;
	int ready = linux_fd_own(&p->sys, plan->ready);
	p->life_fd = linux_fd_own(&p->sys, plan->life);
	p->kept = plan->kept;
	halt_join(p);
	console_note(p, 0);
	console_note(p, 1);
	if (from)
		r = process_again(from, t, e);
	if (r < 0 && !first)
		tree_fail(from, e);
	hello.value = r;
	if (r < 0 && e)
		hello.err = *e;
	bool told = !first || host_packet_send(ready, &hello, sizeof hello, -1);
	linux_fd_close(&p->sys, ready);
	if (r < 0 || !told)
		_exit(LODGE_EXIT_LODGE);
	return process_go(t, e);
}

/* ---- the level ---- */

/* A kernel lies in RAM, where machines have it; a program does not, or has an interpreter. */
int process_claims(const struct lodge_config *c)
{
	struct proc p = {.root = NULL};
	struct start s = {.main.fd = -1, .interp.fd = -1};
	struct task *t = NULL;
	int sure = 0, fd = -1;
	if (!c->guest || c->kernel || c->firmware)
		return 0;
	int r = root_open(&p, c, NULL);
	if (r < 0) { /* a folder that is not there: it is one of ours, and says so */
		struct lodge_config alone = *c;
		alone.nvolumes = 0;
		root_close(&p);
		p = (struct proc){.root = NULL};
		r = root_open(&p, &alone, NULL);
	}
	if (r == 0)
		r = task_new(&t, &p, NULL);
	if (r == 0)
		r = fd = guest_open(t, c, &s.found, NULL);
	if (r >= 0)
		r = program_open(t, &s, fd, c->guest, NULL);
	if (s.main.fd >= 0 && s.main.p.nsegments)
		sure = s.main.p.interp_len || s.main.p.lo < RAM_OF_MACHINES ? 80 : 10;
	(void)r; /* without its interpreter it is one as well */
	if (!sure && c->root) /* nothing else has one: let it say what is wrong */
		sure = 60;
	program_close(&s);
	free(s.found);
	task_free(t);
	root_close(&p);
	return sure;
}
