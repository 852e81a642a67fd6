/* SPDX-License-Identifier: Apache-2.0 */
#include "box/internal.h"
#include "test/test.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

/* A root with links of all kinds, beside a folder that is not of it. */
static int root_new(char dir[64])
{
	snprintf(dir, 64, "/tmp/lodge-place-XXXXXX");
	assert_non_null(mkdtemp(dir));
	autoclose int top = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mkdirat(top, "root", 0755), 0);
	assert_int_equal(mkdirat(top, "out", 0755), 0);
	int root = openat(top, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(symlinkat("../../../../../../etc", root, "up"), 0);
	assert_int_equal(symlinkat("/made/below", root, "abs"), 0);
	assert_int_equal(symlinkat("loop", root, "loop"), 0);
	assert_int_equal(symlinkat("../out", root, "beside"), 0);
	return root;
}

static void root_free(int root, const char *dir)
{
	char command[96];
	close(root);
	snprintf(command, sizeof command, "rm -rf %s", dir);
	assert_int_equal(system(command), 0);
}

static bool is_same(int fd, int root, const char *path)
{
	struct stat a, b;
	return fd >= 0 && fstat(fd, &a) == 0 && fstatat(root, path, &b, 0) == 0 &&
	       a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

TEST(place_follows_links_within_the_root)
{
	char dir[64];
	int root = root_new(dir);
	static const struct {
		const char *path, *where;
		bool folder;
	} rows[] = {
	    {"/a/b/c", "a/b/c", true},      {"/a/file", "a/file", false},
	    {"/up/passwd", "etc/passwd", false}, {"/abs/x", "made/below/x", true},
	    {"/../../y", "y", true},        {"/beside/z", "out/z", false},
	    {"a//b/./c/../d", "a/b/d", true}, {"/", ".", true},
	};
	for (size_t i = 0; i < countof(rows); i++) {
		autoclose int fd = box_place_make(root, rows[i].path, rows[i].folder);
		struct stat st;
		CHECK(is_same(fd, root, rows[i].where));
		CHECK(fstat(fd, &st) == 0 && !!S_ISDIR(st.st_mode) == rows[i].folder);
		autoclose int again = box_place_open(root, rows[i].path, O_PATH);
		CHECK(is_same(again, root, rows[i].where));
	}
	struct stat st;
	CHECK(fstatat(root, "../out/z", &st, 0) < 0 && errno == ENOENT);
	CHECK(box_place_make(root, "/loop/x", true) < 0 && errno == ELOOP);
	CHECK(box_place_make(root, "/a/file/x", true) < 0 && errno == ENOTDIR);
	CHECK(box_place_open(root, "/none", O_PATH) < 0 && errno == ENOENT);
	root_free(root, dir);
}

TEST(options_are_sorted)
{
	const char *words[] = {"rbind,ro", "rnosuid", "rw", "noatime", "slave", "mode=755",
			       "lowerdir=/a\\,b"};
	const struct oci_mount m = {.destination = "/x", .options = {words, countof(words), true}};
	struct box_options o;
	const char *super;
	box_options_sort(&o, &m);
	CHECK(o.what == (OPTION_BIND | OPTION_RECURSIVE));
	CHECK(o.own.set == MOUNT_ATTR_NOATIME);
	CHECK(o.own.clear == (MOUNT_ATTR_RDONLY | MOUNT_ATTR__ATIME));
	CHECK(o.below.set == MOUNT_ATTR_NOSUID && !o.below.clear);
	CHECK(o.n_spread == 1 && o.spread[0].flag == MS_SLAVE && !o.spread[0].below);
	CHECK(!box_option_for_super("ro", &super) && !box_option_for_super("defaults", &super));
	CHECK(box_option_for_super("mode=755", &super) && !strcmp(super, "mode=755"));
	CHECK(box_option_for_super("sync", &super) && !strcmp(super, "sync"));
	struct box_option_walk w = {0};
	size_t n = 0;
	const char *last = "";
	for (const char *one; (one = box_option_next(&m.options, &w)); n++)
		last = one;
	CHECK(n == 8 && !strcmp(last, "lowerdir=/a\\,b"));
}

TEST(capabilities_have_names)
{
	CHECK(box_capability_find("CAP_CHOWN") == 0 && box_capability_find("sys_admin") == 21);
	CHECK(box_capability_find("CAP_CHECKPOINT_RESTORE") == 40);
	CHECK(box_capability_find("CAP_NONE") == -1 && !box_capability_at(41));
	const char *all[] = {"CAP_KILL", "CAP_NONE"};
	struct oci_capabilities c = {.bounding = {all, 2, true}};
	const struct oci_process p = {.capabilities = &c};
	struct box_rights r;
	box_rights_read(&r, &p);
	CHECK(r.bounding == 1u << 5 && !r.effective && r.last >= 40);
}
