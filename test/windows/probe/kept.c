/* SPDX-License-Identifier: Apache-2.0 */
/* A program that is kept, by its first argument. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

static char self[MAX_PATH];

static void say(const char *text, int n)
{
	printf("%s %d\n", text, n);
	fflush(stdout);
}

static int start(const char *arguments, PROCESS_INFORMATION *ret)
{
	STARTUPINFOA s = {sizeof s};
	char line[MAX_PATH + 64];
	snprintf(line, sizeof line, "\"%s\" %s", self, arguments);
	return CreateProcessA(NULL, line, NULL, NULL, TRUE, 0, NULL, NULL, &s, ret);
}

static int count(void)
{
	for (int i = 0;; i++) {
		say("count", i);
		Sleep(20);
	}
}

static int echo(void)
{
	char line[200];
	if (fgets(line, sizeof line, stdin))
		printf("heard: %s", line);
	return 0;
}

static BOOL WINAPI on_event(DWORD event)
{
	say("event", (int)event);
	Sleep(100);
	say("ready after event", (int)event);
	return TRUE;
}

static DWORD WINAPI idle(void *unused)
{
	(void)unused;
	Sleep(INFINITE);
	return 0;
}

/* @late: threads that were there before the handler. */
static int events(int late)
{
	for (int i = 0; late && i < 4; i++)
		CreateThread(NULL, 0, idle, NULL, 0, NULL);
	Sleep(late ? 50 : 0);
	SetConsoleCtrlHandler(on_event, TRUE);
	say("waits", 0);
	return count();
}

/* Each of four threads starts processes for as long as it lives, one after the other; each of
 * those writes its number. */
static DWORD WINAPI forker(void *unused)
{
	(void)unused;
	for (;;) {
		PROCESS_INFORMATION p;
		if (!start("one", &p))
			continue;
		WaitForSingleObject(p.hProcess, INFINITE);
		CloseHandle(p.hProcess);
		CloseHandle(p.hThread);
	}
}

static int forks(void)
{
	for (int i = 0; i < 4; i++)
		CreateThread(NULL, 0, forker, NULL, 0, NULL);
	Sleep(INFINITE);
	return 0;
}

static DWORD WINAPI burner(void *at)
{
	for (;;)
		++*(volatile unsigned *)at;
}

static int burn(int threads)
{
	static volatile unsigned counts[16 * 64];
	for (int i = 0; i < threads; i++)
		CreateThread(NULL, 0, burner, (void *)&counts[16 * i], 0, NULL);
	say("burns", threads);
	Sleep(INFINITE);
	return 0;
}

static int eat(int mib)
{
	for (int i = 0; i < mib; i++) {
		char *p = VirtualAlloc(NULL, 1 << 20, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
		if (!p) {
			say("refused after", i);
			return 3;
		}
		memset(p, 1, 1 << 20);
		if (i % 16 == 15)
			say("ate", i + 1);
	}
	return 0;
}

/* The terminal is its own, and it does not give it back. */
static int raw(void)
{
	DWORD mode;
	HANDLE in = GetStdHandle(STD_INPUT_HANDLE);
	if (!SetConsoleMode(in, 0) || !GetConsoleMode(in, &mode))
		return 1;
	say("mode", (int)(mode & 7));
	Sleep(INFINITE);
	return 0;
}

static int many(int n)
{
	int i = 0;
	PROCESS_INFORMATION p;
	while (i < n && start("sleep", &p))
		i++;
	say("started", i);
	Sleep(INFINITE);
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "count";
	int n = argc > 2 ? atoi(argv[2]) : 0;
	GetModuleFileNameA(NULL, self, sizeof self);
	if (!strcmp(what, "exit"))
		return n;
	if (!strcmp(what, "one"))
		say("process", (int)GetCurrentProcessId());
	if (!strcmp(what, "one"))
		return 0;
	if (!strcmp(what, "sleep"))
		Sleep(INFINITE);
	if (!strcmp(what, "where")) {
		char folder[MAX_PATH];
		GetCurrentDirectoryA(sizeof folder, folder);
		printf("%s in %s\n", self, folder);
		return 0;
	}
	return !strcmp(what, "echo")	 ? echo()
	       : !strcmp(what, "events") ? events(n)
	       : !strcmp(what, "forks")	 ? forks()
	       : !strcmp(what, "burn")	 ? burn(n)
	       : !strcmp(what, "eat")	 ? eat(n)
	       : !strcmp(what, "many")	 ? many(n)
	       : !strcmp(what, "raw")	 ? raw()
					 : count();
}
