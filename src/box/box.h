/* SPDX-License-Identifier: Apache-2.0 */
/* box: what isolates. First box_enter, which confines this process: namespaces of its own (user,
 * mount, pid, ipc, uts, network, cgroup), a root that holds what it was given, no capabilities, no
 * way to gain rights, and system calls that are listed; for root and for others, where the kernel
 * lets them make user namespaces. Then the pieces of containers, as configurations ask for them:
 * each does one thing to the calling process, or to files by descriptor, and the room
 * level/container says in which order. Threads: a process that has one. */
#pragma once
#include "host/host.h"
#include "oci/oci.h"

struct box_bind {
	const char *source, *target; /* paths of the host; absolute ones of the new root */
	bool read_only;
};
struct box {
	const char *root;       /* a folder that becomes /; NULL: an empty one, only /tmp changes */
	const char *program;    /* a file that the empty one has, at its own absolute path */
	const struct box_bind *binds;
	size_t n_binds;
};

/* For a guest that is a process here, whose code shares Lodge's address space. */
struct box_alone {
	const struct box_bind *binds;
	size_t n_binds;
	const char *folders;    /* of the new root, which is empty: "a\0a/b\0c\0" */
	uint64_t code_from;     /* system calls come from there on; others are SIGSYS */
	const int *keep;        /* descriptors that stay, as 3, 4, ...; not one that is -1 */
	size_t n_keep;
	bool forks;             /* it may make processes, which are as confined */
	bool sockets;           /* and sockets, in a network that has its own loopback alone */
	bool networked;         /* but this process is in the one that it shall have */
	void (*meanwhile)(void); /* called while files of the host are still in sight; NULL: none */
};
/* The same without any other process: namespaces (but for pids, which it cannot signal), a root
 * that may be written and is gone with it, a short list of system calls. Descriptors 0 to 2 and the
 * kept ones stay, and the environment. Thread: the only one of the process. */
int box_enter_alone(const struct box_alone *b, struct lodge_err *e) MUST;

/* This process becomes three: the caller stays outside and ends as the confined one does, with its
 * exit code or signal; a second one is the first of the pid namespace; the third returns 0, with
 * descriptors 0 to 2 alone, in /, and the environment cleared but for the terminal and language.
 * Errors are returned by that process which has them, whose exit code the others then have.
 * -EPERM, -ENOSPC: no user namespaces. Thread: the only one of the process. */
int box_enter(const struct box *b, struct lodge_err *e) MUST;

/* ---- processes around a confined one (family.c) ---- */
/* What is sent to this process from now on goes on to @to: signals that ask for something, but for
 * those of the terminal, which @to has as well. 0: to nobody. */
void box_signals_pass(pid_t to);
_Noreturn void box_end_as(int status); /* as one with this status of wait(2) has */

/* ---- namespaces (space.c) ---- */
unsigned box_space_flag(enum oci_space type);      /* CLONE_NEW... */
const char *box_space_file(enum oci_space type);   /* its name in /proc/PID/ns */
struct box_spaces {
	unsigned make;           /* CLONE_NEW... of those to be made */
	int join[OCI_NAMESPACES]; /* descriptors of those to be joined, -1: none. Owned */
};
#define BOX_SPACES_NONE ((struct box_spaces){.join = {-1, -1, -1, -1, -1, -1, -1, -1, -1}})
int box_spaces_open(struct box_spaces *ret, const struct oci_spec *s, struct lodge_err *e) MUST;
void box_spaces_fini(struct box_spaces *s);
int box_spaces_join(const struct box_spaces *s, struct lodge_err *e) MUST;
struct box_maps { /* borrowed */
	const struct oci_id_map *uids, *gids;
	size_t n_uids, n_gids;
};
/* Who is who in the user namespace of @of, which has just been made. */
int box_maps_write(int proc, pid_t of, const struct box_maps *m, struct lodge_err *e) MUST;
/* A descriptor of a new user namespace that nobody is in. */
int box_userns_make(int proc, const struct box_maps *m, struct lodge_err *e) MUST;
/* Of the time namespace that the next program of this process is in. */
int box_time_offsets(int proc, const struct oci_lin *l, struct lodge_err *e) MUST;

