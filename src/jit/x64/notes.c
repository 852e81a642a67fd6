/* SPDX-License-Identifier: Apache-2.0 */
/* What the owner of a unit is told of it, in few bytes, as there are many units and it is seldom
 * asked for: exits, sites, mirrored accesses. All are numbers of 7 bits a byte, the lowest first,
 * as distances from the record before; they are near each other. */
#include "jit/x64/internal.h"

/* Unsigned 32-bit distances may wrap around. Signed ones have the sign in bit 0. */
static uint8_t *number_put(uint8_t *p, uint64_t n)
{
	for (; n > 127; n >>= 7)
		*p++ = (uint8_t)(n | 128);
	*p++ = (uint8_t)n;
	return p;
}

static uint64_t number_get(const uint8_t **p)
{
	uint64_t n = 0;
	for (unsigned shift = 0;; shift += 7) {
		uint8_t b = *(*p)++;
		n |= (uint64_t)(b & 127) << shift;
		if (b < 128)
			return n;
	}
}

static uint64_t sign_fold(uint64_t n) { return n << 1 ^ (n >> 63 ? UINT64_MAX : 0); }
static uint64_t sign_unfold(uint64_t n) { return n >> 1 ^ (n & 1 ? UINT64_MAX : 0); }

void notes_pack(struct jit_gen *g, struct jit_unit *ret)
{
	uint8_t *p = g->notes;
	uint32_t at = ret->code, stub = ret->code;
	for (unsigned n = 0; n < g->nexits; n++) {
		uint32_t back = g->exits[n].back, patch = g->exits[n].patch;
		p = number_put(p, back - at);
		p = number_put(p, patch ? back - patch : 0);
		p = number_put(p, sign_fold(g->exits[n].pa - ret->pa));
		at = back;
	}
	ret->sites_at = (uint16_t)(p - g->notes);
	at = ret->code;
	for (unsigned n = 0, off = 0; n < g->nsites; n++) {
		p = number_put(p, g->sites[n].back - at);
		p = number_put(p, sign_fold((uint64_t)g->sites[n].off - off));
		p = number_put(p, g->sites[n].undo);
		at = g->sites[n].back;
		off = g->sites[n].off;
	}
	ret->touches_at = (uint16_t)(p - g->notes);
	at = ret->code;
	for (unsigned n = 0; n < g->ntouches; n++) {
		p = number_put(p, g->touches[n].at - at);
		p = number_put(p, g->touches[n].stub - stub);
		at = g->touches[n].at;
		stub = g->touches[n].stub;
	}
	ret->notes_len = (uint16_t)(p - g->notes);
	ret->notes = g->notes;
}

/* ---- finding ---- */

/* The exit number @n, or the one that returns to @back: whichever comes first. */
static bool exit_search(const struct jit_unit *u, uint32_t n, uint32_t back,
                        struct jit_exit_at *ret)
{
	const uint8_t *p = u->notes, *end = p + u->sites_at;
	struct jit_exit_at x = { .back = u->code };
	for (; p < end; x.n++) {
		x.back += (uint32_t)number_get(&p);
		uint32_t patch = (uint32_t)number_get(&p);
		x.patch = patch ? x.back - patch : 0;
		x.pa = u->pa + sign_unfold(number_get(&p));
		if (x.n == n || x.back == back) {
			*ret = x;
			return true;
		}
	}
	return false;
}

bool jit_exit_find(const struct jit_unit *u, uint32_t back, struct jit_exit_at *ret)
{
	return exit_search(u, UINT32_MAX, back, ret);
}

bool jit_exit_get(const struct jit_unit *u, uint32_t n, struct jit_exit_at *ret)
{
	return exit_search(u, n, 0, ret);
}

bool jit_site_find(const struct jit_unit *u, uint32_t back, struct jit_site_at *ret)
{
	const uint8_t *p = u->notes + u->sites_at, *end = u->notes + u->touches_at;
	uint32_t at = u->code, off = 0;
	while (p < end) {
		at += (uint32_t)number_get(&p);
		off += (uint32_t)sign_unfold(number_get(&p));
		uint16_t undo = (uint16_t)number_get(&p);
		if (at == back) {
			*ret = (struct jit_site_at){ (uint16_t)off, undo };
			return true;
		}
	}
	return false;
}

uint32_t jit_touch_find(const struct jit_unit *u, uint32_t at)
{
	const uint8_t *p = u->notes + u->touches_at, *end = u->notes + u->notes_len;
	uint32_t now = u->code, stub = u->code;
	while (p < end) {
		now += (uint32_t)number_get(&p);
		stub += (uint32_t)number_get(&p);
		if (now == at)
			return stub;
	}
	return 0;
}
