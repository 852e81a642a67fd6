/* SPDX-License-Identifier: Apache-2.0 */
/* Files as ntdll has them: statuses, and an IO_STATUS_BLOCK. And those of kernel32 that tell of
 * their end by a call. */
#include "win/pipe.h"

struct io_status {
	uint64_t status, n;
};
static const int64_t AT_END = -1, AT_POINTER = -2;

static uint32_t end_status(const struct file *f, int64_t r, uint32_t n)
{
	if (r < 0 && r != -EPIPE)
		return status_of((int)-r);
	if (r > 0 || (r == 0 && (!n || f->console || pipe_has_messages(f))))
		return STATUS_SUCCESS;
	return r < 0 || f->pipe ? STATUS_PIPE_BROKEN : STATUS_END_OF_FILE;
}

static void event_reset(handle event, int64_t count)
{
	struct object *o = event ? object_get(event, KIND_EVENT) : NULL;
	if (o)
		wait_signal(o, count);
	object_unref(o);
}

/* What both do around the transfer; done at once, whatever the file was opened as. */
static uint32_t transfer_told(struct file *f, struct io_status *io, uint32_t status, int64_t r,
			      handle event, uint64_t fn, uint64_t arg)
{
	io->status = status;
	io->n = r > 0 ? (uint64_t)r : 0;
	event_reset(event, 1);
	if (fn)
		apc_queue(thread_self(), fn, arg, (uint64_t)(uintptr_t)io, 0);
	object_unref(&f->o);
	return status;
}

API(uint32_t, nt_NtReadFile, handle h, handle event, uint64_t fn, uint64_t arg,
    struct io_status *io, void *buf, uint32_t n, const int64_t *at, const uint32_t *key)
{
	struct file *f = object_get(h, KIND_FILE);
	(void)key;
	if (!f)
		return STATUS_INVALID_HANDLE;
	int64_t from = at && *at != AT_POINTER ? *at : -1;
	event_reset(event, 0);
	bool more = false;
	int64_t r = f->folder              ? -EINVAL
		    : f->nowait            ? pipe_read_now(f, buf, n, &more)
		    : pipe_has_messages(f) ? message_read(f, buf, n, &more)
					   : io_read(f, buf, n, from);
	if (from >= 0 && r > 0)
		io_seek(f, from + r);
	uint32_t status = more ? STATUS_BUFFER_OVERFLOW : end_status(f, r, n);
	return transfer_told(f, io, status, r, event, fn, arg);
}

API(uint32_t, nt_NtWriteFile, handle h, handle event, uint64_t fn, uint64_t arg,
    struct io_status *io, const void *buf, uint32_t n, const int64_t *at, const uint32_t *key)
{
	struct file *f = object_get(h, KIND_FILE);
	(void)key;
	if (!f)
		return STATUS_INVALID_HANDLE;
	int64_t from = at && *at != AT_POINTER ? *at : -1;
	event_reset(event, 0);
	if (at && *at == AT_END)
		from = io_end(f);
	int64_t r = io_write(f, buf, n, from);
	if (from >= 0 && r > 0)
		io_seek(f, from + r);
	return transfer_told(f, io, r < 0 ? status_of((int)-r) : STATUS_SUCCESS, r, event, fn, arg);
}

/* ---- with a call at the end, which comes when the thread waits and lets itself be called ---- */

static uint32_t call_later(struct file *f, struct overlapped *o, uint64_t fn, int64_t r,
			   uint32_t status)
{
	uint32_t error = error_of_status(status);
	o->status = status;
	o->n = r > 0 ? (uint64_t)r : 0;
	object_unref(&f->o);
	if (status && status != STATUS_END_OF_FILE)
		return fail(error);
	apc_queue(thread_self(), fn, error, o->n, (uint64_t)(uintptr_t)o);
	last_error_set(ERROR_SUCCESS);
	return 1;
}

/* 1: it is done, or begun; 0: last error set. */
static uint32_t pipe_call(struct file *f, void *buf, uint32_t n, struct overlapped *o, uint64_t fn,
			  bool write)
{
	uint32_t listens = pipe_listens(f);
	uint32_t ok = listens ? fail(listens) : pipe_overlapped(f, buf, n, NULL, o, write, fn);
	object_unref(&f->o);
	return ok;
}

API(uint32_t, k32_ReadFileEx, handle h, void *buf, uint32_t n, struct overlapped *o, uint64_t fn)
{
	struct file *f = object_get(h, KIND_FILE);
	if (!f)
		return 0;
	if (f->overlapped && (f->end || f->socket))
		return pipe_call(f, buf, n, o, fn, false);
	int64_t r = io_read(f, buf, n, (int64_t)((uint64_t)o->at_high << 32 | o->at_low));
	return call_later(f, o, fn, r, end_status(f, r, n));
}

API(uint32_t, k32_WriteFileEx, handle h, const void *buf, uint32_t n, struct overlapped *o,
    uint64_t fn)
{
	struct file *f = object_get(h, KIND_FILE);
	if (!f)
		return 0;
	if (f->overlapped && (f->end || f->socket))
		return pipe_call(f, (void *)(uintptr_t)buf, n, o, fn, true);
	int64_t r = io_write(f, buf, n, (int64_t)((uint64_t)o->at_high << 32 | o->at_low));
	return call_later(f, o, fn, r, r < 0 ? status_of((int)-r) : STATUS_SUCCESS);
}
