/* SPDX-License-Identifier: Apache-2.0 */
/* Memory, disks, files and state of a guest as they go out on a stream. */
#include "save/internal.h"
#include <fcntl.h>

enum { RAM_RUN = 256 << 10 };

static int zero_send(struct wire *w, unsigned type, uint32_t index, uint64_t at, uint64_t len,
                     struct lodge_err *e)
{
	uint8_t n[8];
	le64_put(n, len);
	struct wire_frame f = { .type = type, .index = index, .at = at, .p = n, .len = sizeof n };
	return wire_send(w, &f, e);
}

/* ---- memory ---- */

/* Pages [@from, @to) in bytes, as they are now. @fresh: zeroes need not be said. A page may change
 * under our hands: then it is written, and sent again. */
static int ram_run(struct outgoing *o, uint64_t from, uint64_t to, struct lodge_err *e)
{
	const uint8_t *ram = mem_host(o->mem);
	int r = 0;
	while (r == 0 && from < to) {
		uint64_t at = from;
		while (at < to && is_zero(ram + at, MEM_FRAME))
			at += MEM_FRAME;
		if (at > from && !o->fresh)
			r = zero_send(o->w, FRAME_RAM_ZERO, 0, from, at - from, e);
		from = at;
		while (at < to && at - from < RAM_RUN && !is_zero(ram + at, MEM_FRAME))
			at += MEM_FRAME;
		if (r < 0 || at == from)
			continue;
		/* copied first: what is summed up must be what is sent */
		memcpy(o->buf, ram + from, at - from);
		struct wire_frame f = { .type = FRAME_RAM, .at = from, .p = o->buf,
			.len = (uint32_t)(at - from) };
		r = wire_send(o->w, &f, e);
		from = at;
	}
	return r;
}

int outgoing_ram_all(struct outgoing *o, struct lodge_err *e)
{
	uint64_t from, to;
	int r = 0;
	o->fresh = true;
	for (uint64_t at = 0;
	     r == 0 && mem_data_next(o->mem, at, mem_size(o->mem), &from, &to); at = to)
		r = ram_run(o, from, to, e);
	o->fresh = false;
	return r;
}

int outgoing_ram_written(struct outgoing *o, uint64_t *bits, struct lodge_err *e)
{
	uint64_t n = mem_size(o->mem) / MEM_FRAME;
	int r = 0;
	for (uint64_t i = 0; r == 0 && i < n;) {
		uint64_t from = i;
		if (!(bits[i / 64] >> i % 64)) {
			i = (i / 64 + 1) * 64;
			continue;
		}
		for (; i < n && bits[i / 64] >> i % 64 & 1; i++)
			bits[i / 64] &= ~(UINT64_C(1) << i % 64);
		if (i > from)
			r = ram_run(o, from * MEM_FRAME, i * MEM_FRAME, e);
		else
			i++;
	}
	return r;
}

/* ---- disks ---- */

static int disk_piece(struct outgoing *o, size_t i, uint64_t at, uint64_t len, bool fresh,
                      struct lodge_err *e)
{
	int r = o->read(o->user, i, at, o->buf, len);
	if (r < 0)
		return err_set(e, -r, "disk %zu cannot be read at %llu: %s", i,
		               (unsigned long long)at, strerror(-r));
	if (is_zero(o->buf, len))
		return fresh ? 0 : zero_send(o->w, FRAME_DISK_ZERO, (uint32_t)i, at, len, e);
	struct wire_frame f = { .type = FRAME_DISK, .index = (uint32_t)i, .at = at, .p = o->buf,
		.len = (uint32_t)len };
	return wire_send(o->w, &f, e);
}

int outgoing_disk(struct outgoing *o, size_t i, bool fresh, struct lodge_err *e)
{
	uint64_t at = 0, off, len;
	int r = 0;
	while (r == 0 && o->next(o->user, i, at, FRAME_MAX, &off, &len)) {
		/* in parts: holes lie between */
		for (uint64_t n; r == 0 && len; off += n, len -= n) {
			n = min_u64(len, 64 << 10);
			r = disk_piece(o, i, off, n, fresh, e);
		}
		at = off;
	}
	return r;
}

/* ---- state, files, words ---- */

int outgoing_state(struct outgoing *o, const uint8_t *p, size_t len, struct lodge_err *e)
{
	int r = 0;
	for (size_t at = 0; r == 0 && at < len; at += FRAME_MAX) {
		struct wire_frame f = { .type = FRAME_STATE, .at = at, .p = p + at,
			.len = (uint32_t)min_u64(FRAME_MAX, len - at) };
		r = wire_send(o->w, &f, e);
	}
	return r;
}

int outgoing_file(struct outgoing *o, unsigned index, const char *path, uint64_t size,
                  struct lodge_err *e)
{
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	int r = fd < 0 ? err_sys(e, "%s", path) : 0;
	for (uint64_t at = 0, n; r == 0 && at < size; at += n) {
		n = min_u64(FRAME_MAX, size - at);
		struct wire_frame f = { .type = FRAME_FILE, .index = index, .at = at, .p = o->buf,
			.len = (uint32_t)n };
		r = host_pread(fd, o->buf, n, at) ? wire_send(o->w, &f, e)
						  : err_sys(e, "reading %s", path);
	}
	return r;
}

int outgoing_word(struct outgoing *o, enum frame_type type, struct lodge_err *e)
{
	struct wire_frame f = { .type = type };
	return wire_send(o->w, &f, e);
}

int outgoing_init(struct outgoing *o, struct wire *w, struct lodge_err *e)
{
	*o = (struct outgoing){ .w = w, .buf = malloc(FRAME_MAX) };
	return o->buf ? 0 : err_set(e, ENOMEM, "out of memory");
}

void outgoing_fini(struct outgoing *o) { free(take(o->buf)); }
