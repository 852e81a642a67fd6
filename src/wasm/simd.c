/* SPDX-License-Identifier: Apache-2.0 */
/* What instructions on vectors do, lane by lane: the interpreter's, and compiled code's where that
 * has no instruction of the host for one. Relaxed ones have one result each, on all hosts: indices
 * beyond the lanes choose 0, conversions saturate, laneselect looks at bits, products are rounded
 * before they are added, and a sum of two products wraps. Spec: WASM-CORE 2.0 §4.3.6 */
#include "wasm/number.h"
#include "wasm/internal.h"

union vec {
	uint8_t u8[16];
	int8_t s8[16];
	uint16_t u16[8];
	int16_t s16[8];
	uint32_t u32[4];
	int32_t s32[4];
	uint64_t u64[2];
	int64_t s64[2];
	float f32[4];
	double f64[2];
};
#define C_u8  uint8_t
#define C_s8  int8_t
#define C_u16 uint16_t
#define C_s16 int16_t
#define C_u32 uint32_t
#define C_s32 int32_t
#define C_u64 uint64_t
#define C_s64 int64_t
#define C_f32 float
#define C_f64 double

static int clamp(int v, int least, int most) { return v < least ? least : v > most ? most : v; }
static int clamp_s8(int v) { return clamp(v, INT8_MIN, INT8_MAX); }
static int clamp_u8(int v) { return clamp(v, 0, UINT8_MAX); }
static int clamp_s16(int v) { return clamp(v, INT16_MIN, INT16_MAX); }
static int clamp_u16(int v) { return clamp(v, 0, UINT16_MAX); }

