/* SPDX-License-Identifier: Apache-2.0 */
/* What several commands share: options of guests, pulling on demand, doing one thing to many. */
#include "cli/cli.h"

const struct option_row guest_options[] = {
#define OPTION(name, letter, kind, arg, value, setting, help)                                      \
	{name, letter, kind, arg, value, help, setting},
#define OWN(name, kind, arg, help) {name, 0, kind, arg, NULL, help, false},
#include "cli/guest_options.def"
};
const size_t nguest_options = countof(guest_options);

static const struct own {
	const char *name;
	enum option_kind kind;
} owns[] = {
#define OPTION(name, letter, kind, arg, value, setting, help)
#define OWN(name, kind, arg, help) {name, kind},
#include "cli/guest_options.def"
};

/* A file of the current folder must be found from any other. */
static const char *own_value(const char *name, const char *value)
{
	char *one = NULL;
	if (strcmp(name, "security-opt") != 0 || strncmp(value, "seccomp=", 8) != 0)
		return value;
	char *real = realpath(value + 8, NULL); /* NULL: a word, or what the level tells of */
	if (!real || asprintf(&one, "seccomp=%s", real) < 0)
		one = NULL;
	free(real);
	return one ? one : value;
}

static size_t own_join(const struct args *a, const struct own *o, const char **to)
{
	size_t n = 0, k = 0;
	const char *const *values = o->kind == OPT_LIST ? arg_list(a, o->name, &n) : NULL;
	const char *text = o->kind == OPT_LIST   ? NULL
			   : o->kind != OPT_FLAG ? arg_text(a, o->name)
			   : arg_flag(a, o->name) ? "true" : NULL;
	char *one;
	for (size_t i = 0; i < n; i++)
		if (asprintf(&one, "%s=%s", o->name, own_value(o->name, values[i])) >= 0)
			to[k++] = one;
	if (text && asprintf(&one, "%s=%s", o->name, text) >= 0)
		to[k++] = one;
	return k;
}

/* What levels have of their own goes to them as "key=value"; it lives as long as the program. */
static const char *const *options_join(const struct args *a, const char *const *tmpfs,
				       size_t ntmpfs, size_t *ret_n)
{
	size_t n = 0, k = 0, some, all;
	const char *const *given = arg_list(a, "option", &n);
	char *one;
	all = n + ntmpfs;
	for (size_t i = 0; i < countof(owns); i++) {
		some = 1;
		if (owns[i].kind == OPT_LIST)
			(void)arg_list(a, owns[i].name, &some);
		all += some;
	}
	const char **to = calloc(all + 1, sizeof *to);
	for (; to && k < n; k++)
		to[k] = given[k];
	for (size_t i = 0; to && i < countof(owns); i++)
		if (strcmp(owns[i].name, "tmpfs")) /* --mount is of that kind, too */
			k += own_join(a, &owns[i], to + k);
	for (size_t i = 0; to && i < ntmpfs; i++)
		if (asprintf(&one, "tmpfs=%s", tmpfs[i]) >= 0)
			to[k++] = one;
	*ret_n = k;
	return to;
}

