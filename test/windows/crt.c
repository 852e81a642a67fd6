/* SPDX-License-Identifier: Apache-2.0 */
/* The C runtime (msvcrt): formatted text, streams, strings, numbers, jumps, signals. */
#define __USE_MINGW_ANSI_STDIO 0
#include "test.h"
#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <io.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#pragma GCC diagnostic ignored "-Wformat"

static char out[400];
#define PRINTS(want, ...) (sprintf(out, __VA_ARGS__), TEXT_IS(out, want))

static void formats(void)
{
	PRINTS("  42|42  |00042|+42| 42", "%4d|%-4d|%05d|%+d|% d", 42, 42, 42, 42, 42);
	PRINTS("-2147483648 4294967295", "%d %u", INT_MIN, 0xffffffffu);
	PRINTS("ff FF 0xff 0XFF 377 0377", "%x %X %#x %#X %o %#o", 255, 255, 255, 255, 255, 255);
	PRINTS("1234567890123 -5", "%I64d %I64d", 1234567890123LL, -5LL);
	PRINTS("1234567890123", "%lld", 1234567890123LL);
	PRINTS("123456789", "%ld", 123456789L);
	PRINTS("7", "%I32d", 7);
	PRINTS("00000000DEADBEEF", "%p", (void *)0xdeadbeefULL);
	PRINTS("1.500000 1.5 2 1.50e+000", "%f %.1f %.0f %.2e", 1.5, 1.5, 1.5, 1.5);
	PRINTS("1e-005 100000 1e+006 0.0001", "%g %g %g %g", 0.00001, 100000.0, 1000000.0, 0.0001);
	PRINTS("1.#INF00 -1.#INF00", "%f %f", INFINITY, -INFINITY);
	PRINTS("abc|  abc|abc  |ab", "%s|%5s|%-5s|%.2s", "abc", "abc", "abc", "abc");
	PRINTS("wide|wide|x", "%ls|%S|%c", L"wide", L"wide", 'x');
	PRINTS("(null)", "%s", NULL);
	PRINTS("100%", "%d%%", 100);
	PRINTS("    3|3    |00003", "%*d|%-*d|%.*d", 5, 3, 5, 3, 5, 3);
	SAME(_snprintf(out, 3, "%s", "abcdef"), -1);
	SAME(_snprintf(out, 6, "%s", "abc"), 3);
	SAME(sprintf(out, "%s", "four"), 4);
	wchar_t w[40];
	SAME(_snwprintf(w, 40, L"%s %d %S", L"a", 5, "b"), 5);
	SAME(wcscmp(w, L"a 5 b"), 0);
}

static void streams(void)
{
	char buf[64];
	FILE *f = fopen("s.txt", "w");
	CHECK(f);
	SAME(fprintf(f, "one\ntwo %d\n", 2), 10);
	SAME(fputs("three\n", f), 0);
	SAME(fputc('x', f), 'x');
	SAME(fclose(f), 0);
	f = fopen("s.txt", "rb");
	SAME(fread(buf, 1, sizeof buf, f), 20);
	CHECK(!memcmp(buf, "one\r\ntwo 2\r\nthree\r\nx", 20));
	CHECK(feof(f));
	SAME(fseek(f, 3, SEEK_SET), 0);
	CHECK(!feof(f));
	SAME(fgetc(f), '\r');
	SAME(ftell(f), 4);
	SAME(ungetc('q', f), 'q');
	SAME(fgetc(f), 'q');
	fclose(f);
	f = fopen("s.txt", "r");
	CHECK(fgets(buf, sizeof buf, f));
	TEXT_IS(buf, "one\n");
	SAME(ftell(f), 5);
	CHECK(fgets(buf, 3, f));
	TEXT_IS(buf, "tw");
	SAME(fgetc(f), 'o');
	fclose(f);
	f = fopen("s.txt", "ab");
	fwrite("END", 1, 3, f);
	fclose(f);
	f = fopen("s.txt", "r+b");
	fseek(f, 0, SEEK_END);
	SAME(ftell(f), 23);
	fseek(f, 1, SEEK_SET);
	fputc('N', f);
	fseek(f, 0, SEEK_SET);
	fread(buf, 1, 3, f);
	CHECK(!memcmp(buf, "oNe", 3));
	fclose(f);
	errno = 0;
	CHECK(!fopen("none.txt", "r"));
	SAME(errno, ENOENT);
	TEXT_IS(strerror(ENOENT), "No such file or directory");
	struct _stat64 st;
	SAME(_stat64("s.txt", &st), 0);
	SAME(st.st_size, 23);
	CHECK(st.st_mode & _S_IFREG);
	SAME(_access("s.txt", 0), 0);
	SAME(remove("s.txt"), 0);
	SAME(_access("s.txt", 0), -1);
	int fd = _open("d.bin", _O_CREAT | _O_RDWR | _O_BINARY, 0600);
	CHECK(fd > 2);
	SAME(_write(fd, "a\nb", 3), 3);
	SAME(_lseeki64(fd, 0, SEEK_END), 3);
	SAME(_close(fd), 0);
	SAME(_close(fd), -1);
	SAME(errno, EBADF);
	SAME(_unlink("d.bin"), 0);
	SAME(_isatty(99), 0);
}

