/* SPDX-License-Identifier: Apache-2.0 */
/* win: what a console program of 64-bit Windows believes is its system: the functions of kernel32,
 * ntdll, the C runtimes and others, the memory, threads, handles and modules behind them. They are
 * ours, of the ms_abi, and the guest calls them directly; the process that calls win_run is the
 * guest. There is one of it, for a guest hands no argument of ours along. */
#pragma once
#include "host/host.h"
#include "pe/pe.h"

/* A drive: what is below @path on the host's side (in the box) is below @letter: here. */
struct win_drive {
	char letter;      /* 'A'..'Z' */
	const char *path; /* absolute, borrowed for ever */
};

/* A program as it lies in memory, but only those sections that pe_section_kept names: mapped for
 * good, private. Processes that a guest starts may be of the same file. */
struct win_image {
	uint8_t *at; /* NULL: there is none */
	bool fits;   /* it is @file's */
	uint64_t device, inode, size;
	int64_t changed_s, changed_ns; /* of that file */
};

/* A network that leads out; addresses in host byte order. */
struct win_network {
	const char *interface; /* the host's name of it */
	uint32_t address, gateway, resolver;
	uint8_t prefix; /* bits of the address that are the network's */
};

struct win_start {
	const struct win_drive *drives;
	size_t ndrives;
	const char *program;     /* as the guest sees it: D:\tools\a.exe */
	const char *cwd;         /* the same way */
	bool batch; /* @program is a batch file, which cmd.exe runs; there is no @file */
	const char *const *argv; /* after the program's name */
	size_t argc;
	const char *const *env; /* NAME=VALUE, UTF-8, on top of the usual ones */
	size_t nenv;
	const uint8_t *file; /* the program's, mapped for good */
	uint64_t file_len;
	struct win_image image;
	const struct win_network *network; /* NULL: there is the loopback alone */
	int null_fd; /* /dev/null; -1: none */
	void (*ready)(void); /* called when all is there, just before it runs; NULL: nobody waits */
	void (*own)(void *arg); /* a program of ours, which does not return; NULL: that in @file */
	void *own_arg;
	const struct win_child *child; /* one that a guest has started; NULL: the first */
};

/* Load the program and run it in this process, which ends with it. Returns on failure only, with
 * nothing of the guest run. Thread: the only one of the process. */
/* The host's libm.so.6 is there when win_run is called, and stays. */
#define WIN_LIBM "/libm.so.6"
int win_run(const struct win_start *s, struct lodge_err *e) MUST;

/* Is @path named as batch files are? Nothing in such a file says what it is. */
bool win_is_batch(const char *path);

/* Guest code lies below, Lodge's own above: system calls from below are refused. */
#define WIN_GUEST_END UINT64_C(0x500000000000)

/* What the host trusts, as PEM: a file that who calls win_run may put into the guest's System32. */
#define WIN_ROOTS "roots.pem"

/* Might a program, or what it starts, ever have a socket? Not if it takes nothing that could lead
 * there; then it needs none to be allowed. @head is of the file. */
bool win_may_connect(const struct pe *head, const uint8_t *file, uint64_t len);

/* Is there the library @dll ("KERNEL32.dll", an API set, ...)? */
bool win_has_library(const char *dll);
/* The function or variable @name, or (NULL) @ordinal, of a library that is ours; NULL: it is not
 * there, and a call of it ends the guest. */
void *win_find(const char *dll, const char *name, unsigned ordinal);

