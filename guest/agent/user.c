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

/* Cut @line at its colons. */
static bool fields(char *line, char *f[7])
{
	for (unsigned i = 0; i < 7; i++) {
		f[i] = line;
		line += strcspn(line, i == 6 ? "\n" : ":\n");
		if (i < 6 && *line != ':')
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
		if (!fields(line, f) || !number(f[2], f[2] + strlen(f[2]), &u.uid) ||
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

bool user_find(const char *who, struct user *ret)
{
	uint32_t uid = 0, gid = 0;
	const char *colon = strchr(who, ':');
	const char *end = colon ? colon : who + strlen(who);
	bool by_id = !*who || number(who, end, &uid);
	if (colon && (!by_id || !number(colon + 1, colon + strlen(colon), &gid)))
		return false;
	struct user u = {.uid = uid, .gid = gid, .name = "root", .home = "/", .shell = "/bin/sh"};
	if (!look_up(who, by_id, uid, &u)) {
		if (!by_id)
			return false;
		if (uid)
			snprintf(u.name, sizeof(u.name), "%u", uid);
	}
	if (colon)
		u.gid = gid;
	if (!u.home[0])
		memcpy(u.home, "/", 2);
	if (!u.shell[0])
		memcpy(u.shell, "/bin/sh", 8);
	*ret = u;
	return true;
}
