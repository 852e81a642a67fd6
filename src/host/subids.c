/* SPDX-License-Identifier: Apache-2.0 */
/* Ids that a user was given beside its own: subuid(5), newuidmap(1). Who they are is only seen in a
 * user namespace; what they own can only be removed from there. */
#include "host/host.h"
#include <stdio.h>
#include <sys/wait.h>

enum { LINE = 512 };

/* The name of @uid in /etc/passwd: no other source of names is asked. */
static bool user_name(uid_t uid, char ret[LINE])
{
	FILE *f = fopen("/etc/passwd", "re");
	unsigned id;
	char line[LINE];
	bool found = false;
	while (f && !found && fgets(line, sizeof line, f)) {
		char *rest = line, *name = strsep(&rest, ":");
		strsep(&rest, ":");
		found = rest && sscanf(rest, "%u:", &id) == 1 && id == uid;
		if (found)
			strcpy(ret, name);
	}
	if (f)
		fclose(f);
	return found;
}

size_t host_subids(const char *file, const char *name, uid_t id, struct host_ids_range *ret,
                   size_t cap)
{
	FILE *f = fopen(file, "re");
	char line[LINE], number[16];
	size_t n = 0;
	snprintf(number, sizeof number, "%u", id);
	while (f && n < cap && fgets(line, sizeof line, f)) {
		char *rest = line, *who = strsep(&rest, ":");
		unsigned start, count;
		if (!rest || (strcmp(who, name) && strcmp(who, number)) ||
		    sscanf(rest, "%u:%u", &start, &count) != 2 || !count ||
		    count > UINT32_MAX - start)
			continue;
		ret[n++] = (struct host_ids_range){.outside = start, .count = count};
	}
	if (f)
		fclose(f);
	return n;
}

/* Behind the caller, who is 0. */
static size_t maps_fill(struct host_ids_range maps[HOST_MAPS], const char *file, const char *name,
                        uid_t uid, uint32_t own)
{
	size_t n = host_subids(file, name, uid, maps + 1, HOST_MAPS - 1);
	maps[0] = (struct host_ids_range){0, own, 1};
	for (size_t i = 1; i <= n; i++)
		maps[i].inside = maps[i - 1].inside + maps[i - 1].count;
	return n ? n + 1 : 0;
}

bool host_ids_given(struct host_ids *ret)
{
	char name[LINE] = "";
	*ret = (struct host_ids){.all = false};
	if (access("/usr/bin/newuidmap", X_OK) < 0 || access("/usr/bin/newgidmap", X_OK) < 0)
		return false;
	user_name(geteuid(), name);
	/* both files are asked for the user: groups have no ranges of their own */
	struct host_ids ids = {.all = false};
	ids.nuids = maps_fill(ids.uids, "/etc/subuid", name, geteuid(), geteuid());
	ids.ngids = maps_fill(ids.gids, "/etc/subgid", name, geteuid(), getegid());
	if (!ids.nuids || !ids.ngids)
		return false;
	*ret = ids;
	return true;
}

uint32_t host_ids_count(const struct host_ids *ids)
{
	uint32_t n = 0;
	for (size_t i = 0; i < ids->nuids && ids->uids[i].inside == n; i++)
		n += ids->uids[i].count;
	return n ? n : 1;
}

static int removed_inside(int dirfd, const char *name, const struct host_ids *ids)
{
	int r = host_userns_enter(0, ids, NULL);
	return r == 0 ? file_remove_tree(dirfd, name, NULL) : r;
}

int host_remove_tree(int dirfd, const char *name, struct lodge_err *e)
{
	struct host_ids ids;
	int r = file_remove_tree(dirfd, name, e);
	if ((r != -EACCES && r != -EPERM) || geteuid() == 0 || !host_ids_given(&ids))
		return r;
	pid_t child = fork();
	if (child == 0)
		_exit(-removed_inside(dirfd, name, &ids));
	if (child < 0)
		return err_sys(e, "a process");
	int status = host_reap(child);
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
	return code ? err_set(e, code, "removing %s: %s", name, strerror(code)) : 0;
}
