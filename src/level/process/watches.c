/* SPDX-License-Identifier: Apache-2.0 */
/* Watches of inotify: the kernel tells numbers, masks and inodes of them, not the paths, which are
 * noted when they are asked for. Numbers count up, as those of timers do. inotify(7),
 * proc_pid_fdinfo(5) */
#include "level/process/saved.h"
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

enum { PATHS_MAX = 4096, NUMBER_MAX = 1 << 16, MINOR_BITS = 20 };
#define MASK (IN_ALL_EVENTS | IN_ONESHOT | IN_EXCL_UNLINK)

/* Add @path, unless it is known. */
static void path_keep(struct proc *p, const char *path)
{
	pthread_mutex_lock(&p->lock);
	size_t i = 0;
	while (i < p->watched.n && strcmp(p->watched.v[i], path) != 0)
		i++;
	if (i == p->watched.n && i < PATHS_MAX) {
		char **v = realloc(p->watched.v, (i + 1) * sizeof *v);
		if (v)
			p->watched.v = v;
		if (v && (v[i] = strdup(path)))
			p->watched.n++;
	}
	pthread_mutex_unlock(&p->lock);
}

void watch_note(void *proc, const char *path, bool follow)
{
	struct proc *p = proc;
	char link[64], to[PATH_MAX];
	if (!p->kept)
		return;
	autoclose int fd = open(path, O_PATH | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW));
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t n = fd < 0 ? -1 : readlink(link, to, sizeof to - 1);
	if (n <= 0)
		return;
	to[n] = 0;
	path_keep(p, to);
}

/* ---- gathering ---- */

/* Where the file is now; NULL: not where it was watched. */
static const char *path_of(const struct proc *p, uint64_t dev, uint64_t ino)
{
	struct stat st;
	for (size_t i = 0; i < p->watched.n; i++)
		if (lstat(p->watched.v[i], &st) == 0 && st.st_ino == ino &&
		    ((uint64_t)major(st.st_dev) << MINOR_BITS | minor(st.st_dev)) == dev)
			return p->watched.v[i];
	return NULL;
}

int inotify_gather(struct gather *g, int fd, const char *text, struct lodge_err *e)
{
	int waiting = 0;
	if (ioctl(fd, FIONREAD, &waiting) < 0 || waiting)
		return err_set(e, EOPNOTSUPP, "descriptor %d is an inotify with events that are "
			       "not read, which cannot be saved", fd);
	for (const char *at = text; (at = strstr(at, "inotify wd:")); at++) {
		uint64_t w[INOTIFY_WORDS] = {(uint64_t)fd}, ino, dev;
		if (sscanf(at, "inotify wd:%" SCNx64 " ino:%" SCNx64 " sdev:%" SCNx64
			   " mask:%" SCNx64, &w[INOTIFY_WATCH], &ino, &dev, &w[INOTIFY_MASK]) != 4)
			return err_set(e, EOPNOTSUPP, "descriptor %d is an inotify that this "
				       "host's kernel tells nothing of", fd);
		const char *path = path_of(g->t->p, dev, ino);
		if (!path || w[INOTIFY_WATCH] > NUMBER_MAX)
			return err_set(e, EOPNOTSUPP, "descriptor %d is an inotify whose watch "
				       "%" PRIu64 " is of a file that is not where it was, or of a "
				       "large number", fd, w[INOTIFY_WATCH]);
		w[INOTIFY_MASK] &= MASK;
		w[INOTIFY_TEXT] = text_add(g, path);
		words_add(&g->inotify, w, INOTIFY_WORDS);
	}
	return 0;
}

/* ---- going on ---- */

/* The one of descriptor @fd with the lowest number above @above; NULL: none. */
static const uint8_t *watch_next(const uint8_t *w, size_t n, uint64_t fd, uint64_t above)
{
	const uint8_t *best = NULL;
	for (; n; n--, w += 8 * INOTIFY_WORDS)
		if (word(w, INOTIFY_FD) == fd && word(w, INOTIFY_WATCH) > above &&
		    (!best || word(w, INOTIFY_WATCH) < word(best, INOTIFY_WATCH)))
			best = w;
	return best;
}

static int watch_make(int fd, const uint8_t *w, const char *path, struct lodge_err *e)
{
	uint64_t mask = word(w, INOTIFY_MASK) & MASK;
	int wanted = (int)word(w, INOTIFY_WATCH), got;
	while ((got = inotify_add_watch(fd, path, (uint32_t)mask)) < wanted) {
		if (got < 0)
			return err_sys(e, "its watch of %s", path);
		(void)!inotify_rm_watch(fd, got);
	}
	return got == wanted ? 0 : err_set(e, EBUSY, "the number %d of its watch of %s could not "
					   "be had", wanted, path);
}

int inotify_make(const struct restore *r, uint64_t number, struct lodge_err *e)
{
	const uint8_t *list, *w;
	char none[4096];
	size_t n;
	uint64_t last = 0;
	int err = words_find(r, "process/inotify", INOTIFY_WORDS, &list, &n, e);
	autoclose int fd = err < 0 ? -1 : inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (err == 0 && fd < 0)
		err = err_sys(e, "an inotify");
	while (err == 0 && (w = watch_next(list, n, number, last))) {
		const char *path = text_find(r, word(w, INOTIFY_TEXT));
		last = word(w, INOTIFY_WATCH);
		if (!path || last > NUMBER_MAX)
			return err_set(e, EINVAL, "the state has a watch that cannot be");
		err = watch_make(fd, w, path, e);
	}
	while (err == 0 && read(fd, none, sizeof none) > 0)
		continue; /* of numbers that were given back */
	return err < 0 ? err : take_fd(&fd);
}

int inotify_paths(const struct restore *r, struct lodge_err *e)
{
	const uint8_t *w;
	size_t n;
	int err = words_find(r, "process/inotify", INOTIFY_WORDS, &w, &n, e);
	for (; err == 0 && n; n--, w += 8 * INOTIFY_WORDS) {
		const char *path = text_find(r, word(w, INOTIFY_TEXT));
		if (path)
			path_keep(r->proc, path);
	}
	return err;
}
