/* SPDX-License-Identifier: Apache-2.0 */
/* Time: FILETIME, SYSTEMTIME, DOS times, time_t, strftime, timers. */
#include "test.h"
#include <stdlib.h>
#include <time.h>

static void system_times(void)
{
	static const struct {
		SYSTEMTIME st;
		unsigned long long want; /* 0: not a time */
	} rows[] = {{{1601, 1, 0, 1, 0, 0, 0, 0}, 0},
		    {{1601, 1, 0, 1, 0, 0, 0, 1}, 10000},
		    {{1601, 1, 0, 2, 0, 0, 0, 0}, 864000000000ULL},
		    {{1970, 1, 0, 1, 0, 0, 0, 0}, 116444736000000000ULL},
		    {{2000, 2, 0, 29, 23, 59, 59, 999}, 125963423999990000ULL},
		    {{2000, 3, 0, 1, 0, 0, 0, 0}, 125963424000000000ULL},
		    {{2020, 2, 0, 29, 12, 34, 56, 0}, 132274532960000000ULL},
		    {{1900, 3, 0, 1, 0, 0, 0, 0}, 94405824000000000ULL},
		    {{2100, 3, 0, 1, 0, 0, 0, 0}, 157520160000000000ULL},
		    {{9999, 12, 0, 31, 23, 59, 59, 0}, 2650467743990000000ULL}};
	for (size_t i = 0; i < COUNT(rows); i++) {
		FILETIME ft = {1, 1};
		SYSTEMTIME back;
		char name[40];
		sprintf(name, "%d-%d-%d", rows[i].st.wYear, rows[i].st.wMonth, rows[i].st.wDay);
		IS(name, SystemTimeToFileTime(&rows[i].st, &ft), TRUE);
		IS(name, (unsigned long long)ft.dwHighDateTime << 32 | ft.dwLowDateTime,
		   rows[i].want);
		IS(name, FileTimeToSystemTime(&ft, &back), TRUE);
		IS(name, back.wYear, rows[i].st.wYear);
		IS(name, back.wMonth, rows[i].st.wMonth);
		IS(name, back.wDay, rows[i].st.wDay);
		IS(name, back.wHour, rows[i].st.wHour);
		IS(name, back.wMinute, rows[i].st.wMinute);
		IS(name, back.wSecond, rows[i].st.wSecond);
		IS(name, back.wMilliseconds, rows[i].st.wMilliseconds);
		IS(name, back.wDayOfWeek, (rows[i].want / 864000000000ULL + 1) % 7);
	}
	static const SYSTEMTIME bad[] = {{1600, 1, 0, 1},           {2020, 0, 0, 1},
					 {2020, 13, 0, 1},          {2020, 1, 0, 0},
					 {2020, 1, 0, 32},          {2019, 2, 0, 29},
					 {2020, 1, 0, 1, 24},       {2020, 1, 0, 1, 0, 60},
					 {2020, 1, 0, 1, 0, 0, 60}, {2020, 1, 0, 1, 0, 0, 0, 1000},
					 {1900, 2, 0, 29}};
	for (size_t i = 0; i < COUNT(bad); i++) {
		FILETIME ft;
		char name[60];
		sprintf(name, "not a time: %d-%d-%d %d:%d:%d.%d", bad[i].wYear, bad[i].wMonth,
			bad[i].wDay, bad[i].wHour, bad[i].wMinute, bad[i].wSecond,
			bad[i].wMilliseconds);
		SetLastError(0);
		IS(name, SystemTimeToFileTime(&bad[i], &ft), FALSE);
		IS(name, GetLastError(), ERROR_INVALID_PARAMETER);
	}
	FILETIME far_ = {0, 0x80000000}, a = {5, 1}, b = {4, 2};
	SYSTEMTIME st;
	FAILS(FileTimeToSystemTime(&far_, &st), ERROR_INVALID_PARAMETER);
	SAME(CompareFileTime(&a, &b), -1);
	SAME(CompareFileTime(&b, &a), 1);
	SAME(CompareFileTime(&a, &a), 0);
}

