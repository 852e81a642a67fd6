/* SPDX-License-Identifier: Apache-2.0 */
/* Exceptions of C++ as Microsoft's compilers have them: thrown objects, and the handler of frames
 * whose tables tell which states a function goes through, what undoes them, and what catches.
 * Catches and undoings are functions of their own (funclets) that get the frame they work on. A
 * catch runs below all that the exception has left, where the object still is; the stack is cut
 * when it is done. The tables, of two forms, are read in cxx_tables.c. */
#include "win/cxx.h"

enum { CXX_CODE = (int)0xe06d7363 };
enum { CATCH_CONST = 1, CATCH_VOLATILE = 2, CATCH_REFERENCE = 8 };
enum { TYPE_SIMPLE = 1, TYPE_BY_REFERENCE = 2, TYPE_VIRTUAL_BASE = 4 };

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

/* The frame that the function's objects are in: a catch's funclet has its own below it. *ret_in:
 * the try that it is a catch of, by which plain tables tell its states. False: it is none, or has
 * states of its own. */
static bool frame_of(const struct cxx_tables *t, uint64_t *ret_frame, struct cxx_try *ret_in)
{
	*ret_frame = t->d->frame;
	if (t->is_catch && !host_load(t->d->frame + t->frame_at, 8, ret_frame))
		cxx_damaged("a catch has no frame that it works on");
	if (t->compressed)
		return false;
	int32_t state = cxx_state_of_pc(t);
	struct cxx_cursor at = cxx_tries(t);
	struct cxx_catch c;
	while (cxx_try_next(t, &at, ret_in)) {
		if (state <= ret_in->high || state > ret_in->catch_high)
			continue;
		for (struct cxx_cursor k = ret_in->catches; cxx_catch_next(t, &k, &c);)
			if (c.fn == t->d->function->begin)
				return host_load(t->d->frame + c.frame_at, 8, ret_frame);
	}
	return false;
}

static int32_t *state_slot(const struct cxx_tables *t, uint64_t frame)
{
	return (int32_t *)(uintptr_t)(frame + (uint64_t)t->state_at);
}

/* Where compressed tables are used, only what is caught tells that a frame has come further. */
static void state_set(const struct cxx_tables *t, uint64_t frame, int32_t state)
{
	if (!t->compressed)
		*state_slot(t, frame) = state;
}

static void catching_end(struct catching *c)
{
	thread_self()->catching = c->before;
	if (!c->again)
		object_destroy(&c->x);
}

/* Of a frame that is left. Compressed tables: catches that ran are left with it, since they may
 * have no tables at all. */
static int32_t state_get(const struct cxx_tables *t, uint64_t frame)
{
	int32_t state = t->compressed ? STATE_BY_PC : *state_slot(t, frame);
	struct catching *c;
	if (state == STATE_BY_PC)
		state = cxx_state_of_pc(t);
	while (t->compressed && (c = innermost_catching()) && c->frame == t->d->frame) {
		state = c->outer < state ? c->outer : state;
		catching_end(c);
	}
	return state;
}

static void undo_call(const struct cxx_tables *t, const struct cxx_undo *u, uint64_t frame)
{
	uint64_t object = frame + u->object_at, fn = t->d->base + u->fn;
	if (u->kind == UNDO_NOTHING)
		return;
	if (u->kind == UNDO_FUNCLET)
		guest_call4(fn, 0, frame, 0, 0);
	else if (u->kind == UNDO_OBJECT || host_load(object, 8, &object))
		guest_call4(fn, object, frame, 0, 0);
	else
		cxx_damaged("what is to be destroyed is not there");
}

static void undo_to(const struct cxx_tables *t, uint64_t frame, int32_t until)
{
	if (!t->compressed && !t->nundo) /* nor has it a place for its state */
		return;
	int32_t state = state_get(t, frame);
	struct cxx_undo u;
	while (state > until && cxx_undo_at(t, state, &u)) {
		state = u.to;
		state_set(t, frame, state);
		undo_call(t, &u, frame);
	}
	state_set(t, frame, state);
}

/* ---- what catches ---- */

