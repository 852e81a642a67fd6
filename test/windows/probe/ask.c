/* SPDX-License-Identifier: Apache-2.0 */
/* ask FOLDER: makes and deletes files there until its names are known, says "ready", and then for
 * each name on standard input whether a new file of that name can be made: "new" or "there". */
#include <stdio.h>
#include <string.h>
#include <windows.h>

static HANDLE make(const char *folder, const char *name)
{
	char path[300];
	snprintf(path, sizeof path, "%s\\%s", folder, name);
	return CreateFileA(path, GENERIC_WRITE, 7, NULL, CREATE_NEW, FILE_FLAG_DELETE_ON_CLOSE,
			   NULL);
}

int main(int argc, char **argv)
{
	char name[100];
	for (int i = 0; argc > 1 && i < 20; i++) {
		snprintf(name, sizeof name, "probe%d", i);
		CloseHandle(make(argv[1], name));
	}
	puts("ready");
	fflush(stdout);
	while (argc > 1 && fgets(name, sizeof name, stdin)) {
		name[strcspn(name, "\r\n")] = 0;
		HANDLE h = make(argv[1], name);
		puts(h == INVALID_HANDLE_VALUE ? "there" : "new");
		fflush(stdout);
		CloseHandle(h);
	}
	return 0;
}
