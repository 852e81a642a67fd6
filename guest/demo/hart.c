/* SPDX-License-Identifier: Apache-2.0 */
/* Harts: start, traps, timer ticks, work sent by IPI. RISC-V Priv 1.12 §4.1. */
#include "demo.h"

enum { IE_SOFT = 1u << 1, IE_TIMER = 1u << 5, STATUS_SIE = 1u << 1, STATUS_FS = 3u << 13 };
#define INTERRUPT (1ull << 63)

struct machine machine;
struct hart harts[HARTS_MAX];
uint8_t stacks[HARTS_MAX][STACK_SIZE] __attribute__((aligned(16)));

uint64_t tick_period(void) { return machine.timebase / HZ; }

static _Noreturn void unexpected(const struct regs *r, uint64_t cause)
{
	static const char *const names[] = {
	    "instruction address misaligned",
	    "instruction access fault",
	    "illegal instruction",
	    "breakpoint",
	    "load address misaligned",
	    "load access fault",
	    "store address misaligned",
	    "store access fault",
	    "environment call from U",
	    "environment call from S",
	    "?",
	    "?",
	    "instruction page fault",
	    "load page fault",
	    "?",
	    "store page fault",
	};
	print("\n%spanic%s: hart %lu: %s\n", bold(), plain(), self()->id,
	      cause < countof(names) ? names[cause] : "unknown trap");
	print("  pc %016lx  value %016lx  cause %lu\n", csr_read(sepc), csr_read(stval), cause);
	for (unsigned i = 1; i < 32; i++)
		if (i < 2 || i > 4)
			print("  x%02u %016lx%s", i, r->x[i], i % 3 == 1 ? "\n" : "");
	machine_fail();
}

void trap_main(struct regs *r)
{
	struct hart *h = self();
	uint64_t cause = csr_read(scause);
	if (cause == (INTERRUPT | 5)) {
		h->ticks++;
		sbi_timer(now() + tick_period());
	} else if (cause == (INTERRUPT | 1)) {
		csr_clear(sip, IE_SOFT);
		h->ipis++;
	} else if (!(cause & INTERRUPT) && h->probing) {
		uint64_t pc = csr_read(sepc);
		h->probe_trapped = true;
		csr_write(sepc, pc + ((*(const uint16_t *)(uintptr_t)pc & 3) == 3 ? 4 : 2));
	} else if (cause & INTERRUPT) {
		csr_clear(sie, 1ull << (cause & 63)); /* one that nobody asked for */
	} else {
		unexpected(r, cause);
	}
}

bool probe(void (*f)(void))
{
	struct hart *h = self();
	h->probe_trapped = false;
	h->probing = true;
	f();
	h->probing = false;
	return !h->probe_trapped;
}

void rest(void) { __asm__ volatile("wfi" ::: "memory"); }

void other_main(uint64_t id, struct hart *h)
{
	(void)id;
	h->hello = now();
	csr_set(sstatus, STATUS_FS);
	csr_write(sie, (uint64_t)IE_SOFT);
	__atomic_store_n(&h->online, true, __ATOMIC_RELEASE);
	for (;;) {
		/* With interrupts off, wfi still wakes for a pending one: none is lost in between.
		 */
		csr_clear(sstatus, (uint64_t)STATUS_SIE);
		void (*work)(struct hart *) = __atomic_load_n(&h->work, __ATOMIC_ACQUIRE);
		if (!work)
			rest();
		csr_set(sstatus, (uint64_t)STATUS_SIE);
		if (work) {
			work(h);
			__atomic_store_n(&h->work, NULL, __ATOMIC_RELEASE);
		}
	}
}

/* Give an idle hart something to do. */
bool run_on(struct hart *h, void (*work)(struct hart *h))
{
	if (!__atomic_load_n(&h->online, __ATOMIC_ACQUIRE) || h->work)
		return false;
	__atomic_store_n(&h->work, work, __ATOMIC_RELEASE);
	sbi_ipi(h->id);
	return true;
}

bool run_wait(struct hart *h, unsigned ms)
{
	uint64_t end = now() + machine.timebase / 1000 * ms;
	while (__atomic_load_n(&h->work, __ATOMIC_ACQUIRE))
		if (ms && now() > end)
			return false;
	return true;
}

static void timer_off(void) { csr_write(0x14d, ~0ull); }

/* The boot hart is harts[0], whatever its id; the others follow in the tree's order. */
static void start_others(uint64_t boot_id)
{
	unsigned n = 1;
	for (unsigned i = 0; i < machine.harts; i++) {
		if (machine.hart_ids[i] == boot_id)
			continue;
		struct hart *h = &harts[n];
		h->id = machine.hart_ids[i];
		h->stack = stacks[n] + STACK_SIZE;
		n++;
		if (machine.hsm)
			sbi_hart_start(h->id, (uint64_t)(uintptr_t)boot_other,
				       (uint64_t)(uintptr_t)h);
	}
	uint64_t end = now() + machine.timebase;
	for (unsigned i = 1; i < n; i++)
		while (!__atomic_load_n(&harts[i].online, __ATOMIC_ACQUIRE) && now() < end)
			;
}

void boot_main(uint64_t id, const uint8_t *dtb)
{
	struct hart *h = self();
	h->id = id;
	h->stack = stacks[0] + STACK_SIZE;
	h->hello = now();
	h->online = true;
	sbi_init();
	if (!fdt_parse(dtb)) {
		print("lodge demo: no usable device tree\n");
		machine_fail();
	}
	if (machine.harts > HARTS_MAX)
		machine.harts = HARTS_MAX;
	machine.sstc = machine.sstc && probe(timer_off);
	csr_set(sstatus, STATUS_FS);
	sbi_timer(now() + tick_period());
	csr_write(sie, (uint64_t)(IE_TIMER | IE_SOFT));
	csr_set(sstatus, (uint64_t)STATUS_SIE);
	start_others(id);
	show_boot();
	shell();
}
