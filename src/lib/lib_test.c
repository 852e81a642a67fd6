/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/lib.h"
#include "test/test.h"
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <sys/stat.h>

static void put_file(const char *dir, const char *name, const char *text)
{
	char path[256];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	FILE *f = fopen(path, "w");
	CHECK(f != NULL);
	CHECK(fputs(text, f) >= 0 && fclose(f) == 0);
}

static void home_begin(char *home)
{
	char dir[64];
	strcpy(home, "/tmp/lodge-test-XXXXXX");
	CHECK(mkdtemp(home) != NULL);
	setenv("XDG_DATA_HOME", home, 1);
	setenv("XDG_RUNTIME_DIR", home, 1);
	setenv("XDG_CACHE_HOME", home, 1);
	setenv("XDG_CONFIG_HOME", home, 1);
	snprintf(dir, sizeof dir, "%s/lodge", home);
	CHECK(mkdir(dir, 0700) == 0);
}

static void home_end(const char *home) { CHECK(life_remove_tree(home, NULL) == 0); }

TEST(lib_settings_environment_before_file)
{
	char home[32], buf[16];
	struct lodge_err e;
	home_begin(home);
	put_file(home, "lodge/config", "# c\n\n memory = 1G # mine\ncpus=2\nnet = a#b\n");
	CHECK(lodge_setting("memory", buf, sizeof buf, &e) == 1 && !strcmp(buf, "1G"));
	CHECK(lodge_setting("net", buf, sizeof buf, &e) == 1 && !strcmp(buf, "a#b"));
	CHECK(lodge_setting("absent-key", buf, sizeof buf, &e) == 0);
	setenv("LODGE_MEMORY", "2G", 1);
	CHECK(lodge_setting("memory", buf, sizeof buf, &e) == 1 && !strcmp(buf, "2G"));
	setenv("LODGE_MEMORY", "0123456789abcdef", 1);
	CHECK(lodge_setting("memory", buf, sizeof buf, &e) == -EINVAL);
	unsetenv("LODGE_MEMORY");
	put_file(home, "lodge/config", "cpus=2\nthis is no setting\n");
	CHECK(lodge_setting("cpus", buf, sizeof buf, &e) == 1);
	CHECK(lodge_setting("memory", buf, sizeof buf, &e) == -EINVAL && strstr(e.msg, "config:2"));
	home_end(home);
}

TEST(lib_settings_of_many_keys_at_once)
{
	static const char *const keys[] = {"memory", "absent-key", "cpus", "net"};
	char home[32], *v[4];
	struct lodge_err e;
	home_begin(home);
	put_file(home, "lodge/config", "cpus=2\nmemory = 1G\nmemory = 3G\n\nabsent-key\n");
	setenv("LODGE_NET", "none", 1);
	/* not as far as line 5 */
	CHECK(lodge_settings(keys, 1, v, &e) == 0 && !strcmp(v[0], "1G"));
	free(v[0]);
	CHECK(lodge_settings(keys, 4, v, &e) == -EINVAL && strstr(e.msg, "config:5"));
	CHECK(!v[0] && !v[1] && !v[2] && !v[3]);
	put_file(home, "lodge/config", "cpus=2\nmemory = 1G\nmemory = 3G\nnet = user\n");
	CHECK(lodge_settings(keys, 4, v, &e) == 0);
	CHECK(!strcmp(v[0], "1G") && !v[1] && !strcmp(v[2], "2") && !strcmp(v[3], "none"));
	for (int i = 0; i < 4; i++)
		free(v[i]);
	unsetenv("LODGE_NET");
	home_end(home);
}

TEST(lib_images_have_short_names)
{
	const struct image *d = image_find("debian"), *s = image_find("debian-small");
	CHECK(d && s && d != s && d == image_find("debian:13") &&
	      d == image_find("debian:13/riscv64"));
	CHECK(s == image_find("debian-small:13/riscv64"));
	CHECK(!image_find("deb") && !image_find("") && !image_find("debian:1"));
	CHECK(!image_find("debian:13/riscv64/x") && !image_find("demo"));
}

