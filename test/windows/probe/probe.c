/* SPDX-License-Identifier: Apache-2.0 */
/* What a test wants of a program, by its first argument. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

static int reach(void)
{
	static const char *const paths[] = {"\\etc\\passwd",
					    "C:\\..\\..\\etc\\passwd",
					    "Z:\\etc\\passwd",
					    "\\\\?\\C:\\..\\..\\etc\\passwd",
					    "D:\\..\\secret",
					    "D:\\link",
					    "D:/../secret",
					    "\\\\.\\C:\\..\\secret",
					    "C:\\proc\\self\\environ",
					    "\\dev\\null",
					    "\\\\host\\share\\x"};
	for (unsigned i = 0; i < sizeof paths / sizeof *paths; i++) {
		HANDLE h = CreateFileA(paths[i], GENERIC_READ, 7, NULL, OPEN_EXISTING, 0, NULL);
		printf("%s: %s\n", paths[i], h == INVALID_HANDLE_VALUE ? "no" : "REACHED");
	}
	printf("variable: %s\n", getenv("LODGE_TEST_SECRET") ? "REACHED" : "no");
	printf("process: %s\n", OpenProcess(PROCESS_ALL_ACCESS, FALSE, 1) ? "REACHED" : "no");
	return 0;
}

static int deep(int n)
{
	volatile char space[4096];
	space[0] = (char)n;
	return n < 0 ? 0 : deep(n + 1) + space[0];
}

static LONG CALLBACK raise_again(EXCEPTION_POINTERS *p)
{
	(void)p;
	*(volatile int *)8 = 1;
	return EXCEPTION_CONTINUE_SEARCH;
}

static DWORD WINAPI sleeper(void *unused)
{
	(void)unused;
	Sleep(INFINITE);
	return 0;
}

static int exhaust(void)
{
	unsigned n;
	HANDLE h = NULL;
	for (n = 0; n < 100 && CreateThread(NULL, 0, sleeper, NULL, 0, NULL); n++)
		continue;
	printf("threads: %u\n", n);
	for (n = 0; n < 10000000 && (h = CreateEventA(NULL, 0, 0, NULL)); n++)
		continue;
	printf("handles: %s\n", h ? "unbounded" : "bounded");
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	if (!strcmp(what, "args")) {
		for (int i = 1; i < argc; i++)
			printf("[%s]\n", argv[i]);
		return 42;
	}
	if (!strcmp(what, "cat")) {
		char line[256];
		while (fgets(line, sizeof line, stdin))
			printf("<%s", line);
		fprintf(stderr, "to stderr\n");
		return 0;
	}
	if (!strcmp(what, "exit"))
		return atoi(argv[2]);
	if (!strcmp(what, "reach"))
		return reach();
	if (!strcmp(what, "env"))
		return printf("%s\n", getenv(argv[2]) ? getenv(argv[2]) : "(none)") < 0;
	if (!strcmp(what, "write")) {
		FILE *f = fopen(argv[2], "wb");
		return f && fputs("written", f) >= 0 && fclose(f) == 0 ? 0 : 9;
	}
	if (!strcmp(what, "cwd")) {
		char buf[300];
		GetCurrentDirectoryA(sizeof buf, buf);
		return puts(buf) < 0;
	}
	if (!strcmp(what, "syscall")) {
		long r = 39; /* getpid */
		__asm__ volatile("syscall" : "+a"(r) : : "rcx", "r11", "memory");
		return printf("went through: %ld\n", r) < 0;
	}
	if (!strcmp(what, "int80")) {
		long r = 20;
		__asm__ volatile("int $0x80" : "+a"(r) : : "memory");
		return printf("went through: %ld\n", r) < 0;
	}
	if (!strcmp(what, "null"))
		*(volatile int *)0 = 1;
	if (!strcmp(what, "jump"))
		((void (*)(void))16)();
	if (!strcmp(what, "stack"))
		return deep(1);
	if (!strcmp(what, "zero"))
		return argc / (argc - 2);
	if (!strcmp(what, "again")) {
		AddVectoredExceptionHandler(1, raise_again);
		*(volatile int *)0 = 1;
	}
	if (!strcmp(what, "teb")) {
		unsigned char *teb = (unsigned char *)NtCurrentTeb();
		memset(teb, 0xee, 0x1800);
		memset(*(void **)(teb + 0x60) == NULL ? teb : teb, 0xee, 16);
		CreateFileA("x", 0, 0, 0, 0, 0, 0);
		return 3;
	}
	if (!strcmp(what, "exhaust"))
		return exhaust();
	if (!strcmp(what, "missing"))
		ReplaceFileA("a", "b", NULL, 0, NULL, NULL);
	if (!strcmp(what, "sleep"))
		Sleep(INFINITE);
	if (!strcmp(what, "throw"))
		RaiseException(0xe0000001, 0, 0, NULL);
	return 0;
}
