/* SPDX-License-Identifier: Apache-2.0 */
/* cmd.exe: batch files, labels, call, goto, exit, shift, setlocal. A file is read when it begins.
 */
#include "win/cmd.h"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { CALLS_MAX = 400, FILE_MOST = 64 << 20, CTRL_Z = 26 };

struct saved {
	char **env;
	char *folder;
	bool delayed;
	struct saved *next;
};

/* ---- setlocal ---- */

BUILT_IN(cmd_setlocal)
{
	const char *s = args;
	if (c->batch) {
		struct saved *v = memory_get(sizeof *v);
		*v = (struct saved){environment_copy(), text_copy(path_cwd(), SIZE_MAX), c->delayed,
				    c->batch->saved};
		c->batch->saved = v;
	}
	for (char *w; (w = word_next(&s)); free(w)) {
		if (!strcasecmp(w, "enabledelayedexpansion"))
			c->delayed = true;
		else if (!strcasecmp(w, "disabledelayedexpansion"))
			c->delayed = false;
	}
	return 0;
}

static void environment_restore(char **to)
{
	char **now = environment_copy();
	for (size_t i = 0; now && now[i]; i++) {
		char *eq = strchr(now[i] + 1, '=');
		if (eq) {
			*eq = 0;
			environment_set(now[i], NULL);
		}
		free(now[i]);
	}
	free(now);
	for (size_t i = 0; to && to[i]; i++) {
		char *eq = strchr(to[i] + 1, '=');
		if (eq) {
			*eq = 0;
			environment_set(to[i], eq + 1);
		}
		free(to[i]);
	}
	free(to);
}

static void saved_pop(struct batch *b, struct cmd *c)
{
	struct saved *v = b->saved;
	if (!v)
		return;
	b->saved = v->next;
	environment_restore(v->env);
	(void)!path_cwd_set(v->folder);
	c->delayed = v->delayed;
	free(v->folder);
	free(v);
}

void saved_drop(struct batch *b, struct cmd *c)
{
	while (b->saved)
		saved_pop(b, c);
}

BUILT_IN(cmd_endlocal)
{
	(void)args;
	if (c->batch)
		saved_pop(c->batch, c);
	return 0;
}

/* ---- lines ---- */

static const char *line_end(const char *s)
{
	const char *end = strchr(s, '\n');
	return end ? end : s + strlen(s);
}

static char *batch_line(void *arg)
{
	struct cmd *c = arg;
	struct batch *b = c->batch;
	if (!*b->at)
		return NULL;
	const char *from = b->at, *end = line_end(from);
	b->at = end + (*end == '\n');
	size_t n = (size_t)(end - from);
	n -= n && from[n - 1] == '\r';
	autofree char *line = text_copy(from, n);
	return *between_skip(line) == ':' ? take(line) : expand_line(c, line);
}

/* What a label ends with. */
static size_t label_len(const char *s) { return strcspn(s, " \t:+,;=&|<>()\r\n"); }

/* The line behind the label @name (without :), from where the batch is, then from its beginning. */
static const char *label_find(const struct batch *b, const char *name, size_t n)
{
	bool again = b->at > b->text;
	for (const char *s = b->at, *end;; s = end) {
		if (!*s) {
			if (!again)
				return NULL;
			again = false;
			s = b->text;
		}
		end = line_end(s);
		const char *at = between_skip(s);
		if (*at == ':') {
			at = between_skip(at + 1);
			if (label_len(at) == n && !strncasecmp(at, name, n))
				return end + (*end == '\n');
		}
		end += *end == '\n';
		if (!again && end >= b->at && s < b->at && b->at > b->text)
			return NULL;
	}
}

BUILT_IN(cmd_goto)
{
	const char *s = between_skip(args);
	if (!c->batch)
		return 0;
	if (*s == ':') {
		s = between_skip(s + 1);
		if (!strncasecmp(s, "eof", 3) && label_len(s) == 3) {
			c->jump = JUMP_BATCH;
			return 0;
		}
	}
	size_t n = label_len(s);
	const char *to = n ? label_find(c->batch, s, n) : NULL;
	if (to) {
		c->batch->at = to;
		c->jump = JUMP_LINE;
		return 0;
	}
	if (n)
		complain(c, "The system cannot find the batch label specified - %.*s\n", (int)n, s);
	else
		complain(c, "No batch label specified to GOTO command.\n");
	c->batch->at = "";
	c->jump = JUMP_FAILED;
	return 1;
}

/* ---- a batch, or a part of one, begins and ends ---- */

static void arguments_set(struct batch *b, const char *name, const char *rest)
{
	size_t cap = 8;
	const char *s = rest;
	b->args = memory_get(cap * sizeof *b->args);
	b->args[b->nargs++] = text_copy(name, SIZE_MAX);
	for (char *w; (w = word_next(&s)); b->args[b->nargs++] = w)
		if (b->nargs == cap) {
			char **more = memory_get(2 * cap * sizeof *more);
			memcpy(more, b->args, cap * sizeof *more);
			free(b->args);
			b->args = more;
			cap *= 2;
		}
	b->all = text_copy(blank_skip(rest), SIZE_MAX);
}

