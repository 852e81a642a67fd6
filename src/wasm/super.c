/* SPDX-License-Identifier: Apache-2.0 */
/* Superinstructions: one body for several instructions that follow each other. The first of them
 * gets the address of that body instead of its own; they all stay where they are, as they are. So a
 * branch may lead to any of them, a trap or a state says which of them it was, and compiled code
 * knows nothing of it. */
#include "wasm/internal.h"
#include <pthread.h>
#include <stdlib.h>

/* How an instruction uses what the one before it makes, as in super.def. */
enum link { LINK_N, LINK_A, LINK_B, LINK_AB, LINK_C, LINK_D, LINKS };
#define LINKED(from, link, code)                                                                   \
	((uint32_t)(from) << 16 | (uint32_t)(link) << 12 | (uint32_t)(code))

/* Codes of parts. */
#define CODE_OF_ONE(name)      CODE_##name
#define CODE_OF_TWO(name)      CODE_##name
#define CODE_OF_K(name)        CODE_##name##_k
#define CODE_OF_THREE(name)    CODE_##name
#define CODE_OF_DIVIDE(name)   CODE_##name
#define CODE_OF_IF(name)       CODE_##name##_if
#define CODE_OF_IF_K(name)     CODE_##name##_if_k
#define CODE_OF_UNLESS(name)   CODE_##name##_unless
#define CODE_OF_UNLESS_K(name) CODE_##name##_unless_k
#define CODE_OF_LOAD(name)     CODE_##name
#define CODE_OF_LOAD_IN(name)  CODE_##name##_in
#define CODE_OF_STORE(name)    CODE_##name
#define CODE_OF_STORE_IN(name) CODE_##name##_in
#define CODE_OF_ONLY(name)     CODE_##name

static const struct row {
	uint32_t key;
	uint16_t from, to;
} rows[] = {
#define ROW(from, link, code, to) {LINKED(from, link, code), from, to},
#define PAIR(s1, n1, l1, s2, n2)                                                                   \
	ROW(CODE_OF_##s1(n1), LINK_##l1, CODE_OF_##s2(n2), SUPER_##s1##_##n1##_##l1##_##s2##_##n2)
#define TRIPLE(s1, n1, l1, s2, n2, l2, s3, n3)                                                     \
	ROW(SUPER_##s1##_##n1##_##l1##_##s2##_##n2, LINK_##l2, CODE_OF_##s3(n3),                   \
	    SUPER_##s1##_##n1##_##l1##_##s2##_##n2##_##l2##_##s3##_##n3)
#include "wasm/super.def"
};

/* The rows by key. */
enum { PLACES = 4096 };
static_assert(countof(rows) * 2 <= PLACES && CODE_COUNT <= 4096 && SUPER_END <= 65536,
	      "places for rows, bits of a key");
static uint16_t places[PLACES]; /* 1 + number of a row */
static bool begins[SUPER_END];  /* there are rows from it on */

static uint32_t place_of(uint32_t key) { return key * 2654435769u >> 20; }

static void places_init(void)
{
	for (uint32_t i = 0; i < countof(rows); i++) {
		uint32_t at = place_of(rows[i].key);
		while (places[at])
			at = (at + 1) % PLACES;
		places[at] = (uint16_t)(i + 1);
		begins[rows[i].from] = true;
	}
}

/* What @from becomes with one more instruction; 0: nothing. */
static uint16_t with(uint16_t from, enum link link, uint64_t code)
{
	uint32_t key = LINKED(from, link, code);
	for (uint32_t at = place_of(key); places[at]; at = (at + 1) % PLACES)
		if (rows[places[at] - 1].key == key)
			return rows[places[at] - 1].to;
	return 0;
}

static bool is_linked(const struct insn *i, uint16_t d, enum link link)
{
	switch ((int)link) {
	case LINK_A: return i->a == d;
	case LINK_B: return i->b == d;
	case LINK_AB: return i->a == d && i->b == d;
	case LINK_C: return i->c == d;
	case LINK_D: return i->d == d;
	default: return true;
	}
}

enum { SECOND = UINT32_MAX }; /* the cost of the second half of an instruction */
struct search {
	const struct insn *at;
	const uint16_t *codes;
	uint32_t n;
	const struct body *rest; /* of all later instructions */
	struct body best;
};

/* Bodies that begin with @body, whose last instruction is @last. */
static void search(struct search *s, uint16_t body, uint32_t last)
{
	const struct insn *at = s->at;
	uint32_t next = last + 1 + code_is_double(s->codes[last]);
	if (s->rest[next].cost + 1 < s->best.cost)
		s->best = (struct body){s->rest[next].cost + 1, body};
	if (!begins[body] || next == s->n)
		return;
	/* operands that are known come first: of two that are as good, the first is taken */
	for (unsigned link = LINKS; link-- > 0;) {
		if (!is_linked(&at[next], at[last].d, link))
			continue;
		uint16_t to = with(body, link, s->codes[next]);
		if (to)
			search(s, to, next);
	}
}

struct body *super_find(const struct insn *at, const uint16_t *codes, uint32_t n)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, places_init);
	struct body *ret = malloc((n + 1) * sizeof *ret);
	if (!ret)
		return NULL;
	memset(ret, 0, (n + 1) * sizeof *ret);
	for (uint32_t k = 0; k < n; k++)
		if (code_is_double(codes[k]))
			ret[++k].cost = SECOND;
	for (uint32_t k = n; k-- > 0;) {
		if (ret[k].cost == SECOND)
			continue;
		struct search s = {at, codes, n, ret, {SECOND, 0}};
		search(&s, codes[k], k);
		ret[k] = s.best;
	}
	return ret;
}

void super_apply(const struct wasm *w, struct func *f)
{
	autofree struct body *bodies = f->codes ? super_find(f->own, f->codes, f->ninsns) : NULL;
	for (uint32_t k = 0; bodies && k < f->ninsns; k++) {
		f->own[k].go = w->labels[bodies[k].code];
		k += code_is_double(f->codes[k]);
	}
}
