/* SPDX-License-Identifier: Apache-2.0 */
/* holds PORT [WHAT]: a program that holds things of the kernel's which a saved state must have:
 * timers of timer_create, signals that wait, a pair of sockets with bytes on their way, sockets
 * that listen, locks of fcntl, files without a name, watches of inotify. Each round looks at all of
 * them and prints `ROUND NONCE`; what is wrong is printed, and ends it. WHAT: something that cannot
 * be saved. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define MUST(x) must((x), #x)
static void must(int ok, const char *what)
{
	if (ok)
		return;
	printf("wrong: %s: %s\n", what, strerror(errno));
	fflush(stdout);
	_exit(1);
}

static uint64_t nonce;
static _Atomic int ticks, calls;
static void on_tick(int sig, siginfo_t *i, void *context)
{
	(void)sig, (void)context;
	ticks += i->si_value.sival_int == 7 ? 1 : -1000;
}
static void on_call(union sigval v) { calls += v.sival_int == 9 ? 1 : -1000; }

static void timers_begin(timer_t id[3])
{
	struct itimerspec every = {{0, 10000000}, {0, 10000000}}, once = {{0, 0}, {1000, 0}};
	struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1};
	e.sigev_value.sival_int = 7;
	sigaction(SIGRTMIN + 1,
		  &(struct sigaction){.sa_sigaction = on_tick, .sa_flags = SA_SIGINFO | SA_RESTART},
		  NULL);
	MUST(timer_create(CLOCK_MONOTONIC, &e, &id[0]) == 0);
	MUST(timer_create(CLOCK_REALTIME, &e, &id[1]) == 0 && timer_delete(id[1]) == 0);
	MUST(timer_create(CLOCK_REALTIME, &e, &id[1]) == 0); /* a number is left out */
	e = (struct sigevent){.sigev_notify = SIGEV_THREAD, .sigev_notify_function = on_call};
	e.sigev_value.sival_int = 9;
	MUST(timer_create(CLOCK_MONOTONIC, &e, &id[2]) == 0);
	MUST(timer_settime(id[0], 0, &every, NULL) == 0);
	MUST(timer_settime(id[1], 0, &once, NULL) == 0);
	MUST(timer_settime(id[2], 0, &every, NULL) == 0);
}

static void timers_look(const timer_t id[3])
{
	static time_t left = 1001;
	struct itimerspec now;
	int was = ticks, called = calls;
	MUST(was >= 0 && called >= 0);
	for (int i = 0; ticks == was || calls == called; i++) {
		must(i < 1000, "a timer that goes on");
		usleep(10000);
	}
	MUST(timer_gettime(id[1], &now) == 0 && now.it_value.tv_sec <= left &&
	     now.it_value.tv_sec > left - 100);
	left = now.it_value.tv_sec;
}

/* Two that wait for the process, in their order, and one for this thread. */
static void signals_put(void)
{
	union sigval v = {.sival_ptr = (void *)(uintptr_t)nonce};
	MUST(sigqueue(getpid(), SIGRTMIN + 2, v) == 0);
	v.sival_ptr = (void *)(uintptr_t)(nonce + 1);
	MUST(sigqueue(getpid(), SIGRTMIN + 2, v) == 0);
	MUST(raise(SIGUSR2) == 0);
}

/* A signal of a timer may come first. (The C library makes SI_USER of SI_TKILL.) */
static int taken(const sigset_t *set, siginfo_t *i)
{
	struct timespec now = {0, 0};
	int sig;
	do
		sig = sigtimedwait(set, i, &now);
	while (sig < 0 && errno == EINTR);
	return sig;
}

static void signals_take(void)
{
	siginfo_t i;
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 2);
	sigaddset(&set, SIGUSR2);
	MUST(taken(&set, &i) == SIGUSR2 && i.si_code == SI_USER && i.si_pid == getpid());
	for (uint64_t k = 0; k < 2; k++)
		MUST(taken(&set, &i) == SIGRTMIN + 2 && i.si_code == SI_QUEUE &&
		     (uintptr_t)i.si_value.sival_ptr == nonce + k);
	MUST(taken(&set, &i) < 0 && errno == EAGAIN);
}

/* Another thread, which only waits, has a signal of its own. */
static void *waits(void *arg)
{
	struct timespec soon = {0, 50000000};
	sigset_t set;
	siginfo_t i;
	(void)arg;
	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	for (;;) {
		MUST(pthread_kill(pthread_self(), SIGHUP) == 0);
		nanosleep(&soon, NULL);
		MUST(taken(&set, &i) == SIGHUP);
	}
	return NULL;
}

static int listen_at(int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
	MUST(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0);
	MUST(bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && listen(fd, 5) == 0);
	return fd;
}

/* Whoever connects gets the nonce. */
static void serve(int fd)
{
	char text[32];
	int c = accept(fd, NULL, NULL);
	if (c < 0)
		return;
	int n = snprintf(text, sizeof text, "%016llx\n", (unsigned long long)nonce);
	MUST(write(c, text, (size_t)n) == n);
	close(c);
}

