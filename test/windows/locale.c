/* SPDX-License-Identifier: Apache-2.0 */
/* Dates, times, numbers as text; names and numbers of locales. */
#include "test.h"

static wchar_t out[200];
static const SYSTEMTIME when = {2024, 2, 0, 29, 15, 4, 5, 6};

static const char *date(const wchar_t *picture, DWORD flags)
{
	out[0] = 0;
	int n = GetDateFormatEx(L"en-US", flags, &when, picture, out, 200, NULL);
	IS("length of a date", n, n ? wcslen(out) + 1 : 0);
	return narrow(out);
}

static const char *hour(const wchar_t *picture, DWORD flags)
{
	out[0] = 0;
	int n = GetTimeFormatEx(L"en-US", flags, &when, picture, out, 200);
	IS("length of a time", n, n ? wcslen(out) + 1 : 0);
	return narrow(out);
}

static void dates(void)
{
	static const struct {
		const wchar_t *picture;
		const char *want;
	} rows[] = {{L"yyyy-MM-dd", "2024-02-29"},
		    {L"d/M/yy", "29/2/24"},
		    {L"ddd, d MMM yyyy", "Thu, 29 Feb 2024"},
		    {L"dddd', the 'dd' of 'MMMM", "Thursday, the 29 of February"},
		    {L"'it''s' y", "it's 24"},
		    {L"yyyyMMdd", "20240229"},
		    {L"", ""}};
	for (int i = 0; i + 1 < COUNT(rows); i++)
		TEXT(rows[i].want, date(rows[i].picture, 0), rows[i].want);
	TEXT_IS(date(NULL, DATE_SHORTDATE), "2/29/2024");
	TEXT_IS(date(NULL, DATE_LONGDATE), "Thursday, February 29, 2024");
	TEXT_IS(date(NULL, DATE_YEARMONTH), "February 2024");
	FAILS(GetDateFormatEx(L"en-US", DATE_LONGDATE, &when, L"yyyy", out, 200, NULL),
	      ERROR_INVALID_FLAGS);
	SYSTEMTIME bad = {2023, 2, 0, 30};
	FAILS(GetDateFormatEx(L"en-US", 0, &bad, L"yyyy", out, 200, NULL), ERROR_INVALID_PARAMETER);
	FAILS(GetDateFormatEx(L"en-US", 0, &when, L"yyyy-MM-dd", out, 5, NULL),
	      ERROR_INSUFFICIENT_BUFFER);
	SAME(GetDateFormatEx(L"en-US", 0, &when, L"yyyy-MM-dd", NULL, 0, NULL), 11);
	SAME(GetDateFormatW(LOCALE_USER_DEFAULT, 0, &when, L"yyyy", out, 200), 5);
	CHECK(GetDateFormatEx(NULL, 0, NULL, L"yyyy", out, 200, NULL) == 5 &&
	      wcscmp(out, L"2023") > 0);
}

static void times(void)
{
	static const struct {
		const wchar_t *picture;
		const char *want;
	} rows[] = {{L"HH:mm:ss", "15:04:05"},
		    {L"h:m:s t", "3:4:5 P"},
		    {L"hh:mm tt", "03:04 PM"},
		    {L"H'h'mm", "15h04"}};
	for (int i = 0; i < COUNT(rows); i++)
		TEXT(rows[i].want, hour(rows[i].picture, 0), rows[i].want);
	TEXT_IS(hour(NULL, 0), "3:04:05 PM");
	TEXT_IS(hour(NULL, TIME_NOSECONDS), "3:04 PM");
	TEXT_IS(hour(NULL, TIME_NOMINUTESORSECONDS), "3 PM");
	TEXT_IS(hour(NULL, TIME_NOTIMEMARKER), "3:04:05");
	TEXT_IS(hour(NULL, TIME_FORCE24HOURFORMAT | TIME_NOTIMEMARKER), "15:04:05");
	SYSTEMTIME bad = {2023, 2, 0, 3, 25};
	FAILS(GetTimeFormatEx(L"en-US", 0, &bad, L"HH", out, 200), ERROR_INVALID_PARAMETER);
	FAILS(GetTimeFormatEx(L"en-US", 0, &when, L"HH:mm", out, 3), ERROR_INSUFFICIENT_BUFFER);
	SAME(GetTimeFormatW(LOCALE_USER_DEFAULT, 0, &when, L"HH:mm", out, 200), 6);
}

static const char *number(const wchar_t *value, const NUMBERFMTW *f)
{
	out[0] = 0;
	GetNumberFormatEx(L"en-US", 0, value, f, out, 200);
	return narrow(out);
}

