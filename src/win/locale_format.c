/* SPDX-License-Identifier: Apache-2.0 */
/* Dates, times and numbers as text, and the numbers of locales. All of them are written as en-US
 * does; DEVIATES: other locales are known by name and number only. */
#include "win/internal.h"
#include <stdio.h>
#include <time.h>

enum { TEXT_MAX = 512, ENGLISH_US = 0x409, USER = 0x400, SYSTEM = 0x800 };
enum { DATE_LONG = 2, DATE_YEAR_MONTH = 8 };
enum { NO_MINUTES = 1, NO_SECONDS = 2, NO_MARKER = 4, HOURS_24 = 8 };
struct system_time {
	uint16_t year, month, weekday, day, hour, minute, second, ms;
};
extern WINAPI void k32_GetLocalTime(struct system_time *ret);
extern WINAPI uint32_t k32_SystemTimeToFileTime(const struct system_time *st, uint64_t *ret);
extern WINAPI uint32_t k32_FileTimeToSystemTime(const uint64_t *t, struct system_time *ret);

/* ---- names and numbers ---- */

static const struct {
	const char *name;
	uint32_t lcid;
} locales[] = {
#define LOCALE(name, lcid) {name, lcid},
#include "win/locales.def"
};

/* What @text comes to, as functions of the kind return it: units with the 0. */
static int32_t units_give(const char *text, wide *buf, int32_t n)
{
	uint32_t len = (uint32_t)utf16_put(text, strlen(text), NULL, 0, NULL) + 1;
	if (n < 0 || (n && !buf))
		return (int32_t)fail(ERROR_INVALID_PARAMETER);
	if (n && (uint32_t)n < len)
		return (int32_t)fail(ERROR_INSUFFICIENT_BUFFER);
	if (n)
		wide_give(text, buf, (uint32_t)n);
	return (int32_t)len;
}

API(int32_t, k32_LCIDToLocaleName, uint32_t lcid, wide *buf, int32_t n, uint32_t flags)
{
	(void)flags;
	lcid = lcid == USER || lcid == SYSTEM || !lcid ? ENGLISH_US : lcid;
	for (size_t i = 0; i < countof(locales); i++)
		if (locales[i].lcid == lcid)
			return units_give(locales[i].name, buf, n);
	return (int32_t)fail(ERROR_INVALID_PARAMETER);
}

static size_t locale_find(const wide *name)
{
	autofree char *t = name ? text_from(name, SIZE_MAX) : strdup("en-US");
	size_t i = 0;
	while (t && i < countof(locales) && strcasecmp(locales[i].name, t) != 0)
		i++;
	return t ? i : countof(locales);
}

API(uint32_t, k32_LocaleNameToLCID, const wide *name, uint32_t flags)
{
	(void)flags;
	size_t i = locale_find(name);
	return i < countof(locales) ? locales[i].lcid : fail(ERROR_INVALID_PARAMETER);
}

API(uint32_t, k32_IsValidLocaleName, const wide *name)
{
	return name && locale_find(name) < countof(locales);
}

/* The same, or the nearest that is known: "" when none is. */
API(int32_t, k32_ResolveLocaleName, const wide *name, wide *buf, int32_t n)
{
	autofree char *t = name ? text_from(name, SIZE_MAX) : strdup("en-US");
	size_t language = t ? strcspn(t, "-_") : 0;
	const char *found = "";
	for (size_t i = 1; t && i < countof(locales); i++) {
		const char *l = locales[i].name;
		if (!strcasecmp(l, t))
			return units_give(l, buf, n);
		if (!*found && language && l[language] == '-' && !strncasecmp(l, t, language))
			found = l;
	}
	return units_give(found, buf, n);
}

API(uint32_t, k32_EnumSystemLocalesW, uint64_t fn, uint32_t flags)
{
	(void)flags;
	for (size_t i = 1; i < countof(locales); i++) {
		char text[12];
		wide w[12];
		if (locales[i].lcid < 0x400)
			continue;
		snprintf(text, sizeof text, "%08x", locales[i].lcid);
		wide_give(text, w, countof(w));
		if (!guest_call4(fn, (uint64_t)(uintptr_t)w, 0, 0, 0))
			break;
	}
	return 1;
}

API(uint32_t, k32_EnumSystemLocalesEx, uint64_t fn, uint32_t flags, uint64_t arg, void *reserved)
{
	(void)flags;
	(void)reserved;
	for (size_t i = 0; i < countof(locales); i++) {
		wide w[20];
		wide_give(locales[i].name, w, countof(w));
		if (!guest_call4(fn, (uint64_t)(uintptr_t)w, 0, arg, 0))
			break;
	}
	return 1;
}

