/* SPDX-License-Identifier: Apache-2.0 */
/* Files: opening, looking, moving, locking, copying. */
#include "say.h"
#include <dirent.h>
#include <linux/openat2.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/xattr.h>

static void opening(void)
{
	SAY(open("none", O_RDONLY));
	SAY(open("a", O_RDWR | O_CREAT | O_EXCL, 0640));
	SAY(open("a", O_RDWR | O_CREAT | O_EXCL, 0640));
	SAY(open("a", O_RDONLY | O_DIRECTORY));
	SAY(open(".", O_WRONLY));
	SAY(open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	SAY(fcntl(4, F_GETFD));
	SAY(symlink("a", "l"));
	SAY(open("l", O_RDONLY | O_NOFOLLOW));
	SAY(open("l", O_PATH | O_NOFOLLOW));
	SAY(openat(4, "a", O_RDWR | O_APPEND));
	SAY(fcntl(6, F_GETFL) & ~0100000);
	SAY(openat(3, "a", O_RDONLY));
	SAY(openat(99, "a", O_RDONLY));
	SAY(open(BAD, O_RDONLY));
	SAY(open(KERNEL, O_RDONLY));
	SAY(open("", O_RDONLY));
	SAY(open("a/", O_RDONLY));
	SAY(open("a/b", O_RDONLY));
	SAY(symlink("loop", "loop"));
	SAY(open("loop", O_RDONLY));
	SAY(open(".", O_TMPFILE | O_RDWR, 0600));
	SAY(syscall(SYS_close_range, 3, 20, 0));
	struct open_how how = { .flags = O_RDONLY, .resolve = RESOLVE_NO_SYMLINKS };
	SAY(syscall(SYS_openat2, AT_FDCWD, "l", &how, sizeof how));
	how.resolve = RESOLVE_BENEATH;
	SAY(syscall(SYS_openat2, AT_FDCWD, "../x", &how, sizeof how));
	SAY(syscall(SYS_openat2, AT_FDCWD, "l", &how, sizeof how));
	SAY(syscall(SYS_openat2, AT_FDCWD, "l", &how, sizeof how - 1));
	SAY(syscall(SYS_openat2, AT_FDCWD, "l", &how, 4096L));
	SAY(close(3));
	SAY(close(3));
	char name[5000];
	memset(name, 'x', sizeof name);
	name[4999] = 0;
	SAY(open(name, O_RDONLY));
	name[300] = 0;
	SAY(open(name, O_RDONLY));
}

static void say_stat(const char *what, const struct stat *s)
{
	printf("%s: mode %o nlink %d size %ld blksize %ld blocks %ld uid %d gid %d rdev %ld\n",
	       what, s->st_mode, (int)s->st_nlink, (long)s->st_size, (long)s->st_blksize,
	       (long)s->st_blocks, s->st_uid != getuid(), s->st_gid != getgid(), (long)s->st_rdev);
}

static void looking(void)
{
	struct stat s, t;
	struct statx x;
	struct timespec times[2] = { { 1000000000, 123456789 }, { 1200000000, 987654321 } };
	close(file_make("f", "hello"));
	SAY(chmod("f", 0604));
	SAY(utimensat(AT_FDCWD, "f", times, 0));
	SAY(stat("f", &s));
	say_stat("f", &s);
	printf("times %ld.%ld %ld.%ld\n", (long)s.st_atim.tv_sec, s.st_atim.tv_nsec,
	       (long)s.st_mtim.tv_sec, s.st_mtim.tv_nsec);
	IS(s.st_ctim.tv_sec > 1700000000);
	SAY(lstat("l", &s));
	IS(S_ISLNK(s.st_mode) && s.st_size == 1);
	SAY(stat("/dev/null", &s));
	IS(S_ISCHR(s.st_mode) && major(s.st_rdev) == 1 && minor(s.st_rdev) == 3);
	SAY(fstatat(AT_FDCWD, "", &s, AT_EMPTY_PATH));
	IS(S_ISDIR(s.st_mode));
	SAY(stat("none", &s));
	SAY(fstat(77, &s));
	SAY(stat("f", BAD));
	SAY(stat("f", KERNEL));
	SAY(statx(AT_FDCWD, "f", 0, STATX_BASIC_STATS, &x));
	SAY(stat("f", &s));
	IS(x.stx_ino == s.st_ino && x.stx_size == 5 && x.stx_mode == s.st_mode);
	SAY(stat(".", &t));
	IS(s.st_dev == t.st_dev && makedev(x.stx_dev_major, x.stx_dev_minor) == s.st_dev);
	struct statfs fs;
	struct statvfs vfs;
	SAY(statfs(".", &fs));
	SAY(statvfs(".", &vfs));
	IS(fs.f_blocks == vfs.f_blocks && (long)fs.f_bsize == (long)vfs.f_bsize);
	SAY(fs.f_namelen);
	SAY(access("f", R_OK));
	SAY(faccessat(AT_FDCWD, "f", R_OK, AT_EACCESS));
	SAY(access("none", F_OK));
	char buf[64];
	SAY(readlink("l", buf, sizeof buf));
	SAY(readlink("f", buf, sizeof buf));
	SAY(syscall(SYS_readlinkat, AT_FDCWD, "l", buf, 0));
	SAY(syscall(SYS_readlinkat, AT_FDCWD, "l", KERNEL, 1));
	IS(getcwd(buf, 1) == NULL && errno == ERANGE);
	SAY(mkdir("d", 0700));
	SAY(chdir("d"));
	char cwd[4096];
	IS(getcwd(cwd, sizeof cwd) && !strcmp(cwd + strlen(cwd) - 2, "/d"));
	SAY(chdir(".."));
	SAY(chdir("f"));
	SAY(fchdir(0) == -1 || fchdir(99));
}

static void content(void)
{
	char buf[64] = { 0 }, b2[8];
	int fd = file_make("c", "0123456789");
	SAY(lseek(fd, 2, SEEK_SET));
	SAY(read(fd, buf, 3));
	SAY(lseek(fd, 0, SEEK_CUR));
	SAY(pread(fd, buf, 4, 6));
	say_bytes("pread", buf, 4);
	SAY(pwrite(fd, "AB", 2, 12));
	SAY(lseek(fd, 0, SEEK_END));
	SAY(lseek(fd, -1, SEEK_SET));
	SAY(lseek(fd, 0, 77));
	SAY(lseek(fd, 0, SEEK_DATA));
	struct iovec v[3] = { { buf, 2 }, { b2, 3 }, { buf + 10, 4 } };
	SAY(preadv(fd, v, 3, 1));
	say_bytes("preadv", buf, 14);
	SAY(pwritev(fd, v, 2, 20));
	SAY(preadv2(fd, v, 3, 0, 0));
	SAY(lseek(fd, 0, SEEK_SET));
	SAY(readv(fd, v, 3));
	SAY(readv(fd, v, 0));
	SAY(readv(fd, v, -1));
	SAY(readv(fd, v, 2000));
	SAY(readv(fd, BAD, 1));
	v[1].iov_base = KERNEL;
	SAY(readv(fd, v, 2));
	v[1].iov_len = (size_t)-1;
	SAY(readv(fd, v, 2));
	SAY(read(fd, BAD, 3));
	SAY(read(fd, KERNEL, 3));
	SAY(write(fd, KERNEL, 3));
	SAY(write(fd, BAD, 3));
	SAY(read(fd, buf, 0));
	SAY(ftruncate(fd, 5));
	SAY(truncate("c", 7));
	SAY(ftruncate(fd, -1));
	SAY(lseek(fd, 0, SEEK_END));
	SAY(fallocate(fd, 0, 0, 8192));
	SAY(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 16384));
	SAY(fallocate(fd, 0, -1, 8));
	SAY(fallocate(fd, 0x4000, 0, 8));
	SAY(lseek(fd, 0, SEEK_END));
	SAY(fsync(fd));
	SAY(fdatasync(fd));
	SAY(posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL));
	SAY(sync_file_range(fd, 0, 4096, SYNC_FILE_RANGE_WRITE));
	SAY(readahead(fd, 0, 4096));
	SAY(syncfs(fd));
	SAY(close(fd));
}

