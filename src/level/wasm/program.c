/* SPDX-License-Identifier: Apache-2.0 */
/* The process that is the program: it reads the module, is confined, and only then looks at it.
 * One that a keeper has started stands still when it is asked, says what it is, and may go on from
 * what another one was. */
#include "level/wasm/internal.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

enum {
	MODULE_MAX = 1 << 30,
	EXIT_TRAP = 134,      /* as a shell says it of a program that was aborted */
	CONTROL_FD = 3,       /* where the box leaves the one descriptor that it keeps */
};
enum phase { PHASE_START, PHASE_MAIN }; /* the module's start function; its _start */

struct program {
	const struct lodge_config *c;
	const struct kept *kept; /* NULL: in the foreground */
	struct wasi_config wasi; /* borrowed by s */
	struct wasm_module *m;
	struct wasi *s;
	struct wasm *w;
	uint32_t start; /* the function _start */
	struct code_cache code;
	uint64_t npages; /* bytes, of the first thread's state */
	uint64_t phase;
};
struct saved_program {
	uint64_t phase;
};
static const struct state_field fields[] = {STATE(struct saved_program, phase, 1), STATE_END};

/* ---- the way into the box ---- */

/* A large module is not read, only mapped: most of it nobody looks at. False: it is small, or
 * cannot be; what is wrong with it is told when it is read. */
static bool module_map(struct plan *p, const char *path)
{
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < LAZY_FROM ||
	    st.st_size > MODULE_MAX)
		return false;
	p->len = (size_t)st.st_size;
	/* written to, which makes pages our own, by wasm_module_new alone */
	void *at = mmap(NULL, p->len, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	p->bytes = at == MAP_FAILED ? NULL : at;
	p->mapped = p->bytes;
	return p->mapped;
}

static int module_load(struct plan *p, const struct lodge_config *c, struct lodge_err *e)
{
	int r = module_map(p, c->guest)
		    ? 0
		    : file_load(AT_FDCWD, c->guest, MODULE_MAX, &p->bytes, &p->len, e);
	if (r == 0 && !wasm_claims((const uint8_t *)p->bytes, p->len) &&
	    !text_is_module(c->guest, p->bytes, p->len))
		r = err_set(e, ENOEXEC, "%s: this is no WebAssembly module", c->guest);
	const char *slash = strrchr(c->guest, '/');
	if (r == 0 && !(p->argv = calloc(c->argc + 2, sizeof *p->argv)))
		r = err_set(e, ENOMEM, "out of memory");
	if (r < 0)
		return r;
	p->argv[0] = slash ? slash + 1 : c->guest;
	for (size_t i = 0; i < c->argc; i++)
		p->argv[i + 1] = c->argv[i];
	return 0;
}

/* In the box: the folders as descriptors. */
static int folders_open(struct plan *p, struct lodge_err *e)
{
	for (size_t i = 0; i < p->n; i++) {
		int fd = open(p->places[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			return err_sys(e, "--volume %s", p->volumes[i].source);
		p->folders[i] =
		    (struct wasi_folder){p->volumes[i].target, fd, p->volumes[i].readonly};
	}
	return 0;
}

/* The sockets that the program shall accept connections from, in the host's network. */
static int sockets_open(struct plan *p, struct lodge_err *e)
{
	enum { BACKLOG = 128 };
	const char *text = p->listens ? p->listens : "";
	while (*text) {
		size_t n = strcspn(text, ",");
		autofree char *one = strndup(text, n);
		if (!one)
			return err_set(e, ENOMEM, "out of memory");
		if (p->n_keep > SOCKETS_MAX)
			return err_set(e, E2BIG, "-o listen: at most %u", SOCKETS_MAX);
		if (strncmp(one, "tcp:", 4) != 0)
			return err_set(e, EINVAL, "-o listen=%s: tcp:HOST:PORT is needed", one);
		int fd = life_listen(one, e);
		if (fd == -ENOENT && e)
			e->code = EADDRNOTAVAIL; /* it is not the program that was not found */
		if (fd < 0)
			return err_in(e, fd == -ENOENT ? -EADDRNOTAVAIL : fd, "-o listen");
		p->keep[p->n_keep++] = fd;
		if (listen(fd, BACKLOG) < 0)
			return err_sys(e, "-o listen=%s", one);
		text += n + (text[n] == ',');
	}
	return 0;
}

/* Descriptor @keep and the sockets stay, in this order. */
static int box_enter_with(struct plan *p, int keep, struct lodge_err *e)
{
	p->keep[0] = keep;
	p->n_keep = 1;
	int r = sockets_open(p, e);
	const struct box_alone b = {
	    .keep = p->keep, .n_keep = p->n_keep, .binds = p->binds, .n_binds = p->n};
	if (r == 0)
		r = box_enter_alone(&b, e);
	for (size_t i = 1; i < p->n_keep; i++)
		p->keep[i] = CONTROL_FD + (int)i - (keep < 0);
	return r == 0 ? folders_open(p, e) : r;
}

/* ---- time and ends ---- */

static void text_write(const char *s) { (void)!write(2, s, strlen(s)); }

/* A call of the host does not look at the clock: the process ends a little after the deadline. */
static void on_deadline(int sig)
{
	(void)sig;
	text_write("lodge: the time is over (--timeout)\n");
	_exit(124);
}

/* The file of a module that is mapped has become shorter. */
static void on_short(int sig)
{
	(void)sig;
	text_write("lodge: the file of the module changed while it ran: it is too short now\n");
	_exit(LODGE_EXIT_LODGE);
}

static int deadline_set(uint64_t timeout_ns, struct lodge_err *e)
{
	const uint64_t ns = timeout_ns + 100000000;
	const struct itimerspec at = {
	    .it_value = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)}};
	struct sigevent how = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
	struct sigaction a = {.sa_handler = on_deadline};
	timer_t t;
	if (!timeout_ns)
		return 0;
	if (sigaction(SIGALRM, &a, NULL) < 0 || timer_create(CLOCK_MONOTONIC, &how, &t) < 0 ||
	    timer_settime(t, 0, &at, NULL) < 0)
		return err_sys(e, "a timer");
	return 0;
}

