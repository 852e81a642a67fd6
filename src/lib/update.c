/* SPDX-License-Identifier: Apache-2.0 */
/* Limits that change: by the keeper when there is one, else in the folder. */
#include "lib/lib.h"
#include <json-c/json.h>
#include <stdio.h>

void guest_warn(struct lodge_guest *g, struct json_object *answer)
{
	struct json_object *v = NULL;
	free(g->warning);
	g->warning = NULL;
	if (answer && json_object_object_get_ex(answer, "not_enforced", &v))
		g->warning = strdup(json_object_get_string(v));
}

const char *lodge_warning(const struct lodge_guest *g) { return g->warning; }

/* Of a guest that no keeper has. A suspended one is what its state says, as a running one is. */
static int update_folder(struct lodge_guest *g, struct json_object *changes, struct lodge_err *e)
{
	struct life_record rec;
	int r = guest_lock(g, e);
	if (r < 0)
		return r;
	instance_record(g->inst, &rec);
	const struct level *l = level_of(g->inst, NULL);
	r = l ? life_idle_check(l, g->inst->name, changes, e) : 0;
	if (r == 0)
		r = instance_config_change(g->inst, changes, 0,
					   l && l->governs		 ? LIFE_CHANGES_FREE
					   : rec.state == LIFE_SUSPENDED ? LIFE_CHANGES_LIVE
									 : LIFE_CHANGES_ALL,
					   NULL, e);
	close(take_fd(&g->inst->lock));
	return r;
}

int lodge_update(struct lodge_guest *g, const char *const *changes, size_t n, struct lodge_err *e)
{
	struct json_object *o = NULL, *answer = NULL;
	int r = life_limits_parse(changes, n, &o, e);
	if (r < 0)
		return r;
	if (g->alien) {
		guest_warn(g, NULL);
		r = alien_update(g, o, e);
		json_object_put(o);
		return err_in(e, r, "%s", g->inst->name);
	}
	r = control_call(g->inst, "POST", "/v1/update", o, &answer, e);
	guest_warn(g, answer);
	json_object_put(answer);
	if (r == -ENOTCONN)
		r = update_folder(g, o, e);
	json_object_put(o);
	return err_in(e, r, "%s", g->inst->name);
}
