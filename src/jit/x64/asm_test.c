/* SPDX-License-Identifier: Apache-2.0 */
#include "jit/x64/asm.h"
#include "test/test.h"

enum { SAMPLES = 13, ROOM = 32, BEHIND = 16, GUARD = 0xa5 };

/* One instruction of each form. */
static void sample(struct jit_asm *a, unsigned n)
{
	switch (n) {
	case 0: x_mov(a, true, R9, RBX); break;
	case 1: asm_prm(a, 0xf2, false, 0x0f10, 1, R12, 0x12345); break;
	case 2: x_load(a, false, RAX, RBP, -8); break;
	case 3: asm_rmx(a, true, 0x8d, RCX, R15, RDX, 2, 0x1000); break;
	case 4: x_movi(a, R8, 0x1122334455667788); break;
	case 5: x_movi(a, RAX, UINT64_MAX); break;
	case 6: x_alumi(a, true, ALU_CMP, RBP, 0x200, 0x12345); break;
	case 7: asm_vrm(a, 1, 3, false, 0x58, 4, 5, RSP, 16); break;
	case 8: asm_erm(a, 1, 9, true, 0x6f, 17, 0, RBP, 64); break;
	case 9: asm_prr(a, 0xf2, true, 0x0f38f1, R9, RAX); break;
	case 10: (void)x_jcc32(a, CC_NE); break;
	case 11: asm_rr8(a, false, 0x0fb6, RAX, RSI); break;
	default: x_alui(a, false, ALU_AND, RDI, 0x100);
	}
}

TEST(asm_writes_what_the_manual_says)
{
	static const struct {
		uint8_t len, bytes[12];
	} want[SAMPLES] = {
	    {3, {0x49, 0x89, 0xd9}},
	    {10, {0xf2, 0x41, 0x0f, 0x10, 0x8c, 0x24, 0x45, 0x23, 0x01, 0x00}},
	    {3, {0x8b, 0x45, 0xf8}},
	    {8, {0x49, 0x8d, 0x8c, 0x97, 0x00, 0x10, 0x00, 0x00}},
	    {10, {0x49, 0xb8, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11}},
	    {7, {0x48, 0xc7, 0xc0, 0xff, 0xff, 0xff, 0xff}},
	    {11, {0x48, 0x81, 0xbd, 0x00, 0x02, 0x00, 0x00, 0x45, 0x23, 0x01, 0x00}},
	    {7, {0xc4, 0xe1, 0x53, 0x58, 0x64, 0x24, 0x10}},
	    {7, {0x62, 0xe1, 0xfd, 0x48, 0x6f, 0x4d, 0x01}},
	    {6, {0xf2, 0x4c, 0x0f, 0x38, 0xf1, 0xc8}},
	    {6, {0x0f, 0x85, 0x00, 0x00, 0x00, 0x00}},
	    {4, {0x40, 0x0f, 0xb6, 0xc6}},
	    {6, {0x81, 0xe7, 0x00, 0x01, 0x00, 0x00}},
	};
	for (unsigned n = 0; n < SAMPLES; n++) {
		uint8_t bytes[ROOM];
		struct jit_asm a = asm_at(bytes, bytes + sizeof bytes);
		sample(&a, n);
		CHECK(!a.full && asm_off(&a) == want[n].len);
		CHECK(!memcmp(bytes, want[n].bytes, want[n].len));
	}
}

/* In less room than an instruction needs there is as much of it as fits. */
TEST(asm_leaves_what_is_behind_its_room_alone)
{
	for (unsigned n = 0; n < SAMPLES; n++)
		for (unsigned room = 0; room < ROOM; room++) {
			uint8_t all[ROOM], bytes[ROOM + BEHIND];
			struct jit_asm whole = asm_at(all, all + sizeof all);
			struct jit_asm a = asm_at(bytes, bytes + room);
			memset(bytes, GUARD, sizeof bytes);
			sample(&whole, n);
			sample(&a, n);
			uint32_t len = asm_off(&whole);
			CHECK(a.full == (len > room));
			CHECK(asm_off(&a) == (len > room ? room : len));
			CHECK(!memcmp(all, bytes, asm_off(&a)));
			for (unsigned k = room; k < sizeof bytes; k++)
				CHECK(bytes[k] == GUARD);
		}
}
