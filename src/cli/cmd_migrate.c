/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

static const struct option_row options[] = {
    {"name", 0, OPT_TEXT, "NEW", NULL, "its name there (with ssh://)", false},
    {"still", 0, OPT_FLAG, NULL, NULL, "let it stand still meanwhile", false},
    {"trust", 0, OPT_FLAG, NULL, NULL,
     "it may use folders and networks of the same names there (with ssh://)", false},
    {"undo", 0, OPT_FLAG, NULL, NULL,
     "it is not where it was moved to: let it be started here again", false},
};

/* Another side that has gone is an error, not the end of us. */
static void pipes_quiet(void)
{
	signal(SIGPIPE, SIG_IGN);
}

/* ssh HOST lodge receive, on our end of a pair of sockets. Its pid. */
static pid_t ssh_start(struct args *a, const char *host, int *ret_fd)
{
	int pair[2];
	const char *name = arg_text(a, "name"), *argv[10];
	size_t n = 0;
	argv[n++] = "ssh";
	argv[n++] = "--";
	argv[n++] = host;
	argv[n++] = "lodge";
	argv[n++] = "receive";
	if (arg_flag(a, "trust"))
		argv[n++] = "--trust";
	if (name) {
		argv[n++] = "--name";
		argv[n++] = name;
	}
	argv[n] = NULL;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		signal(SIGPIPE, SIG_DFL);
		dup2(pair[1], 0);
		dup2(pair[1], 1);
		execvp("ssh", (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	close(pair[1]);
	*ret_fd = pair[0];
	return pid;
}

static int migrate_ssh(struct args *a, struct lodge_guest *g, const char *to, struct progress *p,
		       struct lodge_err *e)
{
	const char *host = to + strlen("ssh://"), *name = arg_text(a, "name");
	int fd = -1, status;
	if (!*host || *host == '-' || strchr(host, '/') || (name && strpbrk(name, " '\"$`;&|<>\\")))
		return fail_text(a, "%s: ssh://[USER@]HOST is needed", to);
	pid_t pid = ssh_start(a, host, &fd);
	if (pid < 0)
		return fail_text(a, "ssh cannot be started: %s", strerror(errno));
	int r = lodge_migrate_stream(g, fd, fd, to, arg_flag(a, "still"), progress_show, p, e);
	close(fd);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return r;
}

static int migrate(struct args *a)
{
	struct lodge_guest *g = NULL;
	struct lodge_err e;
	struct progress p = {.tty = isatty(2)};
	const char *to = a->noperands > 1 ? a->operands[1] : NULL;
	bool undo = arg_flag(a, "undo");
	if (!to == !undo)
		return fail_text(a, "migrate NAME DEST, or migrate --undo NAME");
	pipes_quiet();
	int r = lodge_open(&g, a->operands[0], &e);
	if (r == 0 && undo)
		r = lodge_migrate_undo(g, &e);
	else if (r == 0 && !strncmp(to, "ssh://", 6))
		r = migrate_ssh(a, g, to, &p, &e);
	else if (r == 0 && !strcmp(to, "-"))
		r = lodge_migrate_stream(g, 0, 1, "a pipe", arg_flag(a, "still"), progress_show, &p,
					 &e);
	else if (r == 0)
		r = lodge_migrate(g, to, arg_flag(a, "still"), progress_show, &p, &e);
	progress_end(&p);
	if (r == 0 && (undo || strcmp(to, "-") != 0))
		puts(lodge_name(g));
	lodge_close(g);
	return r > 0 ? r : r < 0 ? fail(a, &e) : 0;
}

const struct command command_migrate = {
    .name = "migrate",
    .operands = "NAME [DEST]",
    .summary = "move a guest to another host, while it runs",
    .text =
	"DEST is unix:PATH or tcp:HOST:PORT, where a lodge receive --listen waits; ssh://HOST,\n"
	"which runs lodge receive there; or - for stdin and stdout, connected to those of a\n"
	"lodge receive. Memory and disks go over while the guest runs; then it stands still for\n"
	"as long as the last changed pages take, and goes on there. It is the same guest:\n"
	"addresses, vsock CID and name stay (but see receive --name). Nothing on the way is\n"
	"encrypted but by ssh.\n"
	"\n"
	"When anything fails before the destination has all of it, the guest goes on here. What\n"
	"is left here after it has moved is stopped and cannot be started: lodge rm deletes it.\n"
	"Its snapshots stay here. If the stream breaks in the moment in which it is handed\n"
	"over, it stays here, paused, for only a look at the destination can tell: lodge\n"
	"resume, or lodge kill when it runs there.\n"
	"\n"
	"A program stands still while it moves. Its files are not sent: they have to be there, by\n"
	"the same paths and unchanged, and addresses, locks and named pipes that it holds have to\n"
	"be free; it runs with the rights of who receives it, who says --trust.\n"
	"\n"
	"Disks arrive as raw files. Connections are treated as lodge suspend says. On hosts\n"
	"whose kernel cannot tell which pages are written (before Linux 6.7) the guest stands\n"
	"still.\n",
    .options = options,
    .noptions = countof(options),
    .min = 1,
    .max = 2,
    .completes = "guests",
    .run = migrate,
};
