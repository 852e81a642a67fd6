/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz the unpacking of layers: any bytes as a tar, over a folder that has links to another one.
 * Whatever is in it, the other one stays as it is. */
#include "image/layer.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

static int home = -1, before = -1;
static char home_path[] = "/dev/shm/lodge-fuzz-XXXXXX";

static void home_end(void)
{
	if (home >= 0 && file_remove_tree(AT_FDCWD, home_path, NULL) < 0)
		abort();
}

static void outside_make(void)
{
	if (!mkdtemp(home_path) || (home = open(home_path, O_RDONLY | O_DIRECTORY)) < 0)
		abort();
	before = open(".", O_PATH | O_DIRECTORY);
	atexit(home_end);
	if (mkdirat(home, "outside", 0750) < 0)
		abort();
	int fd = openat(home, "outside/victim", O_WRONLY | O_CREAT, 0640);
	if (fd < 0 || !host_pwrite(fd, "untouched", 9, 0))
		abort();
	close(fd);
}

static void outside_check(void)
{
	struct stat st;
	char text[16] = "";
	int fd = openat(home, "outside/victim", O_RDONLY);
	assert(fd >= 0 && read(fd, text, sizeof text) == 9 && !strcmp(text, "untouched"));
	assert(fstat(fd, &st) == 0 && st.st_nlink == 1 && (st.st_mode & 07777) == 0640);
	close(fd);
	assert(fstatat(home, "outside", &st, 0) == 0 && (st.st_mode & 07777) == 0750);
	fd = openat(home, "outside", O_RDONLY | O_DIRECTORY);
	int others = 0;
	DIR *d = fdopendir(fd);
	for (struct dirent *de; d && (de = readdir(d));)
		others += de->d_name[0] != '.' && strcmp(de->d_name, "victim");
	assert(!others);
	closedir(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len < 1 || len > 65536)
		return 0;
	if (home < 0)
		outside_make();
	if (mkdirat(home, "root", 0755) < 0 || mkdirat(home, "root/d", 0755) < 0 ||
	    symlinkat("../outside", home, "root/up") < 0 ||
	    symlinkat(home_path, home, "root/abs") < 0 || symlinkat("d", home, "root/in") < 0)
		abort();
	int root = openat(home, "root", O_RDONLY | O_DIRECTORY);
	int blob = memfd_create("blob", 0);
	if (root < 0 || blob < 0 || !host_pwrite(blob, data + 1, len - 1, 0))
		abort();
	/* without privilege: no devices of the host's are made */
	struct layer_job j = {.blob = blob,
			      .root = root,
			      .first = data[0] & 1,
			      .limits = {.bytes = 1 << 20, .entries = 1000}};
	struct lodge_err e = {0};
	if (layer_apply(&j, &e) < 0)
		assert(e.code && e.msg[0]);
	if (fchdir(before) < 0) /* it goes where it works */
		abort();
	close(blob);
	close(root);
	outside_check();
	if (file_remove_tree(home, "root", NULL) < 0)
		abort();
	return 0;
}
