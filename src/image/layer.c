/* SPDX-License-Identifier: Apache-2.0 */
/* A layer applied to a folder. OCI-Image 1.1 §layer: first what it takes away from the layers
 * below, wherever that stands in the tar, then what it brings. */
#include "image/layer.h"
#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

static const char whiteout[] = ".wh.", opaque[] = ".wh..wh..opq", other[] = ".wh..wh.";

/* Folders get what they are when all is in them: writing changes times, and may be forbidden. */
struct late {
	char *path;
	mode_t mode;
	struct timespec at;
};

struct apply {
	struct layer_job *j;
	struct tar *tar;
	struct late *late;
	size_t nlate, caplate;
	int root;              /* of the job, or found by its files->place and owned */
	bool placed, below;    /* below: files are what is in a folder, which is not named */
	char top[NAME_MAX + 1];
	/* the entry: */
	struct archive_entry *entry;
	char path[PLACE_PATH]; /* in full */
	const char *name;      /* its last part */
	int dir;               /* the folder it is in; -1: none */
};

static int name_find(const struct apply *a, const char *said, char ret[PLACE_PATH],
		     struct lodge_err *e)
{
	char path[PLACE_PATH];
	if (!a->top[0])
		return place_path(said, ret, e);
	int r = place_path(said, path, e);
	if (r < 0)
		return r;
	const char *rest = a->below ? path : path + strcspn(path, "/");
	int n = snprintf(ret, PLACE_PATH, "%s%s%s", a->top, a->below && *rest ? "/" : "", rest);
	return n < PLACE_PATH ? 0 : err_set(e, ENAMETOOLONG, "'%.100s...' is too long", path);
}

static unsigned place_flags(const struct apply *a)
{
	return a->j->files ? PLACE_MOUNTS : 0;
}

/* Path, folder and name of the entry; name "": it is the root itself. */
static int entry_find(struct apply *a, bool make, struct lodge_err *e)
{
	const char *said = archive_entry_pathname(a->entry);
	if (!said)
		return err_set(e, EINVAL, "a name that is no text");
	int r = name_find(a, said, a->path, e);
	if (r < 0)
		return r;
	char *slash = strrchr(a->path, '/'), *name = slash ? slash + 1 : a->path;
	char c = *name;
	*name = 0; /* cuts the slash's rest: "a/b/" */
	if (slash)
		*slash = 0;
	a->dir = place_folder(a->root, a->path, place_flags(a) | (make ? PLACE_MAKE : 0), e);
	if (slash)
		*slash = '/';
	*name = c;
	a->name = name;
	return a->dir < 0 ? a->dir : 0;
}

static void entry_leave(struct apply *a)
{
	auto_close(&a->dir);
	a->dir = -1;
}

/* ---- what goes ---- */

static int folder_empty(int dir, struct lodge_err *e)
{
	int r = 0, copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	if (!d)
		return err_sys(e, "a folder");
	for (struct dirent *de; r == 0 && (de = readdir(d));)
		if (strcmp(de->d_name, ".") && strcmp(de->d_name, ".."))
			r = file_remove_tree(dir, de->d_name, e);
	closedir(d);
	return r;
}

static int entry_take_away(struct apply *a, struct lodge_err *e)
{
	const char *said = archive_entry_pathname(a->entry);
	if (!said || !strstr(said, whiteout))
		return 0;
	int r = entry_find(a, false, e);
	if (r == -ENOENT || r == -ENOTDIR)
		return 0; /* nothing is there below */
	if (r < 0)
		return r;
	const char *gone = a->name + sizeof whiteout - 1;
	if (!strcmp(a->name, opaque))
		r = folder_empty(a->dir, e);
	else if (!strncmp(a->name, whiteout, sizeof whiteout - 1) &&
		 strncmp(a->name, other, sizeof other - 1) && *gone && strcmp(gone, ".") &&
		 strcmp(gone, ".."))
		r = file_remove_tree(a->dir, gone, e);
	entry_leave(a);
	return r;
}

/* ---- what comes ---- */

static struct timespec entry_time(struct archive_entry *n)
{
	return (struct timespec){.tv_sec = archive_entry_mtime(n),
				 .tv_nsec = archive_entry_mtime_nsec(n)};
}

/* Attributes by which a file system of ours is told what to do stay out; and those that only the
 * root of the host may give, where we are not. */
static bool xattr_wanted(const struct apply *a, const char *name)
{
	bool ours = !strncmp(name, "user.", 5) && strncmp(name, "user.overlay.", 13);
	if (a->j->files && !a->j->privileged)
		return ours;
	return ours || !strcmp(name, "security.capability") ||
	       !strncmp(name, "system.posix_acl_", 17);
}

