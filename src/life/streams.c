/* SPDX-License-Identifier: Apache-2.0 */
/* The standard streams of a guest that is processes of the host: pipes, or one terminal, between
 * them and the console's ring. All on the loop thread but for streams_wake. */
#include "life/life.h"
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <termios.h>

enum { RING = 256 << 10 /* more than a pipe holds */, CHUNK = 4096, ROUNDS = 32 };

struct streams {
	struct loop *loop;   /* borrowed */
	struct chr *console; /* owned */
	int in, out;         /* owned: to and from the guest; the same for a terminal; -1 */
	struct loop_watch *in_watch, *out_watch;
	bool gone;           /* nobody writes any more */
	bool pumping;        /* atomic: streams_pump is posted */
	void (*over)(void *user);
	void *user;
	uint8_t input[CHUNK]; /* for the guest, not taken yet */
	size_t ninput, atinput;
	uint8_t output[CHUNK]; /* of the guest, not taken yet */
	size_t noutput, atoutput;
};

int streams_new(struct streams **ret, struct loop *l, void (*over)(void *user), void *user,
		struct lodge_err *e)
{
	struct streams *s = calloc(1, sizeof *s);
	if (!s)
		return err_set(e, ENOMEM, "out of memory");
	s->loop = l;
	s->over = over;
	s->user = user;
	s->in = s->out = -1;
	int r = chr_new(&s->console, RING, e);
	if (r < 0)
		free(s);
	else
		*ret = s;
	return r;
}

struct chr *streams_console(struct streams *s) { return s->console; }

/* ---- to and fro ---- */

static void out_end(struct streams *s)
{
	if (s->out_watch)
		loop_watch_free(take(s->out_watch));
	if (s->in == s->out)
		s->in = -1;
	auto_close(&s->out);
	s->out = -1;
}

/* As much as the console takes now; the rest stays in the pipe, which holds up the guest. When all
 * of the guest are gone, what is there is all that comes. */
static void out_give(struct streams *s)
{
	for (int i = 0; i < ROUNDS && s->out >= 0; i++) {
		if (s->atoutput == s->noutput) {
			ssize_t n = read(s->out, s->output, sizeof s->output);
			bool later = n < 0 && (errno == EAGAIN || errno == EINTR);
			s->atoutput = 0;
			s->noutput = n > 0 ? (size_t)n : 0;
			if (n <= 0 && (!later || s->gone)) /* a terminal's end is EIO */
				out_end(s);
			if (n <= 0)
				break;
		}
		size_t n = chr_write(s->console, s->output + s->atoutput, s->noutput - s->atoutput);
		s->atoutput += n;
		if (s->atoutput < s->noutput)
			break;
	}
	if (s->out_watch)
		(void)!loop_watch_change(s->out_watch,
					 s->atoutput < s->noutput ? 0 : (uint32_t)EPOLLIN);
	if (s->gone && s->out < 0)
		s->over(s->user);
}

static void out_event(void *arg, uint32_t events)
{
	(void)events;
	out_give(arg);
}

static void in_give(struct streams *s)
{
	while (s->in >= 0) {
		if (s->atinput == s->ninput) {
			s->atinput = 0;
			s->ninput = chr_read(s->console, s->input, sizeof s->input);
		}
		if (!s->ninput)
			break;
		ssize_t n = write(s->in, s->input + s->atinput, s->ninput - s->atinput);
		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			s->ninput = s->atinput = 0; /* it has closed its input */
			break;
		}
		if (n < 0)
			break;
		s->atinput += (size_t)n;
	}
	if (s->in_watch)
		(void)!loop_watch_change(s->in_watch,
					 s->atinput < s->ninput ? (uint32_t)EPOLLOUT : 0);
}

static void in_event(void *arg, uint32_t events)
{
	(void)events;
	in_give(arg);
}

static void streams_pump(void *arg)
{
	struct streams *s = arg;
	__atomic_store_n(&s->pumping, false, __ATOMIC_RELEASE);
	in_give(s);
	out_give(s);
}

