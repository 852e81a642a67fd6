/* SPDX-License-Identifier: Apache-2.0 */
/* The way in: namespaces, processes, mounts, network, rights, in this order. namespaces(7),
 * capabilities(7) */
#include "box/internal.h"
#include <linux/capability.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

enum { PROCESSES = 4096, FIRST_FD = 3 };
#define SPACES                                                                                     \
	(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWCGROUP)

int rights_drop(struct lodge_err *e)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {{0}};
	unsigned long c = 0;
	while (prctl(PR_CAPBSET_DROP, c, 0, 0, 0) == 0)
		c++;
	if (c == 0 || errno != EINVAL) /* that is of the first one that there is not */
		return err_sys(e, "--isolate: dropping capabilities");
	(void)!prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (syscall(SYS_capset, &head, none) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(e, "--isolate: dropping capabilities");
	return 0;
}

static void limit_set(int what, rlim_t most)
{
	struct rlimit l;
	if (getrlimit((__rlimit_resource_t)what, &l) < 0)
		return;
	l.rlim_max = l.rlim_max > most ? most : l.rlim_max;
	l.rlim_cur = l.rlim_cur > most ? most : l.rlim_cur;
	(void)!setrlimit((__rlimit_resource_t)what, &l);
}

/* What the caller's environment says of it stays outside. */
static int environment_clear(struct lodge_err *e)
{
	static const char *const keep[] = {"TERM", "LANG", "LC_ALL", "TZ", "COLUMNS", "LINES"};
	char *value[countof(keep)] = {NULL};
	for (size_t i = 0; i < countof(keep); i++) {
		const char *v = getenv(keep[i]);
		value[i] = v ? strdup(v) : NULL;
	}
	int bad = clearenv();
	for (size_t i = 0; i < countof(keep); i++)
		if (value[i])
			bad |= setenv(keep[i], value[i], 1);
	bad |= setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
	bad |= setenv("HOME", "/", 1);
	for (size_t i = 0; i < countof(keep); i++)
		free(value[i]);
	return bad ? err_set(e, ENOMEM, "out of memory") : 0;
}

/* In the process that becomes the program. */
static int program_enter(struct lodge_err *e)
{
	int r = environment_clear(e);
	if (syscall(SYS_close_range, FIRST_FD, UINT32_MAX, 0) < 0 && r == 0)
		r = err_sys(e, "--isolate: closing files");
	limit_set(RLIMIT_CORE, 0);
	limit_set(RLIMIT_NPROC, PROCESSES);
	if (r == 0)
		r = rights_drop(e);
	return r == 0 ? filter_load(e) : r;
}

/* In the first process of the pid namespace. Returns in the program's. */
static int first_enter(struct mounts *m, const struct box *b, int report, struct lodge_err *e)
{
	(void)!prctl(PR_SET_PDEATHSIG, SIGKILL);
	int r = sethostname("lodge", 5) < 0 ? err_sys(e, "--isolate: the host's name") : 0;
	if (r == 0)
		r = loopback_up(e);
	if (r == 0)
		r = mounts_enter(m, b, e);
	mounts_fini(m);
	if (r < 0)
		return r;
	pid_t program = fork();
	if (program < 0)
		return err_sys(e, "--isolate: fork");
	if (program > 0)
		family_first(program, report);
	return program_enter(e);
}

int box_enter(const struct box *b, struct lodge_err *e)
{
	const struct host_ids ids = {.uid = geteuid(), .gid = getegid()};
	struct mounts m = {.root = -1, .program = -1};
	int report[2];
	/* loaded now, for its file is out of sight later */
	int r = host_library_load(&box_seccomp, e);
	if (r == 0)
		r = host_userns_enter(SPACES, &ids, e);
	if (r == 0)
		r = mounts_open(&m, b, e);
	if (r == 0 && pipe2(report, O_CLOEXEC) < 0)
		r = err_sys(e, "--isolate: a pipe");
	if (r < 0) {
		mounts_fini(&m);
		return r;
	}
	pid_t first = fork();
	if (first < 0)
		return err_sys(e, "--isolate: fork");
	if (first > 0) {
		mounts_fini(&m);
		close(report[1]);
		family_outside(first, report[0]);
	}
	close(report[0]);
	return first_enter(&m, b, report[1], e);
}
