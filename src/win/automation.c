/* SPDX-License-Identifier: Apache-2.0 */
/* What console programs call of ole32, oleaut32, shell32, user32 and userenv. */
#include "win/internal.h"
#include <stdio.h>

/* BSTR: its bytes' number is before it. */
API(wide *, ole_SysAllocStringByteLen, const char *s, uint32_t n)
{
	uint8_t *p = heap_alloc((size_t)n + 8, true);
	if (!p)
		return NULL;
	le32_put(p, n);
	if (s)
		memcpy(p + 4, s, n);
	return (wide *)(void *)(p + 4);
}
API(wide *, ole_SysAllocStringLen, const wide *s, uint32_t n)
{
	return ole_SysAllocStringByteLen((const char *)s, 2 * n);
}
API(wide *, ole_SysAllocString, const wide *s)
{
	return s ? ole_SysAllocStringLen(s, (uint32_t)wide_len(s)) : NULL;
}
API(void, ole_SysFreeString, wide *s)
{
	if (s)
		heap_free((uint8_t *)s - 4);
}
API(uint32_t, ole_SysStringByteLen, const wide *s)
{
	return s ? le32_at((const uint8_t *)s - 4) : 0;
}
API(uint32_t, ole_SysStringLen, const wide *s) { return ole_SysStringByteLen(s) / 2; }

enum { VT_BSTR = 8 };
struct variant {
	uint16_t type, reserved[3];
	uint64_t v, w;
};
API(uint32_t, ole_VariantClear, struct variant *v)
{
	if (v->type == VT_BSTR)
		ole_SysFreeString((wide *)(uintptr_t)v->v);
	v->type = 0;
	return 0;
}
API(uint32_t, ole_VariantCopy, struct variant *to, const struct variant *v)
{
	struct variant copy = *v;
	if (v->type == VT_BSTR) {
		const wide *s = (const wide *)(uintptr_t)v->v;
		copy.v = (uint64_t)(uintptr_t)ole_SysAllocStringByteLen((const char *)s,
									ole_SysStringByteLen(s));
	}
	ole_VariantClear(to);
	*to = copy;
	return 0;
}
API(uint32_t, ole_CoInitialize, void *reserved)
{
	(void)reserved;
	return 0;
}
API(uint32_t, ole_CoInitializeEx, void *reserved, uint32_t flags)
{
	(void)reserved;
	(void)flags;
	return 0;
}
API(void, ole_CoUninitialize, void) {}
API(void *, ole_CoTaskMemAlloc, uint64_t n) { return heap_alloc(n, false); }
API(void, ole_CoTaskMemFree, void *p) { heap_free(p); }

/* A letter in its own kind: CharUpperW takes a text, or one letter as if it were an address. */
API(wide *, ole_CharUpperW, wide *s)
{
	uint64_t v = (uint64_t)(uintptr_t)s;
	if (v < 65536)
		return (wide *)(uintptr_t)wide_upper((wide)v);
	for (wide *p = s; *p; p++)
		*p = wide_upper(*p);
	return s;
}
API(wide *, ole_CharLowerW, wide *s)
{
	uint64_t v = (uint64_t)(uintptr_t)s;
	if (v < 65536)
		return (wide *)(uintptr_t)wide_lower((wide)v);
	for (wide *p = s; *p; p++)
		*p = wide_lower(*p);
	return s;
}
/* One character, or a text; what is no ASCII stays as it is in UTF-8. */
API(char *, ole_CharUpperA, char *s)
{
	uint64_t v = (uint64_t)(uintptr_t)s;
	if (v < 65536)
		return (char *)(uintptr_t)(v < 128 ? wide_upper((wide)v) : v);
	for (char *p = s; *p; p++)
		*p = *p > 0 ? (char)wide_upper((wide)*p) : *p;
	return s;
}
API(char *, ole_CharLowerA, char *s)
{
	uint64_t v = (uint64_t)(uintptr_t)s;
	if (v < 65536)
		return (char *)(uintptr_t)(v < 128 ? wide_lower((wide)v) : v);
	for (char *p = s; *p; p++)
		*p = *p > 0 ? (char)wide_lower((wide)*p) : *p;
	return s;
}
API(int32_t, ole_GetSystemMetrics, int32_t what)
{
	(void)what;
	return 0;
}
API(int32_t, ole_MessageBoxA, uint64_t window, const char *text, const char *title, uint32_t kind)
{
	(void)window;
	(void)kind;
	process_die(1, "it wants to show a message: %s: %s", title ? title : "", text ? text : "");
}

