/* SPDX-License-Identifier: Apache-2.0 */
/* Images in a registry. OCI-Dist 1.1 §3 */
#include "image/http.h"
#include <ctype.h>
#include <curl/curl.h>
#include <stdio.h>

enum { TRIES = 5, WAIT_MS = 200, WAIT_MOST_S = 10, HANDLES = 8 };

struct registry {
	struct source s;
	struct image_ref ref;
	char base[HTTP_URL]; /* SCHEME://HOST/v2/NAME */
	bool plain;
	pthread_mutex_t lock;   /* of what follows */
	char *login;            /* owned: USER:PASSWORD; NULL: none */
	char *authorization;    /* owned: header that is sent; NULL: none yet */
	void *handles[HANDLES]; /* owned; idle */
};

static const char accepted[] =
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.docker.distribution.manifest.v2+json";

static int registry_claims(const char *where)
{
	struct image_ref r;
	if (!strncmp(where, "docker://", 9))
		return 100;
	return ref_parse(&r, where, NULL) == 0 ? 10 : 1; /* 1: to say what is wrong with it */
}

/* Registries of this host speak http. */
static bool host_is_local(const char *host)
{
	static const char *const local[] = {"localhost", "127.0.0.1", "[::1]"};
	for (size_t i = 0; i < countof(local); i++) {
		size_t n = strlen(local[i]);
		if (!strncmp(host, local[i], n) && (!host[n] || host[n] == ':' || host[n] == '/'))
			return true;
	}
	return false;
}

static void registry_close(struct source *s)
{
	struct registry *g = container_of(s, struct registry, s);
	for (size_t i = 0; i < HANDLES; i++)
		http_handle_free(g->handles[i]);
	free(g->login);
	free(g->authorization);
	pthread_mutex_destroy(&g->lock);
	free(g);
}

/* Connections are kept for the next request. */
static int handle_take(struct registry *g, void **ret, struct lodge_err *e)
{
	void *h = NULL;
	pthread_mutex_lock(&g->lock);
	for (size_t i = 0; i < HANDLES && !h; i++)
		h = take(g->handles[i]);
	pthread_mutex_unlock(&g->lock);
	*ret = h;
	return h ? 0 : http_handle_new(ret, e);
}

static void handle_give(struct registry *g, void *h)
{
	pthread_mutex_lock(&g->lock);
	for (size_t i = 0; i < HANDLES && h; i++)
		if (!g->handles[i])
			g->handles[i] = take(h);
	pthread_mutex_unlock(&g->lock);
	http_handle_free(h);
}

/* ---- tokens ---- */

static int token_read(struct registry *g, const char *url, const struct http_request *q, char **ret,
		      struct lodge_err *e)
{
	struct doc d;
	const char *token = NULL;
	int r = doc_open(&d, url, q->body ? q->body : "", q->len, e);
	if (r == 0)
		r = doc_text(&d, d.root, "token", false, &token);
	if (r == 0)
		r = doc_text(&d, d.root, "access_token", true, &token);
	(void)g;
	/* it becomes a part of a header */
	if (r > 0 && strpbrk(token, "\r\n"))
		r = doc_fail(&d, "token", EINVAL, "is no token");
	if (r > 0 && asprintf(ret, "Bearer %s", token) < 0)
		r = err_set(e, ENOMEM, "out of memory");
	doc_close(&d);
	return r < 0 ? r : 0;
}

static int token_url(void *h, const char *header, const char *scope_default, char ret[HTTP_URL],
		     struct lodge_err *e)
{
	char realm[1024], service[256] = "", scope[REF_TEXT];
	if (!auth_param(header, "realm", realm, sizeof realm))
		return err_set(e, EACCES,
			       "the registry wants a token, but does not say where from");
	auth_param(header, "service", service, sizeof service);
	if (!auth_param(header, "scope", scope, sizeof scope))
		snprintf(scope, sizeof scope, "%s", scope_default);
	char *a = curl_easy_escape(h, service, 0), *b = curl_easy_escape(h, scope, 0);
	int n = snprintf(ret, HTTP_URL, "%s%cservice=%s&scope=%s", realm,
			 strchr(realm, '?') ? '&' : '?', a ? a : "", b ? b : "");
	curl_free(a);
	curl_free(b);
	return n < HTTP_URL ? 0
			    : err_set(e, EINVAL,
				      "the registry's token service has too long a "
				      "name");
}

static int basic_make(const char *login, char **ret, struct lodge_err *e)
{
	autofree char *coded = auth_base64(login);
	if (!coded || asprintf(ret, "Basic %s", coded) < 0)
		return err_set(e, ENOMEM, "out of memory");
	return 0;
}

