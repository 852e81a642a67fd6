/* SPDX-License-Identifier: Apache-2.0 */
/* Instructions on vectors. Loads of less than a vector become a load of an integer and what makes a
 * vector of it; stores of a lane take it out first. Spec: WASM-CORE 2.0 §3.3.2, 3.3.7 */
#include "wasm/make.h"

/* The operation @vop, its operands in slots a, b, c; its result is pushed, and is fresh. */
static void vop_emit(struct make *g, unsigned vop, const uint16_t at[3], unsigned lane)
{
	struct insn *i = emit_value(g, CODE_SIMD, simd_ops[vop].out, at[0]);
	i->b = at[1];
	i->c = at[2];
	i = emit_second(g);
	i->k = vop;
	i->d = (uint16_t)lane;
	g->fresh = g->n;
}

static unsigned lane_read(struct make *g, unsigned lanes)
{
	unsigned lane = reader_byte(&g->r);
	if (!g->r.bad && lane >= lanes)
		reader_fail(&g->r, EINVAL, "invalid lane index %u: there are %u", lane, lanes);
	return lane;
}

static void plain(struct make *g, unsigned vop)
{
	const struct simd_op *o = &simd_ops[vop];
	unsigned lane = o->lanes ? lane_read(g, o->lanes) : 0, n = 0;
	struct val v[3] = {{0}};
	uint16_t at[3] = {0, 0, 0};
	while (n < countof(v) && o->in[n])
		n++;
	for (unsigned k = n; k-- > 0;)
		v[k] = val_pop(g, o->in[k]);
	for (unsigned k = 0; k < n && !g->r.bad; k++)
		at[k] = val_use(g, &v[k]);
	bool known = n == 2 && v[1].where == CONSTANT && v[1].type == WASM_I32 && !o->lanes;
	vop_emit(g, vop, at, lane);
	if (known && g->emits && !g->dead && !g->r.bad) /* a shift: for compiled code */
		g->code[g->n - 1].a = (uint16_t)((v[1].k & 63) + 1);
}

static void immediate(struct make *g, struct insn *i, const uint8_t *bytes)
{
	if (i && bytes)
		memcpy(i, bytes, sizeof *i);
	g->fresh = g->n;
}

static void shuffle(struct make *g)
{
	const uint8_t *lanes = reader_bytes(&g->r, 16);
	for (unsigned k = 0; lanes && k < 16; k++)
		if (lanes[k] >= 32)
			reader_fail(&g->r, EINVAL, "invalid lane index %u: there are 32", lanes[k]);
	struct val y = val_pop(g, WASM_V128), x = val_pop(g, WASM_V128);
	if (g->r.bad)
		return;
	uint16_t a = val_use(g, &x), b = val_use(g, &y);
	emit_value(g, CODE_SHUFFLE, WASM_V128, a)->b = b;
	immediate(g, emit_second(g), lanes);
}

static void vector_const(struct make *g)
{
	const uint8_t *bytes = reader_bytes(&g->r, 16);
	(void)emit_value(g, CODE_V128_CONST, WASM_V128, 0);
	immediate(g, emit_second(g), bytes);
}

/* ---- memory ---- */

static void load_vector(struct make *g)
{
	struct memarg m = memarg_read(g, 16);
	struct val where = val_pop(g, m.type);
	emit_load(g, m, where, CODE_v128_load, WASM_V128);
}

static void store_vector(struct make *g)
{
	struct memarg m = memarg_read(g, 16);
	struct val v = val_pop(g, WASM_V128), where = val_pop(g, m.type);
	if (!g->r.bad)
		emit_store(g, m, where, CODE_v128_store, val_use(g, &v));
}

/* What loads and stores @bytes bytes of a lane. */
static enum code lane_code(unsigned bytes, bool stores)
{
	switch (bytes) {
	case 1: return stores ? CODE_i32_store8 : CODE_i32_load8_u;
	case 2: return stores ? CODE_i32_store16 : CODE_i32_load16_u;
	case 4: return stores ? CODE_i32_store : CODE_i32_load;
	default: return stores ? CODE_i64_store : CODE_i64_load;
	}
}

/* An integer is loaded, and @vop makes a vector of it. */
static void load_then(struct make *g, unsigned bytes, unsigned vop)
{
	struct memarg m = memarg_read(g, bytes);
	struct val where = val_pop(g, m.type);
	uint8_t type = simd_ops[vop].in[0];
	if (g->r.bad)
		return;
	emit_load(g, m, where, lane_code(bytes, false), type);
	struct val v = val_pop(g, type);
	vop_emit(g, vop, (const uint16_t[3]){v.home}, 0);
}

static void load_lane(struct make *g, unsigned bytes, unsigned vop)
{
	struct memarg m = memarg_read(g, bytes);
	unsigned lane = lane_read(g, 16 / bytes);
	uint8_t type = simd_ops[vop].in[1];
	struct val v = val_pop(g, WASM_V128), where = val_pop(g, m.type);
	if (g->r.bad)
		return;
	/* where the address was; the vector lies behind, or in a local */
	emit_load(g, m, where, lane_code(bytes, false), type);
	uint16_t top = val_pop(g, type).home;
	vop_emit(g, vop, (const uint16_t[3]){val_use(g, &v), top}, lane);
}

static void store_lane(struct make *g, unsigned bytes, unsigned vop)
{
	struct memarg m = memarg_read(g, bytes);
	unsigned lane = lane_read(g, 16 / bytes);
	struct val v = val_pop(g, WASM_V128), where = val_pop(g, m.type);
	if (g->r.bad)
		return;
	uint16_t a = val_use(g, &v);
	struct insn *i = emit(g, CODE_SIMD, v.home, a); /* the home is free, whatever v is in */
	i = emit_second(g);
	i->k = vop;
	i->d = (uint16_t)lane;
	emit_store(g, m, where, lane_code(bytes, true), v.home);
}

void op_simd(struct make *g, unsigned op)
{
	static const uint8_t replace[] = {VOP_i8x16_replace_lane, VOP_i16x8_replace_lane,
					  VOP_i32x4_replace_lane, VOP_i64x2_replace_lane};
	static const uint8_t extract[] = {VOP_i8x16_extract_lane_u, VOP_i16x8_extract_lane_u,
					  VOP_i32x4_extract_lane, VOP_i64x2_extract_lane};
	static const uint8_t splat[] = {VOP_i8x16_splat, VOP_i16x8_splat, VOP_i32x4_splat,
					VOP_i64x2_splat};
	int vop = simd_find(op);
	if (op == 0x00)
		load_vector(g);
	else if (op <= 0x06)
		load_then(g, 8, (unsigned)vop);
	else if (op <= 0x0a)
		load_then(g, 1u << (op - 0x07), splat[op - 0x07]);
	else if (op == 0x0b)
		store_vector(g);
	else if (op == 0x0c)
		vector_const(g);
	else if (op == 0x0d)
		shuffle(g);
	else if (op >= 0x54 && op <= 0x57)
		load_lane(g, 1u << (op - 0x54), replace[op - 0x54]);
	else if (op >= 0x58 && op <= 0x5b)
		store_lane(g, 1u << (op - 0x58), extract[op - 0x58]);
	else if (op == 0x5c || op == 0x5d)
		load_then(g, op == 0x5c ? 4 : 8, (unsigned)vop);
	else if (vop >= 0)
		plain(g, (unsigned)vop);
	else
		reader_fail(&g->r, EBADMSG, "illegal opcode 0xfd %u", op);
}
