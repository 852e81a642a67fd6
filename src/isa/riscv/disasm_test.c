/* SPDX-License-Identifier: Apache-2.0 */
#include "isa/riscv/riscv.h"
#include "test/test.h"

TEST(rv_disasm_names_and_operands)
{
	static const struct { uint32_t word; const char *text; } t[] = {
		{ 0xfff00093, "addi ra,zero,-1" },
		{ 0x00c58533, "add a0,a1,a2" },
		{ 0x0085b503, "ld a0,8(a1)" },
		{ 0x00a5b423, "sd a0,8(a1)" },
		{ 0xfe000ee3, "beq zero,zero,0xffc" },
		{ 0x12345537, "lui a0,0x12345" },
		{ 0x02b57553, "fadd.d f10,f10,f11,dyn" },
		{ 0x0cb5a52f, "amoswap.w a0,a1,(a1),aq" },
		{ 0x04b5a52f, "amoadd.w a0,a1,(a1),aq" },
		{ 0xffffffff, "illegal 0xffffffff" },
		{ 0x4505, "c.addi a0,zero,1" },
		{ 0x0000, "illegal 0x0" },
		{ 0x8082, "c.jalr zero,0(ra)" },
		{ 0x30200073, "mret" },
		{ 0x022180d7, "vadd.vv v1,v2,v3" },
		{ 0x00056007, "vle32.v v0,(a0),v0.t" },
		{ 0x4005d207, "vlsege16.v v4,(a1),v0.t,3" },
		{ 0x0d15f557, "vsetvli a0,a1,0xd1" },
	};
	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
		char buf[64];
		rv_disasm(t[i].word, 0x1000, buf, sizeof buf);
		if (strcmp(buf, t[i].text))
			print_error("0x%x: \"%s\", wanted \"%s\"\n", t[i].word, buf, t[i].text);
		CHECK(!strcmp(buf, t[i].text));
	}
}

TEST(rv_disasm_of_any_word_fits_any_buffer)
{
	char buf[64];
	uint64_t s = 1;
	for (int i = 0; i < 200000; i++) {
		s = s * 6364136223846793005u + 1442695040888963407u;
		size_t cap = 1 + s % sizeof buf;
		rv_disasm((uint32_t)(s >> 32), s, buf, cap);
		CHECK(memchr(buf, 0, cap));
	}
}
