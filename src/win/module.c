/* SPDX-License-Identifier: Apache-2.0 */
/* Modules: images mapped, moved, bound to each other, and told when they begin and end. Libraries
 * that are ours have a page with headers, so that their handles are addresses like others. */
#include "win/internal.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

enum { EXIT_WAIT_MS = 100, NEEDS_ANOTHER = 1157 /* what it needs is not there; it is */ };
enum { MODULES_MAX = 1024, FORWARDS_MAX = 8, TLS_MODULES = 256, HUGE_LEAST = 8 << 20 };
static WIN_STATE struct {
	pthread_mutex_t lock; /* the loader lock, held while the guest is told; recursive */
	pthread_once_t once;
	pthread_mutex_t list; /* inside of all others: of what is linked by next */
	struct module *first, **end;
	struct module *order[MODULES_MAX]; /* as they are told, dependencies first */
	size_t norder, count;
	bool tls[TLS_MODULES]; /* indices that are taken */
	uint32_t tls_taken;    /* how often one was */
	uint32_t round;  /* of modules_tell */
	uint32_t flags;  /* of what is being loaded: LOAD_... */
	const char *own; /* and its folder, if that is looked into */
	bool begun; /* the program and what it imports are loaded */
} modules = {.once = PTHREAD_ONCE_INIT, .list = PTHREAD_MUTEX_INITIALIZER};

static void lock_init(void)
{
	pthread_mutexattr_t a;
	pthread_mutexattr_init(&a);
	pthread_mutexattr_settype(&a, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&modules.lock, &a);
	modules.end = &modules.first;
}

static void modules_lock(void)
{
	pthread_once(&modules.once, lock_init);
	pthread_mutex_lock(&modules.lock);
}

/* False: somebody else has had it all that time. The process ends without it, for there such
 * threads are ended first. */
static bool modules_lock_for(uint32_t ms)
{
	if (ms == INFINITE)
		return modules_lock(), true;
	uint64_t until = deadline_of_ms(ms);
	const struct timespec ts = {.tv_sec = (time_t)(until / 1000000000),
				    .tv_nsec = (long)(until % 1000000000)};
	pthread_once(&modules.once, lock_init);
	return pthread_mutex_clocklock(&modules.lock, CLOCK_MONOTONIC, &ts) == 0;
}

static void modules_unlock(void) { pthread_mutex_unlock(&modules.lock); }

void modules_each(bool (*fn)(const struct module *m, void *arg), void *arg)
{
	pthread_mutex_lock(&modules.list);
	for (const struct module *m = modules.first; m && fn(m, arg); m = m->next)
		continue;
	pthread_mutex_unlock(&modules.list);
}

static const char *base_name(const char *path)
{
	const char *s = strrchr(path, '\\'), *t = strrchr(path, '/');
	s = t > s ? t : s;
	return s ? s + 1 : path;
}

/* "KERNEL32" and "kernel32.dll" are the same; "a." has no suffix. */
static bool same_name(const char *asked, const char *name)
{
	size_t n = strlen(asked), m = strlen(name);
	if (!strchr(asked, '.') && m == n + 4 && !strcasecmp(name + n, ".dll"))
		return !strncasecmp(asked, name, n);
	if (n && asked[n - 1] == '.')
		return m == n - 1 && !strncasecmp(asked, name, m);
	return !strcasecmp(asked, name);
}

/* API sets of the kernel's are kernel32, which is always there. */
static bool is_library(const struct library *loaded, const struct library *asked)
{
	return loaded->name == asked->name ||
	       (loaded->apis == asked->apis && !strcmp(asked->name, "api-ms-win-core-") &&
		!strcmp(loaded->name, "kernel32"));
}

struct module *module_find(const char *name)
{
	const struct library *l = strpbrk(name, "\\/:") ? NULL : library_find(name);
	struct module *m;
	pthread_mutex_lock(&modules.list);
	for (m = modules.first; m; m = m->next)
		if (l ? m->library && is_library(m->library, l)
		      : same_name(name, strpbrk(name, "\\/:") ? m->path : m->name))
			break;
	pthread_mutex_unlock(&modules.list);
	return m;
}

