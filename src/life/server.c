/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket: libmicrohttpd (HTTP/1.1) on our own listening socket and our own loop, by
 * its epoll descriptor; no thread of its own. */
#include "life/internal.h"
#include <microhttpd.h>
#include <stdio.h>
#include <sys/epoll.h>

enum { BODY_MAX = 64 << 10, CONNECTIONS = 64, CONNECTION_MEMORY = 16 << 10 };
enum { STREAM_MAX = 64 << 10 }; /* events that a slow listener is behind */

struct server {
	struct MHD_Daemon *mhd;
	struct keeper *k; /* borrowed */
	struct loop_watch *watch;
	struct loop_timer *timer;
	struct request *waiting;
	struct request *streams; /* that listen to events */
	bool over;               /* no more events come */
};

/* One request, from its first header to its end. */
struct request {
	struct request *next; /* in server->waiting */
	struct server *s;
	struct MHD_Connection *con;
	char *body;
	size_t len;
	bool too_long;
	bool streams, sleeps; /* in server->streams; suspended until an event comes */
};

/* An upgraded connection: MHD owns the socket, console uses it. */
struct upgraded {
	struct server *s;
	struct MHD_UpgradeResponseHandle *handle;
	uint64_t replay;
};

static void server_run(struct server *s)
{
	MHD_UNSIGNED_LONG_LONG ms;
	MHD_run(s->mhd);
	loop_timer_set(s->timer, MHD_get_timeout(s->mhd, &ms) == MHD_YES
				     ? host_monotonic_ns() + ms * 1000000ull
				     : UINT64_MAX);
}

static void server_ready(void *arg, uint32_t events)
{
	(void)events;
	server_run(arg);
}

static void server_tick(void *arg) { server_run(arg); }

static const char *request_query(void *arg, const char *key)
{
	struct request *q = arg;
	return MHD_lookup_connection_value(q->con, MHD_GET_ARGUMENT_KIND, key);
}

static enum MHD_Result reply_text(struct MHD_Connection *con, unsigned status, const char *text,
				  size_t len, const char *type)
{
	autofree char *copy = malloc(len + 1);
	if (!copy)
		return MHD_NO;
	memcpy(copy, text, len);
	struct MHD_Response *r = MHD_create_response_from_buffer(len, copy, MHD_RESPMEM_MUST_COPY);
	if (!r)
		return MHD_NO;
	MHD_add_response_header(r, "Content-Type", type);
	enum MHD_Result ok = MHD_queue_response(con, status, r);
	MHD_destroy_response(r);
	return ok;
}

static enum MHD_Result reply_json(struct MHD_Connection *con, unsigned status,
				  struct json_object *body)
{
	size_t len = 0;
	const char *text = "";
	if (body)
		text =
		    json_object_to_json_string_length(body, JSON_C_TO_STRING_NOSLASHESCAPE, &len);
	return reply_text(con, status, text, len, "application/json");
}

/* ---- the console: an upgraded connection ---- */

static void upgraded_closed(void *arg)
{
	struct upgraded *u = arg;
	struct server *s = u->s;
	MHD_upgrade_action(u->handle, MHD_UPGRADE_ACTION_CLOSE);
	free(u);
	server_tick(s);
	keeper_client_gone(s->k);
}

static void upgrade_ready(void *cls, struct MHD_Connection *con, void *con_cls, const char *extra,
			  size_t extra_len, MHD_socket sock,
			  struct MHD_UpgradeResponseHandle *handle)
{
	struct upgraded *u = cls;
	(void)con;
	(void)con_cls;
	u->handle = handle;
	if (console_join(u->s->k->console, sock, u->replay, extra, extra_len, upgraded_closed, u,
			 NULL) < 0) {
		MHD_upgrade_action(handle, MHD_UPGRADE_ACTION_CLOSE);
		free(u);
	}
}

