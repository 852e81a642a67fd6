/* SPDX-License-Identifier: Apache-2.0 */
#include "win/x509.h"
#include <stdio.h>
#include <time.h>

enum {
	TAG_BOOLEAN = 1,
	TAG_INTEGER = 2,
	TAG_BITS = 3,
	TAG_OCTETS = 4,
	TAG_OID = 6,
	TAG_UTC = 0x17,
	TAG_TIME = 0x18,
	TAG_SEQUENCE = 0x30,
	TAG_VERSION = 0xa0,
	TAG_ISSUER_ID = 0x81,
	TAG_SUBJECT_ID = 0x82,
	TAG_EXTENSIONS = 0xa3
};

/* A head: 1 byte of tag, a length of up to 4 bytes. */
static bool head_read(const struct der *in, uint8_t tag, size_t *ret_head, size_t *ret_len)
{
	if (in->len < 2 || (tag && in->at[0] != tag))
		return false;
	size_t len = in->at[1], n = len & 0x7f, head = 2;
	if (len & 0x80) {
		if (n == 0 || n > 4 || in->len < 2 + n)
			return false;
		len = 0;
		for (; head < 2 + n; head++)
			len = len << 8 | in->at[head];
	}
	if (len > in->len - head)
		return false;
	*ret_head = head;
	*ret_len = len;
	return true;
}

static bool value_take(struct der *in, uint8_t tag, struct der *ret, struct der *ret_whole)
{
	size_t head, len;
	if (!head_read(in, tag, &head, &len))
		return false;
	*ret_whole = (struct der){in->at, head + len};
	*ret = (struct der){in->at + head, len};
	in->at += head + len;
	in->len -= head + len;
	return true;
}

bool der_take(struct der *in, uint8_t tag, struct der *ret)
{
	struct der whole;
	return value_take(in, tag, ret, &whole);
}

bool x509_oid(const struct der *oid, char ret[X509_OID_MAX])
{
	size_t used = 0;
	uint64_t arc = 0;
	bool first = true;
	for (size_t i = 0; i < oid->len; i++) {
		if (arc >> 56)
			return false;
		arc = arc << 7 | (oid->at[i] & 0x7f);
		if (oid->at[i] & 0x80)
			continue;
		uint64_t top = arc < 80 ? arc / 40 : 2;
		int n = first ? snprintf(ret, X509_OID_MAX, "%llu.%llu", (unsigned long long)top,
					 (unsigned long long)(arc - top * 40))
			      : snprintf(ret + used, X509_OID_MAX - used, ".%llu",
					 (unsigned long long)arc);
		used += (size_t)n;
		if (used >= X509_OID_MAX)
			return false;
		arc = 0;
		first = false;
	}
	return !first;
}

static bool algorithm_take(struct der *in, struct x509_algorithm *ret)
{
	struct der all, oid;
	if (!der_take(in, TAG_SEQUENCE, &all) || !der_take(&all, TAG_OID, &oid) ||
	    !x509_oid(&oid, ret->oid))
		return false;
	ret->parameters = all;
	return true;
}

/* YYMMDDHHMMSSZ, or with 4 digits of the year. */
static bool time_take(struct der *in, int64_t *ret)
{
	struct der t;
	unsigned d[7] = {0}, n = 0;
	bool four = in->len && in->at[0] == TAG_TIME;
	if (!der_take(in, four ? TAG_TIME : TAG_UTC, &t) || t.len != (four ? 15 : 13) ||
	    t.at[t.len - 1] != 'Z')
		return false;
	for (size_t i = 0; i + 1 < t.len; i += 2) {
		if (t.at[i] < '0' || t.at[i] > '9' || t.at[i + 1] < '0' || t.at[i + 1] > '9')
			return false;
		d[n++] = (t.at[i] - '0') * 10u + t.at[i + 1] - '0';
	}
	unsigned year = four ? d[0] * 100 + d[1] : d[0] + (d[0] < 50 ? 2000 : 1900);
	const unsigned *rest = d + 1 + four;
	struct tm tm = {.tm_year = (int)year - 1900,
			.tm_mon = (int)rest[0] - 1,
			.tm_mday = (int)rest[1],
			.tm_hour = (int)rest[2],
			.tm_min = (int)rest[3],
			.tm_sec = (int)rest[4]};
	if (rest[0] < 1 || rest[0] > 12 || rest[1] < 1 || rest[1] > 31)
		return false;
	*ret = timegm(&tm);
	return true;
}

