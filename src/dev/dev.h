/* SPDX-License-Identifier: Apache-2.0 */
/* dev: things a guest sees that are neither processor nor memory.
 * A device is state, a field table, verbs and one const class; one line in devices.def. */
#pragma once
#include "base/base.h"
#include "bus/bus.h"
#include "chr/chr.h"
#include "host/host.h"
#include "mem/mem.h"

/* What a guest can ask of the machine through a device. */
enum dev_event {
	DEV_POWEROFF, /* code: exit code */
	DEV_RESET,    /* code: 0 */
	DEV_PANIC,    /* the guest kernel says that it crashed */
};

struct dev_class;

/* What a board hands to a device. Pointers are borrowed for the device's life, lines and options
 * copied; any may be NULL or zero (tests do that): the device then works without that facility. */
struct dev_setup {
	struct mem *mem;
	struct bus *bus;
	struct loop *loop;
	struct vclock *clock;
	struct log *log;
	const struct irq *irqs; /* the lines of this device, @nirqs of them */
	unsigned nirqs;
	void *backend;       /* what the class says: struct blk *, struct net *, struct chr * */
	const char *options; /* "key=value,key=value" of the class's own keys; NULL: none */
	/* a guest-visible event for the level above: power off, reset, ... */
	void (*event)(void *user, enum dev_event ev, int code);
	void *user;
};

struct dev {
	const struct dev_class *class;
	struct dev_setup s;
	struct irq irq;         /* s.irqs[0], or not connected */
	pthread_mutex_t lock;   /* held by bus and loop around every call into the device */
	struct bus_ops ops;     /* of dev_map */
	struct gpa base;        /* of the window, while mapped */
	bool mapped;
};

struct dev_class {
	const char *name, *summary, *spec;
	size_t size;                   /* of the instance; its first member is struct dev */
	unsigned width_min, width_max; /* access widths the bus lets through, in bytes */
	uint64_t mmio;                 /* bytes of registers; 0: not on the bus itself */
	/* An interrupt controller: irq_set comes with others' locks held, so the bus does not hold
	 * this device's and the class takes it in read, write and its inputs. */
	bool locks_itself;
	int (*init)(struct dev *, struct lodge_err *); /* NULL: zeroed is ready */
	void (*fini)(struct dev *);                    /* NULL: nothing held; accepts half-built */
	void (*reset)(struct dev *);
	uint64_t (*read)(struct dev *, uint64_t off, unsigned width);
	void (*write)(struct dev *, uint64_t off, unsigned width, uint64_t val);
	const struct state_field *state; /* all that a snapshot holds, beyond s and lock */
	/* The state was loaded: check what a stream could make impossible, drive the lines and
	 * timers anew. False: damaged. NULL: nothing to do. */
	bool (*loaded)(struct dev *);
	/* State of a length that varies, after the table's; both NULL: none. As state_save and
	 * state_load; load_more comes before loaded. */
	size_t (*save_more)(struct dev *, uint8_t *buf, size_t cap);
	bool (*load_more)(struct dev *, const uint8_t *buf, size_t len);
};

const struct dev_class *dev_class_at(size_t i);             /* NULL past the end */
const struct dev_class *dev_class_find(const char *name);
/* Make and reset a device. On failure nothing is left behind. */
int dev_new(struct dev **ret, const struct dev_class *c, const struct dev_setup *s,
            struct lodge_err *e) MUST;
void dev_free(struct dev *d);                               /* NULL is fine */
void dev_reset(struct dev *d);                              /* takes the lock */
/* The vclock runs again after a pause: timers are set anew. Takes the lock. */
void dev_resume(struct dev *d);
/* Write the device's state as state_save does; takes the lock. */
size_t dev_save(struct dev *d, uint8_t *buf, size_t cap);
/* Read it; takes the lock. False: damaged, and the device has been reset. */
bool dev_load(struct dev *d, const uint8_t *buf, size_t len) MUST;
/* Put the device's registers on its bus at @base (class->mmio bytes); dev_free takes them off. */
int dev_map(struct dev *d, struct gpa base, struct lodge_err *e) MUST;
/* Value of @key in the device's options, copied into @buf; false: not given. */
bool dev_option(const struct dev *d, const char *key, char *buf, size_t cap);
/* The same as a number (C syntax), @ret_val = @def when not given. -EINVAL: not a number or outside
 * @min..@max. */
int dev_option_u64(const struct dev *d, const char *key, uint64_t def, uint64_t min, uint64_t max,
                   uint64_t *ret_val, struct lodge_err *e) MUST;

/* ---- interrupt controllers ---- */
/* The input of source @source (1 up to its option "sources") of a plic: level-triggered. Not
 * connected when there is no such source. */
struct irq plic_line(struct dev *plic, unsigned source);
