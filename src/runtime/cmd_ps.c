/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/internal.h"
#include <fcntl.h>
#include <stdio.h>

static const struct runtime_option options[] = {
    {"format", 'f', RT_TEXT, "table or json"},
};

enum { LINE = 4096, ARGS = 64 };

static bool is_among(const pid_t *pids, size_t n, long pid)
{
	for (size_t i = 0; i < n; i++)
		if (pids[i] == pid)
			return true;
	return false;
}

/* Which word of the head of ps is the number. */
static int pid_column(char *head)
{
	char *rest = head;
	int i = 0;
	for (char *w; (w = strsep(&rest, " \t\n"));) {
		if (!strcmp(w, "PID"))
			return i;
		i += *w != 0;
	}
	return -1;
}

static long pid_of(char *line, int column)
{
	char *rest = line;
	int i = 0;
	for (char *w; (w = strsep(&rest, " \t\n"));)
		if (*w && i++ == column)
			return strtol(w, NULL, 10);
	return -1;
}

/* The program ps with the caller's options, and of what it says the lines about @pids. */
static int ps_filter(FILE *f, const pid_t *pids, size_t n)
{
	char line[LINE], copy[LINE];
	int column = -1;
	while (fgets(line, sizeof line, f)) {
		memcpy(copy, line, sizeof copy);
		if (column < 0) {
			column = pid_column(copy);
			if (column < 0)
				return say_text("ps: its output has no column PID");
			fputs(line, stdout);
		} else if (is_among(pids, n, pid_of(copy, column))) {
			fputs(line, stdout);
		}
	}
	return 0;
}

static int ps_table(const struct runtime_call *c, const pid_t *pids, size_t n)
{
	int ends[2];
	char *argv[ARGS] = {NULL};
	size_t args = 0;
	static char name[] = "ps", all[] = "-ef";
	argv[args++] = name;
	for (size_t i = 1; i < c->n && args + 1 < countof(argv); i++) {
		union {
			const char *in;
			char *out;
		} word = {c->operands[i]};
		argv[args++] = word.out;
	}
	if (args == 1)
		argv[args++] = all;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return say_text("a pipe: %s", strerror(errno));
	pid_t pid = fork();
	if (pid == 0) {
		dup2(ends[1], 1);
		execvp("ps", argv);
		dprintf(2, "ps: %s\n", strerror(errno));
		_exit(127);
	}
	close(ends[1]);
	FILE *f = fdopen(ends[0], "r");
	int r = f && pid > 0 ? ps_filter(f, pids, n) : say_text("ps: %s", strerror(errno));
	if (f)
		fclose(f);
	int code = pid > 0 ? container_wait(pid) : 0;
	return r ? r : code ? EXIT_ERROR : 0;
}

static int ps_run(struct runtime_call *c)
{
	const char *format = call_text(c, "format");
	struct container one;
	struct lodge_err e;
	pid_t *pids = NULL;
	size_t n = 0;
	if (format && strcmp(format, "json") && strcmp(format, "table"))
		return say_text("invalid format option");
	int r = call_container(c, false, &one);
	if (r)
		return r;
	if (cgroup_pids(&one.cgroup, &pids, &n, &e) < 0) {
		r = say_error(&e);
	} else if (format && !strcmp(format, "json")) {
		printf("[");
		for (size_t i = 0; i < n; i++)
			printf("%s%d", i ? "," : "", (int)pids[i]);
		puts("]");
	} else {
		fflush(stdout);
		r = ps_table(c, pids, n);
	}
	free(pids);
	container_fini(&one);
	return r;
}

const struct runtime_command runtime_ps = {
    .name = "ps",
    .operands = "ID [OPTION OF PS...]",
    .summary = "list the processes of a container",
    .options = options,
    .noptions = countof(options),
    .min = 1,
    .max = ARGS,
    .stop_at_operand = true,
    .run = ps_run,
};
