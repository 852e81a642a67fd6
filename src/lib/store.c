/* SPDX-License-Identifier: Apache-2.0 */
/* Container images of this user: the store is below the folder of data. */
#include "image/image.h"
#include "lib/lib.h"
#include <json-c/json.h>
#include <stdio.h>

static char *store_path(void)
{
	char *ret = NULL;
	autofree char *data = life_home("data");
	return data && asprintf(&ret, "%s/images", data) >= 0 ? ret : NULL;
}

int images_open(struct image_store **ret, struct lodge_err *e)
{
	autofree char *path = store_path();
	return path ? image_store_open(ret, path, e) : err_set(e, ENOMEM, "out of memory");
}

/* Looking makes no folder. */
static bool store_exists(void)
{
	autofree char *path = store_path();
	return path && access(path, F_OK) == 0;
}

int images_pull(const char *name, struct lodge_pull *how, struct lodge_err *e)
{
	struct image_store *s = NULL;
	char registry[REF_TEXT] = "";
	struct image_pull p = {.platform = how->platform,
			       .name = how->as,
			       .registry = registry,
			       .no_tls = how->no_tls_check,
			       .max_unpacked = how->max_unpacked,
			       .progress = how->progress,
			       .user = how->user};
	_Static_assert(sizeof how->name >= REF_TEXT, "a name has room");
	int r = lodge_setting("registry", registry, sizeof registry, e);
	if (r < 0)
		return r;
	r = images_open(&s, e);
	if (r == 0)
		r = image_pull(s, name, &p, how->name, how->warning, e);
	image_store_close(s);
	return r;
}

int images_list(struct json_object *list, struct lodge_err *e)
{
	struct image_store *s = NULL;
	struct json_object *mine = NULL;
	if (!store_exists())
		return 0;
	int r = images_open(&s, e);
	if (r == 0)
		r = image_list(s, &mine, e);
	for (size_t i = 0; r == 0 && i < json_object_array_length(mine); i++)
		json_object_array_add(list, json_object_get(json_object_array_get_idx(mine, i)));
	json_object_put(mine);
	image_store_close(s);
	return r;
}

int images_remove(const char *name, struct lodge_err *e)
{
	struct image_store *s = NULL;
	uint64_t freed = 0;
	if (!store_exists())
		return err_set(e, ENOENT, "there is no image '%s'; lodge images lists them", name);
	int r = images_open(&s, e);
	if (r == 0)
		r = image_remove(s, name, &freed, e);
	image_store_close(s);
	return r;
}

int images_state(const char *name)
{
	struct image_store *s = NULL;
	char full[REF_TEXT];
	int found = 0;
	if (store_exists() && images_open(&s, NULL) == 0)
		found = image_find_name(s, name, full, NULL) == 0;
	image_store_close(s);
	return found;
}
