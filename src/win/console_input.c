/* SPDX-License-Identifier: Apache-2.0 */
/* What is typed, as records: bytes of the terminal become keys that go down and up, a change of its
 * size an event. Where the terminal gathers lines, they come when the line ends. Spec: ECMA-48 and
 * xterm's sequences for keys. */
#include "win/console.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { RECORDS = 1024, BYTES = 512, ESCAPE_WAIT_MS = 25 };
enum { KEY_EVENT = 1, SIZE_EVENT = 4 };
enum { SHIFT = 0x10, LEFT_CTRL = 8, LEFT_ALT = 2, ENHANCED = 0x100 };
enum { VK_BACK = 8, VK_TAB = 9, VK_RETURN = 13, VK_ESCAPE = 27, VK_SPACE = 32, VK_F1 = 0x70 };

static WIN_STATE struct {
	pthread_mutex_t lock;
	struct input_record ring[RECORDS];
	unsigned first;
	_Atomic(unsigned) n;
	char bytes[BYTES]; /* read, and no key yet */
	unsigned nbytes;
	bool ended;              /* the terminal is gone */
	uint16_t columns, rows;  /* as they were last */
	_Atomic(int) wake;       /* eventfd: a record was written by the guest; 0: none yet */
	_Atomic(uint32_t) armed; /* futex: somebody sleeps until something is typed */
	_Atomic(bool) watched;
} in = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- the ring; under the lock ---- */

static void record_add(const struct input_record *r)
{
	if (in.n < RECORDS) /* as there: what does not fit is lost */
		in.ring[(in.first + in.n++) % RECORDS] = *r;
}

static void key_add(uint16_t key, uint16_t unit, uint32_t state)
{
	struct input_record r = {.type = KEY_EVENT, .key = {1, 1, key, 0, unit, state}};
	record_add(&r);
	r.key.down = 0;
	record_add(&r);
}

/* ---- from bytes to keys ---- */

/* Of "ESC [ number ~" and "ESC [ letter": the key; 0: none that is known. */
static uint16_t key_of_number(unsigned n)
{
	static const uint16_t few[] = {0, 0x24, 0x2d, 0x2e, 0x23, 0x21, 0x22, 0x24, 0x23};
	return n < countof(few)     ? few[n] /* home, insert, delete, end, page up, page down */
	       : n >= 11 && n <= 15 ? (uint16_t)(VK_F1 + n - 11)
	       : n >= 17 && n <= 21 ? (uint16_t)(VK_F1 + n - 12)
	       : n == 23 || n == 24 ? (uint16_t)(VK_F1 + n - 13)
				    : 0;
}

static uint16_t key_of_letter(char c)
{
	static const char letters[] = "ABCDHFPQRSZ";
	static const uint16_t keys[] = {0x26,  0x28, 0x27, 0x25, 0x24,  0x23,
					VK_F1, 0x71, 0x72, 0x73, VK_TAB};
	const char *at = c ? strchr(letters, c) : NULL;
	return at ? keys[at - letters] : 0;
}

static uint32_t state_of(unsigned modifiers)
{
	unsigned m = modifiers ? modifiers - 1 : 0;
	return (m & 1 ? SHIFT : 0) | (m & 2 ? LEFT_ALT : 0) | (m & 4 ? LEFT_CTRL : 0);
}

/* A sequence that begins with ESC; bytes used, or 0: it is not all there. */
static unsigned sequence_take(const char *s, unsigned n)
{
	unsigned i = 2, numbers[2] = {0, 0}, which = 0;
	for (; i < n && (unsigned char)s[i] < 0x40; i++)
		if (s[i] == ';' && which == 0)
			which = 1;
		else if (s[i] >= '0' && s[i] <= '9')
			numbers[which] = numbers[which] * 10 + (unsigned)(s[i] - '0');
	if (i == n)
		return n < 32 ? 0 : n;
	uint16_t key = s[i] == '~' ? key_of_number(numbers[0]) : key_of_letter(s[i]);
	uint32_t state = state_of(numbers[1]) | (s[i] == 'Z' ? SHIFT : 0);
	if (key)
		key_add(key, key == VK_TAB ? '\t' : 0,
			state | (key < VK_F1 && key != VK_TAB ? ENHANCED : 0));
	return i + 1;
}

static uint16_t key_of_char(uint8_t c)
{
	if (c >= 'a' && c <= 'z')
		return (uint16_t)(c - 32);
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || c == VK_SPACE ? c : 0;
}

