/* SPDX-License-Identifier: Apache-2.0 */
/* What can be typed at the demo guest's prompt. */
#include "demo.h"

static uint64_t to_us(uint64_t t) { return t * 1000000 / machine.timebase; }

/* "rv64imafdc and 12 more", or all of them. */
static void show_isa(bool all)
{
	const char *isa = machine.isa[0] ? machine.isa : "rv64";
	unsigned more = 0;
	for (const char *s = isa; *s; s++) {
		more += *s == '_';
		if (all || !more)
			print("%c", *s);
	}
	if (!all && more)
		print(" and %u extensions", more);
	if (!strncmp(machine.mmu, "riscv,", 6))
		print(", %s", machine.mmu + 6);
	print("\n");
}

static void show_id(bool all)
{
	print("  %shart%s      %lu of %u, ", dim(), plain(), self()->id, machine.harts);
	show_isa(all);
	print("  %smemory%s    %lu MiB at 0x%lx\n", dim(), plain(), machine.ram_size >> 20,
	      machine.ram_base);
	print("  %sfirmware%s  SBI %lu.%lu by %s %lu.%lu, console %s\n", dim(), plain(),
	      machine.sbi_version >> 24, machine.sbi_version & 0xffffff, sbi_impl_name(),
	      machine.sbi_impl_version >> 16, machine.sbi_impl_version & 0xffff,
	      machine.dbcn ? "DBCN" : "legacy");
	print("  %stimer%s     %lu.%03lu MHz by %s\n", dim(), plain(), machine.timebase / 1000000,
	      machine.timebase / 1000 % 1000,
	      machine.sstc   ? "Sstc"
	      : machine.time ? "SBI TIME"
			     : "legacy SBI");
}

static void hello(struct hart *h) { h->result = h->ipis; }

void show_boot(void)
{
	colour = !find(machine.bootargs, "nocolor") && !find(machine.bootargs, "run=");
	print("\n%s       /\\%s\n", warm(), plain());
	print("%s      /  \\%s       %sLodge%s\n", warm(), plain(), bold(), plain());
	print("%s     /____\\%s      a guest in its own machine: processor, memory, clock and\n",
	      warm(), plain());
	print("%s     | [] |%s      console that you see here are all made in software\n", warm(),
	      plain());
	print("%s   __|____|__%s\n\n", warm(), plain());
	show_id(false);
	print("\n");
	for (unsigned i = 1; i < machine.harts; i++) {
		struct hart *h = &harts[i];
		if (!run_on(h, hello) || !run_wait(h, 1000))
			print("  hart %lu does not answer\n", h->id);
		else
			print("  hart %lu says hello, %lu us after hart %lu\n", h->id,
			      to_us(h->hello - harts[0].hello), harts[0].id);
	}
	print("%sType 'help' to see what it can do, 'poweroff' or Ctrl-D to leave.\n",
	      machine.harts > 1 ? "\n" : "");
}

static void cmd_help(const char *args)
{
	(void)args;
	for (unsigned i = 0; i < command_count; i++)
		print("  %s%-9s%s %-12s %s\n", bold(), commands[i].name, plain(), commands[i].args,
		      commands[i].help);
	print("Several commands may stand on a line with ; between them, or in the boot\n"
	      "arguments: run=\"info; bench; poweroff 3\"\n");
}

static void cmd_info(const char *args)
{
	(void)args;
	print("  %smachine%s   %s\n", dim(), plain(), machine.model[0] ? machine.model : "no name");
	show_id(true);
	print("  %sbootargs%s  %s\n", dim(), plain(),
	      machine.bootargs[0] ? machine.bootargs : "none");
}

static void show_date(uint64_t seconds)
{
	uint64_t days = seconds / 86400, s = seconds % 86400;
	/* Days since 1 March of the year 0, in cycles of 400 years (146097 days). */
	uint64_t z = days + 719468, era = z / 146097, doe = z % 146097;
	uint64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	uint64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), m = (5 * doy + 2) / 153;
	uint64_t month = m < 10 ? m + 3 : m - 9, year = yoe + era * 400 + (month <= 2);
	print("  %lu-%02lu-%02lu %02lu:%02lu:%02lu UTC by the real-time clock\n", year, month,
	      doy - (153 * m + 2) / 5 + 1, s / 3600, s / 60 % 60, s % 60);
}

