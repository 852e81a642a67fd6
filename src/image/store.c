/* SPDX-License-Identifier: Apache-2.0 */
/* The folder of the store: its parts, its lock, the records of images. */
#include "image/store.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

static int folder_open(int dir, const char *path, const char *name, int *ret, struct lodge_err *e)
{
	if (mkdirat(dir, name, 0700) < 0 && errno != EEXIST)
		return err_sys(e, "making %s/%s", path, name);
	*ret = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return *ret < 0 ? err_sys(e, "%s/%s", path, name) : 0;
}

static int store_folders(struct image_store *s, struct lodge_err *e)
{
	struct {
		const char *name;
		int *fd;
	} parts[] = {{"blobs", &s->blobs},
		     {"partial", &s->partial},
		     {"layers", &s->layers},
		     {"names", &s->names},
		     {"guests", &s->guests}};
	s->dir = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir < 0)
		return err_sys(e, "%s", s->path);
	for (size_t i = 0; i < countof(parts); i++) {
		int r = folder_open(s->dir, s->path, parts[i].name, parts[i].fd, e);
		if (r < 0)
			return r;
	}
	s->lock = openat(s->dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	return s->lock < 0 ? err_sys(e, "%s/lock", s->path) : 0;
}

int image_store_open(struct image_store **ret, const char *path, struct lodge_err *e)
{
	struct image_store *s = calloc(1, sizeof *s);
	if (!s || !(s->path = strdup(path))) {
		free(s);
		return err_set(e, ENOMEM, "out of memory");
	}
	s->dir = s->lock = s->blobs = s->partial = s->layers = s->names = s->guests = -1;
	int r = file_make_folders(path, 0700, 0700, e);
	if (r == 0)
		r = store_folders(s, e);
	if (r < 0) {
		image_store_close(s);
		return r;
	}
	*ret = s;
	return 0;
}

void image_store_close(struct image_store *s)
{
	if (!s)
		return;
	int fds[] = {s->lock, s->blobs, s->partial, s->layers, s->names, s->guests, s->dir};
	for (size_t i = 0; i < countof(fds); i++)
		auto_close(&fds[i]);
	free(s->path);
	free(s);
}

