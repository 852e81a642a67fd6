/* SPDX-License-Identifier: Apache-2.0 */
/* Names of functions, from the section "name", and the calls that a trap interrupted.
 * Spec: WASM-CORE 2.0, appendix "custom sections" */
#include "wasm/internal.h"

enum { SUBSECTION_FUNCTIONS = 1 };

/* Of function @func; false: the section does not say. */
static bool name_find(const struct wasm_module *m, uint32_t func, struct span *ret)
{
	struct reader r = {.base = m->bytes, .p = m->names.at};
	if (!m->names.at)
		return false;
	r.end = r.p + m->names.len;
	while (!r.bad && r.p < r.end) {
		uint8_t id = reader_byte(&r);
		uint32_t len = reader_u32(&r);
		if (id != SUBSECTION_FUNCTIONS) {
			(void)reader_bytes(&r, len);
			continue;
		}
		for (uint32_t n = reader_u32(&r); n && !r.bad; n--) {
			uint32_t i = reader_u32(&r), k;
			const char *name = reader_name(&r, &k);
			if (name && i == func) {
				*ret = (struct span){(const uint8_t *)name, k};
				return true;
			}
		}
		return false;
	}
	return false;
}

static bool export_name(const struct wasm_module *m, uint32_t func, struct span *ret)
{
	for (uint32_t i = 0; i < m->nexports; i++)
		if (m->exports[i].kind == WASM_FUNC && m->exports[i].index == func) {
			*ret = m->exports[i].name;
			return true;
		}
	return false;
}

/* Where of the module instruction @i of @f was read. */
static uint32_t place_of(const struct wasm *w, const struct func *f, uint32_t i)
{
	struct made made;
	uint32_t at = 0;
	if ((!f->own && f->code != &w->tiered) ||
	    func_make(w->m, (uint32_t)(f - w->funcs), &made, true, NULL) < 0)
		return 0;
	if (i < made.n)
		at = made.offsets[i];
	made_fini(&made);
	return at;
}

static void frame_write(const struct wasm *w, const struct func *f, uint32_t at,
			const struct line_place *line, FILE *out)
{
	uint32_t i = (uint32_t)(f - w->funcs);
	struct span name;
	char text[LINE_TEXT];
	fprintf(out, "  function %u", i);
	if (name_find(w->m, i, &name) || export_name(w->m, i, &name)) {
		fputs(" <", out);
		/* what the module says, without what a terminal would take for its own */
		for (uint32_t k = 0; k < name.len && k < 200; k++)
			fputc(name.at[k] < 32 || name.at[k] == 127 ? '?' : name.at[k], out);
		fputc('>', out);
	}
	if (at)
		fprintf(out, " at 0x%x", at);
	line_text(line, text);
	fprintf(out, "%s%s\n", *text ? ", " : "", text);
}

void trace_note(struct wasm *w, const struct func *f, uint32_t insn)
{
	if (w->ntrace < FRAMES_SHOWN)
		w->trace[w->ntrace] = (struct interrupted){f, insn};
	w->ntrace++;
}

void wasm_trace(const struct wasm *w, FILE *out)
{
	const struct debug *d = &w->m->debug;
	uint32_t shown = w->ntrace < FRAMES_SHOWN ? w->ntrace : FRAMES_SHOWN;
	uint32_t at[FRAMES_SHOWN] = {0};
	uint64_t addresses[FRAMES_SHOWN] = {0};
	struct line_place lines[FRAMES_SHOWN];
	for (uint32_t n = 0; n < shown; n++) {
		const struct func *f = w->trace[n].f;
		at[n] = f->host ? 0 : place_of(w, f, w->trace[n].insn);
		/* no address is below 1: functions of the host have no line */
		addresses[n] = at[n] ? at[n] - (uint64_t)(d->code - w->m->bytes) : 0;
	}
	lines_find(d, addresses, shown, lines);
	for (uint32_t n = 0; n < shown; n++)
		frame_write(w, w->trace[n].f, at[n], &lines[n], out);
	if (w->ntrace > FRAMES_SHOWN)
		fprintf(out, "  and %u more\n", w->ntrace - FRAMES_SHOWN);
}
