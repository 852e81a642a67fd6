/* SPDX-License-Identifier: Apache-2.0 */
/* Names: full paths, patterns, quoting of command lines, environment. */
#include "test.h"
#include <shellapi.h>

static void full(void)
{
	static const struct {
		const char *in, *want, *part; /* part: NULL, or where the last name is */
	} rows[] = {
	    {"C:\\a\\..\\b", "C:\\b", "b"},
	    {"C:\\a\\.\\b\\", "C:\\a\\b\\", NULL},
	    {"C:/x/y", "C:\\x\\y", "y"},
	    {"C:\\..\\..\\a", "C:\\a", "a"},
	    {"C:\\a\\\\b", "C:\\a\\b", "b"},
	    {"C:\\a\\\\\\b", "C:\\a\\b", "b"},
	    {"C:\\", "C:\\", NULL},
	    {"C:\\.", "C:\\", NULL},
	    {"C:\\..", "C:\\", NULL},
	    {"C:\\a\\..", "C:\\", NULL},
	    {"C:\\a\\b\\..\\..\\c", "C:\\c", "c"},
	    {"C:\\a.", "C:\\a", "a"},
	    {"C:\\a. .", "C:\\a", "a"},
	    {"C:\\a ", "C:\\a", "a"},
	    {"C:\\a.\\b", "C:\\a\\b", "b"},
	    {"C:\\a \\b", "C:\\a \\b", "b"},
	    {"C:\\...", "C:\\", NULL},
	    {"C:\\a...b", "C:\\a...b", "a...b"},
	    {"C:\\.hidden", "C:\\.hidden", ".hidden"},
	    {"x", "C:\\Temp\\x", "x"},
	    {"x\\y", "C:\\Temp\\x\\y", "y"},
	    {".", "C:\\Temp", "Temp"},
	    {"..", "C:\\", NULL},
	    {"..\\x", "C:\\x", "x"},
	    {"..\\..\\..\\x", "C:\\x", "x"},
	    {".\\x", "C:\\Temp\\x", "x"},
	    {"\\x", "C:\\x", "x"},
	    {"/x", "C:\\x", "x"},
	    {"C:x", "C:\\Temp\\x", "x"},
	    {"C:", "C:\\Temp", "Temp"},
	    {"C:..\\x", "C:\\x", "x"},
	    {"x\\", "C:\\Temp\\x\\", NULL},
	    {"nul", "\\\\.\\nul", NULL},
	    {"NUL", "\\\\.\\NUL", NULL},
	    {"con", "\\\\.\\con", NULL},
	    {"nul:", "\\\\.\\nul", NULL},
	    {"com1", "\\\\.\\com1", NULL},
	    {"com10", "C:\\Temp\\com10", "com10"},
	    {"nulx", "C:\\Temp\\nulx", "nulx"},
	    {"\\\\server\\share\\x", "\\\\server\\share\\x", "x"},
	    {"\\\\server\\share\\..\\x", "\\\\server\\share\\x", "x"},
	    {"\\\\.\\pipe\\x", "\\\\.\\pipe\\x", "x"},
	    {"\\\\?\\C:\\a", "\\\\?\\C:\\a", "a"},
	    {"\\\\?\\C:\\a\\..\\b", "\\\\?\\C:\\b", "b"},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		char buf[300] = "", *part = "unset";
		wchar_t in[100], w[300], *wpart;
		IS(rows[i].in, GetFullPathNameA(rows[i].in, sizeof buf, buf, &part),
		   strlen(rows[i].want));
		TEXT(rows[i].in, buf, rows[i].want);
		if (rows[i].part)
			TEXT(rows[i].in, part, rows[i].part);
		else if (rows[i].want[0] != '\\')
			IS(rows[i].in, part == NULL, TRUE);
		IS(rows[i].in, GetFullPathNameA(rows[i].in, 2, buf, NULL),
		   strlen(rows[i].want) + 1);
		MultiByteToWideChar(CP_UTF8, 0, rows[i].in, -1, in, 100);
		GetFullPathNameW(in, 300, w, &wpart);
		TEXT(rows[i].in, narrow(w), rows[i].want);
	}
	FAILS(GetFullPathNameA("", 0, NULL, NULL), ERROR_INVALID_NAME);
}

