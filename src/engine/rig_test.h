/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of engines: a machine of one hart, RAM and a register at RIG_STOP. A store there asks
 * the engine to leave; what follows it runs until it looks. */
#pragma once
#include "engine/engine.h"
#include "test/test.h"

#define RIG_RAM UINT64_C(0x80000000)
enum { RIG_BYTES = 8 << 20, RIG_STOP = 0x100000 };

struct rig {
	struct rv_env env;
	struct vclock clock;
	struct rv_hart *h;
	const struct engine *e;
	uint32_t at;            /* of tests that write a program word by word */
};

static inline uint64_t rig_stop_read(void *rig, uint64_t off, unsigned width)
{
	(void)rig, (void)off, (void)width;
	return 0;
}
static inline void rig_stop_write(void *rig, uint64_t off, unsigned width, uint64_t val)
{
	(void)off, (void)width, (void)val;
	rv_hart_request(((struct rig *)rig)->h, RV_REQ_STOP);
}

/* @env says what tests differ in; clock, memory, bus and hart are made here. pc is RIG_RAM. */
static inline void rig_make(struct rig *r, const struct engine *e, struct rv_env env)
{
	static const struct bus_ops ops = { rig_stop_read, rig_stop_write, 1, 8 };
	*r = (struct rig){ .e = e, .env = env };
	vclock_init(&r->clock);
	r->env.clock = &r->clock;
	r->env.nharts = 1;
	CHECK(mem_new(&r->env.mem, gpa(RIG_RAM), RIG_BYTES, NULL) == 0);
	CHECK(bus_new(&r->env.bus, NULL) == 0);
	CHECK(bus_map(r->env.bus, gpa(RIG_STOP), 0x1000, &ops, r, NULL, NULL) == 0);
	CHECK(rv_hart_new(&r->h, &r->env, 0, NULL) == 0);
	r->env.harts[0] = r->h;
	CHECK(e->attach(r->h, NULL) == 0);
	rv_hart_reset(r->h, RIG_RAM, 0);
}

static inline void rig_fini(struct rig *r)
{
	r->e->detach(r->h);
	rv_hart_free(r->h);
	bus_free(r->env.bus);
	mem_free(r->env.mem);
}

static inline void rig_word(struct rig *r, uint64_t at, uint32_t word)
{
	uint8_t b[4];
	le32_put(b, word);
	CHECK(mem_write(r->env.mem, gpa(at), b, 4));
}

/* Until the next store to RIG_STOP. */
static inline void rig_run(struct rig *r)
{
	__atomic_and_fetch(&r->h->requests, ~(uint32_t)RV_REQ_STOP, __ATOMIC_ACQ_REL);
	r->e->run(r->h);
}
