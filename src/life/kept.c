/* SPDX-License-Identifier: Apache-2.0 */
/* Folders of the user's cache for what a run can be spared by the one before: of this user alone,
 * of limited size, and written by a process beside the run, for that is confined. */
#include "life/life.h"
#include "host/host.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

bool life_kept_ours(int fd, unsigned type)
{
	struct stat st;
	return fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) == type && st.st_uid == geteuid() &&
	       !(st.st_mode & 077);
}

int life_kept_open(const char *name)
{
	autofree char *home = life_home("cache"), *path = NULL;
	if (!home || asprintf(&path, "%s/%s", home, name) < 0)
		return -1;
	if (file_make_folders(path, 0700, 0700, NULL) < 0)
		return -1;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 && !life_kept_ours(fd, S_IFDIR)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

void life_kept_trim(int dir, uint64_t max)
{
	for (;;) {
		char oldest[NAME_MAX + 1] = "";
		struct timespec when = {0};
		uint64_t sum = 0;
		int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
		struct stat st;
		for (const struct dirent *x; d && (x = readdir(d));) {
			if (fstatat(dir, x->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
			    !S_ISREG(st.st_mode))
				continue;
			sum += (uint64_t)st.st_size;
			if (*oldest && (st.st_mtim.tv_sec > when.tv_sec ||
					(st.st_mtim.tv_sec == when.tv_sec &&
					 st.st_mtim.tv_nsec >= when.tv_nsec)))
				continue;
			when = st.st_mtim;
			(void)snprintf(oldest, sizeof oldest, "%s", x->d_name);
		}
		if (d)
			closedir(d);
		if (sum <= max || !*oldest || unlinkat(dir, oldest, 0) < 0)
			return;
	}
}

bool life_kept_apart(const int *stay, size_t n)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = 0; fd < 3; fd++)
		if (null < 0 || dup2(null, fd) < 0)
			return false; /* who waits for these streams would wait for this process */
	host_fds_close(stay, n);
	setsid();
	umask(077);
	(void)!chdir("/");
	(void)!nice(10);
	return true;
}

int life_kept_wanted(const struct lodge_config *c, bool *ret, struct lodge_err *e)
{
	const char *cache = life_option(c, "cache");
	if (cache && strcmp(cache, "on") != 0 && strcmp(cache, "off") != 0)
		return err_set(e, EINVAL, "-o cache=%s: it is on or off", cache);
	*ret = !cache || !strcmp(cache, "on");
	return 0;
}
