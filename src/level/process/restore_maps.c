/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of a program that goes on: the mappings, and in them the pages that were kept. */
#include "level/process/saved.h"
#include <fcntl.h>
#include <sys/stat.h>

enum { SHARED_MAX = 256, RWX = PROT_READ | PROT_WRITE | PROT_EXEC };

/* Memory that several mappings show. */
struct shared {
	uint64_t number;
	int fd;
};
struct maps {
	struct restore *r;
	struct shared shared[SHARED_MAX];
	size_t nshared;
};

static int shared_open(struct maps *m, const uint8_t *w, struct lodge_err *e)
{
	for (size_t i = 0; i < m->nshared; i++)
		if (m->shared[i].number == word(w, MAP_TEXT))
			return m->shared[i].fd;
	if (m->nshared == SHARED_MAX)
		return err_set(e, E2BIG, "more than %d pieces of shared memory", SHARED_MAX);
	int fd = memfd_create(SHARED_NAME, MFD_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "shared memory");
	m->shared[m->nshared++] = (struct shared){word(w, MAP_TEXT), fd};
	return fd;
}

/* The file is still what it was. */
static int file_open(const struct maps *m, const uint8_t *w, struct lodge_err *e)
{
	const char *path = text_find(m->r, word(w, MAP_TEXT));
	bool writes = word(w, MAP_KIND) == HELD_SHARED_FILE && word(w, MAP_PROT) & PROT_WRITE;
	struct stat st;
	if (!path)
		return err_set(e, EINVAL, "the state names no file for a mapping");
	autoclose int fd =
	    open(path, (writes ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set(e, ESTALE, "the program has mapped %s: %s", path, strerror(errno));
	uint64_t time = (uint64_t)st.st_mtim.tv_sec * 1000000000 + (uint64_t)st.st_mtim.tv_nsec;
	if (!S_ISREG(st.st_mode) ||
	    (word(w, MAP_KIND) == HELD_FILE &&
	     ((uint64_t)st.st_size != word(w, MAP_SIZE) || time != word(w, MAP_TIME))))
		return err_set(e, ESTALE, "the program has mapped %s, which has changed since",
			       path);
	return take_fd(&fd);
}

static int one_map(struct maps *m, const uint8_t *w, struct lodge_err *e)
{
	uint64_t lo = word(w, MAP_LO), hi = word(w, MAP_HI), kind = word(w, MAP_KIND);
	struct space *s = &m->r->proc->space;
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, fd = -1;
	autoclose int file = -1;
	if (lo % PAGE || hi % PAGE || lo >= hi || hi > USER_END || !space_is_free(s, lo, hi) ||
	    word(w, MAP_OFFSET) % PAGE || word(w, MAP_PROT) & ~(uint64_t)RWX)
		return err_set(e, EINVAL, "the state has a mapping that cannot be");
	if (kind == HELD_SHARED_ANON) {
		flags = MAP_SHARED;
		fd = shared_open(m, w, e);
		if (fd >= 0 && word(w, MAP_OFFSET) + (hi - lo) <= USER_END) {
			struct stat st;
			uint64_t end = word(w, MAP_OFFSET) + (hi - lo);
			if (fstat(fd, &st) == 0 && (uint64_t)st.st_size < end &&
			    ftruncate(fd, (off_t)end) < 0)
				return err_sys(e, "shared memory");
		}
	} else if (kind != HELD_ANON) {
		flags = kind == HELD_FILE ? MAP_PRIVATE : MAP_SHARED;
		fd = file = file_open(m, w, e);
	}
	if (kind == HELD_SHARED_ANON || kind == HELD_SHARED_FILE)
		m->r->proc->shares = true;
	if (fd < 0 && kind != HELD_ANON)
		return fd;
	/* what it was allowed comes when its pages are there */
	int prot =
	    kind == HELD_SHARED_FILE ? mem_host_prot(word(w, MAP_PROT)) : PROT_READ | PROT_WRITE;
	void *p = mmap((void *)(uintptr_t)lo, hi - lo, prot, flags | MAP_FIXED_NOREPLACE, fd,
		       (off_t)word(w, MAP_OFFSET));
	if (p != (void *)(uintptr_t)lo)
		return err_sys(e, "the program's memory at 0x%llx", (unsigned long long)lo);
	if (!space_put(s, lo, hi, (uint8_t)word(w, MAP_PROT), 0))
		return err_set(e, ENOMEM, "out of memory");
	return 0;
}

static bool may_fill(const struct space *s, uint64_t lo, uint64_t hi)
{
	for (const struct range *r; lo < hi; lo = r->hi) {
		r = space_find(s, lo);
		if (!r || r->lo > lo || r->flags & RANGE_FOREIGN)
			return false;
	}
	return true;
}

static int pages_fill(const struct restore *r, struct lodge_err *e)
{
	const uint8_t *w;
	size_t n;
	uint64_t at = 0;
	int err = words_find(r, "process/pages", PAGES_WORDS, &w, &n, e);
	for (size_t i = 0; err == 0 && i < n; i++, w += 8 * PAGES_WORDS) {
		uint64_t to = word(w, PAGES_AT), count = word(w, PAGES_COUNT);
		if (to % PAGE || to >= USER_END || count > (USER_END - to) / PAGE ||
		    count > r->ram_pages - at || !may_fill(&r->proc->space, to, to + count * PAGE))
			return err_set(e, EINVAL, "the state has pages where nothing is mapped");
		if (host_copy((void *)(uintptr_t)to, r->ram + at * PAGE, count * PAGE))
			return err_set(e, EIO,
				       "the program's memory cannot be read, or not be "
				       "written at 0x%llx",
				       (unsigned long long)to);
		at += count;
	}
	return err;
}

int maps_restore(struct restore *r, struct lodge_err *e)
{
	struct maps m = {.r = r};
	const uint8_t *first, *w;
	size_t n;
	int err = words_find(r, "process/maps", MAP_WORDS, &first, &n, e);
	w = first;
	for (size_t i = 0; err == 0 && i < n; i++, w += 8 * MAP_WORDS)
		err = one_map(&m, w, e);
	if (err == 0)
		err = pages_fill(r, e);
	w = first;
	for (size_t i = 0; err == 0 && i < n; i++, w += 8 * MAP_WORDS)
		if (mprotect((void *)(uintptr_t)word(w, MAP_LO), word(w, MAP_HI) - word(w, MAP_LO),
			     mem_host_prot(word(w, MAP_PROT))) < 0)
			err = err_sys(e, "the program's memory");
	for (size_t i = 0; i < m.nshared; i++)
		close(m.shared[i].fd);
	return err;
}
