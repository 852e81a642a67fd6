/* SPDX-License-Identifier: Apache-2.0 */
/* A machine's state as sections: what it is made of, its harts, its devices. Memory is the caller's
 * business. Sections and their order of loading: lodge-state(5). */
#include "level/machine/internal.h"

/* What must be the same to go on, and what the rest of the machine remembers. */
struct saved {
	uint64_t ram, guest_ns;
	uint32_t harts, parts, mmu_max, pmp_entries, sbi, vlen;
	uint64_t entry, dtb, dynamic_info, kernel, kernel_len, initrd, initrd_len;
	uint32_t panic_seen;
};
static const struct state_field saved_fields[] = {
	STATE(struct saved, ram, 1), STATE(struct saved, guest_ns, 1),
	STATE(struct saved, harts, 1), STATE(struct saved, parts, 1),
	STATE(struct saved, mmu_max, 1),
	STATE(struct saved, pmp_entries, 1), STATE(struct saved, sbi, 1),
	STATE(struct saved, vlen, 1),
	STATE(struct saved, entry, 1), STATE(struct saved, dtb, 1),
	STATE(struct saved, dynamic_info, 1), STATE(struct saved, kernel, 1),
	STATE(struct saved, kernel_len, 1), STATE(struct saved, initrd, 1),
	STATE(struct saved, initrd_len, 1), STATE(struct saved, panic_seen, 1), STATE_END
};

static void hart_name(char name[SAVE_NAME_MAX + 1], unsigned i)
{
	snprintf(name, SAVE_NAME_MAX + 1, "hart%u", i);
}

static void part_name(char name[SAVE_NAME_MAX + 1], const struct machine *m, unsigned i)
{
	struct dev *d = m->parts[i];
	const struct virtio *v = virtio_of(d);
	snprintf(name, SAVE_NAME_MAX + 1, "device%u.%s%s%s", i, d->class->name, v ? "." : "",
	         v ? v->class->name : "");
}

/* ---- saving ---- */

/* Reasons not to, before anything is touched. */
static int save_check(const struct machine *m, struct lodge_err *e)
{
	if (m->counted)
		return err_set(e, EOPNOTSUPP, "a guest with clock=icount cannot be saved");
	if (m->halt != HALT_NONE || m->ended)
		return err_set(e, EBUSY, "the guest is ending");
	return 0;
}

static int parts_drain(struct machine *m, struct lodge_err *e)
{
	for (unsigned i = 0; i < m->nparts; i++) {
		struct virtio *v = virtio_of(m->parts[i]);
		if (!v)
			continue;
		virtio_drain(v);
		pthread_mutex_lock(v->lock);
		unsigned n = virtio_inflight(v);
		pthread_mutex_unlock(v->lock);
		if (n)
			return err_set(e, EBUSY, "virtio-%s has %u requests under way",
			               v->class->name, n);
	}
	return 0;
}

int machine_flush(void *self, struct lodge_err *e)
{
	struct machine *m = self;
	for (unsigned i = 0; i < m->ndisks; i++) {
		struct blk *b = m->disks[i];
		int r = blk_readonly(b) ? 0 : blk_sync(b, BLK_FLUSH, 0, NULL, 0);
		if (r < 0)
			return err_set(e, -r, "disk %u cannot be flushed: %s", i, strerror(-r));
	}
	return 0;
}

