/* SPDX-License-Identifier: Apache-2.0 */
#include "level/wasm/internal.h"
#include "test/test.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

static void file_make(int dir, const char *name, size_t len, time_t when)
{
	const struct timespec t[2] = {{when, 0}, {when, 0}};
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	CHECK(fd >= 0 && ftruncate(fd, (off_t)len) == 0 && futimens(fd, t) == 0);
	close(fd);
}

TEST(wasm_code_cache_forgets_what_was_not_used_for_longest)
{
	char path[] = "/tmp/lodge-code-XXXXXX";
	CHECK(mkdtemp(path));
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	file_make(dir, "second", 1000, 2000);
	file_make(dir, "first", 1000, 1000);
	file_make(dir, "third", 1000, 3000);
	life_kept_trim(dir, 3000);
	CHECK(faccessat(dir, "first", F_OK, 0) == 0);
	life_kept_trim(dir, 2999);
	CHECK(faccessat(dir, "first", F_OK, 0) < 0 && faccessat(dir, "second", F_OK, 0) == 0);
	life_kept_trim(dir, 1000);
	CHECK(faccessat(dir, "second", F_OK, 0) < 0 && faccessat(dir, "third", F_OK, 0) == 0);
	life_kept_trim(dir, 0);
	CHECK(faccessat(dir, "third", F_OK, 0) < 0);
	close(dir);
	CHECK(rmdir(path) == 0);
}
