/* SPDX-License-Identifier: Apache-2.0 */
/* Images in folders. OCI-Image 1.1 §image-layout */
#include "image/source.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

enum { CHUNK = 1 << 18 };

struct layout {
	struct source s;
	char *path, *tag; /* owned */
	int dir;
};

int file_feed(struct fetch *f, int fd, struct blob_in *b, struct lodge_err *e)
{
	autofree uint8_t *buf = malloc(CHUNK);
	if (!buf)
		return err_set(e, ENOMEM, "out of memory");
	for (;;) {
		ssize_t n = pread(fd, buf, CHUNK, (off_t)b->have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "reading %s", b->digest.text);
		if (n == 0)
			return 0;
		if (f->stop)
			return err_set(e, ECANCELED, "it was stopped");
		int r = blob_write(b, buf, (size_t)n, e);
		if (r < 0)
			return r;
		f->done += (uint64_t)n;
	}
}

int file_where(const char *where, const char *prefix, char **ret_path, char **ret_tag,
	       struct lodge_err *e)
{
	size_t n = strlen(prefix);
	char *path = strdup(where + (strncmp(where, prefix, n) ? 0 : n));
	char *colon = path ? strrchr(path, ':') : NULL, *tag = NULL;
	/* A file may have a colon in its name. */
	if (colon && !strchr(colon, '/') && access(path, F_OK) < 0) {
		tag = strdup(colon + 1);
		*colon = 0;
	} else {
		tag = strdup("");
	}
	if (!path || !tag) {
		free(path);
		free(tag);
		return err_set(e, ENOMEM, "out of memory");
	}
	*ret_path = path;
	*ret_tag = tag;
	return 0;
}

void file_name(const char *path, const char *tag, char ret[REF_TEXT])
{
	struct image_ref r;
	char name[REF_TEXT];
	autofree char *full = realpath(path, NULL);
	const char *base = full ? strrchr(full, '/') + 1 : "image";
	size_t n = 0;
	/* What a tag says in full is a name already. */
	if (strpbrk(tag, "/:") && ref_parse(&r, tag, NULL) == 0) {
		ref_print(&r, ret);
		return;
	}
	char text[REF_TEXT];
	for (; *base && n < 100; base++) {
		char c = *base | (*base >= 'A' && *base <= 'Z' ? 32 : 0);
		bool good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
		if (good || (n && text[n - 1] != '-'))
			text[n++] = good ? c : '-';
	}
	text[n] = 0;
	/* without what its file name ends with */
	static const char *const ends[] = {"-tar-gz", "-tar-zst", "-tar-xz", "-tar", "-tgz", "-"};
	for (size_t i = 0; i < countof(ends); i++) {
		size_t len = strlen(ends[i]);
		if (n > len && !strcmp(text + n - len, ends[i]))
			text[n -= len] = 0;
	}
	snprintf(name, sizeof name, "localhost/%.120s:%.128s", n ? text : "image",
		 *tag ? tag : "latest");
	if (ref_parse(&r, name, NULL) == 0)
		ref_print(&r, ret);
	else
		snprintf(ret, REF_TEXT, "localhost/%.120s:latest", n ? text : "image");
}

static int layout_claims(const char *where)
{
	char path[PLACE_PATH];
	autofree char *at = NULL, *tag = NULL;
	if (!strncmp(where, "oci:", 4))
		return 100;
	if (!strchr(where, '/') || file_where(where, "oci:", &at, &tag, NULL) < 0)
		return 0;
	return snprintf(path, sizeof path, "%s/oci-layout", at) < (int)sizeof path &&
		       access(path, R_OK) == 0
		   ? 50
		   : 0;
}

static void layout_close(struct source *s)
{
	struct layout *l = container_of(s, struct layout, s);
	auto_close(&l->dir);
	free(l->path);
	free(l->tag);
	free(l);
}

static int layout_version(struct layout *l, struct lodge_err *e)
{
	autofree char *text = NULL;
	size_t len;
	struct doc d;
	const char *version = NULL;
	char what[PLACE_PATH];
	snprintf(what, sizeof what, "%.4000s/oci-layout", l->path);
	int r = file_load(l->dir, "oci-layout", 4096, &text, &len, e);
	if (r < 0)
		return err_in(e, r, "%s is no OCI image layout", l->path);
	r = doc_open(&d, what, text, len, e);
	if (r == 0)
		r = doc_text(&d, d.root, "imageLayoutVersion", true, &version);
	if (r > 0 && strncmp(version, "1.", 2))
		r = doc_fail(&d, "imageLayoutVersion", ENOTSUP, "%.40s is not 1.0.0", version);
	doc_close(&d);
	return r < 0 ? r : 0;
}

