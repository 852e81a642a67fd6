/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of a folder, by inotify(7). Two things are not as on Windows: what another process makes
 * in a new folder before that is looked at may be told twice, and a folder whose entries change is
 * not itself told of as modified. */
#include "win/watch.h"
#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>

enum { CHANGES_MAX = 65536, MOVE_MS = 2 };
struct place {
	int wd;
	char *name; /* "" or "a/b/": below the watched folder; owned */
};

static uint32_t mask_of(const struct folder_watch *w)
{
	uint32_t f = w->filter, mask = IN_ONLYDIR;
	if (f & (NOTIFY_FILE_NAME | NOTIFY_DIR_NAME) || w->deep)
		mask |= IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO;
	if (f & (NOTIFY_SIZE | NOTIFY_LAST_WRITE))
		mask |= IN_MODIFY;
	if (f & (NOTIFY_ATTRIBUTES | NOTIFY_LAST_WRITE | NOTIFY_CREATION | NOTIFY_SECURITY))
		mask |= IN_ATTRIB;
	return mask | (f & NOTIFY_LAST_ACCESS ? IN_ACCESS : 0);
}

/* ---- what is to be told ---- */

/* Takes over @name. */
static void change_add(struct folder_watch *w, uint32_t action, char *name)
{
	struct change *last = w->nchanges > w->told ? &w->changes[w->nchanges - 1] : NULL;
	bool again = name && last && action == CHANGE_MODIFIED && last->action == action &&
		     !strcmp(last->name, name);
	if (!again && w->nchanges == w->cap_changes && w->nchanges < CHANGES_MAX) {
		size_t cap = w->cap_changes ? 2 * w->cap_changes : 32;
		struct change *all = realloc(w->changes, cap * sizeof *all);
		w->changes = all ? all : w->changes;
		w->cap_changes = all ? cap : w->cap_changes;
	}
	if (name && !again && w->nchanges < w->cap_changes) {
		w->changes[w->nchanges++] = (struct change){action, name};
		return;
	}
	w->overflow |= !again;
	free(name);
}

static void named_add(struct folder_watch *w, uint32_t action, bool folder, const char *name)
{
	if (w->filter & (folder ? NOTIFY_DIR_NAME : NOTIFY_FILE_NAME))
		change_add(w, action, strdup(name));
}

void changes_drop(struct folder_watch *w, size_t n)
{
	for (; n && w->told < w->nchanges; n--)
		free(w->changes[w->told++].name);
	if (w->told == w->nchanges)
		w->told = w->nchanges = 0;
}

/* ---- folders that are looked at ---- */

static void tree_add(struct folder_watch *w, const char *name, bool tell);

/* @name: "" or "a/b/". 0 or a negative errno. */
static int place_add(struct folder_watch *w, const char *name)
{
	autofree char *path = NULL, *own = strdup(name);
	if (!own || asprintf(&path, "%s/%s", w->path, name) < 0)
		return -ENOMEM;
	int wd = inotify_add_watch(w->fd, path, mask_of(w));
	if (wd < 0)
		return -errno;
	struct place *p = NULL;
	for (size_t i = 0; i < w->nplaces && !p; i++) /* it has another name now */
		p = w->places[i].wd == wd ? &w->places[i] : NULL;
	if (!p && w->nplaces == w->cap_places) {
		size_t cap = w->cap_places ? 2 * w->cap_places : 8;
		struct place *all = realloc(w->places, cap * sizeof *all);
		if (!all)
			return -ENOMEM;
		w->places = all;
		w->cap_places = cap;
	}
	if (!p)
		*(p = &w->places[w->nplaces++]) = (struct place){wd, NULL};
	free(p->name);
	p->name = take(own);
	return 0;
}

static bool is_folder(const char *path, const struct dirent *d)
{
	struct stat st;
	autofree char *at = NULL;
	if (d->d_type != DT_UNKNOWN)
		return d->d_type == DT_DIR;
	return asprintf(&at, "%s/%s", path, d->d_name) >= 0 && lstat(at, &st) == 0 &&
	       S_ISDIR(st.st_mode);
}

/* The folders in @name; all entries are told of, if @tell. */
static void entries_add(struct folder_watch *w, const char *name, bool tell)
{
	autofree char *path = NULL;
	DIR *d = asprintf(&path, "%s/%s", w->path, name) < 0 ? NULL : opendir(path);
	for (const struct dirent *e; d && (e = readdir(d));) {
		autofree char *at = NULL;
		bool folder = is_folder(path, e);
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") ||
		    asprintf(&at, "%s%s", name, e->d_name) < 0)
			continue;
		if (tell)
			named_add(w, CHANGE_ADDED, folder, at);
		if (folder)
			tree_add(w, at, tell);
	}
	if (d)
		closedir(d);
}

