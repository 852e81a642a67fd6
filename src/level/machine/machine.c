/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a system VM. Harts run on their own threads; everything else happens on the
 * keeper's loop thread. A reset or power-off comes from any thread as machine_halt, which only
 * notes it and posts the rest to the loop. */
#include "level/machine/internal.h"
#include <json-c/json_object.h>

enum { CONSOLE_RING = 64 << 10, AGENT_RING = 64 << 10 };
static const uint64_t memory_default = 512ull << 20, memory_min = 16ull << 20,
	memory_max = 60ull << 30;

/* ---- things that end or restart the machine ---- */

static void machine_finish(void *arg);

void machine_halt(struct machine *m, enum halt h, int exit_code, const char *why)
{
	pthread_mutex_lock(&m->lock);
	bool first = m->halt == HALT_NONE && !m->ended;
	if (first) {
		m->halt = h;
		m->exit_code = exit_code;
		snprintf(m->why, sizeof m->why, "%s", why);
	}
	pthread_mutex_unlock(&m->lock);
	if (!first)
		return;
	for (unsigned i = 0; i < m->rv.nharts; i++)
		rv_hart_request(m->vcpus[i].hart, RV_REQ_STOP);
	if (loop_post(m->env->loop, NULL, machine_finish, m) < 0)
		log_at(m->env->log, LOG_ERROR, "no memory to end the machine");
}

static int machine_boot(struct machine *m, struct lodge_err *e)
{
	mem_release(m->mem, mem_base(m->mem), mem_size(m->mem));
	for (unsigned i = 0; i < m->nparts; i++)
		dev_reset(m->parts[i]);
	m->panic_seen = 0;
	int r = boot_load(m, e);
	if (r < 0)
		return r;
	vcpus_reset(m);
	return vcpus_start(m, e);
}

/* On the loop thread: the harts have been asked to stop. */
static void machine_finish(void *arg)
{
	struct machine *m = arg;
	struct lodge_err e;
	vcpus_stop(m, RV_REQ_STOP);
	pthread_mutex_lock(&m->lock);
	enum halt h = m->halt;
	m->halt = HALT_NONE;
	m->ended = h == HALT_ENDED;
	pthread_mutex_unlock(&m->lock);
	if (h == HALT_RESET) {
		if (machine_boot(m, &e) == 0)
			return;
		m->ended = true;
		m->exit_code = LODGE_EXIT_LODGE;
		log_at(m->env->log, LOG_ERROR, "cannot restart: %s", e.msg);
		snprintf(m->why, sizeof m->why, "cannot restart after a reset");
	}
	for (unsigned i = 0; i < m->ndisks; i++)
		if (blk_sync(m->disks[i], BLK_FLUSH, 0, NULL, 0) < 0)
			log_at(m->env->log, LOG_ERROR, "disk %u could not be flushed", i);
	m->env->ended(m->env->user, m->exit_code, m->why);
}

/* SBI SRST. SBI 2.0 §10 */
static void machine_system_reset(void *user, uint32_t type, uint32_t reason)
{
	if (type == 0)
		machine_halt(user, HALT_ENDED, reason == 1 ? LODGE_EXIT_PANIC : 0, "powered off");
	else
		machine_halt(user, HALT_RESET, 0, "reset");
}

/* Linux says on its console that it panics, and then waits for ever or resets: end the run with
 * the code that says so. An option switches this off for guests that print such text. */
static void machine_watch(void *user, const uint8_t *p, size_t n)
{
	static const char text[] = PANIC_TEXT;
	struct machine *m = user;
	for (size_t i = 0; i < n; i++) {
		m->panic_seen = p[i] == (uint8_t)text[m->panic_seen] ? m->panic_seen + 1
		                                                       : p[i] == (uint8_t)text[0];
		if (m->panic_seen == sizeof text - 1) {
			m->panic_seen = 0;
			machine_halt(m, HALT_ENDED, LODGE_EXIT_PANIC, "the guest kernel panicked");
		}
	}
}

static void machine_console_write(void *user, const uint8_t *p, size_t n)
{
	chr_write(((struct machine *)user)->console, p, n);
}

static size_t machine_console_read(void *user, uint8_t *p, size_t cap)
{
	return chr_read(((struct machine *)user)->console, p, cap);
}

/* ---- making ---- */

