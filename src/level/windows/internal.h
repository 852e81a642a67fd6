/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the level share.
 *
 *   keeper.c, or family.c in the foreground
 *     \_ outside: has the group, waits       (family.c; no more than that, and only if asked for)
 *          \_ first of a pid namespace       (family.c)
 *               \_ the program, in its box   (windows.c), and what it starts */
#pragma once
#include "cgroup/cgroup.h"
#include "life/life.h"
#include "net/net.h"
#include "pe/pe.h"
#include "win/win.h"

/* The program @path, mapped for good, and its headers, if it may be run. -ENOENT, -ENOEXEC, ... */
int windows_open(const char *path, const uint8_t **ret_file, uint64_t *ret_len, struct pe *ret_head,
		 struct lodge_err *e) MUST;
/* What is kept of it from run to run, into *ret, or nothing: then it is from the next run on.
 * Before the process is confined, or has threads. */
void image_cache_map(struct win_image *ret, const char *path, const struct pe *head,
		     const uint8_t *file, uint64_t len);
int windows_explain(const struct lodge_config *c, char **ret, struct lodge_err *e) MUST;
/* What is wrong with @c is told before anything is made. */
int windows_check(const struct lodge_config *c, struct lodge_err *e) MUST;

/* Does it want the user network? */
bool windows_networked(const struct lodge_config *c);

/* This process becomes the program. Returns on failure only. */
struct windows_surroundings {
	int report;   /* where it says that it is about to run; -1: nobody waits */
	bool network; /* it is in the network that it shall have, made outside */
};
int windows_become(const struct lodge_config *c, const struct windows_surroundings *s,
		   struct lodge_err *e) MUST;
/* Say on @report how the start went; what is wrong is in @e. Once it runs, it is closed. */
void windows_report(int result, const struct lodge_err *e);

/* ---- words about the program, in the direction of whoever waits ---- */
enum word_what {
	WORD_FIRST, /* value: the first process of its pid namespace, whose pidfd comes along */
	WORD_READY, /* value: 0, it is about to run; or -errno, and why */
	WORD_ENDED, /* the last. value: how the program ended, as of wait(2) */
};
struct word {
	enum word_what what;
	int value;
	struct lodge_err err;
};

/* ---- group.c: the control group of all its processes ---- */
struct group {
	struct cgroup g;
	bool made;
};
#define GROUP_NONE ((struct group){.made = false})
/* EPERM: the guest shall have none. */
int group_wanted(const struct lodge_config *c, struct lodge_err *e) MUST;
/* Make it, for the guest of the id or name @id, as far as it can be; 0 also when it is there.
 * What a killed keeper left in it ends. */
int group_make(struct group *p, const char *id, struct lodge_err *e) MUST;
/* The same for a program in the foreground, by the number of this process; those that killed ones
 * have left go. */
int group_make_here(struct group *p, struct lodge_err *e) MUST;
bool group_freezes(const struct group *p);
/* Everything in it is ended, and the group is removed. Not made is fine. */
void group_end(struct group *p);
/* What a guest @id may have left, if it left any. */
void group_forget(const char *id);

/* ---- family.c: the processes around the program ---- */
struct family {
	const struct lodge_config *c;
	struct group *group; /* NULL: none */
	int report;          /* words are said here; owned */
	struct uplink network; /* made outside; UPLINK_NONE at first */
	bool kept;           /* by a keeper, at the other end; what follows is its */
	int in, out;         /* of the program: both the same for a terminal; owned */
	unsigned umask;
	int first;           /* pidfd of the first process, once there is one; owned */
};
/* In a child of the keeper: the process outside. */
_Noreturn void family_main(struct family *f);
/* Does @c ask for what takes more than the one process? */
bool family_wanted(const struct lodge_config *c);
/* This process becomes the one outside, in the foreground. Returns on failure only. */
int family_become(const struct lodge_config *c, struct lodge_err *e) MUST;
/* To the first process by its pidfd @first: its number may be another's as soon as the one outside
 * has reaped it. Below 0 with errno; ESRCH: it has ended. */
int family_signal(int first, int sig) MUST;
/* All but the first process, of that pidfd and @number, stand still, or go on; by signals, when
 * there is no freezer. The first returns when they do. */
int family_stop(pid_t number, int first, struct lodge_err *e) MUST;
void family_go(int first);

/* ---- keeper.c: the level's functions ---- */
int windows_create(void **ret, const struct level_env *env, const struct lodge_config *c,
		 struct lodge_err *e);
int windows_start(void *self, struct lodge_err *e);
int windows_pause(void *self, struct lodge_err *e);
int windows_resume(void *self, struct lodge_err *e);
int windows_stop(void *self, struct lodge_err *e);
int windows_kill(void *self, struct lodge_err *e);
int windows_signal(void *self, int sig, struct lodge_err *e);
void windows_destroy(void *self);
struct chr *windows_console(void *self);
void windows_resize(void *self, unsigned rows, unsigned columns);
void windows_inspect(void *self, struct json_object *out);
void windows_stats(void *self, struct json_object *out);
void windows_limit(void *self, const struct lodge_config *c, struct life_warnings *w);
bool windows_yields(void *self);
void windows_hold(void *self, bool on);
uint64_t windows_cpu_ns(void *self);
void windows_removed(const char *id);
