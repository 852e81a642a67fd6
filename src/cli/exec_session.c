/* SPDX-License-Identifier: Apache-2.0 */
/* What exec and shell share: fill in, run, carry bytes, exit code. */
#include "cli/cli.h"

int exec_guest(struct args *a, struct lodge_guest *g, struct lodge_exec_config *c)
{
	struct lodge_exec *x = NULL;
	struct lodge_err e;
	int code = LODGE_EXIT_LODGE;
	c->size = sizeof *c;
	term_size(&c->rows, &c->columns);
	if (lodge_exec(&x, g, c, &e) < 0)
		return fail(a, &e);
	switch (session_exec(x, c->interactive, c->tty, &code, &e)) {
	case SESSION_OVER: break;
	case SESSION_DETACHED: code = 0; break;
	case SESSION_SIGNALED: break;
	case SESSION_ERROR: code = fail(a, &e); break;
	}
	lodge_exec_close(x);
	return code;
}

int exec_session(struct args *a, const char *name, struct lodge_exec_config *c)
{
	struct lodge_guest *g = NULL;
	struct lodge_err e;
	int code = env_list(a, false, &c->env, &c->nenv);
	if (code)
		return code;
	c->cwd = arg_text(a, "workdir");
	c->user = arg_text(a, "user");
	c->wait_ns = arg_number(a, "wait");
	if (lodge_open(&g, name, &e) < 0)
		return fail(a, &e);
	code = exec_guest(a, g, c);
	lodge_close(g);
	return code;
}
