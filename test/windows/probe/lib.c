/* SPDX-License-Identifier: Apache-2.0 */
/* A library with memory of threads and a DllMain, and what uses it. */
#include <windows.h>
#ifdef LIBRARY
static __thread int own = 5;
static int attached;
__declspec(dllexport) int library_value(void) { return own++ + 100 * attached; }
BOOL WINAPI DllMain(HINSTANCE h, DWORD reason, void *reserved)
{
	(void)h;
	(void)reserved;
	attached += reason == DLL_PROCESS_ATTACH;
	return TRUE;
}
#else
#include <stdio.h>
__declspec(dllimport) int library_value(void);
int main(void)
{
	HMODULE h = LoadLibraryA("lib.dll");
	FARPROC f = GetProcAddress(h, "library_value");
	printf("%d %d %d\n", library_value(), library_value(), f ? (int)f() : -1);
	return 0;
}
#endif
