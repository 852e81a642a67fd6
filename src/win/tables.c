/* SPDX-License-Identifier: Apache-2.0 */
/* Which functions each library has: a table for each .def file, sorted by name. */
#include "win/internal.h"
#include <stdio.h>

#define F(name, symbol)     extern const char symbol[];
#define NAMED(name, symbol) extern const char symbol[];
#include "win/advapi32.def"
#include "win/crt.def"
#include "win/kernel32.def"
#include "win/ntdll.def"
#include "win/ole32.def"
#include "win/ws2_32.def"
#undef F
#undef NAMED

#define F(name, symbol)     {#name, symbol},
#define NAMED(name, symbol) {name, symbol},
static const struct api table_advapi32[] = {
#include "win/advapi32.def"
};
static const struct api table_crt[] = {
#include "win/crt.def"
};
static const struct api table_kernel32[] = {
#include "win/kernel32.def"
};
static const struct api table_ntdll[] = {
#include "win/ntdll.def"
};
static const struct api table_ole32[] = {
#include "win/ole32.def"
};
static const struct api table_ws2_32[] = {
#include "win/ws2_32.def"
};
#undef F
#undef NAMED

static const struct library libraries[] = {
#define LIBRARY(name, table) {name, table_##table, countof(table_##table)},
#define SET(prefix, table)
#include "win/libraries.def"
};
static const struct library sets[] = {
#define LIBRARY(name, table)
#define SET(prefix, table) {prefix, table_##table, countof(table_##table)},
#include "win/libraries.def"
};

const struct library *library_find(const char *dll)
{
	size_t n = strlen(dll);
	if (n > 4 && !strcasecmp(dll + n - 4, ".dll"))
		n -= 4;
	for (size_t i = 0; i < countof(libraries); i++)
		if (strlen(libraries[i].name) == n && !strncasecmp(libraries[i].name, dll, n))
			return &libraries[i];
	for (size_t i = 0; i < countof(sets); i++)
		if (!strncasecmp(dll, sets[i].name, strlen(sets[i].name)))
			return &sets[i];
	return NULL;
}

static const void *symbol_in(const struct api *a, size_t n, const char *name)
{
	for (size_t lo = 0, hi = n; lo < hi;) {
		size_t mid = lo + (hi - lo) / 2;
		int order = strcmp(name, a[mid].name);
		if (order == 0)
			return a[mid].at;
		if (order < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

/* Functions that begin with Rtl are ntdll's, though other libraries have them, too. */
const void *library_symbol(const struct library *l, const char *name)
{
	const void *at = symbol_in(l->apis, l->n, name);
	if (!at && l->apis != table_ntdll && l->apis != table_crt)
		at = symbol_in(table_ntdll, countof(table_ntdll), name);
	if (!at && l->apis == table_crt) /* vcruntime's exceptions */
		at = symbol_in(table_ntdll, countof(table_ntdll), name);
	return at;
}

/* All that is found by its names is in these three tables. */
bool library_plain(const char *dll)
{
	const struct library *l = library_find(dll);
	return l && (l->apis == table_kernel32 || l->apis == table_crt || l->apis == table_ntdll);
}

bool win_has_library(const char *dll) { return library_find(dll) != NULL; }

/* ---- by ordinal: only of libraries that are imported so ---- */

static const struct {
	const char *dll;
	unsigned ordinal;
	const char *name;
} ordinals[] = {
#define ORDINAL(dll, ordinal, name) {dll, ordinal, name},
#include "win/ordinals.def"
};

static const char *ordinal_name(const char *dll, unsigned ordinal)
{
	for (size_t i = 0; i < countof(ordinals); i++)
		if (!strcmp(ordinals[i].dll, dll) && ordinals[i].ordinal == ordinal)
			return ordinals[i].name;
	return NULL;
}

void *win_find(const char *dll, const char *name, unsigned ordinal)
{
	const struct library *l = library_find(dll);
	if (l && !name)
		name = ordinal_name(l->name, ordinal);
	if (l && !name && !strcmp(l->name, "wsock32")) /* most are the same */
		name = ordinal_name("ws2_32", ordinal);
	return l && name ? (void *)(uintptr_t)library_symbol(l, name) : NULL;
}

/* ---- stubs: a few instructions each, in the guest's memory, that say which function it was ----
 */

enum { STUB = 32, STUBS_PER_PAGE = PAGE / STUB };
struct stub {
	char *name; /* owned */
};
static WIN_STATE struct {
	pthread_mutex_t lock;
	struct stub *all;
	uint8_t **pages;
	size_t n;
} stubs = {.lock = PTHREAD_MUTEX_INITIALIZER};

extern const char stub_enter[];
_Noreturn void stub_called(uint32_t i, uint64_t from);

/* r11: the stub's number. The stack is the guest's, and not aligned. */
__asm__(".text\n.hidden stub_enter\n.globl stub_enter\nstub_enter:\n"
	"	mov %r11d, %edi\n"
	"	mov (%rsp), %rsi\n"
	"	and $-16, %rsp\n"
	"	call stub_called\n");

__attribute__((used)) _Noreturn void stub_called(uint32_t i, uint64_t from)
{
	struct module *m = module_at(from);
	if (m)
		process_die(LODGE_EXIT_MISSING,
			    "the function %s is not provided (called by %s, at "
			    "%#llx of it)",
			    stubs.all[i].name, m->name,
			    (unsigned long long)(from - (uint64_t)(uintptr_t)m->im.at));
	process_die(LODGE_EXIT_MISSING, "the function %s is not provided (called from %#llx)",
		    stubs.all[i].name, (unsigned long long)from);
}

static uint8_t *stub_page(size_t page)
{
	uint8_t **pages = realloc(stubs.pages, (page + 1) * sizeof *pages);
	struct stub *all = realloc(stubs.all, (page + 1) * STUBS_PER_PAGE * sizeof *all);
	stubs.pages = pages ? pages : stubs.pages;
	stubs.all = all ? all : stubs.all;
	if (!pages || !all)
		process_die(LODGE_EXIT_LODGE, "no memory for the guest");
	return pages[page] = space_new(PAGE, PAGE_EXECUTE_READ);
}

void *stub_new(const char *dll, const char *name, unsigned ordinal)
{
	uint32_t old;
	pthread_mutex_lock(&stubs.lock);
	size_t i = stubs.n++, page = i / STUBS_PER_PAGE;
	uint8_t *p = i % STUBS_PER_PAGE ? stubs.pages[page] : stub_page(page);
	uint8_t *s = p + i % STUBS_PER_PAGE * STUB;
	if (asprintf(&stubs.all[i].name, name ? "%s.%s" : "%s.#%s%u", dll, name ? name : "",
		     ordinal) < 0 ||
	    space_protect((uint64_t)(uintptr_t)p, PAGE, PAGE_READWRITE, &old) < 0)
		process_die(LODGE_EXIT_LODGE, "no memory for the guest");
	memcpy(s, "\x41\xbb", 2); /* mov $i, %r11d */
	le32_put(s + 2, (uint32_t)i);
	memcpy(s + 6, "\x48\xb8", 2); /* movabs $stub_enter, %rax */
	le64_put(s + 8, (uint64_t)(uintptr_t)stub_enter);
	memcpy(s + 16, "\xff\xe0", 2); /* jmp *%rax */
	if (space_protect((uint64_t)(uintptr_t)p, PAGE, PAGE_EXECUTE_READ, &old) < 0)
		process_die(LODGE_EXIT_LODGE, "no memory for the guest");
	pthread_mutex_unlock(&stubs.lock);
	return s;
}
