/* SPDX-License-Identifier: Apache-2.0 */
/* shell WHAT TEXT...: the ways of programs to cmd.exe, for windows-cmd.bats. */
#include <process.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

static int create(char *line)
{
	STARTUPINFOA si = {sizeof si};
	PROCESS_INFORMATION pi;
	DWORD code;
	if (!CreateProcessA(NULL, line, NULL, NULL, TRUE, 0, NULL, NULL, &si, &pi)) {
		printf("error %lu\n", GetLastError());
		return 99;
	}
	WaitForSingleObject(pi.hProcess, INFINITE);
	GetExitCodeProcess(pi.hProcess, &code);
	return (int)code;
}

static int piped(const char *command)
{
	char b[200];
	FILE *f = _popen(command, "r");
	while (f && fgets(b, sizeof b, f))
		printf("<%.*s>\n", (int)strcspn(b, "\r\n"), b);
	return _pclose(f);
}

static int written(const char *command)
{
	FILE *f = _popen(command, "w");
	fprintf(f, "b\na\n");
	return _pclose(f);
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 1;
	if (!strcmp(argv[1], "system"))
		return system(argv[2]);
	if (!strcmp(argv[1], "popen"))
		return piped(argv[2]);
	if (!strcmp(argv[1], "write"))
		return written(argv[2]);
	if (!strcmp(argv[1], "spawn"))
		return (int)_spawnlp(_P_WAIT, argv[2], argv[2], argv[3], argv[4], argv[5], NULL);
	return create(argv[2]);
}
