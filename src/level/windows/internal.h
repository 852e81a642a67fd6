/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the level share. */
#pragma once
#include "life/life.h"
#include "pe/pe.h"
#include "win/win.h"

/* The program @path, mapped for good, and its headers, if it may be run. -ENOENT, -ENOEXEC, ... */
int windows_open(const char *path, const uint8_t **ret_file, uint64_t *ret_len, struct pe *ret_head,
		 struct lodge_err *e) MUST;
/* What is kept of it from run to run, into *ret, or nothing: then it is from the next run on.
 * Before the process is confined, or has threads. */
void image_cache_map(struct win_image *ret, const char *path, const struct pe *head,
		     const uint8_t *file, uint64_t len);
int windows_explain(const struct lodge_config *c, char **ret, struct lodge_err *e) MUST;