static void machine_destroy(void *self)
{
	struct machine *m = self;
	if (!m)
		return;
	vcpus_stop(m, RV_REQ_STOP);
	loop_cancel(m->env->loop, m);
	parts_free(m);
	vcpus_free(m);
	repeat_fini(m);
	bus_free(m->bus);
	mem_free(m->mem);
	chr_free(m->console);
	chr_free(m->agent);
	pthread_mutex_destroy(&m->lock);
	pthread_mutex_destroy(&m->hold_lock);
	pthread_cond_destroy(&m->hold_over);
	free(m);
}

int option_unsigned(const struct lodge_config *c, const char *key, unsigned def,
			   unsigned max, unsigned *ret, struct lodge_err *e)
{
	const char *text = life_option(c, key);
	char *rest = NULL;
	unsigned long v = text ? strtoul(text, &rest, 10) : def;
	if (text && (!*text || *rest || v > max))
		return err_set(e, EINVAL, "option %s=%s: a number up to %u", key, text, max);
	*ret = (unsigned)v;
	return 0;
}

enum { MIRROR_AFTER_US = 15000 };

static int vlen_configure(struct machine *m, struct lodge_err *e)
{
	const char *vlen = life_option(m->config, "vlen");
	m->rv.vlen = rv_vlen_named(vlen);
	if (!m->rv.vlen && strcmp(vlen, "off"))
		return err_set(e, EINVAL, "option vlen=%s: 128, 256, 512 or off", vlen);
	return 0;
}

static int machine_configure(struct machine *m, struct lodge_err *e)
{
	const struct lodge_config *c = m->config;
	static const struct { const char *name; unsigned bits; } modes[] = {
		{ "sv39", 39 }, { "sv48", 48 }, { "sv57", 57 }, { "bare", 0 },
	};
	m->ram = align_up(c->memory ? c->memory : memory_default, MEM_FRAME);
	if (m->ram < memory_min || m->ram > memory_max)
		return err_set(
		    e, EINVAL, "memory of %llu MiB: a machine takes %llu MiB to %llu GiB",
		    (unsigned long long)(m->ram >> 20), (unsigned long long)(memory_min >> 20),
		    (unsigned long long)(memory_max >> 30));
	m->rv.nharts = c->cpus ? c->cpus : 1;
	if (m->rv.nharts > RV_HARTS_MAX)
		return err_set(e, EINVAL, "%u harts: a machine takes 1 to %d", m->rv.nharts,
			       RV_HARTS_MAX);
	/* Linux then keeps user memory where it can be mirrored */
	m->rv.mmu_max = c->mmu ? 1 : 39;
	for (size_t i = 0; i < countof(modes); i++)
		if (c->mmu && !strcmp(c->mmu, modes[i].name))
			m->rv.mmu_max = modes[i].bits;
	if (m->rv.mmu_max == 1)
		return err_set(e, EINVAL, "mmu %s: sv39, sv48, sv57 or bare", c->mmu);
	const char *accel =
	    c->accel && strcmp(c->accel, "auto") ? c->accel : engine_default()->name;
	m->engine = engine_find(accel);
	if (!m->engine)
		return err_set(e, EINVAL, "no engine \"%s\" for a riscv64 machine here", accel);
	const char *console = life_option(c, "console"), *trace = life_option(c, "trace");
	if (trace)
		m->rv.trace_pc = strcmp(trace, "all") ? strtoull(trace, NULL, 16) : UINT64_MAX;
	if (console && strcmp(console, "uart") && strcmp(console, "virtio"))
		return err_set(e, EINVAL, "option console=%s: uart or virtio", console);
	const char *mirror = life_option(c, "mirror");
	if (mirror && strcmp(mirror, "on") && strcmp(mirror, "off") && strcmp(mirror, "always"))
		return err_set(e, EINVAL, "option mirror=%s: on, off or always", mirror);
	m->rv.mirror = !mirror || !strcmp(mirror, "on") ? MIRROR_AFTER_US + 1
	               : !strcmp(mirror, "always")      ? 1
	                                                : 0;
	const char *accesses = life_option(c, "accesses");
	if (accesses && strcmp(accesses, "sampled") && strcmp(accesses, "counted"))
		return err_set(e, EINVAL, "option accesses=%s: sampled or counted", accesses);
	m->rv.count = accesses && !strcmp(accesses, "counted");
	m->rv.sbi = !c->firmware;
	int r = vlen_configure(m, e);
	if (r == 0)
		r = option_unsigned(c, "pmp", 16, RV_PMP_MAX, &m->rv.pmp_entries, e);
	return r < 0 ? r : repeat_configure(m, e);
}