enum { UNITED_STATES = 244, GEO_ISO2 = 4, GEO_ISO3 = 5, GEO_NAME = 8 };
API(uint32_t, k32_GetUserGeoID, uint32_t class)
{
	return class == 16 ? UNITED_STATES : 39070 /* of regions: the world */;
}

API(int32_t, k32_GetGeoInfoW, uint32_t geo, uint32_t what, wide *buf, int32_t n, uint16_t language)
{
	(void)language;
	const char *t = what == GEO_ISO2   ? "US"
			: what == GEO_ISO3 ? "USA"
			: what == GEO_NAME ? "United States"
					   : NULL;
	if (geo != UNITED_STATES || !t)
		return (int32_t)fail(geo == UNITED_STATES ? ERROR_INVALID_FLAGS
							  : ERROR_INVALID_PARAMETER);
	return units_give(t, buf, n);
}

/* ---- pictures of dates and times ---- */

static const char *const months[] = {"January",   "February", "March",    "April",
				     "May",       "June",     "July",     "August",
				     "September", "October",  "November", "December"};
static const char *const days[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
				   "Thursday", "Friday", "Saturday"};

/* @n of the letter @c: what it stands for; NULL: it is itself. */
static const char *picture_part(const struct system_time *st, wide c, unsigned n, bool date,
				char room[16])
{
	unsigned v = 0;
	if (date && c == 'd' && n > 2)
		return snprintf(room, 16, "%.*s", n == 3 ? 3 : 15, days[st->weekday % 7]), room;
	if (date && c == 'M' && n > 2)
		return snprintf(room, 16, "%.*s", n == 3 ? 3 : 15, months[(st->month - 1) % 12]),
		       room;
	if (date && c == 'g')
		return "A.D.";
	if (!date && c == 't')
		return snprintf(room, 16, "%.*s", n > 1 ? 2 : 1, st->hour < 12 ? "AM" : "PM"), room;
	if (date && c == 'y')
		return snprintf(room, 16,
				n > 2    ? "%04u"
				: n == 2 ? "%02u"
					 : "%u",
				n > 2 ? st->year : st->year % 100u),
		       room;
	switch (date ? c : c + 256) {
	case 'd': v = st->day; break;
	case 'M': v = st->month; break;
	case 256 + 'h': v = st->hour % 12 ? st->hour % 12 : 12; break;
	case 256 + 'H': v = st->hour; break;
	case 256 + 'm': v = st->minute; break;
	case 256 + 's': v = st->second; break;
	default: return NULL;
	}
	return snprintf(room, 16, n > 1 ? "%02u" : "%u", v), room;
}

static void text_add(char *out, const char *what, size_t n)
{
	size_t len = strlen(out);
	n = n < TEXT_MAX - 1 - len ? n : TEXT_MAX - 1 - len;
	memcpy(out + len, what, n);
	out[len + n] = 0;
}

/* A text in '...', in which '' is one of them; behind it. */
static const wide *literal_add(char *out, const wide *p)
{
	for (p++; *p && !(*p == '\'' && p[1] != '\''); p++) {
		char c[4];
		p += *p == '\'';
		text_add(out, c, utf8_put(p, 1, c, sizeof c, NULL));
	}
	return p + (*p == '\'');
}

static void picture_write(char *out, const struct system_time *st, const wide *p, bool date,
			  uint32_t flags)
{
	char room[16];
	*out = 0;
	while (*p) {
		wide c = *p;
		unsigned n = 1;
		if (c == '\'') {
			p = literal_add(out, p);
			continue;
		}
		while (p[n] == c)
			n++;
		bool left_out = !date && ((c == 't' && flags & NO_MARKER) ||
					  (c == 's' && flags & (NO_SECONDS | NO_MINUTES)) ||
					  (c == 'm' && flags & NO_MINUTES));
		const char *t = picture_part(st, !date && c == 'h' && flags & HOURS_24 ? 'H' : c, n,
					     date, room);
		if (left_out) { /* with what stands before it */
			size_t len = strlen(out);
			while (len && strchr(": .", out[len - 1]))
				out[--len] = 0;
		} else if (t) {
			text_add(out, t, strlen(t));
		} else {
			char u[4];
			n = 1;
			text_add(out, u, utf8_put(p, 1, u, sizeof u, NULL));
		}
		p += n;
	}
}

