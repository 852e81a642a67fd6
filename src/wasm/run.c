/* SPDX-License-Identifier: Apache-2.0 */
/* The interpreter: threaded code. Each instruction has the address of its body, and each body ends
 * with a jump to the next one's. Accesses to memory 0 are not compared with its size: one that
 * leaves it faults, and the handler moves the thread to the end of the run (wasm_faults). */
#include "wasm/parts.h"

/* Branches between two looks at the clock, and at whether a loop should be compiled: a
 * prime, or loops would always be met at the same branch. */
enum { SLICE = 1 << 18, SLICE_TIER = 1021 };

/* Where instructions may fault, and where the thread goes on then; both relative to their own
 * place. The linker knows the section's ends. */
extern const int32_t __start_wasm_sites[] __attribute__((visibility("hidden"))),
    __stop_wasm_sites[] __attribute__((visibility("hidden"))); /* of the linker */

bool wasm_fault_find(uint64_t *pc)
{
	for (const int32_t *p = __start_wasm_sites; p < __stop_wasm_sites; p += 2) {
		if ((uint64_t)(uintptr_t)p + (uint64_t)(int64_t)p[0] != *pc)
			continue;
		*pc = (uint64_t)(uintptr_t)(p + 1) + (uint64_t)(int64_t)p[1];
		return true;
	}
	return false;
}

/* What is used up of the fuel, and the clock, looked at now and then. */
enum wasm_trap slice_next(struct wasm *w, int64_t *fuel)
{
	if (w->deadline_ns && host_monotonic_ns() >= w->deadline_ns)
		return WASM_TRAP_DEADLINE;
	*fuel = w->slice_max ? w->slice_max : w->tier ? SLICE_TIER : SLICE;
	if (!w->fueled)
		return WASM_OK;
	return fuel_take(w, fuel);
}

/* The calls that wait in [@base, @top), innermost first. */
static void frames_note(struct wasm *w, const struct frame *base, const struct frame *top)
{
	for (; top > base && top[-1].f; top--) /* the instruction before the one to go on with */
		trace_note(w, top[-1].f, (uint32_t)(top[-1].ip - top[-1].f->own) - 1);
}

/* The function that the call @ip means by the element @i of its table; NULL: none that it may call,
 * and why. */
static struct func *callee_find(const struct wasm *w, const struct insn *ip, uint32_t i)
{
	const struct table *t = &w->tables[ip[1].k];
	struct func *f = i < t->n ? (struct func *)(uintptr_t)t->at[i] : NULL;
	return f && f->type == ip->k ? f : NULL;
}
static enum wasm_trap callee_trap(const struct wasm *w, const struct insn *ip, uint32_t i)
{
	const struct table *t = &w->tables[ip[1].k];
	return i >= t->n ? WASM_TRAP_UNDEFINED : t->at[i] ? WASM_TRAP_SIGNATURE : WASM_TRAP_NULL;
}

/* At the head of a loop of @f or where it begins. */
static struct spot spot_of(const struct func *f, const struct insn *ip)
{
	bool inside = f->own && ip >= f->own && ip < f->own + f->ninsns;
	return (struct spot){f, inside ? (uint32_t)(ip - f->own) : SPOT_BEGIN, NULL};
}

/* Most bodies want it, and gcc cannot know. clang takes such a wish in asm only. */
#ifdef __clang__
#define IN_REGISTER(type, v, name) type v
#else
#define IN_REGISTER(type, v, name) register type v __asm__(name)
#endif

#define NEXT()  goto *(++ip)->go
#define TAKE()                                                                                     \
	do {                                                                                       \
		ip += ip->rel;                                                                     \
		if (unlikely(--fuel < 0))                                                          \
			goto poll;                                                                 \
		goto *ip->go;                                                                      \
	} while (0)
#define LEAVE()                                                                                    \
	do {                                                                                       \
		--w->top;                                                                          \
		fp = w->top->fp;                                                                   \
		cur = w->top->f;                                                                   \
		ip = w->top->ip;                                                                   \
		if (unlikely(!ip))                                                                 \
			goto left;                                                                 \
		goto *ip->go;                                                                      \
	} while (0)
