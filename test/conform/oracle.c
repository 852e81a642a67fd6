/* SPDX-License-Identifier: Apache-2.0 */
/* conform: the oracle as a child process. The batch lies in a file that both have mapped; a byte
 * on a pipe starts it, a byte comes back. */
#include "test/conform/conform.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { PATIENCE_MS = 120000 };

static int batch_file(struct oracle *o, char *ret_path, size_t cap, struct lodge_err *e)
{
	int fd = memfd_create("conform-batch", 0);
	if (fd < 0 || ftruncate(fd, sizeof(struct batch)))
		return err_sys(e, "batch file");
	o->batch = mmap(NULL, sizeof(struct batch), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (o->batch == MAP_FAILED)
		return err_sys(e, "batch file");
	snprintf(ret_path, cap, "/proc/self/fd/%d", fd); /* the child inherits it */
	return 0;
}

int oracle_start(struct oracle *o, const char *emulator, const char *cpu, const char *runner,
                 const char *blob, struct lodge_err *e)
{
	char path[64];
	int to[2], from[2], r = batch_file(o, path, sizeof path, e);
	if (r)
		return r;
	if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC))
		return err_sys(e, "pipe");
	o->pid = fork();
	if (o->pid < 0)
		return err_sys(e, "fork");
	if (o->pid == 0) {
		dup2(to[0], 0);
		dup2(from[1], 1);
		execl(emulator, emulator, "-cpu", cpu, runner, blob, path, (char *)NULL);
		perror(emulator);
		_exit(127);
	}
	close(to[0]);
	close(from[1]);
	o->to = to[1];
	o->from = from[0];
	signal(SIGPIPE, SIG_IGN);
	return 0;
}

int oracle_begin(struct oracle *o, struct lodge_err *e)
{
	return write(o->to, "r", 1) == 1 ? 0 : err_sys(e, "the oracle is gone");
}

int oracle_finish(struct oracle *o, struct lodge_err *e)
{
	struct pollfd p = { .fd = o->from, .events = POLLIN };
	char byte;
	/* its last words may come on standard output too */
	if (poll(&p, 1, PATIENCE_MS) == 1 && read(o->from, &byte, 1) == 1 && byte == 'r')
		return 0;
	return err_set(e, EIO, "the oracle died or hangs in this batch");
}

void oracle_stop(struct oracle *o)
{
	int status;
	close(o->to);
	close(o->from);
	kill(o->pid, SIGKILL);
	waitpid(o->pid, &status, 0);
	munmap(o->batch, sizeof *o->batch);
}
