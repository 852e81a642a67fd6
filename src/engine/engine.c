/* SPDX-License-Identifier: Apache-2.0 */
/* The table of engines. */
#include "engine/engine.h"

#define ENGINE(n) extern const struct engine engine_##n;
#include "engine/engines.def"
static const struct engine *const all[] = {
#define ENGINE(n) &engine_##n,
#include "engine/engines.def"
};

const struct engine *engine_at(size_t i) { return i < countof(all) ? all[i] : NULL; }

const struct engine *engine_default(void)
{
	size_t i = countof(all) - 1;
	while (i > 0 && all[i]->probe && all[i]->probe(NULL) < 0)
		i--;
	return all[i];
}

const struct engine *engine_find(const char *name)
{
	for (size_t i = 0; i < countof(all); i++)
		if (!strcmp(all[i]->name, name))
			return all[i];
	return NULL;
}
