/* SPDX-License-Identifier: Apache-2.0 */
/* agent_proto: the wire between Lodge and lodge-agent in the guest; C99, includes only stdint.h.
 * The meaning of every frame is in guest/agent/PROTOCOL.md. */
#pragma once
#include <stdint.h>

#define AGENT_VERSION    2u
#define AGENT_VSOCK_PORT 1024u
/* Where the host listens for a guest that is made for one program; PROTOCOL.md, "Of its own". */
#define AGENT_FIRST_PORT 1025u
#define AGENT_PORT_NAME  "org.lodge.agent"

/* A frame: u32 len (of the payload), u16 type, u16 channel, payload. All little-endian. */
#define AGENT_HEADER      8u
#define AGENT_PAYLOAD_MAX 65536u
/* Unacknowledged data bytes that each side may send on a channel before it hears AGENT_WINDOW. */
#define AGENT_WINDOW_START     65536u
#define AGENT_WINDOW_UNLIMITED 0xffffffffu

enum agent_type {
	AGENT_NOP = 0,       /* both: nothing; may be used as padding */
	AGENT_HELLO = 1,     /* both, channel 0: magic, u32 version, u32 payload max, u32 window */
	AGENT_EXEC = 2,      /* to guest: struct below */
	AGENT_STDIN = 3,     /* to guest: bytes */
	AGENT_STDIN_EOF = 4, /* to guest: empty */
	AGENT_STDOUT = 5,    /* to host: bytes */
	AGENT_STDERR = 6,    /* to host: bytes */
	AGENT_RESIZE = 7,    /* to guest: u16 rows, u16 columns */
	AGENT_SIGNAL = 8,    /* to guest: u32 number (Linux) */
	AGENT_EXIT = 9,      /* to host: u32 kind (enum agent_exit), u32 value; ends the channel */
	AGENT_ERROR = 10,    /* to host: u32 errno (Linux), text; ends the channel if it is not 0 */
	AGENT_PING = 11,     /* both: up to 64 bytes */
	AGENT_PONG = 12,     /* both: the same bytes */
	AGENT_SHUTDOWN = 13, /* to guest: empty; answered by OK or ERROR */
	AGENT_REBOOT = 14,   /* to guest: empty; answered by OK or ERROR */
	AGENT_TIME = 15,     /* to guest: i64 seconds, u32 nanoseconds; answered by OK or ERROR */
	AGENT_OK = 16,       /* to host: u16 type of the request */
	AGENT_WINDOW = 17,   /* both: u32 more data bytes that the receiver of this may send */
	AGENT_CLOSE = 18,    /* to guest: the host gives the channel up */
	AGENT_ADDRESS = 19,  /* to guest: 6 bytes old, 6 new; answered by OK or ERROR; version 2 */
	AGENT_TYPE_COUNT = 20,
};

enum agent_exit { AGENT_EXITED = 0, AGENT_SIGNALED = 1 };

#define AGENT_ADDRESS_LEN     12u
#define AGENT_ADDRESS_VERSION 2u /* from which on an agent knows it */

/* HELLO begins with these eight bytes; a receiver that lost its place looks for them. */
#define AGENT_MAGIC     "LODGEagt"
#define AGENT_MAGIC_LEN 8u
#define AGENT_HELLO_LEN 20u

/* EXEC: u32 flags, u16 rows, u16 columns, u16 argc, u16 envc, then 2 + argc + envc strings, each
 * ended by NUL: user, working directory, arguments, environment ("NAME=VALUE"). */
#define AGENT_EXEC_HEAD 12u
enum agent_exec_flag {
	AGENT_EXEC_TTY = 1u << 0,   /* a terminal of rows x columns; its output is STDOUT */
	AGENT_EXEC_STDIN = 1u << 1, /* STDIN will come; without it the program reads /dev/null */
	AGENT_EXEC_SHELL = 1u << 2, /* argc may be 0: the user's login shell */
	AGENT_EXEC_FIRST = 1u << 3, /* what the guest is for: it powers off when this has ended */
};

static inline uint16_t agent_get16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }
static inline uint32_t agent_get32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static inline void agent_put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}
static inline void agent_put32(uint8_t *p, uint32_t v)
{
	agent_put16(p, (uint16_t)v);
	agent_put16(p + 2, (uint16_t)(v >> 16));
}
static inline void agent_head(uint8_t *p, uint32_t len, enum agent_type type, uint16_t channel)
{
	agent_put32(p, len);
	agent_put16(p + 4, (uint16_t)type);
	agent_put16(p + 6, channel);
}
