/* SPDX-License-Identifier: Apache-2.0 */
/* A hart that runs any bytes as code, in M mode or under the built-in SBI: nothing outside its RAM
 * is touched, nothing crashes or hangs. Byte 0: bit 0 SBI, bits 1-2 page-table mode, bits 3-4 which
 * engine. */
#include "engine/engine.h"

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
enum { RAM_BYTES = 1 << 20 };
#define RAM 0x80000000u

struct run {
	struct rv_hart *h;
};

static void reset_asked(void *user, uint32_t type, uint32_t reason)
{
	struct run *r = user;
	(void)type, (void)reason;
	rv_hart_request(r->h, RV_REQ_STOP);
}

static void *run_limit(void *arg)
{
	struct run *r = arg;
	usleep(3000);
	rv_hart_request(r->h, RV_REQ_STOP);
	return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const unsigned modes[] = { 0, 39, 48, 57 };
	struct run r = { 0 };
	struct vclock clock;
	if (len < 2 || len > RAM_BYTES / 2)
		return 0;
	vclock_init(&clock);
	struct rv_env env = {.clock = &clock,
			     .nharts = 1,
			     .hot = 1 + (data[0] >> 7),
			     .code_bytes = 64 << 10,
			     .mmu_max = modes[data[0] >> 1 & 3],
			     .pmp_entries = 16,
			     .vlen = 128,
			     .sbi = data[0] & 1,
			     .system_reset = reset_asked,
			     .user = &r};
	size_t engines = 0;
	while (engine_at(engines))
		engines++;
	const struct engine *e = engine_at((data[0] >> 3 & 3) % engines);
	if (mem_new(&env.mem, gpa(RAM), RAM_BYTES, NULL) < 0 || bus_new(&env.bus, NULL) < 0 ||
	    rv_hart_new(&r.h, &env, 0, NULL) < 0)
		return 0;
	env.harts[0] = r.h;
	if (e->attach(r.h, NULL) == 0 && mem_write(env.mem, gpa(RAM), data + 1, len - 1)) {
		pthread_t limit;
		rv_hart_reset(r.h, RAM, RAM + RAM_BYTES / 2);
		for (unsigned i = 1; i < 32; i++)
			r.h->x[i] = RAM + 0x1000u * i;
		r.h->fs = r.h->vs = 1;
		if (pthread_create(&limit, NULL, run_limit, &r) == 0) {
			e->run(r.h);
			pthread_join(limit, NULL);
		}
	}
	e->detach(r.h);
	rv_hart_free(r.h);
	bus_free(env.bus);
	mem_free(env.mem);
	return 0;
}
