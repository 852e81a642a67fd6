/* SPDX-License-Identifier: Apache-2.0 */
/* Small programs of ours beside cmd.exe: more, sort, timeout, hostname, whoami, where. */
#include "win/cmd.h"
#include <fcntl.h>
#include <stdlib.h>

void more_main(void *unused);
void sort_main(void *unused);
void timeout_main(void *unused);
void hostname_main(void *unused);
void whoami_main(void *unused);
void where_main(void *unused);

WINAPI void k32_Sleep(uint32_t ms);

static const char *arguments(struct cmd *c)
{
	const char *s = process()->command_line8;
	*c = (struct cmd){.fd = {0, 1, 2}};
	free(word_next(&s));
	return s;
}

/* @c reads from the file @name. */
static void input_set(struct cmd *c, const char *name)
{
	autofree char *bare = unquoted(name), *host = path_linux(bare);
	int fd = host ? open(host, O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0) {
		complain_error(c, ERROR_FILE_NOT_FOUND);
		process_exit(1);
	}
	c->fd[0] = fd;
}

static void all_show(struct cmd *c)
{
	for (;;) {
		struct string t = {0};
		bool any = input_line(c, &t);
		autofree char *line = string_take(&t);
		if (!any)
			break;
		say(c, "%s\n", line);
	}
}

void more_main(void *unused)
{
	struct cmd c;
	const char *s = arguments(&c);
	bool any = false;
	(void)unused;
	while (switch_next(&s, NULL))
		continue;
	for (char *w; (w = word_next(&s)); free(w)) {
		input_set(&c, w);
		all_show(&c);
		close(c.fd[0]);
		any = true;
	}
	if (!any) {
		all_show(&c);
		say(&c, "\n");
	}
	process_exit(0);
}

static int line_order(const void *a, const void *b)
{
	return strcasecmp(*(char *const *)a, *(char *const *)b);
}

void sort_main(void *unused)
{
	struct cmd c;
	const char *s = arguments(&c);
	char **all = NULL;
	size_t n = 0, cap = 0;
	bool backwards = false;
	(void)unused;
	for (char k; (k = switch_next(&s, NULL));)
		backwards |= k == 'r';
	autofree char *name = word_next(&s);
	if (name)
		input_set(&c, name);
	for (;;) {
		struct string t = {0};
		bool any = input_line(&c, &t);
		char *line = string_take(&t);
		if (!any) {
			free(line);
			break;
		}
		if (n == cap) {
			cap = cap ? 2 * cap : 256;
			char **more = memory_get(cap * sizeof *more);
			if (n)
				memcpy(more, all, n * sizeof *more);
			free(all);
			all = more;
		}
		all[n++] = line;
	}
	if (n)
		qsort(all, n, sizeof *all, line_order);
	for (size_t i = 0; i < n; i++)
		say(&c, "%s\n", all[backwards ? n - 1 - i : i]);
	process_exit(0);
}

void timeout_main(void *unused)
{
	struct cmd c;
	const char *s = arguments(&c);
	enum { SECONDS_MAX = 99999 };
	unsigned long seconds = 0;
	(void)unused;
	for (char *w; (w = word_next(&s)); free(w))
		if (*w >= '0' && *w <= '9')
			seconds = strtoul(w, NULL, 10);
	k32_Sleep((uint32_t)min_u64(seconds, SECONDS_MAX) * 1000);
	process_exit(0);
}

static _Noreturn void variable_show(const char *name, const char *before)
{
	struct cmd c;
	(void)arguments(&c);
	autofree char *v = environment_get(name);
	say(&c, "%s%s\n", before, v ? v : "");
	process_exit(0);
}

void hostname_main(void *unused)
{
	(void)unused;
	variable_show("COMPUTERNAME", "");
}

void whoami_main(void *unused)
{
	(void)unused;
	variable_show("USERNAME", "lodge\\");
}

/* ---- where.exe ---- */

struct asked {
	struct cmd *c;
	const char *name;
	bool quiet;
	unsigned found;
};

/* All of @folder that is asked for. */
static void *where_in(const char *folder, void *arg)
{
	struct asked *a = arg;
	autofree char *all = environment_get("PATHEXT");
	char *rest = NULL;
	struct string t = {0};
	string_put(&t, ";");
	string_put(&t, all ? all : ".COM;.EXE;.BAT;.CMD");
	autofree char *each = string_take(&t);
	for (char *x = each; x; x = rest) {
		rest = strchr(x, ';');
		if (rest)
			*rest++ = 0;
		autofree char *path = path_join(folder, a->name);
		string_put(&t, path);
		for (const char *p = x; *p; p++)
			string_char(&t, *p >= 'A' && *p <= 'Z' ? (char)(*p | 32) : *p);
		autofree char *whole = string_take(&t), *base = folder_of(whole);
		size_t n = 0;
		struct entry *e = attributes_of(whole) != UINT32_MAX || is_pattern(whole)
				      ? entries_get(whole, &n)
				      : NULL;
		for (size_t i = 0; i < n; i++) {
			autofree char *at = path_join(base, e[i].name), *full = path_full(at);
			if (e[i].attributes & ATTRIBUTE_FOLDER || !full)
				continue;
			a->found++;
			if (!a->quiet)
				say(a->c, "%s\n", full);
		}
		if (e)
			entries_free(e, n);
	}
	return NULL; /* there may be more */
}

void where_main(void *unused)
{
	struct cmd c = {.fd = {0, 1, 2}};
	const char *s = process()->command_line8;
	bool quiet = false;
	unsigned missing = 0, asked = 0;
	(void)unused;
	free(word_next(&s));
	for (char *w; (w = word_next(&s)); free(w)) {
		autofree char *name = unquoted(w);
		if (!strcasecmp(name, "/q")) {
			quiet = true;
			continue;
		}
		asked++;
		struct asked a = {.c = &c, .name = name, .quiet = quiet};
		(void)where_in(path_cwd(), &a);
		(void)environment_path(where_in, &a);
		if (a.found)
			continue;
		missing++;
		if (!quiet)
			complain(&c, "INFO: Could not find files for the given pattern(s).\n");
	}
	process_exit(!asked ? 2 : missing ? 1 : 0);
}
