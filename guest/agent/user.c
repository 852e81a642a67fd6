/* SPDX-License-Identifier: Apache-2.0 */
/* Who a program runs as: /etc/passwd read directly, since a static program has no NSS. passwd(5) */
#include "agent.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool number(const char *s, const char *end, uint32_t *ret)
{
	uint64_t v = 0;
	if (s == end)
		return false;
	for (; s < end; s++) {
		if (*s < '0' || *s > '9' || v > UINT32_MAX / 10)
			return false;
		v = v * 10 + (uint64_t)(*s - '0');
	}
	*ret = (uint32_t)v;
	return v < UINT32_MAX;
}

/* Cut @line at its colons into @n fields. */
static bool fields(char *line, char **f, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		f[i] = line;
		line += strcspn(line, i == n - 1 ? "\n" : ":\n");
		if (i < n - 1 && *line != ':')
			return false;
		*line++ = '\0';
	}
	return true;
}

static bool look_up(const char *name, bool by_id, uint32_t uid, struct user *ret)
{
	char line[1024], *f[7];
	bool found = false;
	FILE *in = fopen("/etc/passwd", "re");
	if (!in)
		return false;
	while (!found && fgets(line, sizeof(line), in)) {
		struct user u = {0};
		if (!fields(line, f, 7) || !number(f[2], f[2] + strlen(f[2]), &u.uid) ||
		    !number(f[3], f[3] + strlen(f[3]), &u.gid))
			continue;
		found = by_id ? u.uid == uid : !strcmp(f[0], name);
		if (!found)
			continue;
		snprintf(u.name, sizeof(u.name), "%s", f[0]);
		snprintf(u.home, sizeof(u.home), "%s", f[5]);
		snprintf(u.shell, sizeof(u.shell), "%s", f[6]);
		*ret = u;
	}
	fclose(in);
	return found;
}

/* Is @name among @list, which has commas between? */
static bool listed(const char *list, const char *name)
{
	size_t n = strlen(name);
	for (const char *p = list; *p; p += strspn(p, ",")) {
		size_t m = strcspn(p, ",\n");
		if (m == n && !strncmp(p, name, n))
			return true;
		p += m;
		if (*p == '\n')
			break;
	}
	return false;
}

/* group(5). @name: the id of that group; else all groups that @u->name is a member of. */
static bool groups_read(const char *name, struct user *u, uint32_t *ret)
{
	char line[4096], *f[4];
	FILE *in = fopen("/etc/group", "re");
	bool found = false;
	while (in && !found && fgets(line, sizeof(line), in)) {
		uint32_t gid;
		if (!fields(line, f, 4) || !number(f[2], f[2] + strlen(f[2]), &gid))
			continue;
		if (name && !strcmp(f[0], name)) {
			*ret = gid;
			found = true;
		} else if (!name && listed(f[3], u->name) && gid != u->gid &&
			   u->ngroups < USER_GROUPS) {
			u->groups[u->ngroups++] = gid;
		}
	}
	if (in)
		fclose(in);
	return found;
}

/* ",GID,GID" */
static bool more_groups(const char *p, struct user *u)
{
	while (*p == ',') {
		p++;
		const char *end = p + strcspn(p, ",");
		if (u->ngroups == USER_GROUPS || !number(p, end, &u->groups[u->ngroups]))
			return false;
		u->ngroups++;
		p = end;
	}
	return true;
}

bool user_find(const char *who, struct user *ret)
{
	uint32_t uid = 0, gid = 0;
	char name[128], group[128];
	size_t n = strcspn(who, ":,");
	const char *colon = who[n] == ':' ? who + n : NULL;
	const char *rest = colon ? colon + strcspn(colon, ",") : who + n;
	if (n >= sizeof(name) || (colon && (size_t)(rest - colon) > sizeof(group)))
		return false;
	snprintf(name, sizeof(name), "%.*s", (int)n, who);
	snprintf(group, sizeof(group), "%.*s", colon ? (int)(rest - colon - 1) : 0,
		 colon ? colon + 1 : "");
	bool by_id = !*name || number(name, name + n, &uid);
	struct user u = {.uid = uid, .gid = gid, .name = "root", .home = "/", .shell = "/bin/sh"};
	if (!look_up(name, by_id, uid, &u)) {
		if (!by_id)
			return false;
		if (uid)
			snprintf(u.name, sizeof(u.name), "%u", uid);
	}
	if (colon && !number(group, group + strlen(group), &u.gid) &&
	    !groups_read(group, &u, &u.gid))
		return false;
	if (*rest && !more_groups(rest, &u))
		return false;
	if (!by_id && !colon && !*rest)
		groups_read(NULL, &u, NULL);
	if (!u.home[0])
		memcpy(u.home, "/", 2);
	if (!u.shell[0])
		memcpy(u.shell, "/bin/sh", 8);
	*ret = u;
	return true;
}
