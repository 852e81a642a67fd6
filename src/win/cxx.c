/* SPDX-License-Identifier: Apache-2.0 */
/* Exceptions of C++ as Microsoft's compilers have them: thrown objects, and the handler of frames
 * whose tables tell which states a function goes through, what undoes them, and what catches.
 * Catches and undoings are functions of their own (funclets) that get the frame they work on. A
 * catch runs below all that the exception has left, where the object still is; the stack is cut
 * when it is done. Spec: the tables as LLVM's WinException.cpp writes them (FuncInfo3). */
#include "win/unwind.h"

enum { CXX_CODE = (int)0xe06d7363, CXX_MAGIC = 0x19930520 };
enum { INFO_NOEXCEPT = 4, STATE_BY_PC = -2, LEVELS_MAX = 1 << 20 };
enum { CATCH_CONST = 1, CATCH_VOLATILE = 2, CATCH_REFERENCE = 8 };
enum { TYPE_SIMPLE = 1, TYPE_BY_REFERENCE = 2, TYPE_VIRTUAL_BASE = 4 };

struct function_info {
	uint32_t magic;
	int32_t states;
	uint32_t undo_rva;
	uint32_t ntries, tries_rva;
	uint32_t nplaces, places_rva;
	int32_t state_at; /* of the frame: which state it is in; STATE_BY_PC: as its pc says */
	uint32_t types_rva, flags;
};
struct undo {
	int32_t to;
	uint32_t fn;
};
struct try {
	int32_t low, high, catch_high;
	uint32_t ncatches, catches_rva;
};
struct catch {
	uint32_t adjectives, type_rva;
	int32_t object_at;
	uint32_t fn;
	int32_t frame_at; /* of the funclet's frame: the frame that it works on */
};
struct place {
	uint32_t pc;
	int32_t state;
};
struct type {
	uint64_t vtable, spare;
	char name[];
};
struct throw_info {
	uint32_t attributes, destroy_rva, forward, types_rva;
};
struct displacement {
	int32_t member, table, entry;
};
struct catchable {
	uint32_t properties, type_rva;
	struct displacement at;
	uint32_t size, copy_rva;
};
/* What is being caught, on the stack of who calls the funclet. */
struct catching {
	struct win_exception x;
	uint64_t frame; /* the function's, as the dispatcher has it */
	int32_t outer;  /* the state around the try */
	bool again;     /* the object was thrown again: others destroy it */
	struct catching *before;
};

static void *at_rva(uint64_t base, uint32_t rva) { return (void *)(uintptr_t)(base + rva); }

static bool is_cxx(const struct win_exception *x)
{
	return x->code == (uint32_t)CXX_CODE && x->nparameters >= 4 &&
	       x->parameters[0] - CXX_MAGIC <= 2;
}

static struct catching *innermost_catching(void)
{
	struct thread *t = thread_self();
	struct catching *c = t->catching;
	while (c && (uint64_t)(uintptr_t)c < (uint64_t)(uintptr_t)&c)
		c = c->before;
	t->catching = c;
	return c;
}

static void object_destroy(const struct win_exception *x)
{
	const struct throw_info *info = (const struct throw_info *)(uintptr_t)x->parameters[2];
	if (is_cxx(x) && info && info->destroy_rva && x->parameters[1])
		guest_call4(x->parameters[3] + info->destroy_rva, x->parameters[1], 0, 0, 0);
}

/* ---- which state ---- */

static int32_t state_of_pc(const struct function_info *fi, const struct dispatch *d)
{
	const struct place *p = at_rva(d->base, fi->places_rva);
	int32_t state = -1;
	for (uint32_t i = 0; i < fi->nplaces && d->base + p[i].pc <= d->pc; i++)
		state = p[i].state;
	return state;
}

/* The frame that the function's objects are in: a catch's funclet has its own below it. *ret_catch:
 * the try that it is a catch of; NULL: it is none. */
static uint64_t frame_of(const struct function_info *fi, const struct dispatch *d,
			 const struct try **ret_catch)
{
	const struct try *t = at_rva(d->base, fi->tries_rva);
	int32_t state = state_of_pc(fi, d);
	*ret_catch = NULL;
	for (uint32_t i = 0; i < fi->ntries; i++) {
		const struct catch *c = at_rva(d->base, t[i].catches_rva);
		if (state <= t[i].high || state > t[i].catch_high)
			continue;
		for (uint32_t k = 0; k < t[i].ncatches; k++)
			if (c[k].fn == d->function->begin) {
				*ret_catch = &t[i];
				return *(const uint64_t *)(uintptr_t)(d->frame +
								      (uint64_t)c[k].frame_at);
			}
	}
	return d->frame;
}

static int32_t *state_slot(const struct function_info *fi, uint64_t frame)
{
	return (int32_t *)(uintptr_t)(frame + (uint64_t)fi->state_at);
}

