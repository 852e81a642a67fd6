/* SPDX-License-Identifier: Apache-2.0 */
/* The states of a guest's life and which may follow which; its end. */
#include "life/life.h"
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

static const char *const names[LIFE_COUNT] = {
    [LIFE_CREATED] = "created",     [LIFE_RUNNING] = "running", [LIFE_PAUSED] = "paused",
    [LIFE_SUSPENDED] = "suspended", [LIFE_STOPPED] = "stopped", [LIFE_FAILED] = "failed",
};

/* Rows: from. Columns: to. A stopped or failed guest starts again with a new keeper. */
static const bool may[LIFE_COUNT][LIFE_COUNT] = {
    [LIFE_CREATED] = {[LIFE_RUNNING] = true, [LIFE_STOPPED] = true},
    [LIFE_RUNNING] = {[LIFE_PAUSED] = true, [LIFE_SUSPENDED] = true, [LIFE_STOPPED] = true,
                      [LIFE_FAILED] = true},
    [LIFE_PAUSED] = {[LIFE_RUNNING] = true, [LIFE_SUSPENDED] = true, [LIFE_STOPPED] = true,
                     [LIFE_FAILED] = true},
    [LIFE_SUSPENDED] = {[LIFE_RUNNING] = true, [LIFE_STOPPED] = true, [LIFE_FAILED] = true},
    [LIFE_STOPPED] = {[LIFE_RUNNING] = true},
    [LIFE_FAILED] = {[LIFE_RUNNING] = true},
};

const char *life_name(enum life l) { return (unsigned)l < LIFE_COUNT ? names[l] : "unknown"; }

bool life_find(const char *name, enum life *ret)
{
	for (unsigned i = 0; i < LIFE_COUNT; i++)
		if (!strcmp(name, names[i])) {
			*ret = (enum life)i;
			return true;
		}
	return false;
}

bool life_may(enum life from, enum life to)
{
	return (unsigned)from < LIFE_COUNT && (unsigned)to < LIFE_COUNT && may[from][to];
}

void life_env_ended(const struct level_env *env, int status)
{
	char why[64] = "exited";
	if (status < 0)
		snprintf(why, sizeof why, "killed");
	else if (WIFSIGNALED(status))
		snprintf(why, sizeof why, "signal %d", WTERMSIG(status));
	env->ended(env->user,
	           status < 0 ? LODGE_EXIT_SIGNAL + SIGKILL : host_exit_code(status), why);
}
