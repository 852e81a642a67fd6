/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz system calls: the input is a list of calls with their arguments, and what the guest's memory
 * holds; where it ends, numbers drawn from it go on, for the fuzzer sees nothing of the child in
 * which the calls are made, real as they are. No memory but the guest's may change, and the child
 * may not crash. Left out: what ends, signals or changes other processes, or leaves files. */
#include "host/host.h"
#include "linux/linux.h"
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define GUEST UINT64_C(0x20000000)
#define USER_END (UINT64_C(1) << 38)
enum { GUEST_BYTES = 32 * 1024, CALL_BYTES = 2 + 6 * 2, CALLS = 48, SECRET = 8192, SECONDS = 2 };

static const char *const left_out[] = {
	"kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_send_signal",
	"reboot", "mount", "umount2", "move_mount", "open_tree", "open_tree_attr", "mount_setattr",
	"fsmount", "fsconfig", "unlinkat", "renameat2", "linkat", "symlinkat", "mknodat", "mkdirat",
	"truncate", "swapon", "swapoff", "acct", "init_module", "finit_module", "delete_module",
	"vhangup", "setns", "unshare", "quotactl", "quotactl_fd", "process_vm_writev", "mq_open",
	"process_mrelease", "process_madvise", "migrate_pages", "move_pages", "setpriority",
	"sched_setaffinity", "sched_setscheduler", "sched_setparam", "sched_setattr", "ioprio_set",
	"prlimit64", "setpgid", "msgget", "semget", "shmget", "msgctl", "semctl", "shmctl",
	"add_key", "request_key", "keyctl", "open_by_handle_at", "pidfd_getfd", "sync", "syncfs",
};
static uint8_t secret[SECRET];

static bool may_be_made(const struct linux_row *r)
{
	for (size_t i = 0; i < countof(left_out); i++)
		if (!strcmp(r->name, left_out[i]))
			return false;
	return true;
}

/* A signal that the guest asked for is no crash: where it may come from code, si_code tells. */
static void on_signal(int sig, siginfo_t *si, void *context)
{
	(void)context;
	if (si->si_code <= 0)
		_exit(0);
	signal(sig, SIG_DFL);
}

static uint64_t arg_of(const uint8_t *p)
{
	switch (p[0] % 8) {
	case 0: return p[1] % 8;
	case 1: return GUEST + p[1] * 128u;
	case 2: return (uint64_t)(uintptr_t)secret + p[1];
	case 3: return USER_END - p[1];
	case 4: return UINT64_MAX - p[1];
	case 5: return (uint64_t)p[1] << (p[0] >> 3);
	case 6: return GUEST + GUEST_BYTES - p[1];
	default: return p[1];
	}
}

static void calls_make(struct linux_task *t, const uint8_t *data, size_t n)
{
	for (size_t i = 0; i < n; i++, data += CALL_BYTES) {
		unsigned nr = le16_at(data) % 480;
		const struct linux_row *r = linux_row(nr);
		uint64_t a[6];
		char line[400];
		for (int k = 0; k < 6; k++)
			a[k] = arg_of(data + 2 + 2 * k);
		/* files are opened, and none is made */
		if (r && !strcmp(r->name, "openat"))
			a[2] = 0;
		if (r && (!may_be_made(r) || !strcmp(r->name, "openat2")))
			continue;
		linux_print(line, sizeof line, t, nr, a, NULL);
		linux_call(t, nr, a);
	}
}

static void input_fill(uint8_t *to, size_t n, const uint8_t *data, size_t len)
{
	uint64_t x = UINT64_C(0x9e3779b97f4a7c15);
	len = min_u64(len, n);
	for (size_t i = 0; i < len; i++)
		x = (x ^ (to[i] = data[i])) * UINT64_C(0x100000001b3);
	for (size_t i = len; i < n; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		to[i] = (uint8_t)(x >> 32);
	}
}

static _Noreturn void child(const uint8_t *data, size_t len)
{
	struct sigaction a = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
	static struct linux_proc p;
	static struct linux_task t;
	static uint8_t input[CALLS * CALL_BYTES + GUEST_BYTES];
	/* nobody's rights, if this is root */
	if (!geteuid() && (setgid(65534) || setuid(65534)))
		_exit(0);
	alarm(SECONDS);
	if (chdir("/") || sigaction(SIGSEGV, &a, NULL) || sigaction(SIGBUS, &a, NULL) ||
	    host_fault_begin(NULL) ||
	    mmap((void *)GUEST, GUEST_BYTES, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED)
		_exit(0);
	linux_proc_init(&p, USER_END);
	t.proc = &p;
	t.pending = 1; /* nothing sleeps */
	input_fill(input, sizeof input, data, len);
	memcpy((void *)GUEST, input + CALLS * CALL_BYTES, GUEST_BYTES);
	calls_make(&t, input, CALLS);
	for (size_t i = 0; i < SECRET; i++)
		if (secret[i])
			abort();
	_exit(0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	int status;
	pid_t p = fork();
	if (!p)
		child(data, len);
	if (p < 0 || waitpid(p, &status, 0) != p)
		return 0;
	int sig = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	if ((WIFEXITED(status) && WEXITSTATUS(status)) || sig == SIGSEGV || sig == SIGBUS ||
	    sig == SIGABRT || sig == SIGILL || sig == SIGTRAP)
		__builtin_trap();
	return 0;
}
