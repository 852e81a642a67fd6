/* SPDX-License-Identifier: Apache-2.0 */
/* What a stream begins with: which guest comes, as JSON, and the files that it boots from. */
#include "life/internal.h"
#include <json-c/json.h>
#include <stdio.h>
#include <sys/stat.h>

static const char *const stream_files[STREAM_FILES] = { "kernel", "initrd", "firmware", "guest" };

static struct json_object *files_list(struct json_object *config, struct lodge_err *e)
{
	struct json_object *list = json_object_new_array();
	for (size_t i = 0; i < STREAM_FILES; i++) {
		const char *path = NULL;
		struct stat st;
		/* "guest" may be the name of an image: its files are named one by one */
		if (!json_text(config, stream_files[i], &path) ||
		    (i == STREAM_FILES - 1 && path[0] != '/'))
			continue;
		if (stat(path, &st) < 0 || !S_ISREG(st.st_mode)) {
			json_object_put(list);
			(void)!err_set(e, ENOENT, "the guest's %s, %s, is not there",
			               stream_files[i], path);
			return NULL;
		}
		struct json_object *o = json_object_new_object();
		json_put_text(o, "key", stream_files[i]);
		json_put_i64(o, "size", st.st_size);
		json_object_array_add(list, o);
	}
	return list;
}

int stream_hello(struct outgoing *o, struct json_object *hello, struct lodge_err *e)
{
	size_t len;
	const char *text = json_object_to_json_string_length(hello, 0, &len);
	struct wire_frame f = { .type = FRAME_HELLO, .index = STREAM_VERSION,
		.p = (const uint8_t *)text, .len = (uint32_t)len };
	if (len > FRAME_MAX)
		return err_set(e, E2BIG, "the guest's configuration is too long");
	return wire_send(o->w, &f, e);
}

int stream_describe(struct outgoing *o, struct json_object *config, const char *level,
                      struct json_object **ret, struct lodge_err *e)
{
	struct json_object *files = files_list(config, e);
	if (!files)
		return -ENOENT;
	struct json_object *h = json_object_new_object(), *disks = json_object_new_array();
	json_put_text(h, "level", level);
	json_object_object_add(h, "config", json_object_get(config));
	json_object_object_add(h, "files", files);
	json_put_i64(h, "memory", o->mem ? (int64_t)mem_size(o->mem) : 0);
	for (size_t i = 0; i < o->ndisks; i++) {
		struct json_object *d = json_object_new_object();
		json_put_i64(d, "size", (int64_t)o->size[i]);
		json_object_array_add(disks, d);
	}
	json_object_object_add(h, "disks", disks);
	*ret = h;
	return 0;
}

int stream_send_files(struct outgoing *o, struct json_object *hello, struct lodge_err *e)
{
	struct json_object *files = NULL, *config = NULL;
	int r = 0;
	json_object_object_get_ex(hello, "files", &files);
	json_object_object_get_ex(hello, "config", &config);
	for (size_t i = 0; r == 0 && i < json_object_array_length(files); i++) {
		struct json_object *f = json_object_array_get_idx(files, i);
		const char *key = NULL, *path = NULL;
		int64_t size = 0;
		if (json_text(f, "key", &key) && json_text(config, key, &path) &&
		    json_i64(f, "size", &size))
			r = outgoing_file(o, (unsigned)i, path, (uint64_t)size, e);
	}
	return r;
}

