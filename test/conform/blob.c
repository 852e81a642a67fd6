/* SPDX-License-Identifier: Apache-2.0 */
/* conform: the loader of the blob: places the programs of a batch over the exits, runs every cell,
 * and puts the exits back. Runs in Lodge and in the oracle, from the same bytes. */
#include "guest.h"

void cell_run(struct cell *c, uint64_t variant, struct vcell *v);
void batch_run(struct batch *b);

static void words_copy(void *to, const void *from, unsigned bytes)
{
	uint64_t *t = to;
	const uint64_t *f = from;
	for (unsigned i = 0; i < bytes / 8; i++)
		t[i] = f[i];
}

void batch_run(struct batch *b)
{
	for (unsigned p = 0; p < b->programs; p++) {
		volatile uint32_t *at = (uint32_t *)b->program[p].pc;
		for (unsigned i = 0; i < PROGRAM_WORDS; i++)
			at[i] = b->program[p].code[i];
	}
	__asm__ volatile("fence.i" ::: "memory");
	for (unsigned i = 0; i < b->programs * SETS; i++) {
		struct cell *c = &b->cell[i];
		struct vcell *v = b->vlenb ? &b->vcell[i] : 0;
		words_copy((void *)SCRATCH, c->in.mem, SCRATCH_SIZE);
		if (v)
			words_copy((void *)VSCRATCH, v->in.mem, VSCRATCH_SIZE);
		cell_run(c, b->variant, v);
		words_copy(c->out.mem, (void *)SCRATCH, SCRATCH_SIZE);
		if (v)
			words_copy(v->out.mem, (void *)VSCRATCH, VSCRATCH_SIZE);
	}
	for (unsigned p = 0; p < b->programs; p++) {
		volatile uint32_t *at = (uint32_t *)b->program[p].pc;
		for (unsigned i = 0; i < PROGRAM_WORDS; i++)
			at[i] = word_exit((uint64_t)&at[i], b->variant);
	}
	__asm__ volatile("fence.i" ::: "memory");
}
