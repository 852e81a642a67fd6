/* SPDX-License-Identifier: Apache-2.0 */
#include "image/source.h"
#include "test/test.h"
#include <fcntl.h>
#include <stdio.h>

TEST(paths_of_entries_stay_below)
{
	static const struct {
		const char *in, *out; /* NULL: refused */
	} rows[] = {
	    {"a/b", "a/b"}, {"./a//b/", "a/b"}, {"/a", "a"},        {"", ""},     {"/", ""},
	    {".", ""},      {"...", "..."},     {"a/..b", "a/..b"}, {"..", NULL}, {"a/../b", NULL},
	    {"/..", NULL},  {"a/..", NULL},     {"../a", NULL},
	};
	char path[PLACE_PATH];
	struct lodge_err e;
	for (size_t i = 0; i < countof(rows); i++) {
		int r = place_path(rows[i].in, path, &e);
		CHECK(rows[i].out ? r == 0 && !strcmp(path, rows[i].out) : r == -EPERM);
	}
	char longer[PLACE_PATH + 10];
	memset(longer, 'x', sizeof longer - 1);
	longer[sizeof longer - 1] = 0;
	CHECK(place_path(longer, path, &e) == -ENAMETOOLONG);
	for (size_t i = 1; i < sizeof longer - 1; i += 2)
		longer[i] = '/';
	CHECK(place_path(longer, path, &e) == -ENAMETOOLONG);
}

TEST(folders_of_entries_are_found_below_the_root_only)
{
	char home[] = "/tmp/lodge-test-XXXXXX";
	struct lodge_err e;
	CHECK(mkdtemp(home) != NULL);
	int at = open(home, O_RDONLY | O_DIRECTORY);
	CHECK(mkdirat(at, "root", 0755) == 0 && mkdirat(at, "out", 0755) == 0);
	int root = openat(at, "root", O_RDONLY | O_DIRECTORY);
	CHECK(mkdirat(root, "d", 0755) == 0 && symlinkat("d", root, "in") == 0);
	CHECK(symlinkat("../out", root, "up") == 0 && symlinkat(home, root, "abs") == 0);
	CHECK(symlinkat("loop", root, "loop") == 0);
	int fd = place_folder(root, "in/new/deep", true, &e);
	CHECK(fd >= 0 && faccessat(root, "d/new/deep", F_OK, 0) == 0);
	close(fd);
	CHECK(place_folder(root, "up/x", true, &e) == -EPERM && strstr(e.msg, "leaves the layer"));
	CHECK(place_folder(root, "abs", true, &e) == -EPERM);
	CHECK(place_folder(root, "abs/out", false, &e) == -EPERM);
	CHECK(place_folder(root, "loop/x", true, &e) == -ELOOP);
	CHECK(place_folder(root, "nothing", false, &e) == -ENOENT);
	CHECK(faccessat(at, "out/x", F_OK, 0) < 0);
	close(root);
	close(at);
	CHECK(file_remove_tree(AT_FDCWD, home, NULL) == 0);
}

/* A tar of @path below @from, then all of it to @to below @root. */
static int carried(int from, const char *path, int root, const char *to, struct lodge_err *e)
{
	char name[] = "/tmp/lodge-test-XXXXXX";
	int tar = mkstemp(name);
	const struct files_pack p = {.root = from, .path = path, .to = tar};
	struct files_unpack u = {.root = root, .path = to, .owner = FILES_OURS, .modes = 01777,
				 .from = tar};
	int r = files_pack(&p, e);
	if (r == 0 && lseek(tar, 0, SEEK_SET) == 0)
		r = files_unpack(&u, e);
	close(tar);
	unlink(name);
	return r;
}

