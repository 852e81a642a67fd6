/* SPDX-License-Identifier: Apache-2.0 */
/* mem, inside: what a machine's RAM is made of. */
#pragma once
#include "mem/mem.h"

struct mem {
	uint8_t *host;
	uint64_t base, bytes;
	int fd; /* owned: the memory file, or the file that private memory began with */
	bool private;
	unsigned shape;       /* counts changes of what mem_fd says */
	struct aside *aside;  /* owned: the mapping before this one, until mem_tidy; NULL */
	struct track *track;  /* owned; NULL: nobody asks what is written */
	uint64_t *settling;   /* owned: frames to be copied; NULL: RAM stays what it is */
	bool settle_all;      /* nothing is copied yet */
	bool settle_stop;     /* atomic: give up */
	uint8_t *released;    /* owned: frames of private RAM that show no file; NULL: none */
	uint16_t *watch; /* owned mapping: of each frame, a bit per watcher */
	uint64_t logged; /* atomic: entries ever put into the log */
	/* atomic: the low half of the entry's number, from 1, above the number of the frame */
	uint64_t log[MEM_LOG];
};

/* Let [@from, @to), offsets in private RAM, be zero and take no memory. */
bool private_release(struct mem *m, uint64_t from, uint64_t to) MUST;
uint64_t private_resident(const struct mem *m);
/* The first frames of [@from, @end) that are copies; what cannot be known may be one. The first
 * part of the file's data. False: there is none. */
bool private_copies_next(const struct mem *m, uint64_t from, uint64_t end, uint64_t *ret_from,
                         uint64_t *ret_to);
bool private_file_next(const struct mem *m, uint64_t from, uint64_t end, uint64_t *ret_from,
                       uint64_t *ret_to);
/* Let RAM be a mapping (MAP_SHARED, MAP_PRIVATE) of the file *@fd, which is owned from now on. */
int mem_remap(struct mem *m, int *fd, int how, struct lodge_err *e) MUST;

/* track.c: [@from, @to) in frames, or offsets of a mapping that is new there. */
void track_note(struct mem *m, uint64_t from, uint64_t to);
bool track_register(struct mem *m, uint64_t from, uint64_t to) MUST;
/* Move RAM's pages to @to, and end the tracking. *ret_uffd, owned by the caller, is to be closed
 * when they are gone: closing it looks at every one. False: all is as before. */
bool track_move(struct mem *m, void *to, int *ret_uffd) MUST;
