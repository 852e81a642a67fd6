/* SPDX-License-Identifier: Apache-2.0 */
/* Command lines by the rows of a command: --name VALUE, --name=VALUE, -n VALUE, -nVALUE, -abc,
 * --; then defaults from the environment and the configuration files. */
#include "cli/cli.h"
#include <assert.h>
#include <stdarg.h>

struct arg_value {
	const char *text; /* the last one given; into argv or owned below */
	char *owned;      /* from a setting */
	const char **list;
	size_t nlist;
	uint64_t number;
	bool given;
};

static size_t row_index(const struct args *a, const char *name)
{
	size_t i = 0; /* most differ in what they begin with */
	while (i < a->cmd->noptions &&
	       (*a->cmd->options[i].name != *name || strcmp(a->cmd->options[i].name, name)))
		i++;
	assert(i < a->cmd->noptions); /* else the command asks for an option that is no row */
	return i;
}

bool arg_flag(const struct args *a, const char *name)
{
	return a->values[row_index(a, name)].given;
}

const char *arg_text(const struct args *a, const char *name)
{
	size_t i = row_index(a, name);
	return a->values[i].text ? a->values[i].text : a->cmd->options[i].value;
}

const char *const *arg_list(const struct args *a, const char *name, size_t *ret_n)
{
	const struct arg_value *v = &a->values[row_index(a, name)];
	*ret_n = v->nlist;
	return v->list;
}

uint64_t arg_number(const struct args *a, const char *name)
{
	return a->values[row_index(a, name)].number;
}

bool arg_is_default(const struct args *a, const char *name)
{
	return a->values[row_index(a, name)].owned;
}

void arg_forget(struct args *a, const char *name)
{
	struct arg_value *v = &a->values[row_index(a, name)];
	free(v->owned);
	free(v->list);
	*v = (struct arg_value){0};
}

static int value_number(const struct option_row *o, const char *text, uint64_t *ret,
			struct lodge_err *e)
{
	char *end;
	if (o->kind == OPT_SIZE)
		return lodge_parse_size(text, ret, e);
	if (o->kind == OPT_TIME)
		return lodge_parse_time(text, ret, e);
	if (o->kind == OPT_CPUS) {
		uint32_t milli = 0;
		int r = lodge_parse_cpus(text, &milli, e);
		*ret = milli;
		return r;
	}
	errno = 0;
	*ret = strtoull(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || *ret > UINT32_MAX) {
		e->code = EINVAL;
		snprintf(e->msg, sizeof e->msg, "'%s' is not a number", text);
		return -EINVAL;
	}
	return 0;
}

static int value_set(struct args *a, size_t i, const char *text)
{
	const struct option_row *o = &a->cmd->options[i];
	struct arg_value *v = &a->values[i];
	struct lodge_err e;
	v->given = true;
	v->text = text;
	if (o->kind == OPT_LIST) {
		const char **bigger = realloc(v->list, (v->nlist + 1) * sizeof *bigger);
		if (!bigger)
			return fail_text(a, "out of memory");
		bigger[v->nlist++] = text;
		v->list = bigger;
	} else if (o->kind != OPT_FLAG && o->kind != OPT_TEXT &&
		   value_number(o, text, &v->number, &e) < 0) {
		return fail_text(a, "--%s: %s", o->name, e.msg);
	}
	return 0;
}

static const char *option_name_at(void *user, size_t i)
{
	const struct args *a = user;
	return i < a->cmd->noptions ? a->cmd->options[i].name : NULL;
}

static int unknown(struct args *a, const char *word, size_t n)
{
	char buf[96], name[64];
	snprintf(name, sizeof name, "%.*s", (int)n, word);
	return fail_text(a, "%s: no option '%s%s'%s; see lodge %s --help", a->cmd->name,
			 n == 1 ? "-" : "--", name,
			 n > 1 ? nearest(name, "--", option_name_at, a, buf, sizeof buf) : "",
			 a->cmd->name);
}

/* "--name", "--name=value". Advances *i when the next word is the value. */
static int long_option(struct args *a, int argc, char **argv, int *i)
{
	const char *word = argv[*i] + 2, *eq = strchr(word, '=');
	size_t n = eq ? (size_t)(eq - word) : strlen(word);
	for (size_t k = 0; k < a->cmd->noptions; k++) {
		const struct option_row *o = &a->cmd->options[k];
		if (strlen(o->name) != n || strncmp(o->name, word, n))
			continue;
		if (o->kind == OPT_FLAG)
			return eq ? fail_text(a, "--%s takes no value", o->name)
				  : value_set(a, k, NULL);
		if (eq)
			return value_set(a, k, eq + 1);
		if (*i + 1 >= argc)
			return fail_text(a, "--%s needs %s", o->name, o->arg);
		return value_set(a, k, argv[++*i]);
	}
	return unknown(a, word, n);
}

