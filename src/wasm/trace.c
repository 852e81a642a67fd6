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

static void frame_write(const struct wasm *w, const struct func *f, uint32_t insn, FILE *out)
{
	uint32_t i = (uint32_t)(f - w->funcs), at = f->host ? 0 : place_of(w, f, insn);
	struct span name;
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
	fputc('\n', out);
}

void trace_note(struct wasm *w, const struct func *f, uint32_t insn)
{
	if (w->ntrace < FRAMES_SHOWN)
		w->trace[w->ntrace] = (struct interrupted){f, insn};
	w->ntrace++;
}

void wasm_trace(const struct wasm *w, FILE *out)
{
	for (uint32_t n = 0; n < w->ntrace && n < FRAMES_SHOWN; n++)
		frame_write(w, w->trace[n].f, w->trace[n].insn, out);
	if (w->ntrace > FRAMES_SHOWN)
		fprintf(out, "  and %u more\n", w->ntrace - FRAMES_SHOWN);
}