/* Watches 2 and 3: the number before is given back. */
static int watch_begin(void)
{
	struct inotify_event none;
	int fd = inotify_init1(IN_NONBLOCK);
	MUST(inotify_add_watch(fd, "/", IN_DELETE_SELF) == 1 && inotify_rm_watch(fd, 1) == 0);
	MUST(read(fd, &none, sizeof none) == sizeof none && none.mask == IN_IGNORED);
	MUST(inotify_add_watch(fd, "holds.watched", IN_CREATE | IN_DELETE) == 2);
	MUST(inotify_add_watch(fd, "/etc", IN_DELETE_SELF) == 3);
	return fd;
}

static void watch_look(int fd)
{
	char text[256];
	struct inotify_event *e = (struct inotify_event *)text;
	const size_t one = sizeof *e + 16; /* the name is filled up */
	close(creat("holds.watched/file", 0600));
	MUST(unlink("holds.watched/file") == 0);
	MUST(read(fd, text, sizeof text) == (ssize_t)(2 * one));
	MUST(e->wd == 2 && e->mask == IN_CREATE && !strcmp(e->name, "file"));
	e = (struct inotify_event *)(text + one);
	MUST(e->wd == 2 && e->mask == IN_DELETE && !strcmp(e->name, "file"));
}

static void cannot(const char *what, int port)
{
	if (!strcmp(what, "inotify")) {
		int fd = inotify_init1(0);
		MUST(inotify_add_watch(fd, "holds.watched", IN_CREATE) == 1);
		close(creat("holds.watched/event", 0600));
		unlink("holds.watched/event");
	}
	if (!strcmp(what, "connection")) {
		struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
		a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		int fd = socket(AF_INET, SOCK_STREAM, 0);
		MUST(connect(fd, (struct sockaddr *)&a, sizeof a) == 0);
	}
}

int main(int argc, char **argv)
{
	int port = argc > 1 ? atoi(argv[1]) : 0, pair[2], gone[2];
	timer_t timer[3];
	pthread_t id;
	sigset_t set;
	char text[32];
	MUST(getrandom(&nonce, sizeof nonce, 0) == sizeof nonce);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 2);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signals_put();
	timers_begin(timer);
	MUST(pthread_create(&id, NULL, waits, NULL) == 0);
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
	MUST(write(pair[0], &nonce, 8) == 8 && write(pair[1], &nonce, 4) == 4);
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, gone) == 0 && write(gone[0], "last", 4) == 4);
	close(gone[0]);
	int tcp = listen_at(port), local = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	int udp = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "holds.sock"};
	unlink(a.sun_path);
	MUST(bind(local, (struct sockaddr *)&a, sizeof a) == 0 && listen(local, 5) == 0);
	int file = open("holds.file", O_RDWR | O_CREAT | O_TRUNC, 0600);
	int other = open("holds.file", O_RDWR);
	struct flock posix = {.l_type = F_WRLCK, .l_start = 10, .l_len = 5},
		     ofd = {.l_type = F_RDLCK, .l_start = 100};
	MUST(fcntl(file, F_SETLK, &posix) == 0 && fcntl(file, F_OFD_SETLK, &ofd) == 0);
	int memory = memfd_create("held", 0);
	int tmp = open("holds.gone", O_RDWR | O_CREAT | O_TRUNC, 0600);
	MUST(unlink("holds.gone") == 0 && write(tmp, &nonce, 8) == 8);
	MUST(write(memory, &nonce, 8) == 8);
	mkdir("holds.watched", 0700);
	if (argc > 2)
		cannot(argv[2], port);
	int watch = watch_begin();
	for (int round = 1;; round++) {
		usleep(30000);
		timers_look(timer);
		signals_take();
		signals_put();
		watch_look(watch);
		uint64_t got = 0;
		MUST(read(pair[1], &got, 8) == 8 && got == nonce && write(pair[0], &nonce, 8) == 8);
		MUST(read(pair[0], &got, 4) == 4 && write(pair[1], &nonce, 4) == 4);
		MUST(recv(gone[1], text, sizeof text, MSG_PEEK) == 4 && !memcmp(text, "last", 4));
		MUST(fcntl(udp, F_GETFD) == 0);
		struct flock look = {.l_type = F_WRLCK};
		MUST(fcntl(other, F_OFD_GETLK, &look) == 0 && look.l_type == F_WRLCK &&
		     look.l_start == 10 && look.l_len == 5);
		look = (struct flock){.l_type = F_WRLCK, .l_start = 50};
		MUST(fcntl(other, F_OFD_GETLK, &look) == 0 && look.l_type == F_RDLCK &&
		     look.l_start == 100 && look.l_len == 0);
		MUST(lseek(tmp, 0, SEEK_CUR) == 8 && pread(tmp, &got, 8, 0) == 8 && got == nonce);
		MUST(lseek(memory, 0, SEEK_CUR) == 8 && pread(memory, &got, 8, 0) == 8);
		MUST(got == nonce);
		if (argc <= 2)
			serve(tcp);
		serve(local);
		printf("%d %016llx\n", round, (unsigned long long)nonce);
		fflush(stdout);
	}
}
