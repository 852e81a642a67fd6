/* SPDX-License-Identifier: Apache-2.0 */
/* The terminal of a container: of its own devpts, found and bound by descriptors only, for the
 * container's files may have been arranged by somebody: pts(4), ioctl_tty(2) */
#include "box/internal.h"
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>

static int master_open(int root, struct lodge_err *e)
{
	static const char *const names[] = {"/dev/pts/ptmx", "/dev/ptmx"};
	struct stat st;
	int unlock = 0;
	autoclose int fd = -1;
	for (size_t i = 0; fd < 0 && i < countof(names); i++)
		fd = box_place_open(root, names[i], O_RDWR | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, "a terminal: /dev/pts/ptmx of the container");
	if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(5, 2) ||
	    (!box_is_on(fd, DEVPTS_SUPER_MAGIC) && !box_is_on(fd, TMPFS_MAGIC)))
		return err_set(e, ENODEV, "a terminal: /dev/pts/ptmx of the container is not what "
		               "makes terminals");
	if (ioctl(fd, TIOCSPTLCK, &unlock) < 0)
		return err_sys(e, "a terminal");
	return take_fd(&fd);
}

int box_console_open(int root, const struct oci_process *p, struct box_console *ret,
                     struct lodge_err *e)
{
	autoclose int master = master_open(root, e);
	if (master < 0)
		return master;
	autoclose int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return err_sys(e, "the end of a terminal");
	if (p->console_size) {
		struct winsize w = {.ws_row = (unsigned short)p->console_size->height.v,
		                    .ws_col = (unsigned short)p->console_size->width.v};
		if (ioctl(master, TIOCSWINSZ, &w) < 0)
			return err_sys(e, "the size of a terminal");
	}
	if (p->user && p->user->uid.v && fchown(slave, (uid_t)p->user->uid.v, (gid_t)-1) < 0 &&
	    errno != EPERM && errno != EINVAL && errno != EROFS)
		return err_sys(e, "the owner of a terminal");
	*ret = (struct box_console){.master = take_fd(&master), .slave = take_fd(&slave)};
	return 0;
}

int box_console_bind(int root, const struct box_console *c, struct lodge_err *e)
{
	autoclose int tree = open_tree(c->slave, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC |
	                                                 AT_EMPTY_PATH);
	if (tree < 0 || !box_is_on(tree, DEVPTS_SUPER_MAGIC))
		return err_sys(e, "the end of a terminal");
	/* a link would have the image say where */
	const uint64_t how = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
	autoclose int dev = box_open_how(root, "dev", O_PATH | O_DIRECTORY, how);
	if (dev >= 0)
		(void)!mknodat(dev, "console", S_IFREG | 0600, 0);
	autoclose int place = dev < 0 ? -1 : box_open_how(dev, "console", O_PATH, how);
	if (place < 0 || box_mount_move(tree, place) < 0)
		return err_sys(e, "/dev/console");
	return 0;
}

int box_console_take(const struct box_console *c, struct lodge_err *e)
{
	if (ioctl(c->slave, TIOCSCTTY, 0) < 0)
		return err_sys(e, "the controlling terminal");
	for (int fd = 0; fd < 3; fd++)
		if (dup2(c->slave, fd) < 0)
			return err_sys(e, "the controlling terminal");
	return 0;
}