/* The time that is meant, and the day of the week that it has. False: there is no such time. */
static bool time_given(const struct system_time *given, bool date, struct system_time *ret)
{
	uint64_t t;
	if (!given) {
		k32_GetLocalTime(ret);
		return true;
	}
	*ret = *given;
	if (!date)
		return given->hour < 24 && given->minute < 60 && given->second < 60;
	ret->hour = ret->minute = ret->second = ret->ms = 0;
	return k32_SystemTimeToFileTime(ret, &t) && k32_FileTimeToSystemTime(&t, ret);
}

API(int32_t, k32_GetDateFormatEx, const wide *locale, uint32_t flags,
    const struct system_time *given, const wide *picture, wide *buf, int32_t n,
    const wide *calendar)
{
	static const wide shorter[] = u"M/d/yyyy", longer[] = u"dddd, MMMM d, yyyy",
			  month[] = u"MMMM yyyy";
	char text[TEXT_MAX];
	struct system_time st;
	(void)locale;
	(void)calendar;
	if (picture && flags & (DATE_LONG | DATE_YEAR_MONTH | 1))
		return (int32_t)fail(ERROR_INVALID_FLAGS);
	if (!time_given(given, true, &st))
		return (int32_t)fail(ERROR_INVALID_PARAMETER);
	picture_write(text, &st,
		      picture                   ? picture
		      : flags & DATE_LONG       ? longer
		      : flags & DATE_YEAR_MONTH ? month
						: shorter,
		      true, 0);
	return units_give(text, buf, n);
}

API(int32_t, k32_GetDateFormatW, uint32_t lcid, uint32_t flags, const struct system_time *given,
    const wide *picture, wide *buf, int32_t n)
{
	(void)lcid;
	return k32_GetDateFormatEx(NULL, flags, given, picture, buf, n, NULL);
}

API(int32_t, k32_GetTimeFormatEx, const wide *locale, uint32_t flags,
    const struct system_time *given, const wide *picture, wide *buf, int32_t n)
{
	static const wide usual[] = u"h:mm:ss tt";
	char text[TEXT_MAX];
	struct system_time st;
	(void)locale;
	if (!time_given(given, false, &st))
		return (int32_t)fail(ERROR_INVALID_PARAMETER);
	picture_write(text, &st, picture ? picture : usual, false, flags);
	return units_give(text, buf, n);
}

API(int32_t, k32_GetTimeFormatW, uint32_t lcid, uint32_t flags, const struct system_time *given,
    const wide *picture, wide *buf, int32_t n)
{
	(void)lcid;
	return k32_GetTimeFormatEx(NULL, flags, given, picture, buf, n);
}

/* ---- numbers ---- */

/* NUMBERFMT; CURRENCYFMT has the same beginning, then its order and symbol. */
struct number_format {
	uint32_t digits, leading_zero, grouping;
	const wide *point, *comma;
	uint32_t negative, positive;
	const wide *symbol;
};
enum { DIGITS_MAX = 9, NUMBER_MAX = 100 };

/* "-12.345" to what is before and behind the point, rounded to @digits. False: it is none. */
static bool number_split(const char *s, uint32_t digits, bool *ret_minus,
			 char whole[NUMBER_MAX + 2], char part[DIGITS_MAX + 1])
{
	size_t n = 0, have = 0, len = 0;
	*ret_minus = *s == '-';
	s += *ret_minus;
	while (*s == '0' && s[1] >= '0' && s[1] <= '9')
		s++;
	whole[n++] = '0'; /* room for what rounding carries */
	for (; *s >= '0' && *s <= '9' && n < NUMBER_MAX; s++, have++)
		whole[n++] = *s;
	bool up = false;
	if (*s == '.') {
		for (s++; *s >= '0' && *s <= '9'; s++, len++, have++) {
			if (len < digits)
				part[len] = *s;
			up = len == digits ? *s >= '5' : up;
		}
	}
	for (; len < digits; len++)
		part[len] = '0';
	part[digits] = whole[n] = 0;
	for (uint32_t i = digits; up && i-- > 0;) {
		up = part[i] == '9';
		part[i] = up ? '0' : (char)(part[i] + 1);
	}
	for (size_t i = n; up && i-- > 0;) {
		up = whole[i] == '9';
		whole[i] = up ? '0' : (char)(whole[i] + 1);
	}
	return !*s && have;
}

