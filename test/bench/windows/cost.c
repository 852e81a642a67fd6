/* SPDX-License-Identifier: Apache-2.0 */
/* cost [FILE]: what some calls cost, and a job that only computes, as a program of Windows and as
 * one of the host: lines "NAME VALUE", the least of some rounds. FILE is made, then opened and
 * closed. Without arguments it ends at once: it is what it starts. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#ifdef _WIN32
#include <windows.h>
static double now_us(void)
{
	LARGE_INTEGER at, per;
	QueryPerformanceCounter(&at);
	QueryPerformanceFrequency(&per);
	return (double)at.QuadPart * 1e6 / (double)per.QuadPart;
}
static void file_open(const char *name)
{
	CloseHandle(CreateFileA(name, GENERIC_READ, FILE_SHARE_READ, NULL, OPEN_EXISTING, 0, NULL));
}
static HANDLE event;
static void event_begin(void) { event = CreateEventA(NULL, FALSE, FALSE, NULL); }
static void event_set_and_wait(void)
{
	SetEvent(event);
	WaitForSingleObject(event, INFINITE);
}
static void child(char *self)
{
	STARTUPINFOA how = {.cb = sizeof how};
	PROCESS_INFORMATION p;
	char own[MAX_PATH];
	(void)self;
	GetModuleFileNameA(NULL, own, sizeof own);
	if (!CreateProcessA(own, NULL, NULL, NULL, FALSE, 0, NULL, NULL, &how, &p))
		exit(1);
	WaitForSingleObject(p.hProcess, INFINITE);
	CloseHandle(p.hProcess);
	CloseHandle(p.hThread);
}
#else
#include <fcntl.h>
#include <semaphore.h>
#include <spawn.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
static double now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}
static void file_open(const char *name) { close(open(name, O_RDONLY)); }
static sem_t event;
static void event_begin(void) { sem_init(&event, 0, 0); }
static void event_set_and_wait(void)
{
	sem_post(&event);
	sem_wait(&event);
}
static void child(char *self)
{
	char *argv[] = {self, NULL}, *env[] = {NULL};
	pid_t pid;
	if (posix_spawn(&pid, self, NULL, NULL, argv, env))
		exit(1);
	waitpid(pid, NULL, 0);
}
#endif

/* Hashing, branches, 64 KiB of memory. */
static uint64_t compute(void)
{
	static uint32_t table[1 << 14];
	uint64_t h = 88172645463325252u, sum = 0;
	for (int i = 0; i < 30000000; i++) {
		h ^= h << 13;
		h ^= h >> 7;
		h ^= h << 17;
		uint32_t *p = &table[h & 0x3fff];
		*p = *p * 31 + (uint32_t)(h >> 32);
		sum += *p & 1 ? *p : h % 1000;
	}
	return sum;
}

static void say(const char *name, double least) { printf("%s %.3f\n", name, least); }

int main(int argc, char **argv)
{
	double files = 1e18, events = 1e18, children = 1e18, job = 1e18, from, took;
	static volatile uint64_t keep;
	if (argc < 2)
		return 0;
	FILE *f = fopen(argv[1], "w");
	if (!f)
		return 1;
	fclose(f);
	event_begin();
	for (int round = 0; round < 12; round++) {
		from = now_us();
		for (int i = 0; i < 500; i++)
			file_open(argv[1]);
		files = (took = (now_us() - from) / 500) < files ? took : files;
		from = now_us();
		for (int i = 0; i < 20000; i++)
			event_set_and_wait();
		events = (took = (now_us() - from) / 20000) < events ? took : events;
		from = now_us();
		for (int i = 0; i < 4; i++)
			child(argv[0]);
		children = (took = (now_us() - from) / 4000) < children ? took : children;
	}
	for (int round = 0; round < 5; round++) {
		from = now_us();
		keep += compute();
		job = (took = (now_us() - from) / 1000) < job ? took : job;
	}
	say("open", files);
	say("event", events);
	say("child", children);
	say("job", job);
	return 0;
}
