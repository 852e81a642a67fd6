/* SPDX-License-Identifier: Apache-2.0 */
/* cmd.exe: programs that it looks up and starts, and commands in processes of their own. */
#include "win/child.h"
#include "win/cmd.h"

/* ---- which file ---- */

static char *file_at(const char *folder, const char *name, const char *extension)
{
	struct string t = {0};
	autofree char *path = folder ? path_join(folder, name) : text_copy(name, SIZE_MAX);
	string_put(&t, path);
	string_put(&t, extension);
	autofree char *whole = string_take(&t), *host = path_linux(whole);
	if (!host || access(host, F_OK) != 0 || is_folder(whole))
		return NULL;
	return path_full(whole);
}

/* As it is, if it has an extension that is one of programs, and with each of PATHEXT. */
static void *program_at(const char *folder, void *arg)
{
	const char *name = arg;
	autofree char *all = environment_get("PATHEXT");
	char *rest = NULL, *found = NULL;
	const char *dot = strrchr(name, '.');
	if (dot && !strpbrk(dot, "\\/:") && (found = file_at(folder, name, "")))
		return found;
	if (!all)
		all = text_copy(".COM;.EXE;.BAT;.CMD", SIZE_MAX);
	for (char *x = strtok_r(all, ";", &rest); x && !found; x = strtok_r(NULL, ";", &rest)) {
		for (char *p = x; *p; p++)
			*p = *p >= 'A' && *p <= 'Z' ? (char)(*p | 32) : *p;
		found = file_at(folder, name, x);
	}
	return found;
}

char *program_lookup(const char *name)
{
	if (!*name || is_pattern(name))
		return NULL;
	autofree char *own = text_copy(name, SIZE_MAX);
	char *found = program_at(NULL, own);
	return found || strpbrk(name, "\\/:") ? found : environment_path(program_at, own);
}

/* What @text begins with, and where the rest does. NULL: no such file; *ret_name is the word. */
static char *program_of(const char *text, char **ret_name, const char **ret_rest)
{
	const char *at = text;
	*ret_name = word_next(&at);
	*ret_rest = at;
	if (!*ret_name)
		return NULL;
	autofree char *bare = unquoted(*ret_name);
	char *found = program_lookup(bare);
	size_t n = strcspn(*ret_name, "/");
	if (found || strchr(*ret_name, '"') || !(*ret_name)[n] || !n)
		return found;
	autofree char *front = text_copy(*ret_name, n); /* prog/option */
	found = program_lookup(front);
	if (found)
		*ret_rest = between_skip(text) + n;
	return found;
}

/* ---- it is run ---- */

uint32_t program_run(struct cmd *c, const char *text, bool called)
{
	autofree char *name = NULL;
	const char *rest;
	text = between_skip(text);
	autofree char *path = program_of(text, &name, &rest);
	if (!path) {
		autofree char *bare = unquoted(name ? name : "");
		complain(c,
			 "'%s' is not recognized as an internal or external command,\n"
			 "operable program or batch file.\n",
			 bare);
		return c->level = c->batch ? 9009 : 1;
	}
	if (win_is_batch(path))
		return batch_run(c, path, name, rest, called);
	struct object *p = program_start(path, text, c->fd);
	if (p)
		return c->level = process_wait(p);
	uint32_t error = last_error();
	complain_error(c, error);
	return c->level = error == ERROR_BAD_EXE_FORMAT ? 216 : error;
}

struct object *program_begin(struct cmd *c, const char *text)
{
	autofree char *name = NULL;
	const char *rest;
	text = between_skip(text);
	if (!*text || command_find(text, NULL))
		return NULL;
	autofree char *path = program_of(text, &name, &rest);
	return path && !win_is_batch(path) ? program_start(path, text, c->fd) : NULL;
}

/* ---- commands in a process of their own ---- */

struct side {
	struct cmd *c;
	const struct node *n; /* NULL: the line */
	const char *line;
};

/* It has all that the other had: this is a copy. */
_Noreturn static void side_main(void *arg)
{
	struct side *s = arg;
	struct cmd *c = s->c;
	for (int i = 0; i < 3; i++)
		c->fd[i] = i;
	c->jump = JUMP_NONE;
	c->started = NULL;
	c->level = 0;
	c->stack = __builtin_frame_address(0);
	(void)(s->n ? cmd_run(c, s->n) : cmd_run_line(c, s->line));
	started_wait(c);
	process_exit(c->level);
}

static struct object *side_start(struct cmd *c, const struct node *n, const char *line)
{
	struct side *s = memory_get(sizeof *s);
	*s = (struct side){c, n, line};
	struct object *p = own_start(side_main, s, c->fd);
	if (!p)
		complain_error(c, last_error());
	free(s);
	return p;
}

struct object *cmd_fork(struct cmd *c, const struct node *n)
{
	struct object *p = NULL;
	if (n->kind == NODE_SIMPLE && !n->to) { /* no need of one between */
		autofree char *text = expand_late(c, n->text);
		p = program_begin(c, text);
	}
	return p ? p : side_start(c, n, NULL);
}

struct object *cmd_fork_line(struct cmd *c, const char *line) { return side_start(c, NULL, line); }

/* ---- start ---- */

struct started {
	struct object *process;
	struct started *next;
};

void started_wait(struct cmd *c)
{
	for (struct started *s = c->started, *next; s; s = next) {
		next = s->next;
		process_wait(s->process);
		free(s);
	}
	c->started = NULL;
}

/* Its options, which end where what is to be run begins. */
static const char *start_options(const char *args, bool *ret_wait, char **ret_folder)
{
	const char *s = between_skip(args);
	if (*s == '"') {
		free(word_next(&s)); /* a title */
		s = between_skip(s);
	}
	while (*s == '/') {
		autofree char *word = word_next(&s);
		*ret_wait |= !strcasecmp(word, "/wait") || !strcasecmp(word, "/w");
		if (!strcasecmp(word, "/d")) {
			free(*ret_folder);
			*ret_folder = word_next(&s);
		}
		s = between_skip(s);
	}
	return s;
}

BUILT_IN(cmd_start)
{
	autofree char *folder = NULL, *here = text_copy(path_cwd(), SIZE_MAX);
	bool wait = false;
	const char *what = start_options(args, &wait, &folder);
	if (!*what)
		return 0;
	autofree char *bare = folder ? unquoted(folder) : NULL;
	uint32_t bad = bare ? path_cwd_set(bare) : 0;
	if (bad)
		return complain_error(c, bad);
	struct object *p = program_begin(c, what);
	if (!p)
		p = cmd_fork_line(c, what);
	if (folder)
		(void)!path_cwd_set(here);
	if (!p)
		return 1;
	if (wait)
		return c->level = process_wait(p);
	struct started *s = memory_get(sizeof *s);
	*s = (struct started){p, c->started};
	c->started = s;
	return 0;
}