TEST(lib_images_share_files)
{
	char home[32], dir[96];
	struct stat st;
	home_begin(home);
	snprintf(dir, sizeof dir, "%s/lodge/debian-13-riscv64", home);
	CHECK(mkdir(dir, 0700) == 0 && lodge_image_state("debian") == 0);
	put_file(dir, "kernel", "k");
	put_file(dir, "initrd-small", "i");
	put_file(dir, "initrd-root", "i");
	put_file(dir, "kernel.info", "v");
	CHECK(lodge_image_state("debian-small") == 1 && lodge_image_state("debian") == 0);
	put_file(dir, "disk.raw", "d");
	CHECK(lodge_image_state("debian") == 1 && lodge_image_state("nothing") == -ENOENT);
	CHECK(lodge_image_remove("debian-small", NULL) == -EBUSY);
	CHECK(lodge_image_remove("debian", NULL) == 0 && lodge_image_state("debian-small") == 1);
	CHECK(lodge_image_remove("debian-small", NULL) == 0 && stat(dir, &st) < 0);
	CHECK(lodge_image_remove("debian-small", NULL) == -ENOENT);
	home_end(home);
}

TEST(lib_copies_keep_holes)
{
	char home[32], from[64];
	struct stat a, b;
	home_begin(home);
	snprintf(from, sizeof from, "%s/from", home);
	autoclose int fd = open(from, O_RDWR | O_CREAT, 0600);
	autoclose int dir = open(home, O_RDONLY | O_DIRECTORY);
	CHECK(ftruncate(fd, 64 << 20) == 0 && pwrite(fd, "middle", 6, 32 << 20) == 6);
	CHECK(copy_sparse(from, dir, "to", 96 << 20, NULL) == 0);
	CHECK(fstat(fd, &a) == 0 && fstatat(dir, "to", &b, 0) == 0);
	CHECK(b.st_size == 96 << 20 && b.st_blocks <= a.st_blocks + 64);
	char buf[6];
	autoclose int to = openat(dir, "to", O_RDONLY);
	CHECK(pread(to, buf, 6, 32 << 20) == 6 && !memcmp(buf, "middle", 6));
	CHECK(copy_sparse(from, dir, "to", 0, NULL) == -EEXIST);
	home_end(home);
}

TEST(lib_an_image_becomes_kernel_initrd_and_a_disk_of_its_own)
{
	char home[32], dir[96];
	struct instance *i = NULL;
	struct json_object *o = NULL, *v = NULL;
	const char *argv[] = {"echo", "it's"}, *env[] = {"A=b"}, *vol[] = {"/tmp:/mnt:ro"};
	struct lodge_config c = {.size = sizeof c,
				 .guest = "debian-small",
				 .argv = argv,
				 .argc = 2,
				 .env = env,
				 .nenv = 1,
				 .volumes = vol,
				 .nvolumes = 1,
				 .append = "quiet"};
	home_begin(home);
	snprintf(dir, sizeof dir, "%s/lodge/debian-13-riscv64", home);
	CHECK(instance_new(&i, "x", NULL) == 0);
	CHECK(prepare_config(i, &c, &o, NULL) == -ENOENT); /* not in the cache */
	CHECK(mkdir(dir, 0700) == 0);
	put_file(dir, "kernel", "k");
	put_file(dir, "initrd-small", "i");
	put_file(dir, "initrd-root", "i");
	put_file(dir, "kernel.info", "v");
	put_file(dir, "disk.raw", "disk");
	CHECK(prepare_config(i, &c, &o, NULL) == 0);
	CHECK(json_object_object_get_ex(o, "append", &v));
	/* 'echo' 'it'\''s' in base64 */
	CHECK(strstr(json_object_get_string(v), "lodge.run64=J2VjaG8nICdpdCdcJydzJw==") != NULL);
	CHECK(strstr(json_object_get_string(v), "lodge.env=A=b") != NULL);
	CHECK(strstr(json_object_get_string(v), "lodge.mount=lodge0:/mnt:ro") != NULL);
	json_object_put(o);
	c = (struct lodge_config){.size = sizeof c, .guest = "debian"};
	CHECK(prepare_config(i, &c, &o, NULL) == 0 && json_object_object_get_ex(o, "disks", &v));
	CHECK(strstr(json_object_to_json_string(v), "root.raw,format=raw") != NULL);
	json_object_put(o);
	instance_free(i);
	home_end(home);
}

