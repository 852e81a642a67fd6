/* SPDX-License-Identifier: Apache-2.0 */
/* File mappings: sections, of files or of memory of their own, and views of them. A named section
 * without a file is a file of the box that no drive shows, so that other processes of the guest
 * find it; who has it holds a lock that is shared, and the last one removes it. */
#include "win/internal.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum {
	FILE_MAP_COPY = 1,
	FILE_MAP_WRITE = 2,
	FILE_MAP_READ = 4,
	FILE_MAP_EXECUTE = 0x20,
	SEC_IMAGE = 0x1000000,
	PROT_MASK = 0xff
};
static const char NAMED[] = "/sections"; /* of the box; no drive's */

struct section {
	struct object o;
	int fd;
	uint64_t size;
	uint32_t prot;
	char *path; /* of a named one; owned */
};
struct view {
	uint64_t base;
	struct section *s; /* a reference */
	struct view *next;
};
static WIN_STATE struct {
	pthread_mutex_t lock;
	struct view *all; /* owned */
} views = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* The name goes with the last handle, though views may keep what it was the name of. */
static void section_closed(struct object *o)
{
	struct section *s = (struct section *)(void *)o;
	if (!object_unname(o) || !s->path)
		return;
	if (flock(s->fd, LOCK_EX | LOCK_NB) == 0)
		unlink(s->path);
	free(s->path);
	s->path = NULL;
}

static void section_fini(struct object *o)
{
	struct section *s = (struct section *)(void *)o;
	if (s->path && flock(s->fd, LOCK_EX | LOCK_NB) == 0)
		unlink(s->path);
	if (s->fd >= 0)
		close(s->fd);
	free(s->path);
}

/* Its name is the parent's to take away. */
void section_inherit(struct object *o) { ((struct section *)(void *)o)->path = NULL; }
int *section_descriptor(struct object *o) { return &((struct section *)(void *)o)->fd; }

static struct section *section_new(int fd, uint32_t prot)
{
	struct stat st;
	struct section *s = object_new(KIND_SECTION, sizeof *s);
	if (!s || fstat(fd, &st) < 0) {
		free(s);
		close(fd);
		return NULL;
	}
	s->o.fini = section_fini;
	s->o.closed = section_closed;
	s->fd = fd;
	s->prot = prot;
	s->size = (uint64_t)st.st_size;
	return s;
}

/* ---- those with names ---- */

/* Windows' names have backslashes, and a Local\ or Global\ before them that changes nothing
 * here. */
static char *named_path(const char *name)
{
	char *path = NULL;
	size_t n = strlen(NAMED) + 1;
	if (!strncasecmp(name, "Local\\", 6) || !strncasecmp(name, "Global\\", 7))
		name = strchr(name, '\\') + 1;
	if (!*name || strlen(name) > 200 || asprintf(&path, "%s/+%s", NAMED, name) < 0)
		return NULL;
	for (char *p = path + n; *p; p++)
		*p = *p == '/' ? '\\' : *p;
	return path;
}

/* The file of a name, with a lock that says it is in use. @size 0: only if it is there. */
static int named_open(const char *path, uint64_t size, bool *ret_old)
{
	for (;;) {
		struct stat st;
		(void)!mkdir(NAMED, 0700);
		int fd = open(path, O_RDWR | O_CLOEXEC | (size ? O_CREAT : 0), 0600);
		if (fd < 0)
			return -errno;
		if (flock(fd, LOCK_SH) == 0 && fstat(fd, &st) == 0 && st.st_nlink) {
			*ret_old = st.st_size != 0;
			if (*ret_old || ftruncate(fd, (off_t)size) == 0)
				return fd;
		}
		int err = errno;
		close(fd); /* the last one has just removed it: again */
		if (st.st_nlink)
			return -err;
	}
}

static struct section *named_section(const char *name, uint64_t size, uint32_t prot, bool *ret_old)
{
	char *path = named_path(name);
	int fd = path ? named_open(path, size, ret_old) : -ENAMETOOLONG;
	struct section *s = fd < 0 ? NULL : section_new(fd, prot);
	if (s) {
		s->path = path;
		return s;
	}
	last_error_set(fd < 0 ? error_of(-fd) : ERROR_NOT_ENOUGH_MEMORY);
	free(path);
	return NULL;
}

