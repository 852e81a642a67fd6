/* SPDX-License-Identifier: Apache-2.0 */
/* What process.bats runs: one program of riscv64 Linux, its first argument says which part. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A line of what comes in, and where it goes. */
static int part_echo(int argc, char **argv)
{
	char line[256];
	(void)argc, (void)argv;
	if (!fgets(line, sizeof line, stdin))
		return 1;
	printf("%s: %s", isatty(1) ? "terminal" : "pipe", line);
	return 0;
}

static int part_args(int argc, char **argv)
{
	for (int i = 0; i < argc; i++)
		printf("%s\n", argv[i]);
	printf("MARK=%s\n", getenv("MARK") ? getenv("MARK") : "");
	return 42;
}

static int part_aux(int argc, char **argv)
{
	(void)argc, (void)argv;
	const uint8_t *r = (const uint8_t *)getauxval(AT_RANDOM);
	unsigned any = 0;
	for (int i = 0; i < 16; i++)
		any |= r[i];
	printf("page %lu hwcap %lx secure %lu random %d name %s\n", getauxval(AT_PAGESZ),
	       getauxval(AT_HWCAP), getauxval(AT_SECURE), any != 0,
	       (const char *)getauxval(AT_EXECFN));
	return (uintptr_t)&any >= UINT64_C(1) << 38 || (uintptr_t)&any % 4;
}

/* The function @name of the image at AT_SYSINFO_EHDR. */
static void *vdso_find(const char *name)
{
	const char *base = (const char *)getauxval(AT_SYSINFO_EHDR), *names = NULL;
	const Elf64_Ehdr *head = (const Elf64_Ehdr *)base;
	const Elf64_Phdr *ph = (const Elf64_Phdr *)(base + head->e_phoff);
	const Elf64_Sym *sym = NULL;
	const uint32_t *hash = NULL;
	while (ph->p_type != PT_DYNAMIC)
		ph++;
	for (const Elf64_Dyn *d = (const Elf64_Dyn *)(base + ph->p_vaddr); d->d_tag; d++) {
		const char *at = base + d->d_un.d_ptr;
		names = d->d_tag == DT_STRTAB ? at : names;
		sym = d->d_tag == DT_SYMTAB ? (const Elf64_Sym *)at : sym;
		hash = d->d_tag == DT_HASH ? (const uint32_t *)at : hash;
	}
	for (uint32_t i = 0; i < hash[1]; i++)
		if (!strcmp(names + sym[i].st_name, name))
			return (void *)(base + sym[i].st_value);
	return NULL;
}

static int part_vdso(int argc, char **argv)
{
	long (*now)(clockid_t, struct timespec *) = vdso_find("__vdso_clock_gettime");
	long (*day)(struct timeval *, void *) = vdso_find("__vdso_gettimeofday");
	long (*res)(clockid_t, struct timespec *) = vdso_find("__vdso_clock_getres");
	long (*cpu)(unsigned *, unsigned *, void *) = vdso_find("__vdso_getcpu");
	long (*flush)(void *, void *, unsigned long) = vdso_find("__vdso_flush_icache");
	long (*probe)(void *, size_t, size_t, void *, unsigned) =
		vdso_find("__vdso_riscv_hwprobe");
	struct timespec a, b, c;
	struct timeval d;
	unsigned n = 77, m = 77;
	int64_t pair[2] = { 3, 0 };
	(void)argc, (void)argv;
	if (!now || !day || !res || !cpu || !flush || !probe)
		return 1;
	if (clock_gettime(CLOCK_MONOTONIC, &a) || now(CLOCK_MONOTONIC, &b) ||
	    now(CLOCK_REALTIME, &c) || day(&d, NULL) || now(99, &c) != -EINVAL ||
	    now(CLOCK_REALTIME, (void *)8) != -EFAULT)
		return 2;
	if (b.tv_sec - a.tv_sec > 60 || d.tv_sec - c.tv_sec > 60 || d.tv_sec < c.tv_sec)
		return 3;
	if (res(CLOCK_MONOTONIC, &c) || c.tv_sec || cpu(&n, &m, NULL) || n == 77 || m == 77)
		return 4;
	if (flush((void *)vdso_find, (char *)vdso_find + 64, 0) ||
	    probe(pair, 1, 0, NULL, 0) || pair[1] != 1)
		return 5;
	puts("vdso");
	return 0;
}