static bool extensions_read(struct der in, struct x509 *x)
{
	struct der list, one, oid;
	if (!der_take(&in, TAG_SEQUENCE, &list))
		return false;
	while (list.len) {
		struct der critical = {0};
		if (x->nextensions == X509_EXTENSIONS_MAX)
			return false;
		struct x509_extension *e = &x->extensions[x->nextensions++];
		if (!der_take(&list, TAG_SEQUENCE, &one) || !der_take(&one, TAG_OID, &oid) ||
		    !x509_oid(&oid, e->oid))
			return false;
		if (one.len && one.at[0] == TAG_BOOLEAN && !der_take(&one, TAG_BOOLEAN, &critical))
			return false;
		e->critical = critical.len && critical.at[0];
		if (!der_take(&one, TAG_OCTETS, &e->value))
			return false;
	}
	return true;
}

static bool key_take(struct der *in, struct x509 *x)
{
	struct der all;
	return der_take(in, TAG_SEQUENCE, &all) && algorithm_take(&all, &x->key_algorithm) &&
	       der_take(&all, TAG_BITS, &x->key) && x->key.len;
}

/* TBSCertificate */
static bool body_read(struct der in, struct x509 *x)
{
	struct der v, times, name;
	if (in.len && in.at[0] == TAG_VERSION) {
		struct der n;
		if (!der_take(&in, TAG_VERSION, &v) || !der_take(&v, TAG_INTEGER, &n) || n.len != 1)
			return false;
		x->version = n.at[0];
	}
	struct x509_algorithm again;
	if (!der_take(&in, TAG_INTEGER, &x->serial) || !algorithm_take(&in, &again) ||
	    !value_take(&in, TAG_SEQUENCE, &name, &x->issuer) ||
	    !der_take(&in, TAG_SEQUENCE, &times) || !time_take(&times, &x->from) ||
	    !time_take(&times, &x->until) || !value_take(&in, TAG_SEQUENCE, &name, &x->subject) ||
	    !key_take(&in, x))
		return false;
	while (in.len) {
		uint8_t tag = in.at[0];
		if (!der_take(&in, 0, &v))
			return false;
		if (tag == TAG_EXTENSIONS && !extensions_read(v, x))
			return false;
		if (tag != TAG_EXTENSIONS && tag != TAG_ISSUER_ID && tag != TAG_SUBJECT_ID)
			return false;
	}
	return true;
}

/* It begins as one, and says that it is longer. */
static bool is_cut(const struct der *in)
{
	size_t n = in->len > 1 ? in->at[1] & 0x7f : 0, len = 0;
	if (in->len < 6 || in->at[0] != TAG_SEQUENCE || !(in->at[1] & 0x80) || n < 1 || n > 4)
		return false;
	for (size_t i = 0; i < n; i++)
		len = len << 8 | in->at[2 + i];
	return len > in->len - 2 - n;
}

int x509_read(struct x509 *ret, const uint8_t *file, size_t len, size_t *ret_len)
{
	struct der in = {file, len}, all, body, whole, bits;
	memset(ret, 0, sizeof *ret);
	if (is_cut(&in))
		return -EMSGSIZE;
	if (!value_take(&in, TAG_SEQUENCE, &all, &whole) || !der_take(&all, TAG_SEQUENCE, &body) ||
	    !algorithm_take(&all, &ret->signature) || !der_take(&all, TAG_BITS, &bits) || all.len ||
	    !body_read(body, ret))
		return -EINVAL;
	*ret_len = whole.len;
	return 0;
}
