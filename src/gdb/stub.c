/* SPDX-License-Identifier: Apache-2.0 */
/* A session: what a debugger asks for, packet by packet. GDB 13 §E.2, §E.3 */
#include "gdb/internal.h"
#include <unistd.h>

enum { THREADS_MAX = 4096, ACTIONS_MAX = 64, TRAP = 5, KILL = 9 };

int gdb_new(struct gdb **ret, const struct gdb_target *target, const struct gdb_cpu *cpu,
            void *user, void (*send)(void *user, const void *data, size_t len),
            struct lodge_err *e)
{
	struct gdb *g = calloc(1, sizeof *g);
	if (!g)
		return err_set(e, ENOMEM, "out of memory");
	g->t = target;
	g->cpu = cpu;
	g->user = user;
	g->send = send;
	pthread_mutex_init(&g->lock, NULL);
	g->stop = (struct gdb_stop){.signal = TRAP, .why = GDB_NOTHING};
	for (unsigned i = 0; i < PASS_FILES; i++)
		g->files[i] = -1;
	*ret = g;
	return 0;
}

void gdb_free(struct gdb *g)
{
	if (!g)
		return;
	for (unsigned i = 0; i < PASS_FILES; i++)
		if (g->files[i] >= 0)
			close(g->files[i]);
	pthread_mutex_destroy(&g->lock);
	free(g->xml);
	free(g->list);
	free(g);
}

/* With the lock. */
static void out_send(struct gdb *g)
{
	g->frame_len = reply_frame(&g->out, g->frame);
	g->send(g->user, g->frame, g->frame_len);
	g->out.len = 0;
}

void reply_error(struct gdb *g, int error)
{
	g->out.len = 0;
	reply_text(&g->out, "E%02x", (unsigned)(error < 0 ? -error : error) & 255);
}

/* ---- threads ---- */

bool thread_is(struct gdb *g, int thread)
{
	int ids[THREADS_MAX];
	size_t n = min_u64(g->t->threads(g->user, ids, THREADS_MAX), THREADS_MAX);
	for (size_t i = 0; i < n; i++)
		if (ids[i] == thread)
			return true;
	return false;
}

int thread_of(struct gdb *g, int thread)
{
	int first = 0;
	if (thread > 0)
		return thread;
	if (g->stop.thread > 0 && thread_is(g, g->stop.thread))
		return g->stop.thread;
	g->t->threads(g->user, &first, 1);
	return first;
}

static void select_do(struct gdb *g, const char *p)
{
	const char *at = p + 1;
	int thread = thread_take(&at);
	if (thread > 0 && !thread_is(g, thread)) {
		reply_error(g, ESRCH);
		return;
	}
	if (*p == 'g')
		g->thread = thread;
	else
		g->go_thread = thread;
	reply_text(&g->out, "OK");
}

/* ---- stops ---- */

void reply_stop(struct gdb *g)
{
	const struct gdb_stop *s = &g->stop;
	reply_text(&g->out, "T%02x", (unsigned)signal_to_gdb(s->signal));
	if (s->why == GDB_BREAK && g->swbreak)
		reply_text(&g->out, "swbreak:;");
	if (s->why == GDB_EXEC && s->exec) {
		reply_text(&g->out, "exec:");
		reply_hex(&g->out, s->exec, strlen(s->exec));
		reply_text(&g->out, ";");
	}
	reply_text(&g->out, "thread:%x;", (unsigned)thread_of(g, s->thread));
}

void gdb_stopped(struct gdb *g, const struct gdb_stop *s)
{
	pthread_mutex_lock(&g->lock);
	if (g->running) {
		g->stop = *s;
		g->running = false;
		g->thread = g->go_thread = s->thread;
		reply_stop(g);
		out_send(g);
		g->stop.exec = NULL;
	}
	pthread_mutex_unlock(&g->lock);
}

void gdb_ended(struct gdb *g, int code, int signal)
{
	pthread_mutex_lock(&g->lock);
	if (g->running && !g->over) {
		g->over = true;
		g->out.len = 0;
		if (signal)
			reply_text(&g->out, "X%02x", (unsigned)signal_to_gdb(signal));
		else
			reply_text(&g->out, "W%02x", (unsigned)code & 255);
		out_send(g);
	}
	pthread_mutex_unlock(&g->lock);
}

