/* SPDX-License-Identifier: Apache-2.0 */
/* Which source an image comes from. */
#include "image/source.h"

#define SOURCE(n) extern const struct source_class source_##n;
#include "image/sources.def"
static const struct source_class *const sources[] = {
#define SOURCE(n) &source_##n,
#include "image/sources.def"
    NULL};

int source_open(struct source **ret, struct fetch *f, const char *where, struct lodge_err *e)
{
	const struct source_class *best = NULL;
	int score = 0;
	for (size_t i = 0; sources[i]; i++) {
		int s = sources[i]->claims(where);
		if (s > score) {
			score = s;
			best = sources[i];
		}
	}
	if (!best)
		return err_set(e, ENOENT, "'%.200s' is neither an image's name nor the path of one",
			       where);
	return best->open(ret, f, where, e);
}

void source_close(struct source *s)
{
	if (s)
		s->class->close(s);
}