static int token_get(struct registry *g, void *h, const char *header, char **ret,
		     struct lodge_err *e)
{
	char url[HTTP_URL], scope[REF_TEXT];
	autofree char *basic = NULL;
	snprintf(scope, sizeof scope, "repository:%s:pull", g->ref.name);
	int r = token_url(h, header, scope, url, e);
	if (r == 0 && g->login)
		r = basic_make(g->login, &basic, e);
	if (r < 0)
		return r;
	const char *host = strstr(url, "://");
	bool plain = g->s.f->how->no_tls || (host && host_is_local(host + 3));
	struct http_request q = {.url = url,
				 .authorization = basic,
				 .plain = plain,
				 .unchecked = g->s.f->how->no_tls,
				 .f = g->s.f};
	r = http_do(h, &q, e);
	if (r == 0 && q.status != 200)
		r = err_set(e, EACCES, "%.300s: no token (status %ld)", url, q.status);
	if (r == 0)
		r = token_read(g, url, &q, ret, e);
	http_request_fini(&q);
	return r;
}

/* The registry wants to know who we are. @sent: what it has got; when another thread has something
 * newer, that is it. */
static int registry_login(struct registry *g, void *h, const char *header, const char *sent,
			  struct lodge_err *e)
{
	int r = 0;
	char *made = NULL;
	pthread_mutex_lock(&g->lock);
	bool newer = g->authorization && (!sent || strcmp(g->authorization, sent));
	if (newer) {
	} else if (!strncasecmp(header, "Bearer ", 7)) {
		r = token_get(g, h, header, &made, e);
	} else if (!strncasecmp(header, "Basic ", 6)) {
		if (!g->login || (sent && !strncmp(sent, "Basic ", 6)))
			r = err_set(e, EACCES, "%s %s; log in with podman login or docker login",
				    g->ref.host,
				    g->login ? "does not take the password it was given"
					     : "wants a password");
		else
			r = basic_make(g->login, &made, e);
	} else {
		r = err_set(e, EACCES, "%s wants a login of a kind that Lodge does not know: %.60s",
			    g->ref.host, header);
	}
	if (r == 0 && made) {
		free(g->authorization);
		g->authorization = made;
	}
	pthread_mutex_unlock(&g->lock);
	return r;
}

/* ---- requests ---- */

/* What the registry says to a failure: {"errors":[{"code":...,"message":...}]}. */
static int registry_refused(const struct registry *g, const struct http_request *q,
			    struct lodge_err *e)
{
	struct doc d;
	struct json_object *list = NULL;
	char name[REF_TEXT];
	const char *text = "";
	ref_print(&g->ref, name);
	if (doc_open(&d, "", q->body ? q->body : "", q->len, NULL) == 0 &&
	    doc_get(&d, d.root, "errors", json_type_array, false, &list) > 0 &&
	    json_object_array_length(list) > 0)
		(void)!doc_text(&d, json_object_array_get_idx(list, 0), "message", false, &text);
	/* it goes to a terminal */
	char said[120];
	size_t n = 0;
	for (; text[n] && n < sizeof said - 1; n++)
		said[n] = (char)(isprint((unsigned char)text[n]) ? text[n] : '?');
	said[n] = 0;
	doc_close(&d);
	const char *sep = *said ? ": " : "";
	if (q->status == 404)
		return err_set(e, ENOENT, "%s is not there%s%s", name, sep, said);
	if (q->status == 401 || q->status == 403)
		return err_set(e, EACCES,
			       "%s: the registry does not allow it%s%s; log in with podman "
			       "login or docker login",
			       name, sep, said);
	return err_set(e, EIO, "%.300s: status %ld%s%s", q->url, q->status, sep, said);
}

static void wait_before(unsigned try, unsigned asked_s, const struct fetch *f)
{
	uint64_t ms = (uint64_t)WAIT_MS << try;
	if (asked_s)
		ms = 1000 * min_u64(asked_s, WAIT_MOST_S);
	for (; ms && !f->stop; ms -= min_u64(ms, 50))
		usleep(50000);
}

/* Until it is there, refused, or has failed too often without getting on. */
static int registry_do(struct registry *g, struct http_request *q, struct lodge_err *e)
{
	void *h = NULL;
	bool asked = false;
	int r = handle_take(g, &h, e);
	if (r < 0)
		return r;
	for (unsigned try = 0;;) {
		uint64_t had = q->blob ? q->blob->have : 0;
		pthread_mutex_lock(&g->lock);
		autofree char *auth = g->authorization ? strdup(g->authorization) : NULL;
		pthread_mutex_unlock(&g->lock);
		q->authorization = auth;
		r = http_do(h, q, e);
		q->authorization = NULL;
		if (r == 0 && q->status >= 200 && q->status < 300)
			break;
		if (r == 0 && q->status == 401 && q->auth[0] && !asked) {
			asked = true;
			r = registry_login(g, h, q->auth, auth, e);
			if (r < 0)
				break;
			continue;
		}
		/* more was asked for than there is: what we have is wrong */
		bool beyond = r == 0 && q->status == 416 && q->blob && had;
		if (beyond && (r = blob_restart(q->blob, e)) < 0)
			break;
		bool again = r < 0 ? !q->final : beyond || q->status >= 500 || q->status == 429;
		if (q->blob && q->blob->have > had) {
			try = 0;
			asked = false;
		}
		if (again && ++try < TRIES) {
			wait_before(try - 1, q->retry_s, g->s.f);
			continue;
		}
		if (r == 0)
			r = registry_refused(g, q, e);
		break;
	}
	handle_give(g, h);
	return r;
}