API(int32_t, ole_MessageBoxW, uint64_t window, const wide *text, const wide *title, uint32_t kind)
{
	autofree char *t = text ? text_from(text, SIZE_MAX) : NULL;
	autofree char *n = title ? text_from(title, SIZE_MAX) : NULL;
	return ole_MessageBoxA(window, t, n, kind);
}

/* Of a key: its place on the keyboard of the PC (0), or its character (2). 0: none. */
API(uint32_t, ole_MapVirtualKeyW, uint32_t code, uint32_t kind)
{
	static const char rows[] = "\b\t\r\x1b QWERTYUIOPASDFGHJKLZXCVBNM1234567890";
	static const uint8_t places[] = {14, 15, 28, 1,  57, 16, 17, 18, 19, 20, 21, 22, 23, 24,
					 25, 30, 31, 32, 33, 34, 35, 36, 37, 38, 44, 45, 46, 47,
					 48, 49, 50, 2,	 3,  4,	 5,  6,	 7,  8,	 9,  10, 11};
	const char *at = code && code < 128 ? strchr(rows, (int)code) : NULL;
	if (!at || (kind != 0 && kind != 2))
		return 0;
	return kind == 2 ? code : places[at - rows];
}

/* There is no desktop that windows could be on. */
API(uint64_t, ole_GetProcessWindowStation, void)
{
	return fail(ERROR_NOT_SUPPORTED);
}
API(uint32_t, ole_GetUserObjectInformationW, uint64_t h, int32_t what, void *out, uint32_t cap,
    uint32_t *ret_n)
{
	(void)h;
	(void)what;
	(void)out;
	(void)cap;
	if (ret_n)
		*ret_n = 0;
	return fail(ERROR_INVALID_HANDLE);
}

/* ---- arguments: 2n backslashes and a quote are n and the quote's end, 2n+1 are n and a quote ----
 */

/* The program's name: to the next quote if it begins with one, or to a blank. */
static size_t name_take(const wide **line, wide *out)
{
	const wide *s = *line;
	size_t n = 0;
	bool quoted = *s == '"';
	for (s += quoted; *s && (quoted ? *s != '"' : *s != ' ' && *s != '\t'); s++)
		out[n++] = *s;
	s += quoted && *s;
	out[n++] = 0;
	while (*s == ' ' || *s == '\t')
		s++;
	*line = s;
	return n;
}

static size_t argument_take(const wide **line, wide *out)
{
	const wide *s = *line;
	size_t n = 0;
	bool quoted = false;
	for (; *s && (quoted || (*s != ' ' && *s != '\t')); s++) {
		size_t slashes = 0;
		while (s[slashes] == '\\')
			slashes++;
		bool quote = s[slashes] == '"';
		for (size_t i = 0; i < (quote ? slashes / 2 : slashes); i++)
			out[n++] = '\\';
		s += slashes;
		if (quote && slashes % 2) {
			out[n++] = '"';
		} else if (quote) {
			if (quoted && s[1] == '"')
				out[n++] = *++s;
			else
				quoted = !quoted;
		} else if (!slashes) {
			out[n++] = *s;
		} else {
			s--;
		}
	}
	out[n++] = 0;
	while (*s == ' ' || *s == '\t')
		s++;
	*line = s;
	return n;
}

wide **arguments_split(const wide *line, int32_t *ret_n)
{
	size_t len = wide_len(line), most = len / 2 + 2;
	wide **all = heap_alloc(most * sizeof(wide *) + 2 * (2 * len + most + 2), true);
	wide *text = all ? (wide *)(void *)(all + most) : NULL;
	int32_t n = 0;
	if (!all)
		return NULL;
	for (bool first = true; *line || first; first = false) {
		all[n++] = text;
		text += first ? name_take(&line, text) : argument_take(&line, text);
	}
	*ret_n = n;
	return all;
}

API(wide **, ole_CommandLineToArgvW, const wide *line, int32_t *ret_n)
{
	return arguments_split(line, ret_n);
}

/* ---- the usual folders, which the environment names ---- */

