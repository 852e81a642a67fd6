/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz: config.json, process.json and resources as engines hand them to us, and state.json. */
#include "level/container/internal.h"
#include "oci/oci.h"

static void fuzz_spec(const char *text, size_t len)
{
	struct oci_doc d = {0};
	struct lodge_err e = {0};
	int r = oci_spec_read(&d, text, len, &e);
	if (r < 0) {
		assert(e.code == EINVAL && e.msg[0] && !d.spec);
		return;
	}
	assert(d.spec->root && d.spec->version);
	for (unsigned i = 1; i < OCI_NAMESPACES; i++)
		(void)oci_namespace_of(d.spec, i);
	if (d.process) {
		struct box_rights rights;
		box_rights_read(&rights, d.process);
	}
	oci_doc_fini(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct oci_doc d = {0};
	struct container c = CONTAINER_NONE;
	if (len > 16384)
		return 0;
	autofree char *text = calloc(1, len + 1);
	if (!text)
		return 0;
	memcpy(text, data, len);
	fuzz_spec(text, len);
	if (oci_process_read(&d, text, len, NULL) == 0)
		oci_doc_fini(&d);
	if (oci_resources_read(&d, text, len, NULL) == 0)
		oci_doc_fini(&d);
	if (record_parse(&c, text, len, NULL) == 0) {
		autofree char *again = record_text(&c);
		assert(again && c.bundle && c.cgroup.n <= CGROUP_HIERARCHIES);
	}
	container_fini(&c);
	return 0;
}
