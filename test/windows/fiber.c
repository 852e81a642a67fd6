/* SPDX-License-Identifier: Apache-2.0 */
/* Fibers: who runs, what each has of its own, and what their values of FLS come to. */
#include "test.h"

#ifndef ERROR_ALREADY_FIBER
#define ERROR_ALREADY_FIBER 1280
#endif

static void *home, *a, *b;
static char trace[200];

static void note(const char *what) { strcat(trace, what); }

static void CALLBACK first(void *arg)
{
	CHECK(GetCurrentFiber() == a);
	CHECK(GetFiberData() == arg);
	for (int i = 0; i < 3; i++) {
		note("a");
		SwitchToFiber(b);
	}
	note("A");
	SwitchToFiber(home);
	note("never");
}

static void CALLBACK second(void *arg)
{
	CHECK(GetCurrentFiber() == b);
	CHECK(GetFiberData() == arg);
	for (;;) {
		note("b");
		SwitchToFiber(a);
	}
}

static void turns(void)
{
	int x, y, z;
	CHECK(!IsThreadAFiber());
	home = ConvertThreadToFiber(&x);
	CHECK(home != NULL);
	CHECK(IsThreadAFiber());
	CHECK(GetCurrentFiber() == home);
	CHECK(GetFiberData() == &x);
	FAILS(ConvertThreadToFiber(NULL), ERROR_ALREADY_FIBER);
	FAILS(ConvertThreadToFiberEx(NULL, 0), ERROR_ALREADY_FIBER);
	a = CreateFiber(0, first, &y);
	b = CreateFiberEx(0x1000, 0x20000, 1, second, &z);
	CHECK(a && b && a != b);
	trace[0] = 0;
	SwitchToFiber(a);
	TEXT_IS(trace, "abababA");
	CHECK(GetCurrentFiber() == home);
	CHECK(GetFiberData() == &x);
	DeleteFiber(a);
	DeleteFiber(b);
}

/* ---- what belongs to a fiber ---- */

static DWORD slot, tls;
static int ends, last_end;
static void NTAPI value_end(void *v)
{
	ends++;
	last_end = (int)(INT_PTR)v;
}

static double kept_in_registers(double v)
{
	double w = v * 3;
	SwitchToFiber(home);
	return v + w;
}

static char *stack_lo(void) { return (char *)__readgsqword(0x10); }
static char *stack_hi(void) { return (char *)__readgsqword(8); }

static void CALLBACK owner(void *arg)
{
	char here;
	CHECK(&here > stack_lo() && &here < stack_hi());
	CHECK(!FlsGetValue(slot));
	CHECK(FlsSetValue(slot, arg));
	CHECK(TlsGetValue(tls) == (void *)77);
	SetLastError(123);
	CHECK(kept_in_registers(2.5) == 10);
	CHECK(FlsGetValue(slot) == arg);
	CHECK(&here > stack_lo() && &here < stack_hi());
	SwitchToFiber(home);
}

static void owned(void)
{
	char here, *lo = stack_lo(), *hi = stack_hi();
	slot = FlsAlloc(value_end);
	tls = TlsAlloc();
	CHECK(FlsSetValue(slot, (void *)1));
	CHECK(TlsSetValue(tls, (void *)77));
	void *f = CreateFiber(0, owner, (void *)2), *g = CreateFiber(0, owner, (void *)3);
	SwitchToFiber(f);
	SAME(GetLastError(), 123);
	CHECK(FlsGetValue(slot) == (void *)1);
	CHECK(stack_lo() == lo && stack_hi() == hi);
	CHECK(&here > stack_lo() && &here < stack_hi());
	SwitchToFiber(g);
	SwitchToFiber(f);
	CHECK(FlsGetValue(slot) == (void *)1);
	SAME(ends, 0);
	DeleteFiber(f);
	SAME(ends, 1);
	SAME(last_end, 2);
	CHECK(FlsFree(slot)); /* those of g, too */
	SAME(ends, 3);
	DeleteFiber(g);
	SAME(ends, 3);
	TlsFree(tls);
}

static DWORD WINAPI valued(void *arg)
{
	HANDLE *go = arg;
	FlsSetValue(slot, (void *)9);
	SetEvent(go[0]);
	WaitForSingleObject(go[1], INFINITE);
	return 0;
}

