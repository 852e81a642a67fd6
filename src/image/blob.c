/* SPDX-License-Identifier: Apache-2.0 */
/* Blobs on their way into the store: size and sum are checked while they come, and what is left of
 * a broken transfer is the beginning of the next. */
#include "image/store.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

enum { CHUNK = 1 << 18 };

/* @sep between algorithm and digits. */
static void blob_name(const struct digest *d, char sep, char ret[DIGEST_TEXT])
{
	strcpy(ret, d->text);
	char *colon = strchr(ret, ':');
	if (colon)
		*colon = sep;
}

void blob_path(const struct digest *d, char ret[DIGEST_TEXT]) { blob_name(d, '/', ret); }

bool blob_there(struct image_store *s, const struct digest *d)
{
	char path[DIGEST_TEXT];
	blob_path(d, path);
	return faccessat(s->blobs, path, R_OK, 0) == 0;
}

int blob_open(struct image_store *s, const struct digest *d, struct lodge_err *e)
{
	char path[DIGEST_TEXT];
	blob_path(d, path);
	int fd = openat(s->blobs, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? err_sys(e, "%s in the store of images", d->text) : fd;
}

/* The partial file, locked, and still the one of that name. */
static int partial_open(struct image_store *s, const char *name, struct lodge_err *e)
{
	for (;;) {
		struct stat mine, there;
		int fd = openat(s->partial, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0)
			return err_sys(e, "making %s/partial/%s", s->path, name);
		while (flock(fd, LOCK_EX) < 0 && errno == EINTR)
			continue;
		if (fstat(fd, &mine) == 0 && fstatat(s->partial, name, &there, 0) == 0 &&
		    mine.st_ino == there.st_ino)
			return fd;
		close(fd); /* whoever had it has ended it */
	}
}

/* Add to the sum what is there. */
static int blob_resum(struct blob_in *b, struct lodge_err *e)
{
	autofree uint8_t *buf = malloc(CHUNK);
	struct stat st;
	if (!buf)
		return err_set(e, ENOMEM, "out of memory");
	if (fstat(b->fd, &st) < 0)
		return err_sys(e, "%s", b->digest.text);
	if ((uint64_t)st.st_size > b->size)
		return blob_restart(b, e);
	for (b->have = 0; b->have < (uint64_t)st.st_size;) {
		ssize_t n = pread(b->fd, buf, CHUNK, (off_t)b->have);
		if (n <= 0)
			return blob_restart(b, e);
		digest_add(&b->sum, buf, (size_t)n);
		b->have += (uint64_t)n;
	}
	return 0;
}

int blob_begin(struct blob_in *b, struct image_store *s, const struct image_desc *d,
	       struct lodge_err *e)
{
	char name[DIGEST_TEXT];
	*b = (struct blob_in){.store = s, .digest = d->digest, .size = d->size, .fd = -1};
	if (blob_there(s, &d->digest))
		return 1;
	blob_name(&d->digest, '-', name);
	int fd = partial_open(s, name, e);
	if (fd < 0)
		return fd;
	if (blob_there(s, &d->digest)) { /* by now */
		unlinkat(s->partial, name, 0);
		close(fd);
		return 1;
	}
	b->fd = fd;
	int r = digest_begin(&b->sum, d->digest.text, e);
	if (r == 0)
		r = blob_resum(b, e);
	if (r < 0)
		blob_drop(b);
	return r;
}

int blob_write(struct blob_in *b, const void *data, size_t len, struct lodge_err *e)
{
	if (len > b->size - b->have)
		return err_set(e, EMSGSIZE, "%s: more comes than the %llu bytes that it should be",
			       b->digest.text, (unsigned long long)b->size);
	if (!host_pwrite(b->fd, data, len, b->have))
		return err_sys(e, "writing to %s/partial", b->store->path);
	digest_add(&b->sum, data, len);
	b->have += len;
	return 0;
}

int blob_restart(struct blob_in *b, struct lodge_err *e)
{
	digest_drop(&b->sum);
	b->have = 0;
	if (ftruncate(b->fd, 0) < 0)
		return err_sys(e, "emptying a file of %s/partial", b->store->path);
	return digest_begin(&b->sum, b->digest.text, e);
}

/* All of it is there, and right. */
static int blob_publish(struct blob_in *b, const char *partial, struct lodge_err *e)
{
	char path[DIGEST_TEXT], folder[DIGEST_TEXT];
	blob_path(&b->digest, path);
	snprintf(folder, sizeof folder, "%.*s", (int)strcspn(path, "/"), path);
	if (mkdirat(b->store->blobs, folder, 0700) < 0 && errno != EEXIST)
		return err_sys(e, "making %s/blobs/%s", b->store->path, folder);
	autoclose int dir = openat(b->store->blobs, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || fchmod(b->fd, 0400) < 0 || fsync(b->fd) < 0 ||
	    renameat(b->store->partial, partial, b->store->blobs, path) < 0 || fsync(dir) < 0)
		return err_sys(e, "storing %s", b->digest.text);
	return 0;
}

int blob_end(struct blob_in *b, struct lodge_err *e)
{
	struct digest is;
	char partial[DIGEST_TEXT];
	int r = 0;
	blob_name(&b->digest, '-', partial);
	if (b->have != b->size) { /* stays, for the rest may come */
		r = err_set(e, EMSGSIZE, "%s: %llu bytes came, not the %llu that it should be",
			    b->digest.text, (unsigned long long)b->have,
			    (unsigned long long)b->size);
		blob_drop(b);
		return r;
	}
	digest_end(&b->sum, &is);
	if (digest_same(&is, &b->digest)) {
		r = blob_publish(b, partial, e);
	} else {
		r = err_set(e, EBADMSG,
			    "what came is not %s but %s: it was changed on the way, or "
			    "its source is damaged",
			    b->digest.text, is.text);
		unlinkat(b->store->partial, partial, 0);
	}
	blob_drop(b);
	return r;
}

void blob_drop(struct blob_in *b)
{
	digest_drop(&b->sum);
	auto_close(&b->fd);
	b->fd = -1;
}
