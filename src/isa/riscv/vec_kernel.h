/* SPDX-License-Identifier: Apache-2.0 */
/* Private to isa/riscv: what kernels of V are made with. In an expression a, b are the elements
 * of the sources, d[i] is that of the destination and D its type; v is the execution. */
#pragma once
#include "isa/riscv/vec.h"

/* Element i of the result depends on elements i only, though arrays may be the same. clang finds
 * that out at run time. */
#ifdef __clang__
#define VEC_LOOP
#else
#define VEC_LOOP _Pragma("GCC ivdep")
#endif

#define KERNEL(id, dest, atype, btype, expr)                                                       \
	static void id(struct vec *v, void *dp, const void *ap, const void *bp, size_t n)          \
	{                                                                                          \
		typedef dest D;                                                                    \
		D *d = dp;                                                                         \
		const atype *pa = ap;                                                              \
		const btype *pb = bp;                                                              \
		(void)v;                                                                           \
		VEC_LOOP                                                                           \
		for (size_t i = 0; i < n; i++) {                                                   \
			const atype a = pa[i];                                                     \
			const btype b = pb[i];                                                     \
			(void)a, (void)b;                                                          \
			d[i] = (D)(expr);                                                          \
		}                                                                                  \
	}
#define KERNEL_TABLE(name, k1, k2, k4, k8)                                                         \
	vec_kernel *const vec_k_##name[4] = {k1, k2, k4, k8};
