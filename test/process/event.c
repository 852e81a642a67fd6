/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting: poll, select, epoll, eventfd, timerfd, futex, timers, asynchronous I/O. */
#include "say.h"
#include <linux/aio_abi.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>

static void polling(void)
{
	int p[2];
	SAY(pipe(p));
	struct pollfd f[3] = { { p[0], POLLIN, 0 }, { p[1], POLLOUT, 0 }, { 99, POLLIN, 0 } };
	struct timespec ms = { 0, 1000000 }, bad = { 0, -1 };
	SAY(poll(f, 3, 0));
	printf("revents %x %x %x\n", f[0].revents, f[1].revents, f[2].revents);
	SAY(ppoll(f, 1, &ms, NULL));
	SAY(ppoll(f, 1, &bad, NULL));
	sigset_t set;
	sigfillset(&set);
	SAY(ppoll(f, 2, &ms, &set));
	SAY(syscall(SYS_ppoll, f, 1, &ms, &set, 7));
	SAY(syscall(SYS_ppoll, KERNEL, 1, &ms, NULL, 8));
	SAY(poll(BAD, 1, 0));
	fd_set r, w;
	FD_ZERO(&r);
	FD_ZERO(&w);
	FD_SET(p[0], &r);
	FD_SET(p[1], &w);
	SAY(select(p[1] + 1, &r, &w, NULL, &(struct timeval){ 0, 1000 }));
	SAY(FD_ISSET(p[0], &r) ? 1 : 0);
	SAY(FD_ISSET(p[1], &w) ? 1 : 0);
	SAY(pselect(p[1] + 1, NULL, &w, NULL, &ms, &set));
	SAY(select(-1, NULL, NULL, NULL, NULL));
	SAY(syscall(SYS_pselect6, 8, KERNEL, NULL, NULL, &ms, NULL));
	/* of a descriptor beyond its table, which begins with 64, the kernel says nothing */
	close(60);
	FD_SET(60, &r);
	SAY(select(61, &r, NULL, NULL, &(struct timeval){ 0, 0 }));
	close(p[0]);
	SAY(poll(f + 1, 1, 0));
	printf("revents %x\n", f[1].revents);
	close(p[1]);
}

static void epolling(void)
{
	int e = (int)SAY(epoll_create1(EPOLL_CLOEXEC)), v = (int)SAY(eventfd(3, EFD_NONBLOCK)),
	    p[2];
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = 0x1122334455667788 }, got[8];
	SAY(epoll_create1(77));
	SAY(pipe(p));
	SAY(epoll_ctl(e, EPOLL_CTL_ADD, v, &ev));
	SAY(epoll_ctl(e, EPOLL_CTL_ADD, v, &ev));
	ev.events = EPOLLOUT | EPOLLONESHOT;
	ev.data.u64 = UINT64_MAX - 5;
	SAY(epoll_ctl(e, EPOLL_CTL_ADD, p[1], &ev));
	SAY(epoll_ctl(e, EPOLL_CTL_ADD, e, &ev));
	SAY(epoll_ctl(e, EPOLL_CTL_MOD, 0x7777, &ev));
	SAY(epoll_ctl(e, EPOLL_CTL_ADD, p[0], KERNEL));
	SAY(epoll_ctl(e, EPOLL_CTL_ADD, p[0], BAD));
	memset(got, 0xee, sizeof got);
	SAY(epoll_wait(e, got, 8, 0));
	for (int i = 0; i < 2; i++)
		printf("event %x %lx\n", got[i].events, (long)got[i].data.u64);
	SAY(epoll_wait(e, got, 8, 0));
	SAY(epoll_wait(e, got, 0, 0));
	SAY(epoll_wait(e, got, -1, 0));
	SAY(epoll_wait(e, KERNEL, 8, 0));
	SAY(epoll_wait(p[0], got, 8, 0));
	SAY(epoll_ctl(e, EPOLL_CTL_DEL, v, NULL));
	SAY(epoll_wait(e, got, 8, 1));
	SAY(epoll_pwait2(e, got, 8, &(struct timespec){ 0, 1000 }, NULL));
	uint64_t n;
	SAY(read(v, &n, 8));
	SAY(n);
	SAY(read(v, &n, 8));
	SAY(read(v, &n, 7));
	SAY(eventfd(0, 0123));
	close(e);
	close(v);
	close(p[0]);
	close(p[1]);
}

