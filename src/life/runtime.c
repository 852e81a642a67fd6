/* SPDX-License-Identifier: Apache-2.0 */
/* The sockets of a living keeper: $XDG_RUNTIME_DIR/lodge/.ID, for people and other programs by the
 * link $XDG_RUNTIME_DIR/lodge/NAME. */
#include "life/internal.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

static const char *const sockets[] = {"control.sock", "agent.sock", "vsock.sock", "wait.sock",
				      "vsock.sock_1025" /* AGENT_FIRST_PORT */};

int life_runtime_check(struct lodge_err *e)
{
	autofree char *all = life_home("runtime");
	return all ? home_make_private(all, e) : err_set(e, ENOMEM, "out of memory");
}

/* The path of the link; NULL: there is none. Owned by the caller. */
static char *link_path(const struct instance *i)
{
	char *path = NULL;
	autofree char *all = i->id[0] ? life_home("runtime") : NULL;
	return !all || asprintf(&path, "%s/%s", all, i->name) < 0 ? NULL : path;
}

void runtime_name(const struct instance *i)
{
	autofree char *path = link_path(i);
	if (path && access(i->runtime, F_OK) == 0) {
		(void)!unlink(path);
		(void)!symlink(strrchr(i->runtime, '/') + 1, path);
	}
}

void runtime_unname(const struct instance *i)
{
	char to[64];
	autofree char *path = link_path(i);
	ssize_t n = path ? readlink(path, to, sizeof to - 1) : -1;
	if (n < 0)
		return;
	to[n] = 0;
	if (!strcmp(to, strrchr(i->runtime, '/') + 1)) /* else another's, of the same name */
		(void)!unlink(path);
}

int runtime_make(const struct instance *i, struct lodge_err *e)
{
	autofree char *all = life_home("runtime");
	if (!all)
		return err_set(e, ENOMEM, "out of memory");
	int r = home_make_private(all, e);
	if (r == 0)
		r = home_make_private(i->runtime, e);
	if (r < 0)
		return r;
	/* We hold the lock of our folder, so who answers here is a guest of another data folder. */
	autofree char *named = link_path(i);
	struct instance same = *i;
	same.runtime = named ? named : i->runtime;
	autoclose int other = control_connect(&same, "control.sock", NULL);
	if (other >= 0)
		return err_set(
		    e, EBUSY,
		    "a guest named %s of another XDG_DATA_HOME runs in %s; stop it or set "
		    "XDG_RUNTIME_DIR",
		    i->name, same.runtime);
	runtime_remove(i);
	r = home_make_private(i->runtime, e);
	if (r == 0)
		runtime_name(i);
	return r;
}

void runtime_remove(const struct instance *i)
{
	autoclose int dir = open(i->runtime, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	runtime_unname(i);
	if (dir < 0)
		return;
	for (size_t n = 0; n < countof(sockets); n++)
		unlinkat(dir, sockets[n], 0);
	rmdir(i->runtime); /* what else is in there is not ours */
}

int socket_listen(const char *dir, const char *name, struct lodge_err *e)
{
	struct sockaddr_un a;
	autoclose int d = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (d < 0 || fd < 0)
		return err_sys(e, "%s", dir);
	int r = socket_address(d, dir, name, &a);
	if (r < 0)
		return err_set(e, -r, "%s/%s: too long a path", dir, name);
	unlinkat(d, name, 0);
	if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 64) < 0)
		return err_sys(e, "listening on %s/%s", dir, name);
	return take_fd(&fd);
}
