/* SPDX-License-Identifier: Apache-2.0 */
/* What a container of an image needs while it runs: a folder, mounts, a network, a bundle. The
 * image's layers are mounted in a mount namespace of ours, so that nothing of it is left on the
 * host however we end; the folder goes with it, and those of killed ones go at the next run. */
#include "level/container/stay.h"
#include "level/container/internal.h"
#include "level/container/spec.h"
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>

bool path_has(const char *folder, const char *name)
{
	char path[PATH_MAX];
	return snprintf(path, sizeof path, "%s/%s", folder, name) < PATH_MAX &&
	       access(path, F_OK) == 0;
}

static int images_path(char path[PATH_MAX], struct lodge_err *e)
{
	autofree char *data = life_home("data");
	if (!data || snprintf(path, PATH_MAX, "%s/images", data) >= PATH_MAX)
		return err_set(e, ENOMEM, "out of memory");
	return 0;
}

static int images_get(struct image_store **ret, struct lodge_err *e)
{
	char path[PATH_MAX];
	int r = images_path(path, e);
	return r < 0 ? r : image_store_open(ret, path, e);
}

/* ---- folders ---- */

bool stay_lives(const char *all, const char *id)
{
	char path[PATH_MAX];
	snprintf(path, sizeof path, "%.3800s/%.63s/lock", all, id);
	autoclose int fd = open(path, O_RDWR | O_CLOEXEC);
	return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

/* Those whose owners were killed: nobody holds their locks. */
static void stay_tidy(struct stay *s)
{
	DIR *d = opendir(s->all);
	for (struct dirent *de; d && (de = readdir(d));) {
		char path[NAME_MAX + 8];
		if (de->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "%s/lock", de->d_name);
		autoclose int fd = openat(dirfd(d), path, O_RDWR | O_CLOEXEC);
		if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) {
			char folder[PATH_MAX];
			snprintf(folder, sizeof folder, "%.3800s/%s", s->all, de->d_name);
			image_root_forget(s->store, de->d_name);
			warden_clean(s->program, de->d_name, folder);
		}
	}
	if (d)
		closedir(d);
}

static int stay_all(struct stay *s, struct lodge_err *e)
{
	autofree char *data = life_home("data");
	if (!data || asprintf(&s->all, "%s/containers", data) < 0) {
		s->all = NULL;
		return err_set(e, ENOMEM, "out of memory");
	}
	return 0;
}

static int stay_folder(struct stay *s, struct lodge_err *e)
{
	uint8_t random[STAY_ID_BYTES];
	char fresh[PATH_MAX - 16], lock[PATH_MAX];
	host_random(random, sizeof random);
	for (size_t i = 0; i < STAY_ID_BYTES; i++)
		snprintf(s->id + 2 * i, 3, "%02x", random[i]);
	int r = stay_all(s, e);
	if (r < 0)
		return r;
	if (asprintf(&s->folder, "%s/%s", s->all, s->id) < 0)
		return err_set(e, ENOMEM, "out of memory");
	if (mkdir(s->all, 0700) < 0 && errno != EEXIST)
		return err_sys(e, "%s", s->all);
	stay_tidy(s);
	/* it gets its name, by which others may look for dead ones, when it is locked */
	snprintf(fresh, sizeof fresh, "%.3800s/.new-%s", s->all, s->id);
	snprintf(lock, sizeof lock, "%s/lock", fresh);
	if (mkdir(fresh, 0700) < 0)
		return err_sys(e, "%s", fresh);
	s->lock = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (s->lock < 0 || flock(s->lock, LOCK_EX) < 0)
		return err_sys(e, "%s", lock);
	return rename(fresh, s->folder) < 0 ? err_sys(e, "%s", s->folder) : 0;
}

static int stay_file(const struct stay *s, const char *name, const char *text, struct lodge_err *e)
{
	autoclose int dir = open(s->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autoclose int fd =
	    dir < 0 ? -1 : openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || fchmod(fd, 0644) < 0 || !host_pwrite(fd, text, strlen(text), 0))
		return err_sys(e, "%s/%s", s->folder, name);
	return 0;
}

/* ---- the parts ---- */

