/* SPDX-License-Identifier: Apache-2.0 */
/* Which names a folder has not, in whatever case: of a file that is made that has to be known, and
 * to read the folder for each takes as long as the folder is. One that was read some times is
 * watched by inotify(7) from then on, and hashes of its names, folded, are kept. What others have
 * done stands in the queue when their call is done, and is read before each answer. Only what is
 * certainly not there is told of; for what may be there the folder is read. */
#include "win/internal.h"
#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/vfs.h>

enum { FOLDERS = 32, READ_BEFORE = 4, NAMES_MAX = 1 << 20, TRIES = 3, QUEUE = 4096 };
enum { ENTRY_MAX = sizeof(struct inotify_event) + NAME_MAX + 1 };

struct name {
	uint64_t hash;  /* 0: free */
	uint32_t count; /* too many do no harm: the folder is read then */
};
struct folder {
	uint64_t device, inode;
	uint32_t asked; /* 0: free */
	int wd;         /* 0: not watched yet; -1: it cannot be */
	bool changed;   /* since this was set to false */
	uint64_t used;
	struct name *names; /* owned, a power of two */
	size_t n, cap;      /* @n: that are not free */
};
static WIN_STATE struct {
	pthread_mutex_t lock;
	struct folder all[FOLDERS];
	int fd; /* inotify; 0: none yet, -1: none is to be had */
	uint64_t uses;
} known = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- hashes ---- */

/* Of the units of a name, as wide_compare_i sees them; never 0. */
static uint64_t name_hash(const char *s)
{
	wide w[NAME_MAX];
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	size_t n = utf16_put(s, strlen(s), w, countof(w), NULL);
	for (size_t i = 0; i < n && i < countof(w); i++)
		h = (h ^ wide_lower(w[i])) * UINT64_C(0x100000001b3);
	h ^= h >> 29;
	return h ? h : 1;
}

/* Where @hash is, or would be: there is always something free. */
static struct name *name_at(const struct folder *f, uint64_t hash)
{
	size_t i = hash & (f->cap - 1);
	while (f->names[i].hash && f->names[i].hash != hash)
		i = (i + 1) & (f->cap - 1);
	return &f->names[i];
}

/* Those that are gone leave, and there is room for one more; false: it is too much. */
static bool names_room(struct folder *f)
{
	size_t live = 0, was = f->cap;
	struct name *old = f->names;
	if (2 * (f->n + 1) <= f->cap)
		return true;
	for (size_t i = 0; i < was; i++)
		live += old[i].count > 0;
	size_t cap = 64;
	while (cap < 4 * (live + 1))
		cap *= 2;
	struct name *names = live < NAMES_MAX ? calloc(cap, sizeof *names) : NULL;
	if (!names)
		return false;
	f->names = names;
	f->cap = cap;
	f->n = live;
	for (size_t i = 0; i < was; i++)
		if (old[i].count)
			*name_at(f, old[i].hash) = old[i];
	free(old);
	return true;
}

static bool name_add(struct folder *f, uint64_t hash)
{
	if (!names_room(f))
		return false;
	struct name *at = name_at(f, hash);
	f->n += !at->hash;
	at->hash = hash;
	at->count += at->count < UINT32_MAX;
	return true;
}

static void name_drop(struct folder *f, uint64_t hash)
{
	struct name *at = f->cap ? name_at(f, hash) : NULL;
	if (at)
		at->count -= at->count > 0;
}

/* ---- watched folders, all under the lock ---- */

static void folder_forget(struct folder *f)
{
	if (f->wd > 0)
		(void)!inotify_rm_watch(known.fd, f->wd);
	free(f->names);
	*f = (struct folder){0};
}

static void event_take(const struct inotify_event *e)
{
	struct folder *f = NULL;
	for (size_t i = 0; i < FOLDERS; i++) {
		if (e->mask & IN_Q_OVERFLOW && known.all[i].wd > 0)
			folder_forget(&known.all[i]);
		else if (e->wd > 0 && known.all[i].wd == e->wd)
			f = &known.all[i];
	}
	if (!f)
		return;
	f->changed = true;
	if (e->mask & (IN_DELETE | IN_MOVED_FROM))
		name_drop(f, name_hash(e->name));
	else if (!(e->mask & (IN_CREATE | IN_MOVED_TO)) || !name_add(f, name_hash(e->name)))
		folder_forget(f); /* the folder itself is gone */
}

/* What has happened until now. */
static void queue_read(void)
{
	_Alignas(struct inotify_event) char buf[QUEUE];
	ssize_t n;
	do {
		n = known.fd > 0 ? read(known.fd, buf, sizeof buf) : 0;
		for (ssize_t at = 0; at < n;) {
			const struct inotify_event *e = (const void *)(buf + at);
			event_take(e);
			at += (ssize_t)(sizeof *e + e->len);
		}
	} while (n > QUEUE - ENTRY_MAX); /* there was no room for another one */
}

