/* SPDX-License-Identifier: Apache-2.0 */
/* cli: a client of liblodge. Includes <lodge/lodge.h> and nothing from the other rooms.
 * A command is one file cmd_NAME.c and one line in commands.def; its options are rows, from which
 * parsing, --help, completion and the man page come. */
#pragma once
#include <errno.h>
#include <lodge/lodge.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define countof(a) (sizeof(a) / sizeof((a)[0]))

/* ---- options ---- */
enum option_kind { OPT_FLAG, OPT_TEXT, OPT_LIST, OPT_SIZE, OPT_TIME, OPT_NUMBER, OPT_CPUS };
struct option_row {
	const char *name;  /* --name */
	char letter;       /* -l, 0: none */
	enum option_kind kind;
	const char *arg;   /* name of its value in help; NULL for flags */
	const char *value; /* default; NULL: none */
	const char *help;
	bool setting;      /* may come from LODGE_NAME and the configuration files */
};

struct args;
struct command {
	const char *name, *alias; /* alias NULL: none */
	const char *operands;     /* for help: "NAME..." */
	const char *summary;      /* one line */
	const char *text;         /* more, for the man page and --help; paragraphs end in \n */
	const struct option_row *options;
	size_t noptions;
	bool stop_at_operand;     /* what follows the first operand is the guest's */
	const char *stop_word;    /* only if that is this word; NULL: any */
	unsigned min, max;        /* operands; any number when "..." is in operands */
	const char *format;       /* one more for --format, beside json and table; or NULL */
	const char *completes;    /* what operands are: "guests", "images", "commands" or NULL */
	int (*run)(struct args *a);
	int (*words)(int argc, char **argv); /* instead: it takes its words apart itself */
};
const struct command *command_at(size_t i); /* NULL past the end */
const struct command *command_find(const char *name);

struct args {
	const struct command *cmd;
	const char **operands; /* NULL-ended */
	size_t noperands;
	struct arg_value *values; /* one per row of cmd->options */
	bool help;                /* --help was given; nothing else counts */
	bool json;                /* --format json: errors are JSON as well */
};
/* 0, or the exit code after the reason was printed. */
int args_parse(struct args *a, int argc, char **argv);
void args_free(struct args *a);
/* @name must be a row of the command. */
bool arg_flag(const struct args *a, const char *name);
const char *arg_text(const struct args *a, const char *name); /* NULL: not given, no default */
const char *const *arg_list(const struct args *a, const char *name, size_t *ret_n);
/* SIZE, TIME, NUMBER; CPUS in thousandths; 0: not given */
uint64_t arg_number(const struct args *a, const char *name);
/* Does its value come from a setting? Forget that it was given. */
bool arg_is_default(const struct args *a, const char *name);
void arg_forget(struct args *a, const char *name);

/* ---- saying things ---- */
/* Print an error as text or JSON and return its exit code: 127 for ENOENT, 126 for ENOEXEC and
 * EACCES, else 125. */
int fail(const struct args *a, const struct lodge_err *e);
int fail_text(const struct args *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* "; did you mean '<prefix>X'?" when one of @next (called until NULL) is near to @word, else "". */
const char *nearest(const char *word, const char *prefix, const char *(*next)(void *user, size_t i),
                    void *user, char *buf, size_t cap);
void help_print(FILE *f, const struct command *c); /* NULL: all commands */
void scdoc_print(FILE *f, const struct command *c);
/* A table on stdout: columns as wide as needed, two blanks between. cells are row after row. */
void table_print(const char *const *cells, size_t columns, size_t rows);
/* "3 minutes ago", "-" for 0. */
const char *ago(uint64_t since_ns, char *buf, size_t cap);
const char *human_size(uint64_t bytes, char *buf, size_t cap);
/* The member @key of @o: "" or 0 when it has none. Borrowed from @o. */
struct json_object;
const char *member_text(struct json_object *o, const char *key);
int64_t member_number(struct json_object *o, const char *key);
/* ---- lists.c: 0 or an exit code ---- */
int env_list(const struct args *a, bool files, const char *const **ret, size_t *ret_n);
/* Volumes, and what --tmpfs would say. */
int mount_lists(const struct args *a, const char *const **ret_volumes, size_t *ret_n,
		const char *const **ret_tmpfs, size_t *ret_ntmpfs);
/* Does @o have for each key of --filter KEY=VALUE one of its values, as @has tells? */
bool filters_fit(const struct args *a, struct json_object *o,
		 bool (*has)(struct json_object *o, const char *key, const char *want));

/* ---- subs.c: commands that are several ---- */
struct sub {
	const char *name;
	int (*fn)(struct args *a, const char *name); /* once for each name; NULL: none was given */
	enum { SUB_ALONE, SUB_NAMES, SUB_ANY } takes;
};
int subs_run(struct args *a, const char *command, const struct sub *subs, size_t n);
void json_print(const char *text); /* for people */
/* For lodge_image_pull: a bar on a terminal, lines of steps elsewhere. @user: struct progress. */
struct progress {
	bool tty;
	char what[96];
	unsigned shown;
	uint64_t started_ns, last_ns;
};
int progress_show(void *user, const char *what, uint64_t done, uint64_t total);
void progress_end(struct progress *p);

/* ---- terminal and sessions ---- */
void term_raw(void);     /* stdin becomes raw until term_restore, also when a signal ends us */
void term_restore(void);
void term_size(unsigned *ret_rows, unsigned *ret_columns); /* 0, 0: no terminal */
/* SIGNALED: by a signal before the program had begun */
enum session_end { SESSION_OVER, SESSION_DETACHED, SESSION_SIGNALED, SESSION_ERROR };
/* Carry bytes between stdin, stdout and the console until one ends. @owner: a signal to us ends
 * the guest; else we only detach. *ret_signal: which signal it was, 0: none. */
enum session_end session_console(struct lodge_guest *g, struct lodge_console *c, bool interactive,
                                 bool owner, int *ret_signal);
/* The same for a program in the guest; *ret_code is its exit code, 128+n when SIGNALED. */
enum session_end session_exec(struct lodge_exec *x, bool interactive, bool tty, int *ret_code,
                              struct lodge_err *e);

/* Show what the guests of the operands (none: all) use; @once, or again and again. */
int stats_table(struct args *a, bool once);
/* Run @c in @g; the exit code. exec_session: in the guest @name, with exec_options.def. */
int exec_guest(struct args *a, struct lodge_guest *g, struct lodge_exec_config *c);
int exec_session(struct args *a, const char *name, struct lodge_exec_config *c);

/* ---- shared by commands that make guests ---- */
extern const struct option_row guest_options[];
extern const size_t nguest_options;
/* Fill @c from parsed guest_options and operands; what it points to stays. 0 or an exit code. */
int config_from_args(struct lodge_config *c, struct args *a);
/* Pull the image that @c needs if it is not in the cache. 0 or an exit code. */
int image_need(const struct args *a, const struct lodge_config *c);
/* Say on stderr what the last call on @g could not do as it was asked. */
void warnings_print(const struct lodge_guest *g);
/* Do @fn for each operand as a guest's name; errors are printed; the last exit code. */
int for_each_guest(struct args *a, int (*fn)(struct args *a, struct lodge_guest *g,
                                             struct lodge_err *e));