/* @fd: of the file; -1: by its name. */
static int entry_xattrs(struct apply *a, int fd, struct lodge_err *e)
{
	const char *name;
	const void *value;
	size_t len;
	archive_entry_xattr_reset(a->entry);
	while (archive_entry_xattr_next(a->entry, &name, &value, &len) == ARCHIVE_OK) {
		/* the folder is the working one: no call sets them by folder and name */
		if (!name || !xattr_wanted(a, name))
			continue;
		if (fd < 0 && fchdir(a->dir) < 0)
			return err_sys(e, "'%.200s'", a->path);
		int r = fd < 0 ? lsetxattr(*a->name ? a->name : ".", name, value, len, 0)
			       : fsetxattr(fd, name, value, len, 0);
		if (r < 0 && errno != EOPNOTSUPP &&
		    (a->j->privileged || (errno != EPERM && errno != EINVAL)))
			return err_sys(e, "'%.200s': attribute %.60s", a->path, name);
	}
	return 0;
}

static int owner_set(struct apply *a, int fd, uid_t uid, gid_t gid, struct lodge_err *e)
{
	if ((fd < 0 ? fchownat(a->dir, a->name, uid, gid, AT_SYMLINK_NOFOLLOW)
		    : fchown(fd, uid, gid)) == 0)
		return 0;
	if (a->j->privileged || (errno != EPERM && errno != EINVAL))
		return err_sys(e, "'%.200s': owner %u:%u", a->path, uid, gid);
	a->j->owners++; /* an id that this user has not */
	return 0;
}

static int entry_owner(struct apply *a, int fd, struct lodge_err *e)
{
	int64_t uid = archive_entry_uid(a->entry), gid = archive_entry_gid(a->entry);
	if (a->j->files && a->j->files->owner == FILES_OURS)
		return 0;
	if (a->j->files && a->j->files->owner == FILES_ROOT)
		uid = gid = 0;
	if (uid < 0 || gid < 0 || uid >= UINT32_MAX || gid >= UINT32_MAX)
		return err_set(e, EINVAL, "'%.200s' belongs to nobody: %lld:%lld", a->path,
			       (long long)uid, (long long)gid);
	return owner_set(a, fd, (uid_t)uid, (gid_t)gid, e);
}

static mode_t entry_mode(const struct apply *a)
{
	return archive_entry_perm(a->entry) & (a->j->files ? a->j->files->modes : 07777);
}

/* Owner, attributes, mode, time; in this order, for each takes away what comes later. By name it is
 * for what nobody can have put something else in the place of, and for what has no mode. */
static int entry_finish(struct apply *a, struct lodge_err *e)
{
	bool link = archive_entry_filetype(a->entry) == AE_IFLNK;
	struct timespec t[2] = {{.tv_nsec = UTIME_OMIT}, entry_time(a->entry)};
	int r = entry_owner(a, -1, e);
	if (r == 0)
		r = entry_xattrs(a, -1, e);
	if (r == 0 && !link && !a->j->files && fchmodat(a->dir, a->name, entry_mode(a), 0) < 0)
		r = err_sys(e, "'%.200s': mode", a->path);
	if (r == 0 && utimensat(a->dir, a->name, t, AT_SYMLINK_NOFOLLOW) < 0)
		r = err_sys(e, "'%.200s': time", a->path);
	return r;
}

static int file_finish(struct apply *a, int fd, struct lodge_err *e)
{
	struct timespec t[2] = {{.tv_nsec = UTIME_OMIT}, entry_time(a->entry)};
	int r = entry_owner(a, fd, e);
	if (r == 0)
		r = entry_xattrs(a, fd, e);
	if (r == 0 && fchmod(fd, entry_mode(a)) < 0)
		r = err_sys(e, "'%.200s': mode", a->path);
	if (r == 0 && futimens(fd, t) < 0)
		r = err_sys(e, "'%.200s': time", a->path);
	return r;
}

/* Something is there, of the mode @was. A file that is mounted there can be written only. */
static int files_replace(struct apply *a, bool folder, mode_t was, struct lodge_err *e)
{
	if (folder != S_ISDIR(was))
		return err_set(e, folder ? ENOTDIR : EISDIR, "'%.200s' is there, and %s", a->path,
			       folder ? "no folder" : "a folder");
	if (folder)
		return 1;
	if (unlinkat(a->dir, a->name, 0) == 0)
		return 0;
	return errno == EBUSY && S_ISREG(was) ? 1 : err_sys(e, "'%.200s'", a->path);
}

