/* SPDX-License-Identifier: Apache-2.0 */
/* The limits of a configuration, as the files of version 1 and of version 2 have them.
 * OCI-RT 1.2 config-linux.md "Control groups" */
#include "cgroup/internal.h"
#include <stdio.h>

enum { TEXT = 96 };

int cgroup_put(const struct cgroup_part *p, const char *file, const char *text, const char *what,
               struct lodge_err *e)
{
	if (cgroup_write(p, file, text) == 0)
		return 0;
	if (errno == ENOENT)
		return err_set(e, ENOENT,
			       ".linux.resources.%s: this host's control groups have no %s", what,
			       file);
	return err_sys(e, ".linux.resources.%s: %s into %s", what, text, file);
}

int cgroup_need(const struct cgroup *g, const char *controller, const char *what,
                const struct cgroup_part **ret, struct lodge_err *e)
{
	const struct cgroup_part *p = cgroup_part_of(g, controller);
	if (!p)
		return err_set(e, ENOENT,
			       ".linux.resources.%s: this host has no control groups for it", what);
	if (p->fd < 0)
		return err_set(e, EACCES,
			       ".linux.resources.%s: no control group for it may be made in "
			       "%.200s",
			       what, p->dir);
	*ret = p;
	return 0;
}

static int put_number(const struct cgroup_part *p, const char *file, uint64_t v, const char *what,
                      struct lodge_err *e)
{
	char text[24];
	snprintf(text, sizeof text, "%llu", (unsigned long long)v);
	return cgroup_put(p, file, text, what, e);
}

static int put_signed(const struct cgroup_part *p, const char *file, int64_t v, const char *what,
                      struct lodge_err *e)
{
	char text[24];
	snprintf(text, sizeof text, "%lld", (long long)v);
	return cgroup_put(p, file, text, what, e);
}

/* -1: "max" in version 2 */
static int put_max(const struct cgroup_part *p, const char *file, int64_t v, const char *what,
                   struct lodge_err *e)
{
	return v < 0 ? cgroup_put(p, file, "max", what, e) : put_signed(p, file, v, what, e);
}

/* ---- memory ---- */

/* Memory with swap must never be below memory alone, not even between two writes. */
static int memory_v1_both(const struct cgroup_part *p, const struct oci_memory *m,
                          struct lodge_err *e)
{
	static const char limit[] = "memory.limit_in_bytes", both[] = "memory.memsw.limit_in_bytes";
	int64_t swap = m->swap.v;
	bool has_swap = m->swap.set && m->swap.v;
	int r = 0;
	/* no limit of memory: none of both either, unless it says so */
	if (m->limit.set && m->limit.v == -1 && !has_swap && cgroup_has(p, both)) {
		has_swap = true;
		swap = -1;
	}
	bool first = false;
	char text[32];
	if (has_swap && m->limit.set && cgroup_read(p, both, text, sizeof text) > 0) {
		uint64_t now = strtoull(text, NULL, 10);
		first = swap == -1 || (uint64_t)swap > now;
	}
	if (first)
		r = put_signed(p, both, swap, "memory.swap", e);
	if (r == 0 && m->limit.set && m->limit.v)
		r = put_signed(p, limit, m->limit.v, "memory.limit", e);
	if (r == 0 && has_swap && !first)
		r = put_signed(p, both, swap, "memory.swap", e);
	return r;
}

static int memory_v1(const struct cgroup_part *p, const struct oci_memory *m, struct lodge_err *e)
{
	int r = memory_v1_both(p, m, e);
	if (r == 0 && m->reservation.set && m->reservation.v)
		r = put_signed(p, "memory.soft_limit_in_bytes", m->reservation.v,
		               "memory.reservation", e);
	if (r == 0 && m->kernel_tcp.set && m->kernel_tcp.v)
		r = put_signed(p, "memory.kmem.tcp.limit_in_bytes", m->kernel_tcp.v,
		               "memory.kernelTCP", e);
	if (r == 0 && m->disable_oom_killer)
		r = cgroup_put(p, "memory.oom_control", "1", "memory.disableOOMKiller", e);
	if (r == 0 && m->swappiness.set)
		r = put_number(p, "memory.swappiness", m->swappiness.v, "memory.swappiness", e);
	return r;
}

