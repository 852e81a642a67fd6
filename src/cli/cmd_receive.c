/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include <signal.h>
#include <sys/socket.h>

static const struct option_row options[] = {
    {"listen", 'l', OPT_TEXT, "ADDRESS", NULL, "wait at unix:PATH or tcp:HOST:PORT", false},
    {"name", 0, OPT_TEXT, "NAME", NULL, "not the name that it has", false},
    {"trust", 0, OPT_FLAG, NULL, NULL,
     "it may use folders and networks of this host that it names", false},
};

/* The one connection that we take. */
static int stream_accept(const char *address, struct lodge_err *e)
{
	int fd = lodge_listen(address, e);
	if (fd < 0)
		return fd;
	int sock = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	if (sock < 0) {
		e->code = errno;
		snprintf(e->msg, sizeof e->msg, "%s: %s", address, strerror(errno));
	}
	close(fd);
	if (!strncmp(address, "unix:", 5))
		unlink(address + 5);
	return sock < 0 ? -e->code : sock;
}

static int receive(struct args *a)
{
	struct lodge_guest *g = NULL;
	struct lodge_err e;
	const char *listen = arg_text(a, "listen");
	signal(SIGPIPE, SIG_IGN);
	int fd = listen ? stream_accept(listen, &e) : 0;
	if (fd < 0)
		return fail(a, &e);
	int r = lodge_receive(&g, fd, listen ? fd : 1, arg_text(a, "name"), arg_flag(a, "trust"),
			      &e);
	if (r == 0)
		fprintf(listen ? stdout : stderr, "%s\n", lodge_name(g));
	if (listen)
		close(fd);
	lodge_close(g);
	return r < 0 ? fail(a, &e) : 0;
}

const struct command command_receive = {
    .name = "receive",
    .operands = "",
    .summary = "take a guest that lodge migrate sends",
    .text =
	"From stdin and stdout, or from the first connection to ADDRESS. The guest runs here\n"
	"when its name is printed (on stderr when stdout is the stream). Anybody who can\n"
	"connect to a tcp ADDRESS can send any guest: unix sockets and ssh are for users.\n"
	"\n"
	"A guest whose configuration names shared folders or a tap network is refused without\n"
	"--trust. A guest that does not come whole leaves nothing here.\n",
    .options = options,
    .noptions = countof(options),
    .min = 0,
    .max = 0,
    .run = receive,
};
