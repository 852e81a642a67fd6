/* SPDX-License-Identifier: Apache-2.0 */
/* lodge-agent: what its files share. One thread, one poll loop; PROTOCOL.md is the specification.
 */
#pragma once
#include "life/agent_proto.h"
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	SESSIONS_MAX = 16,
	TASKS_MAX = 64, /* programs, of all sessions */
	SESSION_TASKS_MAX = 32,
	PARTIAL_MS = 2000, /* a frame that stays incomplete so long is given up */
	HANGUP_MS = 5000,  /* from SIGHUP to SIGKILL */
	POLLS_MAX = 4 + SESSIONS_MAX * 2 + TASKS_MAX * 3,
};

/* Bytes on their way out; grows never. */
struct out {
	uint8_t *bytes; /* owned, OUT_SIZE */
	size_t at, end;
};
#define OUT_SIZE (4u * AGENT_PAYLOAD_MAX)

/* One byte stream with the host. */
struct session {
	bool used, greeted, lost;
	bool port;      /* the console port: outlives the host */
	bool link;      /* to whom the first program belongs; boot.c */
	int in, out_fd; /* the same but for --stdio; owned */
	uint8_t *frame; /* owned: header and payload so far */
	size_t have;
	int64_t since; /* when the incomplete frame began, ms */
	struct out out;
};

/* One program. Its pipes and terminal are owned; -1: closed. */
struct task {
	struct session *session; /* NULL: free, or given up and only to be reaped */
	pid_t pid;               /* 0: this slot is free */
	uint16_t channel;
	bool tty, exited, eof_wanted;
	bool first;  /* what the guest is for */
	bool adrift; /* first, but nobody listens any more: @console gets its output */
	int console; /* borrowed */
	int status;
	int in, out, err;
	uint8_t *pending; /* owned, AGENT_WINDOW_START: stdin not yet taken by the program */
	size_t pending_at, pending_end;
	uint32_t window; /* bytes of output that the host will take */
	int64_t kill_at; /* ms; 0: no */
};

struct agent {
	struct session sessions[SESSIONS_MAX];
	struct task tasks[TASKS_MAX];
	int listener, signals;            /* -1: none */
	bool want_vsock, want_port, once; /* once: end with the last session */
	struct boot *boot;                /* borrowed; NULL: we are not the guest's first process */
	struct pollfd polls[POLLS_MAX];
	unsigned poll_count;
};

int64_t now_ms(void);

/* session.c: frames. */
struct session *session_new(struct agent *a, int in, int out, bool port);
void session_end(struct agent *a, struct session *s);
/* False: the other side has gone (a session that is not the port is ended then). */
bool session_read(struct agent *a, struct session *s);
void session_tick(struct agent *a, struct session *s);
/* The host has not gone, but the guest: to another host, or back in time. Its first program goes on
 * alone; else as session_end. */
void session_drift(struct agent *a, struct session *s);
/* Queue a frame; false if there is no room (the caller asks session_room before it reads data). */
bool session_send(struct session *s, enum agent_type type, uint16_t channel, const void *bytes,
		  size_t len);
size_t session_room(const struct session *s); /* greatest payload that fits now */
void session_flush(struct agent *a, struct session *s);
void session_error(struct session *s, uint16_t channel, int code, const char *text);

/* task.c: programs. */
struct task *task_find(struct agent *a, const struct session *s, uint16_t channel);
void task_exec(struct agent *a, struct session *s, uint16_t channel, const uint8_t *p, size_t len);
/* A frame for a running program. */
void task_frame(struct task *t, enum agent_type type, const uint8_t *p, size_t len);
void task_hang_up(struct task *t);
void task_input(struct task *t);
bool task_output(struct task *t, int *fd, enum agent_type type);
void task_reap(struct agent *a);
void task_finish(struct agent *a, struct task *t); /* sends EXIT once all output is out */
void task_tick(struct task *t);

/* Start the program of EXEC's payload @p on the terminal @console (closed then). 0 or an errno. */
int task_console(struct agent *a, const uint8_t *p, size_t len, int console);
/* What the guest is for; NULL: it has not begun, or has ended. */
struct task *task_first(struct agent *a);

/* boot.c: the first process of a machine whose root is a folder of the host. */
struct boot *boot_begin(struct agent *a); /* NULL: this is no such machine */
/* The first program has ended, or could not be started: @code is the guest's. */
void boot_ended(struct boot *b, int code);
const char *boot_broken(const struct boot *b); /* NULL, or: why no program can be started */
void boot_ask(struct agent *a, bool reboot);   /* end it, or end it and begin anew */
void boot_tick(struct agent *a);               /* power off when it is time */
bool boot_ends(const struct boot *b);          /* soon: boot_tick wants to be called */
int boot_console(const struct boot *b);        /* borrowed; -1: none */

/* card.c: the network card with the address @was gets @now. 0 (also when one has it already) or an
 * errno; ENODEV: there is none. */
int card_rename(const uint8_t was[6], const uint8_t now[6]);

/* user.c: /etc/passwd and /etc/group. */
enum { USER_GROUPS = 64 };
struct user {
	uint32_t uid, gid;
	uint32_t groups[USER_GROUPS]; /* beside gid */
	size_t ngroups;
	char name[64], home[256], shell[256];
};
/* @who: "", NAME or UID, with :GROUP or :GID, with ,GID,GID...: other groups; without those a name has
 * the groups of /etc/group. False if there is no such user or group. */
bool user_find(const char *who, struct user *ret);

/* rights.c: what a program may. */
enum { RIGHTS_SETS = 5, RIGHTS_LIMITS = 16 };
struct rights {
	bool have_caps, no_new, have_oom;
	uint64_t caps[RIGHTS_SETS]; /* bounding, effective, permitted, inheritable, ambient */
	uint32_t limited;           /* which of these are set */
	struct {
		uint64_t rlim_cur, rlim_max;
	} limit[RIGHTS_LIMITS];
	int umask, oom; /* umask -1: as it is */
};
/* "WORD;WORD", which is cut up. False: a word is none. */
bool rights_read(char *words, struct rights *r);
/* Before and after the process becomes its user: 0 or an errno. */
int rights_begin(const struct rights *r);
int rights_end(const struct rights *r);