static void cmd_time(const char *args)
{
	(void)args;
	uint64_t t = now(), us = to_us(t - harts[0].hello);
	print("  up %lu.%03lu s, %lu ticks at %u Hz, counter at %lu\n", us / 1000000,
	      us / 1000 % 1000, harts[0].ticks, HZ, t);
	if (machine.rtc) {
		volatile const uint32_t *rtc = (volatile const uint32_t *)(uintptr_t)machine.rtc;
		uint64_t low = rtc[0]; /* latches the high word */
		show_date(((uint64_t)rtc[1] << 32 | low) / 1000000000);
	}
}

static void cmd_harts(const char *args)
{
	static const char *const states[] = {"started",   "stopped",    "starting", "stopping",
					     "suspended", "suspending", "resuming"};
	(void)args;
	print("  %shart  state      ipis   ticks  answer%s\n", dim(), plain());
	for (unsigned i = 0; i < machine.harts; i++) {
		struct hart *h = &harts[i];
		int64_t s = machine.hsm ? sbi_hart_state(h->id) : -1;
		uint64_t t = now();
		bool ok = i == 0 || (run_on(h, hello) && run_wait(h, 1000));
		print("  %4lu  %-9s %5lu %7lu  ", h->id,
		      s >= 0 && s < (int64_t)countof(states) ? states[s] : "?", h->ipis, h->ticks);
		if (!ok)
			print("none\n");
		else if (i == 0)
			print("this one\n");
		else
			print("%lu us\n", to_us(now() - t));
	}
}

/* Free memory: after this image, below the device tree and the initrd if they are above it. */
static void free_memory(uint64_t *start, uint64_t *end)
{
	uint64_t dtb = (uint64_t)(uintptr_t)machine.dtb;
	*start = ((uint64_t)(uintptr_t)image_end + 0xfffff) & ~0xfffffull;
	*end = machine.ram_base + machine.ram_size;
	if (dtb >= *start && dtb < *end)
		*end = dtb;
	if (machine.initrd_start >= *start && machine.initrd_start < *end)
		*end = machine.initrd_start;
	*end &= ~0xfffffull;
	if (*end < *start)
		*end = *start;
}

static void mem_test(uint64_t start, uint64_t bytes)
{
	uint64_t *p = (uint64_t *)(uintptr_t)start, n = bytes / 8, t = now();
	for (uint64_t i = 0; i < n; i++)
		p[i] = i * 0x9e3779b97f4a7c15ull;
	for (uint64_t i = 0; i < n; i++) {
		if (*(volatile uint64_t *)&p[i] != i * 0x9e3779b97f4a7c15ull) {
			print("  wrong at 0x%lx\n", start + i * 8);
			return;
		}
	}
	t = to_us(now() - t);
	print("  %lu MiB written and read back right, %lu ms\n", bytes >> 20, t / 1000);
}

static void cmd_mem(const char *args)
{
	uint64_t start, end, mib = 0;
	free_memory(&start, &end);
	if (!strncmp(args, "test", 4)) {
		args += 4;
		while (*args == ' ')
			args++;
		if (!number(args, &mib))
			mib = 16;
		mib = mib < (end - start) >> 20 ? mib : (end - start) >> 20;
		mem_test(start, mib << 20);
		return;
	}
	print("  0x%010lx - 0x%010lx  memory, %lu MiB\n", machine.ram_base,
	      machine.ram_base + machine.ram_size - 1, machine.ram_size >> 20);
	print("  0x%010lx - 0x%010lx  this program\n", (uint64_t)(uintptr_t)head,
	      (uint64_t)(uintptr_t)image_end - 1);
	print("  0x%010lx - 0x%010lx  device tree\n", (uint64_t)(uintptr_t)machine.dtb,
	      (uint64_t)(uintptr_t)machine.dtb + machine.dtb_size - 1);
	if (machine.initrd_end > machine.initrd_start)
		print("  0x%010lx - 0x%010lx  initrd\n", machine.initrd_start,
		      machine.initrd_end - 1);
	print("  0x%010lx - 0x%010lx  free, %lu MiB\n", start, end - 1, (end - start) >> 20);
}

static void cmd_sum(const char *args)
{
	uint64_t n = 1000000, s = 0;
	if (*args && !number(args, &n)) {
		print("usage: sum [N]\n");
		return;
	}
	uint64_t t = now();
	for (uint64_t i = 1; i <= n; i++) {
		s += i;
		__asm__ volatile("" : "+r"(s));
		if (!(i & 0xffffff) && interrupted()) {
			print("^C\n");
			return;
		}
	}
	t = to_us(now() - t);
	uint64_t want = n % 2 ? (n + 1) / 2 * n : n / 2 * (n + 1);
	print("  1 + 2 + ... + %lu = %lu (%s), %lu.%03lu ms\n", n, s, s == want ? "right" : "WRONG",
	      t / 1000, t % 1000);
}

