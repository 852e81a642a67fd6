/* SPDX-License-Identifier: Apache-2.0 */
/* The files that the guest knows: by number, and by (device, inode) so that a file has one number.
 * The number of open descriptors is bounded; see struct node. */
#include "internal.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>

enum { BUCKETS_FIRST = 256, FDS_MIN = 32, FDS_MAX = 8192, ROOT = 1 };

struct fd_name fd_name(int fd)
{
	struct fd_name n;
	snprintf(n.text, sizeof n.text, "%d", fd);
	return n;
}

/* ---- the list of nodes with open descriptors, oldest first ---- */

static void lru_remove(struct node *n)
{
	n->lru_prev->lru_next = n->lru_next;
	n->lru_next->lru_prev = n->lru_prev;
	n->lru_prev = n->lru_next = NULL;
}

static void lru_append(struct nodes *t, struct node *n)
{
	n->lru_prev = t->lru.lru_prev;
	n->lru_next = &t->lru;
	t->lru.lru_prev->lru_next = n;
	t->lru.lru_prev = n;
}

static void node_fd_set(struct nodes *t, struct node *n, int fd)
{
	n->fd = fd;
	t->nfds++;
	lru_append(t, n);
}

static void node_fd_close(struct nodes *t, struct node *n)
{
	if (n->fd < 0)
		return;
	lru_remove(n);
	close(n->fd);
	n->fd = -1;
	t->nfds--;
}

/* Close what has not been used for longest until the bound is kept. */
static void nodes_thrift(struct nodes *t)
{
	struct node *n = t->lru.lru_next;
	while (t->nfds > t->max_fds && n != &t->lru) {
		struct node *next = n->lru_next;
		if (!n->users && !n->pinned)
			node_fd_close(t, n);
		n = next;
	}
}

/* ---- by (device, inode) ---- */

static struct node **nodes_bucket(const struct nodes *t, dev_t dev, ino_t ino)
{
	uint64_t h = ((uint64_t)ino ^ (uint64_t)dev << 40) * 0x9e3779b97f4a7c15u;
	return &t->buckets[h >> 32 & (t->nbuckets - 1)];
}

static struct node *nodes_find(const struct nodes *t, dev_t dev, ino_t ino)
{
	struct node *n = *nodes_bucket(t, dev, ino);
	while (n && (n->dev != dev || n->ino != ino))
		n = n->hash;
	return n;
}

/* Twice as many buckets; without memory chains grow longer instead. */
static void nodes_rehash(struct nodes *t)
{
	struct nodes wider = { .nbuckets = 2 * t->nbuckets };
	wider.buckets = calloc(wider.nbuckets, sizeof(struct node *));
	if (!wider.buckets)
		return;
	for (uint32_t i = 0; i < t->nbuckets; i++)
		for (struct node *n = t->buckets[i], *next; n; n = next) {
			struct node **b = nodes_bucket(&wider, n->dev, n->ino);
			next = n->hash;
			n->hash = *b;
			*b = n;
		}
	free(t->buckets);
	t->buckets = wider.buckets;
	t->nbuckets = wider.nbuckets;
}

/* ---- by number ---- */

static bool slots_grow(struct nodes *t)
{
	uint32_t cap = t->cap_slots ? 2 * t->cap_slots : 64;
	struct node_slot *p = realloc(t->slots, cap * sizeof *p);
	if (!p)
		return false;
	memset(p + t->cap_slots, 0, (cap - t->cap_slots) * sizeof *p);
	t->slots = p;
	t->cap_slots = cap;
	return true;
}

static bool nodes_add(struct nodes *t, struct node *n)
{
	if (t->count >= SHARE_NODES_MAX)
		return false;
	uint32_t at = t->free_slot;
	if (at) {
		t->free_slot = t->slots[at].next_free;
	} else {
		if (t->nslots == t->cap_slots && !slots_grow(t))
			return false;
		at = t->nslots++;
	}
	t->slots[at].node = n;
	n->id = at | (uint64_t)t->slots[at].generation << 32;
	if (++t->count > 2 * t->nbuckets)
		nodes_rehash(t);
	struct node **b = nodes_bucket(t, n->dev, n->ino);
	n->hash = *b;
	*b = n;
	return true;
}

