/* SPDX-License-Identifier: Apache-2.0 */
/* The console is the terminal that the guest was started on, if it was; its text is UTF-8. */
#include "win/console.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

enum {
	INPUT_USUAL = 0x1e0, /* insert, quick edit, extended, automatic position */
	OUTPUT_PROCESSED = 1,
	OUTPUT_WRAP = 2,
	OUTPUT_VT = 4,
	CODE_PAGE_UTF8 = 65001
};
static WIN_STATE struct {
	_Atomic(uint32_t) output_mode, input_mode, code_page, output_code_page;
	_Atomic(uint64_t) handlers[16]; /* of Ctrl-C; functions of the guest */
	_Atomic(bool) ignored;
	char title[256];
	wide rest[8]; /* read from the terminal, and not asked for yet */
	unsigned nrest;
	_Atomic(uint16_t) attributes;
	struct termios before; /* the terminal, until the guest changed it */
	_Atomic(bool) changed;
} console;

void console_begin(void)
{
	console.input_mode = INPUT_USUAL;
	console.output_mode = OUTPUT_PROCESSED | OUTPUT_WRAP | OUTPUT_VT;
	console.code_page = console.output_code_page = CODE_PAGE_UTF8;
	console.attributes = 7;
}

/* Whoever started it finds the terminal as it was. Children leave it as they made it, as there. */
void console_leave(void)
{
	if (console.changed && !process()->start->child)
		tcsetattr(STDIN_FILENO, TCSANOW, &console.before);
}

uint32_t console_input_mode(void) { return console.input_mode; }

static struct file *console_get(handle h)
{
	struct file *f = object_get(h, KIND_FILE);
	if (f && f->console)
		return f;
	object_unref(f ? &f->o : NULL);
	last_error_set(ERROR_INVALID_HANDLE);
	return NULL;
}

API(uint32_t, k32_GetConsoleMode, handle h, uint32_t *ret)
{
	struct termios t;
	struct file *f = console_get(h);
	if (!f)
		return 0;
	uint32_t mode = console.output_mode;
	if (f->input && tcgetattr(f->fd, &t) == 0)
		mode = (t.c_lflag & ISIG ? INPUT_PROCESSED : 0) |
		       (t.c_lflag & ICANON ? INPUT_LINE : 0) |
		       (t.c_lflag & ECHO ? INPUT_ECHO : 0) | console.input_mode;
	*ret = mode;
	object_unref(&f->o);
	return 1;
}

API(uint32_t, k32_SetConsoleMode, handle h, uint32_t mode)
{
	struct termios t;
	struct file *f = console_get(h);
	if (!f)
		return 0;
	if (!f->input) {
		console.output_mode = mode;
	} else if (tcgetattr(f->fd, &t) == 0) {
		console.input_mode = mode & ~7u;
		if (!console.changed)
			console.before = t;
		console.changed = true;
		t.c_lflag &= ~(tcflag_t)(ISIG | ICANON | ECHO);
		t.c_lflag |= (mode & INPUT_PROCESSED ? ISIG : 0u) |
			     (mode & INPUT_LINE ? ICANON : 0u) | (mode & INPUT_ECHO ? ECHO : 0u);
		tcsetattr(f->fd, TCSANOW, &t);
	}
	object_unref(&f->o);
	return 1;
}

API(uint32_t, k32_WriteConsoleW, handle h, const wide *s, uint32_t n, uint32_t *ret_n, void *unused)
{
	(void)unused;
	struct file *f = console_get(h);
	autofree char *t = f ? text_from(s, n) : NULL;
	if (!f)
		return 0;
	int64_t r = t ? io_write(f, t, strlen(t), -1) : -ENOMEM;
	if (n && t && !strlen(t)) /* a NUL, or some */
		r = 0;
	object_unref(&f->o);
	if (r < 0)
		return fail(error_of((int)-r));
	if (ret_n)
		*ret_n = n;
	return 1;
}

