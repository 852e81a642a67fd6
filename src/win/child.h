/* SPDX-License-Identifier: Apache-2.0 */
/* Between spawn.c, which finds out what to start, and child.c, which starts it. */
#pragma once
#include "win/internal.h"

/* All of it is the child's, too, which is a fork: it lives as long as that does. */
struct child_start {
	struct win_start start;
	struct win_child child;
	int std[3]; /* descriptors of the parent that become 0 to 2; -1: /dev/null */
};
/* Start it: references to its process and its first thread. 0 or a negative errno. */
/* @job: job_enter's; its count goes when nothing has been started. */
int child_new(struct child_start *c, bool suspended, uint32_t job, struct object **ret,
	      struct object **ret_thread) MUST;
/* End the process @o, which has @code then; returns when it has ended. */
void child_kill(struct object *o, uint32_t code);
uint32_t process_pid(const struct object *o);
uint32_t process_code(const struct object *o); /* as GetExitCodeProcess */
uint32_t process_wait(struct object *o); /* its exit code, once it has ended; drops the reference */
/* Start @program (a path) with the line @line and these descriptors as its standard ones (-1: those
 * of this process), in the current folder: a reference to its process; NULL: last error set. */
struct object *program_start(const char *program, const char *line, const int std[3]) MUST;
/* The same of a function of ours, which has what this process has on its heap, and returns not. */
struct object *own_start(void (*own)(void *arg), void *arg, const int std[3]) MUST;
/* start_attribute.c: is @h among those that @list (NULL: none) lets a child inherit? */
struct start_attributes;
bool attributes_inherit(const struct start_attributes *list, handle h);