/* ---- meanings: X, Y, Z are the operands, R the result, x, y, z lanes of them ---- */
#define LANES(t) (sizeof R.t / sizeof *R.t)
/* every lane of @to from the same lane of @from */
#define EACH(to, from, value)                                                                      \
	for (unsigned i = 0; i < LANES(to); i++) {                                                 \
		const C_##from x = X.from[i];                                                      \
		(void)x;                                                                           \
		R.to[i] = (C_##to)(value);                                                         \
	}
#define MAP(t, value) EACH(t, t, value)
#define MAP2(t, value)                                                                             \
	for (unsigned i = 0; i < LANES(t); i++) {                                                  \
		const C_##t x = X.t[i], y = Y.t[i];                                                \
		R.t[i] = (C_##t)(value);                                                           \
	}
#define MAP3(t, value)                                                                             \
	for (unsigned i = 0; i < LANES(t); i++) {                                                  \
		const C_##t x = X.t[i], y = Y.t[i], z = Z.t[i];                                    \
		R.t[i] = (C_##t)(value);                                                           \
	}
#define TEST(t, mask, value)                                                                       \
	for (unsigned i = 0; i < LANES(t); i++) {                                                  \
		const C_##t x = X.t[i], y = Y.t[i];                                                \
		R.mask[i] = (C_##mask)((value) ? -1 : 0);                                          \
	}
#define SHIFT(t, mask, value)                                                                      \
	for (unsigned i = 0; i < LANES(t); i++) {                                                  \
		const unsigned n = Y.u32[0] & mask;                                                \
		const C_##t x = X.t[i];                                                            \
		R.t[i] = (C_##t)(value);                                                           \
	}
/* the lanes of @from from @first on, wider */
#define WIDEN(to, from, first)                                                                     \
	for (unsigned i = 0; i < LANES(to); i++)                                                   \
		R.to[i] = (C_##to)X.from[first + i];
/* two wide lanes into the first two narrow ones, the others are 0 */
#define HALF(to, from, value)                                                                      \
	for (unsigned i = 0; i < LANES(to); i++) {                                                 \
		const C_##from x = X.from[i % LANES(from)];                                        \
		R.to[i] = i < LANES(from) ? (C_##to)(value) : 0;                                   \
	}
#define NARROW(to, from)                                                                           \
	for (unsigned i = 0; i < LANES(to); i++)                                                   \
		R.to[i] = (C_##to)clamp_##to((i < LANES(from) ? X : Y).from[i % LANES(from)]);
/* as numbers of 64 bits without a sign: an int is too narrow for what they become */
#define PRODUCT(to, from, first)                                                                   \
	for (unsigned i = 0; i < LANES(to); i++)                                                   \
		R.to[i] = (C_##to)((uint64_t)X.from[first + i] * (uint64_t)Y.from[first + i]);
#define PAIRS(to, from)                                                                            \
	for (unsigned i = 0; i < LANES(to); i++)                                                   \
		R.to[i] = (C_##to)((C_##to)X.from[2 * i] + (C_##to)X.from[2 * i + 1]);
#define DOT(to, from)                                                                              \
	for (unsigned i = 0; i < LANES(to); i++)                                                   \
		R.to[i] = (C_##to)((uint32_t)(X.from[2 * i] * Y.from[2 * i]) +                     \
				   (uint32_t)(X.from[2 * i + 1] * Y.from[2 * i + 1]));
#define DOT_ADD()                                                                                  \
	for (unsigned i = 0; i < LANES(u32); i++) {                                                \
		R.u32[i] = Z.u32[i];                                                               \
		for (unsigned k = 4 * i; k < 4 * i + 4; k += 2) {                                  \
			const int sum = X.s8[k] * Y.s8[k] + X.s8[k + 1] * Y.s8[k + 1];             \
			R.u32[i] = (uint32_t)((int64_t)R.u32[i] + (int16_t)sum);                   \
		}                                                                                  \
	}
#define ONE(t, value) R.t[0] = (C_##t)(value);
#define LOW(t, value)                                                                              \
	R.u64[0] = R.u64[1] = 0;                                                                   \
	R.t[0] = (value);
#define PUT(t)                                                                                     \
	R = X;                                                                                     \
	R.t[lane] = Y.t[0];
#define ALL(t)                                                                                     \
	R.u32[0] = 1;                                                                              \
	for (unsigned i = 0; i < LANES(t); i++)                                                    \
		R.u32[0] &= X.t[i] != 0;
#define SIGNS(t, bit)                                                                              \
	R.u32[0] = 0;                                                                              \
	for (unsigned i = 0; i < LANES(t); i++)                                                    \
		R.u32[0] |= (uint32_t)(X.t[i] >> bit) << i;

/* ---- operands by their types ---- */
#define BYTES_V 16
#define BYTES_I 4
#define BYTES_F 4
#define BYTES_L 8
#define BYTES_D 8
#define TAKE1(x_type)		 memcpy(&X, px, BYTES_##x_type);
#define TAKE2(x_type, y_type)                                                                      \
	TAKE1(x_type)                                                                              \
	memcpy(&Y, py, BYTES_##y_type);
#define TAKE_V	TAKE1(V)
#define TAKE_I	TAKE1(I)
#define TAKE_L	TAKE1(L)
#define TAKE_F	TAKE1(F)
#define TAKE_D	TAKE1(D)
#define TAKE_VV TAKE2(V, V)
#define TAKE_VI TAKE2(V, I)
#define TAKE_VL TAKE2(V, L)
#define TAKE_VF TAKE2(V, F)
#define TAKE_VD TAKE2(V, D)
#define TAKE_VVV                                                                                   \
	TAKE2(V, V)                                                                                \
	memcpy(&Z, pz, 16);

#define SIMD(code, name, in, out, lanes, meaning)                                                  \
	static void simd_##name(void *d, const void *px, const void *py, const void *pz,           \
				unsigned lane)                                                     \
	{                                                                                          \
		union vec X, Y, Z, R;                                                              \
		(void)py, (void)pz, (void)lane, (void)Y.u8, (void)Z.u8;                            \
		TAKE_##in meaning memcpy(d, &R, BYTES_##out);                                      \
	}
#include "wasm/simd.def"

#define T_V WASM_V128
#define T_I WASM_I32
#define T_L WASM_I64
#define T_F WASM_F32
#define T_D WASM_F64
#define IN_V  {T_V}
#define IN_I  {T_I}
#define IN_L  {T_L}
#define IN_F  {T_F}
#define IN_D  {T_D}
#define IN_VV {T_V, T_V}
#define IN_VI {T_V, T_I}
#define IN_VL {T_V, T_L}
#define IN_VF {T_V, T_F}
#define IN_VD {T_V, T_D}
#define IN_VVV {T_V, T_V, T_V}
const struct simd_op simd_ops[VOP_COUNT] = {
#define SIMD(code, name, in, out, lanes, meaning)                                                  \
	[VOP_##name] = {simd_##name, IN_##in, T_##out, lanes},
#include "wasm/simd.def"
};

int simd_find(unsigned code)
{
	static const int16_t by_code[0x114] = {
#define SIMD(code, name, in, out, lanes, meaning) [code] = VOP_##name + 1,
#define SAME(code, name, as) [code] = VOP_##as + 1,
#include "wasm/simd.def"
	};
	return code < countof(by_code) ? by_code[code] - 1 : -1;
}