static int machine_build(struct machine *m, struct lodge_err *e)
{
	int r = machine_configure(m, e);
	if (r == 0)
		r = mem_new(&m->mem, gpa(board_windows[WINDOW_ram].base), m->ram, e);
	if (r == 0)
		r = bus_new(&m->bus, e);
	if (r == 0)
		r = chr_new(&m->console, CONSOLE_RING, e);
	if (r == 0)
		r = chr_new(&m->agent, AGENT_RING, e);
	if (r < 0)
		return r;
	const char *watch = life_option(m->config, "panic-watch");
	if (!watch || strcmp(watch, "off"))
		chr_tap(m->console, machine_watch, m);
	m->rv.mem = m->mem;
	m->rv.bus = m->bus;
	m->rv.clock = &m->clock;
	m->rv.log = m->env->log;
	m->rv.system_reset = machine_system_reset;
	m->rv.console_write = machine_console_write;
	m->rv.console_read = machine_console_read;
	m->rv.user = m;
	r = vcpus_make(m, e);
	if (r == 0) {
		repeat_begin(m);
		r = parts_make(m, e);
	}
	return r < 0 || m->env->restoring ? r : boot_load(m, e);
}

static int machine_create(void **ret, const struct level_env *env, const struct lodge_config *c,
                          struct lodge_err *e)
{
	struct machine *m = calloc(1, sizeof *m);
	if (!m)
		return err_set(e, ENOMEM, "no memory for a machine");
	m->env = env;
	m->config = c;
	pthread_mutex_init(&m->lock, NULL);
	pthread_mutex_init(&m->hold_lock, NULL);
	pthread_cond_init(&m->hold_over, NULL);
	vclock_init(&m->clock);
	vclock_pause(&m->clock);
	int r = machine_build(m, e);
	if (r < 0) {
		machine_destroy(m);
		return r;
	}
	*ret = m;
	return 0;
}

/* ---- running ---- */

static int machine_resume(void *self, struct lodge_err *e)
{
	struct machine *m = self;
	vclock_resume(&m->clock);
	for (unsigned i = 0; i < m->nparts; i++)
		dev_resume(m->parts[i]);
	m->paused = false;
	return vcpus_start(m, e);
}

static int machine_start(void *self, struct lodge_err *e)
{
	struct machine *m = self;
	m->started = true;
	if (m->loaded)
		return machine_resume(m, e);
	vclock_resume(&m->clock);
	vcpus_reset(m);
	return vcpus_start(m, e);
}

static int machine_pause(void *self, struct lodge_err *e)
{
	struct machine *m = self;
	(void)e;
	vcpus_stop(m, RV_REQ_PAUSE);
	vclock_pause(&m->clock);
	m->paused = true;
	return 0;
}

static int machine_kill(void *self, struct lodge_err *e)
{
	(void)e;
	machine_halt(self, HALT_ENDED, LODGE_EXIT_SIGNAL + 9, "killed");
	return 0;
}

static struct chr *machine_console(void *self) { return ((struct machine *)self)->console; }
static struct chr *machine_agent(void *self) { return ((struct machine *)self)->agent; }

static void machine_resize(void *self, unsigned rows, unsigned columns)
{
	struct machine *m = self;
	if (m->console_dev)
		virtio_console_resize(m->console_dev, columns, rows);
}

/* ---- looking ---- */

static void put_u64(struct json_object *o, const char *key, uint64_t v)
{
	json_object_object_add(o, key, json_object_new_uint64(v));
}

static void machine_sum(const struct machine *m, struct engine_stats *ret)
{
	struct engine_stats sum = { 0 };
	for (unsigned i = 0; i < m->rv.nharts; i++) {
		struct engine_stats s;
		m->engine->stats(m->vcpus[i].hart, &s);
		sum.instructions += s.instructions;
		sum.blocks_made += s.blocks_made;
		sum.cache_flushes += s.cache_flushes;
		sum.cache_bytes += s.cache_bytes;
		for (unsigned k = 0; k < countof(sum.units); k++) {
			sum.units[k] += s.units[k];
			sum.unit_bytes[k] += s.unit_bytes[k];
		}
		sum.accesses_tlb += s.accesses_tlb;
		sum.accesses_mirror += s.accesses_mirror;
		sum.samples += s.samples;
		sum.tlb_misses += s.tlb_misses;
		sum.mirror_faults += s.mirror_faults;
		sum.mirror_maps += s.mirror_maps;
		sum.mirror_pages += s.mirror_pages;
		sum.mirror_drops += s.mirror_drops;
	}
	*ret = sum;
}

