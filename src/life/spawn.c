/* SPDX-License-Identifier: Apache-2.0 */
/* From a caller to a keeper process of its own session: fork twice, so that nobody has to reap
 * it; keep the folder, its lock and the leash; say once whether it came up. */
#include "life/internal.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

enum { LOG_BYTES_MAX = 4 << 20 };

/* What the keeper says when it is up, or why not. */
struct hello {
	int result;
	struct lodge_err err;
};

static void log_to_file(void *user, enum log_level level, const char *msg)
{
	static const char *const names[] = {"error", "warn", "info", "debug"};
	const int *fd = user;
	char line[1200], when[32] = "";
	struct timespec t;
	struct tm tm;
	struct stat st;
	clock_gettime(CLOCK_REALTIME, &t);
	if (gmtime_r(&t.tv_sec, &tm))
		strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm);
	int n = snprintf(line, sizeof line, "%s.%03ldZ %s %s\n", when, t.tv_nsec / 1000000,
			 names[level], msg);
	if (n < 0 || fstat(*fd, &st) < 0 || st.st_size > LOG_BYTES_MAX)
		return;
	size_t len = (size_t)n < sizeof line ? (size_t)n : sizeof line - 1;
	if (write(*fd, line, len) < 0)
		return; /* a full disk: the guest matters more than its log */
}

/* Writes of ours that find nobody, and writes of a guest past a file limit, are errors. */
static void signals_ours(void)
{
	host_signals_default();
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
}

/* Connections and files of the guest are descriptors of ours: as many as the host allows. */
static void limits_raise(void)
{
	struct rlimit lim;
	if (getrlimit(RLIMIT_NOFILE, &lim) < 0)
		return;
	lim.rlim_cur = lim.rlim_max < 65536 ? lim.rlim_max : 65536;
	(void)setrlimit(RLIMIT_NOFILE, &lim);
}

/* SIGTERM and SIGINT, as from a shutdown of the host: like the verb stop. */
static void keeper_signal(void *arg, uint32_t events)
{
	struct keeper *k = arg;
	struct signalfd_siginfo si;
	(void)events;
	if (read(k->signal_fd, &si, sizeof si) != sizeof si)
		return;
	struct json_object *none = json_object_new_object();
	if (keeper_verb(k, k->record.state == LIFE_CREATED ? "kill" : "stop", none, NULL) < 0)
		log_at(&k->log, LOG_INFO, "signal %u: nothing to stop", si.ssi_signo);
	json_object_put(none);
}

static int keeper_signals(struct keeper *k, struct lodge_err *e)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	/* Before the level makes threads: they inherit it. */
	sigprocmask(SIG_BLOCK, &set, NULL);
	k->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (k->signal_fd < 0)
		return err_sys(e, "signals");
	return loop_watch_new(&k->signal_watch, k->loop, k->signal_fd, EPOLLIN, NULL, keeper_signal,
			      k, e);
}

