/* SPDX-License-Identifier: Apache-2.0 */
/* Programs of Linux: the ELF header and program headers as execve reads them.
 * Specs: ELF gABI 4.1 §4, §5; psABI 1.0 §8; Linux 6.1 fs/binfmt_elf.c */
#include "img/img.h"

enum { EM_RISCV = 243, ET_EXEC = 2, ET_DYN = 3, PHDR = 56 };
enum { PT_LOAD = 1, PT_INTERP = 3, PT_GNU_STACK = 0x6474e551 };
enum { PF_X = 1, PF_W = 2, PF_R = 4 };
enum { PAGE = 4096, INTERP_MAX = 4096, HEADERS_MAX = 65536 };

int img_program_headers(const uint8_t *head, uint64_t len, uint64_t *ret_off, uint64_t *ret_len,
                        struct lodge_err *e)
{
	if (len < IMG_PROGRAM_HEAD || memcmp(head, "\177ELF", 4))
		return err_set(e, ENOEXEC, "not an ELF file");
	if (head[4] != 2 || head[5] != 1 || le16_at(head + 18) != EM_RISCV)
		return err_set(e, ENOEXEC, "not a 64-bit little-endian RISC-V ELF (machine %u)",
		               le16_at(head + 18));
	unsigned type = le16_at(head + 16), n = le16_at(head + 56);
	if (type != ET_EXEC && type != ET_DYN)
		return err_set(e, ENOEXEC, "an ELF file of type %u, not a program", type);
	if (le16_at(head + 54) != PHDR || !n || n * PHDR > HEADERS_MAX)
		return err_set(e, ENOEXEC, "ELF program headers are damaged");
	*ret_off = le64_at(head + 32);
	*ret_len = (uint64_t)n * PHDR;
	return 0;
}

static int segment_add(struct img_program *p, const uint8_t *ph, uint64_t phoff,
                       struct lodge_err *e)
{
	struct img_part s = { .off = le64_at(ph + 8), .at = le64_at(ph + 16),
		.file_len = le64_at(ph + 32), .mem_len = le64_at(ph + 40) };
	uint64_t align = le64_at(ph + 48), end;
	unsigned f = le32_at(ph + 4);
	if (!s.mem_len)
		return 0;
	if (s.file_len > s.mem_len || __builtin_add_overflow(s.at, s.mem_len, &end) ||
	    __builtin_add_overflow(end, PAGE - 1, &end) ||
	    __builtin_add_overflow(s.off, s.file_len, &end))
		return err_set(e, ENOEXEC, "an ELF segment's size makes no sense");
	if ((s.at ^ s.off) & (PAGE - 1))
		return err_set(e, ENOEXEC, "an ELF segment lies askew in its pages");
	if (p->nsegments == IMG_PARTS_MAX)
		return err_set(e, ENOEXEC, "more than %d ELF segments to load", IMG_PARTS_MAX);
	s.read = f & PF_R;
	s.write = f & PF_W;
	s.exec = f & PF_X;
	if (s.off <= phoff && phoff - s.off < s.file_len)
		p->headers_at = s.at + (phoff - s.off);
	if (align > p->align && !(align & (align - 1)))
		p->align = align;
	if (!p->nsegments || s.at < p->lo)
		p->lo = s.at & ~(uint64_t)(PAGE - 1);
	if (s.at + s.mem_len > p->hi)
		p->hi = align_up(s.at + s.mem_len, PAGE);
	p->segments[p->nsegments++] = s;
	return 0;
}

int img_program(struct img_program *ret, const uint8_t *head, const uint8_t *headers, uint64_t len,
                struct lodge_err *e)
{
	struct img_program p = { .relative = le16_at(head + 16) == ET_DYN,
		.entry = le64_at(head + 24), .nheaders = le16_at(head + 56), .align = PAGE };
	uint64_t phoff = le64_at(head + 32);
	for (uint64_t at = 0; at + PHDR <= len; at += PHDR) {
		const uint8_t *ph = headers + at;
		uint32_t type = le32_at(ph);
		int r = 0;
		if (type == PT_LOAD) {
			r = segment_add(&p, ph, phoff, e);
		} else if (type == PT_INTERP && !p.interp_len) {
			p.interp_off = le64_at(ph + 8);
			p.interp_len = le64_at(ph + 32);
			if (p.interp_len < 2 || p.interp_len > INTERP_MAX)
				r = err_set(e, ENOEXEC, "the ELF interpreter's name is damaged");
		} else if (type == PT_GNU_STACK) {
			p.stack_exec = le32_at(ph + 4) & PF_X;
		}
		if (r < 0)
			return r;
	}
	if (!p.nsegments)
		return err_set(e, ENOEXEC, "ELF file has nothing to load");
	*ret = p;
	return 0;
}
