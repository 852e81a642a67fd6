/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include <fcntl.h>

static const struct option_row options[] = {
    {"force", 'f', OPT_FLAG, NULL, NULL, "kill the guest first when it runs", false},
    {"from", 0, OPT_LIST, "FILE", NULL,
     "make the guest from a backup (- is stdin); again for each incremental one, in order", false},
    {"trust", 0, OPT_FLAG, NULL, NULL,
     "it may use folders and networks of this host that the backup names", false},
};

enum { BACKUPS_MAX = 256 };

static int restore_backups(struct args *a, const char *const *files, size_t n)
{
	struct lodge_guest *g = NULL;
	struct lodge_err e;
	int fd[BACKUPS_MAX], r = 0;
	size_t have = 0;
	if (n > BACKUPS_MAX)
		return fail_text(a, "at most %d backups", BACKUPS_MAX);
	for (; have < n; have++) {
		fd[have] = strcmp(files[have], "-") ? open(files[have], O_RDONLY | O_CLOEXEC) : 0;
		if (fd[have] < 0) {
			r = fail_text(a, "%s: %s", files[have], strerror(errno));
			break;
		}
	}
	if (r == 0) {
		r = lodge_backup_restore(&g, fd, n, a->noperands ? a->operands[0] : NULL,
					 arg_flag(a, "trust"), &e);
		r = r < 0 ? fail(a, &e) : 0;
	}
	if (r == 0)
		puts(lodge_name(g));
	lodge_close(g);
	while (have--)
		if (fd[have] > 2)
			close(fd[have]);
	return r;
}

static int restore_one(struct args *a, struct lodge_guest *g, struct lodge_err *e)
{
	const char *state = lodge_state(g);
	if (arg_flag(a, "force") && (!strcmp(state, "running") || !strcmp(state, "paused"))) {
		int r = lodge_kill(g, e);
		if (r < 0)
			return r;
	}
	return lodge_restore(g, a->operands[1], e);
}

static int restore(struct args *a)
{
	struct lodge_guest *g = NULL;
	struct lodge_err e;
	size_t n;
	const char *const *files = arg_list(a, "from", &n);
	if (n && a->noperands < 2)
		return restore_backups(a, files, n);
	if (n || a->noperands < 2)
		return fail_text(a, "restore NAME SNAPSHOT, or restore --from FILE [NAME]");
	int r = lodge_open(&g, a->operands[0], &e);
	if (r == 0)
		r = restore_one(a, g, &e);
	if (r == 0)
		puts(lodge_name(g));
	lodge_close(g);
	return r < 0 ? fail(a, &e) : 0;
}

const struct command command_restore = {
    .name = "restore",
    .operands = "[NAME] [SNAPSHOT]",
    .summary = "let a guest go on from a snapshot, or make one from a backup",
    .text = "What it did since the snapshot is lost, memory and disks alike, unless another\n"
	    "snapshot has it. Connections are treated as lodge suspend says.\n"
	    "\n"
	    "With --from FILE a new guest is made from a backup, under the name that it had or\n"
	    "NAME. It is suspended, so that lodge start lets it go on; or stopped, when the\n"
	    "backup has no memory. A backup that is damaged or cut short leaves nothing.\n",
    .options = options,
    .noptions = countof(options),
    .min = 0,
    .max = 2,
    .completes = "guests",
    .run = restore,
};
