/* SPDX-License-Identifier: Apache-2.0 */
/* Who we are to a registry: what `podman login` and `docker login` have written, and what a
 * registry asks for (RFC 7235, RFC 6750). */
#include "image/source.h"
#include <fcntl.h>
#include <stdio.h>

enum { AUTH_FILE = 1 << 20 };

char *auth_base64(const char *text)
{
	static const char digit[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t n = strlen(text), o = 0;
	char *ret = malloc((n + 2) / 3 * 4 + 1);
	for (size_t i = 0; ret && i < n; i += 3) {
		uint32_t v = (uint32_t)(uint8_t)text[i] << 16;
		v |= i + 1 < n ? (uint32_t)(uint8_t)text[i + 1] << 8 : 0;
		v |= i + 2 < n ? (uint32_t)(uint8_t)text[i + 2] : 0;
		ret[o++] = digit[v >> 18 & 63];
		ret[o++] = digit[v >> 12 & 63];
		ret[o++] = i + 1 < n ? digit[v >> 6 & 63] : '=';
		ret[o++] = i + 2 < n ? digit[v & 63] : '=';
	}
	if (ret)
		ret[o] = 0;
	return ret;
}

static int base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* NULL: it is damaged. */
static char *base64_text(const char *from)
{
	char *ret = malloc(strlen(from) + 1);
	size_t n = 0;
	uint32_t v = 0;
	unsigned bits = 0;
	for (; ret && *from && *from != '='; from++) {
		int x = base64_value(*from);
		if (x < 0) {
			free(ret);
			return NULL;
		}
		v = v << 6 | (uint32_t)x;
		bits += 6;
		if (bits >= 8)
			ret[n++] = (char)(v >> (bits -= 8));
	}
	if (ret)
		ret[n] = 0;
	return ret;
}

/* "https://HOST/v1/" is HOST, as docker writes it. */
static bool key_is(const char *key, const char *want)
{
	char text[REF_TEXT];
	const char *scheme = strstr(key, "://");
	snprintf(text, sizeof text, "%s", scheme ? scheme + 3 : key);
	size_t n = strlen(text);
	while (n && text[n - 1] == '/')
		text[--n] = 0;
	if (n > 3 && (!strcmp(text + n - 3, "/v1") || !strcmp(text + n - 3, "/v2")))
		text[n - 3] = 0;
	return !strcmp(text, want);
}

static char *entry_login(struct doc *d, struct json_object *entry)
{
	const char *auth = NULL, *user = NULL, *password = NULL;
	char *ret = NULL;
	if (doc_text(d, entry, "auth", false, &auth) > 0 && *auth)
		return base64_text(auth);
	if (doc_text(d, entry, "username", false, &user) > 0 &&
	    doc_text(d, entry, "password", false, &password) > 0 &&
	    asprintf(&ret, "%s:%s", user, password) < 0)
		return NULL;
	return ret;
}

static char *auths_find(struct doc *d, struct json_object *auths, const char *want)
{
	json_object_object_foreach(auths, key, entry)
	{
		char *login = key_is(key, want) ? entry_login(d, entry) : NULL;
		if (login)
			return login;
	}
	return NULL;
}

char *auth_search(const char *text, size_t len, const char *host, const char *name)
{
	struct doc d;
	struct json_object *auths = NULL;
	char *ret = NULL, want[REF_TEXT];
	int r = doc_open(&d, "", text, len, NULL);
	if (r == 0 && doc_get(&d, d.root, "auths", json_type_object, false, &auths) > 0) {
		/* the longest first: host/a/b, host/a, host */
		snprintf(want, sizeof want, "%s/%s", host, name);
		for (bool more = true; more && !ret;) {
			ret = auths_find(&d, auths, want);
			char *slash = strrchr(want, '/');
			more = slash != NULL;
			if (slash)
				*slash = 0;
		}
	}
	doc_close(&d);
	if (ret && !strchr(ret, ':')) {
		free(ret);
		ret = NULL;
	}
	return ret;
}

char *auth_find(const char *host, const char *name)
{
	static const struct {
		const char *env, *path;
	} places[] = {
	    {"REGISTRY_AUTH_FILE", ""},
	    {"XDG_RUNTIME_DIR", "/containers/auth.json"},
	    {"XDG_CONFIG_HOME", "/containers/auth.json"},
	    {"HOME", "/.config/containers/auth.json"},
	    {"DOCKER_CONFIG", "/config.json"},
	    {"HOME", "/.docker/config.json"},
	};
	for (size_t i = 0; i < countof(places); i++) {
		autofree char *path = NULL, *text = NULL;
		const char *at = getenv(places[i].env);
		size_t len;
		if (!at || !*at || asprintf(&path, "%s%s", at, places[i].path) < 0)
			continue;
		if (file_load(AT_FDCWD, path, AUTH_FILE, &text, &len, NULL) < 0)
			continue;
		char *ret = auth_search(text, len, host, name);
		if (ret)
			return ret;
	}
	return NULL;
}

bool auth_param(const char *header, const char *key, char *ret, size_t cap)
{
	size_t n = strlen(key);
	for (const char *p = header; *p;) {
		p += strspn(p, " \t,");
		const char *eq = p + strcspn(p, "= \t,");
		bool mine = (size_t)(eq - p) == n && !strncasecmp(p, key, n) && *eq == '=';
		if (*eq != '=') { /* the scheme */
			p = eq;
			continue;
		}
		const char *v = eq + 1, *end = v + strcspn(v, ", \t");
		size_t len = 0;
		if (*v == '"') {
			for (end = ++v; *end && *end != '"'; end++)
				end += *end == '\\' && end[1];
		}
		for (const char *q = v; mine && q < end; q++) {
			if (*q == '\\' && q[1])
				q++;
			if (len + 1 < cap)
				ret[len++] = *q;
		}
		if (mine) {
			ret[len] = 0;
			return true;
		}
		p = *end == '"' ? end + 1 : end;
	}
	return false;
}