/* Any thread: something for the guest has come, or there is room again. */
static void streams_wake(void *arg)
{
	struct streams *s = arg;
	if (!__atomic_exchange_n(&s->pumping, true, __ATOMIC_ACQ_REL) &&
	    loop_post(s->loop, NULL, streams_pump, s) < 0)
		__atomic_store_n(&s->pumping, false, __ATOMIC_RELEASE);
}

/* ---- the ends ---- */

static int streams_terminal(struct streams *s, int ret[2], struct lodge_err *e)
{
	char name[64];
	autoclose int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0 ||
	    ptsname_r(master, name, sizeof name) != 0)
		return err_sys(e, "a terminal for the program");
	autoclose int slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return err_sys(e, "a terminal for the program");
	s->in = s->out = take_fd(&master);
	ret[0] = ret[1] = take_fd(&slave);
	return 0;
}

static int streams_pipes(struct streams *s, bool input, int ret[2], struct lodge_err *e)
{
	int in[2] = {-1, -1}, out[2];
	if (input && pipe2(in, O_CLOEXEC) < 0)
		return err_sys(e, "a pipe for the program");
	if (!input && (in[0] = open("/dev/null", O_RDONLY | O_CLOEXEC)) < 0)
		return err_sys(e, "/dev/null");
	if (pipe2(out, O_CLOEXEC) < 0) {
		auto_close(&in[0]);
		auto_close(&in[1]);
		return err_sys(e, "a pipe for the program");
	}
	s->in = in[1];
	s->out = out[0];
	(void)!fcntl(s->out, F_SETFL, O_NONBLOCK);
	if (input)
		(void)!fcntl(s->in, F_SETFL, O_NONBLOCK);
	ret[0] = in[0];
	ret[1] = out[1];
	return 0;
}

int streams_ends(struct streams *s, const struct lodge_config *c, int ret[2], struct lodge_err *e)
{
	return c->flags & LODGE_TTY ? streams_terminal(s, ret, e)
				    : streams_pipes(s, c->flags & LODGE_INTERACTIVE, ret, e);
}

void streams_ends_close(const int ends[2])
{
	if (ends[1] != ends[0])
		auto_close(&ends[1]);
	auto_close(&ends[0]);
}

void streams_take(struct streams *s, int master)
{
	if (s->in != s->out)
		auto_close(&s->in);
	auto_close(&s->out);
	(void)!fcntl(master, F_SETFL, O_NONBLOCK);
	s->in = s->out = master;
}

int streams_watch(struct streams *s, struct lodge_err *e)
{
	int r = loop_watch_new(&s->out_watch, s->loop, s->out, EPOLLIN, NULL, out_event, s, e);
	if (r == 0 && s->in >= 0 && s->in != s->out)
		r = loop_watch_new(&s->in_watch, s->loop, s->in, 0, NULL, in_event, s, e);
	return r;
}

void streams_go(struct streams *s) { chr_on_device(s->console, streams_wake, s); }

void streams_gone(struct streams *s)
{
	s->gone = true;
	out_give(s);
}

void streams_drain(struct streams *s)
{
	struct pollfd f = {.fd = s->out, .events = POLLIN};
	while (f.fd >= 0 && s->out >= 0 && poll(&f, 1, 0) == 1) {
		out_give(s);
		if (s->atoutput < s->noutput)
			break; /* it takes no more: its disk is full */
	}
}

void streams_resize(struct streams *s, unsigned rows, unsigned columns)
{
	const struct winsize w = {.ws_row = (unsigned short)rows,
				  .ws_col = (unsigned short)columns};
	if (s->out >= 0 && s->in == s->out)
		(void)!ioctl(s->out, TIOCSWINSZ, &w);
}

void streams_free(struct streams *s)
{
	if (!s)
		return;
	chr_on_device(s->console, NULL, NULL);
	loop_cancel(s->loop, s);
	if (s->out_watch)
		loop_watch_free(s->out_watch);
	if (s->in_watch)
		loop_watch_free(s->in_watch);
	if (s->in != s->out)
		auto_close(&s->in);
	auto_close(&s->out);
	chr_free(s->console);
	free(s);
}
