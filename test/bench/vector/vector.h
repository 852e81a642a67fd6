/* SPDX-License-Identifier: Apache-2.0 */
/* The vector benchmark: loops in several forms, FORM(x) in this one. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#define FORM_PASTE(name, form) name##_##form
#define FORM_OF(name, form) FORM_PASTE(name, form)
#ifndef FORM_NAME
#define FORM_NAME c
#endif
#define FORM(name) FORM_OF(name, FORM_NAME)

/* One form of all loops. */
#define LOOPS(form)                                                                                \
	void copy_##form(uint8_t *restrict to, const uint8_t *restrict from, size_t n);            \
	float dotf_##form(const float *a, const float *b, size_t n);                               \
	double dotd_##form(const double *a, const double *b, size_t n);                            \
	uint32_t doti_##form(const uint32_t *a, const uint32_t *b, size_t n);

#ifdef __riscv
#define FORMS(X) X(c) X(m1) X(m4) X(m8)
#else
#define FORMS(X) X(sse2) X(avx2)
#endif
FORMS(LOOPS)