static void numbers(void)
{
	NUMBERFMTW f = {0, 1, 3, L".", L",", 1}, india = {2, 1, 32, L".", L",", 1},
		   european = {3, 0, 3, L",", L".", 0};
	TEXT_IS(number(L"1234567.891", NULL), "1,234,567.89");
	TEXT_IS(number(L"-1234.5", NULL), "-1,234.50");
	TEXT_IS(number(L"0.005", NULL), "0.01");
	TEXT_IS(number(L"999.999", NULL), "1,000.00");
	TEXT_IS(number(L"12", NULL), "12.00");
	TEXT_IS(number(L"1234.5", &f), "1,235");
	TEXT_IS(number(L"999", &f), "999");
	TEXT_IS(number(L"12345678", &india), "1,23,45,678.00");
	TEXT_IS(number(L"-1234.5678", &european), "(1.234,568)");
	TEXT_IS(number(L"0.25", &european), ",250");
	FAILS(GetNumberFormatEx(L"en-US", 0, L"12x", NULL, out, 200), ERROR_INVALID_PARAMETER);
	FAILS(GetNumberFormatEx(L"en-US", 0, L"1234", NULL, out, 3), ERROR_INSUFFICIENT_BUFFER);
	SAME(GetNumberFormatEx(L"en-US", 0, L"1234", NULL, NULL, 0), 9);
	SAME(GetCurrencyFormatEx(L"en-US", 0, L"1234.5", NULL, out, 200), 10);
	CHECK(!wcscmp(out, L"$1,234.50"));
}

static const char *money(const wchar_t *v, UINT negative, UINT positive)
{
	CURRENCYFMTW f = {2, 1, 3, L".", L",", negative, positive, L"EUR"};
	*out = 0;
	return GetCurrencyFormatEx(L"en-US", 0, v, &f, out, 200) ? narrow(out) : "";
}

/* LOCALE_ICURRENCY, LOCALE_INEGCURR */
static void orders(void)
{
	static const char *const positive[] = {"EUR1,234.50", "1,234.50EUR", "EUR 1,234.50",
					       "1,234.50 EUR"};
	static const char *const negative[] = {
	    "(EUR1.10)", "-EUR1.10", "EUR-1.10",  "EUR1.10-",  "(1.10EUR)",  "-1.10EUR",
	    "1.10-EUR",  "1.10EUR-", "-1.10 EUR", "-EUR 1.10", "1.10 EUR-",  "EUR 1.10-",
	    "EUR -1.10", "1.10- EUR", "(EUR 1.10)", "(1.10 EUR)"};
	char name[30];
	for (int i = 0; i < COUNT(positive); i++) {
		sprintf(name, "positive order %d", i);
		TEXT(name, money(L"1234.5", 0, i), positive[i]);
	}
	for (int i = 0; i < COUNT(negative); i++) {
		sprintf(name, "negative order %d", i);
		TEXT(name, money(L"-1.1", i, 0), negative[i]);
	}
	TEXT_IS(money(L"1", 16, 0), "");
	SAME(GetLastError(), ERROR_INVALID_PARAMETER);
	TEXT_IS(money(L"1", 0, 4), "");
	SAME(GetLastError(), ERROR_INVALID_PARAMETER);
	NUMBERFMTW f = {2, 1, 3, L".", L",", 5, 0};
	FAILS(GetNumberFormatEx(L"en-US", 0, L"1", &f, out, 200), ERROR_INVALID_PARAMETER);
}

static void locales(void)
{
	static const struct {
		const wchar_t *name;
		LCID id;
	} rows[] = {{L"en-US", 0x409}, {L"de-DE", 0x407}, {L"ja-JP", 0x411},
		    {L"fr-FR", 0x40c}, {L"pt-BR", 0x416}, {L"", 0x7f}};
	for (int i = 0; i < COUNT(rows); i++) {
		IS("number of a name", LocaleNameToLCID(rows[i].name, 0), rows[i].id);
		IS("length of a name", LCIDToLocaleName(rows[i].id, out, 200, 0),
		   wcslen(rows[i].name) + 1);
		CHECK(!wcscmp(out, rows[i].name));
	}
	SAME(LocaleNameToLCID(L"EN-us", 0), 0x409);
	FAILS(LocaleNameToLCID(L"quite-wrong-indeed", 0), ERROR_INVALID_PARAMETER);
	FAILS(LCIDToLocaleName(0x409, out, 3, 0), ERROR_INSUFFICIENT_BUFFER);
	CHECK(IsValidLocaleName(L"en-US"));
	CHECK(!IsValidLocaleName(L"quite-wrong-indeed"));
	SAME(ResolveLocaleName(L"en-US", out, 200), 6);
	CHECK(!wcscmp(out, L"en-US"));
	CHECK(GetUserGeoID(GEOCLASS_NATION) != 0);
	SAME(GetGeoInfoW(244, GEO_ISO2, out, 200, 0), 3);
	CHECK(!wcscmp(out, L"US"));
	SAME(GetGeoInfoW(244, GEO_ISO3, out, 200, 0), 4);
}

static void keys(void)
{
	SAME(MapVirtualKeyW(VK_RETURN, 0), 0x1c);
	SAME(MapVirtualKeyW('A', 0), 0x1e);
	SAME(MapVirtualKeyW('0', 0), 11);
	SAME(MapVirtualKeyA(VK_ESCAPE, 0), 1);
	SAME(MapVirtualKeyW('M', 2), 'M');
}

int main(void)
{
	dates();
	times();
	numbers();
	orders();
	locales();
	keys();
	return end();
}
