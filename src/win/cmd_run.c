/* SPDX-License-Identifier: Apache-2.0 */
/* cmd.exe: the tree is run: redirections, operators, pipes, commands of its own. */
#include "win/child.h"
#include "win/cmd.h"
#include <fcntl.h>

/* ---- redirections ---- */

struct before {
	int fd[3];
};

static int device_dup(struct cmd *c, enum device d, bool input)
{
	int from = d == DEVICE_NUL ? process()->start->null_fd : input ? c->fd[0] : c->fd[1];
	return fcntl(from, F_DUPFD_CLOEXEC, 3);
}

/* The file or device of @r: a descriptor, or -1, and the last error is set. */
static int target_open(struct cmd *c, const struct redirect *r, const char *target)
{
	static const int modes[] = {O_RDONLY, O_WRONLY | O_CREAT | O_TRUNC,
				    O_WRONLY | O_CREAT | O_APPEND};
	enum device d = path_device(target);
	if (d)
		return device_dup(c, d, r->how == REDIRECT_IN);
	autofree char *host = path_valid(target) ? path_linux(target) : NULL;
	if (!host) {
		last_error_set(path_valid(target) ? ERROR_PATH_NOT_FOUND : ERROR_INVALID_NAME);
		return -1;
	}
	int fd = open(host, modes[r->how] | O_CLOEXEC, 0666);
	if (fd < 0 && errno == EISDIR)
		last_error_set(ERROR_ACCESS_DENIED);
	else if (fd < 0)
		fail_path(host);
	return fd;
}

static void redirects_end(struct cmd *c, const struct before *was)
{
	for (int i = 0; i < 3; i++) {
		if (c->fd[i] != was->fd[i])
			close(c->fd[i]);
		c->fd[i] = was->fd[i];
	}
}

/* False: one could not be made, which has been told. */
static bool redirects_begin(struct cmd *c, const struct redirect *r, struct before *was)
{
	memcpy(was->fd, c->fd, sizeof was->fd);
	for (; r; r = r->next) {
		autofree char *target = expand_late(c, r->target);
		int from = *target - '0', fd;
		if (r->how != REDIRECT_COPY)
			fd = target_open(c, r, target);
		else if (from >= 0 && from < 3)
			fd = fcntl(c->fd[from], F_DUPFD_CLOEXEC, 3);
		else
			fd = device_dup(c, DEVICE_NUL, false);
		if (fd < 0) {
			uint32_t error = last_error();
			redirects_end(c, was);
			complain_error(c, error);
			return false;
		}
		if (r->fd > 2) {
			close(fd);
			continue;
		}
		if (c->fd[r->fd] != was->fd[r->fd])
			close(c->fd[r->fd]);
		c->fd[r->fd] = fd;
	}
	return true;
}

/* ---- one command ---- */

#define BUILT(name, function, clears) extern uint32_t function(struct cmd *c, const char *args);
#include "win/cmd.def"
#undef BUILT
static const struct command_row commands[] = {
#define BUILT(name, function, clears) {name, function, clears},
#include "win/cmd.def"
#undef BUILT
};

const struct command_row *command_find(const char *text, const char **ret_args)
{
	for (size_t i = 0; i < countof(commands); i++) {
		size_t n = strlen(commands[i].name);
		char next = strncasecmp(text, commands[i].name, n) ? 'x' : text[n];
		if (next && !is_between(next) && !strchr("./\\:+([]\"<>|&", next))
			continue;
		if (next == '.' || next == ':' || next == '\\') { /* echo.exe is another's */
			const char *at = text;
			autofree char *word = word_next(&at), *bare = word ? unquoted(word) : NULL;
			if (bare && attributes_of(bare) != UINT32_MAX && !is_folder(bare))
				continue;
		}
		if (ret_args)
			*ret_args = text + n;
		return &commands[i];
	}
	return NULL;
}

/* X: and nothing more. */
static bool is_drive(const char *text)
{
	return ((text[0] | 32) >= 'a' && (text[0] | 32) <= 'z') && text[1] == ':' &&
	       !*between_skip(text + 2);
}