static void copying(void)
{
	int from = file_make("from", "the text to copy"), to = file_make("to", "");
	off_t off = 4, off2 = 0;
	SAY(sendfile(to, from, &off, 5));
	SAY(off);
	SAY(lseek(to, 0, SEEK_END));
	off = 0;
	SAY(copy_file_range(from, &off, to, NULL, 8, 0));
	SAY(off);
	SAY(lseek(to, 0, SEEK_END));
	SAY(copy_file_range(from, KERNEL, to, NULL, 8, 0));
	int p[2], q[2];
	SAY(pipe2(p, O_CLOEXEC));
	SAY(pipe2(q, O_NONBLOCK));
	SAY(pipe2(q, 077));
	SAY(pipe(KERNEL));
	SAY(splice(from, &off2, p[1], NULL, 6, 0));
	SAY(off2);
	SAY(tee(p[0], q[1], 4, 0));
	char buf[32] = { 0 };
	SAY(read(q[0], buf, sizeof buf));
	say_bytes("tee", buf, 4);
	SAY(read(q[0], buf, sizeof buf));
	struct iovec v = { buf, 4 };
	SAY(vmsplice(p[1], &v, 1, 0));
	SAY(read(p[0], buf, sizeof buf));
	v.iov_base = KERNEL;
	SAY(vmsplice(p[1], &v, 1, 0));
	SAY(fcntl(p[1], F_SETPIPE_SZ, 8192));
	SAY(fcntl(p[1], F_GETPIPE_SZ));
	int n = -1;
	SAY(write(p[1], "abc", 3));
	SAY(ioctl(p[0], FIONREAD, &n));
	SAY(n);
	SAY(ioctl(p[0], FIONREAD, BAD));
	SAY(ioctl(p[0], FIONREAD, KERNEL));
	SAY(ioctl(p[0], 0x12345, &n));
	n = 1;
	SAY(ioctl(p[0], FIONBIO, &n));
	SAY(fcntl(p[0], F_GETFL) & ~0100000);
	SAY(syscall(SYS_close_range, 3, ~0U, 0));
}

