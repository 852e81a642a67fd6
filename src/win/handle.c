/* SPDX-License-Identifier: Apache-2.0 */
/* Handles: numbers, multiples of 4, for objects that count who has them. */
#include "win/internal.h"
#include <fcntl.h>

enum { HANDLES_MAX = 1 << 20, NAMED_MAX = 65536 };
struct entry {
	struct object *o; /* owned reference; NULL: free */
	bool inherit, protect;
};
static WIN_STATE struct {
	pthread_mutex_t lock;
	struct entry *all; /* owned */
	size_t n, next;
	struct object *named;
} table = {.lock = PTHREAD_MUTEX_INITIALIZER};

void *object_new(enum kind k, size_t size)
{
	struct object *o = malloc(size); /* calloc does not look into the thread's own cache */
	if (o) {
		memset(o, 0, size);
		o->kind = k;
		o->refs = 1;
	}
	return o;
}

void object_ref(struct object *o) { atomic_fetch_add(&o->refs, 1); }

/* Under the lock: nobody finds it from here on. */
static void name_remove(const struct object *o)
{
	for (struct object **p = &table.named; *p; p = &(*p)->next_named)
		if (*p == o) {
			*p = o->next_named;
			break;
		}
}

bool object_unname(struct object *o)
{
	pthread_mutex_lock(&table.lock);
	bool closed = o->handles == 0;
	if (closed)
		name_remove(o);
	pthread_mutex_unlock(&table.lock);
	return closed;
}

void object_unref(struct object *o)
{
	if (!o)
		return;
	if (o->name) {
		pthread_mutex_lock(&table.lock);
		bool last = atomic_fetch_sub(&o->refs, 1) == 1;
		if (last)
			name_remove(o);
		pthread_mutex_unlock(&table.lock);
		if (!last)
			return;
	} else if (atomic_fetch_sub(&o->refs, 1) != 1) {
		return;
	}
	if (o->fini)
		o->fini(o);
	free(o->name);
	free(o);
}

static size_t slot_find(void)
{
	for (size_t i = table.next; i < table.n; i++)
		if (!table.all[i].o)
			return i;
	size_t n = table.n ? 2 * table.n : 64;
	struct entry *all = n <= HANDLES_MAX ? realloc(table.all, n * sizeof *all) : NULL;
	if (!all)
		return SIZE_MAX;
	memset(all + table.n, 0, (n - table.n) * sizeof *all);
	table.all = all;
	size_t i = table.n;
	table.n = n;
	return i;
}

handle object_handle(struct object *o, bool inherit)
{
	pthread_mutex_lock(&table.lock);
	size_t i = slot_find();
	if (i != SIZE_MAX) {
		table.all[i] = (struct entry){.o = o, .inherit = inherit};
		table.next = i + 1;
		o->handles++;
	}
	pthread_mutex_unlock(&table.lock);
	if (i == SIZE_MAX) {
		object_unref(o);
		return fail(ERROR_NO_SYSTEM_RESOURCES);
	}
	return (i + 1) * 4;
}

/* Under the lock. */
static struct entry *entry_at(handle h)
{
	size_t i = h / 4 - 1;
	return h && h % 4 == 0 && i < table.n && table.all[i].o ? &table.all[i] : NULL;
}

void *object_get(handle h, enum kind k)
{
	struct object *o = NULL;
	if ((int32_t)h == -2 && (k == KIND_THREAD || k == KIND_ANY)) {
		o = thread_self()->object;
		object_ref(o);
		return o;
	}
	if ((int32_t)h == -1 && (k == KIND_PROCESS || k == KIND_ANY)) {
		o = process_object();
		object_ref(o);
		return o;
	}
	pthread_mutex_lock(&table.lock);
	struct entry *e = entry_at(h);
	if (e && (k == KIND_ANY || e->o->kind == k)) {
		o = e->o;
		object_ref(o);
	}
	pthread_mutex_unlock(&table.lock);
	if (!o)
		last_error_set(ERROR_INVALID_HANDLE);
	return o;
}

bool object_close(handle h)
{
	pthread_mutex_lock(&table.lock);
	struct entry *e = entry_at(h);
	struct object *o = e && !e->protect ? e->o : NULL;
	if (o) {
		e->o = NULL;
		size_t i = (size_t)(e - table.all);
		table.next = i < table.next ? i : table.next;
	}
	bool last = o && --o->handles == 0;
	pthread_mutex_unlock(&table.lock);
	if (last && o->closed)
		o->closed(o);
	object_unref(o);
	return o != NULL;
}

bool object_inherits(handle h, bool set, bool on)
{
	pthread_mutex_lock(&table.lock);
	struct entry *e = entry_at(h);
	if (e && set)
		e->inherit = on;
	bool is = e && e->inherit;
	pthread_mutex_unlock(&table.lock);
	return is;
}

struct inherited *objects_inherited(size_t *ret_n)
{
	size_t n = 0;
	pthread_mutex_lock(&table.lock);
	struct inherited *all = calloc(table.n + 1, sizeof *all);
	for (size_t i = 0; all && i < table.n; i++) {
		struct object *o = table.all[i].o;
		if (!o || !table.all[i].inherit ||
		    (o->kind != KIND_FILE && o->kind != KIND_SECTION))
			continue;
		object_ref(o);
		all[n++] = (struct inherited){(i + 1) * 4, o};
	}
	pthread_mutex_unlock(&table.lock);
	*ret_n = n;
	return all;
}