static struct node *nodes_at(const struct nodes *t, uint64_t id)
{
	uint32_t at = (uint32_t)id;
	if (!at || at >= t->nslots || t->slots[at].generation != id >> 32)
		return NULL;
	return t->slots[at].node;
}

static void nodes_drop(struct nodes *t, struct node *n)
{
	struct node **b = nodes_bucket(t, n->dev, n->ino);
	while (*b != n)
		b = &(*b)->hash;
	*b = n->hash;
	struct node_slot *slot = &t->slots[(uint32_t)n->id];
	slot->node = NULL;
	slot->generation++;
	slot->next_free = t->free_slot;
	t->free_slot = (uint32_t)n->id;
	t->count--;
	node_fd_close(t, n);
	free(n->name);
	free(n);
}

/* Free @n when nobody needs it, and then perhaps its parents. */
static void nodes_release(struct nodes *t, struct node *n)
{
	while (n && n->id != ROOT && !n->nlookup && !n->children && !n->users) {
		struct node *parent = n->parent;
		nodes_drop(t, n);
		if (parent)
			parent->children--;
		n = parent;
	}
}

/* ---- places ---- */

static bool node_is_above(const struct node *n, const struct node *child)
{
	while (child && child != n)
		child = child->parent;
	return child;
}

/* @n was seen as @name in @parent. When that cannot be noted its descriptor stays open. */
static void node_place(struct nodes *t, struct node *n, struct node *parent, const char *name)
{
	if (n->id == ROOT || (n->parent == parent && n->name && !strcmp(n->name, name)))
		return;
	struct node *old = n->parent;
	char *copy = NULL;
	/* The host may have moved folders about: no circles in what we believe. */
	if (!S_ISDIR(n->type) || !node_is_above(n, parent))
		copy = strdup(name);
	free(n->name);
	n->name = copy;
	n->parent = copy ? parent : NULL;
	n->pinned = !copy;
	if (copy)
		parent->children++;
	if (old) {
		old->children--;
		nodes_release(t, old);
	}
}

