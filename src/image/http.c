/* SPDX-License-Identifier: Apache-2.0 */
/* Requests by libcurl: whole documents into memory, blobs right into the store. */
#include "image/http.h"
#include <curl/curl.h>
#include <stdio.h>

enum { REDIRECTS = 5, CONNECT_S = 30, STALL_S = 60 };

struct transfer {
	struct http_request *q;
	CURL *h;
	bool begun;           /* the body of an answer that goes into the blob */
	uint64_t from;        /* what was there before */
	struct lodge_err why; /* code 0: nothing */
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static void http_begin(void) { curl_global_init(CURL_GLOBAL_DEFAULT); }

int http_handle_new(void **ret, struct lodge_err *e)
{
	int r = host_library_load(&image_curl, e);
	if (r < 0)
		return r;
	pthread_once(&once, http_begin);
	*ret = curl_easy_init();
	return *ret ? 0 : err_set(e, ENOMEM, "libcurl gives no handle");
}

void http_handle_free(void *h)
{
	if (h)
		curl_easy_cleanup(h);
}

void http_request_fini(struct http_request *q)
{
	free(q->body);
	q->body = NULL;
	q->len = 0;
}

/* "Name: value" of a header line, which has no end. */
static bool header_is(const char *line, size_t len, const char *name, char *ret, size_t cap)
{
	size_t n = strlen(name);
	if (len <= n || strncasecmp(line, name, n) || line[n] != ':')
		return false;
	for (line += n + 1, len -= n + 1; len && (*line == ' ' || *line == '\t'); len--)
		line++;
	while (len && (line[len - 1] == '\r' || line[len - 1] == '\n'))
		len--;
	snprintf(ret, cap, "%.*s", (int)len, line);
	return true;
}

static size_t http_header(char *line, size_t one, size_t len, void *arg)
{
	struct transfer *t = arg;
	struct http_request *q = t->q;
	char v[HTTP_AUTH];
	(void)one;
	if (len > 5 && !strncmp(line, "HTTP/", 5)) { /* of the next answer */
		q->auth[0] = 0;
		q->retry_s = 0;
	}
	if (header_is(line, len, "WWW-Authenticate", v, sizeof v) &&
	    (!q->auth[0] || !strncasecmp(v, "Bearer ", 7)))
		strcpy(q->auth, v);
	if (header_is(line, len, "Retry-After", v, sizeof v))
		q->retry_s = (unsigned)strtoul(v, NULL, 10);
	return len;
}

/* The answer begins with what we have not; else from the beginning. */
static int body_begin(struct transfer *t, long status)
{
	struct blob_in *b = t->q->blob;
	t->begun = true;
	if (status == 206 || t->from == 0)
		return 0;
	t->q->f->done -= b->have;
	return blob_restart(b, &t->why);
}

static size_t http_body(char *data, size_t one, size_t len, void *arg)
{
	struct transfer *t = arg;
	struct http_request *q = t->q;
	long status = 0;
	(void)one;
	curl_easy_getinfo(t->h, CURLINFO_RESPONSE_CODE, &status);
	if (q->blob && status >= 200 && status < 300) {
		if ((!t->begun && body_begin(t, status) < 0) ||
		    blob_write(q->blob, data, len, &t->why) < 0)
			return 0;
		q->f->done += len;
		return len;
	}
	if (len > HTTP_BODY - q->len) {
		(void)!err_set(&t->why, EFBIG, "the answer is longer than %u bytes", HTTP_BODY);
		return 0;
	}
	char *more = realloc(q->body, q->len + len + 1);
	if (!more) {
		(void)!err_set(&t->why, ENOMEM, "out of memory");
		return 0;
	}
	q->body = more;
	memcpy(more + q->len, data, len);
	q->len += len;
	more[q->len] = 0;
	return len;
}

static int http_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	struct transfer *t = arg;
	(void)a, (void)b, (void)c, (void)d;
	return t->q->f->stop;
}

static struct curl_slist *header_add(struct curl_slist *list, const char *name, const char *value)
{
	char *text = NULL;
	if (asprintf(&text, "%s: %s", name, value) < 0)
		return list;
	struct curl_slist *more = curl_slist_append(list, text);
	free(text);
	return more ? more : list;
}

static void http_options(struct transfer *t, struct curl_slist *headers)
{
	const struct http_request *q = t->q;
	const char *schemes = q->plain ? "http,https" : "https", *ca = getenv("SSL_CERT_FILE");
	CURL *h = t->h;
	curl_easy_reset(h);
	curl_easy_setopt(h, CURLOPT_URL, q->url);
	curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, schemes);
	curl_easy_setopt(h, CURLOPT_REDIR_PROTOCOLS_STR, schemes);
	curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 1L);
	curl_easy_setopt(h, CURLOPT_MAXREDIRS, (long)REDIRECTS);
	curl_easy_setopt(h, CURLOPT_USERAGENT, "lodge");
	curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
	curl_easy_setopt(h, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(h, CURLOPT_LOW_SPEED_TIME, (long)STALL_S);
	curl_easy_setopt(h, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, http_header);
	curl_easy_setopt(h, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, http_body);
	curl_easy_setopt(h, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(h, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(h, CURLOPT_XFERINFOFUNCTION, http_progress);
	curl_easy_setopt(h, CURLOPT_XFERINFODATA, t);
	if (ca && *ca)
		curl_easy_setopt(h, CURLOPT_CAINFO, ca);
	if (q->unchecked) {
		curl_easy_setopt(h, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(h, CURLOPT_SSL_VERIFYHOST, 0L);
	}
}

/* What no second try mends. */
static bool http_hopeless(CURLcode r)
{
	return r == CURLE_PEER_FAILED_VERIFICATION || r == CURLE_UNSUPPORTED_PROTOCOL ||
	       r == CURLE_URL_MALFORMAT || r == CURLE_TOO_MANY_REDIRECTS ||
	       r == CURLE_COULDNT_RESOLVE_HOST || r == CURLE_SSL_CACERT_BADFILE;
}

int http_do(void *h, struct http_request *q, struct lodge_err *e)
{
	struct transfer t = {.q = q, .h = h, .from = q->blob ? q->blob->have : 0};
	struct curl_slist *headers = NULL;
	char range[64];
	http_request_fini(q);
	q->status = 0;
	q->final = false;
	if (q->accept)
		headers = header_add(headers, "Accept", q->accept);
	/* libcurl leaves it out where a redirection leads to another host */
	if (q->authorization)
		headers = header_add(headers, "Authorization", q->authorization);
	if (t.from) {
		snprintf(range, sizeof range, "bytes=%llu-", (unsigned long long)t.from);
		headers = header_add(headers, "Range", range);
	}
	http_options(&t, headers);
	CURLcode r = curl_easy_perform(h);
	curl_easy_getinfo((CURL *)h, CURLINFO_RESPONSE_CODE, &q->status);
	curl_slist_free_all(headers);
	if (r == CURLE_OK)
		return 0;
	q->final = t.why.code || http_hopeless(r) || q->f->stop;
	if (q->f->stop)
		return err_set(e, ECANCELED, "it was stopped");
	if (t.why.code)
		return err_set(e, t.why.code, "%s: %s", q->url, t.why.msg);
	return err_set(e, EIO, "%s: %s", q->url, curl_easy_strerror(r));
}
