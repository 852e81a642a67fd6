/* SPDX-License-Identifier: Apache-2.0 */
#include "life/internal.h"
#include "test/test.h"

static bool size_is(const char *text, uint64_t want)
{
	uint64_t v = 0;
	return life_parse_size(text, &v, NULL) == 0 && v == want;
}

static bool size_bad(const char *text)
{
	uint64_t v;
	return life_parse_size(text, &v, NULL) == -EINVAL;
}

TEST(config_sizes_as_people_write_them)
{
	CHECK(size_is("0", 0) && size_is("512", 512) && size_is("512M", 512u << 20));
	CHECK(size_is("8G", 8ull << 30) && size_is("64k", 65536) && size_is("64KiB", 65536));
	CHECK(size_is("1.5G", 3ull << 29) && size_is("2T", 2ull << 40) && size_is("10B", 10));
	CHECK(size_bad("") && size_bad("G") && size_bad("-1") && size_bad("1X") && size_bad("1.5"));
	CHECK(size_bad("1 G") && size_bad("99999999999999999999") && size_bad("9999999P"));
}

TEST(config_times_as_people_write_them)
{
	uint64_t v = 0;
	CHECK(life_parse_time("90", &v, NULL) == 0 && v == 90000000000);
	CHECK(life_parse_time("1h30m", &v, NULL) == 0 && v == 5400000000000);
	CHECK(life_parse_time("500ms", &v, NULL) == 0 && v == 500000000);
	CHECK(life_parse_time("0.5s", &v, NULL) == 0 && v == 500000000);
	CHECK(life_parse_time("", &v, NULL) < 0 && life_parse_time("5x", &v, NULL) < 0);
	CHECK(life_parse_time("5 s", &v, NULL) < 0 && life_parse_time("h", &v, NULL) < 0);
	CHECK(life_parse_time("99999999999999h", &v, NULL) < 0);
}

TEST(config_names)
{
	char longest[LIFE_NAME_MAX + 2];
	memset(longest, 'a', sizeof longest - 1);
	longest[sizeof longest - 1] = 0;
	CHECK(life_name_good("a") && life_name_good("Web-1.x_y") && life_name_good("0"));
	CHECK(!life_name_good("") && !life_name_good(".x") && !life_name_good("-x"));
	CHECK(!life_name_good("..") && !life_name_good("a/b") && !life_name_good("a b"));
	CHECK(!life_name_good(longest) && life_name_good(longest + 1));
}

TEST(config_disk_specs)
{
	struct life_disk d;
	struct lodge_err e;
	CHECK(life_disk_parse(&d, "x.img,format=qcow2,ro,bus=pci,overlay=y", &e) == 0);
	CHECK(!strcmp(d.path, "x.img") && !strcmp(d.format, "qcow2") && d.readonly);
	CHECK(!strcmp(d.bus, "pci") && !strcmp(d.overlay, "y") && d.size == 0);
	life_disk_fini(&d);
	CHECK(life_disk_parse(&d, "4G", &e) == 0 && !d.path && d.size == 4ull << 30);
	life_disk_fini(&d);
	CHECK(life_disk_parse(&d, "", &e) == -EINVAL);
	CHECK(life_disk_parse(&d, "x,format=vmdk", &e) == -EINVAL &&
	      strstr(e.msg, "raw, qcow2 and overlay"));
	CHECK(life_disk_parse(&d, "x,bus=usb", &e) == -EINVAL);
	CHECK(life_disk_parse(&d, "x,nonsense", &e) == -EINVAL && strstr(e.msg, "nonsense"));
	CHECK(life_disk_parse(&d, "100", &e) == -EINVAL && strstr(e.msg, "sectors"));
}

TEST(config_volume_specs)
{
	struct life_volume v;
	CHECK(life_volume_parse(&v, "/tmp:/mnt:ro", NULL) == 0 && v.readonly);
	CHECK(!strcmp(v.source, "/tmp") && !strcmp(v.target, "/mnt"));
	life_volume_fini(&v);
	CHECK(life_volume_parse(&v, "./rel:/mnt", NULL) == 0 && !v.readonly);
	CHECK(!strcmp(v.source, "./rel") && !life_volume_kept(v.source));
	life_volume_fini(&v);
	CHECK(life_volume_parse(&v, "rel:/mnt", NULL) == 0 && life_volume_kept(v.source));
	CHECK(strstr(v.source, "/lodge/volumes/rel/data"));
	life_volume_fini(&v);
	CHECK(life_volume_parse(&v, "/tmp", NULL) < 0 &&
	      life_volume_parse(&v, "/tmp:mnt", NULL) < 0);
	CHECK(life_volume_parse(&v, ":/mnt", NULL) < 0);
	CHECK(life_volume_parse(&v, "/tmp:/mnt:rx", NULL) < 0);
}