TEST(files_go_where_docker_puts_them_and_no_link_leads_out)
{
	char home[] = "/tmp/lodge-test-XXXXXX";
	struct lodge_err e = {0};
	struct stat st;
	CHECK(mkdtemp(home) != NULL);
	int at = open(home, O_RDONLY | O_DIRECTORY);
	CHECK(mkdirat(at, "root", 0755) == 0 && mkdirat(at, "src", 0755) == 0);
	CHECK(mkdirat(at, "out", 0755) == 0 && mkdirat(at, "src/sub", 0700) == 0);
	int root = openat(at, "root", O_RDONLY | O_DIRECTORY);
	int src = openat(at, "src", O_RDONLY | O_DIRECTORY);
	CHECK(file_replace(src, "f", "data", 4, &e) == 0);
	CHECK(fchmodat(src, "f", 06640, 0) == 0 && symlinkat("../f", src, "sub/l") == 0);
	CHECK(symlinkat(home, root, "abs") == 0 && symlinkat("../..", root, "up") == 0);
	/* a new name, a folder, what is in a folder, through a link that seems to leave */
	CHECK(carried(at, "src", root, "/copy", &e) == 0);
	CHECK(fstatat(root, "copy/f", &st, 0) == 0 && st.st_mode == (S_IFREG | 0640));
	CHECK(fstatat(root, "copy/sub/l", &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode));
	CHECK(carried(at, "src", root, "copy", &e) == 0);
	CHECK(faccessat(root, "copy/src/f", F_OK, 0) == 0);
	CHECK(carried(at, "src/.", root, "/", &e) == 0);
	CHECK(faccessat(root, "f", F_OK, 0) == 0 && faccessat(root, "sub", F_OK, 0) == 0);
	CHECK(carried(at, "src/f", root, "up/up/g", &e) == 0);
	CHECK(faccessat(root, "g", F_OK, 0) == 0 && faccessat(at, "g", F_OK, 0) < 0);
	/* what is refused */
	CHECK(carried(at, "src/f", root, "abs/out/f", &e) == -ENOENT);
	CHECK(carried(at, "src/f", root, "none/", &e) == -ENOENT);
	CHECK(carried(at, "src/f", root, "f/", &e) == -ENOTDIR);
	CHECK(carried(at, "src", root, "f", &e) == -ENOTDIR);
	CHECK(carried(root, "abs/src/f", at, "x", &e) == -ENOENT);
	CHECK(faccessat(at, "out/f", F_OK, 0) < 0 && faccessat(at, "x", F_OK, 0) < 0);
	close(src);
	close(root);
	close(at);
	CHECK(file_remove_tree(AT_FDCWD, home, NULL) == 0);
}

TEST(headers_of_registries_are_taken_apart)
{
	char v[32];
	const char *h = "Bearer realm=\"https://a/b?c=d\",service=\"s,\\\"t\" , scope=x:y";
	CHECK(auth_param(h, "realm", v, sizeof v) && !strcmp(v, "https://a/b?c=d"));
	CHECK(auth_param(h, "Service", v, sizeof v) && !strcmp(v, "s,\"t"));
	CHECK(auth_param(h, "scope", v, sizeof v) && !strcmp(v, "x:y"));
	CHECK(!auth_param(h, "cope", v, sizeof v) && !auth_param("", "a", v, sizeof v));
	CHECK(!auth_param("Bearer realm=\"open", "service", v, sizeof v));
}

TEST(logins_are_those_of_the_longest_name)
{
	static const char text[] =
	    "{\"auths\":{\"h:5000\":{\"auth\":\"YTpi\"},\"h:5000/x\":{\"auth\":\"Yzpk\"},"
	    "\"https://q.example/v1/\":{\"username\":\"u\",\"password\":\"p\"},"
	    "\"bad\":{\"auth\":\"!\"},\"colonless\":{\"auth\":\"YQ==\"}}}";
	static const struct {
		const char *host, *name, *login;
	} rows[] = {{"h:5000", "y/z", "a:b"}, {"h:5000", "x/z", "c:d"},
		    {"h:5000", "xy", "a:b"},  {"q.example", "x/a", "u:p"},
		    {"bad", "a", NULL},       {"colonless", "a", NULL},
		    {"h", "5000", NULL}};
	for (size_t i = 0; i < countof(rows); i++) {
		autofree char *is = auth_search(text, sizeof text - 1, rows[i].host, rows[i].name);
		CHECK(rows[i].login ? is && !strcmp(is, rows[i].login) : !is);
	}
	CHECK(auth_search("{", 1, "h", "a") == NULL);
}
