/* SPDX-License-Identifier: Apache-2.0 */
/* lodge-bench: what its programs share. The same sources are built for riscv64 and for the host. */
#pragma once
#include <stdint.h>
#include <stdlib.h>

/* Neither inlined nor looked into: the call stays a call. */
#define APART __attribute__((noipa))
/* The compiler must have @x in a register here and knows nothing about it after. */
#define KEEP(x) __asm__ volatile("" : "+r"(x))
/* What memory holds may have been read or written here. */
#define BARRIER() __asm__ volatile("" ::: "memory")

/* Every program: does @n rounds and returns a checksum that is the same on every machine. */
#define PROGRAM(name, work, bar, what) uint64_t bench_##name(uint64_t n);
#include "programs.def"
#undef PROGRAM

/* The clock starts here; what comes before is setting up. */
void bench_begin(void);
/* The clock stops here; a program that does not say so is stopped when it returns. */
void bench_end(void);
/* Bits that must agree between machines with the same instructions only: floating point. */
void bench_exact(uint64_t bits);
/* This process stays on one processor, as it would in a guest with one hart. */
void bench_pin(void);
/* Ends the program: what could not be done. */
_Noreturn void bench_die(const char *what);

/* storm.c: 0 when all was right. */
int bench_storm(unsigned seconds);

/* Zeroed memory, never given back. */
static inline void *bench_memory(size_t size)
{
	void *p = calloc(1, size);
	if (!p)
		bench_die("memory");
	return p;
}

/* xorshift64: @s is not 0. */
static inline uint64_t bench_random_next(uint64_t *s)
{
	uint64_t x = *s;
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return *s = x;
}

static inline uint64_t bench_mix(uint64_t sum, uint64_t x) { return (sum ^ x) * 0x100000001b3u; }
