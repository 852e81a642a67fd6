/* SPDX-License-Identifier: Apache-2.0 */
/* Between folder.c, listing.c and nt_info.c: what files and the entries of folders are. */
#pragma once
#include "win/internal.h"
#include <sys/stat.h>

/* FILE_INFORMATION_CLASS, of those that list. */
enum {
	LIST_DIRECTORY = 1,
	LIST_FULL = 2,
	LIST_BOTH = 3,
	LIST_NAMES = 12,
	LIST_ID_BOTH = 37,
	LIST_ID_FULL = 38
};
uint32_t file_attributes(const struct stat *st);
uint64_t filetime_ts(const struct timespec *t);
/* 0 and UINT64_MAX: it stays as it is (UTIME_OMIT). */
struct timespec filetime_timespec(const uint64_t *t);
/* *, ? and their like of DOS, without regard to case. */
bool name_matches(const char *pattern, const char *name);
uint32_t attributes_set(const char *host, uint32_t a); /* as SetFileAttributes */
/* @in: FILE_RENAME_INFORMATION. As SetFileInformationByHandle. */
uint32_t file_rename(struct file *f, const uint8_t *in);
/* As many entries of the folder @f as there is room for, as GetFileInformationByHandleEx. @again:
 * from the first one on. */
uint32_t entries_give(struct file *f, uint8_t *out, uint32_t n, bool again, uint32_t class);
