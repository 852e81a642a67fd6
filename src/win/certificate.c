/* SPDX-License-Identifier: Apache-2.0 */
/* crypt32: stores of certificates, and what a certificate says. The store ROOT has those that the
 * host trusts, from the file that level/windows puts into the guest's System32; others of the
 * system are empty, and what a program adds is its own. Whether one may be trusted is not judged
 * here: chains are not built. */
#include "win/internal.h"
#include "win/x509.h"
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define CRYPT_E_NOT_FOUND   0x80092004u
#define CRYPT_E_ASN1_EOD    0x80093102u
#define CRYPT_E_ASN1_BADTAG 0x8009310bu
#define CRYPT_E_EXISTS      0x80092005u
enum { X509_ASN = 1 };
enum { PROV_MEMORY = 2, PROV_SYSTEM_A = 9, PROV_SYSTEM_W = 10 };
enum { ADD_NEW = 1, ADD_USE_EXISTING, ADD_REPLACE, ADD_ALWAYS };
enum {
	FIND_ANY = 0,
	FIND_ISSUER = 0x20004,
	FIND_SUBJECT = 0x20007,
	FIND_SUBJECT_TEXT = 0x80007,
	FIND_ISSUER_TEXT = 0x80004,
	FIND_EXISTING = 0xd0000
};

struct blob {
	uint32_t len, pad;
	const uint8_t *at;
};
struct bits {
	uint32_t len, pad;
	const uint8_t *at;
	uint32_t unused, pad2;
};
struct algorithm {
	const char *oid;
	struct blob parameters;
};
struct extension {
	const char *oid;
	uint32_t critical, pad;
	struct blob value;
};
/* CERT_INFO */
struct info {
	uint32_t version, pad;
	struct blob serial; /* the last byte first */
	struct algorithm signature;
	struct blob issuer;
	uint64_t from, until;
	struct blob subject;
	struct algorithm key_algorithm;
	struct bits key, issuer_id, subject_id;
	uint32_t nextensions, pad2;
	const struct extension *extensions;
};
static_assert(sizeof(struct info) == 208, "wincrypt.h");
struct store;
/* CERT_CONTEXT, of the guest; what is behind it is ours. */
struct certificate {
	uint32_t encoding, pad;
	const uint8_t *der;
	uint32_t len, pad2;
	const struct info *info;
	struct store *store;
	_Atomic(uint32_t) refs;
	struct info own;
	struct x509 x;
	struct extension extensions[X509_EXTENSIONS_MAX];
	uint8_t serial[64];
	struct certificate *next; /* of the store */
	bool listed;              /* in its list, which has a reference */
	uint8_t bytes[];
};
enum { STORE_MAGIC = 0x5d0e57 };
struct store {
	uint32_t magic;
	_Atomic(uint32_t) refs; /* the handle's, and each certificate's that somebody holds */
	struct certificate *first, **end;
};
/* Of lists, and of what references mean. Who has it may take it again. */
static WIN_STATE pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

/* ---- one ---- */

static struct blob blob_of(const struct der *d)
{
	return (struct blob){(uint32_t)d->len, 0, d->at};
}

static void info_fill(struct certificate *c)
{
	const struct x509 *x = &c->x;
	size_t n = x->serial.len < sizeof c->serial ? x->serial.len : sizeof c->serial;
	for (size_t i = 0; i < n; i++)
		c->serial[i] = x->serial.at[x->serial.len - 1 - i];
	for (unsigned i = 0; i < x->nextensions; i++)
		c->extensions[i] =
		    (struct extension){x->extensions[i].oid, x->extensions[i].critical, 0,
				       blob_of(&x->extensions[i].value)};
	c->own = (struct info){
	    .version = x->version,
	    .serial = {(uint32_t)n, 0, c->serial},
	    .signature = {x->signature.oid, blob_of(&x->signature.parameters)},
	    .issuer = blob_of(&x->issuer),
	    .from = filetime_of(x->from, 0),
	    .until = filetime_of(x->until, 0),
	    .subject = blob_of(&x->subject),
	    .key_algorithm = {x->key_algorithm.oid, blob_of(&x->key_algorithm.parameters)},
	    .key = {(uint32_t)x->key.len - 1, 0, x->key.at + 1, x->key.at[0], 0},
	    .nextensions = x->nextensions,
	    .extensions = c->extensions};
}