API(uint32_t, k32_WriteConsoleA, handle h, const char *s, uint32_t n, uint32_t *ret_n, void *unused)
{
	(void)unused;
	struct file *f = console_get(h);
	if (!f)
		return 0;
	int64_t r = io_write(f, s, n, -1);
	object_unref(&f->o);
	if (r < 0)
		return fail(error_of((int)-r));
	if (ret_n)
		*ret_n = (uint32_t)r;
	return 1;
}

/* A line of the terminal ends with one character, one of the console with two. */
API(uint32_t, k32_ReadConsoleW, handle h, wide *buf, uint32_t n, uint32_t *ret_n, void *control)
{
	char raw[4096];
	(void)control;
	struct file *f = console_get(h);
	if (!f)
		return 0;
	uint32_t got = 0;
	while (console.nrest && got < n) {
		buf[got++] = console.rest[0];
		memmove(console.rest, console.rest + 1,
			sizeof console.rest - sizeof console.rest[0]);
		console.nrest--;
	}
	if (!got && n)
		got = console_written(f, buf, n);
	size_t want = got || n < 3 ? (n ? 1 : 0) : n - 2 < sizeof raw / 2 ? n - 2 : sizeof raw / 2;
	int64_t r = got ? 0 : io_read(f, raw, want, -1);
	object_unref(&f->o);
	if (r < 0)
		return fail(error_of((int)-r));
	bool line = r > 0 && raw[r - 1] == '\n';
	if (line) {
		raw[r - 1] = '\r';
		raw[r++] = '\n';
	}
	wide w[4100];
	size_t units = utf16_put(raw, (size_t)r, w, countof(w), NULL);
	for (size_t i = 0; i < units; i++)
		if (got < n)
			buf[got++] = w[i];
		else if (console.nrest < countof(console.rest))
			console.rest[console.nrest++] = w[i];
	*ret_n = got;
	return 1;
}

API(uint32_t, k32_ReadConsoleA, handle h, char *buf, uint32_t n, uint32_t *ret_n, void *control)
{
	wide w[1024];
	uint32_t got = 0;
	if (!k32_ReadConsoleW(h, w, n / 3 < 1024 ? n / 3 + 1 : 1024, &got, control))
		return 0;
	*ret_n = (uint32_t)utf8_put(w, got, buf, n, NULL);
	return 1;
}

struct screen {
	int16_t width, height, cursor_x, cursor_y;
	uint16_t attributes;
	int16_t left, top, right, bottom, most_x, most_y;
};

API(uint32_t, k32_GetConsoleScreenBufferInfo, handle h, struct screen *ret)
{
	struct winsize w = {0};
	struct file *f = console_get(h);
	if (f && f->input) {
		object_unref(&f->o);
		return fail(ERROR_INVALID_HANDLE);
	}
	if (!f)
		return 0;
	if (ioctl(f->fd, TIOCGWINSZ, &w) < 0 || !w.ws_col)
		w = (struct winsize){.ws_col = 80, .ws_row = 25};
	object_unref(&f->o);
	*ret = (struct screen){.width = (int16_t)w.ws_col,
			       .height = (int16_t)w.ws_row,
			       .attributes = console.attributes,
			       .right = (int16_t)(w.ws_col - 1),
			       .bottom = (int16_t)(w.ws_row - 1),
			       .most_x = (int16_t)w.ws_col,
			       .most_y = (int16_t)w.ws_row};
	return 1;
}

/* Colours of the console are those of the terminal, in another order. */
API(uint32_t, k32_SetConsoleTextAttribute, handle h, uint16_t a)
{
	static const char order[] = {0, 4, 2, 6, 1, 5, 3, 7};
	char buf[40];
	struct file *f = console_get(h);
	if (!f)
		return 0;
	console.attributes = a;
	int n = a == 7
		    ? snprintf(buf, sizeof buf, "\033[0m")
		    : snprintf(buf, sizeof buf, "\033[0;%d;%dm", (a & 8 ? 90 : 30) + order[a & 7],
			       (a & 0x80 ? 100 : 40) + order[a >> 4 & 7]);
	if (!(a & 0xf0) && a != 7)
		n = snprintf(buf, sizeof buf, "\033[0;%dm", (a & 8 ? 90 : 30) + order[a & 7]);
	int64_t r = io_write(f, buf, (size_t)n, -1);
	object_unref(&f->o);
	return r < 0 ? fail(error_of((int)-r)) : 1;
}