/* A character; bytes used, or 0: it is not all there. */
static unsigned char_take(const char *s, unsigned n, uint32_t state)
{
	uint8_t c = (uint8_t)*s;
	unsigned len = c < 0xc0 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	if (len > n)
		return 0;
	if (c == '\r' || c == '\n') {
		key_add(VK_RETURN, '\r', state);
	} else if (c == '\t' || c == VK_ESCAPE) {
		key_add(c, c, state);
	} else if (c == 127 || c == '\b') {
		key_add(VK_BACK, '\b', state);
	} else if (c < 32) {
		key_add(c ? (uint16_t)(c + 64) : VK_SPACE, c, state | LEFT_CTRL);
	} else if (c < 128) {
		key_add(key_of_char(c), c, state | (c >= 'A' && c <= 'Z' ? SHIFT : 0));
	} else {
		wide w[4];
		size_t units = utf16_put(s, len, w, countof(w), NULL);
		for (size_t i = 0; i < units && i < countof(w); i++)
			key_add(0, w[i], state);
	}
	return len;
}

/* @last: nothing follows soon, so an ESC is one. */
static void bytes_decode(bool last, bool raw)
{
	unsigned at = 0, used = 1;
	while (at < in.nbytes && used) {
		const char *s = in.bytes + at;
		unsigned n = in.nbytes - at;
		if (*s != VK_ESCAPE || raw)
			used = char_take(s, n, 0);
		else if (n == 1)
			used = last ? char_take(s, 1, 0) : 0;
		else if (s[1] == '[' || s[1] == 'O')
			used = sequence_take(s, n);
		else if ((used = char_take(s + 1, n - 1, LEFT_ALT)))
			used++;
		if (!used && last)
			used = char_take(s, 1, 0);
		at += used;
	}
	in.nbytes -= at;
	memmove(in.bytes, in.bytes + at, in.nbytes);
}

/* Something, or that there will never be anything. */
static bool typed(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	return poll(&p, 1, ms) > 0;
}

static bool hung_up(int fd)
{
	struct pollfd p = {.fd = fd};
	return poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLERR | POLLNVAL);
}

static void size_look(int fd)
{
	struct winsize w;
	if (!(console_input_mode() & INPUT_WINDOW) || ioctl(fd, TIOCGWINSZ, &w) < 0)
		return;
	bool changed = in.columns && (in.columns != w.ws_col || in.rows != w.ws_row);
	in.columns = w.ws_col;
	in.rows = w.ws_row;
	const struct input_record r = {.type = SIZE_EVENT,
				       .size = {(int16_t)w.ws_col, (int16_t)w.ws_row}};
	if (changed)
		record_add(&r);
}

/* Whatever is there becomes records. */
static void input_look(int fd)
{
	bool raw = console_input_mode() & INPUT_VT;
	size_look(fd);
	while (in.nbytes < BYTES && typed(fd, 0)) {
		ssize_t n = read(fd, in.bytes + in.nbytes, BYTES - in.nbytes);
		if (n <= 0) {
			in.ended = hung_up(fd);
			break;
		}
		in.nbytes += (unsigned)n;
		bytes_decode(false, raw);
	}
	if (in.nbytes && (in.ended || !typed(fd, ESCAPE_WAIT_MS)))
		bytes_decode(true, raw);
}

/* ---- waiting ---- */

/* Made when it is first asked for, with or without the lock. */
static int wake_fd(void)
{
	int fd = atomic_load(&in.wake), none = 0;
	if (fd)
		return fd;
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0 || atomic_compare_exchange_strong(&in.wake, &none, fd))
		return fd;
	close(fd);
	return none;
}

/* Without the lock: who has it may wait for the terminal, and all who wait for anything would. */
bool console_ready(const struct file *f) { return atomic_load(&in.n) || typed(f->fd, 0); }

static void waiter_wake(struct object *o, void *unused)
{
	const struct file *f = (const struct file *)(const void *)o;
	(void)unused;
	if (!f->console || !f->input)
		return;
	wait_locked();
	wait_wake(o);
	wait_unlocked();
}

/* Looks at the terminal while somebody sleeps until something is typed. */
static void *console_watch(void *arg)
{
	int fd = (int)(intptr_t)arg;
	for (;;) {
		while (!atomic_load(&in.armed))
			futex_wait(&in.armed, 0, NEVER);
		struct pollfd p[] = {{.fd = fd, .events = POLLIN},
				     {.fd = in.wake, .events = POLLIN}};
		eventfd_t n;
		(void)!poll(p, 2, -1);
		(void)!eventfd_read(in.wake, &n);
		atomic_store(&in.armed, 0);
		handles_each(KIND_FILE, waiter_wake, NULL);
	}
	return NULL;
}

