/* SPDX-License-Identifier: Apache-2.0 */
/* Images in one file: a tar, perhaps compressed, of an OCI layout or of what `docker save` writes.
 * Its entries come in any order, so they are put aside first, and summed on the way. */
#include "image/source.h"
#include <archive_entry.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

enum { ENTRIES = 65536 };

struct item {
	char *path;           /* owned; in the archive */
	char *link;           /* owned; another path; NULL: its data are put aside */
	struct digest digest; /* of the data, sha256 */
	uint64_t size;
};

struct store_archive {
	struct source s;
	char *path, *tag;   /* owned */
	char folder[32];    /* below partial/ */
	int dir;            /* of it */
	struct item *items; /* owned; the data of the i-th are in file i */
	size_t n;
};

static int archive_claims(const char *where)
{
	struct stat st;
	autofree char *path = NULL, *tag = NULL;
	if (!strncmp(where, "oci-archive:", 12) || !strncmp(where, "docker-archive:", 15))
		return 100;
	if (!strchr(where, '/') || file_where(where, "", &path, &tag, NULL) < 0)
		return 0;
	return stat(path, &st) == 0 && S_ISREG(st.st_mode) ? 40 : 0;
}

static void archive_close(struct source *s)
{
	struct store_archive *a = container_of(s, struct store_archive, s);
	if (a->dir >= 0)
		(void)!file_remove_tree(s->f->store->partial, a->folder, NULL);
	auto_close(&a->dir);
	for (size_t i = 0; i < a->n; i++) {
		free(a->items[i].path);
		free(a->items[i].link);
	}
	free(a->items);
	free(a->path);
	free(a->tag);
	free(a);
}

static const struct item *item_find(const struct store_archive *a, const char *path)
{
	/* Links to links are none of those that docker writes. */
	for (unsigned hops = 0; hops < 3; hops++) {
		const struct item *found = NULL;
		for (size_t i = a->n; i-- > 0 && !found;) /* the last of a name counts */
			if (!strcmp(a->items[i].path, path))
				found = &a->items[i];
		if (!found || !found->link)
			return found;
		path = found->link;
	}
	return NULL;
}

static int item_open(const struct store_archive *a, const struct item *it, struct lodge_err *e)
{
	char name[32];
	snprintf(name, sizeof name, "%zu", (size_t)(it - a->items));
	int fd = openat(a->dir, name, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? err_sys(e, "%s of %s", it->path, a->path) : fd;
}

/* The data of the entry, into a file of our own. */
static int item_data(struct store_archive *a, struct tar *t, struct item *it, size_t i,
		     struct lodge_err *e)
{
	char name[32];
	const void *data;
	size_t len;
	uint64_t off;
	struct digest_sum sum;
	snprintf(name, sizeof name, "%zu", i);
	autoclose int fd = openat(a->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, "making a file in %s/partial", a->s.f->store->path);
	int r = digest_begin(&sum, "sha256", e);
	while (r >= 0 && (r = tar_data(t, &data, &len, &off, e)) > 0) {
		if (off != it->size) /* a sparse one is nothing that image tools write */
			r = err_set(e, EINVAL, "%s is sparse", it->path);
		else if (!host_pwrite(fd, data, len, off))
			r = err_sys(e, "writing to %s/partial", a->s.f->store->path);
		digest_add(&sum, data, len);
		it->size += len;
		if (a->s.f->how->progress &&
		    a->s.f->how->progress(a->s.f->how->user, "reading the archive", tar_done(t), 0))
			r = err_set(e, ECANCELED, "it was stopped");
	}
	if (r == 0)
		digest_end(&sum, &it->digest);
	digest_drop(&sum);
	return r;
}

/* Where a link in the folder of @path leads to, in the archive. */
static int link_target(const char *path, const char *to, char ret[PLACE_PATH])
{
	char all[PLACE_PATH * 2];
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) : 0;
	while (!strncmp(to, "../", 3)) {
		to += 3;
		while (n && path[n - 1] != '/')
			n--;
		n -= n != 0;
	}
	snprintf(all, sizeof all, "%.*s/%.4000s", (int)n, path, to);
	return place_path(all, ret, NULL);
}

static int item_add(struct store_archive *a, struct tar *t, struct archive_entry *entry,
		    struct lodge_err *e)
{
	char path[PLACE_PATH], target[PLACE_PATH];
	const char *said = archive_entry_pathname(entry);
	const char *hard = archive_entry_hardlink(entry), *soft = archive_entry_symlink(entry);
	bool file = archive_entry_filetype(entry) == AE_IFREG && !hard;
	int r = place_path(said ? said : "", path, e);
	if (r < 0)
		return r;
	if (!file && !hard && !soft)
		return 0;
	if (a->n == ENTRIES)
		return err_set(e, EFBIG, "it has more than %u entries", ENTRIES);
	struct item *more = realloc(a->items, (a->n + 1) * sizeof *more);
	if (!more)
		return err_set(e, ENOMEM, "out of memory");
	a->items = more;
	struct item *it = &more[a->n];
	*it = (struct item){.path = strdup(path)};
	if (!it->path)
		return err_set(e, ENOMEM, "out of memory");
	a->n++;
	if (file)
		return item_data(a, t, it, a->n - 1, e);
	if ((hard ? place_path(hard, target, NULL) : link_target(path, soft, target)) < 0)
		target[0] = 0; /* to nowhere in the archive */
	it->link = strdup(target);
	return it->link ? 0 : err_set(e, ENOMEM, "out of memory");
}

