/* SPDX-License-Identifier: Apache-2.0 */
/* Memory, disks and state of a guest as they come in on a stream. Whoever sends may be anybody:
 * each piece is held against what was announced. */
#include "save/internal.h"
#include <fcntl.h>

static int out_of_place(const struct wire_frame *f, const char *what, struct lodge_err *e)
{
	return err_set(e, EINVAL, "the stream has %u bytes of %s at %llu, where there is none",
	               f->len, what, (unsigned long long)f->at);
}

/* The @len bytes that a frame is about; a ZERO frame says how many. */
static bool frame_range(const struct wire_frame *f, bool zero, uint64_t size, uint64_t unit,
                        uint64_t *ret_len)
{
	uint64_t len = !zero ? f->len : f->len == 8 ? le64_at(f->p) : 0;
	*ret_len = len;
	return len && f->at % unit == 0 && len % unit == 0 && f->at <= size && len <= size - f->at;
}

/* What comes next needs memory, or is the end. */
static int incoming_fit(struct incoming *in, struct lodge_err *e)
{
	return in->mem || !in->fit ? 0 : in->fit(in->user, in, e);
}

static int incoming_ram(struct incoming *in, const struct wire_frame *f, struct lodge_err *e)
{
	bool zero = f->type == FRAME_RAM_ZERO;
	uint64_t len;
	int r = incoming_fit(in, e);
	if (r < 0)
		return r;
	if (!in->mem || !frame_range(f, zero, mem_size(in->mem), MEM_FRAME, &len))
		return out_of_place(f, "memory", e);
	struct gpa at = gpa(mem_base(in->mem).a + f->at);
	if (zero ? mem_release(in->mem, at, len) != len : !mem_write(in->mem, at, f->p, len))
		return err_set(e, EIO, "memory cannot be filled");
	return 0;
}

static int incoming_disk(struct incoming *in, const struct wire_frame *f, struct lodge_err *e)
{
	bool zero = f->type == FRAME_DISK_ZERO;
	uint64_t len;
	if (f->index >= in->ndisks || !frame_range(f, zero, in->disk[f->index].size, 512, &len))
		return out_of_place(f, "a disk", e);
	struct incoming_disk *d = &in->disk[f->index];
	d->dirty = true;
	if (zero ? fallocate(d->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)f->at,
	                     (off_t)len) < 0
	         : !host_pwrite(d->fd, f->p, len, f->at))
		return err_sys(e, "writing disk %u", f->index);
	return 0;
}

static int incoming_state(struct incoming *in, const struct wire_frame *f, struct lodge_err *e)
{
	bool late = in->fit && in->mem; /* memory was made by it */
	if (late || f->at != in->state_len || !f->len || f->len > SAVE_BYTES_MAX - in->state_len)
		return out_of_place(f, "state", e);
	uint8_t *bigger = realloc(in->state, in->state_len + f->len);
	if (!bigger)
		return err_set(e, ENOMEM, "out of memory");
	memcpy(bigger + in->state_len, f->p, f->len);
	in->state = bigger;
	in->state_len += f->len;
	return 0;
}

int incoming_sync(struct incoming *in, struct lodge_err *e)
{
	for (size_t i = 0; i < in->ndisks; i++) {
		if (in->disk[i].dirty && fdatasync(in->disk[i].fd) < 0)
			return err_sys(e, "writing disk %zu", i);
		in->disk[i].dirty = false;
	}
	return 0;
}

static int incoming_synced(struct incoming *in, struct lodge_err *e)
{
	struct wire_frame answer = { .type = FRAME_SYNCED };
	int r = incoming_sync(in, e);
	return r < 0 || in->w->out < 0 ? r : wire_send(in->w, &answer, e);
}

int incoming_run(struct incoming *in, struct lodge_err *e)
{
	struct wire_frame f;
	int r;
	while ((r = wire_receive(in->w, &f, e)) == 0) {
		switch (f.type) {
		case FRAME_RAM:
		case FRAME_RAM_ZERO: r = incoming_ram(in, &f, e); break;
		case FRAME_DISK:
		case FRAME_DISK_ZERO: r = incoming_disk(in, &f, e); break;
		case FRAME_STATE: r = incoming_state(in, &f, e); break;
		case FRAME_INDEX: break; /* for the next backup */
		case FRAME_SYNC: r = incoming_synced(in, e); break;
		case FRAME_END:
			in->paused = f.index;
			r = incoming_fit(in, e);
			return r < 0 ? r : incoming_sync(in, e);
		default: r = err_set(e, EINVAL, "the stream has a piece of kind %u", f.type);
		}
		if (r < 0)
			return r;
	}
	return r;
}

void incoming_fini(struct incoming *in)
{
	for (size_t i = 0; i < in->ndisks; i++)
		if (in->disk[i].fd >= 0)
			close(in->disk[i].fd);
	free(take(in->state));
}
