/* SPDX-License-Identifier: Apache-2.0 */
/* What the options of a guest say of limits, as resources of a configuration. OCI-RT 1.2
 * config-linux.md "Control groups" */
#include "cgroup/internal.h"
#include <json-c/json.h>

static void put(struct json_object *o, const char *key, int64_t v)
{
	json_object_object_add(o, key, json_object_new_int64(v));
}

struct json_object *cgroup_wishes(const struct lodge_config *c, bool all, int64_t pids_usual)
{
	struct json_object *r = json_object_new_object(), *cpu = json_object_new_object();
	struct json_object *memory = json_object_new_object(), *pids = json_object_new_object();
	uint64_t milli = c->cpu_milli ? c->cpu_milli : (uint64_t)c->cpus * 1000;
	uint64_t bytes = c->memory_limit ? c->memory_limit : c->memory;
	enum { PERIOD_US = 100000 };
	if (milli)
		put(cpu, "period", PERIOD_US);
	if (milli || all)
		put(cpu, "quota", milli ? (int64_t)(milli * PERIOD_US / 1000) : -1);
	if (c->cpuset)
		json_object_object_add(cpu, "cpus", json_object_new_string(c->cpuset));
	if (c->cpu_weight) /* 100 is 1024 shares */
		put(cpu, "shares", (int64_t)c->cpu_weight * 1024 / 100);
	if (bytes || all)
		put(memory, "limit", bytes ? (int64_t)bytes : -1);
	if (bytes && c->memory_swap)
		put(memory, "swap", (int64_t)c->memory_swap);
	if (c->memory_reservation)
		put(memory, "reservation", (int64_t)c->memory_reservation);
	if (c->pids_limit || pids_usual >= 0 || all)
		put(pids, "limit", c->pids_limit ? (int64_t)c->pids_limit : pids_usual);
	json_object_object_add(r, "cpu", cpu);
	json_object_object_add(r, "memory", memory);
	json_object_object_add(r, "pids", pids);
	return r;
}

int cgroup_limit(const struct cgroup *g, const struct lodge_config *c, bool all,
		 struct lodge_err *e)
{
	struct oci_doc doc = {0};
	struct json_object *o = cgroup_wishes(c, all, -1);
	const char *text = json_object_to_json_string(o);
	int r = oci_resources_read(&doc, text, strlen(text), e);
	if (r == 0)
		r = cgroup_set(g, doc.resources, false, e);
	oci_doc_fini(&doc);
	json_object_put(o);
	return r;
}
