/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/internal.h"
#include <ctype.h>
#include <stdio.h>

static const struct runtime_option options[] = {
    {"console-socket", 0, RT_TEXT, "socket that takes the master of the terminal"},
    {"cwd", 0, RT_TEXT, "folder to begin in"},
    {"env", 'e', RT_LIST, "KEY=VALUE, more of the environment"},
    {"tty", 't', RT_FLAG, "with a terminal"},
    {"user", 'u', RT_TEXT, "UID[:GID]"},
    {"additional-gids", 'g', RT_LIST, "more groups"},
    {"process", 'p', RT_TEXT, "file with the process, as in config.json"},
    {"detach", 'd', RT_FLAG, "leave it running"},
    {"pid-file", 0, RT_TEXT, "file for the number of the process"},
    {"process-label", 0, RT_TEXT, "label of SELinux"},
    {"apparmor", 0, RT_TEXT, "profile of AppArmor"},
    {"no-new-privs", 0, RT_FLAG, "no way to gain rights"},
    {"cap", 'c', RT_LIST, "one more capability"},
    {"preserve-fds", 0, RT_NUMBER, "descriptors after standard error that stay open"},
    {"cgroup", 0, RT_TEXT, "[CONTROLLER:]PATH, a group below the container's"},
    {"ignore-paused", 0, RT_FLAG, "also in a paused container: it begins when that goes on"},
};

/* ---- the container's own process, changed ---- */

bool user_read(const char *text, uint32_t *ret_uid, uint32_t *ret_gid)
{
	char *end;
	unsigned long uid = strtoul(text, &end, 10), gid = *ret_gid;
	if (end != text && *end == ':' && isdigit((unsigned char)end[1]))
		gid = strtoul(end + 1, &end, 10);
	if (end == text || *end || !isdigit((unsigned char)*text) || uid > UINT32_MAX ||
	    gid > UINT32_MAX)
		return false;
	*ret_uid = (uint32_t)uid;
	*ret_gid = (uint32_t)gid;
	return true;
}

static int user_change(struct oci_doc *d, const char *text)
{
	struct oci_user *u = oci_doc_alloc(d, sizeof *u);
	if (!u)
		return say_text("out of memory");
	if (d->process->user)
		*u = *d->process->user;
	uint32_t uid = 0, gid = (uint32_t)u->gid.v;
	if (!user_read(text, &uid, &gid))
		return say_text("--user %s: UID[:GID] in numbers", text);
	u->uid = (struct oci_uint){uid, true};
	u->gid = (struct oci_uint){gid, true};
	d->process->user = u;
	return 0;
}

static int groups_add(struct oci_doc *d, const char *const *more, size_t n)
{
	struct oci_user *u = oci_doc_alloc(d, sizeof *u);
	const struct oci_numbers none = {0};
	const struct oci_numbers *old =
	    d->process->user ? &d->process->user->additional_gids : &none;
	uint32_t *all = oci_doc_alloc(d, (old->n + n + 1) * sizeof *all);
	if (!u || !all)
		return say_text("out of memory");
	if (d->process->user)
		*u = *d->process->user;
	for (size_t i = 0; i < old->n; i++)
		all[i] = old->at[i];
	for (size_t i = 0; i < n; i++) {
		char *end;
		unsigned long gid = strtoul(more[i], &end, 10);
		if (*end || end == more[i] || gid > UINT32_MAX)
			return say_text("--additional-gids %s: not a number", more[i]);
		all[old->n + i] = (uint32_t)gid;
	}
	u->additional_gids = (struct oci_numbers){all, old->n + n};
	d->process->user = u;
	return 0;
}

static int texts_join(struct oci_doc *d, struct oci_texts *t, const char *const *more, size_t n)
{
	const char **all = oci_doc_alloc(d, (t->n + n + 1) * sizeof *all);
	if (!all)
		return say_text("out of memory");
	for (size_t i = 0; i < t->n; i++)
		all[i] = t->at[i];
	for (size_t i = 0; i < n; i++)
		all[t->n + i] = more[i];
	*t = (struct oci_texts){all, t->n + n, true};
	return 0;
}

static int capabilities_add(struct oci_doc *d, const char *const *more, size_t n)
{
	struct oci_capabilities *c = oci_doc_alloc(d, sizeof *c);
	if (!c)
		return say_text("out of memory");
	for (size_t i = 0; i < n; i++)
		if (box_capability_find(more[i]) < 0)
			return say_text("--cap %s: there is no such capability", more[i]);
	if (d->process->capabilities)
		*c = *d->process->capabilities;
	d->process->capabilities = c;
	int r = texts_join(d, &c->bounding, more, n);
	if (r == 0)
		r = texts_join(d, &c->effective, more, n);
	return r == 0 ? texts_join(d, &c->permitted, more, n) : r;
}