/* Returns the umask that was the starter's. */
static unsigned keeper_surroundings(struct instance *i, const struct keeper_from *from, int leash)
{
	char title[16];
	/* as often as it takes: one that is twice in it is kept once */
	int keep[] = {i->dirfd, i->lock, leash, from ? from->in : leash, from ? from->out : leash};
	setsid();
	signals_ours();
	limits_raise();
	unsigned mask = umask(077);
	snprintf(title, sizeof title, "lodge:%.9s", i->name);
	prctl(PR_SET_NAME, title);
	host_fds_close(keep, countof(keep));
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int log = openat(i->dirfd, "keeper.log",
			 O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (null >= 0) {
		dup2(null, 0);
		dup2(log >= 0 ? log : null, 1);
		dup2(log >= 0 ? log : null, 2);
		close(null);
	}
	if (log >= 0)
		close(log);
	if (chdir("/") < 0)
		errno = 0; /* every path is absolute anyway */
	return mask;
}

/* All of it zero but for what is told. */
static void keeper_init(struct keeper *k, struct instance *i, const struct level *l, unsigned umask)
{
	*k = (struct keeper){.umask = umask, .inst = i, .level = l, .leash = -1, .signal_fd = -1,
			     .saver.fd = -1, .migration.fd = -1, .from = {.in = -1, .out = -1}};
	k->log_fd = 2;
	k->log = (struct log){.sink = log_to_file,
			      .user = &k->log_fd,
			      .max = getenv("LODGE_DEBUG") ? LOG_DEBUG : LOG_INFO};
}

/* The guest was suspended for being idle, and somebody connects: the same process is its keeper
 * again. Where that fails, who connects is refused, and the next one may be luckier. */
static void keeper_again(struct keeper *k)
{
	struct lodge_err e;
	size_t which;
	while (k->record.idle && waiter_run(k->inst, &k->held, &k->log, &which)) {
		struct held held = k->held;
		keeper_init(k, k->inst, k->level, k->umask);
		k->held = held;
		snprintf(k->woken, sizeof k->woken, "a connection to %s", held.s[which].name);
		/* the level closes its own */
		for (size_t i = 0; i < held.n; i++)
			held.s[i].fd = fcntl(held.s[i].fd, F_DUPFD_CLOEXEC, 3);
		struct json_object *none = json_object_new_object();
		int r = keeper_build(k, &e);
		if (r == 0)
			r = keeper_signals(k, &e);
		if (r == 0)
			r = keeper_verb(k, "start", none, &e);
		json_object_put(none);
		if (r == 0) {
			held_close(&held);
			keeper_run(k);
		} else {
			log_at(&k->log, LOG_ERROR, "%s, but: %s", k->woken, e.msg);
			held_close(&k->held);
			k->held = held;
			k->record.idle = true;
			held_refuse(&k->held);
		}
		keeper_fini(k);
	}
}

/* The whole life of the keeper process. */
static int keeper_main(struct instance *i, const struct level *l, const struct keeper_from *from,
		       int leash)
{
	struct hello h = {0};
	struct keeper k;
	keeper_init(&k, i, l, keeper_surroundings(i, from, leash));
	k.leash = leash;
	if (from)
		k.from = (struct arrival){.on = true, .in = from->in, .out = from->out};
	h.result = keeper_build(&k, &h.err);
	if (h.result == 0)
		h.result = keeper_signals(&k, &h.err);
	if (h.result == 0 && from)
		h.result = keeper_take_over(&k, &h.err);
	keeper_receive_end(&k, h.result < 0 ? &h.err : NULL);
	if (h.result < 0)
		log_at(&k.log, LOG_ERROR, "%s", h.err.msg);
	/* Take all down before saying so: the caller may try again at once. */
	if (h.result < 0)
		keeper_fini(&k);
	bool told = send(leash, &h, sizeof h, MSG_NOSIGNAL) == (ssize_t)sizeof h;
	if (h.result == 0) {
		if (told || from) /* who came here is nowhere else */
			keeper_run(&k);
		keeper_fini(&k);
		close(leash);
		keeper_again(&k);
	}
	return 0;
}

static int spawn_answer(pid_t middle, int fd, struct lodge_err *e)
{
	struct hello h;
	ssize_t n;
	host_reap(middle);
	do
		n = recv(fd, &h, sizeof h, 0);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof h)
		return err_set(e, EIO, "the keeper died at its start; its keeper.log may say why");
	if (h.result < 0 && e)
		*e = h.err;
	return h.result;
}

int keeper_spawn(struct instance *i, const struct level *l, const struct keeper_from *from,
		 int *ret_leash, struct lodge_err *e)
{
	int pair[2];
	host_libraries_load();
	int r = host_packet_pair(pair, e);
	if (r < 0)
		return r;
	autoclose int ours = pair[0];
	autoclose int theirs = pair[1];
	pid_t middle = fork();
	if (middle < 0)
		return err_sys(e, "starting a keeper");
	if (middle == 0) {
		pid_t keeper = fork();
		_exit(keeper == 0 ? keeper_main(i, l, from, theirs) : 0);
	}
	close(take_fd(&theirs));
	/* The lock is the keeper's now: ours would outlive it. */
	close(take_fd(&i->lock));
	r = spawn_answer(middle, ours, e);
	if (r == 0)
		*ret_leash = take_fd(&ours);
	return r;
}
