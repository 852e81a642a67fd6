/* SPDX-License-Identifier: Apache-2.0 */
/* http: one request to a registry, by libcurl. RFC 9110 */
#pragma once
#include "image/source.h"

enum { HTTP_BODY = DOC_BYTES, HTTP_AUTH = 2048, HTTP_URL = 4096 };
struct http_request {
	const char *url;
	const char *accept;        /* NULL: anything */
	const char *authorization; /* "Bearer ..."; NULL: none. Sent to the host of @url alone */
	bool plain, unchecked;     /* http is allowed; certificates are not looked at */
	struct fetch *f;           /* who may stop it */
	struct blob_in *blob;      /* where the body goes; NULL: into body */
	/* out: */
	long status;               /* 0: there was no answer */
	char *body;                /* owned; a zero byte behind it; of failures too */
	size_t len;
	char auth[HTTP_AUTH];      /* WWW-Authenticate; Bearer's if there are several */
	unsigned retry_s;          /* Retry-After; 0: not said */
	bool final;                /* failed, and would again */
};
/* 0: there is an answer, whatever its status. One handle, @h, serves many requests of a thread. */
int http_do(void *h, struct http_request *q, struct lodge_err *e) MUST;
void http_request_fini(struct http_request *q);
int http_handle_new(void **ret, struct lodge_err *e) MUST;
void http_handle_free(void *h); /* NULL is fine */
