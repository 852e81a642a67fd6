/* SPDX-License-Identifier: Apache-2.0 */
/* Options as runc takes them: --name VALUE, --name=VALUE, -n VALUE, also with one dash. */
#include "runtime/internal.h"
#include <stdio.h>

const struct runtime_option runtime_options[] = {
    {"root", 0, RT_TEXT, "folder of states (/run/lodge-oci, or below $XDG_RUNTIME_DIR)"},
    {"log", 0, RT_TEXT, "file that errors are appended to"},
    {"log-format", 0, RT_TEXT, "text or json"},
    {"debug", 0, RT_FLAG, "more in the log"},
    {"systemd-cgroup", 0, RT_FLAG, "control groups by systemd"},
    {"rootless", 0, RT_TEXT, "true, false or auto: do without control groups that may not be made"},
    {"criu", 0, RT_TEXT, "taken for others' sake"},
    {"cgroup-manager", 0, RT_TEXT, "cgroupfs, systemd or disabled"},
    {"help", 'h', RT_FLAG, "show this"},
    {"version", 'v', RT_FLAG, "show the version"},
};
const size_t n_runtime_options = countof(runtime_options);

static const struct runtime_option *option_find(const struct runtime_option *rows, size_t n,
                                                const char *word, const char **ret_value)
{
	const char *name = word + (word[1] == '-' ? 2 : 1), *eq = strchr(name, '=');
	size_t len = eq ? (size_t)(eq - name) : strlen(name);
	*ret_value = eq ? eq + 1 : NULL;
	for (size_t i = 0; i < n; i++)
		if ((strlen(rows[i].name) == len && !strncmp(rows[i].name, name, len)) ||
		    (len == 1 && rows[i].letter && rows[i].letter == *name))
			return &rows[i];
	/* -Xvalue */
	for (size_t i = 0; i < n && word[1] != '-'; i++)
		if (rows[i].letter && rows[i].letter == *name && rows[i].kind != RT_FLAG) {
			*ret_value = name + 1;
			return &rows[i];
		}
	return NULL;
}

/* -it: letters of flags, together */
static bool letters_take(const struct runtime_option *rows, size_t n, struct runtime_value *values,
                         const char *word)
{
	for (const char *p = word + 1; *p; p++) {
		size_t i = 0;
		while (i < n && (rows[i].letter != *p || rows[i].kind != RT_FLAG))
			i++;
		if (i == n)
			return false;
	}
	for (const char *p = word + 1; *p; p++)
		for (size_t i = 0; i < n; i++)
			if (rows[i].letter == *p)
				values[i].on = true;
	return true;
}

static int value_set(const struct runtime_option *o, struct runtime_value *v, const char *text)
{
	if (o->kind == RT_FLAG) {
		v->on = !text || (strcmp(text, "false") != 0 && strcmp(text, "0") != 0);
		return 0;
	}
	v->text = text;
	v->on = true;
	if (o->kind != RT_LIST)
		return 0;
	const char **list = realloc(v->list, (v->n + 1) * sizeof *list);
	if (!list)
		return say_text("out of memory");
	v->list = list;
	v->list[v->n++] = text;
	return 0;
}

int options_take(const struct runtime_option *rows, size_t n, struct runtime_value *values,
                 int *argc, char ***argv)
{
	const char *word = (*argv)[0], *value;
	const struct runtime_option *o = option_find(rows, n, word, &value);
	(*argc)--;
	(*argv)++;
	if (!o)
		return word[1] != '-' && letters_take(rows, n, values, word)
		           ? 0 : say_text("flag provided but not defined: %s", word);
	if (o->kind != RT_FLAG && !value) {
		if (!*argc)
			return say_text("flag needs an argument: %s", word);
		value = (*argv)[0];
		(*argc)--;
		(*argv)++;
	}
	return value_set(o, &values[o - rows], value);
}

int command_parse(struct runtime_call *c, int argc, char **argv)
{
	const struct runtime_command *cmd = c->command;
	c->values = calloc(cmd->noptions + 1, sizeof *c->values);
	c->operands = calloc((size_t)argc + 1, sizeof *c->operands);
	if (!c->values || !c->operands)
		return say_text("out of memory");
	while (argc > 0) {
		bool option = argv[0][0] == '-' && argv[0][1];
		if (option && !strcmp(argv[0], "--")) {
			argc--;
			argv++;
			while (argc-- > 0)
				c->operands[c->n++] = *argv++;
			break;
		}
		if (!option || (c->n && cmd->stop_at_operand)) {
			c->operands[c->n++] = *argv++;
			argc--;
			continue;
		}
		int r = options_take(cmd->options, cmd->noptions, c->values, &argc, &argv);
		if (r)
			return r;
	}
	if (c->n < cmd->min || c->n > cmd->max)
		return say_text("\"%s\" requires %s: %s %s", cmd->name,
		                c->n < cmd->min ? "more arguments" : "fewer arguments", cmd->name,
		                cmd->operands);
	return 0;
}

void values_free(struct runtime_value *values, size_t n)
{
	for (size_t i = 0; values && i < n; i++)
		free(values[i].list);
	free(values);
}

static const struct runtime_value *value_get(const struct runtime_call *c, const char *name)
{
	static const struct runtime_value none;
	for (size_t i = 0; i < c->command->noptions; i++)
		if (!strcmp(c->command->options[i].name, name))
			return &c->values[i];
	return &none;
}

bool call_flag(const struct runtime_call *c, const char *name) { return value_get(c, name)->on; }

const char *call_text(const struct runtime_call *c, const char *name)
{
	return value_get(c, name)->text;
}

const char *const *call_list(const struct runtime_call *c, const char *name, size_t *ret_n)
{
	*ret_n = value_get(c, name)->n;
	return value_get(c, name)->list;
}

bool call_number(const struct runtime_call *c, const char *name, int64_t *ret, int *ret_exit)
{
	const char *text = call_text(c, name);
	char *end;
	if (!text)
		return false;
	errno = 0;
	long long v = strtoll(text, &end, 10);
	if (errno || *end || end == text) {
		*ret_exit = say_text("--%s %s: not a number", name, text);
		return false;
	}
	*ret = v;
	return true;
}
