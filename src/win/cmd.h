/* SPDX-License-Identifier: Apache-2.0 */
/* What the files cmd_*.c share: cmd.exe, a program that is part of Lodge. A line has its % expanded
 * (cmd_expand.c), becomes a tree (cmd_parse.c) and is run (cmd_run.c) in a process that has begun
 * as any other of the guest's, but has no image. */
#pragma once
#include "win/internal.h"

/* ---- text that grows (cmd_text.c); without memory the process ends ---- */
struct string {
	char *s; /* owned, NULL or 0-terminated */
	size_t n, cap;
};
void string_add(struct string *t, const char *s, size_t n);
void string_put(struct string *t, const char *s);
void string_char(struct string *t, char c);
char *string_take(struct string *t);      /* never NULL; the text is empty then */
void *memory_get(size_t n);               /* zeroed */
char *text_copy(const char *s, size_t n); /* malloc'ed; at most @n bytes */
/* Blanks, and what counts as such between words: , ; = */
bool is_blank(char c);
bool is_between(char c);
const char *between_skip(const char *s);
const char *blank_skip(const char *s);
/* The word at *@s, whose quotes are kept, and *@s behind it; NULL: there is none. malloc'ed. */
char *word_next(const char **s);
char *unquoted(const char *s); /* without any quotes; malloc'ed */
/* One more word that begins with a slash, off the front of *@s: its letter in lower case; 0: the
 * next is none. *ret_rest (may be NULL): what stands behind the letter, malloc'ed. */
char switch_next(const char **s, char **ret_rest);

/* ---- the tree (cmd_parse.c) ---- */
enum node_kind {
	NODE_SIMPLE,
	NODE_BLOCK,
	NODE_IF,
	NODE_FOR,
	NODE_THEN,
	NODE_AND,
	NODE_OR,
	NODE_PIPE
};
enum redirect_how { REDIRECT_IN, REDIRECT_OUT, REDIRECT_APPEND, REDIRECT_COPY };
struct redirect {
	int fd;
	enum redirect_how how;
	char *target; /* owned; of a copy: the digit, or - */
	struct redirect *next;
};
enum if_kind { IF_EXIST, IF_DEFINED, IF_LEVEL, IF_VERSION, IF_COMPARE };
enum comparison { CMP_EQ_TEXT, CMP_EQU, CMP_NEQ, CMP_LSS, CMP_LEQ, CMP_GTR, CMP_GEQ };
struct node {
	enum node_kind kind;
	bool quiet;          /* behind @ */
	bool lines;          /* THEN: the second stands in a line of its own */
	struct node *a, *b;  /* both sides; IF: then, else; FOR: what is done; owned */
	struct redirect *to; /* in order; owned */
	char *text;          /* SIMPLE: all of the command; IF: the first operand; FOR: the set */
	char *other;         /* IF: the second operand; FOR: options, or the folder of /r */
	char what;           /* FOR: d, f, l, r or 0 */
	char variable;
	enum if_kind test;
	enum comparison op;
	bool negate, fold;
};
/* Where lines come from, % expanded: malloc'ed; NULL: there is no more. */
struct lines {
	char *(*next)(void *arg);
	void *arg;
	bool batch; /* a line that begins with : is a label */
};
/* The next command of @l, which may be several lines. *ret NULL: an empty line, or a label.
 * False: no more lines, or one that cannot be understood: *ret_bad what was not expected, owned. */
bool parse_next(struct lines *l, struct node **ret, char **ret_bad);
void node_free(struct node *n); /* NULL is fine */

/* ---- the interpreter ---- */
enum jump {
	JUMP_NONE,
	JUMP_LINE,   /* goto: the rest of the line is not done */
	JUMP_FAILED, /* goto of no label: nor is it, but what is behind || */
	JUMP_BATCH,  /* the batch ends */
	JUMP_EXIT    /* cmd ends */
};
struct saved; /* of setlocal */
struct batch {
	const char *text; /* all of the file, 0-terminated; owned by the outermost */
	const char *at;   /* the next line */
	char *path;       /* whole, of the guest; owned */
	char **args;      /* as they were written; [0] is what was called; owned */
	size_t nargs;
	bool shifted; /* [0] is what was another */
	char *all;    /* %*; owned */
	struct saved *saved;
	struct batch *caller;
};
struct pushed {
	char *folder;
	struct pushed *next;
};
struct cmd {
	int fd[3];
	struct batch *batch; /* NULL: a command line */
	enum jump jump;
	uint32_t level;             /* %ERRORLEVEL% */
	bool silent;                /* echo off */
	bool delayed;               /* !VAR! */
	const char *variables[128]; /* of for, by letter; borrowed */
	struct pushed *pushed;
	const char *line; /* %CMDCMDLINE% */
	unsigned depth;   /* of batches */
	const char *stack; /* where it began */
	uint32_t random;
	struct started *started; /* by start, and not waited for */
};

