/* SPDX-License-Identifier: Apache-2.0 */
/* A program of WebAssembly under a keeper. Without arguments: lines "N NONCE SUM" without an end,
 * each after work that uses all that a state holds (calls that are deep and by table, numbers,
 * memory that grows, an open file, a folder, clocks that only go on, sleep), and a line with
 * "wrong" if something is not as it was. The sum depends on the numbers alone. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static uint64_t sum = 1;
static double real = 0.5;

static uint64_t add(uint64_t x, uint64_t n) { return x + n * 0x9e3779b97f4a7c15u; }
static uint64_t turn(uint64_t x, uint64_t n) { return x << (n & 63) | x >> (-n & 63); }
static uint64_t mix(uint64_t x, uint64_t n) { return (x ^ x >> 29) * (2 * n + 1); }
static uint64_t (*const volatile steps[])(uint64_t, uint64_t) = {add, turn, mix};

static __attribute__((noinline)) uint64_t deep(uint64_t x, uint64_t n)
{
	uint64_t mine = x ^ n;
	if (n)
		x = deep(steps[n % 3](x, n), n - 1);
	return x + mine;
}

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void wrong(const char *what) { printf("wrong: %s, errno %d\n", what, errno); }

static void work(unsigned n)
{
	for (unsigned i = 0; i < 400; i++) {
		sum = deep(sum, i % 60);
		real = real * 3.7 * (1 - real);
	}
	sum ^= (uint64_t)(real * 1e15) + n;
}

static void memory(unsigned n)
{
	static unsigned char *kept;
	static unsigned has;
	for (unsigned i = 0; i < has; i += 997)
		if (kept[i] != (unsigned char)(i * 7))
			wrong("memory");
	if (has < 4 << 20) {
		has += 65536;
		kept = realloc(kept, has);
	}
	for (unsigned i = 0; i < has; i++)
		kept[i] = (unsigned char)(i * 7);
	(void)n;
}

static void file(int fd, unsigned n)
{
	char line[32], back[32] = "";
	int len = snprintf(line, sizeof line, "round %u\n", n);
	off_t at = lseek(fd, 0, SEEK_CUR);
	if (write(fd, line, (size_t)len) != len || lseek(fd, 0, SEEK_CUR) != at + len)
		wrong("write");
	if (pread(fd, back, (size_t)len, at) != len || strcmp(line, back))
		wrong("read");
	if (at > 10000 && (ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) != 0))
		wrong("truncate");
}

static int rounds(const char *name)
{
	static uint64_t last, nonce;
	char path[64];
	getentropy(&nonce, sizeof nonce);
	snprintf(path, sizeof path, "/w/%s-%llx", name, (unsigned long long)nonce);
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	if (fd < 0)
		wrong("open");
	for (unsigned n = 0;; n++) {
		work(n);
		memory(n);
		file(fd, n);
		uint64_t now = now_ns();
		if (now < last)
			wrong("time");
		last = now;
		if (n % 4 == 0)
			usleep(20000);
		printf("%u %llx %llx\n", n, (unsigned long long)nonce, (unsigned long long)sum);
		fflush(stdout);
	}
}

/* A file that gets another name while it is open, one that loses it, one that is appended to. */
static int names(void)
{
	char back[16] = "";
	int a = open("/w/first", O_RDWR | O_CREAT | O_TRUNC, 0600);
	int b = open("/w/gone", O_RDWR | O_CREAT | O_TRUNC, 0600);
	int c = open("/w/log", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
	mkdir("/w/sub", 0700);
	if (write(a, "abc", 3) != 3 || write(b, "0123456789", 10) != 10 ||
	    lseek(b, 4, SEEK_SET) != 4)
		wrong("write");
	if (rename("/w/first", "/w/sub/second") || unlink("/w/gone"))
		wrong("names");
	printf("ready\n");
	fflush(stdout);
	sleep(1);
	if (write(a, "def", 3) != 3 || pread(a, back, 6, 0) != 6 || strcmp(back, "abcdef"))
		wrong("renamed");
	memset(back, 0, sizeof back);
	if (read(b, back, 3) != 3 || strcmp(back, "456"))
		wrong("removed");
	if (write(c, "x\n", 2) != 2)
		wrong("appended");
	printf("done\n");
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "rounds";
	char line[100];
	if (!strcmp(what, "names"))
		return names();
	if (!strcmp(what, "echo"))
		while (fgets(line, sizeof line, stdin)) {
			printf("heard: %s", line);
			fflush(stdout);
		}
	if (!strcmp(what, "nap")) { /* one wait, of which the clock shows all */
		uint64_t from = now_ns();
		printf("asleep\n");
		fflush(stdout);
		usleep((useconds_t)atoi(argv[2]) * 1000);
		printf("slept %u00 ms\n", (unsigned)((now_ns() - from + 50000000) / 100000000));
	}
	if (!strcmp(what, "exit"))
		return atoi(argv[2]);
	return strcmp(what, "rounds") ? 0 : rounds("file");
}