struct module *module_at(uint64_t at)
{
	struct module *m;
	pthread_mutex_lock(&modules.list);
	for (m = modules.first; m; m = m->next)
		if (at - (uint64_t)(uintptr_t)m->im.at < m->im.size)
			break;
	pthread_mutex_unlock(&modules.list);
	return m;
}

struct module *module_of_handle(uint64_t h)
{
	struct module *m;
	if (!h)
		return process()->main;
	pthread_mutex_lock(&modules.list);
	for (m = modules.first; m && (uint64_t)(uintptr_t)m->im.at != h; m = m->next)
		continue;
	pthread_mutex_unlock(&modules.list);
	return m;
}

/* ---- the lists of the PEB ---- */

enum { LDR_ENTRY = 0x120, LDR_DATA = 0x60 };

static void unicode_put(uint8_t *at, const char *s)
{
	wide *w = text_wide(s, SIZE_MAX);
	size_t n = w ? wide_len(w) : 0;
	le16_put(at, (uint16_t)(2 * n));
	le16_put(at + 2, (uint16_t)(2 * n + 2));
	le64_put(at + 8, (uint64_t)(uintptr_t)w); /* for good */
}

static void list_append(uint8_t *head, uint8_t *node)
{
	uint8_t *last = (uint8_t *)(uintptr_t)le64_at(head + 8);
	le64_put(node, (uint64_t)(uintptr_t)head);
	le64_put(node + 8, (uint64_t)(uintptr_t)last);
	le64_put(last, (uint64_t)(uintptr_t)node);
	le64_put(head + 8, (uint64_t)(uintptr_t)node);
}

static void ldr_add(struct module *m)
{
	uint8_t *peb = process()->peb, *data = (uint8_t *)(uintptr_t)le64_at(peb + PEB_LDR);
	if (!data) {
		data = calloc(1, LDR_DATA);
		if (!data)
			return;
		le32_put(data, LDR_DATA);
		data[4] = 1;
		for (unsigned i = 0; i < 3; i++) {
			uint64_t head = (uint64_t)(uintptr_t)data + 0x10 + 16 * i;
			le64_put(data + 0x10 + 16 * i, head);
			le64_put(data + 0x18 + 16 * i, head);
		}
		le64_put(peb + PEB_LDR, (uint64_t)(uintptr_t)data);
	}
	if (!(m->ldr = calloc(1, LDR_ENTRY)))
		return;
	le64_put(m->ldr + 0x30, (uint64_t)(uintptr_t)m->im.at);
	le64_put(m->ldr + 0x38, (uint64_t)(uintptr_t)m->im.at + m->pe.entry);
	le32_put(m->ldr + 0x40, m->im.size);
	unicode_put(m->ldr + 0x48, m->path);
	unicode_put(m->ldr + 0x58, m->name);
	le32_put(m->ldr + 0x68, 0x80004); /* LDRP_IMAGE_DLL | LDRP_ENTRY_PROCESSED */
	le16_put(m->ldr + 0x6c, 1);
	for (unsigned i = 0; i < 3; i++)
		list_append(data + 0x10 + 16 * i, m->ldr + 16 * i);
}

static void ldr_remove(struct module *m)
{
	for (unsigned i = 0; m->ldr && i < 3; i++) {
		uint8_t *node = m->ldr + 16 * i;
		uint8_t *next = (uint8_t *)(uintptr_t)le64_at(node);
		uint8_t *last = (uint8_t *)(uintptr_t)le64_at(node + 8);
		le64_put(last, (uint64_t)(uintptr_t)next);
		le64_put(next + 8, (uint64_t)(uintptr_t)last);
	}
	free(m->ldr);
}