static void dos_times(void)
{
	static const struct {
		WORD date, time;
		int y, m, d, h, min, s;
	} rows[] = {
	    {(0 << 9) | (1 << 5) | 1, 0, 1980, 1, 1, 0, 0, 0},
	    {(40 << 9) | (2 << 5) | 29, (12 << 11) | (34 << 5) | 28, 2020, 2, 29, 12, 34, 56},
	    {(127 << 9) | (12 << 5) | 31, (23 << 11) | (59 << 5) | 29, 2107, 12, 31, 23, 59, 58}};
	for (size_t i = 0; i < COUNT(rows); i++) {
		FILETIME ft;
		SYSTEMTIME st;
		WORD date, time;
		char name[40];
		sprintf(name, "DOS %x %x", rows[i].date, rows[i].time);
		IS(name, DosDateTimeToFileTime(rows[i].date, rows[i].time, &ft), TRUE);
		FileTimeToSystemTime(&ft, &st);
		IS(name, st.wYear, rows[i].y);
		IS(name, st.wMonth, rows[i].m);
		IS(name, st.wDay, rows[i].d);
		IS(name, st.wHour, rows[i].h);
		IS(name, st.wMinute, rows[i].min);
		IS(name, st.wSecond, rows[i].s);
		IS(name, FileTimeToDosDateTime(&ft, &date, &time), TRUE);
		IS(name, date, rows[i].date);
		IS(name, time, rows[i].time);
	}
	FILETIME ft;
	WORD d, t;
	SYSTEMTIME early = {1979, 12, 0, 31};
	FAILS(DosDateTimeToFileTime(0, 0, &ft), ERROR_INVALID_PARAMETER);
	SystemTimeToFileTime(&early, &ft);
	FAILS(FileTimeToDosDateTime(&ft, &d, &t), ERROR_INVALID_PARAMETER);
}

static void seconds(void)
{
	static const struct {
		long long t;
		int y, mon, d, h, min, s, wday, yday;
	} rows[] = {{0, 70, 0, 1, 0, 0, 0, 4, 0},
		    {1, 70, 0, 1, 0, 0, 1, 4, 0},
		    {86399, 70, 0, 1, 23, 59, 59, 4, 0},
		    {951782400, 100, 1, 29, 0, 0, 0, 2, 59},
		    {1582979696, 120, 1, 29, 12, 34, 56, 6, 59},
		    {4102444799LL, 199, 11, 31, 23, 59, 59, 4, 364},
		    {32535215999LL, 1100, 11, 31, 23, 59, 59, 3, 364}};
	for (size_t i = 0; i < COUNT(rows); i++) {
		char name[40];
		sprintf(name, "time %I64d", rows[i].t);
		struct tm *tm = _gmtime64(&rows[i].t);
		IS(name, tm != NULL, TRUE);
		if (!tm)
			continue;
		IS(name, tm->tm_year, rows[i].y);
		IS(name, tm->tm_mon, rows[i].mon);
		IS(name, tm->tm_mday, rows[i].d);
		IS(name, tm->tm_hour, rows[i].h);
		IS(name, tm->tm_min, rows[i].min);
		IS(name, tm->tm_sec, rows[i].s);
		IS(name, tm->tm_wday, rows[i].wday);
		IS(name, tm->tm_yday, rows[i].yday);
		struct tm copy = *tm;
		IS(name, _mkgmtime64(&copy), rows[i].t);
	}
	long long before = -1;
	CHECK(!_gmtime64(&before));
	struct tm over = {
	    .tm_year = 120, .tm_mon = 12, .tm_mday = 32, .tm_hour = 25, .tm_min = 61, .tm_sec = 61};
	SAME(_mkgmtime64(&over), 1612231321);
	SAME(over.tm_year, 121);
	SAME(over.tm_mon, 1);
	SAME(over.tm_mday, 2);
	SAME(over.tm_hour, 2);
	SAME(over.tm_min, 2);
	SAME(over.tm_sec, 1);
	CHECK(_difftime64(10, 4) == 6);
	long long t = 1582979696;
	TEXT_IS(asctime(_gmtime64(&t)), "Sat Feb 29 12:34:56 2020\n");
}

