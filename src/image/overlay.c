/* SPDX-License-Identifier: Apache-2.0 */
/* Layers' folders as one, by overlayfs: by root with its own attributes, else in a user namespace
 * with those that any user may set (userxattr, Linux 5.11). What is written is made durable by who
 * wants it, not by every unmount (volatile): that waits for the whole disk, and what was volatile
 * is never mounted again. */
#include "image/layer.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/syscall.h>

enum { OPTIONS = 4095 }; /* what mount(2) takes: a page with its end */

bool overlay_privileged(void)
{
	unsigned inside = 1, outside = 1, count = 0;
	FILE *f = geteuid() == 0 ? fopen("/proc/self/uid_map", "re") : NULL;
	int n = f ? fscanf(f, "%u %u %u", &inside, &outside, &count) : 0;
	if (f)
		fclose(f);
	return n == 3 && inside == 0 && outside == 0 && count == UINT32_MAX;
}

/* One long text; NULL: it would be too long for mount(2). */
static char *options_text(const char *const *lower, size_t n, const struct overlay_top *top)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	if (!f)
		return NULL;
	fputs(overlay_privileged() ? "" : "userxattr,", f);
	for (size_t i = n; i-- > 0;) /* overlayfs begins with the highest */
		fprintf(f, "%s%s", i == n - 1 ? "lowerdir=" : ":", lower[i]);
	if (top)
		fprintf(f, "%s,upperdir=%s,workdir=%s", top->durable ? "" : ",volatile", top->upper,
			top->work);
	if (fclose(f) != 0 || len > OPTIONS) {
		free(text);
		return NULL;
	}
	return text;
}

static int config(int fs, unsigned cmd, const char *key, const char *value)
{
	return (int)syscall(SYS_fsconfig, fs, cmd, key, value, 0);
}

/* Many layers: one by one, as Linux 6.5 can. */
static int mount_many(const char *target, const char *const *lower, size_t n,
		      const struct overlay_top *top)
{
	autoclose int fs = (int)syscall(SYS_fsopen, "overlay", FSOPEN_CLOEXEC);
	int r = fs < 0 ? -1 : 0;
	if (r == 0 && !overlay_privileged())
		r = config(fs, FSCONFIG_SET_FLAG, "userxattr", NULL);
	for (size_t i = n; r == 0 && i-- > 0;)
		r = config(fs, FSCONFIG_SET_STRING, "lowerdir+", lower[i]);
	if (r == 0 && top && !top->durable)
		r = config(fs, FSCONFIG_SET_FLAG, "volatile", NULL);
	if (r == 0 && top)
		r = config(fs, FSCONFIG_SET_STRING, "upperdir", top->upper);
	if (r == 0 && top)
		r = config(fs, FSCONFIG_SET_STRING, "workdir", top->work);
	if (r == 0)
		r = config(fs, FSCONFIG_CMD_CREATE, NULL, NULL);
	autoclose int mnt = r == 0 ? (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0) : -1;
	if (mnt < 0)
		return -errno;
	if (syscall(SYS_move_mount, mnt, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return -errno;
	return 0;
}

int overlay_mount(int at, const char *target, const char *const *lower, size_t n,
		  const struct overlay_top *top, struct lodge_err *e)
{
	/* Short names, for there is little room for them. */
	autoclose int before = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (before < 0 || fchdir(at) < 0)
		return err_sys(e, "the folder of layers");
	autofree char *text = options_text(lower, n, top);
	int r = text ? (mount("overlay", target, "overlay", 0, text) < 0 ? -errno : 0)
		     : mount_many(target, lower, n, top);
	if (fchdir(before) < 0 && r == 0)
		r = -errno;
	return r < 0 ? err_set(e, -r, "overlayfs of %zu layers: %s", n, strerror(-r)) : 0;
}