static struct module *module_new(const char *path)
{
	struct module *m = calloc(1, sizeof *m);
	if (!m || modules.count >= MODULES_MAX || !(m->path = strdup(path)))
		process_die(LODGE_EXIT_LODGE, "no memory for the guest");
	m->name = m->path + (base_name(m->path) - m->path);
	m->im.pe = &m->pe;
	m->late = modules.begun;
	m->refs = 1;
	return m;
}

static void module_list(struct module *m)
{
	modules.count++;
	pthread_mutex_lock(&modules.list);
	*modules.end = m;
	modules.end = &m->next;
	pthread_mutex_unlock(&modules.list);
	ldr_add(m);
}

static struct module *ours_new(const struct library *l, const char *asked)
{
	char path[300];
	size_t n = strlen(asked);
	bool set = l->name[strlen(l->name) - 1] == '-';
	snprintf(path, sizeof path, "C:\\Windows\\System32\\%.200s%s", set ? asked : l->name,
		 set && n > 4 && !strcasecmp(asked + n - 4, ".dll") ? "" : ".dll");
	struct module *m = module_new(path);
	uint8_t *p = space_new(PAGE, PAGE_READWRITE);
	uint32_t old;
	memcpy(p, "MZ", 2);
	le32_put(p + 60, 64);
	memcpy(p + 64, "PE\0\0\x64\x86", 6);
	le16_put(p + 64 + 20, 240);
	le16_put(p + 64 + 22, 0x2022);
	le16_put(p + 64 + 24, 0x20b);
	le64_put(p + 64 + 24 + 24, (uint64_t)(uintptr_t)p);
	le32_put(p + 64 + 24 + 56, PAGE);
	if (space_protect((uint64_t)(uintptr_t)p, PAGE, PAGE_READONLY, &old) < 0)
		process_die(LODGE_EXIT_LODGE, "no memory for the guest");
	m->ours = m->started = true;
	m->library = l;
	m->im.at = p;
	m->im.size = m->pe.size = PAGE;
	module_list(m);
	return m;
}

/* ---- one image ---- */

static uint32_t section_prot(const struct pe_section *s)
{
	if (s->exec)
		return s->write ? PAGE_EXECUTE_READWRITE : PAGE_EXECUTE_READ;
	return s->write ? PAGE_READWRITE : s->read ? PAGE_READONLY : PAGE_NOACCESS;
}

static bool tls_index_take(struct module *m)
{
	uint32_t i = 0;
	while (i < TLS_MODULES && modules.tls[i])
		i++;
	if (i == TLS_MODULES)
		return false;
	modules.tls[i] = true;
	modules.tls_taken++;
	*m->tls.index = m->tls_index = i;
	return true;
}

