/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of blk share: a folder of their own, and random operations on a disk beside the
 * same operations on plain memory. */
#pragma once
#include "blk/blk.h"
#include "test/test.h"

char *disk_dir(void);                                  /* a new empty folder; owned */
void disk_dir_free(char *dir);                         /* removes it with its files */
const char *disk_path(const char *dir, const char *name); /* one of a few rotating buffers */
bool disk_file(const char *path, const void *data, size_t len); /* write a whole file */
uint32_t disk_random(uint32_t *seed);
/* @rounds operations on the calling thread; reads are compared at once. 0, or the number of the
 * operation that went wrong. */
unsigned disk_churn(struct blk *b, uint8_t *model, unsigned rounds, uint32_t seed);
/* The same through blk_submit, many in flight at once on ranges that do not overlap; runs @l. */
unsigned disk_churn_async(struct blk *b, struct loop *l, uint8_t *model, unsigned rounds,
                          uint32_t seed);
bool disk_equals(struct blk *b, const uint8_t *model);
/* Run qemu-img or qemu-io quietly; -1: not installed, else the exit code. */
int disk_qemu(const char *fmt, ...) PRINTF(1, 2);
