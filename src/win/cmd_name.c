/* SPDX-License-Identifier: Apache-2.0 */
/* cmd.exe: what %~dpnx1 and its like make of a value. */
#include "win/cmd.h"
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

/* mm/dd/yyyy hh:mm AM, as dir has it, too. */
static void put_time(struct string *t, const struct stat *st)
{
	char buf[40];
	struct tm tm;
	localtime_r(&st->st_mtim.tv_sec, &tm);
	strftime(buf, sizeof buf, "%m/%d/%Y %I:%M %p", &tm);
	string_put(t, buf);
}

static void put_attributes(struct string *t, uint32_t a)
{
	static const struct {
		uint32_t bit;
		char letter;
	} rows[] = {{16, 'd'},   {1, 'r'},    {32, 'a'},  {2, 'h'},   {4, 's'},
		    {2048, 'c'}, {4096, 'o'}, {256, 't'}, {1024, 'l'}};
	for (size_t i = 0; i < countof(rows); i++)
		string_char(t, a & rows[i].bit ? rows[i].letter : '-');
}

/* What is known of the file, with a blank behind each. */
static void put_facts(struct string *t, const char *full, bool a, bool time, bool size)
{
	struct stat st;
	char buf[24];
	autofree char *host = path_linux(full);
	if (!host || stat(host, &st) < 0)
		return;
	if (a)
		put_attributes(t, attributes_of(full));
	if (time) {
		if (t->n)
			string_char(t, ' ');
		put_time(t, &st);
	}
	if (size) {
		snprintf(buf, sizeof buf, "%s%lld", t->n ? " " : "",
			 S_ISDIR(st.st_mode) ? 0LL : (long long)st.st_size);
		string_put(t, buf);
	}
}

static void put_parts(struct string *t, const char *full, const bool on[128])
{
	const char *slash = strrchr(full, '\\');
	const char *name = slash ? slash + 1 : full, *dot = strrchr(name, '.');
	dot = dot ? dot : name + strlen(name);
	bool all = on['f'] || on['s'];
	bool parts = on['d'] || on['p'] || on['n'] || on['x'];
	if (t->n && (all || parts))
		string_char(t, ' ');
	if (on['f'] || (all && !parts)) {
		string_put(t, full);
		return;
	}
	const char *folder = *full && full[1] == ':' ? full + 2 : full;
	if (on['d'])
		string_add(t, full, (size_t)(folder - full));
	if (on['p'])
		string_add(t, folder, (size_t)(name - folder));
	if (on['n'])
		string_add(t, name, (size_t)(dot - name));
	if (on['x'])
		string_put(t, dot);
}

char *name_modified(const char *value, const char *how, size_t n, const char *full)
{
	bool on[128] = {0};
	struct string t = {0};
	size_t len = strlen(value);
	if (len && *value == '"') {
		value++;
		len -= len > 1 && value[len - 2] == '"' ? 2 : 1;
	}
	autofree char *bare = text_copy(value, len);
	for (size_t i = 0; i < n; i++)
		on[(how[i] | 32) & 127] = true;
	if (!n || !*bare)
		return take(bare);
	autofree char *whole = full ? text_copy(full, SIZE_MAX) : path_full(bare);
	if (!whole)
		return take(bare);
	if (!full && strchr("\\/", bare[strlen(bare) - 1]) && whole[strlen(whole) - 1] != '\\') {
		struct string with = {0};
		string_put(&with, whole);
		string_char(&with, '\\');
		free(whole);
		whole = string_take(&with);
	}
	put_facts(&t, whole, on['a'], on['t'], on['z']);
	put_parts(&t, whole, on);
	return string_take(&t);
}
