/* SPDX-License-Identifier: Apache-2.0 */
/* Instructions, plain and folded, and the blocks that they make. What is open is a list of frames,
 * not a stack of calls: a text may be nested as deeply as it likes. The bytes of a folded
 * instruction wait until its operands are written. Spec: WASM-TEXT 3.0 §6.5, 6.5.9 */
#include "wat/internal.h"

enum kind {
	/* closed by "end" */
	FLAT_BLOCK, FLAT_IF, FLAT_ELSE, FLAT_TRY, FLAT_CATCH, FLAT_CATCH_ALL,
	/* closed by ")": a plain instruction, a block, and a part of one */
	FOLD_PLAIN, FOLD_BLOCK, FOLD_PART,
	FOLD_IF, FOLD_IF_THEN, FOLD_IF_ELSE, /* nothing, then, else was there */
	FOLD_TRY, FOLD_TRY_DO, FOLD_TRY_ALL, FOLD_TRY_DELEGATE
};

static struct frame *frame_top(const struct wat *w)
{
	return w->nframes ? &w->frames[w->nframes - 1] : NULL;
}

static struct frame *frame_push(struct wat *w, enum kind kind, uint32_t line)
{
	w->frames = array_grow(w, w->frames, sizeof *w->frames, w->nframes, &w->cap_frames);
	if (w->bad)
		return &w->no_frame;
	struct frame *f = &w->frames[w->nframes++];
	*f = (struct frame){.kind = (uint8_t)kind, .line = line, .pending = w->pending.n};
	return f;
}

/* ---- lines ---- */

static void row_add(struct wat *w, uint32_t line)
{
	if (w->nrows && w->rows[w->nrows - 1].line == line)
		return;
	w->rows = array_grow(w, w->rows, sizeof *w->rows, w->nrows, &w->cap_rows);
	if (!w->bad)
		w->rows[w->nrows++] = (struct row){(uint32_t)w->code.n, line};
}

/* ---- labels ---- */

static void label_push(struct wat *w, struct frame *f)
{
	w->depth++;
	if (!f->symbol || w->bad)
		return;
	struct symbol *s = symbol_at(w, f->symbol);
	f->shadowed = s->label;
	s->label = w->depth;
}

static void label_pop(struct wat *w, const struct frame *f)
{
	w->depth--;
	if (f->symbol)
		symbol_at(w, f->symbol)->label = f->shadowed;
}

/* Behind else, end and the like: the label once more. */
static void label_repeated(struct wat *w, const struct frame *f)
{
	const char *at = w->t.at;
	uint32_t s = symbol_take_any(w);
	if (s && s != f->symbol)
		(void)wat_fail(w, at, "this is not the label of the block");
}

/* ---- blocks ---- */

/* (catch $tag $label) ... of try_table */
static void clauses_take(struct wat *w, struct bytes *to)
{
	static const char *const words[] = {"catch", "catch_ref", "catch_all", "catch_all_ref"};
	struct bytes all = {0};
	uint32_t n = 0;
	for (unsigned k = 0; k < countof(words) && !w->bad;) {
		if (!open_take(w, words[k])) {
			k++;
			continue;
		}
		byte_put(&all, k);
		if (k < 2)
			unsigned_put(&all, index_take(w, SPACE_TAG));
		unsigned_put(&all, label_take(w));
		close_take(w);
		n++;
		k = 0;
	}
	unsigned_put(to, n);
	bytes_put(to, all.at, all.n);
	to->failed |= all.failed;
	free(all.at);
}

/* What follows the name of a block @m: its label, type and clauses, into @to. The label counts
 * only after that; that of a folded "if" from its "then" on. */
static void block_begin(struct wat *w, const struct mnemonic *m, enum kind kind, uint32_t line)
{
	bool waits = kind == FOLD_IF;
	struct bytes *to = waits ? &w->pending : &w->code;
	struct frame *f = frame_push(w, kind, line);
	if (!waits)
		row_add(w, line);
	f->symbol = symbol_take_any(w);
	opcode_put(to, m);
	block_type_take(w, to);
	if (m->shape == SHAPE_TRY_TABLE)
		clauses_take(w, to);
	if (!waits && !w->bad)
		label_push(w, frame_top(w));
}

static void block_end(struct wat *w)
{
	const struct frame *f = frame_top(w);
	byte_put(&w->code, 0x0b);
	label_pop(w, f);
	w->nframes--;
}

/* ---- plain ---- */