static void names(void)
{
	struct stat s;
	SAY(link("f", "hard"));
	SAY(linkat(AT_FDCWD, "l", AT_FDCWD, "hard2", 0));
	SAY(lstat("hard2", &s));
	IS(S_ISLNK(s.st_mode));
	SAY(linkat(AT_FDCWD, "l", AT_FDCWD, "hard3", AT_SYMLINK_FOLLOW));
	SAY(lstat("hard3", &s));
	IS(S_ISREG(s.st_mode));
	SAY(rename("hard", "soft"));
	SAY(renameat2(AT_FDCWD, "soft", AT_FDCWD, "f", RENAME_NOREPLACE));
	SAY(renameat2(AT_FDCWD, "soft", AT_FDCWD, "d", RENAME_EXCHANGE));
	SAY(rename("none", "x"));
	SAY(rmdir("soft"));
	SAY(unlink("d"));
	SAY(unlinkat(AT_FDCWD, "none", AT_REMOVEDIR));
	SAY(rmdir("f"));
	SAY(mkdir("f", 0700));
	SAY(mkdir("e/", 0755));
	SAY(rmdir("e/"));
	SAY(mknod("fifo", S_IFIFO | 0600, 0));
	SAY(stat("fifo", &s));
	IS(S_ISFIFO(s.st_mode));
	SAY(open("fifo", O_WRONLY | O_NONBLOCK));
	SAY(umask(027));
	SAY(umask(022));
	SAY(fchmodat(AT_FDCWD, "f", 0600, 0));
	SAY(chown("f", getuid(), (gid_t)-1));
	SAY(lchown("l", getuid(), getgid()));
	SAY(symlinkat("x", AT_FDCWD, KERNEL));
	SAY(setxattr("f", "user.a", "value", 5, 0));
	char buf[64];
	if (getxattr("f", "user.a", buf, sizeof buf) == 5)
		say_bytes("xattr", buf, 5);
	SAY(getxattr("f", "user.none", buf, sizeof buf));
	SAY(setxattr("f", "user.a", KERNEL, 5, 0));
	SAY(listxattr("f", buf, 1) == -1 ? errno == ERANGE || errno == ENOTSUP : 1);
	SAY(removexattr("f", "user.a"));
	int dir = open(".", O_RDONLY | O_DIRECTORY);
	unsigned n = 0, kinds = 0;
	DIR *d = fdopendir(dir);
	for (struct dirent *e; (e = readdir(d));) {
		n++;
		kinds |= 1u << e->d_type;
	}
	SAY(n);
	SAY(kinds);
	closedir(d);
	dir = open(".", O_RDONLY | O_DIRECTORY);
	SAY(syscall(SYS_getdents64, dir, KERNEL, 4096));
	SAY(syscall(SYS_getdents64, dir, buf, 4));
	close(dir);
}

