/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the room gdb share. */
#pragma once
#include "gdb/gdb.h"
#include <pthread.h>
#include <stdio.h>

enum { PACKET = 16384, PASS_FILES = 16 };

/* ---- packet.c: bytes to packets and back ---- */
enum in_state { IN_IDLE, IN_BODY, IN_ESCAPE, IN_SUM, IN_SUM_LOW };
struct in {
	enum in_state state;
	uint8_t body[PACKET + 1]; /* a NUL behind it */
	size_t len;
	bool long_;             /* it did not fit */
	uint8_t sum, got;
};
enum in_event { IN_NOTHING, IN_PACKET, IN_BAD, IN_INTERRUPT, IN_AGAIN };
/* One byte. IN_PACKET: in->body has one, until the next byte. */
enum in_event in_add(struct in *in, uint8_t byte);

/* A reply, raw; escaped when it is sent. What does not fit is left out. */
struct reply {
	uint8_t body[PACKET];
	size_t len;
};
void reply_bytes(struct reply *o, const void *data, size_t len);
void reply_text(struct reply *o, const char *fmt, ...) PRINTF(2, 3);
void reply_hex(struct reply *o, const void *data, size_t len);
/* @o as a packet into @to (room for 2 * PACKET + 4): its length. */
size_t reply_frame(const struct reply *o, uint8_t *to);

/* Numbers in packets: hexadecimal digits at *@p, which moves past them; 0 where there are none. */
uint64_t hex_take(const char **p);
/* Up to @cap bytes of hexadecimal text; how many. */
size_t hex_bytes(const char *text, uint8_t *ret, size_t cap);
/* A thread's number: -1 all, 0 any. */
int thread_take(const char **p);

/* GDB 13 include/gdb/signals.def: numbers of its own. 0: it has none. */
int signal_to_gdb(int sig);
int signal_from_gdb(int sig);

/* ---- a session ---- */
struct gdb {
	const struct gdb_target *t;
	const struct gdb_cpu *cpu;
	void *user;
	void (*send)(void *user, const void *data, size_t len);
	pthread_mutex_t lock;   /* of sending, and running */
	struct in in;
	struct reply out;
	uint8_t frame[2 * PACKET + 4]; /* the last one sent */
	size_t frame_len;
	char *xml, *list;       /* owned: target description, threads */
	size_t xml_len, list_len;
	struct gdb_stop stop;   /* the last one */
	int thread, go_thread;  /* of Hg, Hc */
	bool no_ack, running, over, swbreak;
	_Atomic bool exec_events;
	int files[PASS_FILES];  /* of vFile; -1: free */
};

/* query.c: q and Q packets. False: not known. */
bool query_do(struct gdb *g, const char *p);
/* file.c: vFile. */
void file_do(struct gdb *g, const char *p, size_t len);
/* stub.c */
void reply_error(struct gdb *g, int error);
int thread_of(struct gdb *g, int thread); /* one that is there, for 0 and -1 */
bool thread_is(struct gdb *g, int thread);
void reply_stop(struct gdb *g);
