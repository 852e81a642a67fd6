/* SPDX-License-Identifier: Apache-2.0 */
/* The loops that are measured, in C: vectors are the compiler's. Built once for the guest (V) and
 * twice for the host (SSE2, AVX2), with names of their own. */
#include "vector.h"

void FORM(copy)(uint8_t *restrict to, const uint8_t *restrict from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to[i] = from[i];
}

float FORM(dotf)(const float *a, const float *b, size_t n)
{
	float sum = 0;
	for (size_t i = 0; i < n; i++)
		sum += a[i] * b[i];
	return sum;
}

double FORM(dotd)(const double *a, const double *b, size_t n)
{
	double sum = 0;
	for (size_t i = 0; i < n; i++)
		sum += a[i] * b[i];
	return sum;
}

uint32_t FORM(doti)(const uint32_t *a, const uint32_t *b, size_t n)
{
	uint32_t sum = 0;
	for (size_t i = 0; i < n; i++)
		sum += a[i] * b[i];
	return sum;
}
