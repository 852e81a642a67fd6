/* SPDX-License-Identifier: Apache-2.0 */
/* Time of the C runtime: seconds of 64 bits, struct tm of nine ints. */
#include "win/crt.h"
#include <stdio.h>
#include <time.h>

struct tm_win {
	int sec, min, hour, mday, mon, year, wday, yday, isdst;
};
static void tm_to(struct tm_win *w, const struct tm *t)
{
	*w = (struct tm_win){t->tm_sec,  t->tm_min,  t->tm_hour, t->tm_mday, t->tm_mon,
			     t->tm_year, t->tm_wday, t->tm_yday, t->tm_isdst};
}
static void tm_from(struct tm *t, const struct tm_win *w)
{
	*t = (struct tm){.tm_sec = w->sec,
			 .tm_min = w->min,
			 .tm_hour = w->hour,
			 .tm_mday = w->mday,
			 .tm_mon = w->mon,
			 .tm_year = w->year,
			 .tm_wday = w->wday,
			 .tm_yday = w->yday,
			 .tm_isdst = w->isdst};
}

WIN_STATE int crt__daylight;
WIN_STATE int crt__timezone;
WIN_STATE char *crt__tzname[2];

API(int64_t, crt__time64, int64_t *ret)
{
	int64_t t = time(NULL);
	if (ret)
		*ret = t;
	return t;
}
API(int, crt__time32, int *ret)
{
	int t = (int)time(NULL);
	if (ret)
		*ret = t;
	return t;
}
API(int, crt_clock, void)
{
	return (int)((host_monotonic_ns() - process()->qpc_start_ns) / 1000000);
}
API(double, crt__difftime64, int64_t a, int64_t b) { return (double)(a - b); }
API(struct tm_win *, crt__gmtime64, const int64_t *t)
{
	struct tm tm;
	time_t when = *t;
	struct tm_win *w = (struct tm_win *)(void *)crt_self()->tm;
	if (when < 0 || !gmtime_r(&when, &tm))
		return crt_fail(EINVAL), NULL;
	tm_to(w, &tm);
	return w;
}
API(struct tm_win *, crt__localtime64, const int64_t *t)
{
	struct tm tm;
	time_t when = *t;
	struct tm_win *w = (struct tm_win *)(void *)crt_self()->tm;
	if (when < 0 || !localtime_r(&when, &tm))
		return crt_fail(EINVAL), NULL;
	tm_to(w, &tm);
	return w;
}
API(int, crt__gmtime64_s, struct tm_win *ret, const int64_t *t)
{
	struct tm_win *w = crt__gmtime64(t);
	return w ? *ret = *w, 0 : 22;
}
API(int, crt__localtime64_s, struct tm_win *ret, const int64_t *t)
{
	struct tm_win *w = crt__localtime64(t);
	return w ? *ret = *w, 0 : 22;
}
API(int64_t, crt__mktime64, struct tm_win *w)
{
	struct tm tm;
	tm_from(&tm, w);
	time_t t = mktime(&tm);
	if (t != -1)
		tm_to(w, &tm);
	return t;
}
API(int64_t, crt__mkgmtime64, struct tm_win *w)
{
	struct tm tm;
	tm_from(&tm, w);
	time_t t = timegm(&tm);
	tm_to(w, &tm);
	return t;
}
/* The format as the host's function has it: dates of the locale C, and # for "without zeros" or
 * "long". False: too long. */
static bool strftime_format(char *to, size_t room, const char *from)
{
	static const struct {
		char letter;
		const char *plain, *marked;
	} forms[] = {{'c', "%m/%d/%y %H:%M:%S", "%A, %B %d, %Y %H:%M:%S"},
		     {'x', "%m/%d/%y", "%A, %B %d, %Y"}};
	size_t n = 0;
	while (*from) {
		char one[4] = {*from++};
		const char *put = one;
		bool marked = one[0] == '%' && *from == '#';
		from += marked;
		if (one[0] == '%' && *from) {
			snprintf(one, sizeof one, "%%%s%c",
				 marked && strchr("dHIjmMSUwWyY", *from) ? "-" : "", *from);
			for (size_t i = 0; i < countof(forms); i++)
				if (forms[i].letter == *from)
					put = marked ? forms[i].marked : forms[i].plain;
			from++;
		}
		if (n + strlen(put) >= room)
			return false;
		memcpy(to + n, put, strlen(put));
		n += strlen(put);
	}
	to[n] = 0;
	return true;
}

API(size_t, crt_strftime, char *buf, size_t n, const char *format, const struct tm_win *w)
{
	struct tm tm;
	char form[1024];
	tm_from(&tm, w);
	if (!strftime_format(form, sizeof form, format))
		return 0;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	return strftime(buf, n, form, &tm);
#pragma GCC diagnostic pop
}
API(size_t, crt_wcsftime, wide *buf, size_t n, const wide *format, const struct tm_win *w)
{
	char out[1024] = "";
	autofree char *f = text_from(format, SIZE_MAX);
	size_t len = f ? crt_strftime(out, sizeof out, f, w) : 0;
	return len < n ? wide_give(out, buf, (uint32_t)n) : 0;
}
API(char *, crt_asctime, const struct tm_win *w)
{
	struct tm tm;
	char *t = (char *)crt_self()->text;
	tm_from(&tm, w);
	strftime(t, sizeof crt_self()->text, "%a %b %d %H:%M:%S %Y\n", &tm);
	return t;
}
API(char *, crt__ctime64, const int64_t *t)
{
	struct tm_win *w = crt__localtime64(t);
	return w ? crt_asctime(w) : NULL;
}
API(void, crt__tzset, void)
{
	tzset();
	crt__daylight = daylight;
	crt__timezone = (int)timezone;
	crt__tzname[0] = tzname[0];
	crt__tzname[1] = tzname[1];
}
API(int *, crt___daylight, void) { return &crt__daylight; }
API(int *, crt___timezone, void) { return &crt__timezone; }
API(char **, crt___tzname, void)
{
	crt__tzset();
	return crt__tzname;
}
struct timeb_win {
	int64_t time;
	uint16_t ms;
	int16_t zone, dst;
};
API(void, crt__ftime64, struct timeb_win *ret)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	*ret = (struct timeb_win){t.tv_sec, (uint16_t)(t.tv_nsec / 1000000), 0, 0};
}
