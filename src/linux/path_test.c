/* SPDX-License-Identifier: Apache-2.0 */
#include "linux/guest_test.h"
#include <ctype.h>
#include <ftw.h>
#include <linux/openat2.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

struct tree {
	struct guest *g;
	char top[64], root[80], share[80];
	struct linux_bind binds[2];
};

static void file_put(const char *dir, const char *name, const char *text)
{
	char path[512];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static void link_put(const char *dir, const char *name, const char *to)
{
	char path[512];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	CHECK(!symlink(to, path));
}

static void dir_put(const char *dir, const char *name)
{
	char path[512];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	CHECK(!mkdir(path, 0755));
}

/* top/secret is outside; top/root is the guest's, top/share shows at /mnt/share, the host's /proc
 */
static void tree_begin(struct tree *t)
{
	strcpy(t->top, "/tmp/lodge-linux-XXXXXX");
	CHECK(mkdtemp(t->top));
	snprintf(t->root, sizeof t->root, "%s/root", t->top);
	snprintf(t->share, sizeof t->share, "%s/share", t->top);
	file_put(t->top, "secret", "outside");
	dir_put(t->top, "root");
	dir_put(t->top, "share");
	dir_put(t->root, "etc");
	dir_put(t->root, "usr");
	dir_put(t->root, "usr/bin");
	dir_put(t->root, "mnt");
	file_put(t->root, "etc/name", "guest");
	file_put(t->share, "shared", "both");
	link_put(t->root, "bin", "usr/bin");
	link_put(t->root, "usr/bin/abs", "/etc/name");
	link_put(t->root, "usr/bin/up", "../../../../../../etc/name");
	link_put(t->root, "usr/bin/out", "/../secret");
	link_put(t->root, "etc/loop", "loop");
	link_put(t->root, "etc/new", "/mnt/made");
	link_put(t->root, "etc/shared", "/mnt/share/shared");
	link_put(t->root, "etc/mtab", "/proc/self/mounts");
	t->g = guest_new();
	struct linux_proc *p = &t->g->proc;
	p->root = t->root;
	p->root_fd = linux_fd_own(p, open(t->root, O_PATH | O_CLOEXEC));
	t->binds[0] = (struct linux_bind){ "/mnt/share", t->share, -1, true, false };
	t->binds[1] = (struct linux_bind){ "/proc", "/proc", -1, false, false };
	for (int i = 0; i < 2; i++)
		t->binds[i].fd = linux_fd_own(p, open(t->binds[i].host, O_PATH | O_CLOEXEC));
	linux_binds_sort(t->binds, 2);
	p->binds = t->binds;
	p->n_binds = 2;
	p->exe = "/usr/bin/prog";
}

static int remove_one(const char *path, const struct stat *s, int kind, struct FTW *f)
{
	(void)s;
	(void)kind;
	(void)f;
	return remove(path);
}

static void tree_end(struct tree *t)
{
	for (int i = 0; i < 2; i++)
		linux_fd_close(&t->g->proc, t->binds[i].fd);
	linux_fd_close(&t->g->proc, t->g->proc.root_fd);
	guest_free(t->g);
	CHECK(!nftw(t->top, remove_one, 8, FTW_DEPTH | FTW_PHYS));
}

/* What the guest reads in @path; NULL and *ret_e: the error. */
static const char *text_of(struct tree *t, const char *path, int *ret_e)
{
	static char text[64];
	int fd = linux_open(&t->g->task, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	*ret_e = fd;
	if (fd < 0)
		return NULL;
	ssize_t n = read(fd, text, sizeof text - 1);
	close(fd);
	text[n > 0 ? n : 0] = 0;
	return text;
}

static bool reads(struct tree *t, const char *path, const char *want)
{
	int e;
	const char *s = text_of(t, path, &e);
	return s && !strcmp(s, want);
}

static bool fails(struct tree *t, const char *path, int want)
{
	int e;
	return !text_of(t, path, &e) && e == -want;
}

TEST(linux_paths_stay_in_the_root)
{
	struct tree t;
	tree_begin(&t);
	CHECK(reads(&t, "/etc/name", "guest"));
	CHECK(reads(&t, "//etc/./../etc//name", "guest"));
	CHECK(reads(&t, "/../../../../../../etc/name", "guest"));
	CHECK(reads(&t, "/bin/abs", "guest") && reads(&t, "/usr/bin/up", "guest"));
	CHECK(fails(&t, "/bin/out", ENOENT));
	CHECK(fails(&t, "/../secret", ENOENT));
	CHECK(fails(&t, "/etc/loop", ELOOP));
	CHECK(fails(&t, "/etc/name/", ENOTDIR) && fails(&t, "/etc/name/..", ENOTDIR));
	CHECK(fails(&t, "/etc/name/x", ENOTDIR) && fails(&t, "/none/x", ENOENT));
	CHECK(fails(&t, "", ENOENT));
	CHECK(reads(&t, "/mnt/share/shared", "both") && reads(&t, "/etc/shared", "both"));
	CHECK(reads(&t, "/mnt/share/../../etc/name", "guest"));
	char path[PATH_MAX];
	CHECK(!linux_path(&t.g->task, path, AT_FDCWD, "/bin/../bin/up"));
	CHECK(!strcmp(path, "/etc/name"));
	CHECK(!linux_path(&t.g->task, path, AT_FDCWD, "/") && !strcmp(path, "/"));
	tree_end(&t);
}

TEST(linux_paths_from_folders)
{
	struct tree t;
	tree_begin(&t);
	struct guest *g = t.g;
	int dir = linux_open(&g->task, AT_FDCWD, "/usr/bin", O_DIRECTORY | O_CLOEXEC, 0);
	int fd = linux_open(&g->task, dir, "../../../etc/name", O_CLOEXEC, 0);
	CHECK(dir >= 0 && fd >= 0);
	close(fd);
	fd = linux_open(&g->task, dir, "abs", O_CLOEXEC, 0);
	CHECK(fd >= 0);
	close(fd);
	CHECK(linux_open(&g->task, dir, "abs", O_CLOEXEC | O_NOFOLLOW, 0) == -ELOOP);
	int here = open(".", O_PATH | O_CLOEXEC);
	CHECK(!CALL(g, chdir, guest_text(g, 0, "/bin")));
	CHECK(CALL(g, getcwd, GUEST, 100) == 9 && !strcmp(guest_at(0), "/usr/bin"));
	CHECK(CALL(g, getcwd, GUEST, 8) == -ERANGE);
	CHECK(reads(&t, "../../../../etc/name", "guest"));
	CHECK(!CALL(g, chdir, guest_text(g, 0, "/mnt/share")));
	CHECK(CALL(g, getcwd, GUEST, 100) == 11 && !strcmp(guest_at(0), "/mnt/share"));
	CHECK(!CALL(g, chdir, guest_text(g, 0, "/")));
	CHECK(CALL(g, getcwd, GUEST, 100) == 2 && reads(&t, "../etc/name", "guest"));
	CHECK(reads(&t, "mnt/share/shared", "both"));
	CHECK(!fchdir(here));
	CHECK(CALL(g, getcwd, GUEST, 4096) > 0 && !strncmp(guest_at(0), "(unreachable)/", 14));
	close(here);
	close(dir);
	tree_end(&t);
}

/* "./" @n times behind @head, then @tail. */
static const char *long_path(const char *head, unsigned n, const char *tail)
{
	static char path[2 * PATH_MAX];
	size_t at = (size_t)snprintf(path, sizeof path, "%s", head);
	for (unsigned i = 0; i < n; i++, at += 2)
		memcpy(path + at, "./", 3);
	strcpy(path + at, tail);
	return path;
}

/* A path that is too long only once its links are followed is an error, and not the host's path of
 * the same text. */
TEST(linux_long_paths_stay_in_the_root)
{
	struct tree t;
	tree_begin(&t);
	struct guest *g = t.g;
	uint64_t at = (uint64_t)AT_FDCWD;
	struct stat s;
	char dir[256], host[256];
	dir_put(t.root, "tmp");
	snprintf(dir, sizeof dir, "%s%s", t.root, t.top);
	CHECK(!mkdir(dir, 0755));
	link_put(dir, "long", long_path("", 1900, "."));
	link_put(t.top, "long", ".");
	snprintf(host, sizeof host, "%s/long/", t.top);
	uint64_t path = guest_text(g, 0, long_path(host, 1000, "secret"));
	snprintf(host, sizeof host, "%s/secret", t.top);
	CHECK(CALL(g, unlinkat, at, path, 0) == -ENAMETOOLONG);
	CHECK(CALL(g, truncate, path, 1) == -ENAMETOOLONG);
	CHECK(CALL(g, openat, at, path, O_WRONLY | O_TRUNC, 0) == -ENAMETOOLONG);
	CHECK(CALL(g, newfstatat, at, path, GUEST + 8192, 0) == -ENAMETOOLONG);
	CHECK(CALL(g, linkat, at, path, at, guest_text(g, 4096, "/etc/hard"), 0) == -ENAMETOOLONG);
	CHECK(!stat(host, &s) && s.st_size == 7 && s.st_nlink == 1);
	tree_end(&t);
}

TEST(linux_openat2_stays_in_the_root)
{
	struct tree t;
	tree_begin(&t);
	struct guest *g = t.g;
	struct open_how *how = guest_at(4096);
	int dir = linux_open(&g->task, AT_FDCWD, "/etc", O_DIRECTORY | O_CLOEXEC, 0);
	CHECK(dir >= 0);
	*how = (struct open_how){ .flags = O_RDONLY | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS };
#define OPEN(from, path)                                                                           \
	CALL(g, openat2, (uint64_t)(from), guest_text(g, 0, path), GUEST + 4096, sizeof *how)
	CHECK(OPEN(AT_FDCWD, "/../secret") == -ENOENT);
	CHECK(OPEN(AT_FDCWD, "/etc/../../secret") == -ENOENT);
	CHECK(OPEN(dir, "../../secret") == -ENOENT);
	CHECK(OPEN(dir, "../bin/abs") == -ELOOP);
	const char *const there[] = { "../../etc/name", "name", "/../etc/name", "/" };
	for (size_t i = 0; i < countof(there); i++) {
		int64_t fd = OPEN(dir, there[i]);
		CHECK(fd >= 0);
		close((int)fd);
	}
#undef OPEN
	close(dir);
	tree_end(&t);
}

TEST(linux_paths_that_make_and_change)
{
	struct tree t;
	tree_begin(&t);
	struct guest *g = t.g;
	uint64_t at = (uint64_t)AT_FDCWD;
	struct stat s;
	char host[256];
	/* through a dangling link, whose target is in the guest's root */
	int fd = linux_open(&g->task, AT_FDCWD, "/etc/new", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	CHECK(fd >= 0);
	close(fd);
	snprintf(host, sizeof host, "%s/mnt/made", t.root);
	CHECK(!stat(host, &s));
	CHECK(CALL(g, mkdirat, at, guest_text(g, 0, "/mnt/dir/"), 0755) == 0);
	CHECK(CALL(g, unlinkat, at, guest_text(g, 0, "/etc/new"), 0) == 0);
	CHECK(!stat(host, &s)); /* the link went, not the file */
	CHECK(!CALL(g, renameat2, at, guest_text(g, 0, "/mnt/made"), at,
	            guest_text(g, 100, "/bin/moved"), 0));
	snprintf(host, sizeof host, "%s/usr/bin/moved", t.root);
	CHECK(!stat(host, &s));
	CHECK(!CALL(g, linkat, at, guest_text(g, 0, "/bin/moved"), at,
	            guest_text(g, 100, "/etc/hard"), 0));
	CHECK(!CALL(g, symlinkat, guest_text(g, 0, "/etc/hard"), at, guest_text(g, 100, "/s")));
	CHECK(CALL(g, readlinkat, at, guest_text(g, 0, "/s"), GUEST + 500, 100) == 9);
	CHECK(CALL(g, newfstatat, at, guest_text(g, 0, "/s"), GUEST + 512, AT_SYMLINK_NOFOLLOW) ==
	      0);
	CHECK((*(uint32_t *)guest_at(512 + 16) & S_IFMT) == S_IFLNK);
	/* what is read-only stays */
	CHECK(CALL(g, unlinkat, at, guest_text(g, 0, "/mnt/share/shared"), 0) == -EROFS);
	CHECK(linux_open(&g->task, AT_FDCWD, "/mnt/share/x", O_WRONLY | O_CREAT, 0600) == -EROFS);
	CHECK(linux_open(&g->task, AT_FDCWD, "/mnt/share/shared", O_RDWR, 0) == -EROFS);
	CHECK(CALL(g, truncate, guest_text(g, 0, "/mnt/share/shared"), 0) == -EROFS);
	CHECK(!CALL(g, truncate, guest_text(g, 0, "/etc/name"), 2));
	CHECK(reads(&t, "/etc/name", "gu"));
	tree_end(&t);
}

TEST(linux_proc_shows_the_guest)
{
	struct tree t;
	tree_begin(&t);
	struct guest *g = t.g;
	uint64_t at = (uint64_t)AT_FDCWD;
	file_put(t.root, "usr/bin/prog", "program");
	CHECK(CALL(g, readlinkat, at, guest_text(g, 0, "/proc/self/exe"), GUEST + 512, 100) == 13);
	CHECK(!memcmp(guest_at(512), "/usr/bin/prog", 13));
	CHECK(reads(&t, "/proc/self/exe", "program"));
	CHECK(reads(&t, "/proc/thread-self/root/etc/name", "guest"));
	CHECK(CALL(g, readlinkat, at, guest_text(g, 0, "/proc/self/root"), GUEST + 512, 100) == 1);
	int dir = linux_open(&g->task, AT_FDCWD, "/etc", O_DIRECTORY | O_CLOEXEC, 0);
	char path[64];
	snprintf(path, sizeof path, "/proc/self/fd/%d", dir);
	CHECK(CALL(g, readlinkat, at, guest_text(g, 0, path), GUEST + 512, 100) == 4);
	CHECK(!memcmp(guest_at(512), "/etc", 4));
	snprintf(path, sizeof path, "/proc/%d/fd/%d/name", getpid(), dir);
	CHECK(reads(&t, path, "guest"));
	close(dir);
	memcpy(guest_at(1024), "prog\0arg", 9);
	g->proc.arg_start = GUEST + 1024;
	g->proc.arg_end = GUEST + 1033;
	CHECK(reads(&t, "/proc/self/cmdline", "prog"));
	g->proc.isa = "rv64imac";
	int e;
	CHECK(!strncmp(text_of(&t, "/proc/cpuinfo", &e),
		       "processor\t: 0\nhart\t\t: 0\nisa\t\t: rv64im", 36));
	CHECK(linux_open(&g->task, AT_FDCWD, "/proc/self/maps", O_RDWR, 0) == -EACCES);
	tree_end(&t);
}

TEST(linux_own_descriptors_are_not_listed)
{
	struct guest *g = guest_new();
	int own = linux_fd_own(&g->proc, dup(1)), shown = dup(1);
	int dir = linux_open(&g->task, AT_FDCWD, "/proc/self/fd", O_DIRECTORY | O_CLOEXEC, 0);
	char name[16], seen = 0;
	int64_t n = CALL(g, getdents64, (uint64_t)dir, GUEST, 32768);
	CHECK(own >= g->proc.fd_own && n > 0);
	for (int64_t at = 0; at < n; at += le16_at(guest_at((unsigned)at + 16))) {
		snprintf(name, sizeof name, "%s", (char *)guest_at((unsigned)at + 19));
		CHECK(!isdigit(*name) || atoi(name) != own);
		seen |= isdigit(*name) && atoi(name) == shown;
	}
	CHECK(seen && CALL(g, getdents64, (uint64_t)dir, GUEST, 32768) == 0);
	CHECK(CALL(g, getdents64, (uint64_t)dir, GUEST, 3) <= 0);
	close(dir);
	close(shown);
	linux_fd_close(&g->proc, own);
	guest_free(g);
}

static bool area(void *user, uint64_t at, struct linux_area *ret)
{
	(void)user;
	ret->end = at < GUEST + 4096 ? GUEST + 4096 : USER_END;
	ret->prot = at < GUEST + 4096 ? PROT_READ | PROT_EXEC : PROT_READ | PROT_WRITE;
	ret->name = at < GUEST + 4096 ? NULL : "[heap]";
	return true;
}

TEST(linux_maps_are_the_guests)
{
	struct guest *g = guest_new();
	char text[4096] = { 0 };
	g->proc.area = area;
	int fd = linux_open(&g->task, AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
	CHECK(fd >= 0 && read(fd, text, sizeof text - 1) > 0);
	close(fd);
	CHECK(!strncmp(text, "20000000-20001000 r-xp 00000000 00:00 0 \n"
	                     "20001000-20010000 rw-p 00000000 00:00 0", 80));
	CHECK(strstr(text, "  [heap]\n") && !strstr(text, "libc") && !strstr(text, "[vsyscall]"));
	guest_free(g);
}

/* Of the host's threads the guest has one. */
static unsigned threads(void *user, uint64_t tid)
{
	return !tid || tid == *(const uint64_t *)user;
}

static void *waits(void *fd)
{
	char c;
	(void)!read(*(const int *)fd, &c, 1);
	return NULL;
}

static void text_read(struct guest *g, const char *path, char text[4096])
{
	int fd = linux_open(&g->task, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	ssize_t n = fd < 0 ? -1 : read(fd, text, 4095);
	CHECK(n > 0);
	text[n] = 0;
	close(fd);
}

TEST(linux_own_threads_are_not_told_of)
{
	struct guest *g = guest_new();
	uint64_t self = (uint64_t)gettid();
	char text[4096], name[16];
	pthread_t own = 0;
	int ends[2], n, listed = 0;
	CHECK(pipe(ends) == 0 && pthread_create(&own, NULL, waits, &ends[0]) == 0);
	text_read(g, "/proc/self/status", text);
	CHECK(!strstr(text, "\nThreads:\t1\n"));
	g->proc.threads = threads;
	g->proc.user = &self;
	text_read(g, "/proc/self/status", text);
	CHECK(strstr(text, "\nThreads:\t1\nSig"));
	text_read(g, "/proc/self/stat", text);
	CHECK(sscanf(strrchr(text, ')'),
		     ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %d 0 ",
		     &n) == 1);
	CHECK(n == 1);
	int dir = linux_open(&g->task, AT_FDCWD, "/proc/self/task", O_DIRECTORY | O_CLOEXEC, 0);
	int64_t len = CALL(g, getdents64, (uint64_t)dir, GUEST, 32768);
	for (int64_t at = 0; at < len; at += le16_at(guest_at((unsigned)at + 16))) {
		snprintf(name, sizeof name, "%s", (char *)guest_at((unsigned)at + 19));
		CHECK(!isdigit(*name) || (uint64_t)atoi(name) == self);
		listed += isdigit(*name) != 0;
	}
	CHECK(listed == 1);
	close(dir);
	close(ends[1]);
	pthread_join(own, NULL);
	close(ends[0]);
	guest_free(g);
}

TEST(linux_mounts_leave_the_hosts_folders_alone)
{
	struct tree t;
	tree_begin(&t);
	struct guest *g = t.g;
	for (int i = 0; i < 2; i++)
		t.binds[i].fixed = !strcmp(t.binds[i].guest, "/proc");
	uint64_t proc = guest_text(g, 0, "/etc/../proc"), in = guest_text(g, 64, "/proc/bus"),
		 type = guest_text(g, 128, "none"), plain = guest_text(g, 192, "/etc");
	CHECK(CALL(g, umount2, proc, 0) == -EINVAL);
	CHECK(CALL(g, umount2, in, 0) == -EINVAL);
	CHECK(CALL(g, mount, type, proc, type, 0, 0) == -EBUSY);
	CHECK(CALL(g, mount, type, in, type, 0, 0) == -EBUSY);
	/* elsewhere the kernel says: no such file system, or no right to mount */
	int64_t r = CALL(g, mount, type, plain, type, 0, 0);
	CHECK(r == -ENODEV || r == -EPERM);
	tree_end(&t);
}

TEST(linux_unix_sockets_have_guest_paths)
{
	struct tree t;
	tree_begin(&t);
	struct guest *g = t.g;
	struct sockaddr_un un = { .sun_family = AF_UNIX, .sun_path = "/etc/sock" };
	int64_t s = CALL(g, socket, AF_UNIX, SOCK_STREAM, 0),
		c = CALL(g, socket, AF_UNIX, SOCK_STREAM);
	struct stat st;
	char host[256];
	memcpy(guest_at(0), &un, sizeof un);
	CHECK(CALL(g, bind, (uint64_t)s, GUEST, sizeof un) == 0);
	snprintf(host, sizeof host, "%s/etc/sock", t.root);
	CHECK(!stat(host, &st) && S_ISSOCK(st.st_mode));
	CHECK(!CALL(g, listen, (uint64_t)s, 1));
	CHECK(!CALL(g, connect, (uint64_t)c, GUEST, sizeof un));
	*(int *)guest_at(600) = 110;
	CHECK(!CALL(g, getpeername, (uint64_t)c, GUEST + 400, GUEST + 600));
	CHECK(*(int *)guest_at(600) == 2 + 10 && !strcmp(guest_at(402), "/etc/sock"));
	/* a path that is too long for the host's address once it is translated */
	char name[200];
	memset(name, 'd', sizeof name);
	memcpy(name, "etc/", 4);
	name[85] = 0;
	dir_put(t.root, name);
	snprintf(un.sun_path, sizeof un.sun_path, "/%s/so", name);
	memcpy(guest_at(0), &un, sizeof un);
	int64_t s2 = CALL(g, socket, AF_UNIX, SOCK_DGRAM, 0);
	CHECK(CALL(g, bind, (uint64_t)s2, GUEST, sizeof un) == 0);
	CHECK(CALL(g, bind, (uint64_t)s2, GUEST, 200) == -EINVAL);
	close((int)s);
	close((int)s2);
	close((int)c);
	tree_end(&t);
}
