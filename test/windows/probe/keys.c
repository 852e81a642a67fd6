/* SPDX-License-Identifier: Apache-2.0 */
/* What is typed, as records: prints each; ends at q. test/windows/typed types. */
#include <conio.h>
#include <stdio.h>
#include <string.h>
#include <windows.h>

static HANDLE in;

static DWORD WINAPI writes(void *unused)
{
	INPUT_RECORD r = {.EventType = KEY_EVENT, .Event.KeyEvent = {1, 1, 'W', 0, {L'w'}, 0}};
	DWORD n;
	Sleep(100);
	return WriteConsoleInputW(in, &r, 1, &n) && n == 1 ? 0 : unused != NULL;
}

int main(int argc, char **argv)
{
	DWORD mode, n;
	INPUT_RECORD r[4];
	in = GetStdHandle(STD_INPUT_HANDLE);
	if (!GetConsoleMode(in, &mode))
		return 3;
	SetConsoleMode(in,
		       (mode & ~(ENABLE_LINE_INPUT | ENABLE_ECHO_INPUT | ENABLE_PROCESSED_INPUT)) |
			   ENABLE_WINDOW_INPUT);
	if (argc > 1) /* and leaves it so */
		return *argv[1] == 'r' ? 7 : *(volatile int *)8;
	printf("%s\n", WaitForSingleObject(in, 0) == WAIT_TIMEOUT ? "nothing yet" : "already?");
	HANDLE t = CreateThread(NULL, 0, writes, NULL, 0, NULL);
	printf("%s\n", WaitForSingleObject(in, 5000) == WAIT_OBJECT_0 ? "written" : "not woken");
	if (!PeekConsoleInputW(in, r, 4, &n) || n != 1 || !ReadConsoleInputW(in, r, 4, &n) ||
	    n != 1)
		return 4;
	printf("key %c\n", r[0].Event.KeyEvent.uChar.UnicodeChar);
	HANDLE both[] = {CreateEventA(NULL, 0, 0, NULL), in};
	printf("ready\n");
	fflush(stdout);
	printf("woken by %lu\n", WaitForMultipleObjects(2, both, FALSE, 20000));
	for (;;) {
		if (WaitForSingleObject(in, 20000) != WAIT_OBJECT_0 ||
		    !GetNumberOfConsoleInputEvents(in, &n) || !n)
			return 5;
		if (!ReadConsoleInputW(in, r, 1, &n) || n != 1)
			return 6;
		if (r[0].EventType == WINDOW_BUFFER_SIZE_EVENT)
			printf("size %d %d\n", r[0].Event.WindowBufferSizeEvent.dwSize.X,
			       r[0].Event.WindowBufferSizeEvent.dwSize.Y);
		if (r[0].EventType != KEY_EVENT || !r[0].Event.KeyEvent.bKeyDown)
			continue;
		const KEY_EVENT_RECORD *k = &r[0].Event.KeyEvent;
		printf("%02x %04x %lx\n", k->wVirtualKeyCode, k->uChar.UnicodeChar,
		       k->dwControlKeyState);
		fflush(stdout);
		if (k->uChar.UnicodeChar == 'q')
			break;
	}
	SetConsoleMode(in, mode);
	printf("conio %d\n", _kbhit());
	fflush(stdout);
	int a = _getch(), b = _getch();
	printf("%02x %02x %02x\n", a, b, _getch());
	_ungetch('u');
	int hit = _kbhit();
	printf("%d %c\n", hit, _getch());
	_cputs("written to the console\n");
	return 0;
}