API(uint32_t, k32_SetConsoleCursorPosition, handle h, uint32_t xy)
{
	char buf[40];
	struct file *f = console_get(h);
	if (!f)
		return 0;
	int n = snprintf(buf, sizeof buf, "\033[%u;%uH", (xy >> 16) + 1, (xy & 0xffff) + 1);
	int64_t r = io_write(f, buf, (size_t)n, -1);
	object_unref(&f->o);
	return r < 0 ? fail(error_of((int)-r)) : 1;
}

struct cursor {
	uint32_t size, visible;
};
API(uint32_t, k32_GetConsoleCursorInfo, handle h, struct cursor *ret)
{
	struct file *f = console_get(h);
	if (!f)
		return 0;
	*ret = (struct cursor){25, 1};
	object_unref(&f->o);
	return 1;
}

API(uint32_t, k32_SetConsoleCursorInfo, handle h, const struct cursor *c)
{
	struct file *f = console_get(h);
	if (!f)
		return 0;
	int64_t r = io_write(f, c->visible ? "\033[?25h" : "\033[?25l", 6, -1);
	object_unref(&f->o);
	return r < 0 ? fail(error_of((int)-r)) : 1;
}

/* @what, @n times from @xy on; the cursor stays. */
static uint32_t output_fill(handle h, const char *what, uint32_t n, uint32_t xy, uint32_t *ret_n)
{
	struct file *f = console_get(h);
	if (!f)
		return 0;
	n = n < 0x8000 ? n : 0x8000;
	size_t len = strlen(what), used = 0;
	autofree char *buf = malloc(40 + len * n);
	if (buf)
		used = (size_t)sprintf(buf, "\0337\033[%u;%uH", (xy >> 16) + 1, (xy & 0xffff) + 1);
	for (uint32_t i = 0; buf && i < n; i++, used += len)
		memcpy(buf + used, what, len);
	if (buf)
		used += (size_t)sprintf(buf + used, "\0338");
	int64_t r = buf ? io_write(f, buf, used, -1) : -ENOMEM;
	object_unref(&f->o);
	*ret_n = r < 0 ? 0 : n;
	return r < 0 ? fail(error_of((int)-r)) : 1;
}

API(uint32_t, k32_FillConsoleOutputCharacterW, handle h, wide c, uint32_t n, uint32_t xy,
    uint32_t *ret_n)
{
	autofree char *t = text_from(&c, 1);
	return t ? output_fill(h, t, n, xy, ret_n) : fail(ERROR_NOT_ENOUGH_MEMORY);
}

API(uint32_t, k32_FillConsoleOutputCharacterA, handle h, char c, uint32_t n, uint32_t xy,
    uint32_t *ret_n)
{
	return k32_FillConsoleOutputCharacterW(h, (wide)(uint8_t)c, n, xy, ret_n);
}

/* Colours of what is there cannot be changed alone: it is as they are. */
API(uint32_t, k32_FillConsoleOutputAttribute, handle h, uint16_t a, uint32_t n, uint32_t xy,
    uint32_t *ret_n)
{
	(void)a;
	(void)xy;
	struct file *f = console_get(h);
	if (!f)
		return 0;
	object_unref(&f->o);
	*ret_n = n;
	return 1;
}

API(uint32_t, k32_GetConsoleCP, void) { return console.code_page; }
API(uint32_t, k32_GetConsoleOutputCP, void) { return console.output_code_page; }

/* Only what is UTF-8 can be shown; other pages are remembered. */
API(uint32_t, k32_SetConsoleCP, uint32_t page)
{
	console.code_page = page;
	return 1;
}
API(uint32_t, k32_SetConsoleOutputCP, uint32_t page)
{
	console.output_code_page = page;
	return 1;
}

