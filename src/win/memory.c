/* SPDX-License-Identifier: Apache-2.0 */
/* VirtualAlloc and its like, over space.c; heaps, over the C library's, with the size that was
 * asked for before each block. */
#include "win/internal.h"
#include <sys/mman.h>

static uint32_t fail_status(int r)
{
	return fail(r == -EINVAL   ? ERROR_INVALID_PARAMETER
		    : r == -EFAULT ? ERROR_INVALID_ADDRESS
		    : r == -EEXIST ? ERROR_INVALID_ADDRESS
				   : ERROR_NOT_ENOUGH_MEMORY);
}

static int virtual_alloc(uint64_t *at, uint64_t size, uint32_t type, uint32_t prot)
{
	uint64_t end, got = *at;
	if (!size || prot_host(prot) < 0 || !(type & (MEM_COMMIT | MEM_RESERVE | MEM_RESET)) ||
	    __builtin_add_overflow(*at, size, &end) || end > WIN_GUEST_END)
		return -EINVAL;
	if (type & MEM_RESET)
		return 0;
	if (type & MEM_RESERVE || !*at) {
		uint64_t lo = *at & ~(uint64_t)(GRANULE - 1);
		int r = space_reserve(&got, lo, *at - lo + size, prot, REGION_PRIVATE);
		if (r < 0)
			return r;
		if (type & MEM_COMMIT)
			r = space_commit(got, *at - lo + size, prot);
		*at = got;
		return r;
	}
	*at &= ~(uint64_t)(PAGE - 1);
	return space_commit(*at, end - *at, prot);
}

API(uint64_t, k32_VirtualAlloc, uint64_t at, uint64_t size, uint32_t type, uint32_t prot)
{
	int r = virtual_alloc(&at, size, type, prot);
	return r < 0 ? fail_status(r) : at;
}

API(uint64_t, k32_VirtualAllocEx, handle h, uint64_t at, uint64_t size, uint32_t type,
    uint32_t prot)
{
	(void)h;
	return k32_VirtualAlloc(at, size, type, prot);
}

/* What VirtualAlloc2 may be told: MEM_EXTENDED_PARAMETER, and to what its pointer leads. */
enum { PARAMETER_ADDRESS = 1, PARAMETER_NODE = 2, PARAMETER_FLAGS = 5 };
struct parameter {
	uint64_t type; /* 8 bits */
	union {
		uint64_t number;
		const struct requirements *place;
	};
};
struct requirements { /* MEM_ADDRESS_REQUIREMENTS; 0: any */
	uint64_t lowest, highest, align;
};

static int requirements_read(struct requirements *ret, const struct parameter *p, uint32_t n)
{
	*ret = (struct requirements){0, 0, 0};
	for (uint32_t i = 0; i < n; i++) {
		uint8_t type = p[i].type & 0xff;
		if (type == PARAMETER_ADDRESS && p[i].place)
			*ret = *p[i].place;
		else if (type != PARAMETER_NODE && type != PARAMETER_FLAGS)
			return -EINVAL;
	}
	if (ret->align & (ret->align - 1) || (ret->align && ret->align < GRANULE) ||
	    ret->lowest % GRANULE || (ret->highest && (ret->highest + 1) % PAGE) ||
	    (ret->highest && ret->highest <= ret->lowest))
		return -EINVAL;
	return 0;
}

/* The lowest place from @from on that is free and as it is wanted; 0: there is none. */
static uint64_t place_find(const struct requirements *q, uint64_t from, uint64_t size)
{
	uint64_t align = q->align ? q->align : GRANULE;
	uint64_t end = q->highest && q->highest < WIN_GUEST_END ? q->highest + 1 : WIN_GUEST_END;
	struct region r;
	if (from >= end)
		return 0;
	uint64_t at = align_up(from, align);
	while (at < end && size <= end - at) {
		bool used = space_at(at, &r);
		if (!used && r.lo <= at && size <= r.hi - at)
			return at;
		uint64_t next = align_up(r.hi, align);
		at = next > at ? next : at + align;
	}
	return 0;
}

static uint64_t alloc_placed(const struct requirements *q, uint64_t size, uint32_t type,
			     uint32_t prot)
{
	enum { TRIES = 64 }; /* others may take what was found */
	const uint64_t usual = UINT64_C(1) << 32;
	uint64_t from = q->lowest ? q->lowest : q->highest ? GRANULE : usual;
	int r = -ENOMEM;
	for (unsigned i = 0; i < TRIES; i++) {
		uint64_t at = place_find(q, from, align_up(size, PAGE));
		if (!at)
			break;
		from = at + GRANULE;
		if ((r = virtual_alloc(&at, size, type | MEM_RESERVE, prot)) == 0)
			return at;
		if (r != -EEXIST)
			break;
	}
	return fail_status(r);
}

