/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the room share. The text is read twice: scan.c finds what has a name or is a
 * type, field.c and body.c encode. The first error stays; what is read then is the end. */
#pragma once
#include "wat/wat.h"

/* ---- bytes that grow (bytes.c) ---- */
struct bytes {
	uint8_t *at; /* owned */
	size_t n, cap;
	bool failed; /* there was no memory */
};
void bytes_put(struct bytes *b, const void *p, size_t n);
void byte_put(struct bytes *b, unsigned v);
void unsigned_put(struct bytes *b, uint64_t v); /* LEB128 */
void signed_put(struct bytes *b, int64_t v);
void sized_put(struct bytes *b, const struct bytes *from); /* its length, then itself */
unsigned unsigned_len(uint64_t v);

/* ---- tokens (lex.c) ---- */
enum token_kind { TOKEN_END, TOKEN_OPEN, TOKEN_CLOSE, TOKEN_WORD, TOKEN_ID, TOKEN_STRING };
struct token {
	const char *at; /* an identifier from its $ on, a string with its quotes */
	uint32_t len, line;
	enum token_kind kind;
};

/* ---- names ---- */
enum space {
	SPACE_TYPE, SPACE_FUNC, SPACE_TABLE, SPACE_MEMORY, SPACE_GLOBAL, SPACE_TAG, SPACE_ELEM,
	SPACE_DATA, SPACES
};
struct symbol {
	const uint8_t *at; /* without the $ */
	uint32_t len;
	uint32_t hash;
	uint32_t index[SPACES]; /* 1 + the number of what has this name; 0: nothing */
	uint32_t local, local_of; /* the number of a local, and of its function */
	uint32_t label;           /* blocks around the innermost one of this name, and 1 */
};

/* What an instruction is followed by. */
enum shape {
	SHAPE_NONE, SHAPE_LABEL, SHAPE_LABELS, SHAPE_FUNC, SHAPE_INDIRECT, SHAPE_LOCAL,
	SHAPE_GLOBAL, SHAPE_TABLE, SHAPE_TABLES, SHAPE_TABLE_INIT, SHAPE_ELEM, SHAPE_DATA,
	SHAPE_MEMORY, SHAPE_MEMORIES, SHAPE_MEMORY_INIT, SHAPE_SELECT, SHAPE_ACCESS,
	SHAPE_ACCESS_LANE, SHAPE_I32, SHAPE_I64, SHAPE_F32, SHAPE_F64, SHAPE_V128, SHAPE_LANE,
	SHAPE_SHUFFLE, SHAPE_NULL, SHAPE_TAG, SHAPE_FENCE, SHAPE_TYPE,
	/* what opens and divides blocks */
	SHAPE_BLOCK, SHAPE_TRY_TABLE, SHAPE_IF, SHAPE_TRY, SHAPE_ELSE, SHAPE_END, SHAPE_CATCH,
	SHAPE_CATCH_ALL, SHAPE_DELEGATE
};
struct mnemonic {
	const char *name; /* as in the tables: the first _ may stand for a dot */
	uint16_t code;
	uint8_t prefix, shape;
	uint8_t bytes; /* of an access */
};
struct mnemonics { /* a hash of them */
	uint16_t slots[2048]; /* 1 + the number */
};

struct coded { /* a type of values as the binary format has it */
	uint8_t at[8];
	uint32_t n;
};
struct sig { /* a type of functions */
	size_t at; /* in wat.types: parameters, then results */
	uint32_t plen, len; /* bytes of the parameters, of all */
	uint32_t np, nr, hash;
	uint32_t next;  /* 1 + the next one; those that another is like are in no list */
	uint32_t group; /* of the first of several in (rec ...): how many there are; or 0 */
};
enum { SIG_HEADS = 4096 };