/* Ends by the signal that its argument's number stands for. */
static int part_fault(int argc, char **argv)
{
	volatile char *p = NULL;
	int k = argc > 0 ? atoi(argv[0]) : 0;
	uint8_t *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
	                     0);
	switch (k) {
	case 0: *p = 1; break;
	case 1: *(volatile char *)(UINT64_C(1) << 38) = 1; break;
	case 2: return *(volatile char *)UINT64_MAX;
	case 3: *(volatile char *)(uintptr_t)part_fault = 1; break;
	case 4: ((void (*)(void))(uintptr_t)page)(); break;
	case 5: __asm__ volatile("unimp"); break;
	case 6: __asm__ volatile("ebreak"); break;
	case 7: abort();
	default: raise(SIGKILL);
	}
	return 1;
}

static volatile int seen, code;
static void *volatile where;
static void on_fault(int sig, siginfo_t *si, void *uc)
{
	ucontext_t *u = uc;
	seen = sig;
	code = si->si_code;
	where = si->si_addr;
	u->uc_mcontext.__gregs[REG_PC] += 4; /* the store has four bytes: see below */
}

static int part_handler(int argc, char **argv)
{
	struct sigaction a = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
	(void)argc, (void)argv;
	sigaction(SIGSEGV, &a, NULL);
	for (int i = 0; i < 200; i++) {
		char *at = (char *)0x123450 + i;
		seen = 0;
		__asm__ volatile(".option push; .option norvc; sb zero, 0(%0); .option pop"
		                 : : "r"(at) : "memory");
		if (seen != SIGSEGV || code != SEGV_MAPERR || where != at)
			return 1;
	}
	puts("caught");
	return 0;
}

/* A handler that uses vectors of its own, and goes on behind the instruction that failed. */
static void on_vector_fault(int sig, siginfo_t *si, void *uc)
{
	(void)sig, (void)si;
	seen++;
	((ucontext_t *)uc)->uc_mcontext.__gregs[REG_PC] += 4;
	__asm__ volatile(".option push\n.option arch, +v\n"
	                 "vsetvli t0, zero, e8, m8, ta, ma\nvmv.v.i v0, -1\nvmv.v.i v8, -2\n"
	                 "csrwi vcsr, 7\n.option pop" ::: "t0", "memory");
}

/* @access 3000 times, the last time over the end of a page: the element that fails. */
#define VECTOR_CUT(access, good, bad)                                                              \
	({                                                                                         \
		unsigned long cut, n_ = 3000, at_;                                                 \
		__asm__ volatile(".option push\n.option norvc\n.option arch, +v\n"                 \
		                 "1: vsetvli t0, zero, e8, m8, ta, ma\n"                           \
		                 "mv %[at], %[g]\naddi %[n], %[n], -1\nbnez %[n], 2f\n"            \
		                 "mv %[at], %[b]\n2: " access " v8, (%[at])\nbnez %[n], 1b\n"      \
		                 "csrrw %[cut], vstart, zero\n.option pop"                         \
		                 : [cut] "=&r"(cut), [n] "+&r"(n_), [at] "=&r"(at_)                \
		                 : [g] "r"(good), [b] "r"(bad)                                     \
		                 : "t0", "memory");                                                \
		cut;                                                                               \
	})