/* Null: nothing is known of such accesses, or there were none. */
static void put_rate(struct json_object *o, const char *key, uint64_t misses, uint64_t of)
{
	char text[32];
	double rate = misses < of ? 1 - (double)misses / (double)of : 0;
	snprintf(text, sizeof text, "%.6f", rate);
	json_object_object_add(o, key, of ? json_object_new_double_s(rate, text) : NULL);
}

/* See engine_stats. */
static void put_rates(struct json_object *o, const struct engine_stats *s)
{
	uint64_t mirror = s->mirror_faults, tlb = s->tlb_misses - min_u64(s->tlb_misses, mirror);
	put_rate(o, "tlb_hit_rate", tlb, s->accesses_tlb);
	put_rate(o, "mirror_hit_rate", mirror, s->accesses_mirror);
}

static void put_accesses(struct json_object *o, const struct engine_stats *s)
{
	put_rates(o, s);
	put_u64(o, "tlb_accesses_estimated", s->accesses_tlb);
	put_u64(o, "mirror_accesses_estimated", s->accesses_mirror);
	put_u64(o, "access_samples", s->samples);
	put_u64(o, "tlb_misses", s->tlb_misses);
	put_u64(o, "mirror_faults", s->mirror_faults);
}

static void put_address(struct json_object *o, const char *key, const uint8_t a[6])
{
	char text[18];
	snprintf(text, sizeof text, "%02x:%02x:%02x:%02x:%02x:%02x", a[0], a[1], a[2], a[3], a[4],
		 a[5]);
	json_object_object_add(o, key, json_object_new_string(text));
}

static void machine_inspect(void *self, struct json_object *out)
{
	struct machine *m = self;
	json_object_object_add(out, "board", json_object_new_string("riscv-virt"));
	json_object_object_add(out, "isa", json_object_new_string("riscv64"));
	json_object_object_add(out, "engine", json_object_new_string(m->engine->name));
	json_object_object_add(out, "firmware", json_object_new_string(
		m->rv.sbi ? "built-in SBI" : m->config->firmware));
	put_u64(out, "harts", m->rv.nharts);
	put_u64(out, "memory", m->ram);
	put_u64(out, "kernel_address", m->kernel);
	put_u64(out, "device_tree_address", m->dtb);
	put_u64(out, "entered_ns", __atomic_load_n(&m->entered_ns, __ATOMIC_RELAXED));
	struct engine_stats sum;
	machine_sum(m, &sum);
	put_rates(out, &sum);
	struct json_object *ports = json_object_new_array();
	const struct net_port *p;
	for (unsigned i = 0; m->net && (p = net_port_at(m->net, i)); i++) {
		char text[NET_ADDRESS_MAX + 32];
		snprintf(text, sizeof text, "%s:%u:%u/%s", p->bind, p->host, p->guest,
			 p->udp ? "udp" : "tcp");
		json_object_array_add(ports, json_object_new_string(text));
	}
	json_object_object_add(out, "ports", ports);
	uint8_t was[6], now[6];
	if (!m->net_dev)
		return;
	bool unheard = virtio_net_address(m->net_dev, was, now);
	put_address(out, "mac", now);
	if (unheard)
		put_address(out, "mac_of_driver", was);
}

static void put_traffic(struct json_object *o, const struct machine *m)
{
	struct virtio_traffic disks = {0}, net = {0}, t;
	for (unsigned i = 0; i < m->ndisks; i++) {
		if (!m->disk_devs[i])
			continue;
		virtio_blk_traffic(m->disk_devs[i], &t);
		disks.in_bytes += t.in_bytes;
		disks.out_bytes += t.out_bytes;
		disks.in += t.in + t.out;
	}
	if (m->net_dev)
		virtio_net_traffic(m->net_dev, &net);
	put_u64(o, "disk_read_bytes", disks.in_bytes);
	put_u64(o, "disk_written_bytes", disks.out_bytes);
	put_u64(o, "disk_requests", disks.in);
	put_u64(o, "net_received_bytes", net.in_bytes);
	put_u64(o, "net_sent_bytes", net.out_bytes);
}

static void put_memory(struct json_object *o, const struct machine *m)
{
	struct virtio_balloon_stats b = {.target = m->ram, .actual = m->ram};
	if (m->balloon)
		virtio_balloon_stats(m->balloon, &b);
	put_u64(o, "memory_bytes", m->ram);
	put_u64(o, "memory_allowed", b.target);
	put_u64(o, "memory_balloon", m->ram - min_u64(b.actual, m->ram));
	put_u64(o, "memory_reported", b.reported);
	if (b.updates)
		put_u64(o, "memory_available", b.available);
	put_u64(o, "oom_kills", b.oom_kills);
	put_u64(o, "memory_resident", mem_resident(m->mem));
}