bool gdb_wants_exec(const struct gdb *g) { return g->exec_events; }

/* ---- registers and memory ---- */

static void regs_get(struct gdb *g)
{
	uint8_t v[GDB_REG_BYTES];
	int thread = thread_of(g, g->thread);
	for (unsigned i = 0; i < g->cpu->n; i++) {
		memset(v, 0, sizeof v);
		if (!g->t->reg_get(g->user, thread, i, v)) {
			reply_error(g, ESRCH);
			return;
		}
		reply_hex(&g->out, v, g->cpu->reg[i].bits / 8);
	}
}

static void regs_set(struct gdb *g, const char *p)
{
	int thread = thread_of(g, g->thread);
	for (unsigned i = 0; i < g->cpu->n; i++) {
		uint8_t v[GDB_REG_BYTES] = {0};
		size_t bytes = g->cpu->reg[i].bits / 8;
		if (hex_bytes(p, v, bytes) < bytes)
			break;
		p += 2 * bytes;
		if (!g->t->reg_set(g->user, thread, i, v)) {
			reply_error(g, ESRCH);
			return;
		}
	}
	reply_text(&g->out, "OK");
}

static void reg_do(struct gdb *g, const char *p)
{
	const char *at = p + 1;
	uint64_t n = hex_take(&at);
	uint8_t v[GDB_REG_BYTES] = {0};
	size_t bytes = n < g->cpu->n ? g->cpu->reg[n].bits / 8 : 0;
	int thread = thread_of(g, g->thread);
	bool ok = bytes != 0;
	if (*p == 'p') {
		ok = ok && g->t->reg_get(g->user, thread, (unsigned)n, v);
		if (ok)
			reply_hex(&g->out, v, bytes);
	} else {
		ok = ok && *at == '=' && hex_bytes(at + 1, v, bytes) == bytes &&
		     g->t->reg_set(g->user, thread, (unsigned)n, v);
		if (ok)
			reply_text(&g->out, "OK");
	}
	if (!ok)
		reply_error(g, EINVAL);
}

static void memory_read(struct gdb *g, const char *p)
{
	uint8_t buf[PACKET / 2];
	uint64_t at = hex_take(&p), len = *p == ',' ? (p++, hex_take(&p)) : 0;
	ssize_t n = g->t->mem_read(g->user, at, buf, min_u64(len, sizeof buf));
	if (n < 0)
		reply_error(g, (int)n);
	else
		reply_hex(&g->out, buf, (size_t)n);
}

/* M: hexadecimal; X: bytes, up to @end. */
static void memory_write(struct gdb *g, const char *p, const char *end)
{
	uint8_t buf[PACKET];
	bool hex = *p++ == 'M';
	uint64_t at = hex_take(&p), len = *p == ',' ? (p++, hex_take(&p)) : 0;
	const char *data = *p == ':' ? p + 1 : end;
	size_t have = (size_t)(end - data);
	if (hex)
		have = hex_bytes(data, buf, sizeof buf);
	else
		memcpy(buf, data, have);
	int r = have < len ? -EINVAL : len ? g->t->mem_write(g->user, at, buf, len) : 0;
	if (r < 0)
		reply_error(g, r);
	else
		reply_text(&g->out, "OK");
}

/* Z and z: only of software. */
static void breakpoint_do(struct gdb *g, const char *p)
{
	bool set = *p == 'Z';
	if (p[1] != '0' || p[2] != ',')
		return;
	p += 3;
	int r = g->t->breakpoint(g->user, hex_take(&p), set);
	if (r < 0)
		reply_error(g, r);
	else
		reply_text(&g->out, "OK");
}

/* ---- going on ---- */

static void go(struct gdb *g, const struct gdb_action *a, size_t n)
{
	g->running = true;
	g->out.len = 0;
	g->t->resume(g->user, a, n);
}

