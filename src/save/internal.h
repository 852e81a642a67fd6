/* SPDX-License-Identifier: Apache-2.0 */
/* save, inside: where things stand in the files (lodge-state(5)). Numbers are little-endian. */
#pragma once
#include "host/host.h"
#include "save/save.h"

static const char file_magic[8] = { 'L', 'O', 'D', 'G', 'E', 'S', 'T', 'A' };
static const char ram_magic[8] = { 'L', 'O', 'D', 'G', 'E', 'R', 'A', 'M' };

enum {
	FILE_ALIGN = 8,           /* sections begin at multiples; what is between is zero */
	FILE_VERSION = 8, FILE_CRC = 12, FILE_LEN = 16, FILE_SECTIONS = 24, FILE_ZERO = 28,
	FILE_LEVEL = 32, FILE_LEVEL_MAX = 32, FILE_HEAD = 64,

	SECTION_LEN = 40, SECTION_CRC = 48, SECTION_HEAD_CRC = 52, SECTION_HEAD = 56,

	/* behind memory: a checksum for each piece, in whole pages; then one page, the last */
	RAM_VERSION = 8, RAM_CRC = 12, RAM_SIZE = 16, RAM_ID = 24, RAM_SUMS_CRC = 32,
	RAM_HEAD = 4096,
	RAM_PIECE = 2 << 20,      /* bytes that one checksum is of */
};

/* Of a header with its checksum taken as zero. */
uint32_t save_head_crc(const uint8_t *head);