static void undo_to(const struct function_info *fi, const struct dispatch *d, uint64_t frame,
		    int32_t until)
{
	const struct undo *u = at_rva(d->base, fi->undo_rva);
	int32_t *slot = state_slot(fi, frame);
	int32_t state = *slot == STATE_BY_PC ? state_of_pc(fi, d) : *slot;
	for (unsigned n = 0; state > until && state < fi->states && n < LEVELS_MAX; n++) {
		uint32_t fn = u[state].fn;
		*slot = state = u[state].to;
		if (fn)
			guest_call4(d->base + fn, 0, frame, 0, 0);
	}
	*slot = state;
}

/* ---- what catches ---- */

static const struct catchable *catchable_find(const struct win_exception *x, const struct catch *c,
					      uint64_t base)
{
	const struct throw_info *info = (const struct throw_info *)(uintptr_t)x->parameters[2];
	const struct type *want = at_rva(base, c->type_rva);
	const uint32_t *list = at_rva(x->parameters[3], info->types_rva);
	if (info->attributes & ~c->adjectives & (CATCH_CONST | CATCH_VOLATILE))
		return NULL;
	for (uint32_t i = 1; i <= list[0]; i++) {
		const struct catchable *one = at_rva(x->parameters[3], list[i]);
		const struct type *is = at_rva(x->parameters[3], one->type_rva);
		bool same = is == want || !strcmp(is->name, want->name);
		if (same &&
		    !(one->properties & TYPE_BY_REFERENCE && !(c->adjectives & CATCH_REFERENCE)))
			return one;
	}
	return NULL;
}

static bool takes_all(const struct catch *c, uint64_t base)
{
	return !c->type_rva || !((const struct type *)at_rva(base, c->type_rva))->name[0];
}

/* A base's place in the object. */
static uint64_t adjust(uint64_t object, const struct displacement *at)
{
	uint64_t p = object + (uint64_t)at->member;
	if (at->table >= 0) {
		p += (uint64_t)at->table;
		uint64_t table = *(const uint64_t *)(uintptr_t)(object + (uint64_t)at->table);
		p += (uint64_t) * (const int32_t *)(uintptr_t)(table + (uint64_t)at->entry);
	}
	return p;
}

/* The variable of the catch becomes the object, a copy of it, or a reference to it. */
static void object_give(const struct win_exception *x, const struct catch *c,
			const struct catchable *as, uint64_t frame)
{
	uint64_t object = x->parameters[1], from = adjust(object, &as->at);
	uint64_t *to = (uint64_t *)(uintptr_t)(frame + (uint64_t)c->object_at);
	if (c->adjectives & CATCH_REFERENCE) {
		*to = from;
	} else if (as->properties & TYPE_SIMPLE) {
		memmove(to, (const void *)(uintptr_t)object, as->size);
		if (as->size == sizeof *to && *to) /* a pointer: to a base, perhaps */
			*to = adjust(*to, &as->at);
	} else if (!as->copy_rva) {
		memmove(to, (const void *)(uintptr_t)from, as->size);
	} else {
		guest_call4(x->parameters[3] + as->copy_rva, (uint64_t)(uintptr_t)to, from,
			    as->properties & TYPE_VIRTUAL_BASE ? 1 : 0, 0);
	}
}

/* What is on the way to a catch: of the exception's parameters, behind its own. */
enum { TO_TRY = 4, TO_CATCH, TO_TYPE, TO_FRAME };

/* Unwind to @frame, whose catch @c of @t then runs. */
_Noreturn static void catch_begin(const struct win_exception *x, const struct dispatch *d,
				  const struct try *t, const struct catch *c,
				  const struct catchable *as, uint64_t frame)
{
	struct win_exception to = *x;
	to.nparameters = 15;
	to.parameters[TO_TRY] = (uint64_t)(uintptr_t)t;
	to.parameters[TO_CATCH] = (uint64_t)(uintptr_t)c;
	to.parameters[TO_TYPE] = (uint64_t)(uintptr_t)as;
	to.parameters[TO_FRAME] = frame;
	struct unwind_target target = {d->frame, d->pc, 0, &to};
	unwind_here(&target);
}

/* The funclet's return value is where the function goes on. */
_Noreturn static void catch_run(const struct function_info *fi, const struct win_exception *x,
				struct win_context *c, const struct dispatch *d)
{
	const struct try *t = (const struct try *)(uintptr_t)x->parameters[TO_TRY];
	const struct catch *k = (const struct catch *)(uintptr_t)x->parameters[TO_CATCH];
	const struct catchable *as = (const struct catchable *)(uintptr_t)x->parameters[TO_TYPE];
	uint64_t frame = x->parameters[TO_FRAME];
	struct thread *self = thread_self();
	undo_to(fi, d, frame, t->low);
	if (as && k->object_at)
		object_give(x, k, as, frame);
	const struct undo *u = at_rva(d->base, fi->undo_rva);
	struct catching now = {*x, d->frame, u[t->low].to, false, innermost_catching()};
	self->catching = &now;
	*state_slot(fi, frame) = STATE_BY_PC;
	WINAPI uint64_t (*fn)(uint64_t, uint64_t) =
	    (WINAPI uint64_t(*)(uint64_t, uint64_t))(uintptr_t)(d->base + k->fn);
	uint64_t on = fn(0, frame);
	self->catching = now.before;
	if (!now.again)
		object_destroy(&now.x);
	c->rip = on;
	context_run(c);
}