/* NULL: it is none, or there is no memory; with the last error. */
static struct certificate *certificate_new(const uint8_t *der, size_t len)
{
	struct certificate *c = calloc(1, sizeof *c + len);
	size_t used;
	if (!c) {
		last_error_set(ERROR_NOT_ENOUGH_MEMORY);
		return NULL;
	}
	memcpy(c->bytes, der, len);
	int r = x509_read(&c->x, c->bytes, len, &used);
	if (r < 0) {
		free(c);
		last_error_set(r == -EMSGSIZE ? CRYPT_E_ASN1_EOD : CRYPT_E_ASN1_BADTAG);
		return NULL;
	}
	c->encoding = X509_ASN;
	c->der = c->bytes;
	c->len = (uint32_t)used;
	c->info = &c->own;
	c->refs = 1;
	info_fill(c);
	return c;
}

static void store_unref(struct store *s);

static void certificate_unref(struct certificate *c)
{
	struct store *s = c->store;
	if (--c->refs)
		return;
	if (s)
		store_unref(s);
	free(c);
}

/* ---- stores ---- */

static struct store *store_new(void)
{
	struct store *s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	s->magic = STORE_MAGIC;
	s->refs = 1;
	s->end = &s->first;
	return s;
}

/* Its list has a reference to each; each of those that the guest holds has one to it. */
static void store_unref(struct store *s)
{
	if (--s->refs)
		return;
	s->magic = 0;
	while (s->first) {
		struct certificate *c = s->first;
		s->first = c->next;
		c->store = NULL;
		c->listed = false;
		certificate_unref(c);
	}
	free(s);
}

/* Takes over @c. */
static void store_add(struct store *s, struct certificate *c)
{
	pthread_mutex_lock(&lock);
	c->store = s;
	c->listed = true;
	*s->end = c;
	s->end = &c->next;
	pthread_mutex_unlock(&lock);
}

static int digit_of(char c)
{
	return c >= 'A' && c <= 'Z'   ? c - 'A'
	       : c >= 'a' && c <= 'z' ? c - 'a' + 26
	       : c >= '0' && c <= '9' ? c - '0' + 52
	       : c == '+'             ? 62
	       : c == '/'             ? 63
				      : -1;
}

/* Base64 up to a '-': bytes, in @out, which has room for all of @len. */
static size_t base64_read(const char *s, size_t len, uint8_t *out)
{
	uint32_t bits = 0;
	unsigned n = 0;
	size_t used = 0;
	for (size_t i = 0; i < len && s[i] != '-'; i++) {
		int d = digit_of(s[i]);
		if (d < 0)
			continue;
		bits = bits << 6 | (uint32_t)d;
		if (++n % 4 == 0) {
			out[used++] = (uint8_t)(bits >> 16);
			out[used++] = (uint8_t)(bits >> 8);
			out[used++] = (uint8_t)bits;
		}
	}
	if (n % 4 == 3)
		out[used++] = (uint8_t)(bits >> 10);
	if (n % 4 > 1)
		out[used++] = (uint8_t)(bits >> (n % 4 == 3 ? 2 : 4));
	return used;
}

/* What the host trusts; one that cannot be read is left out. */
static void roots_load(struct store *s)
{
	static const char begin[] = "-----BEGIN CERTIFICATE-----";
	autofree char *path = path_linux("C:\\Windows\\System32\\" WIN_ROOTS);
	struct stat st;
	autoclose int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size <= 0)
		return;
	size_t len = (size_t)st.st_size;
	char *text = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
	autofree uint8_t *der = malloc(len);
	if (text == MAP_FAILED)
		return;
	const char *p = text;
	while (der && (p = memmem(p, len - (size_t)(p - text), begin, sizeof begin - 1))) {
		p += sizeof begin - 1;
		size_t n = base64_read(p, len - (size_t)(p - text), der);
		struct certificate *c = certificate_new(der, n);
		if (c)
			store_add(s, c);
	}
	munmap(text, len);
}

static struct store *store_named(const char *name)
{
	struct store *s = store_new();
	if (!s)
		last_error_set(ERROR_NOT_ENOUGH_MEMORY);
	else if (name && !strcasecmp(name, "ROOT"))
		roots_load(s);
	return s;
}

static struct store *store_check(struct store *s)
{
	if (s && s->magic == STORE_MAGIC)
		return s;
	last_error_set(ERROR_INVALID_HANDLE);
	return NULL;
}

