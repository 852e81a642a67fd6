/* SPDX-License-Identifier: Apache-2.0 */
/* make: one function, validated while its code is made. The operand stack of the specification is
 * kept here with, for each value, where it is: in a slot of its own (its home), still in a local,
 * or a constant that nobody has put anywhere. Instructions read values where they are, so most of a
 * module's local.get and const are no instruction at all. */
#pragma once
#include "wasm/internal.h"

enum where { AT_HOME, IN_LOCAL, CONSTANT };
struct val {
	uint32_t type : 30, where : 2;
	uint16_t slot; /* of the local */
	uint16_t home;
	uint64_t k;
};
enum block { BLOCK, LOOP, IF, ELSE, BODY, TRY, CATCH, TRY_TABLE };
struct ctrl {
	uint8_t kind;
	bool unreachable; /* the rest of the block is */
	bool dead;        /* all of it was, when it began */
	const uint32_t *in, *out;
	uint32_t one;     /* the type of its result, if @out is NULL */
	uint32_t nin, nout;
	uint32_t height;  /* values below it */
	uint32_t sets;    /* locals that were set before it */
	uint16_t home;    /* of its first value */
	uint32_t start;   /* where a loop begins */
	int32_t patches;  /* branches to its end, a list by their rel; -1 ends it */
	int32_t otherwise; /* the branch around the first part of an if */
	uint32_t to;       /* of a CATCH: where its try ended */
	uint32_t catches, catches_end; /* of a TRY_TABLE: its handlers */
	bool all;          /* of a CATCH: it catches all */
};
enum { NO_PATCH = -1 };

struct make {
	struct reader r;
	const struct wasm_module *m;
	const struct wtype *type;
	const uint8_t *op_at; /* the instruction that is read */
	uint32_t *locals;     /* types; owned */
	bool *unset;          /* of locals that are never null: nothing is in them yet; owned */
	uint32_t nunset;      /* locals that @unset knows; others are set */
	uint32_t *sets;       /* those that have been set since; owned */
	uint32_t nsets, cap_sets;
	uint16_t *slots;      /* of locals; owned */
	uint32_t nlocals;
	struct val *vals;     /* owned */
	uint32_t nvals, cap_vals;
	struct ctrl *ctrls;   /* owned */
	uint32_t nctrls, cap_ctrls;
	bool emits;           /* code is wanted at all */
	bool dead;            /* and none here: this is never reached */
	struct insn *code;    /* owned */
	uint32_t *offsets;    /* owned; NULL: not wanted */
	uint32_t n, cap;
	uint32_t fresh;       /* == n: the last instruction made the value that is its d, and no
	                         branch leads behind it */
	uint32_t maker;       /* it: with a second part, not the last one of the code */
	uint32_t top, max;    /* slots: used, and at most */
	struct insn scratch[2];
	struct wcatch *catches; /* owned */
	uint32_t ncatches, cap_catches;
	bool references; /* to exceptions are among its values */
};

/* ---- values (make_value.c) ---- */
void val_push(struct make *g, uint32_t type);                /* at home */
void val_push_as(struct make *g, struct val v, uint32_t type); /* where it is */
struct val val_pop(struct make *g, uint32_t type);           /* WASM_NONE: any */
struct val reference_pop(struct make *g); /* of any type */
void vals_pop(struct make *g, const uint32_t *types, uint32_t n);
void vals_push(struct make *g, const uint32_t *types, uint32_t n);
static inline uint16_t val_slots(uint32_t type) { return type == WASM_V128 ? 2 : 1; }
/* The slot to read it from. */
uint16_t val_use(struct make *g, const struct val *v);
void val_move(struct make *g, const struct val *v, uint16_t to);
/* Put the upper @n values into their homes; returns the home of the first of them. */
uint16_t vals_settle(struct make *g, uint32_t n);
/* Before the local in @slot changes. */
void local_leave(struct make *g, uint16_t slot);

