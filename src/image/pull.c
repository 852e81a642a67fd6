/* SPDX-License-Identifier: Apache-2.0 */
/* An image from its source into the store: documents first, then the layers, some at once, then
 * all of it unpacked; its name comes last. */
#include "image/source.h"
#include <stdio.h>
#include <sys/file.h>

enum { AT_ONCE = 3, INDEXES = 4, LOCK_WAIT_MS = 60000 };

struct pull {
	struct fetch f;
	struct source *source;
	struct image_store *store;
	struct image_desc manifest_at;
	struct image_manifest manifest;
	struct image_config config;
	char what[REF_TEXT + 64];
	/* the threads': */
	pthread_mutex_t lock;
	size_t next, left;  /* the next layer to get; layers that are not there yet */
	struct lodge_err e; /* of the first that failed; code 0: none */
};

/* A small blob, checked, into the store. */
static int blob_put(struct pull *p, const struct image_desc *d, const char *text, size_t len,
		    struct lodge_err *e)
{
	struct blob_in b;
	int r = blob_begin(&b, p->store, d, e);
	if (r != 0)
		return r < 0 ? r : 0;
	r = b.have ? blob_restart(&b, e) : 0;
	if (r == 0)
		r = blob_write(&b, text, len, e);
	if (r == 0)
		return blob_end(&b, e);
	blob_drop(&b);
	return r;
}

int document_check(const struct image_desc *d, const char *text, size_t len, struct lodge_err *e)
{
	struct digest is;
	struct digest_sum sum;
	if (len != d->size)
		return err_set(e, EMSGSIZE, "%s has %zu bytes, not the %llu that it should have",
			       d->digest.text, len, (unsigned long long)d->size);
	int r = digest_begin(&sum, d->digest.text, e);
	if (r < 0)
		return r;
	digest_add(&sum, text, len);
	digest_end(&sum, &is);
	return digest_same(&is, &d->digest)
		   ? 0
		   : err_set(e, EBADMSG,
			     "what came is not %s but %s: it was changed on the way, or "
			     "its source is damaged",
			     d->digest.text, is.text);
}

/* From the document by which the image is found to the manifest for the platform. */
static int pull_manifest(struct pull *p, struct lodge_err *e)
{
	char *text = NULL;
	size_t len = 0;
	int r = p->source->class->top(p->source, &text, &len, e);
	for (unsigned i = 0; r == 0 && image_document(text, len) == MEDIA_INDEX; i++) {
		struct image_index x = {0};
		const struct image_desc *d = NULL;
		struct image_desc one;
		if (i == INDEXES)
			r = err_set(e, ELOOP, "%s: indexes in indexes in indexes", p->what);
		if (r == 0)
			r = image_index_parse(&x, p->what, text, len, e);
		if (r == 0)
			r = image_index_choose(&x, p->what, &p->f.platform, &d, e);
		free(take(text));
		if (r == 0) {
			one = *d;
			r = p->source->class->document(p->source, &one, &text, &len, e);
		}
		if (r == 0)
			r = err_in(e, document_check(&one, text, len, e), "%s", p->what);
		image_index_fini(&x);
	}
	if (r == 0)
		r = image_manifest_parse(&p->manifest, p->what, text, len, e);
	if (r == 0)
		r = digest_of(&p->manifest_at.digest, text, len, e);
	if (r == 0) {
		p->manifest_at.size = len;
		r = blob_put(p, &p->manifest_at, text, len, e);
	}
	free(text);
	return r;
}

static int pull_blob(struct pull *p, const struct image_desc *d, struct lodge_err *e)
{
	struct blob_in b;
	int r = blob_begin(&b, p->store, d, e);
	if (r != 0) {
		p->f.done += r > 0 ? d->size : 0;
		return r < 0 ? r : 0;
	}
	p->f.done += b.have;
	r = p->source->class->blob(p->source, &b, e);
	if (r == 0)
		return blob_end(&b, e);
	blob_drop(&b);
	return r;
}

static int pull_config(struct pull *p, struct lodge_err *e)
{
	autofree char *text = NULL;
	size_t len = 0;
	char what[REF_TEXT + 100], has[100], want[100];
	int r = err_in(e, pull_blob(p, &p->manifest.config, e), "%s: its configuration", p->what);
	p->f.done = 0;
	if (r == 0)
		r = store_read(p->store, &p->manifest.config.digest, &text, &len, e);
	snprintf(what, sizeof what, "%s, configuration", p->what);
	if (r == 0)
		r = image_config_parse(&p->config, what, text, len, e);
	if (r < 0)
		return r;
	platform_print(&p->config.platform, has);
	platform_print(&p->f.platform, want);
	if (p->f.how->platform && !platform_match(&p->f.platform, &p->config.platform))
		return err_set(e, ENOENT, "%s is for %s only, not for %s", p->what, has, want);
	return 0;
}

/* What is larger than all that it may unpack to need not come first. */
static int layers_check(const struct pull *p, struct lodge_err *e)
{
	uint64_t most = p->f.how->max_unpacked;
	if (!most)
		most = (uint64_t)TAR_GIB << 30;
	for (size_t i = 0; i < p->manifest.nlayers; i++)
		if (p->manifest.layers[i].size > most)
			return err_set(e, EFBIG, "layer %zu of %s has %llu bytes, more than it may "
				       "unpack to (--max-unpacked)", i + 1, p->what,
				       (unsigned long long)p->manifest.layers[i].size);
	return 0;
}

/* ---- layers, several at once ---- */

