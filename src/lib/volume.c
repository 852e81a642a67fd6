/* SPDX-License-Identifier: Apache-2.0 */
/* Volumes with a name: the public door to those of life. */
#include "lib/lib.h"
#include <json-c/json.h>

int lodge_volume_create(const char *name, struct lodge_err *e)
{
	return life_volume_create(name, e);
}

int lodge_volume_list(char **ret_json, struct lodge_err *e)
{
	struct json_object *a = NULL;
	int r = life_volume_list(&a, e);
	return r < 0 ? r : json_give(a, ret_json, e);
}

int lodge_volume_inspect(const char *name, char **ret_json, struct lodge_err *e)
{
	struct json_object *o = NULL;
	int r = life_volume_inspect(name, &o, e);
	return r < 0 ? r : json_give(o, ret_json, e);
}

int lodge_volume_remove(const char *name, struct lodge_err *e)
{
	return life_volume_remove(name, e);
}

int lodge_volume_prune(char **ret_json, struct lodge_err *e)
{
	struct json_object *all = NULL, *gone = json_object_new_array(), *name = NULL;
	int r = life_volume_list(&all, e);
	for (size_t i = 0; r == 0 && i < json_object_array_length(all); i++) {
		json_object_object_get_ex(json_object_array_get_idx(all, i), "name", &name);
		int bad = life_volume_remove(json_object_get_string(name), e);
		if (bad == 0)
			json_object_array_add(gone, json_object_get(name));
		else if (bad != -EBUSY && bad != -ENOENT)
			r = bad;
	}
	json_object_put(all);
	if (r == 0)
		return json_give(gone, ret_json, e);
	json_object_put(gone);
	return r;
}
