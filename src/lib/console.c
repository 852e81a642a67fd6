/* SPDX-License-Identifier: Apache-2.0 */
/* The client's end of a console: one raw connection for the bytes, and one request that waits
 * for the exit code, made first so that it is there even when the guest's folder is not. */
#include "lib/lib.h"
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <sys/socket.h>

struct lodge_console {
	struct lodge_guest *g; /* borrowed */
	int sock, wait;
};

static int attach(struct lodge_console **ret, struct lodge_guest *g, uint64_t replay,
		  struct lodge_err *e)
{
	char path[64];
	snprintf(path, sizeof path, "/v1/console?replay=%llu", (unsigned long long)replay);
	autoclose int wait = control_connect(g->inst, "control.sock", e);
	autoclose int sock = wait < 0 ? -1 : control_connect(g->inst, "control.sock", e);
	if (sock < 0)
		return wait < 0 ? wait : -ENOTCONN;
	int r = control_send(wait, "GET", "/v1/wait", false, NULL, e);
	if (r == 0)
		r = control_send(sock, "GET", path, true, NULL, e);
	if (r == 0)
		r = control_receive(sock, NULL, e);
	if (r < 0)
		return err_in(e, r, "attaching to %s", g->inst->name);
	if (fcntl(sock, F_SETFL, O_NONBLOCK) < 0)
		return err_sys(e, "the console");
	struct lodge_console *c = malloc(sizeof *c);
	if (!c)
		return err_set(e, ENOMEM, "out of memory");
	*c = (struct lodge_console){g, take_fd(&sock), take_fd(&wait)};
	*ret = c;
	return 0;
}

int lodge_attach(struct lodge_console **ret, struct lodge_guest *g, uint64_t replay,
		 struct lodge_err *e)
{
	int r = guest_own(g, "attach", e);
	if (r == 0)
		r = guest_wake(g, e);
	if (r >= 0)
		r = attach(ret, g, replay, e);
	if (r < 0 && guest_dozes(g) && (r = guest_wake(g, e)) >= 0) /* it fell asleep just now */
		r = attach(ret, g, replay, e);
	return r < 0 ? r : 0;
}

int lodge_console_fd(const struct lodge_console *c) { return c->sock; }

long lodge_console_read(struct lodge_console *c, void *buf, size_t cap)
{
	ssize_t n;
	do
		n = recv(c->sock, buf, cap, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? 0 : -errno;
	return n;
}

long lodge_console_write(struct lodge_console *c, const void *buf, size_t len)
{
	ssize_t n;
	do
		n = send(c->sock, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

int lodge_console_resize(struct lodge_console *c, unsigned rows, unsigned columns)
{
	struct json_object *o = json_object_new_object();
	json_object_object_add(o, "rows", json_object_new_int64(rows));
	json_object_object_add(o, "columns", json_object_new_int64(columns));
	int r = control_call(c->g->inst, "PUT", "/v1/console/size", o, NULL, NULL);
	json_object_put(o);
	return r;
}

int lodge_console_exit(struct lodge_console *c, int *ret_exit_code, struct lodge_err *e)
{
	return guest_exit(c->g, c->wait, ret_exit_code, e);
}

void lodge_console_close(struct lodge_console *c)
{
	if (!c)
		return;
	close(c->sock);
	close(c->wait);
	free(c);
}