static void tree_add(struct folder_watch *w, const char *name, bool tell)
{
	autofree char *inside = NULL;
	if (asprintf(&inside, "%s/", name) < 0)
		return;
	int r = place_add(w, inside);
	if (r == 0)
		entries_add(w, inside, tell);
	else if (r != -ENOENT && r != -ENOTDIR)
		w->overflow = true; /* what happens there is not seen */
}

static void place_drop(struct folder_watch *w, size_t i)
{
	free(w->places[i].name);
	w->places[i] = w->places[--w->nplaces];
}

/* @name has another name now, or is gone: those in it, too. */
static void tree_drop(struct folder_watch *w, const char *name)
{
	size_t n = strlen(name);
	for (size_t i = w->nplaces; i-- > 0;)
		if (!strncmp(w->places[i].name, name, n) && w->places[i].name[n] == '/') {
			inotify_rm_watch(w->fd, w->places[i].wd);
			place_drop(w, i);
		}
}

/* ---- what the host tells ---- */

static size_t folder_len(const char *name)
{
	const char *slash = strrchr(name, '/');
	return slash ? (size_t)(slash - name) : 0;
}

/* It went to @to (NULL: out of what is looked at). */
static void moved_end(struct folder_watch *w, const char *to)
{
	char *from = w->moved.name;
	size_t n = from ? folder_len(from) : 0;
	if (!from)
		return;
	bool here = to && folder_len(to) == n && !strncmp(from, to, n);
	named_add(w, here ? CHANGE_OLD_NAME : CHANGE_REMOVED, w->moved.folder, from);
	if (w->moved.folder)
		tree_drop(w, from);
	if (to)
		named_add(w, here ? CHANGE_NEW_NAME : CHANGE_ADDED, w->moved.folder, to);
	free(from);
	w->moved.name = NULL;
}

static void entry_changed(struct folder_watch *w, const struct inotify_event *e, const char *name)
{
	bool folder = e->mask & IN_ISDIR;
	if (e->mask & IN_MOVED_TO) {
		if (w->moved.name && w->moved.cookie == e->cookie)
			moved_end(w, name);
		else
			named_add(w, CHANGE_ADDED, folder, name);
	}
	if (e->mask & IN_CREATE)
		named_add(w, CHANGE_ADDED, folder, name);
	if (e->mask & IN_DELETE)
		named_add(w, CHANGE_REMOVED, folder, name);
	if (e->mask & (IN_MODIFY | IN_ATTRIB | IN_ACCESS))
		change_add(w, CHANGE_MODIFIED, strdup(name));
	if (folder && w->deep && e->mask & (IN_CREATE | IN_MOVED_TO))
		tree_add(w, name, e->mask & IN_CREATE);
	if (e->mask & IN_MOVED_FROM) {
		w->moved.name = strdup(name);
		w->moved.cookie = e->cookie;
		w->moved.folder = folder;
	}
}

static void event_take(struct folder_watch *w, const struct inotify_event *e)
{
	autofree char *name = NULL;
	if (w->moved.name && !(e->mask & IN_MOVED_TO && e->cookie == w->moved.cookie))
		moved_end(w, NULL);
	w->overflow |= (e->mask & IN_Q_OVERFLOW) != 0;
	for (size_t i = 0; i < w->nplaces; i++) {
		if (w->places[i].wd != e->wd)
			continue;
		if (e->mask & IN_IGNORED) {
			place_drop(w, i);
			return;
		}
		if (e->len && asprintf(&name, "%s%s", w->places[i].name, e->name) >= 0)
			entry_changed(w, e, name);
		return;
	}
}

void folder_watch_read(struct folder_watch *w)
{
	_Alignas(struct inotify_event) char buf[16384];
	struct pollfd p = {.fd = w->fd, .events = POLLIN};
	for (;;) {
		ssize_t n = read(w->fd, buf, sizeof buf);
		for (ssize_t at = 0; at < n;) {
			const struct inotify_event *e = (const void *)(buf + at);
			event_take(w, e);
			at += (ssize_t)(sizeof *e + e->len);
		}
		if (n <= 0 && (!w->moved.name || poll(&p, 1, MOVE_MS) <= 0))
			break;
	}
	moved_end(w, NULL);
}

/* ---- beginning and end ---- */

int folder_watch_init(struct folder_watch *w, const char *path, bool deep, uint32_t filter)
{
	*w = (struct folder_watch){.deep = deep, .filter = filter, .path = strdup(path)};
	w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	int r = w->fd < 0 ? -errno : w->path ? place_add(w, "") : -ENOMEM;
	if (r == 0 && deep)
		entries_add(w, "", false);
	return r;
}

void folder_watch_fini(struct folder_watch *w)
{
	if (w->fd >= 0)
		close(w->fd);
	while (w->nplaces)
		place_drop(w, 0);
	changes_drop(w, SIZE_MAX);
	free(w->places);
	free(w->changes);
	free(w->moved.name);
	free(w->path);
}