/* Tell why it ended before its end; its exit code. */
static int trap_tell(const struct wasm *w, enum wasm_trap t)
{
	char *text = NULL;
	size_t n;
	FILE *out = open_memstream(&text, &n);
	if (out) {
		fprintf(out, "lodge: %s%s%s\n", wasm_trap_text(t),
			t == WASM_TRAP_INVALID ? ": " : "",
			t == WASM_TRAP_INVALID ? wasm_error(w) : "");
		wasm_trace(w, out);
		fclose(out);
		text_write(text);
		free(text);
	}
	return t == WASM_TRAP_FUEL || t == WASM_TRAP_DEADLINE ? 124 : EXIT_TRAP;
}

/* The end of all threads, by the one of the instance @w; the first one that gets here says why. */
static _Noreturn void program_end(const struct program *g, const struct wasm *w, enum wasm_trap t)
{
	static pthread_mutex_t ending = PTHREAD_MUTEX_INITIALIZER;
	pthread_mutex_lock(&ending);
	if (g->code.tell >= 0 && w == g->w) /* of the others, nobody knows what they do now */
		code_cache_tell(g->w, CONTROL_FD);
	_exit(t == WASM_OK	     ? 0
	      : t == WASM_TRAP_EXIT ? wasi_exit_code(g->s)
				     : trap_tell(w, t));
}

static void on_trapped(void *user, struct wasm *w, enum wasm_trap t) { program_end(user, w, t); }

/* ---- asked by the keeper ---- */

static uint8_t *section_new(void *user, const char *name, size_t len)
{
	return save_out_section(user, name, len);
}

const uint8_t *program_section(void *user, const char *name, size_t *ret_len)
{
	return save_in_find(user, name, ret_len);
}

/* The sections of what it is, into the file @fd. */
static int state_write(struct program *g, int fd, uint64_t *ret_pages, struct lodge_err *e)
{
	const struct saved_program own = {.phase = g->phase};
	struct save_out *o = NULL;
	const uint8_t *p;
	size_t len = 0;
	int r = save_out_new(&o, "wasm", e);
	if (r < 0)
		return r;
	const struct wasm_sink to = {section_new, o};
	save_out_fields(o, "program", fields, &own);
	r = wasm_save(g->w, &to, ret_pages, e);
	g->npages = *ret_pages;
	if (r == 0)
		r = wasi_save(g->s, &to, e);
	if (r == 0)
		r = wasi_threads_save(g->s, &to, ret_pages, e);
	if (r == 0)
		r = save_out_bytes(o, &p, &len, e);
	if (r == 0 && !host_pwrite(fd, p, len, 0))
		r = err_sys(e, "writing the program's state");
	save_out_free(o);
	return r;
}