/* What is there goes, unless both are folders. 1: it stays. */
static int entry_replace(struct apply *a, bool folder, struct lodge_err *e)
{
	struct stat st;
	if (fstatat(a->dir, a->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(e, "'%.200s'", a->path);
	if (a->j->files)
		return files_replace(a, folder, st.st_mode, e);
	if (folder && S_ISDIR(st.st_mode))
		return 1;
	return file_remove_tree(a->dir, a->name, e);
}

static int file_data(struct apply *a, int fd, struct lodge_err *e)
{
	const void *data;
	size_t len;
	uint64_t off, size = (uint64_t)archive_entry_size(a->entry);
	int r;
	while ((r = tar_data(a->tar, &data, &len, &off, e)) > 0) {
		if (off > size || len > size - off)
			return err_set(e, EINVAL, "'%.200s' has data beyond its end", a->path);
		if (!host_pwrite(fd, data, len, off))
			return err_sys(e, "'%.200s'", a->path);
		a->j->bytes += len;
		if (a->j->progress && a->j->progress(a->j->arg, tar_done(a->tar)))
			return err_set(e, ECANCELED, "unpacking was stopped");
	}
	if (r == 0 && ftruncate(fd, (off_t)size) < 0)
		r = err_sys(e, "'%.200s'", a->path);
	return r;
}

/* @there: what is there keeps all but its data. */
static int bring_file(struct apply *a, bool there, struct lodge_err *e)
{
	int flags = O_WRONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
	autoclose int fd = openat(a->dir, a->name,
				  flags | (there ? O_TRUNC : O_CREAT | O_EXCL), 0600);
	if (fd < 0)
		return err_sys(e, "'%.200s'", a->path);
	int r = file_data(a, fd, e);
	if (r == 0 && !there)
		r = file_finish(a, fd, e);
	if (r < 0 && !there) /* half of it is worse than nothing */
		unlinkat(a->dir, a->name, 0);
	return r;
}

static int bring_hard_link(struct apply *a, const char *to, struct lodge_err *e)
{
	char path[PLACE_PATH];
	int r = name_find(a, to, path, e);
	if (r < 0)
		return r;
	char *slash = strrchr(path, '/');
	if (slash)
		*slash++ = 0;
	autoclose int dir = place_folder(a->root, slash ? path : "", place_flags(a), e);
	if (dir < 0)
		return err_in(e, dir, "'%.100s', a link to '%.100s'", a->path, to);
	if (linkat(dir, slash ? slash : path, a->dir, a->name, 0) < 0)
		return err_sys(e, "'%.100s', a link to '%.100s'", a->path, to);
	return 0;
}

static int bring_node(struct apply *a, mode_t type, struct lodge_err *e)
{
	dev_t dev = 0;
	if (type != S_IFIFO) {
		dev = makedev((unsigned)archive_entry_rdevmajor(a->entry),
			      (unsigned)archive_entry_rdevminor(a->entry));
		if (!a->j->privileged) { /* the kernel would not let it be used either */
			a->j->devices++;
			return 0;
		}
		if (type == S_IFCHR && dev == 0)
			return err_set(e, EPERM,
				       "'%.200s' is the device 0:0, which is a whiteout "
				       "to Linux",
				       a->path);
	}
	if (mknodat(a->dir, a->name, type | (a->j->files ? entry_mode(a) : 0600), dev) < 0)
		return err_sys(e, "'%.200s'", a->path);
	return entry_finish(a, e);
}

static int late_add(struct apply *a, struct lodge_err *e)
{
	if (a->nlate == a->caplate) {
		size_t cap = a->caplate ? 2 * a->caplate : 256;
		struct late *more = realloc(a->late, cap * sizeof *more);
		if (!more)
			return err_set(e, ENOMEM, "out of memory");
		a->late = more;
		a->caplate = cap;
	}
	struct late *l = &a->late[a->nlate];
	*l = (struct late){.path = strdup(a->path),
			   .mode = entry_mode(a),
			   .at = entry_time(a->entry)};
	a->nlate += l->path != NULL;
	return l->path ? 0 : err_set(e, ENOMEM, "out of memory");
}

/* The root itself has no name in a folder: it is "." of its own. */
static int bring_folder(struct apply *a, bool there, struct lodge_err *e)
{
	bool root = !*a->name;
	if (there && a->j->files && (root || a->j->files->owner != FILES_STORED))
		return 0; /* it is not ours */
	if (!there && !root && mkdirat(a->dir, a->name, 0700) < 0)
		return err_sys(e, "'%.200s'", a->path);
	const char *name = a->name;
	a->name = root ? "." : name;
	int r = entry_owner(a, -1, e);
	if (r == 0)
		r = entry_xattrs(a, -1, e);
	a->name = name;
	return r < 0 ? r : late_add(a, e);
}

static int entry_make(struct apply *a, struct lodge_err *e)
{
	const char *to = archive_entry_hardlink(a->entry);
	mode_t type = archive_entry_filetype(a->entry);
	if (!*a->name && (to || type != AE_IFDIR))
		return err_set(e, EINVAL, "the root of the layer is no folder in it");
	int r = *a->name ? entry_replace(a, !to && type == AE_IFDIR, e) : 1;
	if (r < 0)
		return r;
	if (to)
		return bring_hard_link(a, to, e);
	switch (type) {
	case AE_IFREG: return bring_file(a, r > 0, e);
	case AE_IFDIR: return bring_folder(a, r > 0, e);
	case AE_IFLNK:
		to = archive_entry_symlink(a->entry);
		if (!to || !*to)
			return err_set(e, EINVAL, "'%.200s' is a link to nothing", a->path);
		if (symlinkat(to, a->dir, a->name) < 0)
			return err_sys(e, "'%.200s'", a->path);
		return entry_finish(a, e);
	case AE_IFCHR:
	case AE_IFBLK:
	case AE_IFIFO: return bring_node(a, type, e);
	default: return err_set(e, EINVAL, "'%.200s' is of no kind that a layer has", a->path);
	}
}

/* The first entry says where all of them go. */
static int files_place(struct apply *a, struct lodge_err *e)
{
	const char *said = archive_entry_pathname(a->entry);
	char path[PLACE_PATH] = "";
	int r = said ? place_path(said, path, e) : err_set(e, EINVAL, "a name that is no text");
	if (r < 0)
		return r;
	a->below = !path[0];
	a->root = a->j->files->place(a->j->files->arg,
				     archive_entry_filetype(a->entry) == AE_IFDIR, a->top, e);
	a->placed = a->root >= 0;
	return a->placed ? 0 : a->root;
}

static int entry_bring(struct apply *a, struct lodge_err *e)
{
	int r = a->j->files && !a->placed ? files_place(a, e) : 0;
	if (r == 0)
		r = entry_find(a, true, e);
	if (r < 0)
		return r;
	if (a->j->files || strncmp(a->name, whiteout, sizeof whiteout - 1))
		r = entry_make(a, e);
	entry_leave(a);
	return r;
}

static int late_do(struct apply *a, struct lodge_err *e)
{
	for (size_t i = a->nlate; i-- > 0;) {
		const struct late *l = &a->late[i];
		struct timespec t[2] = {{.tv_nsec = UTIME_OMIT}, l->at};
		autoclose int fd = place_folder(a->root, l->path, place_flags(a), NULL);
		if (fd < 0)
			continue; /* replaced later by something else */
		if (fchmod(fd, l->mode) < 0 || futimens(fd, t) < 0)
			return err_sys(e, "'%.200s'", l->path);
	}
	return 0;
}

/* All entries of the tar, each to @fn. */
static int tar_each(struct apply *a, int (*fn)(struct apply *a, struct lodge_err *e),
		    struct lodge_err *e)
{
	struct digest_sum sum;
	struct digest is;
	const struct digest *want = a->j->diff;
	int r = digest_begin(&sum, want ? want->text : "sha256", e);
	if (r == 0)
		r = tar_open(&a->tar, a->j->blob, 0, &a->j->limits, &sum, e);
	while (r == 0 && (r = tar_next(a->tar, &a->entry, e)) > 0)
		r = fn(a, e);
	tar_close(take(a->tar));
	if (r == 0 && want) {
		digest_end(&sum, &is);
		if (!digest_same(&is, want))
			r = err_set(e, EBADMSG, "its tar is %s, not %s as the image says", is.text,
				    want->text);
	}
	digest_drop(&sum);
	return r;
}

/* The same of a stream. */
static int files_each(struct apply *a, struct lodge_err *e)
{
	const struct tar_limits any = {.bytes = UINT64_MAX};
	int r = tar_open(&a->tar, a->j->blob, TAR_ANY | TAR_STREAM, &any, NULL, e);
	while (r == 0 && (r = tar_next(a->tar, &a->entry, e)) > 0)
		r = entry_bring(a, e);
	tar_close(take(a->tar));
	return r;
}

int layer_apply(struct layer_job *j, struct lodge_err *e)
{
	struct apply a = {.j = j, .dir = -1, .root = j->root};
	/* Names are bytes to us; libarchive converts them, and should not. Of this thread alone. */
	locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	locale_t before = uselocale(utf8 ? utf8 : (locale_t)0);
	int r = j->first || j->files ? 0 : tar_each(&a, entry_take_away, e);
	if (r == 0)
		r = j->files ? files_each(&a, e) : tar_each(&a, entry_bring, e);
	if (r == 0)
		r = late_do(&a, e);
	entry_leave(&a);
	if (a.placed)
		close(a.root);
	for (size_t i = 0; i < a.nlate; i++)
		free(a.late[i].path);
	free(a.late);
	uselocale(before);
	if (utf8)
		freelocale(utf8);
	return r;
}