/* Addresses of vsock: those from 3 to 15 are for people. */
bool machine_own_option(unsigned i, char *buf, size_t cap)
{
	uint32_t cid;
	uint8_t m[5];
	if (i == 0) {
		host_random(&cid, sizeof cid);
		snprintf(buf, cap, "cid=%u", 16 + cid % (UINT32_MAX / 2));
	} else if (i == 1) { /* locally administered */
		host_random(m, sizeof m);
		snprintf(buf, cap, "mac=02:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4]);
	}
	return i < 2;
}

bool machine_renamed(void *self, uint8_t ret_was[6], uint8_t ret_now[6])
{
	struct machine *m = self;
	return m->net_dev && virtio_net_address(m->net_dev, ret_was, ret_now);
}

static void part_save(struct machine *m, struct save_out *o, unsigned i)
{
	char name[SAVE_NAME_MAX + 1];
	part_name(name, m, i);
	size_t n = dev_save(m->parts[i], NULL, 0);
	uint8_t *p = save_out_section(o, name, n);
	if (p)
		dev_save(m->parts[i], p, n);
}

int machine_save(void *self, struct save_out *o, struct lodge_err *e)
{
	struct machine *m = self;
	int r = save_check(m, e);
	if (r == 0)
		r = parts_drain(m, e);
	if (r < 0)
		return r;
	struct saved s = {
		.ram = m->ram, .guest_ns = vclock_ns(&m->clock), .harts = m->rv.nharts,
		.parts = m->nparts, .mmu_max = m->rv.mmu_max, .pmp_entries = m->rv.pmp_entries,
		.sbi = m->rv.sbi, .vlen = m->rv.vlen, .entry = m->entry, .dtb = m->dtb,
		.dynamic_info = m->dynamic_info, .kernel = m->kernel, .kernel_len = m->kernel_len,
		.initrd = m->initrd, .initrd_len = m->initrd_len, .panic_seen = m->panic_seen,
	};
	save_out_fields(o, "machine", saved_fields, &s);
	char isa[FDT_ISA_MAX];
	fdt_isa(m, isa);
	uint8_t *text = save_out_section(o, "isa", strlen(isa));
	if (text)
		memcpy(text, isa, strlen(isa));
	for (unsigned i = 0; i < m->rv.nharts; i++) {
		char name[SAVE_NAME_MAX + 1];
		hart_name(name, i);
		save_out_fields(o, name, rv_hart_state, m->vcpus[i].hart);
	}
	for (unsigned i = 0; i < m->nparts; i++)
		part_save(m, o, i);
	return 0;
}

/* ---- loading ---- */

/* Can this Lodge's harts do all that the guest was told they can? */
static int isa_check(const struct machine *m, const struct save_in *in, struct lodge_err *e)
{
	char ours[FDT_ISA_MAX + 1], theirs[FDT_ISA_MAX], *rest;
	size_t n;
	const uint8_t *p = save_in_find(in, "isa", &n);
	if (!p || n >= sizeof theirs)
		return err_set(e, EINVAL, "the state does not say what its harts can do");
	memcpy(theirs, p, n);
	theirs[n] = 0;
	fdt_isa(m, ours);
	strcat(ours, "_");
	for (char *x = strtok_r(theirs, "_", &rest); x; x = strtok_r(NULL, "_", &rest)) {
		char part[FDT_ISA_MAX];
		bool base = x == theirs;
		snprintf(part, sizeof part, "%s%s_", base ? "" : "_", x);
		if (base ? strncmp(ours, part, strlen(part)) != 0 : !strstr(ours, part))
			return err_set(e, EOPNOTSUPP,
			               "the guest runs on harts with %s, which this Lodge does "
			               "not have", x);
	}
	return 0;
}

static int saved_check(const struct machine *m, const struct saved *s, struct lodge_err *e)
{
	const struct { const char *what; uint64_t theirs, ours; } same[] = {
		{ "bytes of memory", s->ram, m->ram },
		{ "harts", s->harts, m->rv.nharts },
		{ "devices", s->parts, m->nparts },
		{ "bits of virtual address", s->mmu_max, m->rv.mmu_max },
		{ "entries of memory protection", s->pmp_entries, m->rv.pmp_entries },
		{ "built-in SBI", s->sbi, m->rv.sbi },
		{ "bits of a vector register", s->vlen, m->rv.vlen },
	};
	for (size_t i = 0; i < countof(same); i++)
		if (same[i].theirs != same[i].ours)
			return err_set(e, EINVAL,
			               "the state is of a machine with %llu %s, this one has %llu",
			               (unsigned long long)same[i].theirs, same[i].what,
			               (unsigned long long)same[i].ours);
	return 0;
}

static int part_load(struct machine *m, const struct save_in *in, unsigned i, struct lodge_err *e)
{
	char name[SAVE_NAME_MAX + 1];
	size_t n;
	part_name(name, m, i);
	const uint8_t *p = save_in_find(in, name, &n);
	if (!p)
		return err_set(e, EINVAL, "the state has no %s, this machine does", name);
	if (!dev_load(m->parts[i], p, n))
		return err_set(e, EINVAL, "the state's %s does not fit", name);
	return 0;
}

/* Harts first, then the interrupt controller (part 0) that drives them, then who drives it. */
int machine_load(void *self, const struct save_in *in, struct lodge_err *e)
{
	struct machine *m = self;
	struct saved s = { 0 };
	int r = save_in_fields(in, "machine", saved_fields, &s, e);
	if (r == 0)
		r = saved_check(m, &s, e);
	if (r == 0)
		r = isa_check(m, in, e);
	for (unsigned i = 0; r == 0 && i < m->rv.nharts; i++) {
		char name[SAVE_NAME_MAX + 1];
		hart_name(name, i);
		r = save_in_fields(in, name, rv_hart_state, m->vcpus[i].hart, e);
		if (r == 0 && !rv_hart_valid(m->vcpus[i].hart))
			r = err_set(e, EINVAL, "the state's %s is none that a hart can be in",
			            name);
		if (r < 0)
			continue;
		rv_hart_loaded(m->vcpus[i].hart);
		/* taken for idle until it shows otherwise: a clone may have little to do */
		m->vcpus[i].hart->idle_ns = s.guest_ns;
		m->vcpus[i].hart->idle_icount = m->vcpus[i].hart->icount;
		m->vcpus[i].hart->idle_insns = 0;
		m->vcpus[i].hart->idle_told = true;
	}
	vclock_set(&m->clock, s.guest_ns);
	for (unsigned i = 0; r == 0 && i < m->nparts; i++)
		r = part_load(m, in, i, e);
	if (r < 0)
		return r;
	m->entry = s.entry;
	m->dtb = s.dtb;
	m->dynamic_info = s.dynamic_info;
	m->kernel = s.kernel;
	m->kernel_len = s.kernel_len;
	m->initrd = s.initrd;
	m->initrd_len = s.initrd_len;
	m->panic_seen = s.panic_seen < PANIC_SEEN_MAX ? s.panic_seen : 0;
	m->loaded = true;
	return 0;
}

int machine_freeze(void *self, const char *const *overlays, size_t n, struct lodge_err *e)
{
	struct machine *m = self;
	if (n != m->ndisks)
		return err_set(e, EINVAL, "%u disks, not %zu", m->ndisks, n);
	for (unsigned i = 0; i < m->ndisks; i++) {
		int r = overlays[i] ? blk_freeze(m->disks[i], overlays[i], e) : 0;
		if (r < 0)
			return err_in(e, r, "disk %u", i);
	}
	return 0;
}

struct mem *machine_memory(void *self) { return ((struct machine *)self)->mem; }

/* ---- copies of disks in use ---- */

uint64_t machine_disk(void *self, size_t i)
{
	struct machine *m = self;
	return i < m->ndisks ? blk_size(m->disks[i]) : 0;
}

int machine_disk_track(void *self, bool on, struct lodge_err *e)
{
	struct machine *m = self;
	int r = 0;
	for (unsigned i = 0; i < m->ndisks && r == 0 && on; i++)
		r = blk_track_begin(m->disks[i], e);
	for (unsigned i = 0; i < m->ndisks && (r < 0 || !on); i++)
		blk_track_end(m->disks[i]);
	return r;
}

bool machine_disk_next(void *self, size_t i, uint64_t from, uint64_t max, uint64_t *ret_off,
                       uint64_t *ret_len)
{
	return blk_track_next(((struct machine *)self)->disks[i], from, max, ret_off, ret_len);
}

uint64_t machine_disk_left(void *self)
{
	struct machine *m = self;
	uint64_t sum = 0;
	for (unsigned i = 0; i < m->ndisks; i++)
		sum += blk_track_left(m->disks[i]);
	return sum;
}

int machine_disk_read(void *self, size_t i, uint64_t off, void *buf, size_t len)
{
	return blk_sync(((struct machine *)self)->disks[i], BLK_READ, off, buf, len);
}
