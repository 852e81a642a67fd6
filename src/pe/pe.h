/* SPDX-License-Identifier: Apache-2.0 */
/* pe: programs and libraries of 64-bit Windows. Parsers are pure: bytes in, facts out. Every access
 * to an image goes through pe_at, which knows how long it is. Spec: PE 2024-07. */
#pragma once
#include "base/base.h"

enum { PE_SECTIONS_MAX = 96, PE_DIRECTORIES = 16, PE_PAGE = 4096 };
/* Directories that matter here. */
enum pe_directory {
	PE_EXPORT = 0,
	PE_IMPORT = 1,
	PE_RESOURCE = 2,
	PE_EXCEPTION = 3,
	PE_RELOC = 5,
	PE_TLS = 9,
	PE_CONFIG = 10,
	PE_DELAY = 13,
	PE_CLR = 14
};
enum { PE_CONSOLE = 3 };

struct pe_section {
	uint32_t rva, mem_len;  /* whole pages of the image, mem_len as the file says */
	uint32_t off, file_len; /* inside the file */
	bool read, write, exec;
	bool filled; /* pe_fill leaves it as it is */
};
/* What the headers say; checked. */
struct pe {
	bool dll, relocatable; /* relocatable: has a table for it, or nothing to be moved */
	uint16_t subsystem;
	uint64_t base;                     /* where it wants to be */
	uint32_t size, headers_len, entry; /* of the image, whole pages; entry 0: none */
	uint64_t stack_reserve, stack_commit;
	unsigned nsections;
	struct pe_section sections[PE_SECTIONS_MAX];
	struct {
		uint32_t rva, len;
	} dirs[PE_DIRECTORIES];
};
/* An image as it lies in memory, sections at their places. */
struct pe_image {
	uint8_t *at;
	uint32_t size;
	const struct pe *pe; /* borrowed */
};

/* Read the headers of a file of @len bytes. -ENOEXEC: it is no PE file at all; -ENOTSUP: it is one
 * that is not for here (32 bits, another machine, managed), and why; -EINVAL: it is damaged. */
int pe_read(struct pe *ret, const uint8_t *file, uint64_t len, struct lodge_err *e) MUST;
/* Does it begin like a program of Windows, of any kind? Kernels of Linux may look like programs of
 * EFI firmware: they are none. */
bool pe_claims(const uint8_t *file, uint64_t len);
/* Is it worth while to map it, rather than to copy it, from a file where it lies as in memory? */
bool pe_section_kept(const struct pe_section *s);
/* A program that may be run: has a console, is no driver. -ENOTSUP with the reason. */
int pe_runnable(const struct pe *p, struct lodge_err *e) MUST;
/* Copy headers and sections, but what is filled, to @im->at, zeroed memory of @im->size bytes. */
void pe_fill(const struct pe_image *im, const uint8_t *file, uint64_t len);

/* @len bytes of the image, or NULL: not all of them are inside. */
void *pe_at(const struct pe_image *im, uint64_t rva, uint64_t len) MUST;
/* A text that ends inside the image, or NULL. */
const char *pe_text(const struct pe_image *im, uint64_t rva) MUST;

/* Move what the table of relocations names by im->at - pe->base. -EINVAL, -ENOTSUP. */
int pe_relocate(const struct pe_image *im, struct lodge_err *e) MUST;

/* ---- what it takes from others ---- */
struct pe_imports {
	const struct pe_image *im;
	bool delayed;
	uint32_t next;         /* private: descriptor */
	uint32_t names, slots; /* private: of the library */
	const char *library;
};
struct pe_import {
	const char *name; /* NULL: by ordinal */
	uint16_t ordinal, hint;
	uint8_t *slot; /* where its address goes; ld aligns it to 4 bytes only */
};
void pe_imports_begin(struct pe_imports *w, const struct pe_image *im, bool delayed);
/* 1: w->library is the next one; 0: there is none; -EINVAL. */
int pe_imports_library(struct pe_imports *w, struct lodge_err *e) MUST;
/* 1: *ret is the next of this library; 0: there is none; -EINVAL. */
int pe_imports_next(struct pe_imports *w, struct pe_import *ret, struct lodge_err *e) MUST;

/* Does a file import from the library @dll ("crypt32.dll"), delayed or not? Without the image. */
bool pe_file_imports(const struct pe *p, const uint8_t *file, uint64_t len, const char *dll) MUST;
/* The same way: of each function that it takes, delayed or not, @fn is told the library and the
 * name (NULL: it goes by a number), until it says false. False: it has; or not all is where files
 * have it; or there are more than PE_FILE_IMPORTS, in whatever order a damaged file has them. */
enum { PE_FILE_IMPORTS = 4096 };
typedef bool pe_import_fn(void *arg, const char *dll, const char *name);
bool pe_file_imports_all(const struct pe *p, const uint8_t *file, uint64_t len, pe_import_fn *fn,
			 void *arg) MUST;

/* ---- what it gives ---- */
/* Find @name, or (NULL) @ordinal. 0: *ret_rva is its place; or *ret_forward, "LIBRARY.name", is
 * where it is (else NULL). -ENOENT: no such export. */
int pe_export(const struct pe_image *im, const char *name, uint32_t ordinal, uint32_t *ret_rva,
	      const char **ret_forward) MUST;

/* ---- what else is in it, by kind, name and language ---- */
/* A kind, name or language: a number, or (text) units of UTF-16 in the image. */
struct pe_key {
	uint32_t number;
	const uint8_t *text; /* NULL: by number */
	uint32_t units;
};
struct pe_resource {
	uint32_t rva, len; /* inside the image */
};
/* The key of the @i'th entry of the folder @folder (0: of kinds), and in *ret_at the folder below
 * it or, of a language, what pe_resource_data takes. -ENOENT: there are not so many, or it is
 * damaged. */
int pe_resource_entry(const struct pe_image *im, uint32_t folder, uint32_t i, struct pe_key *ret,
		      uint32_t *ret_at) MUST;
int pe_resource_data(const struct pe_image *im, uint32_t at, struct pe_resource *ret) MUST;

/* ---- memory of each thread ---- */
struct pe_tls {
	const uint8_t *data; /* in the image; what each thread begins with */
	uint64_t len, zeros;
	uint32_t *index;    /* in the image */
	uint32_t callbacks; /* RVA of addresses, 0-terminated; 0: none */
};
/* 1: there is one; 0: none; -EINVAL. After pe_relocate: its fields are addresses. */
int pe_tls(const struct pe_image *im, struct pe_tls *ret, struct lodge_err *e) MUST;
/* The @i'th callback's RVA; 0: past the last, or outside of the image. */
uint32_t pe_tls_callback(const struct pe_image *im, const struct pe_tls *t, unsigned i);

/* ---- unwinding ---- */
struct pe_function {
	uint32_t begin, end, unwind; /* RVAs */
};
/* The one that @rva is in, or NULL. */
const struct pe_function *pe_function_at(const struct pe_image *im, uint32_t rva);
