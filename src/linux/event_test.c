/* SPDX-License-Identifier: Apache-2.0 */
#include "linux/guest_test.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>

TEST(linux_masks_keep_lodges_signals_open)
{
	struct guest *g = guest_new();
	uint64_t all = UINT64_MAX, mask;
	memcpy(guest_at(0), &all, sizeof all);
	g->proc.keep_signals = UINT64_C(1) << (SIGSEGV - 1);
	uint64_t at = mask_for_host(&g->task, GUEST, 8);
	CHECK(at >= USER_END);
	memcpy(&mask, (void *)(uintptr_t)at, sizeof mask);
	CHECK(mask == ~g->proc.keep_signals);
	CHECK(mask_for_host(&g->task, 0, 8) == 0);
	CHECK(mask_for_host(&g->task, GUEST, 7) == GUEST); /* for the kernel to refuse */
	CHECK(mask_for_host(&g->task, ptr(g), 8) == REFUSED);
	guest_free(g);
}

TEST(linux_epoll_events_have_the_guests_layout)
{
	struct guest *g = guest_new();
	int v = eventfd(1, EFD_CLOEXEC);
	uint64_t ep = (uint64_t)CALL(g, epoll_create1, EPOLL_CLOEXEC);
	const struct {
		uint32_t events, pad;
		uint64_t data;
	} in = {EPOLLIN, 7, 0x123456789abcdef};
	memcpy(guest_at(0), &in, sizeof in);
	CHECK(!CALL(g, epoll_ctl, ep, EPOLL_CTL_ADD, (uint64_t)v, GUEST));
	memset(guest_at(64), 0xee, 64);
	CHECK(CALL(g, epoll_pwait, ep, GUEST + 64, 4, 0) == 1);
	CHECK(le32_at(guest_at(64)) == EPOLLIN && le64_at(guest_at(72)) == in.data);
	CHECK(le64_at(guest_at(80)) == UINT64_C(0xeeeeeeeeeeeeeeee)); /* no more than one */
	/* more than the scratch holds, and more than there is room for */
	CHECK(CALL(g, epoll_pwait, ep, GUEST + 64, 3000, 0) == 1);
	CHECK(CALL(g, epoll_pwait, ep, USER_END - 16, 4, 0) == -EFAULT);
	CHECK(CALL(g, epoll_pwait, ep, ptr(g), 4, 0) == -EFAULT);
	close(v);
	close((int)ep);
	guest_free(g);
}

TEST(linux_vectors_are_copies)
{
	struct guest *g = guest_new();
	struct iovec v[2] = { { guest_at(100), 10 }, { g, 10 } };
	memcpy(guest_at(0), v, sizeof v);
	CHECK(iov_for_host(&g->task, GUEST, 2) == ptr(g->task.iov));
	CHECK(g->task.iov[0].iov_base == v[0].iov_base);
	CHECK(ptr(g->task.iov[1].iov_base) == REFUSED && g->task.iov[1].iov_len == 10);
	CHECK(iov_for_host(&g->task, GUEST, IOV_MAX + 1) == GUEST);
	CHECK(iov_for_host(&g->task, ptr(g), 1) == REFUSED);
	CHECK(iov_for_host(&g->task, 8, 1) == 8); /* not mapped: the kernel finds that */
	guest_free(g);
}
