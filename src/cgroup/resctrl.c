/* SPDX-License-Identifier: Apache-2.0 */
/* Shares of caches and of memory bandwidth, where the processor has such: a folder of resctrl.
 * OCI-RT 1.2 config-linux.md "Intel RDT", Linux 6.1 Documentation/x86/resctrl.rst */
#include "cgroup/internal.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>

enum { RESCTRL_MAGIC = 0x7655821 };
#define RESCTRL "/sys/fs/resctrl"

/* One resource a line; the kernel takes them together. */
static int schemata_write(int dir, const struct oci_intel_rdt *r)
{
	char text[1024];
	const char *l3 = r->l3_cache_schema ? r->l3_cache_schema : "";
	const char *mb = r->mem_bw_schema ? r->mem_bw_schema : "";
	if (!*l3 && !*mb)
		return 0;
	int n = snprintf(text, sizeof text, "%s%s%s%s", l3, *l3 ? "\n" : "", mb, *mb ? "\n" : "");
	if (n >= (int)sizeof text) {
		errno = E2BIG;
		return -1;
	}
	return host_text_put(dir, "schemata", text);
}

int cgroup_rdt_enter(const struct oci_intel_rdt *r, const char *id, pid_t pid,
                     struct lodge_err *e)
{
	struct statfs st;
	char path[1200], text[16];
	bool given = r->clos_id && *r->clos_id;
	if (statfs(RESCTRL, &st) < 0 || st.f_type != RESCTRL_MAGIC)
		return err_set(e, ENOTSUP, ".linux.intelRdt: resctrl is not mounted on this host");
	snprintf(path, sizeof path, RESCTRL "/%s", given ? r->clos_id : id);
	bool made = mkdir(path, 0755) == 0;
	if (!made && errno != EEXIST)
		return err_sys(e, ".linux.intelRdt: %s", path);
	autoclose int dir = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	snprintf(text, sizeof text, "%d", (int)pid);
	if (dir < 0 || schemata_write(dir, r) < 0 || host_text_put(dir, "tasks", text) < 0) {
		int bad = err_sys(e, ".linux.intelRdt: %s", path);
		if (made)
			rmdir(path);
		return bad;
	}
	return 0;
}

void cgroup_rdt_remove(const char *id)
{
	char path[1200];
	snprintf(path, sizeof path, RESCTRL "/%s", id);
	(void)!rmdir(path);
}
