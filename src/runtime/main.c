/* SPDX-License-Identifier: Apache-2.0 */
/* The entry of runc's command line: options for all commands, then the command. */
#include "runtime/internal.h"
#include <fcntl.h>
#include <seccomp.h>
#include <stdio.h>

#define RUNTIME(n) extern const struct runtime_command runtime_##n;
#include "runtime/commands.def"
static const struct runtime_command *const commands[] = {
#define RUNTIME(n) &runtime_##n,
#include "runtime/commands.def"
};

const struct runtime_command *runtime_command_at(size_t i)
{
	return i < countof(commands) ? commands[i] : NULL;
}

static void options_print(const struct runtime_option *o, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char name[48];
		snprintf(name, sizeof name, "--%s%s", o[i].name,
			 o[i].kind == RT_FLAG ? "" : " VALUE");
		printf("  %s%c%s %-24s %s\n", o[i].letter ? "-" : " ",
		       o[i].letter ? o[i].letter : ' ', o[i].letter ? "," : " ", name, o[i].help);
	}
}

static int help_print(const struct runtime_command *c)
{
	if (c) {
		printf("usage: lodge-oci %s [OPTION...] %s\n%s\n\n", c->name, c->operands,
		       c->summary);
		options_print(c->options, c->noptions);
		return 0;
	}
	puts("usage: lodge-oci [OPTION...] COMMAND [OPTION...] [ARG...]\n"
	     "Containers of OCI bundles, by runc's command line.\n");
	options_print(runtime_options, n_runtime_options);
	puts("");
	for (size_t i = 0; i < countof(commands); i++)
		printf("  %-12s %s\n", commands[i]->name, commands[i]->summary);
	return 0;
}

static int version_print(void)
{
	printf("lodge-oci version %s\nspec: 1.2.0\nlibseccomp: %d.%d.%d\n", lodge_version(),
	       SCMP_VER_MAJOR, SCMP_VER_MINOR, SCMP_VER_MICRO);
	return 0;
}

/* In a user namespace root is not the host's. */
static bool is_mapped(void)
{
	unsigned inside = 0, outside = 0, count = 0;
	FILE *f = fopen("/proc/self/uid_map", "re");
	bool all = f && fscanf(f, "%u %u %u", &inside, &outside, &count) == 3 && !inside &&
		   !outside && count == UINT32_MAX;
	if (f)
		fclose(f);
	return !all;
}

static int root_set(struct runtime_call *c, const char *given, bool mapped)
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	if (given && *given == '/') {
		c->root = given;
		return 0;
	}
	bool user = (geteuid() != 0 || mapped) && xdg && *xdg == '/';
	char *cwd = given && *given ? realpath(".", NULL) : NULL;
	int n = cwd ? asprintf(&c->root_own, "%s/%s", cwd, given)
		    : asprintf(&c->root_own, "%s/lodge-oci", user ? xdg : "/run");
	free(cwd);
	if (n < 0)
		return say_text("out of memory");
	c->root = c->root_own;
	return 0;
}

static const char *value_of(const struct runtime_value *v, const char *name)
{
	for (size_t i = 0; i < n_runtime_options; i++)
		if (!strcmp(runtime_options[i].name, name))
			return runtime_options[i].kind == RT_FLAG ? (v[i].on ? "" : NULL)
								  : v[i].text;
	return NULL;
}

static int globals_set(struct runtime_call *c, const struct runtime_value *v)
{
	const char *format = value_of(v, "log-format"), *rootless = value_of(v, "rootless");
	const char *manager = value_of(v, "cgroup-manager");
	if (format && strcmp(format, "json") && strcmp(format, "text"))
		return say_text("invalid log-format: %s", format);
	say_open(value_of(v, "log"), format && !strcmp(format, "json"), value_of(v, "debug"));
	bool mapped = geteuid() == 0 && is_mapped();
	c->rootless = rootless && !strcmp(rootless, "true")    ? true
		      : rootless && !strcmp(rootless, "false") ? false
							       : geteuid() != 0 || mapped;
	c->systemd_cgroup =
	    value_of(v, "systemd-cgroup") || (manager && !strcmp(manager, "systemd"));
	return root_set(c, value_of(v, "root"), mapped);
}

static const struct runtime_command *command_find(const char *name)
{
	for (size_t i = 0; i < countof(commands); i++)
		if (!strcmp(commands[i]->name, name))
			return commands[i];
	return NULL;
}

static bool wants_help(int argc, char **argv)
{
	return argc > 0 && (!strcmp(argv[0], "--help") || !strcmp(argv[0], "-h"));
}

static int command_run(struct runtime_call *c, int argc, char **argv, char **all)
{
	struct lodge_err e;
	if (wants_help(argc, argv))
		return help_print(c->command);
	/* before anything is read or made: the rest is done by the program it then is */
	if (c->command->guarded && guard_self(all, &e) < 0)
		return say_error(&e);
	int r = command_parse(c, argc, argv);
	if (r == 0)
		r = c->command->run(c);
	values_free(c->values, c->command->noptions);
	free(c->operands);
	return fflush(stdout) != 0 && r == 0 ? EXIT_ERROR : r;
}

/* What is opened next must not become standard input, output or error of somebody. */
static bool streams_open(void)
{
	int fd;
	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd < 3);
	return fd >= 0 && close(fd) == 0;
}

/* Before we open any: a container gets only what was open. */
static unsigned inherited_count(void)
{
	unsigned n = 0;
	while (fcntl((int)(3 + n), F_GETFD) >= 0)
		n++;
	return n;
}

int runtime_main(int argc, char **argv)
{
	if (argc < 1 || !streams_open())
		return EXIT_ERROR;
	struct runtime_call c = {.inherited = inherited_count(), .program = argv[0]};
	struct runtime_value *v = calloc(n_runtime_options, sizeof *v);
	char **all = argv, **at = argv + 1;
	int left = argc - 1, r = v ? 0 : say_text("out of memory");
	while (r == 0 && left > 0 && at[0][0] == '-' && at[0][1])
		r = options_take(runtime_options, n_runtime_options, v, &left, &at);
	if (r == 0 && value_of(v, "version"))
		r = version_print();
	else if (r == 0 && (value_of(v, "help") || !left || !strcmp(at[0], "help")))
		r = help_print(left > 1 ? command_find(at[1]) : NULL);
	else if (r == 0 && !(c.command = command_find(at[0])))
		r = say_text("no command '%s'; see --help", at[0]) + EXIT_USAGE - EXIT_ERROR;
	else if (r == 0 && (r = globals_set(&c, v)) == 0)
		r = command_run(&c, left - 1, at + 1, all);
	values_free(v, n_runtime_options);
	free(c.root_own);
	return r;
}
