/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of the guest by its tables (.pdata, .xdata): RtlVirtualUnwind, RtlUnwindEx and
 * __C_specific_handler. Spec: Microsoft's x64 exception handling (UNWIND_INFO, version 1 and 2). */
#include "win/unwind.h"

enum {
	PUSH_NONVOL,
	ALLOC_LARGE,
	ALLOC_SMALL,
	SET_FPREG,
	SAVE_NONVOL,
	SAVE_NONVOL_FAR,
	EPILOG,
	SPARE,
	SAVE_XMM,
	SAVE_XMM_FAR,
	PUSH_MACHFRAME
};
enum { CHAIN_MAX = 32, FRAMES_MAX = 100000 };

uint64_t *context_register(struct win_context *c, unsigned n)
{
	return (uint64_t *[]){&c->rax, &c->rcx, &c->rdx, &c->rbx, &c->rsp, &c->rbp,
			      &c->rsi, &c->rdi, &c->r8,  &c->r9,  &c->r10, &c->r11,
			      &c->r12, &c->r13, &c->r14, &c->r15}[n & 15];
}

static bool pop(struct win_context *c, uint64_t *ret)
{
	if (!host_load(c->rsp, 8, ret))
		return false;
	c->rsp += 8;
	return true;
}

/* ---- tables that the guest adds for code that it makes ---- */

enum { DYNAMIC_MAX = 1 << 20 }; /* one for each function that a compiler in it makes */
struct dynamic {
	const struct pe_function *all; /* the guest's */
	uint32_t n;
	uint64_t base, lo, hi;
	uint64_t fn, arg; /* instead of a table: a function of the guest */
};
static WIN_STATE struct {
	pthread_mutex_t lock;
	struct dynamic *all; /* owned */
	size_t n, cap;
} dynamic = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint32_t dynamic_add(const struct dynamic *d)
{
	bool ok = true;
	pthread_mutex_lock(&dynamic.lock);
	if (dynamic.n == dynamic.cap) {
		size_t cap = dynamic.cap ? 2 * dynamic.cap : 16;
		struct dynamic *all =
		    cap <= DYNAMIC_MAX ? realloc(dynamic.all, cap * sizeof *all) : NULL;
		ok = all != NULL;
		dynamic.all = ok ? all : dynamic.all;
		dynamic.cap = ok ? cap : dynamic.cap;
	}
	if (ok)
		dynamic.all[dynamic.n++] = *d;
	pthread_mutex_unlock(&dynamic.lock);
	return ok;
}

static bool dynamic_remove(uint64_t key)
{
	bool found = false;
	pthread_mutex_lock(&dynamic.lock);
	for (size_t i = 0; i < dynamic.n; i++) {
		const struct dynamic *d = &dynamic.all[i];
		if ((d->all && (uint64_t)(uintptr_t)d->all == key) ||
		    (d->fn && (d->lo | 3) == (key | 3))) {
			dynamic.all[i--] = dynamic.all[--dynamic.n];
			found = true;
		}
	}
	pthread_mutex_unlock(&dynamic.lock);
	return found;
}

static const struct pe_function *dynamic_find(uint64_t pc, uint64_t *ret_base)
{
	const struct pe_function *found = NULL;
	uint64_t fn = 0, arg = 0;
	pthread_mutex_lock(&dynamic.lock);
	for (size_t i = 0; i < dynamic.n && !found && !fn; i++) {
		const struct dynamic *d = &dynamic.all[i];
		if (pc < d->lo || pc >= d->hi)
			continue;
		*ret_base = d->base;
		fn = d->fn;
		arg = d->arg;
		for (uint32_t k = 0; k < d->n && !found; k++)
			if (pc - d->base >= d->all[k].begin && pc - d->base < d->all[k].end)
				found = &d->all[k];
	}
	pthread_mutex_unlock(&dynamic.lock);
	if (fn) {
		WINAPI const struct pe_function *(*ask)(uint64_t, uint64_t) =
		    (WINAPI const struct pe_function *(*)(uint64_t, uint64_t))(uintptr_t)fn;
		found = ask(pc, arg);
	}
	return found;
}

