/* SPDX-License-Identifier: Apache-2.0 */
/* What a keeper answers to a request; docs/openapi.yaml is the description for others. No network
 * here, so that all of it can be tested and fuzzed. */
#include "life/internal.h"
#include <limits.h>
#include <stdio.h>

static void reply_error(struct control_reply *ret, unsigned status, int code, const char *msg)
{
	ret->status = status;
	ret->body = json_error(code, msg);
}

static unsigned status_of(int r)
{
	switch (-r) {
	case EINVAL: return 400;
	case ENOENT: return 404;
	case EEXIST:
	case EBUSY: return 409;
	case EOPNOTSUPP: return 501;
	default: return 500;
	}
}

/* The body as an object; an empty one is {}. */
static int body_parse(const struct control_request *q, struct json_object **ret,
		      struct lodge_err *e)
{
	if (q->body_len == 0) {
		*ret = json_object_new_object();
		return 0;
	}
	int r = json_parse(ret, q->body, q->body_len, e);
	if (r == 0 && !json_object_is_type(*ret, json_type_object)) {
		json_object_put(*ret);
		*ret = NULL;
		return err_set(e, EINVAL, "the body must be a JSON object");
	}
	return r;
}

static int handle_guest(struct keeper *k, const struct control_request *q,
			struct control_reply *ret, struct lodge_err *e)
{
	(void)q;
	(void)e;
	ret->body = json_object_new_object();
	keeper_describe(k, ret->body);
	return 0;
}

static int handle_stats(struct keeper *k, const struct control_request *q,
			struct control_reply *ret, struct lodge_err *e)
{
	(void)q;
	(void)e;
	ret->body = json_object_new_object();
	keeper_stats(k, ret->body);
	return 0;
}

static int handle_metrics(struct keeper *k, const struct control_request *q,
			  struct control_reply *ret, struct lodge_err *e)
{
	struct json_object *o = json_object_new_object(), *a = json_object_new_array();
	const struct lodge_config *c = &k->config->c;
	(void)q;
	keeper_stats(k, o);
	json_put_text(o, "level", k->level->name);
	json_put_text(o, "guest", c->guest ? c->guest : c->kernel);
	json_object_array_add(a, o);
	ret->kind = CONTROL_TEXT;
	ret->text = life_metrics(a);
	json_object_put(a);
	return ret->text ? 0 : err_set(e, ENOMEM, "out of memory");
}

static int handle_wait(struct keeper *k, const struct control_request *q, struct control_reply *ret,
		       struct lodge_err *e)
{
	if (k->gone)
		return handle_guest(k, q, ret, e);
	ret->kind = CONTROL_WAIT;
	return 0;
}

static int handle_console(struct keeper *k, const struct control_request *q,
			  struct control_reply *ret, struct lodge_err *e)
{
	const char *v = q->query ? q->query(q->arg, "replay") : NULL;
	(void)k;
	ret->kind = CONTROL_CONSOLE;
	return v ? life_parse_size(v, &ret->replay, e) : 0;
}

static int handle_events(struct keeper *k, const struct control_request *q,
			 struct control_reply *ret, struct lodge_err *e)
{
	(void)k;
	(void)q;
	(void)e;
	ret->kind = CONTROL_EVENTS;
	return 0;
}

static int handle_resize(struct keeper *k, const struct control_request *q,
			 struct control_reply *ret, struct lodge_err *e)
{
	struct json_object *o = NULL;
	int64_t rows = 0, columns = 0;
	(void)ret;
	int r = body_parse(q, &o, e);
	if (r < 0)
		return r;
	bool good = json_i64(o, "rows", &rows) && json_i64(o, "columns", &columns) && rows >= 0 &&
		    columns >= 0 && rows <= USHRT_MAX && columns <= USHRT_MAX;
	json_object_put(o);
	if (!good)
		return err_set(e, EINVAL, "rows and columns from 0 to 65535 are needed");
	keeper_resize(k, (unsigned)rows, (unsigned)columns);
	return 0;
}

static int handle_rename(struct keeper *k, const struct control_request *q,
			 struct control_reply *ret, struct lodge_err *e)
{
	struct json_object *o = NULL;
	const char *name = NULL;
	(void)ret;
	int r = body_parse(q, &o, e);
	if (r < 0)
		return r;
	json_text(o, "name", &name);
	r = name ? keeper_rename(k, name, e) : err_set(e, EINVAL, "a name is needed");
	json_object_put(o);
	return r;
}

static int handle_verb(struct keeper *k, const struct control_request *q, struct control_reply *ret,
		       struct lodge_err *e)
{
	struct json_object *args = NULL;
	int r = body_parse(q, &args, e);
	if (r < 0)
		return r;
	r = keeper_verb(k, q->path + strlen("/v1/"), args, e);
	json_object_put(args);
	if (r == 0) {
		ret->body = json_object_new_object();
		json_put_text(ret->body, "state", life_name(k->record.state));
		json_object_object_add(ret->body, "asked", json_object_new_boolean(k->asked));
		if (k->limiter.warnings[0])
			json_put_text(ret->body, "not_enforced", k->limiter.warnings);
	}
	return r;
}

static const struct route {
	const char *method, *path;
	int (*handle)(struct keeper *, const struct control_request *, struct control_reply *,
		      struct lodge_err *);
} routes[] = {
    {"GET", "/v1/guest", handle_guest},         {"GET", "/v1/stats", handle_stats},
    {"GET", "/v1/metrics", handle_metrics},
    {"GET", "/v1/wait", handle_wait},           {"GET", "/v1/console", handle_console},
    {"PUT", "/v1/console/size", handle_resize}, {"GET", "/v1/events", handle_events},
    {"POST", "/v1/rename", handle_rename},
#define FROM(s)                           0
#define VERB(name, from, to, fn, summary) {"POST", "/v1/" #name, handle_verb},
#include "life/verbs.def"
};

bool control_route(size_t i, const char **ret_method, const char **ret_path)
{
	if (i >= countof(routes))
		return false;
	*ret_method = routes[i].method;
	*ret_path = routes[i].path;
	return true;
}

void control_handle(struct keeper *k, const struct control_request *q, struct control_reply *ret)
{
	struct lodge_err e = {0};
	bool known = false;
	*ret = (struct control_reply){.kind = CONTROL_REPLY, .status = 200};
	for (size_t i = 0; i < countof(routes); i++) {
		if (strcmp(q->path, routes[i].path))
			continue;
		known = true;
		if (strcmp(q->method, routes[i].method))
			continue;
		int r = routes[i].handle(k, q, ret, &e);
		if (r < 0) {
			ret->kind = CONTROL_REPLY;
			reply_error(ret, status_of(r), -r, e.msg);
		}
		return;
	}
	if (known)
		reply_error(ret, 405, EINVAL, "this path has another method");
	else
		reply_error(ret, 404, ENOENT, "no such path; openapi.yaml lists them");
}
