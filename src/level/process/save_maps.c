/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of a program that stands still: what is mapped where, and the pages that are nowhere
 * else. proc_pid_maps(5), proc_pid_pagemap(5) */
#include "level/process/saved.h"
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define PAGEMAP_PRESENT (UINT64_C(1) << 63 | UINT64_C(1) << 62) /* or swapped */
#define PAGEMAP_FILE    (UINT64_C(1) << 61)                     /* or shared */

struct host_map {
	uint64_t lo, hi, off, ino;
	char perms[5], dev[24];
	const char *name;
};

enum { AT_ONCE = 512 };

/* Which of @n pages from @lo on have to be kept? Those that are the process's own, or, of memory
 * that is shared with whom it may have forked, all that are there. */
static bool pages_look(int pagemap, uint64_t lo, size_t n, bool shared, bool ret[AT_ONCE])
{
	uint64_t entry[AT_ONCE];
	unsigned char in[AT_ONCE];
	if (shared && mincore((void *)(uintptr_t)lo, n * PAGE, in) < 0)
		return false;
	if (!shared && !host_pread(pagemap, entry, n * sizeof *entry, lo / PAGE * sizeof *entry))
		return false;
	for (size_t i = 0; i < n; i++)
		ret[i] =
		    shared ? in[i] & 1 : entry[i] & PAGEMAP_PRESENT && !(entry[i] & PAGEMAP_FILE);
	return true;
}

/* Runs of pages of [@lo, @hi) that have to be kept. */
static int pages_gather(struct gather *g, int pagemap, uint64_t lo, uint64_t hi, bool shared,
			struct lodge_err *e)
{
	bool keeps[AT_ONCE];
	uint64_t run[PAGES_WORDS] = {0, 0};
	while (lo < hi) {
		size_t n = min_u64((hi - lo) / PAGE, AT_ONCE);
		if (!pages_look(pagemap, lo, n, shared, keeps))
			return err_sys(e, "looking at the pages of the program");
		for (size_t i = 0; i < n; i++, lo += PAGE) {
			bool keep = keeps[i];
			if (keep && run[PAGES_COUNT]++ == 0)
				run[PAGES_AT] = lo;
			if (!keep && run[PAGES_COUNT]) {
				words_add(&g->pages, run, PAGES_WORDS);
				run[PAGES_COUNT] = 0;
			}
		}
	}
	if (run[PAGES_COUNT])
		words_add(&g->pages, run, PAGES_WORDS);
	return 0;
}

/* Of a file: that it can be found again. */
static int map_file(struct gather *g, const struct host_map *m, uint64_t w[MAP_WORDS],
		    struct lodge_err *e)
{
	struct stat st;
	if (stat(m->name, &st) < 0 || st.st_ino != m->ino)
		return err_set(e, EOPNOTSUPP, "the file %s, which is mapped, is not there any more",
			       m->name);
	if (!S_ISREG(st.st_mode))
		return err_set(e, EOPNOTSUPP, "%s is mapped, and no regular file", m->name);
	w[MAP_TEXT] = text_add(g, m->name);
	w[MAP_SIZE] = (uint64_t)st.st_size;
	w[MAP_TIME] = (uint64_t)st.st_mtim.tv_sec * 1000000000 + (uint64_t)st.st_mtim.tv_nsec;
	return 0;
}

/* Is the file system "MAJOR:MINOR" (hexadecimal) in memory, so that all of a deleted file of it is
 * there? proc_pid_mountinfo(5) */
static bool is_in_memory(const char *dev)
{
	char *line = NULL;
	size_t cap = 0;
	unsigned major, minor, a, b;
	bool found = false;
	FILE *f = fopen("/proc/self/mountinfo", "re");
	if (f && sscanf(dev, "%x:%x", &major, &minor) == 2)
		while (!found && getline(&line, &cap, f) > 0)
			found = sscanf(line, "%*d %*d %u:%u ", &a, &b) == 2 && a == major &&
				b == minor && strstr(line, " - tmpfs ");
	free(line);
	if (f)
		fclose(f);
	return found;
}