API(uint8_t, nt_RtlAddFunctionTable, const struct pe_function *all, uint32_t n, uint64_t base)
{
	struct dynamic d = {.all = all, .n = n, .base = base, .lo = UINT64_MAX};
	for (uint32_t i = 0; i < n; i++) {
		d.lo = base + all[i].begin < d.lo ? base + all[i].begin : d.lo;
		d.hi = base + all[i].end > d.hi ? base + all[i].end : d.hi;
	}
	return n && dynamic_add(&d);
}

API(uint8_t, nt_RtlDeleteFunctionTable, uint64_t key) { return dynamic_remove(key); }

API(uint8_t, nt_RtlInstallFunctionTableCallback, uint64_t id, uint64_t base, uint32_t len,
    uint64_t fn, uint64_t arg, const wide *dll)
{
	(void)id;
	(void)dll;
	return (uint8_t)dynamic_add(
	    &(struct dynamic){.fn = fn, .arg = arg, .base = base, .lo = base, .hi = base + len});
}

API(uint32_t, nt_RtlAddGrowableFunctionTable, uint64_t *ret, const struct pe_function *all,
    uint32_t n, uint32_t most, uint64_t lo, uint64_t hi)
{
	(void)most;
	*ret = (uint64_t)(uintptr_t)all;
	return dynamic_add(&(struct dynamic){.all = all, .n = n, .base = lo, .lo = lo, .hi = hi})
		   ? STATUS_SUCCESS
		   : STATUS_NO_MEMORY;
}
API(void, nt_RtlDeleteGrowableFunctionTable, uint64_t key) { dynamic_remove(key); }
API(void, nt_RtlGrowFunctionTable, uint64_t key, uint32_t n)
{
	pthread_mutex_lock(&dynamic.lock);
	for (size_t i = 0; i < dynamic.n; i++)
		if ((uint64_t)(uintptr_t)dynamic.all[i].all == key)
			dynamic.all[i].n = n;
	pthread_mutex_unlock(&dynamic.lock);
}

/* ---- one frame ---- */

/* An address in an image, or in memory that the guest says is one. */
static const uint8_t *info_at(const struct module *m, uint64_t base, uint32_t rva, uint64_t len)
{
	return m ? pe_at(&m->im, rva, len) : (const uint8_t *)(uintptr_t)(base + rva);
}

API(const struct pe_function *, nt_RtlLookupFunctionEntry, uint64_t pc, uint64_t *ret_base,
    void *history)
{
	(void)history;
	struct module *m = pc < WIN_GUEST_END ? module_at(pc) : NULL;
	if (m) {
		*ret_base = (uint64_t)(uintptr_t)m->im.at;
		return pe_function_at(&m->im, (uint32_t)(pc - *ret_base));
	}
	*ret_base = 0;
	return dynamic_find(pc, ret_base);
}

/* Codes take 1, 2 or 3 places. */
static unsigned code_places(unsigned op, unsigned info)
{
	switch (op) {
	case ALLOC_LARGE: return info ? 3 : 2;
	case SAVE_NONVOL:
	case SAVE_XMM: return 2;
	case SAVE_NONVOL_FAR:
	case SAVE_XMM_FAR: return 3;
	default: return 1;
	}
}

/* Undo one code; false: the stack is not there, or there is no such code. */
static bool code_undo(struct win_context *c, const uint8_t *code, unsigned frame_reg,
		      unsigned frame_off, uint64_t frame)
{
	unsigned op = code[1] & 15, info = code[1] >> 4;
	switch (op) {
	case PUSH_NONVOL: return pop(c, context_register(c, info));
	case ALLOC_LARGE: c->rsp += info ? le32_at(code + 2) : le16_at(code + 2) * 8u; return true;
	case ALLOC_SMALL: c->rsp += info * 8 + 8; return true;
	case SET_FPREG:
		c->rsp = *context_register(c, frame_reg) - 16 * (uint64_t)frame_off;
		return true;
	case SAVE_NONVOL:
		return host_load(frame + 8u * le16_at(code + 2), 8, context_register(c, info));
	case SAVE_NONVOL_FAR:
		return host_load(frame + le32_at(code + 2), 8, context_register(c, info));
	case SAVE_XMM:
		return !host_copy(c->fx + 160 + 16 * info,
				  (void *)(uintptr_t)(frame + 16u * le16_at(code + 2)), 16);
	case SAVE_XMM_FAR:
		return !host_copy(c->fx + 160 + 16 * info,
				  (void *)(uintptr_t)(frame + le32_at(code + 2)), 16);
	case EPILOG:
	case SPARE: return true;
	case PUSH_MACHFRAME: c->rsp += info ? 8 : 0; return host_load(c->rsp + 24, 8, &c->rsp);
	default: return false;
	}
}

