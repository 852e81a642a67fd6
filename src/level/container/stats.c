/* SPDX-License-Identifier: Apache-2.0 */
/* What a container uses, in the words in which engines expect it: those of `events`. */
#include "level/container/internal.h"
#include <json-c/json.h>
#include <stdio.h>

enum { TEXT = 16384 };

static void number_add(struct json_object *o, const char *key, uint64_t v)
{
	json_object_object_add(o, key, json_object_new_uint64(v));
}

static uint64_t number(const struct cgroup *g, const char *controller, const char *v1,
                       const char *v2)
{
	uint64_t v = 0;
	const struct cgroup_part *p = cgroup_part_of(g, controller);
	if (p)
		(void)!cgroup_number(g, controller, p->v2 ? v2 : v1, &v);
	return v;
}

static uint64_t keyed(const struct cgroup *g, const char *controller, const char *file,
                      const char *key)
{
	uint64_t v = 0;
	(void)!cgroup_keyed(g, controller, file, key, &v);
	return v;
}

static struct json_object *percpu(const struct cgroup *g)
{
	char text[TEXT];
	struct json_object *a = json_object_new_array();
	const struct cgroup_part *p = cgroup_part_of(g, "cpuacct");
	if (!p || p->v2 || p->fd < 0 ||
	    cgroup_read(p, "cpuacct.usage_percpu", text, sizeof text) <= 0)
		return a;
	char *rest = text;
	for (char *w; (w = strsep(&rest, " \n"));)
		if (*w)
			json_object_array_add(a, json_object_new_uint64(strtoull(w, NULL, 10)));
	return a;
}

static struct json_object *cpu_stats(const struct cgroup *g)
{
	struct json_object *o = json_object_new_object(), *usage = json_object_new_object();
	struct json_object *held = json_object_new_object();
	const struct cgroup_part *p = cgroup_part_of(g, "cpuacct");
	bool v2 = p && p->v2;
	const uint64_t tick_ns = 1000000000u / (uint64_t)sysconf(_SC_CLK_TCK);
	number_add(usage, "total", v2 ? keyed(g, "cpu", "cpu.stat", "usage_usec") * 1000
	                              : number(g, "cpuacct", "cpuacct.usage", ""));
	if (!v2)
		json_object_object_add(usage, "percpu", percpu(g));
	number_add(usage, "kernel", v2 ? keyed(g, "cpu", "cpu.stat", "system_usec") * 1000
	                               : keyed(g, "cpuacct", "cpuacct.stat", "system") * tick_ns);
	number_add(usage, "user", v2 ? keyed(g, "cpu", "cpu.stat", "user_usec") * 1000
	                             : keyed(g, "cpuacct", "cpuacct.stat", "user") * tick_ns);
	number_add(held, "periods", keyed(g, "cpu", "cpu.stat", "nr_periods"));
	number_add(held, "throttledPeriods", keyed(g, "cpu", "cpu.stat", "nr_throttled"));
	number_add(held, "throttledTime", v2 ? keyed(g, "cpu", "cpu.stat", "throttled_usec") * 1000
	                                     : keyed(g, "cpu", "cpu.stat", "throttled_time"));
	json_object_object_add(o, "usage", usage);
	json_object_object_add(o, "throttling", held);
	return o;
}

/* @v1_prefix, @v2_prefix: what the files begin with in each version; NULL: it has none of these. */
static void memory_add(struct json_object *to, const struct cgroup *g, bool v2, const char *key,
		       const char *v1_prefix, const char *v2_prefix)
{
	static const struct {
		const char *key, *v1, *v2;
	} rows[] = {{"limit", "limit_in_bytes", "max"},
		    {"usage", "usage_in_bytes", "current"},
		    {"max", "max_usage_in_bytes", "peak"},
		    {"failcnt", "failcnt", NULL}};
	const char *prefix = v2 ? v2_prefix : v1_prefix;
	struct json_object *o = prefix ? json_object_new_object() : NULL;
	if (!prefix)
		return;
	for (size_t i = 0; i < countof(rows); i++) {
		char file[64];
		uint64_t v = 0;
		const char *end = v2 ? rows[i].v2 : rows[i].v1;
		snprintf(file, sizeof file, "%s.%s", prefix, end ? end : "events");
		if (end)
			(void)!cgroup_number(g, "memory", file, &v);
		else
			(void)!cgroup_keyed(g, "memory", file, "max", &v);
		number_add(o, rows[i].key, v);
	}
	json_object_object_add(to, key, o);
}