struct frame { /* what an instruction is in (body.c) */
	uint8_t kind;
	uint32_t symbol, shadowed; /* 1 + of its label, and what that named before */
	uint32_t line;
	size_t pending; /* where its bytes begin among those that wait */
};
struct row {
	uint32_t at, line; /* bytes from the beginning of a function's code on */
};

enum section {
	OUT_IMPORT, OUT_FUNC, OUT_TABLE, OUT_MEMORY, OUT_TAG, OUT_GLOBAL, OUT_EXPORT, OUT_START,
	OUT_ELEM, OUT_CODE, OUT_DATA, OUT_SECTIONS
};

struct wat {
	const char *file, *text, *p, *end;
	struct token t, ahead; /* the one that is looked at, and the next if that is known */
	bool looked;
	uint32_t line;
	struct lodge_err *e;
	int bad;
	unsigned quoted; /* modules in modules */
	/* ---- names ---- */
	struct symbol *symbols; /* owned */
	uint32_t nsymbols, cap_symbols;
	uint32_t *symbol_slots; /* owned: 1 + the number */
	uint32_t symbol_mask;
	struct bytes kept;      /* pointers, owned: identifiers that are written as strings */
	uint64_t seed;
	struct mnemonics mnemonics;
	uint32_t counts[SPACES];
	uint32_t module_name; /* 1 + the symbol */
	uint32_t *func_names; /* owned: 1 + the symbol, by function */
	uint32_t nfunc_names;
	struct bytes local_names; /* of the section "name" */
	uint32_t nlocal_names;    /* functions in it */
	/* ---- types ---- */
	struct bytes types;
	struct sig *sigs; /* owned */
	uint32_t nsigs, cap_sigs;
	uint32_t heads[SIG_HEADS]; /* 1 + the last one */
	/* ---- what is encoded ---- */
	struct bytes out[OUT_SECTIONS];
	uint32_t entries[OUT_SECTIONS];
	uint32_t next[SPACES]; /* the number of what comes next */
	bool defined;          /* no more imports */
	bool exact_functions;  /* a table is of (ref func): funcref and numbers differ */
	bool data_counted;     /* an instruction wants to know how many segments there are */
	/* ---- the function that is read ---- */
	uint32_t func;    /* 1 + its number: locals are of it */
	uint32_t nlocals;
	struct bytes locals, code, pending, scratch, names;
	uint32_t nnames;
	uint32_t nruns;   /* entries of locals */
	struct frame *frames; /* owned */
	struct frame no_frame; /* when there is no memory for one */
	uint32_t nframes, cap_frames;
	uint32_t depth; /* labels */
	struct row *rows; /* owned */
	uint32_t nrows, cap_rows;
	/* ---- lines ---- */
	struct bytes lines;
	uint32_t lines_at, lines_line;
};

/* Note the first error, at @at of the text. Returns w->bad. */
int wat_fail(struct wat *w, const char *at, const char *fmt, ...) PRINTF(3, 4);
int wat_fail_as(struct wat *w, int code, const char *at, const char *fmt, ...) PRINTF(4, 5);
void wat_nomem(struct wat *w);
/* @what is wanted, and something else is there. */
void wat_expected(struct wat *w, const char *what);

void token_first(struct wat *w);
void token_next(struct wat *w);
const struct token *token_ahead(struct wat *w);
bool token_is(const struct token *t, const char *word);
bool token_begins(const struct token *t, const char *text);
/* Is this "(" and @word? */
bool open_is(struct wat *w, const char *word);
/* The same, and go beyond both. */
bool open_take(struct wat *w, const char *word);
bool word_take(struct wat *w, const char *word);
void close_take(struct wat *w);
/* What is in the list that was opened last, and its end. */
void list_skip(struct wat *w);
/* Where a text is read, to be read again from there. */
struct place {
	struct token t, ahead;
	const char *p;
	uint32_t line;
	bool looked;
};
struct place place_of(const struct wat *w);
void place_set(struct wat *w, const struct place *at);
/* The bytes that a string stands for, behind those of @to; @name: they have to be UTF-8. */
void quote_take(struct wat *w, struct bytes *to, bool name);

