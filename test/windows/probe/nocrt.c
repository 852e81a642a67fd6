/* SPDX-License-Identifier: Apache-2.0 */
/* No C runtime: three functions of kernel32. */
#include <windows.h>
void start(void)
{
	DWORD n;
	WriteFile(GetStdHandle(STD_OUTPUT_HANDLE), "bare\n", 5, &n, 0);
	ExitProcess(7);
}
