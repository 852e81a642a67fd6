/* SPDX-License-Identifier: Apache-2.0 */
/* The little of the C library that the demo guest needs. */
#include "demo.h"

void *memset(void *to, int c, size_t n)
{
	uint8_t *p = to;
	while (n--)
		*p++ = (uint8_t)c;
	return to;
}

void *memcpy(void *to, const void *from, size_t n)
{
	uint8_t *p = to;
	const uint8_t *q = from;
	while (n--)
		*p++ = *q++;
	return to;
}

size_t strlen(const char *s)
{
	size_t n = 0;
	while (s[n])
		n++;
	return n;
}

int strncmp(const char *a, const char *b, size_t n)
{
	for (; n; a++, b++, n--) {
		if (*a != *b)
			return (unsigned char)*a - (unsigned char)*b;
		if (!*a)
			break;
	}
	return 0;
}

int strcmp(const char *a, const char *b) { return strncmp(a, b, SIZE_MAX); }

const char *find(const char *text, const char *part)
{
	size_t n = strlen(part);
	for (; *text; text++)
		if (!strncmp(text, part, n))
			return text;
	return NULL;
}

/* A decimal number, with k, m or g for thousands, millions, milliards. */
bool number(const char *s, uint64_t *ret)
{
	uint64_t v = 0;
	if (*s < '0' || *s > '9')
		return false;
	for (; *s >= '0' && *s <= '9'; s++) {
		if (__builtin_mul_overflow(v, 10u, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
			return false;
	}
	uint64_t scale = *s == 'k' ? 1000u : *s == 'm' ? 1000000u : *s == 'g' ? 1000000000u : 1u;
	if (__builtin_mul_overflow(v, scale, &v))
		return false;
	*ret = v;
	return true;
}