/* Is @c in the end of a function, where only pops are left? They are done then. Only what compilers
 * make there: add or lea to rsp, pops, ret or a jump out of it. */
static bool epilog_undo(struct win_context *c, const struct pe_function *f, uint64_t base)
{
	uint8_t code[64] = {0};
	size_t at = 0, left = host_copy(code, (void *)(uintptr_t)c->rip, sizeof code - 16);
	struct win_context t = *c;
	size_t n = sizeof code - 16 - left;
	if (n > 4 && code[0] == 0x48 && code[1] == 0x83 && code[2] == 0xc4) {
		t.rsp += (uint64_t)(int64_t)(int8_t)code[3];
		at = 4;
	} else if (n > 7 && code[0] == 0x48 && code[1] == 0x81 && code[2] == 0xc4) {
		t.rsp += (uint64_t)(int64_t)(int32_t)le32_at(code + 3);
		at = 7;
	} else if (n > 4 && (code[0] & 0xfe) == 0x48 && code[1] == 0x8d &&
		   (code[2] & 0x78) == 0x60) {
		unsigned reg = (code[2] & 7u) | (code[0] & 1u) << 3; /* lea disp(reg), rsp */
		bool wide_disp = code[2] >> 6 == 2;
		t.rsp =
		    *context_register(c, reg) +
		    (uint64_t)(wide_disp ? (int64_t)(int32_t)le32_at(code + 3) : (int8_t)code[3]);
		at = wide_disp ? 7 : 4;
	}
	while (at < n) {
		unsigned rex = code[at] == 0x41, op = code[at + rex];
		if ((op & 0xf8) != 0x58)
			break;
		if (!pop(&t, context_register(&t, (op & 7) | rex << 3)))
			return false;
		at += 1 + rex;
	}
	if (at >= n)
		return false;
	bool ends = code[at] == 0xc3 || (code[at] == 0xf3 && code[at + 1] == 0xc3);
	if (code[at] == 0xe9 || code[at] == 0xeb) { /* a jump to another function */
		int64_t off =
		    code[at] == 0xe9 ? (int32_t)le32_at(code + at + 1) : (int8_t)code[at + 1];
		uint64_t to = c->rip + at + (code[at] == 0xe9 ? 5 : 2) + (uint64_t)off - base;
		ends = to < f->begin || to >= f->end;
	}
	ends |= code[at] == 0xff && code[at + 1] == 0x25;
	if (!ends || !pop(&t, &t.rip))
		return false;
	*c = t;
	return true;
}

struct info {
	const uint8_t *at;
	unsigned flags, prolog, count, frame_reg, frame_off;
	const uint8_t *tail; /* what follows the codes */
};

static bool info_read(struct info *ret, const struct module *m, uint64_t base, uint32_t rva)
{
	const uint8_t *p = info_at(m, base, rva, 4);
	if (!p || (p[0] & 7) < 1 || (p[0] & 7) > 2)
		return false;
	*ret = (struct info){p, p[0] >> 3, p[1], p[2], p[3] & 15, p[3] >> 4, NULL};
	uint64_t len = 4 + 2 * ((ret->count + 1u) & ~1u);
	if (!info_at(m, base, rva, len + (ret->flags ? 12 : 0)))
		return false;
	ret->tail = p + len;
	return true;
}

/* Undo what of @i has been done at @off of the function. */
static bool codes_undo(struct win_context *c, const struct info *i, uint64_t off, uint64_t frame,
		       bool *ret_machine)
{
	for (unsigned k = 0; k < i->count;) {
		const uint8_t *code = i->at + 4 + 2 * k;
		unsigned places = code_places(code[1] & 15, code[1] >> 4);
		if (k + places > i->count)
			return false;
		if ((code[1] & 15) == PUSH_MACHFRAME && code[0] <= off) {
			*ret_machine = true;
			if (!host_load(c->rsp + (code[1] >> 4 ? 8 : 0), 8, &c->rip))
				return false;
		}
		if (code[0] <= off && !code_undo(c, code, i->frame_reg, i->frame_off, frame))
			return false;
		k += places;
	}
	return true;
}

