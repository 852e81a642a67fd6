/* SPDX-License-Identifier: Apache-2.0 */
/* Time: of day, since the start, zones; and the page at 0x7ffe0000 in which programs read it
 * without a call. Nobody can look at a page as time passes, so it is closed until somebody does:
 * the fault opens it and starts a thread that writes it every millisecond, which closes it again
 * once the process has been idle for a while. */
#include "win/internal.h"
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>

static const uint64_t SHARED_PAGE = 0x7ffe0000;
enum {
	TICK_NS = 1000000,
	IDLE_TICKS = 200,
	SHARED_INTERRUPT = 0x8,
	SHARED_SYSTEM = 0x14,
	SHARED_TICKS = 0x320,
	SHARED_MULTIPLIER = 0x4
};

uint64_t filetime_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return filetime_of(t.tv_sec, t.tv_nsec);
}

/* ---- the page ---- */

static WIN_STATE struct {
	pthread_mutex_t lock;
	uint8_t *page, *writable; /* the same memory twice */
	bool ticking;
} shared = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* KSYSTEM_TIME: who reads it compares the two high words. */
static void system_time_put(uint8_t *at, uint64_t v)
{
	_Atomic(uint32_t) *w = (_Atomic(uint32_t) *)(void *)at;
	atomic_store(&w[2], (uint32_t)(v >> 32));
	atomic_store(&w[0], (uint32_t)v);
	atomic_store(&w[1], (uint32_t)(v >> 32));
}

static void page_write(void)
{
	uint64_t up = host_monotonic_ns();
	system_time_put(shared.writable + SHARED_INTERRUPT, up / 100);
	system_time_put(shared.writable + SHARED_SYSTEM, filetime_now());
	system_time_put(shared.writable + SHARED_TICKS, up / 1000000);
}

