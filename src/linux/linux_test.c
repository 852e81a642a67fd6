/* SPDX-License-Identifier: Apache-2.0 */
#include "linux/internal.h"
#include "test/test.h"
#include <signal.h>
#include <sys/mman.h>

enum { NR_GETPID = 172, NR_READ = 63, NR_WRITE = 64, NR_GETRANDOM = 278, NR_FSTAT = 80 };
/* Far below the host's own memory, as guest memory is. */
#define GUEST UINT64_C(0x20000000)
#define USER_END (UINT64_C(1) << 38)
enum { GUEST_BYTES = 64 * 1024 };

static struct linux_proc proc;
static struct linux_task task;

static void on_fault(int sig, siginfo_t *si, void *context)
{
	(void)si;
	if (!linux_fault(context))
		signal(sig, SIG_DFL);
}

static void guest_begin(void)
{
	struct sigaction a = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
	linux_proc_init(&proc, USER_END);
	memset(&task, 0, sizeof task);
	task.proc = &proc;
	CHECK(!sigaction(SIGSEGV, &a, NULL) && !sigaction(SIGBUS, &a, NULL));
	CHECK(mmap((void *)GUEST, GUEST_BYTES, PROT_READ | PROT_WRITE,
	           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == (void *)GUEST);
}

static void guest_end(void)
{
	signal(SIGSEGV, SIG_DFL);
	signal(SIGBUS, SIG_DFL);
	CHECK(!munmap((void *)GUEST, GUEST_BYTES));
}

static int64_t call(unsigned nr, uint64_t a0, uint64_t a1, uint64_t a2)
{
	const uint64_t a[6] = { a0, a1, a2 };
	return linux_call(&task, nr, a);
}

TEST(linux_copies_are_guarded)
{
	char buf[16];
	guest_begin();
	CHECK(!linux_write(&proc, GUEST, "hello", 6));
	CHECK(!linux_read(&proc, buf, GUEST, 6) && !strcmp(buf, "hello"));
	CHECK(linux_read(&proc, buf, GUEST + GUEST_BYTES - 4, 8) == -EFAULT);
	CHECK(linux_read(&proc, buf, 0, 1) == -EFAULT);
	CHECK(linux_read(&proc, buf, ptr(&proc), 1) == -EFAULT); /* Lodge's */
	CHECK(linux_write(&proc, UINT64_MAX, buf, 2) == -EFAULT);
	CHECK(linux_string(&proc, buf, GUEST, sizeof buf) == 5);
	CHECK(linux_string(&proc, buf, GUEST, 6) == 5);
	CHECK(linux_string(&proc, buf, GUEST, 5) == -ENAMETOOLONG);
	memset((void *)(GUEST + GUEST_BYTES - 4), 'x', 4);
	CHECK(linux_string(&proc, buf, GUEST + GUEST_BYTES - 4, sizeof buf) == -EFAULT);
	guest_end();
}

TEST(linux_calls_check_pointers)
{
	guest_begin();
	CHECK(call(NR_GETPID, 0, 0, 0) == getpid());
	CHECK(call(NR_GETRANDOM, GUEST, 16, 0) == 16);
	CHECK(call(NR_GETRANDOM, ptr(&proc), 16, 0) == -EFAULT);
	CHECK(call(NR_GETRANDOM, USER_END - 8, 16, 0) == -EFAULT);
	CHECK(call(NR_WRITE, 99, GUEST, 1) == -EBADF);
	CHECK(call(NR_FSTAT, 0, ptr(&proc), 0) == -EFAULT);
	CHECK(call(100000, 0, 0, 0) == -ENOSYS);
	guest_end();
}

TEST(linux_table_is_whole)
{
	unsigned n = 0;
	for (unsigned nr = 0; nr < 600; nr++) {
		const struct linux_row *r = linux_row(nr);
		if (!r)
			continue;
		n++;
		CHECK(r->how >= HOW_NONE && r->how <= HOW_LEVEL);
		CHECK((r->how == HOW_OWN) == (r->own != NULL));
		CHECK((r->how == HOW_NONE || r->how == HOW_LEVEL) == (r->error > 0));
		for (unsigned i = 0; i < r->n_args; i++)
			CHECK(r->arg[i].name && r->arg[i].count <= r->n_args);
	}
	CHECK(n > 300);
}
