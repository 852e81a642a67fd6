/* SPDX-License-Identifier: Apache-2.0 */
/* The processes of a program and who is whose, as a state has them. Each has sections of its own:
 * those of a program of one process, behind "tree/N/" where there are several. */
#include "level/process/saved.h"
#include <signal.h>
#include <stdio.h>

/* ---- reading ---- */

/* Of @in what is behind @prefix. */
static void view_make(struct save_in *ret, const struct save_in *in, const char *prefix)
{
	size_t len = strlen(prefix);
	*ret = (struct save_in){.buf = in->buf, .len = in->len};
	memcpy(ret->level, in->level, sizeof ret->level);
	for (unsigned i = 0; i < in->nsections; i++) {
		if (strncmp(in->section[i].name, prefix, len) != 0)
			continue;
		ret->section[ret->nsections] = in->section[i];
		ret->section[ret->nsections++].name += len;
	}
}

static struct kin kin_load(const uint8_t *w)
{
	return (struct kin){.pid = word(w, KIN_PID),
			    .parent = word(w, KIN_PARENT),
			    .group = word(w, KIN_GROUP),
			    .session = word(w, KIN_SESSION),
			    .end = word(w, KIN_END),
			    .status = word(w, KIN_STATUS)};
}

/* Process @i, and those of its children that have ended. */
static int kin_add(struct tree *t, unsigned i, struct lodge_err *e)
{
	struct restore *r = &t->each[i];
	const uint8_t *w;
	size_t n;
	int err = words_find(r, "process/kin", KIN_WORDS, &w, &n, e);
	if (err < 0)
		return err;
	if (t->nkin + n + 1 > TREE_MAX)
		return err_set(e, E2BIG, "more than %d processes", TREE_MAX);
	struct kin self = {.pid = r->p.pid, .parent = 1, .group = r->p.pid, .session = r->p.pid};
	if (n) /* the state is not older than that list */
		self = kin_load(w);
	if (self.pid != r->p.pid || self.end != KIN_LIVES)
		return err_set(e, EINVAL, "the state has a process of two numbers");
	self.process = i;
	t->kin[t->nkin++] = self;
	for (size_t k = 1; k < n; k++) {
		struct kin z = kin_load(w + 8 * KIN_WORDS * k);
		if (z.parent != self.pid || (z.end != KIN_EXITED && z.end != KIN_KILLED))
			return err_set(e, EINVAL, "the state has a child that cannot be");
		t->kin[t->nkin++] = z;
	}
	return 0;
}

int tree_new(struct tree **ret, const struct save_in *in, struct lodge_err *e)
{
	char prefix[24] = "";
	size_t len;
	unsigned n = 0;
	while (n < TREE_MAX) {
		snprintf(prefix, sizeof prefix, TREE_PREFIX "process", n);
		if (!save_in_find(in, prefix, &len))
			break;
		n++;
	}
	struct tree *t = calloc(1, sizeof *t);
	if (t) {
		t->n = n ? n : 1;
		t->view = calloc(t->n, sizeof *t->view);
		t->each = calloc(t->n, sizeof *t->each);
	}
	int r = t && t->view && t->each ? 0 : err_set(e, ENOMEM, "out of memory");
	for (unsigned i = 0; r == 0 && i < t->n; i++) {
		if (n)
			snprintf(prefix, sizeof prefix, TREE_PREFIX, i);
		else
			prefix[0] = 0;
		view_make(&t->view[i], in, prefix);
		t->each[i] = (struct restore){.in = &t->view[i], .tree = t};
		r = saved_load(&t->view[i], &t->each[i].p, e);
		t->each[i].ram_at = t->pages;
		t->pages += r < 0 ? 0 : t->each[i].p.pages;
		if (r == 0)
			r = kin_add(t, i, e);
	}
	if (r == 0)
		r = tree_check(t, e);
	if (r < 0) {
		tree_free(t);
		return r;
	}
	*ret = t;
	return 0;
}

void tree_free(struct tree *t)
{
	if (!t)
		return;
	free(t->view);
	free(t->each);
	free(t);
}

/* ---- can it be made? ---- */

const struct kin *tree_find(const struct tree *t, uint64_t pid)
{
	for (unsigned i = 0; i < t->nkin; i++)
		if (t->kin[i].pid == pid)
			return &t->kin[i];
	return NULL;
}

/* Whose child it is made as: those of nobody as the first process's. */
const struct kin *tree_parent(const struct tree *t, const struct kin *k)
{
	return k == t->kin ? NULL : k->parent == 1 ? t->kin : tree_find(t, k->parent);
}

/* The session that it begins in: its parent's, before that had one of its own. */
bool kin_leads(const struct kin *k) { return k->session == k->pid; }

static uint64_t session_at_birth(const struct tree *t, const struct kin *k)
{
	const struct kin *up = tree_parent(t, k);
	for (unsigned n = 0; up && kin_leads(up) && up != t->kin && n < t->nkin; n++)
		up = tree_parent(t, up);
	return up ? up->session : k->session;
}

static int session_check(const struct tree *t, const struct kin *k, struct lodge_err *e)
{
	const struct kin *up = tree_parent(t, k);
	if (kin_leads(k) || !up || k->session == up->session)
		return 0;
	return kin_leads(up) && k->session == session_at_birth(t, up)
		   ? 0
		   : err_set(e, EOPNOTSUPP, "its process %u is in a session that it cannot be born "
			     "into again", (unsigned)k->pid);
}

static int group_check(const struct tree *t, const struct kin *k, struct lodge_err *e)
{
	const struct kin *lead = tree_find(t, k->group);
	if (lead && lead->group == lead->pid && lead->session == k->session &&
	    (!kin_leads(k) || lead == k))
		return 0;
	return err_set(e, EOPNOTSUPP, "its process %u is in the group %u, whose first process is "
		       "gone", (unsigned)k->pid, (unsigned)k->group);
}

static bool descends(const struct tree *t, const struct kin *k)
{
	for (unsigned n = 0; k && n <= t->nkin; n++) {
		if (k == t->kin)
			return true;
		k = tree_parent(t, k);
		if (k && k->end != KIN_LIVES)
			return false;
	}
	return false;
}

/* Does a signal end a process, if nobody takes it? */
static bool ends(uint64_t sig)
{
	return sig >= 1 && sig <= 64 && sig != SIGSTOP && sig != SIGTSTP && sig != SIGTTIN &&
	       sig != SIGTTOU;
}

int tree_check(const struct tree *t, struct lodge_err *e)
{
	int r = 0;
	if (!kin_leads(t->kin) || t->kin->parent != 1)
		return err_set(e, EOPNOTSUPP, "its first process is in another's session");
	for (unsigned i = 0; r == 0 && i < t->nkin; i++) {
		const struct kin *k = &t->kin[i];
		if (k->pid < 2 || k->pid > INT32_MAX || k->group > INT32_MAX ||
		    k->session > INT32_MAX || k->status > UINT8_MAX ||
		    (k->end == KIN_KILLED && !ends(k->status)) ||
		    tree_find(t, k->pid) != k || !descends(t, k))
			return err_set(e, EINVAL, "the state has a process %u that cannot be",
				       (unsigned)k->pid);
		r = session_check(t, k, e);
		if (r == 0)
			r = group_check(t, k, e);
	}
	return r;
}
