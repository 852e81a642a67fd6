/* SPDX-License-Identifier: Apache-2.0 */
/* fp: binary16 arithmetic, always in integers. RISC-V Unpriv 20240411 §22 */
#include "fp/internal.h"

uint16_t fp_add_h(struct fp_env *env, uint16_t a, uint16_t b, unsigned rm)
{
	return (uint16_t)gen_add(env, &fmt_h, a, b, rm);
}
uint16_t fp_sub_h(struct fp_env *env, uint16_t a, uint16_t b, unsigned rm)
{
	return (uint16_t)gen_sub(env, &fmt_h, a, b, rm);
}
uint16_t fp_mul_h(struct fp_env *env, uint16_t a, uint16_t b, unsigned rm)
{
	return (uint16_t)gen_mul(env, &fmt_h, a, b, rm);
}
uint16_t fp_div_h(struct fp_env *env, uint16_t a, uint16_t b, unsigned rm)
{
	return (uint16_t)gen_div(env, &fmt_h, a, b, rm);
}
uint16_t fp_sqrt_h(struct fp_env *env, uint16_t a, unsigned rm)
{
	return (uint16_t)gen_sqrt(env, &fmt_h, a, rm);
}
uint16_t fp_fma_h(struct fp_env *env, uint16_t a, uint16_t b, uint16_t c, unsigned rm)
{
	return (uint16_t)gen_fma(env, &fmt_h, a, b, c, rm);
}
uint16_t fp_round_h(struct fp_env *env, uint16_t a, unsigned rm)
{
	return (uint16_t)gen_round(env, &fmt_h, a, rm, false);
}
uint16_t fp_roundnx_h(struct fp_env *env, uint16_t a, unsigned rm)
{
	return (uint16_t)gen_round(env, &fmt_h, a, rm, true);
}
uint32_t fp_cvt_w_h(struct fp_env *env, uint16_t a, unsigned rm)
{
	return (uint32_t)gen_to_int(env, &fmt_h, a, rm, 32, true);
}
uint32_t fp_cvt_wu_h(struct fp_env *env, uint16_t a, unsigned rm)
{
	return (uint32_t)gen_to_int(env, &fmt_h, a, rm, 32, false);
}
uint64_t fp_cvt_l_h(struct fp_env *env, uint16_t a, unsigned rm)
{
	return gen_to_int(env, &fmt_h, a, rm, 64, true);
}
uint64_t fp_cvt_lu_h(struct fp_env *env, uint16_t a, unsigned rm)
{
	return gen_to_int(env, &fmt_h, a, rm, 64, false);
}
uint16_t fp_cvt_h_w(struct fp_env *env, uint32_t a, unsigned rm)
{
	uint32_t mag = a >> 31 ? -a : a;
	return (uint16_t)gen_from_int(env, &fmt_h, mag, a >> 31, rm);
}
uint16_t fp_cvt_h_wu(struct fp_env *env, uint32_t a, unsigned rm)
{
	return (uint16_t)gen_from_int(env, &fmt_h, a, false, rm);
}
uint16_t fp_cvt_h_l(struct fp_env *env, uint64_t a, unsigned rm)
{
	return (uint16_t)gen_from_int(env, &fmt_h, a >> 63 ? -a : a, a >> 63, rm);
}
uint16_t fp_cvt_h_lu(struct fp_env *env, uint64_t a, unsigned rm)
{
	return (uint16_t)gen_from_int(env, &fmt_h, a, false, rm);
}
