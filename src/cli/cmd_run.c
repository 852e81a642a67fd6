/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

static const uint64_t BOOT_WAIT_NS = 600000000000, STOP_WAIT_NS = 60000000000;

static const struct option_row options[] = {
    {"detach", 'd', OPT_FLAG, NULL, NULL, "start it, print its name and leave it", false},
    {"explain", 0, OPT_FLAG, NULL, NULL, "Windows programs: tell what they would miss, only",
     false},
#define OPTION(name, letter, kind, arg, value, setting, help)                                      \
	{name, letter, kind, arg, value, help, setting},
#define OWN(name, kind, arg, help) {name, 0, kind, arg, NULL, help, false},
#include "cli/guest_options.def"
};

/* Stay with the guest until it ends or the user leaves. */
static int run_attached(struct args *a, struct lodge_guest *g, bool interactive)
{
	struct lodge_console *c = NULL;
	struct lodge_err e;
	int code = LODGE_EXIT_LODGE, number = 0;
	if (lodge_keep(g, &e) < 0 || lodge_attach(&c, g, 0, &e) < 0 || lodge_start(g, &e) < 0) {
		lodge_console_close(c);
		return fail(a, &e);
	}
	warnings_print(g);
	enum session_end end = session_console(g, c, interactive, true, &number);
	if (end == SESSION_DETACHED) {
		fprintf(stderr, "\nlodge: %s goes on; come back with: lodge attach %s\n",
			lodge_name(g), lodge_name(g));
		code = 0;
	} else if (end == SESSION_ERROR && lodge_kill(g, &e) < 0) {
		code = fail(a, &e);
	} else if (lodge_console_exit(c, &code, &e) < 0) {
		code = fail(a, &e);
	}
	lodge_console_close(c);
	return number ? LODGE_EXIT_SIGNAL + number : code;
}

/* A whole system with a program to run: boot, run it by the agent, shut down. */
static int run_program(struct args *a, struct lodge_guest *g, struct lodge_config *c)
{
	struct lodge_exec_config x = {.argv = c->argv,
				      .argc = c->argc,
				      .tty = isatty(0) && isatty(1),
				      .interactive = (c->flags & LODGE_INTERACTIVE) != 0,
				      .env = c->env,
				      .nenv = c->nenv,
				      .wait_ns = BOOT_WAIT_NS};
	struct lodge_err e;
	if (lodge_start(g, &e) < 0)
		return fail(a, &e);
	warnings_print(g);
	if (isatty(2))
		fprintf(stderr, "lodge: %s boots; its console: lodge attach %s\n", lodge_name(g),
			lodge_name(g));
	int code = exec_guest(a, g, &x);
	if (lodge_stop(g, STOP_WAIT_NS, &e) < 0 && e.code != ENOTCONN)
		fail(a, &e);
	return code;
}

/* A program in a machine of its own, in the place of lodge: its input, output, error output and
 * exit code. */
static int run_first(struct args *a, struct lodge_guest *g, struct lodge_config *c)
{
	const char **argv = calloc(c->argc + 1, sizeof *argv);
	struct lodge_exec_config x = {.size = sizeof x,
				      .argv = argv,
				      .argc = c->argc + 1,
				      .tty = (c->flags & LODGE_TTY) != 0,
				      .interactive = 1,
				      .env = c->env,
				      .nenv = c->nenv,
				      .cwd = c->cwd ? c->cwd : "/",
				      .user = c->user};
	struct lodge_exec *first = NULL;
	struct lodge_err e, end;
	int code = LODGE_EXIT_LODGE, guest = LODGE_EXIT_LODGE;
	if (!argv)
		return fail_text(a, "out of memory");
	argv[0] = c->guest;
	for (size_t i = 0; i < c->argc; i++)
		argv[i + 1] = c->argv[i];
	term_size(&x.rows, &x.columns);
	int r = lodge_exec_first(&first, g, &x, &e);
	free(argv);
	if (r < 0)
		return fail(a, &e);
	warnings_print(g);
	enum session_end how = session_exec(first, true, x.tty, &code, &e);
	if (how == SESSION_SIGNALED && lodge_kill(g, &end) < 0 && end.code != ENOTCONN)
		fail(a, &end);
	if (lodge_exec_first_end(first, &guest, &end) < 0)
		return fail(a, how == SESSION_ERROR ? &e : &end);
	/* The guest may have ended by itself, in a way that its code tells. */
	if (how == SESSION_ERROR && e.code == ECONNRESET && guest != LODGE_EXIT_LODGE)
		return guest;
	return how == SESSION_ERROR ? fail(a, &e) : how == SESSION_DETACHED ? guest : code;
}

