/* SPDX-License-Identifier: Apache-2.0 */
/* What a container has changed of its image: what lies in the folder that takes its writes, beside
 * the layers below. overlayfs: a device 0:0 hides what is below, and a folder marked opaque all
 * that is in it below (Documentation/filesystems/overlayfs.rst). */
#include "level/container/internal.h"
#include "level/container/stay.h"
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

enum { DEEP = 128 };

/* The same folder in the layers where it is to be seen, highest first. */
struct below {
	int fd[IMAGE_LAYERS]; /* owned */
	size_t n;
};

struct walk {
	const struct lodge_config *c;
	FILE *to;
	char path[PATH_MAX];
	struct lodge_err *e;
};

static void below_fini(struct below *b)
{
	for (size_t i = 0; i < b->n; i++)
		auto_close(&b->fd[i]);
	b->n = 0;
}

static bool is_whiteout(const struct stat *st) { return S_ISCHR(st->st_mode) && st->st_rdev == 0; }

static bool is_opaque(int dir)
{
	char v = 0;
	return (fgetxattr(dir, "trusted.overlay.opaque", &v, 1) == 1 && v == 'y') ||
	       (fgetxattr(dir, "user.overlay.opaque", &v, 1) == 1 && v == 'y');
}

static bool below_has(const struct below *b, const char *name)
{
	struct stat st;
	for (size_t i = 0; i < b->n; i++)
		if (fstatat(b->fd[i], name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			return !is_whiteout(&st);
	return false;
}

/* The folder @name of those in @b. */
static int below_enter(struct below *ret, const struct below *b, const char *name,
		       struct lodge_err *e)
{
	struct stat st;
	ret->n = 0;
	for (size_t i = 0; i < b->n; i++) {
		if (fstatat(b->fd[i], name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		int fd = openat(b->fd[i], name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 && (errno == ENOTDIR || errno == ELOOP))
			return 0; /* something else, which hides what is further down */
		if (fd < 0)
			return err_sys(e, "a folder of the image");
		ret->fd[ret->n++] = fd;
		if (is_opaque(fd))
			return 0;
	}
	return 0;
}

/* ---- telling ---- */

/* Places of mounts, which the runtime has made: the image's, but nothing that the program did. */
static bool is_mount(const struct walk *w)
{
	static const char *const usual[] = {"/dev", "/proc", "/sys", "/etc/hosts", "/etc/hostname",
					    "/etc/resolv.conf"};
	for (size_t i = 0; i < countof(usual); i++)
		if (!strcmp(w->path, usual[i]))
			return true;
	for (size_t i = 0; i < w->c->nvolumes; i++) {
		struct life_volume v;
		if (life_volume_parse(&v, w->c->volumes[i], NULL) < 0)
			continue;
		bool is = !strcmp(v.target, w->path);
		life_volume_fini(&v);
		if (is)
			return true;
	}
	return false;
}

static void tell(const struct walk *w, char kind)
{
	fputc(kind, w->to);
	fputs(w->path, w->to);
	fputc(0, w->to);
}

static int name_order(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int name_real(const struct dirent *de)
{
	return strcmp(de->d_name, ".") != 0 && strcmp(de->d_name, "..") != 0;
}

/* What an opaque folder hides and does not have again. */
static void hidden_tell(struct walk *w, int dir, const struct below *b, size_t len)
{
	struct stat st;
	for (size_t i = 0; i < b->n; i++) {
		struct dirent **list = NULL;
		int n = scandirat(b->fd[i], ".", &list, name_real, name_order);
		for (int k = 0; k < n; k++) {
			const char *name = list[k]->d_name;
			struct below first = *b;
			first.n = i; /* told with the layer that is higher */
			if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 &&
			    !below_has(&first, name) && below_has(b, name)) {
				snprintf(w->path + len, sizeof w->path - len, "/%s", name);
				tell(w, 'D');
			}
			free(list[k]);
		}
		free(list);
	}
	w->path[len] = 0;
}

static int folder_walk(struct walk *w, int dir, const struct below *b, unsigned deep);

static int entry_walk(struct walk *w, int dir, const char *name, const struct below *b,
		      unsigned deep)
{
	struct stat st;
	struct below under = {.n = 0};
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(w->e, "%s", w->path); /* gone meanwhile */
	bool had = below_has(b, name);
	if (is_whiteout(&st)) {
		if (had)
			tell(w, 'D');
		return 0;
	}
	if (is_mount(w))
		return 0;
	tell(w, had ? 'C' : 'A');
	if (!S_ISDIR(st.st_mode))
		return 0;
	autoclose int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : err_sys(w->e, "%s", w->path);
	if (deep == DEEP)
		return err_set(w->e, ELOOP, "%s: more than %d folders deep", w->path, DEEP);
	int r = below_enter(&under, b, name, w->e);
	if (r == 0)
		r = folder_walk(w, fd, &under, deep + 1);
	below_fini(&under);
	return r;
}

static int folder_walk(struct walk *w, int dir, const struct below *b, unsigned deep)
{
	struct dirent **list = NULL;
	size_t len = strlen(w->path);
	bool opaque = is_opaque(dir);
	int n = scandirat(dir, ".", &list, name_real, name_order), r = 0;
	if (n < 0)
		return err_sys(w->e, "%s", w->path);
	if (opaque)
		hidden_tell(w, dir, b, len);
	for (int i = 0; i < n; i++) {
		size_t need = strlen(list[i]->d_name) + 2;
		if (r == 0 && len + need > sizeof w->path)
			r = err_set(w->e, ENAMETOOLONG, "%s: too long a path", w->path);
		if (r == 0) {
			snprintf(w->path + len, sizeof w->path - len, "/%s", list[i]->d_name);
			r = entry_walk(w, dir, list[i]->d_name, b, deep);
		}
		free(list[i]);
	}
	free(list);
	w->path[len] = 0;
	return r;
}

int container_changes(const char *instance_dir, const struct lodge_config *c, int to,
		      struct lodge_err *e)
{
	char home[PATH_MAX], upper[PATH_MAX];
	struct below b = {.n = 0};
	struct walk w = {.c = c, .e = e};
	snprintf(home, sizeof home, "%.4000s/container", instance_dir);
	snprintf(upper, sizeof upper, "%.4050s/upper", home);
	if (!path_has(home, "image"))
		return err_set(e, EOPNOTSUPP, "its root is a folder of the host's: there is no "
			       "image that it could be compared with");
	if (path_has(home, "copied"))
		return err_set(e, EOPNOTSUPP, "its root is a copy of the image, as overlayfs is "
			       "not to be had here: what was changed is not known");
	int r = stay_below(home, b.fd, &b.n, e);
	if (r < 0)
		return r;
	autoclose int dir = open(upper, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	w.to = dir < 0 ? NULL : fdopen(dup(to), "w");
	if (!w.to) {
		below_fini(&b);
		return err_sys(e, "%s", upper);
	}
	r = folder_walk(&w, dir, &b, 0);
	below_fini(&b);
	return fclose(w.to) != 0 && r == 0 ? err_sys(e, "a pipe") : r;
}
