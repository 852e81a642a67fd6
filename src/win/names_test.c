/* SPDX-License-Identifier: Apache-2.0 */
#include "win/internal.h"

#include "test/test.h"
#include <fcntl.h>
#include <linux/magic.h>
#include <locale.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>

static bool lacks(const char *folder, const char *name)
{
	struct stat st;
	return stat(folder, &st) == 0 && names_lack(folder, &st, name);
}

/* The folder is watched from here on: certainly if the host's file system is one of these. */
static bool watched(const char *folder)
{
	struct statfs s;
	bool is = false;
	for (int i = 0; i < 8 && !is; i++)
		is = lacks(folder, "what nobody makes");
	CHECK(statfs(folder, &s) == 0);
	CHECK(is || (s.f_type != TMPFS_MAGIC && s.f_type != EXT4_SUPER_MAGIC));
	return is;
}

/* Somebody takes it away while it is still looked at. */
TEST(win_names_of_a_folder_that_is_gone)
{
	char at[] = "/tmp/lodge-names-XXXXXX", here[60];
	struct stat st;
	CHECK(mkdtemp(at));
	int fd = open(at, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(fd >= 0 && fstat(fd, &st) == 0 && rmdir(at) == 0);
	snprintf(here, sizeof here, "/proc/self/fd/%d", fd);
	for (int i = 0; i < 8; i++)
		(void)names_lack(here, &st, "x"); /* nothing to be read, no crash */
	CHECK(!names_lack(here, &st, "x"));
	close(fd);
}

static void made(const char *folder, const char *name)
{
	char path[200];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	CHECK(fd >= 0);
	close(fd);
}

static void gone(const char *folder, const char *name)
{
	char path[200];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	CHECK(remove(path) == 0);
}

static void moved(const char *folder, const char *from, const char *to)
{
	char a[200], b[200];
	snprintf(a, sizeof a, "%s/%s", folder, from);
	snprintf(b, sizeof b, "%s/%s", folder, to);
	CHECK(rename(a, b) == 0);
}

TEST(win_names_that_a_folder_lacks)
{
	char at[] = "/tmp/lodge-names-XXXXXX", other[40];
	(void)!setlocale(LC_CTYPE, "C.UTF-8");
	CHECK(mkdtemp(at));
	made(at, "First.TXT");
	CHECK(!lacks(at, "first.txt") && !lacks(at, "none")); /* it has not been read so often */
	if (!watched(at)) { /* a file system that is not told of */
		gone(at, "First.TXT");
		CHECK(rmdir(at) == 0);
		return;
	}
	CHECK(!lacks(at, "first.txt") && !lacks(at, "First.TXT") && lacks(at, "first.tx"));
	made(at, "\xc3\x84pfel");
	CHECK(!lacks(at, "\xc3\xa4PFEL") && lacks(at, "apfel"));
	gone(at, "First.TXT");
	CHECK(lacks(at, "first.txt") && lacks(at, "First.TXT"));
	made(at, "x");
	made(at, "X");
	gone(at, "x");
	CHECK(!lacks(at, "x"));
	moved(at, "X", "y");
	CHECK(lacks(at, "x") && !lacks(at, "Y"));
	made(at, "z");
	moved(at, "z", "y"); /* over what is there */
	gone(at, "y");
	CHECK(lacks(at, "z")); /* of y nothing is known now, and so it is looked for */
	gone(at, "\xc3\x84pfel");
	/* another folder in its place */
	snprintf(other, sizeof other, "%s.old", at);
	CHECK(rename(at, other) == 0 && mkdir(at, 0700) == 0);
	made(at, "New");
	CHECK(!lacks(at, "new"));
	made(other, "Old");
	CHECK(!lacks(other, "old"));
	gone(at, "New");
	gone(other, "Old");
	CHECK(watched(at) && watched(other));
	CHECK(rmdir(at) == 0 && mkdir(at, 0700) == 0);
	made(at, "Again");
	CHECK(!lacks(at, "again"));
	gone(at, "Again");
	CHECK(rmdir(at) == 0 && rmdir(other) == 0);
}

TEST(win_names_that_others_make)
{
	char at[] = "/tmp/lodge-names-XXXXXX", name[32];
	CHECK(mkdtemp(at));
	bool is = watched(at);
	for (int i = 0; i < 200; i++) { /* more than the table has room for at first */
		snprintf(name, sizeof name, "File%d", i);
		pid_t pid = i % 20 ? -1 : fork();
		if (pid <= 0)
			made(at, name);
		if (pid == 0)
			_exit(0);
		CHECK(pid < 0 || waitpid(pid, NULL, 0) == pid);
		snprintf(name, sizeof name, "fILE%d", i);
		CHECK(!lacks(at, name));
	}
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof name, "File%d", i);
		gone(at, name);
		CHECK(lacks(at, name) == is);
	}
	CHECK(rmdir(at) == 0);
}

TEST(win_names_of_more_folders_than_are_watched)
{
	char at[] = "/tmp/lodge-names-XXXXXX", folder[80];
	CHECK(mkdtemp(at));
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < 40; i++) {
			snprintf(folder, sizeof folder, "%s/%d", at, i);
			CHECK(round || mkdir(folder, 0700) == 0);
			(void)watched(folder);
			made(folder, "Name");
			CHECK(!lacks(folder, "NAME"));
			gone(folder, "Name");
			CHECK(!round || rmdir(folder) == 0);
		}
	CHECK(rmdir(at) == 0);
}

/* What was asked for in another case need not be looked for again, while it is there. */
TEST(win_names_as_they_are_written)
{
	char at[] = "/tmp/lodge-names-XXXXXX", name[] = "FIRST.txt";
	struct stat st;
	CHECK(mkdtemp(at) && stat(at, &st) == 0);
	made(at, "First.TXT");
	CHECK(!names_spelled(at, &st, name));
	names_spelling(&st, "FIRST.txt", "First.TXT");
	CHECK(names_spelled(at, &st, name) && !strcmp(name, "First.TXT"));
	strcpy(name, "first.txt"); /* which nobody has asked for yet */
	CHECK(!names_spelled(at, &st, name) && !strcmp(name, "first.txt"));
	moved(at, "First.TXT", "first.TXT");
	strcpy(name, "FIRST.txt");
	CHECK(!names_spelled(at, &st, name));
	names_spelling(&st, "FIRST.txt", "first.TXT");
	CHECK(names_spelled(at, &st, name) && !strcmp(name, "first.TXT"));
	gone(at, "first.TXT");
	strcpy(name, "FIRST.txt");
	CHECK(!names_spelled(at, &st, name));
	st.st_ino++; /* another folder */
	CHECK(!names_spelled(at, &st, name));
	CHECK(rmdir(at) == 0);
}
