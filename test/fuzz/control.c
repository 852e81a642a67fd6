/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz: requests to a keeper, without its network. An input is lines "METHOD PATH QUERY", each
 * followed by a line with the body; all go to one keeper of a toy guest. */
#include "life/fake_level.h"
#include "life/internal.h"
#include <fcntl.h>
#include <sys/socket.h>

struct rig {
	struct keeper k;
	struct instance *inst;
	int far;
};

static const char *rig_query(void *arg, const char *key)
{
	return !strcmp(key, "replay") ? arg : NULL;
}

static void rig_begin(struct rig *r)
{
	char home[] = "/dev/shm/lodge-fuzz-XXXXXX";
	static const char *const options[] = {"cgroup=off"};
	struct lodge_config c = {
	    .size = sizeof c, .guest = "fake", .options = options, .noptions = 1};
	struct life_record rec = {.state = LIFE_CREATED};
	int pair[2];
	if (!mkdtemp(home))
		abort();
	setenv("XDG_DATA_HOME", home, 1);
	setenv("XDG_RUNTIME_DIR", home, 1);
	struct json_object *doc = life_config_json(&c);
	if (instance_new(&r->inst, "fuzz", NULL) < 0 ||
	    instance_publish(r->inst, doc, &rec, NULL) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		abort();
	json_object_put(doc);
	r->far = pair[0];
	r->k = (struct keeper){
	    .inst = r->inst, .level = &fake_level, .leash = pair[1], .signal_fd = -1};
	struct lodge_err e;
	if (keeper_build(&r->k, &e) < 0)
		abort();
}

static void rig_end(struct rig *r)
{
	char *home = strdup(getenv("XDG_DATA_HOME"));
	keeper_fini(&r->k);
	close(r->k.leash);
	close(r->far);
	instance_free(r->inst);
	if (home && file_remove_tree(AT_FDCWD, home, NULL) < 0)
		abort();
	free(home);
}

static void rig_request(struct rig *r, char *line, const char *body)
{
	char *rest = line, *method = strsep(&rest, " "), *path = rest ? strsep(&rest, " ") : NULL;
	char none[] = "";
	struct control_reply reply;
	struct control_request q = {.method = method,
				    .path = path ? path : none,
				    .query = rig_query,
				    .arg = rest,
				    .body = body ? body : none,
				    .body_len = body ? strlen(body) : 0};
	control_handle(&r->k, &q, &reply);
	if (reply.kind == CONTROL_REPLY)
		assert(reply.status >= 200 && reply.status < 600);
	if (reply.status >= 400)
		assert(reply.body);
	if (reply.body)
		assert(strlen(json_object_to_json_string(reply.body)) > 0);
	free(reply.text);
	json_object_put(reply.body);
}

/* One keeper for all inputs that leave it as it was: building one is slow. */
static struct rig rig;

static void rig_leave(void)
{
	if (rig.inst)
		rig_end(&rig);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static bool registered;
	if (len > 4096)
		return 0;
	autofree char *text = calloc(1, len + 1);
	if (!text)
		return 0;
	memcpy(text, data, len);
	if (!rig.inst) {
		rig_begin(&rig);
		if (!registered)
			atexit(rig_leave);
		registered = true;
	}
	char *rest = text;
	for (int n = 0; rest && n < 32; n++) {
		char *line = strsep(&rest, "\n");
		char *body = rest ? strsep(&rest, "\n") : NULL;
		rig_request(&rig, line, body);
	}
	if (rig.k.record.state != LIFE_CREATED || rig.k.end_posted) {
		rig_end(&rig);
		rig = (struct rig){0};
	}
	return 0;
}
