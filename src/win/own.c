/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that are part of Lodge: to a guest, files in the system's folder, which are made when
 * one is looked for. Such a file is the head of an image, so that it is taken for a program, and
 * the name that says which of ours it is. */
#include "win/internal.h"
#include <fcntl.h>
#include <stdio.h>

const char path_interpreter[] = "C:\\Windows\\System32\\cmd.exe";

enum { PE_AT = 128, FILE_LEN = 512, NAME_AT = 64 };
static const char mark[] = "Lodge: ", folder[] = "/Windows/System32/";

#define PROGRAM(name, function) void function(void *arg);
#include "win/own.def"
#undef PROGRAM
static const struct {
	const char *name;
	void (*run)(void *arg);
} programs[] = {
#define PROGRAM(name, function) {name, function},
#include "win/own.def"
#undef PROGRAM
};

bool win_is_batch(const char *path)
{
	size_t n = strlen(path);
	return n > 4 && (!strcasecmp(path + n - 4, ".bat") || !strcasecmp(path + n - 4, ".cmd"));
}

static void image_fill(uint8_t *f, const char *name)
{
	memset(f, 0, FILE_LEN);
	memcpy(f, "MZ", 2);
	le32_put(f + 60, PE_AT);
	memcpy(f + NAME_AT, mark, sizeof mark - 1);
	memcpy(f + NAME_AT + sizeof mark - 1, name, strlen(name));
	memcpy(f + PE_AT, "PE\0\0\x64\x86", 6);
	le16_put(f + PE_AT + 20, 240);    /* of the optional header */
	le16_put(f + PE_AT + 22, 0x22);   /* a program; large addresses */
	le16_put(f + PE_AT + 24, 0x20b);  /* of 64 bits */
	le16_put(f + PE_AT + 24 + 68, 3); /* of the console */
}

/* Written beside it and named then: another process may look for it, too. */
static bool image_write(const char *host, const char *name)
{
	uint8_t f[FILE_LEN];
	char new[64];
	size_t n = strlen(host) - strlen(strrchr(host, '/'));
	snprintf(new, sizeof new, "%.*s/%d.new", (int)min_u64(n, 40), host, getpid());
	int fd = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0555);
	if (fd < 0)
		return false;
	image_fill(f, name);
	bool ok = write(fd, f, sizeof f) == (ssize_t)sizeof f;
	close(fd);
	if (ok && rename(new, host) == 0)
		return true;
	(void)!unlink(new);
	return false;
}

bool own_program_make(const char *host)
{
	const struct win_start *s = process()->start;
	const char *name = NULL;
	for (size_t i = 0; s && i < s->ndrives && !name; i++) {
		size_t n = strlen(s->drives[i].path);
		if (s->drives[i].letter == 'C' && !strncmp(host, s->drives[i].path, n) &&
		    !strncasecmp(host + n, folder, sizeof folder - 1))
			name = host + n + sizeof folder - 1;
	}
	for (size_t i = 0; name && i < countof(programs); i++) {
		size_t n = strlen(programs[i].name);
		if (strncasecmp(name, programs[i].name, n) != 0 || strcasecmp(name + n, ".exe"))
			continue;
		char at[64];
		snprintf(at, sizeof at, "/c%s%s.exe", folder, programs[i].name);
		return access(at, F_OK) == 0
			   ? false
			   : image_write(at, programs[i].name) && access(host, F_OK) == 0;
	}
	return false;
}

void (*own_program_of(const uint8_t *file, uint64_t len))(void *arg)
{
	for (size_t i = 0; len == FILE_LEN && i < countof(programs); i++)
		if (!memcmp(file + NAME_AT, mark, sizeof mark - 1) &&
		    !strcmp((const char *)file + NAME_AT + sizeof mark - 1, programs[i].name))
			return programs[i].run;
	return NULL;
}
