/* SPDX-License-Identifier: Apache-2.0 */
/* What the program sees as /: a folder of the host, with the host's devices and kernel files in it,
 * and folders that the user puts there. */
#include "level/process/internal.h"
#include <fcntl.h>

static int bind_add(struct proc *p, const char *host, const char *guest, bool read_only,
                    struct lodge_err *e)
{
	int fd = open(host, O_PATH | O_CLOEXEC);
	char *path = fd < 0 ? NULL : realpath(host, NULL), *at = strdup(guest);
	if (!path || !at) {
		auto_close(&fd);
		free(path);
		free(at);
		return err_sys(e, "--volume %s", host);
	}
	for (size_t n = strlen(at); n > 1 && at[n - 1] == '/';)
		at[--n] = 0;
	p->binds[p->sys.n_binds++] = (struct linux_bind){.guest = at, .host = path,
		.fd = linux_fd_own(&p->sys, fd), .read_only = read_only};
	return 0;
}

static int volume_add(struct proc *p, const char *spec, struct lodge_err *e)
{
	struct life_volume v = {0};
	int r = life_volume_parse(&v, spec, e);
	if (r < 0)
		return r;
	if (strstr(v.target, "/.") || strstr(v.target, "//"))
		r = err_set(e, EINVAL, "--volume %s: the path in the guest has to be a plain one",
		            spec);
	else
		r = bind_add(p, v.source, v.target, v.readonly, e);
	life_volume_fini(&v);
	return r;
}

int root_open(struct proc *p, const struct lodge_config *c, struct lodge_err *e)
{
	static const char *const hosts[] = {"/proc", "/dev", "/sys"};
	linux_proc_init(&p->sys, USER_END);
	p->binds = calloc(c->nvolumes + countof(hosts), sizeof *p->binds);
	if (!p->binds)
		return err_set(e, ENOMEM, "out of memory");
	p->sys.binds = p->binds;
	int fd = c->root ? open(c->root, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	p->root = fd < 0 ? NULL : realpath(c->root, NULL);
	if (c->root && !p->root)
		return err_sys(e, "--root %s", c->root);
	p->sys.root = p->root;
	if (fd >= 0)
		p->sys.root_fd = linux_fd_own(&p->sys, fd);
	for (size_t i = 0; c->root && i < countof(hosts); i++)
		if (access(hosts[i], F_OK) == 0 && !bind_add(p, hosts[i], hosts[i], false, NULL))
			p->binds[p->sys.n_binds - 1].fixed = true;
	int r = 0;
	for (size_t i = 0; r == 0 && i < c->nvolumes; i++)
		r = volume_add(p, c->volumes[i], e);
	linux_binds_sort(p->binds, p->sys.n_binds);
	return r;
}

void root_close(struct proc *p)
{
	for (unsigned i = 0; i < p->sys.n_binds; i++) {
		linux_fd_close(&p->sys, p->binds[i].fd);
		free((void *)(uintptr_t)p->binds[i].guest);
		free((void *)(uintptr_t)p->binds[i].host);
	}
	free(p->binds);
	if (p->root)
		linux_fd_close(&p->sys, p->sys.root_fd);
	free(p->root);
	p->root = NULL;
	p->binds = NULL;
	p->sys.n_binds = 0;
}
