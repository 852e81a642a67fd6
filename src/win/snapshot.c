/* SPDX-License-Identifier: Apache-2.0 */
/* CreateToolhelp32Snapshot and EnumerateLoadedModules: lists, as they were, of what the guest sees:
 * itself, its threads, its modules. Other processes are none of its business, those that it has
 * started have handles. */
#include "win/internal.h"

enum { OF_PROCESSES = 2, OF_THREADS = 4, OF_MODULES = 8, PRIORITY = 8 };
enum { NAME_MAX_UNITS = 260, MODULE_NAME_UNITS = 256 };

/* PROCESSENTRY32W, THREADENTRY32, MODULEENTRY32W */
struct process_entry {
	uint32_t size, usage, pid, pad;
	uint64_t heap;
	uint32_t module, threads, parent;
	int32_t priority;
	uint32_t flags;
	wide name[NAME_MAX_UNITS];
};
struct thread_entry {
	uint32_t size, usage, tid, pid;
	int32_t priority, change;
	uint32_t flags;
};
struct module_entry {
	uint32_t size, id, pid, usage, usage_here, pad;
	uint64_t base;
	uint32_t len, pad2;
	uint64_t handle;
	wide name[MODULE_NAME_UNITS], path[NAME_MAX_UNITS];
};
static_assert(sizeof(struct process_entry) == 568 && sizeof(struct module_entry) == 1080,
	      "tlhelp32.h");

enum list { PROCESSES, THREADS, MODULES, LISTS };
struct snapshot {
	struct object o;
	uint32_t n[LISTS], at[LISTS]; /* of each: entries, and the one to come */
	bool short_of_memory;
	uint32_t *threads; /* owned */
	struct {
		uint64_t base;
		uint32_t len;
		char *name, *path; /* owned */
	} * modules;               /* owned */
};

static void snapshot_fini(struct object *o)
{
	struct snapshot *s = (struct snapshot *)(void *)o;
	for (uint32_t i = 0; i < s->n[MODULES]; i++) {
		free(s->modules[i].name);
		free(s->modules[i].path);
	}
	free(s->modules);
	free(s->threads);
}

static bool threads_take(struct snapshot *s)
{
	uint32_t n = 0;
	threads_lock();
	for (const struct thread *t = threads_first(); t; t = t->next)
		n++;
	s->threads = calloc(n + 1, sizeof *s->threads);
	for (const struct thread *t = threads_first(); t && s->threads; t = t->next)
		s->threads[s->n[THREADS]++] = t->tid;
	threads_unlock();
	return s->threads != NULL;
}

static bool module_take(const struct module *m, void *arg)
{
	struct snapshot *s = arg;
	void *all = realloc(s->modules, (s->n[MODULES] + 1) * sizeof *s->modules);
	if (!all) {
		s->short_of_memory = true;
		return false;
	}
	s->modules = all;
	__typeof__(&s->modules[0]) to = &s->modules[s->n[MODULES]++];
	to->base = (uint64_t)(uintptr_t)m->im.at;
	to->len = m->im.size;
	to->name = strdup(m->name);
	to->path = strdup(m->path ? m->path : m->name);
	s->short_of_memory = !to->name || !to->path;
	return !s->short_of_memory;
}

static bool modules_take(struct snapshot *s)
{
	modules_each(module_take, s);
	return !s->short_of_memory;
}

API(handle, k32_CreateToolhelp32Snapshot, uint32_t flags, uint32_t pid)
{
	if (flags & OF_MODULES && pid && pid != process()->pid) {
		last_error_set(ERROR_ACCESS_DENIED);
		return HANDLE_BAD;
	}
	struct snapshot *s = object_new(KIND_SNAPSHOT, sizeof *s);
	if (!s)
		return fail(ERROR_NOT_ENOUGH_MEMORY), HANDLE_BAD;
	s->o.fini = snapshot_fini;
	s->n[PROCESSES] = (flags & OF_PROCESSES) != 0;
	if ((flags & OF_THREADS && !threads_take(s)) || (flags & OF_MODULES && !modules_take(s))) {
		object_unref(&s->o);
		return fail(ERROR_NOT_ENOUGH_MEMORY), HANDLE_BAD;
	}
	handle h = object_handle(&s->o, false);
	return h ? h : HANDLE_BAD;
}

/* The snapshot @h, whose next entry of @l has the number *@ret: the first one's if @first. NULL:
 * there is none, or what it shall go into is of @has bytes and not of @needs. Unref'd by the
 * caller. */
static struct snapshot *entry_next(handle h, uint32_t has, size_t needs, enum list l, bool first,
				   uint32_t *ret)
{
	struct snapshot *s = object_get(h, KIND_SNAPSHOT);
	if (!s)
		return NULL;
	s->at[l] = first ? 0 : s->at[l];
	if (has >= needs && s->at[l] < s->n[l]) {
		*ret = s->at[l]++;
		return s;
	}
	object_unref(&s->o);
	fail(has < needs ? ERROR_BAD_LENGTH : ERROR_NO_MORE_FILES);
	return NULL;
}

