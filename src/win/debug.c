/* SPDX-License-Identifier: Apache-2.0 */
/* dbghelp, of a system without symbols: which module an address is in, and where functions begin.
 */
#include "win/internal.h"

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
API(void *, dbg_SymFunctionTableAccess64, handle h, uint64_t at)
{
	extern WINAPI void *nt_RtlLookupFunctionEntry(uint64_t at, uint64_t * ret_base,
						      void *history);
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
