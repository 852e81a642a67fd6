/* SPDX-License-Identifier: Apache-2.0 */
/* --userns, as podman has it. user_namespaces(7). A range for "auto" is a file below $DATA/ids,
 * which counts as long as its container runs or its guest is there. */
#include "level/container/users.h"
#include "box/box.h"
#include "host/host.h"
#include "level/container/spec.h"
#include "level/container/stay.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* Where nobody named ranges for containers: those that systemd leaves alone. */
enum { AUTO_IDS = 65536, AUTO_BASE = 0x70000000, AUTO_RANGES = 4096, IDS_LEAST = 1024 };

struct maps {
	struct oci_id_map uids[HOST_MAPS], gids[HOST_MAPS];
	size_t nuids, ngids;
};

static struct oci_id_map map_of(uint32_t inside, uint32_t outside, uint32_t count)
{
	return (struct oci_id_map){.container = {inside, true},
				   .host = {outside, true},
				   .size = {count, true}};
}

/* ---- --uidmap INSIDE:OUTSIDE:COUNT ---- */

static int maps_read(const struct lodge_config *c, const char *key, struct oci_id_map *to,
		     size_t *ret_n, struct lodge_err *e)
{
	const char *text;
	size_t n = 0;
	for (; (text = spec_option(c, key, n)); n++) {
		unsigned long long v[3] = {0, 0, 1};
		char end;
		int got = sscanf(text, "%llu:%llu:%llu%c", &v[0], &v[1], &v[2], &end);
		if ((got != 2 && got != 3) || !v[2] || v[2] > UINT32_MAX ||
		    v[0] > UINT32_MAX - v[2] || v[1] > UINT32_MAX - v[2])
			return err_set(e, EINVAL, "--%s %s: it is INSIDE:OUTSIDE[:COUNT]", key,
				       text);
		if (n == HOST_MAPS)
			return err_set(e, E2BIG, "--%s: more than %d ranges", key, HOST_MAPS);
		to[n] = map_of((uint32_t)v[0], (uint32_t)v[1], (uint32_t)v[2]);
	}
	*ret_n = n;
	return 0;
}

/* ---- auto: a range of one's own ---- */

struct ranges {
	int dir;             /* of the files; its lock is held */
	struct host_ids_range from[HOST_MAPS];
	size_t n;
};

static int ranges_open(struct ranges *r, const char *all, struct lodge_err *e)
{
	char path[PATH_MAX];
	struct host_ids_range gids[HOST_MAPS];
	snprintf(path, sizeof path, "%.4000s/../ids", all);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_sys(e, "%s", path);
	r->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r->dir < 0)
		return err_sys(e, "%s", path);
	while (flock(r->dir, LOCK_EX) < 0)
		if (errno != EINTR)
			return err_sys(e, "locking %s", path);
	/* podman's name for them */
	r->n = host_subids("/etc/subuid", "containers", UINT32_MAX, r->from, HOST_MAPS);
	size_t n = host_subids("/etc/subgid", "containers", UINT32_MAX, gids, HOST_MAPS);
	if (r->n != n || memcmp(r->from, gids, n * sizeof *gids))
		return err_set(e, EINVAL, "/etc/subuid and /etc/subgid give 'containers' different "
			       "ranges");
	if (!n)
		r->from[r->n++] = (struct host_ids_range){.outside = AUTO_BASE,
						    .count = AUTO_RANGES * (uint32_t)AUTO_IDS};
	return 0;
}

/* Does the file @name stand for anybody still? Its two words are a container and a guest's home. */
static bool range_used(int dir, const char *name, const char *all, unsigned *ret_count)
{
	autofree char *text = NULL;
	size_t len;
	char id[64], home[PATH_MAX] = "";
	if (file_load(dir, name, 2 * PATH_MAX, &text, &len, NULL) < 0 ||
	    sscanf(text, "%u %63s %4095s", ret_count, id, home) < 2)
		return false;
	return stay_lives(all, id) || (*home && access(home, F_OK) == 0);
}