static bool takes_plain(const struct frame *f)
{
	return !f || f->kind < FOLD_PLAIN || f->kind == FOLD_BLOCK || f->kind == FOLD_PART;
}
static bool takes_folded(const struct frame *f)
{
	return takes_plain(f) || f->kind == FOLD_PLAIN || f->kind == FOLD_IF;
}

static void plain_else(struct wat *w, struct frame *f)
{
	if (!f || f->kind != FLAT_IF) {
		(void)wat_fail(w, w->t.at, "else without if");
		return;
	}
	token_next(w);
	byte_put(&w->code, 0x05);
	f->kind = FLAT_ELSE;
	label_repeated(w, f);
}

static void plain_end(struct wat *w, const struct frame *f)
{
	if (!f || f->kind >= FOLD_PLAIN) {
		(void)wat_fail(w, w->t.at, "end without a block");
		return;
	}
	token_next(w);
	label_repeated(w, f);
	if (!w->bad)
		block_end(w);
}

/* catch $tag and catch_all; of folded ones in parentheses */
static void catch_take(struct wat *w, struct frame *f, const struct mnemonic *m)
{
	bool all = m->shape == SHAPE_CATCH_ALL, folded = f && f->kind >= FOLD_PLAIN;
	bool fits = f && (folded ? f->kind == FOLD_TRY_DO
				 : f->kind == FLAT_TRY || f->kind == FLAT_CATCH);
	if (!fits) {
		(void)wat_fail(w, w->t.at, "%s without try", all ? "catch_all" : "catch");
		return;
	}
	token_next(w);
	opcode_put(&w->code, m);
	if (!all)
		unsigned_put(&w->code, index_take(w, SPACE_TAG));
	f->kind = folded ? (all ? FOLD_TRY_ALL : FOLD_TRY_DO) : (all ? FLAT_CATCH_ALL : FLAT_CATCH);
}

/* Its label is counted outside of the block that it ends. */
static void delegate_take(struct wat *w, struct frame *f, const struct mnemonic *m)
{
	bool folded = f && f->kind == FOLD_TRY_DO;
	if (!folded && (!f || f->kind != FLAT_TRY)) {
		(void)wat_fail(w, w->t.at, "delegate without try, or behind catch");
		return;
	}
	token_next(w);
	label_pop(w, f);
	opcode_put(&w->code, m);
	unsigned_put(&w->code, label_take(w));
	if (folded)
		f->kind = FOLD_TRY_DELEGATE;
	else
		w->nframes--;
}

static void unknown_instruction(struct wat *w)
{
	const struct token *t = &w->t;
	if (token_begins(t, "struct.") || token_begins(t, "array.") || token_begins(t, "i31.") ||
	    token_begins(t, "ref.") || token_begins(t, "br_on") || token_begins(t, "any.") ||
	    token_begins(t, "extern."))
		(void)wat_fail_as(w, ENOTSUP, t->at, "%.*s: garbage collection is not there",
				  (int)t->len, t->at);
	else
		wat_expected(w, "an instruction");
}

static void plain_take(struct wat *w)
{
	struct frame *f = frame_top(w);
	const uint32_t line = w->t.line;
	const struct mnemonic *m = mnemonic_find(w, &w->t);
	if (!takes_plain(f)) {
		wat_expected(w, "( or )");
		return;
	}
	switch (m ? m->shape : SHAPE_NONE) {
	case SHAPE_BLOCK:
	case SHAPE_TRY_TABLE:
		token_next(w);
		block_begin(w, m, FLAT_BLOCK, line);
		break;
	case SHAPE_IF:
		token_next(w);
		block_begin(w, m, FLAT_IF, line);
		break;
	case SHAPE_TRY:
		token_next(w);
		block_begin(w, m, FLAT_TRY, line);
		break;
	case SHAPE_ELSE: plain_else(w, f); break;
	case SHAPE_END: plain_end(w, f); break;
	case SHAPE_CATCH:
	case SHAPE_CATCH_ALL: catch_take(w, f, m); break;
	case SHAPE_DELEGATE: delegate_take(w, f, m); break;
	default:
		if (!m) {
			unknown_instruction(w);
			break;
		}
		token_next(w);
		row_add(w, line);
		opcode_put(&w->code, m);
		operands_take(w, m, &w->code);
	}
}

/* ---- folded ---- */

