/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of the source, from the section ".debug_line", whatever it says: addresses are bytes of the
 * code section. Sequences that begin at 0 are of functions that the linker has dropped.
 * Spec: DWARF 5 §6.2, and versions 2 to 4 of it */
#include "wasm/internal.h"

enum { LNS_COPY = 1, LNS_ADVANCE_PC, LNS_ADVANCE_LINE, LNS_SET_FILE, LNS_SET_COLUMN,
       LNS_NEGATE_STMT, LNS_SET_BLOCK, LNS_CONST_ADD_PC, LNS_FIXED_ADVANCE_PC };
enum { LNE_END = 1, LNE_SET_ADDRESS };
enum { FORM_DATA2 = 5, FORM_DATA4, FORM_DATA8, FORM_STRING, FORM_BLOCK, FORM_DATA1 = 0x0b,
       FORM_STRP = 0x0e, FORM_UDATA, FORM_DATA16 = 0x1e, FORM_LINE_STRP };
enum { LNCT_PATH = 1, FORMATS_MAX = 16 };

struct unit {
	const struct debug *d;
	struct reader r;       /* its end: that of the unit */
	struct reader files;   /* where names of files begin */
	unsigned version, min_length, opcode_base, line_range;
	int line_base;
	bool wide;             /* 64-bit DWARF */
	uint8_t operands[256]; /* of standard opcodes */
};
struct row {
	uint64_t address, line, file;
};
struct search {
	const uint64_t *addresses;
	struct line_place *places;
	uint32_t n, left;
};

/* ---- what stands before a program ---- */

static uint64_t fixed(struct reader *r, unsigned n)
{
	const uint8_t *p = reader_bytes(r, n);
	uint8_t all[8] = {0};
	if (p)
		memcpy(all, p, n);
	return le64_at(all);
}

static uint64_t offset(const struct unit *u, struct reader *r) { return fixed(r, u->wide ? 8 : 4); }

/* Up to a zero byte, which is taken, too. */
static struct span text(struct reader *r)
{
	const uint8_t *at = r->p, *end = r->bad ? NULL : memchr(at, 0, (size_t)(r->end - at));
	if (!end) {
		reader_fail(r, EBADMSG, "a text without an end");
		return (struct span){NULL, 0};
	}
	r->p = end + 1;
	return (struct span){at, (uint32_t)(end - at)};
}

static struct span text_at(const struct reader *from, struct span s, uint64_t at)
{
	if (!s.at) /* the module has no such section */
		return (struct span){NULL, 0};
	struct reader r = {.base = from->base, .p = s.at, .end = s.at + s.len};
	if (!reader_bytes(&r, at))
		return (struct span){NULL, 0};
	return text(&r);
}

/* A value of @form; *@ret is it, if it is a text. */
static void form_read(const struct unit *u, struct reader *r, uint64_t form, struct span *ret)
{
	switch (form) {
	case FORM_STRING: *ret = text(r); break;
	case FORM_STRP: *ret = text_at(r, u->d->str, offset(u, r)); break;
	case FORM_LINE_STRP: *ret = text_at(r, u->d->line_str, offset(u, r)); break;
	case FORM_UDATA: (void)reader_u64(r); break;
	case FORM_DATA1: (void)reader_bytes(r, 1); break;
	case FORM_DATA2: (void)reader_bytes(r, 2); break;
	case FORM_DATA4: (void)reader_bytes(r, 4); break;
	case FORM_DATA8: (void)reader_bytes(r, 8); break;
	case FORM_DATA16: (void)reader_bytes(r, 16); break;
	case FORM_BLOCK: (void)reader_bytes(r, reader_u64(r)); break;
	default: reader_fail(r, EBADMSG, "unknown form");
	}
}

/* Of version 5: a table of folders or files; the path of entry @want. */
static struct span table_read(const struct unit *u, struct reader *r, uint64_t want)
{
	uint64_t formats[FORMATS_MAX][2];
	struct span path = {NULL, 0}, found = path;
	unsigned n = reader_byte(r);
	if (n > FORMATS_MAX)
		reader_fail(r, EBADMSG, "so many formats");
	for (unsigned i = 0; i < n && !r->bad; i++) {
		formats[i][0] = reader_u64(r);
		formats[i][1] = reader_u64(r);
	}
	uint64_t count = reader_u64(r);
	if (!n && count)
		reader_fail(r, EBADMSG, "entries of nothing");
	for (uint64_t k = 0; k < count && !r->bad; k++) {
		for (unsigned i = 0; i < n && !r->bad; i++) {
			struct span s = {NULL, 0};
			form_read(u, r, formats[i][1], &s);
			if (formats[i][0] == LNCT_PATH)
				path = s;
		}
		if (k == want)
			found = path;
	}
	return found;
}

static struct span file_name(const struct unit *u, uint64_t file)
{
	struct reader r = u->files;
	if (u->version >= 5) {
		(void)table_read(u, &r, UINT64_MAX);
		return table_read(u, &r, file);
	}
	while (text(&r).len && !r.bad)
		continue;
	for (uint64_t i = 1; !r.bad; i++) {
		struct span s = text(&r);
		if (!s.len || i == file)
			return s;
		for (unsigned k = 0; k < 3; k++)
			(void)reader_u64(&r);
	}
	return (struct span){NULL, 0};
}