static void formats(void)
{
	static const struct {
		const char *format, *want;
	} rows[] = {{"%Y", "2020"},     {"%y", "20"},       {"%m", "02"},
		    {"%d", "29"},       {"%H", "15"},       {"%I", "03"},
		    {"%M", "04"},       {"%S", "06"},       {"%p", "PM"},
		    {"%a", "Sat"},      {"%A", "Saturday"}, {"%b", "Feb"},
		    {"%B", "February"}, {"%j", "060"},      {"%w", "6"},
		    {"%U", "08"},       {"%W", "08"},       {"%%", "%"},
		    {"%x", "02/29/20"}, {"%X", "15:04:06"}, {"%c", "02/29/20 15:04:06"},
		    {"", ""},           {"plain", "plain"}, {"%H:%M", "15:04"},
		    {"%#d", "29"},      {"%#m", "2"},       {"%#H", "15"},
		    {"%#I", "3"},       {"%#S", "6"},       {"%#M", "4"},
		    {"%#j", "60"}};
	struct tm tm = {.tm_year = 120,
			.tm_mon = 1,
			.tm_mday = 29,
			.tm_hour = 15,
			.tm_min = 4,
			.tm_sec = 6,
			.tm_wday = 6,
			.tm_yday = 59};
	for (size_t i = 0; i < COUNT(rows); i++) {
		char buf[100] = "#";
		wchar_t form[40], w[100];
		IS(rows[i].format, strftime(buf, sizeof buf, rows[i].format, &tm),
		   strlen(rows[i].want));
		TEXT(rows[i].format, buf, rows[i].want);
		MultiByteToWideChar(CP_UTF8, 0, rows[i].format, -1, form, 40);
		IS(rows[i].format, wcsftime(w, 100, form, &tm), strlen(rows[i].want));
		TEXT(rows[i].format, narrow(w), rows[i].want);
	}
	char small[4];
	SAME(strftime(small, 4, "%Y", &tm), 0);
	SAME(strftime(small, 3, "%y", &tm), 2);
}

static void clocks(void)
{
	LARGE_INTEGER f, a, b;
	CHECK(QueryPerformanceFrequency(&f));
	CHECK(f.QuadPart >= 1000000);
	CHECK(QueryPerformanceCounter(&a));
	ULONGLONG tick = GetTickCount64();
	Sleep(30);
	CHECK(QueryPerformanceCounter(&b));
	CHECK((b.QuadPart - a.QuadPart) * 1000 / f.QuadPart >= 29);
	CHECK(GetTickCount64() - tick >= 14);
	FILETIME now, precise;
	SYSTEMTIME st;
	GetSystemTimeAsFileTime(&now);
	GetSystemTime(&st);
	SAME(st.wYear >= 2024, TRUE);
	CHECK(st.wMonth >= 1 && st.wMonth <= 12);
	time_t t = time(NULL);
	long long unix_ =
	    (((long long)now.dwHighDateTime << 32 | now.dwLowDateTime) - 116444736000000000LL) /
	    10000000;
	CHECK(t - unix_ <= 2 && unix_ - t <= 2);
	TIME_ZONE_INFORMATION zone;
	CHECK(GetTimeZoneInformation(&zone) <= 2);
	SAME(zone.Bias, 0);
	FILETIME local;
	CHECK(FileTimeToLocalFileTime(&now, &local));
	SAME(CompareFileTime(&now, &local), 0);
	CHECK(LocalFileTimeToFileTime(&local, &precise));
	SAME(CompareFileTime(&now, &precise), 0);
	CHECK(clock() >= 0);
	FILETIME created, exited, kernel, user;
	CHECK(GetProcessTimes(GetCurrentProcess(), &created, &exited, &kernel, &user));
	CHECK(CompareFileTime(&created, &now) <= 0);
}

/* Times of files keep their 100 ns. */
static void files(void)
{
	static const unsigned long long times[] = {132274532960000000ULL, 132274532961234567ULL,
						   116444736000000000ULL, 116444735990000000ULL};
	SetCurrentDirectoryA("C:\\Temp");
	HANDLE h =
	    CreateFileA("time.dat", GENERIC_READ | GENERIC_WRITE, 0, NULL, CREATE_ALWAYS, 0, NULL);
	for (size_t i = 0; i < COUNT(times); i++) {
		FILETIME set = {(DWORD)times[i], (DWORD)(times[i] >> 32)}, read, written;
		char name[40];
		sprintf(name, "file time %I64u", times[i]);
		IS(name, SetFileTime(h, NULL, &set, &set), TRUE);
		IS(name, GetFileTime(h, NULL, &read, &written), TRUE);
		IS(name, CompareFileTime(&read, &set), 0);
		IS(name, CompareFileTime(&written, &set), 0);
	}
	FILETIME one = {1, 0x01d00000}, read;
	CHECK(SetFileTime(h, NULL, NULL, &one));
	CHECK(GetFileTime(h, NULL, &read, NULL));
	SAME(read.dwHighDateTime, (DWORD)(times[3] >> 32));
	CHECK(CloseHandle(h));
	WIN32_FILE_ATTRIBUTE_DATA d;
	CHECK(GetFileAttributesExA("time.dat", GetFileExInfoStandard, &d));
	SAME(CompareFileTime(&d.ftLastWriteTime, &one), 0);
	CHECK(DeleteFileA("time.dat"));
}

int main(void)
{
	_putenv("TZ=UTC0");
	_tzset();
	system_times();
	dos_times();
	seconds();
	formats();
	clocks();
	files();
	return end();
}
