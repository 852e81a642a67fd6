/* SPDX-License-Identifier: Apache-2.0 */
/* Notes that a guest is elsewhere (file "moved": where), or not all here yet ("receiving"). Either
 * keeps what is here from being started: a guest runs once. */
#include "life/internal.h"
#include <fcntl.h>
#include <stdio.h>

bool moved_to(const struct instance *i, char ret[128])
{
	autofree char *text = NULL;
	size_t len;
	if (life_file_read(i->dirfd, "moved", &text, &len, NULL) < 0)
		return false;
	snprintf(ret, 128, "%.127s", text);
	return true;
}

int moved_prepare(const struct instance *i, const char *to, struct lodge_err *e)
{
	return file_replace(i->dirfd, ".moved", to, strlen(to), e);
}

int moved_note(const struct instance *i, struct lodge_err *e)
{
	if (renameat(i->dirfd, ".moved", i->dirfd, "moved") < 0 || fsync(i->dirfd) < 0)
		return err_sys(e, "%s: noting that it moves", i->name);
	return 0;
}

static int note_drop(const struct instance *i, const char *name, struct lodge_err *e)
{
	if ((unlinkat(i->dirfd, name, 0) < 0 && errno != ENOENT) || fsync(i->dirfd) < 0)
		return err_sys(e, "%s: the note '%s'", i->name, name);
	return 0;
}

int life_moved_forget(const struct instance *i, struct lodge_err *e)
{
	return note_drop(i, "moved", e);
}

bool receiving(const struct instance *i)
{
	return faccessat(i->dirfd, "receiving", F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int receiving_note(const struct instance *i, struct lodge_err *e)
{
	return file_replace(i->dirfd, "receiving", "", 0, e);
}

int receiving_forget(const struct instance *i, struct lodge_err *e)
{
	if (unlinkat(i->dirfd, "receiving", 0) < 0 && errno != ENOENT)
		return err_sys(e, "%s: the note 'receiving'", i->name);
	return 0;
}

void receiving_drop(struct instance *i)
{
	struct lodge_err e;
	if (receiving(i) && (i->lock >= 0 || instance_lock(i, &e) == 0) &&
	    instance_remove(i, &e) < 0)
		errno = 0; /* the next ls tries again */
}
