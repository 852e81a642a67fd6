/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that came later and are of no family: landlock, handles, namespaces, mounts as descriptors,
 * pages and their state. What the kernel or the user lacks gives the same error on both sides. */
#include "say.h"
#include <linux/kcmp.h>
#include <linux/landlock.h>
#include <sched.h>
#include <sys/fanotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void handles(void)
{
	union { struct file_handle h; char room[sizeof(struct file_handle) + 128]; } u;
	int mount;
	close(file_make("file", "text"));
	u.h.handle_bytes = 0;
	SAY(name_to_handle_at(AT_FDCWD, "file", &u.h, &mount, 0));
	u.h.handle_bytes = 128;
	SAY(name_to_handle_at(AT_FDCWD, "file", &u.h, &mount, 0));
	SAY(name_to_handle_at(AT_FDCWD, "none", &u.h, &mount, 0));
	SAY(name_to_handle_at(AT_FDCWD, "file", KERNEL, &mount, 0));
	SAY(open_by_handle_at(99, &u.h, O_RDONLY));
	int a = open("file", O_RDONLY), b = open("file", O_RDONLY);
	IS(syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, a, a) == 0);
	IS(syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, a, b) > 0);
	SAY(syscall(SYS_kcmp, getpid(), getpid(), 77, a, b));
	close(a);
	close(b);
	int self = (int)syscall(SYS_pidfd_open, getpid(), 0);
	SAY(syscall(SYS_pidfd_getfd, self, 99, 0));
	SAY(syscall(SYS_pidfd_getfd, self, 1, 0));
	SAY(syscall(SYS_pidfd_getfd, self, 1, 7));
	syscall(SYS_close_range, 3, ~0U, 0);
}

static void landlock(void)
{
	struct landlock_ruleset_attr attr = { .handled_access_fs = LANDLOCK_ACCESS_FS_WRITE_FILE };
	SAY(syscall(SYS_landlock_create_ruleset, KERNEL, sizeof attr, 0));
	SAY(syscall(SYS_landlock_create_ruleset, &attr, 1L, 0));
	long r = SAY(syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0));
	SAY(syscall(SYS_landlock_add_rule, r, LANDLOCK_RULE_PATH_BENEATH, KERNEL, 0));
	SAY(syscall(SYS_landlock_restrict_self, 99, 0));
	pid_t p = fork();
	if (!p) {
		syscall(SYS_prctl, 38, 1, 0, 0, 0); /* no new privileges */
		SAY(syscall(SYS_landlock_restrict_self, r, 0));
		SAY(open("file", O_WRONLY));
		SAY(open("file", O_RDONLY));
		_exit(0);
	}
	int status;
	IS(waitpid(p, &status, 0) == p && !status);
	syscall(SYS_close_range, 3, ~0U, 0);
}

static void mounts(void)
{
	SAY(mkdir("at", 0755));
	SAY(mount("none", "at", "none-such", 0, NULL));
	SAY(mount("none", "missing", "tmpfs", 0, NULL));
	SAY(mount(KERNEL, "at", "tmpfs", 0, NULL));
	SAY(umount2("at", 0));
	SAY(umount2("at", 0x1000));
	SAY(syscall(SYS_fsopen, "none-such", 0));
	SAY(syscall(SYS_fsopen, KERNEL, 0));
	SAY(syscall(SYS_fsconfig, 99, 0, NULL, NULL, 0));
	SAY(syscall(SYS_fsmount, 99, 0, 0));
	SAY(syscall(SYS_fspick, AT_FDCWD, "missing", 0));
	SAY(syscall(SYS_open_tree, AT_FDCWD, "missing", 0));
	SAY(syscall(SYS_move_mount, 99, "", AT_FDCWD, "at", 4));
	SAY(unshare(0));
	SAY(unshare(0x7fff));
	SAY(unshare(CLONE_FILES));
	SAY(setns(99, 0));
	SAY(setns(1, CLONE_NEWNS));
	SAY(syscall(SYS_pivot_root, "missing", "missing") == -1 ? 1 : 0);
	SAY(fanotify_init(0x7fffffff, O_RDONLY));
	SAY(fanotify_mark(99, FAN_MARK_ADD, FAN_OPEN, AT_FDCWD, "file"));
}

static void pages(void)
{
	unsigned char in[4] = { 0 };
	long size = sysconf(_SC_PAGESIZE);
	char *p = mmap(NULL, (size_t)size * 4, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);
	SAY(size);
	p[0] = p[size * 2] = 1;
	SAY(mincore(p, (size_t)size * 4, in));
	printf("pages %d %d\n", in[0] & 1, in[2] & 1);
	SAY(mincore(p + 1, 1, in));
	SAY(mincore(p, 1, KERNEL));
	SAY(msync(p, (size_t)size, MS_SYNC));
	SAY(msync(p, (size_t)size, 77));
	SAY(msync(p + 1, (size_t)size, MS_SYNC));
	SAY(mlock(p, (size_t)size));
	SAY(munlock(p, (size_t)size));
	SAY(mlock2(p, (size_t)size, 99));
	SAY(munmap(p + size, (size_t)size));
	SAY(mincore(p, (size_t)size * 4, in));
	SAY(msync(p, (size_t)size * 4, MS_ASYNC));
	SAY(mlockall(0));
	SAY(munlockall());
	SAY(munmap(p, (size_t)size * 4));
}

int main(void)
{
	handles();
	landlock();
	mounts();
	pages();
	return 0;
}
