/* SPDX-License-Identifier: Apache-2.0 */
/* System calls of the host. The race between the look at `pending` and a call that sleeps is closed
 * by address: the handler of signals knows where the thread stands.
 *
 *   check    is pending set? then out          a signal here: out
 *   syscall  the call; the kernel comes back   a signal here, before it or to restart it: out
 *   done     here with its result              a signal here: the result stands
 *   out      LINUX_RESTART
 */
#include "host/host.h"
#include "linux/internal.h"
#include <linux/futex.h>
#include <time.h>
#ifndef __x86_64__
#error "the process level runs on x86-64 hosts"
#endif

int64_t linux_stub(volatile int *pending, long nr, const uint64_t a[6]);
extern const char linux_stub_check[], linux_stub_syscall[], linux_stub_out[];
__asm__(".pushsection .text\n"
        ".globl linux_stub, linux_stub_check, linux_stub_syscall, linux_stub_out\n"
        ".hidden linux_stub, linux_stub_check, linux_stub_syscall, linux_stub_out\n"
        ".type linux_stub, @function\n"
        "linux_stub:\n"
        "	mov %rdi, %rcx\n"
        "	mov %rsi, %rax\n"
        "	mov %rdx, %r11\n"
        "	mov (%r11), %rdi\n"
        "	mov 8(%r11), %rsi\n"
        "	mov 16(%r11), %rdx\n"
        "	mov 24(%r11), %r10\n"
        "	mov 32(%r11), %r8\n"
        "	mov 40(%r11), %r9\n"
        "linux_stub_check:\n"
        "	cmpl $0, (%rcx)\n"
        "	jne linux_stub_out\n"
        "linux_stub_syscall:\n"
        "	syscall\n"
        "	ret\n"
        "linux_stub_out:\n"
        "	mov $-512, %rax\n"
        "	ret\n"
        ".size linux_stub, . - linux_stub\n"
        ".popsection\n");

/* ---- time ---- */

/* Calls that wait for a time that begins with them. The others are given the end of it. */
enum { HOST_CALLS = 512 };
static const struct timed {
	uint8_t arg;   /* which argument says how long, from 1 on; 0: none does */
	uint8_t flags; /* an argument of flags; 0: none */
	bool is_ms; /* an int of milliseconds, below 0 for ever; else the address of a timespec */
	uint32_t mask, value; /* only if flags & mask is value */
} timed[HOST_CALLS] = {
    [SYS_nanosleep] = {.arg = 1},
    [SYS_clock_nanosleep] = {.arg = 3, .flags = 2, .mask = TIMER_ABSTIME},
    [SYS_ppoll] = {.arg = 3},
    [SYS_pselect6] = {.arg = 5},
    [SYS_epoll_pwait] = {.arg = 4, .is_ms = true},
    [SYS_epoll_pwait2] = {.arg = 4},
    [SYS_futex] = {.arg = 4, .flags = 2, .mask = (uint32_t)FUTEX_CMD_MASK, .value = FUTEX_WAIT},
    [SYS_rt_sigtimedwait] = {.arg = 3},
    [SYS_semtimedop] = {.arg = 4},
    [SYS_recvmmsg] = {.arg = 5},
    [SYS_io_pgetevents] = {.arg = 5},
    [SYS_io_getevents] = {.arg = 5},
};

/* How long @a asks to wait; UINT64_MAX: for ever, or no time that makes sense. */
static uint64_t timed_ns(const struct timed *r, const uint64_t a[6])
{
	struct timespec s = { 0 };
	if (likely(!r->arg) || (r->flags && ((uint32_t)a[r->flags - 1] & r->mask) != r->value))
		return UINT64_MAX;
	uint64_t v = a[r->arg - 1];
	if (r->is_ms)
		return (int)v < 0 ? UINT64_MAX : (uint64_t)(int)v * 1000000;
	if (!v || host_copy(&s, (const void *)(uintptr_t)v, sizeof s) || s.tv_sec < 0 ||
	    s.tv_sec > INT32_MAX || (uint64_t)s.tv_nsec >= 1000000000)
		return UINT64_MAX;
	return (uint64_t)s.tv_sec * 1000000000 + (uint64_t)s.tv_nsec;
}

/* Let it wait for what is left of the time that it was given first. */
static void timed_shorten(struct linux_task *t, const struct timed *r, uint64_t a[6])
{
	uint64_t now = host_monotonic_ns(), left = t->until_ns > now ? t->until_ns - now : 0;
	t->left = (struct timespec){ (time_t)(left / 1000000000), (long)(left % 1000000000) };
	a[r->arg - 1] = r->is_ms ? (left + 999999) / 1000000 : ptr(&t->left);
}

/* The level's kicks are none of the guest's business: what they end is begun again. */
static int64_t kick_hide(const struct linux_task *t, int64_t r)
{
	return r == -EINTR && t->pending == LINUX_KICK ? LINUX_RESTART : r;
}

int64_t linux_host_call(struct linux_task *t, long nr, const uint64_t a[6])
{
	const struct timed *row = &timed[nr];
	uint64_t b[6], ns = timed_ns(row, a);
	if (likely(ns == UINT64_MAX))
		return kick_hide(t, linux_stub(&t->pending, nr, a));
	memcpy(b, a, sizeof b);
	if (t->until_ns)
		timed_shorten(t, row, b);
	uint64_t until = t->until_ns ? t->until_ns : host_monotonic_ns() + ns;
	int64_t r = kick_hide(t, linux_stub(&t->pending, nr, b));
	t->until_ns = r == LINUX_RESTART && t->pending == LINUX_KICK ? until : 0;
	return r;
}

void linux_interrupted(ucontext_t *uc)
{
	greg_t *rip = &uc->uc_mcontext.gregs[REG_RIP];
	if (*rip >= (greg_t)ptr(linux_stub_check) && *rip <= (greg_t)ptr(linux_stub_syscall))
		*rip = (greg_t)ptr(linux_stub_out);
}

int64_t linux_direct(long nr, const uint64_t a[6])
{
	register uint64_t r10 __asm__("r10") = a[3];
	register uint64_t r8 __asm__("r8") = a[4];
	register uint64_t r9 __asm__("r9") = a[5];
	int64_t ret;
	__asm__ volatile("syscall"
	                 : "=a"(ret)
	                 : "a"(nr), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
	                 : "rcx", "r11", "memory");
	return ret;
}
