/* SPDX-License-Identifier: Apache-2.0 */
/* Notes between the process that creates a container and the one that becomes it: one packet each,
 * so that none is read in part. */
#include "level/container/internal.h"
#include <sys/socket.h>

static int send_all(int fd, const struct note *n, size_t len)
{
	ssize_t did;
	do
		did = send(fd, n, len, MSG_NOSIGNAL);
	while (did < 0 && errno == EINTR);
	return did == (ssize_t)len ? 0 : -1;
}

int note_send(int fd, enum note_kind kind, int value)
{
	struct note n = {.kind = (int)kind, .value = value};
	return send_all(fd, &n, offsetof(struct note, e));
}

int note_send_error(int fd, const struct lodge_err *e)
{
	struct note n = {.kind = NOTE_ERROR, .e = *e};
	return send_all(fd, &n, sizeof n);
}

static enum note_kind read_with(int fd, struct note *ret, int *ret_passed)
{
	memset(ret, 0, sizeof *ret);
	ssize_t n = host_packet_receive(fd, ret, sizeof *ret, true, ret_passed);
	if (n < (ssize_t)offsetof(struct note, e))
		ret->kind = NOTE_NONE;
	ret->e.msg[sizeof ret->e.msg - 1] = 0;
	return (enum note_kind)ret->kind;
}

enum note_kind note_read(int fd, struct note *ret) { return read_with(fd, ret, NULL); }

static int wanted(enum note_kind got, enum note_kind kind, const struct note *ret,
		  struct lodge_err *e)
{
	if (got == kind)
		return 0;
	if (got == NOTE_ERROR)
		return err_set(e, ret->e.code > 0 ? ret->e.code : EIO, "%s", ret->e.msg);
	return err_set(e, EIO, "the first process of the container ended too early");
}

int note_wait(int fd, enum note_kind kind, struct note *ret, struct lodge_err *e)
{
	return wanted(note_read(fd, ret), kind, ret, e);
}

int note_group(int fd, enum note_kind kind, struct note *ret, int *ret_group, struct lodge_err *e)
{
	enum note_kind got = read_with(fd, ret, ret_group);
	if (got == NOTE_GROUP && *ret_group >= 0)
		return 0;
	auto_close(ret_group);
	*ret_group = -1;
	return wanted(got, kind, ret, e);
}