static uint32_t process_next(handle h, struct process_entry *e, bool first)
{
	uint32_t i, n = 0;
	struct snapshot *s = entry_next(h, e->size, sizeof *e, PROCESSES, first, &i);
	if (!s)
		return 0;
	object_unref(&s->o);
	threads_lock();
	for (const struct thread *t = threads_first(); t; t = t->next)
		n++;
	threads_unlock();
	*e = (struct process_entry){
	    .size = sizeof *e, .pid = process()->pid, .threads = n, .priority = PRIORITY};
	wide_give(process()->main->name, e->name, NAME_MAX_UNITS);
	return 1;
}

API(uint32_t, k32_Process32FirstW, handle h, struct process_entry *e)
{
	return process_next(h, e, true);
}
API(uint32_t, k32_Process32NextW, handle h, struct process_entry *e)
{
	return process_next(h, e, false);
}

/* The same with a name of bytes. */
struct process_entry_narrow {
	uint8_t head[offsetof(struct process_entry, name)];
	char name[NAME_MAX_UNITS];
};
static uint32_t process_next_narrow(handle h, struct process_entry_narrow *e, bool first)
{
	struct process_entry w = {.size = sizeof w};
	if (le32_at(e->head) < sizeof *e)
		return fail(ERROR_BAD_LENGTH);
	if (!process_next(h, &w, first))
		return 0;
	w.size = sizeof *e;
	memcpy(e->head, &w, sizeof e->head);
	e->name[utf8_put(w.name, wide_len(w.name), e->name, NAME_MAX_UNITS - 1, NULL)] = 0;
	return 1;
}
API(uint32_t, k32_Process32First, handle h, struct process_entry_narrow *e)
{
	return process_next_narrow(h, e, true);
}
API(uint32_t, k32_Process32Next, handle h, struct process_entry_narrow *e)
{
	return process_next_narrow(h, e, false);
}

static uint32_t thread_next(handle h, struct thread_entry *e, bool first)
{
	uint32_t i;
	struct snapshot *s = entry_next(h, e->size, sizeof *e, THREADS, first, &i);
	if (!s)
		return 0;
	*e = (struct thread_entry){.size = sizeof *e,
				   .tid = s->threads[i],
				   .pid = process()->pid,
				   .priority = PRIORITY};
	object_unref(&s->o);
	return 1;
}

API(uint32_t, k32_Thread32First, handle h, struct thread_entry *e)
{
	return thread_next(h, e, true);
}
API(uint32_t, k32_Thread32Next, handle h, struct thread_entry *e)
{
	return thread_next(h, e, false);
}

static uint32_t module_next(handle h, struct module_entry *e, bool first)
{
	uint32_t i;
	struct snapshot *s = entry_next(h, e->size, sizeof *e, MODULES, first, &i);
	if (!s)
		return 0;
	*e = (struct module_entry){.size = sizeof *e,
				   .id = 1,
				   .pid = process()->pid,
				   .usage = 0xffff,
				   .usage_here = 0xffff,
				   .base = s->modules[i].base,
				   .len = s->modules[i].len,
				   .handle = s->modules[i].base};
	wide_give(s->modules[i].name, e->name, MODULE_NAME_UNITS);
	wide_give(s->modules[i].path, e->path, NAME_MAX_UNITS);
	object_unref(&s->o);
	return 1;
}

API(uint32_t, k32_Module32FirstW, handle h, struct module_entry *e)
{
	return module_next(h, e, true);
}
API(uint32_t, k32_Module32NextW, handle h, struct module_entry *e)
{
	return module_next(h, e, false);
}

/* ---- dbghelp: the modules, each told to the guest ---- */

/* @fn(name, base, size, @arg) of each, until it says 0. */
static uint32_t modules_tell_each(uint64_t fn, uint64_t arg, bool in_wide)
{
	struct snapshot s = {0};
	bool had = modules_take(&s), goes = had;
	for (uint32_t i = 0; goes && i < s.n[MODULES]; i++) {
		const char *path = s.modules[i].path;
		autofree wide *w = in_wide ? text_wide(path, SIZE_MAX) : NULL;
		uint64_t name = in_wide ? (uint64_t)(uintptr_t)w : (uint64_t)(uintptr_t)path;
		had = name != 0;
		goes = had && guest_call4(fn, name, s.modules[i].base, s.modules[i].len, arg);
	}
	snapshot_fini(&s.o);
	return had ? 1 : fail(ERROR_NOT_ENOUGH_MEMORY);
}

API(uint32_t, dbg_EnumerateLoadedModules64, handle p, uint64_t fn, uint64_t arg)
{
	(void)p;
	return modules_tell_each(fn, arg, false);
}
API(uint32_t, dbg_EnumerateLoadedModulesW64, handle p, uint64_t fn, uint64_t arg)
{
	(void)p;
	return modules_tell_each(fn, arg, true);
}
