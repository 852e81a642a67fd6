/* SPDX-License-Identifier: Apache-2.0 */
/* diff: make a program that two engines disagree about small: units become nops while they still
 * disagree, in ever smaller groups; then the first unit is looked for behind which the program can
 * be ended with the difference there. */
#include "test/diff/asm.h"
#include "test/diff/diff.h"
#include <inttypes.h>
#include <stdio.h>

enum { RUNS_MAX = 6000 };

int pair_differs(const struct pair *q, const struct program *p, bool show)
{
	struct rig *rig[2] = {NULL, NULL};
	bool ended[2] = {false, false};
	int ret = 0;
	for (unsigned i = 0; i < 2; i++) {
		if (rig_new(&rig[i], q->e[i], &q->how, NULL) < 0) {
			ret = -1;
			break;
		}
		ended[i] = rig_run(rig[i], p, i ? q->plant : NULL);
	}
	if (!ret && !ended[0] && !ended[1])
		ret = -1;
	else if (!ret)
		ret = ended[0] != ended[1] || !rigs_equal(rig[0], rig[1]);
	if (show && ended[0] != ended[1])
		printf("  %s does not end\n", q->e[ended[0]]->name);
	if (show && ret == 1)
		rigs_show(p, rig[0], rig[1]);
	rig_free(rig[0]);
	rig_free(rig[1]);
	return ret;
}

static void unit_drop(struct program *p, const struct unit *u)
{
	uint8_t *to = p->image + u->at;
	for (uint32_t i = 0; i < u->len; i += 2)
		le16_put(to + i, NOP2);
}

/* Words of 4 bytes stay such, so that the way is the same wherever execution comes in. */
static void unit_clear(struct program *p, const struct unit *u)
{
	uint8_t *to = p->image + u->at;
	uint8_t old[512];
	if (u->len > sizeof old) {
		unit_drop(p, u);
		return;
	}
	memcpy(old, to, u->len);
	for (uint32_t i = 0; i < u->len;) {
		bool wide = (old[i] & 3) == 3 && i + 4 <= u->len;
		if (wide)
			le32_put(to + i, NOP4);
		else
			le16_put(to + i, NOP2);
		i += wide ? 4 : 2;
	}
}

static bool still_differs(const struct pair *q, const struct program *p, unsigned *runs)
{
	return ++*runs <= RUNS_MAX && pair_differs(q, p, false) == 1;
}

static bool group_drop(const struct pair *q, struct program *p, struct program *try_, unsigned from,
		       unsigned n, unsigned *runs)
{
	bool any = false;
	memcpy(try_->image, p->image, sizeof p->image);
	for (unsigned i = from; i < from + n && i < p->units; i++)
		if (p->unit[i].removable) {
			unit_clear(try_, &p->unit[i]);
			any = true;
		}
	if (!any || !still_differs(q, try_, runs))
		return false;
	memcpy(p->image, try_->image, sizeof p->image);
	for (unsigned i = from; i < from + n && i < p->units; i++)
		if (p->unit[i].removable)
			p->unit[i].len = 0;
	unsigned to = 0;
	for (unsigned i = 0; i < p->units; i++)
		if (p->unit[i].len)
			p->unit[to++] = p->unit[i];
	p->units = to;
	return true;
}

static void less_of(const struct pair *q, struct program *p, struct program *try_, unsigned reg,
		    unsigned *runs)
{
	for (uint64_t v = 1; v < p->x[reg]; v *= 2) {
		memcpy(try_, p, sizeof *p);
		try_->x[reg] = v;
		if (still_differs(q, try_, runs)) {
			p->x[reg] = v;
			return;
		}
	}
}

void program_shrink(const struct pair *q, struct program *p)
{
	struct program *try_ = malloc(sizeof *try_);
	unsigned runs = 0;
	if (!try_)
		return;
	memcpy(try_, p, sizeof *p);
	for (unsigned n = p->units / 2; n; n /= 2)
		for (unsigned i = 0; i < p->units;) {
			if (!group_drop(q, p, try_, i, n, &runs))
				i += n;
		}
	less_of(q, p, try_, S8, &runs);
	less_of(q, p, try_, S11, &runs);
	for (unsigned i = 0; i < p->units;)
		if (!group_drop(q, p, try_, i, 1, &runs))
			i++;
	printf("  made smaller by %u runs\n", runs);
	free(try_);
}

static int unit_order(const void *a, const void *b)
{
	const struct unit *x = a, *y = b;
	return x->at < y->at ? -1 : x->at > y->at;
}

void program_show(const struct program *p)
{
	struct program *sorted = malloc(sizeof *sorted);
	if (!sorted)
		return;
	memcpy(sorted, p, sizeof *p);
	qsort(sorted->unit, sorted->units, sizeof sorted->unit[0], unit_order);
	printf("  starts at %" PRIx64 " in %c mode, satp %" PRIx64 ", rounds %" PRIu64
	       ", fuel %" PRIu64 ", window of U %" PRIx64 "\n",
	       p->pc, "US?M"[p->priv], p -> satp[0], p -> x[S8], p -> x[S11], p -> window);
	for (unsigned i = 0; i < sorted->units; i++) {
		const struct unit *u = &sorted->unit[i];
		if (!u->removable && le32_at(p->image + u->at) == addi(S11, S11, -1))
			continue; /* fuel */
		for (uint32_t at = u->at; at < u->at + u->len;) {
			uint32_t w = le32_at(p->image + at);
			char text[80];
			rv_disasm(w, RAM_AT + at, text, sizeof text);
			bool wide = (w & 3) == 3;
			printf(wide ? "    %c %08x  %08x  %s\n" : "    %c %08x  %04x      %s\n",
			       u->removable ? '*' : ' ', RAM_AT + at, wide ? w : w & 0xffff, text);
			at += wide ? 4 : 2;
		}
	}
	free(sorted);
}
