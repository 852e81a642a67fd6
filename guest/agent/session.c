/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions: frames in and out, and what to do when the other side's bytes make no sense. */
#include "agent.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { FRAME_SIZE = AGENT_HEADER + AGENT_PAYLOAD_MAX };

struct session *session_new(struct agent *a, int in, int out, bool port)
{
	for (struct session *s = a->sessions; s < a->sessions + SESSIONS_MAX; s++) {
		if (s->used)
			continue;
		struct session n = {.used = true, .port = port, .in = in, .out_fd = out};
		n.frame = malloc(FRAME_SIZE);
		n.out.bytes = malloc(OUT_SIZE);
		if (!n.frame || !n.out.bytes) {
			free(n.frame);
			free(n.out.bytes);
			return NULL;
		}
		*s = n;
		return s;
	}
	return NULL;
}

static void hang_up_all(struct agent *a, const struct session *s)
{
	for (struct task *t = a->tasks; t < a->tasks + TASKS_MAX; t++)
		if (t->pid && t->session == s)
			task_hang_up(t);
}

void session_drift(struct agent *a, struct session *s)
{
	struct task *t = task_first(a);
	if (t && t->session == s && boot_console(a->boot) >= 0) {
		t->session = NULL;
		t->adrift = true;
		t->console = boot_console(a->boot);
		t->eof_wanted = true;
	}
	session_end(a, s);
}

void session_end(struct agent *a, struct session *s)
{
	hang_up_all(a, s);
	close(s->in);
	if (s->out_fd != s->in)
		close(s->out_fd);
	free(s->frame);
	free(s->out.bytes);
	*s = (struct session){0};
}

size_t session_room(const struct session *s)
{
	size_t left = OUT_SIZE - (s->out.end - s->out.at);
	/* Always leave room for small frames: EXIT, ERROR, PONG, WINDOW. */
	size_t kept = AGENT_PAYLOAD_MAX / 2;
	if (left <= kept + AGENT_HEADER)
		return 0;
	left -= kept + AGENT_HEADER;
	return left < AGENT_PAYLOAD_MAX ? left : AGENT_PAYLOAD_MAX;
}

bool session_send(struct session *s, enum agent_type type, uint16_t channel, const void *bytes,
		  size_t len)
{
	struct out *o = &s->out;
	size_t need = AGENT_HEADER + len;
	if (OUT_SIZE - (o->end - o->at) < need)
		return false;
	if (OUT_SIZE - o->end < need) {
		memmove(o->bytes, o->bytes + o->at, o->end - o->at);
		o->end -= o->at;
		o->at = 0;
	}
	agent_head(o->bytes + o->end, (uint32_t)len, type, channel);
	if (len)
		memcpy(o->bytes + o->end + AGENT_HEADER, bytes, len);
	o->end += need;
	return true;
}

void session_error(struct session *s, uint16_t channel, int code, const char *text)
{
	uint8_t b[260];
	size_t n = strlen(text);
	if (n > sizeof(b) - 4)
		n = sizeof(b) - 4;
	agent_put32(b, (uint32_t)code);
	memcpy(b + 4, text, n);
	session_send(s, AGENT_ERROR, channel, b, 4 + n);
}

void session_flush(struct agent *a, struct session *s)
{
	struct out *o = &s->out;
	while (o->at < o->end) {
		ssize_t n = write(s->out_fd, o->bytes + o->at, o->end - o->at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			if (!s->port && n < 0 && errno != EPIPE)
				session_drift(a, s);
			else if (!s->port)
				session_end(a, s);
			else
				o->at = o->end = 0;
			return;
		}
		o->at += (size_t)n;
	}
	o->at = o->end = 0;
}

/* The stream makes no sense: everything of this session stops until a HELLO comes. */
static void lose(struct agent *a, struct session *s)
{
	hang_up_all(a, s);
	s->greeted = false;
	s->lost = true;
}

static void hello(struct agent *a, struct session *s)
{
	uint8_t b[AGENT_HELLO_LEN];
	hang_up_all(a, s);
	memcpy(b, AGENT_MAGIC, AGENT_MAGIC_LEN);
	agent_put32(b + 8, AGENT_VERSION);
	agent_put32(b + 12, AGENT_PAYLOAD_MAX);
	agent_put32(b + 16, AGENT_WINDOW_START);
	s->greeted = true;
	session_send(s, AGENT_HELLO, 0, b, sizeof(b));
}

/* systemd takes signals for its targets; other inits (busybox, sysvinit's own) know these. */
static int ask_init(struct agent *a, bool reboot)
{
	struct stat st;
	int n = reboot ? SIGTERM : SIGUSR2;
	if (a->boot) {
		boot_ask(a, reboot);
		return 0;
	}
	if (!stat("/run/systemd/system", &st))
		n = SIGRTMIN + (reboot ? 5 : 4);
	return kill(1, n) ? errno : 0;
}

