/* SPDX-License-Identifier: Apache-2.0 */
/* Disks of configurations that branch: a file that nobody writes any more, and a new overlay. */
#include "life/internal.h"
#include <stdio.h>

int life_disk_branch(const struct life_disk *d, size_t n, const char *dir, char **ret_spec,
                     char **ret_overlay, struct lodge_err *e)
{
	const char *format = d->overlay ? "overlay" : d->format ? d->format : "raw";
	autofree char *overlay = NULL, *spec = NULL;
	uint32_t id;
	host_random(&id, sizeof id);
	if (asprintf(&overlay, "%s/disk%zu.%08x.overlay", dir, n, id) < 0) {
		overlay = NULL;
		return err_set(e, ENOMEM, "out of memory");
	}
	if (asprintf(&spec, "%s,format=%s,overlay=%s%s%s", d->overlay ? d->overlay : d->path,
		     format, overlay, d->bus ? ",bus=" : "", d->bus ? d->bus : "") < 0) {
		spec = NULL;
		return err_set(e, ENOMEM, "out of memory");
	}
	*ret_spec = take(spec);
	if (ret_overlay)
		*ret_overlay = take(overlay);
	return 0;
}

void life_disk_files_note(struct json_object *into, struct json_object *of)
{
	struct json_object *files = NULL, *disks = NULL;
	if (!json_object_object_get_ex(into, "disk_files", &files)) {
		files = json_object_new_array();
		json_object_object_add(into, "disk_files", files);
	}
	json_object_object_get_ex(of, "disks", &disks);
	size_t n = disks ? json_object_array_length(disks) : 0;
	for (size_t i = 0; i < n; i++)
		json_object_array_add(files, json_object_get(json_object_array_get_idx(disks, i)));
}
