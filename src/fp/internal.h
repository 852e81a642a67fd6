/* SPDX-License-Identifier: Apache-2.0 */
/* fp, private: formats, unpacked numbers, and the integer code (fp_generic*.c) by format. */
#pragma once
#include "fp/fp.h"

typedef unsigned __int128 u128;

struct fmt {
	uint8_t frac;               /* stored bits of the significand */
	uint8_t exp;                /* bits of the exponent */
	int16_t bias;
};
static const struct fmt fmt_h = { .frac = 10, .exp = 5, .bias = 15 };
static const struct fmt fmt_s = { .frac = 23, .exp = 8, .bias = 127 };
static const struct fmt fmt_d = { .frac = 52, .exp = 11, .bias = 1023 };

enum fp_kind { KIND_ZERO, KIND_FINITE, KIND_INF, KIND_QNAN, KIND_SNAN };
/* A finite number is (-1)^sign * sig * 2^exp with sig below 2^127. */
struct num {
	enum fp_kind kind;
	bool sign;
	int32_t exp;
	u128 sig;
};

static inline uint64_t fmt_sign(const struct fmt *f) { return 1ull << (f->frac + f->exp); }
static inline uint64_t fmt_inf(const struct fmt *f) { return ((1ull << f->exp) - 1) << f->frac; }
static inline uint64_t fmt_nan(const struct fmt *f) { return fmt_inf(f) | 1ull << (f->frac - 1); }
static inline bool bits_nan(const struct fmt *f, uint64_t v)
{
	return (v & (fmt_sign(f) - 1)) > fmt_inf(f);
}
static inline bool bits_snan(const struct fmt *f, uint64_t v)
{
	return bits_nan(f, v) && !(v >> (f->frac - 1) & 1);
}

struct num gen_unpack(const struct fmt *f, uint64_t bits);
/* Round n (KIND_FINITE, sig not 0) to @f. @sticky: the true value lies strictly between sig and
 * sig + 1; sig then has at least two bits more than @f holds. The only place that rounds to a
 * format: sets NX, UF (tiny after rounding), OF. */
uint64_t gen_pack(struct fp_env *env, const struct fmt *f, struct num n, bool sticky, unsigned rm);
/* Whether rounding moves the magnitude up: @odd of the part kept, @half and @below (rest not 0)
 * of the part dropped. */
bool gen_up(bool sign, bool odd, bool half, bool below, unsigned rm);
/* The canonical NaN; NV if a kind in a, b is signalling. */
uint64_t gen_nan(struct fp_env *env, const struct fmt *f, enum fp_kind a, enum fp_kind b);

uint64_t gen_add(struct fp_env *env, const struct fmt *f, uint64_t a, uint64_t b, unsigned rm);
uint64_t gen_sub(struct fp_env *env, const struct fmt *f, uint64_t a, uint64_t b, unsigned rm);
uint64_t gen_mul(struct fp_env *env, const struct fmt *f, uint64_t a, uint64_t b, unsigned rm);
uint64_t gen_div(struct fp_env *env, const struct fmt *f, uint64_t a, uint64_t b, unsigned rm);
uint64_t gen_sqrt(struct fp_env *env, const struct fmt *f, uint64_t a, unsigned rm);
uint64_t gen_fma(struct fp_env *env, const struct fmt *f, uint64_t a, uint64_t b, uint64_t c,
                 unsigned rm);
/* @inexact: report NX */
uint64_t gen_round(struct fp_env *env, const struct fmt *f, uint64_t a, unsigned rm, bool inexact);
/* To an integer of @bits (32, 64): saturates; the low @bits are the result. */
uint64_t gen_to_int(struct fp_env *env, const struct fmt *f, uint64_t a, unsigned rm,
                    unsigned bits, bool is_signed);
uint64_t gen_from_int(struct fp_env *env, const struct fmt *f, uint64_t mag, bool sign,
                      unsigned rm);
uint64_t gen_cvt(struct fp_env *env, const struct fmt *to, const struct fmt *from, uint64_t a,
                 unsigned rm);
