/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes of a process to be started: a list in memory of the guest's, which STARTUPINFOEX leads
 * to. Heeded is which handles are inherited; all others ask for what is not here, and are kept. */
#include "win/child.h"

enum { ATTRIBUTE_HANDLES = 0x20002, NUMBER_MASK = 0xffff };
struct start_attributes {
	uint32_t n, most;
	uint64_t reserved[2];
	struct {
		uint64_t what;
		const void *value; /* the caller's, who keeps it */
		uint64_t size;
	} rows[];
};

API(uint32_t, k32_InitializeProcThreadAttributeList, struct start_attributes *list, uint32_t n,
    uint32_t flags, uint64_t *size)
{
	uint64_t needs = sizeof *list + n * sizeof list->rows[0], has = *size;
	if (flags)
		return fail(ERROR_INVALID_PARAMETER);
	*size = needs;
	if (!list || has < needs)
		return fail(ERROR_INSUFFICIENT_BUFFER);
	memset(list, 0, needs);
	list->most = n;
	return 1;
}

API(uint32_t, k32_UpdateProcThreadAttribute, struct start_attributes *list, uint32_t flags,
    uint64_t what, const void *value, uint64_t size, void *before, uint64_t *ret_size)
{
	if (flags || before || ret_size)
		return fail(ERROR_INVALID_PARAMETER);
	if (what == ATTRIBUTE_HANDLES && (!size || size % sizeof(handle)))
		return fail(ERROR_BAD_LENGTH);
	if (list->n == list->most)
		return fail(ERROR_GEN_FAILURE);
	for (uint32_t i = 0; i < list->n; i++)
		if ((list->rows[i].what & NUMBER_MASK) == (what & NUMBER_MASK))
			return fail(ERROR_OBJECT_NAME_EXISTS);
	list->rows[list->n].what = what;
	list->rows[list->n].value = value;
	list->rows[list->n++].size = size;
	return 1;
}

API(void, k32_DeleteProcThreadAttributeList, struct start_attributes *list)
{
	list->n = 0;
}

bool attributes_inherit(const struct start_attributes *list, handle h)
{
	for (uint32_t i = 0; list && i < list->n; i++) {
		const handle *all = list->rows[i].value;
		if (list->rows[i].what != ATTRIBUTE_HANDLES)
			continue;
		for (uint64_t k = 0; k < list->rows[i].size / sizeof *all; k++)
			if (all[k] == h)
				return true;
		return false;
	}
	return true;
}
