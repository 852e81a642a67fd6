/* SPDX-License-Identifier: Apache-2.0 */
/* Calls to the machine's SBI. SBI 2.0 §4 base, §6 time, §7 IPI, §9 HSM, §10 SRST. */
#include "demo.h"

enum {
	BASE = 0x10,
	TIME = 0x54494d45,
	IPI = 0x735049,
	HSM = 0x48534d,
	SRST = 0x53525354,
	DBCN = 0x4442434e,
	LEGACY_TIMER = 0,
	LEGACY_SHUTDOWN = 8,
};

struct sbi_ret sbi(uint64_t ext, uint64_t fn, uint64_t a0, uint64_t a1, uint64_t a2)
{
	register uint64_t r0 __asm__("a0") = a0, r1 __asm__("a1") = a1, r2 __asm__("a2") = a2;
	register uint64_t r6 __asm__("a6") = fn, r7 __asm__("a7") = ext;
	__asm__ volatile("ecall" : "+r"(r0), "+r"(r1) : "r"(r2), "r"(r6), "r"(r7) : "memory");
	return (struct sbi_ret){(int64_t)r0, (int64_t)r1};
}

static bool has(uint64_t ext)
{
	struct sbi_ret r = sbi(BASE, 3, ext, 0, 0);
	return !r.error && r.value;
}

void sbi_init(void)
{
	machine.sbi_version = (uint64_t)sbi(BASE, 0, 0, 0, 0).value;
	machine.sbi_impl = (uint64_t)sbi(BASE, 1, 0, 0, 0).value;
	machine.sbi_impl_version = (uint64_t)sbi(BASE, 2, 0, 0, 0).value;
	machine.dbcn = has(DBCN);
	machine.time = has(TIME);
	machine.hsm = has(HSM);
	machine.ipi = has(IPI);
	machine.srst = has(SRST);
}

const char *sbi_impl_name(void)
{
	static const char *const names[] = {"BBL",    "OpenSBI", "Xvisor",
					    "KVM",    "RustSBI", "Diosix",
					    "Coffer", "Xen",     "PolarFire HSS"};
	if (machine.sbi_impl == 0x4c4f)
		return "Lodge";
	return machine.sbi_impl < countof(names) ? names[machine.sbi_impl] : "other";
}

/* The next timer interrupt of this hart; with Sstc no call is needed. */
void sbi_timer(uint64_t at)
{
	if (machine.sstc) {
		csr_write(0x14d, at);
		return;
	}
	if (machine.time)
		sbi(TIME, 0, at, 0, 0);
	else
		sbi(LEGACY_TIMER, 0, at, 0, 0);
}

int64_t sbi_hart_start(uint64_t id, uint64_t at, uint64_t opaque)
{
	return sbi(HSM, 0, id, at, opaque).error;
}

int64_t sbi_hart_state(uint64_t id)
{
	struct sbi_ret r = sbi(HSM, 2, id, 0, 0);
	return r.error ? -1 : r.value;
}

void sbi_ipi(uint64_t id) { sbi(IPI, 0, 1, id, 0); }

static _Noreturn void reset(uint64_t type, uint64_t reason)
{
	if (machine.srst)
		sbi(SRST, 0, type, reason, 0);
	sbi(LEGACY_SHUTDOWN, 0, 0, 0, 0);
	for (;;)
		__asm__ volatile("wfi");
}

/* SRST knows only "no reason" and "failure"; a code goes to the test finisher where there is one.
 */
_Noreturn void machine_off(unsigned exit_code)
{
	if (exit_code && machine.finisher)
		*(volatile uint32_t *)(uintptr_t)machine.finisher = exit_code << 16 | 0x3333u;
	reset(0, exit_code ? 1 : 0);
}

_Noreturn void machine_reboot(void) { reset(1, 0); }
_Noreturn void machine_fail(void) { reset(0, 1); }
