/* SPDX-License-Identifier: Apache-2.0 */
/* Questions and settings: q and Q packets, objects that are read piece by piece. GDB 13 §E.4 */
#include "gdb/internal.h"

enum { LIST_MAX = 4096 };

static const char *after(const char *p, const char *word)
{
	size_t n = strlen(word);
	return strncmp(p, word, n) ? NULL : p + n;
}

static void supported(struct gdb *g, const char *p)
{
	g->swbreak = strstr(p, "swbreak+");
	g->exec_events = strstr(p, "exec-events+");
	reply_text(&g->out, "PacketSize=%x;QStartNoAckMode+;vContSupported+;swbreak+;exec-events+;"
	         "QPassSignals+;qXfer:features:read+;qXfer:threads:read+;qXfer:exec-file:read+",
	         PACKET);
	if (g->t->auxv)
		reply_text(&g->out, ";qXfer:auxv:read+");
	if (g->t->siginfo)
		reply_text(&g->out, ";qXfer:siginfo:read+");
}

/* ---- objects ---- */

/* "OFFSET,LENGTH" at @p: false if it is not that. */
static bool piece_take(const char *p, uint64_t *ret_off, uint64_t *ret_len)
{
	*ret_off = hex_take(&p);
	if (*p++ != ',')
		return false;
	*ret_len = min_u64(hex_take(&p), PACKET / 2 - 1);
	return true;
}

/* A piece of @n bytes: "m" before it, or "l" before the last. */
static void piece_put(struct gdb *g, const void *data, ssize_t n, uint64_t asked)
{
	if (n < 0) {
		reply_error(g, (int)n);
		return;
	}
	reply_text(&g->out, "%c", (uint64_t)n < asked ? 'l' : 'm');
	reply_bytes(&g->out, data, (size_t)n);
}

static void piece_of(struct gdb *g, const char *text, size_t len, uint64_t off, uint64_t asked)
{
	uint64_t at = min_u64(off, len);
	piece_put(g, text + at, (ssize_t)min_u64(asked, len - at), asked);
}

static void list_make(struct gdb *g)
{
	int ids[LIST_MAX];
	size_t n = min_u64(g->t->threads(g->user, ids, LIST_MAX), LIST_MAX);
	free(take(g->list));
	FILE *f = open_memstream(&g->list, &g->list_len);
	if (!f)
		return;
	fputs("<?xml version=\"1.0\"?><threads>", f);
	for (size_t i = 0; i < n; i++) {
		char name[32] = "";
		g->t->thread_name(g->user, ids[i], name, sizeof name);
		for (char *c = name; *c; c++) /* no markup in names */
			if (strchr("<>&\"'", *c) || *c < ' ')
				*c = '_';
		fprintf(f, "<thread id=\"%x\" name=\"%s\"/>", (unsigned)ids[i], name);
	}
	fputs("</threads>", f);
	(void)!fclose(f);
}

static bool object_text(struct gdb *g, const char *p, uint64_t off, uint64_t len)
{
	char path[4096];
	if (after(p, "features:read:target.xml:")) {
		if (!g->xml)
			g->xml = gdb_cpu_xml(g->cpu, &g->xml_len);
		piece_of(g, g->xml ? g->xml : "", g->xml ? g->xml_len : 0, off, len);
	} else if (after(p, "threads:read::")) {
		if (!off || !g->list)
			list_make(g);
		piece_of(g, g->list ? g->list : "", g->list ? g->list_len : 0, off, len);
	} else if (after(p, "exec-file:read:")) {
		int r = g->t->exec_file(g->user, path, sizeof path);
		if (r < 0)
			reply_error(g, r);
		else
			piece_of(g, path, strlen(path), off, len);
	} else {
		return false;
	}
	return true;
}

static void object_do(struct gdb *g, const char *p)
{
	uint8_t buf[PACKET / 2];
	uint64_t off, len;
	const char *tail = strrchr(p, ':');
	if (!tail || !piece_take(tail + 1, &off, &len)) {
		reply_error(g, EINVAL);
		return;
	}
	if (object_text(g, p, off, len))
		return;
	if (after(p, "auxv:read::") && g->t->auxv)
		piece_put(g, buf, g->t->auxv(g->user, off, buf, len), len);
	else if (after(p, "siginfo:read::") && g->t->siginfo)
		piece_put(g, buf,
		          g->t->siginfo(g->user, thread_of(g, g->thread), off, buf, len), len);
}

/* ---- the rest ---- */

static void threads_do(struct gdb *g)
{
	int ids[LIST_MAX];
	size_t n = min_u64(g->t->threads(g->user, ids, PACKET / 16), PACKET / 16);
	for (size_t i = 0; i < n; i++)
		reply_text(&g->out, "%c%x", i ? ',' : 'm', (unsigned)ids[i]);
}

static void pass_do(struct gdb *g, const char *p)
{
	uint64_t set = 0;
	while (*p) {
		int sig = signal_from_gdb((int)(hex_take(&p) & 255));
		if (sig)
			set |= UINT64_C(1) << (sig - 1);
		if (*p++ != ';')
			break;
	}
	g->t->pass(g->user, set);
	reply_text(&g->out, "OK");
}

static void thread_extra(struct gdb *g, const char *p)
{
	char name[32] = "";
	g->t->thread_name(g->user, thread_take(&p), name, sizeof name);
	reply_hex(&g->out, name, strlen(name));
}

bool query_do(struct gdb *g, const char *p)
{
	const char *at;
	if ((at = after(p, "qSupported")))
		supported(g, at);
	else if (after(p, "QStartNoAckMode")) {
		g->no_ack = true;
		reply_text(&g->out, "OK");
	} else if ((at = after(p, "qXfer:")))
		object_do(g, at);
	else if ((at = after(p, "QPassSignals:")))
		pass_do(g, at);
	else if ((at = after(p, "qThreadExtraInfo,")))
		thread_extra(g, at);
	else if (after(p, "qfThreadInfo"))
		threads_do(g);
	else if (after(p, "qsThreadInfo"))
		reply_text(&g->out, "l");
	else if (after(p, "qAttached"))
		reply_text(&g->out, "0"); /* to be killed when the debugger quits */
	else if (!strcmp(p, "qC"))
		reply_text(&g->out, "QC%x", (unsigned)thread_of(g, g->thread));
	else if (after(p, "qSymbol:"))
		reply_text(&g->out, "OK");
	else
		return false;
	return true;
}
