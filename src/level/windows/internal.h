/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the level share. */
#pragma once
#include "life/life.h"
#include "pe/pe.h"
#include "win/win.h"

/* The program @path, mapped for good, and its headers, if it may be run. -ENOENT, -ENOEXEC, ... */
int windows_open(const char *path, const uint8_t **ret_file, uint64_t *ret_len, struct pe *ret_head,
		 struct lodge_err *e) MUST;
int windows_explain(const struct lodge_config *c, char **ret, struct lodge_err *e) MUST;