static void batch_free(struct batch *b)
{
	for (size_t i = 0; i < b->nargs; i++)
		free(b->args[i]);
	free(b->args);
	free(b->path);
	free(b->all);
	free(b);
}

/* Commands in commands, of whatever kind, have taken too much of the stack. */
static bool is_deep(const struct cmd *c)
{
	enum { DEEPEST = 2 << 20 };
	const char *here = __builtin_frame_address(0);
	return c->depth >= CALLS_MAX || c->stack - here > DEEPEST;
}

static uint32_t recursion_refuse(struct cmd *c)
{
	complain(c, "******  B A T C H   R E C U R S I O N  exceeds STACK limits ******\n");
	c->jump = JUMP_EXIT;
	return c->level = 1;
}

/* In @b, which is given away, until it ends. Not on the stack: a process beside this one has only
 * the heap. */
static uint32_t batch_do(struct cmd *c, struct batch *b)
{
	struct lines l = {.next = batch_line, .arg = c, .batch = true};
	uint32_t r;
	if (is_deep(c)) {
		r = recursion_refuse(c);
	} else {
		c->depth++;
		c->batch = b;
		r = cmd_run_lines(c, &l);
		saved_drop(b, c);
		c->batch = b->caller;
		c->depth--;
	}
	if (c->jump != JUMP_EXIT)
		c->jump = JUMP_NONE;
	batch_free(b);
	return r;
}

static char *file_text(const char *path)
{
	struct stat st;
	autofree char *host = path_linux(path);
	autoclose int fd = host ? open(host, O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size > FILE_MOST)
		return NULL;
	size_t len = (size_t)st.st_size, n = 0;
	autofree char *s = memory_get(len + 1);
	for (ssize_t r; n < len && (r = read(fd, s + n, len - n)) > 0;)
		n += (size_t)r;
	for (size_t i = 0; i < n; i++) /* a line has none */
		s[i] = s[i] ? s[i] : ' ';
	s[n] = 0;
	s[strcspn(s, (const char[]){CTRL_Z, 0})] = 0;
	return take(s);
}

uint32_t batch_run(struct cmd *c, const char *path, const char *name, const char *rest, bool called)
{
	autofree char *s = file_text(path);
	if (!s)
		return c->level = complain_error(c, ERROR_ACCESS_DENIED);
	size_t bom = !strncmp(s, "\xef\xbb\xbf", 3) ? 3 : 0;
	struct batch *b = memory_get(sizeof *b);
	*b = (struct batch){
	    .text = s, .at = s + bom, .path = text_copy(path, SIZE_MAX), .caller = c->batch};
	arguments_set(b, name, rest);
	uint32_t r = batch_do(c, b);
	if (!called && c->batch && !c->jump) /* it does not come back */
		c->jump = JUMP_BATCH;
	return r;
}

uint32_t batch_call_label(struct cmd *c, const char *label, const char *rest)
{
	struct batch *from = c->batch;
	size_t n = label_len(label + 1);
	if (n == 3 && !strncasecmp(label + 1, "eof", 3))
		return 0;
	const char *to = n ? label_find(from, label + 1, n) : NULL;
	if (!to) {
		complain(c, "The system cannot find the batch label specified - %.*s\n", (int)n,
			 label + 1);
		return 1;
	}
	struct batch *b = memory_get(sizeof *b);
	*b = (struct batch){
	    .text = from->text, .at = to, .path = text_copy(from->path, SIZE_MAX), .caller = from};
	arguments_set(b, label, rest);
	return batch_do(c, b);
}

/* ---- commands of batches ---- */

/* The rest is expanded once more, and has no operators. */
BUILT_IN(cmd_call)
{
	autofree char *again = expand_line(c, args);
	const char *s = between_skip(again);
	if (!*s)
		return again[0] == ' ' ? c->level = 0 : (c->level = 1);
	if (*s == ':') {
		const char *rest = s + 1 + label_len(s + 1);
		autofree char *label = text_copy(s, (size_t)(rest - s));
		if (c->batch)
			return batch_call_label(c, label, rest);
		complain(c, "Invalid attempt to call batch label outside of batch script.\n");
		return 1;
	}
	return is_deep(c) ? recursion_refuse(c) : cmd_run_text(c, s, true);
}

BUILT_IN(cmd_exit)
{
	const char *s = args;
	bool batch = switch_next(&s, NULL) == 'b';
	s = between_skip(batch ? s : args);
	if (*s)
		c->level = (uint32_t)strtol(s, NULL, 0);
	c->jump = batch && c->batch ? JUMP_BATCH : JUMP_EXIT;
	return c->level;
}

BUILT_IN(cmd_shift)
{
	const char *s = between_skip(args);
	struct batch *b = c->batch;
	size_t from = *s == '/' && s[1] >= '0' && s[1] <= '8' ? (size_t)(s[1] - '0') : 0;
	if (!b || from >= b->nargs)
		return 0;
	free(b->args[from]);
	memmove(b->args + from, b->args + from + 1, (b->nargs - from - 1) * sizeof *b->args);
	b->nargs--;
	b->shifted |= !from;
	return 0;
}