static enum MHD_Result reply_console(struct request *q, uint64_t replay)
{
	const char *want = MHD_lookup_connection_value(q->con, MHD_HEADER_KIND, "Upgrade");
	if (!want || strcasecmp(want, "lodge-console")) {
		struct json_object *o = json_error(EINVAL, "ask with 'Upgrade: lodge-console'");
		enum MHD_Result ok = reply_json(q->con, MHD_HTTP_UPGRADE_REQUIRED, o);
		json_object_put(o);
		return ok;
	}
	struct upgraded *u = calloc(1, sizeof *u);
	if (!u)
		return MHD_NO;
	*u = (struct upgraded){.s = q->s, .replay = replay};
	struct MHD_Response *r = MHD_create_response_for_upgrade(upgrade_ready, u);
	if (!r) {
		free(u);
		return MHD_NO;
	}
	MHD_add_response_header(r, "Upgrade", "lodge-console");
	enum MHD_Result ok = MHD_queue_response(q->con, MHD_HTTP_SWITCHING_PROTOCOLS, r);
	MHD_destroy_response(r);
	return ok;
}

/* ---- events: an answer that goes on; its lines wait in the request's body ---- */

static ssize_t stream_read(void *cls, uint64_t pos, char *buf, size_t max)
{
	struct request *q = cls;
	size_t n = q->len < max ? q->len : max;
	(void)pos;
	if (q->too_long)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (n == 0 && q->s->over)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (n == 0) {
		q->sleeps = true;
		MHD_suspend_connection(q->con);
		return 0;
	}
	memcpy(buf, q->body, n);
	q->len -= n;
	memmove(q->body, q->body + n, q->len);
	return (ssize_t)n;
}

static void stream_wake(struct request *q)
{
	if (q->sleeps)
		MHD_resume_connection(q->con);
	q->sleeps = false;
}

static enum MHD_Result reply_events(struct request *q)
{
	struct MHD_Response *r =
	    MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 4096, stream_read, q, NULL);
	if (!r)
		return MHD_NO;
	q->len = 0; /* of the request's body */
	q->streams = true;
	q->next = q->s->streams;
	q->s->streams = q;
	MHD_add_response_header(r, "Content-Type", "application/x-ndjson");
	enum MHD_Result ok = MHD_queue_response(q->con, MHD_HTTP_OK, r);
	MHD_destroy_response(r);
	return ok;
}

/* ---- requests ---- */

static void request_append(struct request *q, const char *data, size_t len)
{
	_Static_assert((int)STREAM_MAX == (int)BODY_MAX, "one buffer for both");
	char *bigger = q->len + len <= BODY_MAX ? realloc(q->body, q->len + len) : NULL;
	if (!bigger) {
		q->too_long = true;
		return;
	}
	memcpy(bigger + q->len, data, len);
	q->body = bigger;
	q->len += len;
}

static enum MHD_Result request_answer(struct request *q, const char *url, const char *method)
{
	struct server *s = q->s;
	struct control_request cq = {.method = method,
				     .path = url,
				     .query = request_query,
				     .arg = q,
				     .body = q->body,
				     .body_len = q->len};
	struct control_reply r;
	if (q->too_long) {
		r = (struct control_reply){.status = 413, .body = json_error(E2BIG, "long body")};
	} else {
		control_handle(s->k, &cq, &r);
	}
	if (r.kind == CONTROL_CONSOLE)
		return reply_console(q, r.replay);
	if (r.kind == CONTROL_TEXT) {
		enum MHD_Result ok = reply_text(q->con, r.status, r.text, strlen(r.text),
						"text/plain; version=0.0.4");
		free(r.text);
		return ok;
	}
	if (r.kind == CONTROL_EVENTS)
		return reply_events(q);
	if (r.kind == CONTROL_WAIT) {
		q->next = s->waiting;
		s->waiting = q;
		MHD_suspend_connection(q->con);
		return MHD_YES;
	}
	enum MHD_Result ok = reply_json(q->con, r.status, r.body);
	json_object_put(r.body);
	return ok;
}

