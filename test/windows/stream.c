/* SPDX-License-Identifier: Apache-2.0 */
/* Streams and descriptors of msvcrt: text and binary, Ctrl-Z, modes, positions, wide ones, errors.
 */
#define __USE_MINGW_ANSI_STDIO 0
#include "test.h"
#include <errno.h>
#include <fcntl.h>
#include <io.h>
#include <stdlib.h>
#include <sys/stat.h>

static void put(const char *bytes, size_t n)
{
	DWORD done;
	HANDLE h = CreateFileA("st.dat", GENERIC_WRITE, 0, NULL, CREATE_ALWAYS, 0, NULL);
	WriteFile(h, bytes, n, &done, NULL);
	CloseHandle(h);
}

static size_t get(char *buf, size_t room)
{
	DWORD n = 0;
	HANDLE h = CreateFileA("st.dat", GENERIC_READ, 7, NULL, OPEN_EXISTING, 0, NULL);
	ReadFile(h, buf, room, &n, NULL);
	CloseHandle(h);
	return n;
}

static void reading(void)
{
	static const struct {
		const char *file, *mode, *want;
	} rows[] = {{"a\r\nb", "r", "a\nb"},
		    {"a\r\nb", "rb", "a\r\nb"},
		    {"a\nb", "r", "a\nb"},
		    {"a\rb", "r", "a\rb"},
		    {"a\r\r\nb", "r", "a\r\nb"},
		    {"a\r", "r", "a\r"},
		    {"a\x1a"
		     "b",
		     "r", "a"},
		    {"a\x1a"
		     "b",
		     "rb",
		     "a\x1a"
		     "b"},
		    {"\r\n\r\n", "r", "\n\n"},
		    {"", "r", ""},
		    {"abc", "rt", "abc"},
		    {"a\r\nb", "r+", "a\nb"},
		    {"a\r\nb", "r+b", "a\r\nb"},
		    {"a\r\nb", "rb+", "a\r\nb"},
		    {"x\r\n\x1a", "rt", "x\n"}};
	for (size_t i = 0; i < COUNT(rows); i++) {
		char buf[40] = "", name[60];
		sprintf(name, "row %d, %s", (int)i, rows[i].mode);
		put(rows[i].file, strlen(rows[i].file));
		FILE *f = fopen("st.dat", rows[i].mode);
		IS(name, f != NULL, TRUE);
		size_t n = fread(buf, 1, sizeof buf - 1, f);
		IS(name, n, strlen(rows[i].want));
		TEXT(name, buf, rows[i].want);
		IS(name, feof(f) != 0, TRUE);
		IS(name, ferror(f), 0);
		IS(name, fclose(f), 0);
		int fd = _open("st.dat", strchr(rows[i].mode, 'b') ? _O_BINARY : _O_TEXT);
		memset(buf, 0, sizeof buf);
		int got = _read(fd, buf, sizeof buf - 1);
		IS(name, got, strlen(rows[i].want));
		buf[got < 0 ? 0 : got] =
		    0; /* behind may be what was there before it became shorter */
		TEXT(name, buf, rows[i].want);
		IS(name, _close(fd), 0);
	}
}

static void writing(void)
{
	static const struct {
		const char *mode, *text, *want; /* the file had "12\r\n" before */
	} rows[] = {
	    {"w", "a\nb", "a\r\nb"},    {"wb", "a\nb", "a\nb"},  {"a", "a\n", "12\r\na\r\n"},
	    {"ab", "a\n", "12\r\na\n"}, {"w", "\r\n", "\r\r\n"}, {"w", "", ""},
	    {"wt", "\n\n", "\r\n\r\n"}, {"r+", "x", "x2\r\n"},   {"r+b", "\n", "\n2\r\n"},
	    {"w+", "a\n", "a\r\n"},     {"a+", "z", "12\r\nz"}};
	for (size_t i = 0; i < COUNT(rows); i++) {
		char buf[40] = "", name[60];
		sprintf(name, "row %d, %s", (int)i, rows[i].mode);
		put("12\r\n", 4);
		FILE *f = fopen("st.dat", rows[i].mode);
		IS(name, f != NULL, TRUE);
		IS(name, fwrite(rows[i].text, 1, strlen(rows[i].text), f), strlen(rows[i].text));
		IS(name, fflush(f), 0);
		IS(name, fclose(f), 0);
		IS(name, get(buf, sizeof buf - 1), strlen(rows[i].want));
		TEXT(name, buf, rows[i].want);
	}
}