API(uint64_t, k32_VirtualAlloc2, handle h, uint64_t at, uint64_t size, uint32_t type, uint32_t prot,
    const struct parameter *more, uint32_t n)
{
	struct requirements q;
	(void)h;
	if (requirements_read(&q, more, n) < 0)
		return fail(ERROR_INVALID_PARAMETER);
	if (!q.lowest && !q.highest && !q.align)
		return k32_VirtualAlloc(at, size, type, prot);
	/* as with VirtualAlloc, what is committed nowhere is reserved as well */
	return at || !size || !(type & (MEM_RESERVE | MEM_COMMIT))
		   ? fail(ERROR_INVALID_PARAMETER)
		   : alloc_placed(&q, size, type, prot);
}

static int virtual_free(uint64_t at, uint64_t size, uint32_t type)
{
	struct region r;
	if (type == MEM_RELEASE && !size && !space_at(at, &r))
		return -EFAULT;
	if (type == MEM_RELEASE)
		return size ? -EINVAL : space_release(at);
	if (type != MEM_DECOMMIT)
		return -EINVAL;
	if (!size) {
		if (!space_at(at, &r) || r.base != at)
			return -EFAULT;
		uint64_t base = r.base, hi = r.hi;
		while (space_at(hi, &r) && r.base == base)
			hi = r.hi;
		size = hi - at;
	}
	return space_decommit(at, size);
}

API(uint32_t, k32_VirtualFree, uint64_t at, uint64_t size, uint32_t type)
{
	int r = virtual_free(at, size, type);
	return r < 0 ? fail_status(r) : 1;
}

API(uint32_t, k32_VirtualFreeEx, handle h, uint64_t at, uint64_t size, uint32_t type)
{
	(void)h;
	return k32_VirtualFree(at, size, type);
}

API(uint32_t, k32_VirtualProtect, uint64_t at, uint64_t size, uint32_t prot, uint32_t *ret_old)
{
	uint32_t old;
	int r = space_protect(at, size, prot, &old);
	if (r < 0)
		return fail_status(r);
	if (!ret_old)
		return fail(ERROR_NOACCESS);
	*ret_old = old;
	return 1;
}

API(uint32_t, k32_VirtualProtectEx, handle h, uint64_t at, uint64_t size, uint32_t prot,
    uint32_t *ret_old)
{
	(void)h;
	return k32_VirtualProtect(at, size, prot, ret_old);
}

struct memory_information {
	uint64_t at, base;
	uint32_t first_prot, pad;
	uint64_t size;
	uint32_t state, prot, type, pad2;
};

API(uint64_t, k32_VirtualQuery, uint64_t at, struct memory_information *ret, uint64_t len)
{
	struct region r;
	if (len < sizeof *ret)
		return fail(ERROR_BAD_LENGTH);
	if (at >= WIN_GUEST_END)
		return fail(ERROR_INVALID_PARAMETER);
	at &= ~(uint64_t)(PAGE - 1);
	bool used = space_at(at, &r);
	*ret = (struct memory_information){
	    .at = at, .size = r.hi - at, .state = MEM_FREE, .prot = PAGE_NOACCESS};
	if (used) {
		ret->base = r.base;
		ret->first_prot = r.first_prot;
		ret->state = r.prot ? MEM_COMMIT : MEM_RESERVE;
		ret->prot = r.prot;
		ret->type = r.kind;
	}
	return sizeof *ret;
}

API(uint64_t, k32_VirtualQueryEx, handle h, uint64_t at, struct memory_information *ret,
    uint64_t len)
{
	(void)h;
	return k32_VirtualQuery(at, ret, len);
}

/* Pages stay where they are: locked enough for what asks. */
API(uint32_t, k32_VirtualLock, uint64_t at, uint64_t size)
{
	(void)at;
	(void)size;
	return 1;
}
API(uint32_t, k32_VirtualUnlock, uint64_t at, uint64_t size)
{
	(void)at;
	(void)size;
	return 1;
}
API(uint32_t, k32_FlushInstructionCache, handle h, uint64_t at, uint64_t size)
{
	(void)h;
	(void)at;
	(void)size;
	return 1;
}
API(uint64_t, k32_GetLargePageMinimum, void) { return 0; }
API(void, k32_FlushProcessWriteBuffers, void) { atomic_thread_fence(memory_order_seq_cst); }

API(uint32_t, k32_ReadProcessMemory, handle h, uint64_t from, void *to, uint64_t n, uint64_t *ret_n)
{
	(void)h;
	size_t left = host_copy(to, (const void *)(uintptr_t)from, n);
	if (ret_n)
		*ret_n = n - left;
	return left ? fail(ERROR_NOACCESS) : 1;
}