static int by_int(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

static void strings(void)
{
	char buf[64] = "a,b;c", *end;
	TEXT_IS(strtok(buf, ",;"), "a");
	TEXT_IS(strtok(NULL, ",;"), "b");
	TEXT_IS(strtok(NULL, ",;"), "c");
	CHECK(!strtok(NULL, ",;"));
	SAME(_stricmp("HeLLo", "hEllO"), 0);
	SAME(_strnicmp("HeLLoX", "hEllOY", 5), 0);
	SAME(strcmp("a", "b"), -1);
	SAME(strtol("0x1fz", &end, 0), 31);
	TEXT_IS(end, "z");
	SAME(strtol("99999999999", NULL, 10), LONG_MAX);
	SAME(errno, ERANGE);
	SAME(strtoul("4294967295", NULL, 10), 0xffffffffu);
	SAME(_strtoi64("-9000000000", NULL, 10), -9000000000LL);
	SAME(atoi("  -17x"), -17);
	CHECK(strtod("1.5e3x", &end) == 1500.0);
	TEXT_IS(end, "x");
	TEXT_IS(_itoa(-255, buf, 10), "-255");
	TEXT_IS(_itoa(-1, buf, 16), "ffffffff");
	TEXT_IS(_i64toa(-5000000000LL, buf, 10), "-5000000000");
	int v[] = {5, 3, 9, 1, 7}, key = 7;
	qsort(v, 5, sizeof *v, by_int);
	SAME(v[0], 1);
	SAME(v[4], 9);
	CHECK(bsearch(&key, v, 5, sizeof *v, by_int) == &v[3]);
	srand(1);
	SAME(rand(), 41);
	SAME(rand(), 18467);
	SAME(RAND_MAX, 32767);
	SAME(wcslen(L"four"), 4);
	SAME(wcscmp(L"a", L"b"), -1);
	CHECK(wcsstr(L"abcdef", L"cd") != NULL);
	SAME(towupper(L'q'), L'Q');
	CHECK(isalpha('q') && !isalpha('1') && isspace('\t') && isxdigit('f'));
	CHECK(pow(2, 10) == 1024 && sqrt(81) == 9 && floor(-1.5) == -2 && fmod(7, 4) == 3);
	char *p = malloc(10);
	SAME(_msize(p), 10);
	p = realloc(p, 100);
	SAME(_msize(p), 100);
	free(p);
	p = _aligned_malloc(100, 256);
	SAME((uintptr_t)p % 256, 0);
	_aligned_free(p);
}

static jmp_buf jump;
static volatile int handled;
static void on_signal(int sig) { handled = sig; }

static void jumps(void)
{
	volatile int times = 0;
	int r = setjmp(jump);
	times++;
	if (times < 3)
		longjmp(jump, times + 10);
	SAME(times, 3);
	SAME(r, 12);
	CHECK(signal(SIGTERM, on_signal) == SIG_DFL);
	SAME(raise(SIGTERM), 0);
	SAME(handled, SIGTERM);
	CHECK(signal(SIGTERM, SIG_IGN) == SIG_DFL);
}

static void times(void)
{
	__time64_t t = 1582979696; /* 2020-02-29 12:34:56 */
	struct tm *tm = _gmtime64(&t);
	SAME(tm->tm_year, 120);
	SAME(tm->tm_mon, 1);
	SAME(tm->tm_mday, 29);
	SAME(tm->tm_wday, 6);
	SAME(tm->tm_yday, 59);
	strftime(out, sizeof out, "%Y-%m-%d %H:%M:%S", tm);
	TEXT_IS(out, "2020-02-29 12:34:56");
	CHECK(time(NULL) > t);
	SAME(_putenv("LODGE_A=b"), 0);
	TEXT_IS(getenv("lodge_a"), "b");
	SAME(_putenv("LODGE_A="), 0);
	CHECK(!getenv("LODGE_A"));
}

int main(void)
{
	SetCurrentDirectoryA("C:\\Temp");
	formats();
	streams();
	strings();
	jumps();
	times();
	return end();
}
