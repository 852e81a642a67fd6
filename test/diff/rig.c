/* SPDX-License-Identifier: Apache-2.0 */
/* diff: one hart on one engine with a RAM, a bus and a clock of its own. The clock stands still, so
 * that nothing depends on the host's time. */
#include "test/diff/diff.h"
#include <pthread.h>
#include <stdio.h>
#include <time.h>

enum { PLANTED_MAX = 2048 };

struct rig {
	struct rv_env env;
	struct vclock clock;
	struct rv_hart *h;
	const struct engine *e;
	uint64_t began;   /* icount at the start of the run */
	unsigned uses;    /* of the device */
	uint64_t written; /* sum of what was stored there */
	bool ended, late;
	pthread_t watch; /* asks a run that does not end to stop */
	clockid_t cpu;   /* of the thread that runs */
	double cpu_began;
	unsigned looks; /* of the watch since then */
	struct planted {
		uint32_t at, good, bad;
	} planted[PLANTED_MAX];
	unsigned nplanted;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool running, quit;
};

/* A loaded host makes a run long, not its CPU time; one that sleeps for ever uses none. */
enum { PATIENCE_CPU_S = 3, PATIENCE_LOOKS = 600 };

static uint64_t stop_read(void *rig, uint64_t off, unsigned width)
{
	(void)rig, (void)off, (void)width;
	return 0;
}
static void stop_write(void *rig, uint64_t off, unsigned width, uint64_t val)
{
	struct rig *r = rig;
	(void)off, (void)width, (void)val;
	r->ended = true;
	rv_hart_request(r->h, RV_REQ_STOP);
}

/* What is read depends on how often and where the device was used before. */
static uint64_t device_read(void *rig, uint64_t off, unsigned width)
{
	struct rig *r = rig;
	r->uses++;
	return (r->uses * 0x9e3779b97f4a7c15 ^ r->written) + off + width;
}
static void device_write(void *rig, uint64_t off, unsigned width, uint64_t val)
{
	struct rig *r = rig;
	r->uses++;
	r->written = r->written * 31 + (val ^ off << 32 ^ width);
}

