/* SPDX-License-Identifier: Apache-2.0 */
/* Between file.c, nt_file.c and pipe.c: what pipes do otherwise than files. */
#pragma once
#include "win/internal.h"

enum { PIPE_NOWAIT = 1, PIPE_SERVER = 1, PIPE_READ_MESSAGE = 2, PIPE_TYPE_MESSAGE = 4 };
enum { PIPE_FIRST = 0x80000 };

/* An end of a named pipe, of a file; a server's is in the list of its name. */
struct pipe_end {
	struct pipe_name *name; /* borrowed; NULL: a client's, or in a child */
	struct file *f;         /* whose it is */
	int other;              /* the client's end, until somebody opens it; -1; owned */
	bool connected, messages;
	_Atomic(bool) by_message;
	uint32_t server, client; /* processes */
	uint32_t most_out, most_in; /* as it was made; nobody is held to it */
	struct pipe_end *next;
	/* Of messages: what the last one has left to read. */
	pthread_mutex_t reading;
	uint8_t *rest; /* owned */
	uint32_t rest_at, rest_n;
	bool has_rest;
};
/* The file of @h, if it is an end of a named pipe (@server: a server's), with a reference. */
struct file *pipe_end_get(handle h, bool server);
/* Why a server's end has nobody to talk to; 0: it has. */
uint32_t pipe_listens(const struct file *f);

/* ---- messages (pipe_message.c) ---- */
struct peeked {
	uint32_t got, there, left;
};
uint32_t message_peek(const struct file *f, void *buf, uint32_t n, struct peeked *ret);
/* Bytes; -EPIPE: nobody writes any more; -EAGAIN. *ret_more: the message has more of them. Where
 * the end reads bytes, messages follow each other. */
int64_t message_read_now(const struct file *f, void *buf, uint32_t n, bool *ret_more);
int64_t message_write_now(const struct file *f, const void *buf, uint32_t n);
/* The same, and wait. */
int64_t message_read(const struct file *f, void *buf, uint32_t n, bool *ret_more);
int64_t message_write(const struct file *f, const void *buf, uint32_t n);
static inline bool pipe_has_messages(const struct file *f) { return f->end && f->end->messages; }

/* Is @path the name of a pipe, \\.\pipe\NAME? Its NAME; NULL: no. */
const char *pipe_path(const char *path);
/* As CreateNamedPipe, of which these are the parameters. @name NULL: one without. */
struct pipe_wish {
	uint32_t mode, kind, most, out, in;
	bool inherit;
};
handle pipe_make(const char *name, const struct pipe_wish *w);
char *pipe_name_of(const struct file *f); /* of a server's end, malloc'ed; NULL: it has none */
/* The client's end of it, as CreateFile. */
handle pipe_open(const char *name, uint32_t access, uint32_t flags, bool inherit);
/* Waits until there is something to read: 0, -EPIPE (nobody writes any more), -ECANCELED. */
int pipe_await(const struct file *f);
/* What is possible at once of a pipe that is not waited for (PIPE_NOWAIT): bytes; -ENODATA: there
 * is nothing to read, -EPIPE. Of bytes as many are written as there is room for, of a message all
 * or none. */
int64_t pipe_read_now(const struct file *f, void *buf, size_t n, bool *ret_more);
int64_t pipe_write_now(const struct file *f, const void *buf, size_t n);
/* ReadFile and WriteFile with an OVERLAPPED, of a pipe or socket that was opened so. */
uint32_t pipe_overlapped(struct file *f, void *buf, uint32_t n, uint32_t *ret_n,
			 struct overlapped *o, bool write, uint64_t fn);
