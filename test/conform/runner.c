/* SPDX-License-Identifier: Apache-2.0 */
/* conform: the oracle's side, a static riscv64 program for a user-mode emulator.
 *
 *   runner BLOB BATCH    maps both at their addresses; each byte on standard input runs the batch
 *                        that BATCH (shared with the generator) holds, and is answered by one
 *
 * Traps arrive as signals: the handler stores what and where, and goes on at the blob's save. */
#define _GNU_SOURCE
#include "guest.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

static struct batch *const batch = (struct batch *)BATCH;

static void trap(int sig, siginfo_t *info, void *context)
{
	ucontext_t *u = context;
	struct cell *c = (struct cell *)u->uc_mcontext.__gregs[CELL_REG(batch->variant)];
	(void)info;
	c->out.pc = u->uc_mcontext.__gregs[REG_PC];
	c->out.cause = sig == SIGILL ? CAUSE_ILLEGAL : sig == SIGTRAP ? CAUSE_BREAK : CAUSE_MEMORY;
	u->uc_mcontext.__gregs[REG_PC] = BLOB + 4 * (ENTRY_SAVE_TRAP + batch->variant);
}

static int map_at(uint64_t at, uint64_t len, const char *path)
{
	int fd = path ? open(path, O_RDWR) : -1;
	if (path && fd < 0)
		return -1;
	int how = MAP_FIXED_NOREPLACE | (path ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS);
	void *p = mmap((void *)at, len, PROT_READ | PROT_WRITE | PROT_EXEC, how, fd, 0);
	if (fd >= 0)
		close(fd);
	return p == (void *)at ? 0 : -1;
}

static void exits_write(unsigned variant)
{
	for (uint64_t at = CODE; at < CODE + CODE_SIZE; at += 4)
		if (at - BLOB >= BLOB_SIZE)
			*(volatile uint32_t *)at = word_exit(at, variant);
}

static int blob_load(const char *path)
{
	int fd = open(path, O_RDONLY);
	char *to = (char *)BLOB;
	for (ssize_t n; (n = read(fd, to, 4096)) > 0;)
		to += n;
	return fd < 0 || to == (char *)BLOB ? -1 : close(fd);
}

int main(int argc, char **argv)
{
	static char stack[1 << 16];
	stack_t alternate = { .ss_sp = stack, .ss_size = sizeof stack };
	struct sigaction act = { .sa_sigaction = trap, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	const int signals[] = { SIGILL, SIGTRAP, SIGBUS, SIGSEGV };
	void (*run)(struct batch *) = (void (*)(struct batch *))(BLOB + 4 * ENTRY_BATCH);
	unsigned variant = 2;
	char byte;
	if (argc != 3 || map_at(CODE, CODE_SIZE, NULL) || map_at(SCRATCH & ~4095ull, 4096, NULL) ||
	    map_at(BATCH, sizeof(struct batch), argv[2]) || blob_load(argv[1])) {
		perror("runner: cannot map");
		return 1;
	}
	sigaltstack(&alternate, NULL);
	for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++)
		sigaction(signals[i], &act, NULL);
	while (read(0, &byte, 1) == 1) {
		if (batch->variant != variant)
			exits_write(variant = batch->variant);
		__asm__ volatile("fence.i" ::: "memory");
		run(batch);
		if (write(1, &byte, 1) != 1)
			return 1;
	}
	return 0;
}