/* The next unit of @r; false: there is none, or none that can be read. */
static bool unit_read(struct unit *u, struct reader *r)
{
	uint64_t len = fixed(r, 4);
	u->wide = len == UINT32_MAX;
	if (u->wide)
		len = fixed(r, 8);
	const uint8_t *at = r->bad || r->p == r->end ? NULL : reader_bytes(r, len);
	if (!at)
		return false;
	struct reader *s = &u->r;
	*s = (struct reader){.base = r->base, .p = at, .end = at + len};
	u->version = (unsigned)fixed(s, 2);
	if (u->version >= 5)
		(void)reader_bytes(s, 2);
	uint64_t head = offset(u, s);
	struct reader h = *s;
	(void)reader_bytes(s, head); /* the program begins there */
	u->min_length = reader_byte(&h);
	if (u->version >= 4)
		(void)reader_byte(&h);
	(void)reader_byte(&h);
	u->line_base = (int8_t)reader_byte(&h);
	u->line_range = reader_byte(&h);
	u->opcode_base = reader_byte(&h);
	for (unsigned i = 1; i < u->opcode_base; i++)
		u->operands[i] = reader_byte(&h);
	u->files = h;
	if (u->version < 2 || u->version > 5 || h.bad || !u->line_range)
		s->bad = -EBADMSG;
	return true;
}

/* ---- the program ---- */

/* Code in [@a->address, @end) is of the line that @a says. */
static void row_end(const struct unit *u, struct search *s, const struct row *a, uint64_t end)
{
	for (uint32_t i = 0; i < s->n && a->line; i++) {
		struct line_place *p = &s->places[i];
		if (s->addresses[i] < a->address || s->addresses[i] >= end || p->line)
			continue;
		*p = (struct line_place){file_name(u, a->file), a->line};
		s->left--;
	}
}

struct machine {
	struct row now, before;
	bool begun, dropped; /* there is a row before; the sequence is of nothing */
};

static void row_put(const struct unit *u, struct search *s, struct machine *m)
{
	if (!m->begun)
		m->dropped = !m->now.address;
	else if (!m->dropped)
		row_end(u, s, &m->before, m->now.address);
	m->before = m->now;
	m->begun = true;
}

static void extended(struct unit *u, struct search *s, struct machine *m)
{
	uint64_t len = reader_u64(&u->r);
	const uint8_t *p = reader_bytes(&u->r, len);
	if (!p || !len)
		return;
	struct reader r = {.base = u->r.base, .p = p + 1, .end = p + len};
	if (*p == LNE_END) {
		row_put(u, s, m);
		*m = (struct machine){.now = {.line = 1, .file = 1}};
	} else if (*p == LNE_SET_ADDRESS && (len == 5 || len == 9)) {
		m->now.address = fixed(&r, (unsigned)len - 1);
	}
}

static void standard(struct unit *u, struct machine *m, unsigned op)
{
	switch (op) {
	case LNS_ADVANCE_PC: m->now.address += reader_u64(&u->r) * u->min_length; break;
	case LNS_ADVANCE_LINE: m->now.line += (uint64_t)reader_signed(&u->r, 64); break;
	case LNS_SET_FILE: m->now.file = reader_u64(&u->r); break;
	case LNS_CONST_ADD_PC:
		m->now.address += (255 - u->opcode_base) / u->line_range * u->min_length;
		break;
	case LNS_FIXED_ADVANCE_PC: m->now.address += fixed(&u->r, 2); break;
	default:
		for (unsigned i = 0; i < u->operands[op]; i++)
			(void)reader_u64(&u->r);
	}
}

static void program_run(struct unit *u, struct search *s)
{
	struct machine m = {.now = {.line = 1, .file = 1}};
	while (!u->r.bad && u->r.p < u->r.end && s->left) {
		unsigned op = reader_byte(&u->r);
		if (op >= u->opcode_base) {
			op -= u->opcode_base;
			m.now.address += op / u->line_range * u->min_length;
			m.now.line += (uint64_t)(int64_t)(u->line_base + (int)(op % u->line_range));
			row_put(u, s, &m);
		} else if (op == LNS_COPY) {
			row_put(u, s, &m);
		} else if (!op) {
			extended(u, s, &m);
		} else {
			standard(u, &m, op);
		}
	}
}

void line_text(const struct line_place *p, char ret[LINE_TEXT])
{
	unsigned n = 0;
	*ret = 0;
	if (!p->line)
		return;
	for (; n < p->file.len && n < LINE_TEXT - 32; n++)
		ret[n] = (char)(p->file.at[n] < 32 || p->file.at[n] == 127 ? '?' : p->file.at[n]);
	(void)snprintf(ret + n, LINE_TEXT - n, ":%llu", (unsigned long long)p->line);
}

void lines_find(const struct debug *d, const uint64_t *addresses, uint32_t n,
		struct line_place *ret)
{
	memset(ret, 0, n * sizeof *ret);
	if (!d->line.at)
		return;
	struct reader r = {.base = d->line.at, .p = d->line.at, .end = d->line.at + d->line.len};
	struct search s = {addresses, ret, n, n};
	struct unit u = {.d = d};
	while (s.left && unit_read(&u, &r))
		program_run(&u, &s);
}