API(uint32_t, k32_SetConsoleTitleW, const wide *title)
{
	autofree char *t = text_from(title, SIZE_MAX);
	snprintf(console.title, sizeof console.title, "%s", t ? t : "");
	return 1;
}
API(uint32_t, k32_GetConsoleTitleW, wide *buf, uint32_t n)
{
	return wide_give(console.title, buf, n);
}
API(uint64_t, k32_GetConsoleWindow, void) { return 0; }
API(uint32_t, k32_AttachConsole, uint32_t pid)
{
	(void)pid;
	return fail(ERROR_ACCESS_DENIED); /* it has one */
}
API(uint32_t, k32_AllocConsole, void) { return fail(ERROR_ACCESS_DENIED); }
API(uint32_t, k32_FreeConsole, void) { return 1; }

/* ---- Ctrl-C: a thread of its own asks the guest's handlers, the last one first ---- */

enum { CTRL_C = 0, CTRL_BREAK = 1, CTRL_CLOSE = 2 };
static const int control_signals[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP};

static uint32_t control_of(int sig)
{
	return sig == SIGINT ? CTRL_C : sig == SIGQUIT ? CTRL_BREAK : CTRL_CLOSE;
}

/* Of a console that closes the process ends, whatever its handlers say. */
API(uint32_t, control_ask, uint64_t event)
{
	for (size_t i = countof(console.handlers); i-- > 0;) {
		uint64_t fn = console.handlers[i];
		if (!fn || !guest_call4(fn, event, 0, 0, 0))
			continue;
		if (event != CTRL_CLOSE)
			return 0;
		break;
	}
	process_exit(STATUS_CONTROL_C_EXIT);
}

/* Which signal comes on which thread is the host's choice, and a handler of the guest may do
 * anything: so there is a pipe in between. */
static WIN_STATE int control_pipe[2];

static void on_control(int sig)
{
	const uint8_t byte = (uint8_t)sig;
	int was = errno;
	(void)!write(control_pipe[1], &byte, 1);
	errno = was;
}

static void *control_thread(void *arg)
{
	uint8_t sig;
	(void)arg;
	while (read(control_pipe[0], &sig, 1) == 1) {
		uint32_t tid;
		if (sig == SIGINT && console.ignored)
			continue;
		handle h =
		    thread_make(0, (uint64_t)(uintptr_t)control_ask, control_of(sig), 0, &tid);
		if (h)
			object_close(h);
	}
	return NULL;
}

/* What the caller has it ignore, as nohup(1) and a shell's background do, it never hears of. */
static void control_take(int sig)
{
	const struct sigaction a = {.sa_handler = on_control, .sa_flags = SA_RESTART | SA_ONSTACK};
	struct sigaction was;
	if (sigaction(sig, NULL, &was) == 0 && was.sa_handler != SIG_IGN)
		sigaction(sig, &a, NULL);
}

static WIN_STATE pthread_once_t control_once = PTHREAD_ONCE_INIT;
static void control_begin(void)
{
	sigset_t all, before;
	pthread_t t;
	if (pipe2(control_pipe, O_CLOEXEC) < 0)
		return;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_create(&t, NULL, control_thread, NULL) == 0) {
		pthread_detach(t);
		for (size_t i = 0; i < countof(control_signals); i++)
			control_take(control_signals[i]);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* The child of a fork: the thread that reads the pipe is its parent's. */
void console_forked(void)
{
	for (size_t i = 0; i < countof(control_signals); i++) {
		struct sigaction a;
		if (sigaction(control_signals[i], NULL, &a) == 0 && a.sa_handler == on_control)
			signal(control_signals[i], SIG_DFL);
	}
}

API(uint32_t, k32_SetConsoleCtrlHandler, uint64_t fn, uint32_t add)
{
	pthread_once(&control_once, control_begin);
	if (!fn) {
		console.ignored = add != 0;
		return 1;
	}
	for (size_t i = 0; i < countof(console.handlers); i++) {
		uint64_t want = add ? 0 : fn;
		if (atomic_compare_exchange_strong(&console.handlers[i], &want, add ? fn : 0))
			return 1;
	}
	return fail(add ? ERROR_NOT_ENOUGH_MEMORY : ERROR_INVALID_PARAMETER);
}
