/* SPDX-License-Identifier: Apache-2.0 */
/* The options of one mount, sorted: what the mount does, what it is, what its file system is told.
 */
#include "box/internal.h"
#include <sys/mount.h>

enum option_kind { ATTRIBUTE, PROPAGATION, SUPER_FLAG, WHAT_TO_DO, NOTHING };
static const struct option {
	const char *name;
	enum option_kind kind;
	bool below; /* of all that is mounted below, too */
	uint64_t set, clear;
	const char *super;
} options[] = {
#define ATTR(n, s, c)                                                                              \
	{#n, ATTRIBUTE, false, s, c, NULL}, {"r" #n, ATTRIBUTE, true, s, c, NULL},
#define SPREAD(n, f)                                                                               \
	{#n, PROPAGATION, false, f, 0, NULL}, {"r" #n, PROPAGATION, true, f, 0, NULL},
#define SUPER(n, f) {#n, SUPER_FLAG, false, 0, 0, f},
#define WHAT(n, b) {#n, WHAT_TO_DO, false, b, 0, NULL},
#define NONE(n) {#n, NOTHING, false, 0, 0, NULL},
#include "box/options.def"
};

const char *box_option_at(size_t i) { return i < countof(options) ? options[i].name : NULL; }

static const struct option *option_find(const char *name)
{
	for (size_t i = 0; i < countof(options); i++)
		if (!strcmp(options[i].name, name))
			return &options[i];
	return NULL;
}

static void attribute_add(struct box_attrs *a, const struct option *o)
{
	a->set = (a->set & ~o->clear) | o->set;
	a->clear = (a->clear & ~o->set) | o->clear;
	/* a kind of atime is a number, not a bit: the old one is always cleared */
	if (o->clear & MOUNT_ATTR__ATIME || o->set & MOUNT_ATTR__ATIME)
		a->clear |= MOUNT_ATTR__ATIME;
}

/* One string may hold several, as mount(8) writes them; "\\," is a comma of a name. */
const char *box_option_next(const struct oci_texts *all, struct box_option_walk *w)
{
	while (w->i < all->n) {
		const char *from = all->at[w->i] + w->at;
		size_t n = 0;
		while (from[n] && from[n] != ',')
			n += from[n] == '\\' && from[n + 1] ? 2 : 1;
		bool last = !from[n], whole = last && !w->at;
		w->at = last ? 0 : w->at + n + 1;
		w->i += last;
		if (whole)
			return from;
		if (!n || n >= sizeof w->one)
			continue;
		memcpy(w->one, from, n);
		w->one[n] = 0;
		return w->one;
	}
	return NULL;
}

void box_options_sort(struct box_options *ret, const struct oci_mount *m)
{
	*ret = (struct box_options){0};
	struct box_option_walk w = {0};
	for (const char *name; (name = box_option_next(&m->options, &w));) {
		const struct option *o = option_find(name);
		if (!o)
			continue; /* the file system's */
		if (o->kind == ATTRIBUTE)
			attribute_add(o->below ? &ret->below : &ret->own, o);
		else if (o->kind == PROPAGATION && ret->n_spread < countof(ret->spread))
			ret->spread[ret->n_spread++] = (struct box_spread){o->set, o->below};
		else if (o->kind == WHAT_TO_DO)
			ret->what |= (unsigned)o->set;
	}
	if (m->type && !strcmp(m->type, "bind") && !(ret->what & OPTION_BIND))
		ret->what |= OPTION_BIND;
}

bool box_option_for_super(const char *option, const char **ret)
{
	const struct option *o = option_find(option);
	*ret = o ? o->super : option;
	return *ret;
}