static void make(const char *name)
{
	CloseHandle(CreateFileA(name, GENERIC_WRITE, 0, NULL, CREATE_ALWAYS, 0, NULL));
}

static int order(const void *a, const void *b) { return strcmp(*(char **)a, *(char **)b); }

static void patterns(void)
{
	static const char *const names[] = {
	    "a", "ab.c", "abc.txt", "b.tar.gz", "long name.text", "UPPER.TXT", "x.txtx"};
	static const struct {
		const char *pattern, *want; /* sorted, with blanks between */
	} rows[] = {{"*.txt", "UPPER.TXT abc.txt"},
		    {"*.TXT", "UPPER.TXT abc.txt"},
		    {"a*", "a ab.c abc.txt"},
		    {"A*", "a ab.c abc.txt"},
		    {"a?", "a"},
		    {"a", "a"},
		    {"A", "a"},
		    {"abc.txt", "abc.txt"},
		    {"ABC.TXT", "abc.txt"},
		    {"*.gz", "b.tar.gz"},
		    {"b.*", "b.tar.gz"},
		    {"b.*.gz", "b.tar.gz"},
		    {"*name*", "long name.text"},
		    {"?pper.txt", "UPPER.TXT"},
		    {"*.t?xt", "long name.text"},
		    {"*.c", "ab.c"},
		    {"??.c", "ab.c"},
		    {"*.txtx", "x.txtx"},
		    {"*.x*x", ""},
		    {"none", ""},
		    {"*.none", ""},
		    {"z*", ""},
		    {"*e*x*", "UPPER.TXT long name.text"},
		    {"x.*", "x.txtx"},
		    {"*b*", "ab.c abc.txt b.tar.gz"}};
	CreateDirectoryA("C:\\Temp\\find", NULL);
	SetCurrentDirectoryA("C:\\Temp\\find");
	for (size_t i = 0; i < COUNT(names); i++)
		make(names[i]);
	for (size_t i = 0; i < COUNT(rows); i++) {
		WIN32_FIND_DATAA d;
		char all[300] = "", *found[10];
		int n = 0;
		HANDLE h = FindFirstFileA(rows[i].pattern, &d);
		IS(rows[i].pattern, h != INVALID_HANDLE_VALUE, *rows[i].want != 0);
		if (h == INVALID_HANDLE_VALUE) {
			IS(rows[i].pattern, GetLastError(), ERROR_FILE_NOT_FOUND);
			continue;
		}
		do
			found[n++] = strdup(d.cFileName);
		while (n < 10 && FindNextFileA(h, &d));
		IS(rows[i].pattern, GetLastError(), ERROR_NO_MORE_FILES);
		IS(rows[i].pattern, FindClose(h), TRUE);
		qsort(found, n, sizeof *found, order);
		for (int k = 0; k < n; k++)
			strcat(strcat(all, k ? " " : ""), found[k]);
		TEXT(rows[i].pattern, all, rows[i].want);
	}
	WIN32_FIND_DATAW w;
	SAME(FindFirstFileW(L"", &w), INVALID_HANDLE_VALUE);
	SAME(GetLastError(), ERROR_PATH_NOT_FOUND);
	SAME(FindFirstFileW(L"a\\*", &w), INVALID_HANDLE_VALUE);
	SAME(GetLastError(), ERROR_DIRECTORY);
	SAME(FindFirstFileW(L"none\\x", &w), INVALID_HANDLE_VALUE);
	SAME(GetLastError(), ERROR_PATH_NOT_FOUND);
	FAILS(FindClose(INVALID_HANDLE_VALUE), ERROR_INVALID_HANDLE);
	for (size_t i = 0; i < COUNT(names); i++)
		IS(names[i], DeleteFileA(names[i]), TRUE);
	SetCurrentDirectoryA("C:\\Temp");
	CHECK(RemoveDirectoryA("find"));
}

