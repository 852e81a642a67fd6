/* SPDX-License-Identifier: Apache-2.0 */
/* cmd.exe: cd, pushd, popd, dir, vol. */
#include "win/cmd.h"
#include <stdlib.h>
#include <sys/statvfs.h>
#include <time.h>

/* ---- the current folder ---- */

/* All behind the name but options and quotes: cd takes blanks. */
static char *folder_argument(const char *args, bool *ret_drive)
{
	const char *s = blank_skip(args);
	if (!strncasecmp(s, "/d", 2) && (is_blank(s[2]) || !s[2])) {
		*ret_drive = true;
		s = blank_skip(s + 2);
	}
	char *bare = unquoted(s);
	size_t n = strlen(bare);
	while (n && is_blank(bare[n - 1]))
		bare[--n] = 0;
	return bare;
}

BUILT_IN(cmd_cd)
{
	bool drive = false;
	autofree char *to = folder_argument(args, &drive);
	size_t n = strlen(to);
	if (!n || (n == 2 && to[1] == ':' && !drive)) {
		autofree char *there = n ? path_full(to) : text_copy(path_cwd(), SIZE_MAX);
		say(c, "%s\n", there ? there : "");
		return 0;
	}
	if (to[1] == ':' && !drive && (to[0] | 32) != (path_cwd()[0] | 32))
		return is_folder(to) ? 0 : complain_error(c, ERROR_PATH_NOT_FOUND);
	uint32_t bad = path_cwd_set(to);
	return bad ? complain_error(c, bad == ERROR_FILE_NOT_FOUND ? ERROR_PATH_NOT_FOUND : bad)
		   : 0;
}

BUILT_IN(cmd_pushd)
{
	bool drive = true;
	autofree char *to = folder_argument(args, &drive);
	if (!*to) {
		for (const struct pushed *p = c->pushed; p; p = p->next)
			say(c, "%s\n", p->folder);
		return 0;
	}
	struct pushed *p = memory_get(sizeof *p);
	*p = (struct pushed){text_copy(path_cwd(), SIZE_MAX), c->pushed};
	uint32_t bad = path_cwd_set(to);
	if (!bad) {
		c->pushed = p;
		return 0;
	}
	free(p->folder);
	free(p);
	return complain_error(c, bad == ERROR_FILE_NOT_FOUND ? ERROR_PATH_NOT_FOUND : bad);
}

BUILT_IN(cmd_popd)
{
	struct pushed *p = c->pushed;
	(void)args;
	if (!p)
		return 1;
	(void)!path_cwd_set(p->folder);
	c->pushed = p->next;
	free(p->folder);
	free(p);
	return 0;
}

/* ---- dir ---- */

enum { WIDTH = 40 };
struct listing {
	struct cmd *c;
	bool bare, deep, lower, by_time, by_size, backwards, folders_first;
	uint32_t with, without; /* attributes */
	uint64_t files, bytes, folders;
	bool any;
};

/* With a comma between thousands. */
static const char *thousands(uint64_t n, char buf[WIDTH])
{
	char *p = buf + WIDTH - 1;
	*p = 0;
	for (int i = 0; n || !i; i++, n /= 10) {
		if (i && i % 3 == 0)
			*--p = ',';
		*--p = (char)('0' + n % 10);
	}
	return p;
}

static uint32_t attributes_read(const char *s)
{
	static const char letters[] = "drhsa";
	static const uint32_t bits[] = {16, 1, 2, 4, 32};
	uint32_t all = 0;
	for (; *s; s++) {
		const char *at = strchr(letters, *s | 32);
		all |= at ? bits[at - letters] : 0;
	}
	return all;
}

static void option_read(struct listing *l, char k, const char *rest)
{
	rest += *rest == ':';
	switch (k) {
	case 'b': l->bare = true; break;
	case 's': l->deep = true; break;
	case 'l': l->lower = true; break;
	case 'a':
		l->with = *rest == '-' ? 0 : attributes_read(rest);
		l->without = *rest == '-' ? attributes_read(rest) : 0;
		break;
	case 'o':
		l->backwards = *rest == '-';
		l->by_time = strchr(rest, 'd') || strchr(rest, 'D');
		l->by_size = strchr(rest, 's') || strchr(rest, 'S');
		l->folders_first = strchr(rest, 'g') || strchr(rest, 'G');
		break;
	default: break;
	}
}

static WIN_STATE const struct listing *sorted_by; /* of the qsort that runs */

static int listed_order(const void *pa, const void *pb)
{
	const struct entry *a = pa, *b = pb;
	const struct listing *l = sorted_by;
	uint32_t fa = a->attributes & ATTRIBUTE_FOLDER, fb = b->attributes & ATTRIBUTE_FOLDER;
	if (l->folders_first && fa != fb)
		return fa ? -1 : 1;
	uint64_t x = l->by_time ? a->written : l->by_size ? a->size : 0;
	uint64_t y = l->by_time ? b->written : l->by_size ? b->size : 0;
	int order = x < y ? -1 : x > y ? 1 : strcasecmp(a->name, b->name);
	return l->backwards ? -order : order;
}

