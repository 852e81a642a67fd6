/* SPDX-License-Identifier: Apache-2.0 */
/* dbghelp, of a system without symbols: which module an address is in, where functions begin, and
 * who has called whom. */
#include "win/unwind.h"

enum { SYM_OPTIONS_FIRST = 2 }; /* SYMOPT_UNDNAME */
static WIN_STATE _Atomic(uint32_t) options;
static WIN_STATE _Atomic(bool) options_set;

API(uint32_t, dbg_SymGetOptions, void) { return options_set ? options : SYM_OPTIONS_FIRST; }
API(uint32_t, dbg_SymSetOptions, uint32_t v)
{
	options = v;
	options_set = true;
	return v;
}
API(uint32_t, dbg_SymInitialize, handle h, const char *path, uint32_t invade)
{
	(void)h;
	(void)path;
	(void)invade;
	return 1;
}
API(uint32_t, dbg_SymInitializeW, handle h, const wide *path, uint32_t invade)
{
	(void)path;
	return dbg_SymInitialize(h, NULL, invade);
}
API(uint32_t, dbg_SymCleanup, handle h)
{
	(void)h;
	return 1;
}
API(uint32_t, dbg_SymSetSearchPathW, handle h, const wide *path)
{
	(void)h;
	(void)path;
	return 1;
}
API(uint32_t, dbg_SymGetSearchPathW, handle h, wide *out, uint32_t n)
{
	(void)h;
	return wide_give(".", out, n) < n ? 1 : fail(ERROR_INSUFFICIENT_BUFFER);
}

/* There are no symbols of any module. */
API(uint32_t, dbg_SymFromAddr, handle h, uint64_t at, uint64_t *ret_off, void *ret)
{
	(void)h;
	(void)ret_off;
	(void)ret;
	return fail(module_at(at) ? ERROR_INVALID_ADDRESS : ERROR_MOD_NOT_FOUND);
}
API(uint32_t, dbg_SymGetLineFromAddr64, handle h, uint64_t at, uint32_t *ret_off, void *ret)
{
	(void)ret_off;
	return dbg_SymFromAddr(h, at, NULL, ret);
}
API(uint64_t, dbg_SymGetModuleBase64, handle h, uint64_t at)
{
	(void)h;
	struct module *m = module_at(at);
	return m ? (uint64_t)(uintptr_t)m->im.at : fail(ERROR_MOD_NOT_FOUND);
}
API(const void *, dbg_SymFunctionTableAccess64, handle h, uint64_t at)
{
	uint64_t base;
	(void)h;
	return nt_RtlLookupFunctionEntry(at, &base, NULL);
}

/* A name stays as it is: programs show that when it cannot be undone. */
API(uint32_t, dbg_UnDecorateSymbolName, const char *name, char *out, uint32_t n, uint32_t flags)
{
	(void)flags;
	uint32_t len = text_give(name, out, n);
	return len < n ? len : fail(ERROR_INSUFFICIENT_BUFFER);
}

/* ---- stacks, from the innermost function on ---- */

/* @c becomes that of the caller; false: there is none that can be told. */
static bool caller_find(struct win_context *c)
{
	uint64_t base = 0;
	struct frame f;
	if (!c->rip || c->rip >= WIN_GUEST_END)
		return false;
	const struct pe_function *fn = nt_RtlLookupFunctionEntry(c->rip, &base, NULL);
	return frame_sane(c->rsp & ~UINT64_C(7), thread_self()) &&
	       frame_unwind(c, base, fn, 0, &f) && c->rip && c->rip < WIN_GUEST_END;
}

/* Of the caller its place, its stack and rbp are known here, which is what frames are found by. */
API(uint16_t, nt_RtlCaptureStackBackTrace, uint32_t skip, uint32_t n, uint64_t *ret, uint32_t *hash)
{
	const uint64_t *frame = __builtin_frame_address(0);
	struct win_context c = {
	    .rbp = frame[0], .rip = frame[1], .rsp = (uint64_t)(uintptr_t)(frame + 2)};
	uint16_t got = 0;
	uint32_t sum = 0;
	for (uint32_t i = 0; got < n && c.rip < WIN_GUEST_END; i++) {
		if (i >= skip) {
			ret[got++] = c.rip;
			sum += (uint32_t)c.rip;
		}
		if (!caller_find(&c))
			break;
	}
	if (hash)
		*hash = sum;
	return got;
}

/* ADDRESS64, STACKFRAME64 */
struct address64 {
	uint64_t at;
	uint16_t segment, pad;
	uint32_t mode;
};
struct stack_frame {
	struct address64 pc, back, frame, stack, store;
	const void *function;
	uint64_t parameters[4];
	uint32_t is_far, is_virtual;
};
enum { MACHINE_AMD64 = 0x8664, FLAT = 3 };

/* The first call tells of where @c is, each other of its caller. */
API(uint32_t, dbg_StackWalk64, uint32_t machine, handle p, handle thread, struct stack_frame *f,
    struct win_context *c, uint64_t read, uint64_t table, uint64_t base, uint64_t translate)
{
	(void)p;
	(void)thread;
	(void)read;
	(void)table;
	(void)base;
	(void)translate;
	uint64_t image = 0;
	if (machine != MACHINE_AMD64 || (f->is_virtual && !caller_find(c)))
		return 0;
	struct win_context back = *c;
	f->is_virtual = 1;
	f->pc = (struct address64){c->rip, 0, 0, FLAT};
	f->stack = (struct address64){c->rsp, 0, 0, FLAT};
	f->frame = (struct address64){c->rbp, 0, 0, FLAT};
	f->function = nt_RtlLookupFunctionEntry(c->rip, &image, NULL);
	f->back = (struct address64){caller_find(&back) ? back.rip : 0, 0, 0, FLAT};
	return 1;
}