/* ---- the root (root.c, attach.c, device.c, hide.c, hierarchy.c) ---- */
/* One hierarchy of control groups, for a mount of type cgroup. Borrowed. */
struct box_hierarchy {
	const char *name;    /* of its folder */
	const char *options; /* of a mount: "cpu,cpuacct", "name=systemd" */
	const char *path;    /* of the container's group, on the host */
	const char *instead; /* if that is not there; or NULL */
	bool v2;
};
struct box_setup { /* borrowed */
	const struct oci_spec *spec;
	const char *root;     /* of the root, absolute */
	int proc;             /* of box_proc_open */
	int root_source;      /* of box_sources_open, -1: looked up inside */
	const int *sources;   /* the same, one for each mount, NULL: none */
	const struct box_hierarchy *hierarchies;
	size_t n_hierarchies;
	bool own_users;       /* in a user namespace: no devices can be made */
	bool own_cgroups;     /* in a cgroup namespace */
	bool no_pivot;
	/* Called before the first mount of control groups, which shows those that the process is in
	 * by then; NULL: it is in them. */
	int (*placed)(void *arg, struct lodge_err *e);
	void *placed_arg;
};
struct box_root {
	int fd;               /* the mount that becomes / */
	int empty;            /* an empty folder to cover others */
	bool empty_used;
};
/* What only the host's rights can open: trees of the root and of all binds if @all, and those with
 * ids of their own. Into @ret[mounts.n]. */
int box_sources_open(int *ret, int *ret_root, const struct box_setup *s, bool all,
                     struct lodge_err *e) MUST;
/* In this order, in a mount namespace of its own, the current folder being the bundle. */
int box_root_open(struct box_root *r, const struct box_setup *s, struct lodge_err *e) MUST;
int box_root_mount(struct box_root *r, const struct box_setup *s, struct lodge_err *e) MUST;
int box_devices_make(struct box_root *r, const struct box_setup *s, struct lodge_err *e) MUST;
int box_paths_hide(struct box_root *r, const struct box_setup *s, struct lodge_err *e) MUST;
int box_root_change(struct box_root *r, const struct box_setup *s, struct lodge_err *e) MUST;
void box_root_fini(struct box_root *r);
const char *box_option_at(size_t i);          /* of mounts, for `features`; NULL past the end */
/* A place in a root, links followed within it only; make: also the way to it, a folder or an empty
 * file. A descriptor, or -1 and errno. */
int box_place_open(int root, const char *path, int flags);
int box_place_make(int root, const char *path, bool folder);

/* ---- terminals (console.c) ---- */
struct box_console {
	int master, slave; /* owned by the caller */
};
int box_console_open(int root, const struct oci_process *p, struct box_console *ret,
                     struct lodge_err *e) MUST;
int box_console_bind(int root, const struct box_console *c, struct lodge_err *e) MUST;
/* It becomes the controlling terminal, and descriptors 0 to 2. In a new session. */
int box_console_take(const struct box_console *c, struct lodge_err *e) MUST;

/* ---- rights (rights.c, schedule.c, label.c) ---- */
struct box_rights { /* sets of capabilities */
	uint64_t bounding, effective, permitted, inheritable, ambient;
	unsigned last;
};
const char *box_capability_at(size_t i);      /* NULL past the end */
bool box_capability_held(size_t i);           /* may what this process starts have it? */
int box_capability_find(const char *name);    /* "CAP_KILL" or "kill"; -1: none */
void box_rights_read(struct box_rights *ret, const struct oci_process *p);
int box_rights_bound(const struct box_rights *r, struct lodge_err *e) MUST; /* the bounding set */
int box_user_become(const struct oci_user *u, struct lodge_err *e) MUST;    /* keeps capabilities */
int box_rights_take(const struct box_rights *r, struct lodge_err *e) MUST;  /* the other sets */
int box_limits_set(const struct oci_process *p, struct lodge_err *e) MUST;
int box_schedule_set(const struct oci_process *p, struct lodge_err *e) MUST;
int box_personality_set(const struct oci_personality *p, struct lodge_err *e) MUST;
int box_affinity_set(const char *cpus, struct lodge_err *e) MUST;

/* The host's proc, verified; O_PATH. */
int box_proc_open(struct lodge_err *e) MUST;
/* @text into @path below it, which must be of proc, with no link on the way; @proc -1: of a new one
 * of this pid namespace. -1 and errno. */
int box_proc_write(int proc, const char *path, const char *text) MUST;
int box_labels_check(const struct oci_process *p, struct lodge_err *e) MUST;
int box_labels_set(int proc, const struct oci_process *p, struct lodge_err *e) MUST;
int box_sysctl_check(const struct oci_spec *s, struct lodge_err *e) MUST;
int box_sysctl_set(int proc, const struct oci_spec *s, struct lodge_err *e) MUST;

/* ---- seccomp (profile.c) ---- */
struct box_profile {
	void *program;  /* owned */
	size_t n;
	unsigned flags;
	bool notify;    /* loading it yields a descriptor for a listener */
};
/* Made, or found in the folder @cache (-1: none), which is only ours to write. */
int box_profile_open(struct box_profile *ret, const struct oci_seccomp *s, int cache,
                     struct lodge_err *e) MUST;
void box_profile_fini(struct box_profile *p);
const char *box_profile_flag_at(size_t i);    /* flags of filters; NULL past the end */
/* For this process and what it starts; needs no_new_privs or rights. 0, the descriptor for the
 * listener, or -1 and errno. */
int box_profile_load(const struct box_profile *p) MUST;
