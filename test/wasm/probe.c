/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests run at the level wasm: the first argument says what to do. What "files" prints is
 * the same under every WASI. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <wasi/api.h>

static int name_order(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void folder_list(const char *path)
{
	char *names[64];
	size_t n = 0;
	DIR *d = opendir(path);
	if (!d) {
		printf("%s: %s\n", path, strerror(errno));
		return;
	}
	for (struct dirent *e; n < 64 && (e = readdir(d));)
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..")) /* not all list them */
			names[n++] = strdup(e->d_name);
	closedir(d);
	qsort(names, n, sizeof *names, name_order);
	for (size_t i = 0; i < n; i++)
		printf("%s/%s\n", path, names[i]);
}

static void said(const char *what, int r)
{
	printf("%s: %s\n", what, r < 0 ? strerror(errno) : "done");
}

/* In the folder /w, which is empty. */
static int files(void)
{
	char text[64] = "";
	struct stat st;
	said("mkdir", mkdir("/w/sub", 0700));
	said("mkdir again", mkdir("/w/sub", 0700));
	int fd = open("/w/sub/one", O_CREAT | O_EXCL | O_RDWR, 0600);
	printf("write %zd\n", write(fd, "hello, world\n", 13));
	printf("seek %lld\n", (long long)lseek(fd, -6, SEEK_END));
	printf("read %zd", read(fd, text, 5));
	printf(" %s\n", text);
	printf("pread %zd\n", pread(fd, text, 64, 7));
	printf("pwrite %zd\n", pwrite(fd, "H", 1, 0));
	said("truncate", ftruncate(fd, 5));
	said("sync", fsync(fd));
	said("fstat", fstat(fd, &st));
	printf("size %lld, regular %d\n", (long long)st.st_size, S_ISREG(st.st_mode));
	struct timespec t[2] = {{100, 5}, {200, 7}};
	said("times", futimens(fd, t));
	said("stat", stat("/w/sub/one", &st));
	printf("mtime %lld\n", (long long)st.st_mtime);
	said("close", close(fd));
	said("close again", close(fd));
	said("open exclusive", open("/w/sub/one", O_CREAT | O_EXCL | O_RDWR, 0600));
	said("open missing", open("/w/none", O_RDONLY));
	said("open folder to write", open("/w/sub", O_WRONLY));
	said("open beyond a file", open("/w/sub/one/x", O_RDONLY));
	fd = open("/w/sub/one", O_WRONLY | O_APPEND);
	printf("append %zd\n", write(fd, "+", 1));
	close(fd);
	said("symlink", symlink("sub/one", "/w/link"));
	printf("readlink %zd\n", readlink("/w/link", text, sizeof text));
	said("lstat", lstat("/w/link", &st));
	printf("link %d\n", S_ISLNK(st.st_mode));
	said("stat", stat("/w/link", &st));
	printf("size %lld\n", (long long)st.st_size);
	said("hard link", link("/w/sub/one", "/w/two"));
	said("rename", rename("/w/two", "/w/sub/three"));
	said("rename missing", rename("/w/two", "/w/sub/three"));
	folder_list("/w");
	folder_list("/w/sub");
	folder_list("/w/none");
	said("rmdir full", rmdir("/w/sub"));
	said("unlink folder", unlink("/w/sub") < 0 ? -(errno == EISDIR || errno == EPERM) : 0);
	said("unlink", unlink("/w/sub/one"));
	said("unlink", unlink("/w/sub/three"));
	said("unlink link", unlink("/w/link"));
	said("rmdir", rmdir("/w/sub"));
	said("rmdir missing", rmdir("/w/sub"));
	return 0;
}

/* Every way out of the folder 3 that a path may try: none is open to it. */
static int escapes(void)
{
	static const char *const paths[] = {"../secret",     "/etc/passwd",	"a/../../secret",
					    "out",	     "out-absolute",	"out-folder/secret",
					    "a/./.././../secret", "..", "/", "a/out"};
	int bad = 0;
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		__wasi_fd_t fd;
		__wasi_filestat_t st;
		int r = __wasi_path_open(3, 1, paths[i], 0, 2, 0, 0, &fd);
		int s = __wasi_path_filestat_get(3, 1, paths[i], &st);
		int w = __wasi_path_open(3, 1, paths[i], 1, 64, 0, 0, &fd);
		int u = __wasi_path_unlink_file(3, i < 3 ? paths[i] : "..");
		int d = __wasi_path_create_directory(3, i < 3 ? paths[i] : "../new");
		printf("%s: %d %d %d %d %d\n", paths[i], r, s, w, u, d);
		bad += !r + !s + !w + !u + !d;
	}
	bad += !__wasi_path_rename(3, "a", 3, "../b") +
	       !__wasi_path_symlink("/etc/passwd", 3, "p") +
	       !__wasi_path_link(3, 0, "../secret", 3, "l");
	printf("%d ways out\n", bad);
	return bad != 0;
}

static int waits(void)
{
	struct timespec a, b, t = {0, 30000000};
	struct pollfd p = {0, POLLIN, 0};
	char c;
	clock_gettime(CLOCK_MONOTONIC, &a);
	nanosleep(&t, NULL);
	clock_gettime(CLOCK_MONOTONIC, &b);
	long ms = (b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000;
	printf("slept %d\n", ms >= 30 && ms < 3000);
	printf("poll %d", poll(&p, 1, 10000));
	printf(" %d\n", (p.revents & POLLIN) != 0); /* its writer may be gone */
	printf("read %zd\n", read(0, &c, 1));
	return 0;
}

static volatile int zero;
static __attribute__((noinline)) int inner(int n) { return zero ? n : (__builtin_trap(), 1); }
static __attribute__((noinline)) int deeper(int n) { return zero ? n : deeper(n + 1) + 1; }

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	unsigned char chance[16] = {0}, nothing[16] = {0};
	if (!strcmp(what, "files"))
		return files();
	if (!strcmp(what, "escapes"))
		return escapes();
	if (!strcmp(what, "waits"))
		return waits();
	if (!strcmp(what, "exit"))
		exit(atoi(argv[2]));
	if (!strcmp(what, "trap"))
		return inner(5);
	if (!strcmp(what, "deep"))
		return deeper(0);
	if (!strcmp(what, "loop"))
		for (;;)
			zero = 0;
	if (!strcmp(what, "sleep"))
		return (int)sleep(100);
	if (!strcmp(what, "memory")) {
		void *volatile p = malloc((size_t)atoi(argv[2]) << 20);
		return p ? 0 : 9;
	}
	if (!strcmp(what, "wild"))
		return *(volatile int *)0xfffffff0;
	if (!strcmp(what, "random"))
		return getentropy(chance, 16) < 0 || !memcmp(chance, nothing, 16);
	if (!strcmp(what, "cat"))
		for (int c; (c = getchar()) != EOF;)
			putchar(c);
	for (int i = 2; i < argc && !strcmp(what, "args"); i++)
		printf("[%s]\n", argv[i]);
	if (!strcmp(what, "env"))
		printf("%s %s\n", getenv("A") ? getenv("A") : "-", getenv("HOME") ? "home" : "-");
	if (!strcmp(what, "write"))
		said("write", open("/w/new", O_CREAT | O_WRONLY, 0600));
	return 0;
}
