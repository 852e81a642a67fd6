/* SPDX-License-Identifier: Apache-2.0 */
/* An image as the root of a guest: its layers below a folder of the guest's own, which takes what
 * the guest writes. The store knows of the guest by a link to its folder. */
#include "image/layer.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>

enum { LOCK_WAIT_MS = 60000 };

bool layer_flat(struct image_store *s, const char *chain)
{
	char path[80];
	snprintf(path, sizeof path, "%.64s/flat", chain);
	return faccessat(s->layers, path, F_OK, 0) == 0;
}

static int config_read(struct image_store *s, const struct image_record *r,
		       struct image_config *ret, struct lodge_err *e)
{
	autofree char *text = NULL;
	size_t len;
	int bad = store_read(s, &r->config, &text, &len, e);
	return bad < 0 ? bad : image_config_parse(ret, r->name, text, len, e);
}

static int folders_make(int dir, struct lodge_err *e)
{
	static const char *const names[] = {"upper", "work", "rootfs"};
	for (size_t i = 0; i < countof(names); i++)
		if (mkdirat(dir, names[i], 0755) < 0 && errno != EEXIST)
			return err_sys(e, "making the folder %s", names[i]);
	return 0;
}

static int root_record(struct image_store *s, const char *name, const char *id, const char *folder,
		       struct image_config *ret, struct lodge_err *e)
{
	char full[REF_TEXT], key[40];
	struct image_record r;
	int bad = image_find_name(s, name, full, e);
	if (bad < 0)
		return bad;
	store_key(full, key);
	bad = record_load(&r, s->names, key, e);
	if (bad < 0)
		return bad;
	autoclose int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		bad = err_sys(e, "%s", folder);
	if (bad == 0)
		bad = folders_make(dir, e);
	/* the link first: a record that nobody finds keeps nothing */
	if (bad == 0 && unlinkat(s->guests, id, 0) < 0 && errno != ENOENT)
		bad = err_sys(e, "%s/guests/%s", s->path, id);
	if (bad == 0 && symlinkat(folder, s->guests, id) < 0)
		bad = err_sys(e, "%s/guests/%s", s->path, id);
	if (bad == 0)
		bad = record_save(&r, dir, "image", e);
	if (bad == 0)
		bad = config_read(s, &r, ret, e);
	record_fini(&r);
	return bad;
}

int image_root_make(struct image_store *s, const char *name, const char *id, const char *folder,
		    struct image_config *ret, struct lodge_err *e)
{
	int r = store_lock(s, LOCK_SH, LOCK_WAIT_MS, e);
	if (r < 0)
		return r;
	r = root_record(s, name, id, folder, ret, e);
	store_unlock(s);
	return r;
}

int image_root_config(struct image_store *s, const char *folder, struct image_config *ret,
		      struct lodge_err *e)
{
	struct image_record r;
	autoclose int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int bad = dir < 0 ? err_sys(e, "%s", folder) : record_load(&r, dir, "image", e);
	if (bad < 0)
		return bad;
	bad = config_read(s, &r, ret, e);
	record_fini(&r);
	return bad;
}

int image_root_below(struct image_store *s, const char *folder, int ret[IMAGE_LAYERS],
		     size_t *ret_n, struct lodge_err *e)
{
	struct image_record r;
	char path[80];
	autoclose int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int bad = dir < 0 ? err_sys(e, "%s", folder) : record_load(&r, dir, "image", e);
	*ret_n = 0;
	if (bad < 0)
		return bad;
	for (size_t i = r.chains.n; bad == 0 && i-- > 0;) {
		snprintf(path, sizeof path, "%.64s/fs", r.chains.at[i]);
		int fd = openat(s->layers, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			bad = err_sys(e, "a layer of the image");
		else
			ret[(*ret_n)++] = fd;
		if (layer_flat(s, r.chains.at[i])) /* it has all that is below in it */
			break;
	}
	record_fini(&r);
	while (bad < 0 && *ret_n)
		close(ret[--*ret_n]);
	return bad;
}

void image_root_forget(struct image_store *s, const char *id) { unlinkat(s->guests, id, 0); }

/* Where overlayfs is not to be had, the highest layer is all of the image. */
static int root_copy(struct image_store *s, const struct image_record *r, int dir,
		     struct lodge_err *e)
{
	char path[80];
	snprintf(path, sizeof path, "%.64s/fs", r->chains.at[r->chains.n - 1]);
	autoclose int from = openat(s->layers, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autoclose int to = openat(dir, "rootfs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (from < 0 || to < 0)
		return err_sys(e, "the image's root");
	if (faccessat(dir, "copied", F_OK, 0) == 0)
		return 0;
	int r2 = tree_copy(from, to, overlay_privileged(), e);
	return r2 < 0 ? r2 : file_replace(dir, "copied", "", 0, e);
}

static int root_overlay(int at, const struct image_record *r, size_t first, const char *folder,
			bool durable, struct lodge_err *e)
{
	char names[IMAGE_LAYERS][40];
	const char *lower[IMAGE_LAYERS];
	autofree char *upper = NULL, *work = NULL, *target = NULL;
	size_t n = 0;
	for (size_t i = first; i < r->chains.n && n < IMAGE_LAYERS; i++, n++) {
		snprintf(names[n], sizeof names[n], "%.32s/fs", r->chains.at[i]);
		lower[n] = names[n];
	}
	if (asprintf(&upper, "%s/upper", folder) < 0 || asprintf(&work, "%s/work", folder) < 0 ||
	    asprintf(&target, "%s/rootfs", folder) < 0)
		return err_set(e, ENOMEM, "out of memory");
	if (strpbrk(folder, ",:\\"))
		return err_set(e, EINVAL,
			       "overlayfs takes no folder with , : or \\ in its name: %s", folder);
	return overlay_mount(at, target, lower, n, &(struct overlay_top){upper, work, durable}, e);
}

int image_root_mount(struct image_store *s, const char *folder, const char *layers, bool durable,
		     struct lodge_err *e)
{
	struct image_record r;
	char path[PLACE_PATH];
	autoclose int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(path, sizeof path, "%.4000s%s", layers ? layers : s->path,
		 layers ? "" : "/layers");
	/* of this mount namespace, as overlayfs wants it */
	autoclose int at = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || at < 0)
		return err_sys(e, "%s", dir < 0 ? folder : path);
	int bad = record_load(&r, dir, "image", e);
	if (bad < 0)
		return bad;
	size_t first = r.chains.n;
	bool flat = false;
	while (first && !flat)
		flat = layer_flat(s, r.chains.at[--first]);
	if (r.chains.n == 0) {
		bad = 0; /* an image of nothing: the folder rootfs is that */
	} else {
		bad = root_overlay(at, &r, first, folder, durable, e);
		if (bad < 0 && !layers && layer_flat(s, r.chains.at[r.chains.n - 1]))
			bad = root_copy(s, &r, dir, e);
	}
	record_fini(&r);
	return bad;
}
