/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the room level/container share. */
#pragma once
#include "level/container/container.h"

/* ---- store.c: folders ---- */
int store_make(struct container *c, const char *root, const char *id, struct lodge_err *e) MUST;
int store_save(struct container *c, struct lodge_err *e) MUST; /* state.json, whole or not at all */
int store_write(const struct container *c, const char *name, const char *text, size_t len,
                struct lodge_err *e) MUST;
int store_remove(struct container *c, struct lodge_err *e) MUST;
/* Of filters of system calls; -1: none can be had. Owned by the caller. */
int store_cache(const char *root);
int store_pid_file(const char *path, pid_t pid, struct lodge_err *e) MUST;

/* ---- record.c: state.json ---- */
char *record_text(const struct container *c);
int record_parse(struct container *c, const char *text, size_t len, struct lodge_err *e) MUST;

/* ---- note.c: what the processes of a creation tell each other ---- */
enum note_kind { NOTE_NONE, NOTE_ERROR, NOTE_GO, NOTE_GROUP, NOTE_MAPS, NOTE_PID, NOTE_HOOKS,
	         NOTE_READY, NOTE_NOTIFY };
struct note {
	int kind, value;
	struct lodge_err e;
};
int note_send(int fd, enum note_kind kind, int value);
int note_send_error(int fd, const struct lodge_err *e);
/* NOTE_NONE: the other end is gone. */
enum note_kind note_read(int fd, struct note *ret);
/* Wait for @kind; an error that comes instead is returned. */
int note_wait(int fd, enum note_kind kind, struct note *ret, struct lodge_err *e) MUST;
/* The same, or NOTE_GROUP before it, with the folder in *@ret_group, owned; else that is -1. */
int note_group(int fd, enum note_kind kind, struct note *ret, int *ret_group,
               struct lodge_err *e) MUST;

/* ---- pass.c: descriptors over sockets ---- */
int pass_connect(const char *path, struct lodge_err *e) MUST;
int pass_send(int socket, const char *text, size_t len, int fd);
int pass_receive(int socket);

/* ---- hook.c ---- */
struct hook_list {
	const struct oci_hook *at;
	size_t n;
	const char *kind;
};
#define HOOKS(h, m, name) ((struct hook_list){(h) ? (h)->m.at : NULL, (h) ? (h)->m.n : 0, name})
/* @before, if any, in each of their processes. */
int hooks_run(struct hook_list l, const char *state, int (*before)(void *arg), void *arg,
              struct lodge_err *e) MUST;
/* Each is run; what fails is said. */
void hooks_try(struct hook_list l, const char *state, const struct container_say *say);
char *hook_state(struct container *c, enum container_status s);

/* ---- becoming.c: the last steps of what becomes a program ---- */
struct becoming {
	const struct oci_spec *spec;
	const struct oci_process *process;
	const struct box_profile *profile; /* NULL: none */
	const struct box_rights *rights;
	int proc;           /* the host's, -1 once it is out of reach */
	int sync;           /* to who waits for us */
	volatile int *notify; /* shared: where the descriptor of a listener is told; NULL */
	unsigned preserve;  /* descriptors from 3 on that stay */
	int foreign; /* lodge-riscv64, -1: none; becoming_prepare makes it what is run, or -1 */
	char *program;      /* owned: found by becoming_prepare */
	char **argv, **env;
};
/* As root of the container: limits, labels, groups and ids, folder; finds the program. */
int becoming_prepare(struct becoming *b, struct lodge_err *e) MUST;
/* The filter, once; a listener gets its descriptor. */
int becoming_filter(struct becoming *b, struct lodge_err *e) MUST;
/* Filter, capabilities, execve; returns on failure only. */
int becoming_go(struct becoming *b, struct lodge_err *e) MUST;
/* Filter and capabilities alone: for a hook. */
int becoming_confine(void *becoming);
int becoming_keyring(const char *id, struct lodge_err *e) MUST;

/* ---- foreign.c: programs of another architecture ---- */
/* The interpreter beside the program @runtime; -1: there is none. */
int foreign_open(const char *runtime);
bool foreign_is(const char *program);
/* A sealed copy in memory of what is loaded of it. */
int foreign_seal(int from, struct lodge_err *e) MUST;
/* What dev.lodge.level says; *@ret_plain: nothing but the host's own programs. */
int foreign_level(const struct oci_spec *s, bool *ret_plain, struct lodge_err *e) MUST;

/* ---- init.c: the first process of a container ---- */
struct birth {
	const struct container_request *q;
	struct container *c;
	struct box_spaces spaces;
	struct box_setup setup;
	struct box_profile profile;
	struct box_rights rights;
	struct box_hierarchy hierarchies[CGROUP_HIERARCHIES];
	int *sources;       /* owned */
	int root_source;
	int console;        /* a socket that takes the terminal; -1 */
	int fifo;           /* -1: it does not wait */
	int cache;
	int foreign;        /* of foreign_open; -1 */
	int ends[2];        /* ours and the child's */
	volatile int *notify;
	struct cgroup_unit unit;
	pid_t pid;
	bool placed;        /* the child: in its control groups */
	char *state;        /* owned: what hooks in the child get; without the pid */
};
bool birth_needs_sister(const struct box_spaces *s);
/* Whether the first process enters control groups of version 1 itself: the kernel makes nobody wait
 * for that. It gets their folders as NOTE_GROUP, before NOTE_GO. */
bool birth_enters_itself(const struct birth *b);
/* The listener of @pid's filter, if it has told its number in @notify, to @spec's listenerPath. */
int listener_pass(volatile int *notify, pid_t pid, struct container *c, const struct oci_seccomp *s,
                  struct lodge_err *e) MUST;
/* note_wait for a child that may meanwhile have a listener to give. */
int listener_wait(int fd, enum note_kind kind, volatile int *notify, pid_t pid,
                  struct container *c, const struct oci_spec *spec, struct lodge_err *e) MUST;
volatile int *listener_page(void);
_Noreturn void birth_child(struct birth *b);
