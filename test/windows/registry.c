/* SPDX-License-Identifier: Apache-2.0 */
/* The registry. */
#include "test.h"

#define OK(x) SAME(x, ERROR_SUCCESS)

static void values(HKEY k)
{
	DWORD type = 0, n, v = 0;
	char text[64];
	WCHAR wide[64];
	OK(RegSetValueExA(k, "text", 0, REG_SZ, (const BYTE *)"gr\xc3\xbc\xc3\x9f", 7));
	n = sizeof text;
	OK(RegQueryValueExA(k, "TEXT", NULL, &type, (BYTE *)text, &n));
	SAME(type, REG_SZ);
	TEXT_IS(text, "gr\xc3\xbc\xc3\x9f");
	n = sizeof wide;
	OK(RegQueryValueExW(k, L"text", NULL, &type, (BYTE *)wide, &n));
	SAME(n, 10);
	CHECK(!wcscmp(wide, L"gr\u00fc\u00df"));
	n = 2;
	SAME(RegQueryValueExW(k, L"text", NULL, &type, (BYTE *)wide, &n), ERROR_MORE_DATA);
	SAME(n, 10);
	n = 0;
	OK(RegQueryValueExW(k, L"text", NULL, NULL, NULL, &n));
	SAME(n, 10);
	v = 42;
	OK(RegSetValueExA(k, "a/b=c%.", 0, REG_DWORD, (const BYTE *)&v, sizeof v));
	v = 0;
	n = sizeof v;
	OK(RegQueryValueExA(k, "a/b=c%.", NULL, &type, (BYTE *)&v, &n));
	SAME(v, 42);
	SAME(type, REG_DWORD);
	n = sizeof v;
	OK(RegGetValueA(k, NULL, "a/b=c%.", RRF_RT_REG_DWORD, NULL, &v, &n));
	SAME(RegGetValueA(k, NULL, "a/b=c%.", RRF_RT_REG_SZ, NULL, &v, &n),
	     ERROR_UNSUPPORTED_TYPE);
	OK(RegSetValueExA(k, NULL, 0, REG_BINARY, (const BYTE *)"\1\2\3", 3));
	n = sizeof text;
	OK(RegQueryValueExA(k, "", NULL, &type, (BYTE *)text, &n));
	SAME(n, 3);
	SAME(RegQueryValueExA(k, "nosuch", NULL, NULL, NULL, NULL), ERROR_FILE_NOT_FOUND);
}

static void lists(HKEY k)
{
	DWORD keys, values, key_most, value_most, data_most, n;
	char name[32];
	HKEY sub;
	for (int i = 0; i < 3; i++) {
		char text[8] = {'K', (char)('a' + i), 0};
		OK(RegCreateKeyExA(k, text, 0, NULL, 0, KEY_ALL_ACCESS, NULL, &sub, NULL));
		OK(RegCloseKey(sub));
	}
	OK(RegQueryInfoKeyW(k, NULL, NULL, NULL, &keys, &key_most, NULL, &values, &value_most,
			    &data_most, NULL, NULL));
	SAME(keys, 3);
	SAME(key_most, 2);
	SAME(values, 3);
	SAME(value_most, 7);
	SAME(data_most, 10);
	n = sizeof name;
	OK(RegEnumKeyExA(k, 1, name, &n, NULL, NULL, NULL, NULL));
	TEXT_IS(name, "Kb");
	SAME(n, 2);
	n = sizeof name;
	SAME(RegEnumKeyExA(k, 3, name, &n, NULL, NULL, NULL, NULL), ERROR_NO_MORE_ITEMS);
	n = 2;
	SAME(RegEnumKeyExA(k, 1, name, &n, NULL, NULL, NULL, NULL), ERROR_MORE_DATA);
	DWORD type, len;
	int found = 0;
	for (DWORD i = 0;; i++) {
		n = sizeof name;
		len = 0;
		LONG r = RegEnumValueA(k, i, name, &n, NULL, &type, NULL, &len);
		if (r == ERROR_NO_MORE_ITEMS)
			break;
		SAME(r, ERROR_SUCCESS);
		found += !strcmp(name, "a/b=c%.") && type == REG_DWORD && len == 4;
	}
	SAME(found, 1);
}

static void keys(void)
{
	HKEY k, twin;
	DWORD how;
	SAME(RegOpenKeyExA(HKEY_CURRENT_USER, "Software\\Lodge", 0, KEY_READ, &k),
	     ERROR_FILE_NOT_FOUND);
	OK(RegCreateKeyExA(HKEY_CURRENT_USER, "Software\\Lodge\\Deep", 0, NULL, 0, KEY_ALL_ACCESS,
			   NULL, &k, &how));
	SAME(how, REG_CREATED_NEW_KEY);
	OK(RegCreateKeyExW(HKEY_CURRENT_USER, L"SOFTWARE\\lodge\\DEEP", 0, NULL, 0, KEY_ALL_ACCESS,
			   NULL, &twin, &how));
	SAME(how, REG_OPENED_EXISTING_KEY);
	values(k);
	lists(twin);
	OK(RegDeleteValueA(twin, "text"));
	SAME(RegDeleteValueA(twin, "text"), ERROR_FILE_NOT_FOUND);
	SAME(RegDeleteKeyA(HKEY_CURRENT_USER, "Software\\Lodge"), ERROR_ACCESS_DENIED);
	OK(RegDeleteKeyA(k, "Ka"));
	OK(RegDeleteTreeA(HKEY_CURRENT_USER, "Software\\Lodge"));
	SAME(RegOpenKeyExA(HKEY_CURRENT_USER, "Software\\Lodge", 0, KEY_READ, &twin),
	     ERROR_FILE_NOT_FOUND);
	SAME(RegSetValueExA(k, "x", 0, REG_SZ, (const BYTE *)"", 1), ERROR_KEY_DELETED);
	OK(RegCloseKey(k));
	SAME(RegCloseKey(k), ERROR_INVALID_HANDLE);
	OK(RegCloseKey(HKEY_LOCAL_MACHINE));
}

static void usual(void)
{
	DWORD v = 0, n = sizeof v;
	char text[64] = "";
	OK(RegGetValueA(HKEY_LOCAL_MACHINE, "SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion",
			"CurrentMajorVersionNumber", RRF_RT_ANY, NULL, &v, &n));
	SAME(v, 10);
	n = sizeof text;
	OK(RegGetValueA(HKEY_LOCAL_MACHINE, "SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion",
			"SystemRoot", RRF_RT_REG_SZ, NULL, text, &n));
	TEXT_IS(text, "C:\\Windows");
	HKEY k;
	OK(RegOpenKeyExA(HKEY_CLASSES_ROOT, "", 0, KEY_READ, &k));
	OK(RegCloseKey(k));
	OK(RegOpenKeyExA(HKEY_LOCAL_MACHINE,
			 "HARDWARE\\DESCRIPTION\\System\\CentralProcessor\\0", 0, KEY_READ, &k));
	OK(RegCloseKey(k));
}

int main(void)
{
	keys();
	usual();
	return end();
}
