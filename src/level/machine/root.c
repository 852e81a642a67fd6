/* SPDX-License-Identifier: Apache-2.0 */
/* A machine whose root is a folder of the host: what its kernel finds as initramfs. The modules
 * come from the image; our first program, and what it shall do, are made here at each boot, so that
 * they fit this program and this configuration. guest/agent/boot.c is the other side. */
#include "level/machine/internal.h"
#include <sys/stat.h>

/* ---- an archive. Linux Documentation/driver-api/early-userspace/buffer-format ---- */

enum { HEADER = 110 };

static void pad(FILE *f, size_t n)
{
	static const char zeros[4];
	fwrite(zeros, 1, (4 - n % 4) % 4, f);
}

static void entry(FILE *f, const char *name, unsigned mode, unsigned device, const void *data,
		  size_t len)
{
	static unsigned inode;
	size_t n = strlen(name) + 1;
	const unsigned field[13] = {++inode, mode, 0, 0, 1, 0, (unsigned)len, 0, 0, device >> 8,
				    device & 255, (unsigned)n, 0};
	fputs("070701", f);
	for (size_t i = 0; i < countof(field); i++)
		fprintf(f, "%08X", field[i]);
	fwrite(name, 1, n, f);
	pad(f, HEADER + n);
	fwrite(data, 1, len, f);
	pad(f, len);
}

/* ---- what the first program reads ---- */

__attribute__((format(printf, 2, 3))) static void word(FILE *f, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vfprintf(f, fmt, ap);
	va_end(ap);
	fputc(0, f);
}

static int words_make(const struct machine *m, FILE *f, struct lodge_err *e)
{
	const struct lodge_config *c = m->config;
	bool net = !c->net || !strcmp(c->net, "user");
	/* Whoever has prepared the root as a container's has its /run, /tmp and resolv.conf there.
	 */
	const char *given = life_option(c, "prepared"), *host = life_option(c, "hostname");
	bool prepared = given && !strcmp(given, "on");
	word(f, "root=%s", ROOT_TAG);
	word(f, "hostname=%s", host ? host : m->env->name);
	if (!prepared)
		word(f, "plain=1");
	if (c->flags & LODGE_READONLY)
		word(f, "readonly=1");
	if (net) { /* net/user.c */
		word(f, "ip=10.0.2.15");
		word(f, "mask=255.255.255.0");
		word(f, "gateway=10.0.2.2");
		if (!prepared)
			word(f, "dns=10.0.2.3");
	}
	for (size_t i = 0; i < c->nvolumes; i++) {
		struct life_volume v;
		int r = life_volume_parse(&v, c->volumes[i], e);
		if (r < 0)
			return r;
		word(f, "mount=lodge%zu:%s:%s", i, v.readonly ? "ro" : "rw", v.target);
		life_volume_fini(&v);
	}
	fputc(0, f);
	return 0;
}

/* The program, unless it comes from outside this time. */
static int exec_make(const struct machine *m, FILE *archive, struct lodge_err *e)
{
	const struct lodge_config *c = m->config;
	autofree uint8_t *exec = NULL;
	size_t len = 0;
	if (m->env->waits && !m->started)
		return 0;
	const char **argv = calloc(c->argc + 1, sizeof *argv);
	if (!argv)
		return err_set(e, ENOMEM, "out of memory");
	argv[0] = c->guest;
	for (size_t i = 0; i < c->argc; i++)
		argv[i + 1] = c->argv[i];
	const struct lodge_exec_config x = {.argv = argv, .argc = c->argc + 1, .env = c->env,
		.nenv = c->nenv, .cwd = c->cwd ? c->cwd : "/", .user = c->user, .tty = 1};
	int r = agent_exec_make(&x, AGENT_EXEC_FIRST, &exec, &len, e);
	free(argv);
	if (r == 0)
		entry(archive, "lodge.exec", S_IFREG | 0600, 0, exec, len);
	return r;
}

int root_initramfs(const struct machine *m, char **ret, size_t *ret_len, struct lodge_err *e)
{
	size_t len, words_len = 0;
	const uint8_t *agent = agent_program(&len);
	autofree char *words = NULL;
	*ret = NULL;
	FILE *w = open_memstream(&words, &words_len);
	int r = w ? words_make(m, w, e) : err_set(e, ENOMEM, "out of memory");
	if (w && fclose(w) != 0 && r == 0)
		r = err_set(e, ENOMEM, "out of memory");
	if (r < 0)
		return r;
	FILE *f = open_memstream(ret, ret_len);
	if (!f)
		return err_set(e, ENOMEM, "out of memory");
	entry(f, "dev", S_IFDIR | 0755, 0, NULL, 0);
	entry(f, "dev/console", S_IFCHR | 0600, 5 << 8 | 1, NULL, 0);
	entry(f, "init", S_IFREG | 0755, 0, agent, len);
	entry(f, "lodge.boot", S_IFREG | 0600, 0, words, words_len);
	r = exec_make(m, f, e);
	entry(f, "TRAILER!!!", 0, 0, NULL, 0);
	if (fclose(f) != 0 && r == 0)
		r = err_set(e, ENOMEM, "out of memory");
	if (r < 0)
		free(take(*ret));
	return r;
}

/* ---- the folder ---- */

int root_share(struct machine *m, struct lodge_err *e)
{
	struct share_options o = {
	    .path = m->config->root,
	    .readonly = m->config->flags & LODGE_READONLY,
	    .guest_owner = geteuid() == 0,
	    .xattr = true,
	};
	int r = share_open(&m->root, &o, m->env->loop, m->env->log, e);
	return err_in(e, r, "root");
}
