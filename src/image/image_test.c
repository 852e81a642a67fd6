/* SPDX-License-Identifier: Apache-2.0 */
#include "image/image.h"
#include "test/test.h"
#include <stdio.h>

#define HEX64 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define SUM   "sha256:" HEX64

static bool ref_is(const char *text, const char *full)
{
	struct image_ref r;
	char said[REF_TEXT];
	if (ref_parse(&r, text, NULL) < 0)
		return false;
	ref_print(&r, said);
	return !strcmp(said, full);
}

TEST(names_have_defaults)
{
	CHECK(ref_is("alpine", "localhost/alpine:latest") && !ref_has_host("alpine"));
	CHECK(ref_is("alpine:3.19", "localhost/alpine:3.19") && !ref_has_host("alpine:3.19"));
	CHECK(ref_is("a/b", "localhost/a/b:latest") && !ref_has_host("a/b"));
	CHECK(ref_is("h.example/a", "h.example/a:latest") && ref_has_host("h.example/a"));
	CHECK(ref_is("localhost/a", "localhost/a:latest"));
	CHECK(ref_is("localhost:5000/a/b__c:V1.2_x", "localhost:5000/a/b__c:V1.2_x"));
	CHECK(ref_is("[::1]:5000/a", "[::1]:5000/a:latest"));
	CHECK(ref_is("q.example/a--b@" SUM, "q.example/a--b@" SUM));
	CHECK(ref_is("q.example/a:t@" SUM, "q.example/a:t@" SUM));
}

TEST(names_that_are_none_are_refused)
{
	static const char *const bad[] = {
	    "",
	    "A",
	    "a/",
	    "/a",
	    "a//b",
	    "a:",
	    "a:b:c",
	    "a@",
	    "a@sha256:12",
	    "-a",
	    "a-",
	    "a..b",
	    "a___b",
	    "a b",
	    "host:port/a",
	    "host:123456/a",
	    "-h.x/a",
	    "[::1/a",
	    "a:-t",
	    "../a",
	    "a/../b",
	    "a@md5:d41d8cd98f00b204e9800998ecf8427e",
	    "h.x/",
	    "a:t@" SUM "0",
	};
	struct image_ref r;
	struct lodge_err e;
	for (size_t i = 0; i < countof(bad); i++) {
		CHECK(ref_parse(&r, bad[i], &e) < 0);
		CHECK(strlen(e.msg) > 10);
	}
	char longer[2000];
	memset(longer, 'a', sizeof longer - 1);
	longer[sizeof longer - 1] = 0;
	CHECK(ref_parse(&r, longer, &e) == -ENAMETOOLONG);
	longer[300] = 0;
	CHECK(ref_parse(&r, longer, &e) == -ENAMETOOLONG);
}

TEST(sums_are_what_openssl_says)
{
	struct digest d;
	struct digest_sum s;
	CHECK(digest_of(&d, "", 0, NULL) == 0 && !strcmp(d.text, SUM));
	CHECK(digest_begin(&s, "sha512:whatever", NULL) == 0);
	digest_add(&s, "ab", 2);
	digest_add(&s, "c", 1);
	digest_end(&s, &d);
	CHECK(!strncmp(d.text, "sha512:ddaf35a193617aba", 23) && strlen(d.text) == 135);
	CHECK(digest_parse(&d, d.text, NULL) == 0);
	CHECK(digest_begin(&s, "md5", NULL) == -EINVAL);
	digest_drop(&s);
}

TEST(platforms_match_by_what_runs)
{
	struct platform p, v6, none;
	char text[100];
	CHECK(platform_parse(&p, "linux/arm/v7", NULL) == 0);
	CHECK(platform_parse(&v6, "linux/arm/v6", NULL) == 0);
	CHECK(platform_parse(&none, "arm", NULL) == 0);
	CHECK(platform_match(&p, &p) > platform_match(&p, &none));
	CHECK(platform_match(&p, &none) > platform_match(&p, &v6));
	CHECK(platform_match(&p, &v6) > 0 && platform_match(&v6, &p) == 0);
	CHECK(platform_parse(&p, "riscv64", NULL) == 0);
	platform_print(&p, text);
	CHECK(!strcmp(text, "linux/riscv64"));
	CHECK(platform_parse(&p, "x86_64", NULL) == 0 && !strcmp(p.arch, "amd64"));
	CHECK(platform_parse(&p, NULL, NULL) == 0 && p.arch[0]);
	CHECK(platform_parse(&p, "a/b/c/d", NULL) < 0);
	CHECK(platform_parse(&p, "a//", NULL) < 0);
	CHECK(platform_parse(&p, "", NULL) < 0);
	CHECK(platform_parse(&p, "linux/a\nb", NULL) < 0);
}

#define DESC(media, digest, size)                                                                  \
	"{\"mediaType\":\"" media "\",\"digest\":\"" digest "\",\"size\":" size "}"
#define OCI "application/vnd.oci.image."
#define MANIFEST(layer)                                                                            \
	"{\"schemaVersion\":2,\"config\":" DESC(OCI "config.v1+json", SUM,                         \
						"12") ",\"layers\":[" layer "]}"

