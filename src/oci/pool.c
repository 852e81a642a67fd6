/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of one document: taken piece by piece, given back at once. */
#include "oci/internal.h"

enum { PIECE = 16000 };
struct piece {
	struct piece *next;
	size_t used, size;
	_Alignas(16) uint8_t bytes[];
};
struct oci_pool {
	struct piece *first;
};

struct oci_pool *oci_pool_new(void) { return calloc(1, sizeof(struct oci_pool)); }

void *oci_pool_alloc(struct oci_pool *p, size_t n)
{
	n = align_up(n ? n : 1, 16);
	struct piece *at = p->first;
	if (!at || at->size - at->used < n) {
		size_t size = n > PIECE ? n : PIECE;
		at = malloc(sizeof *at + size);
		if (!at)
			return NULL;
		*at = (struct piece){.next = p->first, .size = size};
		p->first = at;
	}
	void *got = at->bytes + at->used;
	at->used += n;
	return memset(got, 0, n);
}

void oci_pool_free(struct oci_pool *p)
{
	while (p && p->first) {
		struct piece *next = p->first->next;
		free(p->first);
		p->first = next;
	}
	free(p);
}
