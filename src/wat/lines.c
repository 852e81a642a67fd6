/* SPDX-License-Identifier: Apache-2.0 */
/* Which line of the text code is of, as ".debug_line". Addresses are bytes of the code section.
 * Spec: DWARF 5 §6.2 */
#include "wat/internal.h"

enum { LINE_BASE = -5, LINE_RANGE = 14, OPCODE_BASE = 13 };
enum { LNS_COPY = 1, LNS_ADVANCE_PC = 2, LNS_ADVANCE_LINE = 3 };
enum { LNE_END = 1, LNE_SET_ADDRESS = 2 };
enum { LNCT_PATH = 1, LNCT_DIRECTORY = 2, FORM_STRING = 8, FORM_UDATA = 0x0f };

static void line_add(struct wat *w, uint32_t at, uint32_t line)
{
	struct bytes *to = &w->lines;
	int64_t lines = (int64_t)line - w->lines_line;
	uint64_t step = at - w->lines_at;
	w->lines_at = at;
	w->lines_line = line;
	if (lines >= LINE_BASE && lines < LINE_BASE + LINE_RANGE && step <= 16) {
		uint64_t code = (uint64_t)(lines - LINE_BASE) + LINE_RANGE * step + OPCODE_BASE;
		if (code < 256) {
			byte_put(to, (unsigned)code);
			return;
		}
	}
	byte_put(to, LNS_ADVANCE_PC);
	unsigned_put(to, step);
	byte_put(to, LNS_ADVANCE_LINE);
	signed_put(to, lines);
	byte_put(to, LNS_COPY);
}

void lines_add(struct wat *w, uint32_t at)
{
	for (uint32_t i = 0; i < w->nrows; i++)
		line_add(w, at + w->rows[i].at, w->rows[i].line);
}

static void u32_put(struct bytes *to, uint32_t v)
{
	uint8_t b[4];
	le32_put(b, v);
	bytes_put(to, b, sizeof b);
}

/* Up to where the program begins; files 0 and 1 are the text. */
static void header_put(struct wat *w, struct bytes *to)
{
	static const uint8_t head[] = {1, 1, 1, (uint8_t)LINE_BASE, LINE_RANGE, OPCODE_BASE,
				       0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1,
				       1, LNCT_PATH, FORM_STRING, 1, '.', 0,
				       2, LNCT_PATH, FORM_STRING, LNCT_DIRECTORY, FORM_UDATA, 2};
	const char *slash = strrchr(w->file, '/'), *name = slash ? slash + 1 : w->file;
	bytes_put(to, head, sizeof head);
	for (unsigned i = 0; i < 2; i++) {
		bytes_put(to, name, strlen(name) + 1);
		byte_put(to, 0);
	}
}

/* The section, whose first function is @first bytes into that of code. */
void lines_put(struct wat *w, struct bytes *to, uint32_t first)
{
	struct bytes head = {0}, unit = {0};
	header_put(w, &head);
	bytes_put(&unit, "\5\0\4\0", 4); /* version, sizes of addresses and of segments */
	u32_put(&unit, (uint32_t)head.n);
	bytes_put(&unit, head.at, head.n);
	bytes_put(&unit, "\0\5", 2);
	byte_put(&unit, LNE_SET_ADDRESS);
	u32_put(&unit, first);
	bytes_put(&unit, w->lines.at, w->lines.n);
	byte_put(&unit, LNS_ADVANCE_PC);
	unsigned_put(&unit, w->out[OUT_CODE].n - w->lines_at);
	bytes_put(&unit, "\0\1", 2);
	byte_put(&unit, LNE_END);
	u32_put(to, (uint32_t)unit.n);
	bytes_put(to, unit.at, unit.n);
	to->failed |= head.failed | unit.failed | w->lines.failed;
	free(head.at);
	free(unit.at);
}
