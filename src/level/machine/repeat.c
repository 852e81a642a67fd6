/* SPDX-License-Identifier: Apache-2.0 */
/* Runs that can be repeated, to compare engines: option clock=icount makes guest time the number of
 * instructions, and leaves out devices whose threads work beside the hart. Then
 *
 *   hash=FILE       a line for every checkpoint: instructions, pc, hash of the hart's registers
 *   hash-every=N    instructions between checkpoints
 *   hash-ram=K      every K-th of them also has a hash of RAM
 *
 * and two runs of one guest give the same file, on every engine. */
#include "level/machine/internal.h"
#include <inttypes.h>

enum { NS_PER_INSTRUCTION = 10, HASH_EVERY = 1000000 };

static uint64_t hash_add(uint64_t h, const void *p, size_t n)
{
	const uint8_t *b = p;
	for (; n >= 8; n -= 8, b += 8) {
		uint64_t v;
		memcpy(&v, b, 8);
		h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
		h ^= h >> 29;
	}
	for (; n; n--, b++)
		h = (h ^ *b) * UINT64_C(0x100000001b3);
	return h;
}

static uint64_t registers_hash(const struct rv_hart *h)
{
	uint64_t sum = UINT64_C(0xcbf29ce484222325);
	for (const struct state_field *f = rv_hart_state; f->name; f++) /* x[32] is no register */
		sum = hash_add(sum, (const char *)h + f->off,
			       strcmp(f->name, "x") ? f->size : 32 * sizeof(uint64_t));
	return sum;
}

static void repeat_checkpoint(void *user, struct rv_hart *h)
{
	struct machine *m = user;
	if (!m->hashes)
		return;
	fprintf(m->hashes, "%" PRIu64 " pc %016" PRIx64 " registers %016" PRIx64, h->icount, h->pc,
		registers_hash(h));
	if (m->hash_ram_every && ++m->hashed % m->hash_ram_every == 0)
		fprintf(m->hashes, " ram %016" PRIx64,
			hash_add(0, mem_host(m->mem), mem_size(m->mem)));
	fputc('\n', m->hashes);
	fflush(m->hashes);
}

int repeat_configure(struct machine *m, struct lodge_err *e)
{
	const struct lodge_config *c = m->config;
	const char *clock = life_option(c, "clock"), *file = life_option(c, "hash");
	unsigned every, ram = 0;
	if (clock && strcmp(clock, "icount") && strcmp(clock, "host"))
		return err_set(e, EINVAL, "option clock=%s: host or icount", clock);
	int r = option_unsigned(c, "hash-every", HASH_EVERY, UINT32_MAX, &every, e);
	if (r == 0)
		r = option_unsigned(c, "hash-ram", 0, UINT32_MAX, &ram, e);
	if (r < 0)
		return r;
	m->counted = clock && !strcmp(clock, "icount");
	if (!m->counted && file)
		return err_set(e, EINVAL, "option hash needs clock=icount");
	if (m->counted && (m->rv.nharts != 1 || !m->rv.sbi || c->ndisks || c->nvolumes))
		return err_set(e, EINVAL, "option clock=icount takes one hart, no firmware, no "
					  "disk and no shared folder");
	if (!file)
		return 0;
	m->hashes = fopen(file, "we");
	if (!m->hashes)
		return err_sys(e, "%s", file);
	m->rv.checkpoint_every = every ? every : 1;
	m->rv.checkpoint = repeat_checkpoint;
	m->hash_ram_every = ram;
	return 0;
}

/* The hart exists now. */
void repeat_begin(struct machine *m)
{
	struct rv_hart *h = m->vcpus[0].hart;
	if (m->counted)
		vclock_count(&m->clock, &h->icount, &h->idle, NS_PER_INSTRUCTION);
}

void repeat_fini(struct machine *m)
{
	if (m->hashes)
		fclose(m->hashes);
	m->hashes = NULL;
}
