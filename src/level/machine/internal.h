/* SPDX-License-Identifier: Apache-2.0 */
/* level/machine, private: a system VM on the board riscv-virt. The recipe: board.def says where
 * things are, parts.c makes what the configuration asks for, fdt.c describes it to the guest,
 * boot.c loads the guest, vcpu.c runs the harts, machine.c is the life cycle. */
#pragma once
#include "blk/blk.h"
#include "bus/bus.h"
#include "chr/chr.h"
#include "dev/dev.h"
#include "dev/pci/pci.h"
#include "dev/virtio/virtio.h"
#include "engine/engine.h"
#include "img/img.h"
#include "isa/riscv/riscv.h"
#include "life/life.h"
#include "net/net.h"
#include "save/save.h"
#include "share/share.h"
#include <stdarg.h>
#include <stdio.h>

/* Windows of the board. */
enum window {
#define WINDOW(name, base, size) WINDOW_##name,
#include "level/machine/board.def"
	WINDOW_COUNT
};
struct window_at { const char *name; uint64_t base, size; };
extern const struct window_at board_windows[WINDOW_COUNT];

enum {
	BOARD_SOURCES = 95,         /* interrupt sources of the PLIC */
	BOARD_IRQ_UART = 10, BOARD_IRQ_RTC = 11, BOARD_IRQ_VMGENID = 12,
	BOARD_IRQ_PCI = 32,         /* INTA..INTD: 32..35 */
	BOARD_IRQ_MMIO = 40,        /* virtio-mmio slot i: 40 + i */
	BOARD_MMIO_SLOTS = 24,
	VSOCK_CID = 3,              /* of a guest that is no clone */
	DISKS_MAX = 16, VOLUMES_MAX = 16,
	PARTS_MAX = 64,
};

struct vcpu {
	struct machine *m;
	struct rv_hart *hart;       /* owned */
	pthread_t thread;
	bool running;               /* the thread exists */
};

#define PANIC_TEXT "Kernel panic - not syncing"
enum { PANIC_SEEN_MAX = sizeof PANIC_TEXT - 1 };

/* Why the harts were told to stop. */
enum halt { HALT_NONE, HALT_ENDED, HALT_RESET };

struct machine {
	const struct level_env *env;
	const struct lodge_config *config;
	uint64_t ram;
	struct mem *mem;
	struct bus *bus;
	struct vclock clock;
	struct rv_env rv;
	FILE *hashes;               /* of checkpoints; owned, NULL: none */
	uint64_t hash_ram_every, hashed;
	bool counted;               /* guest time is the number of instructions */
	const struct engine *engine;
	struct vcpu vcpus[RV_HARTS_MAX];
	struct chr *console, *agent; /* owned */

	struct dev *plic, *pci;     /* borrowed from parts */
	struct dev *parts[PARTS_MAX]; /* owned, freed from the last to the first */
	unsigned nparts;
	unsigned mmio_slots;        /* used */
	struct { uint64_t base; unsigned irq; } mmio[BOARD_MMIO_SLOTS];
	struct virtio_console_backend ports;
	struct virtio *console_dev; /* virtio-console; NULL: none */
	struct blk *disks[DISKS_MAX];
	unsigned ndisks;
	struct net *net;
	struct share *root;         /* owned; NULL: the machine boots from what it is given */

	uint64_t entry, dtb;        /* where harts begin, where the device tree is */
	uint64_t dynamic_info;      /* for firmware, in a2 */
	uint64_t initrd, initrd_len;
	uint64_t kernel, kernel_len; /* where it was put; 0: none */

	pthread_mutex_t lock;       /* of the fields below */
	enum halt halt;
	int exit_code;
	char why[64];
	bool ended;                 /* env->ended was called */
	bool started, paused;
	pthread_mutex_t hold_lock;  /* of held; innermost */
	pthread_cond_t hold_over;
	bool held;                  /* harts wait outside of their engine */
	struct virtio *disk_devs[DISKS_MAX], *net_dev, *balloon, *vsock; /* borrowed; NULL: none */
	uint64_t entered_ns;        /* atomic: since 1970, when hart 0 last began to run */
	bool loaded;                /* start goes on where the state was saved */
	unsigned panic_seen;        /* characters of the panic message matched so far */
};

/* parts.c */
int parts_make(struct machine *m, struct lodge_err *e) MUST;
void parts_free(struct machine *m);
/* fdt.c: the device tree into @buf. Returns its size or a negative errno. */
int fdt_make(const struct machine *m, void *buf, size_t cap, struct lodge_err *e) MUST;
/* What harts can do, as "riscv,isa" has it: "rv64imafdc_zicbom...". */
enum { FDT_ISA_MAX = 512 };
void fdt_isa(const struct machine *m, char buf[FDT_ISA_MAX]);
/* saved.c */
bool machine_own_option(unsigned i, char *buf, size_t cap);
bool machine_renamed(void *self, uint8_t ret_was[6], uint8_t ret_now[6]);
int machine_save(void *self, struct save_out *o, struct lodge_err *e) MUST;
int machine_load(void *self, const struct save_in *in, struct lodge_err *e) MUST;
int machine_freeze(void *self, const char *const *overlays, size_t n, struct lodge_err *e) MUST;
int machine_flush(void *self, struct lodge_err *e) MUST;
struct mem *machine_memory(void *self);
/* level.disk... */
uint64_t machine_disk(void *self, size_t i);
int machine_disk_track(void *self, bool on, struct lodge_err *e) MUST;
bool machine_disk_next(void *self, size_t i, uint64_t from, uint64_t max, uint64_t *ret_off,
                       uint64_t *ret_len);
uint64_t machine_disk_left(void *self);
int machine_disk_read(void *self, size_t i, uint64_t off, void *buf, size_t len);
/* boot.c: put firmware, kernel, initrd and device tree into RAM; sets m->entry and m->dtb. */
int boot_load(struct machine *m, struct lodge_err *e) MUST;
/* Is the guest's kernel, disk or name something that this level can start? A score. */
int boot_claims(const struct lodge_config *c);
/* vcpu.c */
int vcpus_make(struct machine *m, struct lodge_err *e) MUST;
int vcpus_start(struct machine *m, struct lodge_err *e) MUST;
void vcpus_stop(struct machine *m, uint32_t request); /* ask and join; not from a vCPU thread */
/* Keep the harts from running, or let them again; any state. Guest time goes on. */
void vcpus_hold(struct machine *m, bool on);
void vcpus_reset(struct machine *m);
void vcpus_free(struct machine *m);
/* machine.c: events from devices, SBI and the console. Any thread. */
void machine_halt(struct machine *m, enum halt h, int exit_code, const char *why);
/* A configured number up to @max; @def: not given. */
int option_unsigned(const struct lodge_config *c, const char *key, unsigned def, unsigned max,
		    unsigned *ret, struct lodge_err *e) MUST;
/* repeat.c: runs that can be repeated. begin is for when the hart exists and nothing asked for the
 * time yet. */
int repeat_configure(struct machine *m, struct lodge_err *e) MUST;
void repeat_begin(struct machine *m);
void repeat_fini(struct machine *m);
/* root.c: config.root as / of the guest. The initramfs beside the modules', malloc'ed; m->root. */
#define ROOT_TAG "lodge-root"
int root_initramfs(const struct machine *m, char **ret, size_t *ret_len,
                   struct lodge_err *e) MUST;
int root_share(struct machine *m, struct lodge_err *e) MUST;
/* the demo guest, linked in */
const uint8_t *demo_image(uint64_t *ret_len);
