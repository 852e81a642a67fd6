/* SPDX-License-Identifier: Apache-2.0 */
/* Test of lodge-agent: plays the host. agent_test PROGRAM starts PROGRAM --stdio over a socket
 * pair; agent_test --unix PATH talks to one in a guest, through the socket of its console port. */
#define _GNU_SOURCE
#include "life/agent_proto.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int wire = -1;
static unsigned passed, failed;
static uint8_t in[AGENT_PAYLOAD_MAX + 1];
static uint32_t in_len;
static uint16_t in_channel;

static void check(bool ok, const char *what)
{
	if (ok)
		passed++;
	else
		failed++;
	if (!ok)
		printf("FAILED: %s\n", what);
}

static bool put_all(const void *p, size_t n)
{
	const uint8_t *b = p;
	while (n) {
		ssize_t r = write(wire, b, n);
		if (r < 0)
			return false;
		b += r;
		n -= (size_t)r;
	}
	return true;
}

static void put(enum agent_type type, uint16_t channel, const void *p, size_t n)
{
	uint8_t head[AGENT_HEADER];
	agent_head(head, (uint32_t)n, type, channel);
	put_all(head, sizeof(head));
	if (n)
		put_all(p, n);
}

static bool get_all(uint8_t *p, size_t n, int ms)
{
	while (n) {
		struct pollfd f = {.fd = wire, .events = POLLIN};
		if (poll(&f, 1, ms) <= 0)
			return false;
		ssize_t r = read(wire, p, n);
		if (r <= 0)
			return false;
		p += r;
		n -= (size_t)r;
	}
	return true;
}

/* The next frame's type, its payload in in[]; -1: nothing for that long. */
static int next(int ms)
{
	uint8_t head[AGENT_HEADER];
	if (!get_all(head, sizeof(head), ms))
		return -1;
	in_len = agent_get32(head);
	in_channel = agent_get16(head + 6);
	if (in_len > AGENT_PAYLOAD_MAX || !get_all(in, in_len, 30000))
		return -1;
	in[in_len] = 0;
	return agent_get16(head + 4);
}

static void hello(void)
{
	uint8_t b[AGENT_HELLO_LEN];
	memcpy(b, AGENT_MAGIC, AGENT_MAGIC_LEN);
	agent_put32(b + 8, AGENT_VERSION);
	agent_put32(b + 12, AGENT_PAYLOAD_MAX);
	agent_put32(b + 16, AGENT_WINDOW_START);
	put(AGENT_HELLO, 0, b, sizeof(b));
}

static bool greeted(int ms)
{
	int t;
	while ((t = next(ms)) >= 0)
		if (t == AGENT_HELLO)
			return in_len == AGENT_HELLO_LEN && !memcmp(in, AGENT_MAGIC, 8) &&
			       agent_get32(in + 8) == AGENT_VERSION;
	return false;
}

/* @strings: user, directory, arguments and environment, as in C: "\0a\0b" ends with one more NUL.
 */
static void exec(uint16_t channel, uint32_t flags, unsigned argc, unsigned envc,
		 const char *strings, size_t n)
{
	uint8_t b[4096];
	agent_put32(b, flags);
	agent_put16(b + 4, 24);
	agent_put16(b + 6, 80);
	agent_put16(b + 8, (uint16_t)argc);
	agent_put16(b + 10, (uint16_t)envc);
	memcpy(b + AGENT_EXEC_HEAD, strings, n);
	put(AGENT_EXEC, channel, b, AGENT_EXEC_HEAD + n);
}
#define EXEC(channel, flags, argc, envc, strings)                                                  \
	exec(channel, flags, argc, envc, strings, sizeof(strings))

struct result {
	char out[65536], err[4096];
	size_t out_len, err_len, total;
	int kind, value; /* kind -1: ERROR, -2: nothing */
};