/* What is between bars is one argument. */
static void quoting(void)
{
	static const struct {
		const char *line, *want;
	} rows[] = {
	    {"a b c", "a|b|c"},
	    {"a  b\tc", "a|b|c"},
	    {"a \"b c\" d", "a|b c|d"},
	    {"a \"\" d", "a||d"},
	    {"a b\"c d\"e", "a|bc de"},
	    {"a \\\"b", "a|\"b"},
	    {"a \\\\\"b c\"", "a|\\b c"},
	    {"a \\\\\\\"b", "a|\\\"b"},
	    {"a b\\c\\\\d", "a|b\\c\\\\d"},
	    {"a \"b\\\\\"", "a|b\\"},
	    {"a \"b\\\\\" c", "a|b\\|c"},
	    {"a \"b\"\"c\"", "a|b\"c"},
	    {"a \"b", "a|b"},
	    {"a \"b c", "a|b c"},
	    {"a 'b c'", "a|'b|c'"},
	    {"\"C:\\x y\\z.exe\" b", "C:\\x y\\z.exe|b"},
	    {"\"a\\\" b", "a\\|b"},
	    {"a\"b c\"d e", "a\"b|cd e"},
	    {"a b ", "a|b"},
	    {"a \\", "a|\\"},
	    {"a \\\\", "a|\\\\"},
	    {"a \"\"\"b\"\"\"", "a|\"b\""},
	    {"a \"\"b", "a|b"},
	    {"a ^b", "a|^b"},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		wchar_t line[100];
		char all[200] = "";
		int n = -1, want = 1;
		for (const char *p = rows[i].want; *p; p++)
			want += *p == '|';
		MultiByteToWideChar(CP_UTF8, 0, rows[i].line, -1, line, 100);
		wchar_t **args = CommandLineToArgvW(line, &n);
		IS(rows[i].line, n, want);
		for (int k = 0; args && k < n; k++)
			strcat(strcat(all, k ? "|" : ""), narrow(args[k]));
		TEXT(rows[i].line, all, rows[i].want);
		IS(rows[i].line, LocalFree(args), 0);
	}
}

static void environment(void)
{
	static const struct {
		const char *in, *want;
	} rows[] = {{"%LT_A%", "one"},
		    {"x%LT_A%y", "xoney"},
		    {"%lt_a%", "one"},
		    {"%LT_NONE%", "%LT_NONE%"},
		    {"%", "%"},
		    {"%%", "%%"},
		    {"%LT_A", "%LT_A"},
		    {"%LT_A%LT_A%", "oneLT_A%"},
		    {"", ""},
		    {"%LT_A%%LT_B%", "onetwo"},
		    {"%LT_NONE%%LT_B%", "%LT_NONE%two"}};
	char buf[100];
	CHECK(SetEnvironmentVariableA("LT_A", "one"));
	CHECK(SetEnvironmentVariableA("LT_B", "two"));
	for (size_t i = 0; i < COUNT(rows); i++) {
		ExpandEnvironmentStringsA(rows[i].in, buf, sizeof buf);
		TEXT(rows[i].in, buf, rows[i].want);
		wchar_t in[50], w[50];
		MultiByteToWideChar(CP_UTF8, 0, rows[i].in, -1, in, 50);
		IS(rows[i].in, ExpandEnvironmentStringsW(in, w, 50), strlen(rows[i].want) + 1);
		TEXT(rows[i].in, narrow(w), rows[i].want);
	}
	SAME(GetEnvironmentVariableA("LT_A", buf, 3), 4);
	SAME(GetEnvironmentVariableA("LT_A", buf, 4), 3);
	SAME(GetEnvironmentVariableW(L"LT_A", NULL, 0), 4);
	CHECK(SetEnvironmentVariableA("LT_A", ""));
	SetLastError(0xbad);
	SAME(GetEnvironmentVariableA("LT_A", buf, sizeof buf), 0);
	TEXT_IS(buf, "");
	CHECK(SetEnvironmentVariableA("LT_A", NULL));
	FAILS(GetEnvironmentVariableA("LT_A", buf, sizeof buf), ERROR_ENVVAR_NOT_FOUND);
	FAILS(SetEnvironmentVariableA("LT=A", "x"), ERROR_INVALID_PARAMETER);
	FAILS(SetEnvironmentVariableA("", "x"), ERROR_INVALID_PARAMETER);
	CHECK(SetEnvironmentVariableW(L"LT_\u00e9", L"\u20ac"));
	SAME(GetEnvironmentVariableA("LT_\xc3\xa9", buf, sizeof buf), 3);
	TEXT_IS(buf, "\xe2\x82\xac");
	int seen = 0;
	wchar_t *all = GetEnvironmentStringsW();
	for (wchar_t *p = all; *p; p += wcslen(p) + 1)
		seen += !wcscmp(p, L"LT_B=two");
	SAME(seen, 1);
	FreeEnvironmentStringsW(all);
}

