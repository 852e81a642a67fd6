/* SPDX-License-Identifier: Apache-2.0 */
/* Between file.c, nt_file.c and pipe.c: what pipes do otherwise than files. */
#pragma once
#include "win/internal.h"

/* Is @path the name of a pipe, \\.\pipe\NAME? Its NAME; NULL: no. */
const char *pipe_path(const char *path);
/* The client's end of it, as CreateFile. */
handle pipe_open(const char *name, uint32_t access, uint32_t flags, bool inherit);
/* Waits until there is something to read: 0, -EPIPE (nobody writes any more), -ECANCELED. */
int pipe_await(const struct file *f);
/* ReadFile and WriteFile with an OVERLAPPED, of a pipe or socket that was opened so. */
uint32_t pipe_overlapped(struct file *f, void *buf, uint32_t n, uint32_t *ret_n,
			 struct overlapped *o, bool write);