/* ---- expansion (cmd_expand.c, cmd_name.c): all malloc'ed ---- */
char *expand_line(struct cmd *c, const char *line);            /* %VAR%, %1, %* */
char *expand_late(struct cmd *c, const char *text);            /* %a of for, then !VAR! */
char *variable_get(struct cmd *c, const char *name, size_t n); /* NULL: not defined */
/* @value as the letters @how (of f d p n x s a t z, in any case) say; @full: the path that its path
 * is taken from, or NULL. */
char *name_modified(const char *value, const char *how, size_t n, const char *full);

/* ---- running: what a command returns; 0 is success ---- */
uint32_t cmd_run(struct cmd *c, const struct node *n);
/* One command without operators, as call and the tree have it. @called: by call. */
uint32_t cmd_run_text(struct cmd *c, const char *text, bool called);
/* Commands of @l until they end; the last one's value. */
uint32_t cmd_run_lines(struct cmd *c, struct lines *l);
uint32_t cmd_run_line(struct cmd *c, const char *line);
uint32_t cmd_if(struct cmd *c, const struct node *n);
uint32_t cmd_for(struct cmd *c, const struct node *n);
/* A command in a process of its own, which is waited for later; NULL: told why not. */
struct object *cmd_fork(struct cmd *c, const struct node *n);
struct object *cmd_fork_line(struct cmd *c, const char *line);
/* The program that @text begins with, waited for. */
uint32_t program_run(struct cmd *c, const char *text, bool called);
/* The same, not waited for, if it is an image; NULL: it is none. */
struct object *program_begin(struct cmd *c, const char *text);
void started_wait(struct cmd *c); /* for all that start has begun */
void node_print(struct string *t, const struct node *n);
void command_echo(struct cmd *c, const struct node *n); /* as echo on wants it */
/* Batch files and labels (cmd_batch.c) */
uint32_t batch_run(struct cmd *c, const char *path, const char *name, const char *rest,
		   bool called);
uint32_t batch_call_label(struct cmd *c, const char *label, const char *rest);
void saved_drop(struct batch *b, struct cmd *c); /* as endlocal, for all of them */
/* The file that @name means: as it is, with an extension of PATHEXT, in the current folder or one
 * of PATH. malloc'ed; NULL: none. */
char *program_lookup(const char *name);

/* ---- output ---- */
void say(struct cmd *c, const char *fmt, ...) PRINTF(2, 3); /* \n becomes two characters */
void complain(struct cmd *c, const char *fmt, ...) PRINTF(2, 3);
uint32_t complain_error(struct cmd *c, uint32_t error); /* its text; returns 1 */
void write_all(int fd, const char *s, size_t n);
bool input_line(struct cmd *c, struct string *ret); /* of standard input, without its end */
void prompt_print(struct cmd *c);

/* ---- commands (cmd.def) ---- */
/* @args: what stands behind the name, with its blanks. */
#define BUILT_IN(name)                                                                             \
	uint32_t name(struct cmd *c, const char *args);                                            \
	uint32_t name(struct cmd *c, const char *args)
struct command_row {
	const char *name;
	uint32_t (*run)(struct cmd *c, const char *args);
	char clears; /* as cmd.def says */
};
/* The command that @text begins with, and where its arguments do; NULL: it is none. */
const struct command_row *command_find(const char *text, const char **ret_args);

/* ---- files (cmd_list.c) ---- */
struct entry {
	char *name;
	uint32_t attributes;
	uint64_t size, written;
};
/* What fits @pattern, by name; owned: entries_free. Last error set when there is none. */
struct entry *entries_get(const char *pattern, size_t *ret_n);
void entries_free(struct entry *e, size_t n);
bool is_dots(const char *name); /* . or .. */
/* Is @e, of the folder @folder, one to go down into? A link is not: it may lead back. */
bool entry_below(const char *folder, const struct entry *e);
/* @pattern's folder with the separator at its end, and the name; malloc'ed. */
char *folder_of(const char *pattern);
const char *name_in(const char *path); /* behind its last separator */
/* The files that @word means, a folder's all; malloc'ed, NULL: what is no pattern is not there. */
char **files_of(const char *word, size_t *ret_n);
void files_free(char **all, size_t n);
uint32_t file_show(struct cmd *c, const char *path); /* as type */
char *path_join(const char *folder, const char *name);
bool is_folder(const char *path);
uint32_t attributes_of(const char *path); /* UINT32_MAX: it is not there */
bool is_pattern(const char *path);
enum { ATTRIBUTE_READONLY = 1, ATTRIBUTE_HIDDEN = 2, ATTRIBUTE_FOLDER = 16 };
