/* SPDX-License-Identifier: Apache-2.0 */
/* a.dll (-DLIB_A) needs b.dll (-DLIB_B) and will not begin; b.dll loads c.dll (-DLIB_C) when it
 * begins. The program says whether each of them was told, and what came of it. */
#include <stdio.h>
#include <windows.h>

#ifdef LIB_A
__declspec(dllimport) int from_b(void);
__declspec(dllexport) int from_a(void) { return from_b(); }
BOOL WINAPI DllMain(HINSTANCE h, DWORD reason, void *with_all)
{
	SetEnvironmentVariableA(reason == DLL_PROCESS_ATTACH ? "A" : "A_END", "told");
	return FALSE;
}
#elif defined LIB_B
__declspec(dllexport) int from_b(void) { return 1; }
BOOL WINAPI DllMain(HINSTANCE h, DWORD reason, void *with_all)
{
	if (reason == DLL_PROCESS_ATTACH)
		SetEnvironmentVariableA("B", LoadLibraryA("c.dll") ? "has c" : "no c");
	return TRUE;
}
#elif defined LIB_C
BOOL WINAPI DllMain(HINSTANCE h, DWORD reason, void *with_all)
{
	BOOL late = GetEnvironmentVariableA("A", NULL, 0) != 0;
	if (reason == DLL_PROCESS_ATTACH)
		SetEnvironmentVariableA("C", late ? "late" : "told");
	return TRUE;
}
#else
int main(void)
{
	static const char *const all[] = {"A", "A_END", "B", "C"};
	HMODULE h = LoadLibraryA("a.dll");
	printf("%d %lu", h != NULL, h ? 0 : GetLastError());
	for (int i = 0; i < 4; i++) {
		char text[20] = "no";
		GetEnvironmentVariableA(all[i], text, sizeof text);
		printf(", %s %s", all[i], text);
	}
	printf(", %s %s %s\n", GetModuleHandleA("a.dll") ? "a" : "-",
	       GetModuleHandleA("b.dll") ? "b" : "-", GetModuleHandleA("c.dll") ? "c" : "-");
	return 0;
}
#endif
