/* SPDX-License-Identifier: Apache-2.0 */
/* tree: a program of several processes, which have things in common that a saved state must have:
 * pipes and sockets with bytes on their way, the position of a file, shared memory, a semaphore;
 * a group and a session of their own, a child of a child, one whose parent has gone, two that have
 * ended. Each round looks at all of them and prints `ROUND NONCE`; what is wrong is printed, and
 * ends it. */
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { HELPERS = 4 };
struct word { uint64_t nonce, round, pid, parent, group, session, data; };

#define MUST(x) must((x), #x, __LINE__)
static void must(int ok, const char *what, int line)
{
	if (ok)
		return;
	printf("wrong: %d, line %d: %s: %s\n", (int)getpid(), line, what, strerror(errno));
	fflush(stdout);
	kill(0, SIGKILL);
	_exit(1);
}

static uint64_t nonce, *shared;
static sem_t *turn;
static int file;
static volatile sig_atomic_t children;
static void on_child(int sig) { children += sig == SIGCHLD; }

/* Answers each word with who it is, until there is none. */
static void help(int in, int out, unsigned char *data, int i)
{
	struct word w;
	char text[9];
	pid_t pid = getpid(), parent = getppid();
	close(0);
	for (;;) {
		MUST(read(in, &w, sizeof w) == sizeof w);
		MUST(w.nonce == nonce && getpid() == pid && getppid() == parent);
		MUST(sem_wait(turn) == 0);
		shared[i]++;
		snprintf(text, sizeof text, "%02d%06d", i, (int)w.round);
		MUST(write(file, text, 8) == 8);
		MUST(sem_post(turn) == 0);
		data[w.round % 65536] += (unsigned char)w.round;
		w.pid = (uint64_t)pid;
		w.parent = (uint64_t)parent;
		w.group = (uint64_t)getpgrp();
		w.session = (uint64_t)getsid(0);
		w.data = shared[i];
		MUST(write(out, &w, sizeof w) == sizeof w);
	}
}

struct helper {
	int to, from; /* ours */
	struct word is;
};

/* 0: a child in a group of its own; 1: in a session of its own; 2: the child of a child that waits
 * for it; 3: whose parent has ended. 1 and 3 have pipes, the others a pair of sockets. */
static void helper_start(struct helper *h, int i, unsigned char *data)
{
	int to[2], from[2];
	if (i & 1) {
		MUST(pipe(to) == 0 && pipe(from) == 0);
	} else {
		MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, from) == 0);
		to[0] = from[1];
		to[1] = from[0];
	}
	pid_t pid = fork();
	if (pid == 0) {
		if (i & 1)
			close(to[1]);
		close(from[0]);
		if (i == 0)
			setpgid(0, 0);
		if (i == 1)
			setsid();
		if (i < 2)
			help(to[0], from[1], data, i);
		pid = fork();
		while (pid && i == 3)
			_exit(0);
		while (pid)
			if (waitpid(pid, NULL, 0) == pid)
				_exit(1);
		while (i == 3 && getppid() != 1)
			usleep(1000);
		help(to[0], from[1], data, i);
	}
	if (i & 1)
		close(to[0]);
	close(from[1]);
	h->to = to[1];
	h->from = from[0];
	if (i == 3)
		MUST(waitpid(pid, NULL, 0) == pid);
}

static void ask(const struct helper *h, uint64_t round)
{
	struct word w = {.nonce = nonce, .round = round};
	MUST(write(h->to, &w, sizeof w) == sizeof w);
}

/* Its answer; the next question is on its way already. */
static void hear(struct helper *h, uint64_t round)
{
	struct word w;
	MUST(read(h->from, &w, sizeof w) == sizeof w);
	MUST(w.nonce == nonce && w.round == round);
	if (round > 1)
		MUST(w.pid == h->is.pid && w.parent == h->is.parent && w.group == h->is.group &&
		     w.session == h->is.session && w.data == h->is.data + 1);
	h->is = w;
}

static pid_t ended(int how)
{
	pid_t pid = fork();
	if (pid == 0) {
		if (how > 255)
			raise(how - 256);
		_exit(how);
	}
	return pid;
}

static void ended_look(pid_t pid, int code, int status)
{
	siginfo_t si = {.si_pid = 0};
	MUST(waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT) == 0);
	MUST(si.si_pid == pid && si.si_code == code && si.si_status == status);
}

int main(void)
{
	unsigned char *data = calloc(1, 1 << 20);
	struct helper h[HELPERS];
	int status;
	MUST(getrandom(&nonce, sizeof nonce, 0) == sizeof nonce);
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	file = open("tree.file", O_RDWR | O_CREAT | O_TRUNC, 0600);
	turn = sem_open("/lodge-tree", O_CREAT, 0600, 1);
	MUST(file >= 0 && turn != SEM_FAILED && sem_unlink("/lodge-tree") == 0);
	for (int i = 0; i < HELPERS; i++)
		helper_start(&h[i], i, data);
	pid_t seven = ended(7), killed = ended(256 + SIGKILL);
	ended_look(seven, CLD_EXITED, 7);
	ended_look(killed, CLD_KILLED, SIGKILL);
	signal(SIGCHLD, on_child);
	for (int i = 0; i < HELPERS; i++)
		ask(&h[i], 1);
	for (uint64_t round = 1;; round++) {
		for (int i = 0; i < HELPERS; i++) {
			ask(&h[i], round + 1);
			hear(&h[i], round);
			MUST(shared[i] == round || shared[i] == round + 1);
		}
		MUST(h[0].is.group == h[0].is.pid && h[1].is.session == h[1].is.pid);
		MUST(h[0].is.parent == (uint64_t)getpid() && h[3].is.parent == 1);
		MUST(h[2].is.parent != (uint64_t)getpid() && h[2].is.parent != 1);
		MUST(lseek(file, 0, SEEK_CUR) >= (off_t)(round * HELPERS * 8));
		pid_t pid = ended((int)round & 127);
		MUST(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
		MUST(WEXITSTATUS(status) == ((int)round & 127));
		MUST(children == (sig_atomic_t)round);
		ended_look(seven, CLD_EXITED, 7);
		ended_look(killed, CLD_KILLED, SIGKILL);
		printf("%d %016llx\n", (int)round, (unsigned long long)nonce);
		fflush(stdout);
		usleep(20000);
	}
}
