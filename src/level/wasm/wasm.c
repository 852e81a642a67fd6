/* SPDX-License-Identifier: Apache-2.0 */
/* The level: this process becomes a WebAssembly program. It sees the folders that it is given, and
 * is confined before its module is looked at. */
#include "level/wasm/internal.h"
#include <fcntl.h>
#include <stdio.h>

/* ---- what it is asked for ---- */

static int fuel_parse(const char *text, uint64_t *ret, struct lodge_err *e)
{
	char *end;
	errno = 0;
	unsigned long long n = strtoull(text, &end, 10);
	if (!*text || *end || text[0] == '-' || errno || !n)
		return err_set(e, EINVAL, "-o fuel=%s: write a number of branches and calls", text);
	*ret = n;
	return 0;
}

static int options_check(struct plan *p, const struct lodge_config *c, struct lodge_err *e)
{
	const char *fuel = life_option(c, "fuel");
	bool cache = false;
	int r = life_kept_wanted(c, &cache, e);
	p->listens = life_option(c, "listen");
	if (r < 0)
		return r;
	/* of runs whose code is like that of others: see jit_fn_owner.counts */
	p->keeps_code = cache && !fuel && !c->timeout_ns &&
			(!c->accel || strcmp(c->accel, "interpret") != 0);
	return fuel ? fuel_parse(fuel, &p->fuel, e) : 0;
}

static int config_check(const struct lodge_config *c, bool kept, struct lodge_err *e)
{
	const struct {
		bool given;
		const char *what, *why;
	} rows[] = {
	    {c->net && strcmp(c->net, "none") != 0, "--net but none", "it has no network"},
	    {!kept && (c->cpus > 1 || c->cpu_milli || c->cpu_weight || c->cpuset ||
		       c->memory_limit),
	     "limits of CPUs in the foreground", "give it a --name, or -d; -m works in both"},
	    {c->accel && strcmp(c->accel, "auto") != 0 && strcmp(c->accel, "interpret") != 0 &&
		 strcmp(c->accel, "translate") != 0,
	     "this --accel", "its engines are interpret and translate"},
	};
	for (size_t i = 0; i < countof(rows); i++)
		if (rows[i].given)
			return err_set(e, EINVAL, "a WebAssembly program takes no %s: %s",
				       rows[i].what, rows[i].why);
	return 0;
}

bool text_is_module(const char *path, const char *bytes, size_t len)
{
	size_t n = strlen(path);
	return (n > 4 && !strcmp(path + n - 4, ".wat")) || wat_claims(bytes, len);
}

static int volumes_plan(struct plan *p, const struct lodge_config *c, struct lodge_err *e)
{
	for (; p->n < c->nvolumes; p->n++) {
		size_t i = p->n;
		if (i == FOLDERS_MAX)
			return err_set(e, E2BIG, "--volume: at most %u", FOLDERS_MAX);
		int r = life_volume_parse(&p->volumes[i], c->volumes[i], e);
		if (r < 0)
			return r;
		(void)snprintf(p->places[i], sizeof p->places[i], "/%zu", i);
		p->binds[i] = (struct box_bind){p->volumes[i].source, p->places[i],
						p->volumes[i].readonly};
	}
	return 0;
}

int plan_make(struct plan *p, const struct lodge_config *c, bool kept, struct lodge_err *e)
{
	int r = options_check(p, c, e);
	if (r == 0)
		r = config_check(c, kept, e);
	if (r == 0)
		r = volumes_plan(p, c, e);
	return r;
}

static int become(const struct lodge_config *c, struct lodge_err *e)
{
	static struct plan p;
	int r = plan_make(&p, c, false, e);
	return r == 0 ? program_become(&p, c, e) : r;
}

/* A module is nobody else's, also one that will be refused: this level knows why. */
static int claims(const struct lodge_config *c)
{
	char head[4096];
	if (!c->guest || c->kernel || c->firmware)
		return 0;
	autoclose int fd = open(c->guest, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n = fd < 0 ? -1 : pread(fd, head, sizeof head, 0);
	return n > 0 && (wasm_claims((const uint8_t *)head, (size_t)n) ||
			 text_is_module(c->guest, head, (size_t)n))
		   ? LEVEL_CERTAIN
		   : 0;
}

extern const struct level level_wasm;
const struct level level_wasm = {
    .name = "wasm",
    .summary = "a WebAssembly program, with WASI preview 1",
    .claims = claims,
    .become = become,
    .whole = true,
    .timed = true,
    .confines = true,
    .create = guest_create,
    .start = guest_start,
    .pause = guest_pause,
    .resume = guest_resume,
    .stop = guest_stop,
    .kill = guest_kill,
    .signal = guest_signal,
    .destroy = guest_destroy,
    .console = guest_console,
    .resize = guest_resize,
    .inspect = guest_inspect,
    .limit = guest_limit,
    .hold = guest_hold,
    .cpu_ns = guest_cpu_ns,
    .save = guest_save,
    .fit = guest_fit,
    .load = guest_load,
    .memory = guest_memory,
};
