/* SPDX-License-Identifier: Apache-2.0 */
/* img: file formats that bring guests. Parsers are pure: bytes in, a plan out; every offset and
 * size is checked here once. Specs: ELF gABI 4.1; Linux RISC-V boot image header 0.2; gzip. */
#pragma once
#include "base/base.h"

enum img_kind { IMG_ELF, IMG_LINUX, IMG_FLAT };
enum { IMG_SEGMENTS_MAX = 32 };

/* Where the pieces of a bootable image go. Addresses are guest physical, or offsets from where
 * the loader puts it when @relative (Linux images, flat files). */
struct img_plan {
	enum img_kind kind;
	bool relative;
	uint64_t entry;         /* address or offset */
	uint64_t text_offset;   /* IMG_LINUX: distance that the image wants from the start of RAM */
	uint64_t memory_size;   /* IMG_LINUX, IMG_FLAT: bytes that it needs from its start */
	unsigned nsegments;
	struct img_segment {
		uint64_t at, off, file_len, mem_len; /* bytes beyond file_len are zero */
	} segments[IMG_SEGMENTS_MAX];
};

/* Read the header of a RISC-V 64 kernel or program of @len bytes. Errors: EINVAL, ENOEXEC (of
 * another architecture), with what is wrong. */
int img_plan(struct img_plan *ret, const uint8_t *file, uint64_t len, struct lodge_err *e) MUST;
/* Is this an image that a RISC-V machine can boot? 0 no; 1 perhaps (flat); 2 certainly. */
int img_bootable(const uint8_t *head, uint64_t len);

/* ---- programs of Linux ---- */
enum { IMG_PARTS_MAX = 64, IMG_PROGRAM_HEAD = 64 };
struct img_program {
	bool relative;          /* may be anywhere: addresses are offsets */
	bool stack_exec;
	uint64_t entry;
	uint64_t lo, hi, align; /* whole pages that the segments need; largest alignment asked */
	uint64_t headers_at;    /* address of the program headers; 0: they are not loaded */
	unsigned nheaders;
	uint64_t interp_off, interp_len; /* in the file, with its final zero; 0: there is none */
	unsigned nsegments;
	/* in the file's order; at and off are the same within a page. Nothing is known of the
	 * file's length. */
	struct img_part {
		uint64_t at, off, file_len, mem_len;
		bool read, write, exec;
	} segments[IMG_PARTS_MAX];
};
/* Where the program headers of a RISC-V 64 program are, of whose start @head has @len bytes.
 * Errors: ENOEXEC, with what is wrong. */
int img_program_headers(const uint8_t *head, uint64_t len, uint64_t *ret_off, uint64_t *ret_len,
                        struct lodge_err *e) MUST;
/* @head passed img_program_headers; @headers are those @len bytes. Errors: ENOEXEC. */
int img_program(struct img_program *ret, const uint8_t *head, const uint8_t *headers, uint64_t len,
                struct lodge_err *e) MUST;

/* Read the file at @path wholly, unpacking gzip; *ret_data is freed by the caller. At most @max
 * bytes come out (E2BIG). Errors name the file. */
int img_read(uint8_t **ret_data, uint64_t *ret_len, const char *path, uint64_t max,
             struct lodge_err *e) MUST;
/* Unpack gzip from memory. Errors: EINVAL (damaged or truncated), E2BIG, ENOMEM. */
int img_gunzip(uint8_t **ret_data, uint64_t *ret_len, const uint8_t *in, uint64_t in_len,
               uint64_t max, struct lodge_err *e) MUST;
