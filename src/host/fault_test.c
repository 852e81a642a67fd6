/* SPDX-License-Identifier: Apache-2.0 */
#include "host/host.h"
#include "test/test.h"
#include <signal.h>
#include <sys/mman.h>

enum { PAGE = 4096 };

static void faulted(uint64_t at, int sig, int code)
{
	struct host_fault f;
	host_fault_last(&f);
	CHECK(f.at == at && f.sig == sig && f.code == code);
}

/* Two pages: one that may be read and written, one as the caller says. */
static uint8_t *pages(int prot)
{
	uint8_t *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
	                  0);
	CHECK(p != MAP_FAILED && host_fault_begin(NULL) == 0);
	CHECK(mprotect(p + PAGE, PAGE, prot) == 0);
	return p;
}

TEST(fault_of_each_access_is_mended)
{
	uint8_t *p = pages(PROT_NONE);
	uint64_t good = (uint64_t)(uintptr_t)p, bad = good + PAGE, v;
	for (unsigned size = 1; size <= 8; size *= 2) {
		uint64_t want = 0x8877665544332211 & (UINT64_MAX >> (64 - 8 * size));
		CHECK(host_store(good + 16, size, 0x8877665544332211));
		CHECK(host_load(good + 16, size, &v) && v == want);
		CHECK(!host_load(bad, size, &v));
		faulted(bad, SIGSEGV, SEGV_ACCERR);
		CHECK(!host_store(bad + 8, size, 1));
		faulted(bad + 8, SIGSEGV, SEGV_ACCERR);
		CHECK(!host_load(16, size, &v));
		faulted(16, SIGSEGV, SEGV_MAPERR);
	}
	memset(p, 0, 64);
	for (unsigned size = 4; size <= 8; size += 4) {
		v = 0;
		CHECK(host_cas(good, size, &v, 7) && v == 0);
		CHECK(host_cas(good, size, &v, 8) && v == 7);
		CHECK(host_cas(good, size, &v, 0) && v == 7);
		CHECK(!host_cas(bad, size, &v, 1));
	}
	uint64_t old[2] = {0, 0}, to[2] = {1, 2};
	CHECK(host_cas16(good, old, to) && old[0] == 0);
	CHECK(host_cas16(good, old, to) && old[0] == 1 && old[1] == 2);
	CHECK(!host_cas16(bad, old, to));
	munmap(p, 2 * PAGE);
}

TEST(fault_of_a_copy_says_how_far_it_came)
{
	uint8_t *p = pages(PROT_NONE), buf[100] = {1, 2, 3};
	size_t n;
	CHECK(host_copy(p + PAGE - 100, buf, 100) == 0 && p[PAGE - 98] == 3);
	CHECK(host_copy(p + PAGE - 40, buf, 100) == 60);
	CHECK(host_copy(buf, p + PAGE - 40, 100) == 60 && buf[2] == 3);
	CHECK(host_copy(buf, p + PAGE, 1) == 1);
	memset(p, 'x', PAGE);
	CHECK(host_length((uintptr_t)p + PAGE - 4, 4, &n) && n == 4);
	CHECK(!host_length((uintptr_t)p + PAGE - 4, 5, &n));
	p[PAGE - 2] = 0;
	CHECK(host_length((uintptr_t)p + PAGE - 4, 99, &n) && n == 2);
	munmap(p, 2 * PAGE);
}

TEST(fault_of_a_comparison_is_a_difference)
{
	uint8_t *p = pages(PROT_NONE), buf[40];
	for (unsigned n = 0; n < sizeof buf; n++)
		p[PAGE - sizeof buf + n] = buf[n] = (uint8_t)n;
	for (unsigned n = 0; n <= sizeof buf; n++) {
		uint8_t *at = p + PAGE - n, *as = buf + sizeof buf - n;
		CHECK(host_same(at, as, n));
		for (unsigned k = 0; k < n; k++) {
			as[k] ^= 1;
			CHECK(!host_same(at, as, n));
			as[k] ^= 1;
		}
	}
	CHECK(!host_same(p + PAGE - 20, buf + 20, 21));
	CHECK(!host_same(p + PAGE, buf, 1) && host_same(p + PAGE, buf, 0));
	munmap(p, 2 * PAGE);
}

TEST(fault_behind_the_end_of_a_file_is_sigbus)
{
	int fd = memfd_create("short", MFD_CLOEXEC);
	uint8_t *p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	uint64_t v;
	CHECK(fd >= 0 && p != MAP_FAILED && host_fault_begin(NULL) == 0);
	CHECK(!host_load((uintptr_t)p, 8, &v));
	faulted((uintptr_t)p, SIGBUS, BUS_ADRERR);
	munmap(p, PAGE);
	close(fd);
}
