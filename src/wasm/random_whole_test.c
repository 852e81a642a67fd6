/* SPDX-License-Identifier: Apache-2.0 */
/* Random code on tables and memories as a whole. */
#include "wasm/random_make_test.h"

void random_reference(struct maker *m)
{
	switch (pick(m, 4)) {
	case 0:
		byte(m, 0xd0);
		byte(m, WASM_FUNCREF);
		break;
	case 1:
		byte(m, 0xd2);
		uleb(m, pick(m, FUNCS));
		break;
	case 2:
		byte(m, 0x20);
		uleb(m, REFERENCE);
		break;
	default:
		random_small(m, N_I32, 3);
		byte(m, 0x25);
		byte(m, pick(m, 2));
	}
}

/* What asks or changes a table or a memory, and has a result i32. */
void random_whole_value(struct maker *m)
{
	switch (pick(m, 5)) {
	case 0:
		byte(m, 0x3f);
		byte(m, 0);
		break;
	case 1:
		random_small(m, N_I32, 1);
		byte(m, 0x40);
		byte(m, 0);
		break;
	case 2:
		random_reference(m);
		byte(m, 0xd1);
		break;
	case 3:
		byte(m, 0xfc);
		byte(m, 0x10);
		byte(m, pick(m, 2));
		break;
	default:
		random_reference(m);
		random_small(m, N_I32, 1);
		byte(m, 0xfc);
		byte(m, 0x0f);
		byte(m, pick(m, 2));
	}
}

static void fc(struct maker *m, unsigned op, unsigned i, int j)
{
	byte(m, 0xfc);
	byte(m, op);
	byte(m, i);
	if (j >= 0)
		byte(m, (unsigned)j);
}

void random_memory_whole(struct maker *m)
{
	unsigned i = !m->plain && pick(m, 2), j = !m->plain && pick(m, 2);
	random_address(m, i);
	switch (pick(m, 5)) {
	case 0:
	case 1:
		random_expression(m, N_I32);
		random_small(m, i ? N_I64 : N_I32, 0xff);
		fc(m, 0x0b, i, -1);
		break;
	case 2:
	case 3:
		random_address(m, j);
		random_small(m, i && j ? N_I64 : N_I32, 0xff);
		fc(m, 0x0a, i, (int)j);
		break;
	default:
		random_small(m, N_I32, SEGMENT / 2);
		random_small(m, N_I32, 7);
		fc(m, 0x08, 0, (int)i);
	}
	if (!pick(m, 400))
		fc(m, 0x09, 0, -1);
}

void random_table_whole(struct maker *m)
{
	random_small(m, N_I32, 3);
	switch (pick(m, 4)) {
	case 0:
		random_reference(m);
		byte(m, 0x26);
		byte(m, 1);
		break;
	case 1:
		random_reference(m);
		random_small(m, N_I32, 1);
		fc(m, 0x11, 1, -1);
		break;
	case 2:
		random_small(m, N_I32, 3);
		random_small(m, N_I32, 1);
		fc(m, 0x0e, 1, (int)pick(m, 2));
		break;
	default:
		random_small(m, N_I32, 1);
		random_small(m, N_I32, 1);
		fc(m, 0x0c, 1, 1);
	}
	if (!pick(m, 400))
		fc(m, 0x0d, 1, -1);
	if (!pick(m, 3)) {
		random_reference(m);
		byte(m, 0x21);
		uleb(m, REFERENCE);
	}
}
