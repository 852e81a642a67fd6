/* SPDX-License-Identifier: Apache-2.0 */
/* The demo guest: what its files share. It runs in S-mode on an SBI, without paging. */
#pragma once
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HARTS_MAX  16u
#define STACK_SIZE 0x4000u
#define HZ         100u /* timer ticks; the console is polled at this rate while nothing else happens */
#define countof(a) (sizeof(a) / sizeof((a)[0]))

/* One hart. start.S knows that the stack comes first. */
struct hart {
	uint8_t *stack; /* its top */
	uint64_t id;
	uint64_t ticks, ipis;
	uint64_t hello; /* time of its first instruction in C; 0: never seen */
	void (*volatile work)(struct hart *h);
	volatile bool probing, probe_trapped; /* an instruction is tried that may not exist */
	volatile bool online;
	uint64_t result;
};

/* What the device tree and the SBI say about this machine. */
struct machine {
	const char *model, *bootargs, *isa, *mmu;
	uint64_t ram_base, ram_size, timebase;
	uint64_t initrd_start, initrd_end;
	uint64_t rtc, finisher; /* 0: none */
	const uint8_t *dtb;
	uint32_t dtb_size;
	uint64_t hart_ids[HARTS_MAX];
	unsigned harts;
	bool sstc, dbcn, time, hsm, ipi, srst;
	uint64_t sbi_version, sbi_impl, sbi_impl_version;
};
extern struct machine machine;
extern struct hart harts[HARTS_MAX];
extern uint8_t head[], image_end[], boot_other[];

struct regs {
	uint64_t x[32];
};

static inline struct hart *self(void)
{
	struct hart *h;
	__asm__("mv %0, tp" : "=r"(h));
	return h;
}

#define csr_read(csr)                                                                              \
	({                                                                                         \
		uint64_t v_;                                                                       \
		__asm__ volatile("csrr %0, " #csr : "=r"(v_)::"memory");                           \
		v_;                                                                                \
	})
#define csr_write(csr, v) __asm__ volatile("csrw " #csr ", %0" ::"r"(v) : "memory")
#define csr_set(csr, v)   __asm__ volatile("csrs " #csr ", %0" ::"r"(v) : "memory")
#define csr_clear(csr, v) __asm__ volatile("csrc " #csr ", %0" ::"r"(v) : "memory")

static inline uint64_t now(void)
{
	uint64_t v;
	__asm__ volatile("rdtime %0" : "=r"(v)::"memory");
	return v;
}

/* sbi.c */
struct sbi_ret {
	int64_t error, value;
};
struct sbi_ret sbi(uint64_t ext, uint64_t fn, uint64_t a0, uint64_t a1, uint64_t a2);
void sbi_init(void);
void sbi_timer(uint64_t at);
int64_t sbi_hart_start(uint64_t id, uint64_t at, uint64_t opaque);
int64_t sbi_hart_state(uint64_t id);
void sbi_ipi(uint64_t id);
_Noreturn void machine_off(unsigned code);
_Noreturn void machine_reboot(void);
_Noreturn void machine_fail(void);
const char *sbi_impl_name(void);

/* fdt.c: fills machine; false if there is no usable device tree */
bool fdt_parse(const uint8_t *dtb);

/* console.c */
void put(char c);
int get(void); /* -1: nothing there */
void print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
extern bool colour;
const char *bold(void), *dim(void), *warm(void), *green(void), *plain(void);

/* text.c */
void *memset(void *to, int c, size_t n);
void *memcpy(void *to, const void *from, size_t n);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
const char *find(const char *text, const char *part);
bool number(const char *s, uint64_t *ret);

/* hart.c */
void trap_main(struct regs *r);
void boot_main(uint64_t id, const uint8_t *dtb);
void other_main(uint64_t id, struct hart *h);
uint64_t tick_period(void);
void rest(void); /* wait for the next interrupt */
bool run_on(struct hart *h, void (*work)(struct hart *h));
bool run_wait(struct hart *h, unsigned ms);
bool probe(void (*f)(void)); /* false if f's instruction trapped */

/* shell.c, commands.c */
_Noreturn void shell(void);
bool interrupted(void); /* Ctrl-C was typed */
struct command {
	const char *name, *args, *help;
	void (*run)(const char *args);
};
extern const struct command commands[];
extern const unsigned command_count;
void show_boot(void);

/* start.S */
uint64_t loop_integer(uint64_t rounds);
void loop_float(uint64_t rounds);
void copy_fast(void *to, const void *from, size_t n);