static int archive_stage(struct store_archive *a, struct lodge_err *e)
{
	struct tar *t = NULL;
	struct archive_entry *entry;
	struct image_store *s = a->s.f->store;
	uint64_t random;
	autoclose int fd = open(a->path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "%s", a->path);
	/* two of one process, and of two containers with one store, have each its own */
	host_random(&random, sizeof random);
	snprintf(a->folder, sizeof a->folder, "archive-%016llx", (unsigned long long)random);
	if (mkdirat(s->partial, a->folder, 0700) < 0)
		return err_sys(e, "making a folder in %s/partial", s->path);
	a->dir = openat(s->partial, a->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (a->dir < 0)
		return err_sys(e, "making a folder in %s/partial", s->path);
	struct tar_limits limits = {.bytes = a->s.f->how->max_unpacked};
	int r = tar_open(&t, fd, TAR_ANY, &limits, NULL, e);
	while (r == 0 && (r = tar_next(t, &entry, e)) > 0)
		r = item_add(a, t, entry, e);
	tar_close(t);
	return err_in(e, r, "%s", a->path);
}

static int item_read(const struct store_archive *a, const struct item *it, char **ret,
		     size_t *ret_len, struct lodge_err *e)
{
	char name[32];
	snprintf(name, sizeof name, "%zu", (size_t)(it - a->items));
	return err_in(e, file_load(a->dir, name, DOC_BYTES, ret, ret_len, e), "%s of %s", it->path,
		      a->path);
}

/* ---- what docker save writes: manifest.json ---- */

/* "KEY": [{"mediaType":...,"digest":...,"size":...}] of the parts of a manifest of ours. */
static int part_add(const struct store_archive *a, struct json_object *to, const char *key,
		    const char *path, const char *media, struct lodge_err *e)
{
	char place[PLACE_PATH];
	int r = place_path(path, place, e);
	const struct item *it = r == 0 ? item_find(a, place) : NULL;
	if (!it)
		return err_set(e, ENOENT, "%s/manifest.json names '%.100s', which is not there",
			       a->path, path);
	struct json_object *o = json_object_new_object();
	json_object_object_add(o, "mediaType", json_object_new_string(media));
	json_object_object_add(o, "digest", json_object_new_string(it->digest.text));
	json_object_object_add(o, "size", json_object_new_int64((int64_t)it->size));
	if (key)
		json_object_object_add(to, key, o);
	else
		json_object_array_add(to, o);
	return 0;
}

/* The i-th image of manifest.json as a manifest. */
static int docker_manifest(struct store_archive *a, struct doc *d, struct json_object *one,
			   struct json_object *to, struct lodge_err *e)
{
	struct image_texts layers = {0}, tags = {0};
	const char *config = NULL;
	struct json_object *list = json_object_new_array();
	json_object_object_add(to, "schemaVersion", json_object_new_int(2));
	json_object_object_add(to, "layers", list);
	int r = doc_text(d, one, "Config", true, &config);
	if (r > 0)
		r = part_add(a, to, "config", config, "application/vnd.oci.image.config.v1+json",
			     e);
	if (r == 0)
		r = doc_texts(d, one, "Layers", &layers);
	for (size_t i = 0; r >= 0 && i < layers.n; i++)
		r = part_add(a, list, NULL, layers.at[i], "application/vnd.oci.image.layer.v1.tar",
			     e);
	if (r >= 0)
		r = doc_texts(d, one, "RepoTags", &tags);
	if (r >= 0)
		file_name(a->path, tags.n ? tags.at[0] : "", a->s.name);
	image_texts_fini(&layers);
	image_texts_fini(&tags);
	return r < 0 ? r : 0;
}

static bool docker_tagged(struct json_object *one, const char *tag)
{
	struct json_object *tags = NULL;
	if (!json_object_object_get_ex(one, "RepoTags", &tags) ||
	    !json_object_is_type(tags, json_type_array))
		return false;
	for (size_t i = 0; i < json_object_array_length(tags); i++) {
		const char *t = json_object_get_string(json_object_array_get_idx(tags, i));
		const char *colon = t ? strrchr(t, ':') : NULL;
		if (t && (!strcmp(t, tag) || (colon && !strcmp(colon + 1, tag))))
			return true;
	}
	return false;
}

static int docker_top(struct store_archive *a, const struct item *it, char **ret, size_t *ret_len,
		      struct lodge_err *e)
{
	autofree char *text = NULL;
	size_t len, which = 0;
	struct doc d;
	char what[REF_TEXT + 80];
	snprintf(what, sizeof what, "%s/manifest.json", a->s.what);
	int r = item_read(a, it, &text, &len, e);
	if (r < 0)
		return r;
	struct json_object *to = json_object_new_object();
	r = doc_open(&d, what, text, len, e);
	size_t n = r == 0 && json_object_is_type(d.root, json_type_array)
		       ? json_object_array_length(d.root)
		       : 0;
	if (r == 0 && n == 0)
		r = doc_fail(&d, NULL, EINVAL, "is no list of images");
	while (r == 0 && *a->tag && which < n &&
	       !docker_tagged(json_object_array_get_idx(d.root, which), a->tag))
		which++;
	if (r == 0 && (which == n || (!*a->tag && n > 1)))
		r = doc_fail(&d, NULL, ENOENT, "%s; say which with %.100s:TAG",
			     which == n ? "no image there has this tag"
					: "several images are there",
			     a->s.what);
	if (r == 0) {
		size_t at = doc_down(&d, "[%zu]", which);
		r = docker_manifest(a, &d, json_object_array_get_idx(d.root, which), to, e);
		doc_up(&d, at);
	}
	if (r == 0) {
		*ret = strdup(json_object_to_json_string_ext(to, JSON_C_TO_STRING_PLAIN));
		*ret_len = *ret ? strlen(*ret) : 0;
		r = *ret ? 0 : err_set(e, ENOMEM, "out of memory");
	}
	json_object_put(to);
	doc_close(&d);
	return r;
}

static int archive_top(struct source *s, char **ret, size_t *ret_len, struct lodge_err *e)
{
	struct store_archive *a = container_of(s, struct store_archive, s);
	autofree char *text = NULL;
	size_t len;
	int r = archive_stage(a, e);
	if (r < 0)
		return r;
	const struct item *index = item_find(a, "index.json"),
			  *list = item_find(a, "manifest.json");
	/* Newer docker writes both, and says more in its own. */
	if (list)
		return docker_top(a, list, ret, ret_len, e);
	if (!index)
		return err_set(e, EINVAL,
			       "%s is no image: it has neither index.json nor "
			       "manifest.json",
			       a->path);
	r = item_read(a, index, &text, &len, e);
	return r < 0 ? r : layout_choose(s, a->path, a->tag, text, len, ret, ret_len, e);
}

/* By its digest: where an OCI layout has it, or anything that has this sum. */
static const struct item *item_by_digest(const struct store_archive *a, const struct digest *d)
{
	char path[DIGEST_TEXT + 8] = "blobs/";
	blob_path(d, path + 6);
	const struct item *found = item_find(a, path);
	for (size_t i = 0; !found && i < a->n; i++)
		if (digest_same(&a->items[i].digest, d))
			found = &a->items[i];
	return found;
}

static int archive_document(struct source *s, const struct image_desc *d, char **ret,
			    size_t *ret_len, struct lodge_err *e)
{
	struct store_archive *a = container_of(s, struct store_archive, s);
	const struct item *it = item_by_digest(a, &d->digest);
	return it ? item_read(a, it, ret, ret_len, e)
		  : err_set(e, ENOENT, "%s is not in %s", d->digest.text, a->path);
}

static int archive_blob(struct source *s, struct blob_in *b, struct lodge_err *e)
{
	struct store_archive *a = container_of(s, struct store_archive, s);
	const struct item *it = item_by_digest(a, &b->digest);
	if (!it)
		return err_set(e, ENOENT, "%s is not in %s", b->digest.text, a->path);
	autoclose int fd = item_open(a, it, e);
	return fd < 0 ? fd : file_feed(s->f, fd, b, e);
}

extern const struct source_class source_archive;

static int archive_open(struct source **ret, struct fetch *f, const char *where,
			struct lodge_err *e)
{
	struct store_archive *a = calloc(1, sizeof *a);
	if (!a)
		return err_set(e, ENOMEM, "out of memory");
	a->s = (struct source){.class = &source_archive, .f = f};
	a->dir = -1;
	int r = file_where(where, !strncmp(where, "oci-", 4) ? "oci-archive:" : "docker-archive:",
			   &a->path, &a->tag, e);
	if (r < 0) {
		archive_close(&a->s);
		return r;
	}
	snprintf(a->s.what, sizeof a->s.what, "%.800s", a->path);
	*ret = &a->s;
	return 0;
}

const struct source_class source_archive = {
    .name = "archive",
    .summary = "a file of `docker save`, or an OCI layout in a tar: oci-archive:PATH[:TAG], "
	       "docker-archive:PATH[:TAG], or its path",
    .claims = archive_claims,
    .open = archive_open,
    .close = archive_close,
    .top = archive_top,
    .document = archive_document,
    .blob = archive_blob,
};