bool maps_have(const struct gather *g, const struct stat *st)
{
	for (size_t i = 0; i < g->maps.n; i += MAP_WORDS)
		if (g->maps.v[i + MAP_KIND] == HELD_SHARED_ANON &&
		    g->maps.v[i + MAP_TEXT] == file_number(st->st_dev, st->st_ino))
			return true;
	return false;
}

/* Shared memory without a name: anonymous, of memfd, or of a file in memory that is deleted, as
 * semaphores of sem_open often are. */
static bool map_is_shared(const struct host_map *m, uint64_t w[MAP_WORDS])
{
	const char *gone = strstr(m->name, " (deleted)");
	unsigned major, minor;
	if (m->perms[3] != 's' || !gone || strcmp(gone, " (deleted)") != 0 ||
	    !strncmp(m->name, "/SYSV", 5) || sscanf(m->dev, "%x:%x", &major, &minor) != 2)
		return false;
	if (strncmp(m->name, "/memfd:", 7) != 0 && strcmp(m->name, "/dev/zero (deleted)") != 0 &&
	    !is_in_memory(m->dev))
		return false;
	w[MAP_KIND] = HELD_SHARED_ANON;
	w[MAP_TEXT] = file_number(makedev(major, minor), m->ino);
	w[MAP_SIZE] = m->off + (m->hi - m->lo);
	return true;
}

/* What kind of mapping is it, beside its addresses? */
static int map_kind(struct gather *g, const struct host_map *m, uint64_t w[MAP_WORDS],
		    struct lodge_err *e)
{
	bool shared = m->perms[3] == 's';
	w[MAP_OFFSET] = m->off;
	if (map_is_shared(m, w))
		return 0;
	if (!m->ino && !shared) {
		w[MAP_KIND] = HELD_ANON;
		w[MAP_OFFSET] = 0;
		return 0;
	}
	w[MAP_KIND] = shared ? HELD_SHARED_FILE : HELD_FILE;
	return map_file(g, m, w, e);
}

/* A mapping of the host, in the pieces in which the guest may do different things. */
static int map_gather(struct gather *g, int pagemap, const struct host_map *m, struct lodge_err *e)
{
	uint64_t w[MAP_WORDS] = {0};
	const struct space *s = &g->t->p->space;
	bool kinded = false;
	int r = 0;
	for (uint64_t at = m->lo; r == 0 && at < m->hi;) {
		const struct range *range = space_find(s, at);
		if (!range || range->lo >= m->hi)
			break;
		if (range->lo > at || range->flags & RANGE_FOREIGN) {
			at = range->lo > at ? range->lo : range->hi;
			continue;
		}
		if (!kinded)
			r = map_kind(g, m, w, e);
		kinded = true;
		w[MAP_LO] = at;
		w[MAP_HI] = min_u64(range->hi, m->hi);
		w[MAP_PROT] = range->prot;
		uint64_t off = w[MAP_OFFSET];
		if (w[MAP_KIND] != HELD_ANON)
			w[MAP_OFFSET] = m->off + (at - m->lo);
		words_add(&g->maps, w, MAP_WORDS);
		w[MAP_OFFSET] = off;
		if (r == 0 && w[MAP_KIND] != HELD_SHARED_FILE)
			r = pages_gather(g, pagemap, at, w[MAP_HI], w[MAP_KIND] == HELD_SHARED_ANON,
					 e);
		at = w[MAP_HI];
	}
	return r;
}

int maps_gather(struct gather *g, struct lodge_err *e)
{
	char *line = NULL;
	size_t cap = 0;
	int r = 0;
	FILE *maps = fopen("/proc/self/maps", "re");
	autoclose int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (!maps || pagemap < 0)
		r = err_sys(e, "/proc/self/maps");
	while (r == 0 && getline(&line, &cap, maps) > 0) {
		struct host_map m;
		int at = 0;
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %23s %" SCNu64 " %n",
			   &m.lo, &m.hi, m.perms, &m.off, m.dev, &m.ino, &at) < 6)
			continue;
		if (m.lo >= USER_END)
			break;
		line[strcspn(line, "\n")] = 0;
		m.name = line + at;
		r = map_gather(g, pagemap, &m, e);
	}
	free(line);
	if (maps)
		fclose(maps);
	return r;
}