static void search(const struct function_info *fi, const struct win_exception *x,
		   const struct dispatch *d)
{
	const struct try *in;
	uint64_t frame = frame_of(fi, d, &in);
	int32_t state = state_of_pc(fi, d);
	/* a function whose catch runs, beyond that: it is where the try ended */
	for (const struct catching *c = innermost_catching(); c; c = c->before)
		if (c->frame == d->frame && c->outer < state)
			state = c->outer;
	const struct try *t = at_rva(d->base, fi->tries_rva);
	for (uint32_t i = 0; i < fi->ntries; i++, t++) {
		const struct catch *c = at_rva(d->base, t->catches_rva);
		if (state < t->low || state > t->high)
			continue;
		if (in && (t->low <= in->high || t->high > in->catch_high))
			continue; /* around the catch: the function's, further on */
		for (uint32_t k = 0; k < t->ncatches; k++, c++) {
			const struct catchable *as = NULL;
			if (takes_all(c, d->base) || (as = catchable_find(x, c, d->base)))
				catch_begin(x, d, t, c, as, frame);
		}
	}
	if (fi->flags & INFO_NOEXCEPT && fi->magic >= CXX_MAGIC + 2)
		process_die(LODGE_EXIT_SIGNAL + 6,
			    "a C++ exception leaves a function that promised not to throw");
}

static void leave(const struct function_info *fi, const struct win_exception *x,
		  const struct dispatch *d)
{
	const struct try *in;
	uint64_t frame = frame_of(fi, d, &in);
	int32_t until = in ? in->high : -1; /* what is around a catch goes after what it caught */
	if (is_cxx(x) && x->nparameters == 15 && x->parameters[TO_FRAME] == frame) {
		int32_t low = ((const struct try *)(uintptr_t)x->parameters[TO_TRY])->low;
		until = low > until ? low : until;
	}
	if (fi->states)
		undo_to(fi, d, frame, until);
	struct catching *c = in ? innermost_catching() : NULL;
	if (!c)
		return;
	thread_self()->catching = c->before;
	if (!c->again)
		object_destroy(&c->x);
}

/* Both names it has are the same: what differs is the table's magic. */
API(uint32_t, crt___CxxFrameHandler3, struct win_exception *x, uint64_t frame,
    struct win_context *c, struct dispatch *d)
{
	const uint32_t *rva = (const uint32_t *)(uintptr_t)d->data;
	const struct function_info *fi = at_rva(d->base, *rva);
	(void)frame;
	if ((fi->magic & 0x1fffffff) - CXX_MAGIC > 2)
		process_die(LODGE_EXIT_SIGNAL + 6, "exception tables of an unknown kind (%#x)",
			    fi->magic);
	if (!(x->flags & (EXCEPTION_UNWINDING | EXCEPTION_EXIT_UNWIND))) {
		if (is_cxx(x))
			search(fi, x, d);
	} else if (x->flags & EXCEPTION_TARGET_UNWIND && is_cxx(x) && x->nparameters == 15) {
		catch_run(fi, x, c, d);
	} else {
		leave(fi, x, d);
	}
	return DISPOSITION_SEARCH;
}

/* ---- throwing: the entry, which saves the registers, is in exception.c ---- */

__attribute__((used)) void cxx_throw(struct win_context *c, uint64_t object, uint64_t info)
{
	struct win_exception x = {.code = (uint32_t)CXX_CODE,
				  .flags = EXCEPTION_NONCONTINUABLE,
				  .address = c->rip,
				  .nparameters = 4};
	struct catching *now = object || info ? NULL : innermost_catching();
	if (now) { /* throw; */
		now->again = true;
		memcpy(x.parameters, now->x.parameters, 4 * sizeof x.parameters[0]);
	} else if (!info) {
		process_die(LODGE_EXIT_SIGNAL + 6, "it throws again, and catches nothing");
	} else {
		const struct module *m = module_at(info);
		x.parameters[0] = CXX_MAGIC;
		x.parameters[1] = object;
		x.parameters[2] = info;
		x.parameters[3] = m ? (uint64_t)(uintptr_t)m->im.at : 0;
	}
	exception_raise(&x, c);
}

/* ---- what else vcruntime has of it ---- */

API(void, crt_terminate, void)
{
	process_die(LODGE_EXIT_SIGNAL + 6, "it ends itself: std::terminate");
}

API(void, crt_type_info_fini, void *type) { (void)type; }

/* Of the exception that is being caught: a place where a pointer to it is. */
API(uint64_t *, crt___current_exception, void)
{
	static _Thread_local uint64_t current;
	struct catching *c = innermost_catching();
	current = c ? (uint64_t)(uintptr_t)&c->x : 0;
	return &current;
}

API(uint64_t *, crt___current_exception_context, void)
{
	static _Thread_local uint64_t none;
	none = 0;
	return &none;
}
