/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of a program that goes on: the mappings, and in them the pages that were kept. */
#include "level/process/saved.h"
#include <fcntl.h>
#include <sys/stat.h>

enum { RWX = PROT_READ | PROT_WRITE | PROT_EXEC };

/* ---- memory that several mappings show, perhaps of several processes ---- */

static int shared_find(const struct bank *b, uint64_t number, struct lodge_err *e)
{
	for (size_t i = 0; i < b->nshared; i++)
		if (b->shared[i].number == number)
			return b->shared[i].fd;
	return err_set(e, EINVAL, "the state has no shared memory of a number");
}

static int shared_one(struct bank *b, const uint8_t *w, struct lodge_err *e)
{
	uint64_t len = word(w, MAP_HI) - word(w, MAP_LO), end = word(w, MAP_OFFSET) + len;
	struct stat st;
	if (end > USER_END || len > USER_END)
		return err_set(e, EINVAL, "the state has shared memory that cannot be");
	int fd = shared_find(b, word(w, MAP_TEXT), NULL);
	if (fd < 0 && b->nshared == SHARED_MAX)
		return err_set(e, E2BIG, "more than %d pieces of shared memory", SHARED_MAX);
	if (fd < 0) {
		autoclose int low = memfd_create(SHARED_NAME, MFD_CLOEXEC);
		fd = low < 0 ? low : fcntl(low, F_DUPFD_CLOEXEC, b->above);
		if (fd < 0)
			return err_sys(e, "shared memory");
		b->shared[b->nshared].number = word(w, MAP_TEXT);
		b->shared[b->nshared++].fd = fd;
	}
	if (fstat(fd, &st) == 0 && (uint64_t)st.st_size < end && ftruncate(fd, (off_t)end) < 0)
		return err_sys(e, "shared memory");
	return 0;
}

int shared_make(struct tree *t, struct lodge_err *e)
{
	int err = 0;
	for (unsigned i = 0; err == 0 && i < t->n; i++) {
		const uint8_t *w;
		size_t n;
		err = words_find(&t->each[i], "process/maps", MAP_WORDS, &w, &n, e);
		for (; err == 0 && n; n--, w += 8 * MAP_WORDS)
			if (word(w, MAP_KIND) == HELD_SHARED_ANON)
				err = shared_one(&t->bank, w, e);
	}
	return err;
}

/* ---- the mappings of one ---- */

/* The file is still what it was. */
static int file_open(const struct restore *r, const uint8_t *w, struct lodge_err *e)
{
	const char *path = text_find(r, word(w, MAP_TEXT));
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

static int one_map(const struct restore *r, const uint8_t *w, struct lodge_err *e)
{
	uint64_t lo = word(w, MAP_LO), hi = word(w, MAP_HI), kind = word(w, MAP_KIND);
	struct space *s = &r->proc->space;
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, fd = -1;
	autoclose int file = -1;
	if (lo % PAGE || hi % PAGE || lo >= hi || hi > USER_END || !space_is_free(s, lo, hi) ||
	    word(w, MAP_OFFSET) % PAGE || word(w, MAP_PROT) & ~(uint64_t)RWX)
		return err_set(e, EINVAL, "the state has a mapping that cannot be");
	if (kind == HELD_SHARED_ANON) {
		flags = MAP_SHARED;
		fd = shared_find(&r->tree->bank, word(w, MAP_TEXT), e);
	} else if (kind != HELD_ANON) {
		flags = kind == HELD_FILE ? MAP_PRIVATE : MAP_SHARED;
		fd = file = file_open(r, w, e);
	}
	if (kind == HELD_SHARED_ANON || kind == HELD_SHARED_FILE)
		r->proc->shares = true;
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
	uint64_t at = r->ram_at;
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
	const uint8_t *first, *w;
	size_t n;
	int err = words_find(r, "process/maps", MAP_WORDS, &first, &n, e);
	w = first;
	for (size_t i = 0; err == 0 && i < n; i++, w += 8 * MAP_WORDS)
		err = one_map(r, w, e);
	if (err == 0)
		err = pages_fill(r, e);
	w = first;
	for (size_t i = 0; err == 0 && i < n; i++, w += 8 * MAP_WORDS)
		if (mprotect((void *)(uintptr_t)word(w, MAP_LO), word(w, MAP_HI) - word(w, MAP_LO),
			     mem_host_prot(word(w, MAP_PROT))) < 0)
			err = err_sys(e, "the program's memory");
	return err;
}
