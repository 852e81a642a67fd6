/* SPDX-License-Identifier: Apache-2.0 */
/* Exception tables of C++ in their two forms: of words (__CxxFrameHandler3), and compressed
 * (__CxxFrameHandler4), where each catch is a function with tables and states of its own, or none.
 * Spec: FuncInfo3 as LLVM's WinException.cpp writes it; FuncInfo4 as "Making C++ Exception Handling
 * Smaller On x64" of Microsoft's C++ team tells. */
#include "win/cxx.h"

enum { PLAIN_NOEXCEPT = 4, MAGIC_BITS = 0x1fffffff };
enum { /* of the compressed form's first byte */
       FN_CATCH = 1,
       FN_SEPARATED = 2,
       FN_BLOCKS = 4,
       FN_UNDO = 8,
       FN_TRIES = 16,
       FN_NOEXCEPT = 64
};
enum { CATCH_ADJECTIVES = 1, CATCH_TYPE = 2, CATCH_OBJECT = 4, CATCH_RVA = 8, CATCH_ONWARD = 16 };

_Noreturn void cxx_damaged(const char *what)
{
	process_die(LODGE_EXIT_SIGNAL + 6, "the exception tables of C++ are damaged: %s", what);
}

static const uint8_t *table_at(const struct cxx_tables *t, uint64_t rva, uint64_t len)
{
	if (!t->m)
		return (const uint8_t *)(uintptr_t)(t->d->base + rva);
	const uint8_t *p = pe_at(&t->m->im, rva, len);
	if (!p)
		cxx_damaged("they reach beyond the image");
	return p;
}

const char *cxx_text(const struct cxx_tables *t, uint32_t rva)
{
	const char *text = t->m ? pe_text(&t->m->im, rva) : (const char *)table_at(t, rva, 1);
	if (!text)
		cxx_damaged("a name reaches beyond the image");
	return text;
}

static uint32_t word_read(const struct cxx_tables *t, uint32_t *rva)
{
	uint32_t v = le32_at(table_at(t, *rva, 4));
	*rva += 4;
	return v;
}

/* Of 1 to 5 bytes, as the lowest bits tell: 0, 01, 011, 0111, 1111; the last has 4 bytes behind. */
static uint32_t number_read(const struct cxx_tables *t, uint32_t *rva)
{
	uint32_t v = 0, first = *table_at(t, *rva, 1);
	unsigned n = (first & 15) == 15 ? 5 : (unsigned)__builtin_ctz(~first) + 1;
	const uint8_t *p = table_at(t, *rva, n);
	*rva += n;
	if (n == 5)
		return le32_at(p + 1);
	for (unsigned i = 0; i < n; i++)
		v |= (uint32_t)p[i] << 8 * i;
	return v >> n;
}

static struct cxx_cursor list_at(const struct cxx_tables *t, uint32_t rva)
{
	struct cxx_cursor c = {rva, 0};
	if (rva)
		c.left = number_read(t, &c.rva);
	return c;
}

/* ---- what there is ---- */

static void tables_begin(struct cxx_tables *ret, const struct dispatch *d, uint32_t *ret_rva)
{
	*ret = (struct cxx_tables){.d = d, .m = module_at(d->base), .begin = d->function->begin};
	*ret_rva = le32_at((const uint8_t *)(uintptr_t)d->data);
}

void cxx_tables_plain(struct cxx_tables *ret, const struct dispatch *d)
{
	uint32_t rva, magic;
	tables_begin(ret, d, &rva);
	const uint8_t *p = table_at(ret, rva, 4);
	magic = le32_at(p) & MAGIC_BITS;
	if (magic - CXX_MAGIC > 2)
		process_die(LODGE_EXIT_SIGNAL + 6, "exception tables of an unknown kind (%#x)",
			    le32_at(p));
	p = table_at(ret, rva, magic == CXX_MAGIC + 2 ? 40 : 32);
	ret->nundo = le32_at(p + 4);
	ret->undo_rva = le32_at(p + 8);
	ret->ntries = le32_at(p + 12);
	ret->tries_rva = le32_at(p + 16);
	ret->nplaces = le32_at(p + 20);
	ret->places_rva = le32_at(p + 24);
	ret->state_at = (int32_t)le32_at(p + 28);
	ret->no_except = magic == CXX_MAGIC + 2 && le32_at(p + 36) & PLAIN_NOEXCEPT;
}

/* Of a function in several pieces: the places of the one that begins at @t->begin. */
static uint32_t places_of_piece(const struct cxx_tables *t, uint32_t rva)
{
	for (struct cxx_cursor c = list_at(t, rva); c.left; c.left--) {
		uint32_t begin = word_read(t, &c.rva), places = word_read(t, &c.rva);
		if (begin == t->begin)
			return places;
	}
	return 0;
}

void cxx_tables_compressed(struct cxx_tables *ret, const struct dispatch *d)
{
	uint32_t rva;
	tables_begin(ret, d, &rva);
	uint8_t has = *table_at(ret, rva++, 1);
	ret->compressed = true;
	ret->is_catch = has & FN_CATCH;
	ret->no_except = has & FN_NOEXCEPT;
	if (has & FN_BLOCKS)
		number_read(ret, &rva);
	ret->undo_rva = has & FN_UNDO ? word_read(ret, &rva) : 0;
	ret->tries_rva = has & FN_TRIES ? word_read(ret, &rva) : 0;
	ret->places_rva = word_read(ret, &rva);
	if (has & FN_SEPARATED)
		ret->places_rva = places_of_piece(ret, ret->places_rva);
	ret->frame_at = ret->is_catch ? number_read(ret, &rva) : 0;
}

