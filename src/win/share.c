/* SPDX-License-Identifier: Apache-2.0 */
/* Sharing modes: who opens a file says what others may do with it meanwhile, and needs what those
 * before allow. Among the handles of this process. */
#include "win/internal.h"
#include <sys/stat.h>

enum { BUCKETS = 64 };
static WIN_STATE struct {
	pthread_mutex_t lock;
	struct file *all[BUCKETS]; /* by inode; linked by share_next */
} opened = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct file **bucket(uint64_t inode) { return &opened.all[inode % BUCKETS]; }

/* With the lock held. */
static bool allowed(uint64_t device, uint64_t inode, uint32_t need, uint32_t share)
{
	for (const struct file *f = *bucket(inode); f; f = f->share_next)
		if (f->inode == inode && f->device == device &&
		    (need & ~f->share || f->need & ~share))
			return false;
	return true;
}

bool share_enter(struct file *f, uint32_t need, uint32_t share)
{
	if (!need) /* who only looks at attributes disturbs nobody */
		return true;
	pthread_mutex_lock(&opened.lock);
	bool ok = allowed(f->device, f->inode, need, share);
	if (ok) {
		f->need = need;
		f->share = share;
		f->share_next = *bucket(f->inode);
		*bucket(f->inode) = f;
	}
	pthread_mutex_unlock(&opened.lock);
	return ok;
}

void share_leave(struct file *f)
{
	if (!f->need)
		return;
	pthread_mutex_lock(&opened.lock);
	for (struct file **at = bucket(f->inode); *at; at = &(*at)->share_next)
		if (*at == f) {
			*at = f->share_next;
			break;
		}
	pthread_mutex_unlock(&opened.lock);
}

bool share_allows(const struct stat *st, uint32_t need)
{
	pthread_mutex_lock(&opened.lock);
	bool ok = allowed(st->st_dev, st->st_ino, need, SHARE_ALL);
	pthread_mutex_unlock(&opened.lock);
	return ok;
}