int store_lock(struct image_store *s, int how, unsigned wait_ms, struct lodge_err *e)
{
	for (unsigned waited = 0;; waited += 20) {
		if (flock(s->lock, how | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_sys(e, "%s/lock", s->path);
		if (waited >= wait_ms)
			return err_set(e, EBUSY,
				       "another command %s images of this store; try "
				       "again when it has ended",
				       how == LOCK_EX ? "gets or uses" : "removes");
		usleep(20000);
	}
}

void store_unlock(struct image_store *s) { flock(s->lock, LOCK_UN); }

/* ---- records ---- */

static void put(struct json_object *o, const char *key, const char *v)
{
	json_object_object_add(o, key, json_object_new_string(v));
}

int record_save(const struct image_record *r, int dirfd, const char *file, struct lodge_err *e)
{
	char platform[100];
	struct json_object *o = json_object_new_object(), *list = json_object_new_array();
	platform_print(&r->platform, platform);
	put(o, "name", r->name);
	put(o, "manifest", r->manifest.text);
	put(o, "config", r->config.text);
	put(o, "platform", platform);
	json_object_object_add(o, "size", json_object_new_int64((int64_t)r->size));
	json_object_object_add(o, "created_ns", json_object_new_int64((int64_t)r->created_ns));
	for (size_t i = 0; i < r->chains.n; i++)
		json_object_array_add(list, json_object_new_string(r->chains.at[i]));
	json_object_object_add(o, "layers", list);
	const char *text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY);
	int ret = file_replace(dirfd, file, text, strlen(text), e);
	json_object_put(o);
	return ret;
}

static bool chain_good(const char *s)
{
	return strlen(s) == 32 && strspn(s, "0123456789abcdef") == 32;
}

static int record_read(struct doc *d, struct image_record *ret)
{
	const char *name = "", *platform = NULL;
	int r = doc_text(d, d->root, "name", true, &name);
	if (r >= 0)
		r = doc_digest(d, d->root, "manifest", true, &ret->manifest);
	if (r >= 0)
		r = doc_digest(d, d->root, "config", true, &ret->config);
	if (r >= 0)
		r = doc_text(d, d->root, "platform", true, &platform);
	if (r >= 0)
		r = platform_parse(&ret->platform, platform, d->e);
	if (r >= 0)
		r = doc_u64(d, d->root, "size", true, &ret->size);
	if (r >= 0)
		r = doc_u64(d, d->root, "created_ns", true, &ret->created_ns);
	if (r >= 0)
		r = doc_texts(d, d->root, "layers", &ret->chains);
	for (size_t i = 0; r >= 0 && i < ret->chains.n; i++)
		if (!chain_good(ret->chains.at[i]))
			r = doc_fail(d, "layers", EINVAL, "'%.40s' is no layer", ret->chains.at[i]);
	if (r >= 0 && strlen(name) >= sizeof ret->name)
		r = doc_fail(d, "name", EINVAL, "is too long");
	if (r >= 0)
		strcpy(ret->name, name);
	return r;
}

int record_load(struct image_record *ret, int dirfd, const char *file, struct lodge_err *e)
{
	autofree char *text = NULL;
	size_t len;
	struct doc d;
	int r = file_load(dirfd, file, 1 << 20, &text, &len, e);
	if (r < 0)
		return r;
	*ret = (struct image_record){0};
	r = doc_open(&d, file, text, len, e);
	if (r == 0)
		r = record_read(&d, ret);
	doc_close(&d);
	if (r < 0)
		record_fini(ret);
	return r < 0 ? r : 0;
}

void record_fini(struct image_record *r) { image_texts_fini(&r->chains); }

void store_key(const char *name, char ret[40])
{
	uint8_t sum[32];
	sha256(name, strlen(name), sum);
	for (size_t i = 0; i < 16; i++)
		snprintf(ret + 2 * i, 3, "%02x", sum[i]);
}

int store_name_put(struct image_store *s, const struct image_record *r, struct lodge_err *e)
{
	char key[40];
	store_key(r->name, key);
	return record_save(r, s->names, key, e);
}

int store_each(struct image_store *s, int (*fn)(void *arg, const struct image_record *r), void *arg,
	       struct lodge_err *e)
{
	int r = 0, copy = openat(s->names, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	if (!d)
		return err_sys(e, "%s/names", s->path);
	for (struct dirent *de; r == 0 && (de = readdir(d));) {
		struct image_record rec;
		if (!chain_good(de->d_name)) /* KEYs look like those */
			continue;
		if (record_load(&rec, s->names, de->d_name, NULL) < 0)
			continue; /* damaged, or removed just now */
		r = fn(arg, &rec);
		record_fini(&rec);
	}
	closedir(d);
	return r;
}

int store_read(struct image_store *s, const struct digest *d, char **ret, size_t *ret_len,
	       struct lodge_err *e)
{
	char path[DIGEST_TEXT];
	struct digest is;
	blob_path(d, path);
	int r = file_load(s->blobs, path, DOC_BYTES, ret, ret_len, e);
	if (r < 0)
		return err_in(e, r, "the store of images");
	if (!strncmp(d->text, "sha256:", 7)) { /* without a library */
		uint8_t sum[32];
		sha256(*ret, *ret_len, sum);
		strcpy(is.text, "sha256:");
		for (size_t i = 0; i < 32; i++)
			snprintf(is.text + 7 + 2 * i, 3, "%02x", sum[i]);
	} else {
		struct digest_sum sum;
		r = digest_begin(&sum, d->text, e);
		if (r == 0) {
			digest_add(&sum, *ret, *ret_len);
			digest_end(&sum, &is);
		}
	}
	if (r == 0 && !digest_same(&is, d))
		r = err_set(e, EBADMSG, "%s/blobs/%s is damaged; remove it and pull again", s->path,
			    path);
	if (r < 0)
		free(take(*ret));
	return r;
}