static void collect(struct result *r, uint16_t channel, int ms)
{
	memset(r, 0, sizeof(*r));
	r->kind = -2;
	for (int t; (t = next(ms)) >= 0;) {
		if (in_channel != channel)
			continue;
		uint8_t more[4];
		agent_put32(more, in_len);
		if (t == AGENT_STDOUT || t == AGENT_STDERR) {
			char *to = t == AGENT_STDOUT ? r->out : r->err;
			size_t *len = t == AGENT_STDOUT ? &r->out_len : &r->err_len;
			size_t max = t == AGENT_STDOUT ? sizeof(r->out) : sizeof(r->err);
			size_t n = in_len < max - 1 - *len ? in_len : max - 1 - *len;
			memcpy(to + *len, in, n);
			*len += n;
			r->total += in_len;
			put(AGENT_WINDOW, channel, more, 4);
		} else if (t == AGENT_EXIT) {
			r->kind = (int)agent_get32(in);
			r->value = (int)agent_get32(in + 4);
			return;
		} else if (t == AGENT_ERROR) {
			r->kind = -1;
			r->value = (int)agent_get32(in);
			return;
		}
	}
}

static struct result r;

static void test_programs(void)
{
	EXEC(1, 0, 3, 1, "\0\0sh\0-c\0echo out; echo err >&2; echo $A; pwd; exit 42\0A=word");
	collect(&r, 1, 20000);
	check(r.kind == AGENT_EXITED && r.value == 42, "exit code");
	check(!strncmp(r.out, "out\nword\n/", 10) && !strcmp(r.err, "err\n"), "output and errors");
	EXEC(1, 0, 3, 0, "\0/tmp\0sh\0-c\0pwd; kill -9 $$");
	collect(&r, 1, 20000);
	check(r.kind == AGENT_SIGNALED && r.value == 9 && !strcmp(r.out, "/tmp\n"), "signal, cwd");
	EXEC(2, 0, 1, 0, "\0\0no-such-program");
	collect(&r, 2, 20000);
	check(r.kind == -1 && r.value == ENOENT, "no such program");
	EXEC(2, 0, 1, 0, "\0\0/etc/passwd");
	collect(&r, 2, 20000);
	check(r.kind == -1 && r.value == EACCES, "not a program");
	EXEC(2, 0, 1, 0, "nobody-there\0\0id");
	collect(&r, 2, 20000);
	check(r.kind == -1, "no such user");
	EXEC(2, 0, 1, 0, "\0/no/such\0id");
	collect(&r, 2, 20000);
	check(r.kind == -1 && r.value == ENOENT, "no such directory");
	EXEC(0, 0, 1, 0, "\0\0id");
	collect(&r, 0, 20000);
	check(r.kind == -1 && r.value == EBUSY, "channel 0 runs nothing");
	EXEC(3, 0, 3, 0, "\0\0sh\0-c\0sleep 100 & echo started");
	collect(&r, 3, 20000);
	check(r.kind == 0 && !strcmp(r.out, "started\n"), "children are not waited for");
}

static void test_address(void)
{
	static const uint8_t nobody[AGENT_ADDRESS_LEN] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
	put(AGENT_ADDRESS, 5, nobody, sizeof(nobody) - 1);
	check(next(20000) == AGENT_ERROR && agent_get32(in) == EINVAL, "half an address");
	put(AGENT_ADDRESS, 5, nobody, sizeof(nobody));
	check(next(20000) == AGENT_ERROR && agent_get32(in) == ENODEV, "no such card");
}

static void test_users(void)
{
	EXEC(4, AGENT_EXEC_FIRST, 1, 0, "\0\0id");
	collect(&r, 4, 20000);
	check(r.kind == -1 && r.value == EINVAL, "no guest of one program: no first");
	EXEC(4, 0, 1, 0, "root:no-such-group\0\0id");
	collect(&r, 4, 20000);
	check(r.kind == -1, "no such group");
	EXEC(4, 0, 1, 0, "0;nofile=12\0\0id");
	collect(&r, 4, 20000);
	check(r.kind == -1 && r.value == EINVAL, "a limit without its second part");
	EXEC(4, 0, 3, 0, "0;nofile=12:13;nnp;umask=77\0\0sh\0-c\0ulimit -n; ulimit -Hn; umask; grep -c NoNewPrivs:.1 /proc/self/status");
	collect(&r, 4, 20000);
	check(r.kind == 0 && !strcmp(r.out, "12\n13\n0077\n1\n"), "limits, umask, no new privileges");
	EXEC(4, 0, 1, 0, "0:0,5,x\0\0id");
	collect(&r, 4, 20000);
	check(r.kind == -1, "a group that is no number");
	if (geteuid())
		return; /* only root can become others */
	EXEC(4, 0, 2, 0, "0:0,5,6\0\0id\0-G");
	collect(&r, 4, 20000);
	check(!strcmp(r.out, "0 5 6\n"), "other groups");
	EXEC(4, 0, 3, 0, "root:daemon\0\0sh\0-c\0id -u; id -g; id -G");
	collect(&r, 4, 20000);
	check(!strcmp(r.out, "0\n1\n1\n"), "a group by its name");
}

