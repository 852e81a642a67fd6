/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/oci.h"
#include "test/test.h"
#include <stdio.h>

static int spec_read(struct oci_doc *d, const char *text, struct lodge_err *e)
{
	return oci_spec_read(d, text, strlen(text), e);
}

TEST(oci_reads_its_default)
{
	for (int rootless = 0; rootless < 2; rootless++) {
		struct oci_doc d = {0};
		struct lodge_err e = {0};
		autofree char *text = oci_default(rootless, 1000, 1001);
		assert_non_null(text);
		assert_int_equal(spec_read(&d, text, &e), 0);
		assert_string_equal(d.process->args.at[0], "sh");
		assert_int_equal(d.spec->mounts.n, rootless ? 6 : 7);
		assert_int_equal(d.process->rlimits.at[0].soft.v, 1024);
		assert_int_equal(d.spec->lin->uid_maps.n, rootless);
		assert_true(!!oci_namespace_of(d.spec, OCI_USER) == !!rootless);
		assert_null(oci_annotation(d.spec, "x"));
		oci_doc_fini(&d);
	}
}

#define HEAD "{\"ociVersion\":\"1.0.2-dev\",\"root\":{\"path\":\"r\"}"
static const struct {
	const char *text, *says;
} bad[] = {
    {"{", "config: not JSON: it ends too early"},
    {"[]", "config: an object is wanted, not a list"},
    {"{} x", "config: not JSON: more follows"},
    {"{\"root\":{\"path\":\"r\"}}", ".ociVersion: it is missing"},
    {"{\"ociVersion\":\"2.0.0\",\"root\":{\"path\":\"r\"}}",
     ".ociVersion: '2.0.0': only version 1"},
    {"{\"ociVersion\":\"1.0\",\"root\":{\"path\":\"r\"}}", ".ociVersion: '1.0' is not a version"},
    {"{\"ociVersion\":\"1.0.0\"}", ".root: it is missing"},
    {HEAD ",\"process\":{\"cwd\":\"x\"}}", ".process.cwd: 'x' is not an absolute path"},
    {HEAD ",\"process\":{\"cwd\":\"/\",\"args\":[1]}}",
     ".process.args[0]: text is wanted, not a number"},
    {HEAD ",\"process\":{\"cwd\":\"/\",\"user\":{\"uid\":-1}}}",
     ".process.user.uid: -1: must be from 0"},
    {HEAD ",\"process\":{\"cwd\":\"/\",\"user\":{\"uid\":4294967296}}}",
     ".process.user.uid: 4294967296"},
    {HEAD ",\"process\":{\"cwd\":\"/\",\"user\":{\"uid\":1.5}}}",
     ".process.user.uid: a whole number"},
    {HEAD ",\"process\":{\"cwd\":\"/\",\"oomScoreAdj\":1001}}",
     ".process.oomScoreAdj: 1001: must be from -1000"},
    {HEAD ",\"process\":{\"cwd\":\"/\",\"rlimits\":[{\"type\":\"X\",\"hard\":1,\"soft\":1}]}}",
     ".process.rlimits[0].type: 'X' is none of"},
    {HEAD ",\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"nope\"}]}}",
     ".linux.namespaces[1].type: 'nope' is none of pid"},
    {HEAD ",\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"pid\"}]}}",
     ".linux.namespaces[1].type: a second 'pid'"},
    {HEAD ",\"linux\":{\"namespaces\":[{\"type\":\"user\"}]}}", ".linux.uidMappings"},
    {HEAD ",\"hostname\":\"h\"}", ".hostname: there is no uts namespace"},
    {HEAD ",\"hooks\":{\"poststop\":[{\"path\":\"x\"}]}}", ".hooks.poststop[0].path: 'x'"},
    {HEAD ",\"linux\":{\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"defaultErrnoRet\":1}}}",
     ".linux.seccomp.defaultErrnoRet"},
    {HEAD ",\"linux\":{\"resources\":{\"unified\":{\"../x\":\"1\"}}}}",
     ".linux.resources.unified: '../x'"},
    {HEAD ",\"linux\":{\"resources\":{\"rdma\":{\"d\":{\"hcaHandles\":\"x\"}}}}}",
     ".linux.resources.rdma.d.hcaHandles: a whole number"},
};

TEST(oci_names_the_place_of_what_is_wrong)
{
	for (size_t i = 0; i < countof(bad); i++) {
		struct oci_doc d = {0};
		struct lodge_err e = {0};
		assert_int_not_equal(spec_read(&d, bad[i].text, &e), 0);
		if (!strstr(e.msg, bad[i].says))
			printf("%s: %s\n", bad[i].text, e.msg);
		assert_non_null(strstr(e.msg, bad[i].says));
		assert_null(d.spec);
	}
}

TEST(oci_takes_large_numbers_null_and_unknown_fields)
{
	struct oci_doc d = {0};
	struct lodge_err e = {0};
	const char *text = HEAD
	    ",\"vm\":{\"x\":[1,2]},\"hostname\":null,\"process\":{\"cwd\":\"/\",\"new\":{},"
	    "\"rlimits\":[{\"type\":\"RLIMIT_NOFILE\",\"hard\":18446744073709551615,\"soft\":1}]},"
	    "\"annotations\":{\"a\":\"b\"}}\n";
	assert_int_equal(spec_read(&d, text, &e), 0);
	assert_true(d.process->rlimits.at[0].hard.v == UINT64_MAX);
	assert_string_equal(oci_annotation(d.spec, "a"), "b");
	oci_doc_fini(&d);
	assert_int_equal(oci_resources_read(&d, "{\"memory\":{\"limit\":-1}}", 23, &e), 0);
	assert_true(d.resources->memory->limit.set && d.resources->memory->limit.v == -1);
	oci_doc_fini(&d);
	text = "{\"cwd\":\"/\",\"args\":[\"\"]}";
	assert_int_equal(oci_process_read(&d, text, strlen(text), &e), -EINVAL);
	assert_non_null(strstr(e.msg, ".args[0]: it is empty"));
}