/* One question. False: the program goes on. */
static bool answer(struct program *g, struct message *m, int fd)
{
	bool go = m->what == ASK_GO;
	m->result = 0;
	if (m->what == ASK_STATE)
		m->result = state_write(g, fd, &m->value, &m->err);
	if (m->what == ASK_PAGES)
		m->result = wasm_save_pages(g->w, fd, 0, &m->err);
	if (m->what == ASK_PAGES && m->result == 0)
		m->result = wasi_threads_save_pages(g->s, fd, g->npages, &m->err);
	auto_close(&fd);
	if (!message_send(CONTROL_FD, m, -1))
		_exit(LODGE_EXIT_LODGE); /* the keeper is gone */
	return !go;
}

/* @first: whether somebody asks is not known; there may be nobody. */
static void stand(struct program *g, bool first)
{
	struct message m;
	int fd;
	for (;; first = false) {
		if (!message_receive(CONTROL_FD, &m, &fd, !first)) {
			if (first && (errno == EAGAIN || errno == EWOULDBLOCK))
				return;
			_exit(LODGE_EXIT_LODGE);
		}
		if (!answer(g, &m, fd))
			return;
	}
}

static void speak(void *user) { stand(user, true); }

static enum wasm_trap on_halt(void *user, struct wasm *w)
{
	struct program *g = user;
	(void)w;
	wasi_gather(g->s, speak, g);
	return WASM_OK;
}

/* What a signal finds; there is one program in a process. */
static struct program the_program;

static void on_kick(int sig, siginfo_t *how, void *context)
{
	(void)sig;
	(void)context;
	if (the_program.w)
		wasi_kick(the_program.s, how->si_code != SI_TKILL);
}

/* ---- the run ---- */

static int entry_find(const struct wasm_module *m, uint32_t *ret, struct lodge_err *e)
{
	char signature[64];
	int64_t f = wasm_export_find(m, "_start", WASM_FUNC);
	if (f < 0)
		return err_set(e, ENOEXEC,
			       "the module exports no function _start: it is no program%s",
			       wasm_export_find(m, "_initialize", WASM_FUNC) >= 0
				   ? ", but a library (reactor)"
				   : "");
	wasm_signature(m, (uint32_t)f, signature);
	if (strcmp(signature, ":") != 0)
		return err_set(e, ENOEXEC, "its function _start is of the type %s, and should "
			       "take and return nothing", signature);
	*ret = (uint32_t)f;
	return 0;
}

static int state_read(struct program *g, struct lodge_err *e)
{
	const struct wasm_source from = {.find = program_section,
					 .user = (void *)(uintptr_t)g->kept->state,
					 .pages = g->kept->pages,
					 .npages = g->kept->npages,
					 .movable = true};
	struct saved_program own = {0};
	int r = save_in_fields(g->kept->state, "program", fields, &own, e);
	if (r == 0 && own.phase > PHASE_MAIN)
		r = err_set(e, EINVAL, "the state is damaged: section program");
	if (r == 0)
		r = wasi_load(g->s, &from, e);
	if (r == 0)
		r = wasm_load(g->w, &from, e);
	if (r == 0)
		r = wasi_threads_load(g->s, &from, e);
	g->phase = own.phase;
	return r;
}

/* In the box: a module in the text format becomes a binary one. */
static int text_make(struct plan *p, const struct lodge_config *c, struct lodge_err *e)
{
	uint8_t *bytes;
	size_t len;
	if (wasm_claims((const uint8_t *)p->bytes, p->len))
		return 0;
	int r = wat_encode(c->guest, p->bytes, p->len, &bytes, &len, e);
	if (r < 0)
		return r;
	p->bytes = (char *)bytes; /* the text stays with the process */
	p->len = len;
	p->mapped = false;
	return 0;
}

static int program_make(struct program *g, struct plan *p, struct lodge_err *e)
{
	const struct lodge_config *c = g->c;
	const struct wasm_limits limits = {
	    .memory_max = c->memory_limit ? c->memory_limit : c->memory,
	    .fuel = p->fuel,
	    .compiles = !c->accel || strcmp(c->accel, "interpret") != 0,
	    .background = !g->kept,
	    .halted = g->kept ? on_halt : NULL,
	    .halted_user = g,
	    .deadline_ns =
		c->timeout_ns && !g->kept ? host_monotonic_ns() + c->timeout_ns : 0};
	g->wasi = (struct wasi_config){.argv = p->argv,
				       .argc = c->argc + 1,
				       .env = c->env,
				       .nenv = c->nenv,
				       .folders = p->folders,
				       .nfolders = p->n,
				       .sockets = p->keep + 1,
				       .nsockets = p->n_keep - 1,
				       .trapped = on_trapped,
				       .user = g,
				       .kick = SIGNAL_KICK};
	int r = wasi_new(&g->s, &g->wasi, e);
	if (p->mapped)
		(void)signal(SIGBUS, on_short);
	if (r == 0 && !g->kept)
		r = deadline_set(c->timeout_ns, e);
	if (r == 0)
		r = wasm_module_new(&g->m, (const uint8_t *)p->bytes, p->len,
				    plan_flags(p), e);
	if (r == 0)
		r = entry_find(g->m, &g->start, e);
	if (r == 0)
		r = wasm_new(&g->w, g->m, &limits, wasi_find, g->s, e);
	/* what code relies on are our own pages by now, of a file that may have changed before */
	if (r == 0 && g->code.bytes &&
	    (!p->mapped || code_is_of(&g->code, (const uint8_t *)p->bytes, p->len)))
		(void)!wasm_code_load(g->w, g->code.bytes, g->code.len);
	if (r == 0)
		wasi_attach(g->s, g->w);
	return r == 0 && g->kept && g->kept->state ? state_read(g, e) : r;
}