/* What each is called, for a message. */
static void names_list(const struct image_index *x, char *ret, size_t cap)
{
	ret[0] = 0;
	for (size_t i = 0; i < x->n; i++) {
		size_t n = strlen(ret);
		snprintf(ret + n, cap - n, "%s%.60s", n ? ", " : "",
			 x->at[i].name[0] ? x->at[i].name : "(one without a name)");
	}
	if (!*ret)
		snprintf(ret, cap, "nothing");
}

static bool name_is(const char *name, const char *tag)
{
	const char *colon = strrchr(name, ':');
	return !strcmp(name, tag) || (colon && !strcmp(colon + 1, tag));
}

int layout_choose(struct source *s, const char *path, const char *tag, const char *text, size_t len,
		  char **ret, size_t *ret_len, struct lodge_err *e)
{
	struct image_index x = {0};
	const struct image_desc *one = NULL;
	char what[REF_TEXT + 80], there[200];
	snprintf(what, sizeof what, "%s/index.json", s->what);
	int r = image_index_parse(&x, what, text, len, e);
	bool same = true; /* all of one name, for several platforms */
	for (size_t i = 0; r == 0 && i < x.n; i++) {
		same &= !strcmp(x.at[i].name, x.at[0].name);
		if (*tag && name_is(x.at[i].name, tag))
			one = &x.at[i];
	}
	names_list(&x, there, sizeof there);
	if (r == 0 && *tag && !one)
		r = err_set(e, ENOENT, "%s has no '%.60s'; it has %s", s->what, tag, there);
	else if (r == 0 && !*tag && x.n > 1 && !same)
		r = err_set(e, EINVAL, "%s has several images: %s; say which, as %s:NAME", s->what,
			    there, s->what);
	else if (r == 0 && !*tag && (x.n == 1 || !same))
		one = &x.at[0];
	if (r == 0)
		file_name(path,
			  one && one->name[0]      ? one->name
			  : *tag                   ? tag
			  : x.n && x.at[0].name[0] ? x.at[0].name
						   : "",
			  s->name);
	if (r == 0 && one) {
		r = s->class->document(s, one, ret, ret_len, e);
		if (r == 0)
			r = err_in(e, document_check(one, *ret, *ret_len, e), "%s", s->what);
		if (r < 0)
			free(take(*ret));
	} else if (r == 0) {
		*ret = strndup(text, len);
		*ret_len = len;
		r = *ret ? 0 : err_set(e, ENOMEM, "out of memory");
	}
	image_index_fini(&x);
	return r;
}

static int layout_top(struct source *s, char **ret, size_t *ret_len, struct lodge_err *e)
{
	struct layout *l = container_of(s, struct layout, s);
	autofree char *text = NULL;
	size_t len;
	int r = file_load(l->dir, "index.json", DOC_BYTES, &text, &len, e);
	if (r < 0)
		return err_in(e, r, "%s", l->path);
	return layout_choose(s, l->path, l->tag, text, len, ret, ret_len, e);
}

static int layout_document(struct source *s, const struct image_desc *d, char **ret,
			   size_t *ret_len, struct lodge_err *e)
{
	struct layout *l = container_of(s, struct layout, s);
	char path[DIGEST_TEXT + 8] = "blobs/";
	blob_path(&d->digest, path + 6);
	return err_in(e, file_load(l->dir, path, DOC_BYTES, ret, ret_len, e), "%s", s->what);
}

static int layout_blob(struct source *s, struct blob_in *b, struct lodge_err *e)
{
	struct layout *l = container_of(s, struct layout, s);
	char path[DIGEST_TEXT + 8] = "blobs/";
	struct stat st;
	blob_path(&b->digest, path + 6);
	autoclose int fd = openat(l->dir, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, "%s/%s", s->what, path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "%s/%s is no plain file", s->what, path);
	return file_feed(s->f, fd, b, e);
}

extern const struct source_class source_layout;

static int layout_open(struct source **ret, struct fetch *f, const char *where, struct lodge_err *e)
{
	struct layout *l = calloc(1, sizeof *l);
	if (!l)
		return err_set(e, ENOMEM, "out of memory");
	l->s = (struct source){.class = &source_layout, .f = f};
	l->dir = -1;
	int r = file_where(where, "oci:", &l->path, &l->tag, e);
	if (r == 0) {
		snprintf(l->s.what, sizeof l->s.what, "%.800s", l->path);
		l->dir = open(l->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		r = l->dir < 0 ? err_sys(e, "%s", l->path) : layout_version(l, e);
	}
	if (r < 0) {
		layout_close(&l->s);
		return r;
	}
	*ret = &l->s;
	return 0;
}

const struct source_class source_layout = {
    .name = "oci",
    .summary = "a folder with an OCI image layout: oci:PATH[:TAG], or its path",
    .claims = layout_claims,
    .open = layout_open,
    .close = layout_close,
    .top = layout_top,
    .document = layout_document,
    .blob = layout_blob,
};
