/* SPDX-License-Identifier: Apache-2.0 */
/* Errors: of Linux, of Win32, of NT. */
#include "win/internal.h"

/* Threads that are none of the guest's have no last error. */
void last_error_set(uint32_t code)
{
	if (thread_self())
		le32_put(thread_self()->teb + TEB_LAST_ERROR, code);
}
uint32_t last_error(void) { return le32_at(thread_self()->teb + TEB_LAST_ERROR); }

uint32_t fail(uint32_t code)
{
	last_error_set(code);
	return 0;
}

static const struct {
	int err;
	uint32_t error, status;
} rows[] = {
#define ERRNO(n, error, status) {n, error, status},
#include "win/error.def"
};

uint32_t error_of(int n)
{
	for (size_t i = 0; i < countof(rows); i++)
		if (rows[i].err == n)
			return rows[i].error;
	return ERROR_NOT_SUPPORTED;
}

uint32_t status_of(int n)
{
	for (size_t i = 0; i < countof(rows); i++)
		if (rows[i].err == n)
			return rows[i].status;
	return STATUS_UNSUCCESSFUL;
}

uint32_t fail_errno(void) { return fail(error_of(errno)); }

uint32_t error_of_status(uint32_t status)
{
	static const struct {
		uint32_t status, error;
	} more[] = {
	    {STATUS_SUCCESS, ERROR_SUCCESS},
	    {STATUS_END_OF_FILE, ERROR_HANDLE_EOF},
	    {STATUS_NO_SUCH_FILE, ERROR_FILE_NOT_FOUND},
	    {STATUS_PENDING, ERROR_IO_PENDING},
	    {STATUS_NO_MORE_FILES, ERROR_NO_MORE_FILES},
	    {STATUS_PIPE_BROKEN, ERROR_BROKEN_PIPE},
	    {STATUS_NOT_A_DIRECTORY, ERROR_DIRECTORY},
	    {STATUS_TIMEOUT, ERROR_TIMEOUT},
	    {STATUS_CANCELLED, ERROR_OPERATION_ABORTED},
	    {STATUS_BUFFER_OVERFLOW, ERROR_MORE_DATA},
	    {STATUS_NOT_IMPLEMENTED, ERROR_INVALID_FUNCTION},
	    {STATUS_INVALID_INFO_CLASS, ERROR_INVALID_PARAMETER},
	    {STATUS_BUFFER_TOO_SMALL, ERROR_INSUFFICIENT_BUFFER},
	    {STATUS_INFO_LENGTH_MISMATCH, ERROR_BAD_LENGTH},
	};
	if (status & 0x20000000) /* of who made it up */
		return status;
	if (status >> 16 == 0x8007 || status >> 16 == 0xc001) /* an error of Win32 in it */
		return status & 0xffff;
	for (size_t i = 0; i < countof(more); i++)
		if (more[i].status == status)
			return more[i].error;
	for (size_t i = 0; i < countof(rows); i++)
		if (rows[i].status == status)
			return rows[i].error;
	return 317; /* ERROR_MR_MID_NOT_FOUND */
}

uint32_t status_of_error(uint32_t error)
{
	for (size_t i = 0; i < countof(rows); i++)
		if (rows[i].error == error)
			return rows[i].status;
	return error == ERROR_SUCCESS ? STATUS_SUCCESS : STATUS_UNSUCCESSFUL;
}

const char *error_text(uint32_t code)
{
	static const struct {
		uint32_t code;
		const char *text;
	} texts[] = {
#define TEXT(code, text) {code, text},
#include "win/error_texts.def"
	};
	for (size_t i = 0; i < countof(texts); i++)
		if (texts[i].code == code)
			return texts[i].text;
	return NULL;
}

API(uint32_t, k32_GetLastError, void) { return last_error(); }
API(void, k32_SetLastError, uint32_t code) { last_error_set(code); }
API(uint32_t, k32_GetErrorMode, void) { return process()->error_mode; }
API(uint32_t, k32_SetErrorMode, uint32_t mode)
{
	return atomic_exchange(&process()->error_mode, mode);
}
/* Of the thread: nothing here asks for it, for there is nobody to show a message to. */
static _Thread_local uint32_t thread_error_mode;
API(uint32_t, k32_GetThreadErrorMode, void) { return thread_error_mode; }
API(uint32_t, k32_SetThreadErrorMode, uint32_t mode, uint32_t *ret_old)
{
	enum { MODES = 0x8003 };
	if (mode & ~(uint32_t)MODES)
		return fail(ERROR_INVALID_PARAMETER);
	if (ret_old)
		*ret_old = thread_error_mode;
	thread_error_mode = mode;
	return 1;
}
API(uint32_t, nt_RtlNtStatusToDosError, uint32_t status) { return error_of_status(status); }
