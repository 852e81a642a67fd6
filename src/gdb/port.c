/* SPDX-License-Identifier: Apache-2.0 */
/* Where a debugger comes from: a port of this host, a unix socket, standard input and output. */
#include "gdb/internal.h"
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int listen_tcp(struct gdb_port *p, const char *where, struct lodge_err *e)
{
	char *end;
	const char *digits = where + (*where == ':');
	unsigned long port = strtoul(digits, &end, 10);
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
		.sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof a;
	if (end == digits || *end || port > UINT16_MAX || *digits == '-')
		return err_set(e, EINVAL, "gdb=%s: a port, unix:PATH or -", where);
	p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (p->listener < 0)
		return err_sys(e, "gdb=%s", where);
	(void)!setsockopt(p->listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
	if (bind(p->listener, (struct sockaddr *)&a, sizeof a) < 0 || listen(p->listener, 1) < 0 ||
	    getsockname(p->listener, (struct sockaddr *)&a, &len) < 0)
		return err_sys(e, "gdb=%s", where);
	snprintf(p->text, sizeof p->text, "127.0.0.1:%u", ntohs(a.sin_port));
	return 0;
}

static int listen_unix(struct gdb_port *p, const char *path, struct lodge_err *e)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof a.sun_path || !*path)
		return err_set(e, EINVAL, "gdb=%s: a path of at most %zu bytes", path,
		               sizeof a.sun_path - 1);
	strcpy(a.sun_path, path);
	p->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (p->listener < 0)
		return err_sys(e, "gdb=%s", path);
	mode_t before = umask(077); /* it is a way into the program */
	int r = bind(p->listener, (struct sockaddr *)&a, sizeof a);
	umask(before);
	if (r < 0)
		return err_sys(e, "gdb=%s", path);
	strcpy(p->path, path);
	snprintf(p->text, sizeof p->text, "%s", path);
	return listen(p->listener, 1) < 0 ? err_sys(e, "gdb=%s", path) : 0;
}

static int stdio_take(struct gdb_port *p, struct lodge_err *e)
{
	p->in = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	p->out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	autoclose int none = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (p->in < 0 || p->out < 0 || none < 0 || dup2(none, STDIN_FILENO) < 0 ||
	    dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
		return err_sys(e, "gdb=-");
	return 0;
}

int gdb_listen(struct gdb_port *p, const char *where, struct lodge_err *e)
{
	*p = (struct gdb_port){.listener = -1, .in = -1, .out = -1};
	if (!strcmp(where, "-"))
		return stdio_take(p, e);
	if (!strncmp(where, "unix:", 5))
		return listen_unix(p, where + 5, e);
	return strchr(where, '/') ? listen_unix(p, where, e) : listen_tcp(p, where, e);
}

int gdb_accept(struct gdb_port *p, struct lodge_err *e)
{
	if (p->listener < 0)
		return 0;
	do
		p->in = p->out = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);
	while (p->in < 0 && errno == EINTR);
	if (p->in < 0)
		return err_sys(e, "waiting for a debugger");
	(void)!setsockopt(p->in, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	close(p->listener);
	p->listener = -1;
	if (*p->path)
		unlink(p->path);
	p->path[0] = 0;
	return 0;
}

void gdb_port_fini(struct gdb_port *p)
{
	if (*p->path)
		unlink(p->path);
	auto_close(&p->listener);
	if (p->out != p->in)
		auto_close(&p->out);
	auto_close(&p->in);
	p->listener = p->in = p->out = -1;
}