/* Sections of the program that are kept as they lie in memory need not be copied. False: none. */
static bool image_take(struct module *m)
{
	const struct win_image *kept = &process()->start->image;
	const int how = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP; /* for children, too */
	bool any = false;
	if (m != process()->main || !kept->at || !kept->fits)
		return false;
	for (unsigned i = 0; i < m->pe.nsections; i++) {
		struct pe_section *s = &m->pe.sections[i];
		size_t len = align_up(s->file_len, PAGE); /* what follows is zero */
		uint8_t *at = m->im.at + s->rva;
		if (!pe_section_kept(s))
			continue;
		if (mremap(kept->at + s->rva, len, len, how, at) == MAP_FAILED) {
			/* what was there may be gone by then */
			if (mmap(at, len, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
				process_die(LODGE_EXIT_LODGE, "no memory for the guest");
			continue;
		}
		/* as what is not kept, until the image is whole */
		if (mprotect(at, len, PROT_READ | PROT_WRITE) < 0)
			process_die(LODGE_EXIT_LODGE, "no memory for the guest");
		s->filled = any = true;
	}
	return any;
}

static int image_map(struct module *m, const uint8_t *file, uint64_t len, struct lodge_err *e)
{
	uint64_t at = 0;
	m->im.size = m->pe.size;
	int r = space_reserve(&at, m->pe.base, m->pe.size, PAGE_EXECUTE_WRITECOPY, REGION_IMAGE);
	if (r < 0)
		r = space_reserve(&at, 0, m->pe.size, PAGE_EXECUTE_WRITECOPY, REGION_IMAGE);
	if (r == 0)
		r = space_commit(at, m->pe.size, PAGE_READWRITE);
	if (r < 0)
		return err_set(e, -r, "%s: no room for its image of %u bytes", m->name, m->pe.size);
	m->im.at = (uint8_t *)(uintptr_t)at;
	bool taken = image_take(m);
	if (taken)
		;                          /* what is left is little */
	else if (m->pe.size >= HUGE_LEAST) /* fewer faults; it is all filled anyway */
		(void)!madvise(m->im.at, m->pe.size, MADV_HUGEPAGE);
	else
		host_pages_ready(m->im.at, min_u64(m->pe.size, len));
	pe_fill(&m->im, file, len);
	r = pe_relocate(&m->im, e);
	if (r == 0)
		r = pe_tls(&m->im, &m->tls, e);
	if (r > 0 && !(m->tls_used = tls_index_take(m)))
		r = err_set(e, ENOMEM, "too many libraries have memory of threads");
	return r < 0 ? err_in(e, r, "%s", m->name) : 0;
}

static int image_protect(struct module *m, struct lodge_err *e)
{
	uint64_t at = (uint64_t)(uintptr_t)m->im.at, from = 0;
	uint64_t to = align_up(m->pe.headers_len, PAGE);
	uint32_t old, prot = PAGE_READONLY;
	int r = 0;
	/* neighbours that are protected alike are one call of the host */
	for (unsigned i = 0; r == 0 && i <= m->pe.nsections; i++) {
		const struct pe_section *s = i < m->pe.nsections ? &m->pe.sections[i] : NULL;
		if (s && !s->mem_len)
			continue;
		if (!s || s->rva != to || section_prot(s) != prot) {
			r = space_protect(at + from, to - from, prot, &old);
			from = s ? s->rva : 0;
			prot = s ? section_prot(s) : 0;
		}
		to = s ? s->rva + align_up(s->mem_len, PAGE) : 0;
	}
	return r < 0 ? err_set(e, -r, "%s: cannot protect its sections", m->name) : 0;
}

static uint32_t load(struct module **ret, const char *name, struct lodge_err *e);

/* @m has a reference to @of, and drops it when it goes. */
static bool need_add(struct module *m, struct module *of)
{
	struct module **all = realloc(m->needs, (m->nneeds + 1) * sizeof(struct module *));
	if (!all)
		return false;
	m->needs = all;
	m->needs[m->nneeds++] = of;
	return true;
}

static void *import_find(struct module *from, const char *library, const struct pe_import *i)
{
	void *at = from ? module_symbol(from, i->name, i->ordinal, 0) : NULL;
	return at ? at : stub_new(library, i->name, i->ordinal);
}

static int image_bind(struct module *m, bool delayed, struct lodge_err *e)
{
	struct pe_imports w;
	struct pe_import i;
	int r;
	pe_imports_begin(&w, &m->im, delayed);
	while ((r = pe_imports_library(&w, e)) > 0) {
		struct module *from = NULL;
		uint32_t bad = load(&from, w.library, e);
		if (bad == ERROR_MOD_NOT_FOUND && !delayed)
			return err_set(e, ENOENT,
				       "%s needs the library %s, which is neither ours "
				       "nor beside it",
				       m->name, w.library);
		if (bad && !delayed)
			return bad == NEEDS_ANOTHER ? -ENOENT : -ENOEXEC;
		if (from && !need_add(m, from))
			return err_set(e, ENOMEM, "%s: no memory", m->name);
		while ((r = pe_imports_next(&w, &i, e)) > 0)
			le64_put(i.slot, (uint64_t)(uintptr_t)import_find(from, w.library, &i));
		if (r < 0)
			break;
	}
	return r < 0 ? err_in(e, r, "%s", m->name) : 0;
}

/* Bound, protected, known, but not told yet. */
static int image_load(struct module *m, const uint8_t *file, uint64_t len, struct lodge_err *e)
{
	int r = image_map(m, file, len, e);
	if (r < 0)
		return r;
	module_list(m);
	r = image_bind(m, false, e);
	if (r == 0)
		r = image_bind(m, true, e);
	if (r == 0)
		r = image_protect(m, e);
	if (r == 0) {
		m->told = modules.round; /* who comes in a round is not told of it */
		modules.order[modules.norder++] = m;
	}
	return r;
}

int module_main(struct module **ret, struct lodge_err *e)
{
	const struct win_start *s = process()->start;
	modules_lock();
	struct module *m = module_new(s->program);
	int r = pe_read(&m->pe, s->file, s->file_len, e);
	if (r == 0)
		r = pe_runnable(&m->pe, e);
	process()->main = m;
	if (r == 0)
		r = image_load(m, s->file, s->file_len, e);
	modules.begun = true;
	modules_unlock();
	*ret = m;
	return r;
}

/* ---- libraries of the guest ---- */

static int file_map(const char *path, const uint8_t **ret, uint64_t *ret_len, struct lodge_err *e)
{
	struct stat st;
	autofree char *host = path_linux(path);
	autoclose int fd = host ? open(host, O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, "%s", path);
	void *p =
	    st.st_size ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
	if (p == MAP_FAILED)
		return err_set(e, EINVAL, "%s is no library", path);
	*ret = p;
	*ret_len = (uint64_t)st.st_size;
	return 0;
}

static void order_remove(const struct module *m)
{
	for (size_t i = 0; i < modules.norder; i++)
		if (modules.order[i] == m) {
			modules.norder--;
			memmove(modules.order + i, modules.order + i + 1,
				(modules.norder - i) * sizeof m);
			return;
		}
}

static void list_remove(const struct module *m)
{
	pthread_mutex_lock(&modules.list);
	struct module **p = &modules.first;
	while (*p && *p != m)
		p = &(*p)->next;
	if (*p) {
		*p = m->next;
		modules.count--;
	}
	if (modules.end == &m->next)
		modules.end = p;
	pthread_mutex_unlock(&modules.list);
}

static void tls_index_drop(const struct module *m)
{
	threads_lock();
	for (struct thread *t = threads_first(); t; t = t->next) {
		uint64_t *blocks = (uint64_t *)(void *)t->tls_blocks;
		if (blocks) {
			free((void *)(uintptr_t)blocks[m->tls_index]);
			blocks[m->tls_index] = 0;
		}
	}
	threads_unlock();
	modules.tls[m->tls_index] = false;
}

/* Under the loader lock: it goes, whole or half-made, and with it what only it needs. */
static void module_drop(struct module *m)
{
	m->refs = 0;
	order_remove(m);
	list_remove(m);
	if (m->ldr)
		ldr_remove(m);
	if (m->tls_used)
		tls_index_drop(m);
	for (size_t i = m->nneeds; i--;)
		module_unload(m->needs[i]);
	if (m->im.at)
		(void)!space_release((uint64_t)(uintptr_t)m->im.at);
	free(m->needs);
	free(m->path);
	free(m);
}

static uint32_t load(struct module **ret, const char *name, struct lodge_err *e)
{
	const struct library *l = strpbrk(name, "\\/:") ? NULL : library_find(name);
	const uint8_t *file = NULL;
	uint64_t len = 0;
	struct module *m = module_find(name);
	if (m) {
		m->refs++;
		*ret = m;
		return 0;
	}
	if (l) {
		*ret = ours_new(l, name);
		return 0;
	}
	autofree char *path = library_path(name, modules.flags, modules.own);
	if (!path)
		return ERROR_MOD_NOT_FOUND;
	if ((m = module_find(path))) {
		m->refs++;
		*ret = m;
		return 0;
	}
	if (file_map(path, &file, &len, e) < 0)
		return ERROR_MOD_NOT_FOUND;
	m = module_new(path);
	int r = pe_read(&m->pe, file, len, e);
	if (r == 0 && !m->pe.dll)
		r = err_set(e, ENOTSUP, "%s is a program, not a library", name);
	if (r == 0)
		r = image_load(m, file, len, e);
	munmap((void *)(uintptr_t)file, len);
	if (r < 0)
		module_drop(m);
	else
		*ret = m;
	return r == -ENOENT ? NEEDS_ANOTHER : r < 0 ? ERROR_BAD_EXE_FORMAT : 0;
}

/* ---- telling ---- */

/* What comes and goes with the program itself is told so, by a pointer that is not 0. */
static bool module_tell(struct module *m, uint32_t reason)
{
	uint64_t at = (uint64_t)(uintptr_t)m->im.at;
	uint32_t rva, ok = 1;
	uint64_t with_all = reason == TELL_PROCESS_ATTACH   ? !m->late
			    : reason == TELL_PROCESS_DETACH ? process()->exiting
							    : 0;
	for (unsigned i = 0; m->tls_used && (rva = pe_tls_callback(&m->im, &m->tls, i)); i++)
		guest_call4(at + rva, at, reason, with_all, 0);
	if (m->pe.dll && m->pe.entry)
		ok = guest_call4(at + m->pe.entry, at, reason, with_all, 0);
	return ok != 0;
}

/* It begins if it has not yet, behind what it needs; nothing else does, so that a library which
 * loads another one meanwhile learns of that one only. False: it, or what it needs, will not. */
static bool module_start(struct module *m)
{
	bool ok = true;
	if (m->ours || m->starts)
		return !m->failed;
	m->starts = true;
	for (size_t i = 0; ok && i < m->nneeds; i++)
		ok = module_start(m->needs[i]);
	if (ok) {
		m->started = true;
		ok = module_tell(m, TELL_PROCESS_ATTACH);
	}
	m->failed = !ok;
	return ok;
}

/* The first, or the last, that has not been told in this round; NULL: all have. */
static struct module *module_untold(bool last)
{
	for (size_t i = 0; i < modules.norder; i++) {
		struct module *m = modules.order[last ? modules.norder - 1 - i : i];
		if (m->told != modules.round)
			return m;
	}
	return NULL;
}

/* Who is told may load and unload others, or itself: each is held meanwhile, and the next one is
 * looked for afterwards. */
void modules_tell(uint32_t reason)
{
	bool end = reason == TELL_PROCESS_DETACH || reason == TELL_THREAD_DETACH;
	bool mine = modules_lock_for(reason == TELL_PROCESS_DETACH ? EXIT_WAIT_MS : INFINITE);
	if (reason == TELL_PROCESS_ATTACH && !module_start(process()->main))
		process_end(STATUS_DLL_NOT_FOUND);
	modules.round++;
	for (struct module *m; reason != TELL_PROCESS_ATTACH && (m = module_untold(end));) {
		bool thread = reason >= TELL_THREAD_ATTACH;
		m->told = modules.round;
		if (!m->started || (thread && m->no_threads))
			continue;
		m->started = thread; /* no longer, when the process ends */
		m->refs++;
		(void)module_tell(m, reason);
		module_unload(m);
	}
	if (mine)
		modules_unlock();
}

/* With what it needs, looked for as @flags say. */
static uint32_t load_flagged(struct module **ret, const char *name, uint32_t flags)
{
	struct lodge_err e;
	uint32_t flags_before = modules.flags;
	const char *before = modules.own;
	autofree char *own = library_own_folder(name, flags);
	modules.flags = flags;
	modules.own = own;
	uint32_t bad = load(ret, name, &e);
	modules.flags = flags_before;
	modules.own = before;
	return bad == NEEDS_ANOTHER ? ERROR_MOD_NOT_FOUND : bad;
}

uint32_t module_load(struct module **ret, const char *name, uint32_t flags)
{
	modules_lock();
	uint32_t tls = modules.tls_taken, bad = load_flagged(ret, name, flags);
	if (!bad && modules.tls_taken != tls) { /* it, or what it needs */
		threads_lock();
		for (struct thread *t = threads_first(); t; t = t->next)
			if (modules_tls_begin(t) < 0)
				bad = ERROR_NOT_ENOUGH_MEMORY;
		threads_unlock();
	}
	if (!bad && !module_start(*ret)) {
		bad = ERROR_DLL_INIT_FAILED;
		module_unload(*ret);
	}
	modules_unlock();
	return bad;
}

/* When the process ends, all stay where they are. */
void module_unload(struct module *m)
{
	if (process()->exiting)
		return;
	modules_lock();
	if (!m->ours && m != process()->main && m->refs && --m->refs == 0) {
		bool tell = m->started;
		m->started = false; /* who ends the process now does not tell it again */
		if (tell)
			(void)module_tell(m, TELL_PROCESS_DETACH);
		module_drop(m);
	}
	modules_unlock();
}

/* ---- symbols ---- */

static void *forward_find(const char *to, int depth)
{
	char library[128];
	const char *dot = strrchr(to, '.');
	struct module *m = NULL;
	if (!dot || (size_t)(dot - to) >= sizeof library || depth >= FORWARDS_MAX)
		return NULL;
	snprintf(library, sizeof library, "%.*s", (int)(dot - to), to);
	if (module_load(&m, library, 0))
		return NULL;
	bool number = dot[1] == '#';
	return module_symbol(m, number ? NULL : dot + 1,
			     number ? (unsigned)strtoul(dot + 2, NULL, 10) : 0, depth + 1);
}

extern const char __start_win_math[], __stop_win_math[]; /* of crt_math.c */

/* What calls libm has it loaded: few programs do. */
static void *ours_ready(void *symbol)
{
	const char *at = symbol;
	struct lodge_err e;
	if (at >= __start_win_math && at < __stop_win_math && host_library_load(&win_libm, &e) < 0)
		process_die(LODGE_EXIT_LODGE, "%s", e.msg);
	return symbol;
}

void *module_symbol(struct module *m, const char *name, unsigned ordinal, int depth)
{
	const char *forward = NULL;
	uint32_t rva = 0;
	if (m->ours)
		return ours_ready(win_find(m->library->name, name, ordinal));
	if (pe_export(&m->im, name, ordinal, &rva, &forward) < 0)
		return NULL;
	return forward ? forward_find(forward, depth) : m->im.at + rva;
}

/* ---- memory of threads ---- */

int modules_tls_begin(struct thread *t)
{
	uint64_t *blocks = (uint64_t *)(void *)t->tls_blocks;
	if (!blocks && !(blocks = calloc(TLS_MODULES, sizeof *blocks)))
		return -ENOMEM;
	t->tls_blocks = (uint8_t *)blocks;
	le64_put(t->teb + TEB_TLS_BLOCKS, (uint64_t)(uintptr_t)blocks);
	int r = 0;
	pthread_mutex_lock(&modules.list);
	for (const struct module *m = modules.first; m && r == 0; m = m->next) {
		if (!m->tls_used || blocks[m->tls_index])
			continue;
		uint8_t *b = calloc(1, m->tls.len + m->tls.zeros + 16);
		if (b) {
			memcpy(b, m->tls.data, m->tls.len);
			blocks[m->tls_index] = (uint64_t)(uintptr_t)b;
		} else {
			r = -ENOMEM;
		}
	}
	pthread_mutex_unlock(&modules.list);
	return r;
}

void modules_tls_end(struct thread *t)
{
	uint64_t *blocks = (uint64_t *)(void *)t->tls_blocks;
	for (size_t i = 0; blocks && i < TLS_MODULES; i++)
		free((void *)(uintptr_t)blocks[i]);
	free(blocks);
	t->tls_blocks = NULL;
}
