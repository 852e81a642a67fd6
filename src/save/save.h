/* SPDX-License-Identifier: Apache-2.0 */
/* save: what a stopped guest is written to. A state file holds all but memory as named sections,
 * each with its checksum; a RAM file holds memory, page for page, so that it can be mapped.
 * Both are described in lodge-state(5). Knows no level, device or processor. */
#pragma once
#include "base/base.h"
#include "mem/mem.h"

enum {
	SAVE_VERSION = 2,         /* of both files; a reader takes this and older ones */
	SAVE_NAME_MAX = 39,       /* bytes of a section's name */
	SAVE_SECTIONS_MAX = 512,
	SAVE_BYTES_MAX = 16 << 20, /* of a state file */
};

/* ---- writing a state file: first in memory, since it is small ---- */
struct save_out;
/* @level: whose state it is, at most 31 bytes. */
int save_out_new(struct save_out **ret, const char *level, struct lodge_err *e) MUST;
void save_out_free(struct save_out *o); /* NULL is fine */
/* Begin section @name (unique) of @len bytes and lend its zeroed bytes until the next call. NULL:
 * no memory, or too much; save_out_bytes will say so. */
uint8_t *save_out_section(struct save_out *o, const char *name, size_t len) MUST;
/* A section that is a table's fields of @obj. */
void save_out_fields(struct save_out *o, const char *name, const struct state_field *t,
                     const void *obj);
/* All sections of the state file @fd, checked, with @prefix before their names. Errors: E2BIG, and
 * those of save_in_parse. */
int save_out_copy(struct save_out *o, int fd, const char *prefix, struct lodge_err *e) MUST;
/* Seal it and lend the whole file's bytes. Errors: ENOMEM, E2BIG of what came before. */
int save_out_bytes(struct save_out *o, const uint8_t **ret, size_t *ret_len,
                   struct lodge_err *e) MUST;
/* The same into the new file @name below @dirfd, durably. */
int save_out_file(struct save_out *o, int dirfd, const char *name, struct lodge_err *e) MUST;

/* ---- reading one ---- */
struct save_in {
	const uint8_t *buf;       /* owned when it came from a file */
	size_t len;
	char level[32];
	unsigned nsections;
	struct { const char *name; const uint8_t *p; size_t len; } section[SAVE_SECTIONS_MAX];
};
/* Check every byte of @buf (borrowed while @ret is used). -EINVAL: damaged, or of a version that
 * is not known here, with the reason. */
int save_in_parse(struct save_in *ret, const uint8_t *buf, size_t len, struct lodge_err *e) MUST;
/* The same of bytes of its own, which are a copy of @in's; save_in_fini frees them. ENOMEM. */
int save_in_copy(struct save_in *ret, const struct save_in *in, struct lodge_err *e) MUST;
/* The same of a file; save_in_fini frees it. */
int save_in_file(struct save_in *ret, int dirfd, const char *name, struct lodge_err *e) MUST;
void save_in_fini(struct save_in *s);
/* The bytes of a section; NULL: there is none of that name. */
const uint8_t *save_in_find(const struct save_in *s, const char *name, size_t *ret_len) MUST;
/* Load a section into @obj by @t. Errors: ENOENT: there is none; EINVAL: it does not fit. */
int save_in_fields(const struct save_in *s, const char *name, const struct state_field *t,
                   void *obj, struct lodge_err *e) MUST;

/* ---- the RAM file ---- */
/* Write @m, whose guest stands still, to the new file @name below @dirfd, durably: pages of zeroes
 * become holes. @id ties it to its state file. *ret_bytes: how much was written. */
int save_ram(struct mem *m, int dirfd, const char *name, uint64_t id, uint64_t *ret_bytes,
             struct lodge_err *e) MUST;
/* Let @m begin with what the RAM file @name holds: its pages are read when they are touched, and
 * never written back. The file may be deleted afterwards, not changed.
 *   errors  EINVAL: damaged, cut short, of another size than @m, or of another state than @id */
int load_ram(struct mem *m, int dirfd, const char *name, uint64_t id, struct lodge_err *e) MUST;
/* How much memory the RAM file @name holds. */
int save_ram_size(int dirfd, const char *name, uint64_t *ret_bytes, struct lodge_err *e) MUST;
/* Compare every page of the RAM file with its checksums. -EIO: it is damaged. */
int check_ram(int dirfd, const char *name, struct lodge_err *e) MUST;