/* ---- heaps: all blocks are of one ---- */

enum { HEAP_ZERO = 8, HEAD = 16, HEAP_NO_SERIALIZE = 1, HEAP_IN_PLACE = 16 };
#define HEAP_HANDLE UINT64_C(0x10000)

void *heap_alloc(size_t n, bool zero)
{
	size_t whole;
	if (__builtin_add_overflow(n, HEAD, &whole))
		return NULL;
	uint64_t *p = zero ? calloc(1, whole) : malloc(whole);
	if (!p)
		return NULL;
	p[0] = n;
	return p + 2;
}

void heap_free(void *p)
{
	if (p)
		free((uint64_t *)p - 2);
}

size_t heap_size(const void *p) { return ((const uint64_t *)p)[-2]; }

void *heap_realloc(void *p, size_t n, bool zero)
{
	size_t whole, old = p ? heap_size(p) : 0;
	if (__builtin_add_overflow(n, HEAD, &whole))
		return NULL;
	uint64_t *q = realloc(p ? (uint64_t *)p - 2 : NULL, whole);
	if (!q)
		return NULL;
	q[0] = n;
	if (zero && n > old)
		memset((uint8_t *)(q + 2) + old, 0, n - old);
	return q + 2;
}

API(handle, k32_GetProcessHeap, void) { return HEAP_HANDLE; }
API(uint32_t, k32_GetProcessHeaps, uint32_t n, handle *ret)
{
	if (n)
		*ret = HEAP_HANDLE;
	return 1;
}

/* What a heap of its own would free at once stays until the end, unless it is freed block by
 * block. */
API(handle, k32_HeapCreate, uint32_t flags, uint64_t first, uint64_t most)
{
	(void)flags;
	(void)first;
	(void)most;
	return HEAP_HANDLE + 0x10000;
}
API(uint32_t, k32_HeapDestroy, handle h)
{
	(void)h;
	return 1;
}

API(void *, k32_HeapAlloc, handle h, uint32_t flags, uint64_t n)
{
	(void)h;
	return heap_alloc(n, flags & HEAP_ZERO);
}

API(uint32_t, k32_HeapFree, handle h, uint32_t flags, void *p)
{
	(void)h;
	(void)flags;
	heap_free(p);
	return 1;
}

API(void *, k32_HeapReAlloc, handle h, uint32_t flags, void *p, uint64_t n)
{
	(void)h;
	if (!p)
		return NULL;
	if (flags & HEAP_IN_PLACE)
		return n <= heap_size(p) ? p : NULL;
	return heap_realloc(p, n, flags & HEAP_ZERO);
}

API(uint64_t, k32_HeapSize, handle h, uint32_t flags, const void *p)
{
	(void)h;
	(void)flags;
	return p ? heap_size(p) : UINT64_MAX;
}

API(uint32_t, k32_HeapValidate, handle h, uint32_t flags, const void *p)
{
	(void)h;
	(void)flags;
	(void)p;
	return 1;
}
API(uint64_t, k32_HeapCompact, handle h, uint32_t flags)
{
	(void)h;
	(void)flags;
	return 1 << 20;
}
API(uint32_t, k32_HeapSetInformation, handle h, uint32_t what, void *p, uint64_t n)
{
	(void)h;
	(void)what;
	(void)p;
	(void)n;
	return 1;
}
API(uint32_t, k32_HeapQueryInformation, handle h, uint32_t what, uint32_t *p, uint64_t n,
    uint64_t *ret_n)
{
	(void)h;
	if (what || n < 4)
		return fail(ERROR_INSUFFICIENT_BUFFER);
	*p = 2; /* the low-fragmentation heap */
	if (ret_n)
		*ret_n = 4;
	return 1;
}
API(uint32_t, k32_HeapLock, handle h)
{
	(void)h;
	return 1;
}
API(uint32_t, k32_HeapUnlock, handle h)
{
	(void)h;
	return 1;
}

/* Blocks of 16-bit Windows: a handle is the address. */
API(void *, k32_LocalAlloc, uint32_t flags, uint64_t n) { return heap_alloc(n, flags & 0x40); }
API(void *, k32_LocalFree, void *p)
{
	heap_free(p);
	return NULL;
}
API(void *, k32_LocalReAlloc, void *p, uint64_t n, uint32_t flags)
{
	return heap_realloc(p, n, flags & 0x40);
}
API(uint64_t, k32_LocalSize, const void *p) { return p ? heap_size(p) : 0; }
API(void *, k32_GlobalLock, void *p) { return p; }
API(uint32_t, k32_GlobalUnlock, const void *p)
{
	(void)p;
	return 0;
}
