/* SPDX-License-Identifier: Apache-2.0 */
/* Paths as text: pathcch.h, whose functions mingw-w64 does not declare by a library. */
#include "test.h"

static HRESULT(WINAPI *canonicalize)(const wchar_t *, DWORD, wchar_t **);
static HRESULT(WINAPI *combine)(wchar_t *, size_t, const wchar_t *, const wchar_t *, DWORD);
static HRESULT(WINAPI *remove_spec)(wchar_t *, size_t);

static void canonical(void)
{
	static const struct {
		const char *in, *want;
	} rows[] = {
	    {"", "\\"},
	    {"C:", "C:"},
	    {"C:\\", "C:\\"},
	    {"C:\\a", "C:\\a"},
	    {"C:\\a\\", "C:\\a\\"},
	    {"C:\\a\\b\\..", "C:\\a"},
	    {"C:\\a\\b\\..\\", "C:\\a\\"},
	    {"C:\\a\\b\\..\\c", "C:\\a\\c"},
	    {"C:\\a\\..", "C:\\"},
	    {"C:\\a\\..\\b", "C:\\b"},
	    {"C:\\..\\..\\b", "C:\\b"},
	    {"C:\\a\\.", "C:\\a"},
	    {"C:\\a\\.\\", "C:\\a\\"},
	    {"C:\\a\\.\\b", "C:\\a\\b"},
	    {"C:\\.", "C:\\"},
	    {"C:\\.\\a", "C:\\a"},
	    {"C:\\a.", "C:\\a"},
	    {"C:\\a..", "C:\\a"},
	    {"C:\\a*.", "C:\\a*."},
	    {"C:\\a..\\b", "C:\\a..\\b"},
	    {"C:\\..a", "C:\\..a"},
	    {"C:\\a\\\\b", "C:\\a\\\\b"},
	    {"C:a", "C:a"},
	    {"C:a\\..", "\\"},
	    {"a", "a"},
	    {"a\\b\\..", "a"},
	    {"a\\..", "\\"},
	    {"a\\..\\b", "\\b"},
	    {"a\\.", "a"},
	    {".\\a", "a"},
	    {"..\\a", "a"},
	    {".", "\\"},
	    {"..", "\\"},
	    {"\\a\\..", "\\"},
	    {"\\a\\..\\b", "\\b"},
	    {"\\..\\a", "\\a"},
	    {"/a/../b", "/a/../b"},
	    {"\\\\s\\t\\a\\..\\b", "\\\\s\\t\\b"},
	    {"\\\\s\\t\\..\\b", "\\\\s\\b"},
	    {"\\\\?\\C:\\a\\..\\b", "C:\\b"},
	    {"\\\\?\\C:\\", "C:\\"},
	    {"\\\\?\\UNC\\s\\t\\a", "\\\\s\\t\\a"},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		wchar_t in[100], *out = NULL;
		MultiByteToWideChar(CP_UTF8, 0, rows[i].in, -1, in, 100);
		IS(rows[i].in, canonicalize(in, 0, &out), S_OK);
		TEXT(rows[i].in, out ? narrow(out) : NULL, rows[i].want);
		LocalFree(out);
	}
}

static void limits(void)
{
	wchar_t in[400] = L"C:\\", *out;
	for (int i = 3; i < 300; i++)
		in[i] = L'a';
	SAME(canonicalize(in, 0, &out), HRESULT_FROM_WIN32(ERROR_FILENAME_EXCED_RANGE));
	SAME(canonicalize(in, 1, &out), S_OK); /* PATHCCH_ALLOW_LONG_PATHS */
	CHECK(!wcsncmp(out, L"\\\\?\\C:\\aaa", 10));
	SAME(wcslen(out), 304);
	LocalFree(out);
	in[20] = 0;
	SAME(canonicalize(in, 1, &out), S_OK);
	SAME(wcslen(out), 20);
	LocalFree(out);
	SAME(canonicalize(in, 0x10, &out), S_OK); /* PATHCCH_ENSURE_IS_EXTENDED_LENGTH_PATH */
	CHECK(!wcsncmp(out, L"\\\\?\\C:\\aaa", 10));
	LocalFree(out);
	SAME(canonicalize(L"\\\\s\\t\\a", 0x10, &out), S_OK);
	TEXT_IS(narrow(out), "\\\\s\\t\\a");
	LocalFree(out);
	SAME(canonicalize(NULL, 0, &out), E_INVALIDARG);
	SAME(canonicalize(in, 6, &out), E_INVALIDARG);
	SAME(canonicalize(in, 2, &out), E_INVALIDARG);
}