/* c, C, s, S [signal][;address] */
static void go_old(struct gdb *g, const char *p)
{
	struct gdb_action a = {.thread = g->go_thread > 0 ? g->go_thread : -1,
		.step = *p == 's' || *p == 'S'};
	bool sig = *p == 'C' || *p == 'S';
	p++;
	if (sig)
		a.signal = signal_from_gdb((int)(hex_take(&p) & 255));
	if (a.step && a.thread < 0)
		a.thread = thread_of(g, 0);
	struct gdb_action list[2] = {a, {.thread = -1}};
	if (a.signal && a.thread < 0)
		list[0].thread = thread_of(g, 0);
	go(g, list, g->go_thread > 0 ? 1 : 2);
}

/* vCont;c:1;s:2;C05:3;... */
static void go_each(struct gdb *g, const char *p)
{
	struct gdb_action list[ACTIONS_MAX];
	size_t n = 0;
	while (*p == ';' && n < ACTIONS_MAX) {
		char what = p[1];
		struct gdb_action *a = &list[n++];
		*a = (struct gdb_action){.thread = -1, .step = what == 's' || what == 'S'};
		if (!what || !strchr("cCsS", what)) {
			reply_error(g, EINVAL);
			return;
		}
		p += 2;
		if (what == 'C' || what == 'S')
			a->signal = signal_from_gdb((int)(hex_take(&p) & 255));
		if (*p == ':') {
			p++;
			a->thread = thread_take(&p);
			a->thread = a->thread ? a->thread : thread_of(g, 0);
		}
	}
	if (!n || *p)
		reply_error(g, EINVAL);
	else
		go(g, list, n);
}

static void detach(struct gdb *g)
{
	reply_text(&g->out, "OK");
	out_send(g);
	g->over = true;
	g->t->detach(g->user);
}

static void verbose_do(struct gdb *g, const char *p, size_t len)
{
	if (!strncmp(p, "vCont?", 6))
		reply_text(&g->out, "vCont;c;C;s;S");
	else if (!strncmp(p, "vCont;", 6))
		go_each(g, p + 5);
	else if (!strncmp(p, "vFile:", 6))
		file_do(g, p + 6, len - 6);
	else if (!strncmp(p, "vKill", 5)) {
		reply_text(&g->out, "OK");
		out_send(g);
		g->over = true;
		g->t->kill(g->user);
	}
}

static void packet_do(struct gdb *g)
{
	const char *p = (const char *)g->in.body;
	const char *end = p + g->in.len;
	switch (*p) {
	case '?': reply_stop(g); break;
	case 'H': select_do(g, p + 1); break;
	case 'T':
		p++;
		if (thread_is(g, thread_take(&p)))
			reply_text(&g->out, "OK");
		else
			reply_error(g, ESRCH);
		break;
	case 'g': regs_get(g); break;
	case 'G': regs_set(g, p + 1); break;
	case 'p': case 'P': reg_do(g, p); break;
	case 'm': memory_read(g, p + 1); break;
	case 'M': case 'X': memory_write(g, p, end); break;
	case 'Z': case 'z': breakpoint_do(g, p); break;
	case 'c': case 'C': case 's': case 'S': go_old(g, p); break;
	case 'v': verbose_do(g, p, g->in.len); break;
	case 'q': case 'Q': (void)!query_do(g, p); break;
	case 'D': detach(g); break;
	case 'k':
		g->over = true;
		g->t->kill(g->user);
		break;
	default: break; /* an empty reply: not known */
	}
}

static void packet_take(struct gdb *g)
{
	bool ack = !g->no_ack;
	if (ack)
		g->send(g->user, "+", 1);
	if (g->running)
		return;
	g->out.len = 0;
	packet_do(g);
	if (!g->running && !g->over)
		out_send(g);
}

bool gdb_input(struct gdb *g, const void *data, size_t len)
{
	const uint8_t *b = data;
	for (size_t i = 0; i < len && !g->over; i++) {
		pthread_mutex_lock(&g->lock);
		enum in_event event = in_add(&g->in, b[i]);
		if (event == IN_PACKET)
			packet_take(g);
		else if (event == IN_BAD && !g->no_ack)
			g->send(g->user, "-", 1);
		else if (event == IN_AGAIN && !g->no_ack)
			g->send(g->user, g->frame, g->frame_len);
		bool stop = event == IN_INTERRUPT && g->running;
		pthread_mutex_unlock(&g->lock);
		if (stop)
			g->t->interrupt(g->user);
	}
	return !g->over;
}
