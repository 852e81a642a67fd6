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

/* ---- saved ---- */

/* {u32 slots, u32 generation of each from 1 on; u64 device of the root; u32 nodes but the root, of
 * each: u64 id, parent (0: unknown), device, inode, u32 type, u64 lookups, u16 length, name} */
void nodes_save(const struct share *s, struct bytes_out *o)
{
	const struct nodes *t = &s->nodes;
	out_put(o, t->nslots, 4);
	for (uint32_t i = 1; i < t->nslots; i++)
		out_put(o, t->slots[i].generation, 4);
	out_put(o, t->slots[ROOT].node->dev, 8);
	out_put(o, t->count - 1, 4);
	for (uint32_t i = ROOT + 1; i < t->nslots; i++) {
		const struct node *n = t->slots[i].node;
		if (!n)
			continue;
		const char *name = n->parent && n->name ? n->name : "";
		out_put(o, n->id, 8);
		out_put(o, n->parent ? n->parent->id : 0, 8);
		out_put(o, n->dev, 8);
		out_put(o, n->ino, 8);
		out_put(o, n->type, 4);
		out_put(o, n->nlookup, 8);
		out_put(o, strlen(name), 2);
		out_bytes(o, name, strlen(name));
	}
}

/* One node into its slot. Its parent may come later: its id is kept until then in nodes_link. */
static bool node_load(struct share *s, struct bytes_in *i, uint64_t root_dev, uint64_t *ret_parent)
{
	struct nodes *t = &s->nodes;
	char name[256] = "";
	uint64_t id = in_get(i, 8);
	*ret_parent = in_get(i, 8);
	uint64_t dev = in_get(i, 8), ino = in_get(i, 8), type = in_get(i, 4);
	uint64_t nlookup = in_get(i, 8);
	size_t len = (size_t)in_get(i, 2);
	const uint8_t *text = in_bytes(i, len);
	uint32_t at = (uint32_t)id;
	if (i->bad || len >= sizeof name || at <= ROOT || at >= t->nslots || t->slots[at].node ||
	    id >> 32 != t->slots[at].generation || t->count >= SHARE_NODES_MAX)
		return false;
	if (dev == root_dev) /* a host may number its devices anew */
		dev = t->slots[ROOT].node->dev;
	memcpy(name, text, len);
	if (nodes_find(t, dev, ino) || strlen(name) != len || (len && !share_name_ok(name)))
		return false;
	struct node *n = calloc(1, sizeof *n);
	if (!n || !(n->name = strdup(name))) {
		free(n);
		return false;
	}
	n->id = id;
	n->dev = dev;
	n->ino = ino;
	n->type = (mode_t)type & S_IFMT;
	n->nlookup = nlookup;
	n->fd = -1;
	struct node **b = nodes_bucket(t, dev, ino);
	n->hash = *b;
	*b = n;
	t->slots[at].node = n;
	if (++t->count > 2 * t->nbuckets)
		nodes_rehash(t);
	return true;
}

/* Parents are folders, and no node is below itself. */
static bool node_link(struct nodes *t, struct node *n, uint64_t parent)
{
	struct node *p = parent ? nodes_at(t, parent) : NULL;
	bool folder = p && (p->id == ROOT || S_ISDIR(p->type));
	if (parent && (!folder || node_is_above(n, p) || !*n->name))
		return false;
	n->parent = p;
	if (p)
		p->children++;
	return true;
}

/* Slots without a node, for those to come. */
static void slots_chain(struct nodes *t)
{
	t->free_slot = 0;
	for (uint32_t i = t->nslots; i-- > ROOT + 1;)
		if (!t->slots[i].node) {
			t->slots[i].next_free = t->free_slot;
			t->free_slot = i;
		}
}

static bool slots_load(struct nodes *t, struct bytes_in *i)
{
	uint64_t n = in_get(i, 4);
	if (i->bad || n < 2 || n > SHARE_NODES_MAX + 1 || n > i->left / 4 + 1)
		return false;
	while (t->cap_slots < n)
		if (!slots_grow(t))
			return false;
	t->nslots = (uint32_t)n;
	for (uint32_t k = 1; k < n; k++)
		t->slots[k].generation = (uint32_t)in_get(i, 4);
	return !t->slots[ROOT].generation;
}

bool nodes_load(struct share *s, struct bytes_in *i)
{
	struct nodes *t = &s->nodes;
	if (!slots_load(t, i))
		return false;
	uint64_t dev = in_get(i, 8), n = in_get(i, 4);
	autofree uint64_t *parent = calloc(t->nslots, sizeof *parent);
	autofree uint32_t *slot = calloc(t->nslots, sizeof *slot);
	if (!parent || !slot || n >= t->nslots)
		return false;
	for (uint64_t k = 0; k < n; k++) {
		struct bytes_in peek = *i;
		slot[k] = (uint32_t)in_get(&peek, 8);
		if (!node_load(s, i, dev, &parent[k]))
			return false;
	}
	for (uint64_t k = 0; k < n; k++)
		if (!node_link(t, t->slots[slot[k]].node, parent[k]))
			return false;
	slots_chain(t);
	return true;
}
