/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of the C runtime (msvcrt, ucrtbase, vcruntime140): one for all of them. */
#pragma once
#include "win/internal.h"

/* A function that gets as its arguments what @result gets as the list ap: what is behind @last. */
#define API_VARIADIC(ret, name, params, last, result)                                              \
	WINAPI ret name params;                                                                    \
	WINAPI ret name params                                                                     \
	{                                                                                          \
		__builtin_ms_va_list ap;                                                           \
		__builtin_ms_va_start(ap, last);                                                   \
		ret done = result;                                                                 \
		__builtin_ms_va_end(ap);                                                           \
		return done;                                                                       \
	}

/* What a thread of the C runtime has. */
struct crt_thread {
	int err; /* errno, as the guest counts */
	uint32_t dos_err;
	uint32_t seed;
	char *token; /* strtok */
	wide *wtoken;
	uint8_t tm[64], text[512];
	void *wtext;
	uint64_t fn, argument; /* _beginthreadex; 0: none */
};
struct crt_thread *crt_self(void);
int crt_fail(int err);     /* errno of Linux; sets errno and returns -1 */
int crt_fail_win(void);    /* from the last error; returns -1 */
int crt_errno_of(int err); /* of the guest's C runtime */

/* ---- formatted text (crt_format.c) ---- */
enum { FORMAT_MSVCRT = 0, FORMAT_UCRT = 1, FORMAT_WIDE = 2 };
/* Text is handed to @put in pieces; wide formats hand out UTF-16. False of put ends it. */
struct format_sink {
	bool (*put)(struct format_sink *s, const void *text, size_t units);
	bool wide;    /* what put gets */
	size_t total; /* private: units so far */
};
/* -1: put failed, or the format is none. @ap: of the ms_abi. */
int64_t format_run(struct format_sink *s, unsigned flags, const void *format,
		   __builtin_ms_va_list ap);
/* As snprintf; returns what all of it has. */
int64_t format_text(char *buf, size_t cap, unsigned flags, const char *format,
		    __builtin_ms_va_list ap);
int64_t format_wide(wide *buf, size_t cap, unsigned flags, const wide *format,
		    __builtin_ms_va_list ap);

/* ---- streams and descriptors (crt_stdio.c, crt_fd.c) ---- */
enum { CRT_FDS = 2048 };
int fd_open(const char *path, int flags, int mode);
int64_t fd_read(int fd, void *buf, size_t n); /* text or binary, as it is set */
int64_t fd_write(int fd, const void *buf, size_t n);
int fd_close(int fd);
int64_t fd_seek(int fd, int64_t at, int whence);
int fd_copy(int fd, int to); /* as dup2 */
bool fd_text(int fd);
bool fd_terminal(int fd);
handle fd_handle(int fd); /* HANDLE_BAD: it is not open */
int fd_of_handle(handle h, int flags);
extern uint32_t crt_fmode;
extern uint8_t iob[CRT_FDS][48];     /* stdin, stdout, stderr, ... */
WINAPI int crt_fgetc(void *file);
WINAPI int crt_getwc(void *file);
WINAPI int crt_ungetc(int c, void *file);
WINAPI int crt_ungetwc(int c, void *file);
const char *crt_error_text(int err); /* of the guest's errno */