/* ---- states ---- */

int32_t cxx_state_of_pc(const struct cxx_tables *t)
{
	uint64_t pc = t->d->pc - t->d->base, at = t->begin;
	int32_t state = -1;
	if (!t->compressed) {
		const uint8_t *p = table_at(t, t->places_rva, 8ull * t->nplaces);
		for (uint32_t i = 0; i < t->nplaces && le32_at(p + 8ull * i) <= pc; i++)
			state = (int32_t)le32_at(p + 8ull * i + 4);
		return state;
	}
	for (struct cxx_cursor c = list_at(t, t->places_rva); c.left; c.left--) {
		at += number_read(t, &c.rva);
		if (at > pc)
			break;
		state = (int32_t)number_read(t, &c.rva) - 1;
	}
	return state;
}

/* @ret->to becomes how many bytes before this one the entry begins that it leads to. */
static void undo_read(const struct cxx_tables *t, uint32_t *rva, struct cxx_undo *ret)
{
	uint32_t first = number_read(t, rva);
	*ret = (struct cxx_undo){.to = (int32_t)(first >> 2), .kind = first & 3};
	ret->fn = ret->kind == UNDO_NOTHING ? 0 : word_read(t, rva);
	if (ret->kind == UNDO_OBJECT || ret->kind == UNDO_POINTER)
		ret->object_at = number_read(t, rva);
}

/* Which entry begins at @rva: before the first one, it is no state. */
static int32_t undo_state(const struct cxx_tables *t, uint32_t rva)
{
	struct cxx_cursor c = list_at(t, t->undo_rva);
	struct cxx_undo u;
	int32_t state = 0;
	if (rva < c.rva)
		return -1;
	for (; c.left && c.rva < rva; c.left--, state++)
		undo_read(t, &c.rva, &u);
	if (!c.left || c.rva != rva)
		cxx_damaged("what undoes a state leads to none");
	return state;
}

bool cxx_undo_at(const struct cxx_tables *t, int32_t state, struct cxx_undo *ret)
{
	uint32_t rva, index = (uint32_t)state;
	if (!t->compressed) {
		if (index >= t->nundo)
			return false;
		const uint8_t *p = table_at(t, t->undo_rva + 8ull * index, 8);
		uint32_t fn = le32_at(p + 4);
		*ret = (struct cxx_undo){.to = (int32_t)le32_at(p), .fn = fn};
		ret->kind = fn ? UNDO_FUNCLET : UNDO_NOTHING;
	} else {
		struct cxx_cursor c = list_at(t, t->undo_rva);
		if (index >= c.left)
			return false;
		for (uint32_t i = 0; i < index; i++)
			undo_read(t, &c.rva, ret);
		rva = c.rva;
		undo_read(t, &c.rva, ret);
		uint32_t back = (uint32_t)ret->to;
		ret->to = back > rva ? -1 : undo_state(t, rva - back);
	}
	if (ret->to >= state)
		cxx_damaged("what undoes a state does not leave it");
	return true;
}

/* ---- what catches ---- */

struct cxx_cursor cxx_tries(const struct cxx_tables *t)
{
	return t->compressed ? list_at(t, t->tries_rva)
			     : (struct cxx_cursor){t->tries_rva, t->ntries};
}

bool cxx_try_next(const struct cxx_tables *t, struct cxx_cursor *at, struct cxx_try *ret)
{
	uint32_t (*read)(const struct cxx_tables *, uint32_t *) =
	    t->compressed ? number_read : word_read;
	if (!at->left)
		return false;
	at->left--;
	ret->low = (int32_t)read(t, &at->rva);
	ret->high = (int32_t)read(t, &at->rva);
	ret->catch_high = (int32_t)read(t, &at->rva);
	uint32_t n = t->compressed ? 0 : word_read(t, &at->rva), list = word_read(t, &at->rva);
	ret->catches = t->compressed ? list_at(t, list) : (struct cxx_cursor){list, n};
	return true;
}

static void catch_plain(const struct cxx_tables *t, uint32_t *rva, struct cxx_catch *ret)
{
	ret->adjectives = word_read(t, rva);
	ret->type_rva = word_read(t, rva);
	ret->object_at = word_read(t, rva);
	ret->fn = word_read(t, rva);
	ret->frame_at = word_read(t, rva);
}

static void catch_compressed(const struct cxx_tables *t, uint32_t *rva, struct cxx_catch *ret)
{
	uint8_t has = *table_at(t, (*rva)++, 1);
	ret->adjectives = has & CATCH_ADJECTIVES ? number_read(t, rva) : 0;
	ret->type_rva = has & CATCH_TYPE ? word_read(t, rva) : 0;
	ret->object_at = has & CATCH_OBJECT ? number_read(t, rva) : 0;
	ret->fn = word_read(t, rva);
	ret->nonward = has / CATCH_ONWARD & 3;
	if (ret->nonward > CXX_ONWARD_MAX)
		cxx_damaged("a catch goes on in three places");
	for (unsigned i = 0; i < ret->nonward; i++)
		ret->onward[i] =
		    has & CATCH_RVA ? word_read(t, rva) : t->begin + number_read(t, rva);
}

bool cxx_catch_next(const struct cxx_tables *t, struct cxx_cursor *at, struct cxx_catch *ret)
{
	if (!at->left)
		return false;
	at->left--;
	*ret = (struct cxx_catch){0};
	(t->compressed ? catch_compressed : catch_plain)(t, &at->rva, ret);
	return true;
}
