/* SPDX-License-Identifier: Apache-2.0 */
/* The other end of the control socket: just enough HTTP/1.1 (RFC 9112) for a server that we know,
 * because an HTTP library would cost a keeper's fork some twenty more shared objects. */
#include "life/internal.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { HEAD_MAX = 4096, BODY_MAX = 4 << 20 };

int socket_address(int dirfd, const char *dir, const char *name, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	size_t cap = sizeof ret->sun_path;
	int n = snprintf(ret->sun_path, cap, "%s/%s", dir, name);
	/* An address holds 107 bytes; a longer path is reached through a descriptor. */
	if (n > 0 && (size_t)n >= cap)
		n = snprintf(ret->sun_path, cap, "/proc/self/fd/%d/%s", dirfd, name);
	return n > 0 && (size_t)n < cap ? 0 : -ENAMETOOLONG;
}

int control_connect(const struct instance *i, const char *socket_name, struct lodge_err *e)
{
	struct sockaddr_un a;
	autoclose int dir = open(i->runtime, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_set(e, ENOTCONN, "%s is not running", i->name);
	autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(e, "a socket");
	int r = socket_address(dir, i->runtime, socket_name, &a);
	if (r < 0)
		return err_set(e, -r, "%s: too long a path", socket_name);
	if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0) {
		if (errno == ECONNREFUSED || errno == ENOENT)
			return err_set(e, ENOTCONN, "%s is not running", i->name);
		return err_sys(e, "%s/%s", i->runtime, socket_name);
	}
	return take_fd(&fd);
}

static int send_all(int fd, const char *p, size_t len)
{
	while (len) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int control_send(int fd, const char *method, const char *path, bool upgrade,
		 struct json_object *body, struct lodge_err *e)
{
	autofree char *text = NULL;
	const char *json = body ? json_object_to_json_string_ext(body, 0) : "";
	int n = asprintf(&text,
			 "%s %s HTTP/1.1\r\nHost: lodge\r\nConnection: %s\r\n%s"
			 "Content-Length: %zu\r\n\r\n%s",
			 method, path, upgrade ? "Upgrade" : "close",
			 upgrade ? "Upgrade: lodge-console\r\n" : "", strlen(json), json);
	if (n < 0) {
		text = NULL;
		return err_set(e, ENOMEM, "out of memory");
	}
	int r = send_all(fd, text, (size_t)n);
	return r < 0 ? err_set(e, -r, "the keeper does not listen: %s", strerror(-r)) : 0;
}

/* Exactly @len bytes; fewer: the keeper has gone. */
static ssize_t receive_some(int fd, char *buf, size_t len)
{
	size_t have = 0;
	while (have < len) {
		ssize_t n = recv(fd, buf + have, len - have, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		have += (size_t)n;
	}
	return (ssize_t)have;
}

/* The head, byte by byte: what follows belongs to another reader. */
static int receive_head(int fd, char *buf, size_t cap)
{
	size_t n = 0;
	while (n + 1 < cap) {
		ssize_t r = receive_some(fd, buf + n, 1);
		if (r <= 0)
			return r < 0 ? (int)r : -ECONNRESET;
		buf[++n] = 0;
		if (n >= 4 && !memcmp(buf + n - 4, "\r\n\r\n", 4))
			return 0;
	}
	return -EMSGSIZE;
}

static int error_from(struct json_object *body, unsigned status, struct lodge_err *e)
{
	struct json_object *err = NULL;
	const char *msg = NULL;
	int64_t code = 0;
	if (body && json_object_object_get_ex(body, "error", &err) &&
	    json_i64(err, "errno", &code) && json_text(err, "message", &msg) && code > 0 &&
	    code < 4096)
		return err_set(e, (int)code, "%s", msg);
	return err_set(e, EIO, "the keeper answers with status %u", status);
}

int control_receive(int fd, struct json_object **ret, struct lodge_err *e)
{
	char head[HEAD_MAX] = "";
	unsigned status = 0;
	struct json_object *o = NULL;
	int r = receive_head(fd, head, sizeof head);
	if (r < 0)
		return err_set(e, ECONNRESET, "the keeper has gone");
	if (sscanf(head, "HTTP/1.%*u %u", &status) != 1)
		return err_set(e, EPROTO, "the keeper does not speak HTTP");
	const char *cl = strcasestr(head, "\r\nContent-Length:");
	unsigned long long len = cl ? strtoull(cl + 17, NULL, 10) : 0;
	if (len > BODY_MAX)
		return err_set(e, EMSGSIZE, "the keeper's answer is too long");
	autofree char *body = malloc(len + 1);
	if (!body)
		return err_set(e, ENOMEM, "out of memory");
	if (receive_some(fd, body, len) != (ssize_t)len)
		return err_set(e, ECONNRESET, "the keeper has gone");
	if (len && (r = json_parse(&o, body, len, e)) < 0)
		return err_in(e, r, "the keeper's answer");
	if (status >= 400) {
		r = error_from(o, status, e);
		json_object_put(o);
		return r;
	}
	if (ret)
		*ret = o;
	else
		json_object_put(o);
	return 0;
}

int control_call(const struct instance *i, const char *method, const char *path,
		 struct json_object *body, struct json_object **ret, struct lodge_err *e)
{
	autoclose int fd = control_connect(i, "control.sock", e);
	if (fd < 0)
		return fd;
	int r = control_send(fd, method, path, false, body, e);
	return r < 0 ? r : control_receive(fd, ret, e);
}