static bool listed(const struct listing *l, const struct entry *e)
{
	return !(e->attributes & l->without) && (e->attributes & l->with) == l->with &&
	       !(is_dots(e->name) && l->bare);
}

static void entry_show(struct listing *l, const char *folder, const struct entry *e)
{
	char when[40], size[WIDTH];
	struct tm tm;
	int64_t s, ns;
	bool is = e->attributes & ATTRIBUTE_FOLDER;
	autofree char *name =
	    l->bare && l->deep ? path_join(folder, e->name) : text_copy(e->name, SIZE_MAX);
	for (char *p = name; l->lower && *p; p++)
		*p = *p >= 'A' && *p <= 'Z' ? (char)(*p | 32) : *p;
	l->files += !is;
	l->folders += is;
	l->bytes += is ? 0 : e->size;
	l->any = true;
	if (l->bare) {
		say(l->c, "%s\n", name);
		return;
	}
	filetime_to(e->written, &s, &ns);
	time_t t = s;
	localtime_r(&t, &tm);
	strftime(when, sizeof when, "%m/%d/%Y  %I:%M %p", &tm);
	if (is)
		say(l->c, "%s    <DIR>          %s\n", when, name);
	else
		say(l->c, "%s %17s %s\n", when, thousands(e->size, size), name);
}

static void volume_show(struct cmd *c, char drive)
{
	say(c, " Volume in drive %c has no label.\n Volume Serial Number is 4C4F-4447\n", drive);
}

static void total_show(struct listing *l, const char *folder, uint64_t files, uint64_t bytes)
{
	char size[WIDTH];
	(void)folder;
	say(l->c, "%16llu File(s) %14s bytes\n", (unsigned long long)files, thousands(bytes, size));
}

static void folder_show(struct listing *l, const char *pattern)
{
	size_t n;
	uint64_t files = l->files, bytes = l->bytes;
	autofree char *folder = folder_of(pattern), *everything = path_join(folder, "*");
	const char *name = pattern + strlen(folder);
	struct entry *e = entries_get(pattern, &n);
	size_t len = strlen(folder);
	bool head = false;
	sorted_by = l;
	if (e)
		qsort(e, n, sizeof *e, listed_order);
	for (size_t i = 0; e && i < n; i++) {
		if (!listed(l, &e[i]))
			continue;
		if (!head && !l->bare)
			say(l->c, "\n Directory of %.*s\n\n", (int)(len > 3 ? len - 1 : len),
			    folder);
		head = true;
		entry_show(l, folder, &e[i]);
	}
	if (head && !l->bare)
		total_show(l, folder, l->files - files, l->bytes - bytes);
	entries_free(e, n);
	e = l->deep ? entries_get(everything, &n) : NULL;
	for (size_t i = 0; e && i < n; i++) {
		if (!entry_below(folder, &e[i]))
			continue;
		autofree char *below = path_join(folder, e[i].name);
		autofree char *again = path_join(below, name);
		folder_show(l, again);
	}
	if (e)
		entries_free(e, n);
}

static void dir_end(struct listing *l, const char *full)
{
	char size[WIDTH];
	struct statvfs v = {0};
	autofree char *host = path_linux((const char[]){full[0], ':', '\\', 0});
	if (host)
		(void)!statvfs(host, &v);
	if (l->deep)
		say(l->c, "\n     Total Files Listed:\n%16llu File(s) %14s bytes\n",
		    (unsigned long long)l->files, thousands(l->bytes, size));
	say(l->c, "%16llu Dir(s)  %14s bytes free\n", (unsigned long long)l->folders,
	    thousands((uint64_t)v.f_bavail * v.f_frsize, size));
}

static uint32_t dir_one(struct listing *l, const char *word)
{
	autofree char *bare = unquoted(word), *full = path_full(*bare ? bare : ".");
	if (!full)
		return complain_error(l->c, ERROR_FILE_NOT_FOUND);
	autofree char *pattern = is_folder(full) ? path_join(full, "*") : text_copy(full, SIZE_MAX);
	l->any = false;
	if (!l->bare)
		volume_show(l->c, full[0]);
	folder_show(l, pattern);
	if (!l->any) {
		complain(l->c, "File Not Found\n");
		return 1;
	}
	if (!l->bare)
		dir_end(l, full);
	return 0;
}

BUILT_IN(cmd_dir)
{
	struct listing l = {.c = c, .without = 6};
	autofree char *rest = NULL;
	struct string words = {0};
	const char *s = args;
	uint32_t r = 0;
	for (;;) { /* options stand before and behind names */
		char k = switch_next(&s, &rest);
		if (k) {
			option_read(&l, k, rest);
			continue;
		}
		autofree char *w = word_next(&s);
		if (!w)
			break;
		string_put(&words, w);
		string_char(&words, ' ');
	}
	autofree char *all = string_take(&words);
	if (!*all)
		return dir_one(&l, ".");
	s = all;
	for (char *w; (w = word_next(&s)); free(w))
		r |= dir_one(&l, w);
	return r;
}

BUILT_IN(cmd_vol)
{
	(void)args;
	volume_show(c, path_cwd()[0]);
	return 0;
}