static void modes(void)
{
	static const struct {
		int flags, there, error; /* 0: opened */
		int size;
	} rows[] = {{_O_RDONLY, 1, 0, 4},
		    {_O_RDONLY, 0, ENOENT, -1},
		    {_O_WRONLY, 0, ENOENT, -1},
		    {_O_RDWR | _O_CREAT, 0, 0, 0},
		    {_O_RDWR | _O_CREAT, 1, 0, 4},
		    {_O_RDWR | _O_CREAT | _O_EXCL, 1, EEXIST, 4},
		    {_O_RDWR | _O_CREAT | _O_EXCL, 0, 0, 0},
		    {_O_RDWR | _O_TRUNC, 1, 0, 0},
		    {_O_WRONLY | _O_CREAT | _O_TRUNC, 1, 0, 0},
		    {_O_WRONLY | _O_APPEND, 1, 0, 4}};
	for (size_t i = 0; i < COUNT(rows); i++) {
		char name[40];
		struct _stat64 st;
		sprintf(name, "open %x, %d", rows[i].flags, rows[i].there);
		_unlink("st.dat");
		if (rows[i].there)
			put("12\r\n", 4);
		errno = 0;
		int fd = _open("st.dat", rows[i].flags, _S_IREAD | _S_IWRITE);
		IS(name, fd >= 0, rows[i].error == 0);
		IS(name, errno, rows[i].error);
		if (fd >= 0) {
			IS(name, _filelength(fd), rows[i].size);
			IS(name, _close(fd), 0);
		}
		IS(name, _stat64("st.dat", &st), rows[i].size < 0 ? -1 : 0);
	}
}

static void positions(void)
{
	char buf[20] = "";
	fpos_t pos;
	put("0123456789", 10);
	FILE *f = fopen("st.dat", "r+b");
	SAME(fseek(f, 4, SEEK_SET), 0);
	SAME(fgetc(f), '4');
	SAME(fgetpos(f, &pos), 0);
	SAME(fseek(f, -2, SEEK_CUR), 0);
	SAME(ftell(f), 3);
	SAME(fseek(f, -1, SEEK_END), 0);
	SAME(fgetc(f), '9');
	SAME(fgetc(f), EOF);
	SAME(feof(f) != 0, TRUE);
	SAME(fsetpos(f, &pos), 0);
	SAME(fgetc(f), '5');
	rewind(f);
	SAME(ftell(f), 0);
	SAME(ungetc('x', f), 'x');
	SAME(fgetc(f), 'x');
	SAME(fgetc(f), '0');
	SAME(ungetc(EOF, f), EOF);
	SAME(fseek(f, -1, SEEK_SET), -1);
	SAME(_fseeki64(f, 5, SEEK_SET), 0);
	SAME(_ftelli64(f), 5);
	SAME(fputc('!', f), '!');
	SAME(fflush(f), 0);
	SAME(fseek(f, 0, SEEK_SET), 0);
	SAME(fread(buf, 2, 3, f), 3);
	TEXT_IS(buf, "01234!");
	SAME(fread(buf, 3, 5, f), 1);
	SAME(fclose(f), 0);
	int fd = _open("st.dat", _O_RDWR | _O_BINARY);
	SAME(_lseek(fd, 0, SEEK_END), 10);
	SAME(_eof(fd), 1);
	SAME(_lseek(fd, -3, SEEK_END), 7);
	SAME(_eof(fd), 0);
	SAME(_tell(fd), 7);
	SAME(_chsize(fd, 3), 0);
	SAME(_filelength(fd), 3);
	SAME(_lseek(fd, 0, 7), -1);
	SAME(errno, EINVAL);
	SAME(_write(fd, "", 0), 0);
	int other = _dup(fd);
	CHECK(other > fd);
	SAME(_close(fd), 0);
	SAME(_lseek(other, 1, SEEK_SET), 1);
	SAME(_read(other, buf, 5), 2);
	SAME(_close(other), 0);
	SAME(_read(other, buf, 1), -1);
	SAME(errno, EBADF);
	fd = _open("st.dat", _O_RDONLY);
	SAME(_setmode(fd, _O_BINARY), _O_TEXT);
	SAME(_setmode(fd, _O_TEXT), _O_BINARY);
	SAME(_write(fd, "x", 1), -1);
	SAME(errno, EBADF);
	_close(fd);
}