static void rate(const char *what, uint64_t amount, uint64_t us, const char *unit)
{
	uint64_t tenths = us ? amount * 10 / us : 0;
	print("  %-22s %6lu.%lu %s\n", what, tenths / 10, tenths % 10, unit);
}

enum { ROUNDS = 1000000 };

static void bench_one(struct hart *h)
{
	uint64_t t = now();
	loop_integer(ROUNDS);
	h->result = to_us(now() - t);
}

static void bench_all(void)
{
	unsigned n = 0;
	uint64_t t = now();
	for (unsigned i = 1; i < machine.harts; i++)
		n += run_on(&harts[i], bench_one);
	if (!n)
		return;
	bench_one(&harts[0]);
	for (unsigned i = 1; i < machine.harts; i++)
		run_wait(&harts[i], 0);
	rate("integer, all harts", 10ull * ROUNDS * (n + 1), to_us(now() - t), "MIPS");
}

static void cmd_bench(const char *args)
{
	uint64_t start, end, t;
	(void)args;
	bench_one(&harts[0]);
	rate("integer, one hart", 10ull * ROUNDS, harts[0].result, "MIPS");
	bench_all();
	t = now();
	loop_float(ROUNDS / 4);
	rate("floating point", 10ull * ROUNDS / 4, to_us(now() - t), "MIPS");
	free_memory(&start, &end);
	uint64_t size = end - start >= 16u << 20 ? 8u << 20 : (end - start) / 2 & ~63ull;
	if (!size)
		return;
	copy_fast((void *)(uintptr_t)(start + size), (void *)(uintptr_t)start, size);
	t = now();
	copy_fast((void *)(uintptr_t)(start + size), (void *)(uintptr_t)start, size);
	rate("memory copy", size, to_us(now() - t), "MB/s");
	t = now();
	for (unsigned i = 0; i < 10000; i++)
		sbi(0x10, 0, 0, 0, 0);
	rate("calls to the firmware", 10000000, to_us(now() - t), "thousand/s");
}

static void cmd_echo(const char *args) { print("%s\n", args); }

static void cmd_sleep(const char *args)
{
	uint64_t s = 1;
	if (*args && !number(args, &s)) {
		print("usage: sleep [SECONDS]\n");
		return;
	}
	for (uint64_t end = now() + s * machine.timebase; now() < end && !interrupted();)
		rest();
}

static void cmd_panic(const char *args)
{
	(void)args;
	__asm__ volatile(".4byte 0xffffffff"); /* no instruction; the trap handler tells the rest */
}

static void cmd_clear(const char *args)
{
	(void)args;
	print("\033[H\033[J");
}

static void cmd_reboot(const char *args)
{
	(void)args;
	machine_reboot();
}

static void cmd_poweroff(const char *args)
{
	uint64_t exit_code = 0;
	if (*args && (!number(args, &exit_code) || exit_code > 255)) {
		print("usage: poweroff [CODE], 0 to 255\n");
		return;
	}
	machine_off((unsigned)exit_code);
}

const struct command commands[] = {
    {"help", "", "this list", cmd_help},
    {"info", "", "the machine, as its device tree and firmware describe it", cmd_info},
    {"harts", "", "the processors; each is asked by an interrupt to answer", cmd_harts},
    {"mem", "[test [MIB]]", "where things are in memory; or write and check some", cmd_mem},
    {"time", "", "clocks", cmd_time},
    {"sum", "[N]", "add the numbers from 1 to N (k, m, g: thousand and so on)", cmd_sum},
    {"bench", "", "how fast: integers, floats, memory, firmware calls", cmd_bench},
    {"echo", "TEXT", "say it", cmd_echo},
    {"sleep", "[SECONDS]", "do nothing, without using the host's processor", cmd_sleep},
    {"clear", "", "an empty screen", cmd_clear},
    {"panic", "", "execute what is no instruction", cmd_panic},
    {"reboot", "", "start again", cmd_reboot},
    {"poweroff", "[CODE]", "leave; the code becomes the exit code of lodge run", cmd_poweroff},
};
const unsigned command_count = countof(commands);