static void locks(void)
{
	int fd = file_make("lock", "0123456789"), fd2 = open("lock", O_RDWR);
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 2, .l_len = 3 };
	SAY(fcntl(fd, F_SETLK, &l));
	SAY(fcntl(fd, F_OFD_SETLK, &l));
	l.l_pid = 0;
	l.l_type = F_UNLCK;
	SAY(fcntl(fd, F_SETLK, &l));
	l.l_type = F_WRLCK;
	SAY(fcntl(fd, F_OFD_SETLK, &l));
	SAY(fcntl(fd2, F_OFD_SETLK, &l));
	SAY(fcntl(fd2, F_OFD_GETLK, &l));
	SAY(l.l_start);
	SAY(l.l_len);
	SAY(l.l_pid);
	SAY(fcntl(fd2, F_GETLK, KERNEL));
	l.l_type = 99;
	SAY(fcntl(fd, F_SETLK, &l));
	SAY(flock(fd, LOCK_EX));
	SAY(flock(fd2, LOCK_EX | LOCK_NB));
	SAY(flock(fd, 99));
	SAY(fcntl(fd, F_DUPFD, 50));
	SAY(fcntl(fd, F_DUPFD_CLOEXEC, 50));
	SAY(fcntl(fd, F_DUPFD, -1));
	SAY(fcntl(51, F_SETFD, 0));
	SAY(fcntl(51, F_GETFD));
	SAY(fcntl(fd, F_SETOWN, getpid()));
	IS(fcntl(fd, F_GETOWN) == getpid());
	struct f_owner_ex own;
	SAY(fcntl(fd, F_GETOWN_EX, &own));
	SAY(own.type);
	SAY(fcntl(fd, F_SETSIG, SIGUSR1));
	SAY(fcntl(fd, F_GETSIG));
	SAY(fcntl(fd, F_GETLEASE));
	SAY(fcntl(fd, 9999, 0));
	SAY(dup(99));
	SAY(dup2(fd, 60));
	SAY(dup3(fd, fd, 0));
	SAY(dup3(fd, 61, O_CLOEXEC));
	SAY(dup3(fd, 61, 1));
	SAY(syscall(SYS_close_range, 3, ~0U, 0));
	int m = (int)SAY(memfd_create("m", MFD_ALLOW_SEALING));
	SAY(fcntl(m, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW));
	SAY(fcntl(m, F_GET_SEALS));
	SAY(ftruncate(m, 100));
	SAY(memfd_create("m", 077777777));
	SAY(memfd_create(KERNEL, 0));
	close(m);
}

static void watching(void)
{
	char buf[512];
	int in = (int)SAY(inotify_init1(IN_NONBLOCK));
	SAY(inotify_add_watch(in, ".", IN_CREATE | IN_DELETE));
	SAY(inotify_add_watch(in, "none", IN_CREATE));
	close(file_make("watched", ""));
	SAY(unlink("watched"));
	long n = SAY(read(in, buf, sizeof buf));
	for (long i = 0; i < n;) {
		const struct inotify_event *e = (const void *)(buf + i);
		printf("event %x %s\n", e->mask, e->name);
		i += (long)(sizeof *e + e->len);
	}
	SAY(read(in, buf, sizeof buf));
	SAY(inotify_rm_watch(in, 1));
	SAY(inotify_rm_watch(in, 7));
	close(in);
}

int main(void)
{
	opening();
	looking();
	content();
	copying();
	names();
	locks();
	watching();
	return 0;
}