bool frame_unwind(struct win_context *c, uint64_t base, const struct pe_function *f, unsigned type,
		  struct frame *ret)
{
	struct module *m = module_at(base);
	struct info i;
	bool machine = false, first = true;
	*ret = (struct frame){.establisher = c->rsp};
	if (!f)
		return pop(c, &c->rip);
	uint64_t off = c->rip - base - f->begin;
	if (!info_read(&i, m, base, f->unwind))
		return false;
	uint64_t frame = c->rsp;
	bool has_frame = i.frame_reg && off >= i.prolog;
	for (unsigned k = 0; i.frame_reg && !has_frame && k < i.count;
	     k += code_places(i.at[5 + 2 * k] & 15, i.at[5 + 2 * k] >> 4))
		has_frame = (i.at[5 + 2 * k] & 15) == SET_FPREG && i.at[4 + 2 * k] <= off;
	if (has_frame)
		frame = *context_register(c, i.frame_reg) - 16 * (uint64_t)i.frame_off;
	ret->establisher = frame;
	if (off >= i.prolog && epilog_undo(c, f, base))
		return true;
	bool in_body = off >= i.prolog;
	for (unsigned chain = 0; chain < CHAIN_MAX; chain++) {
		if (!codes_undo(c, &i, first ? off : UINT64_MAX, frame, &machine))
			return false;
		if (in_body && first && i.flags & type & 3) {
			ret->handler = base + le32_at(i.tail);
			ret->data = (uint64_t)(uintptr_t)i.tail + 4;
		}
		if (!(i.flags & UNWIND_CHAINED))
			break;
		if (!info_read(&i, m, base, le32_at(i.tail + 8)))
			return false;
		if (i.flags & type & 3 && !(i.flags & UNWIND_CHAINED)) {
			ret->handler = base + le32_at(i.tail);
			ret->data = (uint64_t)(uintptr_t)i.tail + 4;
		}
		first = false;
	}
	return machine || pop(c, &c->rip);
}

API(uint64_t, nt_RtlVirtualUnwind, uint32_t type, uint64_t base, uint64_t pc,
    const struct pe_function *f, struct win_context *c, uint64_t *ret_data, uint64_t *ret_frame,
    void *pointers)
{
	struct frame fr;
	(void)pointers;
	c->rip = pc;
	if (!frame_unwind(c, base, f, type, &fr))
		c->rip = 0;
	*ret_data = fr.data;
	*ret_frame = fr.establisher;
	return fr.handler;
}

/* ---- all frames up to one ---- */

uint32_t handler_call(const struct frame *f, struct win_exception *x, struct win_context *c,
		      struct dispatch *d)
{
	return guest_call4(f->handler, (uint64_t)(uintptr_t)x, f->establisher,
			   (uint64_t)(uintptr_t)c, (uint64_t)(uintptr_t)d);
}

bool frame_sane(uint64_t frame, const struct thread *t)
{
	return frame % 8 == 0 && frame >= t->stack_lo && frame < t->stack_hi;
}

