/* SPDX-License-Identifier: Apache-2.0 */
/* `lodge run IMAGE`: this process becomes the parent of a container, which gets its terminal, its
 * files and its signals, and whose exit code is ours. Or a keeper has it: keeper.c. */
#include "level/container/stay.h"
#include "net/net.h"
#include <fcntl.h>
#include <sys/prctl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* ---- what the guest is ---- */

static int store_get(struct image_store **ret, struct lodge_err *e)
{
	char path[PATH_MAX];
	autofree char *data = life_home("data");
	if (!data || snprintf(path, sizeof path, "%s/images", data) >= PATH_MAX)
		return err_set(e, ENOMEM, "out of memory");
	/* looking makes no folder */
	if (access(path, F_OK) < 0)
		return err_set(e, ENOENT, "there are no images");
	return image_store_open(ret, path, e);
}

static bool image_there(const char *name)
{
	struct image_store *s = NULL;
	char full[REF_TEXT];
	bool there = store_get(&s, NULL) == 0 && image_find_name(s, name, full, NULL) == 0;
	image_store_close(s);
	return there;
}

int container_claims(const struct lodge_config *c)
{
	const char *g = c->guest;
	if (!g || c->kernel || c->firmware || c->root)
		return 0;
	struct stat st;
	if (stat(g, &st) == 0) {
		if (!S_ISDIR(st.st_mode))
			return 0;
		return path_has(g, "config.json") || path_has(g, "bin") || path_has(g, "usr/bin")
			   ? 60
			   : 0;
	}
	return image_there(g) ? 80 : 0;
}

static void runtime_become(const struct stay *s, const sigset_t *mask)
{
	char state[PATH_MAX], log[PATH_MAX];
	snprintf(state, sizeof state, "%s/state", s->folder);
	snprintf(log, sizeof log, "%s/log", s->folder);
	sigprocmask(SIG_SETMASK, mask, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execl(s->program, "lodge-oci", "--root", state, "--log", log, "run", "--bundle", s->bundle,
	      s->id, (char *)NULL);
	_exit(LODGE_EXIT_LODGE);
}

/* What is sent to us is for the container; the terminal's signals reach it by themselves. */
static int runtime_wait(pid_t child, const sigset_t *set)
{
	for (;;) {
		siginfo_t i;
		int status, sig = sigwaitinfo(set, &i);
		if (sig > 0 && sig != SIGCHLD && i.si_code <= 0)
			kill(child, sig);
		if (sig == SIGCHLD && waitpid(child, &status, WNOHANG) == child)
			return host_exit_code(status);
	}
}

/* 1 is the runtime's own exit code for failures, which it has told, and may be the program's. */
static int runtime_code(const struct stay *s, int code)
{
	autoclose int dir = open(s->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autofree char *text = NULL;
	size_t len;
	if (code != 1 || file_load(dir, "log", 1 << 20, &text, &len, NULL) < 0 ||
	    !strstr(text, "level=error"))
		return code;
	int r = runtime_errno(text);
	return r == ENOENT ? LODGE_EXIT_NOT_FOUND : r == EACCES ? LODGE_EXIT_CANNOT
								 : LODGE_EXIT_LODGE;
}

static int stay_run(struct stay *s, int *ret_code, struct lodge_err *e)
{
	static const int passed[] = {SIGHUP,  SIGINT,  SIGQUIT,  SIGTERM, SIGUSR1,
				     SIGUSR2, SIGCONT, SIGWINCH, SIGCHLD};
	sigset_t set, before;
	int r = stay_guard(s, e);
	if (r < 0)
		return r;
	sigemptyset(&set);
	for (size_t i = 0; i < countof(passed); i++)
		sigaddset(&set, passed[i]);
	sigprocmask(SIG_BLOCK, &set, &before);
	pid_t child = fork();
	if (child == 0)
		runtime_become(s, &before);
	if (child < 0)
		r = err_sys(e, "a process");
	else
		*ret_code = runtime_code(s, runtime_wait(child, &set));
	return r;
}

int container_become(const struct lodge_config *c, struct lodge_err *e)
{
	struct stat st;
	struct stay s = {STAY_NONE,
			 .c = c,
			 .guest = c->guest,
			 .of_image = stat(c->guest, &st) < 0,
			 .terminal = c->flags & LODGE_TTY && isatty(0)};
	int code = LODGE_EXIT_LODGE, r = stay_make(&s, e);
	if (r == 0)
		r = stay_run(&s, &code, e);
	stay_end(&s);
	if (r == 0)
		_exit(code);
	return r;
}