static int memory_v2(const struct cgroup_part *p, const struct oci_memory *m, struct lodge_err *e)
{
	int r = 0;
	int64_t swap = m->swap.v;
	if (m->swap.set && swap > 0) {
		if (!m->limit.set || m->limit.v <= 0 || swap < m->limit.v)
			return err_set(e, EINVAL,
				       ".linux.resources.memory.swap: it is below the limit "
				       "of memory, which it includes");
		swap -= m->limit.v;
	}
	if (m->swap.set && (m->swap.v || !m->limit.set))
		r = put_max(p, "memory.swap.max", swap, "memory.swap", e);
	else if (m->limit.set && m->limit.v == -1 && cgroup_has(p, "memory.swap.max"))
		r = cgroup_put(p, "memory.swap.max", "max", "memory.swap", e);
	if (r == 0 && m->limit.set && m->limit.v)
		r = put_max(p, "memory.max", m->limit.v, "memory.limit", e);
	if (r == 0 && m->reservation.set && m->reservation.v)
		r = put_max(p, "memory.low", m->reservation.v, "memory.reservation", e);
	return r;
}

static int memory_check(const struct cgroup *g, const struct oci_memory *m, struct lodge_err *e)
{
	uint64_t used = 0;
	if (!m->check_before_update || !m->limit.set || m->limit.v <= 0)
		return 0;
	if (!cgroup_number(g, "memory", "memory.usage_in_bytes", &used))
		(void)!cgroup_number(g, "memory", "memory.current", &used);
	return used > (uint64_t)m->limit.v
	           ? err_set(e, EBUSY, ".linux.resources.memory.limit: %llu bytes are in use",
	                     (unsigned long long)used) : 0;
}

static int memory_set(const struct cgroup *g, const struct oci_resources *res, struct lodge_err *e)
{
	const struct oci_memory *m = res->memory;
	const struct cgroup_part *p;
	if (!m || !(m->limit.set || m->swap.set || m->reservation.set || m->kernel_tcp.set ||
	            m->swappiness.set || m->disable_oom_killer))
		return 0;
	int r = cgroup_need(g, "memory", "memory", &p, e);
	if (r == 0)
		r = memory_check(g, m, e);
	return r < 0 ? r : p->v2 ? memory_v2(p, m, e) : memory_v1(p, m, e);
}

/* ---- cpu ---- */

static int cpu_v1(const struct cgroup_part *p, const struct oci_cpu *c, struct lodge_err *e)
{
	int r = 0;
	if (c->shares.set && c->shares.v)
		r = put_number(p, "cpu.shares", c->shares.v, "cpu.shares", e);
	if (r == 0 && c->realtime_period.set)
		r = put_number(p,
			       "cpu.rt_period_us", c->realtime_period.v, "cpu.realtimePeriod", e);
	if (r == 0 && c->realtime_runtime.set)
		r = put_signed(p, "cpu.rt_runtime_us", c->realtime_runtime.v, "cpu.realtimeRuntime",
		               e);
	if (r == 0 && c->idle.set)
		r = put_signed(p, "cpu.idle", c->idle.v, "cpu.idle", e);
	/* a period that does not go with the old quota may go with the new one */
	bool again = false;
	if (r == 0 && c->period.set && c->period.v) {
		r = put_number(p, "cpu.cfs_period_us", c->period.v, "cpu.period", e);
		again = r == -EINVAL && c->quota.set && c->quota.v;
		r = again ? 0 : r;
	}
	if (r == 0 && c->quota.set && c->quota.v)
		r = put_signed(p, "cpu.cfs_quota_us", c->quota.v, "cpu.quota", e);
	if (r == 0 && again)
		r = put_number(p, "cpu.cfs_period_us", c->period.v, "cpu.period", e);
	if (r == 0 && c->burst.set)
		r = put_number(p, "cpu.cfs_burst_us", c->burst.v, "cpu.burst", e);
	return r;
}

/* 2 to 262144 become 1 to 10000, as systemd and the others have agreed. */
static uint64_t weight_of(uint64_t shares)
{
	shares = shares < 2 ? 2 : shares > 262144 ? 262144 : shares;
	return 1 + (shares - 2) * 9999 / 262142;
}

