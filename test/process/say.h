/* SPDX-License-Identifier: Apache-2.0 */
/* The programs in this folder make system calls and say what came of them, the same on every host:
 * test/process/run compares what they say natively with what they say under Lodge. Each begins in
 * an empty folder of its own. */
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A line `what: value`, or the name of errno when @r is -1. */
static inline long say(const char *what, long r)
{
	int e = errno;
	if (r == -1)
		printf("%s: %s\n", what, strerrorname_np(e));
	else
		printf("%s: %ld\n", what, r);
	fflush(stdout);
	return r;
}
#define SAY(call) say(#call, (long)(call))
/* Of two things that are not the same everywhere: that they are as they should be. */
#define IS(condition) say(#condition, (condition) ? 1 : 0)
/* An address that no process has, and one that is the kernel's. */
#define BAD ((void *)8)
#define KERNEL ((void *)-4096L)

static inline void say_bytes(const char *what, const void *p, size_t n)
{
	const unsigned char *b = p;
	printf("%s:", what);
	for (size_t i = 0; i < n; i++)
		printf(b[i] > ' ' && b[i] < 127 ? " %c" : " %02x", b[i]);
	printf("\n");
	fflush(stdout);
}

/* A file with @text in it. */
static inline int file_make(const char *name, const char *text)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		exit(99);
	return fd;
}
