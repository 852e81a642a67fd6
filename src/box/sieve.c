/* SPDX-License-Identifier: Apache-2.0 */
/* The filter of a process that is alone: calls in a list, and from code of Lodge's alone. It is
 * written here and not by libseccomp, which cannot look at where a call comes from, and takes
 * longer to load and to build one than the whole start of such a guest may. seccomp(2) */
#include "box/internal.h"
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

enum { CALLS = 512, WORD = 32, PROGRAM_MAX = 256, SIGNAL_OF_GUEST = SECCOMP_RET_TRAP };
enum { SOCK_TYPES = 15 }; /* beside SOCK_CLOEXEC and the like */
#define DENIED (SECCOMP_RET_ERRNO | EPERM)
#define ABSENT (SECCOMP_RET_ERRNO | ENOSYS)

struct sieve {
	struct sock_filter at[PROGRAM_MAX];
	unsigned n;
	uint32_t asked[CALLS / WORD]; /* calls whose arguments are looked at */
};

static void add(struct sieve *s, unsigned code, unsigned k, unsigned yes, unsigned no)
{
	assert(s->n < PROGRAM_MAX);
	s->at[s->n++] = (struct sock_filter){(uint16_t)code, (uint8_t)yes, (uint8_t)no, k};
}

static void load(struct sieve *s, size_t off)
{
	add(s, BPF_LD | BPF_W | BPF_ABS, (unsigned)off, 0, 0);
}
static bool is_in(const uint32_t *words, unsigned nr) { return words[nr / WORD] >> nr % WORD & 1; }
static void put_in(uint32_t *words, unsigned nr) { words[nr / WORD] |= 1u << nr % WORD; }
static void answer(struct sieve *s, unsigned what) { add(s, BPF_RET | BPF_K, what, 0, 0); }
/* What follows is skipped, @n instructions of it, unless A is @v. */
static void when_equal(struct sieve *s, unsigned v, unsigned n)
{
	add(s, BPF_JMP | BPF_JEQ | BPF_K, v, 0, n);
}

/* The call @nr: @n instructions say. */
static void when_called(struct sieve *s, unsigned nr, unsigned n)
{
	put_in(s->asked, nr);
	when_equal(s, nr, n);
}

/* ---- arguments ---- */

static size_t argument(unsigned i) { return offsetof(struct seccomp_data, args) + 8 * i; }

/* The call @nr is answered here: @common, and for some values of its argument @i @other. */
static void by_value(struct sieve *s, unsigned nr, unsigned i, const unsigned *values, unsigned n,
		     unsigned other, unsigned common)
{
	when_called(s, nr, 2 + 2 * n);
	load(s, argument(i));
	for (unsigned k = 0; k < n; k++) {
		when_equal(s, values[k], 1);
		answer(s, other);
	}
	answer(s, common);
}

/* Pairs reach nobody else; but what sends datagrams could, by a name that it gives with each. */
static void pairs_add(struct sieve *s)
{
	when_called(s, SYS_socketpair, 8);
	load(s, argument(0));
	when_equal(s, AF_UNIX, 5);
	load(s, argument(1));
	add(s, BPF_ALU | BPF_AND | BPF_K, SOCK_TYPES, 0, 0);
	add(s, BPF_JMP | BPF_JEQ | BPF_K, SOCK_STREAM, 1, 0);
	when_equal(s, SOCK_SEQPACKET, 1);
	answer(s, SECCOMP_RET_ALLOW);
	answer(s, DENIED);
}

/* Without any, those that it was begun with are all that it has, and lead where they led. */
static void sockets_add(struct sieve *s, bool sockets)
{
	static const unsigned families[] = {AF_INET, AF_INET6};
	static const unsigned none[] = {SYS_socket, SYS_socketpair, SYS_bind, SYS_connect,
					SYS_listen};
	if (sockets) {
		by_value(s, SYS_socket, 0, families, countof(families), SECCOMP_RET_ALLOW, DENIED);
		pairs_add(s);
		return;
	}
	for (size_t i = 0; i < countof(none); i++) {
		when_called(s, none[i], 1);
		answer(s, DENIED);
	}
}