TEST(lib_refuses_before_it_makes)
{
	char home[32], *json = NULL;
	struct json_object *names = NULL;
	const char *argv[] = {"x"};
	struct lodge_guest *g = NULL;
	struct lodge_err e;
	struct lodge_config c = {.size = sizeof c, .guest = "/dev/null/none"};
	home_begin(home);
	CHECK(lodge_create(&g, &c, &e) == -ENOENT && strstr(e.msg, "neither"));
	c.guest = "demo";
	c.argv = argv;
	c.argc = 1;
	CHECK(lodge_create(&g, &c, &e) == -EINVAL && strstr(e.msg, "no arguments"));
	c.argc = 0;
	c.size = 8;
	CHECK(lodge_create(&g, &c, &e) == -EINVAL);
	CHECK(lodge_list(&json, &e) == 0); /* what engines of the host run may be there, too */
	CHECK(!strstr(json, "\"demo\"") && !strstr(json, "/dev/null/none"));
	lodge_free(json);
	CHECK(instance_names(&names, &e) == 0 && json_object_array_length(names) == 0);
	json_object_put(names);
	home_end(home);
}

TEST(lib_tail_keeps_the_end)
{
	struct tail t = {.len = 0};
	for (int i = 0; i < 1000; i++)
		tail_add(&t, "0123456789", 10);
	tail_add(&t, "END", 3);
	CHECK(strlen(t.text) == sizeof t.text - 1 && !strcmp(t.text + sizeof t.text - 4, "END"));
}

