/* SPDX-License-Identifier: Apache-2.0 */
/* Threads for test/wasm/threads.c: pthreads natively; as WebAssembly a small runtime over
 * wasi.thread-spawn and the atomic instructions, for a wasi-libc without threads. */
#pragma once
#include <stdint.h>
#ifdef __wasm__
#define WASI(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name)))
WASI(fd_write) int fd_write(int fd, const void *iov, int n, uint32_t *done);
WASI(proc_exit) _Noreturn void proc_exit(int code);
WASI(args_get) int args_get(char **argv, char *buf);
WASI(args_sizes_get) int args_sizes_get(uint32_t *n, uint32_t *len);
WASI(clock_time_get) int clock_time_get(int id, uint64_t precision, uint64_t *ret);
WASI(sched_yield) int sched_yield(void);
WASI(poll_oneoff) int poll_oneoff(const void *in, void *out, uint32_t n, uint32_t *done);
__attribute__((import_module("wasi"), import_name("thread-spawn"))) int thread_spawn(void *arg);

struct thread {
	void *stack; /* first: wasi_thread_start (threads.s) loads it */
	void (*fn)(void *);
	void *arg;
	uint32_t over;
};
enum { STACK = 16 << 10, TLS = 256, WAKE_ALL = -1 };
void __wasm_init_tls(void *);

static int wait_at(uint32_t *p, uint32_t v, int64_t ns)
{
	return __builtin_wasm_memory_atomic_wait32((int *)p, (int)v, ns);
}
static uint32_t wake_at(uint32_t *p, uint32_t n)
{
	return (uint32_t)__builtin_wasm_memory_atomic_notify((int *)p, n);
}

void thread_begin(int id, struct thread *t)
{
	__wasm_init_tls(t->stack);
	t->fn(t->arg);
	__atomic_store_n(&t->over, 1, __ATOMIC_SEQ_CST);
	wake_at(&t->over, WAKE_ALL);
	(void)id;
}

/* In a place of the caller's; its TLS lies above the stack. Negative: none. */
static int thread_start(struct thread *t, void *stack, void (*fn)(void *), void *arg)
{
	t->stack = (char *)stack + STACK - TLS;
	t->fn = fn;
	t->arg = arg;
	t->over = 0;
	return thread_spawn(t);
}
static void thread_join(struct thread *t)
{
	while (!__atomic_load_n(&t->over, __ATOMIC_SEQ_CST))
		wait_at(&t->over, 0, -1);
}

struct mutex { uint32_t v; }; /* 0 free, 1 taken, 2 taken and somebody waits */
static void lock(struct mutex *m)
{
	uint32_t c = 0;
	if (__atomic_compare_exchange_n(&m->v, &c, 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		return;
	while (__atomic_exchange_n(&m->v, 2, __ATOMIC_SEQ_CST))
		wait_at(&m->v, 2, -1);
}
static void unlock(struct mutex *m)
{
	if (__atomic_exchange_n(&m->v, 0, __ATOMIC_SEQ_CST) == 2)
		wake_at(&m->v, 1);
}
struct cond { uint32_t v; };
static void cond_wait(struct cond *c, struct mutex *m)
{
	uint32_t was = __atomic_load_n(&c->v, __ATOMIC_SEQ_CST);
	unlock(m);
	wait_at(&c->v, was, -1);
	lock(m);
}
static void cond_wake(struct cond *c)
{
	__atomic_fetch_add(&c->v, 1, __ATOMIC_SEQ_CST);
	wake_at(&c->v, WAKE_ALL);
}

static void text_write(const char *s, uint32_t n)
{
	const struct { const char *at; uint32_t n; } iov = {s, n};
	uint32_t done;
	fd_write(1, &iov, 1, &done);
}
static uint64_t now_ns(void)
{
	uint64_t t;
	clock_time_get(1, 1, &t);
	return t;
}
static void sleep_ns(uint64_t ns)
{
	uint64_t in[6] = {0, 0, 1, ns, 0, 0}, out[4];
	uint32_t done;
	poll_oneoff(in, out, 1, &done);
}
#else
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
enum { STACK = 16 };
struct thread { pthread_t id; void (*fn)(void *); void *arg; };
struct mutex { pthread_mutex_t m; };
struct cond { pthread_cond_t c; };
static void *thread_main(void *p)
{
	struct thread *t = p;
	t->fn(t->arg);
	return NULL;
}
static int thread_start(struct thread *t, void *stack, void (*fn)(void *), void *arg)
{
	(void)stack;
	t->fn = fn;
	t->arg = arg;
	return -pthread_create(&t->id, NULL, thread_main, t);
}
static void thread_join(struct thread *t) { pthread_join(t->id, NULL); }
static void lock(struct mutex *m) { pthread_mutex_lock(&m->m); }
static void unlock(struct mutex *m) { pthread_mutex_unlock(&m->m); }
static void cond_wait(struct cond *c, struct mutex *m) { pthread_cond_wait(&c->c, &m->m); }
static void cond_wake(struct cond *c) { pthread_cond_broadcast(&c->c); }
static void text_write(const char *s, uint32_t n) { (void)!write(1, s, n); }
static void proc_exit(int code) { _exit(code); }
#endif
