/* SPDX-License-Identifier: Apache-2.0 */
/* Active data segments. Large ones of memory 0 are not copied at the start: pieces of the memory
 * stay inaccessible until somebody touches them, and are filled then. A program that carries its
 * files in its data looks at few of them. Spec: WASM-CORE 2.0 §4.5.4 */
#include "wasm/internal.h"
#include <sys/mman.h>

enum {
	PIECE = PAGE,
	FILLED_LATER_FROM = 1 << 20 /* bytes of segments; less is copied at once */
};

static bool piece_waits(const struct wasm *w, uint64_t piece)
{
	return piece < w->npieces && w->pieces[piece / 8] >> (piece & 7) & 1;
}

/* The first segment that may have a byte at @from or behind it. */
static uint32_t active_find(const struct wasm *w, uint64_t from)
{
	uint32_t lo = 0, hi = w->active_mixed ? 0 : w->nactive;
	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;
		if (w->active[mid].to + w->active[mid].len <= from)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Bytes [@from, @to) of memory 0, of all segments, later ones over earlier ones. */
static void bytes_put(const struct wasm *w, uint64_t from, uint64_t to)
{
	for (uint32_t i = active_find(w, from); i < w->nactive; i++) {
		const struct active *s = &w->active[i];
		if (s->to >= to && !w->active_mixed)
			return;
		uint64_t a = s->to > from ? s->to : from;
		uint64_t b = min_u64(s->to + s->len, to);
		if (a < b)
			memcpy(w->base + a, s->at + (a - s->to), b - a);
	}
}

static void piece_fill(struct wasm *w, uint64_t piece)
{
	uint8_t *p = w->base + piece * PIECE;
	w->pieces[piece / 8] &= (uint8_t)~(1u << (piece & 7));
	if (mprotect(p, PIECE, PROT_READ | PROT_WRITE) < 0)
		return; /* the access faults once more, and is a trap then */
	(void)!madvise(p, PIECE, MADV_POPULATE_WRITE);
	bytes_put(w, piece * PIECE, (piece + 1) * PIECE);
}

bool data_touched(struct wasm *w, uint64_t address)
{
	uint64_t piece = (address - (uint64_t)(uintptr_t)w->base) / PIECE;
	if (!piece_waits(w, piece))
		return false;
	int before = errno; /* this may be in the middle of anything */
	piece_fill(w, piece);
	errno = before;
	return true;
}

void data_need(struct wasm *w, uint64_t at, uint64_t len)
{
	for (uint64_t k = at / PIECE; len && k <= (at + len - 1) / PIECE && k < w->npieces; k++)
		if (piece_waits(w, k))
			piece_fill(w, k);
}

/* ---- the start ---- */

/* Room to remember which pieces wait, if it is worth it and memory 0 can have such. */
static bool pieces_new(struct wasm *w)
{
	const struct wasm_module *m = w->m;
	uint64_t sum = 0;
	for (uint32_t i = 0; i < m->ndatas; i++)
		if (m->datas[i].mode == SEGMENT_ACTIVE && m->datas[i].memory == 0)
			sum += m->datas[i].bytes.len;
	if (sum < FILLED_LATER_FROM || w->memories[0].at != w->base || w->group)
		return false;
	uint64_t n = w->memories[0].len / PIECE;
	w->pieces = calloc(n / 8 + 1, 1);
	w->active = w->pieces ? calloc(m->ndatas, sizeof *w->active) : NULL;
	w->npieces = w->active ? n : 0;
	return w->active;
}

static void segment_later(struct wasm *w, const struct wdata *s, uint64_t at)
{
	const struct active *before = w->nactive ? &w->active[w->nactive - 1] : NULL;
	w->active_mixed |= before && at < before->to + before->len;
	w->active[w->nactive++] = (struct active){at, s->bytes.len, s->bytes.at};
	for (uint64_t k = at / PIECE; k <= (at + s->bytes.len - 1) / PIECE; k++)
		w->pieces[k / 8] |= (uint8_t)(1u << (k & 7));
}

/* Those that wait are taken away, in runs. What cannot be is filled now. */
static void pieces_close(struct wasm *w)
{
	for (uint64_t from = 0, to; from < w->npieces; from = to + 1) {
		for (to = from; piece_waits(w, to); to++)
			continue;
		uint64_t at = from * PIECE, len = (to - from) * PIECE;
		if (len && mprotect(w->base + at, len, PROT_NONE) < 0)
			data_need(w, at, len);
	}
}

enum wasm_trap data_start(struct wasm *w)
{
	const struct wasm_module *m = w->m;
	enum wasm_trap t = WASM_OK;
	bool later = pieces_new(w);
	for (uint32_t i = 0; i < m->ndatas && !t; i++) {
		const struct wdata *s = &m->datas[i];
		if (s->mode != SEGMENT_ACTIVE)
			continue;
		struct memory *to = &w->memories[s->memory];
		uint64_t at = constant_value(w, s->offset, to->is64 ? WASM_I64 : WASM_I32).lo;
		if (at > memory_len(to) || s->bytes.len > memory_len(to) - at) {
			t = WASM_TRAP_MEMORY;
			break;
		}
		if (s->bytes.len && later && s->memory == 0)
			segment_later(w, s, at);
		else if (s->bytes.len)
			memcpy(to->at + at, s->bytes.at, s->bytes.len);
		w->data_dropped[i] = true;
	}
	if (later)
		pieces_close(w);
	return t;
}

void data_free(struct wasm *w)
{
	free(w->pieces);
	free(w->active);
}