static void lines(void)
{
	char buf[20];
	put("one\r\n\r\nlast", 11);
	FILE *f = fopen("st.dat", "r");
	TEXT_IS(fgets(buf, sizeof buf, f), "one\n");
	TEXT_IS(fgets(buf, sizeof buf, f), "\n");
	TEXT_IS(fgets(buf, 3, f), "la");
	TEXT_IS(fgets(buf, sizeof buf, f), "st");
	CHECK(!fgets(buf, sizeof buf, f));
	SAME(feof(f) != 0, TRUE);
	clearerr(f);
	SAME(feof(f), 0);
	SAME(fclose(f), 0);
	f = fopen("st.dat", "w");
	SAME(fprintf(f, "%d:%s\n", 5, "x"), 4);
	SAME(fputs("y\n", f), 0);
	SAME(fwprintf(f, L"w%d\n", 6), 3);
	SAME(fclose(f), 0);
	char all[40] = "";
	SAME(get(all, 39), 12);
	TEXT_IS(all, "5:x\r\ny\r\nw6\r\n");
	f = fopen("st.dat", "r");
	SAME(fgetwc(f), L'5');
	wchar_t w[20];
	CHECK(fgetws(w, 20, f) == w);
	TEXT_IS(narrow(w), ":x\n");
	SAME(fclose(f), 0);
	f = fopen("st.dat", "r");
	SAME(setvbuf(f, NULL, _IONBF, 0), 0);
	SAME(fgetc(f), '5');
	SAME(_fileno(f) > 2, TRUE);
	f = freopen("st.dat", "w", f);
	CHECK(f);
	SAME(fputc('q', f), 'q');
	SAME(fclose(f), 0);
	SAME(get(all, 39), 1);
}

static void names(void)
{
	struct _stat64 st;
	CHECK(!fopen("none\\none", "r"));
	SAME(errno, ENOENT);
	CHECK(!fopen("C:\\Temp", "r"));
	SAME(errno, EACCES);
	SAME(remove("none"), -1);
	SAME(errno, ENOENT);
	SAME(rename("none", "other"), -1);
	SAME(errno, ENOENT);
	put("x", 1);
	FILE *f = fopen("st2.dat", "w");
	fclose(f);
	SAME(rename("st.dat", "st2.dat"), -1);
	SAME(errno, EEXIST);
	SAME(_mkdir("st.dir"), 0);
	SAME(_mkdir("st.dir"), -1);
	SAME(errno, EEXIST);
	SAME(_stat64("st.dir", &st), 0);
	SAME(st.st_mode & _S_IFMT, _S_IFDIR);
	SAME(_stat64("st.dat", &st), 0);
	SAME(st.st_mode & _S_IFMT, _S_IFREG);
	SAME(st.st_mode & 0777, 0666);
	SAME(st.st_size, 1);
	SAME(_chmod("st.dat", _S_IREAD), 0);
	SAME(_access("st.dat", 0), 0);
	SAME(_access("st.dat", 2), -1);
	SAME(errno, EACCES);
	SAME(_access("st.dat", 4), 0);
	SAME(remove("st.dat"), -1);
	SAME(errno, EACCES);
	SAME(_chmod("st.dat", _S_IREAD | _S_IWRITE), 0);
	f = fopen("st.dat", "r");
	SAME(remove("st.dat"), -1);
	SAME(errno, EACCES);
	fclose(f);
	SAME(remove("st.dat"), 0);
	SAME(remove("st2.dat"), 0);
	SAME(_chdir("st.dir"), 0);
	char buf[100];
	TEXT_IS(_getcwd(buf, sizeof buf), "C:\\Temp\\st.dir");
	SAME(_chdir(".."), 0);
	SAME(_rmdir("st.dir"), 0);
	SAME(_rmdir("st.dir"), -1);
	SAME(errno, ENOENT);
	TEXT_IS(_fullpath(buf, "a\\..\\b", sizeof buf), "C:\\Temp\\b");
	int p[2];
	SAME(_pipe(p, 100, _O_BINARY), 0);
	SAME(_write(p[1], "abc", 3), 3);
	SAME(_read(p[0], buf, 10), 3);
	SAME(_close(p[1]), 0);
	SAME(_read(p[0], buf, 10), 0);
	SAME(_close(p[0]), 0);
}

int main(void)
{
	SetCurrentDirectoryA("C:\\Temp");
	reading();
	writing();
	modes();
	positions();
	lines();
	names();
	return end();
}