static void test_input(void)
{
	EXEC(7, AGENT_EXEC_STDIN, 2, 0, "\0\0wc\0-c");
	static char data[AGENT_WINDOW_START];
	memset(data, 'x', sizeof(data));
	size_t sent = 0, window = AGENT_WINDOW_START;
	while (sent < 1000000) {
		size_t n = window < 20000 ? window : 20000;
		if (n) {
			put(AGENT_STDIN, 7, data, n);
			sent += n;
			window -= n;
		} else if (next(20000) == AGENT_WINDOW) {
			window += agent_get32(in);
		} else {
			break;
		}
	}
	put(AGENT_STDIN_EOF, 7, NULL, 0);
	collect(&r, 7, 20000);
	check(r.kind == 0 && (size_t)atol(r.out) == sent && sent >= 1000000, "a megabyte in");
	EXEC(7, 0, 3, 0, "\0\0sh\0-c\0head -c 3000000 /dev/zero");
	collect(&r, 7, 20000);
	check(r.kind == 0 && r.total == 3000000, "three megabytes out");
	EXEC(7, AGENT_EXEC_STDIN, 1, 0, "\0\0true");
	put(AGENT_STDIN, 7, data, 1000);
	collect(&r, 7, 20000);
	check(r.kind == 0, "input that nobody reads");
}

static void test_many(void)
{
	struct result *x = &r;
	unsigned done = 0;
	for (uint16_t c = 100; c < 132; c++)
		EXEC(c, 0, 3, 0, "\0\0sh\0-c\0echo hi; exit 5");
	EXEC(200, 0, 1, 0, "\0\0true");
	bool refused = false, right = true;
	for (int t; done < 32 && (t = next(30000)) >= 0;) {
		refused |= t == AGENT_ERROR && in_channel == 200 && agent_get32(in) == EMFILE;
		if (t == AGENT_EXIT && in_channel != 200) {
			right &= agent_get32(in + 4) == 5;
			done++;
		}
	}
	check(done == 32 && right, "32 programs at a time");
	(void)refused; /* the first may have ended before the last was asked for */
	EXEC(9, 0, 2, 0,
	     "\0\0sleep\0"
	     "100");
	EXEC(9, 0, 1, 0, "\0\0true");
	collect(x, 9, 20000);
	check(x->kind == -1 && x->value == EBUSY, "a channel in use");
	uint8_t sig[4];
	agent_put32(sig, SIGTERM);
	put(AGENT_SIGNAL, 9, sig, 4);
	collect(x, 9, 20000);
	check(x->kind == AGENT_SIGNALED && x->value == SIGTERM, "SIGNAL");
}

static void test_terminal(void)
{
	EXEC(11, AGENT_EXEC_TTY | AGENT_EXEC_STDIN, 3, 0,
	     "\0\0sh\0-c\0tty; stty size; read x; echo got $x; stty size; cat; exit 3");
	for (int t; (t = next(20000)) >= 0 && !(t == AGENT_STDOUT && strstr((char *)in, "24 80"));)
		;
	uint8_t size[4];
	agent_put16(size, 50);
	agent_put16(size + 2, 132);
	put(AGENT_RESIZE, 11, size, 4);
	put(AGENT_STDIN, 11, "word\n", 5);
	put(AGENT_STDIN_EOF, 11, NULL, 0);
	collect(&r, 11, 20000);
	check(strstr(r.out, "got word") && strstr(r.out, "50 132"), "a terminal and its size");
	check(r.kind == 0 && r.value == 3, "end of input on a terminal");
}

