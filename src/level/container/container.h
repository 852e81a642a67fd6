/* SPDX-License-Identifier: Apache-2.0 */
/* level/container: containers as the runtime specification has them: the host's kernel plays the
 * machine. A container is a folder of plain files below a root folder (state.json, config.json,
 * and exec.fifo until it is started), a process, and control groups. No process of ours stays with
 * it: each function here does its part and returns. Who changes a container holds the lock of its
 * folder. OCI-RT 1.2 runtime.md. Thread: the only one of the process. */
#pragma once
#include "box/box.h"
#include "cgroup/cgroup.h"
#include <json-c/json_object.h>

enum container_status {
	CONTAINER_CREATING, CONTAINER_CREATED, CONTAINER_RUNNING, CONTAINER_PAUSED,
	CONTAINER_STOPPED
};
const char *container_status_name(enum container_status s);

enum { CONTAINER_CONFIG_MAX = 1 << 24 }; /* bytes of a config.json */
/* What is kept of a container. */
struct container {
	char *id, *bundle, *rootfs, *created; /* owned; created: as RFC 3339 has times */
	char *dir;               /* owned: its folder, absolute */
	int dirfd;               /* -1: none */
	bool locked;
	pid_t pid;               /* 0: none yet */
	uint64_t started; /* clock ticks since boot when that began: its number may be reused */
	bool ready;              /* created to the end */
	bool rootless;
	bool hooks;              /* some run after it has started, or stopped */
	bool own_pids;           /* in a pid namespace of its own */
	unsigned owner;          /* uid */
	struct cgroup cgroup;
	char *annotations;       /* owned: JSON, NULL: none */
	char *version;           /* owned: of the configuration */
	char *unit;              /* owned: of systemd, NULL: none */
};
#define CONTAINER_NONE ((struct container){.dirfd = -1})
void container_fini(struct container *c);

/* Open the container @id below @root. @lock: the right to change it; waits for who has it.
 * ENOENT: there is none. */
int container_open(struct container *ret, const char *root, const char *id, bool lock,
                   struct lodge_err *e) MUST;
enum container_status container_status(struct container *c);
/* All ids below @root, sorted. */
int container_ids(const char *root, struct json_object **ret, struct lodge_err *e) MUST;
/* As hooks and `state` have it; owned by the caller. @full: also what only `state` and `list` say.
 */
struct json_object *container_state(struct container *c, enum container_status s, bool full);

/* Warnings, and errors that must not end what is done. */
struct container_say {
	void (*warn)(void *user, const char *text);
	void *user;
};

struct container_request {
	const char *root, *id;
	const char *bundle;          /* absolute */
	const char *config;          /* text of config.json */
	size_t config_len;
	struct oci_doc *doc;         /* of it */
	const char *console_socket;  /* NULL: none */
	const char *pid_file;        /* NULL: none */
	unsigned preserve_fds;
	bool no_pivot, no_new_keyring, rootless, systemd;
	bool run;                    /* start at once */
	int terminal;                /* takes the master of a terminal if there is no socket, -1 */
	const char *runtime;         /* path of this program: lodge-riscv64 is beside it; or NULL */
	const struct container_say *say;
};
/* Make a container: its process waits in it for container_start (run: has become the program).
 * On failure nothing is left. *@ret may be NULL. EEXIST: the id is in use. */
int container_create(const struct container_request *q, struct container *ret,
                     struct lodge_err *e) MUST;
int container_start(struct container *c, const struct container_say *say,
                    struct lodge_err *e) MUST;

struct container_exec {
	struct oci_process *process;
	const char *console_socket, *pid_file, *cgroup;
	unsigned preserve_fds;
	bool ignore_paused;
	int terminal;                /* as above */
	const char *runtime;         /* as above */
};
/* Start one more process in @c, which has become its program when this returns. Its number in
 * *@ret_pid: a child of this process. */
int container_exec(struct container *c, const struct container_exec *x, pid_t *ret_pid,
                   struct lodge_err *e) MUST;

/* ESRCH: it does not run. @all: also the other processes in its control groups. */
int container_kill(struct container *c, int sig, bool all, struct lodge_err *e) MUST;
/* @force: kill it first; also a container that was never made to the end. */
int container_delete(struct container *c, bool force, const struct container_say *say,
                     struct lodge_err *e) MUST;
int container_pause(struct container *c, bool on, struct lodge_err *e) MUST;
int container_update(struct container *c, const struct oci_resources *r, struct lodge_err *e) MUST;
/* The configuration that it was made from. */
int container_config(const struct container *c, struct oci_doc *ret, struct lodge_err *e) MUST;
/* What it uses, in runc's words; NULL: out of memory. */
struct json_object *container_stats(const struct container *c);

/* The descriptor that has been sent to @socket; -1: none has. Owned by the caller. */
int container_receive(int socket);

/* CPU time of all that ran in its control group; false: it has none. */
bool container_cpu_ns(const struct container *c, uint64_t *ret);
/* What it uses, in the words of lodge stats: adds keys. */
void container_uses(const struct container *c, struct json_object *out);

/* ---- containers that engines (podman, containerd) have made with lodge-oci: engine.c ---- */
/* Add to @list what lodge_list says of each, with its engine and root. @more: roots to look into
 * beside the usual ones, "FOLDER:FOLDER"; NULL: none. */
void container_engines_list(const char *more, struct json_object *list);
/* The one whose id is @word, or begins so; *ret_... are owned by the caller. ENOENT, ENOTUNIQ. */
int container_engines_find(const char *more, const char *word, char **ret_root, char **ret_id,
                           struct lodge_err *e) MUST;
/* As lodge_inspect has it; "container" is what level.exec and level.root want. Owned. */
struct json_object *container_describe(struct container *c, const char *root);
/* @id, or of one of 64 digits the first 12, in @buf. */
const char *container_short_id(const char *id, char buf[13]);
/* What its image wants to be stopped by. */
int container_stop_signal(const struct container *c);
/* Wait until it has ended, at most @ms (-1: as long as it takes): 1: it has, 0: it has not. */
int container_await(struct container *c, int ms);
struct lodge_config;
/* Set those of @limits that @changes, keys of config.json, names. */
int container_limit(struct container *c, const struct lodge_config *limits,
                    struct json_object *changes, struct lodge_err *e) MUST;

/* ---- networks of this user that containers join: docs/decisions/0032 ---- */
/* @subnet "10.1.2.0/24"; NULL: one that is free is chosen. EEXIST, EADDRINUSE, EINVAL. */
int container_network_create(const char *name, const char *subnet, struct lodge_err *e) MUST;
/* An array of what inspect says of each, by name; owned by the caller. */
int container_network_list(struct json_object **ret, struct lodge_err *e) MUST;
/* {name, subnet, gateway, interface, members: [{address, id, hostname, guest}]} */
int container_network_inspect(const char *name, struct json_object **ret,
                              struct lodge_err *e) MUST;
/* ENOENT: there is none. The one called bridge is made when it is first joined. */
int container_network_check(const char *name, struct lodge_err *e) MUST;
/* EBUSY: containers are in it. */
int container_network_remove(const char *name, struct lodge_err *e) MUST;

/* The end of a child as an exit code: 128 + signal. */
int container_wait(pid_t pid);