static int config_fill(struct lodge_config *c, const struct args *a)
{
	const char *const *tmpfs = NULL;
	size_t ntmpfs = 0;
	*c = (struct lodge_config){.size = sizeof *c};
	c->guest = a->noperands ? a->operands[0] : NULL;
	c->argv = a->noperands > 1 ? a->operands + 1 : NULL;
	c->argc = a->noperands > 1 ? a->noperands - 1 : 0;
	c->name = arg_text(a, "name");
	c->level = arg_text(a, "level");
	c->memory = arg_number(a, "memory");
	uint32_t milli = (uint32_t)arg_number(a, "cpus");
	c->cpus = (milli + 999) / 1000;
	c->cpu_milli = milli % 1000 ? milli : 0;
	c->cpu_weight = (uint32_t)arg_number(a, "cpu-weight");
	c->cpuset = arg_text(a, "cpuset");
	c->disk_iops = arg_number(a, "disk-iops");
	c->disk_bps = arg_number(a, "disk-bps");
	c->restart = arg_text(a, "restart");
	c->net_bps = arg_number(a, "net-bps");
	c->log_max = arg_number(a, "log-max");
	c->pids_limit = arg_number(a, "pids-limit");
	c->memory_reservation = arg_number(a, "memory-reservation");
	c->memory_swap = arg_number(a, "memory-swap");
	c->accel = arg_text(a, "accel");
	c->kernel = arg_text(a, "kernel");
	c->initrd = arg_text(a, "initrd");
	c->append = arg_text(a, "append");
	c->firmware = arg_text(a, "firmware");
	c->root = arg_text(a, "root");
	c->cwd = arg_text(a, "workdir");
	c->user = arg_text(a, "user");
	c->net = arg_text(a, "network") ? arg_text(a, "network") : arg_text(a, "net");
	c->bus = arg_text(a, "bus");
	c->mmu = arg_text(a, "mmu");
	c->timeout_ns = arg_number(a, "timeout");
	c->idle_timeout_ns = arg_number(a, "idle-timeout");
	c->disks = arg_list(a, "disk", &c->ndisks);
	c->publish = arg_list(a, "publish", &c->npublish);
	c->flags = (arg_flag(a, "rm") ? LODGE_RM : 0u) | (arg_flag(a, "tty") ? LODGE_TTY : 0u) |
		   (arg_flag(a, "interactive") ? LODGE_INTERACTIVE : 0u) |
		   (arg_flag(a, "isolate") ? LODGE_ISOLATE : 0u) |
		   (arg_flag(a, "read-only") ? LODGE_READONLY : 0u);
	c->labels = arg_list(a, "label", &c->nlabels);
	int code = env_list(a, true, &c->env, &c->nenv);
	if (code == 0)
		code = mount_lists(a, &c->volumes, &c->nvolumes, &tmpfs, &ntmpfs);
	if (code == 0)
		c->options = options_join(a, tmpfs, ntmpfs, &c->noptions);
	return code;
}

/* A default of the user's is for those guests that know it; what he says here is for this one. */
int config_from_args(struct lodge_config *c, struct args *a)
{
	bool dropped = false;
	int code = config_fill(c, a);
	for (size_t i = 0; code == 0 && i < a->cmd->noptions; i++) {
		const char *name = a->cmd->options[i].name;
		if (!arg_is_default(a, name) || lodge_takes(c, name))
			continue;
		arg_forget(a, name);
		dropped = true;
	}
	return dropped && code == 0 ? config_fill(c, a) : code;
}

int image_need(const struct args *a, const struct lodge_config *c)
{
	struct lodge_err e;
	const char *guest = lodge_image_needed(c);
	if (!guest || lodge_image_state(guest) != 0)
		return 0;
	struct progress p = {.tty = isatty(2)};
	fprintf(stderr, "lodge: the image %s is not in the cache; getting it\n", guest);
	struct lodge_pull how = {.size = sizeof how, .progress = progress_show, .user = &p};
	int r = lodge_image_pull(guest, &how, &e);
	progress_end(&p);
	return r < 0 ? fail(a, &e) : 0;
}

void warnings_print(const struct lodge_guest *g)
{
	const char *p = lodge_warning(g);
	for (size_t n; p && *p; p += n + (p[n] == '\n')) {
		n = strcspn(p, "\n");
		fprintf(stderr, "lodge: warning: %s: %.*s\n", lodge_name(g), (int)n, p);
	}
}

int for_each_guest(struct args *a,
		   int (*fn)(struct args *a, struct lodge_guest *g, struct lodge_err *e))
{
	int code = 0;
	for (size_t i = 0; i < a->noperands; i++) {
		struct lodge_guest *g = NULL;
		struct lodge_err e;
		int r = lodge_open(&g, a->operands[i], &e);
		if (r == 0)
			r = fn(a, g, &e);
		if (r < 0)
			code = fail(a, &e);
		lodge_close(g);
	}
	return code;
}