/* ---- a guest as a stream of frames (lodge-stream(5)): migration, backup ---- */
enum frame_type {
	FRAME_HELLO = 1,          /* index: version of the format; JSON: what comes */
	FRAME_FILE,               /* of file index, from byte at on */
	FRAME_DISK, FRAME_DISK_ZERO, /* of disk index; ZERO: 8 bytes, how many */
	FRAME_RAM, FRAME_RAM_ZERO,
	FRAME_SYNC,               /* make it durable, and say so */
	FRAME_STATE,              /* of the state file, from byte at on */
	FRAME_END, FRAME_COMMIT,
	FRAME_INDEX,              /* in backups: what pieces were, from piece at on */
	FRAME_ACCEPT = 64, FRAME_SYNCED, FRAME_READY, FRAME_STARTED, /* answers */
	FRAME_ERROR               /* either side: index an errno, the reason as text */
};
enum { FRAME_MAX = 1 << 20, STREAM_VERSION = 1 };
struct wire_frame {
	uint32_t type, index, len;
	uint64_t at;
	const uint8_t *p;         /* received: valid until the next one */
};
struct wire {
	int in, out;              /* borrowed; may be the same; -1: this way nothing goes */
	int leash;                /* borrowed: readable or closed ends every wait; -1 */
	unsigned patience_ms;     /* without a byte moving */
	bool told;                /* the other side has said what went wrong */
	uint64_t sent;            /* bytes */
	uint8_t *buf;             /* owned */
};
/* Descriptors other than files are made non-blocking. wire_fini accepts the half-built. */
int wire_init(struct wire *w, int in, int out, struct lodge_err *e) MUST;
void wire_fini(struct wire *w);
/* Errors: ETIMEDOUT, ECANCELED (the leash), EPIPE and ECONNRESET: it broke; EINVAL: damaged; or
 * what the other side says. Thread: one at a time. SIGPIPE must be ignored where @out is a pipe. */
int wire_send(struct wire *w, const struct wire_frame *f, struct lodge_err *e) MUST;
int wire_receive(struct wire *w, struct wire_frame *ret, struct lodge_err *e) MUST;
/* Read on until the other side hangs up, or says nothing more. */
void wire_drain(struct wire *w);
/* The next one must be of this type. */
int wire_expect(struct wire *w, enum frame_type type, struct lodge_err *e) MUST;
/* Tell the other side, if it listens. */
void wire_fail(struct wire *w, const struct lodge_err *why);

/* ---- from a stream: each piece is held against what was announced ---- */
enum { STREAM_DISKS_MAX = 64 };
struct incoming {
	struct wire *w;              /* borrowed */
	struct mem *mem;             /* borrowed; NULL: none is expected, or fit */
	/* NULL, or: make mem, by the state, which is whole when memory or the end comes. */
	int (*fit)(void *user, struct incoming *in, struct lodge_err *e);
	void *user;
	struct incoming_disk {
		int fd;              /* owned */
		uint64_t size;
		bool dirty;
	} disk[STREAM_DISKS_MAX];
	size_t ndisks;
	uint8_t *state;              /* owned: the state file */
	size_t state_len;
	bool paused;                 /* the guest is, at its source */
};
/* Until FRAME_END. Errors: the stream's; EINVAL: a piece that does not belong there. */
int incoming_run(struct incoming *in, struct lodge_err *e) MUST;
int incoming_sync(struct incoming *in, struct lodge_err *e) MUST; /* disks are durable */
void incoming_fini(struct incoming *in);

/* ---- onto a stream ---- */
struct outgoing {
	struct wire *w;              /* borrowed */
	struct mem *mem;             /* borrowed; NULL: memory is not sent */
	size_t ndisks;
	uint64_t size[STREAM_DISKS_MAX];
	/* Of disk @i: 0 or -errno; the first part from @from on to be sent, as blk_track_next */
	int (*read)(void *user, size_t i, uint64_t off, void *buf, size_t len);
	bool (*next)(void *user, size_t i, uint64_t from, uint64_t max, uint64_t *ret_off,
	             uint64_t *ret_len);
	void *user;
	bool fresh;
	uint8_t *buf;                /* owned */
};
int outgoing_init(struct outgoing *o, struct wire *w, struct lodge_err *e) MUST;
void outgoing_fini(struct outgoing *o);
int outgoing_file(struct outgoing *o, unsigned index, const char *path, uint64_t size,
                  struct lodge_err *e) MUST;
/* All that is not zero, for a receiver whose memory is; the frames whose bits are set, which are
 * cleared. */
int outgoing_ram_all(struct outgoing *o, struct lodge_err *e) MUST;
int outgoing_ram_written(struct outgoing *o, uint64_t *bits, struct lodge_err *e) MUST;
/* What o->next names. @fresh: the receiver's disk is all zeroes. */
int outgoing_disk(struct outgoing *o, size_t i, bool fresh, struct lodge_err *e) MUST;
int outgoing_state(struct outgoing *o, const uint8_t *p, size_t len, struct lodge_err *e) MUST;
int outgoing_word(struct outgoing *o, enum frame_type type, struct lodge_err *e) MUST;