static int cpu_v2(const struct cgroup_part *p, const struct oci_cpu *c, struct lodge_err *e)
{
	char text[TEXT];
	int r = 0;
	if (c->idle.set)
		r = put_signed(p, "cpu.idle", c->idle.v, "cpu.idle", e);
	if (r == 0 && c->shares.set && c->shares.v)
		r = put_number(p, "cpu.weight", weight_of(c->shares.v), "cpu.shares", e);
	if (r == 0 && ((c->quota.set && c->quota.v) || (c->period.set && c->period.v))) {
		unsigned long long period = c->period.set && c->period.v ? c->period.v : 100000;
		if (c->quota.set && c->quota.v > 0)
			snprintf(text, sizeof text, "%lld %llu", (long long)c->quota.v, period);
		else
			snprintf(text, sizeof text, "max %llu", period);
		r = cgroup_put(p, "cpu.max", text, "cpu.quota", e);
	}
	if (r == 0 && c->burst.set)
		r = put_number(p, "cpu.max.burst", c->burst.v, "cpu.burst", e);
	return r;
}

static int cpu_set(const struct cgroup *g, const struct oci_resources *res, struct lodge_err *e)
{
	const struct oci_cpu *c = res->cpu;
	const struct cgroup_part *p;
	int r = 0;
	if (!c)
		return 0;
	if (c->shares.set || c->quota.set || c->period.set || c->burst.set || c->idle.set ||
	    c->realtime_period.set || c->realtime_runtime.set) {
		r = cgroup_need(g, "cpu", "cpu", &p, e);
		if (r == 0)
			r = p->v2 ? cpu_v2(p, c, e) : cpu_v1(p, c, e);
	}
	if (r == 0 && ((c->cpus && *c->cpus) || (c->mems && *c->mems))) {
		r = cgroup_need(g, "cpuset", "cpu.cpus", &p, e);
		if (r == 0 && c->cpus && *c->cpus)
			r = cgroup_put(p, "cpuset.cpus", c->cpus, "cpu.cpus", e);
		if (r == 0 && c->mems && *c->mems)
			r = cgroup_put(p, "cpuset.mems", c->mems, "cpu.mems", e);
	}
	return r;
}

/* ---- the small ones ---- */

static int pids_set(const struct cgroup *g, const struct oci_resources *res, struct lodge_err *e)
{
	const struct cgroup_part *p;
	if (!res->pids || !res->pids->limit.set || !res->pids->limit.v)
		return 0;
	int r = cgroup_need(g, "pids", "pids", &p, e);
	return r == 0 ? put_max(p, "pids.max", res->pids->limit.v, "pids.limit", e) : r;
}

static int hugepages_set(const struct cgroup *g, const struct oci_resources *res,
                         struct lodge_err *e)
{
	char file[TEXT];
	const struct cgroup_part *p = NULL;
	int r = res->hugepages.n ? cgroup_need(g, "hugetlb", "hugepageLimits", &p, e) : 0;
	for (size_t i = 0; r == 0 && i < res->hugepages.n; i++) {
		const struct oci_hugepage *h = &res->hugepages.at[i];
		const char *end = p->v2 ? "max" : "limit_in_bytes";
		snprintf(file, sizeof file, "hugetlb.%.20s.%s", h->size, end);
		r = put_number(p, file, h->limit.v, "hugepageLimits", e);
		/* reserved ones, where the kernel counts them */
		snprintf(file, sizeof file, "hugetlb.%.20s.rsvd.%s", h->size, end);
		if (r == 0 && cgroup_has(p, file))
			r = put_number(p, file, h->limit.v, "hugepageLimits", e);
	}
	return r;
}

