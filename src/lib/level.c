/* SPDX-License-Identifier: Apache-2.0 */
/* Which level runs a configuration: the named one, else the one that is surest. */
#include "lib/lib.h"

#define LEVEL(n) extern const struct level level_##n;
#include "lib/levels.def"
static const struct level *const levels[] = {
#define LEVEL(n) &level_##n,
#include "lib/levels.def"
    NULL};

const struct level *level_named(const char *name)
{
	for (size_t i = 0; levels[i]; i++)
		if (!strcmp(levels[i]->name, name))
			return levels[i];
	return NULL;
}

const struct level *level_of(const struct instance *i, struct lodge_err *e)
{
	struct life_config *lc = NULL;
	struct lodge_err why = {.code = ENOEXEC};
	if (instance_config(i, &lc, e) < 0)
		return NULL;
	const struct level *l = level_choose(&lc->c, &why);
	life_config_free(lc);
	if (!l)
		(void)!err_set(e, why.code, "%s", why.msg);
	return l;
}

const struct level *level_choose(const struct lodge_config *c, struct lodge_err *e)
{
	const struct level *best = NULL;
	int score = 0;
	for (size_t i = 0; levels[i] && score < LEVEL_CERTAIN; i++) {
		int s = c->level ? !strcmp(c->level, levels[i]->name) : levels[i]->claims(c);
		if (s > score) {
			score = s;
			best = levels[i];
		}
	}
	if (best)
		return best;
	int r = 0;
	if (c->level)
		r = err_set(e, ENOEXEC, "there is no level '%s'", c->level);
	else if (c->guest && access(c->guest, F_OK) < 0)
		r = err_set(e, ENOENT,
			    "'%s' is neither the name of an image nor a file; lodge pull gets "
			    "images",
			    c->guest);
	else
		r = err_set(e, ENOEXEC, "no level can run %s", c->guest ? c->guest : "this");
	(void)r;
	return NULL;
}