API(struct store *, crypt_CertOpenStore, const char *provider, uint32_t encoding, uint64_t crypt,
    uint32_t flags, const void *what)
{
	uint64_t number = (uint64_t)(uintptr_t)provider;
	(void)encoding;
	(void)crypt;
	(void)flags;
	bool named = number > 0xffff;
	if (number == PROV_MEMORY || (named && !strcasecmp(provider, "Memory")))
		return store_named(NULL);
	if (number == PROV_SYSTEM_A && what)
		return store_named(what);
	if ((number == PROV_SYSTEM_W || (named && !strcasecmp(provider, "System"))) && what) {
		autofree char *name = text_from(what, SIZE_MAX);
		return store_named(name);
	}
	last_error_set(ERROR_FILE_NOT_FOUND);
	return NULL;
}

API(struct store *, crypt_CertOpenSystemStoreW, uint64_t crypt, const wide *name)
{
	(void)crypt;
	autofree char *n = text_from(name, SIZE_MAX);
	return store_named(n);
}

API(struct store *, crypt_CertOpenSystemStoreA, uint64_t crypt, const char *name)
{
	(void)crypt;
	return store_named(name);
}

API(struct store *, crypt_CertDuplicateStore, struct store *s)
{
	if (store_check(s))
		s->refs++;
	return s;
}

API(uint32_t, crypt_CertCloseStore, struct store *s, uint32_t flags)
{
	(void)flags;
	if (!s)
		return 1;
	if (!store_check(s))
		return 0;
	store_unref(s);
	return 1;
}

/* ---- certificates of a store ---- */

/* The guest's: it holds the store. */
static struct certificate *certificate_give(struct certificate *c)
{
	if (c && c->refs++ == 1 && c->store)
		c->store->refs++;
	return c;
}

API(struct certificate *, crypt_CertDuplicateCertificateContext, struct certificate *c)
{
	pthread_mutex_lock(&lock);
	if (c)
		c->refs++;
	pthread_mutex_unlock(&lock);
	return c;
}

API(uint32_t, crypt_CertFreeCertificateContext, struct certificate *c)
{
	if (!c)
		return 1;
	pthread_mutex_lock(&lock);
	struct store *s = c->store;
	if (s && c->listed && c->refs == 2) { /* its list's is left */
		c->refs--;
		store_unref(s);
	} else {
		certificate_unref(c);
	}
	pthread_mutex_unlock(&lock);
	return 1;
}

static bool name_has(const struct der *name, const wide *want)
{
	/* as text: every value of it, the way it stands there */
	autofree char *w = text_from(want, SIZE_MAX);
	size_t n = w ? strlen(w) : 0;
	for (size_t i = 0; w && n && i + n <= name->len; i++)
		if (!strncasecmp((const char *)name->at + i, w, n))
			return true;
	return w && !n;
}

static bool blob_is(const struct blob *b, const struct der *d)
{
	return b->len == d->len && !memcmp(b->at, d->at, d->len);
}

static bool matches(const struct certificate *c, uint32_t kind, const void *what)
{
	const struct certificate *other = what;
	switch (kind) {
	case FIND_ANY: return true;
	case FIND_SUBJECT: return blob_is(what, &c->x.subject);
	case FIND_ISSUER: return blob_is(what, &c->x.issuer);
	case FIND_SUBJECT_TEXT: return name_has(&c->x.subject, what);
	case FIND_ISSUER_TEXT: return name_has(&c->x.issuer, what);
	case FIND_EXISTING: return c->len == other->len && !memcmp(c->der, other->der, c->len);
	default: return false; /* by what is not kept of them */
	}
}

API(struct certificate *, crypt_CertFindCertificateInStore, struct store *s, uint32_t encoding,
    uint32_t flags, uint32_t kind, const void *what, struct certificate *before)
{
	(void)encoding;
	(void)flags;
	struct certificate *c = NULL;
	if (store_check(s)) {
		pthread_mutex_lock(&lock);
		for (c = before ? before->next : s->first; c && !matches(c, kind, what);)
			c = c->next;
		certificate_give(c);
		pthread_mutex_unlock(&lock);
		if (!c)
			last_error_set(CRYPT_E_NOT_FOUND);
	}
	crypt_CertFreeCertificateContext(before);
	return c;
}

API(struct certificate *, crypt_CertEnumCertificatesInStore, struct store *s,
    struct certificate *before)
{
	return crypt_CertFindCertificateInStore(s, X509_ASN, 0, FIND_ANY, NULL, before);
}

API(struct certificate *, crypt_CertCreateCertificateContext, uint32_t encoding, const uint8_t *der,
    uint32_t len)
{
	(void)encoding;
	return certificate_new(der, len);
}

