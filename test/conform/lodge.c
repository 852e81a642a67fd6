/* SPDX-License-Identifier: Apache-2.0 */
/* conform: Lodge's side: one hart on an engine, in this process, with the blob in its RAM. */
#include "engine/engine.h"
#include "test/conform/conform.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>

struct lodge_rig {
	struct rv_env env;
	struct vclock clock;
	struct rv_hart *h;
	const struct engine *engine;
	unsigned variant;       /* of the exits in RAM; 2: none yet */
};

static uint64_t done_read(void *rig, uint64_t off, unsigned width)
{
	(void)rig, (void)off, (void)width;
	return 0;
}
static void done_write(void *rig, uint64_t off, unsigned width, uint64_t val)
{
	struct lodge_rig *r = rig;
	(void)off, (void)width, (void)val;
	rv_hart_request(r->h, RV_REQ_STOP);
}

static int blob_load(struct lodge_rig *r, const char *path, struct lodge_err *e)
{
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t *to = mem_ptr(r->env.mem, gpa(BLOB), BLOB_SIZE);
	if (fd < 0 || !to || read(fd, to, BLOB_SIZE) <= 0)
		return err_sys(e, "%s", path);
	return 0;
}

int lodge_rig_new(struct lodge_rig **ret, const char *engine, unsigned opt_at, unsigned vlen,
                  const char *blob, struct lodge_err *e)
{
	static const struct bus_ops done = { done_read, done_write, 1, 8 };
	struct lodge_rig *r = calloc(1, sizeof *r);
	int err = r ? 0 : err_set(e, ENOMEM, "no memory");
	if (err)
		return err;
	vclock_init(&r->clock);
	r->variant = 2;
	r->env = (struct rv_env){ .clock = &r->clock, .nharts = 1, .hot = 1,
		.mmu_max = 57, .pmp_entries = 16, .vlen = vlen,
		.opt_at = opt_at, .opt_sync = opt_at != 0 };
	r->engine = engine_find(engine);
	if (!r->engine)
		err = err_set(e, EINVAL, "no engine '%s'", engine);
	if (!err)
		err = mem_new(&r->env.mem, gpa(CODE), RAM_SIZE, e);
	if (!err)
		err = bus_new(&r->env.bus, e);
	if (!err)
		err = bus_map(r->env.bus, gpa(DONE), 0x1000, &done, r, NULL, e);
	if (!err)
		err = rv_hart_new(&r->h, &r->env, 0, e);
	r->env.harts[0] = r->h;
	if (!err)
		err = r->engine->attach(r->h, e);
	if (!err)
		err = blob_load(r, blob, e);
	if (err)
		lodge_rig_free(r);
	else
		*ret = r;
	return err;
}

void lodge_rig_free(struct lodge_rig *r)
{
	if (r->h) {
		r->engine->detach(r->h);
		rv_hart_free(r->h);
	}
	if (r->env.bus)
		bus_free(r->env.bus);
	mem_free(r->env.mem);
	free(r);
}

static void exits_write(struct lodge_rig *r, unsigned variant)
{
	uint8_t *code = mem_ptr(r->env.mem, gpa(CODE), CODE_SIZE);
	for (uint64_t at = CODE; code && at < CODE + CODE_SIZE; at += 4)
		if (at - BLOB >= BLOB_SIZE)
			le32_put(code + (at - CODE), word_exit(at, variant));
	r->variant = variant;
}

const struct batch *lodge_rig_run(struct lodge_rig *r, const struct batch *b)
{
	uint8_t *at = mem_ptr(r->env.mem, gpa(BATCH), sizeof *b);
	if (!at)
		return NULL;
	memcpy(at, b, sizeof *b);
	if (r->variant != b->variant)
		exits_write(r, b->variant);
	__atomic_and_fetch(&r->h->requests, ~(uint32_t)RV_REQ_STOP, __ATOMIC_SEQ_CST);
	rv_hart_reset(r->h, BLOB + 4 * ENTRY_LODGE, b->variant);
	r->h->fetch_epoch++; /* the host wrote code */
	r->engine->run(r->h);
	return (const struct batch *)(const void *)at;
}
