/* SPDX-License-Identifier: Apache-2.0 */
/* The C runtime: functions that are told how much room there is, parts of names, wide numbers; and
 * a stack that overflows and goes on. */
#define MINGW_HAS_SECURE_API 1
#include "test.h"
#include <errno.h>
#include <io.h>
#include <malloc.h>
#include <process.h>
#include <setjmp.h>
#include <stdlib.h>
#include <wchar.h>

#ifndef _TRUNCATE
#define _TRUNCATE ((size_t)-1)
#endif
#ifndef STRUNCATE
#define STRUNCATE 80
#endif

static char out[100];
static wchar_t wout[100];

static void formatted(void)
{
	SAME(sprintf_s(out, 10, "%s-%d", "abc", 42), 6);
	TEXT_IS(out, "abc-42");
	SAME(_snprintf_s(out, 10, _TRUNCATE, "%s", "0123456789abc"), -1);
	TEXT_IS(out, "012345678");
	SAME(_snprintf_s(out, 10, 3, "%s", "0123456789abc"), -1);
	TEXT_IS(out, "012");
	SAME(_snprintf_s(out, 10, 5, "%s", "01234"), 5);
	TEXT_IS(out, "01234");
	SAME(_snprintf_s(out, 10, _TRUNCATE, "%d", 123456789), 9);
	TEXT_IS(out, "123456789");
	SAME(swprintf_s(wout, 10, L"%s:%d", L"w", 7), 3);
	TEXT_IS(narrow(wout), "w:7");
	SAME(_snwprintf_s(wout, 4, _TRUNCATE, L"%d", 98765), -1);
	TEXT_IS(narrow(wout), "987");
	SAME(_snwprintf_s(wout, 10, 2, L"%d", 98765), -1);
	TEXT_IS(narrow(wout), "98");
}

static void texts(void)
{
	SAME(wcscpy_s(wout, 6, L"one"), 0);
	SAME(wcscat_s(wout, 6, L"12"), 0);
	TEXT_IS(narrow(wout), "one12");
	SAME(wcsncpy_s(wout, 6, L"abcdef", 3), 0);
	TEXT_IS(narrow(wout), "abc");
	SAME(wcsncpy_s(wout, 4, L"abcdef", _TRUNCATE), STRUNCATE);
	TEXT_IS(narrow(wout), "abc");
	SAME(wcsncat_s(wout, 6, L"defg", 2), 0);
	TEXT_IS(narrow(wout), "abcde");
	strcpy(out, "ab");
	SAME(strncat_s(out, 6, "cdefg", 2), 0);
	TEXT_IS(out, "abcd");
	SAME(strncat_s(out, 6, "efg", _TRUNCATE), STRUNCATE);
	TEXT_IS(out, "abcde");
	SAME(strcpy_s(out, 6, "one"), 0);
	SAME(strcat_s(out, 6, "12"), 0);
	TEXT_IS(out, "one12");
	SAME(strncpy_s(out, 4, "abcdef", _TRUNCATE), STRUNCATE);
	TEXT_IS(out, "abc");
	size_t n = 99;
	SAME(mbstowcs_s(&n, wout, 10, "abc", 9), 0);
	SAME(n, 4);
	TEXT_IS(narrow(wout), "abc");
	SAME(mbstowcs_s(&n, NULL, 0, "abcd", 0), 0);
	SAME(n, 5);
	SAME(mbstowcs_s(&n, wout, 3, "abcd", _TRUNCATE), STRUNCATE);
	TEXT_IS(narrow(wout), "ab");
	SAME(wcstombs_s(&n, out, 10, L"abc", 9), 0);
	SAME(n, 4);
	TEXT_IS(out, "abc");
	SAME(wcstombs_s(&n, out, 10, L"abcdef", 2), 0);
	TEXT_IS(out, "ab");
	wcscpy(wout, L"level");
	_wcsset(wout, L'x');
	TEXT_IS(narrow(wout), "xxxxx");
	wcscpy(wout, L"abc");
	TEXT_IS(narrow(_wcsrev(wout)), "cba");
	strcpy(out, "abcdef");
	TEXT_IS(_strnset(out, '*', 3), "***def");
	TEXT_IS(_strset(out, '.'), "......");
	SAME(_rotl(0x80000001, 4), 0x18);
	SAME((unsigned)_rotr(1, 1), 0x80000000);
}

static void numbers(void)
{
	wchar_t *end;
	TEXT_IS(narrow(_itow(-255, wout, 10)), "-255");
	TEXT_IS(narrow(_itow(255, wout, 16)), "ff");
	TEXT_IS(narrow(_i64tow(-1234567890123LL, wout, 10)), "-1234567890123");
	TEXT_IS(narrow(_ui64tow(~0ULL, wout, 16)), "ffffffffffffffff");
	TEXT_IS(narrow(_ultow(4000000000UL, wout, 10)), "4000000000");
	SAME(_wcstoi64(L" -12345678901x", &end, 10), -12345678901LL);
	SAME(*end, 'x');
	SAME(_wcstoui64(L"ffffffffffffffff", &end, 16), ~0ULL);
	SAME(*end, 0);
	static const wchar_t digits[] = L"12";
	end = NULL; /* no base: nothing of it is a number */
	SAME(_wcstoi64(digits, &end, 1), 0);
	CHECK(end == digits);
	end = NULL;
	SAME(_wcstoui64(digits, &end, 1), 0);
	CHECK(end == digits);
	SAME(_wtol(L"77 "), 77);
	CHECK(_wtof(L"2.5e1") == 25);
}