static void folders(void)
{
	char buf[300];
	FAILS(SetCurrentDirectoryA("C:\\Temp\\none"), ERROR_FILE_NOT_FOUND);
	FAILS(SetCurrentDirectoryA("C:\\none\\none"), ERROR_PATH_NOT_FOUND);
	make("plain");
	FAILS(SetCurrentDirectoryA("plain"), ERROR_DIRECTORY);
	CHECK(SetCurrentDirectoryA("c:\\temp"));
	SAME(GetCurrentDirectoryA(sizeof buf, buf), 7);
	SAME(GetCurrentDirectoryA(3, buf), 8);
	FAILS(RemoveDirectoryA("plain"), ERROR_DIRECTORY);
	FAILS(RemoveDirectoryA("none"), ERROR_FILE_NOT_FOUND);
	FAILS(RemoveDirectoryA("none\\none"), ERROR_PATH_NOT_FOUND);
	FAILS(CreateDirectoryA("plain", NULL), ERROR_ALREADY_EXISTS);
	FAILS(CreateDirectoryA("a<b", NULL), ERROR_INVALID_NAME);
	FAILS(DeleteFileA("none\\none"), ERROR_PATH_NOT_FOUND);
	FAILS(DeleteFileA("C:\\Temp"), ERROR_ACCESS_DENIED);
	FAILS(MoveFileA("none", "other"), ERROR_FILE_NOT_FOUND);
	FAILS(CopyFileA("none", "other", FALSE), ERROR_FILE_NOT_FOUND);
	CHECK(MoveFileA("plain", "PLAIN"));
	WIN32_FIND_DATAA d;
	FindClose(FindFirstFileA("plain", &d));
	TEXT_IS(d.cFileName, "PLAIN");
	SAME(GetFileAttributesA("PLAIN\\x"), INVALID_FILE_ATTRIBUTES);
	SAME(GetLastError(), ERROR_PATH_NOT_FOUND);
	SAME(GetFileAttributesA("C:\\Temp\\"), FILE_ATTRIBUTE_DIRECTORY);
	SAME(GetFileAttributesA("plain."), FILE_ATTRIBUTE_ARCHIVE);
	SAME(GetFileAttributesA("\\\\?\\C:\\Temp\\plain"), FILE_ATTRIBUTE_ARCHIVE);
	SAME(GetFileAttributesA("\\\\?\\C:\\Temp\\plain."), INVALID_FILE_ATTRIBUTES);
	CHECK(DeleteFileA("plain"));
	SAME(GetDriveTypeW(L"C:\\"), DRIVE_FIXED);
	SAME(GetDriveTypeW(L"Q:\\"), DRIVE_NO_ROOT_DIR);
	CHECK(GetLogicalDrives() & 4);
}

int main(void)
{
	SetCurrentDirectoryA("C:\\Temp");
	full();
	patterns();
	quoting();
	environment();
	folders();
	return end();
}