/* Mounts and, for who is not root, users of our own. */
static int stay_spaces(struct stay *s, struct lodge_err *e)
{
	struct host_ids ids;
	const struct users_ask q = {.all = s->all, .id = s->id, .home = s->home};
	int r = users_make(&s->users, s->c, &q, e);
	if (r < 0)
		return r;
	if (geteuid() != 0) {
		(void)host_ids_given(&ids);
		s->mapped = true;
		s->ids = host_ids_count(&ids);
		return host_userns_enter(CLONE_NEWNS, &ids, e);
	}
	s->mapped = s->users.space >= 0;
	s->ids = s->users.ids;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return err_sys(e, "a mount namespace");
	return 0;
}

/* A folder of ours that shows @from with the owners that the container's users are. */
static int stay_owners(struct stay *s, const char *from, const char *name, char path[PATH_MAX],
		       struct lodge_err *e)
{
	snprintf(path, PATH_MAX, "%.4000s/%s", s->folder, name);
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return err_sys(e, "%s", path);
	return users_mount(&s->users, from, path, e);
}

static int root_of_folder(struct stay *s, struct lodge_err *e)
{
	char path[PATH_MAX];
	s->root = realpath(s->guest, NULL);
	if (!s->root)
		return err_sys(e, "%s", s->c->guest);
	if (s->users.space < 0)
		return 0;
	int r = stay_owners(s, s->root, "rootfs", path, e);
	free(s->root);
	s->root = strdup(path);
	return r == 0 && !s->root ? err_set(e, ENOMEM, "out of memory") : r;
}

static int stay_root(struct stay *s, struct lodge_err *e)
{
	const char *home = s->home ? s->home : s->folder;
	char images[PATH_MAX], layers[PATH_MAX], path[PATH_MAX];
	if (!s->of_image)
		return root_of_folder(s, e);
	if (asprintf(&s->root, "%s/rootfs", home) < 0)
		return err_set(e, ENOMEM, "out of memory");
	if (s->users.space < 0)
		return image_root_mount(s->store, home, NULL, s->home != NULL, e);
	int r = images_path(images, e);
	if (r < 0)
		return r;
	snprintf(path, sizeof path, "%.4000s/layers", images);
	r = stay_owners(s, path, "layers", layers, e);
	if (r < 0)
		return r;
	snprintf(path, sizeof path, "%.4000s/upper", home); /* whose it is, the root is */
	if (chown(path, s->users.uid, s->users.gid) < 0)
		return err_sys(e, "%s", path);
	return image_root_mount(s->store, home, layers, s->home != NULL, e);
}

static const char *stay_host(const struct stay *s)
{
	const char *own = spec_option(s->c, "hostname", 0);
	return own ? own : s->name ? s->name : s->id;
}

static int stay_join(struct stay *s, const char *network, struct lodge_err *e)
{
	const struct network_ask q = {.name = network, .space = s->uplink.space, .id = s->id,
				      .host = stay_host(s), .guest = s->name, .folder = s->folder,
				      .publish = s->c->publish, .npublish = s->c->npublish};
	if (s->mapped && s->users.space < 0) /* root of a namespace of ours only */
		return err_set(e, EPERM, "--net %s: networks with a bridge are root's; --net user "
			       "needs no rights", network);
	return network_join(&s->hold, &q, e);
}

static int stay_hosts(const struct stay *s, const char *usual, const char *more,
		      struct lodge_err *e)
{
	autofree char *text = NULL;
	if (asprintf(&text, "%s%s", usual, more) < 0)
		return err_set(e, ENOMEM, "out of memory");
	return stay_file(s, "hosts", text, e);
}

