/* SPDX-License-Identifier: Apache-2.0 */
/* It waits on a pipe that nobody writes to but for the last word: its end is the parent's. */
#include "level/container/warden.h"
#include "host/host.h"
#include "level/container/network.h"
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>

void warden_clean(const char *program, const char *id, const char *folder)
{
	char path[PATH_MAX];
	snprintf(path, sizeof path, "%s/state", folder);
	pid_t child = access(path, F_OK) == 0 ? fork() : -1;
	if (child == 0) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);
		for (int i = 0; i < 3; i++)
			dup2(null, i);
		host_signals_default();
		execl(program, "lodge-oci", "--root", path, "delete", "--force", id, (char *)NULL);
		_exit(1);
	}
	host_reap(child);
	network_leave(folder);
	snprintf(path, sizeof path, "%s/rootfs", folder);
	umount2(path, MNT_DETACH);
	snprintf(path, sizeof path, "%s/layers", folder); /* see stay_root */
	umount2(path, MNT_DETACH);
	(void)!host_remove_tree(AT_FDCWD, folder, NULL);
}

static void warden_child(int end, int keep, const char *program, const char *id, const char *folder)
{
	char word = 0;
	int kept[] = {end, keep}, null = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t all;
	for (int i = 0; i < 3; i++)
		dup2(null, i);
	host_fds_close(kept, countof(kept));
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	setsid();
	prctl(PR_SET_NAME, "lodge-warden");
	if (chdir("/") < 0 || (read(end, &word, 1) == 1 && word))
		_exit(0);
	warden_clean(program, id, folder);
	_exit(0);
}

int warden_start(struct warden *ret, const char *program, const char *id, const char *folder,
		 int keep, struct lodge_err *e)
{
	int ends[2];
	*ret = (struct warden){.end = -1};
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(e, "a pipe");
	pid_t child = fork();
	if (child == 0) {
		close(ends[1]);
		warden_child(ends[0], keep, program, id, folder);
	}
	close(ends[0]);
	if (child < 0) {
		close(ends[1]);
		return err_sys(e, "a process");
	}
	*ret = (struct warden){ends[1], child};
	return 0;
}

void warden_end(struct warden *w)
{
	if (w->end < 0)
		return;
	(void)!write(w->end, "d", 1);
	close(w->end);
	w->end = -1;
	host_reap(w->pid);
}