/* ---- making ---- */

static bool writes(uint32_t prot)
{
	return prot == PAGE_READWRITE || prot == PAGE_EXECUTE_READWRITE;
}

/* A section of the file @h: as long as it, or made longer. */
static struct section *file_section(handle h, uint64_t size, uint32_t prot)
{
	struct file *f = object_get(h, KIND_FILE);
	if (!f)
		return NULL;
	int mode = fcntl(f->fd, F_GETFL) & O_ACCMODE;
	bool may = !f->folder && !f->pipe && !f->console && mode != O_WRONLY &&
		   (mode == O_RDWR || !writes(prot));
	int fd = may ? fcntl(f->fd, F_DUPFD_CLOEXEC, 4) : -1;
	last_error_set(may ? ERROR_TOO_MANY_OPEN_FILES : ERROR_ACCESS_DENIED);
	object_unref(&f->o);
	struct section *s = fd < 0 ? NULL : section_new(fd, prot);
	if (!s)
		return NULL;
	uint32_t error = 0;
	if (size > s->size && !writes(prot))
		error = ERROR_NOT_ENOUGH_MEMORY;
	else if (size > s->size && ftruncate(fd, (off_t)size) < 0)
		error = error_of(errno);
	s->size = size ? size : s->size;
	if (!error && !s->size)
		error = ERROR_FILE_INVALID;
	if (!error)
		return s;
	last_error_set(error);
	object_unref(&s->o);
	return NULL;
}

static struct section *memory_section(uint64_t size, uint32_t prot)
{
	int fd = memfd_create("section", MFD_CLOEXEC);
	if (fd >= 0 && ftruncate(fd, (off_t)size) < 0) {
		close(fd);
		fd = -1;
	}
	struct section *s = fd < 0 ? NULL : section_new(fd, prot);
	if (!s)
		last_error_set(ERROR_NOT_ENOUGH_MEMORY);
	return s;
}

struct security {
	uint32_t len, pad;
	void *descriptor;
	uint32_t inherit;
};

API(handle, k32_CreateFileMappingA, handle file, const struct security *sec, uint32_t prot,
    uint32_t high, uint32_t low, const char *name)
{
	uint64_t size = (uint64_t)high << 32 | low;
	bool memory = file == HANDLE_BAD, old = false;
	prot &= SEC_IMAGE | PROT_MASK;
	if (prot & SEC_IMAGE)
		return fail(ERROR_NOT_SUPPORTED);
	if (prot == PAGE_NOACCESS || prot == PAGE_EXECUTE || prot_host(prot) < 0 ||
	    (memory && !size) || size > INT64_MAX)
		return fail(ERROR_INVALID_PARAMETER);
	struct section *s = !memory         ? file_section(file, size, prot)
			    : name && *name ? named_section(name, size, prot, &old)
					    : memory_section(size, prot);
	if (!s)
		return 0;
	struct object *o = memory ? &s->o : object_name(&s->o, name, &old);
	handle h = object_handle(o, sec && sec->inherit);
	if (h)
		last_error_set(old ? ERROR_ALREADY_EXISTS : ERROR_SUCCESS);
	return h;
}

API(handle, k32_CreateFileMappingW, handle file, const struct security *sec, uint32_t prot,
    uint32_t high, uint32_t low, const wide *name)
{
	autofree char *n = name ? text_from(name, SIZE_MAX) : NULL;
	return k32_CreateFileMappingA(file, sec, prot, high, low, n);
}

API(handle, k32_OpenFileMappingA, uint32_t access, uint32_t inherit, const char *name)
{
	bool old;
	(void)access;
	if (!name || !*name)
		return fail(ERROR_INVALID_PARAMETER);
	struct object *o = object_named(name, KIND_SECTION);
	struct section *s = o ? NULL : named_section(name, 0, PAGE_READWRITE, &old);
	if (s)
		o = &s->o;
	return o ? object_handle(o, inherit != 0) : 0;
}

