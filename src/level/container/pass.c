/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors handed over sockets: the master of a terminal, the listener of a filter. unix(7) */
#include "level/container/internal.h"
#include <stdio.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { PATIENCE_S = 10 };

int pass_connect(const char *path, struct lodge_err *e)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	/* who listens and never looks must not hold us up without an end */
	const struct timeval patience = {.tv_sec = PATIENCE_S};
	autoclose int at = open(path, O_PATH | O_CLOEXEC);
	autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (at < 0 || fd < 0)
		return err_sys(e, "%s", path);
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) < 0)
		return err_sys(e, "%s", path);
	/* a path may be longer than an address */
	snprintf(a.sun_path, sizeof a.sun_path, "/proc/self/fd/%d", at);
	if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
		return err_sys(e, "connecting to %s", path);
	return take_fd(&fd);
}

int pass_send(int socket, const char *text, size_t len, int fd)
{
	return host_packet_send(socket, text, len, fd) ? 0 : -1;
}

static int receive(int socket, bool wait)
{
	char text[64];
	int fd;
	(void)!host_packet_receive(socket, text, sizeof text, wait, &fd);
	return fd;
}

int pass_receive(int socket) { return receive(socket, true); }
int container_receive(int socket) { return receive(socket, false); }