/* In the box: what is wrong with the module is told with its name. */
static int program_enter(struct program *g, struct plan *p, struct lodge_err *e)
{
	int r = text_make(p, g->c, e);
	return r < 0 ? r : err_in(e, program_make(g, p, e), "%s", g->c->guest);
}

static _Noreturn void program_run(struct program *g)
{
	union wasm_slot none;
	bool goes_on = g->kept && g->kept->state;
	enum wasm_trap t = WASM_OK;
	if (goes_on)
		t = wasm_go_on(g->w);
	else
		t = wasm_start(g->w);
	if (t == WASM_OK && g->phase == PHASE_START) {
		g->phase = PHASE_MAIN;
		t = wasm_call(g->w, g->start, &none);
	}
	program_end(g, g->w, t);
}

int program_become(struct plan *p, const struct lodge_config *c, struct lodge_err *e)
{
	struct program *g = &the_program;
	g->c = c;
	int r = module_load(p, c, e);
	g->code.tell = -1;
	if (r == 0 && p->keeps_code && wasm_claims((const uint8_t *)p->bytes, p->len))
		code_cache_open(&g->code, p);
	if (r == 0)
		r = box_enter_with(p, g->code.tell, e);
	if (r < 0)
		return r;
	r = program_enter(g, p, e);
	if (r == 0)
		program_run(g);
	if (e)
		e->code = ENOEXEC; /* it is there, and cannot be run */
	return -ENOEXEC;
}

/* ---- under a keeper ---- */

static void streams_begin(const struct kept *k)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	host_fds_close((const int[]){k->control, k->in, k->out}, 3);
	setsid();
	if (k->tty)
		ioctl(k->in, TIOCSCTTY, 0);
	dup2(k->in, 0);
	dup2(k->out, 1);
	dup2(k->out, 2);
	host_signals_default();
	umask(k->umask);
	(void)!chdir("/");
}

static int kept_make(struct program *g, struct plan *p, struct lodge_err *e)
{
	/* calls that wait end: no SA_RESTART */
	struct sigaction a = {.sa_sigaction = on_kick, .sa_flags = SA_SIGINFO};
	int r = plan_make(p, g->c, true, e);
	if (r == 0)
		r = module_load(p, g->c, e);
	if (r == 0)
		r = box_enter_with(p, g->kept->control, e);
	if (r < 0)
		return r;
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* that of before went with other rights */
	r = program_enter(g, p, e);
	if (r == 0 && sigaction(SIGNAL_KICK, &a, NULL) < 0)
		r = err_sys(e, "a handler of signals");
	return r;
}

_Noreturn void program_kept(const struct lodge_config *c, const struct kept *k)
{
	static struct plan p;
	struct program *g = &the_program;
	struct message hello = {.what = ASK_READY};
	g->c = c;
	g->kept = k;
	g->code.tell = -1;
	streams_begin(k);
	hello.result = kept_make(g, &p, &hello.err);
	/* the box has moved it, if it was entered */
	int fd = fcntl(CONTROL_FD, F_GETFD) >= 0 && hello.result == 0 ? CONTROL_FD : k->control;
	if (!message_send(fd, &hello, -1) && fd != CONTROL_FD)
		(void)!message_send(CONTROL_FD, &hello, -1);
	if (hello.result < 0)
		_exit(LODGE_EXIT_LODGE);
	if (k->state) {
		stand(g, false);
		wasi_goes_on(g->s);
		if (wasi_threads_go(g->s, &hello.err) < 0) {
			text_write(hello.err.msg);
			_exit(LODGE_EXIT_LODGE);
		}
	}
	program_run(g);
}