static int process_change(struct runtime_call *c, struct oci_doc *d)
{
	struct oci_process *p = d->process;
	size_t n;
	int r = 0;
	p->args = (struct oci_texts){c->operands + 1, c->n - 1, true};
	p->terminal = call_flag(c, "tty");
	p->cwd = call_text(c, "cwd") ? call_text(c, "cwd") : p->cwd;
	p->no_new_privileges |= call_flag(c, "no-new-privs");
	p->apparmor_profile = call_text(c, "apparmor") ? call_text(c, "apparmor")
	                                               : p->apparmor_profile;
	p->selinux_label = call_text(c, "process-label") ? call_text(c, "process-label")
	                                                 : p->selinux_label;
	if (call_text(c, "user"))
		r = user_change(d, call_text(c, "user"));
	const char *const *list = call_list(c, "additional-gids", &n);
	if (r == 0 && n)
		r = groups_add(d, list, n);
	list = call_list(c, "env", &n);
	if (r == 0 && n)
		r = texts_join(d, &p->env, list, n);
	list = call_list(c, "cap", &n);
	return r == 0 && n ? capabilities_add(d, list, n) : r;
}

/* From a file, or the container's own with what the options say. */
static int process_read(struct runtime_call *c, const struct container *one, struct oci_doc *ret)
{
	const char *file = call_text(c, "process");
	struct lodge_err e;
	char *text = NULL;
	size_t len = 0;
	if (!file && c->n < 2)
		return say_text("process args cannot be empty");
	if (machine_is(one))
		return machine_exec(c, one, ret);
	if (!file) {
		if (container_config(one, ret, &e) < 0)
			return say_error(&e);
		return ret->process ? process_change(c, ret)
		                    : say_text(".process: the configuration has none");
	}
	int r = text_read(file, &text, &len, &e);
	if (r == 0)
		r = oci_process_read(ret, text, len, &e);
	free(text);
	if (r == 0 && !ret->process->args.n)
		return say_text("process args cannot be empty");
	return r < 0 ? say_error(&e) : 0;
}

static int exec_here(struct runtime_call *c, struct container *one, struct container_exec *x,
                     bool detach)
{
	struct foreground f = {.signals = -1, .ends = {-1, -1}, .master = -1};
	struct lodge_err e;
	pid_t pid = 0;
	(void)c;
	if (!detach && foreground_begin(&f, x->process->terminal && !x->console_socket, &e) < 0)
		return say_error(&e);
	x->terminal = f.ends[1];
	if (container_exec(one, x, &pid, &e) < 0)
		return say_error(&e), EXIT_LOST;
	return detach ? 0 : foreground_wait(&f, pid);
}

static int exec_run(struct runtime_call *c)
{
	struct container one;
	struct oci_doc doc = {0};
	int64_t keep = 0;
	int bad = 0;
	struct container_exec x = {.console_socket = call_text(c, "console-socket"),
				   .pid_file = call_text(c, "pid-file"),
				   .cgroup = call_text(c, "cgroup"),
				   .ignore_paused = call_flag(c, "ignore-paused"),
				   .runtime = guard_path(),
				   .terminal = -1};
	bool detach = call_flag(c, "detach");
	if (call_number(c, "preserve-fds", &keep, &bad) && (keep < 0 || keep > c->inherited))
		return say_text("--preserve-fds %lld: so many are not open", (long long)keep);
	if (bad)
		return bad;
	x.preserve_fds = (unsigned)keep;
	int r = call_container(c, false, &one);
	if (r)
		return EXIT_LOST;
	r = process_read(c, &one, &doc) ? EXIT_LOST : 0;
	x.process = doc.process;
	if (r == 0 && detach && x.process->terminal && !x.console_socket)
		r = say_text(
		    "cannot allocate tty if runc will detach without setting console socket");
	if (r == 0)
		r = exec_here(c, &one, &x, detach);
	oci_doc_fini(&doc);
	container_fini(&one);
	return r;
}

const struct runtime_command runtime_exec = {
    .name = "exec",
    .operands = "ID [COMMAND [ARG...]]",
    .summary = "run one more process in a container; the exit code is its own",
    .options = options,
    .noptions = countof(options),
    .min = 1,
    .max = SIZE_MAX,
    .stop_at_operand = true,
    .guarded = true,
    .run = exec_run,
};
