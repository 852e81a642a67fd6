/* SPDX-License-Identifier: Apache-2.0 */
/* A program under a keeper: what the keeper, the first process of the program's PID namespace
 * (init.c) and the program's processes have in common.
 *
 *   keeper.c ---control---> init.c ---kick---> halt.c, in each process of the program
 *       \_________________life______________________/   (whoever speaks for it, while it halts) */
#pragma once
#include "host/host.h"
#include "base/base.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { KEPT_PROCESSES = 2048 };

/* Memory that all of them share. */
struct kept {
	/* A futex. Odd: every thread of the program stands still, between two instructions; each
	 * halt has a number of its own. A number that is odd and greater asks whoever speaks for a
	 * process to look at its socket. */
	_Atomic uint32_t want;
	_Atomic int lead;  /* the program's first process */
	_Atomic int asked; /* the process that the next message of life is for */
	struct kept_slot {
		_Atomic int pid;         /* in its namespace; 0: nobody's */
		_Atomic uint32_t halted; /* a futex: it stands still for this number of want */
		_Atomic uint32_t lends;  /* so does its child of vfork, which it waits for */
	} slot[KEPT_PROCESSES];
};

/* ---- control: from the keeper to init, one answer to each, and messages of its own ---- */
enum control { CONTROL_HALT, CONTROL_GO, CONTROL_SIGNAL, CONTROL_KILL, CONTROL_ENDED };
struct control_message {
	enum control what;
	int value;            /* SIGNAL: which; ENDED: as of wait(2); answers: 0 or -errno */
	struct lodge_err err; /* of answers */
};

/* ---- life: from the keeper to the process that speaks ---- */
enum life_ask {
	LIFE_STATE,  /* gather all but memory: a file with the sections, and how much memory */
	LIFE_MEMORY, /* copy memory into the file that comes along */
};
struct life_message {
	enum life_ask what;
	int pid;        /* whom it is for, or from */
	int result;     /* of answers: 0 or -errno */
	uint64_t bytes; /* answer to STATE: of memory */
	uint64_t at;    /* MEMORY: where in the file */
	struct lodge_err err;
};

/* What init is made with. */
struct init_plan {
	int control, life; /* its ends; life is for the program */
	int in, out;       /* of the program: both the same for a terminal */
	bool tty;
	unsigned umask;
	int ready; /* the program says here that it is about to run, or why not */
	struct kept *kept;
	int lead_pid; /* number of the program's first process; 0: whatever comes */
	int (*run)(void *user, const struct init_plan *p, struct lodge_err *e);
	void *user;
};
/* In a child of the keeper: makes the namespace and what runs in it. Ends with it. */
_Noreturn void init_main(const struct init_plan *p);

/* One whole message. */
static inline bool kept_receive(int fd, void *message, size_t len, int *ret_passed)
{
	return host_packet_receive(fd, message, len, true, ret_passed) == (ssize_t)len;
}
