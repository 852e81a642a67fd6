/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include <json-c/json.h>

static const struct option_row options[] = {
    {"persist", 0, OPT_FLAG, NULL, NULL, "install: also at the next boot (systemd-binfmt)", false},
    {"map-root", 0, OPT_FLAG, NULL, NULL, "run: the caller is root to the command", false},
    {"interpreter", 0, OPT_TEXT, "FILE", NULL, "what the kernel runs (lodge-riscv64 beside lodge)",
     false},
    {"folder", 0, OPT_TEXT, "DIR", NULL, "where binfmt_misc is mounted, if not where Linux has it",
     false},
    {"persist-folder", 0, OPT_TEXT, "DIR", NULL, "instead of /etc/binfmt.d", false},
    {"format", 0, OPT_TEXT, "FORMAT", "table", "table or json (of status)", false},
};

static int binfmt_install(struct args *a, const struct lodge_binfmt *b)
{
	struct lodge_err e;
	return lodge_binfmt_install(b, &e) < 0 ? fail(a, &e) : 0;
}

static int binfmt_remove(struct args *a, const struct lodge_binfmt *b)
{
	struct lodge_err e;
	return lodge_binfmt_remove(b, &e) < 0 ? fail(a, &e) : 0;
}

static bool is_set(struct json_object *o, const char *key)
{
	return json_object_get_boolean(json_object_object_get(o, key));
}

static void status_print(struct json_object *o)
{
	const char *name = member_text(o, "name"), *off = is_set(o, "enabled") ? "" : ", disabled";
	if (!is_set(o, "mounted"))
		printf("binfmt_misc is not mounted at %s\n", member_text(o, "folder"));
	else if (is_set(o, "registered"))
		printf("%s: %s, flags %s%s\n", name, member_text(o, "interpreter"),
		       member_text(o, "flags"), off);
	else
		printf("%s is not registered\n", name);
	if (is_set(o, "persistent"))
		puts("registered at the next boot");
}

static int binfmt_status(struct args *a, const struct lodge_binfmt *b)
{
	struct lodge_err e;
	char *text = NULL;
	if (lodge_binfmt_status(b, &text, &e) < 0)
		return fail(a, &e);
	struct json_object *o = json_tokener_parse(text);
	bool in = is_set(o, "registered");
	if (a->json)
		puts(text);
	else
		status_print(o);
	json_object_put(o);
	lodge_free(text);
	return in ? 0 : 1;
}

static int binfmt_run(struct args *a, const struct lodge_binfmt *b)
{
	struct lodge_err e;
	const char **argv = a->operands + 1;
	union {
		const char **in;
		char *const *out;
	} args = {argv};
	if (!argv[0])
		return fail_text(a, "binfmt run needs a command");
	if (lodge_binfmt_enter(b, arg_flag(a, "map-root"), &e) < 0)
		return fail(a, &e);
	execvp(argv[0], args.out);
	e.code = errno;
	snprintf(e.msg, sizeof e.msg, "%.400s: %s", argv[0], strerror(errno));
	return fail(a, &e);
}

static int binfmt(struct args *a)
{
	static const struct {
		const char *name;
		int (*fn)(struct args *a, const struct lodge_binfmt *b);
	} subs[] = {{"install", binfmt_install}, {"remove", binfmt_remove},
		    {"status", binfmt_status}, {"run", binfmt_run}};
	const struct lodge_binfmt b = {.size = sizeof b,
				       .folder = arg_text(a, "folder"),
				       .interpreter = arg_text(a, "interpreter"),
				       .persist_folder = arg_text(a, "persist-folder"),
				       .persist = arg_flag(a, "persist")};
	for (size_t i = 0; i < countof(subs); i++) {
		if (strcmp(a->operands[0], subs[i].name))
			continue;
		if (subs[i].fn != binfmt_run && a->noperands > 1)
			return fail_text(a, "binfmt %s: '%s' is one word too many", subs[i].name,
			                 a->operands[1]);
		return subs[i].fn(a, &b);
	}
	return fail_text(a, "binfmt '%s'; install, remove, status and run exist", a->operands[0]);
}

const struct command command_binfmt = {
    .name = "binfmt",
    .operands = "install|remove|status|run [COMMAND...]",
    .summary = "have the kernel run programs of riscv64 by lodge",
    .text =
	"install registers lodge-riscv64 with the kernel (binfmt_misc), for root: then a program\n"
	"of riscv64 Linux is started as any other, also in chroots and containers, whose files\n"
	"need not have lodge; a setuid program gets its rights. Until the next boot, or with\n"
	"--persist after it as well. remove takes both back. status says what is; its exit code\n"
	"is 1 if nothing is registered.\n"
	"run does so for one command and what that starts, without root, in a user namespace\n"
	"(Linux 6.7 and later). Its options go before run.\n",
    .options = options,
    .noptions = countof(options),
    .min = 1,
    .stop_at_operand = true,
    .stop_word = "run",
    .run = binfmt,
};