/* (then, (else */
static void if_part(struct wat *w, struct frame *f, bool is_else)
{
	if (f->kind != (is_else ? FOLD_IF_THEN : FOLD_IF)) {
		(void)wat_fail(w, w->t.at, is_else ? "(else without (then before it"
						   : "two (then of one if");
		return;
	}
	token_next(w);
	if (is_else) {
		byte_put(&w->code, 0x05);
		f->kind = FOLD_IF_ELSE;
	} else {
		row_add(w, f->line);
		bytes_put(&w->code, w->pending.at + f->pending, w->pending.n - f->pending);
		w->pending.n = f->pending;
		f->kind = FOLD_IF_THEN;
		label_push(w, f);
	}
	(void)frame_push(w, FOLD_PART, w->t.line);
}

/* What (try consists of. */
static void try_part(struct wat *w, struct frame *f)
{
	const struct mnemonic *m = mnemonic_find(w, &w->t);
	bool catches = m && (m->shape == SHAPE_CATCH || m->shape == SHAPE_CATCH_ALL);
	if (f->kind == FOLD_TRY && token_is(&w->t, "do")) {
		token_next(w);
		f->kind = FOLD_TRY_DO;
	} else if (catches) {
		catch_take(w, f, m);
	} else if (m && m->shape == SHAPE_DELEGATE) {
		delegate_take(w, f, m);
		close_take(w);
		return;
	} else {
		wat_expected(w, f->kind == FOLD_TRY ? "do" : "catch, catch_all or delegate");
	}
	(void)frame_push(w, FOLD_PART, w->t.line);
}

static void fold_plain(struct wat *w, const struct mnemonic *m, uint32_t line)
{
	(void)frame_push(w, FOLD_PLAIN, line);
	opcode_put(&w->pending, m);
	operands_take(w, m, &w->pending);
}

static void fold_instruction(struct wat *w, const struct frame *f)
{
	const uint32_t line = w->t.line;
	const struct mnemonic *m = mnemonic_find(w, &w->t);
	if (!m || (m->shape >= SHAPE_ELSE && takes_folded(f))) {
		unknown_instruction(w);
		return;
	}
	if (!takes_folded(f)) {
		wat_expected(w, "another part of the block");
		return;
	}
	token_next(w);
	switch (m->shape) {
	case SHAPE_BLOCK:
	case SHAPE_TRY_TABLE: block_begin(w, m, FOLD_BLOCK, line); break;
	case SHAPE_IF: block_begin(w, m, FOLD_IF, line); break;
	case SHAPE_TRY: block_begin(w, m, FOLD_TRY, line); break;
	default: fold_plain(w, m, line);
	}
}

static void fold_open(struct wat *w)
{
	struct frame *f = frame_top(w);
	token_next(w);
	bool is_else = token_is(&w->t, "else");
	if (f && f->kind >= FOLD_IF && f->kind <= FOLD_IF_ELSE &&
	    (is_else || token_is(&w->t, "then")))
		if_part(w, f, is_else);
	else if (f && f->kind >= FOLD_TRY)
		try_part(w, f);
	else
		fold_instruction(w, f);
}

static void fold_close(struct wat *w)
{
	struct frame *f = frame_top(w);
	switch ((enum kind)f->kind) {
	case FOLD_PLAIN:
		row_add(w, f->line);
		bytes_put(&w->code, w->pending.at + f->pending, w->pending.n - f->pending);
		w->pending.n = f->pending;
		w->nframes--;
		break;
	case FOLD_PART:
	case FOLD_TRY_DELEGATE: w->nframes--; break;
	case FOLD_IF: wat_expected(w, "(then"); break;
	case FOLD_TRY: wat_expected(w, "(do"); break;
	case FOLD_BLOCK:
	case FOLD_IF_THEN:
	case FOLD_IF_ELSE:
	case FOLD_TRY_DO:
	case FOLD_TRY_ALL: block_end(w); break;
	case FLAT_BLOCK:
	case FLAT_IF:
	case FLAT_ELSE:
	case FLAT_TRY:
	case FLAT_CATCH:
	case FLAT_CATCH_ALL: wat_expected(w, "end"); break;
	}
	token_next(w);
}

void body_take(struct wat *w, bool one)
{
	do {
		if (w->t.kind == TOKEN_WORD && !(one && !w->nframes))
			plain_take(w);
		else if (w->t.kind == TOKEN_OPEN)
			fold_open(w);
		else if (w->t.kind == TOKEN_CLOSE && w->nframes)
			fold_close(w);
		else if (w->t.kind == TOKEN_CLOSE && !one)
			return;
		else
			wat_expected(w, "an instruction");
		if (w->code.failed || w->pending.failed)
			wat_nomem(w);
	} while (!w->bad && (w->nframes || !one));
}