static void values_of_threads(void)
{
	HANDLE go[2] = {CreateEventA(NULL, 0, 0, NULL), CreateEventA(NULL, 0, 0, NULL)};
	ends = 0;
	slot = FlsAlloc(value_end);
	HANDLE t = CreateThread(NULL, 0, valued, go, 0, NULL);
	WaitForSingleObject(go[0], INFINITE);
	SAME(ends, 0);
	SetEvent(go[1]);
	WaitForSingleObject(t, INFINITE);
	SAME(ends, 1);
	SAME(last_end, 9);
	CloseHandle(t);
	t = CreateThread(NULL, 0, valued, go, 0, NULL);
	WaitForSingleObject(go[0], INFINITE);
	FlsFree(slot); /* while it has one */
	SAME(ends, 2);
	SetEvent(go[1]);
	WaitForSingleObject(t, INFINITE);
	SAME(ends, 2);
	CloseHandle(t);
}

/* ---- exceptions stay in their fiber ---- */

static int seen;
static LONG CALLBACK look(EXCEPTION_POINTERS *p)
{
	if (p->ExceptionRecord->ExceptionCode != 0xe0000042)
		return EXCEPTION_CONTINUE_SEARCH;
	seen++;
	SwitchToFiber(home); /* and back, in the middle of it */
	return EXCEPTION_CONTINUE_EXECUTION;
}

static void CALLBACK raiser(void *arg)
{
	RaiseException(0xe0000042, 0, 0, NULL);
	note("raised");
	SwitchToFiber(home);
}

static void exceptions(void)
{
	void *h = AddVectoredExceptionHandler(1, look);
	void *f = CreateFiber(0, raiser, NULL), *g = CreateFiber(0, raiser, NULL);
	trace[0] = 0;
	SwitchToFiber(f);
	SwitchToFiber(g);
	SAME(seen, 2);
	TEXT_IS(trace, "");
	SwitchToFiber(f);
	TEXT_IS(trace, "raised");
	SwitchToFiber(g);
	TEXT_IS(trace, "raisedraised");
	RemoveVectoredExceptionHandler(h);
	DeleteFiber(f);
	DeleteFiber(g);
}

/* ---- in threads ---- */

static void *shared;
static DWORD ran_in[2];
static int turn;
static void *homes[2];
static void CALLBACK wanderer(void *arg)
{
	ran_in[0] = GetCurrentThreadId();
	SwitchToFiber(homes[0]);
	ran_in[1] = GetCurrentThreadId();
	SwitchToFiber(homes[1]);
}

static DWORD WINAPI visitor(void *arg)
{
	int i = (int)(INT_PTR)arg;
	CHECK(!IsThreadAFiber());
	homes[i] = ConvertThreadToFiberEx(NULL, FIBER_FLAG_FLOAT_SWITCH);
	SwitchToFiber(shared);
	CHECK(ConvertFiberToThread());
	CHECK(!IsThreadAFiber());
	return 10 + i;
}

static void CALLBACK leaves(void *arg) { ExitThread(5); }
static DWORD WINAPI left(void *arg)
{
	ConvertThreadToFiber(NULL);
	SwitchToFiber(CreateFiber(0, leaves, NULL));
	return 6;
}

static void CALLBACK returns(void *arg) {}
static DWORD WINAPI returned(void *arg)
{
	ConvertThreadToFiber(NULL);
	SwitchToFiber(CreateFiber(0, returns, NULL));
	return 6;
}
static DWORD WINAPI deleted(void *arg)
{
	DeleteFiber(ConvertThreadToFiber(NULL));
	return 6;
}

static DWORD code_of(LPTHREAD_START_ROUTINE fn, void *arg)
{
	DWORD code = 0;
	HANDLE t = CreateThread(NULL, 0, fn, arg, 0, NULL);
	SAME(WaitForSingleObject(t, 5000), WAIT_OBJECT_0);
	GetExitCodeThread(t, &code);
	CloseHandle(t);
	return code;
}

static void threads(void)
{
	shared = CreateFiber(0, wanderer, NULL);
	SAME(code_of(visitor, (void *)0), 10);
	SAME(code_of(visitor, (void *)1), 11);
	CHECK(ran_in[0] && ran_in[1] && ran_in[0] != GetCurrentThreadId());
	DeleteFiber(shared);
	SAME(code_of(left, NULL), 5);
	CHECK(code_of(returned, NULL) != 6);
	SAME(code_of(deleted, NULL), 1);
}

/* ---- one frees an index while others end that have values there ---- */

static LONG ended;
static HANDLE go_on;
static void NTAPI ended_one(void *v) { InterlockedIncrement(&ended); }