static uint64_t cpu_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* When waitable timers expire, too: one wake-up of the host's. */
static void tick_wait(void)
{
	uint64_t next = (host_monotonic_ns() / TICK_NS + 1) * TICK_NS;
	struct timespec t = {.tv_sec = (time_t)(next / 1000000000),
			     .tv_nsec = (long)(next % 1000000000)};
	(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static void *tick(void *unused)
{
	uint64_t used = cpu_ns();
	(void)unused;
	for (unsigned idle = 0;; idle++) {
		tick_wait();
		page_write();
		if (idle < IDLE_TICKS)
			continue;
		uint64_t now = cpu_ns(), own = IDLE_TICKS * 20000u; /* of this thread */
		if (now - used > own) {
			used = now;
			idle = 0;
			continue;
		}
		pthread_mutex_lock(&shared.lock);
		shared.ticking = false;
		mprotect(shared.page, PAGE, PROT_NONE);
		pthread_mutex_unlock(&shared.lock);
		return NULL;
	}
}

static void page_fill(uint8_t *p)
{
	static const wide root[] = u"C:\\Windows";
	memcpy(p + 0x30, root, sizeof root);
	le32_put(p + SHARED_MULTIPLIER, 1u << 24);
	le32_put(p + 0x260, VERSION_BUILD);
	le32_put(p + 0x264, 1); /* a workstation */
	p[0x268] = 1;
	le32_put(p + 0x26c, VERSION_MAJOR);
	le32_put(p + 0x270, VERSION_MINOR);
	static const uint8_t features[] = {2, 3, 6, 8, 10, 12, 13, 14, 36, 37, 38};
	for (size_t i = 0; i < countof(features); i++)
		p[0x274 + features[i]] = 1; /* cmpxchg8b, MMX, SSE to SSE 4.2, rdtsc, PAE, NX */
}

/* The memory is there twice, the second time for us to write: mremap(2) of 0 bytes. Few programs
 * look at it, so not before one does. */
static bool page_make(void)
{
	uint8_t *p =
	    mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return false;
	page_fill(p);
	if (mremap(p, 0, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, shared.page) == MAP_FAILED) {
		munmap(p, PAGE);
		return false;
	}
	shared.writable = p;
	return true;
}

/* In the handler of SIGSEGV; true: the access shall be made again. */
bool clock_page_fault(uint64_t at)
{
	pthread_t t;
	if (at - SHARED_PAGE >= PAGE || !shared.page)
		return false;
	pthread_mutex_lock(&shared.lock);
	if (!shared.writable && !page_make())
		process_die(LODGE_EXIT_LODGE, "the page at 0x7ffe0000 cannot be made");
	page_write();
	if (!shared.ticking && pthread_create(&t, NULL, tick, NULL) == 0) {
		pthread_detach(t);
		shared.ticking = true;
	}
	mprotect(shared.page, PAGE, PROT_READ);
	pthread_mutex_unlock(&shared.lock);
	return true;
}

void clock_page_begin(void)
{
	uint64_t at = 0;
	if (space_map_file(&at, SHARED_PAGE, PAGE, -1, 0, PAGE_READONLY) < 0)
		process_die(LODGE_EXIT_LODGE, "the page at 0x7ffe0000 cannot be made");
	shared.page = (uint8_t *)(uintptr_t)SHARED_PAGE;
	mprotect(shared.page, PAGE, PROT_NONE);
}

/* ---- functions ---- */

struct system_time {
	uint16_t year, month, weekday, day, hour, minute, second, ms;
};

static void system_time_of(uint64_t t, struct system_time *ret)
{
	int64_t s, ns;
	struct tm tm;
	filetime_to(t, &s, &ns);
	time_t when = s;
	gmtime_r(&when, &tm);
	*ret = (struct system_time){(uint16_t)(tm.tm_year + 1900), (uint16_t)(tm.tm_mon + 1),
				    (uint16_t)tm.tm_wday,          (uint16_t)tm.tm_mday,
				    (uint16_t)tm.tm_hour,          (uint16_t)tm.tm_min,
				    (uint16_t)tm.tm_sec,           (uint16_t)(ns / 1000000)};
}

static bool filetime_from(const struct system_time *st, uint64_t *ret)
{
	struct tm tm = {.tm_year = st->year - 1900,
			.tm_mon = st->month - 1,
			.tm_mday = st->day,
			.tm_hour = st->hour,
			.tm_min = st->minute,
			.tm_sec = st->second};
	if (st->month < 1 || st->month > 12 || st->day < 1 || st->day > 31 || st->hour > 23 ||
	    st->minute > 59 || st->second > 59 || st->ms > 999 || st->year < 1601)
		return false;
	time_t s = timegm(&tm); /* which makes the first of March of the 30th of February */
	if (tm.tm_mday != st->day)
		return false;
	*ret = filetime_of(s, st->ms * 1000000);
	return true;
}

/* Seconds that local time is ahead of UTC at @s. */
static int64_t zone_ahead(int64_t s)
{
	struct tm tm;
	time_t when = s;
	localtime_r(&when, &tm);
	return tm.tm_gmtoff;
}

API(void, k32_GetSystemTimeAsFileTime, uint64_t *ret) { *ret = filetime_now(); }
API(void, k32_GetSystemTimePreciseAsFileTime, uint64_t *ret) { *ret = filetime_now(); }
API(uint64_t, nt_RtlGetSystemTimePrecise, void) { return filetime_now(); }
API(void, k32_GetSystemTime, struct system_time *ret) { system_time_of(filetime_now(), ret); }
API(void, k32_GetLocalTime, struct system_time *ret)
{
	int64_t s, ns;
	uint64_t now = filetime_now();
	filetime_to(now, &s, &ns);
	system_time_of(now + (uint64_t)(zone_ahead(s) * 10000000), ret);
}

API(uint32_t, k32_FileTimeToSystemTime, const uint64_t *t, struct system_time *ret)
{
	if (*t >> 63)
		return fail(ERROR_INVALID_PARAMETER);
	system_time_of(*t, ret);
	return 1;
}

API(uint32_t, k32_SystemTimeToFileTime, const struct system_time *st, uint64_t *ret)
{
	return filetime_from(st, ret) ? 1 : fail(ERROR_INVALID_PARAMETER);
}

API(uint32_t, k32_FileTimeToLocalFileTime, const uint64_t *t, uint64_t *ret)
{
	int64_t s, ns;
	filetime_to(filetime_now(), &s, &ns); /* by the offset of now, as Windows does */
	*ret = *t + (uint64_t)(zone_ahead(s) * 10000000);
	return 1;
}

API(uint32_t, k32_LocalFileTimeToFileTime, const uint64_t *t, uint64_t *ret)
{
	int64_t s, ns;
	filetime_to(filetime_now(), &s, &ns);
	*ret = *t - (uint64_t)(zone_ahead(s) * 10000000);
	return 1;
}

API(uint32_t, k32_SystemTimeToTzSpecificLocalTime, const void *zone, const struct system_time *st,
    struct system_time *ret)
{
	uint64_t t;
	int64_t s, ns;
	if (zone) /* of another place: not known here */
		return fail(ERROR_NOT_SUPPORTED);
	if (!filetime_from(st, &t))
		return fail(ERROR_INVALID_PARAMETER);
	filetime_to(t, &s, &ns);
	system_time_of(t + (uint64_t)(zone_ahead(s) * 10000000), ret);
	return 1;
}

API(int32_t, k32_CompareFileTime, const uint64_t *a, const uint64_t *b)
{
	return *a < *b ? -1 : *a > *b;
}

/* DOS counts 2 seconds, in local time. */
API(uint32_t, k32_FileTimeToDosDateTime, const uint64_t *t, uint16_t *date, uint16_t *time)
{
	struct system_time st;
	system_time_of(*t, &st);
	if (st.year < 1980 || st.year > 2107)
		return fail(ERROR_INVALID_PARAMETER);
	*date = (uint16_t)((st.year - 1980) << 9 | st.month << 5 | st.day);
	*time = (uint16_t)(st.hour << 11 | st.minute << 5 | st.second / 2);
	return 1;
}

API(uint32_t, k32_DosDateTimeToFileTime, uint16_t date, uint16_t time, uint64_t *ret)
{
	const struct system_time st = {.year = (uint16_t)(1980 + (date >> 9)),
				       .month = date >> 5 & 15,
				       .day = date & 31,
				       .hour = time >> 11,
				       .minute = time >> 5 & 63,
				       .second = (uint16_t)((time & 31) * 2)};
	return filetime_from(&st, ret) ? 1 : fail(ERROR_INVALID_PARAMETER);
}

struct zone {
	int32_t bias;
	wide standard_name[32];
	struct system_time standard;
	int32_t standard_bias;
	wide daylight_name[32];
	struct system_time daylight;
	int32_t daylight_bias;
};
static_assert(sizeof(struct zone) == 172, "TIME_ZONE_INFORMATION");

API(uint32_t, k32_GetTimeZoneInformation, struct zone *ret)
{
	tzset();
	memset(ret, 0, sizeof *ret);
	ret->bias = (int32_t)(-zone_ahead(time(NULL)) / 60);
	wide_give(tzname[0], ret->standard_name, 32);
	wide_give(tzname[1], ret->daylight_name, 32);
	return 0; /* TIME_ZONE_ID_UNKNOWN: the offset of now, without rules */
}

API(uint32_t, k32_GetDynamicTimeZoneInformation, struct zone *ret)
{
	memset(ret + 1, 0, 432 - sizeof *ret);
	return k32_GetTimeZoneInformation(ret);
}

/* The rules of the host are not told as rules: of every year it is what holds now. */
API(uint32_t, k32_GetTimeZoneInformationForYear, uint16_t year, const void *zone, struct zone *ret)
{
	(void)year;
	(void)zone;
	k32_GetTimeZoneInformation(ret);
	return 1;
}

static const uint64_t QPC_HZ = 10000000;
API(uint32_t, k32_QueryPerformanceCounter, uint64_t *ret)
{
	*ret = host_monotonic_ns() / (1000000000 / QPC_HZ);
	return 1;
}
API(uint32_t, k32_QueryPerformanceFrequency, uint64_t *ret)
{
	*ret = QPC_HZ;
	return 1;
}
API(uint64_t, k32_GetTickCount64, void) { return host_monotonic_ns() / 1000000; }
API(uint32_t, k32_GetTickCount, void) { return (uint32_t)(host_monotonic_ns() / 1000000); }
API(void, k32_QueryInterruptTime, uint64_t *ret) { *ret = host_monotonic_ns() / 100; }
API(uint32_t, k32_timeBeginPeriod, uint32_t ms)
{
	(void)ms;
	return 0;
}
API(uint32_t, k32_timeEndPeriod, uint32_t ms)
{
	(void)ms;
	return 0;
}
API(uint32_t, k32_timeGetTime, void) { return (uint32_t)(host_monotonic_ns() / 1000000); }

static uint64_t filetime_tv(const struct timeval *t)
{
	return (uint64_t)t->tv_sec * 10000000 + (uint64_t)t->tv_usec * 10;
}

API(uint32_t, k32_GetProcessTimes, handle h, uint64_t *created, uint64_t *ended, uint64_t *kernel,
    uint64_t *user)
{
	struct rusage u;
	(void)h;
	getrusage(RUSAGE_SELF, &u);
	*created = filetime_now() - (host_monotonic_ns() - process()->qpc_start_ns) / 100;
	*ended = 0;
	*kernel = filetime_tv(&u.ru_stime);
	*user = filetime_tv(&u.ru_utime);
	return 1;
}
