/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration of a program, confined: what it names of the host becomes the box's to show, and
 * what is left is of the new root. */
#include "box/box.h"
#include "lib/lib.h"
#include <stdio.h>

static int options_check(const struct lodge_config *c, struct lodge_err *e)
{
	for (size_t i = 0; i < c->noptions; i++) {
		const char *eq = strchr(c->options[i], '=');
		if (eq && strcmp(eq, "=-"))
			return err_set(e, EINVAL, "-o %s: with --isolate files and ports are "
			               "out of reach: take -o %.*s=-", c->options[i],
			               (int)(eq - c->options[i]), c->options[i]);
	}
	return 0;
}

/* A plain name is looked for in PATH, now that / is the program's: execvp(3). */
static int program_find(struct lodge_config *c, struct lodge_err *e)
{
	const char *p = getenv("PATH");
	for (size_t i = 0; i < c->nenv; i++)
		if (!strncmp(c->env[i], "PATH=", 5))
			p = c->env[i] + 5;
	while (p && *p) {
		size_t n = strcspn(p, ":");
		char *one = NULL;
		if (asprintf(&one, "%.*s/%s", (int)n, p, c->guest) < 0)
			return err_set(e, ENOMEM, "out of memory");
		if (access(one, X_OK) == 0) {
			c->guest = one; /* lives as long as the program */
			return 0;
		}
		free(one);
		p += n + (p[n] == ':');
	}
	return err_set(e, ENOENT, "%s: in no folder of PATH of the root", c->guest);
}

int isolate_enter(struct lodge_config *c, struct lodge_err *e)
{
	struct box b = {.root = c->root, .program = c->guest};
	struct life_volume *v = calloc(c->nvolumes + 1, sizeof *v);
	struct box_bind *binds = calloc(c->nvolumes + 1, sizeof *binds);
	int r = !v || !binds ? err_set(e, ENOMEM, "out of memory") : options_check(c, e);
	char *program = NULL;
	for (; r == 0 && b.n_binds < c->nvolumes; b.n_binds++) {
		struct life_volume *one = &v[b.n_binds];
		r = life_volume_parse(one, c->volumes[b.n_binds], e);
		binds[b.n_binds] =
		    (struct box_bind){one->source, one->target, one->readonly};
	}
	b.binds = binds;
	if (r == 0 && !c->root && !(program = realpath(c->guest, NULL)))
		r = err_sys(e, "%s", c->guest);
	if (r == 0)
		r = box_enter(&b, e);
	for (size_t i = 0; v && i < c->nvolumes; i++)
		life_volume_fini(&v[i]);
	free(v);
	free(binds);
	if (r < 0) {
		free(program);
		return r;
	}
	c->cwd = c->cwd ? c->cwd : "/";
	c->guest = program ? program : c->guest; /* lives as long as the program */
	c->root = NULL;
	c->nvolumes = 0;
	return strchr(c->guest, '/') ? 0 : program_find(c, e);
}
