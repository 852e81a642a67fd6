/* SPDX-License-Identifier: Apache-2.0 */
/* The level: this process becomes a WebAssembly program. It sees the folders that it is given, and
 * is confined before its module is looked at. */
#include "box/box.h"
#include "life/life.h"
#include "wasi/wasi.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

enum {
	FOLDERS_MAX = 64,
	MODULE_MAX = 1 << 30,
	LAZY_FROM = 16 << 20, /* modules as large as this are validated as they are called */
	EXIT_TRAP = 134,      /* as a shell says it of a program that was aborted */
};

/* All of it is there as long as the process is. */
struct plan {
	struct life_volume volumes[FOLDERS_MAX];
	struct box_bind binds[FOLDERS_MAX];
	char places[FOLDERS_MAX][24]; /* of the folders in the box: /0, /1, ... */
	struct wasi_folder folders[FOLDERS_MAX];
	size_t n;
	uint64_t fuel;
	char *bytes;
	size_t len;
	const char **argv;
};

/* ---- what it is asked for ---- */

static int fuel_parse(const char *text, uint64_t *ret, struct lodge_err *e)
{
	char *end;
	errno = 0;
	unsigned long long n = strtoull(text, &end, 10);
	if (!*text || *end || text[0] == '-' || errno || !n)
		return err_set(e, EINVAL, "-o fuel=%s: write a number of branches and calls", text);
	*ret = n;
	return 0;
}

static int options_check(struct plan *p, const struct lodge_config *c, struct lodge_err *e)
{
	const char *fuel = life_option(c, "fuel");
	return fuel ? fuel_parse(fuel, &p->fuel, e) : 0;
}

static int config_check(const struct lodge_config *c, struct lodge_err *e)
{
	const struct {
		bool given;
		const char *what, *why;
	} rows[] = {
	    {c->name, "--name", "it runs in the foreground so far"},
	    {c->net && strcmp(c->net, "none") != 0, "--net but none", "it has no network"},
	    {c->accel && strcmp(c->accel, "auto") != 0 && strcmp(c->accel, "interpret") != 0 &&
		 strcmp(c->accel, "translate") != 0,
	     "this --accel", "its engines are interpret and translate"},
	};
	for (size_t i = 0; i < countof(rows); i++)
		if (rows[i].given)
			return err_set(e, EINVAL, "a WebAssembly program takes no %s: %s",
				       rows[i].what, rows[i].why);
	return 0;
}

/* Text is not read here. */
static bool is_text(const char *path)
{
	size_t n = strlen(path);
	return n > 4 && !strcmp(path + n - 4, ".wat");
}

static int volumes_plan(struct plan *p, const struct lodge_config *c, struct lodge_err *e)
{
	for (; p->n < c->nvolumes; p->n++) {
		size_t i = p->n;
		if (i == FOLDERS_MAX)
			return err_set(e, E2BIG, "--volume: at most %u", FOLDERS_MAX);
		int r = life_volume_parse(&p->volumes[i], c->volumes[i], e);
		if (r < 0)
			return r;
		(void)snprintf(p->places[i], sizeof p->places[i], "/%zu", i);
		p->binds[i] = (struct box_bind){p->volumes[i].source, p->places[i],
						p->volumes[i].readonly};
	}
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

static int module_load(struct plan *p, const struct lodge_config *c, struct lodge_err *e)
{
	int r = 0;
	if (is_text(c->guest))
		r = err_set(e, ENOEXEC,
			    "%s: the text format is not read here; wat2wasm makes a module",
			    c->guest);
	if (r == 0)
		r = file_load(AT_FDCWD, c->guest, MODULE_MAX, &p->bytes, &p->len, e);
	if (r == 0 && !wasm_claims((const uint8_t *)p->bytes, p->len))
		r = err_set(e, ENOEXEC, "%s: this is no WebAssembly module", c->guest);
	return r;
}

/* ---- the run ---- */

static void text_write(const char *s) { (void)!write(2, s, strlen(s)); }

/* A call of the host does not look at the clock: the process ends a little after the deadline. */
static void on_deadline(int sig)
{
	(void)sig;
	text_write("lodge: the time is over (--timeout)\n");
	_exit(124);
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

static int wasm_ended(struct wasm *w, const struct wasi *s, enum wasm_trap t)
{
	return t == WASM_OK ? 0 : t == WASM_TRAP_EXIT ? wasi_exit_code(s) : trap_tell(w, t);
}

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

static int run(struct plan *p, const struct lodge_config *c, struct lodge_err *e)
{
	const struct wasi_config wc = {p->argv, c->argc + 1, c->env, c->nenv, p->folders, p->n};
	const struct wasm_limits limits = {
	    .memory_max = c->memory,
	    .fuel = p->fuel,
	    .compiles = !c->accel || strcmp(c->accel, "interpret") != 0,
	    .deadline_ns = c->timeout_ns ? host_monotonic_ns() + c->timeout_ns : 0};
	struct wasm_module *m = NULL;
	struct wasm *w = NULL;
	struct wasi *s = NULL;
	union wasm_slot none;
	uint32_t start = 0;
	int r = wasi_new(&s, &wc, e);
	if (r == 0)
		r = deadline_set(c->timeout_ns, e);
	if (r == 0)
		r = wasm_module_new(&m, (const uint8_t *)p->bytes, p->len,
				    p->len >= LAZY_FROM ? WASM_LAZY : 0, e);
	if (r == 0)
		r = entry_find(m, &start, e);
	if (r == 0)
		r = wasm_new(&w, m, &limits, wasi_find, s, e);
	if (r < 0) {
		if (e)
			e->code = ENOEXEC; /* it is there, and cannot be run */
		return err_in(e, -ENOEXEC, "%s", c->guest);
	}
	enum wasm_trap t = wasm_start(w);
	if (t == WASM_OK)
		t = wasm_call(w, start, &none);
	_exit(wasm_ended(w, s, t));
}

static int become(const struct lodge_config *c, struct lodge_err *e)
{
	static struct plan p;
	int r = options_check(&p, c, e);
	if (r == 0)
		r = config_check(c, e);
	if (r == 0)
		r = volumes_plan(&p, c, e);
	if (r == 0)
		r = module_load(&p, c, e);
	if (r < 0)
		return r;
	const char *slash = strrchr(c->guest, '/');
	p.argv = calloc(c->argc + 2, sizeof *p.argv);
	if (!p.argv)
		return err_set(e, ENOMEM, "out of memory");
	p.argv[0] = slash ? slash + 1 : c->guest;
	for (size_t i = 0; i < c->argc; i++)
		p.argv[i + 1] = c->argv[i];
	const struct box_alone b = {.keep = -1, .binds = p.binds, .n_binds = p.n};
	r = box_enter_alone(&b, e);
	if (r == 0)
		r = folders_open(&p, e);
	return r == 0 ? run(&p, c, e) : r;
}

/* A module is nobody else's, also one that will be refused: this level knows why. */
static int claims(const struct lodge_config *c)
{
	uint8_t head[4];
	if (!c->guest || c->kernel || c->firmware)
		return 0;
	autoclose int fd = open(c->guest, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n = fd < 0 ? -1 : pread(fd, head, sizeof head, 0);
	return n > 0 && (wasm_claims(head, (size_t)n) || is_text(c->guest)) ? 90 : 0;
}

extern const struct level level_wasm;
const struct level level_wasm = {
    .name = "wasm",
    .summary = "a WebAssembly program, with WASI preview 1",
    .claims = claims,
    .become = become,
    .whole = true,
    .confines = true,
};