/* Two vectors are added, with a signal in between; then a load that is cut off. */
static int part_vectors(int argc, char **argv)
{
	static unsigned a[8] = { 1, 2, 3, 4, 5, 6, 7, 8 }, sum[8];
	struct sigaction act = { .sa_sigaction = on_vector_fault, .sa_flags = SA_SIGINFO };
	unsigned long vl, vtype, vcsr, first;
	(void)argc, (void)argv;
	sigaction(SIGSEGV, &act, NULL);
	char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED || mprotect(page + 4096, 4096, PROT_NONE))
		return 1;
	__asm__ volatile(".option push\n.option norvc\n.option arch, +v\n"
	                 "csrwi vcsr, 2\n"
	                 "vsetivli zero, 7, e32, m2, ta, ma\n"
	                 "vle32.v v8, (%[a])\n"
	                 "ld zero, 0(zero)\n"
	                 "vadd.vv v10, v8, v8\n"
	                 "vse32.v v10, (%[sum])\n"
	                 "csrr %[vl], vl\ncsrr %[vtype], vtype\ncsrr %[vcsr], vcsr\n"
	                 "vle32ff.v v8, (%[end])\n"
	                 "csrr %[first], vl\n"
	                 ".option pop"
	                 : [vl] "=&r"(vl), [vtype] "=&r"(vtype), [vcsr] "=&r"(vcsr),
	                   [first] "=&r"(first)
	                 : [a] "r"(a), [sum] "r"(sum), [end] "r"(page + 4096 - 12)
	                 : "memory");
	for (unsigned i = 0; i < 8; i++)
		printf("%u ", sum[i]);
	printf("vl %lu vtype %lx vcsr %lx, first %lu, signals %d\n", vl, vtype, vcsr, first, seen);
	unsigned long store = VECTOR_CUT("vse8.v", page, page + 4096 - 20);
	unsigned long load = VECTOR_CUT("vle8.v", page, page + 4096 - 100);
	printf("cut at %lu and %lu, signals %d\n", store, load, seen);
	return 0;
}

static void on_usr(int sig) { seen += sig == SIGUSR1; }

static int part_signals(int argc, char **argv)
{
	sigset_t set, old;
	(void)argc, (void)argv;
	signal(SIGUSR1, on_usr);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	for (int i = 0; i < 1000; i++)
		raise(SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, &old);
	raise(SIGUSR1);
	if (seen != 1000)
		return 1;
	sigsuspend(&old);
	if (seen != 1001)
		return 2;
	raise(SIGUSR1);
	sigprocmask(SIG_SETMASK, &old, NULL);
	printf("%d\n", seen);
	return 0;
}

static int part_fork(int argc, char **argv)
{
	int status, sum = 0, ends[2];
	(void)argc, (void)argv;
	for (int i = 0; i < 50; i++) {
		pid_t pid = fork();
		if (pid == 0)
			_exit(i);
		if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
			return 1;
		sum += WEXITSTATUS(status);
	}
	if (pipe(ends) < 0)
		return 2;
	if (fork() == 0) {
		dup2(ends[1], 1);
		execl("/proc/self/exe", "again", "args", "from", "exec", NULL);
		_exit(99);
	}
	close(ends[1]);
	char buf[100] = "";
	for (ssize_t n, at = 0; (n = read(ends[0], buf + at, sizeof buf - 1 - (size_t)at)) > 0;)
		at += n;
	if (wait(&status) < 0 || WEXITSTATUS(status) != 42)
		return 3;
	pid_t dead = fork();
	if (dead == 0)
		abort();
	waitpid(dead, &status, 0);
	printf("%d %d %s", sum, WTERMSIG(status), buf);
	return 0;
}

