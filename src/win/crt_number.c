/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of the C runtime: from text, as text, and those that nobody shall foresee. */
#include "win/crt.h"
#include <ctype.h>
#include <stdlib.h>

/* ---- from text: *end is where the number ends, at the begin if there is none, or no base ---- */

static void end_tell(char **end, char *stop)
{
	if (errno)
		(void)crt_fail(errno);
	if (end)
		*end = stop;
}

API(int64_t, crt_strtoll, const char *s, char **end, int base)
{
	char *stop = (char *)(uintptr_t)s;
	errno = 0;
	int64_t v = strtoll(s, &stop, base);
	return end_tell(end, stop), v;
}
API(uint64_t, crt_strtoull, const char *s, char **end, int base)
{
	char *stop = (char *)(uintptr_t)s;
	errno = 0;
	uint64_t v = strtoull(s, &stop, base);
	return end_tell(end, stop), v;
}
API(int, crt_strtol, const char *s, char **end, int base)
{
	int64_t v = crt_strtoll(s, end, base);
	if (v >= INT32_MIN && v <= INT32_MAX)
		return (int)v;
	crt_fail(ERANGE);
	return v < 0 ? INT32_MIN : INT32_MAX;
}
API(unsigned, crt_strtoul, const char *s, char **end, int base)
{
	uint64_t v = crt_strtoull(s, end, base);
	if (v <= UINT32_MAX || v >= UINT64_MAX - UINT32_MAX)
		return (unsigned)v;
	crt_fail(ERANGE);
	return UINT32_MAX;
}
API(double, crt_strtod, const char *s, char **end)
{
	char *stop;
	errno = 0;
	double v = strtod(s, &stop);
	return end_tell(end, stop), v;
}
API(float, crt_strtof, const char *s, char **end)
{
	char *stop;
	errno = 0;
	float v = strtof(s, &stop);
	return end_tell(end, stop), v;
}

API(int, crt_atoi, const char *s) { return (int)strtol(s, NULL, 10); }
API(int, crt_atol, const char *s) { return (int)strtol(s, NULL, 10); }
API(int64_t, crt_atoll, const char *s) { return strtoll(s, NULL, 10); }
API(int64_t, crt__atoi64, const char *s) { return strtoll(s, NULL, 10); }
API(double, crt_atof, const char *s) { return crt_strtod(s, NULL); }

/* ---- from wide text ---- */

/* What may be of the number that @s begins with. */
struct narrowed {
	char *text, *stop; /* owned; in it. NULL: no memory, which is no number */
};

static struct narrowed narrowed(const wide *s)
{
	size_t n = 0;
	while (s[n] == ' ' || (s[n] >= '\t' && s[n] <= '\r'))
		n++;
	while (s[n] && s[n] < 0x80 && (isalnum(s[n]) || strchr("+-.()_", s[n])))
		n++;
	char *t = text_from(s, n);
	return (struct narrowed){t, t};
}

static void narrowed_over(struct narrowed *n, const wide *s, wide **end)
{
	if (end)
		*end = (wide *)(uintptr_t)s + (n->stop - n->text);
	free(n->text);
}

#define OF_WIDE(type, name, narrow)                                                                \
	API(type, name, const wide *s, wide **end, int base)                                       \
	{                                                                                          \
		struct narrowed n = narrowed(s);                                                   \
		type v = n.text ? narrow(n.text, &n.stop, base) : 0;                               \
		return narrowed_over(&n, s, end), v;                                               \
	}
OF_WIDE(int64_t, crt__wcstoi64, crt_strtoll)
OF_WIDE(uint64_t, crt__wcstoui64, crt_strtoull)
OF_WIDE(int, crt_wcstol, crt_strtol)
OF_WIDE(unsigned, crt_wcstoul, crt_strtoul)
API(double, crt_wcstod, const wide *s, wide **end)
{
	struct narrowed n = narrowed(s);
	double v = n.text ? crt_strtod(n.text, &n.stop) : 0;
	return narrowed_over(&n, s, end), v;
}

API(int, crt__wtoi, const wide *s) { return crt_wcstol(s, NULL, 10); }
API(int, crt__wtol, const wide *s) { return crt_wcstol(s, NULL, 10); }
API(int64_t, crt__wtoi64, const wide *s) { return crt__wcstoi64(s, NULL, 10); }
API(double, crt__wtof, const wide *s) { return crt_wcstod(s, NULL); }

/* ---- as text ---- */

enum { DIGITS = 66 };

static char *digits(uint64_t v, bool minus, char *out, int base)
{
	char t[DIGITS];
	size_t n = 0;
	do {
		t[n++] = "0123456789abcdefghijklmnopqrstuvwxyz"[v % (unsigned)base];
		v /= (unsigned)base;
	} while (v);
	if (minus)
		t[n++] = '-';
	for (size_t i = 0; i < n; i++)
		out[i] = t[n - 1 - i];
	out[n] = 0;
	return out;
}
API(char *, crt__itoa, int v, char *out, int base)
{
	bool minus = v < 0 && base == 10;
	return digits(minus ? (uint64_t) - (int64_t)v : (uint32_t)v, minus, out, base);
}
API(char *, crt__ltoa, int v, char *out, int base) { return crt__itoa(v, out, base); }
API(char *, crt__ultoa, unsigned v, char *out, int base) { return digits(v, false, out, base); }
API(char *, crt__i64toa, int64_t v, char *out, int base)
{
	bool minus = v < 0 && base == 10;
	return digits(minus ? -(uint64_t)v : (uint64_t)v, minus, out, base);
}
API(char *, crt__ui64toa, uint64_t v, char *out, int base) { return digits(v, false, out, base); }

static wide *widened(wide *out, const char *s)
{
	wide *to = out;
	while ((*to++ = (uint8_t)*s++))
		continue;
	return out;
}

API(wide *, crt__itow, int v, wide *out, int base)
{
	char room[DIGITS];
	return widened(out, crt__itoa(v, room, base));
}
API(wide *, crt__i64tow, int64_t v, wide *out, int base)
{
	char room[DIGITS];
	return widened(out, crt__i64toa(v, room, base));
}
API(wide *, crt__ui64tow, uint64_t v, wide *out, int base)
{
	char room[DIGITS];
	return widened(out, crt__ui64toa(v, room, base));
}
API(wide *, crt__ultow, uint32_t v, wide *out, int base) { return crt__ui64tow(v, out, base); }

/* ---- others ---- */

/* Microsoft's generator: programs print what it gives. */
API(void, crt_srand, unsigned seed) { crt_self()->seed = seed; }
API(int, crt_rand, void)
{
	struct crt_thread *t = crt_self();
	t->seed = t->seed * 214013 + 2531011;
	return t->seed >> 16 & 0x7fff;
}
API(int, crt_rand_s, unsigned *ret)
{
	host_random(ret, sizeof *ret);
	return 0;
}
API(int, crt_abs, int v) { return v < 0 ? -v : v; }
API(int, crt_labs, int v) { return v < 0 ? -v : v; }
API(int64_t, crt_llabs, int64_t v) { return v < 0 ? -v : v; }
API(uint64_t, crt_div, int a, int b)
{
	return (uint32_t)(a / b) | (uint64_t)(uint32_t)(a % b) << 32;
}
