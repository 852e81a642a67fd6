/* SPDX-License-Identifier: Apache-2.0 */
/* x509: what a certificate says, as places in it. Spec: RFC 5280, X.690 (DER) */
#pragma once
#include "base/base.h"

struct der { /* a part of a certificate; borrowed */
	const uint8_t *at;
	size_t len;
};
enum { X509_OID_MAX = 64, X509_EXTENSIONS_MAX = 32 };
struct x509_algorithm {
	char oid[X509_OID_MAX]; /* "1.2.840..." */
	struct der parameters;
};
struct x509_extension {
	char oid[X509_OID_MAX];
	bool critical;
	struct der value;
};
struct x509 {
	unsigned version;                        /* 0: the first */
	struct der serial, issuer, subject, key; /* issuer, subject: with their heads */
	struct x509_algorithm signature, key_algorithm;
	int64_t from, until; /* seconds since 1970 */
	unsigned nextensions;
	struct x509_extension extensions[X509_EXTENSIONS_MAX];
};
/* -EINVAL: that is none; -EMSGSIZE: it is cut; *ret_len: bytes of @file that it has. */
int x509_read(struct x509 *ret, const uint8_t *file, size_t len, size_t *ret_len) MUST;
/* An object identifier as text; false: it is none, or too long. */
bool x509_oid(const struct der *oid, char ret[X509_OID_MAX]) MUST;
/* The next value in @in, which then begins behind it: of the tag @tag (0: of any). */
bool der_take(struct der *in, uint8_t tag, struct der *ret) MUST;