static int set_clock(const uint8_t *p, size_t len)
{
	if (len != 12)
		return EINVAL;
	uint64_t seconds = agent_get32(p) | (uint64_t)agent_get32(p + 4) << 32;
	uint32_t nanos = agent_get32(p + 8);
	if (nanos >= 1000000000u || seconds > INT64_MAX)
		return EINVAL;
	struct timespec ts = {.tv_sec = (time_t)seconds, .tv_nsec = (long)nanos};
	return clock_settime(CLOCK_REALTIME, &ts) ? errno : 0;
}

static void answer(struct session *s, enum agent_type type, uint16_t channel, int code)
{
	uint8_t b[2];
	if (code) {
		session_error(s, channel, code, strerror(code));
		return;
	}
	agent_put16(b, (uint16_t)type);
	session_send(s, AGENT_OK, channel, b, sizeof(b));
}

static void request(struct agent *a, struct session *s, enum agent_type type, uint16_t channel,
		    const uint8_t *p, size_t len)
{
	struct task *t = task_find(a, s, channel);
	if (type == AGENT_PING)
		session_send(s, AGENT_PONG, channel, p, len < 64 ? len : 64);
	else if (type == AGENT_EXEC)
		task_exec(a, s, channel, p, len);
	else if (type == AGENT_SHUTDOWN || type == AGENT_REBOOT)
		answer(s, type, channel, ask_init(a, type == AGENT_REBOOT));
	else if (type == AGENT_TIME)
		answer(s, type, channel, set_clock(p, len));
	else if (type == AGENT_ADDRESS)
		answer(s, type, channel, len == AGENT_ADDRESS_LEN ? card_rename(p, p + 6) : EINVAL);
	else if (t)
		task_frame(t, type, p, len);
}

/* One whole frame. */
static void frame(struct agent *a, struct session *s)
{
	const uint8_t *p = s->frame + AGENT_HEADER;
	size_t len = s->have - AGENT_HEADER;
	enum agent_type type = (enum agent_type)agent_get16(s->frame + 4);
	uint16_t channel = agent_get16(s->frame + 6);
	s->have = 0;
	if (type == AGENT_HELLO && len >= AGENT_HELLO_LEN &&
	    !memcmp(p, AGENT_MAGIC, AGENT_MAGIC_LEN))
		hello(a, s);
	else if (type == AGENT_HELLO)
		lose(a, s);
	else if (s->greeted)
		request(a, s, type, channel, p, len);
}

/* Is s->frame[0..have) the beginning of a HELLO? */
static bool hello_so_far(const struct session *s)
{
	static const uint8_t want[AGENT_HEADER + AGENT_MAGIC_LEN] = {
	    AGENT_HELLO_LEN, 0, 0, 0, AGENT_HELLO, 0, 0, 0, 'L', 'O', 'D', 'G', 'E', 'a', 'g', 't'};
	return !memcmp(s->frame, want, s->have < sizeof(want) ? s->have : sizeof(want));
}

/* Give up the first byte, and more until what is left could be a HELLO. */
static void skip(struct session *s)
{
	do {
		s->have--;
		memmove(s->frame, s->frame + 1, s->have);
	} while (s->have && !hello_so_far(s));
}

static void eat(struct agent *a, struct session *s, const uint8_t *p, size_t n)
{
	while (n) {
		size_t want = AGENT_HEADER;
		if (s->have >= AGENT_HEADER)
			want += agent_get32(s->frame);
		size_t take = s->lost ? 1 : want - s->have < n ? want - s->have : n;
		memcpy(s->frame + s->have, p, take);
		s->have += take;
		p += take;
		n -= take;
		if (s->lost) {
			if (!hello_so_far(s))
				skip(s);
			if (s->have < AGENT_HEADER + AGENT_MAGIC_LEN)
				continue;
			s->lost = false;
		}
		if (s->have < AGENT_HEADER)
			continue;
		if (agent_get32(s->frame) > AGENT_PAYLOAD_MAX ||
		    agent_get16(s->frame + 4) >= AGENT_TYPE_COUNT) {
			lose(a, s);
			if (!hello_so_far(s))
				skip(s);
		} else if (s->have == AGENT_HEADER + agent_get32(s->frame)) {
			frame(a, s);
		}
	}
}

bool session_read(struct agent *a, struct session *s)
{
	uint8_t b[16384];
	/* Requests wait while their answers could find no room. */
	if (!session_room(s))
		return true;
	ssize_t n = read(s->in, b, sizeof(b));
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	if (n <= 0) {
		if (!s->port) {
			/* An end is the host's; anything else is what a restored guest sees. */
			if (n < 0)
				session_drift(a, s);
			else
				session_end(a, s);
			return false;
		}
		if (s->greeted || s->have) /* the host closed its side of the port */
			lose(a, s);
		s->have = 0;
		s->lost = false;
		s->out.at = s->out.end = 0;
		return false;
	}
	eat(a, s, b, (size_t)n);
	s->since = now_ms();
	return true;
}

void session_tick(struct agent *a, struct session *s)
{
	if (!s->have || s->lost || now_ms() - s->since < PARTIAL_MS)
		return;
	lose(a, s);
	skip(s);
}