static void *pull_thread(void *arg)
{
	struct pull *p = arg;
	for (;;) {
		struct lodge_err e;
		pthread_mutex_lock(&p->lock);
		size_t i = p->next++;
		bool mine = i < p->manifest.nlayers && !p->f.stop;
		pthread_mutex_unlock(&p->lock);
		if (!mine)
			return NULL;
		int r = pull_blob(p, &p->manifest.layers[i], &e);
		pthread_mutex_lock(&p->lock);
		if (r == 0) {
			p->left--;
		} else if (!p->e.code) {
			p->e = e;
			p->f.stop = true;
		}
		pthread_mutex_unlock(&p->lock);
		if (r < 0)
			return NULL;
	}
}

/* Says how far they are, until they have ended. */
static int pull_watch(struct pull *p, pthread_t *threads, size_t n)
{
	uint64_t total = 0;
	bool stopped = false;
	for (size_t i = 0; i < p->manifest.nlayers; i++)
		total += p->manifest.layers[i].size;
	for (size_t i = 0; i < n;) {
		struct timespec at;
		char text[64];
		clock_gettime(CLOCK_REALTIME, &at);
		at.tv_nsec += 50000000;
		at.tv_sec += at.tv_nsec / 1000000000;
		at.tv_nsec %= 1000000000;
		if (pthread_timedjoin_np(threads[i], NULL, &at) == 0)
			i++;
		snprintf(text, sizeof text, "getting %zu layers", p->manifest.nlayers);
		if (!stopped && p->f.how->progress &&
		    p->f.how->progress(p->f.how->user, text, p->f.done, total))
			p->f.stop = stopped = true;
	}
	return stopped ? -ECANCELED : 0;
}

static int pull_layers(struct pull *p, struct lodge_err *e)
{
	pthread_t threads[AT_ONCE];
	size_t n = 0;
	p->left = p->manifest.nlayers;
	while (n < AT_ONCE && n < p->manifest.nlayers &&
	       pthread_create(&threads[n], NULL, pull_thread, p) == 0)
		n++;
	if (p->left && !n)
		return err_set(e, EAGAIN, "no thread can be made");
	if (pull_watch(p, threads, n) < 0)
		return err_set(e, ECANCELED,
			       "getting %s was stopped; what came stays for the next "
			       "time",
			       p->what);
	if (p->e.code)
		return err_set(e, p->e.code, "%s", p->e.msg);
	return 0;
}

/* ---- all of it ---- */

static void pull_warn(const struct pull *p, const struct unpack *u, char ret[256])
{
	char has[100];
	int n = 0;
	ret[0] = 0;
	platform_print(&p->config.platform, has);
	if (!platform_match(&p->f.platform, &p->config.platform))
		n += snprintf(ret + n, 256 - (size_t)n, "it is for %s", has);
	if (u->devices)
		n += snprintf(ret + n, 256 - (size_t)n,
			      "%s%llu device nodes were left out: only "
			      "root may make them",
			      n ? "; " : "", (unsigned long long)u->devices);
	if (u->owners)
		snprintf(ret + n, 256 - (size_t)n, "%s%llu files of other owners belong to you",
			 n ? "; " : "", (unsigned long long)u->owners);
}

static int pull_name(struct pull *p, struct unpack *u, char ret_name[REF_TEXT], struct lodge_err *e)
{
	struct image_record rec = {.manifest = p->manifest_at.digest,
				   .config = p->manifest.config.digest,
				   .platform = p->config.platform,
				   .created_ns = host_realtime_ns(),
				   .chains = u->chains};
	struct image_ref r;
	const char *name = p->f.how->name ? p->f.how->name : p->source->name;
	int ret = ref_parse(&r, name, e);
	if (ret < 0)
		return ret;
	ref_print(&r, rec.name);
	for (size_t i = 0; i < u->chains.n; i++)
		rec.size += layer_bytes(p->store, u->chains.at[i]);
	ret = store_name_put(p->store, &rec, e);
	if (ret == 0)
		strcpy(ret_name, rec.name);
	return ret;
}

static int pull_all(struct pull *p, const char *where, char ret_name[REF_TEXT], char warning[256],
		    struct lodge_err *e)
{
	int r = source_open(&p->source, &p->f, where, e);
	if (r < 0)
		return r;
	snprintf(p->what, sizeof p->what, "%s", p->source->what);
	r = pull_manifest(p, e);
	if (r == 0)
		r = pull_config(p, e);
	if (r == 0)
		r = layers_check(p, e);
	if (r == 0)
		r = err_in(e, pull_layers(p, e), "%s", p->what);
	struct unpack u = {.store = p->store,
			   .manifest = &p->manifest,
			   .config = &p->config,
			   .limits = {.bytes = p->f.how->max_unpacked},
			   .progress = p->f.how->progress,
			   .user = p->f.how->user};
	if (r == 0)
		r = err_in(e, unpack_run(&u, e), "%s", p->what);
	if (r == 0)
		r = pull_name(p, &u, ret_name, e);
	if (r == 0)
		pull_warn(p, &u, warning);
	unpack_fini(&u);
	return r;
}

int image_pull(struct image_store *s, const char *where, const struct image_pull *how,
	       char ret_name[REF_TEXT], char warning[256], struct lodge_err *e)
{
	struct pull p = {.f = {.how = how, .store = s}, .store = s};
	int r = platform_parse(&p.f.platform, how->platform, e);
	if (r == 0)
		r = store_lock(s, LOCK_SH, LOCK_WAIT_MS, e);
	if (r < 0)
		return r;
	pthread_mutex_init(&p.lock, NULL);
	r = pull_all(&p, where, ret_name, warning, e);
	source_close(p.source);
	store_unlock(s);
	image_manifest_fini(&p.manifest);
	image_config_fini(&p.config);
	pthread_mutex_destroy(&p.lock);
	return r;
}
