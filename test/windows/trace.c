/* SPDX-License-Identifier: Apache-2.0 */
/* Who has called whom, by two functions that tell. */
#include "test.h"
#include <dbghelp.h>

enum { DEPTH = 32, LONGEST = 400 };
#define APART __attribute__((noinline, noclone))

static void *got[DEPTH];
static int n, deep;

/* Is @at in the function @fn, which is not long? */
static int in(const void *at, const void *fn)
{
	return (const char *)at > (const char *)fn && (const char *)at < (const char *)fn + LONGEST;
}

APART static int inner(int skip)
{
	volatile char room[300];
	room[0] = (char)skip;
	n = CaptureStackBackTrace(skip, DEPTH, got, NULL);
	return room[0] + n;
}
APART static int middle(int skip) { return inner(skip) + 1; }
APART static int outer(int skip) { return middle(skip) + 2; }
APART static int again(int left) { return left ? again(left - 1) + 1 : outer(0); }

static void captured(void)
{
	outer(0);
	CHECK(n >= 5);
	CHECK(in(got[0], inner) || in(got[1], inner)); /* Wine begins with itself */
	int at = in(got[0], inner) ? 0 : 1;
	CHECK(in(got[at + 1], middle));
	CHECK(in(got[at + 2], outer));
	CHECK(in(got[at + 3], captured));
	void *first = got[at];
	outer(at + 1);
	CHECK(in(got[0], middle));
	CHECK(in(got[1], outer));
	again(100);
	SAME(n, DEPTH); /* no more than there is room for */
	again(8);
	int turns = 0;
	for (int i = 0; i < n; i++)
		turns += in(got[i], again);
	SAME(turns, 9);
	DWORD hash = 0;
	SAME(CaptureStackBackTrace(0, 1, got, &hash), 1);
	CHECK(hash != 0);
	CHECK(first != NULL);
}

typedef BOOL(WINAPI *walk_fn)(DWORD, HANDLE, HANDLE, STACKFRAME64 *, void *, void *, void *, void *,
			      void *);

APART static int walked(walk_fn walk)
{
	CONTEXT c;
	STACKFRAME64 f = {0};
	int seen = 0;
	c.ContextFlags = CONTEXT_FULL;
	RtlCaptureContext(&c);
	f.AddrPC.Offset = c.Rip;
	f.AddrStack.Offset = c.Rsp;
	f.AddrFrame.Offset = c.Rbp;
	f.AddrPC.Mode = f.AddrStack.Mode = f.AddrFrame.Mode = AddrModeFlat;
	HMODULE h = GetModuleHandleA("dbghelp.dll");
	while (deep < DEPTH &&
	       walk(IMAGE_FILE_MACHINE_AMD64, GetCurrentProcess(), GetCurrentThread(), &f, &c, NULL,
		    GetProcAddress(h, "SymFunctionTableAccess64"),
		    GetProcAddress(h, "SymGetModuleBase64"), NULL))
		got[deep++] = (void *)(INT_PTR)f.AddrPC.Offset;
	seen = in(got[0], walked);
	return seen;
}

APART static int walks(walk_fn walk) { return walked(walk) + 1; }

static void stack(void)
{
	walk_fn walk = (void *)GetProcAddress(LoadLibraryA("dbghelp.dll"), "StackWalk64");
	BOOL(WINAPI * begin)
	(HANDLE, const char *, BOOL) =
	    (void *)GetProcAddress(GetModuleHandleA("dbghelp.dll"), "SymInitialize");
	CHECK(walk && begin && begin(GetCurrentProcess(), NULL, TRUE));
	SAME(walks(walk), 2);
	CHECK(deep >= 4);
	CHECK(in(got[1], walks));
	CHECK(in(got[2], stack));
}

typedef BOOL(WINAPI *modules_fn)(HANDLE, void *, void *);
struct told {
	int n, self, named;
};

static BOOL CALLBACK module_is(const char *name, DWORD64 base, ULONG size, void *arg)
{
	struct told *t = arg;
	t->n++;
	t->self += base == (DWORD64)GetModuleHandleA(NULL) && size > 4096 && strstr(name, ".exe");
	return TRUE;
}

static BOOL CALLBACK module_is_w(const WCHAR *name, DWORD64 base, ULONG size, void *arg)
{
	struct told *t = arg;
	t->n++;
	t->named += name && name[0];
	return t->n < 2; /* no more than that */
}

static void loaded(void)
{
	HMODULE h = LoadLibraryA("dbghelp.dll");
	struct told t = {0}, w = {0};
	modules_fn fn = (void *)GetProcAddress(h, "EnumerateLoadedModulesEx");
	modules_fn wide = (void *)GetProcAddress(h, "EnumerateLoadedModulesW64");
	CHECK(fn && wide);
	SAME(fn(GetCurrentProcess(), module_is, &t), TRUE);
	CHECK(t.n > 2);
	SAME(t.self, 1);
	SAME(wide(GetCurrentProcess(), module_is_w, &w), TRUE);
	SAME(w.n, 2);
	SAME(w.named, 2);
}

int main(void)
{
	captured();
	stack();
	loaded();
	return end();
}