static double seconds(clockid_t clock)
{
	struct timespec t = {0, 0};
	clock_gettime(clock, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *watch_run(void *rig)
{
	struct rig *r = rig;
	pthread_mutex_lock(&r->lock);
	while (!r->quit) {
		struct timespec at;
		if (!r->running) {
			pthread_cond_wait(&r->wake, &r->lock);
			continue;
		}
		clock_gettime(CLOCK_REALTIME, &at);
		at.tv_nsec += 200000000;
		at.tv_sec += at.tv_nsec / 1000000000;
		at.tv_nsec %= 1000000000;
		if (pthread_cond_timedwait(&r->wake, &r->lock, &at) != ETIMEDOUT || !r->running ||
		    (seconds(r->cpu) - r->cpu_began < PATIENCE_CPU_S &&
		     ++r->looks < PATIENCE_LOOKS))
			continue;
		r->late = true;
		r->running = false;
		rv_hart_request(r->h, RV_REQ_STOP);
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

static void watch_set(struct rig *r, bool running)
{
	pthread_mutex_lock(&r->lock);
	bool wakes = running && !r->running;
	r->running = running;
	r->looks = 0;
	r->cpu_began = seconds(CLOCK_THREAD_CPUTIME_ID);
	pthread_getcpuclockid(pthread_self(), &r->cpu);
	if (wakes)
		pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
}

int rig_new(struct rig **ret, const struct engine *e, const struct rig_how *how,
	    struct lodge_err *err)
{
	static const struct bus_ops stop = {stop_read, stop_write, 1, 8};
	static const struct bus_ops device = {device_read, device_write, 1, 8};
	struct rig *r = calloc(1, sizeof *r);
	if (!r)
		return err_set(err, ENOMEM, "no memory");
	r->e = e;
	r->clock.stopped_at_ns = 1;
	r->env = (struct rv_env){.clock = &r->clock,
				 .nharts = 1,
				 .hot = 1,
				 .mmu_max = 57,
				 .pmp_entries = 16,
				 .vlen = how->vlen,
				 .mirror = how->mirror,
				 .narrow = how->narrow,
				 .opt_at = how->opt_at,
				 .opt_sync = how->opt_at != 0};
	int bad = mem_new(&r->env.mem, gpa(RAM_AT), RAM_SIZE, err);
	if (!bad)
		bad = bus_new(&r->env.bus, err);
	if (!bad)
		bad = bus_map(r->env.bus, gpa(STOP), 0x1000, &stop, r, NULL, err);
	if (!bad)
		bad = bus_map(r->env.bus, gpa(DEVICE), 0x1000, &device, r, NULL, err);
	if (!bad)
		bad = rv_hart_new(&r->h, &r->env, 0, err);
	r->env.harts[0] = r->h;
	if (!bad)
		bad = e->attach(r->h, err);
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->wake, NULL);
	if (!bad && pthread_create(&r->watch, NULL, watch_run, r))
		bad = err_set(err, EAGAIN, "no thread");
	if (bad) {
		r->quit = true;
		rig_free(r);
		return bad;
	}
	*ret = r;
	return 0;
}

void rig_free(struct rig *r)
{
	if (!r)
		return;
	if (!r->quit) {
		pthread_mutex_lock(&r->lock);
		r->quit = true;
		pthread_cond_signal(&r->wake);
		pthread_mutex_unlock(&r->lock);
		pthread_join(r->watch, NULL);
	}
	if (r->h) {
		r->e->detach(r->h);
		rv_hart_free(r->h);
	}
	if (r->env.bus)
		bus_free(r->env.bus);
	mem_free(r->env.mem);
	free(r);
}

static const struct rv_pattern *pattern_named(const char *name, size_t n)
{
	for (unsigned i = 0; i < RV_PATTERNS; i++)
		if (strlen(rv_patterns[i].name) == n && !memcmp(rv_patterns[i].name, name, n))
			return &rv_patterns[i];
	return NULL;
}

/* In every unit of @p, words of one instruction become another that has the same fields. */
static void plant_put(struct rig *r, const struct program *p, const char *plant)
{
	size_t n = strcspn(plant, "=");
	const struct rv_pattern *from = pattern_named(plant, n);
	const struct rv_pattern *to =
	    plant[n] ? pattern_named(plant + n + 1, strlen(plant + n + 1)) : NULL;
	uint8_t *ram = mem_host(r->env.mem);
	for (unsigned i = 0; from && to && i < p->units; i++) {
		const struct unit *u = &p->unit[i];
		for (uint32_t at = u->at; at < u->at + u->len;) {
			uint32_t w = le32_at(ram + at);
			bool wide = (w & 3) == 3;
			if (wide && (w & from->mask) == from->match && r->nplanted < PLANTED_MAX) {
				uint32_t bad = (w & ~to->mask) | to->match;
				r->planted[r->nplanted++] = (struct planted){at, w, bad};
				le32_put(ram + at, bad);
			}
			at += wide ? 4 : 2;
		}
	}
}

/* The words themselves are no difference. */
static void plant_remove(struct rig *r)
{
	uint8_t *ram = mem_host(r->env.mem);
	for (unsigned i = 0; i < r->nplanted; i++)
		if (le32_at(ram + r->planted[i].at) == r->planted[i].bad)
			le32_put(ram + r->planted[i].at, r->planted[i].good);
	r->nplanted = 0;
}

static void start(struct rig *r, const struct program *p)
{
	struct rv_hart *h = r->h;
	__atomic_and_fetch(&h->requests, ~(uint32_t)RV_REQ_STOP, __ATOMIC_SEQ_CST);
	rv_hart_reset(h, p->pc, 0);
	memcpy(h->x, p->x, sizeof p->x);
	h->priv = p->priv;
	h->mstatus = p->mstatus;
	h->fs = p->fs;
	h->vs = p->vs;
	h->mtvec = M_CODE;
	h->stvec = S_CODE;
	h->mscratch = M_SAVE;
	h->sscratch = S_SAVE;
	h->medeleg = p->medeleg;
	h->mideleg = p->mideleg;
	h->menvcfg = p->menvcfg;
	h->mcounteren = p->mcounteren;
	h->scounteren = p->mcounteren >> 1;
	h->senvcfg = p->menvcfg & 0xf1;
	h->satp = p->satp[0];
	/* Only code can be executed, also by M: what data hold as instructions when they are stored
	 * to is for each engine to say. */
	static const struct {
		uint64_t at, size;
		uint8_t rights;
	} pmp[] = {{M_CODE, 2 * 4096, 5},
		   {CODE, CODE_SIZE, 7},
		   {FUNC, 8 * 4096, 7},
		   {SPARE + 6 * 4096, 2 * 4096, 7}};
	for (unsigned i = 0; i < countof(pmp); i++) {
		h->pmpaddr[i + 1] = pmp[i].at >> 2 | (pmp[i].size / 8 - 1);
		h->pmpcfg[i + 1] = pmp[i].rights | 0x98;
	}
	h->pmpaddr[15] = (UINT64_C(1) << 54) - 1;
	h->pmpcfg[15] = 0x9b;
	rv_hart_loaded(h);
	h->fetch_epoch++; /* the host wrote code */
	r->began = h->icount;
	r->uses = 0;
	r->written = 0;
	r->ended = r->late = false;
}

bool rig_run(struct rig *r, const struct program *p, const char *plant)
{
	memcpy(mem_host(r->env.mem), p->image, RAM_SIZE);
	if (plant)
		plant_put(r, p, plant);
	start(r, p);
	watch_set(r, true);
	r->e->run(r->h);
	watch_set(r, false);
	plant_remove(r);
	return r->ended && !r->late;
}

const struct rv_hart *rig_hart(const struct rig *r) { return r->h; }
const uint8_t *rig_ram(const struct rig *r) { return mem_host(r->env.mem); }
uint64_t rig_instructions(const struct rig *r) { return r->h->icount - r->began; }
unsigned rig_device_uses(const struct rig *r) { return r->uses; }
uint64_t rig_optimized(const struct rig *r)
{
	struct engine_stats s;
	r->e->stats(r->h, &s);
	return s.units[1];
}
uint64_t rig_mirrored(const struct rig *r)
{
	struct engine_stats s;
	r->e->stats(r->h, &s);
	return s.mirror_pages;
}