/* As what of its types the exception is caught; NULL: it is not. */
static const struct catchable *catchable_find(const struct win_exception *x,
					      const struct cxx_tables *t, const struct cxx_catch *c)
{
	const struct throw_info *info = (const struct throw_info *)(uintptr_t)x->parameters[2];
	const char *want = cxx_text(t, c->type_rva + (uint32_t)offsetof(struct type, name));
	const uint32_t *list = at_rva(x->parameters[3], info->types_rva);
	if (info->attributes & ~c->adjectives & (CATCH_CONST | CATCH_VOLATILE))
		return NULL;
	for (uint32_t i = 1; i <= list[0]; i++) {
		const struct catchable *one = at_rva(x->parameters[3], list[i]);
		const struct type *is = at_rva(x->parameters[3], one->type_rva);
		bool same = is->name == want || !strcmp(is->name, want);
		if (same &&
		    !(one->properties & TYPE_BY_REFERENCE && !(c->adjectives & CATCH_REFERENCE)))
			return one;
	}
	return NULL;
}

static bool takes_all(const struct cxx_tables *t, const struct cxx_catch *c)
{
	return !c->type_rva || !cxx_text(t, c->type_rva + (uint32_t)offsetof(struct type, name))[0];
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
static void object_give(const struct win_exception *x, const struct cxx_catch *c,
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

/* What is on the way to a catch: of the exception's parameters, behind its own: the how manieth try
 * of the tables, and of it catch, and the type it is caught as. */
enum { TO_TRY = 4, TO_CATCH, TO_TYPE, TO_FRAME };
enum { ON_THE_WAY = 15 };

static bool is_on_the_way(const struct win_exception *x)
{
	return is_cxx(x) && x->nparameters == ON_THE_WAY;
}

/* Unwind to the frame whose catch then runs. */
_Noreturn static void catch_begin(const struct win_exception *x, const struct dispatch *d,
				  const uint64_t to_catch[4])
{
	struct win_exception to = *x;
	to.nparameters = ON_THE_WAY;
	memcpy(&to.parameters[TO_TRY], to_catch, 4 * sizeof to_catch[0]);
	struct unwind_target target = {d->frame, d->pc, 0, &to};
	unwind_here(&target);
}

static void catch_find(const struct cxx_tables *t, const struct win_exception *x,
		       struct cxx_try *ret, struct cxx_catch *ret_catch)
{
	struct cxx_cursor at = cxx_tries(t);
	bool found = true;
	for (uint64_t i = 0; found && i <= x->parameters[TO_TRY]; i++)
		found = cxx_try_next(t, &at, ret);
	at = found ? ret->catches : (struct cxx_cursor){0};
	for (uint64_t k = 0; found && k <= x->parameters[TO_CATCH]; k++)
		found = cxx_catch_next(t, &at, ret_catch);
	if (!found)
		cxx_damaged("what was to catch is gone");
}

/* The funclet's return value is where the function goes on, or which of two places it is. */
static uint64_t catch_onward(const struct cxx_tables *t, const struct cxx_catch *k,
			     uint64_t returned)
{
	if (!k->nonward)
		return returned;
	uint64_t which = k->nonward == 1 ? 0 : returned;
	if (which >= k->nonward)
		cxx_damaged("a catch goes on in none of its places");
	return t->d->base + k->onward[which];
}

_Noreturn static void catch_run(const struct cxx_tables *t, const struct win_exception *x,
				struct win_context *c)
{
	const struct catchable *as = (const struct catchable *)(uintptr_t)x->parameters[TO_TYPE];
	uint64_t frame = x->parameters[TO_FRAME];
	struct thread *self = thread_self();
	struct cxx_try in;
	struct cxx_catch k;
	struct cxx_undo around;
	catch_find(t, x, &in, &k);
	undo_to(t, frame, in.low);
	if (as && k.object_at)
		object_give(x, &k, as, frame);
	if (!cxx_undo_at(t, in.low, &around))
		cxx_damaged("a try has no state");
	struct catching now = {*x, t->d->frame, around.to, false, innermost_catching()};
	self->catching = &now;
	state_set(t, frame, STATE_BY_PC);
	WINAPI uint64_t (*fn)(uint64_t, uint64_t) =
	    (WINAPI uint64_t(*)(uint64_t, uint64_t))(uintptr_t)(t->d->base + k.fn);
	uint64_t on = catch_onward(t, &k, fn(0, frame));
	self->catching = now.before;
	if (!now.again)
		object_destroy(&now.x);
	c->rip = on;
	context_run(c);
}

/* Does a catch of @in take it? It is begun then. */
static void search_try(const struct cxx_tables *t, const struct win_exception *x,
		       const struct cxx_try *in, uint64_t to_catch[4])
{
	struct cxx_cursor at = in->catches;
	struct cxx_catch c;
	for (uint64_t k = 0; cxx_catch_next(t, &at, &c); k++) {
		const struct catchable *as = NULL;
		if (!takes_all(t, &c) && !(as = catchable_find(x, t, &c)))
			continue;
		to_catch[TO_CATCH - TO_TRY] = k;
		to_catch[TO_TYPE - TO_TRY] = (uint64_t)(uintptr_t)as;
		catch_begin(x, t->d, to_catch);
	}
}

static void search(const struct cxx_tables *t, const struct win_exception *x)
{
	struct cxx_try in, one;
	uint64_t to_catch[4] = {0};
	bool in_catch = frame_of(t, &to_catch[TO_FRAME - TO_TRY], &in);
	int32_t state = cxx_state_of_pc(t);
	/* a function whose catch runs, beyond that: it is where the try ended */
	for (const struct catching *c = innermost_catching(); c; c = c->before)
		if (c->frame == t->d->frame && c->outer < state)
			state = c->outer;
	struct cxx_cursor at = cxx_tries(t);
	for (; cxx_try_next(t, &at, &one); to_catch[0]++) {
		if (state < one.low || state > one.high)
			continue;
		if (in_catch && (one.low <= in.high || one.high > in.catch_high))
			continue; /* around the catch: the function's, further on */
		search_try(t, x, &one, to_catch);
	}
	if (t->no_except && !in_catch && !t->is_catch)
		process_die(LODGE_EXIT_SIGNAL + 6,
			    "a C++ exception leaves a function that promised not to throw");
}

static void leave(const struct cxx_tables *t, const struct win_exception *x)
{
	struct cxx_try in, to;
	struct cxx_catch k;
	uint64_t frame;
	bool in_catch = frame_of(t, &frame, &in);
	/* what is around a catch goes after what it caught */
	int32_t until = in_catch ? in.high : -1;
	if (!t->compressed && is_on_the_way(x) && x->parameters[TO_FRAME] == frame) {
		catch_find(t, x, &to, &k);
		until = to.low > until ? to.low : until;
	}
	undo_to(t, frame, until);
	struct catching *c = in_catch ? innermost_catching() : NULL;
	if (c)
		catching_end(c);
}

static uint32_t frame_handle(const struct cxx_tables *t, const struct win_exception *x,
			     struct win_context *c)
{
	if (!(x->flags & (EXCEPTION_UNWINDING | EXCEPTION_EXIT_UNWIND))) {
		if (is_cxx(x))
			search(t, x);
	} else if (x->flags & EXCEPTION_TARGET_UNWIND && is_on_the_way(x)) {
		catch_run(t, x, c);
	} else {
		leave(t, x);
	}
	return DISPOSITION_SEARCH;
}

/* The names that it had before are the same: what differs is the table's magic. */
API(uint32_t, crt___CxxFrameHandler3, struct win_exception *x, uint64_t frame,
    struct win_context *c, struct dispatch *d)
{
	struct cxx_tables t;
	(void)frame;
	cxx_tables_plain(&t, d);
	return frame_handle(&t, x, c);
}

API(uint32_t, crt___CxxFrameHandler4, struct win_exception *x, uint64_t frame,
    struct win_context *c, struct dispatch *d)
{
	struct cxx_tables t;
	(void)frame;
	cxx_tables_compressed(&t, d);
	return frame_handle(&t, x, c);
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