static void timing(void)
{
	struct itimerspec it = { { 0, 0 }, { 0, 2000000 } }, now;
	struct timespec ts, ts2;
	uint64_t n = 0;
	int t = (int)SAY(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
	SAY(timerfd_create(999, 0));
	SAY(timerfd_settime(t, 0, &it, NULL));
	SAY(read(t, &n, 8));
	SAY(n);
	SAY(timerfd_gettime(t, &now));
	SAY(now.it_value.tv_nsec);
	it.it_value.tv_nsec = 1000000000;
	SAY(timerfd_settime(t, 0, &it, NULL));
	SAY(timerfd_settime(t, 0, KERNEL, NULL));
	close(t);
	for (int c = 0; c < 12; c++)
		SAY(clock_getres(c, &ts));
	SAY(clock_gettime(CLOCK_REALTIME, &ts));
	IS(ts.tv_sec > 1700000000);
	SAY(clock_gettime(77, &ts));
	SAY(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, KERNEL));
	SAY(clock_gettime(CLOCK_MONOTONIC, &ts));
	SAY(nanosleep(&(struct timespec){ 0, 3000000 }, NULL));
	SAY(clock_gettime(CLOCK_MONOTONIC, &ts2));
	IS((ts2.tv_sec - ts.tv_sec) * 1000000000 + ts2.tv_nsec - ts.tv_nsec >= 3000000);
	SAY(nanosleep(&(struct timespec){ 0, 1000000000 }, NULL));
	SAY(nanosleep(KERNEL, NULL));
	SAY(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL));
	timer_t timer;
	struct sigevent se = { .sigev_notify = SIGEV_NONE };
	SAY(timer_create(CLOCK_MONOTONIC, &se, &timer));
	it.it_value = (struct timespec){ 100, 0 };
	SAY(timer_settime(timer, 0, &it, NULL));
	SAY(timer_gettime(timer, &now));
	IS(now.it_value.tv_sec == 99 || now.it_value.tv_sec == 100);
	SAY(timer_getoverrun(timer));
	SAY(timer_delete(timer));
	se.sigev_notify = 77;
	SAY(timer_create(CLOCK_MONOTONIC, &se, &timer));
	struct itimerval iv = { { 0, 0 }, { 50, 0 } }, iv2;
	SAY(setitimer(ITIMER_REAL, &iv, NULL));
	SAY(getitimer(ITIMER_REAL, &iv2));
	IS(iv2.it_value.tv_sec >= 49);
	SAY(setitimer(77, &iv, NULL));
	iv.it_value.tv_sec = 0;
	SAY(setitimer(ITIMER_REAL, &iv, NULL));
	struct timeval tv;
	SAY(gettimeofday(&tv, NULL));
	IS(tv.tv_sec > 1700000000);
}

static void futexes(void)
{
	int word = 5;
	struct timespec ms = { 0, 1000000 };
	SAY(syscall(SYS_futex, &word, FUTEX_WAIT, 4, NULL, NULL, 0));
	SAY(syscall(SYS_futex, &word, FUTEX_WAIT, 5, &ms, NULL, 0));
	SAY(syscall(SYS_futex, &word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, 5, &ms, NULL, -1));
	SAY(syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, 5, &ms, NULL, 0));
	SAY(syscall(SYS_futex, &word, FUTEX_WAKE, 1, NULL, NULL, 0));
	SAY(syscall(SYS_futex, (char *)&word + 1, FUTEX_WAKE, 1, NULL, NULL, 0));
	SAY(syscall(SYS_futex, &word, FUTEX_CMP_REQUEUE, 1, 1L, &word, 4));
	SAY(syscall(SYS_futex, &word, FUTEX_CMP_REQUEUE, 1, 1L, KERNEL, 5));
	SAY(syscall(SYS_futex, &word, FUTEX_WAIT, 5, KERNEL, NULL, 0));
	SAY(syscall(SYS_futex, KERNEL, FUTEX_WAIT, 5, NULL, NULL, 0));
	SAY(syscall(SYS_futex, BAD, FUTEX_WAIT, 5, NULL, NULL, 0));
	SAY(syscall(SYS_futex, &word, 99, 5, NULL, NULL, 0));
	word = 0;
	SAY(syscall(SYS_futex, &word, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
	IS(word == (int)syscall(SYS_gettid));
	SAY(syscall(SYS_futex, &word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
	SAY(word);
	struct {
		uint64_t val, uaddr;
		uint32_t flags, reserved;
	} w[2] = {{1, (uintptr_t)&word, 2, 0}};
	SAY(syscall(SYS_futex_waitv, w, 1, 0, NULL, 0));
	SAY(syscall(SYS_futex_waitv, w, 0, 0, NULL, 0));
	SAY(syscall(SYS_futex_waitv, w, 129, 0, NULL, 0));
	w[0].uaddr = (uintptr_t)KERNEL;
	SAY(syscall(SYS_futex_waitv, w, 1, 0, NULL, 0));
}

static void aio(void)
{
	aio_context_t ctx = 0;
	char buf[16] = { 0 };
	int fd = file_make("aio", "some text");
	struct iocb c = {.aio_data = 42,
			 .aio_lio_opcode = IOCB_CMD_PREAD,
			 .aio_fildes = (uint32_t)fd,
			 .aio_buf = (uintptr_t)buf,
			 .aio_nbytes = 4,
			 .aio_offset = 5},
		    *list[] = {&c};
	struct io_event ev;
	SAY(syscall(SYS_io_setup, 4, &ctx));
	SAY(syscall(SYS_io_submit, ctx, 1, list));
	SAY(syscall(SYS_io_getevents, ctx, 1, 1, &ev, NULL));
	SAY(ev.res);
	SAY(ev.data);
	IS(ev.obj == (uintptr_t)&c);
	say_bytes("read", buf, 4);
	c.aio_buf = (uintptr_t)KERNEL;
	SAY(syscall(SYS_io_submit, ctx, 1, list) == -1 ? 1 : 0);
	SAY(syscall(SYS_io_submit, ctx, -1L, list));
	SAY(syscall(SYS_io_submit, ctx, 1, KERNEL));
	SAY(syscall(SYS_io_destroy, ctx));
	close(fd);
}

int main(void)
{
	polling();
	epolling();
	timing();
	futexes();
	aio();
	return 0;
}