static const struct {
	uint8_t id[16]; /* a GUID, as it lies in memory */
	const char *variable, *below;
} known_folders[] = {
    {{0x8f, 0x85, 0x6c, 0x5e, 0x22, 0x0e, 0x60, 0x47, 0x9a, 0xfe, 0xea, 0x33, 0x17, 0xb6, 0x71,
      0x73},
     "USERPROFILE", ""}, /* Profile */
    {{0xdb, 0x85, 0xb6, 0x3e, 0xf9, 0x65, 0xf6, 0x4c, 0xa0, 0x3a, 0xe3, 0xef, 0x65, 0x72, 0x9f,
      0x3d},
     "APPDATA", ""}, /* RoamingAppData */
    {{0x85, 0x27, 0xb3, 0xf1, 0xba, 0x6f, 0xcf, 0x4f, 0x9d, 0x55, 0x7b, 0x8e, 0x7f, 0x15, 0x70,
      0x91},
     "LOCALAPPDATA", ""}, /* LocalAppData */
    {{0x82, 0x5d, 0xab, 0x62, 0xc1, 0xfd, 0xc3, 0x4d, 0xa9, 0xdd, 0x07, 0x0d, 0x1d, 0x49, 0x5d,
      0x97},
     "ProgramData", ""}, /* ProgramData */
    {{0xb6, 0x63, 0x5e, 0x90, 0xbf, 0xc1, 0x4e, 0x49, 0xb2, 0x9c, 0x65, 0xb7, 0x32, 0xd3, 0xd2,
      0x1a},
     "ProgramFiles", ""}, /* ProgramFiles */
    {{0xd0, 0x9a, 0xd3, 0xfd, 0x8f, 0x23, 0xaf, 0x46, 0xad, 0xb4, 0x6c, 0x85, 0x48, 0x03, 0x69,
      0xc7},
     "USERPROFILE", "\\Documents"}, /* Documents */
    {{0x04, 0xf4, 0x8b, 0xf3, 0x43, 0x1d, 0xf2, 0x42, 0x93, 0x05, 0x67, 0xde, 0x0b, 0x28, 0xfc,
      0x23},
     "windir", ""}, /* Windows */
    {{0x77, 0x4e, 0xc1, 0x1a, 0xe7, 0x02, 0x5d, 0x4e, 0xb7, 0x44, 0x2e, 0xb1, 0xae, 0x51, 0x98,
      0xb7},
     "windir", "\\System32"}, /* System */
};
enum { HRESULT_NOT_FOUND = (int32_t)0x80070002, HRESULT_NO_MEMORY = (int32_t)0x8007000e };

API(int32_t, ole_SHGetKnownFolderPath, const uint8_t *id, uint32_t flags, handle token, wide **ret)
{
	(void)flags;
	(void)token;
	*ret = NULL;
	for (size_t i = 0; i < countof(known_folders); i++) {
		if (memcmp(known_folders[i].id, id, 16) != 0)
			continue;
		autofree char *v = environment_get(known_folders[i].variable), *path = NULL;
		if (!v)
			return HRESULT_NOT_FOUND;
		if (asprintf(&path, "%s%s", v, known_folders[i].below) < 0)
			return HRESULT_NO_MEMORY;
		size_t n = utf16_put(path, strlen(path), NULL, 0, NULL);
		if (!(*ret = heap_alloc(2 * (n + 1), true)))
			return HRESULT_NO_MEMORY;
		utf16_put(path, strlen(path), *ret, n, NULL);
		return 0;
	}
	return HRESULT_NOT_FOUND;
}

API(uint32_t, ole_GetUserProfileDirectoryW, handle token, wide *buf, uint32_t *n)
{
	(void)token;
	autofree char *v = environment_get("USERPROFILE");
	uint32_t cap = *n, len = v ? wide_give(v, buf, cap) : 0;
	*n = len < cap ? len + 1 : len;
	return len && len < cap ? 1 : fail(ERROR_INSUFFICIENT_BUFFER);
}

API(char *, ole_CharPrevExA, uint16_t page, const char *start, const char *at, uint32_t flags)
{
	(void)page;
	(void)flags;
	if (at > start)
		at--;
	while (at > start && (*at & 0xc0) == 0x80) /* inside of a letter of UTF-8 */
		at--;
	return (char *)(uintptr_t)at;
}

/* Controls: there are no windows that could have them. */
API(void, ole_InitCommonControls, void) {}