void object_put(const struct inherited *in)
{
	size_t i = in->h / 4 - 1;
	pthread_mutex_lock(&table.lock);
	if (i >= table.n) {
		size_t n = i + 64;
		struct entry *all = realloc(table.all, n * sizeof *all);
		if (all) {
			memset(all + table.n, 0, (n - table.n) * sizeof *all);
			table.all = all;
			table.n = n;
		}
	}
	if (i < table.n) {
		table.all[i] = (struct entry){.o = in->o, .inherit = true};
		in->o->refs++;
		in->o->handles++;
	}
	pthread_mutex_unlock(&table.lock);
}

int *object_descriptor(struct object *o)
{
	return o->kind == KIND_FILE      ? &((struct file *)(void *)o)->fd
	       : o->kind == KIND_SECTION ? section_descriptor(o)
					 : NULL;
}

void object_inherit(struct object *o)
{
	o->refs = o->handles = 0; /* object_put counts them */
	o->waiters = NULL;
	if (o->kind == KIND_SECTION) {
		section_inherit(o);
	} else {
		struct file *f = (struct file *)(void *)o;
		f->port = NULL;
		f->delete_on_close = false;
		f->need = 0; /* sharing and locks are of who has opened it */
		f->share_next = NULL;
		f->locked = NULL;
		f->watch = NULL;
		pipe_end_inherit(f->end);
	}
}

void handles_each(enum kind k, void (*fn)(struct object *o, void *arg), void *arg)
{
	pthread_mutex_lock(&table.lock);
	for (size_t i = 0; i < table.n; i++)
		if (table.all[i].o && table.all[i].o->kind == k)
			fn(table.all[i].o, arg);
	pthread_mutex_unlock(&table.lock);
}

/* ---- names: of this process alone, for now ---- */

struct object *object_named(const char *name, enum kind k)
{
	struct object *o;
	pthread_mutex_lock(&table.lock);
	for (o = table.named; o && (strcmp(o->name, name) || o->kind != k); o = o->next_named)
		continue;
	if (o)
		object_ref(o);
	pthread_mutex_unlock(&table.lock);
	return o;
}

struct object *object_name(struct object *o, const char *name, bool *ret_old)
{
	*ret_old = false;
	if (!name || !*name)
		return o;
	struct object *old = object_named(name, o->kind);
	if (old) {
		object_unref(o);
		*ret_old = true;
		return old;
	}
	if (!(o->name = strdup(name)))
		return o;
	pthread_mutex_lock(&table.lock);
	o->next_named = table.named;
	table.named = o;
	pthread_mutex_unlock(&table.lock);
	return o;
}

/* ---- functions ---- */

API(uint32_t, k32_CloseHandle, handle h)
{
	if ((int32_t)h == -1 || (int32_t)h == -2)
		return 1;
	return object_close(h) ? 1 : fail(ERROR_INVALID_HANDLE);
}

API(uint32_t, nt_NtClose, handle h)
{
	return object_close(h) || (int32_t)h == -1 || (int32_t)h == -2 ? STATUS_SUCCESS
								       : STATUS_INVALID_HANDLE;
}

enum { DUPLICATE_CLOSE_SOURCE = 1, HANDLE_FLAG_INHERIT = 1, HANDLE_FLAG_PROTECT = 2 };

API(uint32_t, k32_DuplicateHandle, handle from, handle h, handle to, handle *ret, uint32_t access,
    uint32_t inherit, uint32_t options)
{
	(void)access;
	struct object *of = object_get(from, KIND_PROCESS), *into = object_get(to, KIND_PROCESS);
	bool mine = of == process_object() && into == of;
	bool both = of && into;
	object_unref(of);
	object_unref(into);
	if (!mine) /* handles are in the memory of each */
		return both ? fail(ERROR_NOT_SUPPORTED) : 0;
	struct object *o = object_get(h, KIND_ANY);
	if (!o)
		return 0;
	handle got = object_handle(o, inherit != 0);
	if (!got)
		return 0;
	if (ret)
		*ret = got;
	else
		object_close(got);
	if (options & DUPLICATE_CLOSE_SOURCE)
		object_close(h);
	return 1;
}

API(uint32_t, k32_GetHandleInformation, handle h, uint32_t *ret)
{
	pthread_mutex_lock(&table.lock);
	struct entry *e = entry_at(h);
	if (e)
		*ret =
		    (e->inherit ? HANDLE_FLAG_INHERIT : 0) | (e->protect ? HANDLE_FLAG_PROTECT : 0);
	pthread_mutex_unlock(&table.lock);
	return e ? 1 : fail(ERROR_INVALID_HANDLE);
}

API(uint32_t, k32_SetHandleInformation, handle h, uint32_t mask, uint32_t flags)
{
	pthread_mutex_lock(&table.lock);
	struct entry *e = entry_at(h);
	if (e && mask & HANDLE_FLAG_INHERIT)
		e->inherit = flags & HANDLE_FLAG_INHERIT;
	if (e && mask & HANDLE_FLAG_PROTECT)
		e->protect = flags & HANDLE_FLAG_PROTECT;
	pthread_mutex_unlock(&table.lock);
	return e ? 1 : fail(ERROR_INVALID_HANDLE);
}

API(uint32_t, k32_CompareObjectHandles, handle a, handle b)
{
	struct object *x = object_get(a, KIND_ANY), *y = object_get(b, KIND_ANY);
	bool same = x && x == y;
	object_unref(x);
	object_unref(y);
	return same;
}
