/* SPDX-License-Identifier: Apache-2.0 */
/* Another name for a guest: by its keeper when there is one, else in the folder. */
#include "lib/lib.h"
#include <json-c/json_object.h>

/* Of a guest that no keeper has. */
static int rename_folder(struct lodge_guest *g, const char *name, struct lodge_err *e)
{
	int r = guest_lock(g, e);
	if (r < 0)
		return r;
	r = guest_dozes(g) ? err_set(e, EBUSY, "%s is suspended for being idle, and waits for "
				     "connections by its name: lodge suspend or lodge resume it "
				     "first", g->inst->name)
			   : instance_rename(g->inst, name, e);
	close(take_fd(&g->inst->lock));
	return r;
}

int lodge_rename(struct lodge_guest *g, const char *name, struct lodge_err *e)
{
	struct instance *now = NULL;
	int r = guest_own(g, "rename", e);
	if (r < 0)
		return r;
	struct json_object *args = json_object_new_object();
	json_object_object_add(args, "name", json_object_new_string(name));
	r = control_call(g->inst, "POST", "/v1/rename", args, NULL, e);
	json_object_put(args);
	if (r == -ENOTCONN)
		return rename_folder(g, name, e);
	if (r == 0)
		r = instance_open(&now, name, e);
	if (r < 0)
		return r;
	instance_free(g->inst);
	g->inst = now;
	return 0;
}
