/* SPDX-License-Identifier: Apache-2.0 */
/* Names of images. OCI-Dist 1.1 §2.2 */
#include "image/image.h"
#include <ctype.h>
#include <stdio.h>

static bool name_char(char c) { return islower((unsigned char)c) || isdigit((unsigned char)c); }

/* [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*, joined by slashes */
static bool name_good(const char *s)
{
	while (*s) {
		if (!name_char(*s))
			return false;
		while (name_char(*s))
			s++;
		if (*s == '-')
			s += strspn(s, "-");
		else if (s[0] == '_' && s[1] == '_')
			s += 2;
		else if (*s == '.' || *s == '_' || *s == '/')
			s++;
		else if (*s)
			return false;
		else
			return true;
	}
	return false; /* empty, or ends with a separator */
}

static bool tag_good(const char *s)
{
	if (!isalnum((unsigned char)*s) && *s != '_')
		return false;
	while (isalnum((unsigned char)*s) || (*s && strchr("_.-", *s)))
		s++;
	return !*s;
}

static bool host_good(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-");
	if (*s == '[') { /* an IPv6 address */
		n = 1 + strspn(s + 1, "0123456789abcdefABCDEF:.");
		if (s[n++] != ']')
			return false;
	}
	if (!n || *s == '-' || *s == '.' || strstr(s, ".."))
		return false;
	if (s[n] == ':') {
		size_t digits = strspn(s + n + 1, "0123456789");
		return digits >= 1 && digits <= 5 && !s[n + 1 + digits];
	}
	return !s[n];
}

/* Is what stands before the first slash a host and not a part of the name? */
static bool host_like(const char *s, size_t n)
{
	if (n == 9 && !strncmp(s, "localhost", 9))
		return true;
	for (size_t i = 0; i < n; i++)
		if (s[i] == '.' || s[i] == ':' || s[i] == '[' || isupper((unsigned char)s[i]))
			return true;
	return false;
}

static int host_take(struct image_ref *r, const char **rest, struct lodge_err *e)
{
	const char *slash = strchr(*rest, '/');
	size_t n = slash ? (size_t)(slash - *rest) : 0;
	if (!slash || !host_like(*rest, n)) {
		strcpy(r->host, "localhost");
		return 0;
	}
	if (n >= sizeof r->host)
		return err_set(e, ENAMETOOLONG, "its host is longer than %zu characters",
			       sizeof r->host - 1);
	memcpy(r->host, *rest, n);
	r->host[n] = 0;
	if (!host_good(r->host))
		return err_set(e, EINVAL, "'%s' is no host or HOST:PORT", r->host);
	*rest = slash + 1;
	return 0;
}

/* Cut what stands behind the last @c off @text. */
static char *cut(char *text, char c)
{
	char *at = strrchr(text, c);
	if (at)
		*at++ = 0;
	return at;
}

static int parts_take(struct image_ref *r, char *rest, struct lodge_err *e)
{
	char *digest = cut(rest, '@'), *colon = strrchr(rest, ':');
	char *tag = colon && !strchr(colon, '/') ? cut(rest, ':') : NULL;
	int r2 = digest ? digest_parse(&r->digest, digest, e) : 0;
	if (r2 < 0)
		return r2;
	if (!tag && !digest)
		strcpy(r->tag, "latest");
	if (tag && (strlen(tag) >= sizeof r->tag || !tag_good(tag)))
		return err_set(e, EINVAL,
			       "'%.40s' is no tag: letters, digits, _ . and -, at most "
			       "128",
			       tag);
	if (tag)
		strcpy(r->tag, tag);
	if (strlen(rest) >= sizeof r->name)
		return err_set(e, ENAMETOOLONG, "it is longer than %zu characters",
			       sizeof r->name - 1);
	strcpy(r->name, rest);
	if (!name_good(r->name))
		return err_set(e, EINVAL,
			       "names have small letters and digits, with . _ - and / "
			       "between them");
	return 0;
}

int ref_parse(struct image_ref *ret, const char *text, struct lodge_err *e)
{
	struct image_ref r = {0};
	const char *rest = text;
	int r2 = strlen(text) < REF_TEXT - 8 ? host_take(&r, &rest, e)
					     : err_set(e, ENAMETOOLONG, "it is too long");
	autofree char *copy = strdup(rest);
	if (r2 == 0 && !copy)
		return err_set(e, ENOMEM, "out of memory");
	if (r2 == 0)
		r2 = parts_take(&r, copy, e);
	if (r2 < 0)
		return err_in(e, r2, "image name '%.60s'", text);
	*ret = r;
	return 0;
}

void ref_print(const struct image_ref *r, char ret[REF_TEXT])
{
	snprintf(ret, REF_TEXT, "%s/%s%s%s%s%s", r->host, r->name, r->tag[0] ? ":" : "", r->tag,
		 r->digest.text[0] ? "@" : "", r->digest.text);
}

bool ref_has_host(const char *text)
{
	const char *slash = strchr(text, '/');
	return slash && host_like(text, (size_t)(slash - text));
}