_Noreturn void unwind_to(struct win_context *c, const struct unwind_target *to)
{
	struct win_exception own = {.code = STATUS_UNWIND, .address = c->rip};
	struct win_exception *x = to->record ? to->record : &own;
	struct thread *t = thread_self();
	x->flags |= EXCEPTION_UNWINDING | (to->frame ? 0 : EXCEPTION_EXIT_UNWIND);
	for (unsigned n = 0; n < FRAMES_MAX; n++) {
		if (c->rip >= WIN_GUEST_END && !dispatch_leave(c))
			process_die(LODGE_EXIT_SIGNAL + 11,
				    "an exception leaves a function that "
				    "was called by one of ours (at %#llx)",
				    (unsigned long long)c->rip);
		struct win_context next = *c;
		struct frame f;
		uint64_t base = 0, pc = c->rip;
		const struct pe_function *fn = nt_RtlLookupFunctionEntry(pc, &base, NULL);
		if (!frame_unwind(&next, base, fn, UNWIND_UHANDLER, &f) ||
		    !frame_sane(f.establisher, t) || (to->frame && f.establisher > to->frame))
			process_die(LODGE_EXIT_SIGNAL + 11,
				    "an exception unwinds the stack beyond its "
				    "frames (at %#llx)",
				    (unsigned long long)pc);
		struct dispatch d = {pc,   base, fn, f.establisher, to->ip, c, f.handler, f.data,
				     NULL, 0,    0};
		bool target = f.establisher == to->frame;
		x->flags |= target ? EXCEPTION_TARGET_UNWIND : 0;
		c->rax = to->value;
		while (f.handler) {
			struct win_context here = *c;
			struct dispatching link = {&here, t->dispatching};
			t->dispatching = &link;
			uint32_t r = handler_call(&f, x, c, &d);
			t->dispatching = link.before;
			x->flags &= ~(uint32_t)EXCEPTION_COLLIDED_UNWIND;
			if (r != DISPOSITION_COLLIDED)
				break;
			/* another unwinding was under way: go on where it had come to */
			next = *d.context;
			*c = *d.context;
			f.handler = d.handler;
			f.data = d.data;
			if (!frame_unwind(&next, d.base, d.function, 0, &(struct frame){0}))
				break;
			f.establisher = d.frame;
			x->flags |= EXCEPTION_COLLIDED_UNWIND;
			target = f.establisher == to->frame;
		}
		if (target)
			break;
		*c = next;
	}
	if (to->frame) {
		c->rax = to->value;
		if (x->code != STATUS_LONGJUMP || !to->ip)
			c->rip = to->ip;
	}
	context_run(c);
}

/* ---- __try of C ---- */

struct scope {
	uint32_t begin, end, handler, target;
};
struct pointers {
	struct win_exception *x;
	struct win_context *c;
};

static uint32_t scopes_search(struct win_exception *x, uint64_t frame, struct win_context *c,
			      struct dispatch *d, const struct scope *s, uint32_t n)
{
	uint32_t pc = (uint32_t)(d->pc - d->base);
	for (uint32_t i = d->scope; i < n; i++) {
		if (pc < s[i].begin || pc >= s[i].end || !s[i].target)
			continue;
		int32_t answer = 1;
		if (s[i].handler != 1) {
			struct pointers p = {x, c};
			answer = (int32_t)guest_call4(d->base + s[i].handler,
						      (uint64_t)(uintptr_t)&p, frame, 0, 0);
		}
		if (answer < 0)
			return DISPOSITION_CONTINUE;
		if (answer > 0) {
			struct unwind_target to = {frame, d->base + s[i].target, x->code, x};
			unwind_here(&to);
		}
	}
	return DISPOSITION_SEARCH;
}

static void scopes_unwind(const struct win_exception *x, uint64_t frame, struct dispatch *d,
			  const struct scope *s, uint32_t n)
{
	uint32_t pc = (uint32_t)(d->pc - d->base), target = (uint32_t)(d->target - d->base);
	for (uint32_t i = d->scope; i < n; i++) {
		if (pc < s[i].begin || pc >= s[i].end)
			continue;
		if (x->flags & EXCEPTION_TARGET_UNWIND && target >= s[i].begin && target < s[i].end)
			return;
		if (s[i].target) {
			if (x->flags & EXCEPTION_TARGET_UNWIND && target == s[i].target)
				return;
			continue;
		}
		d->scope = i + 1;
		guest_call4(d->base + s[i].handler, 1, frame, 0, 0);
	}
}

API(uint32_t, nt___C_specific_handler, struct win_exception *x, uint64_t frame,
    struct win_context *c, struct dispatch *d)
{
	const uint32_t *table = (const uint32_t *)(uintptr_t)d->data;
	const struct scope *s = (const struct scope *)(const void *)(table + 1);
	if (!(x->flags & (EXCEPTION_UNWINDING | EXCEPTION_EXIT_UNWIND)))
		return scopes_search(x, frame, c, d, s, table[0]);
	scopes_unwind(x, frame, d, s, table[0]);
	return DISPOSITION_SEARCH;
}
