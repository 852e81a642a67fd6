/* SPDX-License-Identifier: Apache-2.0 */
/* lodge-riscv64: what the kernel runs in the place of a riscv64 program, by binfmt_misc; also by
 * hand, as `lodge-riscv64 PROGRAM [ARG...]`. It takes no options, for its arguments are those of
 * the program. Linux 6.1 fs/binfmt_misc.c, Documentation/admin-guide/binfmt-misc.rst */
#include "level/process/process.h"
#include <errno.h>
#include <stdio.h>
#include <sys/auxv.h>

/* The kernel gives the program's descriptor in the auxiliary vector (flag O), and then, since lodge
 * registers with flag P, its path and its argv[0]. */
static bool called_by_kernel(int *ret_fd)
{
	errno = 0;
	unsigned long fd = getauxval(AT_EXECFD);
	*ret_fd = (int)fd;
	return errno == 0;
}

int main(int argc, char **argv)
{
	struct process_given g = {.fd = -1};
	struct lodge_err e = {.code = EINVAL};
	int fd;
	g.by_kernel = called_by_kernel(&fd);
	if (g.by_kernel)
		g.fd = fd;
	int own = g.by_kernel ? 3 : 2;
	if (argc < own) {
		fprintf(stderr, "usage: lodge-riscv64 PROGRAM [ARG...]\n"
		                "Runs a program of riscv64 Linux; `lodge binfmt install` has the "
		                "kernel do it.\n");
		return LODGE_EXIT_LODGE;
	}
	g.name = argv[own - 1];
	struct lodge_config c = {.size = sizeof c, .guest = argv[1],
		.argv = (const char *const *)argv + own, .argc = (size_t)(argc - own)};
	(void)!process_begin(&c, &g, &e);
	fprintf(stderr, "lodge-riscv64: %s\n", e.msg);
	return e.code == ENOENT ? LODGE_EXIT_NOT_FOUND
	       : e.code == ENOEXEC || e.code == EACCES ? LODGE_EXIT_CANNOT : LODGE_EXIT_LODGE;
}