/* Make the snapshot @name of @g, with this configuration. */
static void shot_put(const struct lodge_guest *g, const char *name, const char *config)
{
	char path[512];
	snprintf(path, sizeof path, "%s/snapshots", g->inst->dir);
	CHECK(mkdir(path, 0700) == 0 || errno == EEXIST);
	snprintf(path, sizeof path, "%s/snapshots/%s", g->inst->dir, name);
	CHECK(mkdir(path, 0700) == 0 || errno == EEXIST);
	snprintf(path, sizeof path, "snapshots/%s/config.json", name);
	int fd = openat(g->inst->dirfd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	CHECK(fd >= 0 && write(fd, config, strlen(config)) == (ssize_t)strlen(config));
	close(fd);
}

static bool has(const struct lodge_guest *g, const char *name)
{
	return faccessat(g->inst->dirfd, name, F_OK, 0) == 0;
}

/* A disk's file goes when no snapshot needs it, and none may that cannot be asked. */
TEST(lib_a_removed_snapshot_takes_only_its_own_overlays)
{
	static const char *const files[] = { "disk0.00000001.overlay", "disk0.00000002.overlay",
		                             "disk0.1.overlay.bak" };
	char home[32];
	struct lodge_guest *g = NULL;
	struct lodge_config c = { .size = sizeof c, .guest = "demo", .name = "x" };
	home_begin(home);
	CHECK(lodge_create(&g, &c, NULL) == 0);
	for (size_t i = 0; i < countof(files); i++) {
		int fd = openat(g->inst->dirfd, files[i], O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		CHECK(fd >= 0);
		close(fd);
	}
	shot_put(g, "one", "{\"disk_files\":[\"/x/disk0.00000001.overlay\"]}");
	shot_put(g, "two", "{\"disk_files\":[\"/x/disk0.00000002.overlay\"");
	shot_put(g, "three", "{}");
	CHECK(lodge_snapshot_remove(g, "three", NULL) == 0);
	CHECK(has(g, files[0]) && has(g, files[1])); /* two is damaged, but says so */
	CHECK(lodge_snapshot_remove(g, "one", NULL) == 0);
	CHECK(!has(g, files[0]) && has(g, files[1]) && has(g, files[2]));
	CHECK(unlinkat(g->inst->dirfd, "snapshots/two/config.json", 0) == 0);
	CHECK(mkdirat(g->inst->dirfd, "snapshots/two/config.json", 0700) == 0);
	shot_put(g, "four", "{}");
	CHECK(lodge_snapshot_remove(g, "four", NULL) == 0);
	CHECK(has(g, files[1])); /* it cannot be read: it may need it */
	CHECK(lodge_snapshot_remove(g, "none", NULL) == -ENOENT);
	lodge_close(g);
	home_end(home);
}

TEST(a_program_in_a_machine_of_its_own_is_known_as_one)
{
	struct lodge_config c = {
	    .size = sizeof c, .level = "machine", .root = "/tmp", .guest = "sh"};
	struct lodge_guest *g = NULL;
	struct lodge_err e;
	CHECK(lodge_has_first(&c) == 1);
	CHECK(!strcmp(lodge_image_needed(&c), "debian-small:13/riscv64"));
	c.kernel = "/dev/null";
	CHECK(lodge_image_needed(&c) == NULL);
	c.kernel = NULL;
	c.guest = NULL;
	CHECK(lodge_create(&g, &c, &e) == -EINVAL && strstr(e.msg, "name a program"));
	c.guest = "sh";
	c.root = "/dev/null";
	CHECK(lodge_create(&g, &c, &e) == -ENOTDIR);
	c.root = "/tmp";
	c.firmware = "/dev/null";
	CHECK(lodge_create(&g, &c, &e) == -EINVAL);
	/* its options are nothing to others */
	c = (struct lodge_config){.size = sizeof c, .guest = "demo", .user = "7"};
	CHECK(lodge_has_first(&c) == 0 && lodge_create(&g, &c, &e) == -EINVAL);
	c.user = NULL;
	c.flags = LODGE_READONLY;
	CHECK(lodge_create(&g, &c, &e) == -EINVAL && strstr(e.msg, "--read-only"));
}

TEST(lib_options_are_refused_by_levels_that_do_not_know_them)
{
	const struct level *machine = level_named("machine"), *container = level_named("container");
	const char *caps[] = {"cap-add=all"}, *unknown[] = {"vlen=128", "no-such=1"};
	struct lodge_config c = {.size = sizeof c, .guest = "x", .options = caps, .noptions = 1};
	struct lodge_err e;
	CHECK(level_fits(container, &c, &e) == 0);
	CHECK(level_fits(machine, &c, &e) == -EINVAL && strstr(e.msg, "--cap-add is for") &&
	      strstr(e.msg, "level container; x is of the level machine"));
	c.options = unknown;
	c.noptions = 2;
	CHECK(level_fits(machine, &c, &e) == -EINVAL && strstr(e.msg, "-o no-such=1") &&
	      strstr(e.msg, "theirs: hostname, cgroup, vlen"));
	c.noptions = 0;
	c.user = "1"; /* of a program in a machine of its own, not of a machine */
	CHECK(level_fits(machine, &c, &e) == -EINVAL && level_fits(container, &c, &e) == 0);
	c.root = "/";
	CHECK(level_fits(machine, &c, &e) == 0 && level_fits(container, &c, &e) == -EINVAL);
	CHECK(level_takes(machine, &c, "bus") && !level_takes(container, &c, "bus"));
	CHECK(level_takes(container, &c, "no-option-of-any-table"));
}

TEST(lib_times_of_a_monitor_are_those_of_its_zone)
{
	CHECK(monitor_time("1970-01-01T00:00:01.5+00:00 stdout F x") == 1500000000);
	CHECK(monitor_time("1970-01-01T02:00:01.000000001+02:00 x") == 1000000001);
	CHECK(monitor_time("1969-12-31T23:00:01-01:00") == 1000000000);
	CHECK(monitor_time("1970-01-01T00:00:02Z") == 2000000000);
	CHECK(monitor_time("1970-01-01T00:00:01.1234567891234+00:00") == 1123456789);
	CHECK(monitor_time("") == 0 && monitor_time("yesterday") == 0);
	CHECK(monitor_time("1970-01-01T00:00:01+x") == 0);
}
