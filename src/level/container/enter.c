/* SPDX-License-Identifier: Apache-2.0 */
/* lodge exec: one more program in a container that a keeper has, by the runtime's exec. */
#include "level/container/spec.h"
#include "level/container/stay.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>

enum { LOG_MAX = 1 << 20, FIXED = 24 };

const char *inspected_text(struct json_object *o, const char *key)
{
	struct json_object *v = NULL;
	return json_object_object_get_ex(o, key, &v) ? json_object_get_string(v) : NULL;
}

/* How many ids its user namespace has from 0 on. */
static uint32_t ids_of(struct json_object *inspected)
{
	struct json_object *pid = NULL;
	char path[64];
	unsigned inside, count, n = 0;
	json_object_object_get_ex(inspected, "pid", &pid);
	snprintf(path, sizeof path, "/proc/%d/uid_map", json_object_get_int(pid));
	FILE *f = fopen(path, "re");
	while (f && fscanf(f, "%u %*u %u", &inside, &count) == 2 && inside == n)
		n += count;
	if (f)
		fclose(f);
	return n;
}

struct words {
	const char **at;
	size_t n;
};

static void word_add(struct words *w, const char *one, const char *two)
{
	w->at[w->n++] = one;
	if (two)
		w->at[w->n++] = two;
}

static void program_add(struct words *w, const struct lodge_exec_config *c, const char *id)
{
	for (size_t i = 0; i < c->nenv; i++)
		word_add(w, "--env", c->env[i]);
	if (c->tty)
		word_add(w, "--tty", NULL);
	if (c->cwd)
		word_add(w, "--cwd", c->cwd);
	word_add(w, id, NULL);
	for (size_t i = 0; i < c->argc; i++)
		word_add(w, c->argv[i], NULL);
	if (!c->argc && c->shell)
		word_add(w, "/bin/sh", "-l");
	w->at[w->n] = NULL;
}

int container_enter(struct json_object *inspected, const struct lodge_exec_config *c, int log,
		    struct lodge_err *e)
{
	struct json_object *o = NULL;
	char program[PATH_MAX], file[32], user[32] = "";
	unsigned uid = 0, gid = 0;
	json_object_object_get_ex(inspected, "container", &o);
	const char *id = inspected_text(o, "id"), *states = inspected_text(o, "states");
	const char *root = inspected_text(o, "root");
	if (!id || !states || !root)
		return err_set(e, ESRCH, "the container does not run");
	if (!strcmp(inspected_text(o, "status"), "paused"))
		return err_set(e, EBUSY, "the container is paused; resume it first");
	int r = runtime_find(program, e);
	if (r == 0 && c->user)
		r = spec_user(root, c->user, ids_of(o), &uid, &gid, e);
	if (r < 0)
		return r;
	struct words w = {calloc(FIXED + c->argc + 2 * c->nenv, sizeof *w.at), 0};
	if (!w.at)
		return err_set(e, ENOMEM, "out of memory");
	/* by number: the runtime opens it anew, and hands nothing on */
	snprintf(file, sizeof file, "/dev/fd/%d", log);
	snprintf(user, sizeof user, "%u:%u", uid, gid);
	word_add(&w, "lodge-oci", NULL);
	word_add(&w, "--root", states);
	word_add(&w, "--log", file);
	word_add(&w, "exec", NULL);
	if (c->user)
		word_add(&w, "--user", user);
	program_add(&w, c, id);
	(void)fcntl(log, F_SETFD, 0);
	execv(program, (char *const *)(uintptr_t)w.at);
	r = err_sys(e, "%s", program);
	free(w.at);
	return r;
}

/* 255 is the runtime's own for failures, and may be the program's. */
int container_entered(int code, int log)
{
	char text[4096];
	ssize_t n = pread(log, text, sizeof text - 1, 0);
	if (code != 255 || n <= 0)
		return code;
	text[n] = 0;
	if (!strstr(text, "level=error"))
		return code;
	int r = runtime_errno(text);
	return r == ENOENT ? LODGE_EXIT_NOT_FOUND : r == EACCES ? LODGE_EXIT_CANNOT
								 : LODGE_EXIT_LODGE;
}