static int network_set(const struct cgroup *g, const struct oci_resources *res,
                       struct lodge_err *e)
{
	const struct oci_network *n = res->network;
	const struct cgroup_part *p;
	char text[TEXT];
	int r = 0;
	if (!n)
		return 0;
	if (n->class_id.set && n->class_id.v) {
		r = cgroup_need(g, "net_cls", "network.classID", &p, e);
		if (r == 0)
			r = put_number(p, "net_cls.classid", n->class_id.v, "network.classID", e);
	}
	if (r == 0 && n->priorities.n)
		r = cgroup_need(g, "net_prio", "network.priorities", &p, e);
	for (size_t i = 0; r == 0 && i < n->priorities.n; i++) {
		snprintf(text, sizeof text, "%.40s %u", n->priorities.at[i].name,
		         (unsigned)n->priorities.at[i].priority.v);
		r = cgroup_put(p, "net_prio.ifpriomap", text, "network.priorities", e);
	}
	return r;
}

static int rdma_set(const struct cgroup *g, const struct oci_resources *res, struct lodge_err *e)
{
	const struct cgroup_part *p;
	char text[160];
	int r = res->rdma.n ? cgroup_need(g, "rdma", "rdma", &p, e) : 0;
	for (size_t i = 0; r == 0 && i < res->rdma.n; i++) {
		const struct oci_rdma *d = &res->rdma.at[i];
		int n = snprintf(text, sizeof text, "%.60s", d->key);
		if (d->handles.set)
			n += snprintf(text + n, sizeof text - (size_t)n, " hca_handle=%u",
			              (unsigned)d->handles.v);
		if (d->objects.set)
			snprintf(text + n, sizeof text - (size_t)n, " hca_object=%u",
			         (unsigned)d->objects.v);
		r = cgroup_put(p, "rdma.max", text, "rdma", e);
	}
	return r;
}

static int unified_set(const struct cgroup *g, const struct oci_resources *res,
                       struct lodge_err *e)
{
	const struct cgroup_part *p = cgroup_part_of(g, "");
	char what[TEXT];
	if (!res->unified.n)
		return 0;
	if (!p || !p->v2 || p->fd < 0)
		return err_set(e, ENOENT,
			       ".linux.resources.unified: this host has no control groups of "
		               "version 2");
	int r = 0;
	for (size_t i = 0; r == 0 && i < res->unified.n; i++) {
		snprintf(what, sizeof what, "unified.%.60s", res->unified.at[i].key);
		r = cgroup_put(p, res->unified.at[i].key, res->unified.at[i].value, what, e);
	}
	return r;
}

/* ---- block devices ---- */

static int throttle_set(const struct cgroup_part *p, const struct oci_throttle *at, size_t n,
                        const char *v1, const char *v2, struct lodge_err *e)
{
	char text[TEXT];
	int r = 0;
	for (size_t i = 0; r == 0 && i < n; i++) {
		unsigned major = (unsigned)at[i].major.v, minor = (unsigned)at[i].minor.v;
		unsigned long long rate = at[i].rate.v;
		if (p->v2 && rate)
			snprintf(text, sizeof text, "%u:%u %s=%llu", major, minor, v2, rate);
		else if (p->v2)
			snprintf(text, sizeof text, "%u:%u %s=max", major, minor, v2);
		else
			snprintf(text, sizeof text, "%u:%u %llu", major, minor, rate);
		r = cgroup_put(p, p->v2 ? "io.max" : v1, text, "blockIO", e);
	}
	return r;
}

/* Which scheduler weighs depends on the kernel; each has a file of its own. */
static int weight_set(const struct cgroup_part *p, const struct oci_block_io *b,
                      struct lodge_err *e)
{
	const char *file = !p->v2 ? (cgroup_has(p, "blkio.weight") ? "blkio.weight"
	                                                           : "blkio.bfq.weight")
	                   : cgroup_has(p, "io.bfq.weight") ? "io.bfq.weight" : "io.weight";
	uint64_t weight = b->weight.v;
	if (!b->weight.set || !weight)
		return 0;
	if (!strcmp(file, "io.weight")) /* 10 to 1000 become 1 to 10000 */
		weight = 1 + (weight < 10 ? 0 : weight - 10) * 9999 / 990;
	return put_number(p, file, weight, "blockIO.weight", e);
}