static void names(void)
{
	char d[_MAX_DRIVE], f[_MAX_DIR], n[_MAX_FNAME], e[_MAX_EXT];
	wchar_t wd[_MAX_DRIVE], wf[_MAX_DIR], wn[_MAX_FNAME], we[_MAX_EXT];
	static const struct {
		const char *path, *parts;
	} rows[] = {{"C:\\a\\b.txt", "C:|\\a\\|b|.txt"}, {"a.b.c", "||a.b|.c"},
		    {"/x/y/", "|/x/y/||"},		  {"d.e/f", "|d.e/|f|"},
		    {"C:x", "C:||x|"},			  {"", "|||"}};
	for (int i = 0; i < COUNT(rows); i++) {
		_splitpath(rows[i].path, d, f, n, e);
		sprintf(out, "%s|%s|%s|%s", d, f, n, e);
		TEXT(rows[i].path, out, rows[i].parts);
	}
	_wsplitpath(L"C:\\a\\b.txt", wd, wf, wn, we);
	TEXT_IS(narrow(wn), "b");
	TEXT_IS(narrow(we), ".txt");
	_makepath(out, "D", "one/two", "three", "four");
	TEXT_IS(out, "D:one/two\\three.four");
	_makepath(out, NULL, "\\", "name", ".e");
	TEXT_IS(out, "\\name.e");
	_wmakepath(wout, L"C:", L"x\\", L"y", NULL);
	TEXT_IS(narrow(wout), "C:x\\y");
	char made[] = "tmpXXXXXX", bad[] = "tmp";
	CHECK(_mktemp(made) == made);
	CHECK(strlen(made) == 9 && !strchr(made, 'X'));
	CHECK(_access(made, 0) == -1);
	char *t = _tempnam("C:\\", "pre");
	CHECK(t && strstr(t, "pre"));
	free(t);
	CHECK(tmpnam(NULL) != NULL);
}

static void environment(void)
{
	size_t n = 99;
	_putenv("CHECKED=value");
	SAME(getenv_s(&n, out, 100, "CHECKED"), 0);
	SAME(n, 6);
	TEXT_IS(out, "value");
	SAME(getenv_s(&n, NULL, 0, "CHECKED"), 0);
	SAME(n, 6);
	SAME(getenv_s(&n, out, 100, "NOT_CHECKED"), 0);
	SAME(n, 0);
}

/* ---- a stack that overflows, again and again ---- */

static jmp_buf back;
static int overflows;

static int deeper(int n)
{
	volatile char room[4000];
	room[0] = room[3999] = (char)n;
	return n > 1000000 ? room[0] : deeper(n + 1) + room[3999];
}

static void resume(void) { longjmp(back, 1); }

static LONG CALLBACK on_overflow(EXCEPTION_POINTERS *p)
{
	if (p->ExceptionRecord->ExceptionCode != EXCEPTION_STACK_OVERFLOW)
		return EXCEPTION_CONTINUE_SEARCH;
	overflows++;
	NT_TIB *tib = (NT_TIB *)NtCurrentTeb();
	p->ContextRecord->Rsp = ((ULONG_PTR)tib->StackBase - 0x4000) & ~15ULL;
	p->ContextRecord->Rsp -= 8;
	p->ContextRecord->Rip = (ULONG_PTR)resume;
	return EXCEPTION_CONTINUE_EXECUTION;
}

static DWORD WINAPI recovers(void *unused)
{
	volatile int i;
	char *kept = _alloca(0x8000); /* resume is above of this */
	kept[0] = 1;
	for (i = 0; i < 3; i++) {
		back[0].Part[0] = back[0].Part[1] = 0;
		if (!setjmp(back)) {
			((unsigned long long *)back)[0] = 0; /* no unwinding */
			deeper(0);
		}
		CHECK(_resetstkoflw());
	}
	return kept[0];
}

static void overflow(void)
{
	DWORD code = 0;
	void *h = AddVectoredExceptionHandler(1, on_overflow);
	HANDLE t = CreateThread(NULL, 0, recovers, NULL, 0, NULL);
	SAME(WaitForSingleObject(t, 20000), WAIT_OBJECT_0);
	GetExitCodeThread(t, &code);
	SAME(code, 1);
	SAME(overflows, 3);
	CloseHandle(t);
	RemoveVectoredExceptionHandler(h);
}

int main(void)
{
	formatted();
	texts();
	numbers();
	names();
	environment();
	overflow();
	return end();
}