static enum MHD_Result request_begin_or_go_on(void *cls, struct MHD_Connection *con,
					      const char *url, const char *method,
					      const char *version, const char *data, size_t *len,
					      void **con_cls)
{
	struct request *q = *con_cls;
	(void)version;
	if (!q) {
		q = calloc(1, sizeof *q);
		if (!q)
			return MHD_NO;
		q->s = cls;
		q->con = con;
		*con_cls = q;
		return MHD_YES;
	}
	if (*len) {
		request_append(q, data, *len);
		*len = 0;
		return MHD_YES;
	}
	return request_answer(q, url, method);
}

static void request_end(void *cls, struct MHD_Connection *con, void **con_cls,
			enum MHD_RequestTerminationCode code)
{
	struct server *s = cls;
	struct request *q = *con_cls;
	(void)con;
	(void)code;
	if (!q)
		return;
	for (struct request **p = q->streams ? &s->streams : &s->waiting; *p; p = &(*p)->next)
		if (*p == q) {
			*p = q->next;
			break;
		}
	free(q->body);
	free(q);
	*con_cls = NULL;
	keeper_client_gone(s->k);
}

/* ---- life of the server ---- */

static int server_watch(struct server *s, struct lodge_err *e)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->mhd, MHD_DAEMON_INFO_EPOLL_FD);
	if (!info || info->epoll_fd < 0)
		return err_set(e, EIO, "libmicrohttpd gives no epoll descriptor");
	int r = loop_timer_new(&s->timer, s->k->loop, NULL, server_tick, s, e);
	if (r == 0)
		r = loop_watch_new(&s->watch, s->k->loop, info->epoll_fd, EPOLLIN, NULL,
				   server_ready, s, e);
	return r;
}

int server_new(struct server **ret, struct keeper *k, int listen_fd, struct lodge_err *e)
{
	struct server *s = NULL;
	int r = host_library_load(&life_microhttpd, e);
	if (r == 0 && !(s = calloc(1, sizeof *s)))
		r = err_set(e, ENOMEM, "out of memory");
	if (r < 0) {
		close(listen_fd);
		return r;
	}
	s->k = k;
	s->mhd = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_UPGRADE | MHD_ALLOW_SUSPEND_RESUME, 0,
				  NULL, NULL, request_begin_or_go_on, s, MHD_OPTION_LISTEN_SOCKET,
				  listen_fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS,
				  MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
				  MHD_OPTION_NOTIFY_COMPLETED, request_end, s, MHD_OPTION_END);
	if (!s->mhd) {
		close(listen_fd);
		r = err_set(e, EIO, "libmicrohttpd does not start");
	} else {
		r = server_watch(s, e);
	}
	if (r < 0) {
		server_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void server_event(struct server *s, struct json_object *event)
{
	size_t len = 0;
	const char *text = json_object_to_json_string_length(
	    event, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
	for (struct request *q = s->streams; q; q = q->next) {
		request_append(q, text, len);
		request_append(q, "\n", 1);
		stream_wake(q);
	}
	if (s->streams) /* not from here: we may be in the middle of a request */
		loop_timer_set(s->timer, 0);
}

void server_ended(struct server *s)
{
	s->over = true;
	for (struct request *q = s->streams; q; q = q->next)
		stream_wake(q);
	while (s->waiting) {
		struct request *q = s->waiting;
		s->waiting = q->next;
		MHD_resume_connection(q->con);
	}
	/* A resumed request is handed to request_answer again, which now finds the guest gone. */
	server_run(s);
}

bool server_idle(const struct server *s)
{
	const union MHD_DaemonInfo *i =
	    MHD_get_daemon_info(s->mhd, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
	return !i || i->num_connections == 0;
}

void server_free(struct server *s)
{
	if (!s)
		return;
	if (s->watch)
		loop_watch_free(s->watch);
	if (s->timer)
		loop_timer_free(s->timer);
	s->over = true;
	for (struct request *q = s->streams; q; q = q->next)
		stream_wake(q);
	while (s->waiting) {
		struct request *q = s->waiting;
		s->waiting = q->next;
		MHD_resume_connection(q->con);
	}
	if (s->mhd)
		MHD_stop_daemon(s->mhd); /* closes the listening socket */
	free(s);
}
