/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the room oci share. */
#pragma once
#include "oci/oci.h"

/* Where in the document we are: the names from the innermost outwards. */
struct oci_place {
	const struct oci_place *up;
	const char *name; /* NULL: an element */
	size_t index;
};
/* Refuse what is at @p: "PATH: what". */
int oci_refuse(const struct oci_place *p, struct lodge_err *e, const char *fmt, ...) PRINTF(3, 4);

/* pool.c: memory that goes at once */
struct oci_pool;
struct oci_pool *oci_pool_new(void);
void *oci_pool_alloc(struct oci_pool *p, size_t n); /* zeroed; NULL: out of memory */
void oci_pool_free(struct oci_pool *p);

/* check.c: what a type alone does not say */
int oci_spec_check(const struct oci_spec *s, struct lodge_err *e) MUST;
int oci_process_check(const struct oci_process *p, const char *at, struct lodge_err *e) MUST;
int oci_resources_check(const struct oci_resources *r, const char *at, struct lodge_err *e) MUST;