static void arguments_add(struct sieve *s, bool forks)
{
	static const unsigned ioctls[] = {TIOCSTI, TIOCLINUX, FIOSETOWN, SIOCSPGRP};
	static const unsigned fcntls[] = {F_SETOWN, F_SETSIG, F_SETOWN_EX}; /* signals to others */
	by_value(s, SYS_ioctl, 1, ioctls, countof(ioctls), DENIED, SECCOMP_RET_ALLOW);
	by_value(s, SYS_fcntl, 1, fcntls, countof(fcntls), DENIED, SECCOMP_RET_ALLOW);
	/* threads, and processes if it may: the flags of pthread_create and fork, no others */
	static const unsigned clones[] = {CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND |
					      CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS |
					      CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID,
					  CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD};
	static const unsigned itself[] = {0};
	static const unsigned prctls[] = {PR_SET_PDEATHSIG}; /* it ends with its parent */
	by_value(s, SYS_clone, 0, clones, forks ? 2 : 1, SECCOMP_RET_ALLOW, DENIED);
	by_value(s, SYS_prctl, 0, prctls, countof(prctls), SECCOMP_RET_ALLOW, DENIED);
	by_value(s, SYS_prlimit64, 0, itself, countof(itself), SECCOMP_RET_ALLOW, DENIED);
	/* signals from one thread of it to another; its children's numbers would be others */
	const unsigned itself_as[] = {(unsigned)getpid()};
	by_value(s, SYS_tgkill, 0, itself_as, forks ? 0 : 1, SECCOMP_RET_ALLOW, DENIED);
	when_called(s, SYS_clone3, 1); /* its flags lie in memory: clone is used instead */
	answer(s, ABSENT);
}

/* ---- numbers ---- */

/* Those of the list that nothing else is asked of. A is the number: the word that it is in is
 * chosen, then its bit. Most calls are in the first word, and end here. */
static void listed_add(struct sieve *s, const uint32_t *asked)
{
	static const unsigned listed[] = {
#define ALONE(name) SYS_##name,
#include "box/alone.def"
	};
	uint32_t words[CALLS / WORD] = {0};
	unsigned n = 0, done = 0;
	for (size_t i = 0; i < countof(listed); i++)
		if (!is_in(asked, listed[i]))
			put_in(words, listed[i]);
	for (unsigned w = 0; w < countof(words); w++)
		n += words[w] != 0;
	add(s, BPF_MISC | BPF_TAX, 0, 0, 0);
	add(s, BPF_ALU | BPF_AND | BPF_K, WORD - 1, 0, 0);
	add(s, BPF_ST, 0, 0, 0);
	add(s, BPF_MISC | BPF_TXA, 0, 0, 0);
	add(s, BPF_ALU | BPF_RSH | BPF_K, 5, 0, 0);
	for (unsigned w = 0; w < countof(words); w++) {
		if (!words[w])
			continue;
		when_equal(s, w, 2);
		add(s, BPF_LD | BPF_IMM, words[w], 0, 0);
		add(s, BPF_JMP | BPF_JA, 3 * (n - ++done) + 1, 0, 0);
	}
	add(s, BPF_LD | BPF_IMM, 0, 0, 0);
	add(s, BPF_LDX | BPF_MEM, 0, 0, 0);
	add(s, BPF_ALU | BPF_RSH | BPF_X, 0, 0, 0);
	add(s, BPF_JMP | BPF_JSET | BPF_K, 1, 0, 1);
	answer(s, SECCOMP_RET_ALLOW);
}

int sieve_load(const struct box_alone *b, struct lodge_err *e)
{
	struct sieve s = {.n = 0}, asks = {.n = 0};
	sockets_add(&asks, b->sockets);
	arguments_add(&asks, b->forks);
	load(&s, offsetof(struct seccomp_data, arch));
	add(&s, BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
	answer(&s, SIGNAL_OF_GUEST); /* int $0x80 is none of ours */
	load(&s, offsetof(struct seccomp_data, instruction_pointer) + 4);
	add(&s, BPF_JMP | BPF_JGE | BPF_K, (unsigned)(b->code_from >> 32), 1, 0);
	answer(&s, SIGNAL_OF_GUEST);
	load(&s, offsetof(struct seccomp_data, nr));
	listed_add(&s, asks.asked);
	load(&s, offsetof(struct seccomp_data, nr));
	assert(s.n + asks.n < PROGRAM_MAX);
	memcpy(s.at + s.n, asks.at, asks.n * sizeof *asks.at);
	s.n += asks.n;
	answer(&s, DENIED);
	const struct sock_fprog p = {.len = (uint16_t)s.n, .filter = s.at};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &p) < 0)
		return err_sys(e, "the filter of system calls");
	return 0;
}
