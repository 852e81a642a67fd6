/* SPDX-License-Identifier: Apache-2.0 */
/* What a group uses, in the words of lodge stats. Linux 6.1 Documentation/admin-guide/cgroup-v1,
 * cgroup-v2.rst */
#include "cgroup/internal.h"
#include <json-c/json.h>
#include <stdio.h>

enum { TEXT = 16384 };

static void number_add(struct json_object *o, const char *key, uint64_t v)
{
	json_object_object_add(o, key, json_object_new_uint64(v));
}

bool cgroup_cpu_ns(const struct cgroup *g, uint64_t *ret)
{
	const struct cgroup_part *p = cgroup_part_of(g, "cpuacct");
	uint64_t v = 0;
	if (!p || p->fd < 0)
		return false;
	if (p->v2 ? !cgroup_keyed(g, "cpu", "cpu.stat", "usage_usec", &v)
		  : !cgroup_number(g, "cpuacct", "cpuacct.usage", &v))
		return false;
	*ret = p->v2 ? v * 1000 : v;
	return true;
}

/* Of all devices: in version 1 of lines "8:0 Read 123", in version 2 "8:0 rbytes=123 ...". */
static uint64_t blocks_sum(const struct cgroup *g, const char *v1, const char *v2)
{
	char text[TEXT];
	const struct cgroup_part *p = cgroup_part_of(g, "blkio");
	const char *word = p && p->v2 ? v2 : v1;
	uint64_t sum = 0;
	if (!p || p->fd < 0 ||
	    cgroup_read(p, p->v2 ? "io.stat" : "blkio.throttle.io_service_bytes_recursive", text,
			sizeof text) <= 0)
		return 0;
	for (const char *at = text; (at = strstr(at, word)); at++)
		sum += strtoull(at + strlen(word), NULL, 10);
	return sum;
}

void cgroup_uses(const struct cgroup *g, struct json_object *out)
{
	const struct cgroup_part *p = cgroup_part_of(g, "memory");
	uint64_t used = 0, allowed = 0, processes = 0;
	if (p && p->fd >= 0) {
		const char *file = p->v2 ? "memory.current" : "memory.usage_in_bytes";
		(void)!cgroup_number(g, "memory", file, &used);
		number_add(out, "memory_resident", used);
	}
	if (p && p->fd >= 0 &&
	    cgroup_number(g, "memory", p->v2 ? "memory.max" : "memory.limit_in_bytes", &allowed) &&
	    allowed < (uint64_t)1 << 60) /* version 1 has no word for none */
		number_add(out, "memory_allowed", allowed);
	if (cgroup_number(g, "pids", "pids.current", &processes))
		number_add(out, "processes", processes);
	number_add(out, "disk_read_bytes", blocks_sum(g, " Read ", "rbytes="));
	number_add(out, "disk_written_bytes", blocks_sum(g, " Write ", "wbytes="));
}