static int run_detached(struct args *a, struct lodge_guest *g)
{
	struct lodge_err e;
	if (lodge_start(g, &e) < 0)
		return fail(a, &e);
	warnings_print(g);
	puts(lodge_name(g));
	return 0;
}

static int explain(struct args *a, const struct lodge_config *c)
{
	struct lodge_err e;
	char *text = NULL;
	if (lodge_explain(c, &text, &e) < 0)
		return fail(a, &e);
	fputs(text, stdout);
	lodge_free(text);
	return 0;
}

static int run(struct args *a)
{
	struct lodge_config c;
	struct lodge_guest *g = NULL;
	struct lodge_err e;
	bool detach = arg_flag(a, "detach");
	bool terminal = isatty(0) && isatty(1) && !detach;
	int r = config_from_args(&c, a);
	if (r == 0)
		r = image_need(a, &c);
	if (r)
		return r;
	if (arg_flag(a, "explain"))
		return explain(a, &c);
	if (terminal)
		c.flags |= LODGE_INTERACTIVE | LODGE_TTY;
	if (!detach && lodge_becomes(&c)) {
		(void)lodge_become(&c, &e);
		return fail(a, &e);
	}
	if (lodge_create(&g, &c, &e) < 0)
		return fail(a, &e);
	if (detach)
		r = run_detached(a, g);
	else if (lodge_has_first(&c) && !c.restart)
		r = run_first(a, g, &c);
	else if (c.argc && c.guest && lodge_image_execs(c.guest) == 1)
		r = run_program(a, g, &c);
	else
		r = run_attached(a, g, (c.flags & LODGE_INTERACTIVE) != 0);
	/* A guest of --rm that never started has nobody else to remove it. */
	if ((c.flags & LODGE_RM) && r == LODGE_EXIT_LODGE && !strcmp(lodge_state(g), "created") &&
	    lodge_remove(lodge_name(g), 1, &e) < 0 && e.code != ENOENT)
		fail(a, &e);
	lodge_close(g);
	return r;
}

const struct command command_run = {
    .name = "run",
    .operands = "GUEST [ARG...]",
    .summary = "make a guest and run it",
    .text =
	"GUEST is demo (works offline), the name of an image (debian, debian-small, or that of a\n"
	"container image), a folder that is a root or an OCI bundle, or the path of a program of\n"
	"riscv64 Linux, 64-bit Windows or WebAssembly (a module), a kernel, an ELF file or a flat\n"
	"image. A program runs\n"
	"in the place of lodge: terminal, files and exit code are its own; with -d, --name or\n"
	"--timeout one of Linux is a guest like others. With --root, one without a / is looked\n"
	"for in PATH. A container does the same: in the foreground all that it wrote to its root\n"
	"is gone when it ends, as a guest it keeps it until it is removed; what it runs is what\n"
	"the image says, with ARGs in the place of its arguments. With other guests, unless -d is\n"
	"given, lodge stays: the console is on the terminal, Ctrl-] leaves it running, and the\n"
	"exit code is the guest's own. An image that\n"
	"is not there is fetched first: a container image only if its name has a /, : or @ in it\n"
	"(else: lodge pull). With ARGs, debian and debian-small run them as a command, whose\n"
	"output and exit code become those of lodge, and then stop.\n",
    .options = options,
    .noptions = countof(options),
    .stop_at_operand = true,
    .completes = "images",
    .run = run,
};