static int weights_set(const struct cgroup_part *p, const struct oci_block_io *b,
                       struct lodge_err *e)
{
	char text[TEXT];
	int r = weight_set(p, b, e);
	if (r == 0 && b->leaf_weight.set && b->leaf_weight.v && !p->v2)
		r = put_number(p, "blkio.leaf_weight", b->leaf_weight.v, "blockIO.leafWeight", e);
	for (size_t i = 0; r == 0 && i < b->weight_devices.n; i++) {
		const struct oci_weight_device *d = &b->weight_devices.at[i];
		const char *file = p->v2 ? "io.bfq.weight"
				   : cgroup_has(p, "blkio.weight_device")
				       ? "blkio.weight_device"
				       : "blkio.bfq.weight_device";
		snprintf(text, sizeof text, "%u:%u %u", (unsigned)d->major.v, (unsigned)d->minor.v,
		         (unsigned)d->weight.v);
		if (d->weight.set)
			r = cgroup_put(p, file, text, "blockIO.weightDevice", e);
		snprintf(text, sizeof text, "%u:%u %u", (unsigned)d->major.v, (unsigned)d->minor.v,
			 (unsigned)d->leaf_weight.v);
		if (r == 0 && d->leaf_weight.set && d->leaf_weight.v && !p->v2)
			r = cgroup_put(p,
				       "blkio.leaf_weight_device", text, "blockIO.weightDevice", e);
	}
	return r;
}

static int block_set(const struct cgroup *g, const struct oci_resources *res, struct lodge_err *e)
{
	const struct oci_block_io *b = res->block_io;
	const struct cgroup_part *p;
	if (!b || !(b->weight.set || b->leaf_weight.set || b->weight_devices.n || b->read_bps.n ||
	            b->write_bps.n || b->read_iops.n || b->write_iops.n))
		return 0;
	const struct cgroup_part *io = cgroup_part_of(g, "blkio");
	int r = io ? cgroup_need(g, "blkio", "blockIO", &p, e)
	           : cgroup_need(g, "io", "blockIO", &p, e);
	if (r == 0)
		r = weights_set(p, b, e);
	if (r == 0)
		r = throttle_set(p, b->read_bps.at, b->read_bps.n,
		                 "blkio.throttle.read_bps_device", "rbps", e);
	if (r == 0)
		r = throttle_set(p, b->write_bps.at, b->write_bps.n,
		                 "blkio.throttle.write_bps_device", "wbps", e);
	if (r == 0)
		r = throttle_set(p, b->read_iops.at, b->read_iops.n,
		                 "blkio.throttle.read_iops_device", "riops", e);
	return r == 0 ? throttle_set(p, b->write_iops.at, b->write_iops.n,
	                             "blkio.throttle.write_iops_device", "wiops", e) : r;
}

/* ---- all ---- */

int cgroup_set(const struct cgroup *g, const struct oci_resources *r, bool devices,
               struct lodge_err *e)
{
	static int (*const setters[])(const struct cgroup *g, const struct oci_resources *res,
	                              struct lodge_err *e) = {
	    memory_set, cpu_set, pids_set, block_set, hugepages_set, network_set, rdma_set,
	    unified_set,
	};
	static const struct oci_resources none;
	r = r ? r : &none;
	int bad = devices ? cgroup_devices_set(g, r, e) : 0;
	for (size_t i = 0; bad == 0 && i < countof(setters); i++)
		bad = setters[i](g, r, e);
	return bad;
}

bool cgroup_number(const struct cgroup *g, const char *controller, const char *file, uint64_t *ret)
{
	char text[64];
	const struct cgroup_part *p = cgroup_part_of(g, controller);
	if (!p || p->fd < 0 || cgroup_read(p, file, text, sizeof text) <= 0)
		return false;
	*ret = !strncmp(text, "max", 3) ? UINT64_MAX : strtoull(text, NULL, 10);
	return true;
}

bool cgroup_keyed(const struct cgroup *g, const char *controller, const char *file,
                  const char *key, uint64_t *ret)
{
	char text[8192];
	const struct cgroup_part *p = cgroup_part_of(g, controller);
	size_t n = strlen(key);
	if (!p || p->fd < 0 || cgroup_read(p, file, text, sizeof text) <= 0)
		return false;
	for (const char *at = text; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (!strncmp(at, key, n) && at[n] == ' ') {
			*ret = strtoull(at + n + 1, NULL, 10);
			return true;
		}
	}
	return false;
}