/* Open @n by its place; it must be the file it was. 0 or -errno. */
static int node_reopen(struct nodes *t, struct node *n)
{
	struct stat st;
	int fd = openat(n->parent->fd, n->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? -ESTALE : -errno;
	if (fstat(fd, &st) < 0 || st.st_dev != n->dev || st.st_ino != n->ino ||
	    (st.st_mode & S_IFMT) != n->type) {
		close(fd);
		return -ESTALE;
	}
	node_fd_set(t, n, fd);
	return 0;
}

/* See that @n has a descriptor, opening what lies above it first. */
static int node_ensure(struct nodes *t, struct node *n)
{
	while (n->fd < 0) {
		struct node *top = n;
		while (top->parent && top->parent->fd < 0)
			top = top->parent;
		if (!top->parent)
			return -ESTALE;
		int r = node_reopen(t, top);
		if (r)
			return r;
	}
	return 0;
}

int node_get(struct share *s, uint64_t id, struct node **ret)
{
	struct nodes *t = &s->nodes;
	pthread_mutex_lock(&s->m);
	struct node *n = nodes_at(t, id);
	int r = n ? node_ensure(t, n) : -ESTALE;
	if (!r) {
		n->users++;
		if (n->id != ROOT) {
			lru_remove(n);
			lru_append(t, n);
		}
		*ret = n;
	}
	nodes_thrift(t);
	pthread_mutex_unlock(&s->m);
	return r;
}

void node_put(struct share *s, struct node *n)
{
	pthread_mutex_lock(&s->m);
	n->users--;
	nodes_release(&s->nodes, n);
	pthread_mutex_unlock(&s->m);
}

static struct node *node_new(struct nodes *t, const struct stat *st)
{
	struct node *n = calloc(1, sizeof *n);
	if (!n)
		return NULL;
	n->dev = st->st_dev;
	n->ino = st->st_ino;
	n->type = st->st_mode & S_IFMT;
	n->fd = -1;
	if (nodes_add(t, n))
		return n;
	free(n);
	return NULL;
}

int node_enter(struct share *s, struct node *parent, const char *name, int fd,
               const struct stat *st, uint64_t *ret_id)
{
	struct nodes *t = &s->nodes;
	pthread_mutex_lock(&s->m);
	struct node *n = nodes_find(t, st->st_dev, st->st_ino);
	if (!n)
		n = node_new(t, st);
	if (n) {
		n->nlookup++;
		if (n->fd < 0) {
			/* Nothing held the old file: its number may be another one's by now. */
			n->type = st->st_mode & S_IFMT;
			node_fd_set(t, n, take_fd(&fd));
		}
		node_place(t, n, parent, name);
		*ret_id = n->id;
		nodes_thrift(t);
	}
	pthread_mutex_unlock(&s->m);
	if (fd >= 0)
		close(fd);
	return n ? 0 : -ENFILE;
}

void node_forget(struct share *s, uint64_t id, uint64_t count)
{
	pthread_mutex_lock(&s->m);
	struct node *n = nodes_at(&s->nodes, id);
	if (n && n->id != ROOT) {
		n->nlookup -= min_u64(n->nlookup, count);
		nodes_release(&s->nodes, n);
	}
	pthread_mutex_unlock(&s->m);
}

void node_unlinking(struct share *s, struct node *parent, const char *name)
{
	struct stat st;
	if (fstatat(parent->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	pthread_mutex_lock(&s->m);
	struct node *n = nodes_find(&s->nodes, st.st_dev, st.st_ino);
	if (n && n->id != ROOT) {
		node_place(&s->nodes, n, parent, name);
		if (!node_ensure(&s->nodes, n) && s->nodes.nfds < 2 * s->nodes.max_fds)
			n->pinned = true;
	}
	pthread_mutex_unlock(&s->m);
}

void node_renamed(struct share *s, struct node *to, const char *newname)
{
	struct stat st;
	if (fstatat(to->fd, newname, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	pthread_mutex_lock(&s->m);
	struct node *n = nodes_find(&s->nodes, st.st_dev, st.st_ino);
	if (n)
		node_place(&s->nodes, n, to, newname);
	pthread_mutex_unlock(&s->m);
}

int nodes_init(struct share *s)
{
	struct nodes *t = &s->nodes;
	struct rlimit lim = { .rlim_cur = 1024 };
	struct stat st;
	memset(t, 0, sizeof *t);
	t->lru.lru_prev = t->lru.lru_next = &t->lru;
	t->nbuckets = BUCKETS_FIRST;
	t->nslots = ROOT; /* the first number given out */
	t->buckets = calloc(t->nbuckets, sizeof(struct node *));
	if (!t->buckets || !slots_grow(t) || fstat(s->root, &st) < 0)
		return -ENOMEM;
	(void)getrlimit(RLIMIT_NOFILE, &lim);
	uint64_t quarter = lim.rlim_cur / 4;
	t->max_fds = (uint32_t)(quarter < FDS_MIN ? FDS_MIN : min_u64(quarter, FDS_MAX));
	s->max_handles = t->max_fds;
	struct node *root = node_new(t, &st);
	if (!root)
		return -ENOMEM;
	root->fd = s->root; /* borrowed, and never in the list */
	root->pinned = true;
	root->nlookup = 1;
	return 0;
}

void nodes_fini(struct share *s)
{
	struct nodes *t = &s->nodes;
	for (uint32_t i = 1; i < t->nslots; i++) {
		struct node *n = t->slots[i].node;
		if (!n)
			continue;
		if (n->id != ROOT && n->fd >= 0)
			close(n->fd);
		free(n->name);
		free(n);
	}
	free(t->slots);
	free(t->buckets);
	memset(t, 0, sizeof *t);
}