/* ---- numbers (number.c): of the token, which is taken ---- */
int digit_of(char c, bool hex); /* -1: it is none */
bool token_is_number(const struct token *t); /* without a sign */
uint64_t unsigned_take(struct wat *w, unsigned bits);
uint64_t integer_take(struct wat *w, unsigned bits); /* 8 to 64; the sign may be any */
uint64_t float_take(struct wat *w, bool wide); /* its bits */

/* ---- names (symbol.c) ---- */
/* Nobody who writes a text knows which ones collide. */
uint32_t bytes_hash(const struct wat *w, const uint8_t *p, size_t n);
void mnemonics_init(struct wat *w);
const struct mnemonic *mnemonic_find(const struct wat *w, const struct token *t);
/* The symbol of the identifier that the token is, which is taken; 1 + its number, 0 after an
 * error. */
uint32_t symbol_take(struct wat *w);
/* The same, if there is an identifier. */
uint32_t symbol_take_any(struct wat *w);
static inline struct symbol *symbol_at(const struct wat *w, uint32_t symbol)
{
	return &w->symbols[symbol - 1];
}
extern const char *const space_names[SPACES];
/* @symbol (0: none) is the name of @index of @space. */
void symbol_bind(struct wat *w, uint32_t symbol, enum space space, uint32_t index, const char *at);
/* A number, or a name of @space. */
uint32_t index_take(struct wat *w, enum space space);
bool index_is_next(const struct wat *w);
uint32_t local_take(struct wat *w);
uint32_t label_take(struct wat *w);
void *array_grow(struct wat *w, void *at, size_t size, uint32_t n, uint32_t *cap);

/* ---- types (type.c) ---- */
struct use {
	uint32_t type;
	uint32_t np; /* parameters */
};
/* Parameters may have names, and are locals; may have some that nobody reads; may have none. */
enum use_names { USE_LOCALS, USE_IDLE, USE_NAMELESS };
struct coded reference_take(struct wat *w);
bool reference_is_next(struct wat *w);
static inline bool coded_is(const struct coded *c, uint8_t byte)
{
	return c->n == 1 && c->at[0] == byte;
}
static inline void coded_put(struct bytes *to, const struct coded *c)
{
	bytes_put(to, c->at, c->n);
}
void type_put(struct wat *w, struct bytes *to); /* take one of values */
void heap_put(struct wat *w, struct bytes *to); /* take that of ref.null */
size_t type_len(const uint8_t *p);              /* bytes of the one at @p */
/* Types of values behind those of @to; returns how many. */
uint32_t types_take(struct wat *w, const char *word, struct bytes *to, enum use_names names);
struct use use_take(struct wat *w, enum use_names names);
void block_type_take(struct wat *w, struct bytes *to);
/* (func ...) of a type; @grouped: among others of a (rec ...). */
void func_type_take(struct wat *w, bool grouped);
void local_add(struct wat *w, uint32_t symbol, const char *at);

/* ---- the parts ---- */
void wat_scan(struct wat *w);
void wat_fields(struct wat *w);
/* Instructions into w->code, up to the ")" around them, or (@one) a folded one. */
void body_take(struct wat *w, bool one);
/* What follows @m, all of it into @to. */
void operands_take(struct wat *w, const struct mnemonic *m, struct bytes *to);
void opcode_put(struct bytes *to, const struct mnemonic *m);
void elem_take(struct wat *w);
void elem_inline_take(struct wat *w, uint32_t table, const struct coded *type, bool is64,
		      uint32_t *ret_n);
void expression_take(struct wat *w, struct bytes *to, const char *word);
void lines_add(struct wat *w, uint32_t at); /* those of the function whose code begins there */
void lines_put(struct wat *w, struct bytes *to, uint32_t first);
/* The body of the custom section "name". */
void names_put(struct wat *w, struct bytes *to);