/* Is it of a kind whose changes all pass through this host's kernel? */
static bool told_of(int fd)
{
	static const uint32_t kinds[] = {EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC,
					 F2FS_SUPER_MAGIC, TMPFS_MAGIC,     OVERLAYFS_SUPER_MAGIC};
	struct statfs s;
	bool is = false;
	if (fstatfs(fd, &s) == 0)
		for (size_t i = 0; i < countof(kinds); i++)
			is |= (uint32_t)s.f_type == kinds[i];
	return is;
}

static bool same(const struct folder *f, const struct stat *st)
{
	return f->device == st->st_dev && f->inode == st->st_ino;
}

static void names_free(struct folder *f)
{
	free(f->names);
	f->names = NULL;
	f->n = f->cap = 0;
}

/* All names in @d, which is watched as @wd; what happens meanwhile makes the reading void. */
static bool names_read(struct folder *f, DIR *d, int wd)
{
	f->wd = wd;
	for (int i = 0; i < TRIES; i++) {
		const struct dirent *e;
		f->changed = false;
		names_free(f);
		rewinddir(d);
		while (errno = 0, (e = readdir(d)))
			if (!name_add(f, name_hash(e->d_name)))
				return false;
		if (errno || !f->cap) /* not all of it; there is not even "." where it is gone */
			return false;
		queue_read();
		if (f->wd != wd)
			return false;
		if (!f->changed)
			return true;
	}
	return false;
}

static void folder_watch(struct folder *f, const char *path)
{
	const uint32_t mask = IN_ONLYDIR | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO;
	struct stat st;
	if (!known.fd)
		known.fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	DIR *d = known.fd > 0 ? opendir(path) : NULL;
	int wd = d && told_of(dirfd(d)) ? inotify_add_watch(known.fd, path, mask) : -1;
	bool ok = wd > 0 && fstat(dirfd(d), &st) == 0 && same(f, &st) && stat(path, &st) == 0 &&
		  same(f, &st) && names_read(f, d, wd);
	if (d)
		closedir(d);
	if (ok)
		return;
	if (wd > 0)
		(void)!inotify_rm_watch(known.fd, wd);
	names_free(f);
	f->wd = -1;
}

/* The one that @st is of; a new one takes the place of who was not asked for longest. */
static struct folder *folder_of(const struct stat *st)
{
	struct folder *old = &known.all[0];
	for (size_t i = 0; i < FOLDERS; i++) {
		struct folder *f = &known.all[i];
		if (f->asked && same(f, st))
			return f;
		if (f->used < old->used)
			old = f;
	}
	folder_forget(old);
	old->device = st->st_dev;
	old->inode = st->st_ino;
	return old;
}

bool names_lack(const char *path, const struct stat *st, const char *name)
{
	pthread_mutex_lock(&known.lock);
	struct folder *f = folder_of(st);
	f->used = ++known.uses;
	f->asked += f->asked < UINT32_MAX;
	if (!f->wd && f->asked > READ_BEFORE)
		folder_watch(f, path);
	else if (f->wd > 0)
		queue_read();
	bool lacks = f->wd > 0 && !name_at(f, name_hash(name))->count;
	pthread_mutex_unlock(&known.lock);
	return lacks;
}

/* ---- how names are written that were asked for otherwise ---- */

enum { SPELLINGS = 512 };
struct spelling {
	uint64_t device, inode; /* of the folder */
	char *asked, *is;       /* owned, of the same length; NULL: free */
};
static WIN_STATE struct {
	pthread_mutex_t lock;
	struct spelling *all; /* owned */
} spelled = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Under the lock; NULL: no memory. */
static struct spelling *spelling_at(const struct stat *st, const char *asked)
{
	if (!spelled.all && !(spelled.all = calloc(SPELLINGS, sizeof *spelled.all)))
		return NULL;
	return &spelled.all[(name_hash(asked) ^ st->st_ino) % SPELLINGS];
}

bool names_spelled(const char *path, const struct stat *st, char *name)
{
	struct stat is;
	autofree char *at = NULL;
	size_t n = strlen(name);
	pthread_mutex_lock(&spelled.lock);
	const struct spelling *s = spelling_at(st, name);
	if (s && s->asked && s->device == st->st_dev && s->inode == st->st_ino &&
	    !strcmp(s->asked, name) && asprintf(&at, "%s/%s", path, s->is) < 0)
		at = NULL;
	pthread_mutex_unlock(&spelled.lock);
	if (!at || lstat(at, &is) < 0)
		return false;
	memcpy(name, at + strlen(path) + 1, n);
	return true;
}

void names_spelling(const struct stat *st, const char *asked, const char *is)
{
	char *a = strdup(asked), *b = strdup(is);
	pthread_mutex_lock(&spelled.lock);
	struct spelling *s = a && b ? spelling_at(st, asked) : NULL;
	if (s) {
		struct spelling was = *s;
		*s = (struct spelling){st->st_dev, st->st_ino, a, b};
		a = was.asked;
		b = was.is;
	}
	pthread_mutex_unlock(&spelled.lock);
	free(a);
	free(b);
}