API(handle, k32_OpenFileMappingW, uint32_t access, uint32_t inherit, const wide *name)
{
	autofree char *n = name ? text_from(name, SIZE_MAX) : NULL;
	return k32_OpenFileMappingA(access, inherit, n);
}

/* ---- views ---- */

/* The protection that @access asks for; 0: the section does not allow it. */
static uint32_t view_prot(const struct section *s, uint32_t access)
{
	bool x = access & FILE_MAP_EXECUTE;
	bool may_x = s->prot >= PAGE_EXECUTE;
	if (x && !may_x)
		return 0;
	if (access & FILE_MAP_WRITE && access != FILE_MAP_COPY) {
		if (!writes(s->prot))
			return 0;
		return x ? PAGE_EXECUTE_READWRITE : PAGE_READWRITE;
	}
	if (access & FILE_MAP_COPY)
		return x ? PAGE_EXECUTE_WRITECOPY : PAGE_WRITECOPY;
	return x ? PAGE_EXECUTE_READ : PAGE_READONLY;
}

static uint64_t view_make(struct section *s, uint64_t at, uint64_t off, uint64_t n, uint32_t access)
{
	uint64_t got = 0;
	/* FILE_MAP_ALL_ACCESS has the bits of all, and means to read and write */
	uint32_t prot = view_prot(s, access & 0xf0000 ? FILE_MAP_WRITE : access);
	if (off % GRANULE || at % GRANULE)
		return fail(ERROR_MAPPED_ALIGNMENT);
	if (off >= s->size || (n && n > s->size - off) || !prot)
		return fail(ERROR_ACCESS_DENIED);
	struct view *v = malloc(sizeof *v);
	int r = v ? space_map_file(&got, at, n ? n : s->size - off, s->fd, off, prot) : -ENOMEM;
	if (r < 0) {
		free(v);
		return fail(r == -EEXIST ? ERROR_INVALID_ADDRESS : error_of(-r));
	}
	object_ref(&s->o);
	pthread_mutex_lock(&views.lock);
	*v = (struct view){got, s, views.all};
	views.all = v;
	pthread_mutex_unlock(&views.lock);
	return got;
}

API(uint64_t, k32_MapViewOfFileEx, handle h, uint32_t access, uint32_t high, uint32_t low,
    uint64_t n, uint64_t at)
{
	struct section *s = object_get(h, KIND_SECTION);
	uint64_t got = s ? view_make(s, at, (uint64_t)high << 32 | low, n, access) : 0;
	object_unref(s ? &s->o : NULL);
	return got;
}

API(uint64_t, k32_MapViewOfFile, handle h, uint32_t access, uint32_t high, uint32_t low, uint64_t n)
{
	return k32_MapViewOfFileEx(h, access, high, low, n, 0);
}

API(uint32_t, k32_UnmapViewOfFile, uint64_t at)
{
	struct region r;
	struct view *v = NULL;
	if (at >= WIN_GUEST_END || !space_at(at, &r))
		return fail(ERROR_INVALID_ADDRESS);
	pthread_mutex_lock(&views.lock);
	for (struct view **p = &views.all; *p; p = &(*p)->next)
		if ((*p)->base == r.base) {
			v = *p;
			*p = v->next;
			break;
		}
	pthread_mutex_unlock(&views.lock);
	if (!v || space_release(r.base) < 0)
		return fail(ERROR_INVALID_ADDRESS);
	object_unref(&v->s->o);
	free(v);
	return 1;
}

API(uint32_t, k32_UnmapViewOfFileEx, uint64_t at, uint32_t flags)
{
	(void)flags;
	return k32_UnmapViewOfFile(at);
}

API(uint32_t, k32_FlushViewOfFile, uint64_t at, uint64_t n)
{
	struct region r;
	if (at >= WIN_GUEST_END || !space_at(at, &r) || r.kind != REGION_MAPPED)
		return fail(ERROR_INVALID_ADDRESS);
	uint64_t lo = at & ~(uint64_t)(PAGE - 1), most = r.hi - lo;
	n = n && n + (at - lo) < most ? n + (at - lo) : most;
	return msync((void *)(uintptr_t)lo, n, MS_SYNC) < 0 ? fail_errno() : 1;
}
