/* SPDX-License-Identifier: Apache-2.0 */
/* mem, inside: what a machine's RAM is made of. */
#pragma once
#include "mem/mem.h"

struct mem {
	uint8_t *host;
	uint64_t base, bytes;
	int fd; /* owned: the memory file, or the file that private memory began with */
	bool private;
	uint16_t *watch; /* owned mapping: of each frame, a bit per watcher */
	uint64_t logged; /* atomic: entries ever put into the log */
	/* atomic: the low half of the entry's number, from 1, above the number of the frame */
	uint64_t log[MEM_LOG];
};

/* Let [@from, @to), offsets in private RAM, be zero and take no memory. */
bool private_release(struct mem *m, uint64_t from, uint64_t to) MUST;
uint64_t private_resident(const struct mem *m);
