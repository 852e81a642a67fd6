/* SPDX-License-Identifier: Apache-2.0 */
/* Removal of what no image and no guest uses: marks, found by looking at all of them, and a sweep
 * over what is there. Nothing is counted, so no count can be wrong. */
#include "image/store.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

enum { PARTIAL_DAYS = 7 };

struct marks {
	struct image_store *s;
	struct json_object *used; /* a set: names of layers, digests of blobs */
};

static void mark(struct marks *m, const char *name) { json_object_object_add(m->used, name, NULL); }

static bool marked(const struct marks *m, const char *name)
{
	return json_object_object_get_ex(m->used, name, NULL);
}

static int mark_record(void *arg, const struct image_record *r)
{
	struct marks *m = arg;
	struct image_manifest man = {0};
	autofree char *text = NULL;
	size_t len = 0;
	for (size_t i = 0; i < r->chains.n; i++)
		mark(m, r->chains.at[i]);
	mark(m, r->manifest.text);
	mark(m, r->config.text);
	if (store_read(m->s, &r->manifest, &text, &len, NULL) == 0 &&
	    image_manifest_parse(&man, "", text, len, NULL) == 0) {
		for (size_t i = 0; i < man.nlayers; i++)
			mark(m, man.layers[i].digest.text);
		image_manifest_fini(&man);
	}
	return 0;
}

static DIR *folder(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d && fd >= 0)
		close(fd);
	return d;
}

/* Each guest that is still there; links to others go. */
static void mark_guests(struct marks *m)
{
	DIR *d = folder(m->s->guests, ".");
	for (struct dirent *de; d && (de = readdir(d));) {
		struct image_record r;
		char path[NAME_MAX + 8];
		struct stat st;
		if (de->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "%s/image", de->d_name);
		if (fstatat(m->s->guests, path, &st, 0) < 0 && errno == ENOENT) {
			unlinkat(m->s->guests, de->d_name, 0);
			continue;
		}
		if (record_load(&r, m->s->guests, path, NULL) == 0) {
			mark_record(m, &r);
			record_fini(&r);
		}
	}
	if (d)
		closedir(d);
}

static int sweep_blobs(struct marks *m, const char *alg, struct lodge_err *e)
{
	DIR *d = folder(m->s->blobs, alg);
	int r = 0;
	for (struct dirent *de; r == 0 && d && (de = readdir(d));) {
		char name[NAME_MAX + 16];
		snprintf(name, sizeof name, "%s:%s", alg, de->d_name);
		if (de->d_name[0] == '.' || marked(m, name))
			continue;
		if (unlinkat(dirfd(d), de->d_name, 0) < 0 && errno != ENOENT)
			r = err_sys(e, "removing %s", name);
	}
	if (d)
		closedir(d);
	return r;
}

static int sweep_layers(struct marks *m, struct lodge_err *e)
{
	DIR *d = folder(m->s->layers, ".");
	int r = 0;
	for (struct dirent *de; r == 0 && d && (de = readdir(d));) {
		char gone[NAME_MAX + 8];
		if (!strcmp(de->d_name, ".") || !strcmp(de->d_name, "..") || marked(m, de->d_name))
			continue;
		/* Under another name first: what is removed by half must not be taken for whole. */
		snprintf(gone, sizeof gone, ".gone-%.64s", de->d_name);
		if (de->d_name[0] == '.')
			snprintf(gone, sizeof gone, "%s", de->d_name);
		else if (renameat(m->s->layers, de->d_name, m->s->layers, gone) < 0)
			r = err_sys(e, "removing the layer %s", de->d_name);
		if (r == 0)
			r = host_remove_tree(m->s->layers, gone, e);
	}
	if (d)
		closedir(d);
	return r;
}

/* Parts that nobody has come back for. */
static void sweep_partial(struct image_store *s)
{
	DIR *d = folder(s->partial, ".");
	for (struct dirent *de; d && (de = readdir(d));) {
		struct stat st;
		if (de->d_name[0] == '.' ||
		    fstatat(s->partial, de->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (S_ISDIR(st.st_mode) || st.st_mtime + PARTIAL_DAYS * 86400 < time(NULL))
			(void)!file_remove_tree(s->partial, de->d_name, NULL);
	}
	if (d)
		closedir(d);
}

int store_sweep(struct image_store *s, struct lodge_err *e)
{
	struct marks m = {.s = s, .used = json_object_new_object()};
	int r = m.used ? store_each(s, mark_record, &m, e) : err_set(e, ENOMEM, "out of memory");
	if (r == 0) {
		mark_guests(&m);
		r = sweep_blobs(&m, "sha256", e);
	}
	if (r == 0)
		r = sweep_blobs(&m, "sha512", e);
	if (r == 0)
		r = sweep_layers(&m, e);
	if (r == 0)
		sweep_partial(s);
	json_object_put(m.used);
	return r;
}