/* .cmd and .bat are told apart by some commands only. */
static bool ends_with_cmd(const char *path)
{
	size_t n = strlen(path);
	return n > 4 && !strcasecmp(path + n - 4, ".cmd");
}

uint32_t cmd_run_text(struct cmd *c, const char *text, bool called)
{
	const char *args;
	text = between_skip(text);
	if (!*text)
		return c->level; /* nothing but redirections */
	if (is_drive(text)) {
		uint32_t bad = path_cwd_set((const char[]){text[0], ':', 0});
		return bad ? complain_error(c, ERROR_INVALID_DRIVE) : 0;
	}
	const struct command_row *row = command_find(text, &args);
	if (!row)
		return program_run(c, text, called);
	bool script = c->batch && ends_with_cmd(c->batch->path);
	uint32_t r = row->run(c, args);
	if (r ? row->clears != 'q' : row->clears == 'y' || (row->clears == 'c' && script))
		c->level = r;
	return r;
}

static uint32_t simple_run(struct cmd *c, const struct node *n)
{
	autofree char *text = expand_late(c, n->text);
	return cmd_run_text(c, text, false);
}

/* ---- operators ---- */

static void pipe_side(struct cmd *c, int fd, int other, const struct node *n, struct object **ret)
{
	int was = c->fd[fd];
	c->fd[fd] = other;
	*ret = cmd_fork(c, n);
	c->fd[fd] = was;
}

static uint32_t pipe_run(struct cmd *c, const struct node *n)
{
	struct object *a = NULL, *b = NULL;
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return complain_error(c, error_of(errno));
	pipe_side(c, 1, ends[1], n->a, &a);
	close(ends[1]);
	pipe_side(c, 0, ends[0], n->b, &b);
	close(ends[0]);
	if (a)
		process_wait(a);
	return c->level = b ? process_wait(b) : 1;
}

static uint32_t both_run(struct cmd *c, const struct node *n)
{
	uint32_t r = cmd_run(c, n->a);
	if (n->kind == NODE_OR && r) {
		c->level = r;
		if (c->jump == JUMP_FAILED)
			c->jump = JUMP_NONE;
	}
	if (c->jump || !r != (n->kind == NODE_AND))
		return r;
	return cmd_run(c, n->b);
}

static uint32_t kind_run(struct cmd *c, const struct node *n)
{
	switch (n->kind) {
	case NODE_SIMPLE: return simple_run(c, n);
	case NODE_BLOCK: return n->a ? cmd_run(c, n->a) : 0;
	case NODE_IF: return cmd_if(c, n);
	case NODE_FOR: return cmd_for(c, n);
	case NODE_PIPE: return pipe_run(c, n);
	case NODE_AND:
	case NODE_OR:
	case NODE_THEN: break;
	}
	return both_run(c, n);
}

uint32_t cmd_run(struct cmd *c, const struct node *n)
{
	struct before was;
	for (; n->kind == NODE_THEN; n = n->b) {
		uint32_t r = cmd_run(c, n->a);
		if (c->jump)
			return r;
	}
	if (!n->to)
		return kind_run(c, n);
	if (!redirects_begin(c, n->to, &was))
		return 1; /* which only || sees */
	uint32_t r = kind_run(c, n);
	redirects_end(c, &was);
	return r;
}

uint32_t cmd_run_lines(struct cmd *c, struct lines *l)
{
	uint32_t r = 0;
	struct node *n;
	char *bad;
	while (parse_next(l, &n, &bad)) {
		if (!n)
			continue;
		if (!n->quiet && c->batch)
			command_echo(c, n);
		r = cmd_run(c, n);
		node_free(n);
		if (c->jump == JUMP_LINE)
			c->jump = JUMP_NONE;
		if (c->jump)
			return r;
	}
	if (!bad)
		return r;
	complain(c,
		 *bad ? "%s was unexpected at this time.\n"
		      : "The syntax of the command is incorrect.\n",
		 bad);
	free(bad);
	c->jump = c->batch ? JUMP_BATCH : JUMP_NONE;
	return c->level = 255;
}
