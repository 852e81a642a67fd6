/* SPDX-License-Identifier: Apache-2.0 */
/* Open files and folders of the guest, by number: slot | generation << 32. */
#include "internal.h"
#include <fcntl.h>

static void handle_free(struct handle *h)
{
	if (h->dir)
		closedir(h->dir);
	else
		close(h->fd);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

/* A free slot, growing the table up to its bound; -1: none. s->m is held. */
static int64_t handle_slot_find(struct share *s)
{
	for (uint32_t i = 0; i < s->nhandles; i++)
		if (!s->handles[i].handle)
			return i;
	uint32_t n = s->nhandles ? 2 * s->nhandles : 16;
	n = (uint32_t)min_u64(n, s->max_handles);
	if (n == s->nhandles)
		return -1;
	struct handle_slot *p = realloc(s->handles, n * sizeof *p);
	if (!p)
		return -1;
	memset(p + s->nhandles, 0, (n - s->nhandles) * sizeof *p);
	uint32_t at = s->nhandles;
	s->handles = p;
	s->nhandles = n;
	return at;
}

int handle_new(struct share *s, uint64_t node, int fd, DIR *dir, uint64_t *ret_fh)
{
	struct handle *h = calloc(1, sizeof *h);
	if (!h) {
		if (dir)
			closedir(dir);
		else
			close(fd);
		return -ENOMEM;
	}
	*h = (struct handle){ .fd = fd, .dir = dir, .users = 1, .node = node };
	pthread_mutex_init(&h->lock, NULL);
	pthread_mutex_lock(&s->m);
	int64_t at = handle_slot_find(s);
	if (at >= 0) {
		s->handles[at].handle = h;
		*ret_fh = (uint64_t)at | (uint64_t)++s->handles[at].generation << 32;
	}
	pthread_mutex_unlock(&s->m);
	if (at < 0)
		handle_free(h);
	return at < 0 ? -EMFILE : 0;
}

static struct handle *handle_at(const struct share *s, uint64_t fh, uint64_t node)
{
	uint32_t at = (uint32_t)fh;
	if (at >= s->nhandles || s->handles[at].generation != fh >> 32)
		return NULL;
	struct handle *h = s->handles[at].handle;
	return h && h->node == node ? h : NULL;
}

struct handle *handle_get(struct share *s, uint64_t fh, uint64_t node)
{
	pthread_mutex_lock(&s->m);
	struct handle *h = handle_at(s, fh, node);
	if (h)
		h->users++;
	pthread_mutex_unlock(&s->m);
	return h;
}

void handle_put(struct share *s, struct handle *h)
{
	pthread_mutex_lock(&s->m);
	bool last = !--h->users;
	pthread_mutex_unlock(&s->m);
	if (last)
		handle_free(h);
}

void handle_close(struct share *s, uint64_t fh, uint64_t node)
{
	pthread_mutex_lock(&s->m);
	struct handle *h = handle_at(s, fh, node);
	if (h)
		s->handles[(uint32_t)fh].handle = NULL;
	pthread_mutex_unlock(&s->m);
	if (h)
		handle_put(s, h);
}

void handles_fini(struct share *s)
{
	for (uint32_t i = 0; i < s->nhandles; i++)
		if (s->handles[i].handle)
			handle_free(s->handles[i].handle);
	free(s->handles);
	s->handles = NULL;
	s->nhandles = 0;
}

/* ---- saved ---- */

/* {u32 slots, of each: u32 generation, u8 there; and then u64 node, u32 flags, u8 folder} */
void handles_save(struct share *s, struct bytes_out *o)
{
	out_put(o, s->nhandles, 4);
	for (uint32_t i = 0; i < s->nhandles; i++) {
		const struct handle *h = s->handles[i].handle;
		out_put(o, s->handles[i].generation, 4);
		out_put(o, h != NULL, 1);
		if (!h)
			continue;
		int flags = h->dir ? 0 : fcntl(h->fd, F_GETFL);
		out_put(o, h->node, 8);
		out_put(o, (uint32_t)(flags & (O_ACCMODE | O_APPEND)), 4);
		out_put(o, h->dir != NULL, 1);
	}
}

/* Open what the node is as the guest had it; NULL: it is not there any more. */
static struct handle *handle_reopen(struct share *s, uint64_t node, int flags, bool folder)
{
	struct node *n;
	if (node_get(s, node, &n))
		return NULL;
	int fd = share_reopen(s, n, folder ? O_RDONLY | O_DIRECTORY : flags);
	node_put(s, n);
	DIR *dir = fd >= 0 && folder ? fdopendir(fd) : NULL;
	struct handle *h = fd >= 0 && (dir || !folder) ? calloc(1, sizeof *h) : NULL;
	if (!h) {
		if (dir)
			closedir(dir);
		else if (fd >= 0)
			close(fd);
		return NULL;
	}
	*h = (struct handle){ .fd = fd, .dir = dir, .users = 1, .node = node };
	pthread_mutex_init(&h->lock, NULL);
	return h;
}

bool handles_load(struct share *s, struct bytes_in *i)
{
	uint64_t n = in_get(i, 4);
	if (i->bad || n > i->left / 5 || s->nhandles)
		return false;
	/* this host's bound may be lower: what is beyond it is lost */
	s->handles = calloc(n + 1, sizeof *s->handles);
	if (!s->handles)
		return false;
	s->nhandles = (uint32_t)n;
	for (uint32_t k = 0; k < n && !i->bad; k++) {
		s->handles[k].generation = (uint32_t)in_get(i, 4);
		if (!in_get(i, 1))
			continue;
		uint64_t node = in_get(i, 8);
		int flags = (int)in_get(i, 4) & (O_ACCMODE | O_APPEND);
		bool folder = in_get(i, 1);
		if (!i->bad && k < s->max_handles)
			s->handles[k].handle = handle_reopen(s, node, flags, folder);
	}
	return !i->bad;
}
