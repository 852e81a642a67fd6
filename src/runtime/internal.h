/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the room runtime share. */
#pragma once
#include "level/container/container.h"
#include "runtime/runtime.h"

enum { EXIT_ERROR = 1, EXIT_USAGE = 3, EXIT_LOST = 255 };

/* ---- options ---- */
enum runtime_kind { RT_FLAG, RT_TEXT, RT_LIST, RT_NUMBER };
struct runtime_option {
	const char *name;  /* --name */
	char letter;       /* 0: none */
	enum runtime_kind kind;
	const char *help;
};
struct runtime_value {
	const char *text;  /* the last one; NULL: not given */
	const char **list; /* owned */
	size_t n;
	bool on;
};
struct runtime_call;
struct runtime_command {
	const char *name, *operands, *summary;
	const struct runtime_option *options;
	size_t noptions;
	size_t min, max;      /* operands */
	bool stop_at_operand; /* what follows the first is not ours */
	bool guarded;         /* starts what is not ours: see guard.c */
	int (*run)(struct runtime_call *c);
};
struct runtime_call {
	const char *program;  /* as we were called */
	const char *root;     /* of states */
	char *root_own;       /* owned: what root is if it had to be made up */
	bool rootless, systemd_cgroup, debug;
	unsigned inherited;   /* descriptors from 3 on that we were started with */
	const struct runtime_command *command;
	struct runtime_value *values; /* owned: one per option of the command */
	const char **operands;        /* owned, NULL-ended */
	size_t n;
};
extern const struct runtime_option runtime_options[];
extern const size_t n_runtime_options;
const struct runtime_command *runtime_command_at(size_t i); /* NULL past the end */

/* options.c: take options off *@argv; 0, or an exit code after it was said. */
int options_take(const struct runtime_option *rows, size_t n, struct runtime_value *values,
                 int *argc, char ***argv);
int command_parse(struct runtime_call *c, int argc, char **argv);
void values_free(struct runtime_value *values, size_t n);
bool call_flag(const struct runtime_call *c, const char *name);
const char *call_text(const struct runtime_call *c, const char *name); /* NULL: not given */
const char *const *call_list(const struct runtime_call *c, const char *name, size_t *ret_n);
/* A number; false: not given, or it was said that it is none. */
bool call_number(const struct runtime_call *c, const char *name, int64_t *ret, int *ret_exit);

/* ---- say.c: errors, where --log and --log-format want them ---- */
void say_open(const char *path, bool json, bool debug);
int say_error(const struct lodge_err *e);                         /* returns EXIT_ERROR */
int say_text(const char *fmt, ...) PRINTF(1, 2);                  /* the same */
extern const struct container_say runtime_say;

/* ---- guard.c ---- */
/* Go on as a program whose file nobody can open for writing, whoever gets hold of it by way of
 * /proc/PID/exe. Returns when it is one. */
int guard_self(char **argv, struct lodge_err *e) MUST;
/* The file that this program was started from; NULL: unknown. Static. */
const char *guard_path(void);

/* ---- foreground.c ---- */
struct foreground {
	int signals;     /* a signalfd */
	int ends[2];     /* the terminal comes here; -1: none */
	int master;
};
/* Before the process is made: signals are ours to pass on from now on. */
int foreground_begin(struct foreground *f, bool terminal, struct lodge_err *e) MUST;
/* Until @pid ends: its exit code. */
int foreground_wait(struct foreground *f, pid_t pid);

/* bundle.c */
struct bundle {
	char *path, *text; /* owned */
	size_t len;
	struct oci_doc doc;
};
int bundle_open(struct bundle *b, const char *path, struct lodge_err *e) MUST;
void bundle_fini(struct bundle *b);
/* All of a file, "-": standard input. */
int text_read(const char *path, char **ret, size_t *ret_len, struct lodge_err *e) MUST;
/* machine.c: containers that are machines. The bundle of one becomes that of a container whose
 * program is lodge; others stay as they are. */
int machine_bundle(struct bundle *b, const struct runtime_call *c, struct lodge_err *e) MUST;
bool machine_is(const struct container *c);
/* One more process of such a container, from --process or the operands; says what is wrong. */
int machine_exec(const struct runtime_call *c, const struct container *one, struct oci_doc *ret);
/* Take away what is left of its guest when it was killed. */
void machine_forget(const struct container *one, const struct runtime_call *c);
/* A table on standard output. */
void columns_print(const char *const *cells, size_t columns, size_t rows);
/* The container of the first operand; says what is wrong. */
int call_container(struct runtime_call *c, bool lock, struct container *ret);
/* "UID[:GID]" in numbers; without GID *@ret_gid stays. */
bool user_read(const char *text, uint32_t *ret_uid, uint32_t *ret_gid);
/* create.c: options of create; behind them, those that run has besides. */
enum { CREATE_OPTIONS = 6, RUN_OPTIONS = 9 };
extern const struct runtime_option create_options[RUN_OPTIONS];
/* create and run; @run: also start it. */
int call_create(struct runtime_call *c, bool run, bool detach);
