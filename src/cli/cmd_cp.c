/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

static const struct option_row options[] = {
    {"archive", 'a', OPT_FLAG, NULL, NULL, "keep owners", false},
    {"follow-link", 'L', OPT_FLAG, NULL, NULL, "where the source is a link: what it leads to",
     false},
};

/* "GUEST:PATH", cut in two; NULL: a path of the host, which has a slash before its first colon. */
static char *guest_of(const char *operand, const char **ret_path)
{
	size_t n = strcspn(operand, ":/");
	if (operand[n] != ':' || n == 0 || operand[0] == '.')
		return NULL;
	*ret_path = operand + n + 1;
	return strndup(operand, n);
}

static int cp_run(struct args *a, const char *name, struct lodge_copy *c)
{
	struct lodge_guest *g = NULL;
	struct lodge_err e;
	int r = lodge_open(&g, name, &e);
	if (r == 0)
		r = lodge_copy(g, c, &e);
	lodge_close(g);
	if (c->warning[0])
		fprintf(stderr, "lodge: warning: %s: %s\n", name, c->warning);
	return r < 0 ? fail(a, &e) : 0;
}

static int cp(struct args *a)
{
	const char *path = NULL;
	char *from = guest_of(a->operands[0], &path), *to = guest_of(a->operands[1], &path);
	const char *host = a->operands[from ? 1 : 0];
	bool stream = !strcmp(host, "-");
	struct lodge_copy c = {.size = sizeof c,
			       .guest_path = path,
			       .host_path = stream ? NULL : host,
			       .fd = from ? 1 : 0,
			       .flags = (from ? LODGE_COPY_OUT : 0u) |
					(arg_flag(a, "archive") ? LODGE_COPY_ARCHIVE : 0u) |
					(arg_flag(a, "follow-link") ? LODGE_COPY_FOLLOW : 0u)};
	int r;
	if (!from == !to)
		r = fail_text(a, from ? "one of both must be of this host"
				      : "one of both must be a guest's: NAME:PATH");
	else if (from && stream && isatty(1))
		r = fail_text(a, "a tar does not go to a terminal");
	else
		r = cp_run(a, from ? from : to, &c);
	free(from);
	free(to);
	return r;
}

const struct command command_cp = {
    .name = "cp",
    .operands = "[NAME:]SOURCE [NAME:]DESTINATION",
    .summary = "copy files between a guest and the host",
    .text =
	"By the rules of docker cp. A path of a guest begins at its root, and \"-\" is a tar on\n"
	"standard input, which goes to a folder, or standard output. A folder is copied with all\n"
	"that is in it, a link as a link.\n"
	"A destination that is a folder takes the source by its name; one that is not there\n"
	"becomes the source, in a folder that must be there; a file that is there is replaced.\n"
	"SOURCE/. is what is in the folder. Modes and times stay. In a guest the files are\n"
	"root's, out of it they are the caller's; with -a they have the owners that they had.\n"
	"Set-user-id bits, devices and attributes that give rights stay in the guest, sockets\n"
	"are not copied, and of a file of several names each becomes a file.\n"
	"Works on containers, whether they run or not, and on programs and machines with --root.\n"
	"A path of the host with a colon in its first name is written ./a:b.\n",
    .options = options,
    .noptions = countof(options),
    .min = 2,
    .max = 2,
    .completes = "guests",
    .run = cp,
};
