/* SPDX-License-Identifier: Apache-2.0 */
/* What console programs call of ole32, oleaut32, shell32, user32 and userenv. */
#include "win/internal.h"

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

API(wide **, ole_CommandLineToArgvW, const wide *line, int32_t *ret_n)
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
