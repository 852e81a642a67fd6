/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup: control groups of containers: found, made, filled, limited, frozen, counted, removed. On
 * hosts with version 2, version 1, or both (hybrid: controllers in version 1, a version 2 tree
 * beside them), by their files. cgroups(7), Linux 6.1 Documentation/admin-guide/cgroup-v1,
 * cgroup-v2.rst. Thread: any, one at a time for each group. */
#pragma once
#include "host/host.h"
#include "oci/oci.h"

enum { CGROUP_HIERARCHIES = 20 };
/* One hierarchy of the host, and the group in it. */
struct cgroup_part {
	char name[64];    /* of its folder: "cpu,cpuacct", "systemd", "unified" */
	char options[64]; /* of its mount: "cpu,cpuacct", "name=systemd", "" for version 2 */
	bool v2;
	char *mount;      /* owned: where it is mounted */
	char *dir;        /* owned: the group */
	char *here;       /* owned: the group that this process is in; NULL in one that was read */
	int fd;           /* of the group once it is made, -1; owned */
};
struct cgroup {
	struct cgroup_part at[CGROUP_HIERARCHIES];
	size_t n;
	bool rootless;    /* groups that may not be made are left out, unless a limit needs them */
};
#define CGROUP_NONE ((struct cgroup){.n = 0})

/* Where the group @path (cgroupsPath of a configuration, NULL: @id) is in each hierarchy. An
 * absolute path begins at the top of a hierarchy, another at the group that this process is in.
 * Nothing is made. No hierarchies: 0, and none of them is in @ret. */
int cgroup_find(struct cgroup *ret, const char *path, const char *id, bool rootless,
                struct lodge_err *e) MUST;
void cgroup_fini(struct cgroup *g);
/* Make the groups and what is above them. */
int cgroup_make(struct cgroup *g, const struct oci_resources *r, struct lodge_err *e) MUST;
/* The groups are there: open those that are. */
int cgroup_open(struct cgroup *g, struct lodge_err *e) MUST;
/* @pid 0: this process, which has one thread. @itself: it enters those of version 1 by cgroup_join;
 * with another's number, and with 0 in version 2, the kernel may wait for all processors. */
int cgroup_enter(const struct cgroup *g, pid_t pid, bool itself, struct lodge_err *e) MUST;
/* This process, which has one thread, into the group of version 1 whose folder @fd is. */
int cgroup_join(int fd, struct lodge_err *e) MUST;
/* @path below each of the groups, for exec --cgroup; @controllers NULL: in all hierarchies. */
int cgroup_enter_below(const struct cgroup *g, const char *path, const char *controllers, pid_t pid,
                       struct lodge_err *e) MUST;
/* All that is set in @r. @devices: also those rules, with the devices that each container has. */
int cgroup_set(const struct cgroup *g, const struct oci_resources *r, bool devices,
               struct lodge_err *e) MUST;
/* Limits of @c (cpus, cpuset, memory, pids_limit, ...) as config.json has them under
 * linux.resources; @all: also those that it has not, as -1. @pids_usual: of processes, if @c says
 * nothing; -1: none. Owned by the caller. */
struct json_object;
struct json_object *cgroup_wishes(const struct lodge_config *c, bool all, int64_t pids_usual);
/* Set those; @all: those that @c has not are taken away. */
int cgroup_limit(const struct cgroup *g, const struct lodge_config *c, bool all,
                 struct lodge_err *e) MUST;
/* Of a group that was only found: leave the hierarchies alone that have none of @controllers
 * (NULL at the end). */
void cgroup_narrow(struct cgroup *g, const char *const *controllers);
/* Memory and processes in use, blocks read and written, as lodge stats has them, added to @out. */
void cgroup_uses(const struct cgroup *g, struct json_object *out);
/* CPU time of all that was in it. False: no controller counts that. */
bool cgroup_cpu_ns(const struct cgroup *g, uint64_t *ret);
/* Wait until all its processes stand still, or let them go on. ENOENT: no freezer. */
int cgroup_freeze(const struct cgroup *g, bool on, struct lodge_err *e) MUST;
bool cgroup_frozen(const struct cgroup *g);
/* Process numbers in the group and below. *@ret is owned by the caller. */
int cgroup_pids(const struct cgroup *g, pid_t **ret, size_t *ret_n, struct lodge_err *e) MUST;
/* Send @sig to all of them; SIGKILL until there are none. 0 also when there are none. */
int cgroup_kill(const struct cgroup *g, int sig, struct lodge_err *e) MUST;
/* Remove the groups, and those below; what still runs there makes it wait a while: EBUSY. */
int cgroup_remove(struct cgroup *g, struct lodge_err *e) MUST;
/* A number of a file of the group that has @controller; false: there is none. "max" is UINT64_MAX.
 */
bool cgroup_number(const struct cgroup *g, const char *controller, const char *file,
                   uint64_t *ret);
/* Of a line "key number" in such a file. */
bool cgroup_keyed(const struct cgroup *g, const char *controller, const char *file,
                  const char *key, uint64_t *ret);
/* NULL: no hierarchy has it. "" asks for version 2. */
const struct cgroup_part *cgroup_part_of(const struct cgroup *g, const char *controller);
/* All of a small file of the group, NUL-ended, at most @cap - 1 bytes; -1 and errno. */
ssize_t cgroup_read(const struct cgroup_part *p, const char *file, char *buf, size_t cap);

/* Into the resctrl folder that @r names, made if need be; without a name: that of @id, which
 * cgroup_rdt_remove removes, if it is there. ENOTSUP: the host has none. */
int cgroup_rdt_enter(const struct oci_intel_rdt *r, const char *id, pid_t pid,
                     struct lodge_err *e) MUST;
void cgroup_rdt_remove(const char *id);

/* A scope of systemd; name NULL: none. */
struct cgroup_unit {
	char *name, *slice, *path; /* owned; path: of its group, for cgroup_find */
};
/* @path is "SLICE:PREFIX:NAME", or NULL: of @id. ENOTSUP: systemd does not run. */
int cgroup_unit_find(struct cgroup_unit *ret, const char *path, const char *id,
                     struct lodge_err *e) MUST;
void cgroup_unit_fini(struct cgroup_unit *u);
/* Have systemd make it with @pid in it; returns when that is there. */
int cgroup_unit_start(const struct cgroup_unit *u, const char *id, pid_t pid,
                      struct lodge_err *e) MUST;
void cgroup_unit_stop(const char *name);