/* The watcher has a descriptor of its own: the guest may close the one that it waits for. */
static bool watch_begin(const struct file *f)
{
	pthread_t t;
	sigset_t all, before;
	int fd = wake_fd() < 0 ? -1 : fcntl(f->fd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return false;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	bool ok = pthread_create(&t, NULL, console_watch, (void *)(intptr_t)fd) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (ok)
		pthread_detach(t);
	else
		close(fd);
	return ok;
}

void console_arm(const struct file *f)
{
	if (!atomic_exchange(&in.watched, true) && !watch_begin(f))
		atomic_store(&in.watched, false);
	atomic_store(&in.armed, 1);
	futex_wake(&in.armed, 1);
}

/* Until there is a record; NULL of it: or something to read as text. */
static void records_await(const struct file *f)
{
	struct thread *t = thread_self();
	struct pollfd p[] = {{.fd = f->fd, .events = POLLIN}, {.fd = in.wake, .events = POLLIN}};
	eventfd_t n;
	atomic_store(&t->blocked, 1);
	(void)!poll(p, 2, -1);
	atomic_store(&t->blocked, 0);
	if (p[1].revents)
		(void)!eventfd_read(in.wake, &n);
}

uint32_t console_written(const struct file *f, wide *buf, uint32_t cap)
{
	uint32_t got = 0;
	pthread_mutex_lock(&in.lock);
	wake_fd();
	while (!in.n && !in.nbytes && !typed(f->fd, 0)) {
		pthread_mutex_unlock(&in.lock);
		records_await(f);
		pthread_mutex_lock(&in.lock);
	}
	while (in.n && got < cap) {
		struct input_record r = in.ring[in.first];
		in.first = (in.first + 1) % RECORDS;
		in.n--;
		if (r.type == KEY_EVENT && r.key.down && r.key.unit)
			buf[got++] = r.key.unit;
		if (got && buf[got - 1] == '\r') {
			if (got < cap)
				buf[got++] = '\n';
			break;
		}
	}
	pthread_mutex_unlock(&in.lock);
	return got;
}

/* ---- functions ---- */

/* The console that is read from, with a reference. */
static struct file *input_get(handle h)
{
	struct file *f = object_get(h, KIND_FILE);
	if (f && f->console && f->input)
		return f;
	object_unref(f ? &f->o : NULL);
	last_error_set(ERROR_INVALID_HANDLE);
	return NULL;
}

static uint32_t records_get(handle h, struct input_record *out, uint32_t cap, uint32_t *ret_n,
			    bool take)
{
	struct file *f = input_get(h);
	if (!f)
		return 0;
	pthread_mutex_lock(&in.lock);
	wake_fd();
	input_look(f->fd);
	while (take && !in.n && cap && !in.ended) {
		pthread_mutex_unlock(&in.lock);
		records_await(f);
		pthread_mutex_lock(&in.lock);
		input_look(f->fd);
	}
	bool gone = take && cap && !in.n;
	uint32_t got = in.n < cap ? in.n : cap;
	for (uint32_t i = 0; i < got; i++)
		out[i] = in.ring[(in.first + i) % RECORDS];
	if (take) {
		in.first = (in.first + got) % RECORDS;
		in.n -= got;
	}
	pthread_mutex_unlock(&in.lock);
	*ret_n = got;
	object_unref(&f->o);
	return gone ? fail(ERROR_PIPE_NOT_CONNECTED) : 1;
}

API(uint32_t, k32_ReadConsoleInputW, handle h, struct input_record *out, uint32_t cap,
    uint32_t *ret_n)
{
	return records_get(h, out, cap, ret_n, true);
}
API(uint32_t, k32_PeekConsoleInputW, handle h, struct input_record *out, uint32_t cap,
    uint32_t *ret_n)
{
	return records_get(h, out, cap, ret_n, false);
}

API(uint32_t, k32_GetNumberOfConsoleInputEvents, handle h, uint32_t *ret)
{
	struct file *f = input_get(h);
	if (!f)
		return 0;
	pthread_mutex_lock(&in.lock);
	input_look(f->fd);
	*ret = in.n;
	pthread_mutex_unlock(&in.lock);
	object_unref(&f->o);
	return 1;
}

API(uint32_t, k32_WriteConsoleInputW, handle h, const struct input_record *records, uint32_t n,
    uint32_t *ret_n)
{
	struct file *f = input_get(h);
	if (!f)
		return 0;
	pthread_mutex_lock(&in.lock);
	unsigned before = in.n;
	for (uint32_t i = 0; i < n; i++)
		record_add(&records[i]);
	*ret_n = in.n - before;
	(void)!eventfd_write(wake_fd(), 1);
	pthread_mutex_unlock(&in.lock);
	wait_locked();
	wait_wake(&f->o);
	wait_unlocked();
	object_unref(&f->o);
	return 1;
}

API(uint32_t, k32_FlushConsoleInputBuffer, handle h)
{
	struct file *f = input_get(h);
	if (!f)
		return 0;
	pthread_mutex_lock(&in.lock);
	input_look(f->fd);
	in.n = in.nbytes = 0;
	pthread_mutex_unlock(&in.lock);
	object_unref(&f->o);
	return 1;
}
