/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz the reader of state files and what takes its fields. Byte 0 even: the rest is a file, as it
 * is. Odd: the rest is the fields of a hart, in a file with right checksums; what the hart takes
 * is written back to the same, and then it runs a little. */
#include "engine/engine.h"
#include "save/save.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { RAM_BYTES = 1 << 20 };
#define RAM 0x80000000u

static void raw(const uint8_t *data, size_t len)
{
	static struct save_in in;
	struct lodge_err e = { 0 };
	if (save_in_parse(&in, data, len, &e) < 0) {
		if (!e.msg[0])
			__builtin_trap();
		return;
	}
	for (unsigned i = 0; i < in.nsections; i++) {
		size_t n;
		if (save_in_find(&in, in.section[i].name, &n) != in.section[i].p ||
		    in.section[i].p + n > data + len)
			__builtin_trap();
	}
}

static void hart_run(struct rv_hart *h, const struct engine *e)
{
	static uint8_t a[16384], b[16384];
	if (!rv_hart_valid(h)) {
		rv_hart_reset(h, RAM, 0);
		return;
	}
	size_t n = state_save(rv_hart_state, h, a, sizeof a);
	rv_hart_loaded(h);
	if (n > sizeof a || state_save(rv_hart_state, h, b, sizeof b) != n || memcmp(a, b, n))
		__builtin_trap();
	/* it stops at the first look at its requests */
	rv_hart_request(h, RV_REQ_STOP);
	e->run(h);
}

static void hart(const uint8_t *data, size_t len, unsigned how)
{
	struct vclock clock;
	static struct save_in in;
	struct save_out *o = NULL;
	const uint8_t *file;
	size_t n;
	vclock_init(&clock);
	struct rv_env env = { .clock = &clock, .nharts = 1, .code_bytes = 64 << 10,
		.mmu_max = how & 2 ? 57 : 39, .pmp_entries = 16, .sbi = how & 4 };
	if (mem_new(&env.mem, gpa(RAM), RAM_BYTES, NULL) < 0 || bus_new(&env.bus, NULL) < 0 ||
	    rv_hart_new(&env.harts[0], &env, 0, NULL) < 0 || save_out_new(&o, "fuzz", NULL) < 0)
		return;
	struct rv_hart *h = env.harts[0];
	const struct engine *e = engine_at(0);
	uint8_t *p = save_out_section(o, "hart0", len);
	if (p && e->attach(h, NULL) == 0) {
		memcpy(p, data, len);
		if (save_out_bytes(o, &file, &n, NULL) < 0 || save_in_parse(&in, file, n, NULL) < 0)
			__builtin_trap();
		if (save_in_fields(&in, "hart0", rv_hart_state, h, NULL) == 0)
			hart_run(h, e);
		e->detach(h);
	}
	save_out_free(o);
	rv_hart_free(h);
	bus_free(env.bus);
	mem_free(env.mem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len < 1)
		return 0;
	if (data[0] & 1)
		hart(data + 1, len - 1, data[0]);
	else
		raw(data + 1, len - 1);
	return 0;
}