TEST(manifests_say_where_they_are_wrong)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
	    {"", "x: damaged JSON: it ends too early at byte 0"},
	    {"{} {}", "x: damaged JSON: more text at byte 3"},
	    {"[]", "x: $: is no object"},
	    {"{\"schemaVersion\":1}",
	     "x: $.schemaVersion: 1 is not 2, the only one that Lodge reads"},
	    {"{\"schemaVersion\":2}", "x: $.config: is missing"},
	    {MANIFEST(DESC(OCI "layer.v1.tar", "sha256:12", "1")),
	     "x: $.layers[0].digest: 'sha256:12' is no digest: 64 digits of 0-9 and a-f follow "
	     "sha256:"},
	    {MANIFEST(DESC(OCI "layer.v1.tar", SUM, "1") "," DESC(OCI "layer.v1.tar", SUM, "-1")),
	     "x: $.layers[1].size: -1 is out of range"},
	    {MANIFEST(DESC("text/html", SUM, "1")),
	     "x: $.layers[0].mediaType: is no layer that Lodge reads (tar, with gzip, zstd or no "
	     "compression)"},
	    {MANIFEST("7"), "x: $.layers[0]: is no object"},
	};
	struct image_manifest m;
	struct lodge_err e;
	for (size_t i = 0; i < countof(bad); i++) {
		CHECK(image_manifest_parse(&m, "x", bad[i].text, strlen(bad[i].text), &e) < 0);
		CHECK(!strcmp(e.msg, bad[i].says));
	}
	const char *good = MANIFEST(DESC(OCI "layer.v1.tar+zstd", SUM, "99"));
	CHECK(image_manifest_parse(&m, "x", good, strlen(good), &e) == 0);
	CHECK(m.nlayers == 1 && m.layers[0].size == 99 && m.config.size == 12);
	CHECK(image_document(good, strlen(good)) == MEDIA_MANIFEST);
	image_manifest_fini(&m);
}

TEST(an_index_chooses_by_platform)
{
	static const char text[] =
	    "{\"schemaVersion\":2,\"manifests\":["
	    "{\"mediaType\":\"" OCI "manifest.v1+json\",\"digest\":\"" SUM "\",\"size\":1,"
	    "\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"}},"
	    "{\"mediaType\":\"" OCI "manifest.v1+json\",\"digest\":\"" SUM "\",\"size\":2,"
	    "\"platform\":{\"os\":\"linux\",\"architecture\":\"riscv64\"}}]}";
	struct image_index x = {0};
	const struct image_desc *d = NULL;
	struct platform p;
	struct lodge_err e;
	CHECK(image_document(text, sizeof text - 1) == MEDIA_INDEX);
	CHECK(image_index_parse(&x, "x", text, sizeof text - 1, &e) == 0 && x.n == 2);
	CHECK(platform_parse(&p, "linux/riscv64", NULL) == 0);
	CHECK(image_index_choose(&x, "x", &p, &d, &e) == 0 && d->size == 2);
	CHECK(platform_parse(&p, "linux/s390x", NULL) == 0);
	CHECK(image_index_choose(&x, "x", &p, &d, &e) == -ENOENT);
	CHECK(!strcmp(e.msg, "x: nothing for linux/s390x; it has linux/amd64, linux/riscv64 "
			     "(choose with --platform)"));
	image_index_fini(&x);
}

TEST(configurations_are_read_and_checked)
{
	static const char text[] =
	    "{\"os\":\"linux\",\"architecture\":\"amd64\",\"created\":\"2026-01-01T00:00:00Z\","
	    "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" SUM "\"]},"
	    "\"config\":{\"Entrypoint\":[\"/bin/e\"],\"Cmd\":null,\"Env\":[\"A=b\",\"C=\"],"
	    "\"WorkingDir\":\"/w\",\"User\":\"\",\"ExposedPorts\":{\"80/tcp\":{}},"
	    "\"Labels\":{\"k\":\"v\"},\"StopSignal\":\"SIGINT\","
	    "\"Healthcheck\":{\"Test\":[\"CMD\",\"x\"],\"Interval\":5000}}}";
	static const struct {
		const char *text, *says;
	} bad[] = {
	    {"{}", "x: $.os: is missing"},
	    {"{\"os\":\"linux\"}", "x: $.rootfs: is missing"},
	    {"{\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[1]}}",
	     "x: $.rootfs.diff_ids[0]: is no text"},
	    {"{\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]},\"config\":"
	     "{\"Env\":[\"A=1\",\"B\"]}}",
	     "x: $.config.Env[1]: 'B' is not NAME=VALUE"},
	    {"{\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]},\"config\":"
	     "{\"Cmd\":[\"a\\u0000b\"]}}",
	     "x: $.config.Cmd[0]: is no text, or too long, or has a zero byte"},
	};
	struct image_config c;
	struct lodge_err e;
	CHECK(image_config_parse(&c, "x", text, sizeof text - 1, &e) == 0);
	CHECK(c.entrypoint.n == 1 && c.cmd.n == 0 && c.env.n == 2 && c.ndiffs == 1);
	CHECK(!strcmp(c.cwd, "/w") && !c.user && !strcmp(c.labels.at[0], "k=v"));
	CHECK(!strcmp(c.ports.at[0], "80/tcp") && c.health.interval_ns == 5000);
	image_config_fini(&c);
	for (size_t i = 0; i < countof(bad); i++) {
		CHECK(image_config_parse(&c, "x", bad[i].text, strlen(bad[i].text), &e) < 0);
		CHECK(!strcmp(e.msg, bad[i].says));
	}
}