static void memory_raw(const struct cgroup_part *p, struct json_object *o)
{
	char text[TEXT];
	struct json_object *raw = json_object_new_object();
	if (p && p->fd >= 0 && cgroup_read(p, "memory.stat", text, sizeof text) > 0) {
		char *rest = text;
		for (char *line; (line = strsep(&rest, "\n"));) {
			char *value = strchr(line, ' ');
			if (!value)
				continue;
			*value++ = 0;
			number_add(raw, line, strtoull(value, NULL, 10));
		}
	}
	json_object_object_add(o, "raw", raw);
}

static struct json_object *memory_stats(const struct cgroup *g)
{
	struct json_object *o = json_object_new_object();
	const struct cgroup_part *p = cgroup_part_of(g, "memory");
	bool v2 = p && p->v2;
	number_add(o, "cache", v2 ? keyed(g, "memory", "memory.stat", "file")
	                          : keyed(g, "memory", "memory.stat", "cache"));
	memory_add(o, g, v2, "usage", "memory", "memory");
	memory_add(o, g, v2, "swap", "memory.memsw", "memory.swap");
	memory_add(o, g, v2, "kernel", "memory.kmem", NULL);
	memory_add(o, g, v2, "kernelTCP", "memory.kmem.tcp", NULL);
	memory_raw(p, o);
	return o;
}

/* "8:0 Read 123", and a last line "Total 123" */
static struct json_object *blkio_entry(const struct cgroup *g, const char *file)
{
	char text[TEXT], op[32];
	unsigned major, minor;
	unsigned long long value;
	struct json_object *a = json_object_new_array();
	const struct cgroup_part *p = cgroup_part_of(g, "blkio");
	if (!p || p->v2 || p->fd < 0 || cgroup_read(p, file, text, sizeof text) <= 0)
		return a;
	char *rest = text;
	for (char *line; (line = strsep(&rest, "\n"));) {
		if (sscanf(line, "%u:%u %31s %llu", &major, &minor, op, &value) != 4)
			continue;
		struct json_object *o = json_object_new_object();
		number_add(o, "major", major);
		number_add(o, "minor", minor);
		json_object_object_add(o, "op", json_object_new_string(op));
		number_add(o, "value", value);
		json_object_array_add(a, o);
	}
	return a;
}

static struct json_object *blkio_stats(const struct cgroup *g)
{
	struct json_object *o = json_object_new_object();
	json_object_object_add(o, "ioServiceBytesRecursive",
	                       blkio_entry(g, "blkio.throttle.io_service_bytes_recursive"));
	json_object_object_add(o, "ioServicedRecursive",
	                       blkio_entry(g, "blkio.throttle.io_serviced_recursive"));
	return o;
}

struct json_object *container_stats(const struct container *c)
{
	const struct cgroup *g = &c->cgroup;
	struct json_object *o = json_object_new_object(), *pids = json_object_new_object();
	uint64_t limit = 0;
	number_add(pids, "current", number(g, "pids", "pids.current", "pids.current"));
	if (cgroup_number(g, "pids", "pids.max", &limit) && limit != UINT64_MAX)
		number_add(pids, "limit", limit);
	json_object_object_add(o, "cpu", cpu_stats(g));
	json_object_object_add(o, "memory", memory_stats(g));
	json_object_object_add(o, "pids", pids);
	json_object_object_add(o, "blkio", blkio_stats(g));
	json_object_object_add(o, "hugetlb", json_object_new_object());
	json_object_object_add(o, "intel_rdt", json_object_new_object());
	json_object_object_add(o, "network_interfaces", NULL);
	return o;
}

/* ---- in the words of lodge stats ---- */

bool container_cpu_ns(const struct container *c, uint64_t *ret)
{
	return cgroup_cpu_ns(&c->cgroup, ret);
}

/* Bytes of all interfaces but the loopback, in the network namespace of @pid: proc_pid_net(5) */
static void net_sum(pid_t pid, uint64_t *ret_in, uint64_t *ret_out)
{
	char path[48], line[512], name[32];
	unsigned long long in, out;
	snprintf(path, sizeof path, "/proc/%d/net/dev", (int)pid);
	FILE *f = fopen(path, "re");
	*ret_in = *ret_out = 0;
	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, " %31[^:]: %llu %*u %*u %*u %*u %*u %*u %*u %llu", name, &in,
			   &out) == 3 && strcmp(name, "lo") != 0) {
			*ret_in += in;
			*ret_out += out;
		}
	if (f)
		fclose(f);
}

void container_uses(const struct container *c, struct json_object *out)
{
	static const char *const always[] = {"memory_resident", "processes"};
	uint64_t in, sent;
	cgroup_uses(&c->cgroup, out);
	for (size_t i = 0; i < countof(always); i++) /* also where no controller counts them */
		if (!json_object_object_get_ex(out, always[i], NULL))
			number_add(out, always[i], 0);
	net_sum(c->pid, &in, &sent);
	number_add(out, "net_received_bytes", in);
	number_add(out, "net_sent_bytes", sent);
}
