/* SPDX-License-Identifier: Apache-2.0 */
/* save: what a stopped guest is written to. A state file holds all but memory as named sections,
 * each with its checksum; a RAM file holds memory, page for page, so that it can be mapped.
 * Both are described in lodge-state(5). Knows no level, device or processor. */
#pragma once
#include "base/base.h"
#include "mem/mem.h"

enum {
	SAVE_VERSION = 1,         /* of both files; a reader takes this and older ones */
	SAVE_NAME_MAX = 39,       /* bytes of a section's name */
	SAVE_SECTIONS_MAX = 512,
	SAVE_BYTES_MAX = 16 << 20, /* of a state file */
};

/* ---- writing a state file: first in memory, since it is small ---- */
struct save_out;
/* @level: whose state it is, at most 31 bytes. */
int save_out_new(struct save_out **ret, const char *level, struct lodge_err *e) MUST;
void save_out_free(struct save_out *o); /* NULL is fine */
/* Begin section @name (unique) of @len bytes and lend its zeroed bytes until the next call. NULL:
 * no memory, or too much; save_out_bytes will say so. */
uint8_t *save_out_section(struct save_out *o, const char *name, size_t len) MUST;
/* A section that is a table's fields of @obj. */
void save_out_fields(struct save_out *o, const char *name, const struct state_field *t,
                     const void *obj);
/* Seal it and lend the whole file's bytes. Errors: ENOMEM, E2BIG of what came before. */
int save_out_bytes(struct save_out *o, const uint8_t **ret, size_t *ret_len,
                   struct lodge_err *e) MUST;
/* The same into the new file @name below @dirfd, durably. */
int save_out_file(struct save_out *o, int dirfd, const char *name, struct lodge_err *e) MUST;

/* ---- reading one ---- */
struct save_in {
	const uint8_t *buf;       /* owned when it came from a file */
	size_t len;
	char level[32];
	unsigned nsections;
	struct { const char *name; const uint8_t *p; size_t len; } section[SAVE_SECTIONS_MAX];
};
/* Check every byte of @buf (borrowed while @ret is used). -EINVAL: damaged, or of a version that
 * is not known here, with the reason. */
int save_in_parse(struct save_in *ret, const uint8_t *buf, size_t len, struct lodge_err *e) MUST;
/* The same of a file; save_in_fini frees it. */
int save_in_file(struct save_in *ret, int dirfd, const char *name, struct lodge_err *e) MUST;
void save_in_fini(struct save_in *s);
/* The bytes of a section; NULL: there is none of that name. */
const uint8_t *save_in_find(const struct save_in *s, const char *name, size_t *ret_len) MUST;
/* Load a section into @obj by @t. Errors: ENOENT: there is none; EINVAL: it does not fit. */
int save_in_fields(const struct save_in *s, const char *name, const struct state_field *t,
                   void *obj, struct lodge_err *e) MUST;

/* ---- the RAM file ---- */
/* Write @m, whose guest stands still, to the new file @name below @dirfd, durably: pages of zeroes
 * become holes. @id ties it to its state file. *ret_bytes: how much was written. */
int save_ram(struct mem *m, int dirfd, const char *name, uint64_t id, uint64_t *ret_bytes,
             struct lodge_err *e) MUST;
/* Let @m begin with what the RAM file @name holds: its pages are read when they are touched, and
 * never written back. The file may be deleted afterwards, not changed.
 *   errors  EINVAL: damaged, cut short, of another size than @m, or of another state than @id */
int load_ram(struct mem *m, int dirfd, const char *name, uint64_t id, struct lodge_err *e) MUST;
/* Compare every page of the RAM file with its checksums. -EIO: it is damaged. */
int check_ram(int dirfd, const char *name, struct lodge_err *e) MUST;