static int check_publish(const char *spec)
{
	struct lodge_config c = {.size = sizeof c, .guest = "demo"};
	c.publish = &spec;
	c.npublish = 1;
	return life_config_check(&c, NULL);
}

TEST(config_is_checked_in_one_place)
{
	struct lodge_err e;
	struct lodge_config c = {.size = sizeof c};
	CHECK(life_config_check(&c, &e) == -EINVAL && strstr(e.msg, "nothing to run"));
	c.guest = "demo";
	CHECK(life_config_check(&c, &e) == 0);
	c.memory = 4097;
	CHECK(life_config_check(&c, &e) == -EINVAL && strstr(e.msg, "--memory"));
	c.memory = 64 << 20;
	c.accel = "warp";
	CHECK(life_config_check(&c, &e) == -EINVAL && strstr(e.msg, "interpret"));
	c.accel = "interpret";
	c.kernel = "/does/not/exist";
	CHECK(life_config_check(&c, &e) == -ENOENT && strstr(e.msg, "/does/not/exist"));
	CHECK(check_publish("8080:80") == 0 && check_publish("0.0.0.0:53:53/udp") == 0);
	CHECK(check_publish("80") < 0 && check_publish("0:80") < 0 && check_publish("1:70000") < 0);
	CHECK(check_publish("a:b") < 0 && check_publish("1:2/sctp") < 0 && check_publish("") < 0);
}

TEST(config_survives_json)
{
	const char *disks[] = {"/dev/null,ro"}, *env[] = {"A=b", "C="}, *argv[] = {"x", "y z"};
	const char *labels[] = {"a=b", "c"};
	struct lodge_config c = {.size = sizeof c,
				 .guest = "demo",
				 .name = "n",
				 .memory = 1ull << 33,
				 .cpus = 4,
				 .flags = LODGE_RM,
				 .disks = disks,
				 .ndisks = 1,
				 .env = env,
				 .nenv = 2,
				 .argv = argv,
				 .argc = 2,
				 .kernel = "rel",
				 .user = "7:8,9",
				 .labels = labels,
				 .nlabels = 2,
				 .timeout_ns = 5};
	struct life_config *lc = NULL;
	CHECK(life_config_load(&lc, life_config_json(&c), NULL) == 0);
	CHECK(!strcmp(lc->c.guest, "demo") && !strcmp(lc->c.name, "n") &&
	      lc->c.memory == 1ull << 33);
	CHECK(lc->c.cpus == 4 && lc->c.flags == LODGE_RM && lc->c.timeout_ns == 5);
	CHECK(lc->c.nenv == 2 && !strcmp(lc->c.env[1], "C=") && lc->c.argc == 2);
	CHECK(!strcmp(lc->c.argv[1], "y z") && !strcmp(lc->c.disks[0], "/dev/null,ro"));
	CHECK(!strcmp(lc->c.user, "7:8,9") && !lc->c.root);
	CHECK(lc->c.nlabels == 2 && !strcmp(lc->c.labels[0], "a=b"));
	CHECK(lc->c.kernel[0] == '/' && !lc->c.append && lc->c.nvolumes == 0);
	life_config_free(lc);
}

static int load_text(const char *text)
{
	struct json_object *o = NULL;
	struct life_config *lc = NULL;
	int r = json_parse(&o, text, strlen(text), NULL);
	if (r == 0)
		r = life_config_load(&lc, o, NULL);
	if (r == 0)
		life_config_free(lc);
	return r;
}

TEST(config_damaged_json_is_refused)
{
	CHECK(load_text("{\"guest\":\"demo\"}") == 0);
	CHECK(load_text("") < 0 && load_text("{") < 0 && load_text("[]") < 0 &&
	      load_text("null") < 0);
	CHECK(load_text("{\"guest\":1}") < 0 && load_text("{\"memory\":-1}") < 0);
	CHECK(load_text("{\"cpus\":99999999999}") < 0 && load_text("{\"disks\":[1]}") < 0);
	CHECK(load_text("{\"disks\":{}}") < 0 && load_text("{\"guest\":\"a\\u0000b\"}") < 0);
	CHECK(load_text("{\"guest\":\"x\"} trailing") < 0);
}