static void combined(void)
{
	static const struct {
		const char *a, *b, *want;
	} rows[] = {
	    {"C:\\a", "b", "C:\\a\\b"},  {"C:\\a\\", "b", "C:\\a\\b"},
	    {"C:\\a", "\\b", "C:\\b"},   {"C:\\a", "D:\\b", "D:\\b"},
	    {"C:\\a", "..\\b", "C:\\b"}, {"C:\\a", "\\\\s\\t\\b", "\\\\s\\t\\b"},
	    {"C:\\a", "", "C:\\a"},      {"\\\\s\\t\\a", "\\b", "\\\\s\\t\\b"},
	    {"a", "b", "a\\b"},
	};
	wchar_t out[100], a[100], b[100];
	for (size_t i = 0; i < COUNT(rows); i++) {
		MultiByteToWideChar(CP_UTF8, 0, rows[i].a, -1, a, 100);
		MultiByteToWideChar(CP_UTF8, 0, rows[i].b, -1, b, 100);
		IS(rows[i].want, combine(out, 100, a, b, 0), S_OK);
		TEXT(rows[i].want, narrow(out), rows[i].want);
	}
	SAME(combine(out, 100, NULL, L"C:\\b", 0), S_OK);
	TEXT_IS(narrow(out), "C:\\b");
	SAME(combine(out, 100, NULL, NULL, 0), E_INVALIDARG);
	SAME(combine(NULL, 100, L"a", L"b", 0), E_INVALIDARG);
	out[0] = L'x';
	SAME(combine(out, 3, L"a", L"b", 0), HRESULT_FROM_WIN32(ERROR_INSUFFICIENT_BUFFER));
	SAME(out[0], 0);
	SAME(combine(out, 4, L"a", L"b", 0), S_OK);
}

static void removed(void)
{
	static const struct {
		const char *in, *want;
		HRESULT r;
	} rows[] = {
	    {"C:\\a\\b", "C:\\a", S_OK},
	    {"C:\\a\\", "C:\\a", S_OK},
	    {"C:\\a", "C:\\", S_OK},
	    {"C:\\", "C:\\", S_FALSE},
	    {"C:", "C:", S_FALSE},
	    {"a\\b", "a", S_OK},
	    {"a", "", S_OK},
	    {"", "", S_FALSE},
	    {"\\a", "\\", S_OK},
	    {"\\", "\\", S_FALSE},
	    {"\\\\s\\t\\a", "\\\\s\\t", S_OK},
	    {"C:\\a\\\\b", "C:\\a", S_OK},
	    {"\\\\s\\t", "\\\\s\\t", S_FALSE},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		wchar_t path[100];
		MultiByteToWideChar(CP_UTF8, 0, rows[i].in, -1, path, 100);
		IS(rows[i].in, remove_spec(path, 100), rows[i].r);
		TEXT(rows[i].in, narrow(path), rows[i].want);
	}
	wchar_t path[] = L"C:\\a\\b";
	SAME(remove_spec(path, 0), E_INVALIDARG);
	SAME(remove_spec(NULL, 10), E_INVALIDARG);
}

int main(void)
{
	HMODULE m = GetModuleHandleA("kernelbase.dll");
	if (!m)
		m = LoadLibraryA("kernelbase.dll");
	canonicalize = (void *)GetProcAddress(m, "PathAllocCanonicalize");
	combine = (void *)GetProcAddress(m, "PathCchCombineEx");
	remove_spec = (void *)GetProcAddress(m, "PathCchRemoveFileSpec");
	canonical();
	limits();
	combined();
	removed();
	return end();
}
