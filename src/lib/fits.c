/* SPDX-License-Identifier: Apache-2.0 */
/* Which option is whose: what the guest's level does not understand is refused, not dropped. */
#include "lib/lib.h"
#include <stdio.h>

enum { FITS_MAX = 96 };

struct fit {
	const char *option, *levels, *instead;
	bool given;
};

static const struct {
	const char *name, *levels;
} keys[] = {
#define KEY(name, levels) {name, levels},
#include "lib/keys.def"
#define OWN(name, levels, instead) {name, levels},
#include "lib/own.def"
};

static size_t fits_list(struct fit *to, const struct lodge_config *c, const struct level *l)
{
	const bool plain = l->rooted && !c->root;
	size_t n = 0;
#define FITS(option, given, levels, instead)                                                       \
	to[n++] = (struct fit){option, levels, instead, (given) != 0};
#include "lib/fits.def"
#define OWN(name, levels, instead) \
	to[n++] = (struct fit){"--" name, levels, instead, life_option(c, name) != NULL};
#include "lib/own.def"
	return n;
}

static bool word_in(const char *words, const char *word)
{
	size_t n = strlen(word);
	for (const char *p = words; *p; p += strspn(p, " ")) {
		size_t m = strcspn(p, " ");
		if (m == n && !strncmp(p, word, n))
			return true;
		p += m;
	}
	return false;
}

static int fit_refuse(const struct fit *f, const struct level *l, const struct lodge_config *c,
		      struct lodge_err *e)
{
	char levels[64];
	snprintf(levels, sizeof levels, "%s", f->levels);
	for (char *p = levels; (p = strchr(p, ' '));)
		*p = '/';
	return err_set(e, EINVAL, "%s is for guests of the level %s; %s is of the level %s%s%s",
		       f->option, levels, c->guest ? c->guest : c->kernel ? c->kernel : "this one",
		       l->name, f->instead ? ": " : "", f->instead ? f->instead : "");
}

/* "known, known, ..." of the level @l. */
static const char *keys_text(const struct level *l, char *buf, size_t cap)
{
	size_t n = 0;
	buf[0] = 0;
	for (size_t i = 0; i < countof(keys) && n < cap; i++)
		if (word_in(keys[i].levels, l->name))
			n += (size_t)snprintf(buf + n, cap - n, "%s%s", n ? ", " : "",
					      keys[i].name);
	return n ? buf : "none";
}

static int key_check(const char *option, const struct level *l, struct lodge_err *e)
{
	size_t n = strcspn(option, "=");
	char known[400];
	for (size_t i = 0; i < countof(keys); i++)
		if (strcspn(keys[i].name, "=") == n && !strncmp(keys[i].name, option, n) &&
		    word_in(keys[i].levels, l->name))
			return 0;
	return err_set(e, EINVAL, "-o %s: guests of the level %s have no such option; theirs: %s",
		       option, l->name, keys_text(l, known, sizeof known));
}

int level_fits(const struct level *l, const struct lodge_config *c, struct lodge_err *e)
{
	struct fit fits[FITS_MAX];
	size_t n = fits_list(fits, c, l);
	int r = 0;
	for (size_t i = 0; i < n; i++)
		if (fits[i].given && !word_in(fits[i].levels, l->name))
			return fit_refuse(&fits[i], l, c, e);
	for (size_t i = 0; r == 0 && i < c->noptions; i++)
		r = key_check(c->options[i], l, e);
	return r;
}

bool level_takes(const struct level *l, const struct lodge_config *c, const char *option)
{
	struct fit fits[FITS_MAX];
	size_t n = fits_list(fits, c, l);
	bool listed = false;
	for (size_t i = 0; i < n; i++)
		if (!strcmp(fits[i].option + 2, option)) {
			listed = true;
			if (word_in(fits[i].levels, l->name))
				return true;
		}
	return !listed;
}