static DWORD WINAPI ends_soon(void *arg)
{
	FlsSetValue(slot, arg);
	ReleaseSemaphore(*(HANDLE *)arg, 1, NULL);
	WaitForSingleObject(go_on, INFINITE);
	return 0;
}

static DWORD WINAPI deletes_soon(void *arg)
{
	ReleaseSemaphore(*(HANDLE *)arg, 1, NULL);
	WaitForSingleObject(go_on, INFINITE);
	DeleteFiber(a);
	return 0;
}

static void CALLBACK has_value(void *arg)
{
	FlsSetValue(slot, arg);
	SwitchToFiber(home);
}

static void races(void)
{
	HANDLE ready = CreateSemaphoreA(NULL, 0, 9, NULL), t[4];
	int wrong = 0, stale = 0;
	go_on = CreateEventA(NULL, TRUE, FALSE, NULL);
	for (int i = 0; i < 400; i++) {
		ended = 0;
		slot = FlsAlloc(ended_one);
		stale += FlsGetValue(slot) != NULL;
		a = CreateFiberEx(0, 0x10000, 0, has_value, &ready);
		SwitchToFiber(a);
		ResetEvent(go_on);
		for (int k = 0; k < COUNT(t); k++)
			t[k] = CreateThread(NULL, 0, k ? ends_soon : deletes_soon, &ready, 0, NULL);
		for (int k = 0; k < COUNT(t); k++)
			WaitForSingleObject(ready, INFINITE);
		SetEvent(go_on);
		FlsFree(slot);
		WaitForMultipleObjects(COUNT(t), t, TRUE, INFINITE);
		wrong += ended != COUNT(t); /* three threads and a fiber, once each */
		for (int k = 0; k < COUNT(t); k++)
			CloseHandle(t[k]);
	}
	SAME(wrong, 0);
	SAME(stale, 0);
	CHECK(CloseHandle(ready) && CloseHandle(go_on));
}

/* ---- a fiber becomes a thread that goes on on the fiber's stack ---- */

static void CALLBACK becomes_thread(void *arg)
{
	char here;
	CHECK(ConvertFiberToThread());
	CHECK(!IsThreadAFiber());
	CHECK(&here > stack_lo() && &here < stack_hi());
	if (arg) {
		void *again = ConvertThreadToFiber(arg);
		CHECK(again && GetFiberData() == arg);
		CHECK(&here > stack_lo() && &here < stack_hi());
	}
	ExitThread(11);
}

static DWORD WINAPI becomes(void *arg)
{
	ConvertThreadToFiber(NULL);
	SwitchToFiber(CreateFiber(0, becomes_thread, arg));
	return 6;
}

/* Bytes that are reserved or committed. */
static SIZE_T taken(void)
{
	MEMORY_BASIC_INFORMATION m;
	SIZE_T all = 0;
	for (char *at = NULL; VirtualQuery(at, &m, sizeof m) == sizeof m;
	     at = (char *)m.BaseAddress + m.RegionSize)
		all += m.State == MEM_FREE ? 0 : m.RegionSize;
	return all;
}

static void conversions(void)
{
	int x;
	SIZE_T before = 0;
	for (int i = 0; i < 40; i++) {
		if (i == 4)
			before = taken();
		SAME(code_of(becomes, i % 2 ? &x : NULL), 11);
	}
	CHECK(taken() < before + (16 << 20)); /* not 36 stacks of a thread or of a fiber */
}

static int count;
static void CALLBACK counts(void *arg)
{
	for (;;) {
		count++;
		SwitchToFiber(home);
	}
}

static void many(void)
{
	void *f[200];
	for (int i = 0; i < 200; i++)
		f[i] = CreateFiberEx(0, 0x10000, 0, counts, NULL);
	for (int r = 0; r < 100; r++)
		for (int i = 0; i < 200; i++)
			SwitchToFiber(f[i]);
	SAME(count, 20000);
	for (int i = 0; i < 200; i++)
		DeleteFiber(f[i]);
	for (int i = 0; i < 2000; i++) { /* what is deleted is given back */
		void *one = CreateFiber(0, counts, NULL);
		if (!one) {
			CHECK(one);
			break;
		}
		SwitchToFiber(one);
		DeleteFiber(one);
	}
	SAME(count, 22000);
}

int main(void)
{
	turns();
	owned();
	values_of_threads();
	exceptions();
	threads();
	conversions();
	races();
	many();
	CHECK(ConvertFiberToThread());
	CHECK(!IsThreadAFiber());
	return end();
}