static int stay_net(struct stay *s, const char **ret_space, char path[64], struct lodge_err *e)
{
	const char *kind = s->c->net ? s->c->net : "user";
	autofree char *more = NULL, *servers = NULL;
	char text[512];
	int r = spec_hosts(&more, s->c, e);
	if (r == 0)
		r = spec_resolvers(&servers, s->c, e);
	if (r == 0 && *more)
		r = stay_file(s, "hosts.more", more, e);
	bool user = !strcmp(kind, "user"), host = !strcmp(kind, "host");
	bool bridge = !user && !host && strcmp(kind, "none") != 0;
	if (!strncmp(kind, "tap:", 4))
		return err_set(e, EINVAL, "--net %s: a container has user, none, host, bridge or a "
		               "network of lodge network create", kind);
	if (s->c->npublish && !user && !bridge)
		return err_set(e, EINVAL, "--net %s publishes no ports: --net user and networks do",
			       kind);
	*ret_space = host ? NULL : path;
	if (r == 0 && !host)
		r = uplink_make(&s->uplink, s->users.space, user, s->c->publish, s->c->npublish, e);
	snprintf(path, 64, "/proc/%d/fd/%d", (int)getpid(), s->uplink.space);
	if (r == 0 && bridge)
		r = stay_join(s, kind, e);
	snprintf(text, sizeof text, "127.0.0.1\tlocalhost\n::1\tlocalhost\n%s\t%.200s\n",
		 user ? UPLINK_ADDRESS : "127.0.1.1", stay_host(s));
	if (r == 0 && !bridge)
		r = stay_hosts(s, text, more, e);
	snprintf(text, sizeof text, "%.200s\n", stay_host(s));
	if (r == 0)
		r = stay_file(s, "hostname", text, e);
	if (r == 0 && (user || servers))
		r = stay_file(s, "resolv.conf",
			      servers ? servers : "nameserver " UPLINK_RESOLVER "\n", e);
	return r;
}

static int stay_bundle(struct stay *s, struct lodge_err *e)
{
	char path[64];
	const char *space = NULL;
	char *text = NULL;
	if (!s->of_image && path_has(s->guest, "config.json")) {
		const struct lodge_config *c = s->c;
		if (c->argc || c->npublish || c->nenv || c->nvolumes || c->net || c->cwd ||
		    c->user || c->noptions || c->flags & LODGE_READONLY)
			return err_set(e, EINVAL,
				       "a bundle says itself how it is run: options go "
				       "into its config.json");
		s->bundle = realpath(s->guest, NULL);
		return s->bundle ? 0 : err_sys(e, "%s", s->c->guest);
	}
	int r = stay_root(s, e);
	if (r == 0)
		r = stay_net(s, &space, path, e);
	struct spec_wants w = {.image = s->of_image ? &s->image : NULL,
			       .c = s->c,
			       .id = s->id,
			       .host = stay_host(s),
			       .root = s->root,
			       .netns = space,
			       .files = s->folder,
			       .mapped = s->mapped,
			       .ids = s->ids,
			       .uid = s->users.uid,
			       .gid = s->users.gid,
			       .users = s->users.space,
			       .terminal = s->terminal};
	if (r == 0)
		r = spec_make(&text, &w, e);
	if (r == 0)
		r = stay_file(s, "config.json", text, e);
	free(text);
	s->bundle = r == 0 ? strdup(s->folder) : NULL;
	return r == 0 && !s->bundle ? err_set(e, ENOMEM, "out of memory") : r;
}

/* ---- the runtime, which is a program of its own: small, static, and not us ---- */

int runtime_find(char path[PATH_MAX], struct lodge_err *e)
{
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 16);
	char *slash = n > 0 ? memrchr(path, '/', (size_t)n) : NULL;
	if (!slash)
		return err_sys(e, "/proc/self/exe");
	strcpy(slash, "/lodge-oci");
	return access(path, X_OK) == 0 ? 0 : err_sys(e, "%s, which runs containers", path);
}

int runtime_errno(const char *said)
{
	if (strstr(said, "not found in $PATH") || strstr(said, "No such file"))
		return ENOENT;
	return strstr(said, "ermission denied") || strstr(said, "may not be run") ||
		       strstr(said, "Exec format")
		   ? EACCES
		   : EIO;
}

/* ---- the whole ---- */

void stay_end(struct stay *s)
{
	char path[PATH_MAX];
	network_let_go(&s->hold);
	uplink_end(&s->uplink);
	users_end(&s->users);
	warden_end(&s->warden);
	if (s->folder) {
		network_leave(s->folder);
		snprintf(path, sizeof path, "%s/rootfs", s->folder);
		umount2(path, MNT_DETACH);
		snprintf(path, sizeof path, "%s/layers", s->folder);
		umount2(path, MNT_DETACH);
		if (s->store)
			image_root_forget(s->store, s->id);
		(void)!host_remove_tree(AT_FDCWD, s->folder, NULL);
	}
	image_config_fini(&s->image);
	image_store_close(s->store);
	auto_close(&s->lock);
	free(s->all);
	free(s->folder);
	free(s->bundle);
	free(s->root);
}

