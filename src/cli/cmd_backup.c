/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include <fcntl.h>
#include <signal.h>

static const struct option_row options[] = {
    {"output", 'o', OPT_TEXT, "FILE", NULL, "where to; - is stdout", false},
    {"incremental", 'i', OPT_TEXT, "BASE", NULL, "only what differs from this backup of it", false},
};

/* Under another name until it is whole and on the disk. */
static int backup_file(struct args *a, struct lodge_guest *g, const char *to, int base,
		       struct progress *p)
{
	struct lodge_err e;
	char *partial = NULL;
	if (asprintf(&partial, "%s.partial", to) < 0)
		return fail_text(a, "out of memory");
	int fd = open(partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), code = 0;
	if (fd < 0) {
		code = fail_text(a, "%s: %s", partial, strerror(errno));
	} else {
		if (lodge_backup(g, fd, base, progress_show, p, &e) < 0)
			code = fail(a, &e);
		else if (fsync(fd) < 0 || rename(partial, to) < 0)
			code = fail_text(a, "%s: %s", to, strerror(errno));
		if (code)
			unlink(partial);
		close(fd);
	}
	free(partial);
	return code;
}

static int backup(struct args *a)
{
	struct lodge_guest *g = NULL;
	struct lodge_err e;
	struct progress p = {.tty = isatty(2)};
	const char *to = arg_text(a, "output"), *from = arg_text(a, "incremental");
	int code = 0, base = from ? open(from, O_RDONLY | O_CLOEXEC) : -1;
	signal(SIGPIPE, SIG_IGN);
	if (!to)
		code = fail_text(a, "where to? -o FILE, or -o - for stdout");
	else if (from && base < 0)
		code = fail_text(a, "%s: %s", from, strerror(errno));
	else if (lodge_open(&g, a->operands[0], &e) < 0)
		code = fail(a, &e);
	else if (strcmp(to, "-") != 0)
		code = backup_file(a, g, to, base, &p);
	else if (lodge_backup(g, 1, base, progress_show, &p, &e) < 0)
		code = fail(a, &e);
	progress_end(&p);
	if (base >= 0)
		close(base);
	if (!code && strcmp(to, "-") != 0)
		puts(to);
	lodge_close(g);
	return code;
}

const struct command command_backup = {
    .name = "backup",
    .operands = "NAME",
    .summary = "write a guest to a file, as it is now",
    .text =
	"A running or paused guest is taken at one moment, memory, devices and disks, and goes\n"
	"on meanwhile: it stands still as for a snapshot. Of a suspended one the saved state is\n"
	"taken, of a stopped one the disks. The file (or pipe) has all that the guest needs:\n"
	"configuration, kernel, disks; lodge-stream(5) says how. Its snapshots and shared\n"
	"folders are not in it.\n"
	"\n"
	"With --incremental only the pieces of 64 KiB that differ from BASE are written; BASE\n"
	"may be an incremental one. To restore it, all of them are needed: lodge restore --from\n"
	"FULL --from FIRST --from SECOND. BASE is read and checked, the disks are read.\n"
	"\n"
	"FILE gets its name when it is whole and on the disk.\n",
    .options = options,
    .noptions = countof(options),
    .min = 1,
    .max = 1,
    .completes = "guests",
    .run = backup,
};
