/* SPDX-License-Identifier: Apache-2.0 */
/* Processes: all of the guest's memory is at its own addresses, so that each unit is a mirrored one
 * of a window at 0, and only faults have to be seen to. */
#include "engine/translate/mirror.h"

enum { STACK_BYTES = 64 << 10 };

struct flat {
	struct jit_guard guard;
	void *stack;            /* owned: of signals */
	stack_t old_stack;
	sigset_t old_mask;
};

int flat_new(struct translate *t, struct lodge_err *e)
{
	struct flat *f = calloc(1, sizeof *f);
	if (f)
		f->stack = malloc(STACK_BYTES);
	if (!f || !f->stack) {
		free(f);
		return err_set(e, ENOMEM, "no memory for the translator");
	}
	f->guard = (struct jit_guard){ .cache = t->cache, .find = unit_touch_find, .user = t };
	t->flat = f;
	return 0;
}

void flat_free(struct flat *f)
{
	if (f)
		free(f->stack);
	free(f);
}

bool flat_begin(struct flat *f)
{
	stack_t stack = { .ss_sp = f->stack, .ss_size = STACK_BYTES };
	sigset_t faults;
	sigemptyset(&faults);
	sigaddset(&faults, SIGSEGV);
	sigaddset(&faults, SIGBUS);
	pthread_sigmask(SIG_UNBLOCK, &faults, &f->old_mask);
	return sigaltstack(&stack, &f->old_stack) == 0 && jit_guard_set(&f->guard, NULL) == 0;
}

void flat_end(struct flat *f)
{
	(void)!jit_guard_set(NULL, NULL);
	(void)!sigaltstack(&f->old_stack, NULL);
	pthread_sigmask(SIG_SETMASK, &f->old_mask, NULL);
}
