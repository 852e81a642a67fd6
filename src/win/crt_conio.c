/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of the console as C runtimes have them: one at a time, whether or not a line is ready, and
 * whatever the program's streams are. */
#include "win/console.h"
#include <stdio.h>

extern WINAPI handle k32_CreateFileA(const char *path, uint32_t access, uint32_t share,
				     const void *sec, uint32_t how, uint32_t flags, handle like);
extern WINAPI uint32_t k32_GetConsoleMode(handle h, uint32_t *ret);
extern WINAPI uint32_t k32_SetConsoleMode(handle h, uint32_t mode);
extern WINAPI uint32_t k32_ReadConsoleInputW(handle h, struct input_record *out, uint32_t cap,
					     uint32_t *ret_n);
extern WINAPI uint32_t k32_PeekConsoleInputW(handle h, struct input_record *out, uint32_t cap,
					     uint32_t *ret_n);

enum { PEEKED = 64, EXTENDED = 0xe0, FUNCTION_KEY = 0, KEY_F1 = 0x70, KEY_F10 = 0x79 };

static WIN_STATE struct {
	pthread_mutex_t lock;
	handle in;
	int second; /* of a key that comes as two; -1: none */
	int back;   /* given back by _ungetch; -1 */
	bool begun;
} keys = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Under the lock: the console, or 0. */
static handle console_in(void)
{
	if (!keys.begun) {
		keys.begun = true;
		keys.second = keys.back = EOF;
		keys.in = k32_CreateFileA("CONIN$", GENERIC_READ | GENERIC_WRITE, SHARE_ALL, NULL,
					  OPEN_EXISTING, 0, 0);
	}
	return keys.in == HANDLE_BAD ? 0 : keys.in;
}

/* What a key is to programs; EOF: nothing. @ret_second: what follows it; EOF: nothing. */
static int key_chars(const struct input_record *r, int *ret_second)
{
	static const struct {
		uint8_t key, code;
	} others[] = {{0x21, 73}, {0x22, 81}, {0x23, 79}, {0x24, 71}, {0x25, 75},
		      {0x26, 72}, {0x27, 77}, {0x28, 80}, {0x2d, 82}, {0x2e, 83}};
	*ret_second = EOF;
	if (r->type != 1 || !r->key.down)
		return EOF;
	if (r->key.unit)
		return r->key.unit;
	for (size_t i = 0; i < countof(others); i++)
		if (others[i].key == r->key.code) {
			*ret_second = others[i].code;
			return EXTENDED;
		}
	if (r->key.code < KEY_F1 || r->key.code > KEY_F10)
		return EOF;
	*ret_second = r->key.code - KEY_F1 + 59;
	return FUNCTION_KEY;
}

/* Keys come one by one while nobody gathers them into lines. */
static uint32_t lines_off(handle h)
{
	uint32_t mode = 0;
	k32_GetConsoleMode(h, &mode);
	k32_SetConsoleMode(h, mode & ~(uint32_t)(INPUT_LINE | INPUT_ECHO | INPUT_PROCESSED));
	return mode;
}

static int key_take(void)
{
	struct input_record r;
	uint32_t n = 0;
	int c = EOF;
	handle h = console_in();
	if (keys.back != EOF || keys.second != EOF) {
		int *from = keys.back != EOF ? &keys.back : &keys.second;
		c = *from;
		*from = EOF;
		return c;
	}
	if (!h)
		return EOF;
	uint32_t mode = lines_off(h);
	while (c == EOF && k32_ReadConsoleInputW(h, &r, 1, &n) && n)
		c = key_chars(&r, &keys.second);
	k32_SetConsoleMode(h, mode);
	return c;
}

API(int32_t, crt__getwch, void)
{
	pthread_mutex_lock(&keys.lock);
	int c = key_take();
	pthread_mutex_unlock(&keys.lock);
	return c == EOF ? 0xffff : c;
}

API(int32_t, crt__getch, void)
{
	pthread_mutex_lock(&keys.lock);
	int c = key_take();
	pthread_mutex_unlock(&keys.lock);
	return c == EOF ? EOF : c & 255;
}

API(int32_t, crt__ungetch, int32_t c)
{
	pthread_mutex_lock(&keys.lock);
	(void)console_in();
	bool room = keys.back == EOF && c != EOF;
	if (room)
		keys.back = c;
	pthread_mutex_unlock(&keys.lock);
	return room ? c : EOF;
}

API(int32_t, crt__kbhit, void)
{
	struct input_record r[PEEKED];
	uint32_t n = 0;
	int second;
	pthread_mutex_lock(&keys.lock);
	handle h = console_in();
	bool hit = keys.back != EOF || keys.second != EOF;
	if (h && !hit) {
		uint32_t mode = lines_off(h);
		k32_PeekConsoleInputW(h, r, PEEKED, &n);
		k32_SetConsoleMode(h, mode);
	}
	for (uint32_t i = 0; i < n; i++)
		hit |= key_chars(&r[i], &second) != EOF;
	pthread_mutex_unlock(&keys.lock);
	return hit;
}

/* ---- to the console ---- */

static bool console_out(const char *text, size_t n)
{
	handle h = k32_CreateFileA("CONOUT$", GENERIC_WRITE, SHARE_ALL, NULL, OPEN_EXISTING, 0, 0);
	struct file *f = h == HANDLE_BAD ? NULL : object_get(h, KIND_FILE);
	bool ok = f && io_write(f, text, n, -1) == (int64_t)n;
	object_unref(f ? &f->o : NULL);
	if (h != HANDLE_BAD)
		object_close(h);
	return ok;
}

API(int32_t, crt__putch, int32_t c)
{
	char one = (char)c;
	return console_out(&one, 1) ? c : EOF;
}

API(int32_t, crt__cputs, const char *s) { return console_out(s, strlen(s)) ? 0 : EOF; }

API(int32_t, crt__getche, void)
{
	int32_t c = crt__getch();
	if (c != EOF)
		crt__putch(c);
	return c;
}