/* What a host never sends, or half of it. */
static void test_garbage(void)
{
	static uint8_t junk[100000];
	srandom(1);
	for (unsigned round = 0; round < 20; round++) {
		for (size_t i = 0; i < sizeof(junk); i++)
			junk[i] = (uint8_t)random();
		put_all(junk, (size_t)random() % sizeof(junk));
		hello();
		bool ok = greeted(3000);
		if (!ok) { /* the junk ended in what looked like a frame */
			hello();
			ok = greeted(5000);
		}
		check(ok, "HELLO after garbage");
	}
	EXEC(1, 0, 65535, 65535, "\0\0x");
	collect(&r, 1, 20000);
	check(r.kind == -1 && r.value == EINVAL, "EXEC with counts that cannot be");
	put(AGENT_EXEC, 1, "", 0);
	collect(&r, 1, 20000);
	check(r.kind == -1 && r.value == EINVAL, "EXEC without anything");
	put(AGENT_STDIN, 999, "x", 1);
	put(AGENT_RESIZE, 1, "x", 1);
	put(AGENT_SIGNAL, 1, "", 0);
	uint8_t half[AGENT_HEADER + 2] = {0};
	agent_head(half, 500, AGENT_EXEC, 5);
	put_all(half, sizeof(half));
	sleep(3);
	hello();
	check(greeted(5000), "HELLO after half a frame");
	put(AGENT_PING, 0, "ping", 4);
	check(next(5000) == AGENT_PONG && in_len == 4 && !memcmp(in, "ping", 4), "PING");
}

/* A new HELLO hangs up what ran; too much input ends a program. */
static void test_hang_up(void)
{
	EXEC(1, 0, 2, 0,
	     "\0\0sleep\0"
	     "100");
	hello();
	check(greeted(5000), "HELLO in a session");
	EXEC(1, AGENT_EXEC_STDIN, 2, 0,
	     "\0\0sleep\0"
	     "100");
	static char data[AGENT_WINDOW_START];
	for (int i = 0; i < 4; i++)
		put(AGENT_STDIN, 1, data, sizeof(data));
	collect(&r, 1, 20000);
	check(r.kind == -1 && r.value == ENOBUFS, "more input than the window");
	EXEC(1, 0, 1, 0, "\0\0true");
	collect(&r, 1, 20000);
	check(r.kind == 0 && r.value == 0, "the channel is free again");
}

static bool open_unix(const char *path)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	wire = socket(AF_UNIX, SOCK_STREAM, 0);
	return wire >= 0 && !connect(wire, (struct sockaddr *)&at, sizeof(at));
}

static pid_t open_program(const char *program)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		dup2(pair[1], 0);
		dup2(pair[1], 1);
		close(pair[0]);
		close(pair[1]);
		execl(program, program, "--stdio", NULL);
		_exit(127);
	}
	close(pair[1]);
	wire = pair[0];
	return pid;
}

int main(int argc, char **argv)
{
	pid_t pid = 0;
	signal(SIGPIPE, SIG_IGN);
	if (argc == 3 && !strcmp(argv[1], "--unix")) {
		if (!open_unix(argv[2]))
			return 2;
	} else if (argc == 2) {
		pid = open_program(argv[1]);
	} else {
		return 2;
	}
	put(AGENT_PING, 0, "early", 5);
	hello();
	check(next(5000) == AGENT_HELLO, "nothing before HELLO");
	test_programs();
	test_address();
	test_users();
	test_input();
	test_many();
	test_terminal();
	test_garbage();
	test_hang_up();
	close(wire);
	int status = 0;
	if (pid > 0) {
		waitpid(pid, &status, 0);
		check(WIFEXITED(status) && !WEXITSTATUS(status), "the agent ends with its host");
	}
	printf("%u passed, %u failed\n", passed, failed);
	return failed != 0;
}
