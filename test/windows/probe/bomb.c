/* SPDX-License-Identifier: Apache-2.0 */
/* bomb: processes that start as many of themselves as they can, and what the first sees of it. */
#include <stdio.h>
#include <string.h>
#include <windows.h>

static DWORD start(char *self)
{
	char line[300];
	STARTUPINFOA si = {sizeof si};
	PROCESS_INFORMATION pi;
	snprintf(line, sizeof line, "\"%s\" more", self);
	if (!CreateProcessA(NULL, line, NULL, NULL, TRUE, 0, NULL, NULL, &si, &pi))
		return GetLastError();
	CloseHandle(pi.hProcess);
	CloseHandle(pi.hThread);
	return 0;
}

int main(int argc, char **argv)
{
	char self[260];
	DWORD error = 0;
	GetModuleFileNameA(NULL, self, sizeof self);
	if (argc == 1)
		start(self);
	for (int i = 0; argc > 1 && i < 40; i++)
		start(self);
	if (argc > 1)
		Sleep(INFINITE);
	for (int i = 0; i < 3000 && !error; i++, Sleep(20))
		error = start(self);
	printf("error %lu\n", error);
	return 5;
}