int stay_make(struct stay *s, struct lodge_err *e)
{
	int r = runtime_find(s->program, e);
	if (r == 0)
		r = images_get(&s->store, e);
	if (r == 0)
		r = stay_folder(s, e);
	if (r == 0 && s->of_image && s->home)
		r = image_root_config(s->store, s->home, &s->image, e);
	else if (r == 0 && s->of_image)
		r = image_root_make(s->store, s->guest, s->id, s->folder, &s->image, e);
	if (r == 0)
		r = stay_spaces(s, e);
	return r == 0 ? stay_bundle(s, e) : r;
}

int stay_guard(struct stay *s, struct lodge_err *e)
{
	return warden_start(&s->warden, s->program, s->id, s->folder, s->lock, e);
}

void stay_sweep(void)
{
	struct stay s = {.c = NULL};
	if (stay_all(&s, NULL) == 0 && access(s.all, F_OK) == 0 &&
	    runtime_find(s.program, NULL) == 0 && images_get(&s.store, NULL) == 0)
		stay_tidy(&s);
	image_store_close(s.store);
	free(s.all);
}

/* ---- the root of a guest that is kept ---- */

/* No id has a dash. */
static void kept_id(char ret[NAME_MAX], const char *name)
{
	snprintf(ret, NAME_MAX, "guest-%.200s", name);
}

int stay_prepare(const char *name, const char *home, const struct lodge_config *c,
		 struct lodge_err *e)
{
	struct image_store *s = NULL;
	struct image_config image = {0};
	char id[NAME_MAX], link[PATH_MAX];
	if (mkdir(home, 0700) < 0)
		return err_sys(e, "%s", home);
	if (access(c->guest, F_OK) == 0) { /* under a name that is the same in any folder */
		autofree char *root = realpath(c->guest, NULL);
		snprintf(link, sizeof link, "%.4000s/root", home);
		return !root || symlink(root, link) < 0 ? err_sys(e, "%s", c->guest) : 0;
	}
	kept_id(id, name);
	int r = images_get(&s, e);
	if (r == 0)
		r = image_root_make(s, c->guest, id, home, &image, e);
	image_config_fini(&image);
	image_store_close(s);
	return r;
}

int stay_open(const char *home, struct lodge_err *e)
{
	struct lodge_config none = {.guest = home};
	char guest[PATH_MAX];
	snprintf(guest, sizeof guest, "%.4000s/root", home);
	struct stay s = {STAY_NONE, .c = &none, .home = home, .guest = guest,
			 .of_image = path_has(home, "image")};
	int r = images_get(&s.store, e), fd = -1;
	if (r == 0)
		r = stay_spaces(&s, e);
	if (r == 0)
		r = stay_root(&s, e);
	if (r == 0 && (fd = open(s.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		r = err_sys(e, "%s", s.root);
	image_store_close(s.store);
	free(s.root);
	return r < 0 ? r : fd;
}

int stay_below(const char *home, int *ret, size_t *ret_n, struct lodge_err *e)
{
	struct lodge_config none = {.guest = home};
	struct stay s = {STAY_NONE, .c = &none, .home = home};
	int r = images_get(&s.store, e);
	if (r == 0)
		r = stay_spaces(&s, e);
	if (r == 0)
		r = image_root_below(s.store, home, ret, ret_n, e);
	image_store_close(s.store);
	return r;
}

void stay_forget(const char *name)
{
	struct image_store *s = NULL;
	char id[NAME_MAX];
	kept_id(id, name);
	if (images_get(&s, NULL) == 0)
		image_root_forget(s, id);
	image_store_close(s);
}

int stay_image(const char *home, struct image_config *ret, struct lodge_err *e)
{
	struct image_store *s = NULL;
	int r = path_has(home, "image") ? images_get(&s, e)
					: err_set(e, ENOENT, "it is of no image");
	if (r == 0)
		r = image_root_config(s, home, ret, e);
	image_store_close(s);
	return r;
}