static bool range_free(const struct ranges *r, const char *all, uint32_t from, uint32_t count)
{
	bool free = true;
	int copy = openat(r->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	for (struct dirent *de; free && d && (de = readdir(d));) {
		char *end;
		unsigned n;
		unsigned long at = strtoul(de->d_name, &end, 10);
		if (*end || end == de->d_name)
			continue;
		if (!range_used(r->dir, de->d_name, all, &n))
			unlinkat(r->dir, de->d_name, 0);
		else
			free = at + n <= from || from + count <= at;
	}
	if (d)
		closedir(d);
	return free && d;
}

static int range_take(const struct ranges *r, const struct users_ask *q, uint32_t count,
		      uint32_t *ret, struct lodge_err *e)
{
	char name[16], text[PATH_MAX + 128];
	for (size_t i = 0; i < r->n; i++)
		for (uint64_t at = 0; at + count <= r->from[i].count; at += count) {
			uint32_t from = r->from[i].outside + (uint32_t)at;
			if (!range_free(r, q->all, from, count))
				continue;
			snprintf(name, sizeof name, "%u", from);
			snprintf(text, sizeof text, "%u %s %s\n", count, q->id,
				 q->home ? q->home : "");
			*ret = from;
			return file_replace(r->dir, name, text, strlen(text), e);
		}
	return err_set(e, EADDRNOTAVAIL, "--userns auto: no %u ids are free", count);
}

/* What a guest had the last time: files of its root are theirs. */
static bool range_had(const struct users_ask *q, uint32_t *ret_from, uint32_t *ret_count)
{
	autofree char *text = NULL;
	size_t len;
	autoclose int dir = q->home ? open(q->home, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	return dir >= 0 && file_load(dir, "ids", 64, &text, &len, NULL) == 0 &&
	       sscanf(text, "%u %u", ret_from, ret_count) == 2;
}

static int range_keep(const struct users_ask *q, uint32_t from, uint32_t count, struct lodge_err *e)
{
	char text[64];
	autoclose int dir = open(q->home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(text, sizeof text, "%u %u\n", from, count);
	return dir < 0 ? err_sys(e, "%s", q->home)
		       : file_replace(dir, "ids", text, strlen(text), e);
}

/* "auto[:size=N]" */
static int auto_make(struct maps *m, const char *word, const struct users_ask *q,
		     struct lodge_err *e)
{
	struct ranges ranges = {.dir = -1};
	uint32_t from = 0, count = AUTO_IDS;
	char end;
	if (word[4] && (sscanf(word, "auto:size=%u%c", &count, &end) != 1 || count < IDS_LEAST ||
			count > AUTO_RANGES * (uint32_t)AUTO_IDS))
		return err_set(e, EINVAL, "--userns %s: auto or auto:size=N, N at least %d", word,
			       IDS_LEAST);
	if (!range_had(q, &from, &count)) {
		int r = ranges_open(&ranges, q->all, e);
		if (r == 0)
			r = range_take(&ranges, q, count, &from, e);
		if (r == 0 && q->home)
			r = range_keep(q, from, count, e);
		auto_close(&ranges.dir);
		if (r < 0)
			return r;
	}
	m->uids[0] = m->gids[0] = map_of(0, from, count);
	m->nuids = m->ngids = 1;
	return 0;
}

/* ---- all together ---- */

static int maps_make(struct maps *m, const struct lodge_config *c, const struct users_ask *q,
		     struct lodge_err *e)
{
	const char *word = spec_option(c, "userns", 0);
	int r = maps_read(c, "uidmap", m->uids, &m->nuids, e);
	if (r == 0)
		r = maps_read(c, "gidmap", m->gids, &m->ngids, e);
	if (r < 0)
		return r;
	bool given = m->nuids || m->ngids;
	if (word && given)
		return err_set(e, EINVAL, "--userns %s and --uidmap or --gidmap: only one of them",
			       word);
	if (given && !m->ngids) {
		memcpy(m->gids, m->uids, sizeof m->gids);
		m->ngids = m->nuids;
	} else if (given && !m->nuids) {
		memcpy(m->uids, m->gids, sizeof m->uids);
		m->nuids = m->ngids;
	}
	if (!word || !strcmp(word, "host"))
		return 0;
	if (!strncmp(word, "auto", 4))
		return geteuid() == 0 ? auto_make(m, word, q, e) : 0;
	if (!strcmp(word, "keep-id") || !strcmp(word, "nomap"))
		return err_set(e, EOPNOTSUPP, "--userns %s: files of the image would belong to "
			       "somebody else; host and, for root, auto are there", word);
	return err_set(e, EINVAL, "--userns %s: host or auto", word);
}

static const struct oci_id_map *map_of_root(const struct oci_id_map *at, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (at[i].container.v == 0) /* its first is nobody else */
			return &at[i];
	return NULL;
}

int users_make(struct users *ret, const struct lodge_config *c, const struct users_ask *q,
	       struct lodge_err *e)
{
	struct maps m = {.nuids = 0};
	const char *word = spec_option(c, "userns", 0);
	*ret = (struct users)USERS_NONE;
	int r = maps_make(&m, c, q, e);
	if (r == 0 && geteuid() != 0 && (m.nuids || (word && strcmp(word, "host") != 0)))
		r = err_set(e, EPERM, "--userns, --uidmap and --gidmap are root's: without root a "
			    "container has the ids that /etc/subuid gives you");
	if (r < 0 || !m.nuids)
		return r;
	const struct oci_id_map *uid = map_of_root(m.uids, m.nuids);
	const struct oci_id_map *gid = map_of_root(m.gids, m.ngids);
	if (!uid || !gid)
		return err_set(e, EINVAL,
			       "--uidmap and --gidmap have nobody for 0, whose the image's "
			       "files are");
	autoclose int proc = box_proc_open(e);
	if (proc < 0)
		return proc;
	const struct box_maps b = {m.uids, m.gids, m.nuids, m.ngids};
	int space = box_userns_make(proc, &b, e);
	if (space < 0)
		return space;
	*ret = (struct users){space, (uint32_t)uid->size.v, (uint32_t)uid->host.v,
			      (uint32_t)gid->host.v};
	return 0;
}

int users_mount(const struct users *u, const char *from, const char *to, struct lodge_err *e)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (unsigned)u->space};
	autoclose int tree = (int)syscall(SYS_open_tree, AT_FDCWD, from,
					  OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0)
		return err_sys(e, "%s", from);
	if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attr, sizeof attr) < 0)
		return err_sys(e, "other owners for %s (idmapped mounts: Linux 5.19, and a file "
			       "system that has them)", from);
	if (syscall(SYS_move_mount, tree, "", AT_FDCWD, to, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_sys(e, "mounting %s", to);
	return 0;
}

void users_end(struct users *u)
{
	auto_close(&u->space);
	*u = (struct users)USERS_NONE;
}
