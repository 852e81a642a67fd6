/* SPDX-License-Identifier: Apache-2.0 */
/* Digests: what a blob must be, by OpenSSL. OCI-Image 1.1 §descriptor */
#include "image/internal.h"
#include <openssl/evp.h>
#include <stdio.h>

static const struct {
	const char *name;
	size_t digits;
	const EVP_MD *(*md)(void);
} algs[] = {{"sha256", 64, EVP_sha256}, {"sha512", 128, EVP_sha512}};

/* The row of what @text begins with. */
static size_t alg_of(const char *text)
{
	size_t i = 0;
	for (; i < countof(algs); i++) {
		size_t n = strlen(algs[i].name);
		if (!strncmp(text, algs[i].name, n) && (!text[n] || text[n] == ':'))
			break;
	}
	return i;
}

int digest_parse(struct digest *ret, const char *text, struct lodge_err *e)
{
	size_t a = alg_of(text);
	const char *hex = strchr(text, ':');
	if (a == countof(algs) || !hex)
		return err_set(e, EINVAL, "'%.40s' is no digest of sha256 or sha512", text);
	if (strspn(hex + 1, "0123456789abcdef") != algs[a].digits || hex[1 + algs[a].digits])
		return err_set(e, EINVAL,
			       "'%.150s' is no digest: %zu digits of 0-9 and a-f follow "
			       "%s:",
			       text, algs[a].digits, algs[a].name);
	snprintf(ret->text, sizeof ret->text, "%s", text);
	return 0;
}

bool digest_same(const struct digest *a, const struct digest *b)
{
	return a->text[0] && !strcmp(a->text, b->text);
}

const char *digest_hex(const struct digest *d)
{
	const char *colon = strchr(d->text, ':');
	return colon ? colon + 1 : d->text;
}

int digest_begin(struct digest_sum *s, const char *alg, struct lodge_err *e)
{
	size_t a = alg_of(alg);
	*s = (struct digest_sum){0};
	if (a == countof(algs))
		return err_set(e, EINVAL, "'%.40s' is no digest of sha256 or sha512", alg);
	int r = host_library_load(&image_crypto, e);
	if (r < 0)
		return r;
	s->alg = algs[a].name;
	s->ctx = EVP_MD_CTX_new();
	if (!s->ctx || EVP_DigestInit_ex(s->ctx, algs[a].md(), NULL) != 1) {
		digest_drop(s);
		return err_set(e, ENOMEM, "OpenSSL makes no %s", algs[a].name);
	}
	return 0;
}

void digest_add(struct digest_sum *s, const void *data, size_t len)
{
	EVP_DigestUpdate(s->ctx, data, len);
}

void digest_end(struct digest_sum *s, struct digest *ret)
{
	uint8_t sum[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	EVP_DigestFinal_ex(s->ctx, sum, &n);
	int at = snprintf(ret->text, sizeof ret->text, "%s:", s->alg);
	for (unsigned i = 0; i < n; i++)
		at += snprintf(ret->text + at, sizeof ret->text - (size_t)at, "%02x", sum[i]);
	digest_drop(s);
}

void digest_drop(struct digest_sum *s)
{
	if (s->ctx)
		EVP_MD_CTX_free(s->ctx);
	s->ctx = NULL;
}

int digest_of(struct digest *ret, const void *data, size_t len, struct lodge_err *e)
{
	struct digest_sum s;
	int r = digest_begin(&s, "sha256", e);
	if (r < 0)
		return r;
	digest_add(&s, data, len);
	digest_end(&s, ret);
	return 0;
}