static int manifest_get(struct registry *g, const char *which, char **ret, size_t *ret_len,
			struct lodge_err *e)
{
	char url[HTTP_URL];
	snprintf(url, sizeof url, "%.3000s/manifests/%s", g->base, which);
	struct http_request q = {.url = url,
				 .accept = accepted,
				 .plain = g->plain,
				 .unchecked = g->s.f->how->no_tls,
				 .f = g->s.f};
	int r = registry_do(g, &q, e);
	if (r == 0 && !q.body)
		r = err_set(e, EIO, "%s: an empty answer", url);
	if (r == 0) {
		*ret = take(q.body);
		*ret_len = q.len;
	}
	http_request_fini(&q);
	return r;
}

static void registry_base(struct registry *g, bool plain)
{
	snprintf(g->base, sizeof g->base, "%s://%s/v2/%s", plain ? "http" : "https",
		 g->ref.host, g->ref.name);
}

static int registry_top(struct source *s, char **ret, size_t *ret_len, struct lodge_err *e)
{
	struct registry *g = container_of(s, struct registry, s);
	const struct digest *d = &g->ref.digest;
	struct digest is;
	struct digest_sum sum;
	const char *which = d->text[0] ? d->text : g->ref.tag;
	int r = manifest_get(g, which, ret, ret_len, e);
	if (r == -EIO && s->f->how->no_tls && !strncmp(g->base, "https:", 6)) {
		registry_base(g, true);
		r = manifest_get(g, which, ret, ret_len, e);
	}
	if (r < 0 || !d->text[0])
		return r;
	r = digest_begin(&sum, d->text, e);
	if (r == 0) {
		digest_add(&sum, *ret, *ret_len);
		digest_end(&sum, &is);
		if (!digest_same(&is, d))
			r = err_set(e, EBADMSG, "%s: what came is %s", s->what, is.text);
	}
	if (r < 0)
		free(take(*ret));
	return r;
}

static int registry_document(struct source *s, const struct image_desc *d, char **ret,
			     size_t *ret_len, struct lodge_err *e)
{
	return manifest_get(container_of(s, struct registry, s), d->digest.text, ret, ret_len, e);
}

static int registry_blob(struct source *s, struct blob_in *b, struct lodge_err *e)
{
	struct registry *g = container_of(s, struct registry, s);
	char url[HTTP_URL];
	if (b->have == b->size)
		return 0; /* all of it came before; only its sum was not looked at */
	snprintf(url, sizeof url, "%.3000s/blobs/%s", g->base, b->digest.text);
	struct http_request q = {
	    .url = url, .plain = g->plain, .unchecked = s->f->how->no_tls, .f = s->f, .blob = b};
	int r = registry_do(g, &q, e);
	http_request_fini(&q);
	return r;
}

extern const struct source_class source_registry;

/* @name, or what it means where names without a host have a registry. */
static int registry_name(struct image_ref *ret, const char *name, const char *registry,
			 struct lodge_err *e)
{
	char full[REF_TEXT];
	struct image_ref r;
	int bad = ref_parse(&r, name, e);
	if (bad < 0)
		return bad;
	if (ref_has_host(name)) {
		*ret = r;
		return 0;
	}
	if (!registry || !*registry)
		return err_set(e, ENOENT,
			       "there is no image '%.200s' here, and no registry in its name: "
			       "write HOST/%.200s, or set registry=HOST in the configuration",
			       name, name);
	if (snprintf(full, sizeof full, "%s/%s", registry, name) >= (int)sizeof full)
		return err_set(e, ENAMETOOLONG, "the setting registry is too long");
	return err_in(e, ref_parse(ret, full, e), "the setting registry=%.200s", registry);
}

static int registry_open(struct source **ret, struct fetch *f, const char *where,
			 struct lodge_err *e)
{
	struct registry *g = calloc(1, sizeof *g);
	if (!g)
		return err_set(e, ENOMEM, "out of memory");
	g->s = (struct source){.class = &source_registry, .f = f};
	pthread_mutex_init(&g->lock, NULL);
	int r = registry_name(&g->ref, where + (strncmp(where, "docker://", 9) ? 0 : 9),
			      f->how->registry, e);
	if (r == 0)
		r = host_library_load(&image_curl, e);
	if (r < 0) {
		registry_close(&g->s);
		return r;
	}
	bool local = host_is_local(g->ref.host);
	g->plain = local || f->how->no_tls;
	registry_base(g, local);
	g->login = auth_find(g->ref.host, g->ref.name);
	ref_print(&g->ref, g->s.name);
	snprintf(g->s.what, sizeof g->s.what, "%s", g->s.name);
	*ret = &g->s;
	return 0;
}

const struct source_class source_registry = {
    .name = "docker",
    .summary = "a registry: [docker://][HOST[:PORT]/]NAME[:TAG][@DIGEST]",
    .claims = registry_claims,
    .open = registry_open,
    .close = registry_close,
    .top = registry_top,
    .document = registry_document,
    .blob = registry_blob,
};