API(uint32_t, crypt_CertAddEncodedCertificateToStore, struct store *s, uint32_t encoding,
    const uint8_t *der, uint32_t len, uint32_t how, struct certificate **ret)
{
	(void)encoding;
	if (!store_check(s))
		return 0;
	struct certificate *c = certificate_new(der, len), *old;
	if (!c)
		return 0;
	pthread_mutex_lock(&lock);
	for (old = s->first; old && !matches(old, FIND_EXISTING, c);)
		old = old->next;
	if (old && how != ADD_ALWAYS) {
		certificate_unref(c);
		c = how == ADD_NEW ? NULL : old;
	} else {
		store_add(s, c);
	}
	if (ret && c)
		*ret = certificate_give(c);
	pthread_mutex_unlock(&lock);
	return c ? 1 : fail(CRYPT_E_EXISTS);
}

API(uint32_t, crypt_CertAddCertificateContextToStore, struct store *s, struct certificate *c,
    uint32_t how, struct certificate **ret)
{
	return crypt_CertAddEncodedCertificateToStore(s, X509_ASN, c->der, c->len, how, ret);
}

/* Out of the list; it lives as long as somebody else holds it. */
API(uint32_t, crypt_CertDeleteCertificateFromStore, struct certificate *c)
{
	struct store *s = c->store;
	pthread_mutex_lock(&lock);
	for (struct certificate **p = s ? &s->first : NULL; p && *p; p = &(*p)->next)
		if (*p == c) {
			if (!(*p = c->next))
				s->end = p;
			c->listed = false;
			c->refs--;
			break;
		}
	certificate_unref(c);
	pthread_mutex_unlock(&lock);
	return 1;
}

/* ---- what one says ---- */

static const char USAGES[] = "2.5.29.37";

/* Purposes that it names; without any it may be used for all, which is told by the last error. */
API(uint32_t, crypt_CertGetEnhancedKeyUsage, const struct certificate *c, uint32_t flags,
    uint8_t *out, uint32_t *size)
{
	struct der list = {0}, oids = {0}, one;
	uint32_t n = 0;
	(void)flags;
	for (unsigned i = 0; i < c->x.nextensions; i++)
		if (!strcmp(c->x.extensions[i].oid, USAGES))
			list = c->x.extensions[i].value;
	bool any = list.len && der_take(&list, 0x30, &oids);
	for (struct der rest = any ? oids : list; any && der_take(&rest, 6, &one);)
		n++;
	const uint32_t need = 16 + n * (8 + X509_OID_MAX);
	if (!out || *size < need) {
		bool asks = !out;
		*size = need;
		return asks ? 1 : fail(ERROR_MORE_DATA);
	}
	le32_put(out, n);
	le64_put(out + 8, (uint64_t)(uintptr_t)(out + 16));
	char *text = (char *)out + 16 + 8 * (size_t)n;
	for (uint32_t i = 0; i < n; i++, text += X509_OID_MAX) {
		le64_put(out + 16 + 8 * (size_t)i, (uint64_t)(uintptr_t)text);
		if (!der_take(&oids, 6, &one) || !x509_oid(&one, text))
			*text = 0;
	}
	*size = need;
	last_error_set(any ? ERROR_SUCCESS : CRYPT_E_NOT_FOUND);
	return 1;
}

/* -1: not yet; 1: not any more. */
API(int32_t, crypt_CertVerifyTimeValidity, const uint64_t *at, const struct info *info)
{
	uint64_t now = at ? *at : filetime_now();
	return now < info->from ? -1 : now > info->until;
}

/* Properties are what others have said of it: nobody has. */
API(uint32_t, crypt_CertGetCertificateContextProperty, const struct certificate *c, uint32_t id,
    void *out, uint32_t *size)
{
	(void)c;
	(void)id;
	(void)out;
	(void)size;
	return fail(CRYPT_E_NOT_FOUND);
}

API(const struct extension *, crypt_CertFindExtension, const char *oid, uint32_t n,
    const struct extension *all)
{
	for (uint32_t i = 0; i < n; i++)
		if (!strcmp(all[i].oid, oid))
			return &all[i];
	last_error_set(CRYPT_E_NOT_FOUND);
	return NULL;
}

API(uint32_t, crypt_CertCompareCertificate, uint32_t encoding, const struct info *a,
    const struct info *b)
{
	(void)encoding;
	return a->serial.len == b->serial.len && a->issuer.len == b->issuer.len &&
	       !memcmp(a->serial.at, b->serial.at, a->serial.len) &&
	       !memcmp(a->issuer.at, b->issuer.at, a->issuer.len);
}
