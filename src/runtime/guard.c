/* SPDX-License-Identifier: Apache-2.0 */
/* The file of this program, as a process in a container may come to see it: /proc/PID/exe of the
 * process that sets the container up, or /proc/self/exe given as the program to run. Opened for
 * writing that would be the host's file (CVE-2019-5736). So it is run from a mount of its own, a
 * copy that is read-only, in no namespace, and gone from all names: the kernel lets nobody change
 * such a mount. Without the right to mount: from a sealed copy in memory. decision 0024 */
#include "runtime/internal.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

extern char **environ;
#define ONCE "LODGE_OCI_GUARD"
enum { SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE };

/* On a read-only mount, or sealed. */
static bool is_safe(int exe)
{
	struct statvfs st;
	if (fstatvfs(exe, &st) == 0 && st.f_flag & ST_RDONLY)
		return true;
	autoclose int own = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int seals = own < 0 ? -1 : fcntl(own, F_GET_SEALS);
	return seals >= 0 && (seals & SEALS) == SEALS;
}

static int by_mount(int exe)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
	autoclose int fd = open_tree(exe, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	if (fd < 0 || mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof attr) < 0)
		return -1;
	return take_fd(&fd);
}

static int by_copy(void)
{
	struct stat st;
	autoclose int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	autoclose int fd = (int)memfd_create("lodge-oci", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (from < 0 || fd < 0 || fstat(from, &st) < 0)
		return -1;
	for (off_t left = st.st_size; left > 0;) {
		ssize_t n = sendfile(fd, from, NULL, (size_t)left);
		if (n <= 0)
			return -1;
		left -= n;
	}
	return fchmod(fd, 0755) < 0 || fcntl(fd, F_ADD_SEALS, SEALS) < 0 ? -1 : take_fd(&fd);
}

/* Where the program is that we were before. */
static char own_path[4096];
const char *guard_path(void) { return *own_path ? own_path : NULL; }

static void path_note(void)
{
	const char *given = getenv(ONCE);
	ssize_t n = given ? -1 : readlink("/proc/self/exe", own_path, sizeof own_path - 1);
	if (given)
		snprintf(own_path, sizeof own_path, "%s", given);
	else
		own_path[n > 0 ? n : 0] = 0;
}

int guard_self(char **argv, struct lodge_err *e)
{
	path_note();
	autoclose int exe = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	if (exe < 0)
		return err_sys(e, "/proc/self/exe");
	if (is_safe(exe)) {
		unsetenv(ONCE);
		(void)!prctl(PR_SET_NAME, "lodge-oci");
		return 0;
	}
	if (getenv(ONCE))
		return err_set(e, EPERM,
			       "the file of this program cannot be protected against writing");
	autoclose int fd = by_mount(exe);
	if (fd < 0)
		fd = by_copy();
	if (fd < 0 || setenv(ONCE, own_path, 1) < 0)
		return err_sys(e, "protecting the file of this program");
	syscall(SYS_execveat, fd, "", argv, environ, AT_EMPTY_PATH);
	return err_sys(e, "protecting the file of this program");
}