/* Why a child of vfork could not begin is what its parent is told. */
static int part_spawn(int argc, char **argv)
{
	char *args[] = { "again", "args", "spawned", NULL };
	posix_spawn_file_actions_t actions;
	pid_t pid;
	int status, none[3];
	(void)argc, (void)argv;
	signal(SIGUSR1, on_usr);
	for (int i = 0; i < 20; i++) {
		none[0] = posix_spawn(&pid, "/none/such", NULL, NULL, args, environ);
		none[1] = posix_spawnp(&pid, "no-such-program", NULL, NULL, args, environ);
		posix_spawn_file_actions_init(&actions);
		posix_spawn_file_actions_addopen(&actions, 5, "/none/file", O_RDONLY, 0);
		none[2] = posix_spawn(&pid, "/proc/self/exe", &actions, NULL, args, environ);
		posix_spawn_file_actions_destroy(&actions);
		if (none[0] != ENOENT || none[1] != ENOENT || none[2] != ENOENT)
			return 1;
	}
	volatile int why = 0;
	pid = vfork();
	if (pid == 0) {
		execl("/dev/null", "null", NULL);
		why = errno;
		_exit(9);
	}
	if (waitpid(pid, &status, 0) != pid || WEXITSTATUS(status) != 9 || why != EACCES)
		return 2;
	if (waitpid(-1, &status, 0) != -1 || errno != ECHILD)
		return 3;
	if (posix_spawn(&pid, "/proc/self/exe", NULL, NULL, args, environ) ||
	    waitpid(pid, &status, 0) != pid || WEXITSTATUS(status) != 42)
		return 4;
	return 0;
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long count;
static __thread long mine;
static void *thread(void *arg)
{
	for (int i = 0; i < 20000; i++) {
		pthread_mutex_lock(&lock);
		count++;
		pthread_mutex_unlock(&lock);
		mine++;
	}
	return (void *)(mine + (long)arg);
}

static int part_threads(int argc, char **argv)
{
	(void)argc, (void)argv;
	for (int round = 0; round < 5; round++) {
		pthread_t t[6];
		for (long i = 0; i < 6; i++)
			if (pthread_create(&t[i], NULL, thread, (void *)i))
				return 1;
		for (long i = 0; i < 6; i++) {
			void *r;
			pthread_join(t[i], &r);
			if ((long)r != 20000 + i)
				return 2;
		}
	}
	printf("%ld\n", count);
	return 0;
}

static void *waiter(void *end)
{
	char none;
	(void)!read(*(int *)end, &none, 1);
	return NULL;
}

/* A child of a crowd says who it is, and stays until stdin ends. */
static int part_crowd(int argc, char **argv)
{
	pthread_t t[40];
	int ends[2], status;
	char none;
	(void)argc, (void)argv;
	if (pipe(ends) < 0)
		return 1;
	for (int i = 0; i < 40; i++)
		if (pthread_create(&t[i], NULL, waiter, &ends[0]))
			return 2;
	usleep(100000);
	pid_t pid = fork();
	if (pid == 0) {
		printf("%d\n", getpid());
		fflush(stdout);
		_exit((int)read(0, &none, 1));
	}
	waitpid(pid, &status, 0);
	close(ends[1]);
	for (int i = 0; i < 40; i++)
		pthread_join(t[i], NULL);
	return status;
}

static void *code_runner(void *code)
{
	long sum = 0;
	for (int k = 0; k < 50; k++)
		sum += ((long (*)(void))(uintptr_t)code)();
	return (void *)sum;
}

/* Code that is written, run and written again, also while another thread runs. */
static int part_code(int argc, char **argv)
{
	uint32_t *q = mmap(NULL, 8192, PROT_READ | PROT_WRITE | PROT_EXEC,
	                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long sum = 0;
	(void)argc, (void)argv;
	for (uint32_t i = 0; i < 500; i++) {
		q[0] = 0x00000513 | i << 20; /* li a0, i; ret */
		q[1] = 0x00008067;
		__builtin___clear_cache((char *)q, (char *)(q + 2));
		for (int k = 0; k < 50; k++)
			sum += ((long (*)(void))(uintptr_t)q)();
		pthread_t t; /* its hart has the code of the thread before */
		void *r;
		if (i % 16 == 0 && (pthread_create(&t, NULL, code_runner, q) ||
		                    pthread_join(t, &r) || (long)r != 50 * (long)i))
			return 1;
	}
	printf("%ld\n", sum);
	fflush(stdout);
	mprotect(q, 8192, PROT_READ);
	return (int)((long (*)(void))(uintptr_t)q)();
}

/* mmap and its kin, at their edges. */
static int part_memory(int argc, char **argv)
{
	const int rw = PROT_READ | PROT_WRITE, anon = MAP_PRIVATE | MAP_ANONYMOUS;
	(void)argc, (void)argv;
	uint8_t *p = mmap(NULL, 5 * 4096, rw, anon, -1, 0);
	memset(p, 7, 5 * 4096);
	if (mmap(p + 4096, 4096, rw, anon | MAP_FIXED, -1, 0) != p + 4096 || p[4096] || p[0] != 7)
		return 1;
	if (mmap(p, 4096, rw, anon | MAP_FIXED_NOREPLACE, -1, 0) != MAP_FAILED || errno != EEXIST)
		return 2;
	if (mmap((void *)(UINT64_C(1) << 38), 4096, rw, anon | MAP_FIXED, -1, 0) != MAP_FAILED ||
	    errno != ENOMEM)
		return 3;
	if ((uintptr_t)mmap((void *)(UINT64_C(1) << 40), 4096, rw, anon, -1, 0) >> 38)
		return 4;
	if (munmap(p + 2 * 4096, 4096) || mprotect(p, 5 * 4096, PROT_READ) != -1 ||
	    errno != ENOMEM)
		return 5;
	uint8_t *big = mremap(p + 3 * 4096, 2 * 4096, 64 * 4096, MREMAP_MAYMOVE);
	if (big == MAP_FAILED || big[0] != 7 || big[2 * 4096])
		return 6;
	if (mremap(big, 64 * 4096, 4096, 0) != big || munmap((void *)1, 4096) != -1)
		return 7;
	uint8_t *top = sbrk(0);
	if (sbrk(1 << 20) != top || sbrk(-(1 << 20)) == (void *)-1 || sbrk(0) != top)
		return 8;
	if (write(1, (void *)(UINT64_C(1) << 45), 1) != -1 || errno != EFAULT)
		return 9;
	puts("memory");
	return 0;
}

/* What the program is called, who it is, and another in its place. */
static int part_name(int argc, char **argv)
{
	(void)argc;
	puts(argv[-2]);
	return 0;
}

static int part_ids(int argc, char **argv)
{
	(void)argc, (void)argv;
	printf("%d %d %d %d secure %lu\n", getuid(), geteuid(), getgid(), getegid(),
	       getauxval(AT_SECURE));
	return 0;
}

static int part_exec(int argc, char **argv)
{
	(void)argc;
	execv(argv[0], argv);
	return errno;
}

/* The same with a filter of system calls that allows all. */
static int part_filtered(int argc, char **argv)
{
	struct sock_filter all = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog p = { 1, &all };
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p))
		return 1;
	return part_exec(argc, argv);
}

int main(int argc, char **argv)
{
	static const struct { const char *name; int (*run)(int argc, char **argv);
	} parts[] = {
	    {"args", part_args},       {"echo", part_echo},       {"aux", part_aux},
	    {"vdso", part_vdso},       {"fault", part_fault},     {"handler", part_handler},
	    {"signals", part_signals}, {"fork", part_fork},       {"spawn", part_spawn},
	    {"vectors", part_vectors}, {"threads", part_threads}, {"crowd", part_crowd},
	    {"code", part_code},       {"memory", part_memory},   {"name", part_name},
	    {"ids", part_ids},         {"exec", part_exec},
	    {"filtered", part_filtered},
	};
	for (size_t i = 0; argc > 1 && i < sizeof parts / sizeof *parts; i++)
		if (!strcmp(parts[i].name, argv[1]))
			return parts[i].run(argc - 2, argv + 2);
	return 125;
}