/* ---- code ---- */
/* One more instruction, to be filled in; valid until the next one. */
struct insn *emit(struct make *g, enum code code, uint16_t d, uint16_t a);
struct insn *emit_second(struct make *g); /* what did not fit into the last one */
/* A value of @type is pushed, and made by the instruction that is returned. */
struct insn *emit_value(struct make *g, enum code code, uint32_t type, uint16_t a);
void emit_numeric(struct make *g, unsigned op);  /* make_number.c; pops and pushes */
bool op_is_numeric(unsigned op);
/* A condition, taken out of the code when it was the last instruction. */
struct condition {
	enum code yes, no; /* of the branch if it holds, if it does not */
	uint16_t d, a;
};
struct condition condition_take(struct make *g, const struct val *v);
/* The last instruction, if it made @v and nobody else knows. */
struct insn *fresh_of(struct make *g, const struct val *v);
/* The slot of @v, which is no constant. */
static inline uint16_t val_slot(const struct val *v)
{
	return v->where == IN_LOCAL ? v->slot : v->home;
}
struct insn *emit_condition(struct make *g, const struct condition *c, bool when);
void op_control(struct make *g, unsigned op);  /* make_control.c */
void op_memory(struct make *g, unsigned op);   /* make_memory.c: loads, stores, size, grow */
void op_bulk(struct make *g, unsigned op);     /* codes of the prefix 0xfc from 8 on */
void op_call(struct make *g, unsigned op);
void op_atomic(struct make *g, unsigned op); /* make_memory.c: codes of the prefix 0xfe */
/* ---- blocks (make_control.c) ---- */
void block_type(struct make *g, struct ctrl *c); /* read: in and out of @c */
void block_open(struct make *g, enum block kind, const struct ctrl *types);
void block_end(struct make *g);
void results_check(struct make *g, struct ctrl *c); /* settle and pop them at the end of a part */
struct ctrl *label_read(struct make *g);
uint32_t label_count(const struct ctrl *c);
const uint32_t *label_types(const struct ctrl *c);
static inline const uint32_t *ctrl_out(const struct ctrl *c) { return c->out ? c->out : &c->one; }
void label_bind(struct make *g, int32_t *patches);
void branch_link(struct make *g, struct insn *i, struct ctrl *c);
void branch_emit(struct make *g, struct ctrl *c);
void values_move(struct make *g, uint32_t n, const struct ctrl *c);
void unreachable_from_here(struct make *g);
void sets_undo(struct make *g, const struct ctrl *c); /* of locals, since @c began */
void op_null(struct make *g, unsigned op); /* 0xd4 to 0xd6 */
void null_trap(struct make *g, const struct val *v, enum wasm_trap trap); /* if it is null */
/* ---- exceptions (make_try.c) ---- */
void op_exception(struct make *g, unsigned op);
void catch_end(struct make *g, struct ctrl *c);          /* of the values of a catch's end */
void try_end(struct make *g, const struct ctrl *c);      /* before a block's end: its handlers */
void catches_sort(struct make *g);
void op_simd(struct make *g, unsigned op); /* make_simd.c: codes of the prefix 0xfd */
/* An access of @bytes at the address @where (make_memory.c): memarg_read reads what follows the
 * instruction, before values are popped. */
struct memarg {
	uint32_t memory;
	uint64_t offset;
	uint8_t type; /* of addresses */
	unsigned bytes, align; /* log2 */
};
/* The slot of an index into table @i, as 32 bits: 64 of them that do not fit mean no element. */
uint16_t index_use(struct make *g, const struct val *v, uint32_t i);
struct memarg memarg_read(struct make *g, unsigned bytes);
/* Emit @code, or the one behind it if the address has to be checked: a load of a value of @type is
 * pushed, or what lies in slot @from is stored. */
void emit_load(struct make *g, struct memarg m, struct val where, enum code code, uint8_t type);
void emit_store(struct make *g, struct memarg m, struct val where, enum code code, uint16_t from);