static int short_options(struct args *a, int argc, char **argv, int *i)
{
	for (const char *p = argv[*i] + 1; *p; p++) {
		size_t k = 0;
		while (k < a->cmd->noptions && a->cmd->options[k].letter != *p)
			k++;
		if (k == a->cmd->noptions)
			return unknown(a, p, 1);
		int r;
		if (a->cmd->options[k].kind == OPT_FLAG) {
			r = value_set(a, k, NULL);
			if (r)
				return r;
			continue;
		}
		if (p[1])
			return value_set(a, k, p + 1 + (p[1] == '='));
		if (*i + 1 >= argc)
			return fail_text(a, "-%c needs %s", *p, a->cmd->options[k].arg);
		return value_set(a, k, argv[++*i]);
	}
	return 0;
}

/* The option @i was not given, and its setting is @value, owned from now on. */
static int setting_put(struct args *a, size_t i, char *value)
{
	struct arg_value *v = &a->values[i];
	v->owned = value;
	if (!*value)
		return 0;
	if (a->cmd->options[i].kind != OPT_FLAG)
		return value_set(a, i, value);
	v->given = !strcmp(value, "1") || !strcmp(value, "yes") || !strcmp(value, "true");
	return 0;
}

/* All at once, so that the files are read once. @keys, @rows, @values: room for each option. */
static int settings_take(struct args *a, const char **keys, size_t *rows, char **values)
{
	size_t n = 0;
	struct lodge_err e;
	for (size_t i = 0; i < a->cmd->noptions; i++)
		if (a->cmd->options[i].setting && !a->values[i].given) {
			rows[n] = i;
			keys[n++] = a->cmd->options[i].name;
		}
	if (n && lodge_settings(keys, n, values, &e) < 0)
		return fail(a, &e);
	int r = 0;
	for (size_t k = 0; k < n; k++) {
		if (r == 0 && values[k])
			r = setting_put(a, rows[k], values[k]);
		else
			free(values[k]);
	}
	return r;
}

static int settings_fill(struct args *a)
{
	size_t n = a->cmd->noptions + 1;
	const char **keys = calloc(n, sizeof *keys);
	size_t *rows = calloc(n, sizeof *rows);
	char **values = calloc(n, sizeof *values);
	int r = keys && rows && values ? settings_take(a, keys, rows, values)
				       : fail_text(a, "out of memory");
	free(keys);
	free(rows);
	free(values);
	return r;
}

static int operands_check(struct args *a)
{
	const struct command *c = a->cmd;
	if (a->noperands < c->min)
		return fail_text(a, "%s needs %s; see lodge %s --help", c->name, c->operands,
				 c->name);
	bool any = strstr(c->operands, "...") != NULL;
	if (!any && a->noperands > c->max)
		return fail_text(a, "%s: '%s' is one word too many", c->name, a->operands[c->max]);
	return 0;
}

/* @w is the operand that was taken last. */
static bool stops_at(const struct args *a, const char *w)
{
	const char *word = a->cmd->stop_word;
	return a->cmd->stop_at_operand && a->noperands == 1 && (!word || !strcmp(w, word));
}

int args_parse(struct args *a, int argc, char **argv)
{
	bool options = true;
	int r = 0;
	a->values = calloc(a->cmd->noptions + 1, sizeof *a->values);
	a->operands = calloc((size_t)argc + 1, sizeof *a->operands);
	if (!a->values || !a->operands)
		return fail_text(a, "out of memory");
	for (int i = 1; r == 0 && i < argc; i++) {
		const char *w = argv[i];
		if (options && !strcmp(w, "--")) {
			options = false;
		} else if (options && (!strcmp(w, "--help") || !strcmp(w, "-h"))) {
			a->help = true;
			return 0;
		} else if (options && w[0] == '-' && w[1] == '-') {
			r = long_option(a, argc, argv, &i);
		} else if (options && w[0] == '-' && w[1]) {
			r = short_options(a, argc, argv, &i);
		} else {
			a->operands[a->noperands++] = w;
			/* One "--" between guest and its arguments is ours. */
			if (stops_at(a, w)) {
				options = false;
				if (i + 1 < argc && !strcmp(argv[i + 1], "--"))
					i++;
			}
		}
	}
	if (r == 0)
		r = settings_fill(a);
	return r ? r : operands_check(a);
}

void args_free(struct args *a)
{
	for (size_t i = 0; a->values && i < a->cmd->noptions; i++) {
		free(a->values[i].owned);
		free(a->values[i].list);
	}
	free(a->values);
	free(a->operands);
}
