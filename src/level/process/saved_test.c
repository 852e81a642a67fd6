/* SPDX-License-Identifier: Apache-2.0 */
/* States of older versions: what they do not say. */
#include "level/process/saved.h"
#include "test/test.h"
#include <stdio.h>

/* @t without the fields that came later than version @newest. */
static void fields_of(struct state_field *ret, const struct state_field *t, uint32_t newest)
{
	for (; t->name; t++)
		if (t->since <= newest)
			*ret++ = *t;
	*ret = *t;
}

static uint64_t vlen_loaded(uint64_t vlen, uint32_t version)
{
	static struct saved_process was, is;
	struct state_field t[64];
	struct save_out *o;
	struct save_in in;
	const uint8_t *p;
	size_t n;
	was = (struct saved_process){.threads = 1, .pid = 2, .vlen = vlen};
	fields_of(t, saved_process_fields, version);
	CHECK(save_out_new(&o, "process", NULL) == 0);
	save_out_fields(o, "process", t, &was);
	CHECK(save_out_bytes(o, &p, &n, NULL) == 0);
	CHECK(save_in_parse(&in, p, n, NULL) == 0);
	CHECK(saved_load(&in, &is, NULL) == 0);
	CHECK(is.pid == 2 && is.threads == 1);
	save_out_free(o);
	return is.vlen;
}

TEST(saved_state_without_vlen_has_128)
{
	CHECK(vlen_loaded(512, 1) == 128);
	CHECK(vlen_loaded(512, 2) == 512);
}

/* ---- trees ---- */

/* Of each process that lives: its number, parent, group and session. */
static void tree_put(struct save_out *o, const uint64_t (*kin)[4], unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		static struct saved_process s;
		char name[64];
		s = (struct saved_process){.threads = 1, .pid = kin[i][0], .pages = 3};
		snprintf(name, sizeof name, TREE_PREFIX "process", i);
		save_out_fields(o, name, saved_process_fields, &s);
		snprintf(name, sizeof name, TREE_PREFIX "process/kin", i);
		uint8_t *p = save_out_section(o, name, 8 * KIN_WORDS);
		for (unsigned k = 0; k < 4; k++)
			le64_put(p + 8 * k, kin[i][k]);
	}
}

/* 0 or the error of reading it. */
static int tree_read(const uint64_t (*kin)[4], unsigned n)
{
	struct save_out *o;
	static struct save_in in;
	struct tree *t = NULL;
	const uint8_t *p;
	size_t len;
	CHECK(save_out_new(&o, "process", NULL) == 0);
	tree_put(o, kin, n);
	CHECK(save_out_bytes(o, &p, &len, NULL) == 0);
	CHECK(save_in_parse(&in, p, len, NULL) == 0);
	int r = tree_new(&t, &in, NULL);
	if (r == 0) {
		CHECK(t->n == n && t->nkin == n && t->pages == 3 * n);
		CHECK(t->each[n - 1].ram_at == 3 * (n - 1));
		CHECK(tree_find(t, kin[n - 1][0]) == &t->kin[n - 1]);
	}
	tree_free(t);
	save_out_free(o);
	return r;
}

TEST(saved_tree_with_sessions_and_groups_can_be_made)
{
	static const uint64_t kin[][4] = {
		{2, 1, 2, 2}, {9, 2, 9, 9}, {5, 9, 5, 2}, {6, 9, 5, 2}, {7, 9, 9, 9}, {8, 1, 2, 2},
	};
	CHECK(tree_read(kin, countof(kin)) == 0);
	CHECK(tree_read(kin, 1) == 0);
}

TEST(saved_tree_that_cannot_be_made_is_named)
{
	static const uint64_t other_session[][4] = {{2, 1, 2, 2}, {3, 2, 3, 3}, {4, 2, 3, 3}};
	static const uint64_t no_leader[][4] = {{2, 1, 2, 2}, {3, 2, 9, 2}};
	static const uint64_t circle[][4] = {{2, 1, 2, 2}, {3, 4, 3, 2}, {4, 3, 4, 2}};
	static const uint64_t twice[][4] = {{2, 1, 2, 2}, {3, 2, 3, 2}, {3, 2, 3, 2}};
	static const uint64_t nobodys[][4] = {{2, 1, 2, 2}, {3, 7, 3, 2}};
	static const uint64_t strange[][4] = {{2, 1, 2, 1}};
	CHECK(tree_read(other_session, 3) == -EOPNOTSUPP);
	CHECK(tree_read(no_leader, 2) == -EOPNOTSUPP);
	CHECK(tree_read(circle, 3) == -EINVAL);
	CHECK(tree_read(twice, 3) == -EINVAL);
	CHECK(tree_read(nobodys, 2) == -EINVAL);
	CHECK(tree_read(strange, 1) == -EOPNOTSUPP);
}
