/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz: what a debugger sends, cut anywhere; each line of the input gets a frame with a right sum,
 * but for those that begin with "!", which are sent as they are. */
#include "gdb/gdb.h"
#include <fcntl.h>
#include <stdio.h>

struct fuzz {
	uint8_t memory[512];
	unsigned n;
};

static size_t fuzz_threads(void *f, int *ret, size_t cap)
{
	(void)f;
	for (size_t i = 0; i < cap && i < 3; i++)
		ret[i] = (int)(i + 1);
	return 3;
}
static void fuzz_name(void *f, int thread, char *ret, size_t cap)
{
	(void)f, (void)thread;
	memset(ret, '<', cap - 1);
	ret[cap - 1] = 0;
}
static bool fuzz_get(void *f, int thread, unsigned n, uint8_t ret[GDB_REG_BYTES])
{
	(void)f;
	memset(ret, (int)n, GDB_REG_BYTES);
	return thread < 4;
}
static bool fuzz_set(void *f, int thread, unsigned n, const uint8_t v[GDB_REG_BYTES])
{
	((struct fuzz *)f)->memory[n] = v[GDB_REG_BYTES - 1];
	return thread < 4;
}
static ssize_t fuzz_read(void *f, uint64_t at, void *buf, size_t len)
{
	size_t n = min_u64(len, 512 - (at & 511));
	memcpy(buf, ((struct fuzz *)f)->memory + (at & 511), n);
	return at >> 20 ? -EFAULT : (ssize_t)n;
}
static int fuzz_write(void *f, uint64_t at, const void *buf, size_t len)
{
	uint8_t sum = 0;
	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + ((const uint8_t *)buf)[i]);
	((struct fuzz *)f)->memory[at & 511] = sum;
	return 0;
}
static int fuzz_break(void *f, uint64_t at, bool set)
{
	(void)f, (void)set;
	return at & 1 ? -EINVAL : 0;
}
static void fuzz_resume(void *f, const struct gdb_action *a, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((struct fuzz *)f)->n += (unsigned)a[i].signal;
}
static void fuzz_none(void *f) { (void)f; }
static void fuzz_pass(void *f, uint64_t signals) { ((struct fuzz *)f)->n += (unsigned)signals; }
static ssize_t fuzz_auxv(void *f, uint64_t off, void *buf, size_t len)
{
	(void)f, (void)off;
	memset(buf, '}', len);
	return (ssize_t)len;
}
static ssize_t fuzz_siginfo(void *f, int thread, uint64_t off, void *buf, size_t len)
{
	(void)thread;
	return fuzz_auxv(f, off, buf, min_u64(len, 128));
}
static int fuzz_exec(void *f, char *ret, size_t cap)
{
	(void)f;
	memset(ret, '#', cap - 1);
	ret[cap - 1] = 0;
	return 0;
}
static int fuzz_open(void *f, const char *path)
{
	(void)f;
	assert(strlen(path) < 4096);
	return open("/dev/zero", O_RDONLY | O_CLOEXEC);
}
static ssize_t fuzz_link(void *f, const char *path, char *ret, size_t cap)
{
	(void)f, (void)path;
	memset(ret, '$', cap);
	return (ssize_t)cap;
}
static void fuzz_send(void *f, const void *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		((struct fuzz *)f)->n += ((const uint8_t *)data)[i];
	assert(len <= 65536);
}

static const struct gdb_target fuzz_target = {
	.threads = fuzz_threads, .thread_name = fuzz_name, .reg_get = fuzz_get,
	.reg_set = fuzz_set, .mem_read = fuzz_read, .mem_write = fuzz_write,
	.breakpoint = fuzz_break, .resume = fuzz_resume, .interrupt = fuzz_none,
	.detach = fuzz_none, .kill = fuzz_none, .pass = fuzz_pass, .auxv = fuzz_auxv,
	.siginfo = fuzz_siginfo, .exec_file = fuzz_exec, .open = fuzz_open,
	.readlink = fuzz_link,
};

/* Returns false when the session is over. */
static bool fuzz_line(struct gdb *g, const uint8_t *line, size_t len)
{
	char sum[4];
	uint8_t n = 0;
	if (len && line[0] == '!')
		return gdb_input(g, line + 1, len - 1);
	for (size_t i = 0; i < len; i++)
		n = (uint8_t)(n + line[i]);
	snprintf(sum, sizeof sum, "#%02x", n);
	return gdb_input(g, "$", 1) && gdb_input(g, line, len) && gdb_input(g, sum, 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fuzz f = {.n = 0};
	struct gdb_cpu cpu;
	struct gdb *g;
	gdb_cpu_riscv(&cpu, "GNU/Linux", 16);
	if (gdb_new(&g, &fuzz_target, &cpu, &f, fuzz_send, NULL) < 0)
		return 0;
	const struct gdb_stop stop = {.thread = 2, .signal = 5, .why = GDB_EXEC, .exec = "/x"};
	bool on = true;
	while (on && len) {
		const uint8_t *end = memchr(data, '\n', len);
		size_t n = end ? (size_t)(end - data) : len;
		on = fuzz_line(g, data, n);
		gdb_stopped(g, &stop);
		n += end != NULL;
		data += n;
		len -= n;
	}
	gdb_ended(g, 1, 0);
	gdb_free(g);
	return 0;
}
