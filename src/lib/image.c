/* SPDX-License-Identifier: Apache-2.0 */
/* Images: names that stand for files in the cache, listed in images.def. */
#include "image/image.h"
#include "lib/lib.h"
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

static const struct image images[] = {
#define IMAGE(name_, alias_, sum_, folder_, verb_, kernel_, initrd_, disk_, append_, files_)       \
	{.name = name_,                                                                            \
	 .alias = alias_,                                                                          \
	 .summary = sum_,                                                                          \
	 .folder = folder_,                                                                        \
	 .verb = verb_,                                                                            \
	 .kernel = kernel_,                                                                        \
	 .initrd = initrd_,                                                                        \
	 .disk = disk_,                                                                            \
	 .append = append_,                                                                        \
	 .files = files_},
#include "lib/images.def"
};

const struct image *image_at(size_t i) { return i < countof(images) ? &images[i] : NULL; }

/* "debian", "debian:13" and "debian:13/riscv64" are the same. */
const struct image *image_find(const char *name)
{
	size_t n = strlen(name);
	for (size_t i = 0; i < countof(images); i++) {
		const char *full = images[i].name;
		size_t alias = strlen(images[i].alias);
		if (n < alias || strncmp(full, name, n))
			continue;
		if (!full[n] || full[n] == ':' || full[n] == '/')
			return &images[i];
	}
	return NULL;
}

const struct image *image_of_roots(void) { return image_find("debian-small"); }

char *image_file(const struct image *m, const char *file)
{
	char *ret = NULL;
	autofree char *cache = life_home("cache");
	if (!cache || asprintf(&ret, "%s/%s/%s", cache, m->folder, file) < 0)
		return NULL;
	return ret;
}

bool image_ready(const struct image *m)
{
	autofree char *files = strdup(m->files);
	char *rest = files;
	for (char *f; (f = strsep(&rest, " "));) {
		autofree char *path = image_file(m, f);
		if (!path || access(path, R_OK) < 0)
			return false;
	}
	return files != NULL;
}

static struct json_object *image_json(const struct image *m)
{
	struct json_object *o = json_object_new_object();
	autofree char *folder = image_file(m, "");
	autofree char *files = strdup(m->files);
	char *rest = files;
	uint64_t size = 0, created = 0;
	for (char *f; (f = strsep(&rest, " "));) {
		struct stat st;
		autofree char *path = image_file(m, f);
		if (!path || stat(path, &st) < 0)
			continue;
		size += (uint64_t)st.st_blocks * 512;
		if ((uint64_t)st.st_mtim.tv_sec > created)
			created = (uint64_t)st.st_mtim.tv_sec;
	}
	json_object_object_add(o, "name", json_object_new_string(m->name));
	json_object_object_add(o, "alias", json_object_new_string(m->alias));
	json_object_object_add(o, "size", json_object_new_int64((int64_t)size));
	json_object_object_add(o, "created_ns",
			       json_object_new_int64((int64_t)created * 1000000000));
	json_object_object_add(o, "path", json_object_new_string(folder ? folder : ""));
	json_object_object_add(o, "summary", json_object_new_string(m->summary));
	return o;
}

int lodge_image_list(char **ret_json, struct lodge_err *e)
{
	struct json_object *a = json_object_new_array();
	for (size_t i = 0; i < countof(images); i++)
		if (image_ready(&images[i]))
			json_object_array_add(a, image_json(&images[i]));
	int r = images_list(a, e);
	if (r == 0)
		return json_give(a, ret_json, e);
	json_object_put(a);
	return r;
}

int lodge_image_state(const char *name)
{
	const struct image *m = image_find(name);
	if (m)
		return image_ready(m);
	if (access(name, F_OK) == 0 || strchr("./", name[0]))
		return -ENOENT; /* a path: without a look at the store */
	if (images_state(name) == 1)
		return 1;
	/* a name that can be nothing else may be looked for in a registry; "ls" might be a slip */
	struct image_ref r;
	return strpbrk(name, "/:@") && ref_parse(&r, name, NULL) == 0 ? 0 : -ENOENT;
}

int lodge_image_execs(const char *name)
{
	const struct image *m = image_find(name);
	return m && m->disk;
}

/* A file may belong to several images of one folder: it stays while another whole one needs it. */
static bool image_shares(const struct image *m, const char *file)
{
	for (size_t i = 0; i < countof(images); i++) {
		const struct image *o = &images[i];
		size_t n = strlen(file);
		if (o == m || strcmp(o->folder, m->folder) || !image_ready(o))
			continue;
		for (const char *p = o->files; (p = strstr(p, file)); p += n)
			if ((p == o->files || p[-1] == ' ') && (!p[n] || p[n] == ' '))
				return true;
	}
	return false;
}

/* The image's own files go; what others share stays. */
static int image_files_remove(const struct image *m, struct lodge_err *e)
{
	autofree char *files = strdup(m->files);
	char *rest = files;
	bool removed = false;
	for (char *f; (f = strsep(&rest, " "));) {
		autofree char *path = image_file(m, f);
		if (!path || image_shares(m, f))
			continue;
		if (unlink(path) < 0 && errno != ENOENT)
			return err_sys(e, "%s", path);
		removed = true;
	}
	if (!removed)
		return err_set(e, EBUSY,
			       "every file of %s belongs to another image too; remove that first",
			       m->name);
	return 0;
}

static bool image_folder_used(const struct image *m)
{
	for (size_t i = 0; i < countof(images); i++)
		if (&images[i] != m && !strcmp(images[i].folder, m->folder) &&
		    image_ready(&images[i]))
			return true;
	return false;
}

int lodge_image_remove(const char *name, struct lodge_err *e)
{
	const struct image *m = image_find(name);
	if (!m || !image_ready(m))
		return images_remove(name, e);
	autofree char *cache = life_home("cache");
	autofree char *lock = NULL;
	if (!cache || asprintf(&lock, "%s/%s.lock", cache, m->folder) < 0)
		return err_set(e, ENOMEM, "out of memory");
	/* The fetch script holds this while it works. */
	autoclose int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, "%s", lock);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return err_set(e, EBUSY, "%s is being fetched just now", m->name);
	if (image_folder_used(m))
		return image_files_remove(m, e);
	autofree char *folder = image_file(m, "");
	return folder ? life_remove_tree(folder, e) : err_set(e, ENOMEM, "out of memory");
}