static uint64_t machine_oom_kills(void *self)
{
	const struct machine *m = self;
	struct virtio_balloon_stats b = {0};
	if (m->balloon)
		virtio_balloon_stats(m->balloon, &b);
	return b.oom_kills;
}

static void machine_stats(void *self, struct json_object *out)
{
	struct machine *m = self;
	struct engine_stats sum;
	machine_sum(m, &sum);
	uint64_t ns = vclock_ns(&m->clock);
	put_u64(out, "instructions", sum.instructions);
	put_u64(out, "guest_time_ns", ns);
	put_u64(out, "mips", ns ? sum.instructions * 1000 / ns : 0);
	put_u64(out, "blocks_made", sum.blocks_made);
	put_u64(out, "units_first_tier", sum.units[0]);
	put_u64(out, "units_optimized", sum.units[1]);
	put_u64(out, "code_bytes_first_tier", sum.unit_bytes[0]);
	put_u64(out, "code_bytes_optimized", sum.unit_bytes[1]);
	put_u64(out, "code_cache_bytes", sum.cache_bytes);
	put_u64(out, "code_cache_flushes", sum.cache_flushes);
	put_accesses(out, &sum);
	put_u64(out, "mirror_maps", sum.mirror_maps);
	put_u64(out, "mirror_pages", sum.mirror_pages);
	put_u64(out, "mirror_drops", sum.mirror_drops);
	put_memory(out, m);
	put_traffic(out, m);
}

static size_t machine_sockets(void *self, struct life_socket *ret)
{
	struct machine *m = self;
	const struct net_port *p;
	size_t n = 0;
	for (unsigned i = 0; m->net && n < LIFE_SOCKETS_MAX && (p = net_port_at(m->net, i)); i++) {
		ret[n].fd = p->fd;
		snprintf(ret[n++].name, sizeof ret->name, "%s:%u:%u/%s", p->bind, p->host, p->guest,
		         p->udp ? "udp" : "tcp");
	}
	return n;
}

static uint64_t machine_visited_ns(void *self)
{
	struct machine *m = self;
	if (m->vsock && virtio_vsock_connections(m->vsock))
		return host_monotonic_ns();
	return m->net ? net_visited_ns(m->net) : 0;
}

static void machine_hold(void *self, bool on) { vcpus_hold(self, on); }

static void machine_limit(void *self, const struct lodge_config *c, struct life_warnings *w)
{
	struct machine *m = self;
	bool disks = c->disk_iops || c->disk_bps, any = false;
	for (unsigned i = 0; i < m->ndisks; i++)
		if (m->disk_devs[i]) {
			virtio_blk_limit(m->disk_devs[i], c->disk_iops, c->disk_bps);
			any = true;
		}
	if (disks && !any)
		life_warn(w, "limits of disks hold nothing: the guest has none");
	if (m->net_dev)
		virtio_net_limit(m->net_dev, c->net_bps);
	else if (c->net_bps)
		life_warn(w, "net-bps holds nothing: the guest has no network");
	if (m->balloon)
		virtio_balloon_set(m->balloon, c->memory_limit ? c->memory_limit : m->ram);
	bool boots = !__atomic_load_n(&m->entered_ns, __ATOMIC_RELAXED) && !m->loaded;
	if (c->memory_limit && (!m->balloon || (!boots && !virtio_up(m->balloon))))
		life_warn(w, "memory is not held to %llu MiB: the guest has no driver for its "
		          "balloon", (unsigned long long)(c->memory_limit >> 20));
}

extern const struct level level_machine;
const struct level level_machine = {
	.name = "machine", .summary = "a whole riscv64 computer: kernel, disks, network",
	.rooted = true,
	.claims = boot_claims, .create = machine_create, .start = machine_start,
	.pause = machine_pause, .resume = machine_resume, .kill = machine_kill,
	.destroy = machine_destroy, .console = machine_console, .agent = machine_agent,
	.resize = machine_resize, .inspect = machine_inspect, .stats = machine_stats,
	.oom_kills = machine_oom_kills,
	.save = machine_save, .load = machine_load, .memory = machine_memory,
	.own_option = machine_own_option, .renamed = machine_renamed,
	 .freeze = machine_freeze, .flush = machine_flush,
	.limit = machine_limit, .hold = machine_hold, .disk = machine_disk,
	.disk_track = machine_disk_track, .disk_next = machine_disk_next,
	.disk_left = machine_disk_left, .disk_read = machine_disk_read,
	.sockets = machine_sockets, .visited_ns = machine_visited_ns,
};