/* Grouping is said as in "3" or "32": from the point on, the last one again and again. */
static void groups_write(char *out, const char *whole, const char *comma, uint32_t grouping)
{
	char sizes[12], *p = sizes;
	size_t n = strlen(whole), cuts[NUMBER_MAX + 2], ncuts = 0, at = n;
	snprintf(sizes, sizeof sizes, "%u", grouping);
	while (*p && *p != '0' && at > (size_t)(*p - '0')) {
		at -= (size_t)(*p - '0');
		cuts[ncuts++] = at;
		p += p[1] != 0;
	}
	*out = 0;
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; i && k < ncuts; k++)
			if (cuts[k] == i)
				text_add(out, comma, strlen(comma));
		text_add(out, whole + i, 1);
	}
}

/* How a sign, a symbol and an amount follow each other: $ is the symbol, 1 the amount. NULL: there
 * is no such order (LOCALE_INEGNUMBER, LOCALE_ICURRENCY, LOCALE_INEGCURR). */
static const char *order_of(const struct number_format *f, bool money, bool negative)
{
	static const char *const below[] = {"(1)", "-1", "- 1", "1-", "1 -"};
	static const char *const amounts[] = {"$1", "1$", "$ 1", "1 $"};
	static const char *const debts[] = {"($1)", "-$1", "$-1",  "$1-",  "(1$)",  "-1$",
					    "1-$",  "1$-", "-1 $", "-$ 1", "1 $-",  "$ 1-",
					    "$ -1", "1- $", "($ 1)", "(1 $)"};
	if (!money)
		return f->negative >= countof(below) ? NULL : negative ? below[f->negative] : "1";
	if (f->negative >= countof(debts) || f->positive >= countof(amounts))
		return NULL;
	return negative ? debts[f->negative] : amounts[f->positive];
}

static void order_write(char *out, const char *order, const char *symbol, const char *amount)
{
	for (; *order; order++) {
		const char *t = *order == '$' ? symbol : *order == '1' ? amount : order;
		text_add(out, t, t == order ? 1 : strlen(t));
	}
}

static int32_t number_give(const wide *value, const struct number_format *f, bool money, wide *buf,
			   int32_t n)
{
	char whole[NUMBER_MAX + 2], part[DIGITS_MAX + 1], text[TEXT_MAX], all[TEXT_MAX] = "";
	autofree char *v = text_from(value, SIZE_MAX), *point = text_from(f->point, SIZE_MAX);
	autofree char *comma = text_from(f->comma, SIZE_MAX);
	autofree char *symbol = money ? text_from(f->symbol, SIZE_MAX) : strdup("");
	bool minus;
	if (!v || !point || !comma || !symbol)
		return (int32_t)fail(ERROR_NOT_ENOUGH_MEMORY);
	if (f->digits > DIGITS_MAX || !number_split(v, f->digits, &minus, whole, part))
		return (int32_t)fail(ERROR_INVALID_PARAMETER);
	const char *w = whole;
	while (*w == '0' && w[1])
		w++;
	bool zero = !strcmp(w, "0") && strspn(part, "0") == f->digits;
	const char *order = order_of(f, money, minus && !zero);
	if (!order)
		return (int32_t)fail(ERROR_INVALID_PARAMETER);
	w += !strcmp(w, "0") && f->digits && !f->leading_zero;
	groups_write(text, w, comma, f->grouping);
	if (f->digits) {
		text_add(text, point, strlen(point));
		text_add(text, part, f->digits);
	}
	order_write(all, order, symbol, text);
	return units_give(all, buf, n);
}

API(int32_t, k32_GetNumberFormatEx, const wide *locale, uint32_t flags, const wide *value,
    const struct number_format *f, wide *buf, int32_t n)
{
	static const struct number_format usual = {2, 1, 3, u".", u",", 1, 0, NULL};
	(void)locale;
	if (f && flags)
		return (int32_t)fail(ERROR_INVALID_FLAGS);
	return number_give(value, f ? f : &usual, false, buf, n);
}

API(int32_t, k32_GetCurrencyFormatEx, const wide *locale, uint32_t flags, const wide *value,
    const struct number_format *f, wide *buf, int32_t n)
{
	struct number_format usual = {2, 1, 3, u".", u",", 0, 0, u"$"};
	(void)locale;
	if (f && flags)
		return (int32_t)fail(ERROR_INVALID_FLAGS);
	return number_give(value, f ? f : &usual, true, buf, n);
}
