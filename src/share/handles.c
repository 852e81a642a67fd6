/* SPDX-License-Identifier: Apache-2.0 */
/* Open files and folders of the guest, by number: slot | generation << 32. */
#include "internal.h"

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
