/* SPDX-License-Identifier: Apache-2.0 */
/* One process of several: who its parent, its children and its groups are, and which of its open
 * files others of the program have, too. proc_pid_fd(5), kcmp(2), waitid(2) */
#include "level/process/saved.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { TYPE_FILE = 0 }; /* kcmp(2) */
enum { OTHER_PID, OTHER_FD, OTHER_DEV, OTHER_INO, OTHER_WORDS };

static bool is_program(const struct proc *p, int pid)
{
	for (size_t i = 0; i < KEPT_PROCESSES; i++)
		if (p->kept->slot[i].pid == pid)
			return true;
	return false;
}

/* ---- who is whose ---- */

/* A child that has ended, and that it has not waited for. False: it has not ended. */
static bool ended_add(struct gather *g, int pid)
{
	siginfo_t si = {.si_pid = 0};
	uint64_t w[KIN_WORDS] = {(uint64_t)pid, (uint64_t)getpid()};
	if (waitid(P_PID, (id_t)pid, &si, WEXITED | WNOHANG | WNOWAIT) < 0 || si.si_pid != pid)
		return false;
	w[KIN_GROUP] = (uint64_t)getpgid(pid);
	w[KIN_SESSION] = (uint64_t)getsid(pid);
	w[KIN_END] = si.si_code == CLD_EXITED ? KIN_EXITED : KIN_KILLED;
	w[KIN_STATUS] = (uint64_t)(si.si_status & 0xff);
	words_add(&g->kin, w, KIN_WORDS);
	return true;
}

static int child_add(struct gather *g, int pid, struct lodge_err *e)
{
	if (is_program(g->t->p, pid) || ended_add(g, pid))
		return 0;
	return err_set(e, EOPNOTSUPP, "its child %d is a program of the host's, which cannot be "
		       "saved", pid);
}

/* Children of one of its threads. */
static int children_add(struct gather *g, const char *tid, struct lodge_err *e)
{
	char path[64], *text = NULL;
	size_t cap = 0;
	int r = 0;
	snprintf(path, sizeof path, "/proc/self/task/%.16s/children", tid);
	FILE *f = fopen(path, "re");
	if (!f)
		return 0;
	if (getline(&text, &cap, f) > 0)
		for (char *at = text, *end; r == 0; at = end) {
			long pid = strtol(at, &end, 10);
			if (end == at)
				break;
			r = child_add(g, (int)pid, e);
		}
	free(text);
	fclose(f);
	return r;
}

int kin_gather(struct gather *g, struct lodge_err *e)
{
	const uint64_t w[KIN_WORDS] = {[KIN_PID] = (uint64_t)getpid(),
				       [KIN_PARENT] = (uint64_t)getppid(),
				       [KIN_GROUP] = (uint64_t)getpgrp(),
				       [KIN_SESSION] = (uint64_t)getsid(0)};
	DIR *d = opendir("/proc/self/task");
	int r = 0, reaps = 0;
	words_add(&g->kin, w, KIN_WORDS);
	if (prctl(PR_GET_CHILD_SUBREAPER, &reaps) == 0 && reaps)
		r = err_set(e, EOPNOTSUPP, "its process %d reaps others' children, which cannot be "
			    "saved", getpid());
	for (struct dirent *de; r == 0 && d && (de = readdir(d));)
		if (de->d_name[0] != '.')
			r = children_add(g, de->d_name, e);
	if (d)
		closedir(d);
	return r;
}

/* ---- what others have open ---- */

static void other_add(struct gather *g, int pid)
{
	char path[64];
	struct stat st;
	snprintf(path, sizeof path, "/proc/%d/fd", pid);
	DIR *d = opendir(path);
	for (struct dirent *de; d && (de = readdir(d));) {
		if (de->d_name[0] == '.' || fstatat(dirfd(d), de->d_name, &st, 0) < 0)
			continue;
		const uint64_t w[OTHER_WORDS] = {(uint64_t)pid, (uint64_t)atoi(de->d_name),
						 st.st_dev, st.st_ino};
		words_add(&g->others, w, OTHER_WORDS);
	}
	if (d)
		closedir(d);
}

int others_gather(struct gather *g, struct lodge_err *e)
{
	const struct kept *k = g->t->p->kept;
	char self[32] = "";
	bool here = readlink("/proc/self", self, sizeof self - 1) > 0 && atoi(self) == getpid();
	for (size_t i = 0; i < KEPT_PROCESSES; i++) {
		int pid = k->slot[i].pid;
		if (pid <= 1 || pid == getpid())
			continue;
		if (!here)
			return err_set(e, EOPNOTSUPP, "it has child processes, and no /proc that "
				       "shows them");
		other_add(g, pid);
	}
	return 0;
}

static bool is_of(const uint64_t *w, const struct stat *st)
{
	return w[OTHER_DEV] == st->st_dev && w[OTHER_INO] == st->st_ino;
}

/* Is it the open file @fd of ours? */
static bool is_same_open(const uint64_t *w, int fd)
{
	return syscall(SYS_kcmp, w[OTHER_PID], getpid(), TYPE_FILE, w[OTHER_FD], fd) == 0;
}

bool other_has(const struct gather *g, const struct stat *st)
{
	const uint64_t *w = g->others.v, *end = w + g->others.n;
	while (w < end && !is_of(w, st))
		w += OTHER_WORDS;
	return w < end;
}

bool other_apart(const struct gather *g, int fd, const struct stat *st)
{
	const uint64_t *w = g->others.v, *end = w + g->others.n;
	while (w < end && (!is_of(w, st) || is_same_open(w, fd)))
		w += OTHER_WORDS;
	return w < end;
}

bool other_find(const struct gather *g, int fd, const struct stat *st, uint64_t *ret_pid,
		uint64_t *ret_fd)
{
	const uint64_t *w = g->others.v, *end = w + g->others.n;
	*ret_pid = (uint64_t)getpid();
	for (; w < end; w += OTHER_WORDS) {
		if (w[OTHER_PID] >= *ret_pid || !is_of(w, st) || !is_same_open(w, fd))
			continue;
		*ret_pid = w[OTHER_PID];
		*ret_fd = w[OTHER_FD];
	}
	return *ret_pid != (uint64_t)getpid();
}