#define TRAP(t)                                                                                    \
	do {                                                                                       \
		trap = (t);                                                                        \
		goto trapped;                                                                      \
	} while (0)

/* clang's instrumentation of some 500 bodies that may each lead to each other takes it a quarter of
 * an hour: under clang the sanitizers see all but this function, under gcc this one, too. */
#ifdef __clang__
__attribute__((no_sanitize("address", "undefined", "coverage")))
#endif
enum wasm_trap wasm_run(struct wasm *w, struct func *f, union wasm_slot *at,
			const void *const **ret)
{
	static const void *const labels[SUPER_END] = {
#include "wasm/labels.def"
	};
	if (!w) {
		*ret = labels;
		return WASM_OK;
	}
	IN_REGISTER(uint8_t *const, mem, "r15") = w->m->nmemories ? w->memories[0].at : NULL;
	struct frame *const base = w->top;
	const struct insn *ip = NULL, *resume = NULL;
	union wasm_slot *fp = at;
	struct func *cur = NULL;
	enum wasm_trap trap;
	int64_t slice; /* what has its address taken lies in memory: not what bodies use */
	IN_REGISTER(int64_t, fuel, "r14");
	if ((trap = slice_next(w, &slice)))
		return trap;
	fuel = slice;
	if (unlikely(w->back.f))
		goto go_on;

call: /* of @f, with arguments at @at, and on at @resume */
	if (unlikely(w->top == w->frames_end))
		TRAP(WASM_TRAP_STACK);
	*w->top++ = (struct frame){resume, fp, cur};
	fp = at;
enter: /* @f, in the frame @fp, arguments in place */
	cur = f;
enter_again:
	ip = cur->code;
frame_begin:
	if (unlikely((uint64_t)(w->stack_end - fp) < cur->nslots))
		TRAP(WASM_TRAP_STACK);
	for (uint32_t i = cur->nparams; i < cur->nlocals; i++) {
		fp[i].i64 = 0;
		__asm__ volatile("" : "+r"(i)); /* there are few: no call of memset */
	}
	if (unlikely(--fuel < 0))
		goto poll;
	goto *ip->go;
leave:
	LEAVE();
left: /* that was the host's record */
	if (w->fueled)
		fuel_give(w, fuel);
	w->slice = 0;
	return WASM_OK;
poll:
	if ((trap = slice_next(w, &slice)))
		goto trapped;
	fuel = slice - 1;
	if (unlikely(wasm_asked(w))) {
		w->slice = fuel;
		if ((trap = halt(w, spot_of(cur, ip))))
			goto trapped;
	}
	enum wasm_trap end;
	if (w->tier && tier_loop(w, cur, ip, fp, &end)) {
		ip = &w->tiered; /* whose catches have been asked */
		if ((trap = end))
			goto trapped_below;
		goto leave;
	}
	goto *ip->go;
go_on: /* of a state: frames are there */
	w->top = w->back.top;
	ip = w->back.ip;
	cur = w->back.f;
	w->back.f = NULL;
	if (ip)
		goto *ip->go;
	fuel++; /* it is one call */
	goto enter_again;
fault:
	trap = WASM_TRAP_MEMORY;
trapped:
	trace_note(w, cur, cur->own ? (uint32_t)(ip - cur->own) : 0);
trapped_below: /* what @cur calls has noted its own, and @cur */
	if (trap == WASM_TRAP_EXCEPTION) {
		struct catcher c = {cur, ip, fp, base, w->top};
		bool caught = exn_catch(w, &c);
		cur = c.f;
		w->top = c.top;
		fp = c.fp;
		ip = c.ip;
		if (caught)
			goto *ip->go;
	}
	frames_note(w, base, w->top);
	w->top = base;
	if (w->fueled && fuel > 0)
		fuel_give(w, fuel);
	w->slice = 0;
	return trap;

#include "wasm/bodies.def"
}
